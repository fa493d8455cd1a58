/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/nodeimage: running the Go toolchain, with a script in its place that plays
 * a good compiler, one that fails, one that never ends, and old ones.
 */
#include "lib/nodeimage/child.h"
#include "lib/nodeimage/gobuild.h"

#include "lib/base/clock.h"
#include "lib/base/fs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	char *dir; /* holds bin/go and cache/ */
	char *cache;
	char *path; /* PATH as it was */
	char *said; /* the last word about progress */
};

static int setup(void **state)
{
	struct world *w = mk_xcalloc(1, sizeof(*w));
	mk_autofree char *bin = NULL;
	mk_autofree char *path = NULL;
	mk_autoerror err = { .code = MK_OK };

	w->dir = mk_xstrdup("/tmp/mk-test-go.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->cache = mk_xasprintf("%s/cache", w->dir);
	w->path = mk_xstrdup(getenv("PATH"));
	bin = mk_xasprintf("%s/bin", w->dir);
	path = mk_xasprintf("%s:%s", bin, w->path);
	assert_int_equal(mk_fs_mkdir_all(bin, 0755, &err), 0);
	assert_int_equal(setenv("PATH", path, 1), 0);
	assert_int_equal(setenv("FAKE_DIR", w->dir, 1), 0);
	assert_int_equal(setenv("GOFLAGS", "-mod=vendor -buildvcs=false", 1), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	mk_autoerror err = { .code = MK_OK };

	mk_interrupt_reset();
	assert_int_equal(setenv("PATH", w->path, 1), 0);
	assert_int_equal(mk_fs_remove_all(w->dir, &err), 0);
	free(w->dir);
	free(w->cache);
	free(w->path);
	free(w->said);
	free(w);
	return 0;
}

/* `go` of this version, which does `build` when told to build. */
static void fake_go(const struct world *w, const char *version, const char *build)
{
	mk_autofree char *path = mk_xasprintf("%s/bin/go", w->dir);
	mk_autofree char *text = mk_xasprintf(
		"#!/bin/sh\n"
		"echo \"$* CGO=$CGO_ENABLED GOARCH=$GOARCH GOFLAGS=$GOFLAGS\" >>$FAKE_DIR/log\n"
		"case $1 in\n"
		"version) echo 'go version %s linux/amd64' ;;\n"
		"list) printf 'a\\nb\\nc\\n' ;;\n"
		"build)\n"
		"	while [ \"$1\" != -o ]; do shift; done\n"
		"	out=$2\n"
		"	%s ;;\n"
		"esac\n",
		version, build);
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_fs_write_atomic(path, text, strlen(text), 0755, &err), 0);
}

static void say(void *payload, const char *text)
{
	struct world *w = payload;

	free(w->said);
	w->said = mk_xstrdup(text);
}

static int build(struct world *w, const char *component, char **ret_dir, bool *ret_cached,
	struct mk_error *err)
{
	MK_CLEANUP(mk_go_done) struct mk_go go = { .version = NULL };
	int r = mk_go_init(&go, w->cache, "arm64", say, w, err);

	return r < 0 ? r : mk_go_build(&go, mk_component_find(component), ret_dir, ret_cached, err);
}

static size_t count_calls(const struct world *w, const char *words)
{
	mk_autofree char *path = mk_xasprintf("%s/log", w->dir);
	mk_autobuf log = mk_buf_init(1 << 20);
	mk_autoerror err = { .code = MK_OK };
	size_t count = 0;

	assert_int_equal(mk_fs_read(path, &log, &err), 0);
	for (const char *p = log.data; (p = strstr(p, words)); p++)
		count++;
	return count;
}

static void builds_once_and_finds_it_again(void **state)
{
	struct world *w = *state;
	mk_autofree char *dir = NULL;
	mk_autofree char *again = NULL;
	mk_autofree char *program = NULL;
	mk_autoerror err = { .code = MK_OK };
	bool cached = true;

	fake_go(w, "go1.26.8", "echo b >&2; echo c >&2; echo program >$out/registry");
	assert_int_equal(build(w, "registry", &dir, &cached, &err), 0);
	assert_false(cached);
	program = mk_xasprintf("%s/registry", dir);
	assert_true(mk_fs_exists(program));
	assert_string_equal(w->said, "compiled 2 of at most 3 packages");
	assert_int_equal(build(w, "registry", &again, &cached, &err), 0);
	assert_true(cached);
	assert_string_equal(dir, again);
	assert_int_equal(count_calls(w, "build -v"), 1);
	assert_int_equal(count_calls(w, "CGO=0 GOARCH=arm64 GOFLAGS=-buildvcs=false"), 2);
	assert_int_equal(count_calls(w, "version=v3.1.2"), 1);
}

static void another_toolchain_builds_anew(void **state)
{
	struct world *w = *state;
	mk_autofree char *dir = NULL;
	mk_autofree char *again = NULL;
	mk_autoerror err = { .code = MK_OK };
	bool cached;

	fake_go(w, "go1.26.8", "echo program >$out/registry");
	assert_int_equal(build(w, "registry", &dir, &cached, &err), 0);
	fake_go(w, "go1.27", "echo program >$out/registry");
	assert_int_equal(build(w, "registry", &again, &cached, &err), 0);
	assert_false(cached);
	assert_string_not_equal(dir, again);
}

static void failure_shows_the_last_lines(void **state)
{
	struct world *w = *state;
	mk_autofree char *dir = NULL;
	mk_autoerror err = { .code = MK_OK };
	bool cached;

	fake_go(w, "go1.26.8", "seq -f 'x.go:%g: mistake' 30 >&2; exit 1");
	assert_int_equal(build(w, "runc", &dir, &cached, &err), -MK_EFAIL);
	assert_null(dir);
	assert_string_equal(err.message,
		"build runc 1.5.2 from Go modules: 'go build' failed with exit status 1");
	assert_non_null(mk_after_prefix(err.detail, "x.go:11: mistake\n"));
	assert_true(mk_has_suffix(err.detail, "x.go:30: mistake"));
	assert_non_null(strstr(err.hint, "libseccomp-dev"));
}

static void missing_result_is_a_failure(void **state)
{
	struct world *w = *state;
	mk_autofree char *dir = NULL;
	mk_autoerror err = { .code = MK_OK };
	bool cached;

	fake_go(w, "go1.26.8", "echo program >$out/wrong");
	assert_int_equal(build(w, "registry", &dir, &cached, &err), -MK_EFAIL);
	assert_non_null(strstr(err.message, "registry"));
}

static void old_toolchain_is_refused(void **state)
{
	struct world *w = *state;
	mk_autofree char *dir = NULL;
	mk_autoerror err = { .code = MK_OK };
	bool cached;

	fake_go(w, "go1.9.2", "exit 1");
	assert_int_equal(build(w, "registry", &dir, &cached, &err), -MK_EHOST);
	assert_non_null(strstr(err.message, "go1.9.2"));
	assert_non_null(err.hint);
}

static void no_toolchain_is_told(void **state)
{
	struct world *w = *state;
	mk_autofree char *dir = NULL;
	mk_autofree char *empty = mk_xasprintf("%s/none", w->dir);
	mk_autoerror err = { .code = MK_OK };
	bool cached;

	assert_int_equal(setenv("PATH", empty, 1), 0);
	assert_int_equal(build(w, "registry", &dir, &cached, &err), -MK_EHOST);
	assert_non_null(strstr(err.hint, "go.dev"));
}

static void *raise_soon(void *payload)
{
	const struct timespec ts = { .tv_nsec = 300000000 };

	(void)payload;
	(void)nanosleep(&ts, NULL);
	mk_interrupt_raise();
	return NULL;
}

static void interrupt_kills_the_whole_group(void **state)
{
	struct world *w = *state;
	mk_autofree char *dir = NULL;
	mk_autofree char *pid_path = mk_xasprintf("%s/pid", w->dir);
	mk_autofree char *stat_path = NULL;
	mk_autobuf pid = mk_buf_init(100);
	mk_autobuf text = mk_buf_init(4096);
	mk_autoerror err = { .code = MK_OK };
	mk_autoerror ignored = { .code = MK_OK };
	int64_t began = mk_now_ms();
	pthread_t thread;
	bool cached;

	/* The grandchild is what a compiler is to `go`. */
	fake_go(w, "go1.26.8", "sleep 60 & echo -n $! >$FAKE_DIR/pid; wait");
	assert_int_equal(pthread_create(&thread, NULL, raise_soon, NULL), 0);
	assert_int_equal(build(w, "registry", &dir, &cached, &err), -MK_EINTR);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(mk_now_ms() - began < 5000);
	assert_int_equal(mk_fs_read(pid_path, &pid, &ignored), 0);
	stat_path = mk_xasprintf("/proc/%s/stat", pid.data);
	for (int i = 0; i < 100 && mk_fs_exists(stat_path); i++)
		(void)usleep(10000);
	/* It may still be there, dead, when whoever inherits it does not look. */
	if (mk_fs_read(stat_path, &text, &ignored) == 0)
		assert_non_null(strstr(text.data, ") Z "));
}

static void output_is_read_like_a_file(void **state)
{
	static const char *const good[] = { "sh", "-c", "echo one; echo two", NULL };
	static const char *const bad[] = { "sh", "-c", "echo one; echo wrong >&2; exit 3", NULL };
	mk_autobuf out = mk_buf_init(1000);
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_child_run(&(struct mk_child_options){ .argv = good }, &out, &err), 0);
	assert_string_equal(out.data, "one\ntwo\n");
	assert_int_equal(
		mk_child_run(&(struct mk_child_options){ .argv = bad }, NULL, &err), -MK_EFAIL);
	assert_string_equal(err.message, "'sh' failed with exit status 3");
	assert_string_equal(err.detail, "wrong");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(builds_once_and_finds_it_again, setup, teardown),
		cmocka_unit_test_setup_teardown(another_toolchain_builds_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(failure_shows_the_last_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_result_is_a_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(old_toolchain_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(no_toolchain_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupt_kills_the_whole_group, setup, teardown),
		cmocka_unit_test(output_is_read_like_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

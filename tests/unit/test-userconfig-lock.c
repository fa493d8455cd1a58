/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing a kubeconfig from several processes: nothing is lost, locks of the
 * dead are removed, those of the living are waited for.
 */
#include "tests/unit/userconfig-folder.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>

/* Merge "c0" ... "c7" from a process each; returns when all are done. */
static void merge_from_eight(void)
{
	pid_t children[8];

	for (size_t i = 0; i < MK_ARRAY_LEN(children); i++) {
		children[i] = fork();
		if (children[i] == 0) {
			mk_autofree char *name = mk_xasprintf("c%zu", i);
			struct mk_userconfig_entry e = dev;
			mk_autoerror err = { .code = MK_OK };

			e.name = name;
			_exit(mk_userconfig_merge("k", &e, true, NULL, &err) < 0 ? 1 : 0);
		}
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(children); i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
}

static pid_t dead_process(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	return child;
}

/* A lock as this host's process `pid` would leave it. */
static void put_lock(pid_t pid)
{
	mk_autofree char *text = NULL;
	char host[256];

	assert_int_equal(gethostname(host, sizeof(host)), 0);
	text = mk_xasprintf("mkcluster %d %s\n", (int)pid, host);
	put("k.lock", text);
}

static void test_eight_at_once(void **state)
{
	(void)state;
	for (size_t round = 0; round < 5; round++) {
		mk_autofree char *text = NULL;

		/* Every second time a dead process has left its lock. */
		if (round % 2)
			put_lock(dead_process());
		merge_from_eight();
		text = get("k");
		for (size_t i = 0; i < 8; i++) {
			mk_autofree char *name = mk_xasprintf("- name: c%zu\n", i);

			assert_non_null(strstr(text, name));
		}
		assert_false(mk_fs_exists("k.lock"));
		assert_int_equal(unlink("k"), 0);
	}
}

static void make_old(const char *path)
{
	struct timespec old = { .tv_sec = time(NULL) - 90 };
	struct timespec times[2] = { old, old };

	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static int take(struct mk_userconfig_lock *lock, struct mk_error *err)
{
	return mk_userconfig_lock_take("k", 60, lock, err);
}

static void assert_stale(void)
{
	mk_autouserconfiglock lock = { .path = NULL };
	mk_autoerror err = { .code = MK_OK };
	mk_autofree char *text = NULL, *mine = mk_xasprintf("mkcluster %d ", (int)getpid());

	assert_int_equal(take(&lock, &err), 0);
	assert_null(err.message);
	text = get("k.lock");
	assert_non_null(mk_after_prefix(text, mine));
	mk_userconfig_lock_release(&lock);
	assert_false(mk_fs_exists("k.lock"));
}

static void test_stale_locks(void **state)
{
	(void)state;
	put_lock(dead_process());
	assert_stale();
	/* A container's processes have the same few numbers every time. */
	put_lock(getpid());
	assert_stale();
	put("k.lock", "");
	assert_int_equal(chmod("k.lock", 0), 0);
	make_old("k.lock");
	assert_stale();
	put("k.lock", "mkcluster 1 far-away.example\n");
	make_old("k.lock");
	assert_stale();
	assert_int_equal(symlink("nowhere", "k.lock"), 0);
	make_old("k.lock");
	assert_stale();
}

static void assert_live(const char *message)
{
	mk_autouserconfiglock lock = { .path = NULL };
	mk_autoerror err = { .code = MK_OK };
	ino_t before = stat_of("k.lock").st_ino;

	assert_int_equal(take(&lock, &err), -MK_ETIMEOUT);
	assert_null(lock.path);
	assert_string_equal(err.message, message);
	assert_string_equal(err.hint, "remove 'k.lock' if nothing is changing the file any more");
	assert_int_equal(stat_of("k.lock").st_ino, before);
}

static void test_live_locks(void **state)
{
	pid_t child = fork();
	mk_autofree char *busy = mk_xasprintf("'k' is locked by mkcluster process %d", (int)child);

	(void)state;
	if (child == 0) {
		(void)pause();
		_exit(0);
	}
	put_lock(child);
	assert_live(busy);
	make_old("k.lock");
	assert_live(busy);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_stale();
	put("k.lock", "");
	assert_live("'k' is locked by another program");
	put("k.lock", "mkcluster 1 far-away.example\n");
	assert_live("'k' is locked by another program");
	put("k.lock", "mkcluster 99");
	assert_live("'k' is locked by another program");
}

/* An interrupt ends the wait, and neither takes nor leaves a lock. */
static void test_interrupted(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	put("k.lock", "");
	mk_interrupt_raise();
	assert_int_equal(mk_userconfig_merge("k", &dev, true, NULL, &err), -MK_EINTR);
	assert_text("k.lock", "");
	assert_false(mk_fs_exists("k"));
	assert_int_equal(unlink("k.lock"), 0);
	/* Without a wait the change is made, and the lock goes. */
	merge("k", &dev, true);
	assert_text("k", fresh);
	assert_false(mk_fs_exists("k.lock"));
}

static void test_only_our_own_is_released(void **state)
{
	mk_autouserconfiglock lock = { .path = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(take(&lock, &err), 0);
	put("k.lock", "somebody else's\n");
	mk_userconfig_lock_release(&lock);
	assert_text("k.lock", "somebody else's\n");
	mk_userconfig_lock_release(&lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_eight_at_once),
		TEST(test_stale_locks),
		TEST(test_live_locks),
		TEST(test_interrupted),
		TEST(test_only_our_own_is_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Around the download: the cache and its records, checksum files, mirrors,
 * full disks, other processes, and the question whether a server is there.
 */
#include "tests/unit/test-fetch-world.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void plain_and_cached(void **state)
{
	struct world *w = *state;
	mk_autofree char *expected = NULL;
	size_t hits;

	serve(w, &whole, 1, sum256);
	expected = cached_path(w, "");
	assert_fetched(w);
	assert_string_equal(w->item.path, expected);
	assert_string_equal(w->item.digest, sha256);
	assert_string_equal(w->last.name, "tool");
	assert_int_equal(w->last.state, MK_FETCH_DONE);
	assert_int_equal(w->last.received, BIG);
	assert_int_equal(w->last.total, BIG);
	assert_true(cache_has(w, ".sha256"));
	hits = fake_http_hits(w->http, NULL);
	assert_int_equal(hits, 2);
	assert_fetched(w);
	assert_int_equal(w->last.state, MK_FETCH_CACHED);
	assert_int_equal(fake_http_hits(w->http, NULL), hits);
}

/* The record is one that people can check by hand. */
static void record_is_readable(void **state)
{
	struct world *w = *state;
	mk_autofree char *record = NULL;
	mk_autobuf text = mk_buf_init(4096);
	mk_autofree char *line = mk_xasprintf("%s  tool\n# size 300000 changed ", sha256);

	serve(w, &whole, 1, sum256);
	assert_fetched(w);
	record = cached_path(w, ".sha256");
	assert_ok(w, mk_fs_read(record, &text, &w->err));
	assert_words(text.data, line);
}

static void touched_file_is_hashed_again(void **state)
{
	struct world *w = *state;
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	serve(w, &whole, 1, sum256);
	assert_fetched(w);
	assert_int_equal(utimensat(AT_FDCWD, w->item.path, times, 0), 0);
	assert_fetched(w);
	assert_int_equal(fake_http_hits(w->http, NULL), 2);
}

static void changed_file_is_replaced(void **state)
{
	struct world *w = *state;

	serve(w, &whole, 1, sum256);
	assert_fetched(w);
	write_file(w->item.path, "damage", 6);
	assert_fetched(w);
	assert_int_equal(fake_http_hits(w->http, "/v1/tool"), 2);
}

static void file_without_record_is_adopted(void **state)
{
	struct world *w = *state;
	mk_autofree char *path = NULL;

	serve(w, &whole, 1, sum256);
	path = cached_path(w, "");
	write_file(path, big, BIG);
	assert_fetched(w);
	assert_int_equal(fake_http_hits(w->http, "/v1/tool"), 0);
	assert_true(cache_has(w, ".sha256"));
}

/* Checksum files that give the digest of "tool", and those that do not. */
static void checksum_forms(void **state)
{
	char *upper = mk_xstrdup(sha256);
	const struct {
		const char *before, *digest, *after;
		const char *words; /* NULL: found */
	} cases[] = {
		{ "", sha256, "", NULL },
		{ "", sha512, "\r\n", NULL },
		{ "", sha256, "  tool\n", NULL },
		{ "", sha256, " *tool\n", NULL },
		{ ZEROS64 "  other\n", sha256, "  ./dist/tool\r\n", NULL },
		{ ZEROS64 "  tool.sig\n", sha512, "\ttool", NULL },
		{ "", upper, "\n", NULL },
		{ "", sha256, "  tools\n", "has no checksum for 'tool'" },
		{ "", sha256, "00\n", "holds no SHA-256 or SHA-512 checksum" },
		{ "", "", "", "holds no SHA-256" },
		{ "<html>", "tool", "</html>", "holds no SHA-256" },
		{ ZEROS64 "\n", sha256, "\n", "has no checksum for" },
	};

	(void)state;
	for (char *p = upper; *p; p++)
		*p = (char)(*p >= 'a' ? *p - 32 : *p);
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *text = mk_xasprintf(
			"%s%s%s", cases[i].before, cases[i].digest, cases[i].after);
		mk_autoerror err = { .code = MK_OK };
		mk_autofree char *got = NULL;
		int r = mk_checksum_find(text, "tool", "SUMS", &got, &err);

		assert_int_equal(r, cases[i].words ? -MK_EINVALID : 0);
		if (cases[i].words)
			assert_words(err.message, cases[i].words);
		else
			assert_string_equal(got, strlen(got) == 64 ? sha256 : sha512);
	}
	free(upper);
}

static void sha512_is_told_by_length(void **state)
{
	struct world *w = *state;

	serve(w, &whole, 1, sum512);
	assert_fetched(w);
	assert_string_equal(w->item.digest, sha512);
	assert_true(cache_has(w, ".sha512"));
	assert_fetched(w);
	assert_int_equal(w->last.state, MK_FETCH_CACHED);
}

static void list_with_another_name(void **state)
{
	struct world *w = *state;

	serve(w, &whole, 1, list256);
	assert_int_equal(fetch(w), -MK_EINVALID);
	assert_words(w->err.message, "/v1/tool.sum has no checksum for 'tool'");
	w->item.checksum_name = "tool-amd64";
	assert_fetched(w);
}

static void missing_checksum_file(void **state)
{
	struct world *w = *state;

	serve(w, &whole, 1, sum256);
	mk_freep(&w->item.checksum_url);
	w->item.checksum_url = fake_http_url(w->http, "/v1/none");
	assert_int_equal(fetch(w), -MK_ENOTFOUND);
	assert_words(w->err.message, "/v1/none: 404 Not Found");
	assert_int_equal(fake_http_hits(w->http, "/v1/tool"), 0);
}

static void checksum_file_cap(void **state)
{
	struct world *w = *state;
	/* Not on the stack or the heap: the server may still send it when we have left. */
	static char data[(1 << 20) + 2];

	memset(data, '\n', sizeof(data) - 1);
	serve(w, &whole, 1, data);
	assert_int_equal(fetch(w), -MK_EINVALID);
	assert_words(w->err.message, "larger than 1048576 bytes");
}

static void bad_urls(void **state)
{
	static const char *const urls[] = { "ftp://h/p", "http://h", "http://h/", "http://h//p",
		"http://h/../p", "http://h/p?q=1", "http://h/p#f", "http://u@h/p", "http:///p",
		"http://../p", "http://h/a b", "http://h/p/." };
	struct world *w = *state;

	for (size_t i = 0; i < MK_ARRAY_LEN(urls); i++) {
		struct mk_fetch_item item = { .url = urls[i], .checksum_url = "http://h/p" };

		assert_int_equal(mk_fetch_all(&item, 1, &w->options, &w->err), -MK_EUSAGE);
		assert_words(w->err.message, urls[i]);
	}
}

static void mirror_by_url(void **state)
{
	struct world *w = *state;
	const struct fake_route routes[] = {
		{ "/m/dl.example.com/v1/tool", { whole }, 1 },
		{ "/m/dl.example.com/v1/SUMS", { { .body = list256, .len = strlen(list256) } }, 1 },
	};
	mk_autofree char *expected = mk_xasprintf("%s/dl.example.com/v1/tool", w->cache);
	mk_autofree char *mirror = NULL;

	w->http = fake_http_start(routes, 2);
	mirror = fake_http_url(w->http, "/m/");
	w->options.mirror = mirror;
	w->item.url = mk_xstrdup("https://dl.example.com/v1/tool");
	w->item.checksum_url = mk_xstrdup("https://dl.example.com/v1/SUMS");
	w->item.checksum_name = "tool-amd64";
	assert_ok(w, fetch(w));
	assert_string_equal(w->item.path, expected);
	assert_file(expected, big, BIG);
}

static void mirror_by_folder(void **state)
{
	struct world *w = *state;
	mk_autofree char *mirror = mk_xasprintf("%s/mirror", w->dir);
	mk_autofree char *file = mk_xasprintf("%s/dl.example.com/v1/tool", mirror);
	mk_autofree char *sums = mk_xasprintf("%s/dl.example.com/v1/tool.sha256", mirror);

	w->options.mirror = mirror;
	w->item.url = mk_xstrdup("https://dl.example.com/v1/tool");
	w->item.checksum_url = mk_xstrdup("https://dl.example.com/v1/tool.sha256");
	assert_int_equal(fetch(w), -MK_EUSAGE);
	assert_words(w->err.message, "is not a folder");
	write_file(sums, sum256, strlen(sum256));
	assert_int_equal(fetch(w), -MK_ENOTFOUND);
	assert_words(w->err.message, file);
	write_file(file, big, BIG - 1);
	assert_int_equal(fetch(w), -MK_EINVALID);
	assert_words(w->err.message, "wrong checksum");
	write_file(file, big, BIG);
	assert_ok(w, fetch(w));
	assert_file(w->item.path, big, BIG);
	assert_non_null(mk_after_prefix(w->item.path, w->cache));
	/* The copy serves without the mirror. */
	w->options.mirror = NULL;
	assert_ok(w, fetch(w));
	assert_int_equal(w->last.state, MK_FETCH_CACHED);
}

/* The disk refuses in the middle. */
static void write_error(void **state)
{
	struct world *w = *state;
	struct rlimit old, low;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	int r;

	serve(w, &whole, 1, sum256);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = HALF;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	r = fetch(w);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, handler);
	assert_int_equal(r, -MK_ESYS);
	assert_words(w->err.message, "tool.part': File too large");
	assert_fetched(w);
	assert_words(fake_http_request(w->http, "/v1/tool", 1), "Range: bytes=100000-");
}

static void full_disk(void **state)
{
	struct world *w = *state;
	struct fake_reply replies[] = { whole, whole };

	assert_int_equal(mkdir(w->cache, 0755), 0);
	if (mount("tmpfs", w->cache, "tmpfs", 0, "size=128k") < 0)
		skip();
	replies[1].no_length = true;
	serve(w, replies, 2, sum256);
	assert_int_equal(fetch(w), -MK_EHOST); /* told by the size */
	assert_words(w->err.message, "no space in '");
	assert_words(w->err.message, "are missing");
	assert_false(cache_has(w, ".part"));
	assert_int_equal(fetch(w), -MK_EHOST); /* told by the file system */
	assert_words(w->err.message, w->cache);
	assert_true(cache_has(w, ".part"));
	assert_int_equal(umount(w->cache), 0);
}

static void other_process_is_waited_for(void **state)
{
	struct world *w = *state;
	mk_autofree char *lock = mk_xasprintf("%s/.lock", w->cache);
	int64_t start;
	int ready[2];
	pid_t pid;
	char byte;

	serve(w, &whole, 1, sum256);
	assert_int_equal(mkdir(w->cache, 0755), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(lock, O_RDWR | O_CREAT, 0644);

		(void)!flock(fd, LOCK_EX);
		(void)!write(ready[1], "x", 1);
		usleep(250000);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	start = mk_now_ms();
	assert_fetched(w);
	assert_true(mk_now_ms() - start >= 200);
	(void)waitpid(pid, NULL, 0);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static void reachable(void **state)
{
	struct world *w = *state;
	mk_autofree char *reason = NULL;
	mk_autofree char *none = NULL;
	const char *urls[2];
	bool yes = false;

	serve(w, &whole, 1, sum256);
	none = fake_http_url(w->http, "/v1/none");
	urls[0] = w->item.url;
	urls[1] = w->item.checksum_url;
	assert_ok(w, mk_fetch_reachable(urls, 2, NULL, 1000, &yes, &reason, &w->err));
	assert_true(yes);
	assert_null(reason);
	assert_words(fake_http_request(w->http, NULL, 0), "HEAD /v1/");
	urls[1] = none;
	assert_ok(w, mk_fetch_reachable(urls, 2, NULL, 1000, &yes, &reason, &w->err));
	assert_false(yes);
	assert_words(reason, "/v1/none: 404 Not Found");
	mk_freep(&reason);
	reason = NULL;
	fake_http_stop(w->http);
	w->http = NULL;
	assert_ok(w, mk_fetch_reachable(urls, 2, NULL, 1000, &yes, &reason, &w->err));
	assert_false(yes);
	assert_words(reason, "127.0.0.1");
	mk_freep(&reason);
	reason = NULL;
	assert_ok(w, mk_fetch_reachable(urls, 2, w->dir, 1000, &yes, &reason, &w->err));
	assert_false(yes);
	assert_words(reason, "the mirror has no ");
	assert_int_equal(
		mk_fetch_reachable(urls, 2, "nowhere", 1000, &yes, &reason, &w->err), -MK_EUSAGE);
}

static void reachable_in_time(void **state)
{
	struct world *w = *state;
	struct fake_reply slow = whole;
	mk_autofree char *reason = NULL;
	int64_t start = mk_now_ms();
	bool yes = true;

	slow.delay_ms = 5000;
	serve(w, &slow, 1, sum256);
	assert_ok(w, mk_fetch_reachable(&w->item.url, 1, NULL, 200, &yes, &reason, &w->err));
	assert_false(yes);
	assert_true(mk_now_ms() - start < 1000);
	mk_interrupt_raise();
	assert_int_equal(
		mk_fetch_reachable(&w->item.url, 1, NULL, 200, &yes, &reason, &w->err), -MK_EINTR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_and_cached),
		TEST(record_is_readable),
		TEST(touched_file_is_hashed_again),
		TEST(changed_file_is_replaced),
		TEST(file_without_record_is_adopted),
		TEST(checksum_forms),
		TEST(sha512_is_told_by_length),
		TEST(list_with_another_name),
		TEST(missing_checksum_file),
		TEST(checksum_file_cap),
		TEST(bad_urls),
		TEST(mirror_by_url),
		TEST(mirror_by_folder),
		TEST(write_error),
		TEST(full_disk),
		TEST(other_process_is_waited_for),
		TEST(reachable),
		TEST(reachable_in_time),
	};

	return cmocka_run_group_tests_name("fetch-cache", tests, make_data, free_data);
}

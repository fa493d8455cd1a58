/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of lib/fetch share: a cache and a scripted server for each
 * test, and the file that most of them download.
 */
#ifndef MK_TESTS_TEST_FETCH_WORLD_H
#define MK_TESTS_TEST_FETCH_WORLD_H

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/fetch/checksum.h"
#include "lib/fetch/fetch.h"
#include "tests/unit/fake-http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>

#include <cmocka.h>

#define BIG ((size_t)300000)
#define HALF ((size_t)100000)
#define ZEROS64 "0000000000000000000000000000000000000000000000000000000000000000"

static char big[BIG];
static char *sha256, *sha512;
static char *sum256, *sum512, *list256; /* checksum files of `big` */

struct world {
	char dir[64];
	char *cache;
	struct fake_http *http;
	struct mk_fetch_options options;
	struct mk_fetch_item item;
	struct mk_error err;
	/* what the progress callback saw */
	unsigned calls;
	unsigned seen;               /* bit set of the first item's states */
	struct mk_fetch_status last; /* of the first item */
	bool interrupt;
};

static inline char *digest_of(const void *data, size_t len, const char *like)
{
	MK_CLEANUP(mk_checksum_freep) struct mk_checksum *sum = NULL;
	mk_autoerror err = { .code = MK_OK };
	char *hex = NULL;

	assert_int_equal(mk_checksum_new(like, &sum, &err), 0);
	assert_int_equal(mk_checksum_add(sum, data, len, &err), 0);
	assert_int_equal(mk_checksum_end(sum, &hex, &err), 0);
	return hex;
}

static inline void on_progress(void *payload, const struct mk_fetch_status *items, size_t count)
{
	struct world *w = payload;

	assert_true(count > 0);
	w->calls++;
	w->last = items[0];
	w->seen |= 1U << items[0].state;
	if (w->interrupt && items[0].received > 0)
		mk_interrupt_raise();
}

static inline int set_up(void **state)
{
	struct world *w = mk_xcalloc(1, sizeof(*w));

	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/test-fetch.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->cache = mk_xasprintf("%s/cache", w->dir);
	w->options = (struct mk_fetch_options){
		.cache_dir = w->cache,
		.progress = on_progress,
		.progress_payload = w,
		.retries = 2,
		.stall_ms = 250,
		.backoff_ms = 5,
	};
	*state = w;
	return 0;
}

static inline void free_urls(struct mk_fetch_item *item)
{
	mk_freep(&item->url);
	mk_freep(&item->checksum_url);
	mk_fetch_item_done(item);
	*item = (struct mk_fetch_item){ .url = NULL };
}

static inline int tear_down(void **state)
{
	struct world *w = *state;

	mk_interrupt_reset();
	free_urls(&w->item);
	mk_error_done(&w->err);
	if (w->http)
		fake_http_stop(w->http);
	assert_int_equal(mk_fs_remove_all(w->dir, &w->err), 0);
	free(w->cache);
	free(w);
	return 0;
}

/* Serve `reply` (and `then` after it) as /v1/tool, and `sums` as /v1/tool.sum. */
static inline void serve(
	struct world *w, const struct fake_reply *replies, size_t count, const char *sums)
{
	struct fake_route routes[2] = {
		{ .path = "/v1/tool", .count = count },
		{ .path = "/v1/tool.sum", .count = 1 },
	};

	memcpy(routes[0].replies, replies, count * sizeof(*replies));
	routes[1].replies[0].body = sums;
	routes[1].replies[0].len = strlen(sums);
	w->http = fake_http_start(routes, 2);
	w->item.url = fake_http_url(w->http, "/v1/tool");
	w->item.checksum_url = fake_http_url(w->http, "/v1/tool.sum");
}

static inline int fetch(struct world *w)
{
	mk_error_done(&w->err);
	return mk_fetch_all(&w->item, 1, &w->options, &w->err);
}

static inline char *cached_path(const struct world *w, const char *suffix)
{
	return mk_xasprintf("%s/%s%s", w->cache, mk_after_prefix(w->item.url, "http://"), suffix);
}

static inline bool cache_has(const struct world *w, const char *suffix)
{
	mk_autofree char *path = cached_path(w, suffix);

	return mk_fs_exists(path);
}

static inline void assert_file(const char *path, const char *data, size_t len)
{
	mk_autobuf got = mk_buf_init(4 << 20);
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_fs_read(path, &got, &err), 0);
	assert_int_equal(got.len, len);
	assert_memory_equal(got.data, data, len);
}

static inline void assert_ok(const struct world *w, int r)
{
	if (r < 0)
		fail_msg("%d: %s", r, w->err.message);
}

static inline void assert_fetched(struct world *w)
{
	assert_ok(w, fetch(w));
	assert_file(w->item.path, big, BIG);
	assert_false(cache_has(w, ".part"));
	assert_false(cache_has(w, ".part.meta"));
}

static inline void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, text ? text : "(none)");
}

static const struct fake_reply whole = {
	.body = big,
	.len = BIG,
	.ranges = true,
	.etag = "\"one\"",
};

static inline void write_file(const char *path, const void *data, size_t len)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autofree char *folder = mk_xstrndup(path, (size_t)(strrchr(path, '/') - path));

	assert_int_equal(mk_fs_mkdir_all(folder, 0755, &err), 0);
	assert_int_equal(mk_fs_write_atomic(path, data, len, 0644, &err), 0);
}

static inline int make_data(void **state)
{
	static const char *const proxies[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
		"all_proxy", "ALL_PROXY" };
	uint32_t x = 1;
	char like512[129] = { 0 };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(proxies); i++)
		(void)unsetenv(proxies[i]);
	for (size_t i = 0; i < BIG; i++) {
		x = x * 1664525 + 1013904223;
		big[i] = (char)(x >> 24);
	}
	memset(like512, '0', 128);
	sha256 = digest_of(big, BIG, ZEROS64);
	sha512 = digest_of(big, BIG, like512);
	sum256 = mk_xasprintf("%s\n", sha256);
	sum512 = mk_xasprintf("%s", sha512);
	list256 = mk_xasprintf(ZEROS64 "  other\n%s  tool-amd64\n", sha256);
	return 0;
}

static inline int free_data(void **state)
{
	(void)state;
	free(sha256);
	free(sha512);
	free(sum256);
	free(sum512);
	free(list256);
	return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

#endif

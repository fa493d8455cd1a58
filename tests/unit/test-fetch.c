/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Downloads against a scripted server on the loopback: what a server, a
 * network or a user may do to one. No test leaves this machine.
 */
#include "tests/unit/test-fetch-world.h"

/* Failures that end at once or after the retries. */
static void refusals(void **state)
{
	static const struct {
		struct fake_reply reply;
		const char *sums; /* NULL: the right ones */
		int code, status;
		size_t hits;
		const char *words, *hint;
	} cases[] = {
		{ { .status = 404 }, NULL, MK_ENOTFOUND, 404, 1, "/v1/tool: 404 Not Found",
			"version exists" },
		{ { .status = 403 }, NULL, MK_EREMOTE, 403, 1, ": 403 Forbidden", "mirror" },
		{ { .status = 503 }, NULL, MK_EREMOTE, 503, 3, ": 503 Service Unavailable",
			"network" },
		{ { .status = 204 }, NULL, MK_EREMOTE, 204, 1, ": 204 ", NULL },
		{ { .body = big, .len = BIG }, ZEROS64, MK_EINVALID, 0, 1,
			"expected " ZEROS64 ", got ", "altered" },
		{ { .body = big, .len = HALF, .no_length = true }, NULL, MK_EINVALID, 0, 1,
			"wrong checksum", "altered" },
		{ { .status = 302, .headers = "Location: file:///etc/hostname\r\n" }, NULL, MK_ENET,
			0, 3, "not supported or disabled", NULL },
	};

	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		struct world *w = *state;

		serve(w, &cases[i].reply, 1, cases[i].sums ? cases[i].sums : sum256);
		assert_int_equal(fetch(w), -cases[i].code);
		assert_int_equal(w->err.status, cases[i].status);
		assert_words(w->err.message, "download http://127.0.0.1:");
		assert_words(w->err.message, cases[i].words);
		if (cases[i].hint)
			assert_words(w->err.hint, cases[i].hint);
		assert_int_equal(fake_http_hits(w->http, "/v1/tool"), cases[i].hits);
		assert_null(w->item.path);
		assert_false(cache_has(w, ""));
		assert_false(cache_has(w, ".part"));
		assert_false(cache_has(w, ".part.meta"));
		fake_http_stop(w->http);
		w->http = NULL;
		free_urls(&w->item);
	}
}

static void server_errors_pass(void **state)
{
	struct world *w = *state;
	struct fake_reply replies[] = { { .status = 500 },
		{ .status = 429, .headers = "Retry-After: 1\r\n" }, whole };
	int64_t start = mk_now_ms();

	serve(w, replies, 3, sum256);
	assert_fetched(w);
	assert_int_equal(w->last.attempt, 3);
	assert_true(w->seen & 1U << MK_FETCH_RETRYING);
	/* Retry-After is obeyed as far as the longest wait goes: 60 x 5 ms here. */
	assert_in_range(mk_now_ms() - start, 300, 950);
}

static void no_server(void **state)
{
	struct world *w = *state;

	serve(w, &whole, 1, sum256);
	fake_http_stop(w->http);
	w->http = NULL;
	w->options.retries = -1;
	assert_int_equal(fetch(w), -MK_ENET);
	assert_null(strstr(w->err.message, "GET"));
	assert_words(w->err.hint, "network");
}

/* Cut in the middle: the rest is asked for, and glued to what had come. */
static void cut_is_resumed(void **state)
{
	struct world *w = *state;
	struct fake_reply replies[] = { whole, whole };
	const char *second;

	replies[0].stop_after = HALF;
	replies[0].hold_ms = 50;
	serve(w, replies, 2, sum256);
	assert_fetched(w);
	assert_int_equal(fake_http_hits(w->http, "/v1/tool"), 2);
	second = fake_http_request(w->http, "/v1/tool", 1);
	assert_words(second, "Range: bytes=100000-\r\n");
	assert_words(second, "If-Range: \"one\"\r\n");
}

/* Header lines, some bytes and the end in one go. */
static void cut_at_once(void **state)
{
	struct world *w = *state;
	struct fake_reply replies[] = { whole, whole };

	replies[0].stop_after = HALF;
	serve(w, replies, 2, sum256);
	assert_fetched(w);
	assert_words(fake_http_request(w->http, "/v1/tool", 1), "Range: bytes=100000-");
}

static void silence_before_the_answer(void **state)
{
	struct world *w = *state;
	struct fake_reply replies[] = { whole, whole };

	replies[0].delay_ms = 5000;
	serve(w, replies, 2, sum256);
	assert_fetched(w);
	assert_int_equal(fake_http_hits(w->http, "/v1/tool"), 2);
}

/* A connection that stays open and silent. */
static void stall_is_resumed(void **state)
{
	struct world *w = *state;
	struct fake_reply replies[] = { whole, whole };

	replies[0].stop_after = HALF;
	replies[0].hold_ms = 5000;
	serve(w, replies, 2, sum256);
	assert_fetched(w);
	assert_words(fake_http_request(w->http, "/v1/tool", 1), "Range: bytes=100000-\r\n");
}

static void stall_at_last_fails(void **state)
{
	struct world *w = *state;
	struct fake_reply reply = whole;

	reply.stop_after = HALF;
	reply.hold_ms = 5000;
	serve(w, &reply, 1, sum256);
	w->options.retries = -1;
	assert_int_equal(fetch(w), -MK_ETIMEOUT);
	assert_words(w->err.message, "/v1/tool: no data for 250 ms");
	assert_true(cache_has(w, ".part"));
}

/* Answers to the second request, which carries a Range, other than the rest. */
static void resume_refused(void **state)
{
	static const struct fake_reply seconds[] = {
		/* knows no ranges */
		{ .body = big, .len = BIG },
		/* the file has changed */
		{ .body = big, .len = BIG, .ranges = true, .etag = "\"two\"" },
		{ .status = 416 },
		/* another range than the one asked for, and none told */
		{ .status = 206,
			.headers = "Content-Range: bytes 7-9/300000\r\n",
			.body = big,
			.len = 3 },
		{ .status = 206, .body = big, .len = BIG },
	};

	for (size_t i = 0; i < MK_ARRAY_LEN(seconds); i++) {
		struct world *w = *state;
		struct fake_reply replies[] = { whole, seconds[i], whole };

		replies[0].stop_after = HALF;
		replies[0].hold_ms = 50;
		serve(w, replies, 3, sum256);
		assert_fetched(w);
		assert_words(fake_http_request(w->http, "/v1/tool", 1), "Range: bytes=100000-");
		assert_int_equal(fake_http_hits(w->http, "/v1/tool"), i < 2 ? 2 : 3);
		if (i >= 2)
			assert_null(strstr(fake_http_request(w->http, "/v1/tool", 2), "Range"));
		fake_http_stop(w->http);
		w->http = NULL;
		free_urls(&w->item);
	}
}

/* A server that always cuts and knows no ranges must not be asked for ever. */
static void endless_cuts_end(void **state)
{
	struct world *w = *state;
	mk_autofree char *data = mk_xcalloc(1, 3 << 20);
	struct fake_reply reply = {
		.body = data, .len = 3 << 20, .stop_after = 2 << 20, .hold_ms = 50
	};

	serve(w, &reply, 1, sum256);
	assert_int_equal(fetch(w), -MK_ENET);
	assert_in_range(fake_http_hits(w->http, "/v1/tool"), 3, 4);
}

static void put_part(const struct world *w, const void *data, size_t len, const char *digest)
{
	mk_autofree char *part = cached_path(w, ".part");
	mk_autofree char *meta = cached_path(w, ".part.meta");
	mk_autofree char *text = mk_xasprintf(
		"digest %s\nsource %s\nvalidator \"one\"\n", digest, w->item.url);

	write_file(part, data, len);
	write_file(meta, text, strlen(text));
}

/* What an earlier run left behind. */
static void earlier_parts(void **state)
{
	static char damaged[HALF];
	const struct {
		const char *data;
		size_t len;
		bool other_digest;
		size_t hits;
		const char *range; /* of the first request, or NULL */
	} cases[] = {
		{ big, HALF, false, 1, "Range: bytes=100000-" },
		{ big, HALF, true, 1, NULL },                        /* of another release */
		{ damaged, HALF, false, 2, "Range: bytes=100000-" }, /* found out at the end */
		{ big, BIG, false, 1, "Range: bytes=300000-" },      /* nothing missing */
	};

	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		struct world *w = *state;
		const char *first;

		serve(w, &whole, 1, sum256);
		put_part(w, cases[i].data, cases[i].len, cases[i].other_digest ? ZEROS64 : sha256);
		assert_fetched(w);
		first = fake_http_request(w->http, "/v1/tool", 0);
		if (cases[i].range)
			assert_words(first, cases[i].range);
		else
			assert_null(strstr(first, "Range"));
		assert_int_equal(fake_http_hits(w->http, "/v1/tool"), cases[i].hits);
		fake_http_stop(w->http);
		w->http = NULL;
		free_urls(&w->item);
	}
}

static void redirects_are_followed(void **state)
{
	struct world *w = *state;
	const struct fake_route target = { "/cdn/tool", { whole }, 1 };
	struct fake_http *cdn = fake_http_start(&target, 1);
	mk_autofree char *url = fake_http_url(cdn, "/cdn/tool");
	mk_autofree char *location = mk_xasprintf("Location: %s\r\n", url);
	const struct fake_reply reply = {
		.status = 302, .headers = location, .body = "moved", .len = 5
	};

	serve(w, &reply, 1, sum256);
	put_part(w, big, HALF, sha256);
	assert_fetched(w);
	assert_words(fake_http_request(cdn, "/cdn/tool", 0), "Range: bytes=100000-");
	fake_http_stop(cdn);
}

static void caps(void **state)
{
	struct world *w = *state;
	struct fake_reply replies[] = { whole, whole };

	replies[1].no_length = true;
	serve(w, replies, 2, sum256);
	w->options.max_size = BIG - 1;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fetch(w), -MK_EINVALID);
		assert_words(w->err.message, "the file is larger than 299999 bytes");
		assert_int_equal(fake_http_hits(w->http, "/v1/tool"), i + 1);
	}
}

static void interrupt_keeps_the_part(void **state)
{
	struct world *w = *state;
	struct fake_reply replies[] = { whole, whole };
	size_t hits;

	replies[0].stop_after = HALF;
	replies[0].hold_ms = 5000;
	serve(w, replies, 2, sum256);
	w->interrupt = true;
	assert_int_equal(fetch(w), -MK_EINTR);
	assert_true(cache_has(w, ".part"));
	assert_true(cache_has(w, ".part.meta"));
	hits = fake_http_hits(w->http, "/v1/tool");
	assert_int_equal(hits, 1);
	mk_interrupt_reset();
	w->interrupt = false;
	assert_fetched(w);
	assert_words(fake_http_request(w->http, "/v1/tool", 1), "Range: bytes=");
}

static void eight_side_by_side(void **state)
{
	struct world *w = *state;
	struct fake_route routes[9];
	struct mk_fetch_item items[8];
	mk_autostrlist paths = { .items = NULL };
	mk_autobuf sums = mk_buf_init(4096);

	memset(routes, 0, sizeof(routes));
	memset(items, 0, sizeof(items));
	for (size_t i = 0; i < 8; i++) {
		mk_autofree char *digest = digest_of(big + i, BIG - i, sha256);

		mk_strlist_addf(&paths, "/v1/tool%zu", i);
		mk_buf_addf(&sums, "%s  tool%zu\n", digest, i);
		routes[i] = (struct fake_route){ .path = paths.items[i], .count = 1 };
		routes[i].replies[0] = (struct fake_reply){ .body = big + i,
			.len = BIG - i,
			.stop_after = i == 5 ? HALF : 0,
			.hold_ms = 100,
			.ranges = true };
	}
	routes[5].replies[1] = (struct fake_reply){
		.body = big + 5, .len = BIG - 5, .ranges = true
	};
	routes[5].count = 2;
	routes[8] = (struct fake_route){ .path = "/v1/SUMS", .count = 1 };
	routes[8].replies[0] = (struct fake_reply){ .body = sums.data, .len = sums.len };
	w->http = fake_http_start(routes, 9);
	for (size_t i = 0; i < 8; i++) {
		items[i].url = fake_http_url(w->http, paths.items[i]);
		items[i].checksum_url = fake_http_url(w->http, "/v1/SUMS");
	}
	assert_ok(w, mk_fetch_all(items, 8, &w->options, &w->err));
	assert_int_equal(fake_http_hits(w->http, "/v1/SUMS"), 1);
	assert_in_range(fake_http_peak(w->http), 1, 4 + 1);
	for (size_t i = 0; i < 8; i++) {
		assert_file(items[i].path, big + i, BIG - i);
		free_urls(&items[i]);
	}
}

/* Larger than the client's window, so that the pausing of streams is exercised. */
static void large_files(void **state)
{
	struct world *w = *state;
	size_t len = 12 << 20;
	mk_autofree char *data = mk_xmalloc(len);
	mk_autofree char *digest = NULL;
	int64_t start;
	struct fake_route routes[3] = { { .path = "/a", .count = 1 }, { .path = "/b", .count = 1 },
		{ .path = "/sum", .count = 1 } };
	struct mk_fetch_item items[2] = { { .url = NULL }, { .url = NULL } };

	for (size_t i = 0; i < len; i++)
		data[i] = big[i % (BIG - 7)];
	digest = digest_of(data, len, sha256);
	for (size_t i = 0; i < 2; i++)
		routes[i].replies[0] = (struct fake_reply){ .body = data, .len = len };
	routes[2].replies[0] = (struct fake_reply){ .body = digest, .len = 64 };
	w->http = fake_http_start(routes, 3);
	for (size_t i = 0; i < 2; i++) {
		items[i].url = fake_http_url(w->http, routes[i].path);
		items[i].checksum_url = fake_http_url(w->http, "/sum");
	}
	start = mk_now_ms();
	assert_ok(w, mk_fetch_all(items, 2, &w->options, &w->err));
	assert_true(w->calls <= (mk_now_ms() - start) / 100 + 2);
	assert_true(w->seen & 1U << MK_FETCH_DONE);
	free_urls(&items[0]);
	free_urls(&items[1]);
}

/* A server that keeps us waiting holds up its own file only. */
static void slow_answers_overlap(void **state)
{
	struct world *w = *state;
	struct fake_route routes[5] = { { .path = "/a", .count = 1 }, { .path = "/b", .count = 1 },
		{ .path = "/c", .count = 1 }, { .path = "/d", .count = 1 },
		{ .path = "/sum", .count = 1 } };
	struct mk_fetch_item items[4];
	int64_t start = mk_now_ms();

	memset(items, 0, sizeof(items));
	w->options.stall_ms = 2000;
	w->http = NULL;
	for (size_t i = 0; i < 4; i++) {
		routes[i].replies[0] = whole;
		routes[i].replies[0].delay_ms = 400;
	}
	routes[4].replies[0] = (struct fake_reply){ .body = sum256, .len = strlen(sum256) };
	w->http = fake_http_start(routes, 5);
	for (size_t i = 0; i < 4; i++) {
		items[i].url = fake_http_url(w->http, routes[i].path);
		items[i].checksum_url = fake_http_url(w->http, "/sum");
	}
	assert_ok(w, mk_fetch_all(items, 4, &w->options, &w->err));
	assert_true(mk_now_ms() - start < 1200);
	for (size_t i = 0; i < 4; i++)
		free_urls(&items[i]);
}

static void first_failure_ends_all(void **state)
{
	struct world *w = *state;
	struct mk_fetch_item items[2];
	mk_autofree char *none = NULL;

	serve(w, &whole, 1, sum256);
	none = fake_http_url(w->http, "/v1/none");
	items[0] = w->item;
	items[1] = (struct mk_fetch_item){ .url = none, .checksum_url = w->item.checksum_url };
	assert_int_equal(mk_fetch_all(items, 2, &w->options, &w->err), -MK_ENOTFOUND);
	assert_null(items[0].path);
	items[1].url = items[0].url;
	assert_int_equal(mk_fetch_all(items, 2, &w->options, &w->err), -MK_EUSAGE);
	assert_words(w->err.message, "asked for twice");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refusals),
		TEST(server_errors_pass),
		TEST(no_server),
		TEST(cut_is_resumed),
		TEST(cut_at_once),
		TEST(silence_before_the_answer),
		TEST(stall_is_resumed),
		TEST(stall_at_last_fails),
		TEST(resume_refused),
		TEST(endless_cuts_end),
		TEST(earlier_parts),
		TEST(redirects_are_followed),
		TEST(caps),
		TEST(interrupt_keeps_the_part),
		TEST(eight_side_by_side),
		TEST(large_files),
		TEST(slow_answers_overlap),
		TEST(first_failure_ends_all),
	};

	return cmocka_run_group_tests_name("fetch", tests, make_data, free_data);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Answers read piece by piece: larger than the window, late, cut off, given up. */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/http/http.h"
#include "tests/unit/fake-peer.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#define LARGE ((size_t)5 * 1024 * 1024 + 17)

struct world {
	struct fake_peer *peer;
	struct mk_http *http;
	struct mk_http_stream *stream;
	struct mk_error err;
};

static struct world w;

static void serve(const char *request, const struct peer_reply *reply)
{
	struct mk_http_options options = { .name = "test" };
	struct peer_route route = { .request = request, .replies = { *reply } };

	w.peer = fake_peer_start(NULL, &route, 1);
	options.base_url = fake_peer_address(w.peer);
	assert_int_equal(mk_http_new(&options, &w.http, &w.err), 0);
}

static int leave(void **state)
{
	(void)state;
	mk_http_stream_free(w.stream);
	mk_http_free(w.http);
	fake_peer_stop(w.peer);
	mk_error_done(&w.err);
	mk_interrupt_reset();
	w = (struct world){ .http = NULL };
	return 0;
}

static int open_stream(const char *path)
{
	struct mk_http_request request = { .path = path };

	return mk_http_open(w.http, &request, &w.stream, &w.err);
}

static void test_pieces(void **state)
{
	static const struct peer_reply reply = {
		.status = 202, .body = "abcdefghij", .headers = "X-Kind: tar\r\n", .bytewise = true
	};
	mk_autofree char *kind = NULL;
	mk_autobuf body = mk_buf_init(100);
	char two[2];
	ssize_t n;

	(void)state;
	serve("GET /s", &reply);
	assert_int_equal(open_stream("/s"), 0);
	assert_int_equal(mk_http_stream_status(w.stream), 202);
	kind = mk_http_stream_header(w.stream, "x-kind");
	assert_string_equal(kind, "tar");
	while ((n = mk_http_read(w.stream, two, sizeof(two), -1, &w.err)) > 0)
		mk_buf_add(&body, two, (size_t)n);
	assert_int_equal(n, 0);
	assert_string_equal(body.data, "abcdefghij");
	/* The end stays the end. */
	assert_int_equal(mk_http_read(w.stream, two, sizeof(two), -1, &w.err), 0);
}

/* A reader slower than the peer, over several windows. */
static void test_large(void **state)
{
	mk_autofree char *body = mk_xmalloc(LARGE);
	mk_autofree char *chunk = mk_xmalloc(300000);
	struct peer_reply reply = { .body = body, .len = LARGE };
	mk_autoerror err = { .code = MK_OK };
	size_t at = 0;
	ssize_t n;

	(void)state;
	for (size_t i = 0; i < LARGE; i++)
		body[i] = (char)(i * 31 >> 4);
	serve("GET /s", &reply);
	assert_int_equal(open_stream("/s"), 0);
	assert_int_equal(mk_sleep_ms(20, &err), 0);
	while ((n = mk_http_read(w.stream, chunk, 300000, -1, &w.err)) > 0) {
		assert_memory_equal(chunk, body + at, (size_t)n);
		at += (size_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(at, LARGE);
	leave(NULL);
}

static void test_deadline(void **state)
{
	static const struct peer_reply reply = { .body = "ab",
		.cut = 1,
		.bytewise = true,
		.delay_ms = 0,
		.linger_ms = 200,
		.no_length = true };
	char data[8];
	int64_t start;

	(void)state;
	serve("GET /s", &reply);
	assert_int_equal(open_stream("/s"), 0);
	assert_int_equal(mk_http_read(w.stream, data, 1, -1, &w.err), 1);
	assert_int_equal(mk_http_read(w.stream, data, 1, -1, &w.err), 1);
	start = mk_now_ms();
	assert_int_equal(mk_http_read(w.stream, data, 1, mk_deadline(30), &w.err), -MK_ETIMEOUT);
	assert_in_range(mk_now_ms() - start, 25, 190);
	/* It can be read on, here to its end. */
	assert_int_equal(mk_http_read(w.stream, data, 1, -1, &w.err), 0);
}

static void test_cut(void **state)
{
	static const struct peer_reply reply = {
		.body = "abc", .no_length = true, .headers = "Content-Length: 10\r\n"
	};
	char data[8];

	(void)state;
	serve("GET /s", &reply);
	assert_int_equal(open_stream("/s"), 0);
	/* What came before the cut is given, then the error. */
	assert_int_equal(mk_http_read(w.stream, data, 8, -1, &w.err), 3);
	assert_int_equal(mk_http_read(w.stream, data, 8, -1, &w.err), -MK_ENET);
	assert_int_equal(mk_http_read(w.stream, data, 8, -1, &w.err), -MK_ENET);
}

static void test_hang_up(void **state)
{
	static const struct peer_reply reply = { .hang_up = true };

	(void)state;
	serve("GET /s", &reply);
	assert_int_equal(open_stream("/s"), -MK_ENET);
	assert_null(w.stream);
}

static void test_begin(void **state)
{
	static const struct peer_reply reply = { .status = 404, .body = "no", .delay_ms = 60 };
	struct mk_http_request request = { .path = "/s" };
	char data[8];

	(void)state;
	serve("GET /s", &reply);
	assert_int_equal(mk_http_begin(w.http, &request, &w.stream, &w.err), 0);
	assert_false(mk_http_stream_answered(w.stream));
	assert_int_equal(mk_http_read(w.stream, data, 8, mk_deadline(10), &w.err), -MK_ETIMEOUT);
	assert_false(mk_http_stream_answered(w.stream));
	assert_int_equal(mk_http_read(w.stream, data, 8, -1, &w.err), 2);
	assert_true(mk_http_stream_answered(w.stream));
	assert_int_equal(mk_http_stream_status(w.stream), 404);
}

static void test_read_all(void **state)
{
	static const struct peer_reply reply = { .body = "0123456789" };
	mk_autobuf small = mk_buf_init(9);
	mk_autobuf large = mk_buf_init(20);

	(void)state;
	serve("GET /s", &reply);
	assert_int_equal(open_stream("/s"), 0);
	assert_int_equal(mk_http_read_all(w.stream, &small, -1, &w.err), -MK_EINVALID);
	mk_http_stream_free(MK_TAKE(w.stream));
	assert_int_equal(open_stream("/s"), 0);
	mk_buf_adds(&large, "a");
	assert_int_equal(mk_http_read_all(w.stream, &large, -1, &w.err), 0);
	assert_string_equal(large.data, "a0123456789");
}

/* Given up in the middle, the client is as good as before. */
static void test_give_up(void **state)
{
	static const struct peer_reply reply = {
		.body = "0123456789", .linger_ms = 5000, .no_length = true
	};
	char data[4], all[16];
	int64_t start = mk_now_ms();

	(void)state;
	serve("GET /s", &reply);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(open_stream("/s"), 0);
		assert_int_equal(mk_http_read(w.stream, data, 4, -1, &w.err), 4);
		mk_http_stream_free(MK_TAKE(w.stream));
	}
	assert_int_equal(open_stream("/s"), 0);
	assert_int_equal(mk_http_read(w.stream, all, sizeof(all), -1, &w.err), 10);
	mk_interrupt_raise();
	assert_int_equal(mk_http_read(w.stream, all, sizeof(all), -1, &w.err), -MK_EINTR);
	assert_true(mk_now_ms() - start < 4000);
}

#define TEST(name) cmocka_unit_test_teardown(name, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pieces),
		TEST(test_large),
		TEST(test_deadline),
		TEST(test_cut),
		TEST(test_hang_up),
		TEST(test_begin),
		TEST(test_read_all),
		TEST(test_give_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP client against scripted servers on the loopback: what goes out, what
 * comes back, and every way for a peer to be late, long, cut off or absent.
 */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/http/http.h"
#include "tests/unit/fake-http.h"
#include "tests/unit/fake-peer.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct world {
	struct fake_http *server;
	struct fake_peer *peer;
	struct mk_http *http;
	struct mk_error err;
	char *base;
};

static struct world w;

static void connect_to(const char *base, const struct mk_http_options *more)
{
	struct mk_http_options options = { .name = "test" };

	if (more)
		options = *more;
	options.base_url = base;
	assert_int_equal(mk_http_new(&options, &w.http, &w.err), 0);
}

static void serve(const struct fake_route *routes, size_t count)
{
	w.server = fake_http_start(routes, count);
	w.base = fake_http_url(w.server, "");
	connect_to(w.base, NULL);
}

static void serve_one(const char *path, const struct fake_reply *reply)
{
	struct fake_route route = { .path = path, .replies = { *reply }, .count = 1 };

	serve(&route, 1);
}

static void serve_peer(const struct peer_route *routes, size_t count)
{
	w.peer = fake_peer_start(NULL, routes, count);
	connect_to(fake_peer_address(w.peer), NULL);
}

static int leave(void **state)
{
	(void)state;
	mk_http_free(w.http);
	if (w.server)
		fake_http_stop(w.server);
	fake_peer_stop(w.peer);
	free(w.base);
	mk_error_done(&w.err);
	mk_interrupt_reset();
	w = (struct world){ .http = NULL };
	return 0;
}

static int get(const char *path, struct mk_http_response *ret)
{
	struct mk_http_request request = { .path = path };

	return mk_http_do(w.http, &request, ret, &w.err);
}

static void test_answers(void **state)
{
	static const struct fake_route routes[] = {
		{ "/ok",
			{ { .body = "hello",
				.len = 5,
				.headers = "X-One: a\r\nx-TWO:\t b c\r\n"
					   "X-Three:\r\nX-Four: d \t\r\n" } },
			1 },
		{ "/gone", { { .status = 410, .body = "no", .len = 2 } }, 1 },
		{ "/empty", { { .status = 204 } }, 1 },
		{ "/zero", { { .body = "a\0b", .len = 3 } }, 1 },
	};
	mk_autoresponse ok = { .status = 0 };
	mk_autoresponse gone = { .status = 0 };
	mk_autoresponse zero = { .status = 0 };
	mk_autofree char *one = NULL;
	mk_autofree char *two = NULL;
	mk_autofree char *three = NULL;
	mk_autofree char *four = NULL;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(get("/ok", &ok), 0);
	assert_int_equal(ok.status, 200);
	assert_string_equal(ok.body.data, "hello");
	one = mk_http_header(&ok, "x-one");
	two = mk_http_header(&ok, "X-Two");
	three = mk_http_header(&ok, "X-Three");
	four = mk_http_header(&ok, "X-Four");
	assert_string_equal(one, "a");
	assert_string_equal(two, "b c");
	assert_string_equal(three, "");
	assert_string_equal(four, "d");
	assert_null(mk_http_header(&ok, "X-On"));
	assert_null(mk_http_header(&ok, "HTTP/1.1 200"));
	assert_int_equal(get("/gone", &gone), 0);
	assert_int_equal(gone.status, 410);
	assert_string_equal(gone.body.data, "no");
	assert_int_equal(get("/zero", &zero), 0);
	assert_int_equal(zero.body.len, 3);
	assert_memory_equal(zero.body.data, "a\0b", 4);
}

static void test_requests(void **state)
{
	static const struct peer_route routes[] = { { "POST /p?q=1", { { .status = 201 } }, 1 },
		{ "PUT /empty", { { .status = 200 } }, 1 },
		{ "HEAD /h", { { .body = "12345" } }, 1 } };
	mk_autostrlist headers = { .items = NULL };
	mk_autoresponse response = { .status = 0 };
	mk_autoresponse empty = { .status = 0 };
	mk_autoresponse head = { .status = 0 };
	struct mk_http_request request = { .method = "POST",
		.path = "/p?q=1",
		.body = "{\"a\":1}",
		.body_len = 7,
		.headers = &headers };
	const char *sent;

	(void)state;
	mk_strlist_add(&headers, "X-Mine: yes");
	serve_peer(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_http_do(w.http, &request, &response, &w.err), 0);
	assert_int_equal(response.status, 201);
	sent = fake_peer_request(w.peer, "POST /p?q=1 HTTP/1.1\r\n", 0);
	assert_non_null(strstr(sent, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(sent, "\r\nX-Mine: yes\r\n"));
	assert_non_null(strstr(sent, "\r\n\r\n{\"a\":1}"));
	assert_null(strstr(sent, "Expect:"));
	request = (struct mk_http_request){ .method = "PUT", .path = "/empty" };
	assert_int_equal(mk_http_do(w.http, &request, &empty, &w.err), 0);
	sent = fake_peer_request(w.peer, "PUT /empty", 0);
	assert_non_null(strstr(sent, "\r\nContent-Length: 0\r\n"));
	assert_null(strstr(sent, "Content-Type:"));
	request = (struct mk_http_request){ .method = "HEAD", .path = "/h" };
	assert_int_equal(mk_http_do(w.http, &request, &head, &w.err), 0);
	assert_int_equal(head.body.len, 0);
}

struct source {
	size_t left;
	int fail; /* after the last byte */
};

static ssize_t read_source(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct source *source = payload;
	size_t n = source->left < cap ? source->left : cap;

	if (n == 0 && source->fail)
		return mk_fail(err, MK_EHOST, "the disk broke");
	memset(data, 'r', n);
	source->left -= n;
	return (ssize_t)n;
}

static void test_readers(void **state)
{
	static const struct peer_route route = { "PUT /up", { { .status = 201 } }, 1 };
	struct source source = { .left = 300000 };
	mk_autoresponse chunked = { .status = 0 };
	mk_autoresponse sized = { .status = 0 };
	mk_autoresponse none = { .status = 0 };
	struct mk_http_request request = { .method = "PUT",
		.path = "/up",
		.reader = read_source,
		.reader_payload = &source,
		.reader_size = -1 };

	(void)state;
	serve_peer(&route, 1);
	assert_int_equal(mk_http_do(w.http, &request, &chunked, &w.err), 0);
	assert_int_equal(chunked.status, 201);
	assert_non_null(strstr(fake_peer_request(w.peer, "PUT", 0), "Transfer-Encoding: chunked"));
	source.left = 70000;
	request.reader_size = 70000;
	assert_int_equal(mk_http_do(w.http, &request, &sized, &w.err), 0);
	assert_non_null(strstr(fake_peer_request(w.peer, "PUT", 1), "Content-Length: 70000\r\n"));
	source = (struct source){ .left = 10, .fail = 1 };
	request.reader_size = -1;
	assert_int_equal(mk_http_do(w.http, &request, &none, &w.err), -MK_EHOST);
	assert_string_equal(w.err.message, "the disk broke");
	assert_int_equal(none.status, 0);
}

static void test_caps(void **state)
{
	mk_autofree char *header = mk_xcalloc(MK_MAX_HTTP_HEADERS + 1, 1);
	mk_autofree char *line = NULL;
	mk_autoresponse response = { .status = 0 };
	struct mk_http_request request = { .path = "/b", .max_body = 9 };
	struct peer_route routes[] = {
		{ .request = "GET /b", .replies = { { .body = "0123456789" } } },
		{ .request = "GET /h", .replies = { { .body = "x" } } },
	};

	(void)state;
	memset(header, 'h', MK_MAX_HTTP_HEADERS / 2);
	line = mk_xasprintf("X-A: %s\r\nX-B: %s\r\n", header, header);
	routes[1].replies[0].headers = line;
	serve_peer(routes, 2);
	assert_int_equal(mk_http_do(w.http, &request, &response, &w.err), -MK_EINVALID);
	assert_non_null(strstr(w.err.message, "/b: the answer is larger than 9 bytes"));
	assert_int_equal(get("/h", &response), -MK_EINVALID);
	assert_non_null(strstr(w.err.message, "larger than 65536 bytes"));
	request.max_body = 10;
	assert_int_equal(mk_http_do(w.http, &request, &response, &w.err), 0);
}

static void test_late(void **state)
{
	static const struct fake_reply late = { .delay_ms = 10000 };
	static const char body[] = "0123456789";
	struct fake_reply stalls = { .body = body, .len = 10, .stop_after = 3, .hold_ms = 10000 };
	struct fake_route routes[] = {
		{ .path = "/late", .replies = { late }, .count = 1 },
		{ .path = "/stalls", .replies = { stalls }, .count = 1 },
	};
	struct mk_http_request request = { .path = "/late", .timeout_ms = 100 };
	mk_autoresponse response = { .status = 0 };
	int64_t start = mk_now_ms();

	(void)state;
	serve(routes, 2);
	assert_int_equal(mk_http_do(w.http, &request, &response, &w.err), -MK_ETIMEOUT);
	assert_in_range(mk_now_ms() - start, 90, 3000);
	request = (struct mk_http_request){ .path = "/stalls", .stall_ms = 1000 };
	assert_int_equal(mk_http_do(w.http, &request, &response, &w.err), -MK_ETIMEOUT);
	assert_in_range(mk_now_ms() - start, 900, 6000);
}

static void test_cut_and_absent(void **state)
{
	static const struct fake_reply cut = { .body = "0123456789", .len = 10, .stop_after = 3 };
	static const struct mk_http_options options = { .name = "test",
		.unix_socket = "/nonexistent/engine.sock" };
	struct mk_http *missing = NULL;
	mk_autoresponse response = { .status = 0 };
	struct mk_http_request request = { .path = "/x" };

	(void)state;
	serve_one("/cut", &cut);
	assert_int_equal(get("/cut", &response), -MK_ENET);
	assert_non_null(strstr(w.err.message, "GET http://127.0.0.1:"));
	assert_int_equal(response.status, 0);
	fake_http_stop(w.server);
	w.server = NULL;
	assert_int_equal(get("/cut", &response), -MK_ENET);
	assert_int_equal(mk_http_new(&options, &missing, &w.err), 0);
	assert_int_equal(mk_http_do(missing, &request, &response, &w.err), -MK_ENET);
	assert_non_null(strstr(w.err.message, "(/nonexistent/engine.sock)"));
	mk_http_free(missing);
}

static void test_redirects(void **state)
{
	static const struct fake_route routes[] = {
		{ "/to",
			{ { .status = 302,
				.headers = "Location: /ok\r\n",
				.body = "r",
				.len = 1 } },
			1 },
		{ "/ok", { { .body = "there", .len = 5, .headers = "X-Last: 1\r\n" } }, 1 },
		{ "/loop", { { .status = 302, .headers = "Location: /loop\r\n" } }, 1 },
		{ "/file", { { .status = 302, .headers = "Location: file:///etc/passwd\r\n" } },
			1 },
	};
	struct mk_http_request request = { .path = "/to", .follow = true };
	mk_autoresponse followed = { .status = 0 };
	mk_autoresponse plain = { .status = 0 };
	mk_autofree char *location = NULL;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_http_do(w.http, &request, &followed, &w.err), 0);
	assert_int_equal(followed.status, 200);
	assert_string_equal(followed.body.data, "there");
	location = mk_http_header(&followed, "Location");
	assert_null(location);
	assert_int_equal(get("/to", &plain), 0);
	assert_int_equal(plain.status, 302);
	location = mk_http_header(&plain, "Location");
	assert_string_equal(location, "/ok");
	request.path = "/loop";
	assert_int_equal(mk_http_do(w.http, &request, &followed, &w.err), -MK_ENET);
	assert_int_equal(fake_http_hits(w.server, "/loop"), 6);
	request.path = "/file";
	assert_int_equal(mk_http_do(w.http, &request, &followed, &w.err), -MK_ENET);
}

static void test_side_by_side(void **state)
{
	static const struct fake_reply slow = { .body = "s", .len = 1, .delay_ms = 60 };
	struct mk_http_request requests[24];
	struct mk_http_response responses[24] = { { .status = 0 } };

	(void)state;
	serve_one("/slow", &slow);
	for (size_t i = 0; i < 24; i++)
		requests[i] = (struct mk_http_request){ .path = "/slow" };
	assert_int_equal(mk_http_do_all(w.http, requests, 24, responses, &w.err), 0);
	for (size_t i = 0; i < 24; i++) {
		assert_string_equal(responses[i].body.data, "s");
		mk_http_response_done(&responses[i]);
	}
	assert_in_range(fake_http_peak(w.server), 2, 8);
	assert_int_equal(mk_http_do_all(w.http, requests, 0, responses, &w.err), 0);
	requests[3].max_body = 0;
	requests[3].path = "http://127.0.0.1:1/refused";
	assert_int_equal(mk_http_do_all(w.http, requests, 5, responses, &w.err), -MK_ENET);
	for (size_t i = 0; i < 5; i++)
		assert_null(responses[i].body.data);
}

static void test_interrupt(void **state)
{
	static const struct fake_reply late = { .delay_ms = 10000 };
	mk_autoresponse response = { .status = 0 };
	int64_t start = mk_now_ms();

	(void)state;
	serve_one("/late", &late);
	mk_interrupt_raise();
	assert_int_equal(get("/late", &response), -MK_EINTR);
	assert_true(mk_now_ms() - start < 2000);
}

static void test_identity(void **state)
{
	static const struct peer_route route = { "GET /a", { { .body = "a" } }, 1 };
	static const struct mk_http_options options = {
		.name = "test", .user = "admin", .password = "secret"
	};
	mk_autoresponse response = { .status = 0 };
	mk_autoresponse again = { .status = 0 };

	(void)state;
	/* A proxy of the environment is for downloads only. */
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	w.peer = fake_peer_start(NULL, &route, 1);
	connect_to(fake_peer_address(w.peer), &options);
	assert_int_equal(get("/a", &response), 0);
	assert_non_null(strstr(fake_peer_request(w.peer, "GET /a", 0),
		"\r\nAuthorization: Basic YWRtaW46c2VjcmV0\r\n"));
	mk_http_free(w.http);
	connect_to(fake_peer_address(w.peer),
		&(struct mk_http_options){ .name = "test", .use_proxy = true });
	assert_int_equal(get("/a", &again), -MK_ENET);
	assert_int_equal(unsetenv("http_proxy"), 0);
}

static void test_unix_socket(void **state)
{
	static const struct peer_route route = { "GET /a", { { .body = "over a socket" } }, 1 };
	char folder[] = "/tmp/test-http-XXXXXX";
	mk_autoresponse response = { .status = 0 };
	struct mk_http_options options = { .name = "test" };

	(void)state;
	assert_non_null(mkdtemp(folder));
	w.peer = fake_peer_start(folder, &route, 1);
	options.unix_socket = mk_after_prefix(fake_peer_address(w.peer), "unix://");
	connect_to("http://localhost", &options);
	assert_int_equal(get("/a", &response), 0);
	assert_string_equal(response.body.data, "over a socket");
	fake_peer_stop(w.peer);
	w.peer = NULL;
	assert_int_equal(remove(folder), 0);
}

static void test_wait_ok(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET /late", { { .status = 503 }, { .hang_up = true }, { .body = "ok" } }, 3 },
		{ "GET /never", { { .status = 503 } }, 1 },
	};
	const char *base;

	(void)state;
	serve_peer(routes, MK_ARRAY_LEN(routes));
	base = fake_peer_address(w.peer);
	assert_int_equal(mk_http_wait_ok(base, "/never", mk_deadline(80), &w.err), -MK_ETIMEOUT);
	assert_non_null(strstr(w.err.message, "/never: 503"));
	assert_int_equal(mk_http_wait_ok(base, "/late", mk_deadline(5000), &w.err), 0);
	assert_int_equal(fake_peer_hits(w.peer, "GET /late"), 3);
	mk_interrupt_raise();
	assert_int_equal(mk_http_wait_ok(base, "/never", mk_deadline(5000), &w.err), -MK_EINTR);
}

static void test_escape(void **state)
{
	mk_autofree char *text = mk_http_escape("{\"a b\":[\"/=&\"]}~");

	(void)state;
	assert_string_equal(text, "%7B%22a%20b%22%3A%5B%22%2F%3D%26%22%5D%7D~");
}

#define TEST(name) cmocka_unit_test_teardown(name, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers),
		TEST(test_requests),
		TEST(test_readers),
		TEST(test_caps),
		TEST(test_late),
		TEST(test_cut_and_absent),
		TEST(test_redirects),
		TEST(test_side_by_side),
		TEST(test_interrupt),
		TEST(test_identity),
		TEST(test_unix_socket),
		TEST(test_wait_ok),
		TEST(test_escape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

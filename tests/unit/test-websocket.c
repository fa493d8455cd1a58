/* SPDX-License-Identifier: Apache-2.0 */
/* WebSockets against a server that follows a script, and does not always mean well. */
#include "lib/http/websocket.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "tests/unit/fake-ws.h"

#include <setjmp.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES(s) .bytes = (s), .len = sizeof(s) - 1
#define LAST(s) .last = (s), .last_len = sizeof(s) - 1

struct world {
	struct fake_ws *fake;
	struct mk_http *http;
	struct mk_ws *ws;
	struct mk_http_response answer;
	struct mk_error err;
};

static struct world w;

static int leave(void **state)
{
	(void)state;
	mk_ws_free(w.ws);
	mk_http_free(w.http);
	fake_ws_stop(w.fake);
	mk_http_response_done(&w.answer);
	mk_error_done(&w.err);
	mk_interrupt_reset();
	w = (struct world){ .http = NULL };
	return 0;
}

static void serve(const struct ws_script *script)
{
	struct mk_http_options options = { .name = "test" };

	w.fake = fake_ws_start(script, 1);
	options.base_url = fake_ws_address(w.fake);
	assert_int_equal(mk_http_new(&options, &w.http, &w.err), 0);
}

static int open_ws(const char *protocols)
{
	return mk_ws_open(w.http, "/x?command=secret", protocols, mk_deadline(5000), &w.ws,
		&w.answer, &w.err);
}

static void serve_open(const struct ws_script *script)
{
	serve(script);
	if (open_ws(script->protocol) < 0)
		fail_msg("%s", w.err.message);
}

static int next(struct mk_ws_message *ret)
{
	return mk_ws_wait(w.ws, -1, mk_deadline(5000), ret, &w.err);
}

static void assert_words(const char *words)
{
	if (!w.err.message || !strstr(w.err.message, words))
		fail_msg("'%s' is not in '%s'", words, w.err.message);
}

static void assert_message(const char *text)
{
	struct mk_ws_message message;

	if (next(&message) != MK_WS_MESSAGE)
		fail_msg("no message: %s", w.err.message);
	assert_int_equal(message.len, strlen(text));
	assert_memory_equal(message.data, text, message.len);
}

static void assert_sent(size_t n, unsigned opcode, const char *data, size_t len)
{
	unsigned got_opcode = 0;
	size_t got_len = 0;
	mk_autofree char *got = fake_ws_frame(w.fake, n, &got_opcode, &got_len);

	assert_non_null(got);
	assert_int_equal(got_opcode, opcode);
	assert_int_equal(got_len, len);
	assert_memory_equal(got, data, len);
}

static void test_talk(void **state)
{
	static const struct ws_script script = { .protocol = "v4.x",
		BYTES("\x82\x05hello\x02\x02"
		      "wo\x80\x03rld"),
		LAST("\x88\x02\x03\xe8"),
		.linger_ms = 1000 };
	struct mk_ws_message message;

	(void)state;
	serve(&script);
	assert_int_equal(open_ws("v5.x, v4.x"), 0);
	assert_string_equal(mk_ws_protocol(w.ws), "v4.x");
	assert_non_null(strstr(fake_ws_request(w.fake), "GET /x?command=secret HTTP/1.1\r\n"));
	assert_message("hello");
	assert_message("world");
	assert_int_equal(mk_ws_send(w.ws, "bye", 3, &w.err), 0);
	assert_int_equal(mk_ws_pending(w.ws), 0);
	assert_int_equal(next(&message), MK_WS_CLOSED);
	assert_sent(0, 2, "bye", 3);
	/* The close is answered in kind, and the end stays the end. */
	assert_sent(1, 8, "\x03\xe8", 2);
	assert_int_equal(next(&message), MK_WS_CLOSED);
	assert_int_equal(mk_ws_send(w.ws, "x", 1, &w.err), -MK_ENET);
}

static void test_bytewise(void **state)
{
	static const struct ws_script script = {
		.bytewise = true, BYTES("\x82\x05hello\x89\x01p\x88\x00"), .linger_ms = 1000
	};
	struct mk_ws_message message;

	(void)state;
	serve_open(&script);
	assert_null(mk_ws_protocol(w.ws));
	assert_message("hello");
	assert_int_equal(next(&message), MK_WS_CLOSED);
	assert_sent(0, 10, "p", 1);
	assert_sent(1, 8, "", 0);
}

static void test_ping(void **state)
{
	static const struct ws_script script = { BYTES("\x89\x03"
						       "abc"),
		LAST("\x82\x02ok"), .linger_ms = 500 };

	(void)state;
	serve_open(&script);
	/* The fake says ok once it has the pong. */
	assert_message("ok");
	assert_sent(0, 10, "abc", 3);
	mk_ws_free(MK_TAKE(w.ws));
	assert_sent(1, 8, "\x03\xe8", 2);
}

static void test_refused(void **state)
{
	static const struct ws_script scripts[] = {
		{ .answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nno pod 'x'" },
		{ .answer = "HTTP/1.1 403 Forbidden\r\n\r\nno right" },
		{ .answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 99999999999\r\n\r\nwhat?" },
	};
	static const char *const bodies[] = { "no pod 'x'", "no right", "what?" };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(scripts); i++) {
		serve(&scripts[i]);
		assert_int_equal(open_ws(NULL), -MK_EREMOTE);
		assert_int_equal(w.err.status, w.answer.status);
		assert_true(w.answer.status >= 400);
		assert_string_equal(w.answer.body.data, bodies[i]);
		assert_null(w.ws);
		/* The query holds what is run: it does not get into errors. */
		assert_null(strstr(w.err.message, "secret"));
		leave(NULL);
	}
}

static void test_bad_handshakes(void **state)
{
	static const struct {
		struct ws_script script;
		int code;
		const char *words;
	} cases[] = {
		{ { .wrong_key = true, .linger_ms = 200 }, -MK_EINVALID, "another key" },
		{ { .answer = "HTTP/1.1 101 x\r\n\r\n", .linger_ms = 200 }, -MK_EINVALID,
			"without upgrading" },
		{ { .answer = "SSH-2.0-x\r\n\r\n" }, -MK_EINVALID, "no HTTP" },
		{ { .answer = "HTTP/1.1 101 Swit" }, -MK_ENET, "broke off" },
		{ { .answer = "" }, -MK_ENET, "broke off" },
		{ { .hang = true, .linger_ms = 3000 }, -MK_ETIMEOUT, "no data in time" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		serve(&cases[i].script);
		assert_int_equal(
			mk_ws_open(w.http, "/", NULL, mk_deadline(300), &w.ws, &w.answer, &w.err),
			cases[i].code);
		assert_words(cases[i].words);
		leave(NULL);
	}
}

static void test_endless_header(void **state)
{
	mk_autofree char *line = mk_xcalloc(MK_MAX_HTTP_HEADERS + 100000, 1);
	struct ws_script script = { .answer = line, .linger_ms = 100 };

	(void)state;
	memset(line, 'x', MK_MAX_HTTP_HEADERS + 99999);
	memcpy(line, "HTTP/1.1 101 x\r\nX: ", 19);
	serve(&script);
	assert_int_equal(open_ws(NULL), -MK_EINVALID);
	assert_words("an answer's header");
	leave(NULL);
}

static void test_nobody(void **state)
{
	struct mk_http_options options = { .name = "test", .base_url = "http://127.0.0.1:1" };

	(void)state;
	assert_int_equal(mk_http_new(&options, &w.http, &w.err), 0);
	assert_int_equal(open_ws(NULL), -MK_ENET);
}

static void test_ends(void **state)
{
	static const struct {
		struct ws_script script;
		int code;
		const char *words;
	} cases[] = {
		{ { BYTES("\x88\x15\x03\xf3"
			  "pod\x1b[31m is no more"),
			  .linger_ms = 200 },
			-MK_EREMOTE, "status 1011: pod [31m is no more" },
		{ { BYTES("\x82\x7e") }, -MK_ENET, "broke off" },
		{ { .len = 0 }, -MK_ENET, "broke off" },
		{ { BYTES("\x81\x01x"), .linger_ms = 200 }, -MK_EINVALID, "a text message" },
		{ { BYTES("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), .linger_ms = 200 },
			-MK_EINVALID, "too large" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		struct mk_ws_message message;

		serve_open(&cases[i].script);
		assert_int_equal(next(&message), cases[i].code);
		assert_words(cases[i].words);
		if (cases[i].code == -MK_EINVALID)
			assert_sent(0, 8, "\x03\xea", 2);
		assert_int_equal(next(&message), MK_WS_CLOSED);
		leave(NULL);
	}
}

/* A message that never ends, of nothing: only the deadline ends it. */
static void test_empty_fragments(void **state)
{
	static const struct ws_script script = { .fill = 20000, .linger_ms = 3000 };
	struct mk_ws_message message;

	(void)state;
	serve_open(&script);
	assert_int_equal(mk_ws_wait(w.ws, -1, mk_deadline(300), &message, &w.err), -MK_ETIMEOUT);
}

static void test_deadline_and_interrupt(void **state)
{
	static const struct ws_script script = { .linger_ms = 3000, LAST("\x82\x01x") };
	struct mk_ws_message message;
	int64_t start = mk_now_ms();

	(void)state;
	serve_open(&script);
	assert_int_equal(mk_ws_wait(w.ws, -1, mk_deadline(40), &message, &w.err), -MK_ETIMEOUT);
	assert_in_range(mk_now_ms() - start, 35, 400);
	/* It can be taken up again. */
	assert_int_equal(mk_ws_send(w.ws, "y", 1, &w.err), 0);
	assert_message("x");
	mk_interrupt_raise();
	start = mk_now_ms();
	assert_int_equal(next(&message), -MK_EINTR);
	assert_in_range(mk_now_ms() - start, 0, 150);
}

/* A peer that reads nothing: what waits is bounded, and a source is held back. */
static void test_deaf_peer(void **state)
{
	static const struct ws_script script = { .deaf = true, .linger_ms = 5000 };
	mk_autofree char *data = mk_xcalloc(200000, 1);
	struct mk_ws_message message;
	int ends[2];
	int r = 0;

	(void)state;
	serve_open(&script);
	for (int i = 0; i < 100 && r == 0; i++)
		r = mk_ws_send(w.ws, data, 200000, &w.err);
	assert_int_equal(r, -MK_EINVALID);
	assert_words("wait to be sent");
	assert_in_range(mk_ws_pending(w.ws), 1, MK_MAX_WS_PENDING + 16384);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(
		mk_ws_wait(w.ws, ends[0], mk_deadline(30), &message, &w.err), -MK_ETIMEOUT);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* Large in both directions at once. */
static void test_large(void **state)
{
	const size_t len = 300000;
	mk_autofree char *bytes = mk_xcalloc(len + 10, 1);
	struct ws_script script = { .bytes = bytes, .len = len + 10, .linger_ms = 2000 };
	struct mk_ws_message message;
	unsigned opcode;
	size_t got = 0;

	(void)state;
	memcpy(bytes, "\x82\x7f\x00\x00\x00\x00\x00\x04\x93\xe0", 10);
	for (size_t i = 0; i < len; i++)
		bytes[10 + i] = (char)(i * 31 >> 3);
	serve_open(&script);
	assert_int_equal(mk_ws_send(w.ws, bytes + 10, len, &w.err), 0);
	assert_int_equal(next(&message), MK_WS_MESSAGE);
	assert_int_equal(message.len, len);
	assert_memory_equal(message.data, bytes + 10, len);
	while (mk_ws_pending(w.ws) > 0)
		assert_int_equal(
			mk_ws_wait(w.ws, -1, mk_deadline(5), &message, &w.err), -MK_ETIMEOUT);
	{
		mk_autofree char *sent = fake_ws_frame(w.fake, 0, &opcode, &got);

		assert_int_equal(got, len);
		assert_memory_equal(sent, bytes + 10, len);
	}
	leave(NULL);
}

/* The caller's descriptor has its turn though the peer never stops talking. */
static void test_input_has_its_turn(void **state)
{
	static const struct ws_script script = { BYTES("\x82\x01"
						       "a\x82\x01"
						       "b\x82\x01"
						       "c"),
		.linger_ms = 1000 };
	struct mk_ws_message message;
	char byte;
	int ends[2];

	(void)state;
	serve_open(&script);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "xy", 2), 2);
	assert_message("a");
	assert_int_equal(
		mk_ws_wait(w.ws, ends[0], mk_deadline(500), &message, &w.err), MK_WS_INPUT);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(
		mk_ws_wait(w.ws, ends[0], mk_deadline(500), &message, &w.err), MK_WS_MESSAGE);
	assert_int_equal(
		mk_ws_wait(w.ws, ends[0], mk_deadline(500), &message, &w.err), MK_WS_INPUT);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

#define TEST(name) cmocka_unit_test_teardown(name, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_talk),
		TEST(test_bytewise),
		TEST(test_ping),
		TEST(test_refused),
		TEST(test_bad_handshakes),
		TEST(test_endless_header),
		TEST(test_nobody),
		TEST(test_ends),
		TEST(test_empty_fragments),
		TEST(test_deadline_and_interrupt),
		TEST(test_deaf_peer),
		TEST(test_large),
		TEST(test_input_has_its_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

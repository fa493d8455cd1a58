/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and the handshake, byte by byte: what a server may send, and what not. */
#include "lib/http/frame.h"
#include "lib/http/handshake.h"

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MAX ((size_t)200000)
#define BYTES(s) (s), sizeof(s) - 1

/* Feed all bytes in steps; "2:hello 9: 8:bye(1000)" for what comes out, then
 * "!" and the words of a breach. */
static char *read_all(const char *data, size_t len, size_t step)
{
	struct mk_frames frames = mk_frames_init(MAX);
	struct mk_buf out = mk_buf_init(2 * MAX);
	mk_autoerror err = { .code = MK_OK };
	int r = 0;

	for (size_t at = 0; at < len && r >= 0; at += step) {
		struct mk_frame frame;

		mk_frames_feed(&frames, data + at, len - at < step ? len - at : step);
		while ((r = mk_frames_next(&frames, &frame, &err)) == 1) {
			mk_buf_addf(&out, "%d:", (int)frame.kind);
			mk_buf_add(&out, frame.data, frame.len);
			if (frame.kind == MK_FRAME_CLOSE)
				mk_buf_addf(&out, "(%u)", frame.status);
			mk_buf_adds(&out, " ");
		}
	}
	if (r < 0)
		mk_buf_addf(&out, "!%s", err.message);
	mk_frames_done(&frames);
	return mk_buf_detach(&out);
}

static void test_frames(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		const char *out;
	} cases[] = {
		{ BYTES(""), "" },
		{ BYTES("\x82"), "" },
		{ BYTES("\x82\x05hello"), "2:hello " },
		{ BYTES("\x82\x05hell"), "" },
		{ BYTES("\x82\x00"), "2: " },
		{ BYTES("\x82\x01"
			"a\x82\x01"
			"b"),
			"2:a 2:b " },
		/* Fragments, with a ping in between. */
		{ BYTES("\x02\x02"
			"ab\x89\x01p\x00\x01"
			"c\x80\x01"
			"d\x82\x01"
			"e"),
			"9:p 2:abcd 2:e " },
		{ BYTES("\x02\x00\x80\x00"), "2: " },
		{ BYTES("\x8a\x00"), "10: " },
		{ BYTES("\x88\x00"), "8:(1005) " },
		{ BYTES("\x88\x05\x03\xe8"
			"bye"),
			"8:bye(1000) " },
		{ BYTES("\x88\x02\x0f\xa0"), "8:(4000) " },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step <= cases[i].len; step++) {
			mk_autofree char *out = read_all(cases[i].data, cases[i].len, step);

			assert_string_equal(out, cases[i].out);
		}
	}
}

static void test_breaches(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		const char *words;
	} cases[] = {
		{ BYTES("\xc2\x00"), "reserved bits" },
		{ BYTES("\x92\x00"), "reserved bits" },
		{ BYTES("\x82\x80\x00\x00\x00\x00"), "a masked frame" },
		{ BYTES("\x81\x01x"), "a text message" },
		{ BYTES("\x83\x00"), "an unknown kind" },
		{ BYTES("\x8b\x00"), "an unknown kind" },
		{ BYTES("\x80\x01x"), "the continuation of nothing" },
		{ BYTES("\x02\x01x\x82\x01y"), "a message inside another" },
		{ BYTES("\x09\x00"), "a control frame that is long or in pieces" },
		{ BYTES("\x89\x7e\x00\x7e"), "a control frame that is long or in pieces" },
		{ BYTES("\x82\x7e\x00\x7d"), "longer than it need be" },
		{ BYTES("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), "longer than it need be" },
		{ BYTES("\x82\x7f\x00\x00\x00\x00\x00\x03\x0d\x41"), "too large" },
		{ BYTES("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), "too large" },
		{ BYTES("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), "too large" },
		{ BYTES("\x88\x01\x03"), "a close frame of one byte" },
		{ BYTES("\x88\x02\x00\x00"), "a status that must not be sent" },
		{ BYTES("\x88\x02\x03\xed"), "a status that must not be sent" },
		{ BYTES("\x88\x02\x13\x88"), "a status that must not be sent" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step <= cases[i].len; step++) {
			mk_autofree char *out = read_all(cases[i].data, cases[i].len, step);
			const char *breach = strchr(out, '!');

			if (!breach || !strstr(breach, cases[i].words))
				fail_msg("%zu, step %zu: '%s'", i, step, out);
		}
	}
}

/* Fragments each within the cap, together beyond it; control frames pass meanwhile. */
static void test_cap(void **state)
{
	struct mk_frames frames = mk_frames_init(10);
	mk_autoerror err = { .code = MK_OK };
	struct mk_frame frame;

	(void)state;
	mk_frames_feed(&frames,
		BYTES("\x02\x0a"
		      "0123456789\x89\x02hi\x80\x00"));
	assert_int_equal(mk_frames_next(&frames, &frame, &err), 1);
	assert_int_equal(frame.kind, MK_FRAME_PING);
	assert_int_equal(mk_frames_next(&frames, &frame, &err), 1);
	assert_int_equal(frame.len, 10);
	mk_frames_feed(&frames,
		BYTES("\x02\x06"
		      "012345\x00\x05"
		      "67890"));
	assert_int_equal(mk_frames_next(&frames, &frame, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "too large"));
	mk_frames_done(&frames);
}

/* What we write: masked, whole, with the shortest length; unmasked it is the same. */
static void test_write(void **state)
{
	static const size_t lengths[] = { 0, 1, 125, 126, 127, 65535, 65536, 150000 };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(lengths); i++) {
		size_t len = lengths[i], head = len > 65535 ? 10 : len > 125 ? 4 : 2;
		mk_autofree char *data = mk_xcalloc(len + 1, 1);
		mk_autobuf out = mk_buf_init(MAX);
		const unsigned char *p, *mask;

		for (size_t k = 0; k < len; k++)
			data[k] = (char)(k * 7 + i);
		assert_int_equal(mk_frame_write(&out, MK_FRAME_BINARY, data, len, &err), 0);
		p = (const unsigned char *)out.data;
		assert_int_equal(out.len, head + 4 + len);
		assert_int_equal(p[0], 0x82);
		assert_int_equal(p[1], 0x80 | (head == 10 ? 127 : head == 4 ? 126 : len));
		if (head == 4)
			assert_int_equal(p[2] << 8 | p[3], len);
		if (head == 10)
			assert_int_equal(p[6] << 24 | p[7] << 16 | p[8] << 8 | p[9], len);
		mask = p + head;
		for (size_t k = 0; k < len; k++)
			assert_int_equal((char)(p[head + 4 + k] ^ mask[k % 4]), data[k]);
	}
}

static void test_masks_differ(void **state)
{
	mk_autobuf one = mk_buf_init(100), two = mk_buf_init(100), small = mk_buf_init(8);
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_frame_write(&one, MK_FRAME_PONG, "12345678", 8, &err), 0);
	assert_int_equal(mk_frame_write(&two, MK_FRAME_PONG, "12345678", 8, &err), 0);
	assert_memory_not_equal(one.data, two.data, one.len);
	assert_int_equal(mk_frame_write(&small, MK_FRAME_PONG, "12345678", 8, &err), -MK_EINVALID);
}

#define KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455's own example */
#define GOOD                                                                                       \
	"HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n"                               \
	"Connection: keep-alive, Upgrade\r\n"                                                      \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void test_handshake(void **state)
{
	static const struct {
		const char *headers, *offered, *agreed, *words;
	} cases[] = {
		{ GOOD "\r\n", NULL, NULL, NULL },
		{ GOOD "Sec-WebSocket-Protocol: v4.x\r\n\r\n", "v5.x, v4.x", "v4.x", NULL },
		{ GOOD "\r\n", "v5.x", NULL, "without choosing a protocol" },
		{ GOOD "Sec-WebSocket-Protocol: v3.x\r\n\r\n", "v5.x, v4.x", NULL,
			"was not offered" },
		{ GOOD "Sec-WebSocket-Protocol: v3.x\r\n\r\n", NULL, NULL, "was not offered" },
		{ GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", NULL, NULL,
			"extensions" },
		{ "HTTP/1.1 101 x\r\n\r\n", NULL, NULL, "without upgrading" },
		{ "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgraded\r\n\r\n", NULL,
			NULL, "without upgrading" },
		{ "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", NULL, NULL,
			"without upgrading" },
		{ "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		  "Sec-WebSocket-Accept: AAAA\r\n\r\n",
			NULL, NULL, "another key" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autobuf headers = mk_buf_init(1000);
		mk_autofree char *protocol = NULL;
		mk_autoerror err = { .code = MK_OK };
		int r;

		mk_buf_adds(&headers, cases[i].headers);
		r = mk_handshake_check(&headers, cases[i].offered, KEY, &protocol, &err);
		assert_int_equal(r, cases[i].words ? -MK_EINVALID : 0);
		if (cases[i].words)
			assert_non_null(strstr(err.message, cases[i].words));
		if (cases[i].agreed)
			assert_string_equal(protocol, cases[i].agreed);
		else
			assert_null(protocol);
	}
}

static void test_request(void **state)
{
	mk_autofree char *request = mk_handshake_request(
		"https://127.0.0.1:6443/x", "/api?a=b", "v5.x, v4.x", KEY);
	mk_autofree char *bare = mk_handshake_request("http://h", "/", NULL, KEY);
	mk_autofree char *one = NULL, *two = NULL;
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_string_equal(request,
		"GET /api?a=b HTTP/1.1\r\nHost: 127.0.0.1:6443\r\nUser-Agent: mkcluster\r\n"
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Protocol: v5.x, v4.x\r\n\r\n");
	assert_null(strstr(bare, "Protocol"));
	assert_int_equal(mk_handshake_key(&one, &err), 0);
	assert_int_equal(mk_handshake_key(&two, &err), 0);
	assert_int_equal(strlen(one), 24);
	assert_string_not_equal(one, two);
}

static void test_status(void **state)
{
	static const struct {
		const char *line;
		long status;
	} cases[] = {
		{ "HTTP/1.1 101 Switching Protocols\r\n\r\n", 101 },
		{ "HTTP/1.1 404\r\n\r\n", 404 },
		{ "HTTP/1.0 200 OK\r\n\r\n", 0 },
		{ "HTTP/1.1 1011 x\r\n\r\n", 0 },
		{ "HTTP/1.1 +11 x\r\n\r\n", 0 },
		{ "HTTP/1.1 10", 0 },
		{ "HTTP/1.1 099 x\r\n\r\n", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autobuf headers = mk_buf_init(1000);

		mk_buf_adds(&headers, cases[i].line);
		assert_int_equal(mk_handshake_status(&headers), cases[i].status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_breaches),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_masks_differ),
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

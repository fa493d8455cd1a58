/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket server for tests, on a loopback port: each connection follows the
 * next script, which says byte for byte what it sends, and keeps what the client
 * sent. One thread, one connection at a time.
 */
#ifndef MK_TESTS_FAKE_WS_H
#define MK_TESTS_FAKE_WS_H

#include <stdbool.h>
#include <stddef.h>

struct ws_script {
	const char *answer;   /* raw, instead of a handshake's; or NULL */
	const char *protocol; /* chosen, or NULL */
	const char *bytes;    /* sent after the handshake */
	size_t len;
	size_t fill;      /* then so many empty frames of a fragment without end */
	bool bytewise;    /* pause after every byte */
	size_t first;     /* wait for so many messages of the client before `bytes` */
	const char *last; /* sent after a ping's pong, or the next message, has come */
	size_t last_len;
	int linger_ms;  /* read on for so long, or until the client closes */
	bool deaf;      /* read nothing after the handshake */
	bool wrong_key; /* accept another key */
	bool hang;      /* no answer at all, for linger_ms */
};

struct fake_ws;

/** Start; the scripts must outlive it. The last one repeats. */
struct fake_ws *fake_ws_start(const struct ws_script *scripts, size_t count);
void fake_ws_stop(struct fake_ws *fake);

/** "http://127.0.0.1:PORT". Borrowed. */
const char *fake_ws_address(const struct fake_ws *fake);

/** The request's lines of the last connection. Borrowed until the next. */
const char *fake_ws_request(struct fake_ws *fake);

/** The `n`th frame of the client's, unmasked, or NULL; waits a second for it. The
 * caller frees. */
char *fake_ws_frame(struct fake_ws *fake, size_t n, unsigned *ret_opcode, size_t *ret_len);

/** How many frames the client has sent. */
size_t fake_ws_count(struct fake_ws *fake);

#endif

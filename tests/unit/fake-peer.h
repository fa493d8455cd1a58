/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP peer for tests of the engine's and the API server's clients: on a
 * unix socket or a loopback port, answering each method and path from a script,
 * whole, in pieces, late or not at all. One thread, one request a connection.
 */
#ifndef MK_TESTS_FAKE_PEER_H
#define MK_TESTS_FAKE_PEER_H

#include <stdbool.h>
#include <stddef.h>

struct peer_reply {
	int status;          /* 0 is 200 */
	const char *headers; /* further "Name: value\r\n" lines, or NULL */
	const char *body;
	size_t len;     /* 0 is strlen(body) */
	size_t cut;     /* pause after so many bytes of the body; 0 is nowhere */
	bool bytewise;  /* pause after every byte of the body */
	bool no_length; /* no Content-Length: the close ends the body */
	int delay_ms;   /* silence before the header lines */
	int linger_ms;  /* after the body, before the close */
	bool hang_up;   /* close without a word */
};

#define PEER_REPLIES 4

struct peer_route {
	const char *request; /* "GET /_ping"; a query is compared only if it has one, and
			      * nothing that stands after a "*" at its end */
	struct peer_reply replies[PEER_REPLIES]; /* in turn; the last given one repeats */
	size_t count;                            /* 0 is 1 */
};

struct fake_peer;

/** Start serving on a unix socket below `folder`, or on loopback when NULL. Bodies
 * and header lines are copied. */
struct fake_peer *fake_peer_start(
	const char *folder, const struct peer_route *routes, size_t count);

/** Stop, and wait for the thread. NULL is fine. */
void fake_peer_stop(struct fake_peer *peer);

/** "unix:///...", or "http://127.0.0.1:PORT". Borrowed. */
const char *fake_peer_address(const struct fake_peer *peer);

/** How many requests begin with `request` ("GET /_ping"); "" is any. */
size_t fake_peer_hits(struct fake_peer *peer, const char *request);

/** The `n`th request that begins so, header lines and body, or NULL. Valid until stop. */
const char *fake_peer_request(struct fake_peer *peer, const char *request, size_t n);

/** The body of that request as it came, of any bytes, or NULL. Valid until stop. */
const char *fake_peer_body(struct fake_peer *peer, const char *request, size_t n, size_t *ret_len);

#endif

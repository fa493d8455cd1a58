/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server for tests: on a loopback port, in threads of the test's own
 * process, answering each path from a script. One request a connection.
 */
#ifndef MK_TESTS_FAKE_HTTP_H
#define MK_TESTS_FAKE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct fake_reply {
	int status;          /* 0 is 200 */
	const char *headers; /* further "Name: value\r\n" lines, or NULL */
	const char *body;
	size_t len;
	bool ranges;       /* honour Range with 206 and 416 */
	const char *etag;  /* sent as ETag; an If-Range that differs gets the whole */
	bool no_length;    /* no Content-Length: the close ends the body */
	int delay_ms;      /* before the header lines */
	size_t stop_after; /* body bytes after which ... */
	int hold_ms;       /* ... it waits so long, then closes */
};

#define FAKE_REPLIES 4

struct fake_route {
	const char *path;
	struct fake_reply replies[FAKE_REPLIES]; /* in turn; the last given one repeats */
	size_t count;
};

struct fake_http;

/** Start serving; the routes are copied, what they point to is the caller's. */
struct fake_http *fake_http_start(const struct fake_route *routes, size_t count);

/** Stop, and wait for all threads. */
void fake_http_stop(struct fake_http *http);

/** "http://127.0.0.1:PORT" + path. Caller frees. */
char *fake_http_url(const struct fake_http *http, const char *path);

/** How many requests came, for `path` or in all (NULL). */
size_t fake_http_hits(struct fake_http *http, const char *path);

/** The raw `n`th request for `path`, or NULL. Valid until stop. */
const char *fake_http_request(struct fake_http *http, const char *path, size_t n);

/** The most connections that were being answered at one time. */
int fake_http_peak(struct fake_http *http);

#endif

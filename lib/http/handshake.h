/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opening of a WebSocket (RFC 6455, section 4): the request that asks for
 * it, and what the server's header lines must say. No I/O.
 */
#ifndef MK_HTTP_HANDSHAKE_H
#define MK_HTTP_HANDSHAKE_H

#include "lib/base/buf.h"

/** Make a key, 16 random bytes in base64. Caller frees. */
int mk_handshake_key(char **ret, struct mk_error *err) MK_CHECKED;

/** The request's lines. `base_url` says the host; `protocols` are those offered,
 * "a, b", or NULL. Caller frees. */
char *mk_handshake_request(
	const char *base_url, const char *path, const char *protocols, const char *key);

/** The status of raw header lines, or 0 when they do not begin as HTTP/1.1 does. */
long mk_handshake_status(const struct mk_buf *headers);

/**
 * Check the header lines of a 101 answer. `*ret_protocol` is the protocol agreed
 * on, or NULL when none was offered; the caller frees it. MK_EINVALID when the
 * peer is not the WebSocket that was asked for.
 */
int mk_handshake_check(const struct mk_buf *headers, const char *protocols, const char *key,
	char **ret_protocol, struct mk_error *err) MK_CHECKED;

#endif

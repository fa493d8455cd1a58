/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket client (RFC 6455) on a connection of its own to a client's peer,
 * with that client's TLS identity. Messages are binary and whole in both
 * directions; pings are answered, fragments put together, and closes exchanged
 * in here.
 *
 * Nothing blocks but mk_ws_open and mk_ws_wait, and both end at a deadline
 * (mk_deadline; -1 is for ever) and notice an interrupt within 100 ms. A message
 * that is sent is queued, and goes out during waits.
 */
#ifndef MK_HTTP_WEBSOCKET_H
#define MK_HTTP_WEBSOCKET_H

#include "lib/http/http.h"

struct mk_ws;

/** A message of the peer's; the bytes are valid until the next wait. */
struct mk_ws_message {
	const char *data;
	size_t len;
};

/** What a wait has found. */
enum mk_ws_event {
	MK_WS_CLOSED,  /* by the peer, in good order: the last event there is */
	MK_WS_MESSAGE, /* in `ret` */
	MK_WS_INPUT,   /* the caller's descriptor can be read */
};

/**
 * Open a WebSocket at `path` (below the client's base URL), offering `protocols`
 * ("v5.x, v4.x", or NULL). An answer that is no WebSocket is given as
 * `ret_answer`, as far as it came within a second, and is MK_EREMOTE with
 * err->status set; else MK_ENET, MK_ETIMEOUT, MK_EINTR, MK_EINVALID. `ret_answer`
 * is empty at the call and released by the caller always.
 */
int mk_ws_open(struct mk_http *http, const char *path, const char *protocols, int64_t deadline,
	struct mk_ws **ret, struct mk_http_response *ret_answer, struct mk_error *err) MK_CHECKED;

/** The protocol agreed on, or NULL when none was offered. Borrowed. */
const char *mk_ws_protocol(const struct mk_ws *ws);

/** Queue one message. MK_EINVALID when more than MK_MAX_WS_PENDING would wait:
 * see mk_ws_pending. */
int mk_ws_send(struct mk_ws *ws, const void *data, size_t len, struct mk_error *err) MK_CHECKED;

/** Bytes that the peer has not taken yet, frames' headers included. */
size_t mk_ws_pending(const struct mk_ws *ws);

/**
 * Wait for a message, for the peer's close, or until `fd` can be read (-1: none;
 * not looked at while much is pending, so that a slow peer slows its source):
 * an mk_ws_event, or -code. After MK_ETIMEOUT the wait can be taken up again;
 * MK_EREMOTE is a close with a status that tells of a failure; MK_ENET a
 * connection that broke off.
 */
int mk_ws_wait(struct mk_ws *ws, int fd, int64_t deadline, struct mk_ws_message *ret,
	struct mk_error *err) MK_CHECKED;

/** The socket, for callers with a poll of their own: once it can be read, call
 * mk_ws_wait with a deadline that has passed until it says MK_ETIMEOUT. */
int mk_ws_fd(const struct mk_ws *ws);

/** Say goodbye, without waiting, and free. */
void mk_ws_free(struct mk_ws *ws);
MK_DEFINE_CLEANUP(struct mk_ws *, mk_ws_free);

#endif

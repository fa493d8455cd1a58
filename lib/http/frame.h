/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket frames as a client sees them (RFC 6455, section 5): bytes into
 * messages and messages into bytes, without any I/O. What a server may not send
 * ends the connection with MK_EINVALID: masked frames, reserved bits and
 * opcodes, lengths that are not minimal or beyond the cap, control frames that
 * are long or in pieces, continuations of nothing. Text messages are refused
 * too: nobody we speak to sends any.
 */
#ifndef MK_HTTP_FRAME_H
#define MK_HTTP_FRAME_H

#include "lib/base/buf.h"

#include <stdint.h>

/** What a frame is, by its opcode. */
enum mk_frame_kind {
	MK_FRAME_BINARY = 2,
	MK_FRAME_CLOSE = 8,
	MK_FRAME_PING = 9,
	MK_FRAME_PONG = 10,
};

#define MK_FRAME_MAX_CONTROL 125 /* bytes in a control frame */
#define MK_CLOSE_NORMAL 1000
#define MK_CLOSE_AWAY 1001
#define MK_CLOSE_PROTOCOL 1002
#define MK_CLOSE_NONE 1005 /* the peer gave no status */

/** A whole message or a control frame. */
struct mk_frame {
	enum mk_frame_kind kind;
	const char *data; /* valid until the frames are touched again */
	size_t len;
	unsigned status; /* of a close; its reason is the data */
};

/** The bytes of one connection on their way into messages. */
struct mk_frames {
	struct mk_buf in;
	size_t taken; /* bytes of `in` that are done with */
	struct mk_buf message;
	size_t max; /* of a message, fragments together */
	bool fragmented;
};

/** A connection's start: no bytes yet, and messages of at most so many. */
struct mk_frames mk_frames_init(size_t max_message);
void mk_frames_done(struct mk_frames *frames);

/** Add bytes from the peer: at most 64 KiB at a time, and only when
 * mk_frames_next has found nothing more. */
void mk_frames_feed(struct mk_frames *frames, const void *data, size_t len);

/** Take the next message or control frame: 1, 0 when more bytes are needed, or
 * MK_EINVALID with what the peer did wrong. */
int mk_frames_next(struct mk_frames *frames, struct mk_frame *ret, struct mk_error *err) MK_CHECKED;

/** Append a frame that holds the whole message, masked with four random bytes. */
int mk_frame_write(struct mk_buf *ret, enum mk_frame_kind kind, const void *data, size_t len,
	struct mk_error *err) MK_CHECKED;

#endif

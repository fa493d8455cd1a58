/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/frame.h"

#include "lib/base/encode.h"

#include <string.h>

#define FIN 0x80u
#define RESERVED 0x70u
#define OPCODE 0x0fu
#define MASKED 0x80u
#define LENGTH 0x7fu
#define LENGTH_16 126u
#define LENGTH_64 127u
#define HEADER_MAX 14
#define FEED_MAX ((size_t)65536)
#define CONTINUATION 0u
#define TEXT 1u

struct mk_frames mk_frames_init(size_t max_message)
{
	return (struct mk_frames){
		.in = mk_buf_init(max_message + HEADER_MAX + FEED_MAX),
		.message = mk_buf_init(max_message),
		.max = max_message,
	};
}

void mk_frames_done(struct mk_frames *frames)
{
	/* Shells and commands say what they like: passwords too. */
	mk_buf_wipe(&frames->in);
	mk_buf_wipe(&frames->message);
}

void mk_frames_feed(struct mk_frames *frames, const void *data, size_t len)
{
	mk_buf_drop(&frames->in, frames->taken);
	frames->taken = 0;
	mk_buf_add(&frames->in, data, len);
}

struct header {
	bool fin;
	unsigned opcode;
	size_t size; /* of the header itself */
	uint64_t len;
};

static int breach(struct mk_error *err, const char *what)
{
	return mk_fail(err, MK_EINVALID, "WebSocket: the peer sent %s", what);
}

static uint64_t number(const unsigned char *p, size_t bytes)
{
	uint64_t v = 0;

	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

/* The length in its three forms; the shortest one must be used. 1, or 0 when
 * bytes are missing. */
static int read_length(
	const unsigned char *p, size_t have, struct header *ret, struct mk_error *err)
{
	unsigned first = p[1] & LENGTH;
	size_t more = first == LENGTH_64 ? 8 : first == LENGTH_16 ? 2 : 0;

	ret->size = 2 + more;
	if (have < ret->size)
		return 0;
	ret->len = more > 0 ? number(p + 2, more) : first;
	if ((more == 2 && ret->len < LENGTH_16) || (more == 8 && ret->len <= UINT16_MAX))
		return breach(err, "a length that is longer than it need be");
	return 1;
}

static int check_kind(
	const struct mk_frames *frames, const struct header *header, struct mk_error *err)
{
	switch (header->opcode) {
	case CONTINUATION:
		return frames->fragmented ? 0 : breach(err, "the continuation of nothing");
	case MK_FRAME_BINARY:
		return frames->fragmented ? breach(err, "a message inside another") : 0;
	case TEXT:
		return breach(err, "a text message");
	case MK_FRAME_CLOSE:
	case MK_FRAME_PING:
	case MK_FRAME_PONG:
		if (!header->fin || header->len > MK_FRAME_MAX_CONTROL)
			return breach(err, "a control frame that is long or in pieces");
		return 0;
	default:
		return breach(err, "a frame of an unknown kind");
	}
}

static int read_header(const struct mk_frames *frames, struct header *ret, struct mk_error *err)
{
	const unsigned char *p = (const unsigned char *)frames->in.data + frames->taken;
	size_t have = frames->in.len - frames->taken;
	int r;

	if (have < 2)
		return 0;
	if (p[0] & RESERVED)
		return breach(err, "a frame with reserved bits");
	if (p[1] & MASKED)
		return breach(err, "a masked frame");
	ret->fin = (p[0] & FIN) != 0;
	ret->opcode = p[0] & OPCODE;
	r = read_length(p, have, ret, err);
	if (r <= 0)
		return r;
	r = check_kind(frames, ret, err);
	if (r < 0)
		return r;
	if (ret->opcode < MK_FRAME_CLOSE && ret->len > frames->max - frames->message.len)
		return breach(err, "a message that is too large");
	return 1;
}

/* RFC 6455, section 7.4: what may be in a close frame. */
static bool is_close_status(unsigned status)
{
	return (status >= 1000 && status <= 1003) || (status >= 1007 && status <= 1014) ||
		(status >= 3000 && status <= 4999);
}

static int take_close(struct mk_frame *ret, struct mk_error *err)
{
	ret->status = MK_CLOSE_NONE;
	if (ret->len == 0)
		return 1;
	if (ret->len == 1)
		return breach(err, "a close frame of one byte");
	ret->status = (unsigned)number((const unsigned char *)ret->data, 2);
	if (!is_close_status(ret->status))
		return breach(err, "a close frame with a status that must not be sent");
	ret->data += 2;
	ret->len -= 2;
	return 1;
}

/* A frame of a message: 1 when the message is whole. */
static int take_data(struct mk_frames *frames, const struct header *header, struct mk_frame *ret)
{
	ret->kind = MK_FRAME_BINARY;
	if (header->fin && !frames->fragmented)
		return 1;
	mk_buf_add(&frames->message, ret->data, ret->len);
	frames->fragmented = !header->fin;
	if (!header->fin)
		return 0;
	ret->data = frames->message.data;
	ret->len = frames->message.len;
	return 1;
}

int mk_frames_next(struct mk_frames *frames, struct mk_frame *ret, struct mk_error *err)
{
	if (!frames->fragmented)
		mk_buf_clear(&frames->message);
	for (;;) {
		struct header header = { .size = 0 };
		int r = read_header(frames, &header, err);

		if (r <= 0)
			return r;
		if (frames->in.len - frames->taken < header.size + (size_t)header.len)
			return 0;
		*ret = (struct mk_frame){
			.kind = (enum mk_frame_kind)header.opcode,
			.data = frames->in.data + frames->taken + header.size,
			.len = (size_t)header.len,
		};
		frames->taken += header.size + (size_t)header.len;
		if (header.opcode == MK_FRAME_CLOSE)
			return take_close(ret, err);
		if (header.opcode >= MK_FRAME_PING)
			return 1;
		if (take_data(frames, &header, ret) == 1)
			return 1;
	}
}

static void write_length(struct mk_buf *ret, size_t len)
{
	size_t more = len > UINT16_MAX ? 8 : len >= LENGTH_16 ? 2 : 0;
	unsigned first = more == 8 ? LENGTH_64 : more == 2 ? LENGTH_16 : (unsigned)len;
	unsigned char bytes[9] = { (unsigned char)(MASKED | first) };

	for (size_t i = 0; i < more; i++)
		bytes[1 + i] = (unsigned char)((uint64_t)len >> 8 * (more - 1 - i));
	mk_buf_add(ret, bytes, 1 + more);
}

int mk_frame_write(struct mk_buf *ret, enum mk_frame_kind kind, const void *data, size_t len,
	struct mk_error *err)
{
	const unsigned char first = (unsigned char)(FIN | (unsigned)kind);
	unsigned char mask[4];
	size_t start;
	int r = mk_random(mask, sizeof(mask), err);

	if (r < 0)
		return r;
	mk_buf_add(ret, &first, 1);
	write_length(ret, len);
	mk_buf_add(ret, mask, sizeof(mask));
	start = ret->len;
	mk_buf_add(ret, data, len);
	for (size_t i = start; i < ret->len; i++)
		ret->data[i] = (char)((unsigned char)ret->data[i] ^ mask[(i - start) % 4]);
	return mk_buf_check(ret, "what waits to be sent on a WebSocket", err);
}

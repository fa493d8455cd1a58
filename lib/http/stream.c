/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer read piece by piece: image archives, watches, exec output. The
 * transfer's body buffer is the window between the peer and the reader.
 */
#include "lib/http/http.h"

#include "lib/base/clock.h"
#include "lib/http/transfer.h"

struct mk_http_stream {
	struct mk_transfer *transfer;
	size_t taken; /* bytes of the window the reader has had */
};

int mk_http_begin(struct mk_http *http, const struct mk_http_request *request,
	struct mk_http_stream **ret, struct mk_error *err)
{
	struct mk_http_stream *stream = mk_xcalloc(1, sizeof(*stream));
	int r = mk_transfer_start(http, request, /* streamed= */ true, &stream->transfer, err);

	if (r < 0) {
		mk_http_stream_free(stream);
		return r;
	}
	*ret = stream;
	return 0;
}

bool mk_http_stream_answered(const struct mk_http_stream *stream)
{
	const struct mk_transfer *t = stream->transfer;

	return t->headers_done || (t->done && t->result == CURLE_OK);
}

int mk_http_open(struct mk_http *http, const struct mk_http_request *request,
	struct mk_http_stream **ret, struct mk_error *err)
{
	struct mk_http_stream *stream = NULL;
	int r = mk_http_begin(http, request, &stream, err);

	while (r == 0 && !stream->transfer->headers_done && !stream->transfer->done)
		r = mk_transfer_drive(http, 100, err);
	/* Cut after the header lines: the bytes before the cut can still be read. */
	if (r == 0 && !stream->transfer->headers_done)
		r = mk_transfer_result(stream->transfer, err);
	if (r < 0) {
		mk_http_stream_free(stream);
		return r;
	}
	*ret = stream;
	return 0;
}

long mk_http_stream_status(const struct mk_http_stream *stream)
{
	return stream->transfer->status;
}

char *mk_http_stream_header(const struct mk_http_stream *stream, const char *name)
{
	return mk_transfer_header(&stream->transfer->headers, name);
}

static int wait_for_bytes(struct mk_transfer *t, int64_t deadline, struct mk_error *err)
{
	while (t->body.len == 0 && !t->done) {
		int64_t left = deadline < 0 ? 100 : mk_remaining_ms(deadline);
		int r;

		if (left == 0)
			return mk_fail(
				err, MK_ETIMEOUT, "%s %s: no data in time", t->method, t->url);
		if (t->paused) {
			t->paused = false;
			(void)curl_easy_pause(t->easy, CURLPAUSE_CONT);
		}
		r = mk_transfer_drive(t->http, (int)(left > 100 ? 100 : left), err);
		if (r < 0)
			return r;
	}
	return 0;
}

ssize_t mk_http_read(struct mk_http_stream *stream, void *data, size_t cap, int64_t deadline,
	struct mk_error *err)
{
	struct mk_transfer *t = stream->transfer;
	size_t n;
	int r = wait_for_bytes(t, deadline, err);

	if (r < 0)
		return r;
	if (t->body.len == 0)
		return mk_transfer_result(t, err);
	n = t->body.len - stream->taken;
	if (n > cap)
		n = cap;
	memcpy(data, t->body.data + stream->taken, n);
	stream->taken += n;
	if (stream->taken == t->body.len) {
		stream->taken = 0;
		mk_buf_clear(&t->body);
	}
	return (ssize_t)n;
}

int mk_http_read_all(
	struct mk_http_stream *stream, struct mk_buf *ret, int64_t deadline, struct mk_error *err)
{
	char chunk[16384];

	for (;;) {
		ssize_t n = mk_http_read(stream, chunk, sizeof(chunk), deadline, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return mk_buf_check(ret, stream->transfer->url, err);
		mk_buf_add(ret, chunk, (size_t)n);
		if (ret->full)
			return mk_buf_check(ret, stream->transfer->url, err);
	}
}

void mk_http_stream_free(struct mk_http_stream *stream)
{
	if (!stream)
		return;
	mk_transfer_free(stream->transfer);
	free(stream);
}

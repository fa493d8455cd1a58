/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl connects, TLS included, and then only moves bytes (CURLOPT_CONNECT_ONLY);
 * the opening and the frames are handshake.c's and frame.c's.
 */
#include "lib/http/websocket.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/http/frame.h"
#include "lib/http/handshake.h"
#include "lib/http/transfer.h"

#include <poll.h>

#define CHUNK ((size_t)16384)
/* With more than this unsent, the caller's descriptor is left unread. */
#define SLOW_PENDING ((size_t)65536)
/* How long the body of a refusal is waited for, and how much of it is kept. */
#define ANSWER_MS 1000
#define ANSWER_MAX ((size_t)65536)

struct mk_ws {
	CURLM *multi;
	CURL *easy;
	curl_socket_t fd;
	char *name;
	char *protocol;
	struct mk_frames frames;
	struct mk_buf out; /* frames that are not in `chunk` yet */
	/* TLS wants a send that would block repeated with the same bytes in the same place. */
	char chunk[CHUNK];
	size_t chunk_len, chunk_at;
	int last;    /* event */
	bool ended;  /* the peer's close has come, or the connection is of no use */
	bool silent; /* our close has gone out: nothing may follow it */
	char words[CURL_ERROR_SIZE];
};

const char *mk_ws_protocol(const struct mk_ws *ws)
{
	return ws->protocol;
}

size_t mk_ws_pending(const struct mk_ws *ws)
{
	return ws->out.len + ws->chunk_len - ws->chunk_at;
}

int mk_ws_fd(const struct mk_ws *ws)
{
	return ws->fd;
}

static int fail_curl(const struct mk_ws *ws, CURLcode code, struct mk_error *err)
{
	return mk_fail(err, code == CURLE_OPERATION_TIMEDOUT ? MK_ETIMEOUT : MK_ENET,
		"WebSocket %s: %s", ws->name, ws->words[0] ? ws->words : curl_easy_strerror(code));
}

static int fail_late(const struct mk_ws *ws, struct mk_error *err)
{
	return mk_fail(err, MK_ETIMEOUT, "WebSocket %s: no data in time", ws->name);
}

/* Milliseconds to wait in one go: short enough to notice an interrupt; 0 is late. */
static int slice(int64_t deadline)
{
	int64_t left = deadline < 0 ? 100 : mk_remaining_ms(deadline);

	return (int)(left > 100 ? 100 : left);
}

static int start_connecting(struct mk_ws *ws, struct mk_http *http, struct mk_error *err)
{
	ws->multi = curl_multi_init();
	ws->easy = curl_easy_init();
	if (!ws->multi || !ws->easy)
		return mk_fail(err, MK_EFAIL, "libcurl: no handle");
	(void)curl_easy_setopt(ws->easy, CURLOPT_URL, http->base_url);
	(void)curl_easy_setopt(ws->easy, CURLOPT_CONNECT_ONLY, 1L);
	(void)curl_easy_setopt(ws->easy, CURLOPT_ERRORBUFFER, ws->words);
	(void)curl_easy_setopt(ws->easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(ws->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(ws->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)MK_CONNECT_TIMEOUT_MS);
	(void)curl_easy_setopt(ws->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(ws->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	mk_transfer_identify(http, ws->easy);
	if (curl_multi_add_handle(ws->multi, ws->easy) != CURLM_OK)
		return mk_fail(err, MK_EFAIL, "libcurl: cannot start a connection");
	return 0;
}

static int finish_connecting(struct mk_ws *ws, int64_t deadline, struct mk_error *err)
{
	const CURLMsg *message;
	int running = 1, left;

	for (;;) {
		CURLMcode code = curl_multi_perform(ws->multi, &running);

		if (code != CURLM_OK)
			return mk_fail(err, MK_EFAIL, "libcurl: %s", curl_multi_strerror(code));
		if (running == 0)
			break;
		if (mk_interrupted())
			return mk_fail_interrupted(err);
		if (slice(deadline) == 0)
			return fail_late(ws, err);
		(void)curl_multi_poll(ws->multi, NULL, 0, slice(deadline), NULL);
	}
	message = curl_multi_info_read(ws->multi, &left);
	if (!message || message->data.result != CURLE_OK)
		return fail_curl(ws, message ? message->data.result : CURLE_FAILED_INIT, err);
	if (curl_easy_getinfo(ws->easy, CURLINFO_ACTIVESOCKET, &ws->fd) != CURLE_OK ||
		ws->fd == CURL_SOCKET_BAD)
		return mk_fail(err, MK_EFAIL, "libcurl: a connection without a socket");
	return 0;
}

/* Send what the socket takes now. */
static int push(struct mk_ws *ws, struct mk_error *err)
{
	while (mk_ws_pending(ws) > 0) {
		CURLcode code;
		size_t n = 0;

		if (ws->chunk_at == ws->chunk_len) {
			ws->chunk_at = 0;
			ws->chunk_len = ws->out.len < CHUNK ? ws->out.len : CHUNK;
			memcpy(ws->chunk, ws->out.data, ws->chunk_len);
			mk_buf_drop(&ws->out, ws->chunk_len);
		}
		code = curl_easy_send(
			ws->easy, ws->chunk + ws->chunk_at, ws->chunk_len - ws->chunk_at, &n);
		if (code == CURLE_AGAIN)
			return 0;
		if (code != CURLE_OK) {
			ws->ended = true;
			return fail_curl(ws, code, err);
		}
		ws->chunk_at += n;
	}
	return 0;
}

/* Take what has come: 1 with `*ret` bytes, 0 when there is nothing now, -code. */
static int pull(struct mk_ws *ws, char *data, size_t *ret, struct mk_error *err)
{
	CURLcode code = curl_easy_recv(ws->easy, data, CHUNK, ret);

	if (code == CURLE_AGAIN)
		return 0;
	if (code == CURLE_OK && *ret > 0)
		return 1;
	ws->ended = true;
	if (code == CURLE_OK)
		return mk_fail(err, MK_ENET, "WebSocket %s: the connection broke off", ws->name);
	return fail_curl(ws, code, err);
}

/* Wait for the socket, and for `fd`. Whether `fd` can be read. */
static bool wait_for(const struct mk_ws *ws, int fd, int ms)
{
	struct pollfd fds[2] = { { .fd = ws->fd, .events = POLLIN },
		{ .fd = fd, .events = POLLIN } };

	if (mk_ws_pending(ws) > 0)
		fds[0].events |= POLLOUT;
	if (mk_ws_pending(ws) > SLOW_PENDING)
		fds[1].fd = -1;
	return poll(fds, 2, ms) > 0 && fds[1].fd >= 0 && fds[1].revents != 0;
}

/* The header lines into `headers`, what follows them into `rest`. */
static int read_headers(struct mk_ws *ws, int64_t deadline, struct mk_buf *headers,
	struct mk_buf *rest, struct mk_error *err)
{
	for (;;) {
		const char *end = strstr(headers->data, "\r\n\r\n");
		char data[CHUNK];
		size_t n = 0;
		int r;

		if (end) {
			size_t len = (size_t)(end + 4 - headers->data);

			mk_buf_add(rest, headers->data + len, headers->len - len);
			headers->data[len] = '\0';
			headers->len = len;
			return 0;
		}
		r = mk_buf_check(headers, "an answer's header", err);
		if (r == 0 && mk_interrupted())
			r = mk_fail_interrupted(err);
		if (r == 0)
			r = push(ws, err);
		if (r == 0)
			r = pull(ws, data, &n, err);
		if (r < 0)
			return r;
		mk_buf_add(headers, data, n);
		if (r == 0 && slice(deadline) == 0)
			return fail_late(ws, err);
		if (r == 0)
			(void)wait_for(ws, -1, slice(deadline));
	}
}

/* The body of a refusal: what its length says, or all that comes in time. */
static void read_body(struct mk_ws *ws, const struct mk_buf *headers, struct mk_buf *body)
{
	mk_autofree char *length = mk_transfer_header(headers, "Content-Length");
	mk_autoerror ignored = { .code = MK_OK };
	int64_t deadline = mk_deadline(ANSWER_MS);
	uint64_t expected = ANSWER_MAX;

	if (length)
		(void)mk_parse_uint(length, 0, ANSWER_MAX, &expected);
	while (body->len < expected && !mk_interrupted() && slice(deadline) > 0) {
		char data[CHUNK];
		size_t n = 0;
		int r = pull(ws, data, &n, &ignored);

		if (r < 0)
			return;
		mk_buf_add(body, data, n);
		if (r == 0)
			(void)wait_for(ws, -1, slice(deadline));
	}
}

static int open_ws(struct mk_ws *ws, struct mk_http *http, const char *path, const char *protocols,
	int64_t deadline, struct mk_http_response *ret_answer, struct mk_error *err)
{
	mk_autofree char *key = NULL;
	mk_autofree char *request = NULL;
	mk_autobuf headers = mk_buf_init(MK_MAX_HTTP_HEADERS);
	mk_autobuf rest = mk_buf_init(ANSWER_MAX);
	long status;
	int r = start_connecting(ws, http, err);

	if (r == 0)
		r = finish_connecting(ws, deadline, err);
	if (r == 0)
		r = mk_handshake_key(&key, err);
	if (r < 0)
		return r;
	request = mk_handshake_request(http->base_url, path, protocols, key);
	mk_buf_adds(&ws->out, request);
	r = read_headers(ws, deadline, &headers, &rest, err);
	if (r < 0)
		return r;
	status = mk_handshake_status(&headers);
	mk_trace("%s: WebSocket %s: %ld", http->name, ws->name, status);
	if (status == 101) {
		mk_frames_feed(&ws->frames, rest.data, rest.len);
		return mk_handshake_check(&headers, protocols, key, &ws->protocol, err);
	}
	if (status == 0)
		return mk_fail(err, MK_EINVALID, "WebSocket %s: the answer is no HTTP", ws->name);
	read_body(ws, &headers, &rest);
	ret_answer->status = status;
	ret_answer->headers = headers;
	ret_answer->body = rest;
	headers = rest = (struct mk_buf){ .data = NULL };
	(void)mk_fail(err, MK_EREMOTE, "WebSocket %s: the peer answered %ld", ws->name, status);
	err->status = (int)status;
	return -MK_EREMOTE;
}

int mk_ws_open(struct mk_http *http, const char *path, const char *protocols, int64_t deadline,
	struct mk_ws **ret, struct mk_http_response *ret_answer, struct mk_error *err)
{
	MK_CLEANUP(mk_ws_freep) struct mk_ws *ws = mk_xcalloc(1, sizeof(*ws));
	int r;

	/* Without the query: it holds what is run. */
	ws->name = mk_xasprintf("%s%.*s", http->base_url, (int)strcspn(path, "?"), path);
	ws->fd = CURL_SOCKET_BAD;
	ws->frames = mk_frames_init(MK_MAX_WS_MESSAGE);
	ws->out = mk_buf_init(MK_MAX_WS_PENDING);
	ws->silent = true;
	r = open_ws(ws, http, path, protocols, deadline, ret_answer, err);
	if (r < 0)
		return r;
	ws->silent = false;
	*ret = MK_TAKE(ws);
	return 0;
}

int mk_ws_send(struct mk_ws *ws, const void *data, size_t len, struct mk_error *err)
{
	int r;

	if (ws->ended)
		return mk_fail(err, MK_ENET, "WebSocket %s: closed", ws->name);
	/* Checked before: half a frame would spoil the connection. */
	if (ws->out.max - ws->out.len < 16 || len > ws->out.max - ws->out.len - 16)
		return mk_fail(err, MK_EINVALID,
			"WebSocket %s: more than %zu bytes wait to be sent", ws->name, ws->out.max);
	r = mk_frame_write(&ws->out, MK_FRAME_BINARY, data, len, err);
	return r < 0 ? r : push(ws, err);
}

/* Best effort: a connection that no longer takes a goodbye is over anyway. */
static void send_control(struct mk_ws *ws, enum mk_frame_kind kind, const void *data, size_t len)
{
	mk_autoerror ignored = { .code = MK_OK };

	if (ws->silent || ws->out.max - ws->out.len < MK_FRAME_MAX_CONTROL + 16)
		return;
	if (mk_frame_write(&ws->out, kind, data, len, &ignored) == 0)
		(void)!push(ws, &ignored);
	ws->silent = kind == MK_FRAME_CLOSE;
}

static void send_close(struct mk_ws *ws, unsigned status)
{
	const unsigned char bytes[2] = { (unsigned char)(status >> 8), (unsigned char)status };

	send_control(ws, MK_FRAME_CLOSE, bytes, status == MK_CLOSE_NONE ? 0 : 2);
}

/* A peer's words in an error: what could play with a terminal is left out. */
static char *printable(const char *data, size_t len)
{
	char *text = mk_xstrndup(data, len);

	for (char *p = text; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = ' ';
	}
	return text;
}

static int take_close(struct mk_ws *ws, const struct mk_frame *frame, struct mk_error *err)
{
	mk_autofree char *reason = printable(frame->data, frame->len);

	ws->ended = true;
	send_close(ws, frame->status);
	if (frame->status == MK_CLOSE_NORMAL || frame->status == MK_CLOSE_AWAY ||
		frame->status == MK_CLOSE_NONE)
		return MK_WS_CLOSED;
	return mk_fail(err, MK_EREMOTE, "WebSocket %s: the peer closed it with status %u%s%s",
		ws->name, frame->status, *reason ? ": " : "", reason);
}

/* Beside an mk_ws_event: none yet. */
#define NOTHING 100

static int take_frames(struct mk_ws *ws, struct mk_ws_message *ret, struct mk_error *err)
{
	for (;;) {
		struct mk_frame frame;
		int r = mk_frames_next(&ws->frames, &frame, err);

		if (r < 0) {
			ws->ended = true;
			send_close(ws, MK_CLOSE_PROTOCOL);
			return mk_error_wrap(err, "%s", ws->name);
		}
		if (r == 0)
			return NOTHING;
		switch (frame.kind) {
		case MK_FRAME_BINARY:
			*ret = (struct mk_ws_message){ .data = frame.data, .len = frame.len };
			return MK_WS_MESSAGE;
		case MK_FRAME_CLOSE:
			return take_close(ws, &frame, err);
		case MK_FRAME_PING:
			send_control(ws, MK_FRAME_PONG, frame.data, frame.len);
			break;
		case MK_FRAME_PONG:
			break;
		}
	}
}

/* One look at all there is: an event, NOTHING, or -code. */
static int look(struct mk_ws *ws, struct mk_ws_message *ret, struct mk_error *err)
{
	for (;;) {
		char data[CHUNK];
		size_t n = 0;
		int r = take_frames(ws, ret, err);

		if (r != NOTHING)
			return r;
		r = push(ws, err);
		if (r == 0)
			r = pull(ws, data, &n, err);
		if (r <= 0)
			return r == 0 ? NOTHING : r;
		mk_frames_feed(&ws->frames, data, n);
	}
}

int mk_ws_wait(
	struct mk_ws *ws, int fd, int64_t deadline, struct mk_ws_message *ret, struct mk_error *err)
{
	/* In turns, or a peer that talks without end would never be talked to. */
	bool input = fd >= 0 && ws->last == MK_WS_MESSAGE && wait_for(ws, fd, 0);

	if (ws->ended)
		return MK_WS_CLOSED;
	while (!input) {
		int r = mk_interrupted() ? mk_fail_interrupted(err) : look(ws, ret, err);

		if (r != NOTHING) {
			ws->last = r;
			return r;
		}
		if (slice(deadline) == 0)
			return fail_late(ws, err);
		input = wait_for(ws, fd, slice(deadline));
	}
	ws->last = MK_WS_INPUT;
	return MK_WS_INPUT;
}

void mk_ws_free(struct mk_ws *ws)
{
	if (!ws)
		return;
	if (!ws->ended)
		send_close(ws, MK_CLOSE_NORMAL);
	if (ws->easy && ws->multi)
		(void)curl_multi_remove_handle(ws->multi, ws->easy);
	curl_easy_cleanup(ws->easy);
	if (ws->multi)
		(void)curl_multi_cleanup(ws->multi);
	mk_frames_done(&ws->frames);
	mk_buf_wipe(&ws->out);
	mk_wipe(ws->chunk, sizeof(ws->chunk));
	free(ws->name);
	free(ws->protocol);
	free(ws);
}

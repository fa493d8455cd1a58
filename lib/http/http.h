/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP client under the engine, Kubernetes, registry and download clients:
 * the only user of libcurl. A client is one peer with its TLS identity and a
 * pool of kept-alive connections; requests run one at a time, several at once,
 * or as a stream that the caller reads. One thread; every wait notices an
 * interrupt within 100 ms.
 *
 * An answer of any status is a success here: what a 404 means is the caller's
 * knowledge. Failures are MK_ENET (no connection, cut, TLS refused),
 * MK_ETIMEOUT, MK_EINTR, MK_EINVALID (answer larger than its cap), with
 * libcurl's words in the message.
 */
#ifndef MK_HTTP_HTTP_H
#define MK_HTTP_HTTP_H

#include "lib/base/buf.h"
#include "lib/base/str.h"

#include <stdint.h>

struct mk_http;
struct mk_http_stream;

struct mk_http_options {
	const char *name;        /* for trace lines and errors: "engine" */
	const char *base_url;    /* put before a request's path; "http://localhost" */
	const char *unix_socket; /* connect here instead of the URL's host, or NULL */
	const char *ca_pem;      /* the only CA trusted, or NULL for the system's */
	const char *cert_pem;    /* our certificate and key, or NULL */
	const char *key_pem;
	const char *user; /* basic auth, or NULL */
	const char *password;
	bool use_proxy; /* honour HTTPS_PROXY and NO_PROXY: only for downloads */
};

/**
 * Supply up to `cap` bytes of a request body. Returns the count, 0 at the end,
 * or -code after filling `err`, which makes the request fail with that error.
 */
typedef ssize_t (*mk_http_reader)(void *payload, void *data, size_t cap, struct mk_error *err);

struct mk_http_request {
	const char *method;               /* NULL is GET */
	const char *path;                 /* "/v1.41/info", or a whole http(s) URL */
	const char *content_type;         /* of the body, or NULL */
	const struct mk_strlist *headers; /* further "Name: value" lines, or NULL */
	const void *body;                 /* kept by the caller until the request ends */
	size_t body_len;
	mk_http_reader reader; /* instead of `body`, for large ones */
	void *reader_payload;
	int64_t reader_size; /* bytes it will give, or -1: sent chunked */
	int64_t timeout_ms;  /* for the whole request; 0 is none */
	int64_t stall_ms;    /* fail after this long without a byte; 0 is none */
	size_t max_body;     /* cap of a kept answer; 0 is MK_MAX_HTTP_BODY */
	bool follow;         /* follow up to 5 redirects, http(s) only */
	bool quiet;          /* leave it out of the trace: repeated probes */
};

struct mk_http_response {
	long status;
	struct mk_buf body;
	struct mk_buf headers; /* raw lines of the last answer */
};

/** Make a client; copies all strings, wipes the key at free. Connects to nothing yet. */
int mk_http_new(const struct mk_http_options *options, struct mk_http **ret,
	struct mk_error *err) MK_CHECKED;
void mk_http_free(struct mk_http *http);
MK_DEFINE_CLEANUP(struct mk_http *, mk_http_free);

void mk_http_response_done(struct mk_http_response *response);
#define mk_autoresponse MK_CLEANUP(mk_http_response_done) struct mk_http_response

/** Send one request and wait for the whole answer. `ret` is filled on success only. */
int mk_http_do(struct mk_http *http, const struct mk_http_request *request,
	struct mk_http_response *ret, struct mk_error *err) MK_CHECKED;

/**
 * Send `count` requests side by side and wait for all answers. On failure the
 * first error is returned, the others are abandoned, and `rets` holds nothing.
 */
int mk_http_do_all(struct mk_http *http, const struct mk_http_request *requests, size_t count,
	struct mk_http_response *rets, struct mk_error *err) MK_CHECKED;

/** The value of a header of the answer, without white space, or NULL. Caller frees. */
char *mk_http_header(const struct mk_http_response *response, const char *name);

/**
 * Send a request and return once the answer's header lines are in; the body is
 * read with mk_http_read. Close with mk_http_stream_free, before the client.
 */
int mk_http_open(struct mk_http *http, const struct mk_http_request *request,
	struct mk_http_stream **ret, struct mk_error *err) MK_CHECKED;

/**
 * As mk_http_open, without waiting: the request advances while any stream of
 * the client is read. No status and headers until mk_http_stream_answered.
 */
int mk_http_begin(struct mk_http *http, const struct mk_http_request *request,
	struct mk_http_stream **ret, struct mk_error *err) MK_CHECKED;
bool mk_http_stream_answered(const struct mk_http_stream *stream);
long mk_http_stream_status(const struct mk_http_stream *stream);

/** A header of the streamed answer, or NULL. Caller frees. */
char *mk_http_stream_header(const struct mk_http_stream *stream, const char *name);

/**
 * Read up to `cap` bytes of the body: the count, 0 at its end, -code on
 * failure. Waits at most until `deadline` (mk_deadline; -1 is for ever), then
 * MK_ETIMEOUT, after which the stream can still be read on.
 */
ssize_t mk_http_read(struct mk_http_stream *stream, void *data, size_t cap, int64_t deadline,
	struct mk_error *err) MK_CHECKED;

/** Give up the transfer if it still runs, and free the stream. */
void mk_http_stream_free(struct mk_http_stream *stream);
MK_DEFINE_CLEANUP(struct mk_http_stream *, mk_http_stream_free);

/** Read the rest of a stream into `ret` (append), up to its cap. */
int mk_http_read_all(struct mk_http_stream *stream, struct mk_buf *ret, int64_t deadline,
	struct mk_error *err) MK_CHECKED;

/**
 * Ask a URL until it answers 200, every 50 ms: MK_ETIMEOUT with the last refusal
 * when `deadline` (mk_deadline) passes, MK_EINTR.
 */
int mk_http_wait_ok(
	const char *base_url, const char *path, int64_t deadline, struct mk_error *err) MK_CHECKED;

/** Percent-encode one component of a URL (RFC 3986). Caller frees. */
char *mk_http_escape(const char *s);

#endif

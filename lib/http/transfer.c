/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request from set-up to result. libcurl's callbacks only move bytes and
 * note what went wrong; every decision is made after the transfer has ended.
 */
#include "lib/http/transfer.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"

#include <strings.h>

/* A stream's buffer; beyond it the peer waits until the reader has caught up. */
#define STREAM_WINDOW ((size_t)1024 * 1024)

/* A 3xx that names no other place is an answer like any other. */
static bool is_redirect(const struct mk_transfer *t)
{
	mk_autofree char *location = mk_transfer_header(&t->headers, "Location");

	return t->status >= 300 && t->status < 400 && location;
}

static size_t on_header(char *data, size_t size, size_t count, void *payload)
{
	struct mk_transfer *t = payload;
	size_t len = size * count;
	bool end = len <= 2 && (len == 0 || data[0] == '\r' || data[0] == '\n');

	/* A redirect or "100 Continue" starts anew: only the last answer counts. */
	if (len > 5 && strncasecmp(data, "HTTP/", 5) == 0)
		mk_buf_clear(&t->headers);
	mk_buf_add(&t->headers, data, len);
	if (t->headers.full)
		return 0;
	if (end) {
		(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
		t->headers_done = t->status >= 200 && !(t->request.follow && is_redirect(t));
	}
	return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *payload)
{
	struct mk_transfer *t = payload;
	size_t len = size * count;

	if (t->streamed && t->body.len >= STREAM_WINDOW) {
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	mk_buf_add(&t->body, data, len);
	return t->body.full ? 0 : len;
}

static size_t on_read(char *data, size_t size, size_t count, void *payload)
{
	struct mk_transfer *t = payload;
	ssize_t n = t->request.reader(
		t->request.reader_payload, data, size * count, &t->reader_error);

	return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

static void set_body(struct mk_transfer *t)
{
	const struct mk_http_request *request = &t->request;
	CURL *easy = t->easy;

	if (request->reader) {
		(void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		(void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
		(void)curl_easy_setopt(easy, CURLOPT_READDATA, t);
		(void)curl_easy_setopt(
			easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->reader_size);
		(void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
	} else if (request->body || mk_streq(t->method, "POST") || mk_streq(t->method, "PUT") ||
		mk_streq(t->method, "PATCH")) {
		(void)curl_easy_setopt(
			easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
		(void)curl_easy_setopt(
			easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
	}
	if (mk_streq(t->method, "HEAD"))
		(void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else
		(void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, t->method);
}

static void add_header(struct mk_transfer *t, const char *line)
{
	struct curl_slist *longer = curl_slist_append(t->header_list, line);

	/* NULL is libcurl out of memory: the request then fails at the peer. */
	if (longer)
		t->header_list = longer;
}

static void set_headers(struct mk_transfer *t)
{
	mk_autofree char *type = mk_xasprintf("Content-Type: %s",
		t->request.content_type ? t->request.content_type : "application/json");

	/* No "Expect: 100-continue": it costs a round trip, and unix sockets hang on it. */
	add_header(t, "Expect:");
	if (t->request.body || t->request.reader)
		add_header(t, type);
	else
		add_header(t, "Content-Type:");
	for (size_t i = 0; t->request.headers && i < t->request.headers->count; i++)
		add_header(t, t->request.headers->items[i]);
	(void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->header_list);
}

static void set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob = { .flags = CURL_BLOB_COPY };

	if (!pem)
		return;
	blob.data = (void *)(uintptr_t)pem;
	blob.len = strlen(pem);
	(void)curl_easy_setopt(easy, option, &blob);
}

void mk_transfer_identify(const struct mk_http *http, CURL *easy)
{
	set_blob(easy, CURLOPT_CAINFO_BLOB, http->ca_pem);
	set_blob(easy, CURLOPT_SSLCERT_BLOB, http->cert_pem);
	set_blob(easy, CURLOPT_SSLKEY_BLOB, http->key_pem);
	(void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (http->unix_socket)
		(void)curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->unix_socket);
	if (!http->use_proxy)
		(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (http->user) {
		(void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		(void)curl_easy_setopt(easy, CURLOPT_USERNAME, http->user);
		(void)curl_easy_setopt(easy, CURLOPT_PASSWORD, http->password);
	}
}

static void set_options(struct mk_transfer *t)
{
	CURL *easy = t->easy;
	int64_t stall_s = (t->request.stall_ms + 999) / 1000;

	(void)curl_easy_setopt(easy, CURLOPT_URL, t->url);
	(void)curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
	(void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_words);
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, t->request.follow ? 1L : 0L);
	(void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 5L);
	(void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "mkcluster");
	(void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)MK_CONNECT_TIMEOUT_MS);
	(void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)t->request.timeout_ms);
	(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, stall_s > 0 ? 1L : 0L);
	(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)stall_s);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	(void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
	(void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

int mk_transfer_start(struct mk_http *http, const struct mk_http_request *request, bool streamed,
	struct mk_transfer **ret, struct mk_error *err)
{
	struct mk_transfer *t = mk_xcalloc(1, sizeof(*t));
	bool absolute = mk_after_prefix(request->path, "http://") ||
		mk_after_prefix(request->path, "https://");

	t->http = http;
	t->request = *request;
	t->streamed = streamed;
	t->started_ms = mk_now_ms();
	t->method = mk_xstrdup(request->method ? request->method : "GET");
	t->url = absolute ? mk_xstrdup(request->path)
			  : mk_xasprintf("%s%s", http->base_url, request->path);
	t->headers = mk_buf_init(MK_MAX_HTTP_HEADERS);
	/* One read of libcurl's may pass the window: it is a mark, not a wall. */
	t->body = mk_buf_init(streamed      ? STREAM_WINDOW + MK_MIB
			: request->max_body ? request->max_body
					    : MK_MAX_HTTP_BODY);
	t->easy = curl_easy_init();
	if (!t->easy) {
		mk_transfer_free(t);
		return mk_fail(err, MK_EFAIL, "libcurl: no handle");
	}
	set_options(t);
	mk_transfer_identify(http, t->easy);
	set_body(t);
	set_headers(t);
	if (curl_multi_add_handle(http->multi, t->easy) != CURLM_OK) {
		mk_transfer_free(t);
		return mk_fail(err, MK_EFAIL, "libcurl: cannot start a request");
	}
	*ret = t;
	return 0;
}

static void note_finished(struct mk_http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct mk_transfer *t = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		t->result = message->data.result;
		t->done = true;
		(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
		if (!t->request.quiet)
			mk_trace("%s: %s %s: %ld %s (%lld ms)", http->name, t->method, t->url,
				t->status,
				t->result == CURLE_OK ? "" : curl_easy_strerror(t->result),
				(long long)(mk_now_ms() - t->started_ms));
	}
}

int mk_transfer_drive(struct mk_http *http, int ms, struct mk_error *err)
{
	int running;
	CURLMcode code;

	if (mk_interrupted())
		return mk_fail_interrupted(err);
	code = curl_multi_perform(http->multi, &running);
	note_finished(http);
	if (code == CURLM_OK && running > 0 && ms > 0) {
		code = curl_multi_poll(http->multi, NULL, 0, ms, NULL);
		if (code == CURLM_OK)
			code = curl_multi_perform(http->multi, &running);
		note_finished(http);
	}
	if (code != CURLM_OK)
		return mk_fail(err, MK_EFAIL, "libcurl: %s", curl_multi_strerror(code));
	return 0;
}

static enum mk_code code_of(CURLcode result)
{
	return result == CURLE_OPERATION_TIMEDOUT ? MK_ETIMEOUT : MK_ENET;
}

int mk_transfer_result(struct mk_transfer *t, struct mk_error *err)
{
	const char *where = t->http->unix_socket ? t->http->unix_socket : NULL;

	if (t->result == CURLE_OK)
		return 0;
	if (t->reader_error.code != MK_OK) {
		mk_error_move(err, &t->reader_error);
		return -(int)err->code;
	}
	if (t->body.full || t->headers.full)
		return mk_fail(err, MK_EINVALID, "%s %s: the answer is larger than %zu bytes",
			t->method, t->url, t->body.full ? t->body.max : t->headers.max);
	return mk_fail(err, code_of(t->result), "%s %s%s%s%s: %s", t->method, t->url,
		where ? " (" : "", where ? where : "", where ? ")" : "",
		t->curl_words[0] ? t->curl_words : curl_easy_strerror(t->result));
}

void mk_transfer_free(struct mk_transfer *t)
{
	if (!t)
		return;
	if (t->easy) {
		(void)curl_multi_remove_handle(t->http->multi, t->easy);
		curl_easy_cleanup(t->easy);
	}
	curl_slist_free_all(t->header_list);
	free(t->method);
	free(t->url);
	mk_buf_wipe(&t->headers);
	mk_buf_wipe(&t->body);
	mk_error_done(&t->reader_error);
	free(t);
}

char *mk_transfer_header(const struct mk_buf *headers, const char *name)
{
	const char *line = headers->data;
	size_t n = strlen(name);

	while (line && *line) {
		size_t len = strcspn(line, "\r\n");

		if (len > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
			const char *value = line + n + 1;
			const char *end = line + len;

			value += strspn(value, " \t");
			while (end > value && strchr(" \t", end[-1]))
				end--;
			return mk_xstrndup(value, end > value ? (size_t)(end - value) : 0);
		}
		line += len;
		line += strspn(line, "\r\n");
	}
	return NULL;
}

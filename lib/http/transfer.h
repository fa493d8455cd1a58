/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/http: one request on its way, between libcurl's callbacks and
 * the public functions.
 */
#ifndef MK_HTTP_TRANSFER_H
#define MK_HTTP_TRANSFER_H

#include "lib/http/http.h"

#include <curl/curl.h>

#define MK_HTTP_CONNECTIONS 8L

struct mk_http {
	CURLM *multi;
	char *name;
	char *base_url;
	char *unix_socket;
	char *ca_pem;
	char *cert_pem;
	char *key_pem;
	char *user;
	char *password;
	bool use_proxy;
};

struct mk_transfer {
	struct mk_http *http;
	CURL *easy;
	struct curl_slist *header_list;
	struct mk_http_request request; /* strings are the caller's, valid while it runs */
	char *method;                   /* our own copies, for errors and traces */
	char *url;
	struct mk_buf headers;
	struct mk_buf body;
	struct mk_error reader_error;
	char curl_words[CURL_ERROR_SIZE];
	int64_t started_ms;
	CURLcode result;
	long status;
	size_t sent;   /* bytes of `request.body` already given */
	bool streamed; /* the body is read by a stream: pause instead of failing */
	bool paused;
	bool headers_done;
	bool done;
};

/** Start a request; it advances only inside mk_transfer_drive. */
int mk_transfer_start(struct mk_http *http, const struct mk_http_request *request, bool streamed,
	struct mk_transfer **ret, struct mk_error *err) MK_CHECKED;

/** Let all transfers of the client advance, waiting up to `ms` for something. */
int mk_transfer_drive(struct mk_http *http, int ms, struct mk_error *err) MK_CHECKED;

/** 0 when a finished transfer has a whole answer, else its error. */
int mk_transfer_result(struct mk_transfer *t, struct mk_error *err) MK_CHECKED;
void mk_transfer_free(struct mk_transfer *t);

/** Give a handle the client's TLS identity, socket, proxy and password. */
void mk_transfer_identify(const struct mk_http *http, CURL *easy);

/** The value of a header line, as mk_http_header. Caller frees. */
char *mk_transfer_header(const struct mk_buf *headers, const char *name);

#endif

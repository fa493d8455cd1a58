/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients, whole requests, and several at once. All transfers of a client run
 * on one multi handle, which owns the connection pool; transfer.c sets up and
 * drives them, stream.c reads them piece by piece.
 */
#include "lib/http/http.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/http/transfer.h"

int mk_http_new(const struct mk_http_options *options, struct mk_http **ret, struct mk_error *err)
{
	struct mk_http *http;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return mk_fail(err, MK_EFAIL, "libcurl does not start");
	http = mk_xcalloc(1, sizeof(*http));
	http->multi = curl_multi_init();
	if (!http->multi) {
		free(http);
		return mk_fail(err, MK_EFAIL, "libcurl: no multi handle");
	}
	(void)curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, MK_HTTP_CONNECTIONS);
	(void)curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, MK_HTTP_CONNECTIONS * 2L);
	http->name = mk_xstrdup(options->name);
	http->base_url = mk_xstrdup(options->base_url ? options->base_url : "");
	http->unix_socket = options->unix_socket ? mk_xstrdup(options->unix_socket) : NULL;
	http->ca_pem = options->ca_pem ? mk_xstrdup(options->ca_pem) : NULL;
	http->cert_pem = options->cert_pem ? mk_xstrdup(options->cert_pem) : NULL;
	http->key_pem = options->key_pem ? mk_xstrdup(options->key_pem) : NULL;
	http->user = options->user ? mk_xstrdup(options->user) : NULL;
	http->password = options->password ? mk_xstrdup(options->password) : NULL;
	http->use_proxy = options->use_proxy;
	*ret = http;
	return 0;
}

void mk_http_free(struct mk_http *http)
{
	if (!http)
		return;
	(void)curl_multi_cleanup(http->multi);
	free(http->name);
	free(http->base_url);
	free(http->unix_socket);
	free(http->ca_pem);
	free(http->cert_pem);
	mk_secret_free(http->key_pem);
	free(http->user);
	mk_secret_free(http->password);
	free(http);
}

void mk_http_response_done(struct mk_http_response *response)
{
	/* Answers carry Secrets as often as not: all of them are wiped. */
	mk_buf_wipe(&response->body);
	mk_buf_wipe(&response->headers);
	*response = (struct mk_http_response){ .status = 0 };
}

static void give_response(struct mk_transfer *t, struct mk_http_response *ret)
{
	ret->status = t->status;
	ret->body = t->body;
	ret->headers = t->headers;
	t->body = (struct mk_buf){ .data = NULL };
	t->headers = (struct mk_buf){ .data = NULL };
}

int mk_http_do_all(struct mk_http *http, const struct mk_http_request *requests, size_t count,
	struct mk_http_response *rets, struct mk_error *err)
{
	struct mk_transfer **transfers = mk_xcalloc(count, sizeof(struct mk_transfer *));
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = mk_transfer_start(
			http, &requests[i], /* streamed= */ false, &transfers[i], err);
	for (size_t i = 0; i < count && r == 0; i++) {
		while (!transfers[i]->done && r == 0)
			r = mk_transfer_drive(http, 100, err);
		if (r == 0)
			r = mk_transfer_result(transfers[i], err);
	}
	for (size_t i = 0; i < count; i++) {
		if (r == 0)
			give_response(transfers[i], &rets[i]);
		mk_transfer_free(transfers[i]);
	}
	free(transfers);
	return r;
}

int mk_http_do(struct mk_http *http, const struct mk_http_request *request,
	struct mk_http_response *ret, struct mk_error *err)
{
	return mk_http_do_all(http, request, 1, ret, err);
}

int mk_http_wait_ok(const char *base_url, const char *path, int64_t deadline, struct mk_error *err)
{
	MK_CLEANUP(mk_http_freep) struct mk_http *http = NULL;
	struct mk_http_options options = { .name = "probe", .base_url = base_url };
	struct mk_http_request request = { .path = path, .timeout_ms = 5000 };
	int r = mk_http_new(&options, &http, err);

	while (r == 0) {
		mk_autoresponse response = { .status = 0 };

		r = mk_http_do(http, &request, &response, err);
		if (r == 0 && response.status == 200)
			return 0;
		if (r == -MK_EINTR)
			return r;
		if (r == 0)
			(void)mk_fail(
				err, MK_EREMOTE, "GET %s%s: %ld", base_url, path, response.status);
		if (mk_remaining_ms(deadline) == 0)
			return mk_error_recode(err, MK_ETIMEOUT);
		r = mk_sleep_ms(50, err);
	}
	return r;
}

char *mk_http_header(const struct mk_http_response *response, const char *name)
{
	return mk_transfer_header(&response->headers, name);
}

char *mk_http_escape(const char *s)
{
	char *escaped = curl_easy_escape(NULL, s, 0);
	char *copy = mk_xstrdup(escaped ? escaped : "");

	curl_free(escaped);
	return copy;
}

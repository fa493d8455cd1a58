/* SPDX-License-Identifier: Apache-2.0 */
/* Opening streams to a pod, and logs; exec.c and forward.c speak over them. */
#include "lib/kube/stream.h"

#include "lib/base/limits.h"
#include "lib/kube/pod-socket.h"

char *mk_pod_path(const struct mk_pod *pod, const char *subresource)
{
	mk_autofree char *namespace = mk_http_escape(pod->namespace);
	mk_autofree char *name = mk_http_escape(pod->name);

	return mk_xasprintf("/api/v1/namespaces/%s/pods/%s/%s", namespace, name, subresource);
}

void mk_query_add(struct mk_buf *query, const char *name, const char *value)
{
	mk_autofree char *escaped = mk_http_escape(value);

	mk_buf_addf(query, "%s%s=%s", strchr(query->data, '?') ? "&" : "?", name, escaped);
}

int mk_pod_socket(struct mk_kube *kube, const char *path, const char *protocols, int64_t deadline,
	struct mk_ws **ret, struct mk_error *err)
{
	mk_autoresponse answer = { .status = 0 };
	mk_autofree char *shown = mk_xstrndup(path, strcspn(path, "?"));
	int r = mk_ws_open(mk_kube_http(kube), path, protocols, deadline, ret, &answer, err);

	if (r == -MK_EREMOTE && answer.status > 0)
		return mk_kube_refused("GET", shown, &answer, err);
	return r;
}

static char *logs_path(const struct mk_pod *pod, const struct mk_logs *logs)
{
	mk_autofree char *plain = mk_pod_path(pod, "log");
	struct mk_buf path = mk_buf_init(MK_MAX_HTTP_HEADERS);
	mk_autofree char *tail = mk_xasprintf("%lld", (long long)logs->tail);
	mk_autofree char *limit = mk_xasprintf("%lld", (long long)logs->limit_bytes);

	mk_buf_adds(&path, plain);
	if (pod->container)
		mk_query_add(&path, "container", pod->container);
	if (logs->follow)
		mk_query_add(&path, "follow", "true");
	if (logs->previous)
		mk_query_add(&path, "previous", "true");
	if (logs->timestamps)
		mk_query_add(&path, "timestamps", "true");
	if (logs->tail > 0)
		mk_query_add(&path, "tailLines", tail);
	if (logs->limit_bytes > 0)
		mk_query_add(&path, "limitBytes", limit);
	return mk_buf_detach(&path);
}

/* `first` is what has been read of the reason. */
static int refused_logs(struct mk_http_stream *stream, const char *path, const char *first,
	size_t len, int64_t deadline, struct mk_error *err)
{
	struct mk_http_response answer = {
		.status = mk_http_stream_status(stream),
		.body = mk_buf_init(65536),
	};
	int r;

	mk_buf_add(&answer.body, first, len);
	(void)!mk_http_read_all(stream, &answer.body, deadline, err);
	r = mk_kube_refused("GET", path, &answer, err);
	mk_http_response_done(&answer);
	return r;
}

int mk_kube_logs(struct mk_kube *kube, const struct mk_pod *pod, const struct mk_logs *logs,
	int64_t deadline, mk_stream_sink sink, void *payload, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autofree char *path = logs_path(pod, logs);
	struct mk_http_request request = { .path = path };
	char chunk[16384];
	/* Begun, not opened: the header lines, too, must come before the deadline. */
	int r = mk_http_begin(mk_kube_http(kube), &request, &stream, err);

	while (r == 0) {
		ssize_t n = mk_http_read(stream, chunk, sizeof(chunk), deadline, err);

		if (n < 0)
			return (int)n;
		if (mk_http_stream_status(stream) >= 400)
			return refused_logs(stream, path, chunk, (size_t)n, deadline, err);
		if (n == 0)
			return 0;
		r = sink(payload, MK_STREAM_OUT, chunk, (size_t)n, err);
	}
	return r < 0 ? r : 0;
}

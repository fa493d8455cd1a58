/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a pod's port: one channel for its bytes, one for what went wrong. */
#include "lib/base/limits.h"
#include "lib/kube/pod-socket.h"

#define PROTOCOLS "v4.channel.k8s.io"
#define DATA_CHANNEL 0
#define ERROR_CHANNEL 1
#define PORT_BYTES 2 /* each channel begins with its port's number */

struct mk_forward {
	struct mk_ws *ws;
	char *name;
	struct mk_ws_message rest; /* what a read has left of a message */
	size_t skip[2];
	struct mk_buf error;
};

int mk_forward_open(struct mk_kube *kube, const struct mk_pod *pod, unsigned port, int64_t deadline,
	struct mk_forward **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_forward_freep) struct mk_forward *forward = mk_xcalloc(1, sizeof(*forward));
	mk_autofree char *plain = mk_pod_path(pod, "portforward");
	mk_autofree char *path = mk_xasprintf("%s?ports=%u", plain, port);
	int r;

	forward->name = mk_xasprintf("port %u of pod %s/%s", port, pod->namespace, pod->name);
	forward->error = mk_buf_init(4096);
	forward->skip[DATA_CHANNEL] = forward->skip[ERROR_CHANNEL] = PORT_BYTES;
	r = mk_pod_socket(kube, path, PROTOCOLS, deadline, &forward->ws, err);
	if (r < 0)
		return mk_error_wrap(err, "%s", forward->name);
	*ret = MK_TAKE(forward);
	return 0;
}

int mk_forward_send(struct mk_forward *forward, const void *data, size_t len, struct mk_error *err)
{
	const char *bytes = data;
	char message[16384] = { DATA_CHANNEL };

	while (len > 0) {
		size_t n = len < sizeof(message) - 1 ? len : sizeof(message) - 1;
		int r;

		memcpy(message + 1, bytes, n);
		r = mk_ws_send(forward->ws, message, n + 1, err);
		if (r < 0)
			return r;
		bytes += n;
		len -= n;
	}
	return 0;
}

size_t mk_forward_pending(const struct mk_forward *forward)
{
	return mk_ws_pending(forward->ws);
}

int mk_forward_fd(const struct mk_forward *forward)
{
	return mk_ws_fd(forward->ws);
}

static void take_message(struct mk_forward *forward, struct mk_ws_message m)
{
	unsigned channel = m.len > 0 ? (unsigned char)m.data[0] : UINT8_MAX;
	size_t skip;

	if (channel > ERROR_CHANNEL)
		return;
	m.data++;
	m.len--;
	skip = m.len < forward->skip[channel] ? m.len : forward->skip[channel];
	forward->skip[channel] -= skip;
	m.data += skip;
	m.len -= skip;
	if (channel == DATA_CHANNEL)
		forward->rest = m;
	else
		mk_buf_add(&forward->error, m.data, m.len);
}

static int failed(const struct mk_forward *forward, struct mk_error *err)
{
	return mk_fail(err, MK_EREMOTE, "%s: %.500s", forward->name, forward->error.data);
}

ssize_t mk_forward_read(
	struct mk_forward *forward, void *data, size_t cap, int64_t deadline, struct mk_error *err)
{
	size_t n;

	while (forward->rest.len == 0) {
		struct mk_ws_message message;
		int r = mk_ws_wait(forward->ws, -1, deadline, &message, err);

		if (r == MK_WS_MESSAGE)
			take_message(forward, message);
		if (forward->error.len > 0)
			return failed(forward, err);
		if (r < 0)
			return mk_error_wrap(err, "%s", forward->name);
		if (r == MK_WS_CLOSED)
			return 0;
	}
	n = forward->rest.len < cap ? forward->rest.len : cap;
	memcpy(data, forward->rest.data, n);
	forward->rest.data += n;
	forward->rest.len -= n;
	return (ssize_t)n;
}

void mk_forward_free(struct mk_forward *forward)
{
	if (!forward)
		return;
	mk_ws_free(forward->ws);
	mk_buf_done(&forward->error);
	free(forward->name);
	free(forward);
}

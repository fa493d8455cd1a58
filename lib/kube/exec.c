/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in pods: the channels are the command's descriptors, and two more. */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/kube/pod-socket.h"

#include <errno.h>
#include <unistd.h>

/* v5 is v4 with a way to end a channel. */
#define V5 "v5.channel.k8s.io"
#define PROTOCOLS V5 ", v4.channel.k8s.io"

#define STDIN_CHANNEL 0
#define STATUS_CHANNEL 3 /* a Status object, when the command has ended */
#define RESIZE_CHANNEL 4
#define END_CHANNEL 255 /* v5: the channel named in the next byte ends */

/* With the status, all is said: how long the close may still take. */
#define CLOSE_MS 5000

struct session {
	const struct mk_exec *exec;
	struct mk_ws *ws;
	struct mk_buf status;
	bool input_open;
	bool enough; /* the sink's word */
};

static void session_done(struct session *s)
{
	mk_ws_free(s->ws);
	mk_buf_wipe(&s->status);
}

static char *exec_path(const struct mk_pod *pod, const struct mk_exec *exec)
{
	mk_autofree char *plain = mk_pod_path(pod, "exec");
	struct mk_buf path = mk_buf_init(MK_MAX_HTTP_HEADERS);

	mk_buf_adds(&path, plain);
	for (size_t i = 0; exec->argv[i]; i++)
		mk_query_add(&path, "command", exec->argv[i]);
	if (pod->container)
		mk_query_add(&path, "container", pod->container);
	if (exec->interactive)
		mk_query_add(&path, "stdin", "true");
	mk_query_add(&path, "stdout", "true");
	/* A terminal has one screen. */
	mk_query_add(&path, exec->tty ? "tty" : "stderr", "true");
	return mk_buf_detach(&path);
}

static int send_size(struct session *s, struct mk_error *err)
{
	unsigned columns = 0, rows = 0;
	mk_autofree char *text = NULL;

	if (!s->exec->tty || !s->exec->resized ||
		!s->exec->resized(s->exec->payload, &columns, &rows))
		return 0;
	text = mk_xasprintf("%c{\"Width\":%u,\"Height\":%u}", RESIZE_CHANNEL, columns, rows);
	return mk_ws_send(s->ws, text, strlen(text), err);
}

static int send_input(struct session *s, struct mk_error *err)
{
	char message[16384];
	ssize_t n = read(s->exec->input, message + 1, sizeof(message) - 1);
	int r = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return mk_fail_errno(err, "read standard input");
	message[0] = STDIN_CHANNEL;
	if (n > 0) {
		r = mk_ws_send(s->ws, message, (size_t)n + 1, err);
		mk_wipe(message, sizeof(message));
		return r;
	}
	s->input_open = false;
	message[0] = (char)END_CHANNEL;
	message[1] = STDIN_CHANNEL;
	/* By v4 the command never sees the end of its input. */
	if (mk_streq(mk_ws_protocol(s->ws), V5))
		r = mk_ws_send(s->ws, message, 2, err);
	return r;
}

static int take_message(struct session *s, const struct mk_ws_message *m, struct mk_error *err)
{
	int r;

	if (m->len < 2)
		return 0;
	switch ((unsigned char)m->data[0]) {
	case MK_STREAM_OUT:
	case MK_STREAM_ERR:
		if (!s->exec->sink)
			return 0;
		r = s->exec->sink(
			s->exec->payload, (enum mk_stream)m->data[0], m->data + 1, m->len - 1, err);
		s->enough = r > 0;
		return r < 0 ? r : 0;
	case STATUS_CHANNEL:
		mk_buf_add(&s->status, m->data + 1, m->len - 1);
		return mk_buf_check(&s->status, "the status of a command", err);
	default:
		return 0;
	}
}

/* 0 when it has ended, MK_ETIMEOUT when not in time. */
static int run(struct session *s, int64_t deadline, struct mk_error *err)
{
	for (;;) {
		bool ticks = s->exec->tty && s->exec->resized;
		int64_t tick = mk_deadline(100);
		bool is_tick = ticks && (deadline < 0 || tick < deadline);
		struct mk_ws_message message;
		int r = send_size(s, err);

		if (r < 0)
			return r;
		r = mk_ws_wait(s->ws, s->input_open ? s->exec->input : -1,
			is_tick ? tick : deadline, &message, err);
		if (r == -MK_ETIMEOUT && is_tick)
			continue;
		if (r == MK_WS_MESSAGE)
			r = take_message(s, &message, err);
		else if (r == MK_WS_INPUT)
			r = send_input(s, err);
		else
			return r;
		if (r < 0 || s->enough)
			return r;
		if (s->status.len > 0 && (deadline < 0 || mk_remaining_ms(deadline) > CLOSE_MS))
			deadline = mk_deadline(CLOSE_MS);
	}
}

static int exit_status(const json_t *status, int *ret)
{
	const json_t *cause;
	uint64_t number;
	size_t i;

	if (mk_streq(mk_json_str(status, "status", ""), "Success")) {
		*ret = 0;
		return 0;
	}
	json_array_foreach (mk_json_at(status, "details.causes"), i, cause) {
		if (mk_streq(mk_json_str(cause, "reason", ""), "ExitCode") &&
			mk_parse_uint(mk_json_str(cause, "message", ""), 0, 255, &number)) {
			*ret = (int)number;
			return 0;
		}
	}
	return -1;
}

/* What the status channel has said. */
static int judge(const struct mk_buf *text, int *ret, struct mk_error *err)
{
	mk_autojson *status = NULL;
	int r;

	if (text->len == 0)
		return mk_fail(err, MK_ENET, "it ended without a status");
	r = mk_json_parse(text->data, text->len, "the status of a command", &status, err);
	if (r < 0)
		return r;
	if (exit_status(status, ret) == 0)
		return 0;
	return mk_fail(
		err, MK_EREMOTE, "%.500s", mk_json_str(status, "message", "no reason given"));
}

int mk_kube_exec(struct mk_kube *kube, const struct mk_pod *pod, const struct mk_exec *exec,
	int64_t deadline, int *ret_status, struct mk_error *err)
{
	MK_CLEANUP(session_done)
	struct session s = {
		.exec = exec,
		.status = mk_buf_init(65536),
		.input_open = exec->interactive,
	};
	mk_autofree char *path = exec_path(pod, exec);
	int r = mk_pod_socket(kube, path, PROTOCOLS, deadline, &s.ws, err);

	*ret_status = -1;
	if (r == 0)
		r = run(&s, deadline, err);
	if (s.enough && r == 0)
		return 0;
	/* After the status, a close that does not come, or is a cut, is no loss. */
	if (r == -MK_ENET || r == -MK_ETIMEOUT)
		r = s.status.len > 0 ? 0 : r;
	if (r == 0)
		r = judge(&s.status, ret_status, err);
	if (r == 0)
		mk_error_done(err);
	else if (r != -MK_EINTR)
		(void)mk_error_wrap(
			err, "run '%s' in pod %s/%s", exec->argv[0], pod->namespace, pod->name);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Checks with a pod: manifests/verify/probe.yaml says what runs in it. */
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/cluster/dns_message.h"
#include "lib/cluster/verification.h"
#include "lib/kube/apply.h"
#include "lib/kube/stream.h"
#include "lib/kube/watch.h"
#include "manifests/render.h"

#define PROBE "probe"
#define HTTP_PORT 8080
#define DNS_PORT 5300
#define DNS_NAME "kubernetes.default.svc.cluster.local"

/* How long the log may take to show what was printed before. */
#define LOG_MS 3000

int mk_verify_begin_deployment(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	const char *image = mk_json_str(v->images, "coredns", NULL);
	mk_autorender render = mk_render_init();
	mk_autojson *objects = NULL;
	int r;

	(void)ret_note;
	if (!image)
		return mk_fail(err, MK_EHOST, "the node image does not say what its CoreDNS is");
	mk_render_set(&render, "NAMESPACE", v->namespace);
	mk_render_set(&render, "RUN", v->run_id);
	mk_render_set(&render, "MARKER", v->namespace);
	mk_render_set(&render, "PROBE_IMAGE", image);
	r = mk_render_objects(&render, "verify/probe.yaml", &objects, err);
	if (r < 0)
		return r;
	v->namespace_made = true;
	mk_interrupt_delay(MK_VERIFY_SETTLE_MS);
	r = mk_kube_apply(v->kube, objects, err);
	mk_interrupt_delay(0);
	return r;
}

/* Why a pod does not run: its container's reason, or the scheduler's. */
static const char *reason_of(const json_t *pod, const char **ret_message)
{
	const json_t *item;
	size_t i;

	json_array_foreach (mk_json_at(pod, "status.containerStatuses"), i, item) {
		const char *reason = mk_json_str(item, "state.waiting.reason", NULL);

		*ret_message = mk_json_str(item, "state.waiting.message", "");
		if (reason)
			return reason;
	}
	json_array_foreach (mk_json_at(pod, "status.conditions"), i, item) {
		*ret_message = mk_json_str(item, "message", "");
		if (!mk_streq(mk_json_str(item, "status", ""), "True") && **ret_message)
			return mk_json_str(item, "type", "?");
	}
	*ret_message = mk_json_str(pod, "status.message", "");
	return mk_json_str(pod, "status.phase", "?");
}

void mk_verify_explain_pods(struct mk_verification *v, const char *namespace, const char *selector,
	struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf(
		"/api/v1/namespaces/%s/pods?labelSelector=%s", namespace, selector);
	mk_autoerror ignored = { .code = MK_OK };
	mk_autojson *list = NULL;
	const json_t *pod;
	const char *node, *reason, *message = "";

	if (mk_kube_call(v->kube, "GET", path, NULL, &list, &ignored) < 0)
		return;
	pod = json_array_get(json_object_get(list, "items"), 0);
	if (!pod) {
		(void)mk_error_wrap(err, "no pod was made");
		return;
	}
	reason = reason_of(pod, &message);
	node = mk_json_str(pod, "spec.nodeName", NULL);
	(void)mk_error_wrap(err, "pod %s%s%s: %s%s%.300s", mk_json_str(pod, "metadata.name", ""),
		node ? " on " : "", node ? node : "", reason, *message ? ": " : "", message);
}

/* The pod that is Ready. */
static int find_pod(struct mk_verification *v, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf(
		"/api/v1/namespaces/%s/pods?labelSelector=app%%3D" PROBE, v->namespace);
	mk_autojson *list = NULL;
	const json_t *pod;
	size_t i;
	int r = mk_kube_call(v->kube, "GET", path, NULL, &list, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(list, "items"), i, pod) {
		if (!mk_kube_condition(pod, "Ready"))
			continue;
		v->pod = mk_xstrdup(mk_json_str(pod, "metadata.name", ""));
		v->pod_node = mk_xstrdup(mk_json_str(pod, "spec.nodeName", "?"));
		return 0;
	}
	return mk_fail(err, MK_EREMOTE, "its pod is Ready no more");
}

int mk_verify_deployment(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	mk_autostrlist names = { .items = NULL };
	int r;

	mk_strlist_addf(&names, "%s/" PROBE, v->namespace);
	r = mk_kube_wait_deployments(
		v->kube, &names, mk_verify_deadline(v, MK_VERIFY_WAIT_MS), NULL, NULL, err);
	if (r == -MK_ETIMEOUT)
		mk_verify_explain_pods(v, v->namespace, "app%3D" PROBE, err);
	if (r == 0)
		r = find_pod(v, err);
	if (r == 0)
		*ret_note = mk_xasprintf("on %s", v->pod_node);
	return r;
}

static struct mk_pod the_pod(const struct mk_verification *v)
{
	return (struct mk_pod){ .namespace = v->namespace, .name = v->pod, .container = PROBE };
}

static int collect(
	void *payload, enum mk_stream stream, const void *data, size_t len, struct mk_error *err)
{
	struct mk_buf *text = payload;

	(void)stream;
	(void)err;
	mk_buf_add(text, data, len);
	return text->full ? 1 : 0;
}

/* The first line of a text, for a note or an error. Caller frees. */
static char *first_line(const char *text)
{
	return mk_xstrndup(
		text, strnlen(text, 200) < strcspn(text, "\r\n") ? 200 : strcspn(text, "\r\n"));
}

int mk_verify_exec(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	static const char *const argv[] = { "/coredns", "-version", NULL };
	mk_autobuf text = mk_buf_init(4096);
	struct mk_pod pod = the_pod(v);
	struct mk_exec exec = { .argv = argv, .sink = collect, .payload = &text };
	mk_autofree char *line = NULL;
	int status = 0;
	int r = mk_kube_exec(
		v->kube, &pod, &exec, mk_verify_deadline(v, MK_VERIFY_ANSWER_MS), &status, err);

	if (r < 0)
		return r;
	line = first_line(text.data);
	if (status != 0 || !mk_after_prefix(line, "CoreDNS-"))
		return mk_fail(err, MK_EREMOTE, "/coredns -version ended with status %d: %s",
			status, line);
	*ret_note = MK_TAKE(line);
	return 0;
}

/* A log that is read until it holds what it must. */
struct looking {
	struct mk_buf text;
	const char *words;
	bool found;
};

static int look(
	void *payload, enum mk_stream stream, const void *data, size_t len, struct mk_error *err)
{
	struct looking *looking = payload;

	(void)stream;
	(void)err;
	mk_buf_add(&looking->text, data, len);
	looking->found = strstr(looking->text.data, looking->words) != NULL;
	return looking->found || looking->text.full ? 1 : 0;
}

int mk_verify_logs(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	mk_autofree char *words = mk_xasprintf("%s.:%d\n", v->namespace, DNS_PORT);
	struct looking looking = { .text = mk_buf_init(65536), .words = words };
	struct mk_logs logs = { .follow = true, .limit_bytes = 65536 };
	struct mk_pod pod = the_pod(v);
	int r = mk_kube_logs(
		v->kube, &pod, &logs, mk_verify_deadline(v, LOG_MS), look, &looking, err);

	mk_buf_done(&looking.text);
	if ((r == 0 || r == -MK_ETIMEOUT) && !looking.found)
		return mk_fail(err, MK_EREMOTE,
			"the pod printed '%s.:%d', and its log does not have it", v->namespace,
			DNS_PORT);
	if (r == 0)
		*ret_note = mk_xasprintf("%s.:%d", v->namespace, DNS_PORT);
	return r;
}

/* Read from a forwarded port until `text` is whole by `is_whole`, or it ends. */
static int read_forward(struct mk_forward *forward, int64_t deadline,
	bool (*is_whole)(const struct mk_buf *text), struct mk_buf *text, struct mk_error *err)
{
	while (!is_whole(text)) {
		char chunk[4096];
		ssize_t n = mk_forward_read(forward, chunk, sizeof(chunk), deadline, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return mk_fail(
				err, MK_ENET, "the connection ended after %zu bytes", text->len);
		mk_buf_add(text, chunk, (size_t)n);
	}
	return 0;
}

/* Header lines and the two bytes of CoreDNS' "OK": the connection's end comes later. */
static bool is_http_answer(const struct mk_buf *text)
{
	const char *end = strstr(text->data, "\r\n\r\n");

	return text->full || (end && strlen(end + 4) >= 2);
}

int mk_verify_forward(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	static const char request[] = "GET /health HTTP/1.0\r\nHost: probe\r\n\r\n";
	MK_CLEANUP(mk_forward_freep) struct mk_forward *forward = NULL;
	int64_t deadline = mk_verify_deadline(v, MK_VERIFY_ANSWER_MS);
	mk_autobuf text = mk_buf_init(4096);
	mk_autofree char *line = NULL;
	struct mk_pod pod = the_pod(v);
	int r = mk_forward_open(v->kube, &pod, HTTP_PORT, deadline, &forward, err);

	if (r == 0)
		r = mk_forward_send(forward, request, strlen(request), err);
	if (r == 0)
		r = read_forward(forward, deadline, is_http_answer, &text, err);
	if (r < 0)
		return r;
	line = first_line(text.data);
	if (!strstr(line, " 200 "))
		return mk_fail(err, MK_EREMOTE, "port %d of the pod answered %s", HTTP_PORT, line);
	*ret_note = MK_TAKE(line);
	return 0;
}

static int find_node_port(struct mk_verification *v, long long *ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf(
		"/api/v1/namespaces/%s/services/" PROBE, v->namespace);
	mk_autojson *service = NULL;
	int r = mk_kube_call(v->kube, "GET", path, NULL, &service, err);

	if (r < 0)
		return r;
	*ret = mk_json_int(json_array_get(mk_json_at(service, "spec.ports"), 0), "nodePort", 0);
	return *ret > 0 ? 0 : mk_fail(err, MK_EREMOTE, "the Service was given no port");
}

static int judge_node_port(const struct mk_verification *v, const struct mk_verify_node *node,
	struct mk_exec_item *item, struct mk_error *err)
{
	(void)v;
	return mk_verify_judge_command(node, item, "its NodePort", err);
}

/* Asked on each node by its own address: that is kube-proxy's work there. */
int mk_verify_node_port(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	enum { WORDS = 12 };
	mk_autofree const char **words = mk_xcalloc(v->node_count, WORDS * sizeof(char *));
	mk_autofree const char *const **argvs = mk_xcalloc(v->node_count, sizeof(*argvs));
	mk_autostrlist urls = { .items = NULL };
	size_t running = 0;
	long long port = 0;
	int r = find_node_port(v, &port, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < v->node_count; i++) {
		const char *argv[WORDS] = { "curl", "-sS", "--fail", "--max-time", "3", "--retry",
			"4", "--retry-delay", "1", "--retry-all-errors" };

		mk_strlist_addf(&urls, "http://%s:%lld/health", v->nodes[i].ip, port);
		argv[WORDS - 2] = urls.items[i];
		memcpy(&words[i * WORDS], argv, sizeof(argv));
		argvs[i] = &words[i * WORDS];
	}
	r = mk_verify_each(v, v->node_count, argvs, judge_node_port, &running, err);
	if (r == 0)
		*ret_note = mk_xasprintf(
			"port %lld on %zu of %zu nodes", port, running, v->node_count);
	return r;
}

static size_t answer_length(const struct mk_buf *text)
{
	return (size_t)(unsigned char)text->data[0] << 8 | (unsigned char)text->data[1];
}

static bool is_dns_answer(const struct mk_buf *text)
{
	return text->len >= 2 && text->len - 2 >= answer_length(text);
}

/* The probe passes the question on as any pod would: to the servers that its own
 * /etc/resolv.conf names. */
static int ask(struct mk_verification *v, int64_t deadline, char **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_forward_freep) struct mk_forward *forward = NULL;
	mk_autobuf question = mk_buf_init(1024);
	mk_autobuf answer = mk_buf_init(MK_DNS_MAX + 2);
	struct mk_pod pod = the_pod(v);
	uint16_t id = 0;
	int r = mk_random(&id, sizeof(id), err);

	if (r == 0)
		r = mk_dns_question(DNS_NAME, id, &question, err);
	if (r == 0)
		r = mk_forward_open(v->kube, &pod, DNS_PORT, deadline, &forward, err);
	if (r == 0)
		r = mk_forward_send(forward, question.data, question.len, err);
	if (r == 0)
		r = read_forward(forward, deadline, is_dns_answer, &answer, err);
	return r < 0 ? r : mk_dns_answer(answer.data + 2, answer_length(&answer), id, ret, err);
}

int mk_verify_dns(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	mk_autojson *service = NULL;
	mk_autofree char *address = NULL;
	const char *expected;
	int r = mk_kube_call(v->kube, "GET", "/api/v1/namespaces/default/services/kubernetes", NULL,
		&service, err);

	if (r < 0)
		return r;
	expected = mk_json_str(service, "spec.clusterIP", "");
	r = ask(v, mk_verify_deadline(v, MK_VERIFY_ANSWER_MS), &address, err);
	if (r < 0)
		return r == -MK_EINTR ? r : mk_error_wrap(err, DNS_NAME);
	if (!mk_streq(address, expected))
		return mk_fail(
			err, MK_EREMOTE, DNS_NAME " is %s, and should be %s", address, expected);
	*ret_note = mk_xasprintf(DNS_NAME " is %s", address);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/watch.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"

#define REOPEN_MS 200
#define LIST_AGAIN_MS 1000

struct watch {
	struct mk_http_stream *stream;
	struct mk_buf line;
	mk_watch_judge judge;
	void *payload;
};

static void watch_done(struct watch *watch)
{
	mk_http_stream_free(watch->stream);
	mk_buf_wipe(&watch->line);
}

/* 410 Gone and the like come as events of type ERROR: begin anew. */
static int take_event(struct watch *watch, const char *line, size_t len, struct mk_error *err)
{
	mk_autojson *event = NULL;
	const char *type;
	int r = mk_json_parse(line, len, "watch", &event, err);

	if (r < 0)
		return r;
	type = mk_json_str(event, "type", "");
	if (mk_streq(type, "ERROR"))
		return mk_fail(
			err, MK_ENET, "watch: %s", mk_json_str(event, "object.message", "?"));
	if (mk_streq(type, "BOOKMARK"))
		return 0;
	return watch->judge(watch->payload, type, json_object_get(event, "object"), err);
}

static int take_lines(struct watch *watch, struct mk_error *err)
{
	for (;;) {
		const char *end = memchr(watch->line.data, '\n', watch->line.len);
		size_t len;
		int r;

		if (!end)
			return mk_buf_check(&watch->line, "an event of a watch", err);
		len = (size_t)(end - watch->line.data);
		r = len > 0 ? take_event(watch, watch->line.data, len, err) : 0;
		mk_buf_drop(&watch->line, len + 1);
		if (r != 0)
			return r;
	}
}

/* One connection's worth of watching: 1 over, 0 closed by the server, -code. */
static int watch_once(struct mk_kube *kube, const char *path, int64_t deadline, struct watch *watch,
	struct mk_error *err)
{
	struct mk_http_request request = { .path = path };
	char chunk[65536];
	/* Begun, not opened: a server that never answers must not outwait the deadline. */
	int r = mk_http_begin(mk_kube_http(kube), &request, &watch->stream, err);

	if (r < 0)
		return r;
	for (;;) {
		ssize_t n = mk_http_read(watch->stream, chunk, sizeof(chunk), deadline, err);

		if (n >= 0 && mk_http_stream_status(watch->stream) >= 400)
			return mk_fail(err, MK_ENET, "watch %s: status %ld", path,
				mk_http_stream_status(watch->stream));
		if (n <= 0)
			return (int)n;
		mk_buf_add(&watch->line, chunk, (size_t)n);
		r = take_lines(watch, err);
		if (r != 0)
			return r;
	}
}

int mk_kube_watch(struct mk_kube *kube, const char *path, int64_t deadline, mk_watch_judge judge,
	void *payload, struct mk_error *err)
{
	/* No resourceVersion: "get state and start at any", cheapest for the server. */
	mk_autofree char *full = mk_xasprintf(
		"%s%swatch=1&resourceVersion=0", path, strchr(path, '?') ? "&" : "?");

	for (;;) {
		MK_CLEANUP(watch_done)
		struct watch watch = {
			.line = mk_buf_init(MK_MAX_WATCH_LINE),
			.judge = judge,
			.payload = payload,
		};
		int r = watch_once(kube, full, deadline, &watch, err);

		if (r > 0)
			return 0;
		if (r < 0 && r != -MK_ENET)
			return r;
		if (r == 0)
			(void)mk_fail(err, MK_ENET, "watch %s: closed by the server", path);
		if (mk_remaining_ms(deadline) <= REOPEN_MS)
			return mk_error_recode(err, MK_ETIMEOUT);
		r = mk_kube_check(kube, err);
		if (r == 0)
			r = mk_sleep_ms(REOPEN_MS, err);
		if (r < 0)
			return r;
	}
}

const json_t *mk_kube_find_condition(const json_t *object, const char *type)
{
	const json_t *condition;
	size_t i;

	json_array_foreach (mk_json_at(object, "status.conditions"), i, condition) {
		if (mk_streq(mk_json_str(condition, "type", ""), type))
			return condition;
	}
	return NULL;
}

bool mk_kube_condition(const json_t *object, const char *type)
{
	return mk_streq(mk_json_str(mk_kube_find_condition(object, type), "status", ""), "True");
}

static int judge_gone(void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	(void)payload;
	(void)object;
	(void)err;
	return mk_streq(type, "DELETED") ? 1 : 0;
}

int mk_kube_wait_none(
	struct mk_kube *kube, const char *path, int64_t deadline, struct mk_error *err)
{
	for (;;) {
		mk_autojson *list = NULL;
		const json_t *item;
		/* What goes between the list and the watch is seen by the next list. */
		int64_t soon = mk_deadline(LIST_AGAIN_MS);
		int r = mk_kube_call(kube, "GET", path, NULL, &list, err);

		if (r < 0)
			return r;
		item = json_array_get(json_object_get(list, "items"), 0);
		if (!item)
			return 0;
		if (mk_remaining_ms(deadline) == 0)
			return mk_fail(err, MK_ETIMEOUT, "%s is still there",
				mk_json_str(item, "metadata.name", "an object"));
		r = mk_kube_watch(
			kube, path, soon < deadline ? soon : deadline, judge_gone, NULL, err);
		if (r < 0 && r != -MK_ETIMEOUT)
			return r;
		mk_error_done(err);
	}
}

/* A set of named objects, each of which must reach a state. */
struct wanted {
	const struct mk_strlist *names; /* "NAME" or "NAMESPACE/NAME" */
	const struct mk_strlist *since; /* of nodes: by when they last started; or NULL */
	bool *reached;
	size_t left;
	mk_available_report report;
	void *payload;
};

static void note(struct wanted *wanted, const char *name, bool now)
{
	for (size_t i = 0; i < wanted->names->count; i++) {
		if (!mk_streq(wanted->names->items[i], name) || wanted->reached[i] == now)
			continue;
		wanted->reached[i] = now;
		wanted->left += now ? (size_t)-1 : 1;
		if (now && wanted->report)
			wanted->report(wanted->payload, name, wanted->left);
	}
}

static int wait_wanted(struct mk_kube *kube, struct wanted *wanted, const char *path,
	const char *state, int64_t deadline, mk_watch_judge judge, struct mk_error *err)
{
	mk_autofree bool *reached = mk_xcalloc(wanted->names->count, sizeof(bool));
	mk_autostrlist missing = { .items = NULL };
	mk_autofree char *list = NULL;
	int r;

	wanted->reached = reached;
	wanted->left = wanted->names->count;
	if (wanted->left == 0)
		return 0;
	r = mk_kube_watch(kube, path, deadline, judge, wanted, err);
	if (r == 0)
		return 0;
	for (size_t i = 0; i < wanted->names->count; i++) {
		if (!reached[i])
			mk_strlist_add(&missing, wanted->names->items[i]);
	}
	list = mk_strlist_join(&missing, ", ");
	return mk_error_wrap(err, "not %s: %s", state, list);
}

/* Both are UTC with the same fields: compared as text, to the second. */
static bool is_after(const char *time, const char *since)
{
	return strncmp(time, since, strlen("2006-01-02T15:04:05")) > 0;
}

/* Whether the node's kubelet has spoken since it was started, as far as that matters. */
static bool is_back(const struct wanted *wanted, const json_t *node)
{
	const char *name = mk_json_str(node, "metadata.name", "");
	const char *spoke = mk_json_str(
		mk_kube_find_condition(node, "Ready"), "lastHeartbeatTime", "");

	for (size_t i = 0; wanted->since && i < wanted->names->count; i++) {
		if (mk_streq(wanted->names->items[i], name))
			return is_after(spoke, wanted->since->items[i]);
	}
	return true;
}

static int judge_node(void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	struct wanted *wanted = payload;

	(void)err;
	note(wanted, mk_json_str(object, "metadata.name", ""),
		!mk_streq(type, "DELETED") && mk_kube_condition(object, "Ready") &&
			is_back(wanted, object));
	return wanted->left == 0 ? 1 : 0;
}

int mk_kube_wait_nodes(struct mk_kube *kube, const struct mk_strlist *names,
	const struct mk_strlist *since, int64_t deadline, struct mk_error *err)
{
	struct wanted wanted = { .names = names, .since = since };

	return wait_wanted(kube, &wanted, "/api/v1/nodes", "Ready", deadline, judge_node, err);
}

static int judge_presence(
	void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	struct wanted *wanted = payload;

	(void)err;
	note(wanted, mk_json_str(object, "metadata.name", ""), !mk_streq(type, "DELETED"));
	return wanted->left == 0 ? 1 : 0;
}

int mk_kube_wait_registered(struct mk_kube *kube, const struct mk_strlist *names, int64_t deadline,
	struct mk_error *err)
{
	struct wanted wanted = { .names = names };

	return wait_wanted(
		kube, &wanted, "/api/v1/nodes", "registered", deadline, judge_presence, err);
}

static bool is_available(const json_t *object)
{
	long long wanted = mk_json_int(object, "spec.replicas", 1);

	return mk_json_int(object, "status.observedGeneration", -1) >=
		mk_json_int(object, "metadata.generation", 0) &&
		mk_json_int(object, "status.updatedReplicas", 0) >= wanted &&
		mk_json_int(object, "status.availableReplicas", 0) >= wanted;
}

static int judge_deployment(
	void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	struct wanted *wanted = payload;
	mk_autofree char *name = mk_xasprintf("%s/%s",
		mk_json_str(object, "metadata.namespace", ""),
		mk_json_str(object, "metadata.name", ""));

	(void)err;
	note(wanted, name, !mk_streq(type, "DELETED") && is_available(object));
	return wanted->left == 0 ? 1 : 0;
}

int mk_kube_wait_deployments(struct mk_kube *kube, const struct mk_strlist *names, int64_t deadline,
	mk_available_report report, void *payload, struct mk_error *err)
{
	struct wanted wanted = { .names = names, .report = report, .payload = payload };

	return wait_wanted(kube, &wanted, "/apis/apps/v1/deployments", "available", deadline,
		judge_deployment, err);
}

/* API servers keep one slice for all of them. */
static int judge_endpoints(
	void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	struct wanted *wanted = payload;
	const json_t *endpoint;
	size_t i;

	(void)err;
	for (i = 0; i < wanted->names->count; i++)
		note(wanted, wanted->names->items[i], false);
	if (mk_streq(type, "DELETED"))
		return 0;
	json_array_foreach (json_object_get(object, "endpoints"), i, endpoint) {
		const char *address = json_string_value(
			json_array_get(json_object_get(endpoint, "addresses"), 0));

		note(wanted, address ? address : "", true);
	}
	return wanted->left == 0 ? 1 : 0;
}

int mk_kube_wait_api_endpoints(struct mk_kube *kube, const struct mk_strlist *addresses,
	int64_t deadline, struct mk_error *err)
{
	struct wanted wanted = { .names = addresses };

	return wait_wanted(kube, &wanted,
		"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
		"?labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes",
		"reachable for pods", deadline, judge_endpoints, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a bring-up failed, in the words of whatever failed: the units that are
 * down with their last lines, then the pods that do not run. Everything here is
 * best effort and bounded in time: it runs when things are broken.
 */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/cluster/bringup.h"
#include "lib/docker/container.h"

#include <strings.h>

#define LOG_LINES 20
#define PROBE_MS 5000
#define DETAIL_MAX ((size_t)65536)

static int run(struct mk_bringup *b, const struct mk_node_plan *node, const char *const *argv,
	struct mk_buf *ret)
{
	mk_autoerror ignored = { .code = MK_OK };
	int status = -1;

	if (mk_container_exec(b->docker, node->container, argv, PROBE_MS, ret, &status, &ignored) <
		0)
		return -1;
	return status;
}

static const char *const alarming[] = { "panic", "fatal", "error", "fail", "refused", "denied",
	"no such", "cannot", "invalid" };

/* What systemd says about a unit is that it failed, never why. */
static bool is_systemds(const char *line)
{
	return strstr(line, ".service: ") || mk_after_prefix(line, "Failed to start ");
}

/* The last line that sounds like a reason, or the last one. Caller frees. */
static char *cause_of(const char *log)
{
	mk_autostrlist lines = { .items = NULL };

	mk_strlist_split(&lines, log, "\n");
	for (size_t i = lines.count; i-- > 0;) {
		for (size_t j = 0; j < MK_ARRAY_LEN(alarming); j++) {
			if (strcasestr(lines.items[i], alarming[j]) && !is_systemds(lines.items[i]))
				return mk_xstrndup(lines.items[i], 300);
		}
	}
	return lines.count > 0 ? mk_xstrndup(lines.items[lines.count - 1], 300) : NULL;
}

static void add_section(struct mk_buf *detail, const char *title, const char *log)
{
	mk_autofree char *cause = cause_of(log);

	mk_buf_addf(detail, "%s\n%s%s", title, log, mk_has_suffix(log, "\n") ? "" : "\n");
	if (cause)
		mk_buf_addf(detail, "cause: %s\n", cause);
}

static void add_unit(struct mk_bringup *b, const struct mk_node_plan *node, const char *unit,
	struct mk_buf *detail)
{
	const char *const argv[] = { "journalctl", "--no-pager", "--output=cat", "--lines=20",
		"--unit", unit, NULL };
	mk_autobuf log = mk_buf_init(DETAIL_MAX);
	mk_autofree char *title = mk_xasprintf(
		"unit %s on %s, last %d lines:", unit, node->name, LOG_LINES);

	(void)run(b, node, argv, &log);
	add_section(detail, title, log.data);
}

/* Units that are down, or that systemd starts over and over. */
static size_t add_failed_units(
	struct mk_bringup *b, const struct mk_node_plan *node, struct mk_buf *detail)
{
	const char *const argv[] = { "systemctl", "list-units", "--plain", "--no-legend",
		"--no-pager", "--type=service", "--state=failed,auto-restart,activating", NULL };
	mk_autobuf list = mk_buf_init(DETAIL_MAX);
	mk_autostrlist lines = { .items = NULL };
	size_t count = 0;

	if (run(b, node, argv, &list) != 0)
		return 0;
	mk_strlist_split(&lines, list.data, "\n");
	for (size_t i = 0; i < lines.count && count < 3; i++) {
		mk_autofree char *unit = mk_xstrndup(lines.items[i], strcspn(lines.items[i], " "));

		if (!mk_has_suffix(unit, ".service"))
			continue;
		add_unit(b, node, unit, detail);
		count++;
	}
	return count;
}

/* Restarts a second apart: the fourth time is no accident. */
#define RESTARTS_MAX 4

static int check_node(struct mk_bringup *b, const struct mk_node_plan *node, struct mk_error *err)
{
	const char *const argv[] = { "systemctl", "show", "--property=Id,NRestarts", "etcd.service",
		"kube-apiserver.service", "kube-controller-manager.service",
		"kube-scheduler.service", "containerd.service", "kubelet.service",
		"kube-proxy.service", NULL };
	mk_autobuf text = mk_buf_init(DETAIL_MAX);
	mk_autostrlist lines = { .items = NULL };
	uint64_t restarts = 0;

	if (run(b, node, argv, &text) != 0)
		return 0;
	mk_strlist_split(&lines, text.data, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		const char *number = mk_after_prefix(lines.items[i], "NRestarts=");
		const char *id = mk_after_prefix(lines.items[i], "Id=");

		if (number)
			(void)mk_parse_uint(number, 0, UINT64_MAX, &restarts);
		/* systemd prints a unit's properties in this order, an empty line between. */
		if (id && restarts >= RESTARTS_MAX)
			return mk_fail(err, MK_EBRINGUP, "unit %s of '%s' does not stay up", id,
				node->name);
	}
	return 0;
}

int mk_check_units(struct mk_bringup *b, size_t count, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = check_node(b, &b->plan.nodes[i], err);
	return r;
}

static const char *waiting_reason(const json_t *pod, const char **ret_message)
{
	const json_t *status;
	size_t i;

	json_array_foreach (mk_json_at(pod, "status.containerStatuses"), i, status) {
		const char *reason = mk_json_str(status, "state.waiting.reason", NULL);

		if (json_is_true(json_object_get(status, "ready")))
			continue;
		*ret_message = mk_json_str(status, "state.waiting.message",
			mk_json_str(status, "lastState.terminated.message", ""));
		return reason ? reason : "not ready";
	}
	*ret_message = mk_json_str(pod, "status.message", "");
	return mk_json_str(pod, "status.phase", "?");
}

static void add_pod(struct mk_bringup *b, const json_t *pod, struct mk_buf *detail)
{
	const char *namespace = mk_json_str(pod, "metadata.namespace", "");
	const char *name = mk_json_str(pod, "metadata.name", "");
	const char *message = "";
	const char *reason = waiting_reason(pod, &message);
	const char *container = mk_json_str(
		json_array_get(mk_json_at(pod, "spec.containers"), 0), "name", "");
	mk_autofree char *path = mk_xasprintf("/api/v1/namespaces/%s/pods/%s/log?tailLines=%d"
					      "&container=%s",
		namespace, name, LOG_LINES, container);
	mk_autofree char *title = mk_xasprintf(
		"pod %s/%s: %s %s", namespace, name, reason, message);
	mk_autobuf log = mk_buf_init(DETAIL_MAX);
	mk_autoerror ignored = { .code = MK_OK };

	(void)!mk_kube_get_text(b->kube, path, &log, &ignored);
	add_section(detail, title, log.data);
}

static void add_waiting_pods(struct mk_bringup *b, struct mk_buf *detail)
{
	mk_autojson *pods = NULL;
	mk_autoerror ignored = { .code = MK_OK };
	const json_t *pod;
	size_t i, count = 0;

	if (!b->kube ||
		mk_kube_call(b->kube, "GET", "/api/v1/pods?limit=100", NULL, &pods, &ignored) < 0)
		return;
	json_array_foreach (json_object_get(pods, "items"), i, pod) {
		const json_t *condition;
		bool ready = false;
		size_t j;

		json_array_foreach (mk_json_at(pod, "status.conditions"), j, condition) {
			if (mk_streq(mk_json_str(condition, "type", ""), "Ready"))
				ready = mk_streq(mk_json_str(condition, "status", ""), "True");
		}
		if (!ready && count++ < 3)
			add_pod(b, pod, detail);
	}
}

/* Of a run that adds nodes, those; else all that were made. */
static bool is_suspect(const struct mk_bringup *b, const struct mk_node_plan *node)
{
	bool adds = false;

	for (size_t i = 0; i < b->plan.count; i++)
		adds = adds || b->plan.nodes[i].fresh;
	return node->container && (node->fresh || !adds);
}

static void add_console(
	struct mk_bringup *b, const struct mk_node_plan *node, struct mk_buf *detail)
{
	mk_autobuf console = mk_buf_init(DETAIL_MAX);
	mk_autoerror ignored = { .code = MK_OK };

	if (mk_container_logs(b->docker, node->container, LOG_LINES, &console, &ignored) == 0 &&
		console.len > 0)
		add_section(detail, "the node's console:", console.data);
}

void mk_diagnose(struct mk_bringup *b, struct mk_error *err)
{
	mk_autobuf detail = mk_buf_init(DETAIL_MAX);
	const struct mk_node_plan *first = NULL;
	size_t units = 0;

	for (size_t i = 0; i < b->plan.count && units < 3; i++) {
		const struct mk_node_plan *node = &b->plan.nodes[i];

		if (!is_suspect(b, node))
			continue;
		first = first ? first : node;
		units += add_failed_units(b, node, &detail);
	}
	if (units == 0)
		add_waiting_pods(b, &detail);
	/* Nothing to ask: a node that stopped has only its console. */
	if (detail.len == 0 && first)
		add_console(b, first, &detail);
	if (detail.len == 0 || err->detail)
		return;
	err->detail = mk_buf_detach(&detail);
}

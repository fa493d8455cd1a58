/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the control plane and the nodes, which need no pod. */
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/cluster/etcd.h"
#include "lib/cluster/verification.h"
#include "lib/kube/apply.h"
#include "lib/kube/watch.h"

#define READY_MS 5000

int mk_verify_ready(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	int r = mk_kube_wait_ready(v->kube, mk_verify_deadline(v, READY_MS), NULL, NULL, err);

	if (r == 0)
		*ret_note = mk_xstrdup("/readyz says ok");
	return r;
}

static int judge_server(const struct mk_verification *v, const struct mk_verify_node *node,
	struct mk_exec_item *item, struct mk_error *err)
{
	(void)v;
	return mk_verify_judge_command(node, item, "/readyz", err);
}

/* The way in leads to one of them at a time. */
int mk_verify_servers(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	static const char *const argv[] = { "curl", "-sS", "--fail-with-body", "--max-time", "5",
		"--cacert", "/etc/kubernetes/pki/ca.crt", "https://127.0.0.1:6443/readyz", NULL };
	mk_autofree const char *const **argvs = mk_xcalloc(v->control_planes, sizeof(*argvs));
	size_t running = 0;
	int r;

	for (size_t i = 0; i < v->control_planes; i++) {
		if (!v->nodes[i].running)
			return mk_fail(err, MK_EREMOTE, "%s does not run", v->nodes[i].name);
		argvs[i] = argv;
	}
	r = mk_verify_each(v, v->control_planes, argvs, judge_server, &running, err);
	if (r == 0)
		*ret_note = mk_xasprintf("%zu of them", running);
	return r;
}

int mk_verify_version(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	mk_autojson *version = NULL;
	int r = mk_kube_call(v->kube, "GET", "/version", NULL, &version, err);

	if (r < 0)
		return r;
	*ret_note = mk_xstrdup(mk_json_str(version, "gitVersion", "?"));
	return 0;
}

/* Judge `etcdctl endpoint health --cluster`: the time of the slowest. */
static int check_health(const struct mk_exec_item *item, size_t *ret_healthy, struct mk_error *err)
{
	mk_autojson *endpoints = NULL;
	const json_t *endpoint;
	size_t i;
	int r = mk_json_parse(
		item->output.data, item->output.len, "etcdctl endpoint health", &endpoints, err);

	if (r < 0)
		return r;
	json_array_foreach (endpoints, i, endpoint) {
		if (!json_is_true(json_object_get(endpoint, "health")))
			return mk_fail(err, MK_EREMOTE, "%s is not healthy: %.200s",
				mk_json_str(endpoint, "endpoint", "a member"),
				mk_json_str(endpoint, "error", "no reason given"));
	}
	*ret_healthy = json_array_size(endpoints);
	return 0;
}

/* Judge `etcdctl member list`, a line each: "ID, started, NAME, URLS, URLS, false". Not
 * its JSON: ids there are larger than a JSON parser's integers. */
static int check_members(const struct mk_exec_item *item, size_t *ret, struct mk_error *err)
{
	mk_autostrlist lines = { .items = NULL };

	mk_strlist_split(&lines, item->output.data, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		if (!strstr(lines.items[i], ", started, "))
			return mk_fail(err, MK_EREMOTE, "a member has not started: %.200s",
				lines.items[i]);
		if (!mk_has_suffix(lines.items[i], ", false"))
			return mk_fail(err, MK_EREMOTE, "a member does not vote yet: %.200s",
				lines.items[i]);
	}
	*ret = lines.count;
	return 0;
}

int mk_verify_etcd(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	static const char *const list[] = { "etcdctl", MK_ETCDCTL_OPTIONS, "member", "list", NULL };
	static const char *const health[] = { "etcdctl", MK_ETCDCTL_OPTIONS, "endpoint", "health",
		"--cluster", "--write-out=json", NULL };
	struct mk_exec_item items[] = { mk_verify_command(v->first, list),
		mk_verify_command(v->first, health) };
	size_t members = 0, healthy = 0;
	int r = mk_container_exec_each(
		v->docker, items, MK_ARRAY_LEN(items), mk_verify_ms(v, MK_VERIFY_ANSWER_MS), err);

	if (r == 0)
		r = mk_verify_judge_command(v->first, &items[0], "etcdctl member list", err);
	if (r == 0)
		r = check_members(&items[0], &members, err);
	/* A member that is down makes it fail, and name the member. */
	if (r == 0 && items[1].output.len == 0)
		r = mk_verify_judge_command(v->first, &items[1], "etcdctl endpoint health", err);
	if (r == 0)
		r = check_health(&items[1], &healthy, err);
	if (r == 0 && (members != v->control_planes || healthy != members))
		r = mk_fail(err, MK_EREMOTE, "%zu members, %zu of them healthy, on %zu nodes",
			members, healthy, v->control_planes);
	if (r == 0)
		*ret_note = mk_xasprintf("%zu member%s", members, members == 1 ? "" : "s");
	mk_exec_items_done(items, MK_ARRAY_LEN(items));
	return r;
}

static const json_t *find_named(const json_t *items, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach (items, i, item) {
		if (mk_streq(mk_json_str(item, "metadata.name", ""), name))
			return item;
	}
	return NULL;
}

/* What Ready says about itself. */
static const char *ready_message(const json_t *node)
{
	const json_t *ready = mk_kube_find_condition(node, "Ready");

	return ready ? mk_json_str(ready, "message", "") : "it has not reported yet";
}

static int check_node(const struct mk_verify_node *node, const json_t *items, struct mk_error *err)
{
	const json_t *found = find_named(items, node->name);

	if (!node->running)
		return mk_fail(err, MK_EREMOTE, "%s does not run", node->name);
	if (!found)
		return mk_fail(err, MK_EREMOTE, "%s has not joined", node->name);
	if (!mk_kube_condition(found, "Ready"))
		return mk_fail(err, MK_EREMOTE, "%s is not Ready: %.200s", node->name,
			ready_message(found));
	return 0;
}

int mk_verify_nodes(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	mk_autojson *list = NULL;
	int r = mk_kube_call(v->kube, "GET", "/api/v1/nodes", NULL, &list, err);

	for (size_t i = 0; i < v->node_count && r == 0; i++)
		r = check_node(&v->nodes[i], json_object_get(list, "items"), err);
	if (r < 0)
		return r;
	*ret_note = mk_xasprintf("%zu Ready", v->node_count);
	return 0;
}

static bool has_route(const json_t *routes, const char *pods, const char *via)
{
	const json_t *route;
	size_t i;

	json_array_foreach (routes, i, route) {
		if (mk_streq(mk_json_str(route, "dst", ""), pods) &&
			mk_streq(mk_json_str(route, "gateway", ""), via))
			return true;
	}
	return false;
}

/* Whether `from` has a route to the pods of each other node. */
static int judge_routes(const struct mk_verification *v, const struct mk_verify_node *from,
	struct mk_exec_item *item, struct mk_error *err)
{
	mk_autojson *routes = NULL;
	int r = mk_verify_judge_command(from, item, "ip route", err);

	if (r == 0)
		r = mk_json_parse(item->output.data, item->output.len, "ip route", &routes, err);
	for (size_t i = 0; i < v->node_count && r == 0; i++) {
		const struct mk_verify_node *to = &v->nodes[i];

		if (to == from || !*to->pods || has_route(routes, to->pods, to->ip))
			continue;
		r = mk_fail(err, MK_EREMOTE, "%s has no route to the pods of %s, %s via %s",
			from->name, to->name, to->pods, to->ip);
	}
	return r;
}

/* Whether the pods' network is ours; that of a CNI plugin of the user's has ways of
 * its own. */
static int find_network(struct mk_verification *v, bool *ret, struct mk_error *err)
{
	mk_autobuf routes = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_container_read_file(
		v->docker, v->first->id, "/etc/mkcluster/routes", &routes, err);

	*ret = r == 0;
	if (r != -MK_ENOTFOUND)
		return r;
	mk_error_done(err);
	return 0;
}

int mk_verify_routes(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	static const char *const argv[] = { "ip", "-4", "-json", "route", "show", NULL };
	mk_autofree const char *const **argvs = mk_xcalloc(v->node_count, sizeof(*argvs));
	size_t running = 0;
	bool ours = false;
	int r = find_network(v, &ours, err);

	if (r < 0)
		return r;
	if (!ours) {
		*ret_note = mk_xstrdup("the CNI plugin is not mkcluster's");
		return MK_VERIFY_SKIPPED;
	}
	if (v->node_count == 1) {
		*ret_note = mk_xstrdup("one node needs none");
		return 0;
	}
	for (size_t i = 0; i < v->node_count; i++)
		argvs[i] = argv;
	r = mk_verify_each(v, v->node_count, argvs, judge_routes, &running, err);
	if (r == 0)
		*ret_note = mk_xasprintf("on %zu of %zu nodes", running, v->node_count);
	return r;
}

/* Judge what etcd holds: "k8s:enc:PROVIDER:v1:KEY:" and nothing of the secret. */
static int judge_raw(
	const struct mk_buf *raw, const char *secret, char **ret_note, struct mk_error *err)
{
	const char *rest = mk_after_prefix(raw->data, "k8s:enc:");
	size_t colons = 0, len = 0;

	if (memmem(raw->data, raw->len, secret, strlen(secret)))
		return mk_fail(err, MK_EREMOTE, "etcd holds the Secret's words as they are");
	if (!rest)
		return mk_fail(err, MK_EREMOTE, "what etcd holds is not encrypted by Kubernetes");
	while (rest[len] > ' ' && rest[len] < 127 && colons < 3 && len < 100)
		colons += rest[len++] == ':';
	*ret_note = mk_xasprintf("k8s:enc:%.*s", (int)(len > 0 ? len - 1 : 0), rest);
	return 0;
}

static int read_raw(struct mk_verification *v, struct mk_buf *ret, struct mk_error *err)
{
	mk_autofree char *key = mk_xasprintf("/registry/secrets/%s/secret", v->namespace);
	const char *argv[] = { "etcdctl", MK_ETCDCTL_OPTIONS, "get", "--print-value-only", key,
		NULL };
	struct mk_exec_item item = mk_verify_command(v->first, argv);
	int r = mk_container_exec_each(
		v->docker, &item, 1, mk_verify_ms(v, MK_VERIFY_ANSWER_MS), err);

	if (r == 0)
		r = mk_verify_judge_command(v->first, &item, "etcdctl get", err);
	if (r == 0 && item.output.len == 0)
		r = mk_fail(err, MK_EREMOTE, "etcd has no key %s", key);
	if (r == 0)
		mk_buf_add(ret, item.output.data, item.output.len);
	mk_exec_items_done(&item, 1);
	return r;
}

int mk_verify_encryption(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	mk_autobuf raw = mk_buf_init(MK_MAX_EXEC_OUTPUT);
	mk_autosecret char *secret = NULL;
	mk_autojson *objects = NULL;
	int r = mk_random_hex(16, &secret, err);

	if (r < 0)
		return r;
	/* The namespace as the deployment made it, or without it. */
	objects = mk_json_pack("[{s:s,s:s,s:{s:s,s:{s:s}}},{s:s,s:s,s:{s:s,s:s},s:{s:s}}]",
		"apiVersion", "v1", "kind", "Namespace", "metadata", "name", v->namespace, "labels",
		"io.mkcluster.run", v->run_id, "apiVersion", "v1", "kind", "Secret", "metadata",
		"name", "secret", "namespace", v->namespace, "stringData", "word", secret);
	v->namespace_made = true;
	mk_interrupt_delay(MK_VERIFY_SETTLE_MS);
	r = mk_kube_apply(v->kube, objects, err);
	mk_interrupt_delay(0);
	if (r == 0)
		r = read_raw(v, &raw, err);
	return r == 0 ? judge_raw(&raw, secret, ret_note, err) : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/cluster.h"

#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/docker/container.h"
#include "lib/docker/network.h"

char *mk_cluster_context(const char *name)
{
	return mk_xasprintf("mkcluster-%s", name);
}

static bool has_role(const json_t *member, const char *role)
{
	return mk_streq(mk_json_str(member, "role", ""), role);
}

bool mk_cluster_is_port(const json_t *member)
{
	return has_role(member, MK_ROLE_NAME_PORT);
}

bool mk_cluster_is_kube(const json_t *member)
{
	return has_role(member, "control-plane") || has_role(member, "worker");
}

static const char *label(const json_t *object, const char *key)
{
	const char *value = json_string_value(
		json_object_get(json_object_get(object, "Labels"), key));

	return value ? value : "";
}

/* "a,b" as an array. */
static json_t *array_of(const char *text)
{
	mk_autostrlist items = { .items = NULL };
	json_t *array = json_array();

	mk_strlist_split(&items, text, ",");
	for (size_t i = 0; i < items.count; i++)
		(void)json_array_append_new(array, json_string(items.items[i]));
	return array;
}

/* One container of GET /containers/json as a node, or what else a cluster has. */
static json_t *node_of(const json_t *container)
{
	const char *name = json_string_value(
		json_array_get(json_object_get(container, "Names"), 0));

	return mk_json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o}", "cluster",
		label(container, MK_LABEL_CLUSTER), "name", name ? name + (name[0] == '/') : "",
		"role", label(container, MK_LABEL_ROLE), "state",
		mk_json_str(container, "State", ""), "ip", label(container, MK_LABEL_IP), "pods",
		label(container, MK_LABEL_PODS), "image", mk_json_str(container, "Image", ""), "id",
		mk_json_str(container, "Id", ""), "api", label(container, MK_LABEL_API), "registry",
		label(container, MK_LABEL_REGISTRY), "gateway", label(container, MK_LABEL_GATEWAY),
		"ports", array_of(label(container, MK_LABEL_PORTS)));
}

static int compare_nodes(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int r = strcmp(mk_json_str(x, "cluster", ""), mk_json_str(y, "cluster", ""));

	return r ? r : strcmp(mk_json_str(x, "name", ""), mk_json_str(y, "name", ""));
}

static json_t *sorted(const json_t *containers)
{
	size_t count = json_array_size(containers);
	mk_autofree json_t **nodes = mk_xcalloc(count, sizeof(json_t *));
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		nodes[i] = node_of(json_array_get(containers, i));
	if (count > 1)
		qsort(nodes, count, sizeof(json_t *), compare_nodes);
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(array, nodes[i]);
	return array;
}

static const char *const way_in[] = { "api", "gateway", "registry" };

/* A load balancer that came later publishes ports of its own: its labels are the
 * newer ones, and those of the other nodes cannot be changed. One that never started,
 * of a run that was killed, publishes nothing. */
static void prefer_balancer(json_t *nodes, const json_t *balancer)
{
	json_t *node;
	size_t i;

	json_array_foreach (nodes, i, node) {
		if (!mk_streq(
			    mk_json_str(node, "cluster", ""), mk_json_str(balancer, "cluster", "")))
			continue;
		for (size_t k = 0; k < MK_ARRAY_LEN(way_in); k++)
			(void)json_object_set(
				node, way_in[k], json_object_get(balancer, way_in[k]));
	}
}

static void prefer_balancers(json_t *nodes)
{
	const json_t *node;
	size_t i;

	json_array_foreach (nodes, i, node) {
		if (has_role(node, "load-balancer") &&
			!mk_streq(mk_json_str(node, "state", ""), "created"))
			prefer_balancer(nodes, node);
	}
}

int mk_cluster_members(
	struct mk_docker *docker, const char *name, json_t **ret, struct mk_error *err)
{
	mk_autojson *containers = NULL;
	mk_autofree char *filter = name ? mk_xasprintf(MK_LABEL_CLUSTER "=%s", name)
					: mk_xstrdup(MK_LABEL_CLUSTER);
	int r = mk_container_list(docker, filter, &containers, err);

	if (r < 0)
		return mk_error_wrap(err, "list nodes");
	*ret = sorted(containers);
	prefer_balancers(*ret);
	return 0;
}

int mk_cluster_nodes(struct mk_docker *docker, const char *name, json_t **ret, struct mk_error *err)
{
	mk_autojson *members = NULL;
	json_t *nodes, *member;
	size_t i;
	int r = mk_cluster_members(docker, name, &members, err);

	if (r < 0)
		return r;
	nodes = json_array();
	json_array_foreach (members, i, member) {
		if (!mk_cluster_is_port(member))
			(void)json_array_append(nodes, member);
	}
	*ret = nodes;
	return 0;
}

/* The entry of `node`'s cluster in `clusters`, made when it is the first node. */
static json_t *entry_for(json_t *clusters, const json_t *node)
{
	const char *name = mk_json_str(node, "cluster", "");
	json_t *last = json_array_get(clusters, json_array_size(clusters) - 1);

	if (last && mk_streq(mk_json_str(last, "name", ""), name))
		return last;
	last = mk_json_pack("{s:s,s:i,s:i,s:s,s:s,s:s}", "name", name, "nodes", 0, "running", 0,
		"api", "", "gateway", "", "registry", "");
	(void)json_array_append_new(clusters, last);
	return last;
}

static void count_node(json_t *cluster, const json_t *node)
{
	long long running = mk_streq(mk_json_str(node, "state", ""), "running");

	(void)json_object_set_new(
		cluster, "nodes", json_integer(mk_json_int(cluster, "nodes", 0) + 1));
	(void)json_object_set_new(
		cluster, "running", json_integer(mk_json_int(cluster, "running", 0) + running));
	/* The first node's: a later one may be of a run that was killed. */
	for (size_t i = 0; i < MK_ARRAY_LEN(way_in); i++) {
		if (!*mk_json_str(cluster, way_in[i], ""))
			(void)json_object_set(cluster, way_in[i], json_object_get(node, way_in[i]));
	}
}

int mk_cluster_list(struct mk_docker *docker, json_t **ret, struct mk_error *err)
{
	mk_autojson *nodes = NULL;
	json_t *clusters;
	const json_t *node;
	size_t i;
	int r = mk_cluster_nodes(docker, NULL, &nodes, err);

	if (r < 0)
		return r;
	clusters = json_array();
	json_array_foreach (nodes, i, node)
		count_node(entry_for(clusters, node), node);
	*ret = clusters;
	return 0;
}

int mk_cluster_names(struct mk_docker *docker, struct mk_strlist *ret, struct mk_error *err)
{
	mk_autojson *clusters = NULL;
	mk_autojson *networks = NULL;
	const json_t *item;
	size_t i;
	int r = mk_cluster_list(docker, &clusters, err);

	if (r == 0)
		r = mk_network_list(docker, &networks, err);
	if (r < 0)
		return r;
	json_array_foreach (clusters, i, item)
		mk_strlist_add(ret, mk_json_str(item, "name", ""));
	json_array_foreach (networks, i, item) {
		const char *name = label(item, MK_LABEL_CLUSTER);

		if (*name && !mk_strlist_has(ret, name))
			mk_strlist_add(ret, name);
	}
	return 0;
}

static int not_found(struct mk_docker *docker, const char *name, struct mk_error *err)
{
	mk_autojson *clusters = NULL;
	mk_autostrlist names = { .items = NULL };
	mk_autofree char *list = NULL;
	mk_autoerror ignored = { .code = MK_OK };
	const json_t *cluster;
	size_t i;

	(void)mk_fail(err, MK_ENOTFOUND, "no cluster '%s'", name);
	if (mk_cluster_list(docker, &clusters, &ignored) < 0)
		return -MK_ENOTFOUND;
	json_array_foreach (clusters, i, cluster)
		mk_strlist_add(&names, mk_json_str(cluster, "name", ""));
	list = mk_strlist_join(&names, ", ");
	if (names.count > 0)
		mk_error_hint(err, "there are: %s (choose with --name)", list);
	else
		mk_error_hint(err, "there are none; `mkcluster create` makes one");
	return -MK_ENOTFOUND;
}

int mk_cluster_find(struct mk_docker *docker, const char *name, json_t **ret, struct mk_error *err)
{
	mk_autojson *nodes = NULL;
	json_t *node;
	size_t i;
	int r = mk_cluster_nodes(docker, name, &nodes, err);

	if (r < 0)
		return r;
	json_array_foreach (nodes, i, node) {
		if (has_role(node, "control-plane")) {
			*ret = json_incref(node);
			return 0;
		}
	}
	return not_found(docker, name, err);
}

char *mk_cluster_url(const struct mk_docker *docker, const char *scheme, const char *address)
{
	const char *colon = strrchr(address, ':');
	const char *remote = mk_docker_remote_host(docker);
	bool any = mk_after_prefix(address, "0.0.0.0:") != NULL;

	if (remote && colon && strchr(remote, ':'))
		return mk_xasprintf("%s://[%s]%s", scheme, remote, colon);
	if (remote && colon)
		return mk_xasprintf("%s://%s%s", scheme, remote, colon);
	if (any)
		return mk_xasprintf("%s://127.0.0.1%s", scheme, colon);
	return mk_xasprintf("%s://%s", scheme, address);
}

/* The machine that other containers of the network ask: a balancer, if there is one. */
static int inside_server(struct mk_docker *docker, const char *name, const json_t *first,
	char **ret, struct mk_error *err)
{
	mk_autojson *nodes = NULL;
	const json_t *node;
	const char *found = mk_json_str(first, "name", "");
	size_t i;
	int r = mk_cluster_nodes(docker, name, &nodes, err);

	if (r < 0)
		return r;
	json_array_foreach (nodes, i, node) {
		if (has_role(node, "load-balancer") &&
			!mk_streq(mk_json_str(node, "state", ""), "created"))
			found = mk_json_str(node, "name", "");
	}
	*ret = mk_xasprintf("https://%s:6443", found);
	return 0;
}

int mk_cluster_identity(struct mk_docker *docker, const char *name, bool internal,
	struct mk_kube_identity *ret, struct mk_error *err)
{
	mk_autojson *node = NULL;
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_cluster_find(docker, name, &node, err);

	if (r < 0)
		return r;
	r = mk_container_read_file(
		docker, mk_json_str(node, "id", ""), "/etc/kubernetes/admin.conf", &text, err);
	if (r == 0)
		r = mk_kube_identity_parse(text.data, text.len, ret, err);
	if (r < 0)
		return mk_error_wrap(err, "read the administrator's credentials of '%s'", name);
	free(MK_TAKE(ret->server));
	if (internal)
		return inside_server(docker, name, node, &ret->server, err);
	ret->server = mk_cluster_url(docker, "https", mk_json_str(node, "api", ""));
	return 0;
}

int mk_cluster_connect(
	struct mk_docker *docker, const char *name, struct mk_kube **ret, struct mk_error *err)
{
	mk_autoidentity identity = { .server = NULL };
	int r = mk_cluster_identity(docker, name, /* internal= */ false, &identity, err);

	return r < 0 ? r : mk_kube_new(&identity, ret, err);
}

int mk_cluster_password(
	struct mk_docker *docker, const char *name, struct mk_buf *ret, struct mk_error *err)
{
	MK_CLEANUP(mk_kube_freep) struct mk_kube *kube = NULL;
	mk_autojson *secret = NULL;
	int r = mk_cluster_connect(docker, name, &kube, err);

	if (r == 0)
		r = mk_kube_call(kube, "GET", "/api/v1/namespaces/openfaas/secrets/basic-auth",
			NULL, &secret, err);
	if (r == -MK_ENOTFOUND && kube) {
		(void)mk_fail(err, MK_ENOTFOUND, "cluster '%s' has no OpenFaaS password", name);
		mk_error_hint(err, "it was created with --no-openfaas");
	}
	if (r == -MK_ENET)
		mk_error_hint(err, "is the cluster running? `mkcluster get nodes --name %s`", name);
	if (r < 0)
		return r;
	return mk_base64_decode(mk_json_str(secret, "data.basic-auth-password", ""), ret, err);
}

static int remove_networks(
	struct mk_docker *docker, const char *key, const char *value, struct mk_error *err)
{
	mk_autojson *networks = NULL;
	const json_t *network;
	size_t i;
	int r = mk_network_list(docker, &networks, err);

	if (r < 0)
		return r;
	json_array_foreach (networks, i, network) {
		if (!mk_streq(label(network, key), value))
			continue;
		r = mk_network_remove(docker, mk_json_str(network, "Id", ""), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int remove_all(struct mk_docker *docker, const char *key, const char *value,
	size_t *ret_count, struct mk_error *err)
{
	mk_autojson *containers = NULL;
	mk_autostrlist ids = { .items = NULL };
	mk_autofree char *filter = mk_xasprintf("%s=%s", key, value);
	const json_t *container;
	size_t i;
	int r = mk_container_list(docker, filter, &containers, err);

	if (r < 0)
		return r;
	json_array_foreach (containers, i, container)
		mk_strlist_add(&ids, mk_json_str(container, "Id", ""));
	r = mk_container_remove_all(docker, &ids, err);
	if (r == 0)
		r = remove_networks(docker, key, value, err);
	if (r == 0 && ret_count)
		*ret_count = ids.count;
	return r;
}

int mk_cluster_remove(struct mk_docker *docker, const char *key, const char *value,
	size_t *ret_count, struct mk_error *err)
{
	int r;

	mk_interrupt_shield(true);
	r = remove_all(docker, key, value, ret_count, err);
	mk_interrupt_shield(false);
	return r;
}

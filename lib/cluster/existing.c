/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/existing.h"

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/node_host.h"
#include "lib/docker/container.h"
#include "lib/docker/network.h"

/* "127.0.0.1:31112" of a label: its port; 0 when there is none. */
static int64_t port_of(const json_t *node, const char *key)
{
	const char *colon = strrchr(mk_json_str(node, key, ""), ':');
	uint64_t port = 0;

	return colon && mk_parse_uint(colon + 1, 1, 65535, &port) ? (int64_t)port : 0;
}

static int read_spec(struct mk_bringup *b, const json_t *first, struct mk_cluster_spec *spec,
	struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_container_read_file(
		b->docker, mk_json_str(first, "id", ""), MK_SPEC_PATH, &text, err);

	if (r == 0)
		r = mk_cluster_spec_parse(spec, text.data, text.len, MK_SPEC_PATH, err);
	if (r < 0)
		return mk_error_wrap(
			err, "what '%s' was made from", mk_json_str(first, "name", ""));
	mk_cluster_spec_settle(spec);
	return 0;
}

static int read_network(struct mk_bringup *b, struct mk_error *err)
{
	mk_autojson *network = NULL;
	const json_t *range, *option;
	uint64_t mtu = 0;
	int r = mk_network_inspect(b->docker, b->network_id, &network, err);

	if (r < 0)
		return r;
	range = json_array_get(mk_json_at(network, "IPAM.Config"), 0);
	r = mk_cidr_parse(mk_json_str(range, "Subnet", ""), &b->subnet, err);
	if (r < 0)
		return mk_error_wrap(err, "network '%s'", mk_json_str(network, "Name", "?"));
	b->network = mk_xstrdup(mk_json_str(network, "Name", ""));
	option = json_object_get(json_object_get(network, "Options"), MK_NETWORK_MTU);
	if (!option || !mk_parse_uint(json_string_value(option), 500, 65535, &mtu))
		return mk_fail(err, MK_EFAIL, "network '%s' is not one of mkcluster's", b->network);
	b->mtu = (int64_t)mtu;
	return 0;
}

/* The profile and the network, from the first control plane's container. */
static int read_container(struct mk_bringup *b, const json_t *first, struct mk_error *err)
{
	mk_autojson *info = NULL;
	const json_t *networks;
	json_t *network;
	const char *name;
	int r = mk_container_inspect(b->docker, mk_json_str(first, "id", ""), &info, err);

	if (r < 0)
		return r;
	b->profile = json_is_true(mk_json_at(info, "HostConfig.Privileged"))
		? MK_PROFILE_PRIVILEGED
		: MK_PROFILE_RESTRICTED;
	networks = mk_json_at(info, "NetworkSettings.Networks");
	json_object_foreach ((json_t *)(uintptr_t)networks, name, network) {
		free(b->network_id);
		b->network_id = mk_xstrdup(mk_json_str(network, "NetworkID", ""));
	}
	return b->network_id ? read_network(b, err)
			     : mk_fail(err, MK_EFAIL, "node '%s' is on no network",
				       mk_json_str(first, "name", ""));
}

static int check_running(const json_t *first, const char *name, struct mk_error *err)
{
	if (mk_streq(mk_json_str(first, "state", ""), "running"))
		return 0;
	(void)mk_fail(err, MK_EHOST, "node '%s' is %s", mk_json_str(first, "name", ""),
		mk_json_str(first, "state", "?"));
	mk_error_hint(err, "`mkcluster start --name %s` first", name);
	return -MK_EHOST;
}

static int connect_api(struct mk_bringup *b, const char *name, struct mk_error *err)
{
	mk_autoidentity identity = { .server = NULL };
	int r = mk_cluster_identity(b->docker, name, /* internal= */ false, &identity, err);

	return r < 0 ? r : mk_kube_new(&identity, &b->kube, err);
}

/* What does not change while others add and remove nodes. */
static int read_cluster(
	struct mk_bringup *b, const char *name, struct mk_cluster_spec *spec, struct mk_error *err)
{
	mk_autojson *first = NULL;
	int r = mk_cluster_find(b->docker, name, &first, err);

	if (r == 0)
		r = check_running(first, name, err);
	if (r == 0)
		r = read_spec(b, first, spec, err);
	if (r < 0)
		return r;
	b->spec = spec;
	b->joining = true;
	b->api_port = port_of(first, "api");
	b->gateway_port = port_of(first, "gateway");
	b->registry_port = port_of(first, "registry");
	r = mk_random_hex(8, &b->run_id, err);
	if (r == 0)
		r = read_container(b, first, err);
	if (r == 0)
		r = mk_bringup_read_image(b, err);
	return r == 0 ? mk_bringup_read_engine(b, NULL, err) : r;
}

static int read_plan(struct mk_bringup *b, const char *name, const struct mk_cluster_spec *spec,
	struct mk_error *err)
{
	mk_autojson *nodes = NULL;
	int r = mk_cluster_nodes(b->docker, name, &nodes, err);

	if (r == 0)
		mk_node_find_ports(b, nodes);
	return r == 0 ? mk_plan_of_nodes(nodes, spec, &b->subnet, &b->plan, err) : r;
}

int mk_existing_read(
	struct mk_bringup *b, const char *name, struct mk_cluster_spec *spec, struct mk_error *err)
{
	int r = read_cluster(b, name, spec, err);

	return r == 0 ? read_plan(b, name, spec, err) : r;
}

int mk_existing_open(struct mk_bringup *b, struct mk_cluster_spec *spec, const char *name,
	int64_t lock_ms, struct mk_kube_lock *ret_lock, struct mk_error *err)
{
	int r = read_cluster(b, name, spec, err);

	if (r == 0)
		r = connect_api(b, name, err);
	if (r == 0)
		r = mk_kube_lock(b->kube, "mkcluster-nodes", lock_ms / 1000 + 1, ret_lock, err);
	return r == 0 ? read_plan(b, name, spec, err) : r;
}

/* Where the cluster's own CAs are read. */
struct source {
	struct mk_docker *docker;
	const char *container;
};

static int read_file(void *arg, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	const struct source *source = arg;

	return mk_container_read_file(source->docker, source->container, path, ret, err);
}

int mk_existing_make_secrets(struct mk_bringup *b, struct mk_error *err)
{
	struct source source = { b->docker, b->plan.nodes[0].container };
	struct mk_pki_source files = { .read = read_file, .arg = &source };

	mk_pki_bundle_free(MK_TAKE(b->pki));
	return mk_bringup_make_bundle(b, &files, err);
}

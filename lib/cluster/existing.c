/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/existing.h"

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
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

/* Before this file there was, clusters were made without a record of how. */
static int fail_old(const char *name, struct mk_error *err)
{
	(void)mk_fail(err, MK_EFAIL,
		"cluster '%s' was made by an earlier mkcluster, which kept no " MK_SPEC_PATH, name);
	mk_error_hint(err,
		"its nodes stay as they are; to change them, `mkcluster delete --name %s` and "
		"create it again",
		name);
	return -MK_EFAIL;
}

/* Whether it is as it was when it was written: a file that someone has changed is
 * no mistake on the command line. */
static int check_spec(const struct mk_cluster_spec *spec, const char *name, struct mk_error *err)
{
	int r = mk_cluster_spec_check(spec, err);

	if (r == 0 && !mk_streq(spec->name, name))
		r = mk_fail(err, MK_EINVALID, MK_SPEC_PATH " is of cluster '%s'", spec->name);
	return r;
}

static int read_spec(struct mk_bringup *b, const json_t *first, const char *name,
	struct mk_cluster_spec *spec, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_container_read_file(
		b->docker, mk_json_str(first, "id", ""), MK_SPEC_PATH, &text, err);

	if (r == -MK_ENOTFOUND)
		return fail_old(name, err);
	if (r == 0)
		r = mk_cluster_spec_parse(spec, text.data, text.len, MK_SPEC_PATH, err);
	if (r == 0) {
		mk_cluster_spec_settle(spec);
		r = check_spec(spec, name, err);
	}
	if (r == -MK_EUSAGE)
		r = mk_error_recode(err, MK_EINVALID);
	return r < 0 ? mk_error_wrap(err, "what '%s' was made from", mk_json_str(first, "name", ""))
		     : 0;
}

/* `mode` is the network that the node was made for; a user may have connected it to
 * others since. */
static int read_network(struct mk_bringup *b, const char *mode, struct mk_error *err)
{
	mk_autojson *network = NULL;
	const json_t *range, *option;
	uint64_t mtu = 0;
	int r = mk_network_inspect(b->docker, mode, &network, err);

	if (r < 0)
		return r == -MK_ENOTFOUND ? mk_error_recode(err, MK_EFAIL) : r;
	range = json_array_get(mk_json_at(network, "IPAM.Config"), 0);
	r = mk_cidr_parse(mk_json_str(range, "Subnet", ""), &b->subnet, err);
	if (r < 0)
		return mk_error_wrap(err, "network '%s'", mk_json_str(network, "Name", "?"));
	b->network = mk_xstrdup(mk_json_str(network, "Name", ""));
	b->network_id = mk_xstrdup(mk_json_str(network, "Id", mode));
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
	int r = mk_container_inspect(b->docker, mk_json_str(first, "id", ""), &info, err);

	if (r < 0)
		return r;
	b->profile = json_is_true(mk_json_at(info, "HostConfig.Privileged"))
		? MK_PROFILE_PRIVILEGED
		: MK_PROFILE_RESTRICTED;
	return read_network(b, mk_json_str(info, "HostConfig.NetworkMode", ""), err);
}

static int fail_state(const json_t *node, const char *name, struct mk_error *err)
{
	const char *state = mk_json_str(node, "state", "?");

	(void)mk_fail(err, MK_EHOST, "node '%s' is %s", mk_json_str(node, "name", ""), state);
	mk_error_hint(err, "`mkcluster %s --name %s` first",
		mk_streq(state, "paused") ? "resume" : "start", name);
	return -MK_EHOST;
}

/* What does not change while others add and remove nodes. */
static int read_cluster(struct mk_bringup *b, const char *name, bool must_run,
	struct mk_cluster_spec *spec, struct mk_error *err)
{
	mk_autojson *first = NULL;
	int r = mk_cluster_find(b->docker, name, &first, err);

	if (r == 0 && must_run && !mk_streq(mk_json_str(first, "state", ""), "running"))
		r = fail_state(first, name, err);
	if (r == 0)
		r = read_spec(b, first, name, spec, err);
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

static int read_plan(struct mk_bringup *b, const struct mk_cluster_spec *spec, const json_t *nodes,
	struct mk_error *err)
{
	mk_node_find_ports(b, nodes);
	return mk_plan_of_nodes(nodes, spec, &b->subnet, &b->plan, err);
}

static int read_all(struct mk_bringup *b, const char *name, bool must_run,
	struct mk_cluster_spec *spec, struct mk_error *err)
{
	mk_autojson *nodes = NULL;
	int r = read_cluster(b, name, must_run, spec, err);

	if (r == 0)
		r = mk_cluster_nodes(b->docker, name, &nodes, err);
	return r == 0 ? read_plan(b, spec, nodes, err) : r;
}

int mk_existing_read(
	struct mk_bringup *b, const char *name, struct mk_cluster_spec *spec, struct mk_error *err)
{
	return read_all(b, name, /* must_run= */ true, spec, err);
}

int mk_existing_read_at_rest(
	struct mk_bringup *b, const char *name, struct mk_cluster_spec *spec, struct mk_error *err)
{
	return read_all(b, name, /* must_run= */ false, spec, err);
}

/*
 * A paused node would not hear what it is told, nor read it later, as one that is
 * stopped does. And we hold the lock: a node that was made and never started is what
 * a run has left that was killed, or told to leave it.
 */
static int tidy(struct mk_bringup *b, const char *name, json_t *nodes, struct mk_error *err)
{
	int r = 0;

	for (size_t i = json_array_size(nodes); i-- > 0 && r == 0;) {
		const json_t *node = json_array_get(nodes, i);
		const char *state = mk_json_str(node, "state", "");

		if (mk_streq(state, "paused"))
			return fail_state(node, name, err);
		if (!mk_streq(state, "created"))
			continue;
		mk_trace("node '%s' never ran: removed", mk_json_str(node, "name", ""));
		r = mk_container_remove(b->docker, mk_json_str(node, "id", ""), err);
		(void)json_array_remove(nodes, i);
	}
	return r;
}

/* How long a run may still have to go when its time is up: on the way back. */
#define WAY_BACK_MS 120000

int mk_existing_lock(
	struct mk_bringup *b, int64_t run_ms, struct mk_kube_lock *ret, struct mk_error *err)
{
	return mk_kube_lock(b->kube, "mkcluster-nodes", (run_ms + WAY_BACK_MS) / 1000, ret, err);
}

int mk_existing_fail_stopped(const struct mk_bringup *b, const struct mk_node_plan *node,
	const char *consequence, struct mk_error *err)
{
	(void)mk_fail(err, MK_EHOST, "node '%s' does not run%s", node->name, consequence);
	mk_error_hint(err,
		"`mkcluster start --name %s` starts it, `mkcluster node remove` takes it out",
		b->spec->name);
	return -MK_EHOST;
}

int mk_existing_open(struct mk_bringup *b, struct mk_cluster_spec *spec, const char *name,
	int64_t run_ms, struct mk_kube_lock *ret_lock, struct mk_error *err)
{
	mk_autojson *nodes = NULL;
	int r = read_cluster(b, name, /* must_run= */ true, spec, err);

	if (r == 0)
		r = mk_cluster_connect(b->docker, name, &b->kube, err);
	if (r == 0)
		r = mk_existing_lock(b, run_ms, ret_lock, err);
	if (r == -MK_ENET)
		mk_error_hint(err, "do all its nodes run? `mkcluster get nodes --name %s`", name);
	if (r == 0)
		r = mk_cluster_nodes(b->docker, name, &nodes, err);
	if (r == 0)
		r = tidy(b, name, nodes, err);
	return r == 0 ? mk_plan_of_nodes(nodes, spec, &b->subnet, &b->plan, err) : r;
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

int mk_existing_make_secrets(struct mk_bringup *b, enum mk_pki_turn turn, struct mk_error *err)
{
	struct source source = { b->docker, b->plan.nodes[0].container };
	struct mk_pki_source files = { .read = read_file, .arg = &source };

	mk_pki_bundle_free(MK_TAKE(b->pki));
	return mk_bringup_make_bundle(b, &files, turn, err);
}

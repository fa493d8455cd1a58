/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing ports of a cluster that runs: all of them, or none. */
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/host.h"
#include "lib/cluster/port_private.h"
#include "lib/cluster/undo.h"
#include "lib/docker/container.h"
#include "lib/docker/network.h"

/* Another run may have chosen the same addresses at the same moment. */
#define ADDRESS_TRIES 5
#define READY_MS 15000

struct run {
	struct mk_docker *docker;
	const char *cluster;
	struct mk_port_spec *ports;
	size_t count;
	json_t *members;
	char *image;
	char *network;
	char *run_id;
	struct mk_strlist ips; /* one for each port */
	struct mk_strlist ids; /* of the containers, once created */
	bool started;          /* something of ours may exist in the engine */
};

static void run_done(struct run *run)
{
	json_decref(run->members);
	free(run->image);
	free(run->network);
	free(run->run_id);
	mk_strlist_done(&run->ips);
	mk_strlist_done(&run->ids);
}

static int check_ports(const struct mk_port_spec *ports, size_t count, struct mk_error *err)
{
	if (count > MK_MAX_PORTS)
		return mk_fail(
			err, MK_EUSAGE, "%zu ports at once; %d are the most", count, MK_MAX_PORTS);
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (ports[i].host_port > 0 && ports[i].host_port == ports[j].host_port)
				return mk_fail(err, MK_EUSAGE, "host port %lld is named twice",
					(long long)ports[i].host_port);
		}
	}
	return 0;
}

/* Nodes that are stopped get no connections, and a port alone would seem to work. */
static int check_runs(const struct run *run, struct mk_error *err)
{
	const json_t *member;
	bool paused = false;
	size_t i;

	json_array_foreach (run->members, i, member) {
		const char *state = mk_json_str(member, "state", "");

		if (mk_cluster_is_kube(member) && mk_streq(state, "running"))
			return 0;
		paused = paused || mk_streq(state, "paused");
	}
	(void)mk_fail(err, MK_EHOST, "cluster '%s' does not run", run->cluster);
	mk_error_hint(err, "`mkcluster %s --name %s`", paused ? "resume" : "start", run->cluster);
	return -MK_EHOST;
}

static int is_published(const struct run *run, int64_t host_port, struct mk_error *err)
{
	(void)mk_fail(err, MK_EEXISTS, "cluster '%s' publishes port %lld already", run->cluster,
		(long long)host_port);
	mk_error_hint(err, "`mkcluster port list --name %s` shows where it leads", run->cluster);
	return -MK_EEXISTS;
}

static int check_unpublished(const struct run *run, struct mk_error *err)
{
	const json_t *member;
	size_t i;

	json_array_foreach (run->members, i, member) {
		for (size_t j = 0; j < run->count; j++) {
			mk_autofree char *name = mk_port_name(
				run->cluster, run->ports[j].host_port);

			if (mk_cluster_is_port(member) &&
				mk_streq(mk_json_str(member, "name", ""), name))
				return is_published(run, run->ports[j].host_port, err);
		}
	}
	return 0;
}

/* Where the cluster's own ports are, unless an address was given. */
static int choose_ports(struct run *run, const char *api, struct mk_error *err)
{
	const char *colon = strrchr(api, ':');
	mk_autojson *taken = NULL;
	int r = mk_host_ports_taken(run->docker, &taken, err);

	for (size_t i = 0; i < run->count && r == 0; i++) {
		struct mk_port_spec *port = &run->ports[i];

		if (!port->listen_address)
			port->listen_address = colon ? mk_xstrndup(api, (size_t)(colon - api))
						     : mk_xstrdup("127.0.0.1");
		r = mk_host_choose_port(run->docker, port->listen_address, port->host_port,
			/* or_next= */ false, taken, &port->host_port, err);
	}
	return r;
}

static bool is_used(const struct run *run, const json_t *endpoints, const char *ip)
{
	mk_autofree char *with_bits = mk_xasprintf("%s/", ip);
	const json_t *member;
	const char *id;
	json_t *endpoint;
	size_t i;

	json_array_foreach (run->members, i, member) {
		if (mk_streq(mk_json_str(member, "ip", ""), ip))
			return true;
	}
	json_object_foreach ((json_t *)(uintptr_t)endpoints, id, endpoint) {
		if (mk_after_prefix(mk_json_str(endpoint, "IPv4Address", ""), with_bits))
			return true;
	}
	return false;
}

/* From the top of the network, where nodes come last; those of what is stopped are
 * known by its labels alone. */
static int choose_ips(struct run *run, struct mk_error *err)
{
	mk_autojson *network = NULL;
	const json_t *config;
	struct mk_cidr subnet;
	int r = mk_network_inspect(run->docker, run->network, &network, err);

	if (r < 0)
		return r;
	config = json_array_get(mk_json_at(network, "IPAM.Config"), 0);
	r = mk_cidr_parse(mk_json_str(config, "Subnet", ""), &subnet, err);
	if (r < 0)
		return mk_error_recode(err, MK_EINVALID);
	mk_strlist_done(&run->ips);
	run->ips = (struct mk_strlist){ .items = NULL };
	/* Neither the broadcast address, nor the network's own and its gateway. */
	for (uint32_t n = (uint32_t)((UINT64_C(1) << (32 - subnet.bits)) - 1);
		n-- > 2 && run->ips.count < run->count;) {
		mk_autofree char *ip = mk_cidr_address(&subnet, n);

		if (!is_used(run, mk_json_at(network, "Containers"), ip))
			mk_strlist_add(&run->ips, ip);
	}
	if (run->ips.count < run->count)
		return mk_fail(err, MK_EHOST, "the network of cluster '%s' has no address left",
			run->cluster);
	return 0;
}

static int look(struct run *run, struct mk_error *err)
{
	json_decref(MK_TAKE(run->members));
	return mk_cluster_members(run->docker, run->cluster, &run->members, err);
}

static int prepare(struct run *run, struct mk_error *err)
{
	mk_autojson *node = NULL;
	mk_autojson *info = NULL;
	int r = mk_cluster_find(run->docker, run->cluster, &node, err);

	if (r == 0)
		r = look(run, err);
	if (r == 0)
		r = check_runs(run, err);
	if (r == 0)
		r = check_unpublished(run, err);
	if (r == 0)
		r = choose_ports(run, mk_json_str(node, "api", ""), err);
	if (r == 0)
		r = mk_container_inspect(run->docker, mk_json_str(node, "id", ""), &info, err);
	if (r < 0)
		return r;
	run->image = mk_xstrdup(mk_json_str(node, "image", ""));
	run->network = mk_xstrdup(mk_json_str(info, "HostConfig.NetworkMode", ""));
	return mk_random_hex(8, &run->run_id, err);
}

/* Send one request for each port, side by side; name the port that was refused. */
static int for_all(
	struct run *run, struct mk_docker_item *items, const char *what, struct mk_error *err)
{
	size_t failed = 0;
	int r = mk_docker_call_all(run->docker, items, run->count, &failed, err);

	if (r == 0)
		return 0;
	(void)mk_error_wrap(err, "%s port %lld", what, (long long)run->ports[failed].host_port);
	/* The engine proves two runs wrong that both found the port free. */
	if (r == -MK_EEXISTS)
		return is_published(run, run->ports[failed].host_port, err);
	if (!strstr(err->message, "address already in use") &&
		!strstr(err->message, "port is already allocated"))
		return r;
	mk_error_hint(err, "`ss -ltnp` shows who listens; choose another");
	return mk_error_recode(err, MK_EHOST);
}

static int create_all(struct run *run, struct mk_docker_item *items, struct mk_error *err)
{
	struct mk_port_run what = {
		.cluster = run->cluster,
		.run_id = run->run_id,
		.image = run->image,
		.network = run->network,
	};
	int r;

	for (size_t i = 0; i < run->count; i++) {
		mk_autofree char *name = mk_port_name(run->cluster, run->ports[i].host_port);

		items[i] = (struct mk_docker_item){ .method = "POST",
			.path = mk_xasprintf("/containers/create?name=%s", name),
			.body = mk_port_container(&what, &run->ports[i], run->ips.items[i]) };
	}
	run->started = true;
	mk_interrupt_delay(MK_CREATE_GRACE_MS);
	r = for_all(run, items, "publish", err);
	mk_interrupt_delay(0);
	mk_strlist_done(&run->ids);
	run->ids = (struct mk_strlist){ .items = NULL };
	for (size_t i = 0; i < run->count && r == 0; i++)
		mk_strlist_add(&run->ids, mk_json_str(items[i].answer, "Id", ""));
	return r;
}

static int fill_all(struct run *run, struct mk_docker_item *items, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < run->count && r == 0; i++) {
		items[i] = mk_port_put(run->ids.items[i]);
		r = mk_port_archive(run->members, run->ports[i].container_port, &items[i].raw, err);
	}
	return r == 0 ? for_all(run, items, "fill", err) : r;
}

static int start_all(struct run *run, struct mk_docker_item *items, struct mk_error *err)
{
	for (size_t i = 0; i < run->count; i++)
		items[i] = (struct mk_docker_item){ .method = "POST",
			.path = mk_xasprintf("/containers/%s/start", run->ids.items[i]) };
	return for_all(run, items, "publish", err);
}

static int wait_all(struct run *run, struct mk_error *err)
{
	int64_t deadline = mk_deadline(READY_MS);
	int r = 0;

	for (size_t i = 0; i < run->count && r == 0; i++) {
		r = mk_container_wait_printed(
			run->docker, run->ids.items[i], MK_PORT_READY, deadline, err);
		if (r < 0)
			(void)mk_error_wrap(err, "HAProxy of port %lld does not listen",
				(long long)run->ports[i].host_port);
	}
	return r;
}

static int make(struct run *run, struct mk_error *err)
{
	static int (*const rounds[])(struct run *, struct mk_docker_item *,
		struct mk_error *) = { create_all, fill_all, start_all };
	mk_autofree struct mk_docker_item *items = mk_xcalloc(run->count, sizeof(*items));
	int r = choose_ips(run, err);

	for (size_t i = 0; i < MK_ARRAY_LEN(rounds) && r == 0; i++) {
		r = rounds[i](run, items, err);
		mk_docker_items_done(items, run->count);
		memset(items, 0, run->count * sizeof(*items));
	}
	return r == 0 ? wait_all(run, err) : r;
}

static void undo(struct run *run, struct mk_error *err)
{
	mk_autoerror second = { .code = MK_OK };
	int r;

	if (mk_interrupted())
		(void)mk_fail_interrupted(err);
	r = mk_undo_run(run->docker, run->run_id, err, &second);
	run->started = false;
	mk_undo_report(err, r, &second);
	if (r < 0)
		mk_error_hint(err, "`mkcluster port list --name %s` shows the rest", run->cluster);
}

/* The engine's words (libnetwork, ipamapi) for an address of the network, where those
 * for a port of the host begin with a small letter. */
static bool is_address_taken(const struct mk_error *err)
{
	return err->message && strstr(err->message, "Address already in use");
}

int mk_ports_add(struct mk_docker *docker, const char *cluster, struct mk_port_spec *ports,
	size_t count, struct mk_error *err)
{
	MK_CLEANUP(run_done)
	struct run run = { .docker = docker, .cluster = cluster, .ports = ports, .count = count };
	int r = check_ports(ports, count, err);

	if (r == 0)
		r = prepare(&run, err);
	if (r == 0)
		r = make(&run, err);
	for (int tries = 1; r < 0 && is_address_taken(err) && tries < ADDRESS_TRIES; tries++) {
		undo(&run, err);
		mk_error_done(err);
		r = look(&run, err);
		if (r == 0)
			r = make(&run, err);
	}
	if (r < 0 && run.started)
		undo(&run, err);
	return r < 0 ? -(int)err->code : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports of a cluster: read from the command line, list, remove, update. */
#include "lib/cluster/port.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/port_private.h"
#include "lib/docker/container.h"

#include <arpa/inet.h>
#include <stdio.h>

void mk_port_spec_done(struct mk_port_spec *port)
{
	free(port->listen_address);
	*port = (struct mk_port_spec){ .listen_address = NULL };
}

static int no_port(const char *text, struct mk_error *err)
{
	(void)mk_fail(err, MK_EUSAGE, "'%.80s' is not [ADDRESS:]HOST:NODEPORT", text);
	mk_error_hint(err, "such as 8080:30080, or 0:30080 for any free port of this machine");
	return -MK_EUSAGE;
}

/* Cut "/tcp" off the copy, and refuse what HAProxy cannot pass on. */
static int cut_protocol(char *copy, struct mk_error *err)
{
	char *slash = strchr(copy, '/');

	if (!slash)
		return 0;
	*slash = '\0';
	if (mk_streq(slash + 1, "tcp"))
		return 0;
	(void)mk_fail(err, MK_EUSAGE, "protocol '%.16s': only TCP ports can be added", slash + 1);
	mk_error_hint(err, "what passes them on is HAProxy, which knows no UDP or SCTP");
	return -MK_EUSAGE;
}

int mk_port_parse(const char *text, struct mk_port_spec *ret, struct mk_error *err)
{
	mk_autofree char *copy = mk_xstrdup(text);
	char *node = strrchr(copy, ':'), *host;
	uint64_t host_port, node_port;
	struct in_addr address;
	int r = cut_protocol(copy, err);

	if (r < 0)
		return r;
	if (!node)
		return no_port(text, err);
	*node++ = '\0';
	host = strrchr(copy, ':');
	if (host)
		*host++ = '\0';
	if (!mk_parse_uint(node, 1, 65535, &node_port) ||
		!mk_parse_uint(host ? host : copy, 0, 65535, &host_port))
		return no_port(text, err);
	if (host && inet_pton(AF_INET, copy, &address) != 1)
		return mk_fail(err, MK_EUSAGE, "'%.64s' is not an IPv4 address of this host", copy);
	*ret = (struct mk_port_spec){
		.container_port = (int64_t)node_port,
		.host_port = (int64_t)host_port,
		.listen_address = host ? mk_xstrdup(copy) : NULL,
		.protocol = MK_PROTOCOL_TCP,
	};
	return 0;
}

/* What a port's label says, "127.0.0.1:8080->30080/tcp", in parts. */
struct mapping {
	char address[64];
	char host[8];
	uint64_t host_port, node_port;
};

static struct mapping mapping_of(const json_t *member)
{
	const char *text = json_string_value(json_array_get(mk_json_at(member, "ports"), 0));
	struct mapping m = { .host_port = 0 };
	char node[8] = "";

	/* One that is none of ours has empty parts. */
	if (!text || sscanf(text, "%63[^:]:%7[0-9]->%7[0-9]/tcp", m.address, m.host, node) != 3 ||
		!mk_parse_uint(m.host, 1, 65535, &m.host_port) ||
		!mk_parse_uint(node, 1, 65535, &m.node_port))
		return (struct mapping){ .host_port = 0 };
	return m;
}

static int compare_ports(const void *a, const void *b)
{
	struct mapping x = mapping_of(*(json_t *const *)a), y = mapping_of(*(json_t *const *)b);

	return x.host_port < y.host_port ? -1 : x.host_port > y.host_port;
}

/* The cluster's ports among its members, by host port: an array, references held. */
static json_t *ports_of(const json_t *members)
{
	mk_autofree json_t **ports = mk_xcalloc(json_array_size(members), sizeof(json_t *));
	json_t *array = json_array(), *member;
	size_t i, count = 0;

	json_array_foreach (members, i, member) {
		if (mk_cluster_is_port(member))
			ports[count++] = member;
	}
	if (count > 1)
		qsort(ports, count, sizeof(json_t *), compare_ports);
	for (i = 0; i < count; i++)
		(void)json_array_append(array, ports[i]);
	return array;
}

static int find_ports(
	struct mk_docker *docker, const char *cluster, json_t **ret, struct mk_error *err)
{
	mk_autojson *first = NULL;
	mk_autojson *members = NULL;
	int r = mk_cluster_find(docker, cluster, &first, err);

	if (r == 0)
		r = mk_cluster_members(docker, cluster, &members, err);
	if (r == 0)
		*ret = ports_of(members);
	return r;
}

static json_t *listed(const json_t *port)
{
	struct mapping m = mapping_of(port);

	return mk_json_pack("{s:s,s:s,s:I,s:I,s:s}", "cluster", mk_json_str(port, "cluster", ""),
		"address", m.address, "hostPort", (json_int_t)m.host_port, "nodePort",
		(json_int_t)m.node_port, "state", mk_json_str(port, "state", ""));
}

int mk_ports_list(struct mk_docker *docker, const char *cluster, json_t **ret, struct mk_error *err)
{
	mk_autojson *ports = NULL;
	json_t *list;
	const json_t *port;
	size_t i;
	int r = find_ports(docker, cluster, &ports, err);

	if (r < 0)
		return r;
	list = json_array();
	json_array_foreach (ports, i, port)
		(void)json_array_append_new(list, listed(port));
	*ret = list;
	return 0;
}

static int not_published(
	const char *cluster, const char *host, const json_t *ports, struct mk_error *err)
{
	mk_autostrlist names = { .items = NULL };
	mk_autofree char *list = NULL;
	const json_t *port;
	size_t i;

	(void)mk_fail(err, MK_ENOTFOUND, "cluster '%s' does not publish port %.64s", cluster, host);
	json_array_foreach (ports, i, port) {
		struct mapping m = mapping_of(port);

		mk_strlist_add(&names, m.host);
	}
	list = mk_strlist_join(&names, ", ");
	if (names.count > 0)
		mk_error_hint(err, "it publishes %s", list);
	else
		mk_error_hint(err, "it publishes none; `mkcluster port add` does");
	return -MK_ENOTFOUND;
}

/* The container of "8080", or of "127.0.0.1:8080" as `add` prints it. */
static const char *id_of(const json_t *ports, const char *host)
{
	const json_t *port;
	size_t i;

	json_array_foreach (ports, i, port) {
		struct mapping m = mapping_of(port);
		mk_autofree char *address = mk_xasprintf("%s:%s", m.address, m.host);

		if (mk_streq(host, m.host) || mk_streq(host, address))
			return mk_json_str(port, "id", "");
	}
	return NULL;
}

int mk_ports_remove(struct mk_docker *docker, const char *cluster, const struct mk_strlist *hosts,
	struct mk_error *err)
{
	mk_autojson *ports = NULL;
	mk_autostrlist ids = { .items = NULL };
	int r;

	for (size_t i = 0; i < hosts->count; i++) {
		const char *colon = strrchr(hosts->items[i], ':');
		uint64_t port;

		if (!mk_parse_uint(colon ? colon + 1 : hosts->items[i], 1, 65535, &port))
			return mk_fail(err, MK_EUSAGE, "'%.64s' is not a port", hosts->items[i]);
	}
	r = find_ports(docker, cluster, &ports, err);
	for (size_t i = 0; i < hosts->count && r == 0; i++) {
		const char *id = id_of(ports, hosts->items[i]);

		if (!id)
			r = not_published(cluster, hosts->items[i], ports, err);
		else if (!mk_strlist_has(&ids, id))
			mk_strlist_add(&ids, id);
	}
	if (r < 0)
		return r;
	mk_interrupt_shield(true);
	r = mk_container_remove_all(docker, &ids, err);
	mk_interrupt_shield(false);
	return r;
}

static int write_configs(
	struct mk_docker *docker, const json_t *members, const json_t *ports, struct mk_error *err)
{
	size_t count = json_array_size(ports);
	mk_autofree struct mk_docker_item *items = mk_xcalloc(count, sizeof(*items));
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		const json_t *port = json_array_get(ports, i);

		items[i] = mk_port_put(mk_json_str(port, "id", ""));
		r = mk_port_archive(
			members, (int64_t)mapping_of(port).node_port, &items[i].raw, err);
	}
	if (r == 0)
		r = mk_docker_call_all(docker, items, count, NULL, err);
	mk_docker_items_done(items, count);
	return r;
}

/*
 * SIGUSR2 makes HAProxy's master read its file again. Sent from inside: an engine
 * takes any signal that it sends itself for a manual stop, and would not start the
 * container after a reboot.
 */
#define RELOAD_MS 10000
#define RELOAD_OUTPUT 1024
static const char *const reload[] = { "kill", "-USR2", "1", NULL };

static int reload_all(struct mk_docker *docker, const json_t *ports, struct mk_error *err)
{
	mk_autofree struct mk_exec_item *items = mk_xcalloc(json_array_size(ports), sizeof(*items));
	const json_t *port;
	size_t i, count = 0;
	int r;

	json_array_foreach (ports, i, port) {
		if (mk_streq(mk_json_str(port, "state", ""), "running"))
			items[count++] = (struct mk_exec_item){ .id = mk_json_str(port, "id", ""),
				.argv = reload,
				.output = mk_buf_init(RELOAD_OUTPUT) };
	}
	r = mk_container_exec_all(docker, items, count, RELOAD_MS, err);
	for (i = 0; i < count; i++) {
		if (r == 0 && items[i].status != 0)
			r = mk_fail(err, MK_EFAIL, "%.12s: kill ended with status %d: %s",
				items[i].id, items[i].status, items[i].output.data);
		mk_buf_done(&items[i].output);
	}
	return r;
}

static void leave_out(json_t *members, const char *name)
{
	for (size_t i = json_array_size(members); i-- > 0;) {
		if (mk_streq(mk_json_str(json_array_get(members, i), "name", ""), name))
			(void)json_array_remove(members, i);
	}
}

int mk_ports_update(
	struct mk_docker *docker, const char *cluster, const char *without, struct mk_error *err)
{
	mk_autojson *members = NULL;
	mk_autojson *ports = NULL;
	int r = mk_cluster_members(docker, cluster, &members, err);

	if (r < 0)
		return r;
	if (without)
		leave_out(members, without);
	ports = ports_of(members);
	if (json_array_size(ports) == 0)
		return 0;
	r = write_configs(docker, members, ports, err);
	if (r == 0)
		r = reload_all(docker, ports, err);
	return r < 0 ? mk_error_wrap(err, "tell the published ports of the nodes") : 0;
}

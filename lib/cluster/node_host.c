/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/node_host.h"

#include "lib/base/fs.h"
#include "lib/cluster/host.h"
#include "lib/cluster/quantity.h"

const char *mk_node_image(const struct mk_bringup *b, const struct mk_node_plan *node)
{
	const struct mk_node_plan *like = node->role == MK_ROLE_LOAD_BALANCER ? &b->plan.nodes[0]
									      : node;

	return like->spec && like->spec->image ? like->spec->image : b->spec->image;
}

const char *mk_node_image_of(
	const struct mk_bringup *b, const struct mk_node_plan *node, const char *role)
{
	const json_t *own = json_object_get(b->node_images, mk_node_image(b, node));

	return mk_json_str(own ? own : b->images, role, "");
}

static void set_limits(const struct mk_node_plan *node, json_t *host)
{
	if (node->nano_cpus > 0)
		(void)json_object_set_new(host, "NanoCpus", json_integer(node->nano_cpus));
	if (node->memory == 0)
		return;
	/* The same as Memory: no swap, which the kubelet would not count either. */
	(void)json_object_set_new(host, "Memory", json_integer(node->memory));
	(void)json_object_set_new(host, "MemorySwap", json_integer(node->memory));
}

static void set_dns_search(const struct mk_cluster_spec *spec, json_t *host)
{
	json_t *search;

	if (!spec->dns_search_given && spec->dns_search.count == 0)
		return;
	search = json_array();
	for (size_t i = 0; i < spec->dns_search.count; i++)
		(void)json_array_append_new(search, json_string(spec->dns_search.items[i]));
	/* resolv.conf(5) knows no empty list; for the engine "." is one. */
	if (spec->dns_search.count == 0)
		(void)json_array_append_new(search, json_string("."));
	(void)json_object_set_new(host, "DnsSearch", search);
}

static const char *const propagations[] = {
	[MK_PROPAGATION_NONE] = "rprivate",
	[MK_PROPAGATION_HOST_TO_CONTAINER] = "rslave",
	[MK_PROPAGATION_BIDIRECTIONAL] = "rshared",
};

/* In the engine's long form an absent folder is refused, not made, and a colon in
 * a name is one. */
static json_t *mount_of(const struct mk_mount_spec *mount)
{
	return mk_json_pack("{s:s,s:s,s:s,s:b,s:{s:s}}", "Type", "bind", "Source", mount->host_path,
		"Target", mount->container_path, "ReadOnly", mount->read_only ? 1 : 0,
		"BindOptions", "Propagation", propagations[mount->propagation]);
}

/* Only the short form can relabel. The label is shared: pods see the folder too. */
static json_t *bind_of(const struct mk_mount_spec *mount)
{
	mk_autofree char *text = mk_xasprintf("%s:%s:%s,z,%s", mount->host_path,
		mount->container_path, mount->read_only ? "ro" : "rw",
		propagations[mount->propagation]);

	return json_string(text);
}

static void set_mounts(const struct mk_node_spec *spec, json_t *host)
{
	json_t *mounts = json_array(), *binds = json_array();

	for (size_t i = 0; i < spec->mount_count; i++) {
		if (spec->mounts[i].selinux_relabel)
			(void)json_array_append_new(binds, bind_of(&spec->mounts[i]));
		else
			(void)json_array_append_new(mounts, mount_of(&spec->mounts[i]));
	}
	if (json_array_size(mounts) > 0)
		(void)json_object_set(host, "Mounts", mounts);
	if (json_array_size(binds) > 0)
		(void)json_object_set(host, "Binds", binds);
	json_decref(mounts);
	json_decref(binds);
}

static const char *listen_address(const struct mk_bringup *b, const struct mk_port_spec *port)
{
	return port->listen_address ? port->listen_address : b->spec->api_address;
}

static int64_t host_port(const struct mk_bringup *b, const struct mk_node_plan *node, size_t i)
{
	const json_t *ports = json_object_get(b->host_ports, node->name);

	return json_integer_value(json_array_get(ports, i));
}

void mk_node_publish(json_t *bindings, json_t *exposed, enum mk_protocol protocol,
	int64_t node_port, const char *address, int64_t port)
{
	mk_autofree char *key = mk_xasprintf(
		"%lld/%s", (long long)node_port, mk_protocol_name(protocol));
	mk_autofree char *text = mk_xasprintf("%lld", (long long)port);
	json_t *list = json_object_get(bindings, key);

	if (!list) {
		list = json_array();
		(void)json_object_set_new(bindings, key, list);
	}
	(void)json_object_set_new(exposed, key, json_object());
	(void)json_array_append_new(
		list, mk_json_pack("{s:s,s:s}", "HostIp", address, "HostPort", text));
}

void mk_node_add_host(
	const struct mk_bringup *b, const struct mk_node_plan *node, json_t *host, json_t *exposed)
{
	set_dns_search(b->spec, host);
	if (!node->spec)
		return;
	set_limits(node, host);
	set_mounts(node->spec, host);
	for (size_t i = 0; i < node->spec->port_count; i++) {
		const struct mk_port_spec *port = &node->spec->ports[i];

		mk_node_publish(json_object_get(host, "PortBindings"), exposed, port->protocol,
			port->container_port, listen_address(b, port), host_port(b, node, i));
	}
}

char *mk_node_ports_text(const struct mk_bringup *b, const struct mk_node_plan *node)
{
	mk_autostrlist list = { .items = NULL };

	for (size_t i = 0; node->spec && i < node->spec->port_count; i++) {
		const struct mk_port_spec *port = &node->spec->ports[i];

		mk_strlist_addf(&list, "%s:%lld->%lld/%s", listen_address(b, port),
			(long long)host_port(b, node, i), (long long)port->container_port,
			mk_protocol_name(port->protocol));
	}
	return list.count > 0 ? mk_strlist_join(&list, ",") : NULL;
}

/* Whether this run makes the spec's node: all of a new cluster, else the fresh ones. */
static bool is_made(const struct mk_bringup *b, const char *name)
{
	const struct mk_node_plan *node = b->joining ? mk_plan_find(&b->plan, name) : NULL;

	return !b->joining || (node && node->fresh);
}

static int choose_port(struct mk_bringup *b, const struct mk_port_spec *port, const char *name,
	json_t *taken, int64_t *ret, struct mk_error *err)
{
	int r = mk_host_choose_node_port(b->docker, listen_address(b, port), port->protocol,
		port->host_port, taken, ret, err);

	return r < 0
		? mk_error_wrap(err, "port %lld/%s of node '%s'", (long long)port->container_port,
			  mk_protocol_name(port->protocol), name)
		: 0;
}

/* The array of a node's ports, with zeros where none is chosen yet. Borrowed. */
static json_t *ports_of(struct mk_bringup *b, const char *name, size_t count)
{
	json_t *ports = json_object_get(b->host_ports, name);

	if (json_array_size(ports) == count)
		return ports;
	ports = json_array();
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(ports, json_integer(0));
	(void)json_object_set_new(b->host_ports, name, ports);
	return ports;
}

static int choose_ports(struct mk_bringup *b, const struct mk_node_spec *node, const char *name,
	bool fixed, json_t *taken, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < node->port_count && r == 0; i++) {
		int64_t number = 0;

		if ((node->ports[i].host_port != 0) != fixed)
			continue;
		r = choose_port(b, &node->ports[i], name, taken, &number, err);
		if (r == 0)
			(void)json_array_set_new(
				ports_of(b, name, node->port_count), i, json_integer(number));
	}
	return r;
}

int mk_node_choose_ports(struct mk_bringup *b, bool fixed, json_t *taken, struct mk_error *err)
{
	int r = 0;

	if (!b->host_ports)
		b->host_ports = json_object();
	for (size_t i = 0; i < b->spec->node_count && r == 0; i++) {
		mk_autofree char *name = mk_plan_spec_name(b->spec, i);

		if (is_made(b, name))
			r = choose_ports(b, &b->spec->nodes[i], name, fixed, taken, err);
	}
	return r;
}

/* Their labels name them in the spec's order. */
void mk_node_find_ports(struct mk_bringup *b, const json_t *nodes)
{
	const json_t *node, *mapping;
	size_t i, j;

	json_decref(b->host_ports);
	b->host_ports = json_object();
	json_array_foreach (nodes, i, node) {
		json_t *ports = json_array();

		json_array_foreach (json_object_get(node, "ports"), j, mapping) {
			const char *text = json_string_value(mapping);
			const char *arrow = strstr(text, "->");
			mk_autofree char *host = mk_xstrndup(
				text, arrow ? (size_t)(arrow - text) : 0);
			const char *colon = strrchr(host, ':');
			uint64_t number = 0;

			(void)(colon && mk_parse_uint(colon + 1, 1, 65535, &number));
			(void)json_array_append_new(ports, json_integer((json_int_t)number));
		}
		(void)json_object_set_new(b->host_ports, mk_json_str(node, "name", ""), ports);
	}
}

static int check_mounts(const struct mk_bringup *b, const struct mk_node_spec *node,
	const char *name, struct mk_error *err)
{
	for (size_t j = 0; j < node->mount_count; j++) {
		const char *path = node->mounts[j].host_path;

		if (!mk_docker_is_local(b->docker) || mk_fs_exists(path))
			continue;
		(void)mk_fail(err, MK_EHOST, "node '%s' is to mount %s, which does not exist", name,
			path);
		mk_error_hint(err, "make it first: mkcluster makes nothing on the host");
		return -MK_EHOST;
	}
	return 0;
}

static int check_cpus(const struct mk_bringup *b, const struct mk_node_spec *node, const char *name,
	struct mk_error *err)
{
	int64_t nano;
	int r;

	if (!node->cpus)
		return 0;
	r = mk_quantity_cpus(node->cpus, &nano, err);
	if (r < 0)
		return mk_error_wrap(err, "node '%s'", name);
	if (b->host_cpus == 0 || nano <= b->host_cpus * 1000000000)
		return 0;
	return mk_fail(err, MK_EHOST,
		"node '%s' is to have %s CPUs, and the engine's host has %lld", name, node->cpus,
		(long long)b->host_cpus);
}

int mk_node_check_host(const struct mk_bringup *b, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < b->spec->node_count && r == 0; i++) {
		mk_autofree char *name = mk_plan_spec_name(b->spec, i);

		if (!is_made(b, name))
			continue;
		r = check_mounts(b, &b->spec->nodes[i], name, err);
		if (r == 0)
			r = check_cpus(b, &b->spec->nodes[i], name, err);
	}
	return r;
}

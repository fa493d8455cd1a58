/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/host.h"

#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/cluster/cluster.h"
#include "lib/docker/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

const char *mk_protocol_name(enum mk_protocol protocol)
{
	switch (protocol) {
	case MK_PROTOCOL_TCP:
		return "tcp";
	case MK_PROTOCOL_UDP:
		return "udp";
	case MK_PROTOCOL_SCTP:
		return "sctp";
	}
	return "?";
}

/* A port that is wanted: the words of `taken`, "127.0.0.1:6443/tcp". */
struct port {
	const char *address;
	int64_t number; /* 0: any */
	enum mk_protocol protocol;
};

static void take(json_t *taken, const char *text)
{
	(void)json_array_append_new(taken, json_string(text));
}

static void take_port(json_t *taken, const struct port *port)
{
	mk_autofree char *text = mk_xasprintf("%s:%lld/%s", port->address, (long long)port->number,
		mk_protocol_name(port->protocol));

	take(taken, text);
}

static void add_port_of(json_t *taken, const json_t *node, const char *key)
{
	mk_autofree char *text = mk_xasprintf("%s/tcp", mk_json_str(node, key, ""));

	if (strchr(text, ':'))
		take(taken, text);
}

/* "127.0.0.1:8080->80/tcp", of a node's own. */
static void add_node_port(json_t *taken, const char *mapping)
{
	const char *arrow = strstr(mapping, "->");
	const char *protocol = arrow ? strchr(arrow, '/') : NULL;
	mk_autofree char *text = NULL;

	if (!protocol)
		return;
	text = mk_xasprintf("%.*s%s", (int)(arrow - mapping), mapping, protocol);
	take(taken, text);
}

int mk_host_ports_taken(struct mk_docker *docker, json_t **ret, struct mk_error *err)
{
	mk_autojson *nodes = NULL;
	json_t *taken;
	const json_t *node, *mapping;
	size_t i, j;
	int r = mk_cluster_members(docker, NULL, &nodes, err);

	if (r < 0)
		return r;
	taken = json_array();
	json_array_foreach (nodes, i, node) {
		add_port_of(taken, node, "api");
		add_port_of(taken, node, "gateway");
		add_port_of(taken, node, "registry");
		json_array_foreach (json_object_get(node, "ports"), j, mapping)
			add_node_port(taken, json_string_value(mapping));
	}
	*ret = taken;
	return 0;
}

#define EVERY_ADDRESS "0.0.0.0:"

static bool is_taken(const json_t *taken, const struct port *port)
{
	mk_autofree char *suffix = mk_xasprintf(
		":%lld/%s", (long long)port->number, mk_protocol_name(port->protocol));
	mk_autofree char *mine = mk_xasprintf("%s:", port->address);
	const json_t *value;
	size_t i;

	json_array_foreach (taken, i, value) {
		const char *other = json_string_value(value);

		if (mk_has_suffix(other, suffix) &&
			(mk_streq(mine, EVERY_ADDRESS) || mk_after_prefix(other, mine) ||
				mk_after_prefix(other, EVERY_ADDRESS)))
			return true;
	}
	return false;
}

/*
 * Bind for a moment. Returns the port, or 0 with errno when it cannot be had.
 * SCTP, which few kernels have loaded, goes by the look of TCP.
 */
static int64_t try_bind(const struct port *port)
{
	int type = port->protocol == MK_PROTOCOL_UDP ? SOCK_DGRAM : SOCK_STREAM;
	mk_autoclose int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port->number) };
	socklen_t len = sizeof(sin);
	int on = 1;

	if (fd < 0 || inet_pton(AF_INET, port->address, &sin.sin_addr) != 1)
		return 0;
	/* As the engine's proxy binds: connections in TIME_WAIT do not count. For
	 * UDP the option would let two have one port. */
	if (type == SOCK_STREAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0) {
		/* Below 1024 we may not look, and the engine may listen. */
		return errno == EACCES ? port->number : 0;
	}
	if ((type == SOCK_STREAM && listen(fd, 1) < 0) ||
		getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
		return 0;
	return ntohs(sin.sin_port);
}

static bool find_any(struct port *port, const json_t *taken)
{
	for (int tries = 0; tries < 64; tries++) {
		port->number = 0;
		port->number = try_bind(port);
		if (port->number > 0 && !is_taken(taken, port))
			return true;
	}
	return false;
}

static bool find_from(struct port *port, int64_t last, const json_t *taken)
{
	for (; port->number <= last && port->number <= 65535; port->number++) {
		errno = EADDRINUSE;
		if (!is_taken(taken, port) && try_bind(port) == port->number)
			return true;
	}
	return false;
}

static int refuse(const struct port *port, int64_t wanted, int error, struct mk_error *err)
{
	struct in_addr ignored;

	if (inet_pton(AF_INET, port->address, &ignored) != 1)
		return mk_fail(err, MK_EUSAGE, "'%s' is not an IPv4 address", port->address);
	if (error == EADDRNOTAVAIL)
		return mk_fail(err, MK_EHOST, "%s is no address of this host", port->address);
	(void)mk_fail(err, MK_EHOST, "port %lld of %s is taken", (long long)wanted, port->address);
	mk_error_hint(err, "`ss -l%cnp` shows who listens; choose another in the config file",
		port->protocol == MK_PROTOCOL_UDP ? 'u' : 't');
	return -MK_EHOST;
}

static int choose(const struct mk_docker *docker, const struct port *wanted, bool or_next,
	json_t *taken, int64_t *ret, struct mk_error *err)
{
	struct port port = *wanted;
	bool found = true;

	if (!mk_docker_is_local(docker))
		port.number = port.number > 0 ? port.number
					      : 36443 + (int64_t)json_array_size(taken);
	else if (port.number == 0)
		found = find_any(&port, taken);
	else
		found = find_from(&port, port.number + (or_next ? 1000 : 0), taken);
	if (!found)
		return refuse(&port, wanted->number, errno, err);
	take_port(taken, &port);
	*ret = port.number;
	return 0;
}

int mk_host_choose_port(const struct mk_docker *docker, const char *address, int64_t wanted,
	bool or_next, json_t *taken, int64_t *ret, struct mk_error *err)
{
	struct port port = { .address = address, .number = wanted };

	return choose(docker, &port, or_next, taken, ret, err);
}

int mk_host_choose_node_port(const struct mk_docker *docker, const char *address,
	enum mk_protocol protocol, int64_t wanted, json_t *taken, int64_t *ret,
	struct mk_error *err)
{
	struct port port = { .address = address, .number = wanted, .protocol = protocol };

	return choose(docker, &port, /* or_next= */ false, taken, ret, err);
}

#define INOTIFY_LIMIT "/proc/sys/fs/inotify/max_user_instances"

/* Counted on running nodes of each role; and some for all else that is root's. */
enum {
	INOTIFY_CONTROL_PLANE = 30,
	INOTIFY_WORKER = 16,
	INOTIFY_BALANCER = 6,
	INOTIFY_HOST = 8,
};

static size_t inotify_of_running(const json_t *nodes)
{
	const json_t *node;
	size_t i, sum = 0;

	json_array_foreach (nodes, i, node) {
		const char *role = mk_json_str(node, "role", "");

		if (!mk_streq(mk_json_str(node, "state", ""), "running"))
			continue;
		if (mk_streq(role, "control-plane"))
			sum += INOTIFY_CONTROL_PLANE;
		else
			sum += mk_streq(role, "worker") ? INOTIFY_WORKER : INOTIFY_BALANCER;
	}
	return sum;
}

int mk_host_check_inotify(
	struct mk_docker *docker, size_t control_planes, size_t workers, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(64);
	mk_autoerror ignored = { .code = MK_OK };
	mk_autojson *nodes = NULL;
	uint64_t limit;
	size_t needed;
	int r;

	if (!mk_docker_is_local(docker) || mk_fs_read(INOTIFY_LIMIT, &text, &ignored) < 0)
		return 0;
	text.data[strcspn(text.data, "\n")] = '\0';
	if (!mk_parse_uint(text.data, 0, UINT64_MAX, &limit))
		return 0;
	r = mk_cluster_nodes(docker, NULL, &nodes, err);
	if (r < 0)
		return r;
	needed = INOTIFY_HOST + inotify_of_running(nodes) + control_planes * INOTIFY_CONTROL_PLANE +
		workers * INOTIFY_WORKER + (control_planes > 1 ? INOTIFY_BALANCER : 0);
	if (needed <= limit)
		return 0;
	(void)mk_fail(err, MK_EHOST,
		"fs.inotify.max_user_instances is %llu, and about %zu are "
		"needed with the clusters that run",
		(unsigned long long)limit, needed);
	mk_error_hint(err, "`sudo sysctl fs.inotify.max_user_instances=%zu`",
		needed < 512 ? (size_t)512 : needed * 2);
	return -MK_EHOST;
}

#define DEFAULT_MTU 1500

int mk_host_mtu(struct mk_docker *docker, int64_t *ret, struct mk_error *err)
{
	mk_autojson *networks = NULL;
	const json_t *network;
	uint64_t mtu = DEFAULT_MTU;
	size_t i;
	int r = mk_network_list(docker, &networks, err);

	if (r < 0)
		return r;
	json_array_foreach (networks, i, network) {
		const char *text = json_string_value(
			json_object_get(json_object_get(network, "Options"), MK_NETWORK_MTU));

		if (text && mk_streq(mk_json_str(network, "Name", ""), "bridge"))
			(void)mk_parse_uint(text, 576, 65535, &mtu);
	}
	*ret = (int64_t)mtu;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/host.h"

#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/cluster/cluster.h"
#include "lib/docker/network.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static void add_port_of(json_t *taken, const json_t *node, const char *key)
{
	const char *colon = strrchr(mk_json_str(node, key, ""), ':');
	uint64_t port;

	if (colon && mk_parse_uint(colon + 1, 1, 65535, &port))
		(void)json_array_append_new(taken, json_integer((json_int_t)port));
}

int mk_host_ports_taken(struct mk_docker *docker, json_t **ret, struct mk_error *err)
{
	mk_autojson *nodes = NULL;
	json_t *taken;
	const json_t *node;
	size_t i;
	int r = mk_cluster_nodes(docker, NULL, &nodes, err);

	if (r < 0)
		return r;
	taken = json_array();
	json_array_foreach (nodes, i, node) {
		add_port_of(taken, node, "api");
		add_port_of(taken, node, "gateway");
		add_port_of(taken, node, "registry");
	}
	*ret = taken;
	return 0;
}

static bool is_taken(const json_t *taken, int64_t port)
{
	const json_t *value;
	size_t i;

	json_array_foreach (taken, i, value) {
		if (json_integer_value(value) == port)
			return true;
	}
	return false;
}

/* Bind `port` (0: any) for a moment. Returns the port, or 0 when it is in use. */
static int64_t try_bind(const char *address, int64_t port)
{
	mk_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	socklen_t len = sizeof(sin);
	int on = 1;

	if (fd < 0 || inet_pton(AF_INET, address, &sin.sin_addr) != 1)
		return 0;
	/* As the engine's proxy binds: connections in TIME_WAIT do not count. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(fd, 1) < 0 ||
		getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
		return 0;
	return ntohs(sin.sin_port);
}

static int64_t any_port(const char *address, const json_t *taken)
{
	for (int tries = 0; tries < 64; tries++) {
		int64_t port = try_bind(address, 0);

		if (port > 0 && !is_taken(taken, port))
			return port;
	}
	return 0;
}

static int64_t port_from(const char *address, int64_t first, int64_t last, const json_t *taken)
{
	for (int64_t port = first; port <= last && port <= 65535; port++) {
		if (!is_taken(taken, port) && try_bind(address, port) == port)
			return port;
	}
	return 0;
}

int mk_host_choose_port(const struct mk_docker *docker, const char *address, int64_t wanted,
	bool or_next, json_t *taken, int64_t *ret, struct mk_error *err)
{
	int64_t port;

	if (!mk_docker_is_local(docker))
		port = wanted > 0 ? wanted : 36443 + (int64_t)json_array_size(taken);
	else if (wanted == 0)
		port = any_port(address, taken);
	else
		port = port_from(address, wanted, or_next ? wanted + 1000 : wanted, taken);
	if (port == 0) {
		(void)mk_fail(
			err, MK_EHOST, "port %lld of %s is taken", (long long)wanted, address);
		mk_error_hint(
			err, "`ss -ltnp` shows who listens; choose another in the config file");
		return -MK_EHOST;
	}
	(void)json_array_append_new(taken, json_integer(port));
	*ret = port;
	return 0;
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

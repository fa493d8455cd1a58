/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/archive/tar_writer.h"
#include "lib/base/limits.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/port_private.h"
#include "manifests/render.h"

/* Inside the container, whatever is published: above 1024, for nobody to bind. */
#define LISTEN_PORT 8080
#define NOBODY "65534:65534"
/* 6 MB each for a process, and 35 kB for a connection that is busy both ways. */
#define MEMORY_BYTES (128 * MK_MIB)
/* Master, worker, those that still have connections, and a command of ours. */
#define MAX_PIDS 32

char *mk_port_name(const char *cluster, int64_t host_port)
{
	return mk_xasprintf("%s-port-%lld", cluster, (long long)host_port);
}

static json_t *labels_of(
	const struct mk_port_run *run, const struct mk_port_spec *port, const char *ip)
{
	mk_autofree char *mapping = mk_xasprintf("%s:%lld->%lld/tcp", port->listen_address,
		(long long)port->host_port, (long long)port->container_port);

	return mk_json_pack("{s:s,s:s,s:s,s:s,s:s}", MK_LABEL_CLUSTER, run->cluster, MK_LABEL_ROLE,
		MK_ROLE_NAME_PORT, MK_LABEL_RUN, run->run_id, MK_LABEL_IP, ip, MK_LABEL_PORTS,
		mapping);
}

static json_t *host_config(const struct mk_port_run *run, const struct mk_port_spec *port)
{
	mk_autofree char *listen = mk_xasprintf("%d/tcp", LISTEN_PORT);
	mk_autofree char *host_port = mk_xasprintf("%lld", (long long)port->host_port);

	/* Restarted as nodes are. Its few lines of output must not grow for ever. */
	return mk_json_pack("{s:s,s:[s],s:[s],s:b,s:I,s:i,s:{s:[{s:s,s:s}]},s:{s:s},s:b,"
			    "s:{s:s,s:{s:s}}}",
		"NetworkMode", run->network, "CapDrop", "ALL", "SecurityOpt", "no-new-privileges",
		"ReadonlyRootfs", 1, "Memory", (json_int_t)MEMORY_BYTES, "PidsLimit", MAX_PIDS,
		"PortBindings", listen, "HostIp", port->listen_address, "HostPort", host_port,
		"RestartPolicy", "Name", "unless-stopped", "Init", 0, "LogConfig", "Type",
		"json-file", "Config", "max-size", "1m");
}

json_t *mk_port_container(
	const struct mk_port_run *run, const struct mk_port_spec *port, const char *ip)
{
	mk_autofree char *name = mk_port_name(run->cluster, port->host_port);
	mk_autofree char *listen = mk_xasprintf("%d/tcp", LISTEN_PORT);

	/* The address is ours, as nodes' are: one that the engine gives could be that of
	 * a node which is stopped. The image's stop signal is systemd's. */
	return mk_json_pack("{s:s,s:s,s:s,s:[s],s:[s,s,s,s],s:s,s:o,s:{s:{}},s:{s:{}},s:o,"
			    "s:{s:{s:{s:{s:s}}}}}",
		"Image", run->image, "Hostname", name, "User", NOBODY, "Entrypoint",
		"/usr/sbin/haproxy", "Cmd", "-W", "-db", "-f", MK_PORT_FOLDER "/port.cfg",
		"StopSignal", "SIGTERM", "Labels", labels_of(run, port, ip), "Volumes",
		MK_PORT_FOLDER, "ExposedPorts", listen, "HostConfig", host_config(run, port),
		"NetworkingConfig", "EndpointsConfig", run->network, "IPAMConfig", "IPv4Address",
		ip);
}

int mk_port_config(
	const json_t *members, int64_t node_port, struct mk_buf *ret, struct mk_error *err)
{
	mk_autorender render = mk_render_init();
	mk_autostrlist lines = { .items = NULL };
	mk_autofree char *backends = NULL;
	const json_t *member;
	size_t i;

	json_array_foreach (members, i, member) {
		if (mk_cluster_is_kube(member))
			mk_strlist_addf(&lines, "\tserver %s %s:%lld",
				mk_json_str(member, "name", ""), mk_json_str(member, "ip", ""),
				(long long)node_port);
	}
	backends = mk_strlist_join(&lines, "\n");
	mk_render_setf(&render, "LISTEN_PORT", "%d", LISTEN_PORT);
	mk_render_set(&render, "BACKENDS", backends);
	return mk_render_file(&render, "port/port.cfg", ret, err);
}

int mk_port_archive(
	const json_t *members, int64_t node_port, struct mk_buf *ret, struct mk_error *err)
{
	struct mk_tar_writer_options options = { .no_parents = true };
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *tar = mk_tar_writer_new(&options);
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_port_config(members, node_port, &text, err);

	if (r < 0)
		return r;
	mk_tar_add_text(tar, "port.cfg", 0644, text.data);
	return mk_tar_writer_write(tar, ret, err);
}

struct mk_docker_item mk_port_put(const char *id)
{
	mk_autofree char *folder = mk_http_escape(MK_PORT_FOLDER);

	return (struct mk_docker_item){ .method = "PUT",
		.path = mk_xasprintf("/containers/%s/archive?path=%s", id, folder),
		.raw = mk_buf_init(MK_MAX_NODE_ARCHIVE) };
}

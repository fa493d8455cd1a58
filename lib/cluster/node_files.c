/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that make the node image a certain node of a certain cluster. All
 * are generated first and put into the created container as one archive, so
 * that systemd boots straight into the final state.
 */
#include "lib/archive/tar_writer.h"
#include "lib/base/limits.h"
#include "lib/cluster/bringup.h"
#include "lib/cluster/existing.h"
#include "lib/cluster/file_list.h"
#include "lib/cluster/node_containerd.h"
#include "lib/cluster/node_host.h"
#include "lib/cluster/node_settings.h"
#include "manifests/embed.h"
#include "manifests/render.h"

#include <sys/stat.h>

#define UNITS_TARGET "/etc/systemd/system/"
#define SNAPSHOT_TIMER "mkcluster-snapshot.timer"
#define MKCLUSTER_TARGET "/usr/local/lib/mkcluster/"

enum {
	ON_CONTROL_PLANE = 1 << MK_ROLE_CONTROL_PLANE,
	ON_WORKER = 1 << MK_ROLE_WORKER,
	ON_BALANCER = 1 << MK_ROLE_LOAD_BALANCER,
	ON_NODE = ON_CONTROL_PLANE | ON_WORKER,
	ON_ALL = ON_NODE | ON_BALANCER,
};

/* Folders of unit files, and who gets them. */
static const struct {
	const char *folder;
	unsigned roles;
} unit_folders[] = {
	{ "node/units/", ON_NODE },
	{ "node/control-plane/", ON_CONTROL_PLANE },
	{ "node/load-balancer/", ON_BALANCER },
};

/* Everything else of manifests/node, who gets it, and where. */
static const struct {
	const char *source;
	const char *target;
	unsigned roles;
	bool first_only; /* only the first control plane */
} files[] = {
	{ "node/bin/pod-network", MKCLUSTER_TARGET "pod-network", ON_NODE, false },
	{ "node/config/admission.yaml", "/etc/kubernetes/admission.yaml", ON_CONTROL_PLANE, false },
	{ "node/config/audit-policy.yaml", "/etc/kubernetes/audit-policy.yaml", ON_CONTROL_PLANE,
		false },
	{ "node/config/authentication.yaml", "/etc/kubernetes/authentication.yaml",
		ON_CONTROL_PLANE, false },
	{ "node/config/cni.conflist", "/etc/cni/net.d/10-mkcluster.conflist", ON_NODE, false },
	{ "node/config/containerd.toml", "/etc/containerd/config.toml", ON_NODE, false },
	{ "node/config/haproxy.cfg", "/etc/mkcluster/haproxy.cfg", ON_BALANCER, false },
	{ "node/config/journald.conf", "/etc/systemd/journald.conf.d/mkcluster.conf", ON_ALL,
		false },
	{ "node/config/kube-proxy.yaml", "/etc/kubernetes/kube-proxy.yaml", ON_NODE, false },
	{ "node/config/kubelet.yaml", "/etc/kubernetes/kubelet.yaml", ON_NODE, false },
	{ "node/config/registry-hosts.toml", "/etc/containerd/certs.d/_default/hosts.toml", ON_NODE,
		false },
	{ "node/limits/kubelet.conf", UNITS_TARGET "kubelet.service.d/limits.conf", ON_NODE,
		false },
	{ "node/limits/node-limits", MKCLUSTER_TARGET "node-limits", ON_NODE, false },
	{ "node/proxy/containerd.conf", UNITS_TARGET "containerd.service.d/proxy.conf", ON_NODE,
		false },
	{ "node/config/system.conf", "/etc/systemd/system.conf.d/mkcluster.conf", ON_ALL, false },
	{ "node/config/registry.yaml", "/etc/registry.yaml", ON_CONTROL_PLANE, true },
	{ "node/bin/snapshot-save", MKCLUSTER_TARGET "snapshot-save", ON_CONTROL_PLANE, true },
	{ "node/bin/snapshot-rotate", MKCLUSTER_TARGET "snapshot-rotate", ON_CONTROL_PLANE, true },
	{ "node/snapshot/mkcluster-snapshot.service", UNITS_TARGET "mkcluster-snapshot.service",
		ON_CONTROL_PLANE, true },
	{ "node/snapshot/mkcluster-snapshot.timer", UNITS_TARGET SNAPSHOT_TIMER, ON_CONTROL_PLANE,
		true },
};

/* Lines of haproxy's configuration, one for each server of a backend. */
static void set_backend(const struct mk_plan *plan, struct mk_render *render, const char *name,
	size_t count, int port)
{
	mk_autostrlist lines = { .items = NULL };
	mk_autofree char *text = NULL;

	for (size_t i = 0; i < count; i++)
		mk_strlist_addf(
			&lines, "\tserver %s %s:%d", plan->nodes[i].name, plan->nodes[i].ip, port);
	text = mk_strlist_join(&lines, "\n");
	mk_render_set(render, name, text);
}

static void set_node(
	const struct mk_bringup *b, const struct mk_node_plan *node, struct mk_render *render)
{
	const struct mk_plan *plan = &b->plan;
	bool control_plane = node->role == MK_ROLE_CONTROL_PLANE;
	mk_autofree char *taints = mk_node_taints(b, node);

	mk_render_set(render, "NODE_NAME", node->name);
	mk_render_set(render, "NODE_IP", node->ip);
	mk_render_set(render, "PAUSE_IMAGE", mk_node_image_of(b, node, "pause"));
	mk_render_set(render, "NODE_POD_CIDR", node->pod_cidr ? node->pod_cidr : "");
	mk_render_setf(render, "NODE_LABELS", "mkcluster.dev/role=%s", mk_role_name(node->role));
	mk_render_set(render, "TAINTS", taints);
	mk_render_set(render, "RESERVED_FIELD", mk_node_reserved_field(b, node));
	mk_render_set(render, "KUBELET_AFTER",
		control_plane ? "kube-apiserver.service" : "kube-api-ready.service");
	mk_render_setf(render, "API_SERVER", "https://%s:6443",
		control_plane ? "127.0.0.1" : plan->api_ip);
}

static int set_variables(const struct mk_bringup *b, const struct mk_node_plan *node,
	struct mk_render *render, struct mk_error *err)
{
	const struct mk_plan *plan = &b->plan;
	mk_autofree char *dns = NULL;
	mk_autofree char *members = mk_plan_etcd_members(plan);
	struct mk_cidr services;
	int r = mk_cidr_parse(b->spec->service_subnet, &services, err);

	if (r < 0)
		return r;
	dns = mk_cidr_address(&services, 10);
	mk_render_set(render, "CLUSTER_NAME", b->spec->name);
	mk_render_set(render, "POD_CIDR", b->spec->pod_subnet);
	mk_render_set(render, "SERVICE_CIDR", b->spec->service_subnet);
	mk_render_set(render, "DNS_IP", dns);
	mk_render_set(render, "ETCD_STATE", b->joining ? "existing" : "new");
	/* One of each needs no election, which would cost seconds at every start. */
	mk_render_set(render, "LEADER_ELECT", plan->control_planes > 1 ? "true" : "false");
	mk_render_set(render, "PROXY_MODE",
		b->spec->proxy_mode == MK_PROXY_NFTABLES ? "nftables" : "iptables");
	mk_render_set(render, "VERSION", MK_VERSION);
	mk_render_set(
		render, "SNAPSHOT_EVERY", b->spec->snapshot_every ? b->spec->snapshot_every : "");
	mk_render_setf(render, "SNAPSHOT_KEEP", "%lld", (long long)b->spec->snapshot_keep);
	mk_render_setf(render, "MTU", "%lld", (long long)b->mtu);
	mk_render_set(render, "RESTRICTED", b->profile == MK_PROFILE_RESTRICTED ? "true" : "false");
	mk_render_set(render, "SYSTEMD_CGROUP", b->cgroup_v1 ? "false" : "true");
	mk_render_set(render, "CGROUP_DRIVER", b->cgroup_v1 ? "cgroupfs" : "systemd");
	mk_render_setf(render, "REGISTRY_HOST", "%s:5000", plan->nodes[0].ip);
	mk_render_set(render, "REGISTRY_LISTEN", "0.0.0.0:5000");
	mk_render_setf(render, "GATEWAY_NODE_PORT", "%d", MK_GATEWAY_PORT);
	mk_render_set(render, "ETCD_INITIAL_CLUSTER", members);
	set_backend(plan, render, "API_BACKENDS", plan->control_planes, MK_API_PORT);
	set_backend(plan, render, "GATEWAY_BACKENDS", plan->kube_count, MK_GATEWAY_PORT);
	set_backend(plan, render, "REGISTRY_BACKENDS", 1, 5000);
	set_node(b, node, render);
	return 0;
}

/* A node's programs alone read these files, and they are root's. systemd tells
 * its own to everybody, and grumbles about modes that pretend otherwise. */
static mode_t mode_of(const struct mk_embedded *file, const char *target)
{
	bool script = (file->mode & 0111) != 0;

	return script || mk_after_prefix(target, "/etc/systemd/") ? (mode_t)file->mode : 0600;
}

/* A node whose files are made. */
struct making {
	const struct mk_bringup *b;
	const struct mk_node_plan *node;
	const struct mk_render *render;
	struct mk_node_files *files;
};

static int add_rendered(
	const struct making *m, const char *source, const char *target, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	const struct mk_embedded *file = mk_embedded_find(source);
	int r;

	if (mk_node_leaves_out(m->b, m->node, source))
		return 0;
	r = mk_render_file(m->render, source, &text, err);
	if (r == 0)
		r = mk_node_adjust(m->b, m->node, source, &text, err);
	if (r == 0)
		mk_node_files_add(m->files, target, mode_of(file, target), text.data);
	return r;
}

static int add_unit(const struct making *m, const struct mk_embedded *file, struct mk_error *err)
{
	const char *name = strrchr(file->path, '/') + 1;
	mk_autofree char *target = mk_xasprintf(UNITS_TARGET "%s", name);
	mk_autofree char *wanted = mk_xasprintf(UNITS_TARGET "multi-user.target.wants/%s", name);

	/* What other units pull in is not started by itself. */
	if (strstr(file->data, "[Install]") && !mk_node_leaves_out(m->b, m->node, file->path))
		mk_node_files_add(m->files, wanted, S_IFLNK, target);
	return add_rendered(m, file->path, target, err);
}

static int add_units(const struct making *m, const char *folder, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < mk_embedded_count && r == 0; i++) {
		if (mk_after_prefix(mk_embedded_files[i].path, folder))
			r = add_unit(m, &mk_embedded_files[i], err);
	}
	return r;
}

static int add_manifests(const struct making *m, struct mk_error *err)
{
	bool first = m->node == &m->b->plan.nodes[0];
	unsigned role = 1U << m->node->role;
	int r = 0;

	for (size_t i = 0; i < MK_ARRAY_LEN(unit_folders) && r == 0; i++) {
		if (unit_folders[i].roles & role)
			r = add_units(m, unit_folders[i].folder, err);
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(files) && r == 0; i++) {
		if ((files[i].roles & role) && (!files[i].first_only || first))
			r = add_rendered(m, files[i].source, files[i].target, err);
	}
	if (first && m->b->spec->snapshot_every)
		mk_node_files_add(m->files, UNITS_TARGET "multi-user.target.wants/" SNAPSHOT_TIMER,
			S_IFLNK, UNITS_TARGET SNAPSHOT_TIMER);
	return r;
}

/* What pod-network reads: "PODS VIA" of every other node. */
static void add_routes(
	const struct mk_plan *plan, const struct mk_node_plan *node, struct mk_node_files *ret)
{
	mk_autobuf routes = mk_buf_init(MK_MAX_CONFIG_FILE);

	for (size_t i = 0; i < plan->kube_count; i++) {
		if (&plan->nodes[i] != node)
			mk_buf_addf(&routes, "%s %s\n", plan->nodes[i].pod_cidr, plan->nodes[i].ip);
	}
	mk_node_files_add(ret, "/etc/mkcluster/routes", 0644, routes.data);
}

/* What the cluster was made from, for those that add nodes to it. */
static int add_spec(const struct mk_bringup *b, struct mk_node_files *ret, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_cluster_spec_print(b->spec, &text, err);

	if (r == 0)
		mk_node_files_add(ret, MK_SPEC_PATH, 0600, text.data);
	return r;
}

int mk_node_files_make(const struct mk_bringup *b, const struct mk_node_plan *node,
	struct mk_node_files *ret, struct mk_error *err)
{
	mk_autorender render = mk_render_init();
	struct making making = { .b = b, .node = node, .render = &render, .files = ret };
	int r = set_variables(b, node, &render, err);

	if (r == 0)
		r = add_manifests(&making, err);
	if (r == 0 && node->role == MK_ROLE_CONTROL_PLANE)
		r = add_spec(b, ret, err);
	if (r < 0 || node->role == MK_ROLE_LOAD_BALANCER)
		return r;
	if (!b->spec->no_cni)
		add_routes(&b->plan, node, ret);
	return mk_node_add_containerd(b, &render, ret, err);
}

static int add_secret_file(void *arg, const struct mk_pki_file *file, struct mk_error *err)
{
	(void)err;
	mk_tar_add_file(arg, file->path, file->mode, 0, 0, file->data, file->len);
	return 0;
}

/* The balancer checks the API servers' certificates and has no key of its own. */
static int add_ca_only(const struct mk_bringup *b, struct mk_tar_writer *tar, struct mk_error *err)
{
	mk_autobuf pem = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_pki_bundle_trust(b->pki, "ca", &pem, err);

	if (r == 0)
		mk_tar_add_text(tar, "/etc/kubernetes/pki/ca.crt", 0644, pem.data);
	return r;
}

static int add_secrets(const struct mk_bringup *b, const struct mk_node_plan *node,
	struct mk_tar_writer *tar, struct mk_error *err)
{
	size_t index = (size_t)(node - b->plan.nodes);

	mk_tar_add_dir(tar, "/etc/kubernetes", 0755, 0, 0);
	mk_tar_add_dir(tar, "/etc/kubernetes/pki", 0700, 0, 0);
	if (node->role == MK_ROLE_LOAD_BALANCER)
		return add_ca_only(b, tar, err);
	mk_node_add_proxy(b, tar);
	if (node->role == MK_ROLE_CONTROL_PLANE) {
		mk_tar_add_dir(tar, "/etc/kubernetes/pki/etcd", 0700, 0, 0);
		mk_tar_add_dir(tar, "/var/lib/etcd", 0700, 0, 0);
	}
	return mk_pki_bundle_each_file(b->pki, index, add_secret_file, tar, err);
}

int mk_node_archive(const struct mk_bringup *b, const struct mk_node_plan *node, struct mk_buf *ret,
	struct mk_error *err)
{
	struct mk_tar_writer_options options = { .no_parents = true };
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *tar = mk_tar_writer_new(&options);
	mk_autonodefiles files_of_node = { .items = NULL };
	int r = mk_node_files_make(b, node, &files_of_node, err);

	if (r == 0)
		r = add_secrets(b, node, tar, err);
	if (r < 0)
		return r;
	mk_node_files_pack(&files_of_node, tar);
	return mk_tar_writer_write(tar, ret, err);
}

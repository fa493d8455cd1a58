/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node: the container it is, and the files that make it one. All files are
 * generated first and put into the created container as one archive, so that
 * systemd boots straight into the final state.
 */
#include "lib/archive/tar_writer.h"
#include "lib/base/limits.h"
#include "lib/cluster/bringup.h"
#include "lib/cluster/cluster.h"
#include "manifests/embed.h"
#include "manifests/render.h"

/* The bridge network's own; pods inherit it. */
#define NODE_MTU "1500"

#define UNITS_SOURCE "node/units/"
#define UNITS_TARGET "/etc/systemd/system/"

/* Everything else of manifests/node, and where a node has it. */
static const struct {
	const char *source;
	const char *target;
} files[] = {
	{ "node/bin/pod-network", "/usr/local/lib/mkcluster/pod-network" },
	{ "node/config/authentication.yaml", "/etc/kubernetes/authentication.yaml" },
	{ "node/config/cni.conflist", "/etc/cni/net.d/10-mkcluster.conflist" },
	{ "node/config/containerd.toml", "/etc/containerd/config.toml" },
	{ "node/config/journald.conf", "/etc/systemd/journald.conf.d/mkcluster.conf" },
	{ "node/config/kube-proxy.yaml", "/etc/kubernetes/kube-proxy.yaml" },
	{ "node/config/kubelet.yaml", "/etc/kubernetes/kubelet.yaml" },
	{ "node/config/registry-hosts.toml", "/etc/containerd/certs.d/_default/hosts.toml" },
	{ "node/config/registry.yaml", "/etc/registry.yaml" },
};

static int set_variables(const struct mk_bringup *b, struct mk_render *render,
	struct mk_error *err)
{
	bool restricted = b->profile == MK_PROFILE_RESTRICTED;
	struct mk_cidr pods, services, node_pods;
	mk_autofree char *dns = NULL;
	mk_autofree char *node_pod_cidr = NULL;
	int r = mk_cidr_parse(b->spec->pod_subnet, &pods, err);

	if (r == 0)
		r = mk_cidr_parse(b->spec->service_subnet, &services, err);
	if (r < 0)
		return r;
	dns = mk_cidr_address(&services, 10);
	node_pods = (struct mk_cidr){ .address = pods.address, .bits = 24 };
	node_pod_cidr = mk_cidr_print(&node_pods);
	mk_render_set(render, "CLUSTER_NAME", b->spec->name);
	mk_render_set(render, "NODE_NAME", b->node_name);
	mk_render_set(render, "NODE_IP", b->node_ip);
	mk_render_set(render, "POD_CIDR", b->spec->pod_subnet);
	mk_render_set(render, "NODE_POD_CIDR", node_pod_cidr);
	mk_render_set(render, "SERVICE_CIDR", b->spec->service_subnet);
	mk_render_set(render, "DNS_IP", dns);
	mk_render_setf(render, "ETCD_INITIAL_CLUSTER", "%s=https://%s:2380", b->node_name,
		b->node_ip);
	mk_render_set(render, "ETCD_EXTRA_ARGS", b->spec->unsafe_etcd ? "--unsafe-no-fsync" : "");
	/* One of each needs no election, which would cost seconds at every start. */
	mk_render_set(render, "LEADER_ELECT", "false");
	mk_render_set(render, "KUBELET_AFTER", "kube-apiserver.service");
	mk_render_set(render, "PROXY_AFTER", "After=kube-api-ready.service");
	mk_render_set(render, "NODE_LABELS", "mkcluster.dev/role=control-plane");
	mk_render_set(render, "TAINTS", "[]");
	mk_render_set(render, "PROXY_MODE", "iptables");
	mk_render_set(render, "MTU", NODE_MTU);
	mk_render_set(render, "PAUSE_IMAGE", mk_json_str(b->images, "pause", ""));
	mk_render_set(render, "RESTRICTED", restricted ? "true" : "false");
	mk_render_set(render, "SYSTEMD_CGROUP", b->cgroup_v1 ? "false" : "true");
	mk_render_set(render, "CGROUP_DRIVER", b->cgroup_v1 ? "cgroupfs" : "systemd");
	mk_render_setf(render, "REGISTRY_HOST", "%s:5000", b->node_ip);
	mk_render_set(render, "REGISTRY_LISTEN", "0.0.0.0:5000");
	return 0;
}

static int add_rendered(const struct mk_render *render, struct mk_tar_writer *tar,
	const char *source, const char *target, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	const struct mk_embedded *file = mk_embedded_find(source);
	int r = mk_render_file(render, source, &text, err);

	if (r == 0)
		mk_tar_add_text(tar, target, file->mode, text.data);
	return r;
}

static int add_unit(const struct mk_render *render, struct mk_tar_writer *tar, const char *source,
	struct mk_error *err)
{
	const char *name = source + strlen(UNITS_SOURCE);
	mk_autofree char *target = mk_xasprintf(UNITS_TARGET "%s", name);
	mk_autofree char *wanted = mk_xasprintf(UNITS_TARGET "multi-user.target.wants/%s", name);

	/* What other units pull in is not started by itself. */
	if (strstr(mk_embedded_find(source)->data, "[Install]"))
		mk_tar_add_symlink(tar, wanted, target, 0, 0);
	return add_rendered(render, tar, source, target, err);
}

static int add_manifests(const struct mk_render *render, struct mk_tar_writer *tar,
	struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < mk_embedded_count && r == 0; i++) {
		if (mk_after_prefix(mk_embedded_files[i].path, UNITS_SOURCE))
			r = add_unit(render, tar, mk_embedded_files[i].path, err);
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(files) && r == 0; i++)
		r = add_rendered(render, tar, files[i].source, files[i].target, err);
	return r;
}

static int add_secret_file(void *arg, const struct mk_pki_file *file, struct mk_error *err)
{
	(void)err;
	mk_tar_add_file(arg, file->path, file->mode, 0, 0, file->data, file->len);
	return 0;
}

int mk_node_archive(struct mk_bringup *b, struct mk_buf *ret, struct mk_error *err)
{
	struct mk_tar_writer_options options = { .no_parents = true };
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *tar = mk_tar_writer_new(&options);
	mk_autorender render = mk_render_init();
	int r = set_variables(b, &render, err);

	if (r < 0)
		return r;
	mk_tar_add_dir(tar, "/etc/kubernetes", 0755, 0, 0);
	mk_tar_add_dir(tar, "/etc/kubernetes/pki", 0755, 0, 0);
	mk_tar_add_dir(tar, "/etc/kubernetes/pki/etcd", 0755, 0, 0);
	mk_tar_add_dir(tar, "/var/lib/etcd", 0700, 0, 0);
	r = mk_pki_bundle_each_file(b->pki, 0, add_secret_file, tar, err);
	if (r == 0)
		r = add_manifests(&render, tar, err);
	return r == 0 ? mk_tar_writer_write(tar, ret, err) : r;
}

static void publish(json_t *bindings, json_t *exposed, const char *address, int node_port,
	int64_t host_port)
{
	mk_autofree char *key = mk_xasprintf("%d/tcp", node_port);
	mk_autofree char *port = mk_xasprintf("%lld", (long long)host_port);

	(void)json_object_set_new(exposed, key, json_object());
	(void)json_object_set_new(
		bindings, key, mk_json_pack("[{s:s,s:s}]", "HostIp", address, "HostPort", port));
}

static void set_label(json_t *labels, const char *key, char *value)
{
	(void)json_object_set_new(labels, key, json_string(value));
	free(value);
}

static json_t *labels_of(const struct mk_bringup *b)
{
	const char *address = b->spec->api_address;
	json_t *labels = json_object();

	set_label(labels, MK_LABEL_CLUSTER, mk_xstrdup(b->spec->name));
	set_label(labels, MK_LABEL_ROLE, mk_xstrdup("control-plane"));
	set_label(labels, MK_LABEL_RUN, mk_xstrdup(b->run_id));
	set_label(labels, MK_LABEL_IP, mk_xstrdup(b->node_ip));
	set_label(labels, MK_LABEL_API, mk_xasprintf("%s:%lld", address, (long long)b->api_port));
	set_label(labels, MK_LABEL_REGISTRY,
		mk_xasprintf("%s:%lld", address, (long long)b->registry_port));
	if (b->spec->openfaas)
		set_label(labels, MK_LABEL_GATEWAY,
			mk_xasprintf("%s:%lld", address, (long long)b->gateway_port));
	return labels;
}

/*
 * What --privileged gives, without the one capability that nested engines and
 * hardened hosts do not have to give: everything else is asked for by name.
 */
static void restrict_host_config(json_t *host)
{
	mk_autojson *more = mk_json_pack("{s:[s],s:[s],s:[s,s],s:[],s:[],s:[s]}",
		"CapAdd", "ALL", "CapDrop", "SYS_RESOURCE",
		"SecurityOpt", "seccomp=unconfined", "apparmor=unconfined",
		"MaskedPaths", "ReadonlyPaths", "DeviceCgroupRules", "a *:* rwm");

	(void)json_object_update(host, more);
}

static json_t *host_config(const struct mk_bringup *b, enum mk_profile profile, json_t *exposed)
{
	json_t *bindings = json_object();
	json_t *host;

	publish(bindings, exposed, b->spec->api_address, MK_API_PORT, b->api_port);
	publish(bindings, exposed, b->spec->api_address, 5000, b->registry_port);
	if (b->spec->openfaas)
		publish(bindings, exposed, b->spec->api_address, MK_GATEWAY_PORT, b->gateway_port);
	/* Back after a reboot or an engine restart, not after `docker stop`. */
	host = mk_json_pack("{s:s,s:s,s:{s:s,s:s},s:o,s:{s:s},s:b}", "NetworkMode", b->node_name,
		"CgroupnsMode", "private", "Tmpfs", "/tmp", "exec,mode=1777", "/run", "exec,mode=755",
		"PortBindings", bindings, "RestartPolicy", "Name", "unless-stopped", "Init", 0);
	if (profile == MK_PROFILE_PRIVILEGED)
		(void)json_object_set_new(host, "Privileged", json_true());
	else
		restrict_host_config(host);
	return host;
}

json_t *mk_node_container(const struct mk_bringup *b, enum mk_profile profile)
{
	json_t *exposed = json_object();
	json_t *host = host_config(b, profile, exposed);

	return mk_json_pack("{s:s,s:s,s:o,s:[s],s:s,s:{s:{}},s:o,s:o,s:{s:{s:{s:{s:s}}}}}",
		"Image", b->spec->image, "Hostname", b->node_name, "Labels", labels_of(b),
		"Env", "container=docker",
		/* systemd as first process ignores SIGTERM; this one is "halt". */
		"StopSignal", "SIGRTMIN+3", "Volumes", "/var", "ExposedPorts", exposed,
		"HostConfig", host, "NetworkingConfig", "EndpointsConfig", b->node_name,
		"IPAMConfig", "IPv4Address", b->node_ip);
}

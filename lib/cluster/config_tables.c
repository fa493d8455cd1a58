/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkcluster.dev/v1: the tables that a config file is decoded by, that its schema is
 * made of, and that a spec is printed with.
 */
#include "lib/cluster/config_internal.h"
#include "lib/cluster/config_syntax.h"

const char *const mk_config_kinds[] = { "Cluster", NULL };
const char *const mk_config_roles[] = { "control-plane", "worker", NULL };
const char *const mk_config_propagations[] = { "None", "HostToContainer", "Bidirectional", NULL };
const char *const mk_config_protocols[] = { "TCP", "UDP", "SCTP", NULL };
const char *const mk_config_proxy_modes[] = { "iptables", "nftables", "none", NULL };
const char *const mk_config_taint_effects[] = { "NoSchedule", "PreferNoSchedule", "NoExecute",
	NULL };

/* In the order of enum mk_key_kind. */
static const char *const algorithms[] = { "ECDSA-P256", "RSA-2048", "RSA-3072", "RSA-4096",
	"Ed25519", NULL };

static const char *const api_versions[] = { "mkcluster.dev/v1", NULL };
static const char *const profiles[] = { "auto", "privileged", "restricted", NULL };
static const char *const ip_families[] = { "ipv4", NULL };
static const char *const counts[] = { "controlPlanes", "workers", NULL };

#define NAME_PATTERN "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
#define CIDR_PATTERN "^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$"
#define DURATION_PATTERN "^([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h))+$"
#define ADDRESS_PATTERN "^[0-9]{1,3}(\\.[0-9]{1,3}){3}$"

#define MOUNT(member) offsetof(struct mk_mount_spec, member)

static const struct mk_field mount_fields[] = {
	{ .key = "hostPath",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.check = mk_check_host_path,
		.offset = MOUNT(host_path),
		.help = "A file or folder of the engine's host, relative to the config file." },
	{ .key = "containerPath",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.check = mk_check_container_path,
		.offset = MOUNT(container_path),
		.pattern = "^/",
		.help = "Where it is in the node." },
	{ .key = "readOnly",
		.kind = MK_FIELD_BOOL,
		.offset = MOUNT(read_only),
		.help = "The node cannot write to it." },
	{ .key = "selinuxRelabel",
		.kind = MK_FIELD_BOOL,
		.offset = MOUNT(selinux_relabel),
		.help = "Give it an SELinux label that containers may use." },
	{ .key = "propagation",
		.kind = MK_FIELD_CHOICE,
		.choices = mk_config_propagations,
		.offset = MOUNT(propagation),
		.help = "Whether later mounts below it travel to the node, or both ways." },
};
static const struct mk_table mount_table = MK_TABLE(struct mk_mount_spec, mount_fields);

#define PORT(member) offsetof(struct mk_port_spec, member)

static const struct mk_field port_fields[] = {
	{ .key = "containerPort",
		.kind = MK_FIELD_INT,
		.mandatory = true,
		.min = 1,
		.max = 65535,
		.offset = PORT(container_port),
		.help = "The port of the node, a NodePort say." },
	{ .key = "hostPort",
		.kind = MK_FIELD_INT,
		.max = 65535,
		.offset = PORT(host_port),
		.help = "The port of the host; 0 is any free one, which is then kept." },
	{ .key = "listenAddress",
		.kind = MK_FIELD_STRING,
		.check = mk_check_address,
		.offset = PORT(listen_address),
		.pattern = ADDRESS_PATTERN,
		.help = "An address of the host; without it, networking.apiServerAddress." },
	{ .key = "protocol",
		.kind = MK_FIELD_CHOICE,
		.choices = mk_config_protocols,
		.offset = PORT(protocol) },
};
static const struct mk_table port_table = MK_TABLE(struct mk_port_spec, port_fields);

#define TAINT(member) offsetof(struct mk_taint_spec, member)

static const struct mk_field taint_fields[] = {
	{ .key = "key",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.check = mk_check_qualified_name,
		.offset = TAINT(key) },
	{ .key = "value",
		.kind = MK_FIELD_STRING,
		.check = mk_check_label_value,
		.offset = TAINT(value) },
	{ .key = "effect",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.choices = mk_config_taint_effects,
		.offset = TAINT(effect) },
};
static const struct mk_table taint_table = MK_TABLE(struct mk_taint_spec, taint_fields);

#define NODE(member) offsetof(struct mk_node_spec, member)

static const struct mk_field node_fields[] = {
	{ .key = "role",
		.kind = MK_FIELD_CHOICE,
		.choices = mk_config_roles,
		.offset = NODE(role),
		.help = "control-plane if it is not said." },
	{ .key = "image",
		.kind = MK_FIELD_STRING,
		.check = mk_check_image,
		.offset = NODE(image),
		.help = "The node image of this node; without it, the cluster's." },
	{ .key = "ip",
		.kind = MK_FIELD_STRING,
		.check = mk_check_address,
		.offset = NODE(ip),
		.pattern = ADDRESS_PATTERN,
		.help = "A fixed address in networking.nodeSubnet." },
	{ .key = "cpus",
		.kind = MK_FIELD_SCALAR,
		.check = mk_check_cpus,
		.offset = NODE(cpus),
		.help = "How much of the host's CPUs it may use: 1.5, 500m." },
	{ .key = "memory",
		.kind = MK_FIELD_SCALAR,
		.check = mk_check_memory,
		.offset = NODE(memory),
		.help = "How much of the host's memory it may use: 2Gi." },
	{ .key = "labels",
		.kind = MK_FIELD_STRING_MAP,
		.check = mk_check_label_value,
		.check_key = mk_check_node_label,
		.offset = NODE(labels),
		.help = "Labels of the Kubernetes node." },
	{ .key = "taints",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &taint_table,
		.offset = NODE(taints),
		.count_offset = NODE(taint_count),
		.given_offset = NODE(taints_given),
		.help = "Taints of the Kubernetes node; [] is none, not even a control plane's." },
	{ .key = "kubeletArgs",
		.kind = MK_FIELD_SCALAR_MAP,
		.offset = NODE(kubelet_args),
		.help = "Flags of this node's kubelet, without dashes." },
	{ .key = "kubeletConfig",
		.kind = MK_FIELD_JSON,
		.table = &mk_config_kubelet_table,
		.offset = NODE(kubelet_config),
		.help = "Fields of this node's KubeletConfiguration." },
	{ .key = "mounts",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &mount_table,
		.offset = NODE(mounts),
		.count_offset = NODE(mount_count),
		.help = "Files and folders of the host in the node." },
	{ .key = "ports",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &port_table,
		.offset = NODE(ports),
		.count_offset = NODE(port_count),
		.help = "Ports of the node that are published on the host." },
};
static const struct mk_table node_table = MK_TABLE(struct mk_node_spec, node_fields);

#define REGISTRY(member) offsetof(struct mk_registry_spec, member)

static const struct mk_field mirror_fields[] = {
	{ .key = "host",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.check = mk_check_registry,
		.offset = REGISTRY(host),
		.help = "What image names begin with: docker.io, ghcr.io; * is all others." },
	{ .key = "mirrors",
		.kind = MK_FIELD_STRING_LIST,
		.check = mk_check_mirror,
		.offset = REGISTRY(mirrors),
		.pattern = "^https?://",
		.help = "URLs that are asked first, in this order." },
	{ .key = "insecure",
		.kind = MK_FIELD_BOOL,
		.offset = REGISTRY(insecure),
		.help = "Do not check the mirrors' certificates; without mirrors, the registry's." },
};
static const struct mk_table mirror_table = MK_TABLE(struct mk_registry_spec, mirror_fields);

/* From here on the offsets are from the top: objects group keys, not members. */
#define AT(member) offsetof(struct mk_config_file, spec.member)
#define GROUP(name, text, group_fields)                                                            \
	{                                                                                          \
		.key = (name), .kind = MK_FIELD_OBJECT, .table = &(group_fields), .help = (text)   \
	}
#define FLAGS(member)                                                                              \
	{                                                                                          \
		.key = "extraArgs", .kind = MK_FIELD_SCALAR_MAP, .offset = AT(member),             \
		.help = "Further flags, without dashes."                                           \
	}
#define FILE_TABLE(name)                                                                           \
	static const struct mk_table name = MK_TABLE(struct mk_config_file, name##_fields)

static const struct mk_field networking_fields[] = {
	{ .key = "ipFamily",
		.kind = MK_FIELD_STRING,
		.choices = ip_families,
		.check = mk_check_ip_family,
		.offset = offsetof(struct mk_config_file, ip_family) },
	{ .key = "podSubnet",
		.kind = MK_FIELD_STRING,
		.check = mk_check_cidr,
		.offset = AT(pod_subnet),
		.pattern = CIDR_PATTERN,
		.help = "A /8 to /24; each node has a /24 of it." },
	{ .key = "serviceSubnet",
		.kind = MK_FIELD_STRING,
		.check = mk_check_cidr,
		.offset = AT(service_subnet),
		.pattern = CIDR_PATTERN,
		.help = "A /12 to /26." },
	{ .key = "nodeSubnet",
		.kind = MK_FIELD_STRING,
		.check = mk_check_cidr,
		.offset = AT(node_subnet),
		.pattern = CIDR_PATTERN,
		.help = "A /16 to /28 of the engine's; without it, a /24 that is free." },
	{ .key = "apiServerAddress",
		.kind = MK_FIELD_STRING,
		.check = mk_check_address,
		.offset = AT(api_address),
		.pattern = ADDRESS_PATTERN,
		.help = "The address of the host that ports are published on." },
	{ .key = "apiServerPort",
		.kind = MK_FIELD_INT,
		.max = 65535,
		.offset = AT(api_port),
		.help = "The API's port on the host; 0 is any free one, which is then kept." },
	{ .key = "apiServerSANs",
		.kind = MK_FIELD_STRING_LIST,
		.check = mk_check_san,
		.offset = AT(api_sans),
		.help = "Further names and addresses of the API in its certificate." },
	{ .key = "kubeProxyMode",
		.kind = MK_FIELD_CHOICE,
		.choices = mk_config_proxy_modes,
		.check = mk_check_proxy_mode,
		.offset = AT(proxy_mode),
		.help = "none is without kube-proxy: a network of yours replaces it." },
	{ .key = "disableDefaultCNI",
		.kind = MK_FIELD_BOOL,
		.offset = AT(no_cni),
		.help = "No pod network: nodes become Ready once you have installed one." },
	{ .key = "dnsSearch",
		.kind = MK_FIELD_STRING_LIST,
		.check = mk_check_domain,
		.offset = AT(dns_search),
		.given_offset = AT(dns_search_given),
		.help = "Search domains of the nodes; without it the host's, [] is none." },
};
FILE_TABLE(networking);

static const struct mk_field openfaas_fields[] = {
	{ .key = "enabled", .kind = MK_FIELD_BOOL, .offset = AT(openfaas) },
	{ .key = "port",
		.kind = MK_FIELD_INT,
		.min = 1,
		.max = 65535,
		.offset = AT(gateway_port),
		.help = "The gateway's port on the host; the next free one if it is taken." },
};
FILE_TABLE(openfaas);

static const struct mk_field registry_fields[] = {
	{ .key = "port",
		.kind = MK_FIELD_INT,
		.min = 1,
		.max = 65535,
		.offset = AT(registry_port),
		.help = "The registry's port on the host; the next free one if it is taken." },
};
FILE_TABLE(registry);

static const struct mk_field storage_fields[] = {
	{ .key = "enabled", .kind = MK_FIELD_BOOL, .offset = AT(storage) },
};
FILE_TABLE(storage);

static const struct mk_field metrics_fields[] = {
	{ .key = "enabled", .kind = MK_FIELD_BOOL, .offset = AT(metrics) },
};
FILE_TABLE(metrics);

static const struct mk_field certificates_fields[] = {
	{ .key = "algorithm",
		.kind = MK_FIELD_CHOICE,
		.choices = algorithms,
		.offset = AT(cert_algorithm),
		.help = "Of the keys; what cannot be Ed25519 is ECDSA-P256 then." },
	{ .key = "validity",
		.kind = MK_FIELD_STRING,
		.check = mk_check_validity,
		.offset = AT(cert_validity),
		.pattern = DURATION_PATTERN,
		.help = "How long all but the CAs' are valid: 8760h, 90m." },
	{ .key = "caValidity",
		.kind = MK_FIELD_STRING,
		.check = mk_check_validity,
		.offset = AT(ca_validity),
		.pattern = DURATION_PATTERN,
		.help = "How long the CAs' are valid; no other certificate outlives them." },
};
FILE_TABLE(certificates);

static const struct mk_field etcd_fields[] = {
	{ .key = "unsafeNoFsync",
		.kind = MK_FIELD_BOOL,
		.offset = AT(unsafe_etcd),
		.help = "Faster and lossy: for clusters that are thrown away." },
};
FILE_TABLE(etcd);

static const struct mk_field snapshots_fields[] = {
	{ .key = "every",
		.kind = MK_FIELD_STRING,
		.check = mk_check_interval,
		.offset = AT(snapshot_every),
		.pattern = "^[1-9][0-9]*[mhd]$",
		.help = "The time between two, 30m or 6h; without it the cluster makes none." },
	{ .key = "keep",
		.kind = MK_FIELD_INT,
		.min = 1,
		.max = 1000,
		.offset = AT(snapshot_keep),
		.help = "How many stay in the first control plane; the oldest go." },
};
FILE_TABLE(snapshots);

static const struct mk_field containerd_fields[] = {
	{ .key = "patches",
		.kind = MK_FIELD_STRING_LIST,
		.check = mk_check_containerd_patch,
		.offset = AT(containerd_patches),
		.help = "TOML that is merged over containerd's configuration, unchecked." },
};
FILE_TABLE(containerd);

static const struct mk_field api_server_fields[] = { FLAGS(api_server_args) };
FILE_TABLE(api_server);
static const struct mk_field controller_manager_fields[] = { FLAGS(controller_manager_args) };
FILE_TABLE(controller_manager);
static const struct mk_field scheduler_fields[] = { FLAGS(scheduler_args) };
FILE_TABLE(scheduler);
static const struct mk_field etcd_server_fields[] = { FLAGS(etcd_args) };
FILE_TABLE(etcd_server);

static const struct mk_field kubelet_fields[] = {
	FLAGS(kubelet_args),
	{ .key = "config",
		.kind = MK_FIELD_JSON,
		.table = &mk_config_kubelet_table,
		.offset = AT(kubelet_config),
		.help = "Fields of every node's KubeletConfiguration." },
};
FILE_TABLE(kubelet);

static const struct mk_field proxy_fields[] = {
	FLAGS(proxy_args),
	{ .key = "config",
		.kind = MK_FIELD_JSON,
		.table = &mk_config_proxy_table,
		.offset = AT(proxy_config),
		.help = "Fields of every node's KubeProxyConfiguration." },
};
FILE_TABLE(proxy);

static const struct mk_field components_fields[] = {
	GROUP("apiServer", NULL, api_server),
	GROUP("controllerManager", NULL, controller_manager),
	GROUP("scheduler", NULL, scheduler),
	GROUP("etcd", NULL, etcd_server),
	GROUP("kubelet", NULL, kubelet),
	GROUP("kubeProxy", NULL, proxy),
};
FILE_TABLE(components);

/* Both formats by name, for who misspelled one. */
static int check_api_version(const char *value, struct mk_error *err)
{
	if (mk_streq(value, api_versions[0]))
		return 0;
	return mk_fail(err, MK_EUSAGE,
		"must be mkcluster.dev/v1 or kind.x-k8s.io/v1alpha4, not '%.64s'", value);
}

static const struct mk_field fields[] = {
	{ .key = "apiVersion",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.choices = api_versions,
		.check = check_api_version,
		.offset = offsetof(struct mk_config_file, api_version) },
	{ .key = "kind",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.choices = mk_config_kinds,
		.offset = offsetof(struct mk_config_file, kind) },
	{ .key = "name",
		.kind = MK_FIELD_STRING,
		.check = mk_cluster_name_check,
		.offset = AT(name),
		.pattern = NAME_PATTERN,
		.help = "The cluster's name; its nodes' names begin with it." },
	{ .key = "image",
		.kind = MK_FIELD_STRING,
		.check = mk_check_image,
		.offset = AT(image),
		.help = "The node image, made by `mkcluster build node-image`." },
	{ .key = "images",
		.kind = MK_FIELD_STRING_MAP,
		.check = mk_check_pod_image,
		.check_key = mk_check_image_role,
		.offset = AT(images),
		.help = "Pod images by role, instead of those in the node image." },
	{ .key = "profile",
		.kind = MK_FIELD_CHOICE,
		.choices = profiles,
		.offset = AT(profile),
		.help = "The rights of the nodes' containers; auto tries." },
	{ .key = "controlPlanes",
		.kind = MK_FIELD_INT,
		.min = 1,
		.max = MK_MAX_CONTROL_PLANES,
		.offset = AT(control_planes),
		.help = "How many, an odd number, where no nodes are listed." },
	{ .key = "workers",
		.kind = MK_FIELD_INT,
		.max = MK_MAX_WORKERS,
		.offset = AT(workers),
		.help = "How many, where no nodes are listed." },
	{ .key = "nodes",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &node_table,
		.excludes = counts,
		.offset = AT(nodes),
		.count_offset = AT(node_count),
		.help = "Each node by itself, instead of controlPlanes and workers." },
	GROUP("networking", NULL, networking),
	GROUP("openfaas", NULL, openfaas),
	GROUP("storage", "The default StorageClass.", storage),
	GROUP("metrics", "metrics-server, for `kubectl top` and autoscaling.", metrics),
	GROUP("registry", "The cluster's own image registry.", registry),
	{ .key = "registries",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &mirror_table,
		.offset = AT(registries),
		.count_offset = AT(registry_count),
		.help = "Mirrors of other registries." },
	{ .key = "caCertificates",
		.kind = MK_FIELD_STRING_LIST,
		.offset = AT(ca_certificates),
		.help = "PEM, or files of it relative to this one, that nodes trust." },
	GROUP("certificates", "The cluster's own certificates.", certificates),
	GROUP("etcd", NULL, etcd),
	GROUP("snapshots", "Snapshots of the state that the cluster makes by itself.", snapshots),
	{ .key = "featureGates",
		.kind = MK_FIELD_BOOL_MAP,
		.check_key = mk_check_gate,
		.offset = AT(feature_gates),
		.help = "Features of Kubernetes, for every component." },
	{ .key = "runtimeConfig",
		.kind = MK_FIELD_SCALAR_MAP,
		.check = mk_check_switch,
		.check_key = mk_check_api,
		.offset = AT(runtime_config),
		.help = "APIs that the API server is to serve, or not." },
	GROUP("components", "Settings of the single components.", components),
	GROUP("containerd", NULL, containerd),
};
const struct mk_table mk_config_table = MK_TABLE(struct mk_config_file, fields);

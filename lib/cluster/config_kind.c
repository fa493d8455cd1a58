/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind.x-k8s.io/v1alpha4 (https://kind.sigs.k8s.io/docs/user/configuration/): the
 * same file, read into our spec. What has no meaning here is refused by name.
 */
#include "lib/cluster/config_internal.h"
#include "lib/cluster/config_syntax.h"

#include <unistd.h>

/* A node, and what is merged into it later. */
struct kind_node {
	struct mk_node_spec node;
	struct mk_strlist patches;
};

struct kind_file {
	char *api_version;
	char *kind;
	char *ip_family;
	struct mk_cluster_spec spec;
	struct kind_node *nodes;
	size_t node_count;
	struct mk_strlist patches;
};

static const char *const api_versions[] = { "kind.x-k8s.io/v1alpha4", NULL };
static const char *const ip_families[] = { "ipv4", NULL };

#define NO_JSON6902                                                                                \
	"JSON 6902 patches are not supported: write what they do as a merge patch, in "            \
	"kubeadmConfigPatches"

#define MOUNT(member) offsetof(struct mk_mount_spec, member)

static const struct mk_field mount_fields[] = {
	{ .key = "hostPath",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.check = mk_check_host_path,
		.offset = MOUNT(host_path) },
	{ .key = "containerPath",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.check = mk_check_container_path,
		.offset = MOUNT(container_path) },
	{ .key = "readOnly", .kind = MK_FIELD_BOOL, .offset = MOUNT(read_only) },
	{ .key = "selinuxRelabel", .kind = MK_FIELD_BOOL, .offset = MOUNT(selinux_relabel) },
	{ .key = "propagation",
		.kind = MK_FIELD_CHOICE,
		.choices = mk_config_propagations,
		.offset = MOUNT(propagation) },
};
static const struct mk_table mount_table = MK_TABLE(struct mk_mount_spec, mount_fields);

#define PORT(member) offsetof(struct mk_port_spec, member)

static const struct mk_field port_fields[] = {
	{ .key = "containerPort",
		.kind = MK_FIELD_INT,
		.mandatory = true,
		.min = 1,
		.max = 65535,
		.offset = PORT(container_port) },
	{ .key = "hostPort",
		.kind = MK_FIELD_INT,
		.min = -1,
		.max = 65535,
		.offset = PORT(host_port) },
	{ .key = "listenAddress",
		.kind = MK_FIELD_STRING,
		.check = mk_check_address,
		.offset = PORT(listen_address) },
	{ .key = "protocol",
		.kind = MK_FIELD_CHOICE,
		.any_case = true,
		.choices = mk_config_protocols,
		.offset = PORT(protocol) },
};

/* As kind has it: all addresses, unless one is named. */
static void init_port(void *object)
{
	struct mk_port_spec *port = object;

	port->listen_address = mk_xstrdup("0.0.0.0");
}

static const struct mk_table port_table = {
	.fields = port_fields,
	.count = MK_ARRAY_LEN(port_fields),
	.size = sizeof(struct mk_port_spec),
	.init = init_port,
};

#define NODE(member) offsetof(struct kind_node, node.member)

static const struct mk_field node_fields[] = {
	{ .key = "role",
		.kind = MK_FIELD_CHOICE,
		.choices = mk_config_roles,
		.offset = NODE(role) },
	{ .key = "image", .kind = MK_FIELD_STRING, .check = mk_check_image, .offset = NODE(image) },
	{ .key = "labels",
		.kind = MK_FIELD_SCALAR_MAP,
		.check = mk_check_label_value,
		.check_key = mk_check_node_label,
		.offset = NODE(labels) },
	{ .key = "extraMounts",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &mount_table,
		.offset = NODE(mounts),
		.count_offset = NODE(mount_count) },
	{ .key = "extraPortMappings",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &port_table,
		.offset = NODE(ports),
		.count_offset = NODE(port_count) },
	{ .key = "kubeadmConfigPatches",
		.kind = MK_FIELD_STRING_LIST,
		.offset = offsetof(struct kind_node, patches) },
	{ .key = "kubeadmConfigPatchesJSON6902", .kind = MK_FIELD_REFUSED, .help = NO_JSON6902 },
};
static const struct mk_table node_table = MK_TABLE(struct kind_node, node_fields);

#define FILE_AT(member) offsetof(struct kind_file, member)
#define AT(member) FILE_AT(spec.member)

static const struct mk_field networking_fields[] = {
	{ .key = "ipFamily",
		.kind = MK_FIELD_STRING,
		.choices = ip_families,
		.check = mk_check_ip_family,
		.offset = FILE_AT(ip_family) },
	{ .key = "apiServerPort",
		.kind = MK_FIELD_INT,
		.min = -1,
		.max = 65535,
		.offset = AT(api_port) },
	{ .key = "apiServerAddress",
		.kind = MK_FIELD_STRING,
		.check = mk_check_address,
		.offset = AT(api_address) },
	{ .key = "podSubnet",
		.kind = MK_FIELD_STRING,
		.check = mk_check_cidr,
		.offset = AT(pod_subnet) },
	{ .key = "serviceSubnet",
		.kind = MK_FIELD_STRING,
		.check = mk_check_cidr,
		.offset = AT(service_subnet) },
	{ .key = "disableDefaultCNI", .kind = MK_FIELD_BOOL, .offset = AT(no_cni) },
	{ .key = "kubeProxyMode",
		.kind = MK_FIELD_CHOICE,
		.choices = mk_config_proxy_modes,
		.check = mk_check_proxy_mode,
		.offset = AT(proxy_mode) },
	{ .key = "dnsSearch",
		.kind = MK_FIELD_STRING_LIST,
		.check = mk_check_domain,
		.offset = AT(dns_search),
		.given_offset = AT(dns_search_given) },
};
static const struct mk_table networking_table = MK_TABLE(struct kind_file, networking_fields);

static const struct mk_field file_fields[] = {
	{ .key = "apiVersion",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.choices = api_versions,
		.offset = FILE_AT(api_version) },
	{ .key = "kind",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.choices = mk_config_kinds,
		.offset = FILE_AT(kind) },
	{ .key = "name",
		.kind = MK_FIELD_STRING,
		.check = mk_cluster_name_check,
		.offset = AT(name) },
	{ .key = "nodes",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &node_table,
		.offset = FILE_AT(nodes),
		.count_offset = FILE_AT(node_count) },
	{ .key = "networking", .kind = MK_FIELD_OBJECT, .table = &networking_table },
	{ .key = "featureGates",
		.kind = MK_FIELD_BOOL_MAP,
		.check_key = mk_check_gate,
		.offset = AT(feature_gates) },
	{ .key = "runtimeConfig",
		.kind = MK_FIELD_SCALAR_MAP,
		.check = mk_check_switch,
		.check_key = mk_check_api,
		.offset = AT(runtime_config) },
	{ .key = "kubeadmConfigPatches", .kind = MK_FIELD_STRING_LIST, .offset = FILE_AT(patches) },
	{ .key = "kubeadmConfigPatchesJSON6902", .kind = MK_FIELD_REFUSED, .help = NO_JSON6902 },
	{ .key = "containerdConfigPatches",
		.kind = MK_FIELD_STRING_LIST,
		.check = mk_check_containerd_patch,
		.offset = AT(containerd_patches) },
	{ .key = "containerdConfigPatchesJSON6902",
		.kind = MK_FIELD_REFUSED,
		.help = "JSON 6902 patches are not supported: write what they do as TOML, in "
			"containerdConfigPatches" },
};
static const struct mk_table file_table = MK_TABLE(struct kind_file, file_fields);

/* The nodes become the spec's, in their order; their patches stay. One control
 * plane if there are none. */
static void move_nodes(struct kind_file *file, struct mk_cluster_spec *spec)
{
	size_t count = file->node_count > 0 ? file->node_count : 1;

	for (size_t i = 0; i < spec->node_count; i++)
		mk_node_spec_done(&spec->nodes[i]);
	free(spec->nodes);
	spec->node_count = count;
	spec->nodes = mk_xcalloc(count, sizeof(*spec->nodes));
	for (size_t i = 0; i < file->node_count; i++) {
		struct mk_node_spec *node = &spec->nodes[i];

		*node = file->nodes[i].node;
		file->nodes[i].node = (struct mk_node_spec){ .image = NULL };
		/* -1 leaves the choice to the engine, which would choose anew at each start. */
		for (size_t j = 0; j < node->port_count; j++) {
			if (node->ports[j].host_port < 0)
				node->ports[j].host_port = 0;
		}
	}
	if (spec->api_port < 0)
		spec->api_port = 0;
}

/* A file that lists no nodes, and whose patches say nothing of one, has no list:
 * numbers of nodes can still be given. */
static void drop_plain_node(struct mk_cluster_spec *spec)
{
	const struct mk_node_spec *node = spec->nodes;

	if (node->labels || node->kubelet_args || node->kubelet_config || node->taints_given)
		return;
	free(spec->nodes);
	spec->nodes = NULL;
	spec->node_count = 0;
}

static void take_patches(struct mk_decode *d, const struct mk_strlist *patches, const char *place,
	struct mk_cluster_spec *spec, size_t node)
{
	for (size_t i = 0; i < patches->count; i++) {
		mk_autofree char *at = mk_xasprintf("%s[%zu]", place, i);

		if (!mk_decode_is_bad(d, at))
			mk_config_take_kubeadm(d, at, patches->items[i], spec, node);
	}
}

static void free_file(struct kind_file *file)
{
	for (size_t i = 0; i < file->node_count; i++) {
		mk_node_spec_done(&file->nodes[i].node);
		mk_strlist_done(&file->nodes[i].patches);
	}
	free(file->nodes);
	mk_strlist_done(&file->patches);
	free(file->api_version);
	free(file->kind);
	free(file->ip_family);
}

/* Relative paths are seen from where the program runs, as kind has it. */
static void settle_mounts(struct mk_cluster_spec *spec)
{
	mk_autofree char *folder = getcwd(NULL, 0);

	mk_config_settle_mounts(spec, folder ? folder : "/");
}

void mk_config_decode_kind(struct mk_decode *d, const json_t *value, struct mk_cluster_spec *spec)
{
	struct kind_file file = { .spec = *spec };

	mk_decode_object(d, &file_table, value, "", &file);
	*spec = file.spec;
	move_nodes(&file, spec);
	/* Those of a node come after those of all, and have the last word. */
	take_patches(d, &file.patches, "kubeadmConfigPatches", spec, MK_ALL_NODES);
	for (size_t i = 0; i < file.node_count; i++) {
		mk_autofree char *place = mk_xasprintf("nodes[%zu].kubeadmConfigPatches", i);

		take_patches(d, &file.nodes[i].patches, place, spec, i);
	}
	if (file.node_count == 0)
		drop_plain_node(spec);
	settle_mounts(spec);
	mk_config_move_ports(spec);
	free_file(&file);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/spec.h"

#include "lib/base/decode.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"

#include <arpa/inet.h>

/* NAME-control-plane-99 must be a host name of at most 63 bytes (RFC 1123), and
 * with "system:node:" in front a common name of at most 64. */
#define NAME_MAX_LENGTH 32

struct mk_cluster_spec mk_cluster_spec_init(void)
{
	return (struct mk_cluster_spec){
		.name = mk_xstrdup(MK_DEFAULT_NAME),
		.image = mk_xstrdup(MK_DEFAULT_IMAGE),
		.images = json_object(),
		.control_planes = 1,
		.openfaas = true,
		.storage = true,
		.metrics = true,
		.pod_subnet = mk_xstrdup("10.244.0.0/16"),
		.service_subnet = mk_xstrdup("10.96.0.0/16"),
		.api_address = mk_xstrdup("127.0.0.1"),
		.gateway_port = MK_GATEWAY_PORT,
		.registry_port = MK_REGISTRY_PORT,
	};
}

void mk_node_spec_done(struct mk_node_spec *node)
{
	free(node->image);
	free(node->ip);
	free(node->cpus);
	free(node->memory);
	json_decref(node->labels);
	json_decref(node->kubelet_args);
	for (size_t i = 0; i < node->taint_count; i++) {
		free(node->taints[i].key);
		free(node->taints[i].value);
		free(node->taints[i].effect);
	}
	for (size_t i = 0; i < node->mount_count; i++) {
		free(node->mounts[i].host_path);
		free(node->mounts[i].container_path);
	}
	for (size_t i = 0; i < node->port_count; i++)
		free(node->ports[i].listen_address);
	free(node->taints);
	free(node->mounts);
	free(node->ports);
	*node = (struct mk_node_spec){ .image = NULL };
}

static void done_lists(struct mk_cluster_spec *spec)
{
	for (size_t i = 0; i < spec->registry_count; i++) {
		free(spec->registries[i].host);
		mk_strlist_done(&spec->registries[i].mirrors);
	}
	for (size_t i = 0; i < spec->node_count; i++)
		mk_node_spec_done(&spec->nodes[i]);
	free(spec->registries);
	free(spec->nodes);
	mk_strlist_done(&spec->api_sans);
	mk_strlist_done(&spec->dns_search);
	mk_strlist_done(&spec->containerd_patches);
	mk_strlist_done(&spec->ca_certificates);
}

void mk_cluster_spec_done(struct mk_cluster_spec *spec)
{
	json_t *const maps[] = { spec->images, spec->feature_gates, spec->runtime_config,
		spec->api_server_args, spec->controller_manager_args, spec->scheduler_args,
		spec->etcd_args, spec->kubelet_args, spec->proxy_args };

	for (size_t i = 0; i < MK_ARRAY_LEN(maps); i++)
		json_decref(maps[i]);
	free(spec->name);
	free(spec->image);
	free(spec->pod_subnet);
	free(spec->service_subnet);
	free(spec->node_subnet);
	free(spec->api_address);
	done_lists(spec);
	*spec = (struct mk_cluster_spec){ .name = NULL };
}

static void make_nodes(struct mk_cluster_spec *spec)
{
	spec->node_count = (size_t)(spec->control_planes + spec->workers);
	spec->nodes = mk_xcalloc(spec->node_count, sizeof(*spec->nodes));
	for (size_t i = (size_t)spec->control_planes; i < spec->node_count; i++)
		spec->nodes[i].role = MK_NODE_WORKER;
}

void mk_cluster_spec_settle(struct mk_cluster_spec *spec)
{
	struct mk_node_spec *sorted;
	size_t n = 0;

	if (spec->node_count == 0)
		make_nodes(spec);
	sorted = mk_xcalloc(spec->node_count, sizeof(*sorted));
	for (size_t i = 0; i < spec->node_count; i++) {
		if (spec->nodes[i].role == MK_NODE_CONTROL_PLANE)
			sorted[n++] = spec->nodes[i];
	}
	spec->control_planes = (int64_t)n;
	for (size_t i = 0; i < spec->node_count; i++) {
		if (spec->nodes[i].role == MK_NODE_WORKER)
			sorted[n++] = spec->nodes[i];
	}
	spec->workers = (int64_t)n - spec->control_planes;
	free(spec->nodes);
	spec->nodes = sorted;
}

int mk_cluster_name_check(const char *name, struct mk_error *err)
{
	size_t len = strlen(name);
	bool ends = len > 0 && name[0] != '-' && name[len - 1] != '-';

	if (ends && len <= NAME_MAX_LENGTH &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len)
		return 0;
	return mk_fail(err, MK_EUSAGE,
		"'%.64s' cannot name a cluster: 1 to %d of a-z, 0-9 and -, not at an end", name,
		NAME_MAX_LENGTH);
}

static const char *const api_versions[] = { "mkcluster.dev/v1", NULL };
static const char *const file_kinds[] = { "Cluster", NULL };
static const char *const profiles[] = { "auto", "privileged", "restricted", NULL };

/* A file: the spec, and what says that it is one. */
struct header {
	char *api_version;
	char *kind;
	struct mk_cluster_spec spec;
};

#define AT(member) offsetof(struct header, spec.member)

static const struct mk_field networking_fields[] = {
	{ .key = "podSubnet", .kind = MK_FIELD_STRING, .offset = AT(pod_subnet) },
	{ .key = "serviceSubnet", .kind = MK_FIELD_STRING, .offset = AT(service_subnet) },
	{ .key = "apiServerAddress", .kind = MK_FIELD_STRING, .offset = AT(api_address) },
	{ .key = "apiServerPort", .kind = MK_FIELD_INT, .max = 65535, .offset = AT(api_port) },
	{ .key = "apiServerSANs", .kind = MK_FIELD_STRING_LIST, .offset = AT(api_sans) },
};
static const struct mk_table networking = MK_TABLE(struct header, networking_fields);

static const struct mk_field openfaas_fields[] = {
	{ .key = "enabled", .kind = MK_FIELD_BOOL, .offset = AT(openfaas) },
	{ .key = "port", .kind = MK_FIELD_INT, .min = 1, .max = 65535, .offset = AT(gateway_port) },
};
static const struct mk_table openfaas = MK_TABLE(struct header, openfaas_fields);

static const struct mk_field registry_fields[] = {
	{ .key = "port",
		.kind = MK_FIELD_INT,
		.min = 1,
		.max = 65535,
		.offset = AT(registry_port) },
};
static const struct mk_table registry = MK_TABLE(struct header, registry_fields);

static const struct mk_field etcd_fields[] = {
	{ .key = "unsafeNoFsync", .kind = MK_FIELD_BOOL, .offset = AT(unsafe_etcd) },
};
static const struct mk_table etcd = MK_TABLE(struct header, etcd_fields);

static const struct mk_field fields[] = {
	{ .key = "apiVersion",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.choices = api_versions,
		.offset = offsetof(struct header, api_version) },
	{ .key = "kind",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.choices = file_kinds,
		.offset = offsetof(struct header, kind) },
	{ .key = "name",
		.kind = MK_FIELD_STRING,
		.check = mk_cluster_name_check,
		.offset = AT(name) },
	{ .key = "image", .kind = MK_FIELD_STRING, .offset = AT(image) },
	{ .key = "images", .kind = MK_FIELD_STRING_MAP, .offset = AT(images) },
	{ .key = "controlPlanes",
		.kind = MK_FIELD_INT,
		.min = 1,
		.max = MK_MAX_CONTROL_PLANES,
		.offset = AT(control_planes) },
	{ .key = "workers", .kind = MK_FIELD_INT, .max = MK_MAX_WORKERS, .offset = AT(workers) },
	{ .key = "profile", .kind = MK_FIELD_CHOICE, .choices = profiles, .offset = AT(profile) },
	/* These tables' offsets are from the top: they group keys, not members. */
	{ .key = "networking", .kind = MK_FIELD_OBJECT, .table = &networking, .offset = 0 },
	{ .key = "openfaas", .kind = MK_FIELD_OBJECT, .table = &openfaas, .offset = 0 },
	{ .key = "registry", .kind = MK_FIELD_OBJECT, .table = &registry, .offset = 0 },
	{ .key = "etcd", .kind = MK_FIELD_OBJECT, .table = &etcd, .offset = 0 },
};
static const struct mk_table table = MK_TABLE(struct header, fields);

int mk_cluster_spec_parse(struct mk_cluster_spec *spec, const char *text, size_t len,
	const char *what, struct mk_error *err)
{
	struct header header = { .spec = *spec };
	int r = mk_decode_yaml(text, len, what, &table, &header, err);

	/* After an error too: what was replaced belongs to the caller's spec again. */
	*spec = header.spec;
	free(header.api_version);
	free(header.kind);
	return r;
}

int mk_cluster_spec_load(struct mk_cluster_spec *spec, const char *path, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	const char *what = mk_streq(path, "-") ? "standard input" : path;
	int r = mk_fs_read(path, &text, err);

	if (r < 0)
		return mk_error_recode(err, MK_EUSAGE);
	return mk_cluster_spec_parse(spec, text.data, text.len, what, err);
}

int mk_cluster_spec_print(
	const struct mk_cluster_spec *spec, struct mk_buf *ret, struct mk_error *err)
{
	mk_autojson *json = mk_json_pack(
		"{s:s,s:s,s:s,s:s,s:O,s:I,s:I,s:s,s:{s:s,s:s,s:s},s:{s:b},s:{s:b}}", "apiVersion",
		api_versions[0], "kind", file_kinds[0], "name", spec->name, "image", spec->image,
		"images", spec->images, "controlPlanes", (json_int_t)spec->control_planes,
		"workers", (json_int_t)spec->workers, "profile", profiles[spec->profile],
		"networking", "podSubnet", spec->pod_subnet, "serviceSubnet", spec->service_subnet,
		"apiServerAddress", spec->api_address, "openfaas", "enabled", spec->openfaas,
		"etcd", "unsafeNoFsync", spec->unsafe_etcd);

	return mk_yaml_print(json, ret, err);
}

static const char *const roles[] = { "coredns", "gateway", "provider", "queue-worker", "nats",
	"prometheus", "alertmanager", "local-path-provisioner", "local-path-helper",
	"metrics-server" };

static int check_images(const json_t *images, struct mk_error *err)
{
	const char *role;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)images, role, value) {
		const char *near = mk_did_you_mean(role, roles, MK_ARRAY_LEN(roles));
		bool known = false;

		for (size_t i = 0; i < MK_ARRAY_LEN(roles); i++)
			known = known || mk_streq(roles[i], role);
		if (known)
			continue;
		(void)mk_fail(err, MK_EUSAGE, "images: no image has the role '%s'", role);
		mk_error_hint(err, "%s%s%s",
			near ? "did you mean '"
			     : "the roles are coredns, gateway, "
			       "provider, queue-worker, nats, prometheus, alertmanager, "
			       "local-path-provisioner, local-path-helper, metrics-server",
			near ? near : "", near ? "'?" : "");
		return -MK_EUSAGE;
	}
	return 0;
}

static int check_subnets(const struct mk_cluster_spec *spec, struct mk_error *err)
{
	struct mk_cidr pods, services;
	int r = mk_cidr_parse(spec->pod_subnet, &pods, err);

	if (r < 0)
		return mk_error_wrap(err, "pod subnet");
	r = mk_cidr_parse(spec->service_subnet, &services, err);
	if (r < 0)
		return mk_error_wrap(err, "service subnet");
	if (pods.bits < 8 || pods.bits > 24)
		return mk_fail(err, MK_EUSAGE, "pod subnet '%s' must be between a /8 and a /24",
			spec->pod_subnet);
	if (services.bits < 12 || services.bits > 26)
		return mk_fail(err, MK_EUSAGE,
			"service subnet '%s' must be between a /12 and a /26",
			spec->service_subnet);
	if (mk_cidr_overlap(&pods, &services))
		return mk_fail(err, MK_EUSAGE, "pod subnet %s and service subnet %s overlap",
			spec->pod_subnet, spec->service_subnet);
	return 0;
}

static int check_nodes(const struct mk_cluster_spec *spec, struct mk_error *err)
{
	if (spec->control_planes < 1 || spec->control_planes > MK_MAX_CONTROL_PLANES)
		return mk_fail(err, MK_EUSAGE, "a cluster has 1 to %d control planes, not %lld",
			MK_MAX_CONTROL_PLANES, (long long)spec->control_planes);
	if (spec->control_planes % 2 == 0) {
		(void)mk_fail(err, MK_EUSAGE, "%lld control planes: the number must be odd",
			(long long)spec->control_planes);
		mk_error_hint(err,
			"etcd needs more than half of its members: %lld survive the loss "
			"of no more than %lld do, and are one more that can fail",
			(long long)spec->control_planes, (long long)spec->control_planes - 1);
		return -MK_EUSAGE;
	}
	if (spec->workers < 0 || spec->workers > MK_MAX_WORKERS)
		return mk_fail(err, MK_EUSAGE, "a cluster has 0 to %d workers, not %lld",
			MK_MAX_WORKERS, (long long)spec->workers);
	return 0;
}

int mk_cluster_spec_check(const struct mk_cluster_spec *spec, struct mk_error *err)
{
	struct in_addr address;
	int r = mk_cluster_name_check(spec->name, err);

	if (r < 0)
		return r;
	if (!*spec->image || strcspn(spec->image, " \t\n\"?#%&") != strlen(spec->image))
		return mk_fail(err, MK_EUSAGE, "'%s' is not an image name", spec->image);
	if (inet_pton(AF_INET, spec->api_address, &address) != 1)
		return mk_fail(err, MK_EUSAGE, "'%s' is not an IPv4 address of this host",
			spec->api_address);
	r = check_nodes(spec, err);
	if (r == 0)
		r = check_images(spec->images, err);
	return r < 0 ? r : check_subnets(spec, err);
}

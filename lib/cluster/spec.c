/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/spec.h"

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
		.cert_algorithm = MK_KEY_EC_P256,
		.cert_validity = mk_xstrdup("8760h"),
		.ca_validity = mk_xstrdup("87600h"),
		.snapshot_keep = 8,
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
	json_decref(node->kubelet_config);
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
		spec->etcd_args, spec->kubelet_args, spec->proxy_args, spec->kubelet_config,
		spec->proxy_config };

	for (size_t i = 0; i < MK_ARRAY_LEN(maps); i++)
		json_decref(maps[i]);
	free(spec->name);
	free(spec->image);
	free(spec->pod_subnet);
	free(spec->service_subnet);
	free(spec->node_subnet);
	free(spec->snapshot_every);
	free(spec->api_address);
	free(spec->cert_validity);
	free(spec->ca_validity);
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

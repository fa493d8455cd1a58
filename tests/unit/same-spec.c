/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/same-spec.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void same_string(const char *a, const char *b)
{
	if (!a || !b)
		assert_ptr_equal(a, b);
	else
		assert_string_equal(a, b);
}

static void same_list(const struct mk_strlist *a, const struct mk_strlist *b)
{
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++)
		assert_string_equal(a->items[i], b->items[i]);
}

/* An empty map is as good as none. */
static void same_json(const json_t *a, const json_t *b)
{
	if (json_object_size(a) == 0 && json_object_size(b) == 0)
		return;
	assert_true(json_equal(a, b));
}

static void same_taints(const struct mk_node_spec *a, const struct mk_node_spec *b)
{
	assert_int_equal(a->taints_given, b->taints_given);
	assert_int_equal(a->taint_count, b->taint_count);
	for (size_t i = 0; i < a->taint_count; i++) {
		same_string(a->taints[i].key, b->taints[i].key);
		same_string(a->taints[i].value, b->taints[i].value);
		same_string(a->taints[i].effect, b->taints[i].effect);
	}
}

static void same_mounts(const struct mk_node_spec *a, const struct mk_node_spec *b)
{
	assert_int_equal(a->mount_count, b->mount_count);
	for (size_t i = 0; i < a->mount_count; i++) {
		same_string(a->mounts[i].host_path, b->mounts[i].host_path);
		same_string(a->mounts[i].container_path, b->mounts[i].container_path);
		assert_int_equal(a->mounts[i].read_only, b->mounts[i].read_only);
		assert_int_equal(a->mounts[i].selinux_relabel, b->mounts[i].selinux_relabel);
		assert_int_equal(a->mounts[i].propagation, b->mounts[i].propagation);
	}
}

static void same_ports(const struct mk_node_spec *a, const struct mk_node_spec *b)
{
	assert_int_equal(a->port_count, b->port_count);
	for (size_t i = 0; i < a->port_count; i++) {
		same_string(a->ports[i].listen_address, b->ports[i].listen_address);
		assert_int_equal(a->ports[i].container_port, b->ports[i].container_port);
		assert_int_equal(a->ports[i].host_port, b->ports[i].host_port);
		assert_int_equal(a->ports[i].protocol, b->ports[i].protocol);
	}
}

static void same_node(const struct mk_node_spec *a, const struct mk_node_spec *b)
{
	assert_int_equal(a->role, b->role);
	same_string(a->image, b->image);
	same_string(a->ip, b->ip);
	same_string(a->cpus, b->cpus);
	same_string(a->memory, b->memory);
	same_json(a->labels, b->labels);
	same_json(a->kubelet_args, b->kubelet_args);
	same_json(a->kubelet_config, b->kubelet_config);
	same_taints(a, b);
	same_mounts(a, b);
	same_ports(a, b);
}

static void same_components(const struct mk_cluster_spec *a, const struct mk_cluster_spec *b)
{
	same_json(a->feature_gates, b->feature_gates);
	same_json(a->runtime_config, b->runtime_config);
	same_json(a->api_server_args, b->api_server_args);
	same_json(a->controller_manager_args, b->controller_manager_args);
	same_json(a->scheduler_args, b->scheduler_args);
	same_json(a->etcd_args, b->etcd_args);
	same_json(a->kubelet_args, b->kubelet_args);
	same_json(a->proxy_args, b->proxy_args);
	same_json(a->kubelet_config, b->kubelet_config);
	same_json(a->proxy_config, b->proxy_config);
	same_list(&a->containerd_patches, &b->containerd_patches);
	same_list(&a->ca_certificates, &b->ca_certificates);
	assert_int_equal(a->registry_count, b->registry_count);
	for (size_t i = 0; i < a->registry_count; i++) {
		same_string(a->registries[i].host, b->registries[i].host);
		same_list(&a->registries[i].mirrors, &b->registries[i].mirrors);
		assert_int_equal(a->registries[i].insecure, b->registries[i].insecure);
	}
}

static void same_networking(const struct mk_cluster_spec *a, const struct mk_cluster_spec *b)
{
	same_string(a->pod_subnet, b->pod_subnet);
	same_string(a->service_subnet, b->service_subnet);
	same_string(a->node_subnet, b->node_subnet);
	same_string(a->api_address, b->api_address);
	assert_int_equal(a->api_port, b->api_port);
	assert_int_equal(a->gateway_port, b->gateway_port);
	assert_int_equal(a->registry_port, b->registry_port);
	same_string(a->snapshot_every, b->snapshot_every);
	assert_int_equal(a->snapshot_keep, b->snapshot_keep);
	same_list(&a->api_sans, &b->api_sans);
	assert_int_equal(a->proxy_mode, b->proxy_mode);
	assert_int_equal(a->no_cni, b->no_cni);
	same_list(&a->dns_search, &b->dns_search);
	assert_int_equal(a->dns_search_given, b->dns_search_given);
}

void assert_same_spec(const struct mk_cluster_spec *a, const struct mk_cluster_spec *b)
{
	same_string(a->name, b->name);
	same_string(a->image, b->image);
	same_json(a->images, b->images);
	assert_int_equal(a->control_planes, b->control_planes);
	assert_int_equal(a->workers, b->workers);
	assert_int_equal(a->openfaas, b->openfaas);
	assert_int_equal(a->storage, b->storage);
	assert_int_equal(a->metrics, b->metrics);
	assert_int_equal(a->unsafe_etcd, b->unsafe_etcd);
	assert_int_equal(a->profile, b->profile);
	assert_int_equal(a->cert_algorithm, b->cert_algorithm);
	same_string(a->cert_validity, b->cert_validity);
	same_string(a->ca_validity, b->ca_validity);
	same_networking(a, b);
	same_components(a, b);
	assert_int_equal(a->node_count, b->node_count);
	for (size_t i = 0; i < a->node_count; i++)
		same_node(&a->nodes[i], &b->nodes[i]);
}

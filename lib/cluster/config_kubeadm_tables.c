/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubeadm's configuration, v1beta2 to v1beta4
 * (https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/): what is
 * taken over, and what is refused by name.
 */
#include "lib/cluster/config_kubeadm.h"
#include "lib/cluster/config_syntax.h"

#define REFUSED(name, why)                                                                         \
	{                                                                                          \
		.key = (name), .kind = MK_FIELD_REFUSED, .help = (why)                             \
	}

#define NO_KUBEADM "is not supported: there is no kubeadm here that would read it"
#define NO_PODS                                                                                    \
	"is not supported: the control plane runs as systemd units, whose environment is fixed"
#define IN_IMAGE "is not supported: the node image holds the programs, and says which"
#define OWN_CERTS "is not supported: mkcluster makes the certificates"

static const char *const versions[] = { "kubeadm.k8s.io/v1beta4", "kubeadm.k8s.io/v1beta3",
	"kubeadm.k8s.io/v1beta2", NULL };

/* kubeadm's ECDSA-P384 is none of ours, and our Ed25519 none of kubeadm's. */
static const char *const algorithms[] = { "ECDSA-P256", "RSA-2048", "RSA-3072", "RSA-4096", NULL };

#define VOLUME(member) offsetof(struct mk_kubeadm_volume, member)

static const struct mk_field volume_fields[] = {
	{ .key = "name", .kind = MK_FIELD_STRING, .offset = VOLUME(name) },
	{ .key = "hostPath",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.offset = VOLUME(host_path) },
	{ .key = "mountPath",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.offset = VOLUME(mount_path) },
	{ .key = "pathType", .kind = MK_FIELD_STRING, .offset = VOLUME(path_type) },
	{ .key = "readOnly", .kind = MK_FIELD_BOOL, .offset = VOLUME(read_only) },
};
static const struct mk_table volume_table = MK_TABLE(struct mk_kubeadm_volume, volume_fields);

#define COMPONENT(member) offsetof(struct mk_kubeadm_component, member)
#define COMPONENT_FIELDS                                                                           \
	{ .key = "extraArgs", .kind = MK_FIELD_JSON, .offset = COMPONENT(args) },                  \
		{ .key = "extraVolumes",                                                           \
			.kind = MK_FIELD_OBJECT_LIST,                                              \
			.table = &volume_table,                                                    \
			.offset = COMPONENT(volumes),                                              \
			.count_offset = COMPONENT(volume_count) },                                 \
		REFUSED("extraEnvs", NO_PODS)

static const struct mk_field api_server_fields[] = {
	COMPONENT_FIELDS,
	{ .key = "certSANs",
		.kind = MK_FIELD_STRING_LIST,
		.check = mk_check_san,
		.offset = COMPONENT(sans) },
	REFUSED("timeoutForControlPlane", "is not supported: --timeout of `create` is the limit"),
};
static const struct mk_table api_server_table = MK_TABLE(
	struct mk_kubeadm_component, api_server_fields);

static const struct mk_field component_fields[] = { COMPONENT_FIELDS };
static const struct mk_table component_table = MK_TABLE(
	struct mk_kubeadm_component, component_fields);

#define CLUSTER(member) offsetof(struct mk_kubeadm_cluster, member)

static const struct mk_field local_etcd_fields[] = {
	{ .key = "extraArgs", .kind = MK_FIELD_JSON, .offset = CLUSTER(etcd_args) },
	REFUSED("dataDir", "is not supported: etcd's data is in the node's own volume"),
	REFUSED("imageRepository", IN_IMAGE),
	REFUSED("imageTag", IN_IMAGE),
	REFUSED("serverCertSANs", OWN_CERTS),
	REFUSED("peerCertSANs", OWN_CERTS),
	REFUSED("extraEnvs", NO_PODS),
};
static const struct mk_table local_etcd_table = MK_TABLE(
	struct mk_kubeadm_cluster, local_etcd_fields);

static const struct mk_field etcd_fields[] = {
	{ .key = "local", .kind = MK_FIELD_OBJECT, .table = &local_etcd_table },
	REFUSED("external", "is not supported: the control planes hold etcd"),
};
static const struct mk_table etcd_table = MK_TABLE(struct mk_kubeadm_cluster, etcd_fields);

static const struct mk_field networking_fields[] = {
	{ .key = "podSubnet", .kind = MK_FIELD_STRING, .offset = CLUSTER(pod_subnet) },
	{ .key = "serviceSubnet", .kind = MK_FIELD_STRING, .offset = CLUSTER(service_subnet) },
	{ .key = "dnsDomain", .kind = MK_FIELD_STRING, .offset = CLUSTER(dns_domain) },
};
static const struct mk_table networking_table = MK_TABLE(
	struct mk_kubeadm_cluster, networking_fields);

static const struct mk_field cluster_fields[] = {
	{ .key = "apiVersion",
		.kind = MK_FIELD_STRING,
		.choices = versions,
		.offset = CLUSTER(api_version) },
	{ .key = "kind", .kind = MK_FIELD_STRING, .offset = CLUSTER(kind) },
	{ .key = "metadata", .kind = MK_FIELD_JSON, .offset = CLUSTER(metadata) },
	{ .key = "apiServer",
		.kind = MK_FIELD_OBJECT,
		.table = &api_server_table,
		.offset = CLUSTER(api_server) },
	{ .key = "controllerManager",
		.kind = MK_FIELD_OBJECT,
		.table = &component_table,
		.offset = CLUSTER(controller_manager) },
	{ .key = "scheduler",
		.kind = MK_FIELD_OBJECT,
		.table = &component_table,
		.offset = CLUSTER(scheduler) },
	{ .key = "etcd", .kind = MK_FIELD_OBJECT, .table = &etcd_table },
	{ .key = "networking", .kind = MK_FIELD_OBJECT, .table = &networking_table },
	REFUSED("kubernetesVersion", IN_IMAGE),
	REFUSED("imageRepository", IN_IMAGE),
	REFUSED("dns", "is not supported: CoreDNS is applied by mkcluster"),
	REFUSED("proxy", NO_KUBEADM),
	REFUSED("featureGates",
		"is not supported, being kubeadm's own: featureGates at the top of the file is for "
		"Kubernetes'"),
	REFUSED("clusterName", "is not supported: the cluster's name is at the top of the file"),
	REFUSED("controlPlaneEndpoint",
		"is not supported: networking.apiServerAddress and apiServerPort say it"),
	REFUSED("certificatesDir", OWN_CERTS),
	{ .key = "encryptionAlgorithm",
		.kind = MK_FIELD_STRING,
		.choices = algorithms,
		.offset = CLUSTER(algorithm) },
	{ .key = "certificateValidityPeriod",
		.kind = MK_FIELD_STRING,
		.check = mk_check_validity,
		.offset = CLUSTER(validity) },
	{ .key = "caCertificateValidityPeriod",
		.kind = MK_FIELD_STRING,
		.check = mk_check_validity,
		.offset = CLUSTER(ca_validity) },
	REFUSED("useHyperKubeImage", IN_IMAGE),
};
const struct mk_table mk_kubeadm_cluster_table = MK_TABLE(
	struct mk_kubeadm_cluster, cluster_fields);

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

#define NODE(member) offsetof(struct mk_kubeadm_node, member)

static const struct mk_field registration_fields[] = {
	{ .key = "kubeletExtraArgs", .kind = MK_FIELD_JSON, .offset = NODE(kubelet_args) },
	{ .key = "taints",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &taint_table,
		.offset = NODE(taints),
		.count_offset = NODE(taint_count),
		.given_offset = NODE(taints_given) },
	{ .key = "criSocket", .kind = MK_FIELD_STRING, .offset = NODE(socket) },
	REFUSED("name", "is not supported: mkcluster names the nodes"),
	REFUSED("ignorePreflightErrors", NO_KUBEADM),
	REFUSED("imagePullPolicy", NO_KUBEADM),
	REFUSED("imagePullSerial", NO_KUBEADM),
};
static const struct mk_table registration_table = MK_TABLE(
	struct mk_kubeadm_node, registration_fields);

#define NODE_FIELDS                                                                                \
	{ .key = "apiVersion",                                                                     \
		.kind = MK_FIELD_STRING,                                                           \
		.choices = versions,                                                               \
		.offset = NODE(api_version) },                                                     \
		{ .key = "kind", .kind = MK_FIELD_STRING, .offset = NODE(kind) },                  \
		{ .key = "metadata", .kind = MK_FIELD_JSON, .offset = NODE(metadata) },            \
		{ .key = "nodeRegistration",                                                       \
			.kind = MK_FIELD_OBJECT,                                                   \
			.table = &registration_table },                                            \
		{ .key = "skipPhases",                                                             \
			.kind = MK_FIELD_STRING_LIST,                                              \
			.offset = NODE(skip_phases) },                                             \
		REFUSED("patches", NO_KUBEADM), REFUSED("timeouts", NO_KUBEADM),                   \
		REFUSED("dryRun", NO_KUBEADM)

static const struct mk_field init_fields[] = {
	NODE_FIELDS,
	REFUSED("localAPIEndpoint", "is not supported: mkcluster gives out the addresses"),
	REFUSED("bootstrapTokens", "is not supported: nodes join with certificates"),
	REFUSED("certificateKey", OWN_CERTS),
};
const struct mk_table mk_kubeadm_init_table = MK_TABLE(struct mk_kubeadm_node, init_fields);

static const struct mk_field join_fields[] = {
	NODE_FIELDS,
	REFUSED("discovery", "is not supported: nodes join with certificates"),
	REFUSED("caCertPath", OWN_CERTS),
	REFUSED("controlPlane", "is not supported: the role of the node says it"),
};
const struct mk_table mk_kubeadm_join_table = MK_TABLE(struct mk_kubeadm_node, join_fields);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user wants: the cluster's specification, from defaults, a config
 * file and flags, in that order. Checked as a whole before anything is made.
 */
#ifndef MK_CLUSTER_SPEC_H
#define MK_CLUSTER_SPEC_H

#include "lib/base/json.h"
#include "lib/base/str.h"
#include "pki/key.h"

#define MK_DEFAULT_NAME "mkcluster"
#define MK_DEFAULT_IMAGE "mkcluster/node:v1.36.3"
#define MK_GATEWAY_PORT 31112 /* the NodePort upstream's manifests choose */
#define MK_REGISTRY_PORT 5001
#define MK_API_PORT 6443
#define MK_MAX_CONTROL_PLANES 9
#define MK_MAX_WORKERS 200

enum mk_profile {
	MK_PROFILE_AUTO,       /* try both */
	MK_PROFILE_PRIVILEGED, /* --privileged */
	MK_PROFILE_RESTRICTED, /* all capabilities but CAP_SYS_RESOURCE */
};

enum mk_proxy_mode {
	MK_PROXY_IPTABLES,
	MK_PROXY_NFTABLES,
	MK_PROXY_NONE, /* no kube-proxy: a CNI of the user's replaces it */
};

/** How mounts made below a mount travel (mount_namespaces(7)). */
enum mk_propagation {
	MK_PROPAGATION_NONE,
	MK_PROPAGATION_HOST_TO_CONTAINER, /* rslave */
	MK_PROPAGATION_BIDIRECTIONAL,     /* rshared */
};

enum mk_protocol { MK_PROTOCOL_TCP, MK_PROTOCOL_UDP, MK_PROTOCOL_SCTP };

/** A folder or file of the engine's host in a node. */
struct mk_mount_spec {
	char *host_path; /* absolute once the spec is settled */
	char *container_path;
	bool read_only;
	bool selinux_relabel;
	enum mk_propagation propagation;
};

/** A port of a node that is published on the host. */
struct mk_port_spec {
	int64_t container_port;
	int64_t host_port;    /* 0: a free one is chosen, and kept */
	char *listen_address; /* NULL: the spec's api_address */
	enum mk_protocol protocol;
};

struct mk_taint_spec {
	char *key;
	char *value;  /* may be NULL */
	char *effect; /* NoSchedule, PreferNoSchedule, NoExecute */
};

enum mk_node_role { MK_NODE_CONTROL_PLANE, MK_NODE_WORKER };

/** What one node has that others need not have. All zero is a plain control plane. */
struct mk_node_spec {
	enum mk_node_role role;
	char *image;    /* NULL: the cluster's */
	char *ip;       /* NULL: the plan gives one */
	char *cpus;     /* "1.5": of the engine's host, or NULL */
	char *memory;   /* "2Gi", or NULL */
	json_t *labels; /* of the Kubernetes node; NULL: none */
	struct mk_taint_spec *taints;
	size_t taint_count;
	bool taints_given;      /* an empty list says: not even the usual one */
	json_t *kubelet_args;   /* flag without dashes -> value; NULL: none */
	json_t *kubelet_config; /* over the cluster's; NULL: none */
	struct mk_mount_spec *mounts;
	size_t mount_count;
	struct mk_port_spec *ports;
	size_t port_count;
};

/** Where the images of one upstream registry are really taken from. */
struct mk_registry_spec {
	char *host;                /* "docker.io", "ghcr.io:443", or "*" for all others */
	struct mk_strlist mirrors; /* URLs, tried in order before the registry itself */
	bool insecure;             /* do not check their certificates; without any, the host's */
};

struct mk_cluster_spec {
	char *name;
	char *image;
	json_t *images;         /* role -> image name, replacing the node image's */
	int64_t control_planes; /* odd */
	int64_t workers;
	bool openfaas;
	bool storage;     /* the default StorageClass */
	bool metrics;     /* metrics-server */
	bool unsafe_etcd; /* no fsync: for clusters that are thrown away */
	enum mk_profile profile;
	char *pod_subnet;
	char *service_subnet;
	char *node_subnet; /* NULL: one that is free */
	char *api_address; /* of the host: where ports are published */
	int64_t api_port;  /* 0: any free one */
	int64_t gateway_port;
	int64_t registry_port; /* of the host */
	struct mk_strlist api_sans;
	enum mk_proxy_mode proxy_mode;
	bool no_cni;          /* the user brings one */
	char *snapshot_every; /* "6h": the cluster makes snapshots of itself; NULL: it does not */
	int64_t snapshot_keep;
	struct mk_strlist dns_search;
	bool dns_search_given; /* an empty list says: none at all */

	/* What the cluster's own certificates are made of. */
	enum mk_key_kind cert_algorithm; /* where it can be; pki/table.h says where not */
	char *cert_validity;             /* "8760h": of all but the CAs */
	char *ca_validity;               /* no shorter */

	/* Further settings of the components; NULL: none. */
	json_t *feature_gates;  /* name -> bool, of every component */
	json_t *runtime_config; /* "api/alpha" -> "true", of the API server */
	json_t *api_server_args, *controller_manager_args, *scheduler_args, *etcd_args,
		*kubelet_args, *proxy_args; /* flag without dashes -> value */

	/* Fields of KubeletConfiguration and KubeProxyConfiguration that replace ours,
	 * maps key by key; NULL: none. */
	json_t *kubelet_config, *proxy_config;

	struct mk_strlist containerd_patches; /* TOML, merged over ours in this order */
	struct mk_registry_spec *registries;
	size_t registry_count;
	struct mk_strlist ca_certificates; /* PEM, trusted by containerd in every node */

	/* One for each node once the spec is settled: control planes first, then workers. */
	struct mk_node_spec *nodes;
	size_t node_count;
};

/** The defaults. Release with mk_cluster_spec_done. */
struct mk_cluster_spec mk_cluster_spec_init(void);
void mk_cluster_spec_done(struct mk_cluster_spec *spec);
#define mk_autospec MK_CLEANUP(mk_cluster_spec_done) struct mk_cluster_spec

/**
 * Make `nodes` complete: without a list, plain nodes by the two counts; with one,
 * the counts by the list, control planes first and otherwise in its order. Doing
 * it again changes nothing. Every user of a spec but the decoder needs it settled.
 */
void mk_cluster_spec_settle(struct mk_cluster_spec *spec);

/** Free what one node's spec owns. */
void mk_node_spec_done(struct mk_node_spec *node);

/**
 * Read a config file ("-" is standard input) over what the spec holds: kind
 * Cluster of mkcluster.dev/v1 or kind.x-k8s.io/v1alpha4. MK_EUSAGE lists every
 * mistake with file:line:column, those of mk_cluster_spec_check among them.
 * Certificates are read from where the file says; whether folders to mount exist
 * is not asked (see config.h).
 */
int mk_cluster_spec_load(
	struct mk_cluster_spec *spec, const char *path, struct mk_error *err) MK_CHECKED;

/** The same for text in memory, `what` in errors. */
int mk_cluster_spec_parse(struct mk_cluster_spec *spec, const char *data, size_t len,
	const char *what, struct mk_error *err) MK_CHECKED;

/**
 * Append the settled spec as a config file, mkcluster.dev/v1, complete: defaults
 * written out, certificates within. Loading it on any host gives the same spec.
 * MK_EINVALID when it does not fit into `ret`; what was loaded fits into
 * MK_MAX_CONFIG_FILE.
 */
int mk_cluster_spec_print(
	const struct mk_cluster_spec *spec, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/** The same as a JSON object, which the caller owns. */
json_t *mk_cluster_spec_value(const struct mk_cluster_spec *spec) MK_CHECKED;

/** Check the whole, all mistakes at once: names, addresses, ranges, overlaps, ports.
 * For a spec from flags and a file; settled or not. MK_EUSAGE. */
int mk_cluster_spec_check(const struct mk_cluster_spec *spec, struct mk_error *err) MK_CHECKED;

/** A name that can be a container's, a host's and a kubeconfig's: MK_EUSAGE. */
int mk_cluster_name_check(const char *name, struct mk_error *err) MK_CHECKED;

/** An IPv4 range, "10.244.0.0/16", as numbers in host order. */
struct mk_cidr {
	uint32_t address;
	unsigned bits;
};

/** Parse a range whose host bits are zero. MK_EUSAGE. */
int mk_cidr_parse(const char *text, struct mk_cidr *ret, struct mk_error *err) MK_CHECKED;
bool mk_cidr_overlap(const struct mk_cidr *a, const struct mk_cidr *b);

/** The `n`th address of the range as text. Caller frees. */
char *mk_cidr_address(const struct mk_cidr *range, uint32_t n);
char *mk_cidr_print(const struct mk_cidr *range);

#endif

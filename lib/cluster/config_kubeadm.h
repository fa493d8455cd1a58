/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubeadm's configuration as far as it has a meaning without kubeadm: what a patch
 * of it holds once it is decoded. Private to the config module.
 */
#ifndef MK_CLUSTER_CONFIG_KUBEADM_H
#define MK_CLUSTER_CONFIG_KUBEADM_H

#include "lib/cluster/config_internal.h"

/** A folder of the host in a component's pod. */
struct mk_kubeadm_volume {
	char *name, *host_path, *mount_path, *path_type;
	bool read_only;
};

/** apiServer, controllerManager, scheduler. */
struct mk_kubeadm_component {
	json_t *args; /* an object, or a list of { name, value } */
	struct mk_kubeadm_volume *volumes;
	size_t volume_count;
	struct mk_strlist sans;
};

/** ClusterConfiguration. */
struct mk_kubeadm_cluster {
	char *api_version, *kind;
	json_t *metadata; /* a name that nobody uses, in files of long ago */
	struct mk_kubeadm_component api_server, controller_manager, scheduler;
	json_t *etcd_args;
	char *pod_subnet, *service_subnet, *dns_domain;
	char *algorithm, *validity, *ca_validity; /* of certificates */
};

/** InitConfiguration and JoinConfiguration. */
struct mk_kubeadm_node {
	char *api_version, *kind;
	json_t *metadata;
	json_t *kubelet_args;
	struct mk_taint_spec *taints;
	size_t taint_count;
	bool taints_given;
	char *socket;
	struct mk_strlist skip_phases;
};

extern const struct mk_table mk_kubeadm_cluster_table; /* of struct mk_kubeadm_cluster */
extern const struct mk_table mk_kubeadm_init_table;    /* of struct mk_kubeadm_node */
extern const struct mk_table mk_kubeadm_join_table;    /* of struct mk_kubeadm_node */

#endif

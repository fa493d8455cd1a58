/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the config module share; nobody else includes it. */
#ifndef MK_CLUSTER_CONFIG_INTERNAL_H
#define MK_CLUSTER_CONFIG_INTERNAL_H

#include "lib/cluster/config.h"

/** A file of mkcluster.dev/v1: the spec, and what says that it is one. */
struct mk_config_file {
	char *api_version;
	char *kind;
	char *ip_family;
	struct mk_cluster_spec spec;
};

extern const struct mk_table mk_config_table; /* of struct mk_config_file */
extern const char *const mk_config_kinds[];   /* "Cluster" */

/** What the fields are called in the file that is read: one check for two formats. */
struct mk_config_names {
	const char *mounts, *ports;
	const char *validity; /* the place of it */
	bool own;             /* mkcluster.dev/v1, which has keys for all ports */
};

extern const struct mk_config_names mk_config_own_names, mk_config_kind_names;

/** Words that both formats have, in the order of their enums. */
extern const char *const mk_config_roles[];        /* enum mk_node_role */
extern const char *const mk_config_propagations[]; /* enum mk_propagation */
extern const char *const mk_config_protocols[];    /* enum mk_protocol */
extern const char *const mk_config_proxy_modes[];  /* enum mk_proxy_mode */
extern const char *const mk_config_taint_effects[];

/** Decode a document by the tables of its format. */
void mk_config_decode_own(
	struct mk_decode *d, const json_t *value, struct mk_cluster_spec *spec, const char *folder);
void mk_config_decode_kind(struct mk_decode *d, const json_t *value, struct mk_cluster_spec *spec);

enum mk_component {
	MK_COMPONENT_API_SERVER,
	MK_COMPONENT_CONTROLLER_MANAGER,
	MK_COMPONENT_SCHEDULER,
	MK_COMPONENT_ETCD,
	MK_COMPONENT_KUBELET,
	MK_COMPONENT_PROXY,
};

/** The member of the spec that holds a component's flags. */
json_t **mk_config_args_of(struct mk_cluster_spec *spec, enum mk_component component);

/** Whether a flag may be given to a component: MK_EUSAGE with the reason. */
int mk_config_check_flag(enum mk_component component, const char *flag, const char *value,
	const struct mk_cluster_spec *spec, struct mk_error *err) MK_CHECKED;

/** Check all flags of an object that stands at `path`. */
void mk_config_check_flags(struct mk_decode *d, enum mk_component component, const json_t *args,
	const struct mk_cluster_spec *spec, const char *path);

/** The fields of KubeletConfiguration and KubeProxyConfiguration that can be given,
 * and those that are refused, with the reason: loose tables. */
extern const struct mk_table mk_config_kubelet_table, mk_config_proxy_table;

/**
 * Take over one of kind's kubeadmConfigPatches, which stands at `path`: of all
 * nodes, or of node `node` of the spec's list. MK_ALL_NODES is the former.
 */
#define MK_ALL_NODES ((size_t)-1)
void mk_config_take_kubeadm(struct mk_decode *d, const char *path, const char *text,
	struct mk_cluster_spec *spec, size_t node);

/** Make the paths of all mounts absolute as seen from `folder`. */
void mk_config_settle_mounts(struct mk_cluster_spec *spec, const char *folder);

/** Replace the names of files by the certificates in them, and certificates by
 * themselves in plain PEM. */
void mk_config_load_certificates(
	struct mk_decode *d, struct mk_cluster_spec *spec, const char *folder);

/** Add the problems of the whole spec; with what the host lacks if `flags` says so. */
void mk_config_check(struct mk_decode *d, const struct mk_cluster_spec *spec,
	const struct mk_config_names *names, unsigned flags);

/** The part of it that concerns the networks and the nodes' addresses in them. */
void mk_config_check_networks(struct mk_decode *d, const struct mk_cluster_spec *spec);

/** The part of it that concerns published ports. */
void mk_config_check_ports(struct mk_decode *d, const struct mk_cluster_spec *spec,
	const struct mk_config_names *names);

/** Move the gateway's and the registry's port out of the way of the nodes' ports. */
void mk_config_move_ports(struct mk_cluster_spec *spec);

#endif

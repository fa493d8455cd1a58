/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that come to a running cluster, and nodes that leave it. */
#ifndef MK_CLUSTER_MEMBERSHIP_H
#define MK_CLUSTER_MEMBERSHIP_H

#include "lib/cluster/create.h"
#include "lib/cluster/plan.h"

struct mk_node_add_options {
	enum mk_role role;
	size_t count;
	/* Of a second control plane, which brings a load balancer: the user's
	 * kubeconfig follows to its port. As in mk_create_options. */
	const char *kubeconfig;
	bool retain;
	int64_t timeout_ms;
	struct mk_create_report report;
};

/**
 * Add nodes and wait until they are Ready. Workers are made side by side; control
 * planes one after another, for etcd takes one new member at a time. Their names
 * are added to `ret_names`. One run at a time changes a cluster's nodes: MK_EEXISTS.
 * On failure and on interrupt the cluster is as it was before the node that failed.
 */
int mk_cluster_add_nodes(struct mk_docker *docker, const char *name,
	const struct mk_node_add_options *options, struct mk_strlist *ret_names,
	struct mk_error *err) MK_CHECKED;

struct mk_node_remove_options {
	int64_t drain_ms; /* how long its pods may take */
	bool force;       /* end pods that take longer, or that nothing makes again */
	int64_t timeout_ms;
	struct mk_create_report report;
};

/**
 * Cordon and drain a node, take it out of etcd, routes and load balancer, and
 * remove it. MK_ENOTFOUND names the nodes there are; MK_EUSAGE when it is one that
 * the cluster cannot be without; MK_ETIMEOUT when pods did not leave, and the node
 * is as it was. What fails after the drain can be asked for again.
 */
int mk_cluster_remove_node(struct mk_docker *docker, const char *name, const char *node,
	const struct mk_node_remove_options *options, struct mk_error *err) MK_CHECKED;

#endif

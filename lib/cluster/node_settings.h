/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the spec changes in the files of a node beyond their ${NAME}s: flags of the
 * units, fields of the kubelet's and kube-proxy's configurations, files that a
 * cluster does without. Private to lib/cluster.
 */
#ifndef MK_CLUSTER_NODE_SETTINGS_H
#define MK_CLUSTER_NODE_SETTINGS_H

#include "lib/cluster/bringup.h"

/** Whether this node does without an embedded file ("node/units/kube-proxy.service"). */
bool mk_node_leaves_out(
	const struct mk_bringup *b, const struct mk_node_plan *node, const char *source);

/** Change the embedded file `source`, filled in, into what the spec wants of it. */
int mk_node_adjust(const struct mk_bringup *b, const struct mk_node_plan *node, const char *source,
	struct mk_buf *text, struct mk_error *err) MK_CHECKED;

/** The field of the kubelet's configuration by which what lies beyond the node's
 * limits is reserved: one that the user leaves free, for the kubelet adds them up. */
const char *mk_node_reserved_field(const struct mk_bringup *b, const struct mk_node_plan *node);

/** The taints a node registers with, as YAML's flow. Caller frees. */
char *mk_node_taints(const struct mk_bringup *b, const struct mk_node_plan *node);

#endif

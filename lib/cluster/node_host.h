/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of its host a node gets: an image, folders, ports, a share of CPU and
 * memory. Private to lib/cluster.
 */
#ifndef MK_CLUSTER_NODE_HOST_H
#define MK_CLUSTER_NODE_HOST_H

#include "lib/cluster/bringup.h"

/** The image a node runs: its own, else the cluster's. The balancer has that of
 * the first control plane. Borrowed. */
const char *mk_node_image(const struct mk_bringup *b, const struct mk_node_plan *node);

/** The image that the node's image has for a role ("pause"), or "". Borrowed. */
const char *mk_node_image_of(
	const struct mk_bringup *b, const struct mk_node_plan *node, const char *role);

/** Add a mapping to a container's PortBindings and ExposedPorts; one port may be
 * published at several. */
void mk_node_publish(json_t *bindings, json_t *exposed, enum mk_protocol protocol,
	int64_t node_port, const char *address, int64_t host_port);

/** Add what the node's spec wants to the container's HostConfig and ExposedPorts. */
void mk_node_add_host(
	const struct mk_bringup *b, const struct mk_node_plan *node, json_t *host, json_t *exposed);

/**
 * Whether the host has what the specs of the nodes that this run makes want of it:
 * the folders to mount (asked only where the engine is local), and CPUs. MK_EHOST.
 */
int mk_node_check_host(const struct mk_bringup *b, struct mk_error *err) MK_CHECKED;

/**
 * Choose the host's ports for those of these nodes that name one (`fixed`) or that
 * do not, and write them down in the bring-up. The fixed ones go before all other
 * choices, which have others to take. MK_EHOST names node and port.
 */
int mk_node_choose_ports(
	struct mk_bringup *b, bool fixed, json_t *taken, struct mk_error *err) MK_CHECKED;

/** Write down the ports that nodes which exist (mk_cluster_nodes) have been given. */
void mk_node_find_ports(struct mk_bringup *b, const json_t *nodes);

/** "127.0.0.1:8080->80/tcp,..." of a node's own ports, or NULL. Caller frees. */
char *mk_node_ports_text(const struct mk_bringup *b, const struct mk_node_plan *node);

#endif

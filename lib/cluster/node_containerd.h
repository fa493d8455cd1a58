/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the spec, and the environment, want of a node's containerd: changes to its
 * configuration, where images come from, whom to trust on the way, and proxies.
 * Private to lib/cluster.
 */
#ifndef MK_CLUSTER_NODE_CONTAINERD_H
#define MK_CLUSTER_NODE_CONTAINERD_H

#include "lib/archive/tar_writer.h"
#include "lib/cluster/bringup.h"
#include "lib/cluster/file_list.h"
#include "manifests/render.h"

/**
 * Add the files of the spec's containerd patches, registries and certificates.
 * `render` knows the node's ${NAME}s.
 */
int mk_node_add_containerd(const struct mk_bringup *b, const struct mk_render *render,
	struct mk_node_files *ret, struct mk_error *err) MK_CHECKED;

/** Whether the spec says itself where images of all other registries come from. */
bool mk_node_has_default_registry(const struct mk_cluster_spec *spec);

/** Whether the environment (HTTP_PROXY, HTTPS_PROXY, in either case) names a proxy. */
bool mk_node_has_proxy(void);

/** Add the proxies, for containerd alone: their URLs may hold a password, so the
 * file is root's and in no list. Nothing without a proxy. */
void mk_node_add_proxy(const struct mk_bringup *b, struct mk_tar_writer *tar);

/** "proxy HOST:PORT", without its password, and whether nodes can reach it at all;
 * NULL without a proxy. Caller frees. */
char *mk_node_proxy_note(void);

#endif

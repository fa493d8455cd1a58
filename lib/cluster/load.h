/* SPDX-License-Identifier: Apache-2.0 */
/* Images into a cluster's registry, from where every node takes them. */
#ifndef MK_CLUSTER_LOAD_H
#define MK_CLUSTER_LOAD_H

#include "lib/docker/client.h"
#include "lib/registry/load.h"

/**
 * Load images that the engine holds, by name. An image that the registry has
 * under that name already is not touched and comes back with no bytes sent; of
 * the others only the layers it lacks are sent, with no temporary file.
 * MK_ENOTFOUND names an image the engine does not hold, or the cluster.
 * `ret` is an empty report at the call, and released by the caller always.
 */
int mk_cluster_load_images(struct mk_docker *docker, const char *cluster,
	const struct mk_strlist *images, struct mk_load_report *ret,
	struct mk_error *err) MK_CHECKED;

/** Load every image of an archive file; "-" is standard input. */
int mk_cluster_load_archive(struct mk_docker *docker, const char *cluster, const char *path,
	struct mk_load_report *ret, struct mk_error *err) MK_CHECKED;

#endif

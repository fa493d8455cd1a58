/* SPDX-License-Identifier: Apache-2.0 */
/* The user's own objects in a cluster: applied and deleted by its administrator. */
#ifndef MK_CLUSTER_OBJECTS_H
#define MK_CLUSTER_OBJECTS_H

#include "lib/docker/client.h"
#include "lib/kube/apply.h"
#include "lib/kube/remove.h"

/** mk_kube_apply_manifests in cluster `name`, of which MK_ENOTFOUND says that there is none;
 * `options->set_id` is filled in. */
int mk_cluster_apply(struct mk_docker *docker, const char *name,
	const struct mk_manifests *manifests, const struct mk_apply_options *options,
	struct mk_error *err) MK_CHECKED;

/** mk_kube_remove_manifests in cluster `name`. Never touches the cluster itself. */
int mk_cluster_remove_objects(struct mk_docker *docker, const char *name,
	const struct mk_manifests *manifests, const struct mk_remove_options *options,
	struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster that exists: stop and start it, pause and resume it. */
#ifndef MK_CLUSTER_LIFECYCLE_H
#define MK_CLUSTER_LIFECYCLE_H

#include "lib/docker/client.h"

#include <stdint.h>

/** Shut every node down in order, as a machine is; its data stays. One that is
 * stopped already is fine. MK_ENOTFOUND when there is no such cluster. */
int mk_cluster_stop(struct mk_docker *docker, const char *name, struct mk_error *err) MK_CHECKED;

/**
 * Start every node, and wait until the API answers, each kubelet has reported
 * since, all nodes are Ready and, with OpenFaaS, the gateway answers. MK_ETIMEOUT
 * says what is missing at `deadline`. Certificates that expire within 30 days, or have
 * expired, are renewed on the way, also the one in the user's kubeconfig.
 */
int mk_cluster_start(struct mk_docker *docker, const char *name, int64_t deadline,
	struct mk_error *err) MK_CHECKED;

/** Freeze all processes of all nodes: no CPU is used, memory is kept. */
int mk_cluster_pause(struct mk_docker *docker, const char *name, struct mk_error *err) MK_CHECKED;

/** Let them run on, and wait as mk_cluster_start does. */
int mk_cluster_resume(struct mk_docker *docker, const char *name, int64_t deadline,
	struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a cluster's etcd, changed by etcdctl in one of its nodes. */
#ifndef MK_CLUSTER_ETCD_H
#define MK_CLUSTER_ETCD_H

#include "lib/docker/client.h"

/** Add a member that learns: it has no vote, so that a node which never starts
 * costs the others nothing (https://etcd.io/docs/v3.6/learning/design-learner/).
 * `container` is a control plane that runs. A member that is at this address already
 * is replaced, so nobody may be. Waits for etcd to be sure of its present members:
 * MK_ETIMEOUT. */
int mk_etcd_add_learner(struct mk_docker *docker, const char *container, const char *name,
	const char *ip, int64_t deadline, struct mk_error *err) MK_CHECKED;

/** Give the learner its vote as soon as it has caught up. MK_ETIMEOUT with etcd's words. */
int mk_etcd_promote(struct mk_docker *docker, const char *container, const char *ip,
	int64_t deadline, struct mk_error *err) MK_CHECKED;

/** Take the member at this address out of the cluster; an absent one is fine. Waits
 * for etcd to be sure of the others: MK_ETIMEOUT. */
int mk_etcd_remove(struct mk_docker *docker, const char *container, const char *ip,
	int64_t deadline, struct mk_error *err) MK_CHECKED;

/** Find the member with this address in the lines of `etcdctl member list`: its id,
 * or NULL. Caller frees. For tests apart. */
char *mk_etcd_find(const char *list, const char *ip);

#endif

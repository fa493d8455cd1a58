/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster that runs, opened for change: what `create` knew is read back from the
 * engine's labels and from the files of its first control plane, so that nodes can
 * be made for it, or taken out, as if in the same run. Private to lib/cluster.
 */
#ifndef MK_CLUSTER_EXISTING_H
#define MK_CLUSTER_EXISTING_H

#include "lib/cluster/bringup.h"
#include "lib/kube/lock.h"

/** Where the settled spec lies in every control plane. */
#define MK_SPEC_PATH "/etc/mkcluster/config.yaml"

/**
 * Fill `b`, whose `docker` and `deadline` are set, from the cluster `name`, and
 * `spec`, which `b` then borrows; take the lock on the cluster's nodes, for a run of
 * `run_ms` and its way back, and only then read which nodes there are. What a run
 * has left that was killed, nodes that never started, is removed. The first control
 * plane has to run, and no node may be paused: MK_EHOST. MK_ENOTFOUND names the
 * clusters there are; MK_EEXISTS says who holds the lock.
 */
int mk_existing_open(struct mk_bringup *b, struct mk_cluster_spec *spec, const char *name,
	int64_t run_ms, struct mk_kube_lock *ret_lock, struct mk_error *err) MK_CHECKED;

/** Take that lock alone, by b->kube. */
int mk_existing_lock(struct mk_bringup *b, int64_t run_ms, struct mk_kube_lock *ret,
	struct mk_error *err) MK_CHECKED;

/** MK_EHOST: the node does not run, and `consequence` (": ..." or "") is why it has to. */
int mk_existing_fail_stopped(const struct mk_bringup *b, const struct mk_node_plan *node,
	const char *consequence, struct mk_error *err);

/** The same without a lock and without the API, which may not answer yet. */
int mk_existing_read(struct mk_bringup *b, const char *name, struct mk_cluster_spec *spec,
	struct mk_error *err) MK_CHECKED;

/** The same of a cluster whose nodes need not run. */
int mk_existing_read_at_rest(struct mk_bringup *b, const char *name, struct mk_cluster_spec *spec,
	struct mk_error *err) MK_CHECKED;

/** Make certificates for the present plan, signed by the cluster's own CAs, as they are
 * after the turn. */
int mk_existing_make_secrets(
	struct mk_bringup *b, enum mk_pki_turn turn, struct mk_error *err) MK_CHECKED;

/**
 * Tell the nodes what `before`, the plan they follow, and b's plan say differently:
 * routes, balancers' servers, election of leaders, where the API is. Only nodes that
 * are in both plans and have one of the `roles` (bits 1 << enum mk_role). Those that
 * do not run read it at their next start. All nodes side by side; running pods and
 * connections are untouched.
 */
int mk_existing_tell(struct mk_bringup *b, const struct mk_plan *before, unsigned roles,
	struct mk_error *err) MK_CHECKED;

#define MK_TELL_ALL (~0U)

#endif

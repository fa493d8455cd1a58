/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run at a time changes the nodes of a cluster: a Lease in the cluster is the
 * lock (https://kubernetes.io/docs/concepts/architecture/leases/), so it holds
 * between machines that share an engine, too.
 */
#ifndef MK_KUBE_LOCK_H
#define MK_KUBE_LOCK_H

#include "lib/kube/client.h"

struct mk_kube_lock {
	struct mk_kube *kube; /* NULL: not held */
	char *path;
	char *version;
};

/**
 * Take the lease `name` of kube-system for at most `seconds`. A lease that has run
 * out, or whose holder was a process of this host that is gone, is taken over.
 * MK_EEXISTS says who holds it and until when.
 */
int mk_kube_lock(struct mk_kube *kube, const char *name, int64_t seconds, struct mk_kube_lock *ret,
	struct mk_error *err) MK_CHECKED;

/** Give it back, if it is held; what fails is left to run out. */
void mk_kube_unlock(struct mk_kube_lock *lock);
#define mk_autokubelock MK_CLEANUP(mk_kube_unlock) struct mk_kube_lock

#endif

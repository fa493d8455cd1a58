/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emptying a node of its pods, as `kubectl drain` does: by evictions, which keep
 * to PodDisruptionBudgets
 * (https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/).
 */
#ifndef MK_KUBE_DRAIN_H
#define MK_KUBE_DRAIN_H

#include "lib/kube/client.h"

/** Let no new pods onto the node, or let them again. MK_ENOTFOUND. */
int mk_kube_cordon(
	struct mk_kube *kube, const char *node, bool cordoned, struct mk_error *err) MK_CHECKED;

/** Whether the node takes no new pods. MK_ENOTFOUND. */
int mk_kube_is_cordoned(
	struct mk_kube *kube, const char *node, bool *ret, struct mk_error *err) MK_CHECKED;

struct mk_drain_options {
	int64_t deadline; /* mk_deadline */
	/* Pods that nothing will make again go too, and what has not left at the
	 * deadline is deleted without grace. */
	bool force;
	/* No kubelet lives there that could end pods: they are struck off at once. */
	bool dead;
};

/**
 * Evict every pod of the node but static ones and those of DaemonSets, and wait for
 * all of them side by side. Returns how many went. MK_EHOST, with
 * nothing evicted, names the pods that nothing would make again elsewhere;
 * MK_ETIMEOUT names those that did not leave, with the budget that holds them.
 */
int mk_kube_drain(struct mk_kube *kube, const char *node, const struct mk_drain_options *options,
	size_t *ret_count, struct mk_error *err) MK_CHECKED;

#endif

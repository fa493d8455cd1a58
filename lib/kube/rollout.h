/* SPDX-License-Identifier: Apache-2.0 */
/* Pods that have to read anew what they read when they began. */
#ifndef MK_KUBE_ROLLOUT_H
#define MK_KUBE_ROLLOUT_H

#include "lib/kube/client.h"

/**
 * Wait until the ConfigMap kube-root-ca.crt of every namespace, from which pods learn
 * whom to trust, holds `ca_pem`. MK_ETIMEOUT names one that does not.
 */
int mk_kube_wait_root_ca(struct mk_kube *kube, const char *ca_pem, int64_t deadline,
	struct mk_error *err) MK_CHECKED;

/**
 * Do what `kubectl rollout restart` does with every Deployment, DaemonSet and
 * StatefulSet whose pods have a token for the API, and wait for the Deployments. How
 * many at a time is each one's own strategy. `*ret_count` is how many there were.
 * MK_ETIMEOUT names the Deployments that did not come back.
 */
int mk_kube_restart_workloads(
	struct mk_kube *kube, int64_t deadline, size_t *ret_count, struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for objects that were applied, by watches. Private to lib/kube. */
#ifndef MK_KUBE_AWAIT_H
#define MK_KUBE_AWAIT_H

#include "lib/kube/target.h"

#include <stdint.h>

/** Wait for one target; a kind that has no readiness is ready. MK_ETIMEOUT and MK_EFAIL
 * (it has failed) name it. */
int mk_target_await(struct mk_kube *kube, const struct mk_target *target, int64_t deadline,
	struct mk_error *err) MK_CHECKED;

/** Wait for all of them. The error says of each that is not ready why: its conditions,
 * and the waiting reasons of its pods. */
int mk_targets_await(struct mk_kube *kube, const struct mk_targets *targets, int64_t deadline,
	struct mk_error *err) MK_CHECKED;

#endif

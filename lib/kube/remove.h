/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting the objects of manifests: the inverse of applying them. */
#ifndef MK_KUBE_REMOVE_H
#define MK_KUBE_REMOVE_H

#include "lib/kube/manifest.h"
#include "lib/kube/target.h"

#include <stdint.h>

struct mk_remove_options {
	const char *namespace; /* of objects that name none */
	bool dry_run;
	bool wait;        /* until each is gone, with what it owns */
	int64_t deadline; /* mk_deadline */
	mk_outcome_report report;
	void *payload;
};

/**
 * Delete the objects, last rank first, those of one rank side by side; with `wait` a rank
 * only when the one before is gone, so that what looks after finalizers still runs.
 * Reports "deleted", "not found" or "failed" of each. A refusal does not hide others:
 * MK_EREMOTE with all in `detail`. MK_ETIMEOUT says what is still there and what holds
 * it. A kind that the server does not know has no objects.
 */
int mk_kube_remove_manifests(struct mk_kube *kube, const struct mk_manifests *manifests,
	const struct mk_remove_options *options, struct mk_error *err) MK_CHECKED;

#endif

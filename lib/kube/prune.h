/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting the members of a set that are no longer in it. Private to lib/kube. */
#ifndef MK_KUBE_PRUNE_H
#define MK_KUBE_PRUNE_H

#include "lib/kube/applyset.h"

/**
 * Delete, or in a dry run only report, every member that was not applied now, last
 * rank first. What somebody else has taken over is "kept": it is added to `left`, as
 * is what was changed meanwhile. MK_EREMOTE names refusals.
 */
int mk_prune(struct mk_applyset *set, json_t *left, struct mk_error *err) MK_CHECKED;

/** Why a member (its metadata) is no longer ours to delete, or NULL. `strict` of what
 * holds others or data: then nobody else may have written to it. Caller frees. */
char *mk_prune_why_kept(const json_t *member, bool strict);

#endif

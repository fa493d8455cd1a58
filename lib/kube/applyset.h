/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was applied together, remembered in the cluster as KEP-3659 has it, so that
 * kubectl sees whose it is
 * (https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/3659-kubectl-apply-prune):
 * every member has the set's id in a label, and a Secret, the parent, says which kinds
 * and namespaces there are to look at. Private to lib/kube.
 */
#ifndef MK_KUBE_APPLYSET_H
#define MK_KUBE_APPLYSET_H

#include "lib/kube/target.h"

#define MK_APPLYSET_PART_OF "applyset.kubernetes.io/part-of"

struct mk_apply_options;

struct mk_applyset {
	struct mk_kube *kube;
	const struct mk_apply_options *options; /* NULL: no set, and all is a no-op */
	struct mk_kinds *kinds;                 /* borrowed from the targets */
	char *path;                             /* of the parent */
	json_t *group_kinds;                    /* "Deployment.apps" -> true */
	json_t *namespaces;
	json_t *uids; /* of what was applied now */
};

void mk_applyset_done(struct mk_applyset *set);

/** Read the parent, label all targets as members, and, before any is sent, have the
 * parent name their kinds and namespaces besides those it names. MK_EEXISTS when the
 * parent is somebody else's. */
int mk_applyset_begin(struct mk_applyset *set, struct mk_kube *kube,
	const struct mk_apply_options *options, struct mk_targets *targets,
	struct mk_error *err) MK_CHECKED;

/** Why a live object (or NULL) cannot become a member, or NULL. Caller frees. */
char *mk_applyset_taken(const struct mk_applyset *set, const json_t *live);

/** Note an object that was applied. */
void mk_applyset_note(
	struct mk_applyset *set, const struct mk_target *target, const json_t *object);

/** With `prune`: delete the members that were not applied now and that are still ours
 * alone, and have the parent name what is left. */
int mk_applyset_end(
	struct mk_applyset *set, const struct mk_targets *targets, struct mk_error *err) MK_CHECKED;

#endif

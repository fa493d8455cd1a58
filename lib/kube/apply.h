/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-side apply
 * (https://kubernetes.io/docs/reference/using-api/server-side-apply/) with our
 * field manager: what we sent is what we own, and applying again changes
 * nothing. Objects go in order of dependency, those of one rank side by side; CRDs
 * are waited for.
 */
#ifndef MK_KUBE_APPLY_H
#define MK_KUBE_APPLY_H

#include "lib/kube/manifest.h"
#include "lib/kube/target.h"

/* Whose fields are whose: what a user applies must not take away what `create` has set
 * and the user's file does not name. */
#define MK_KUBE_FIELD_MANAGER "mkcluster"      /* objects of the user's */
#define MK_KUBE_OWN_MANAGER "mkcluster-create" /* our own */

/** The API path of an object, "/apis/apps/v1/namespaces/x/deployments/y", or
 * MK_EINVALID when its kind is none of every cluster. Caller frees. */
int mk_kube_object_path(const json_t *object, char **ret, struct mk_error *err) MK_CHECKED;

/**
 * Apply all objects (an array) of our own, taking fields from whoever has them.
 * Returns at the first refusal, which names the object. Asks the server for nothing
 * besides when all kinds are known.
 */
int mk_kube_apply(struct mk_kube *kube, const json_t *objects, struct mk_error *err) MK_CHECKED;

/** How to apply objects of the user's. */
struct mk_apply_options {
	const char *namespace; /* of objects that name none */
	bool force;            /* take fields from other managers */
	bool dry_run;          /* have the server try, and change nothing */
	bool prune;            /* with a set: delete what is no longer in it */
	const char *set;       /* the name of the set they belong to, or NULL */
	const char *set_id;    /* the set's label value: mk_applyset_id */
	bool wait;             /* until workloads are ready */
	int64_t deadline;      /* of waiting: mk_deadline */
	mk_outcome_report report;
	void *payload;
};

/** What is hashed (SHA-256) to be the id of the set `name` of a namespace. Caller frees. */
char *mk_applyset_id_source(const char *name, const char *namespace);

/** The id, a label's value, from the hash's 32 bytes. Caller frees. */
char *mk_applyset_id(const unsigned char *hash);

/**
 * Apply objects of the user's and report each one's outcome: "created", "configured",
 * "unchanged", "failed", "pruned", "kept" (not pruned, `why` says), "untried" (in a dry
 * run, for want of its namespace or CRD). A refusal does not hide others of its rank;
 * later ranks are then not begun, and nothing is pruned. MK_EREMOTE names the refusals
 * (all of them in `detail`), MK_EUSAGE unknown kinds and doubles, before anything is
 * sent; MK_ETIMEOUT what was not ready, and why.
 */
int mk_kube_apply_manifests(struct mk_kube *kube, const struct mk_manifests *manifests,
	const struct mk_apply_options *options, struct mk_error *err) MK_CHECKED;

#endif

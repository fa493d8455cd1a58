/* SPDX-License-Identifier: Apache-2.0 */
/* Objects on their way to the API: each with its kind, path and name for people. What
 * applying, waiting and deleting share. */
#ifndef MK_KUBE_TARGET_H
#define MK_KUBE_TARGET_H

#include "lib/kube/kind.h"

struct mk_target {
	json_t *object;    /* ours, with its namespace */
	const char *where; /* "FILE:LINE:COLUMN", borrowed, or NULL */
	const struct mk_kind *kind;
	char *path;
	char *label; /* "deployment.apps/web", as kubectl writes it */
};

struct mk_targets {
	struct mk_target *items;
	size_t count;
	struct mk_kinds *kinds;
};

void mk_targets_done(struct mk_targets *targets);
#define mk_autotargets MK_CLEANUP(mk_targets_done) struct mk_targets

/**
 * Find the kind of every object (an array). `where`, of each, may be NULL. Objects of a
 * namespace that name none get `namespace`. MK_EUSAGE, or MK_EINVALID without `where`,
 * names kinds that the server does not know, and objects that are there twice; with
 * `lenient` unknown kinds have no path instead.
 */
int mk_targets_find(struct mk_kube *kube, const json_t *objects, const struct mk_strlist *where,
	const char *namespace, bool lenient, struct mk_targets *ret,
	struct mk_error *err) MK_CHECKED;

/** "deployment.apps/web". Caller frees. */
char *mk_target_label(const char *api_version, const char *kind, const char *name);

/** What became of an object. */
struct mk_outcome {
	const char *label; /* "deployment.apps/web" */
	const char *api_version, *kind, *name;
	const char *namespace; /* NULL: none */
	const char *verb;      /* "created", "configured", "unchanged", "failed" ... */
	const char *why;       /* or NULL */
};

typedef void (*mk_outcome_report)(void *payload, const struct mk_outcome *outcome);

/** The outcome of a target, for a report. */
struct mk_outcome mk_target_outcome(
	const struct mk_target *target, const char *verb, const char *why);

/**
 * Why the server refused what was sent for this target: its own words, a conflict field
 * by field. Of a Secret nothing that repeats one of its values. Caller frees.
 */
char *mk_target_refusal(const struct mk_target *target, const struct mk_http_response *response);

/** Whether the answer is a conflict of field managers. */
bool mk_target_in_conflict(const struct mk_http_response *response);

/** The error for `failures` ("LABEL: WHY"), of `total` objects; `what`: "applied". */
int mk_target_failures(
	const struct mk_strlist *failures, size_t total, const char *what, struct mk_error *err);

#endif

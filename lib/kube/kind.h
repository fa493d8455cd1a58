/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of objects: their place in the API and in the order of an apply. Those of every
 * cluster stand in a table, so that nobody is asked; CRDs among the objects tell of
 * theirs; the rest says the server
 * (https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api).
 */
#ifndef MK_KUBE_KIND_H
#define MK_KUBE_KIND_H

#include "lib/kube/client.h"

/** What must be there before what, first to last. */
enum mk_rank {
	MK_RANK_NAMESPACE, /* holds the others */
	MK_RANK_CRD,       /* makes kinds */
	MK_RANK_REFERRED,  /* pods and bindings refer to it */
	MK_RANK_SERVICE,   /* claims addresses and ports that others know */
	MK_RANK_WORKLOAD,
	MK_RANK_CUSTOM, /* a workload looks after it: deleted before that */
	MK_RANK_LAST,   /* the API server calls at once what it names */
	MK_RANK_COUNT,
};

struct mk_kind {
	const char *api_version;
	const char *kind;
	const char *plural;
	bool namespaced;
	enum mk_rank rank;
	bool promised; /* by a CRD that is applied with it */
};

/** The kind of an object out of the table, or NULL. */
const struct mk_kind *mk_kind_known(const json_t *object);

struct mk_kinds;

/** Nothing learned yet. Free with mk_kinds_free. */
struct mk_kinds *mk_kinds_new(void) __attribute__((returns_nonnull));
void mk_kinds_free(struct mk_kinds *kinds);
MK_DEFINE_CLEANUP(struct mk_kinds *, mk_kinds_free);

/** Learn the kinds of all objects (an array); asks the server, side by side, for each
 * API version that neither the table nor a CRD among the objects explains. That some
 * kind is unknown is no error yet. */
int mk_kinds_learn(struct mk_kinds *kinds, struct mk_kube *kube, const json_t *objects,
	struct mk_error *err) MK_CHECKED;

/** The kind of an object, or NULL. Lives as long as `kinds`. */
const struct mk_kind *mk_kinds_find(const struct mk_kinds *kinds, const json_t *object);

/** The kind with this plural in this "GROUP/VERSION", or NULL. */
const struct mk_kind *mk_kinds_of_group(
	const struct mk_kinds *kinds, const char *group, const char *kind);

/** Learn the kinds of a group in the version that the server prefers. That there is no
 * such group is no error. */
int mk_kinds_learn_group(struct mk_kinds *kinds, struct mk_kube *kube, const char *group,
	struct mk_error *err) MK_CHECKED;

/** Why the kind of an object is unknown, with what the server has that is near.
 * Caller frees `ret`. */
int mk_kinds_explain(const struct mk_kinds *kinds, struct mk_kube *kube, const json_t *object,
	char **ret, struct mk_error *err) MK_CHECKED;

/** "/apis/apps/v1/namespaces/x/deployments/y"; without `name` the collection, and
 * without `namespace` that of all namespaces. Caller frees. */
char *mk_kind_path(const struct mk_kind *kind, const char *namespace, const char *name);

/** The group of an API version: "" of "v1", else what stands before the slash. Caller
 * frees. */
char *mk_kind_group(const char *api_version);

#endif

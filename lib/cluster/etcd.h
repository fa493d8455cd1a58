/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a cluster's etcd, changed by etcdctl in one of its nodes. */
#ifndef MK_CLUSTER_ETCD_H
#define MK_CLUSTER_ETCD_H

#include "lib/docker/client.h"

/** Add a member that learns: it has no vote, so that a node which never starts
 * costs the others nothing (https://etcd.io/docs/v3.6/learning/design-learner/).
 * `container` is a control plane that runs. A member that is at this address already
 * is replaced, so nobody may be. Waits for etcd to be sure of its present members:
 * MK_ETIMEOUT. */
int mk_etcd_add_learner(struct mk_docker *docker, const char *container, const char *name,
	const char *ip, int64_t deadline, struct mk_error *err) MK_CHECKED;

/** Give the learner its vote as soon as it has caught up. MK_ETIMEOUT with etcd's words. */
int mk_etcd_promote(struct mk_docker *docker, const char *container, const char *ip,
	int64_t deadline, struct mk_error *err) MK_CHECKED;

/** Take the member at this address out of the cluster; an absent one is fine. Waits
 * for etcd to be sure of the others: MK_ETIMEOUT. */
int mk_etcd_remove(struct mk_docker *docker, const char *container, const char *ip,
	int64_t deadline, struct mk_error *err) MK_CHECKED;

/** What etcdctl says at the end of its log: borrowed from its output, up to the line's end
 * or beyond. */
const char *mk_etcd_said(const char *output);

/** Find the member with this address in the lines of `etcdctl member list`: its id,
 * or NULL. Caller frees. For tests apart. */
char *mk_etcd_find(const char *list, const char *ip);

/** One value of etcd's: its key, and the first bytes of it, MK_ETCD_VALUE_HEAD at most. */
typedef int (*mk_etcd_take)(
	void *payload, const char *key, const struct mk_buf *head, struct mk_error *err);

#define MK_ETCD_VALUE_HEAD 120

/**
 * Tell of every key in etcd, in order, page after page: what is written meanwhile is told
 * as it was or as it is. The values stay in the node but for their heads. `*ret_revision`
 * is etcd's at the last page. MK_ETIMEOUT at `deadline`; MK_EREMOTE with etcdctl's words.
 * Stops at the first failure of `take` and returns it.
 */
int mk_etcd_each_value(struct mk_docker *docker, const char *container, int64_t deadline,
	mk_etcd_take take, void *payload, int64_t *ret_revision, struct mk_error *err) MK_CHECKED;

/** Read one page of it, as the script of mk_etcd_each_value prints it. `*last` is the last
 * key that was told, which is not told again; `*ret_more` says that there are others after
 * it. For tests apart. */
int mk_etcd_read_page(const char *text, char **last, bool *ret_more, int64_t *ret_revision,
	mk_etcd_take take, void *payload, struct mk_error *err) MK_CHECKED;

/** Forget what was before the revision (https://etcd.io/docs/v3.6/op-guide/maintenance/):
 * old values of keys are gone then. One that is forgotten already is fine. */
int mk_etcd_compact(struct mk_docker *docker, const char *container, int64_t revision,
	struct mk_error *err) MK_CHECKED;

/** Run etcdctl with these words in a control plane; what it prints goes to `ret`. A failure
 * carries its last words. For this folder's files on etcd. */
int mk_etcd_ctl(struct mk_docker *docker, const char *container, const char *const *words,
	struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/** The options that every call of etcdctl in a node needs, each a string and a comma. */
#define MK_ETCDCTL_OPTIONS                                                                         \
	"--endpoints=https://127.0.0.1:2379", "--cacert=/etc/kubernetes/pki/etcd/ca.crt",          \
		"--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt",                          \
		"--key=/etc/kubernetes/pki/etcd/healthcheck-client.key"

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Users of a cluster besides its administrator, by certificates that it signs. */
#ifndef MK_CLUSTER_USER_H
#define MK_CLUSTER_USER_H

#include "lib/docker/client.h"

#include <time.h>

/* What expirationSeconds, an int32, can hold. */
#define MK_USER_MAX_DAYS 24855

/** Whom the certificate names, and for how long. All pointers are borrowed. */
struct mk_user {
	const char *name;
	const struct mk_strlist *groups;
	int64_t days;
	bool allow_system; /* names that begin with "system:", which Kubernetes keeps for itself */
	int64_t timeout_ms;
};

/** MK_EUSAGE unless the names can stand in a certificate, and may. Asks nobody. */
int mk_user_check(const struct mk_user *user, struct mk_error *err) MK_CHECKED;

/** What was given. */
struct mk_user_grant {
	time_t not_after;
	bool shorter;      /* than was asked for */
	bool by_authority; /* because the cluster's CA ends then; else the signer's limit */
};

/**
 * Make a key, have the cluster `cluster` sign a certificate for it, and append a
 * kubeconfig with both, whose user and context are "NAME@mkcluster-CLUSTER". The key
 * goes nowhere else; the buffer is the caller's to wipe. The user has no rights but
 * those that RBAC gives. Errors as in mk_user_check, mk_cluster_find and
 * mk_kube_sign_client.
 */
int mk_cluster_add_user(struct mk_docker *docker, const char *cluster, const struct mk_user *user,
	struct mk_buf *ret, struct mk_user_grant *ret_grant, struct mk_error *err) MK_CHECKED;

#endif

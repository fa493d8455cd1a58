/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encryption at rest of a cluster that runs: which keys there are and what lies under
 * them, and a new key in the place of the old
 * (kubernetes.io/docs/tasks/administer-cluster/encrypt-data).
 */
#ifndef MK_CLUSTER_ENCRYPTION_H
#define MK_CLUSTER_ENCRYPTION_H

#include "lib/cluster/create.h"
#include "pki/rekey.h"

enum mk_plane_state {
	MK_PLANE_STOPPED, /* the node does not run */
	MK_PLANE_BEHIND,  /* its API server works with an earlier file */
	MK_PLANE_CURRENT,
};

/** What one control plane has. */
struct mk_encryption_plane {
	char *node;
	struct mk_strlist keys; /* their names; the first writes */
	enum mk_plane_state state;
};

/** What etcd holds under one key. */
struct mk_encryption_count {
	char *key; /* "key1", "aescbc:NAME" of another provider; NULL: not encrypted */
	size_t secrets;
	size_t others; /* further resources; only what is encrypted is counted */
	char *example; /* where one of them lies: "/registry/secrets/default/x" */
};

struct mk_encryption_counts {
	struct mk_encryption_count *items; /* in the order of their first appearance */
	size_t count;
};

struct mk_encryption_status {
	struct mk_strlist resources; /* of the first control plane */
	struct mk_encryption_plane *planes;
	size_t plane_count;
	bool agree; /* all have the same keys in the same order */
	struct mk_encryption_counts counts;
	enum mk_rekey_stage stage;
	char *key; /* that is to stay */
};

/** Release what the status owns. */
void mk_encryption_status_done(struct mk_encryption_status *status);
#define mk_autoencryptionstatus MK_CLEANUP(mk_encryption_status_done) struct mk_encryption_status

/**
 * Look at the control planes' files, their API servers and etcd. Changes nothing and
 * takes no lock. The first control plane has to run: MK_EHOST. MK_EINVALID when a file is
 * none that mkcluster manages, or the files cannot be of one cluster.
 */
int mk_cluster_encryption_status(struct mk_docker *docker, const char *cluster,
	struct mk_encryption_status *ret, struct mk_error *err) MK_CHECKED;

struct mk_encryption_rotate_options {
	bool restart; /* the API servers, one after another, instead of waiting for them */
	int64_t timeout_ms;
	struct mk_create_report report;
};

/**
 * Put a new key in the place of the old, or go on with a rotation that was broken off.
 * API servers look at their files once a minute, and each stage waits for all of them: two
 * to three minutes in which the API answers all along. With `restart` it takes some
 * seconds a control plane and stage, in which that one does not.
 *
 * All control planes have to run: MK_EHOST. Holds the lock on the cluster's nodes:
 * MK_EEXISTS. MK_ETIMEOUT says what was waited for. Whatever ends it, every API server can
 * read everything, and another call goes on. `*ret_key` is the new key's name; the caller
 * frees it.
 */
int mk_cluster_encryption_rotate(struct mk_docker *docker, const char *cluster,
	const struct mk_encryption_rotate_options *options, char **ret_key,
	struct mk_error *err) MK_CHECKED;

#endif

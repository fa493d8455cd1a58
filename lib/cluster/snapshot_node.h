/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of `snapshot` share about nodes. Private to lib/cluster. */
#ifndef MK_CLUSTER_SNAPSHOT_NODE_H
#define MK_CLUSTER_SNAPSHOT_NODE_H

#include "lib/cluster/bringup.h"
#include "lib/cluster/snapshot.h"
#include "lib/cluster/snapshot_archive.h"

/* Folders of a control plane, for root alone. */
#define MK_SNAPSHOT_NODE_ROOT "/var/lib/mkcluster"
#define MK_SNAPSHOT_NODE_FOLDER MK_SNAPSHOT_NODE_ROOT "/snapshots" /* the timer's */
#define MK_SNAPSHOT_RESTORE_FOLDER MK_SNAPSHOT_NODE_ROOT "/restore"
#define MK_SNAPSHOT_RESTORE_SCRIPT "/usr/local/lib/mkcluster/snapshot-restore"

/** MK_EREMOTE with what a script in the node has said last, before it failed. */
int mk_snapshot_fail_script(const char *output, struct mk_error *err);

/** Bytes in memory as what is read. */
struct mk_snapshot_bytes {
	const char *data;
	size_t left;
};

/** Read them: never fails. `payload` is a struct mk_snapshot_bytes. */
ssize_t mk_snapshot_bytes_read(
	void *payload, void *data, size_t cap, struct mk_error *err) MK_CHECKED;

/** One restore, from the archive to the cluster. */
struct mk_restore {
	const struct mk_snapshot_restore_options *options;
	struct mk_docker *docker;
	struct mk_snapshot_fd file;
	struct mk_snapshot snapshot;
	int64_t bump; /* how far etcd's revisions go on from those of the snapshot */
	struct mk_snapshot_restored *result;
};

/** How a control plane gets the snapshot. */
struct mk_restore_feed {
	const struct mk_node_plan *node;
	bool running;     /* it has a state of its own, which is replaced later */
	bool images;      /* it has the registry, and gets what is in the archive */
	const char *keep; /* names of nodes that stay, a line each; NULL: none of this node's
			   * business */
};

/** Put snapshot, script and what else belongs to it into the node. */
int mk_restore_send(struct mk_restore *restore, const struct mk_bringup *b,
	const struct mk_restore_feed *feed, struct mk_error *err) MK_CHECKED;

/** Run a shell command in each control plane and another (NULL: none) in each worker, all
 * side by side. MK_EREMOTE names the first node that refused, with its last words. */
int mk_restore_run(struct mk_docker *docker, const struct mk_plan *plan, const char *control_plane,
	const char *worker, int64_t timeout_ms, struct mk_error *err) MK_CHECKED;

/** Remove from the control planes, whose etcd runs with the new data, what was for the
 * restore alone. What stays is no failure. */
void mk_restore_tidy(struct mk_docker *docker, const struct mk_plan *plan);

/** Make a new cluster of the snapshot. */
int mk_restore_new(
	struct mk_restore *restore, struct mk_cluster_spec *spec, struct mk_error *err) MK_CHECKED;

/** Replace the state of the cluster `name`. */
int mk_restore_replace(
	struct mk_restore *restore, const char *name, struct mk_error *err) MK_CHECKED;

/** Wait until new pods of DNS and, where it is, of OpenFaaS are Ready, and the gateway
 * answers. Deployments themselves still say what was true of the old pods. */
int mk_restore_wait_pods(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;

/** Write down in the result which volumes have lost their data: those of nodes that are not
 * there, or, of a `fresh` cluster, of any. */
int mk_restore_find_volumes(struct mk_restore *restore, struct mk_bringup *b, bool fresh,
	struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster's state as one file, and back: etcd, the CAs and keys, the config, and what
 * is in its registry. What lies in volumes is not in it.
 */
#ifndef MK_CLUSTER_SNAPSHOT_H
#define MK_CLUSTER_SNAPSHOT_H

#include "lib/cluster/create.h"

#define MK_SNAPSHOT_SUFFIX ".mkcluster"

struct mk_snapshot_save_options {
	const char *path;    /* a file, or a folder for one; NULL: the present folder */
	const char *in_node; /* one that the node's timer has made, by its name; or NULL */
	bool images;         /* with what is in the registry */
	int64_t timeout_ms;
	struct mk_create_report report;
};

/** What was written. Release with mk_snapshot_saved_done. */
struct mk_snapshot_saved {
	char *path;
	uint64_t size;
	json_t *manifest;
};

void mk_snapshot_saved_done(struct mk_snapshot_saved *saved);
#define mk_autosaved MK_CLEANUP(mk_snapshot_saved_done) struct mk_snapshot_saved

/**
 * Write a snapshot of the cluster, taken in its first control plane that can, to a new
 * file for its owner alone. A failure or an interrupt leaves no file. MK_ENOTFOUND when
 * there is no such cluster or snapshot in the node; MK_EEXISTS when the file is there.
 */
int mk_cluster_snapshot_save(struct mk_docker *docker, const char *name,
	const struct mk_snapshot_save_options *options, struct mk_snapshot_saved *ret,
	struct mk_error *err) MK_CHECKED;

/**
 * The snapshots in a file or folder: appended to the array `list` as objects {name, path,
 * cluster, created, kubernetes, size, revision, objects, images, ok, problem}. All bytes
 * of each are read for its digest. With `cluster`, only its own. MK_ENOTFOUND.
 */
int mk_snapshot_list_files(
	const char *path, const char *cluster, json_t *list, struct mk_error *err) MK_CHECKED;

/** The same for what the timers have made in the first control planes that run: of all
 * clusters, or of `cluster`. Their objects have `node` instead of `path`. */
int mk_snapshot_list_nodes(struct mk_docker *docker, const char *cluster, json_t *list,
	struct mk_error *err) MK_CHECKED;

struct mk_snapshot_restore_options {
	const char *path;
	const char *name;  /* NULL: that of the snapshot */
	const char *image; /* NULL: that of the snapshot, or the default if the engine lacks it */
	int64_t control_planes, workers; /* -1: as the snapshot's config says */
	bool replace;                    /* the state of a cluster that exists */
	struct mk_create_options create; /* `resume` has no meaning */
};

/** What a restore has to say. Release with mk_snapshot_restored_done. */
struct mk_snapshot_restored {
	char *name;
	bool replaced;
	struct mk_create_result created; /* of a new cluster */
	json_t *manifest;
	struct mk_strlist lost_images;  /* that were in the registry, and not in the archive */
	struct mk_strlist lost_pods;    /* that no controller makes again */
	struct mk_strlist lost_volumes; /* whose data is not there: a line each */
};

void mk_snapshot_restored_done(struct mk_snapshot_restored *restored);
#define mk_autorestored MK_CLEANUP(mk_snapshot_restored_done) struct mk_snapshot_restored

/**
 * Make a new cluster of a snapshot; or, with `replace` and when one of the name exists,
 * replace the state of that one. The archive is read to its end before anything is made or
 * changed: MK_EINVALID. A failure removes what was made, or puts the cluster's own state
 * back, if its API has not answered from the new one. Else as mk_cluster_create.
 */
int mk_cluster_snapshot_restore(struct mk_docker *docker,
	const struct mk_snapshot_restore_options *options, struct mk_snapshot_restored *ret,
	struct mk_error *err) MK_CHECKED;

#endif

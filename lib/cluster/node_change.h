/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of nodes that exist, replaced, and the programs that read them brought to do so.
 *
 * The files of one node arrive as one archive in a folder of their own that only root
 * can read; then one script, run in the node by the engine, moves each to its place by
 * renaming and goes on with what the change asks for. A mkcluster that is killed, or
 * an engine that refuses, leaves a node as it was or as it is to be. In a node that
 * does not run the files are put in their places, and its start does the rest.
 *
 * Private to lib/cluster.
 */
#ifndef MK_CLUSTER_NODE_CHANGE_H
#define MK_CLUSTER_NODE_CHANGE_H

#include "lib/archive/tar_writer.h"
#include "lib/cluster/bringup.h"

/** What becomes different in one node. */
struct mk_node_change {
	const struct mk_node_plan *node; /* borrowed; it has a container */
	const char *stage;               /* borrowed: the changes' own folder */
	struct mk_tar_writer *files;
	size_t file_count;
	struct mk_buf script; /* lines for `sh -e`, once the files are in place */
};

struct mk_node_changes {
	struct mk_node_change *items;
	size_t count, room;
	char *stage;
};

/** Room for a change of every node of the plan, which has to outlive it. */
struct mk_node_changes mk_node_changes_init(const struct mk_plan *plan);

/** Wipe the files and free. */
void mk_node_changes_done(struct mk_node_changes *changes);
#define mk_autochanges MK_CLEANUP(mk_node_changes_done) struct mk_node_changes

/** Begin the change of one more node. Borrowed, valid until the changes are done. */
struct mk_node_change *mk_node_changes_add(
	struct mk_node_changes *changes, const struct mk_node_plan *node);

/** Add a file of root's at an absolute path; the bytes are copied, and wiped at the end. */
void mk_node_change_file(
	struct mk_node_change *change, const char *path, mode_t mode, const void *data, size_t len);

/** Add a line to what is done once the files are in place: one command, or several. */
void mk_node_change_do(struct mk_node_change *change, const char *line);

/**
 * Send the files, all nodes side by side. Nothing has changed yet in nodes that run.
 * A refusal is the error and names the node; MK_EREMOTE also for a container that has
 * gone.
 */
int mk_node_changes_send(
	struct mk_docker *docker, struct mk_node_changes *changes, struct mk_error *err) MK_CHECKED;

/**
 * Run the scripts in the nodes that run, all side by side, each for at most
 * `timeout_ms`. MK_EREMOTE names the first node whose script failed, with its last
 * words. What has begun in a node goes on to its end when we are interrupted.
 */
int mk_node_changes_run(struct mk_docker *docker, const struct mk_node_changes *changes,
	int64_t timeout_ms, struct mk_error *err) MK_CHECKED;

/**
 * The same for the control planes' changes alone, one node after another: the next
 * only when etcd and the API server of the one before are ready again, and a load
 * balancer has noticed. So where there are several, the API answers all along.
 */
int mk_control_planes_run(struct mk_docker *docker, const struct mk_node_changes *changes,
	int64_t timeout_ms, struct mk_error *err) MK_CHECKED;

/** The rest of them: workers and load balancer, side by side. */
int mk_other_nodes_run(struct mk_docker *docker, const struct mk_node_changes *changes,
	int64_t timeout_ms, struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a node that hold no secret, as a list: to pack them, and to find
 * out what becomes different for a node when others come or go.
 */
#ifndef MK_CLUSTER_FILE_LIST_H
#define MK_CLUSTER_FILE_LIST_H

#include "lib/archive/tar_writer.h"
#include "lib/cluster/bringup.h"

#include <sys/types.h>

struct mk_node_file {
	char *path;  /* absolute */
	mode_t mode; /* permissions, or S_IFLNK */
	char *text;  /* what is in it; of a link, where it leads */
};

struct mk_node_files {
	struct mk_node_file *items;
	size_t count;
};

void mk_node_files_done(struct mk_node_files *files);
#define mk_autonodefiles MK_CLEANUP(mk_node_files_done) struct mk_node_files

/** Add a file; path and text are copied. */
void mk_node_files_add(
	struct mk_node_files *files, const char *path, mode_t mode, const char *text);

/** The file at `path`, or NULL. Borrowed. */
const struct mk_node_file *mk_node_files_find(const struct mk_node_files *files, const char *path);

/** Put all of them into an archive, owned by root. */
void mk_node_files_pack(const struct mk_node_files *files, struct mk_tar_writer *tar);

/** Every file of this node of the plan but those with keys: added to `ret`. */
int mk_node_files_make(const struct mk_bringup *b, const struct mk_node_plan *node,
	struct mk_node_files *ret, struct mk_error *err) MK_CHECKED;

#endif

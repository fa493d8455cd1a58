/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/git: walking a tree of files, whatever holds it. Links are
 * followed here, by name, so that a folder on disk and a commit behave alike and
 * neither ever opens a link itself.
 */
#ifndef MK_GIT_WALK_H
#define MK_GIT_WALK_H

#include "lib/git/source.h"

enum mk_tree_kind {
	MK_TREE_FILE,
	MK_TREE_FOLDER,
	MK_TREE_LINK,
	MK_TREE_SUBMODULE,
	MK_TREE_OTHER, /* a socket, a device */
};

/**
 * What holds the files. A path here is "a/b/c" or "" for the top, and none of
 * the folders in it is a link. Each returns 0 or -code.
 */
struct mk_tree {
	void *data;
	/* MK_ENOTFOUND when there is nothing of that name. */
	int (*kind)(void *data, const char *path, enum mk_tree_kind *ret, struct mk_error *err);
	/* Add the names in a folder, at most `max`: MK_EINVALID when there are more. */
	int (*list)(void *data, const char *path, size_t max, struct mk_strlist *ret,
		struct mk_error *err);
	/* Append a file's bytes, or where a link leads: MK_EINVALID when `ret` gets full. */
	int (*read)(void *data, const char *path, struct mk_buf *ret, struct mk_error *err);
	void (*free)(void *data);
};

/** Open a folder of this machine. */
int mk_tree_open_folder(const char *path, struct mk_tree *ret, struct mk_error *err) MK_CHECKED;

/** Whether there is something at `path`, links followed: MK_ENOTFOUND, MK_EINVALID. */
int mk_walk_find(const struct mk_tree *tree, const char *path, struct mk_error *err) MK_CHECKED;

/** As mk_source_walk, from `path`, with the options' limits, none of them zero. */
int mk_walk(const struct mk_tree *tree, const char *path, const struct mk_source_query *query,
	const struct mk_source_options *limits, mk_source_visitor visitor, void *payload,
	struct mk_error *err) MK_CHECKED;

#endif

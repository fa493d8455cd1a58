/* SPDX-License-Identifier: Apache-2.0 */
/* What building a node image does with files of this host beyond lib/base/fs.h. */
#ifndef MK_NODEIMAGE_FILES_H
#define MK_NODEIMAGE_FILES_H

#include "lib/archive/tar_writer.h"

/** Write a file unless it holds these bytes already. Parents are made. */
int mk_write_if_changed(
	const char *path, const void *data, size_t len, struct mk_error *err) MK_CHECKED;

/** Copy a folder of plain files and folders; modes become 0644 and 0755. */
int mk_copy_tree(const char *from, const char *to, struct mk_error *err) MK_CHECKED;

/** Copy one file of any size to `to`, replacing it as a whole. MK_EINTR. */
int mk_copy_file(const char *from, const char *to, mode_t mode, struct mk_error *err) MK_CHECKED;

/** Add a folder of this host and what is below it, owned by root. */
int mk_tar_add_tree(struct mk_tar_writer *writer, const char *path, const char *from,
	struct mk_error *err) MK_CHECKED;

/** Drain the writer into the new file `path`, replaced as a whole. MK_EINTR. */
int mk_tar_write_file(
	struct mk_tar_writer *writer, const char *path, struct mk_error *err) MK_CHECKED;

#endif

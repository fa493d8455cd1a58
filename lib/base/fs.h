/* SPDX-License-Identifier: Apache-2.0 */
/* Files: bounded reads, atomic writes, directories. */
#ifndef MK_BASE_FS_H
#define MK_BASE_FS_H

#include "lib/base/buf.h"

#include <sys/types.h>

/** Append the file's contents to `ret`; MK_ENOTFOUND when there is no such
 * file, MK_EINVALID when it is larger than the buffer may hold. "-" is stdin. */
int mk_fs_read(const char *path, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/**
 * Replace `path` as a whole or not at all: temporary file beside it, fsync,
 * rename, fsync of the directory. `mode` is for a new file; an existing file
 * keeps its own mode and owner. A symbolic link is followed, so that the file
 * it names is replaced and the link stays.
 */
int mk_fs_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
	struct mk_error *err) MK_CHECKED;

/** Write all bytes to a descriptor; `path` names it in the error. MK_ESYS. */
int mk_fs_write_all(
	int fd, const char *path, const void *bytes, size_t len, struct mk_error *err) MK_CHECKED;

/** Make a directory and its parents (`mode` for new ones). */
int mk_fs_mkdir_all(const char *path, mode_t mode, struct mk_error *err) MK_CHECKED;

/** Remove a file or a whole tree, never following links. Absent is fine. */
int mk_fs_remove_all(const char *path, struct mk_error *err) MK_CHECKED;

/** `path` as it is seen from `folder`, an absolute path: one slash between parts, no
 * "." and "..", none at the end. Links are not looked at. Caller frees. */
char *mk_fs_absolute(const char *folder, const char *path);

bool mk_fs_exists(const char *path);

/** $XDG_CACHE_HOME/mkcluster, or ~/.cache/mkcluster. MK_EHOST when neither
 * variable says where. Caller frees. */
int mk_fs_cache_dir(char **ret, struct mk_error *err) MK_CHECKED;

#endif

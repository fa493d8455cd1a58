/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/archive: the names of members. One form for both directions:
 * relative, no empty, "." or ".." components, no trailing slash.
 */
#ifndef MK_ARCHIVE_PATH_H
#define MK_ARCHIVE_PATH_H

#include "lib/base/error.h"

#define MK_TAR_MAX_NAME 4096

/**
 * Bring a member's name into its one form; the archive's root is ".".
 * MK_EINVALID for "..", control characters and names that are too long, and for
 * absolute names unless `absolute` allows them. Caller frees `ret`.
 */
int mk_tar_path_clean(const char *name, bool absolute, char **ret, struct mk_error *err) MK_CHECKED;

/**
 * Where a symbolic link of member `name` leads, as a member's name. MK_EINVALID
 * when it is absolute or leaves the archive. Caller frees `ret`.
 */
int mk_tar_path_follow(
	const char *name, const char *target, char **ret, struct mk_error *err) MK_CHECKED;

#endif

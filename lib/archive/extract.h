/* SPDX-License-Identifier: Apache-2.0 */
/* Taking chosen files out of a release archive, etcd-v3.6.8-linux-amd64.tar.gz. */
#ifndef MK_ARCHIVE_EXTRACT_H
#define MK_ARCHIVE_EXTRACT_H

#include "lib/base/error.h"

#include <stdint.h>
#include <sys/types.h>

#define MK_EXTRACT_MAX_FILE ((uint64_t)1 << 30) /* one file of a release archive */

struct mk_archive_member {
	const char *name; /* in the archive: "etcd-v3.6.8-linux-amd64/etcd" */
	const char *path; /* where to put it; its directory must exist */
	mode_t mode;      /* of the new file, whatever the archive says */
};

/**
 * Write these members of the tar archive at `archive` (plain, gzip, xz, zstd)
 * to their places, each by temporary file and rename. Reads only as far as the
 * last of them. MK_ENOTFOUND: no such archive; MK_EINVALID: malformed, or it
 * lacks a member, which is named; MK_EINTR. Files written before a failure stay.
 */
int mk_archive_extract_files(const char *archive, const struct mk_archive_member *members,
	size_t count, struct mk_error *err) MK_CHECKED;

/** The same for a single member. */
int mk_archive_extract_file(const char *archive, const char *name, const char *path, mode_t mode,
	struct mk_error *err) MK_CHECKED;

#endif

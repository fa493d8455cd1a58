/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a tar archive in one pass, plain or compressed with gzip, xz or zstd.
 * The archive is a stranger's: names that are absolute or hold "..", members
 * larger or more numerous than the caller allows, devices and pipes end the
 * reading with an error that names the member. Nothing is written anywhere.
 */
#ifndef MK_ARCHIVE_TAR_READER_H
#define MK_ARCHIVE_TAR_READER_H

#include "lib/base/error.h"

#include <stdint.h>
#include <sys/types.h>

/**
 * Supply up to `cap` bytes of the archive. Returns the count, 0 at the end, or
 * -code after filling `err`. The same signature as lib/http's mk_http_reader.
 */
typedef ssize_t (*mk_archive_reader)(void *payload, void *data, size_t cap, struct mk_error *err);

enum mk_tar_type {
	MK_TAR_FILE,
	MK_TAR_DIR,
	MK_TAR_SYMLINK,
	MK_TAR_HARDLINK,
	MK_TAR_SPECIAL, /* a device, pipe or socket */
};

struct mk_tar_entry {
	const char *name; /* relative, without "." and ".."; the root itself is "." */
	const char *link; /* of a link: the target as it is stored, else NULL */
	enum mk_tar_type type;
	uint64_t size; /* of a file */
	mode_t mode;   /* permission bits */
};

struct mk_tar_reader_options {
	const char *what;    /* for errors: "archive.tar" */
	uint64_t max_member; /* bytes of one file; 0 is no cap */
	uint64_t max_total;  /* bytes of all files; 0 is no cap */
	size_t max_count;    /* members of any type; 0 is no cap */
	bool allow_special;
};

struct mk_tar_reader;

/**
 * Start reading. The first bytes are read here: MK_EINVALID when they are no
 * tar archive. Blocks as long as `read` does.
 */
int mk_tar_reader_open(mk_archive_reader read, void *payload,
	const struct mk_tar_reader_options *options, struct mk_tar_reader **ret,
	struct mk_error *err) MK_CHECKED;

/** As mk_tar_reader_open, from a descriptor, which stays the caller's. MK_EINTR
 * when the user interrupts. */
int mk_tar_reader_open_fd(int fd, const struct mk_tar_reader_options *options,
	struct mk_tar_reader **ret, struct mk_error *err) MK_CHECKED;

void mk_tar_reader_free(struct mk_tar_reader *reader);
MK_DEFINE_CLEANUP(struct mk_tar_reader *, mk_tar_reader_free);

/**
 * Go to the next member, skipping what is left of this one. 1 with `ret` filled
 * (its strings live until the next call), 0 at the end, -code: MK_EINVALID for
 * what is refused, malformed or cut short, or the source's own error.
 */
int mk_tar_reader_next(
	struct mk_tar_reader *reader, struct mk_tar_entry *ret, struct mk_error *err) MK_CHECKED;

/**
 * Read up to `cap` bytes of the member's contents: the count, 0 at their end,
 * -code as above. `payload` is the reader, so this is a request body's reader
 * too. Exactly the declared size comes out, or an error.
 */
ssize_t mk_tar_reader_data(void *payload, void *data, size_t cap, struct mk_error *err) MK_CHECKED;

/**
 * The member a link leads to. MK_EINVALID when the target is absolute or
 * outside the archive. Caller frees `ret`.
 */
int mk_tar_link_target(
	const struct mk_tar_entry *entry, char **ret, struct mk_error *err) MK_CHECKED;

#endif

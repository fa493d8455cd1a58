/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building a tar archive (pax restricted) from a list of entries: what goes
 * into a node, or an image's build context. The same list gives the same bytes
 * always: one mtime, numeric owners, the order of adding. Two ways out: whole
 * into a buffer, or pulled piece by piece, so that a file of 700 MB reaches the
 * engine without a copy on disk or in memory.
 *
 * Adding cannot fail: the first entry that is wrong (a name with "..", a name
 * twice) is remembered, and both ways out return its error. Add as often as you
 * like, check once.
 */
#ifndef MK_ARCHIVE_TAR_WRITER_H
#define MK_ARCHIVE_TAR_WRITER_H

#include "lib/base/buf.h"

#include <stdint.h>
#include <sys/types.h>

struct mk_tar_writer;

struct mk_tar_writer_options {
	int64_t mtime;   /* of every entry, seconds since 1970 */
	bool no_parents; /* leave out parent directories that were not added: unpacking
			  * an entry for a directory that exists sets its mode and owner */
};

/** Start an empty list. `options` may be NULL: mtime 0, parents added. */
struct mk_tar_writer *mk_tar_writer_new(const struct mk_tar_writer_options *options)
	__attribute__((returns_nonnull));

/** Free the list, and wipe the files' contents. */
void mk_tar_writer_free(struct mk_tar_writer *writer);
MK_DEFINE_CLEANUP(struct mk_tar_writer *, mk_tar_writer_free);

/**
 * Add a directory. Paths everywhere are inside the archive; a leading slash is
 * dropped. Missing parents come in front with mode 0755, owner 0:0; adding such
 * a parent later sets its mode and owner.
 */
void mk_tar_add_dir(
	struct mk_tar_writer *writer, const char *path, mode_t mode, uid_t uid, gid_t gid);

/** Add a file with these bytes, which are copied. */
void mk_tar_add_file(struct mk_tar_writer *writer, const char *path, mode_t mode, uid_t uid,
	gid_t gid, const void *data, size_t len);

/** Add a file from a string: mk_tar_add_file for root's, mode as given. */
void mk_tar_add_text(struct mk_tar_writer *writer, const char *path, mode_t mode, const char *text);

/** Add a symbolic link; `target` is stored as it is. */
void mk_tar_add_symlink(
	struct mk_tar_writer *writer, const char *path, const char *target, uid_t uid, gid_t gid);

/** Add the file `source` of this host, opened and read only when its turn comes. */
void mk_tar_add_from_disk(struct mk_tar_writer *writer, const char *path, mode_t mode, uid_t uid,
	gid_t gid, const char *source);

/** Number of entries, added parents included. */
size_t mk_tar_writer_count(const struct mk_tar_writer *writer);

/**
 * Append the whole archive to `ret`; a buffer with secrets is an mk_autowipebuf.
 * MK_EINVALID for a wrong entry or an archive larger than the buffer may be,
 * MK_ENOTFOUND or MK_ESYS for a source file; the message names the entry. After
 * a failure `ret` holds a part and is of no use.
 */
int mk_tar_writer_write(
	struct mk_tar_writer *writer, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/**
 * Give the next bytes of the archive, at most `cap`: the count, 0 at the end,
 * -code as above. `payload` is the writer: an mk_http_reader for a request body
 * (reader_size -1). To send it again, rewind first.
 */
ssize_t mk_tar_writer_read(void *payload, void *data, size_t cap, struct mk_error *err) MK_CHECKED;

/** Forget a read archive, whole or half: the next read begins at its first byte. */
void mk_tar_writer_rewind(struct mk_tar_writer *writer);

#endif

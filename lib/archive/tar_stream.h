/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar archive (pax restricted) written member by member as its contents come, for
 * what is too large for a list of entries (tar_writer.h). Each member's size has to be
 * known when it begins. All are files of root's.
 */
#ifndef MK_ARCHIVE_TAR_STREAM_H
#define MK_ARCHIVE_TAR_STREAM_H

#include "lib/base/error.h"

#include <stdint.h>
#include <sys/types.h>

/** Take the next bytes of the archive: 0, or -code after filling `err`. */
typedef int (*mk_tar_sink)(void *payload, const void *data, size_t len, struct mk_error *err);

struct mk_tar_stream;

/** Start an archive, compressed with Zstandard at its fastest if asked. MK_EFAIL when
 * libarchive cannot. */
int mk_tar_stream_open(bool compress, mk_tar_sink sink, void *payload, struct mk_tar_stream **ret,
	struct mk_error *err) MK_CHECKED;

/** Free; what was not closed is left cut short. */
void mk_tar_stream_free(struct mk_tar_stream *stream);
MK_DEFINE_CLEANUP(struct mk_tar_stream *, mk_tar_stream_free);

/** Begin a file of `size` bytes. `name` is stored as it is: the caller's own, or one that
 * mk_tar_reader gave. MK_EFAIL when the file before has had too few bytes. */
int mk_tar_stream_file(struct mk_tar_stream *stream, const char *name, mode_t mode, int64_t mtime,
	uint64_t size, struct mk_error *err) MK_CHECKED;

/** Add a folder. */
int mk_tar_stream_dir(struct mk_tar_stream *stream, const char *name, mode_t mode,
	struct mk_error *err) MK_CHECKED;

/** Add bytes to the present file; MK_EFAIL when they are more than it said. */
int mk_tar_stream_data(struct mk_tar_stream *stream, const void *data, size_t len,
	struct mk_error *err) MK_CHECKED;

/** End the archive: all bytes have gone to the sink. */
int mk_tar_stream_close(struct mk_tar_stream *stream, struct mk_error *err) MK_CHECKED;

#endif

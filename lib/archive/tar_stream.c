/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/archive/tar_stream.h"

#include <archive.h>
#include <archive_entry.h>

struct mk_tar_stream {
	struct archive *archive;
	mk_tar_sink sink;
	void *payload;
	struct mk_error sink_error;
	uint64_t left; /* of the present file */
	bool discard;  /* what libarchive writes now is of no use */
};

/* Told that its client failed, libarchive leaks what it holds of it: the sink's failure is
 * remembered, and found after the call. */
static ssize_t on_write(struct archive *archive, void *payload, const void *data, size_t len)
{
	struct mk_tar_stream *stream = payload;

	(void)archive;
	if (!stream->discard && stream->sink_error.code == MK_OK)
		(void)!stream->sink(stream->payload, data, len, &stream->sink_error);
	return (ssize_t)len;
}

static int fail_archive(struct mk_tar_stream *stream, struct mk_error *err)
{
	const char *words = archive_error_string(stream->archive);

	if (stream->sink_error.code == MK_OK)
		return mk_fail(
			err, MK_EFAIL, "write an archive: %s", words ? words : "libarchive failed");
	return mk_fail(err, stream->sink_error.code, "%s", stream->sink_error.message);
}

/* Of a call that went well by its answer. */
static int check(struct mk_tar_stream *stream, bool good, struct mk_error *err)
{
	return good && stream->sink_error.code == MK_OK ? 0 : fail_archive(stream, err);
}

/* Unblocked: every byte comes to on_write as soon as it can. */
static bool set_up(struct mk_tar_stream *stream, bool compress)
{
	struct archive *archive = stream->archive;

	if (compress &&
		(archive_write_add_filter_zstd(archive) != ARCHIVE_OK ||
			archive_write_set_filter_option(
				archive, "zstd", "compression-level", "1") != ARCHIVE_OK))
		return false;
	return archive_write_set_format_pax_restricted(archive) == ARCHIVE_OK &&
		archive_write_set_bytes_per_block(archive, 0) == ARCHIVE_OK &&
		archive_write_open(archive, stream, NULL, on_write, NULL) == ARCHIVE_OK;
}

int mk_tar_stream_open(bool compress, mk_tar_sink sink, void *payload, struct mk_tar_stream **ret,
	struct mk_error *err)
{
	struct mk_tar_stream *stream = mk_xcalloc(1, sizeof(*stream));
	int r = 0;

	stream->sink = sink;
	stream->payload = payload;
	stream->archive = archive_write_new();
	if (!stream->archive)
		r = mk_fail(err, MK_EFAIL, "libarchive: no writer");
	else if (!set_up(stream, compress))
		r = fail_archive(stream, err);
	if (r == 0)
		*ret = stream;
	else
		mk_tar_stream_free(stream);
	return r;
}

void mk_tar_stream_free(struct mk_tar_stream *stream)
{
	if (!stream)
		return;
	stream->discard = true;
	if (stream->archive)
		(void)archive_write_free(stream->archive);
	mk_error_done(&stream->sink_error);
	free(stream);
}

static int add_entry(struct mk_tar_stream *stream, const char *name, unsigned type, mode_t mode,
	int64_t mtime, int64_t size, struct mk_error *err)
{
	struct archive_entry *entry;
	int r;

	if (stream->left > 0)
		return mk_fail(err, MK_EFAIL, "before '%s' %llu bytes are missing", name,
			(unsigned long long)stream->left);
	entry = archive_entry_new();
	if (!entry)
		return mk_fail(err, MK_EFAIL, "libarchive: no entry");
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, mode);
	archive_entry_set_mtime(entry, mtime, 0);
	archive_entry_set_size(entry, size);
	r = archive_write_header(stream->archive, entry);
	archive_entry_free(entry);
	/* A warning is a name outside the locale's charset: stored as it is. */
	return check(stream, r >= ARCHIVE_WARN, err);
}

int mk_tar_stream_file(struct mk_tar_stream *stream, const char *name, mode_t mode, int64_t mtime,
	uint64_t size, struct mk_error *err)
{
	int r;

	if (size > INT64_MAX)
		return mk_fail(err, MK_EINVALID, "'%s' is too large for an archive", name);
	r = add_entry(stream, name, AE_IFREG, mode, mtime, (int64_t)size, err);
	if (r == 0)
		stream->left = size;
	return r;
}

int mk_tar_stream_dir(
	struct mk_tar_stream *stream, const char *name, mode_t mode, struct mk_error *err)
{
	return add_entry(stream, name, AE_IFDIR, mode, 0, 0, err);
}

int mk_tar_stream_data(
	struct mk_tar_stream *stream, const void *data, size_t len, struct mk_error *err)
{
	if (len > stream->left)
		return mk_fail(err, MK_EFAIL, "write an archive: more bytes than were announced");
	stream->left -= len;
	return check(stream,
		len == 0 || archive_write_data(stream->archive, data, len) == (la_ssize_t)len, err);
}

int mk_tar_stream_close(struct mk_tar_stream *stream, struct mk_error *err)
{
	if (stream->left > 0)
		return mk_fail(err, MK_EFAIL, "the archive's last file lacks %llu bytes",
			(unsigned long long)stream->left);
	return check(stream, archive_write_close(stream->archive) == ARCHIVE_OK, err);
}

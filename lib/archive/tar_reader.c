/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libarchive, fed by a callback and held to our refusals. It is given the tar
 * format and three filters only: every further format would be more code
 * between a stranger's bytes and the user's machine.
 */
#include "lib/archive/tar_reader.h"

#include "lib/archive/path.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <unistd.h>

#define BLOCK ((size_t)256 * 1024)

struct mk_tar_reader {
	mk_archive_reader read;
	void *payload;
	int fd;
	char *what;
	struct mk_tar_reader_options options;
	struct archive *archive;
	char *block;
	struct mk_error source_error;
	char *name;
	char *link;
	uint64_t left;  /* of this member's contents */
	uint64_t total; /* sizes of the files met */
	size_t count;   /* members met */
};

static ssize_t read_fd(void *payload, void *data, size_t cap, struct mk_error *err)
{
	const struct mk_tar_reader *reader = payload;

	for (;;) {
		ssize_t n;

		if (mk_interrupted())
			return mk_fail_interrupted(err);
		n = read(reader->fd, data, cap);
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return mk_fail_errno(err, "read %s", reader->what);
	}
}

static la_ssize_t on_read(struct archive *archive, void *payload, const void **ret)
{
	struct mk_tar_reader *reader = payload;
	ssize_t n = reader->read(reader->payload, reader->block, BLOCK, &reader->source_error);

	*ret = reader->block;
	if (n >= 0)
		return n;
	archive_set_error(archive, EIO, "the source failed");
	return -1;
}

static int fail_archive(struct mk_tar_reader *reader, struct mk_error *err)
{
	const char *words = archive_error_string(reader->archive);
	const char *at = reader->name ? reader->name : "";

	/* libarchive only knows that its source failed; the source knows why. */
	if (reader->source_error.code != MK_OK) {
		mk_error_move(err, &reader->source_error);
		return -(int)err->code;
	}
	return mk_fail(err, MK_EINVALID, "%s%s%s%s: %s", reader->what, *at ? ": after '" : "", at,
		*at ? "'" : "", words ? words : "malformed archive");
}

static bool set_up(struct mk_tar_reader *reader)
{
	struct archive *archive = reader->archive;

	return archive_read_support_filter_gzip(archive) >= ARCHIVE_WARN &&
		archive_read_support_filter_xz(archive) >= ARCHIVE_WARN &&
		archive_read_support_filter_zstd(archive) >= ARCHIVE_WARN &&
		archive_read_support_format_tar(archive) >= ARCHIVE_WARN &&
		archive_read_open(archive, reader, NULL, on_read, NULL) >= ARCHIVE_WARN;
}

static struct mk_tar_reader *make(const struct mk_tar_reader_options *options)
{
	struct mk_tar_reader *reader = mk_xcalloc(1, sizeof(*reader));

	if (options)
		reader->options = *options;
	reader->what = mk_xstrdup(reader->options.what ? reader->options.what : "archive");
	reader->options.what = NULL;
	reader->block = mk_xmalloc(BLOCK);
	reader->fd = -1;
	return reader;
}

static int open_reader(
	struct mk_tar_reader *reader, struct mk_tar_reader **ret, struct mk_error *err)
{
	int r = 0;

	reader->archive = archive_read_new();
	if (!reader->archive)
		r = mk_fail(err, MK_EFAIL, "libarchive: no reader");
	else if (!set_up(reader))
		r = fail_archive(reader, err);
	if (r < 0) {
		mk_tar_reader_free(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

int mk_tar_reader_open(mk_archive_reader read, void *payload,
	const struct mk_tar_reader_options *options, struct mk_tar_reader **ret,
	struct mk_error *err)
{
	struct mk_tar_reader *reader = make(options);

	reader->read = read;
	reader->payload = payload;
	return open_reader(reader, ret, err);
}

int mk_tar_reader_open_fd(int fd, const struct mk_tar_reader_options *options,
	struct mk_tar_reader **ret, struct mk_error *err)
{
	struct mk_tar_reader *reader = make(options);

	reader->read = read_fd;
	reader->payload = reader;
	reader->fd = fd;
	return open_reader(reader, ret, err);
}

void mk_tar_reader_free(struct mk_tar_reader *reader)
{
	if (!reader)
		return;
	if (reader->archive)
		(void)archive_read_free(reader->archive);
	mk_error_done(&reader->source_error);
	free(reader->block);
	free(reader->what);
	free(reader->name);
	free(reader->link);
	free(reader);
}

static enum mk_tar_type type_of(struct archive_entry *entry)
{
	if (archive_entry_hardlink(entry))
		return MK_TAR_HARDLINK;
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return MK_TAR_FILE;
	case AE_IFDIR:
		return MK_TAR_DIR;
	case AE_IFLNK:
		return MK_TAR_SYMLINK;
	default:
		return MK_TAR_SPECIAL;
	}
}

/* A name outside the locale's charset comes only as UTF-8. */
static const char *name_of(struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);

	return name ? name : archive_entry_pathname_utf8(entry);
}

static const char *link_of(struct archive_entry *entry)
{
	const char *link = archive_entry_hardlink(entry);

	return link ? link : archive_entry_symlink(entry);
}

static int take_name(
	struct mk_tar_reader *reader, struct archive_entry *entry, struct mk_error *err)
{
	const char *name = name_of(entry);
	const char *link = link_of(entry);
	mk_autofree char *clean = NULL;
	int r;

	if (!name)
		return mk_fail(err, MK_EINVALID, "%s: a member has no readable name", reader->what);
	r = mk_tar_path_clean(name, /* absolute= */ false, &clean, err);
	if (r < 0)
		return mk_error_wrap(err, "%s", reader->what);
	free(reader->name);
	reader->name = MK_TAKE(clean);
	free(reader->link);
	reader->link = link ? mk_xstrdup(link) : NULL;
	return 0;
}

static int check_size(struct mk_tar_reader *reader, uint64_t size, struct mk_error *err)
{
	const struct mk_tar_reader_options *options = &reader->options;

	if (options->max_member > 0 && size > options->max_member)
		return mk_fail(err, MK_EINVALID,
			"%s: member '%s' says it has %llu bytes, more than the %llu allowed",
			reader->what, reader->name, (unsigned long long)size,
			(unsigned long long)options->max_member);
	if (options->max_total > 0 && size > options->max_total - reader->total)
		return mk_fail(err, MK_EINVALID,
			"%s: with member '%s' there are more than the %llu bytes allowed",
			reader->what, reader->name, (unsigned long long)options->max_total);
	reader->total += size;
	return 0;
}

static int check_entry(
	struct mk_tar_reader *reader, const struct mk_tar_entry *entry, struct mk_error *err)
{
	const struct mk_tar_reader_options *options = &reader->options;

	reader->count++;
	if (options->max_count > 0 && reader->count > options->max_count)
		return mk_fail(err, MK_EINVALID, "%s: more than the %zu members allowed",
			reader->what, options->max_count);
	if (entry->type == MK_TAR_SPECIAL && !options->allow_special)
		return mk_fail(err, MK_EINVALID, "%s: member '%s' is a device or pipe",
			reader->what, reader->name);
	return check_size(reader, entry->size, err);
}

int mk_tar_reader_next(struct mk_tar_reader *reader, struct mk_tar_entry *ret, struct mk_error *err)
{
	struct archive_entry *header = NULL;
	struct mk_tar_entry entry;
	int64_t size;
	int r = archive_read_next_header(reader->archive, &header);

	if (r == ARCHIVE_EOF)
		return 0;
	if (r < ARCHIVE_WARN)
		return fail_archive(reader, err);
	r = take_name(reader, header, err);
	if (r < 0)
		return r;
	entry.name = reader->name;
	entry.link = reader->link;
	entry.type = type_of(header);
	entry.mode = archive_entry_perm(header);
	size = entry.type == MK_TAR_FILE ? archive_entry_size(header) : 0;
	if (size < 0)
		return mk_fail(err, MK_EINVALID, "%s: member '%s' has a negative size",
			reader->what, reader->name);
	entry.size = (uint64_t)size;
	r = check_entry(reader, &entry, err);
	if (r < 0)
		return r;
	reader->left = entry.size;
	*ret = entry;
	return 1;
}

ssize_t mk_tar_reader_data(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct mk_tar_reader *reader = payload;
	la_ssize_t n;

	if (cap > reader->left)
		cap = (size_t)reader->left;
	if (cap == 0)
		return 0;
	n = archive_read_data(reader->archive, data, cap);
	if (n < 0)
		return fail_archive(reader, err);
	if (n == 0)
		return mk_fail(err, MK_EINVALID, "%s: member '%s' is cut short", reader->what,
			reader->name);
	reader->left -= (uint64_t)n;
	return n;
}

int mk_tar_link_target(const struct mk_tar_entry *entry, char **ret, struct mk_error *err)
{
	if (entry->type == MK_TAR_SYMLINK && entry->link)
		return mk_tar_path_follow(entry->name, entry->link, ret, err);
	if (entry->type == MK_TAR_HARDLINK)
		return mk_tar_path_clean(entry->link, /* absolute= */ false, ret, err);
	return mk_fail(err, MK_EINVALID, "archive member '%s' is not a link", entry->name);
}

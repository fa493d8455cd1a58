/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Only regular files are taken, and only to paths the caller chose: nothing in
 * the archive decides where a byte goes.
 */
#include "lib/archive/extract.h"

#include "lib/archive/tar_reader.h"
#include "lib/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *data, size_t len, const char *path, struct mk_error *err)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mk_fail_errno(err, "write %s", path);
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy_contents(
	struct mk_tar_reader *reader, int fd, const char *path, struct mk_error *err)
{
	const size_t cap = (size_t)64 * 1024;
	mk_autofree char *chunk = mk_xmalloc(cap);
	ssize_t n;

	while ((n = mk_tar_reader_data(reader, chunk, cap, err)) > 0) {
		int r = write_all(fd, chunk, (size_t)n, path, err);

		if (r < 0)
			return r;
	}
	return (int)n;
}

static int fill(
	struct mk_tar_reader *reader, int fd, const char *path, mode_t mode, struct mk_error *err)
{
	int r = copy_contents(reader, fd, path, err);

	if (r < 0)
		return r;
	if (fchmod(fd, mode) < 0)
		return mk_fail_errno(err, "chmod %s", path);
	if (fsync(fd) < 0)
		return mk_fail_errno(err, "sync %s", path);
	return 0;
}

static int put(
	struct mk_tar_reader *reader, const struct mk_archive_member *member, struct mk_error *err)
{
	mk_autofree char *temporary = mk_xasprintf("%s.XXXXXX", member->path);
	mk_autoclose int fd = mkostemp(temporary, O_CLOEXEC);
	int r;

	if (fd < 0)
		return mk_fail_errno(err, "create %s", temporary);
	r = fill(reader, fd, temporary, member->mode, err);
	if (r == 0 && rename(temporary, member->path) < 0)
		r = mk_fail_errno(err, "rename %s to %s", temporary, member->path);
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

static const struct mk_archive_member *wanted(const struct mk_archive_member *members, size_t count,
	const bool *found, const char *name, size_t *ret_index)
{
	for (size_t i = 0; i < count; i++) {
		if (!found[i] && mk_streq(members[i].name, name)) {
			*ret_index = i;
			return &members[i];
		}
	}
	return NULL;
}

static int extract(struct mk_tar_reader *reader, const struct mk_archive_member *members,
	size_t count, bool *found, struct mk_error *err)
{
	size_t left = count;

	while (left > 0) {
		const struct mk_archive_member *member;
		struct mk_tar_entry entry;
		size_t i = 0;
		int r = mk_tar_reader_next(reader, &entry, err);

		if (r <= 0)
			return r;
		member = wanted(members, count, found, entry.name, &i);
		if (!member)
			continue;
		if (entry.type != MK_TAR_FILE)
			return mk_fail(
				err, MK_EINVALID, "member '%s' is not a regular file", entry.name);
		r = put(reader, member, err);
		if (r < 0)
			return r;
		found[i] = true;
		left--;
	}
	return 0;
}

int mk_archive_extract_files(const char *archive, const struct mk_archive_member *members,
	size_t count, struct mk_error *err)
{
	/* Special files are passed over, not refused: none of them is ever made. */
	const struct mk_tar_reader_options options = {
		.what = archive,
		.max_member = MK_EXTRACT_MAX_FILE,
		.allow_special = true,
	};
	mk_autofree bool *found = mk_xcalloc(count + 1, sizeof(bool));
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	mk_autoclose int fd = open(archive, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT)
		return mk_fail(err, MK_ENOTFOUND, "no such file: %s", archive);
	if (fd < 0)
		return mk_fail_errno(err, "open %s", archive);
	r = mk_tar_reader_open_fd(fd, &options, &reader, err);
	if (r == 0)
		r = extract(reader, members, count, found, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		if (!found[i])
			return mk_fail(err, MK_EINVALID, "%s has no member '%s'", archive,
				members[i].name);
	}
	return 0;
}

int mk_archive_extract_file(
	const char *archive, const char *name, const char *path, mode_t mode, struct mk_error *err)
{
	const struct mk_archive_member member = { .name = name, .path = path, .mode = mode };

	return mk_archive_extract_files(archive, &member, 1, err);
}

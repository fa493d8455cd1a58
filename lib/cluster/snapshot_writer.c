/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an archive: a temporary file, on disk before it has its name. */
#include "lib/archive/tar_stream.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/cluster/snapshot_archive.h"
#include "lib/registry/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BLOCK ((size_t)128 * 1024)
#define MAX_SUMS (64 * MK_MIB)

struct mk_snapshot_writer {
	char *path;
	char *folder;
	char *temporary; /* NULL: there is none */
	int fd;
	uint64_t size;
	struct mk_digest *digest; /* of all bytes so far */
	struct mk_tar_stream *tar;
	struct mk_buf sums;
	int64_t mtime;
};

static int on_bytes(void *payload, const void *data, size_t len, struct mk_error *err)
{
	struct mk_snapshot_writer *writer = payload;

	mk_digest_update(writer->digest, data, len);
	writer->size += len;
	return mk_fs_write_all(writer->fd, writer->temporary, data, len, err);
}

void mk_snapshot_writer_free(struct mk_snapshot_writer *writer)
{
	if (!writer)
		return;
	mk_tar_stream_free(writer->tar);
	if (writer->temporary)
		(void)unlink(writer->temporary);
	mk_closep(&writer->fd);
	mk_digest_free(writer->digest);
	mk_buf_done(&writer->sums);
	free(writer->temporary);
	free(writer->folder);
	free(writer->path);
	free(writer);
}

static int fail_exists(const char *path, struct mk_error *err)
{
	(void)mk_fail(err, MK_EEXISTS, "%s exists already", path);
	mk_error_hint(err, "a snapshot replaces no file: give another name, or move it away");
	return -MK_EEXISTS;
}

/* In the folder of its place: a rename has to do. */
static int open_temporary(struct mk_snapshot_writer *writer, struct mk_error *err)
{
	const char *slash = strrchr(writer->path, '/');
	const char *name = slash ? slash + 1 : writer->path;

	writer->folder = slash == writer->path ? mk_xstrdup("/")
		: slash ? mk_xstrndup(writer->path, (size_t)(slash - writer->path))
			: mk_xstrdup(".");
	writer->temporary = mk_xasprintf("%s/.%s.XXXXXX", writer->folder, name);
	writer->fd = mkostemp(writer->temporary, O_CLOEXEC);
	if (writer->fd < 0) {
		free(MK_TAKE(writer->temporary));
		return mk_fail_errno(err, "make a file in %s", writer->folder);
	}
	return 0;
}

int mk_snapshot_writer_open(const char *path, struct mk_snapshot_writer **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_snapshot_writer_freep) struct mk_snapshot_writer *writer = NULL;
	int r;

	if (mk_fs_exists(path))
		return fail_exists(path, err);
	writer = mk_xcalloc(1, sizeof(*writer));
	writer->path = mk_xstrdup(path);
	writer->fd = -1;
	writer->mtime = (int64_t)time(NULL);
	writer->digest = mk_digest_new();
	writer->sums = mk_buf_init(MAX_SUMS);
	r = open_temporary(writer, err);
	if (r == 0)
		r = mk_tar_stream_open(/* compress= */ true, on_bytes, writer, &writer->tar, err);
	if (r == 0)
		*ret = MK_TAKE(writer);
	return r;
}

int mk_snapshot_writer_add(struct mk_snapshot_writer *writer, const char *name, uint64_t size,
	mk_archive_reader read, void *payload, struct mk_error *err)
{
	MK_CLEANUP(mk_digest_freep) struct mk_digest *digest = mk_digest_new();
	mk_autofree char *block = mk_xmalloc(BLOCK);
	mk_autofree char *hex = NULL;
	int r = mk_tar_stream_file(writer->tar, name, 0600, writer->mtime, size, err);
	ssize_t n = 0;

	while (r == 0 && (n = read(payload, block, BLOCK, err)) > 0) {
		mk_digest_update(digest, block, (size_t)n);
		r = mk_tar_stream_data(writer->tar, block, (size_t)n, err);
		if (r == 0 && mk_interrupted())
			r = mk_fail_interrupted(err);
	}
	mk_wipe(block, BLOCK);
	if (n < 0)
		r = (int)n;
	if (r == 0)
		r = mk_digest_hex(digest, &hex, err);
	if (r < 0)
		return r;
	mk_buf_addf(&writer->sums, "%s  %s\n", hex, name);
	return mk_buf_check(&writer->sums, MK_SNAPSHOT_SUMS, err);
}

static int add_end(struct mk_snapshot_writer *writer, struct mk_error *err)
{
	mk_autofree char *hex = NULL;
	mk_autobuf end = mk_buf_init(MK_SNAPSHOT_END_LEN);
	int r = mk_digest_hex(writer->digest, &hex, err);

	if (r < 0)
		return r;
	mk_buf_add(&end, MK_SNAPSHOT_END_HEAD, sizeof(MK_SNAPSHOT_END_HEAD) - 1);
	mk_buf_addf(&end, "%s\n", hex);
	writer->size += end.len;
	return mk_fs_write_all(writer->fd, writer->temporary, end.data, end.len, err);
}

/* A link, unlike a rename, replaces nothing; where there are no links, a rename. */
static int give_name(struct mk_snapshot_writer *writer, struct mk_error *err)
{
	mk_autoclose int folder = -1;

	if (fsync(writer->fd) < 0)
		return mk_fail_errno(err, "write %s", writer->temporary);
	if (link(writer->temporary, writer->path) == 0)
		(void)unlink(writer->temporary);
	else if (errno == EEXIST)
		return fail_exists(writer->path, err);
	else if (rename(writer->temporary, writer->path) < 0)
		return mk_fail_errno(err, "rename to %s", writer->path);
	free(MK_TAKE(writer->temporary));
	folder = open(writer->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || fsync(folder) < 0)
		return mk_fail_errno(err, "write %s", writer->folder);
	return 0;
}

int mk_snapshot_writer_finish(
	struct mk_snapshot_writer *writer, uint64_t *ret_size, struct mk_error *err)
{
	int r = mk_tar_stream_file(
		writer->tar, MK_SNAPSHOT_SUMS, 0600, writer->mtime, writer->sums.len, err);

	if (r == 0)
		r = mk_tar_stream_data(writer->tar, writer->sums.data, writer->sums.len, err);
	if (r == 0)
		r = mk_tar_stream_close(writer->tar, err);
	if (r == 0)
		r = add_end(writer, err);
	if (r == 0)
		r = give_name(writer, err);
	if (r == 0)
		*ret_size = writer->size;
	return r;
}

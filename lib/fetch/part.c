/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partial files. Everything that happens to one on disk happens here; the
 * caller's lock on the cache keeps other processes away.
 */
#include "lib/fetch/part.h"

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/fetch/cache.h"
#include "lib/fetch/checksum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MAX_META 16384

struct mk_part {
	char *path; /* where the file will stand */
	char *folder;
	char *name; /* path + ".part" */
	char *meta;
	char *digest; /* what the bytes must hash to */
	char *source;
	char *validator;
	struct mk_checksum *sum;
	int fd;
	uint64_t size;
	bool resumed;
	bool finished;
};

static void remove_files(const struct mk_part *part)
{
	(void)unlink(part->name);
	(void)unlink(part->meta);
}

void mk_part_free(struct mk_part *part)
{
	if (!part)
		return;
	if (part->fd >= 0 && part->size == 0 && !part->finished)
		remove_files(part);
	mk_closep(&part->fd);
	mk_checksum_free(part->sum);
	free(part->path);
	free(part->folder);
	free(part->name);
	free(part->meta);
	free(part->digest);
	free(part->source);
	free(part->validator);
	free(part);
}

static char *line_value(const struct mk_strlist *lines, const char *key)
{
	for (size_t i = 0; i < lines->count; i++) {
		const char *value = mk_after_prefix(lines->items[i], key);

		if (value)
			return mk_xstrdup(value);
	}
	return NULL;
}

/* Whether the bytes on disk were meant to become the file we want now. */
static bool read_meta(struct mk_part *part)
{
	mk_autobuf text = mk_buf_init(MAX_META);
	mk_autostrlist lines = { .items = NULL };
	mk_autofree char *digest = NULL;
	mk_autoerror ignored = { .code = MK_OK };

	if (mk_fs_read(part->meta, &text, &ignored) < 0)
		return false;
	mk_strlist_split(&lines, text.data, "\n");
	digest = line_value(&lines, "digest ");
	part->source = line_value(&lines, "source ");
	part->validator = line_value(&lines, "validator ");
	return digest && mk_streq(digest, part->digest);
}

static int take_old_bytes(struct mk_part *part, struct mk_error *err)
{
	struct stat st;
	int r;

	if (fstat(part->fd, &st) < 0)
		return mk_fail_errno(err, "open '%s'", part->name);
	if (st.st_size == 0)
		return 0;
	if (!read_meta(part))
		return mk_part_restart(part, err);
	r = mk_checksum_add_file(part->sum, part->fd, part->name, err);
	part->size = (uint64_t)st.st_size;
	part->resumed = true;
	return r;
}

int mk_part_open(const char *path, const char *digest, struct mk_part **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_part_freep) struct mk_part *part = mk_xcalloc(1, sizeof(*part));
	int r;

	part->fd = -1;
	part->path = mk_xstrdup(path);
	part->folder = mk_xstrndup(path, (size_t)(mk_cache_base_name(path) - path));
	part->name = mk_xasprintf("%s.part", path);
	part->meta = mk_xasprintf("%s.part.meta", path);
	part->digest = mk_xstrdup(digest);
	r = mk_fs_mkdir_all(part->folder, 0755, err);
	if (r == 0)
		r = mk_checksum_new(digest, &part->sum, err);
	if (r < 0)
		return r;
	part->fd = open(part->name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (part->fd < 0)
		return mk_fail_errno(err, "open '%s'", part->name);
	r = take_old_bytes(part, err);
	if (r < 0)
		return r;
	*ret = MK_TAKE(part);
	return 0;
}

uint64_t mk_part_size(const struct mk_part *part)
{
	return part->size;
}

bool mk_part_resumed(const struct mk_part *part)
{
	return part->resumed;
}

void mk_part_continue(struct mk_part *part)
{
	part->resumed = part->size > 0;
}

const char *mk_part_validator(const struct mk_part *part, const char *source)
{
	/* Another server's ETag would only make it send the whole file. */
	return part->source && mk_streq(part->source, source) ? part->validator : NULL;
}

int mk_part_note(
	struct mk_part *part, const char *source, const char *validator, struct mk_error *err)
{
	mk_autofree char *text = mk_xasprintf("digest %s\nsource %s\n%s%s%s", part->digest, source,
		validator ? "validator " : "", validator ? validator : "", validator ? "\n" : "");

	free(part->source);
	free(part->validator);
	part->source = mk_xstrdup(source);
	part->validator = validator ? mk_xstrdup(validator) : NULL;
	return mk_fs_write_atomic(part->meta, text, strlen(text), 0644, err);
}

int mk_part_restart(struct mk_part *part, struct mk_error *err)
{
	if (ftruncate(part->fd, 0) < 0)
		return mk_fail_errno(err, "empty '%s'", part->name);
	part->size = 0;
	part->resumed = false;
	return mk_checksum_reset(part->sum, err);
}

static int fail_full(
	const struct mk_part *part, uint64_t need, uint64_t available, struct mk_error *err)
{
	uint64_t missing = need > available ? need - available : 0;
	mk_autofree char *readable = mk_format_bytes(missing);

	(void)mk_fail(err, MK_EHOST, "no space in '%s': %llu bytes (%s) are missing", part->folder,
		(unsigned long long)missing, readable);
	mk_error_hint(err, "make room there and run again: what has come so far is kept");
	return -(int)err->code;
}

static bool free_space(const struct mk_part *part, uint64_t *ret)
{
	struct statvfs vfs;

	if (fstatvfs(part->fd, &vfs) < 0)
		return false;
	*ret = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return true;
}

int mk_part_check_space(const struct mk_part *part, uint64_t need, struct mk_error *err)
{
	uint64_t available;

	if (!free_space(part, &available) || need <= available)
		return 0;
	return fail_full(part, need, available, err);
}

static int fail_write(const struct mk_part *part, size_t len, uint64_t total, struct mk_error *err)
{
	uint64_t need = total > part->size ? total - part->size : len;
	uint64_t available = 0;

	if (errno != ENOSPC && errno != EDQUOT)
		return mk_fail_errno(err, "write '%s'", part->name);
	/* A quota or reserved blocks refuse while the file system claims room. */
	if (!free_space(part, &available) || available >= need)
		available = 0;
	return fail_full(part, need, available, err);
}

int mk_part_write(
	struct mk_part *part, const void *data, size_t len, uint64_t total, struct mk_error *err)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(part->fd, p, len, (off_t)part->size);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_write(part, len, total, err);
		r = mk_checksum_add(part->sum, p, (size_t)n, err);
		if (r < 0)
			return r;
		part->size += (uint64_t)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int check_digest(struct mk_part *part, struct mk_error *err)
{
	mk_autofree char *actual = NULL;
	int r = mk_checksum_end(part->sum, &actual, err);

	if (r < 0 || mk_streq(actual, part->digest))
		return r;
	r = mk_part_restart(part, err);
	if (r < 0)
		return r;
	return mk_fail(
		err, MK_EINVALID, "wrong checksum: expected %s, got %s", part->digest, actual);
}

static int sync_folder(const struct mk_part *part, struct mk_error *err)
{
	mk_autoclose int fd = open(part->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Some file systems refuse fsync on a directory; the rename still holds. */
	if (fd >= 0 && fsync(fd) < 0 && errno != EINVAL)
		return mk_fail_errno(err, "sync '%s'", part->folder);
	return 0;
}

int mk_part_finish(struct mk_part *part, struct mk_error *err)
{
	int r = check_digest(part, err);

	if (r < 0)
		return r;
	if (fsync(part->fd) < 0)
		return mk_fail_errno(err, "sync '%s'", part->name);
	/* Record first: a file without its record would be downloaded once more. */
	r = mk_cache_record(part->fd, part->path, part->digest, err);
	if (r < 0)
		return r;
	if (rename(part->name, part->path) < 0)
		return mk_fail_errno(err, "rename '%s' to '%s'", part->name, part->path);
	part->finished = true;
	(void)unlink(part->meta);
	return sync_folder(part, err);
}

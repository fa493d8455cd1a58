/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nodeimage/files.h"

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 262144
#define MAX_DEPTH 16

static int make_parent(const char *path, struct mk_error *err)
{
	const char *slash = strrchr(path, '/');
	mk_autofree char *dir = slash ? mk_xstrndup(path, (size_t)(slash - path)) : NULL;

	return dir && *dir ? mk_fs_mkdir_all(dir, 0755, err) : 0;
}

int mk_write_if_changed(const char *path, const void *data, size_t len, struct mk_error *err)
{
	mk_autobuf old = mk_buf_init(len + 1);
	mk_autoerror ignored = { .code = MK_OK };
	int r;

	if (mk_fs_read(path, &old, &ignored) == 0 && old.len == len &&
		memcmp(old.data, data, len) == 0)
		return 0;
	r = make_parent(path, err);
	return r < 0 ? r : mk_fs_write_atomic(path, data, len, 0644, err);
}

/* A file that appears under its name only when it is whole. */
struct pending {
	const char *path;
	char *temporary;
	int fd;
};

static void pending_done(struct pending *p)
{
	mk_closep(&p->fd);
	if (p->temporary)
		(void)unlink(p->temporary);
	free(p->temporary);
}

static int pending_open(struct pending *p, const char *path, struct mk_error *err)
{
	int r = make_parent(path, err);

	if (r < 0)
		return r;
	p->path = path;
	p->temporary = mk_xasprintf("%s.XXXXXX", path);
	p->fd = mkostemp(p->temporary, O_CLOEXEC);
	if (p->fd < 0) {
		p->temporary[0] = '\0';
		return mk_fail_errno(err, "write '%s'", path);
	}
	return 0;
}

static int pending_commit(struct pending *p, mode_t mode, struct mk_error *err)
{
	if (fchmod(p->fd, mode) < 0 || rename(p->temporary, p->path) < 0)
		return mk_fail_errno(err, "write '%s'", p->path);
	p->temporary[0] = '\0';
	return 0;
}

static int pending_write(
	const struct pending *p, const char *data, size_t len, struct mk_error *err)
{
	int r = mk_fs_write_all(p->fd, p->path, data, len, err);

	return r == 0 && mk_interrupted() ? mk_fail_interrupted(err) : r;
}

int mk_copy_file(const char *from, const char *to, mode_t mode, struct mk_error *err)
{
	MK_CLEANUP(pending_done) struct pending pending = { .fd = -1 };
	mk_autofree char *chunk = mk_xmalloc(CHUNK);
	mk_autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int r;

	if (in < 0)
		return mk_fail_errno(err, "open '%s'", from);
	r = pending_open(&pending, to, err);
	if (r < 0)
		return r;
	do {
		n = read(in, chunk, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mk_fail_errno(err, "read '%s'", from);
		r = pending_write(&pending, chunk, (size_t)n, err);
		if (r < 0)
			return r;
	} while (n != 0);
	return pending_commit(&pending, mode, err);
}

int mk_tar_write_file(struct mk_tar_writer *writer, const char *path, struct mk_error *err)
{
	MK_CLEANUP(pending_done) struct pending pending = { .fd = -1 };
	mk_autofree char *chunk = mk_xmalloc(CHUNK);
	ssize_t n;
	int r = pending_open(&pending, path, err);

	if (r < 0)
		return r;
	do {
		n = mk_tar_writer_read(writer, chunk, CHUNK, err);
		if (n < 0)
			return (int)n;
		r = pending_write(&pending, chunk, (size_t)n, err);
		if (r < 0)
			return r;
	} while (n > 0);
	return pending_commit(&pending, 0644, err);
}

/* Told of each plain file and folder below a folder, parents first. */
typedef int (*visitor)(
	void *payload, const char *path, const char *name, bool folder, struct mk_error *err);

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk(const char *path, const char *name, unsigned depth, visitor visit, void *payload,
	struct mk_error *err);

static int walk_entry(const char *path, const char *name, const char *entry, unsigned depth,
	visitor visit, void *payload, struct mk_error *err)
{
	mk_autofree char *below = mk_xasprintf("%s/%s", path, entry);
	mk_autofree char *below_name = mk_xasprintf("%s/%s", name, entry);
	struct stat st;

	if (mk_streq(entry, ".") || mk_streq(entry, ".."))
		return 0;
	if (lstat(below, &st) < 0)
		return mk_fail_errno(err, "look at '%s'", below);
	if (S_ISDIR(st.st_mode))
		return walk(below, below_name, depth + 1, visit, payload, err);
	if (!S_ISREG(st.st_mode))
		return mk_fail(err, MK_EINVALID, "'%s' is neither a file nor a folder", below);
	return visit(payload, below, below_name, false, err);
}

static int walk(const char *path, const char *name, unsigned depth, visitor visit, void *payload,
	struct mk_error *err)
{
	struct dirent **entries = NULL;
	int count;
	int r;

	if (depth > MAX_DEPTH)
		return mk_fail(err, MK_EINVALID, "'%s' is nested too deeply", path);
	count = scandir(path, &entries, NULL, by_name);
	if (count < 0)
		return mk_fail_errno(err, "open folder '%s'", path);
	r = visit(payload, path, name, true, err);
	for (int i = 0; i < count; i++) {
		if (r == 0)
			r = walk_entry(path, name, entries[i]->d_name, depth, visit, payload, err);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static int copy_visit(
	void *payload, const char *path, const char *name, bool folder, struct mk_error *err)
{
	mk_autofree char *to = mk_xasprintf("%s%s", (const char *)payload, name);

	return folder ? mk_fs_mkdir_all(to, 0755, err) : mk_copy_file(path, to, 0644, err);
}

int mk_copy_tree(const char *from, const char *to, struct mk_error *err)
{
	mk_autofree char *target = mk_xstrdup(to);

	return walk(from, "", 0, copy_visit, target, err);
}

struct tar_walk {
	struct mk_tar_writer *writer;
	const char *path;
};

static int tar_visit(
	void *payload, const char *path, const char *name, bool folder, struct mk_error *err)
{
	struct tar_walk *t = payload;
	mk_autofree char *to = mk_xasprintf("%s%s", t->path, name);

	(void)err;
	if (folder)
		mk_tar_add_dir(t->writer, to, 0755, 0, 0);
	else
		mk_tar_add_from_disk(t->writer, to, 0644, 0, 0, path);
	return 0;
}

int mk_tar_add_tree(
	struct mk_tar_writer *writer, const char *path, const char *from, struct mk_error *err)
{
	struct tar_walk t = { .writer = writer, .path = path };

	return walk(from, "", 0, tar_visit, &t, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder on disk. Every path is opened part by part from the folder's own
 * descriptor, and no part may be a link, so that nothing outside is reached even
 * when somebody changes the folder meanwhile.
 */
#include "lib/git/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
	int fd;
	char *path;
};

static int fail_at(const struct folder *folder, const char *path, struct mk_error *err)
{
	bool missing = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
	int r = mk_fail_errno(err, "open '%s' in '%s'", path, folder->path);

	return missing ? mk_error_recode(err, MK_ENOTFOUND) : r;
}

/* Open the folder that holds the last part of `path`, which is `*ret_name`. */
static int open_parent(const struct folder *folder, const char *path, int *ret,
	const char **ret_name, struct mk_error *err)
{
	mk_autoclose int fd = fcntl(folder->fd, F_DUPFD_CLOEXEC, 0);
	const char *whole = path;

	while (fd >= 0) {
		size_t n = strcspn(path, "/");
		mk_autofree char *part = mk_xstrndup(path, n);
		mk_autoclose int parent = fd;

		if (!path[n]) {
			*ret = parent;
			*ret_name = path;
			fd = parent = -1;
			return 0;
		}
		fd = openat(parent, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		path += n + 1;
	}
	return fail_at(folder, whole, err);
}

static enum mk_tree_kind kind_of(mode_t mode)
{
	if (S_ISREG(mode))
		return MK_TREE_FILE;
	if (S_ISDIR(mode))
		return MK_TREE_FOLDER;
	return S_ISLNK(mode) ? MK_TREE_LINK : MK_TREE_OTHER;
}

static int folder_kind(void *data, const char *path, enum mk_tree_kind *ret, struct mk_error *err)
{
	const struct folder *folder = data;
	mk_autoclose int parent = -1;
	const char *name;
	struct stat st;
	int r;

	if (!*path) {
		*ret = MK_TREE_FOLDER;
		return 0;
	}
	r = open_parent(folder, path, &parent, &name, err);
	if (r < 0)
		return r;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_at(folder, path, err);
	*ret = kind_of(st.st_mode);
	return 0;
}

static int open_entry(
	const struct folder *folder, const char *path, int flags, int *ret, struct mk_error *err)
{
	mk_autoclose int parent = -1;
	const char *name;
	int r = open_parent(folder, path, &parent, &name, err);

	if (r < 0)
		return r;
	/* Not to wait for the other end, should it be a pipe. */
	*ret = openat(parent, *name ? name : ".",
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags);
	return *ret < 0 ? fail_at(folder, path, err) : 0;
}

static int list_names(DIR *dir, size_t max, struct mk_strlist *ret)
{
	struct dirent *entry;

	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		if (mk_streq(entry->d_name, ".") || mk_streq(entry->d_name, ".."))
			continue;
		if (ret->count == max)
			return -MK_EINVALID;
		mk_strlist_add(ret, entry->d_name);
	}
	return errno ? -MK_ESYS : 0;
}

static int folder_list(
	void *data, const char *path, size_t max, struct mk_strlist *ret, struct mk_error *err)
{
	const struct folder *folder = data;
	int fd = -1;
	DIR *dir;
	int r = open_entry(folder, path, O_DIRECTORY, &fd, err);

	if (r < 0)
		return r;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return mk_fail_errno(err, "read the folder '%s' in '%s'", path, folder->path);
	}
	r = list_names(dir, max, ret);
	if (r == -MK_ESYS)
		r = mk_fail_errno(err, "read the folder '%s' in '%s'", path, folder->path);
	if (r == -MK_EINVALID)
		r = mk_fail(err, MK_EINVALID, "too many files in '%s'", folder->path);
	(void)closedir(dir);
	return r;
}

static int read_link(const struct folder *folder, const char *path, struct mk_buf *ret,
	bool *ret_is_link, struct mk_error *err)
{
	mk_autoclose int parent = -1;
	const char *name;
	char target[4096];
	ssize_t n;
	int r = open_parent(folder, path, &parent, &name, err);

	if (r < 0)
		return r;
	n = readlinkat(parent, name, target, sizeof(target));
	*ret_is_link = n >= 0;
	if (n >= 0)
		mk_buf_add(ret, target, (size_t)n);
	return n < 0 && errno != EINVAL ? fail_at(folder, path, err) : 0;
}

static int read_file(
	const struct folder *folder, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	mk_autoclose int fd = -1;
	char chunk[16384];
	struct stat st;
	ssize_t n = 0;
	int r = open_entry(folder, path, 0, &fd, err);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return mk_fail(err, MK_EINVALID, "'%s' is no longer a file", path);
	do {
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0)
			mk_buf_add(ret, chunk, (size_t)n);
	} while ((n > 0 && !ret->full) || (n < 0 && errno == EINTR));
	if (n < 0)
		return mk_fail_errno(err, "read '%s' in '%s'", path, folder->path);
	return mk_buf_check(ret, path, err);
}

static int folder_read(void *data, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	bool is_link = false;
	int r = read_link(data, path, ret, &is_link, err);

	if (r < 0)
		return r;
	return is_link ? mk_buf_check(ret, path, err) : read_file(data, path, ret, err);
}

static void folder_free(void *data)
{
	struct folder *folder = data;

	mk_closep(&folder->fd);
	free(folder->path);
	free(folder);
}

int mk_tree_open_folder(const char *path, struct mk_tree *ret, struct mk_error *err)
{
	struct folder *folder;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		bool missing = errno == ENOENT || errno == ENOTDIR;

		(void)mk_fail_errno(err, "open the folder '%s'", path);
		return mk_error_recode(err, missing ? MK_ENOTFOUND : MK_ESYS);
	}
	folder = mk_xcalloc(1, sizeof(*folder));
	folder->fd = fd;
	folder->path = mk_xstrdup(path);
	*ret = (struct mk_tree){ .data = folder,
		.kind = folder_kind,
		.list = folder_list,
		.read = folder_read,
		.free = folder_free };
	return 0;
}

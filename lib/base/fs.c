/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fs.h"

#include "lib/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	char chunk[16384];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mk_fail_errno(err, "read '%s'", path);
		if (n == 0)
			break;
		mk_buf_add(ret, chunk, (size_t)n);
		mk_wipe(chunk, (size_t)n);
		if (ret->full)
			break;
	}
	return mk_buf_check(ret, path, err);
}

int mk_fs_read(const char *path, struct mk_buf *ret, struct mk_error *err)
{
	mk_autoclose int fd = -1;

	if (mk_streq(path, "-"))
		return read_all(STDIN_FILENO, "standard input", ret, err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		int missing = errno == ENOENT;

		(void)mk_fail_errno(err, "open '%s'", path);
		return mk_error_recode(err, missing ? MK_ENOTFOUND : MK_ESYS);
	}
	return read_all(fd, path, ret, err);
}

int mk_fs_write_all(int fd, const char *path, const void *bytes, size_t len, struct mk_error *err)
{
	const char *data = bytes;

	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mk_fail_errno(err, "write '%s'", path);
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int sync_directory(const char *path, struct mk_error *err)
{
	mk_autofree char *copy = mk_xstrdup(path);
	mk_autoclose int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Some file systems refuse fsync on a directory; the rename still holds. */
	if (fd >= 0 && fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		return mk_fail_errno(err, "sync the folder of '%s'", path);
	return 0;
}

/* Fill the temporary file with data, mode and owner of what it will replace. */
static int fill_temporary(int fd, const char *temporary, const char *target, const void *data,
	size_t len, mode_t mode, struct mk_error *err)
{
	struct stat old;
	int r;

	if (stat(target, &old) == 0) {
		mode = old.st_mode & 07777;
		/* Only root may give a file away; others keep their own name on it. */
		if (old.st_uid != geteuid() || old.st_gid != getegid())
			(void)!fchown(fd, old.st_uid, old.st_gid);
	}
	if (fchmod(fd, mode) < 0)
		return mk_fail_errno(err, "set the mode of '%s'", temporary);
	r = mk_fs_write_all(fd, temporary, data, len, err);
	if (r < 0)
		return r;
	if (fsync(fd) < 0)
		return mk_fail_errno(err, "sync '%s'", temporary);
	return 0;
}

int mk_fs_write_atomic(
	const char *path, const void *data, size_t len, mode_t mode, struct mk_error *err)
{
	mk_autofree char *resolved = realpath(path, NULL);
	const char *target = resolved ? resolved : path;
	mk_autofree char *temporary = mk_xasprintf("%s.XXXXXX", target);
	mk_autoclose int fd = mkostemp(temporary, O_CLOEXEC);
	int r;

	if (fd < 0)
		return mk_fail_errno(err, "write '%s'", path);
	r = fill_temporary(fd, temporary, target, data, len, mode, err);
	if (r == 0 && rename(temporary, target) < 0)
		r = mk_fail_errno(err, "rename '%s' to '%s'", temporary, target);
	if (r < 0) {
		(void)unlink(temporary);
		return r;
	}
	return sync_directory(target, err);
}

/* Whether it is there as a folder; errno then still tells why mkdir failed. */
static bool is_folder(const char *path)
{
	int saved = errno;
	struct stat st;
	bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

	errno = saved;
	return folder;
}

int mk_fs_mkdir_all(const char *path, mode_t mode, struct mk_error *err)
{
	mk_autofree char *copy = mk_xstrdup(path);

	for (char *p = copy + 1; *copy; p++) {
		char saved = *p;

		if (saved != '/' && saved != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && !is_folder(copy))
			return mk_fail_errno(err, "make folder '%s'", copy);
		*p = saved;
		if (saved == '\0')
			break;
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int mk_fs_remove_all(const char *path, struct mk_error *err)
{
	if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
		return mk_fail_errno(err, "remove '%s'", path);
	return 0;
}

char *mk_fs_absolute(const char *folder, const char *path)
{
	mk_autofree char *whole = mk_xasprintf("%s/%s", *path == '/' ? "" : folder, path);
	mk_autostrlist parts = { .items = NULL };
	mk_autobuf clean = mk_buf_init(SIZE_MAX);
	size_t count = 0;

	mk_strlist_split(&parts, whole, "/");
	for (size_t i = 0; i < parts.count; i++) {
		char *part = parts.items[i];

		/* What is kept moves to the front, and the list owns all of it still. */
		if (mk_streq(part, "..")) {
			count -= count > 0;
		} else if (!mk_streq(part, ".")) {
			parts.items[i] = parts.items[count];
			parts.items[count++] = part;
		}
	}
	for (size_t i = 0; i < count; i++)
		mk_buf_addf(&clean, "/%s", parts.items[i]);
	if (count == 0)
		mk_buf_adds(&clean, "/");
	return mk_buf_detach(&clean);
}

bool mk_fs_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

int mk_fs_cache_dir(char **ret, struct mk_error *err)
{
	const char *xdg = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");

	if (xdg && xdg[0] == '/')
		*ret = mk_xasprintf("%s/mkcluster", xdg);
	else if (home && *home)
		*ret = mk_xasprintf("%s/.cache/mkcluster", home);
	else
		return mk_fail(
			err, MK_EHOST, "no cache folder: neither XDG_CACHE_HOME nor HOME is set");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking and releasing FILE.lock. Its text is "mkcluster PID HOST\n"; kubectl's
 * is empty, and of mode 000.
 */
#include "lib/kube/userconfig-lock.h"

#include "lib/base/clock.h"
#include "lib/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 20

/* Who holds a lock, as far as it says. */
struct holder {
	pid_t pid; /* 0: not ours, or of another host */
	time_t age;
};

static void host_name(char *name, size_t size)
{
	if (gethostname(name, size) < 0)
		(void)snprintf(name, size, "localhost");
	name[size - 1] = '\0';
}

/* The process that the text of a lock names, 0 when it is none of this host. */
static pid_t named_process(const char *text)
{
	mk_autostrlist words = { .items = NULL };
	char host[256];
	uint64_t pid;

	host_name(host, sizeof(host));
	mk_strlist_split(&words, text, " \n");
	/* Without the line break it is still being written. */
	if (words.count != 3 || !mk_has_suffix(text, "\n"))
		return 0;
	if (!mk_streq(words.items[0], "mkcluster") || !mk_streq(words.items[2], host))
		return 0;
	return mk_parse_uint(words.items[1], 1, INT32_MAX, &pid) ? (pid_t)pid : 0;
}

/* Look at the lock; false when it is gone. */
static bool inspect(const char *path, struct holder *ret)
{
	mk_autoclose int fd = -1;
	char text[512];
	struct stat st;
	ssize_t n = 0;

	if (lstat(path, &st) < 0)
		return false;
	*ret = (struct holder){ .age = time(NULL) - st.st_mtime };
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0)
		n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	ret->pid = named_process(text);
	return true;
}

/* Our own process id can only be that of a dead one that had it before us. */
static bool is_stale(const struct holder *h)
{
	if (h->pid == 0)
		return h->age > MK_USERCONFIG_LOCK_STALE_S;
	return h->pid == getpid() || (kill(h->pid, 0) < 0 && errno == ESRCH);
}

/*
 * Remove the lock if it is stale. Of two processes that find the same stale lock,
 * the slower one must not remove the new lock of the faster one: the folder's
 * flock, which ends with its process, lets one at a time look and remove.
 */
static bool remove_stale(const char *path)
{
	mk_autofree char *copy = mk_xstrdup(path);
	mk_autoclose int folder = -1;
	struct holder h;

	if (!inspect(path, &h) || !is_stale(&h))
		return false;
	folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || flock(folder, LOCK_EX | LOCK_NB) < 0)
		return false;
	return inspect(path, &h) && is_stale(&h) && unlink(path) == 0;
}

static int sign(int fd, const char *path, struct mk_userconfig_lock *ret, struct mk_error *err)
{
	char host[256];
	struct stat st;
	int n;

	host_name(host, sizeof(host));
	n = dprintf(fd, "mkcluster %d %s\n", (int)getpid(), host);
	if (n < 0 || fstat(fd, &st) < 0) {
		(void)mk_fail_errno(err, "write '%s'", path);
		(void)unlink(path);
		return -MK_ESYS;
	}
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	return 0;
}

/* One attempt: MK_EEXISTS when somebody holds the lock. */
static int create(const char *path, struct mk_userconfig_lock *ret, struct mk_error *err)
{
	mk_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int reason = errno;

	if (fd >= 0)
		return sign(fd, path, ret, err);
	(void)mk_fail_errno(err, "make the lock '%s'", path);
	if (reason == EEXIST)
		return mk_error_recode(err, MK_EEXISTS);
	if (reason == EACCES || reason == EPERM || reason == EROFS)
		return mk_error_recode(err, MK_EHOST);
	return -MK_ESYS;
}

static int fail_busy(const char *file, const char *path, struct mk_error *err)
{
	struct holder h = { .pid = 0 };

	(void)inspect(path, &h);
	if (h.pid > 0)
		(void)mk_fail(err, MK_ETIMEOUT, "'%s' is locked by mkcluster process %d", file,
			(int)h.pid);
	else
		(void)mk_fail(err, MK_ETIMEOUT, "'%s' is locked by another program", file);
	mk_error_hint(err, "remove '%s' if nothing is changing the file any more", path);
	return -MK_ETIMEOUT;
}

int mk_userconfig_lock_take(
	const char *file, int64_t wait_ms, struct mk_userconfig_lock *ret, struct mk_error *err)
{
	struct mk_userconfig_lock lock = { .path = NULL };
	mk_autofree char *path = mk_xasprintf("%s.lock", file);
	int64_t deadline = mk_deadline(wait_ms);
	int r;

	for (;;) {
		r = create(path, &lock, err);
		if (r != -MK_EEXISTS)
			break;
		if (remove_stale(path))
			continue;
		if (mk_remaining_ms(deadline) == 0)
			return fail_busy(file, path, err);
		r = mk_sleep_ms(RETRY_MS, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	mk_error_done(err);
	lock.path = MK_TAKE(path);
	*ret = lock;
	return 0;
}

void mk_userconfig_lock_release(struct mk_userconfig_lock *lock)
{
	struct stat st;

	if (!lock->path)
		return;
	if (lstat(lock->path, &st) == 0 && st.st_dev == lock->dev && st.st_ino == lock->ino)
		(void)unlink(lock->path);
	free(lock->path);
	lock->path = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The repositories in the cache folder: NAME-HASH is the one of a URL, bare,
 * NAME-HASH.lock its lock. libgit2 brings a pack in as a whole, by rename, and a
 * new repository gets its name the same way, so a killed run leaves nothing worse
 * than files that nobody looks at; the next one removes them.
 */
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/git/repository.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#define MAX_NAME 64
#define KEPT "refs/mkcluster/" /* a ref for each commit that was fetched */

int mk_git_fail(struct mk_error *err, enum mk_code code, const char *fmt, ...)
{
	const git_error *last = git_error_last();
	mk_autofree char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = mk_xvasprintf(fmt, ap);
	va_end(ap);
	return mk_fail(err, code, "%s: %s", what,
		last && last->message ? last->message : "libgit2 does not say why");
}

/* The URL's last part, for people who look into the folder. */
static char *name_of(const char *url)
{
	const char *slash = strrchr(url, '/');
	char *name = mk_xstrndup(slash ? slash + 1 : url, MAX_NAME);

	for (char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("-_", *p))
			*p = '_';
	}
	return name;
}

int mk_cached_init(
	const char *cache_dir, const char *url, struct mk_cached *ret, struct mk_error *err)
{
	mk_autofree char *own = NULL;
	mk_autofree char *folder = NULL;
	mk_autofree char *name = name_of(url);
	char hash[GIT_OID_HEXSZ + 1];
	git_oid id;
	int r = cache_dir ? 0 : mk_fs_cache_dir(&own, err);

	if (r < 0)
		return r;
	folder = cache_dir ? mk_xstrdup(cache_dir) : mk_xasprintf("%s/git", own);
	r = mk_fs_mkdir_all(folder, 0700, err);
	if (r < 0)
		return r;
	if (git_odb_hash(&id, url, strlen(url), GIT_OBJECT_BLOB) < 0)
		return mk_git_fail(err, MK_EFAIL, "hash '%s'", url);
	ret->path = mk_xasprintf("%s/%s-%s", folder, name, git_oid_tostr(hash, sizeof(hash), &id));
	ret->lock = -1;
	return 0;
}

void mk_cached_done(struct mk_cached *cached)
{
	free(cached->path);
	cached->path = NULL;
	if (cached->lock >= 0)
		mk_closep(&cached->lock);
}

int mk_cached_lock(struct mk_cached *cached, int64_t deadline, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("%s.lock", cached->path);
	mk_autoclose int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool told = false;

	if (fd < 0)
		return mk_fail_errno(err, "open '%s'", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r;

		if (errno != EWOULDBLOCK && errno != EINTR)
			return mk_fail_errno(err, "lock '%s'", path);
		if (mk_remaining_ms(deadline) == 0)
			return mk_fail(err, MK_ETIMEOUT, "another run still holds '%s'", path);
		if (!told)
			mk_trace("git: another run fetches into '%s'; waiting", cached->path);
		told = true;
		r = mk_sleep_ms(50, err);
		if (r < 0)
			return r;
	}
	cached->lock = fd;
	fd = -1;
	return 0;
}

git_repository *mk_cached_open(const struct mk_cached *cached)
{
	git_repository *repo = NULL;

	return git_repository_open_bare(&repo, cached->path) < 0 ? NULL : repo;
}

static int sweep_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	const char *name = path + ftw->base;

	(void)st;
	if (type == FTW_F &&
		(mk_has_suffix(name, ".lock") || mk_after_prefix(name, "pack_git2_") ||
			mk_after_prefix(name, "tmp_object_git2_")))
		(void)remove(path);
	return 0;
}

static int make(const char *path, struct mk_error *err)
{
	mk_autofree char *unfinished = mk_xasprintf("%s.new", path);
	git_repository *repo = NULL;
	int r = mk_fs_remove_all(unfinished, err);

	if (r < 0)
		return r;
	if (git_repository_init(&repo, unfinished, /* is_bare= */ 1) < 0)
		return mk_git_fail(err, MK_ESYS, "make a repository in '%s'", unfinished);
	git_repository_free(repo);
	if (rename(unfinished, path) < 0)
		return mk_fail_errno(err, "rename '%s' to '%s'", unfinished, path);
	return 0;
}

int mk_cached_prepare(const struct mk_cached *cached, git_repository **ret, struct mk_error *err)
{
	int r;

	(void)nftw(cached->path, sweep_one, 32, FTW_PHYS);
	*ret = mk_cached_open(cached);
	if (*ret)
		return 0;
	r = mk_cached_discard(cached, err);
	if (r == 0)
		r = make(cached->path, err);
	if (r < 0)
		return r;
	*ret = mk_cached_open(cached);
	return *ret ? 0 : mk_git_fail(err, MK_ESYS, "open '%s'", cached->path);
}

int mk_cached_discard(const struct mk_cached *cached, struct mk_error *err)
{
	return mk_fs_remove_all(cached->path, err);
}

bool mk_repository_has(git_repository *repo, const git_oid *id)
{
	MK_CLEANUP(git_commit_freep) git_commit *commit = NULL;
	MK_CLEANUP(git_odb_freep) git_odb *odb = NULL;
	git_object_t type;
	size_t size;

	return git_commit_lookup(&commit, repo, id) == 0 && git_repository_odb(&odb, repo) == 0 &&
		git_odb_read_header(&size, &type, odb, git_commit_tree_id(commit)) == 0;
}

int mk_repository_keep(git_repository *repo, const git_oid *id, struct mk_error *err)
{
	MK_CLEANUP(git_reference_freep) git_reference *ref = NULL;
	char hex[GIT_OID_HEXSZ + 1];
	mk_autofree char *name = mk_xasprintf(KEPT "%s", git_oid_tostr(hex, sizeof(hex), id));

	if (git_reference_create(&ref, repo, name, id, /* force= */ 1, NULL) < 0)
		return mk_git_fail(err, MK_ESYS, "note %s in the cache", hex);
	return 0;
}

bool mk_repository_is_damaged(git_repository *repo)
{
	git_reference_iterator *refs = NULL;
	bool damaged = git_reference_iterator_glob_new(&refs, repo, KEPT "*") < 0;
	git_reference *ref;

	while (!damaged && git_reference_next(&ref, refs) == 0) {
		const git_oid *id = git_reference_target(ref);

		damaged = !id || !mk_repository_has(repo, id);
		git_reference_free(ref);
	}
	git_reference_iterator_free(refs);
	return damaged;
}

bool mk_repository_is_empty(git_repository *repo)
{
	git_reference_iterator *refs = NULL;
	const char *name;
	bool empty = git_reference_iterator_glob_new(&refs, repo, KEPT "*") == 0 &&
		git_reference_next_name(&name, refs) == GIT_ITEROVER;

	git_reference_iterator_free(refs);
	return empty;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/git: a repository in the cache, and the way of one commit into
 * it. What libgit2 gives is freed by MK_CLEANUP here too.
 */
#ifndef MK_GIT_REPOSITORY_H
#define MK_GIT_REPOSITORY_H

#include "lib/git/location.h"
#include "lib/git/walk.h"

#include <git2.h>
#include <git2/sys/transport.h>

MK_DEFINE_CLEANUP(git_repository *, git_repository_free);
MK_DEFINE_CLEANUP(git_remote *, git_remote_free);
MK_DEFINE_CLEANUP(git_object *, git_object_free);
MK_DEFINE_CLEANUP(git_commit *, git_commit_free);
MK_DEFINE_CLEANUP(git_tree *, git_tree_free);
MK_DEFINE_CLEANUP(git_tree_entry *, git_tree_entry_free);
MK_DEFINE_CLEANUP(git_blob *, git_blob_free);
MK_DEFINE_CLEANUP(git_odb *, git_odb_free);
MK_DEFINE_CLEANUP(git_reference *, git_reference_free);

/** Fill `err`, appending libgit2's own words; returns -code. */
int mk_git_fail(struct mk_error *err, enum mk_code code, const char *fmt, ...) MK_PRINTF(3, 4);

/** The place of one URL in the cache. */
struct mk_cached {
	char *path; /* the bare repository's folder */
	int lock;   /* held while it is fetched into, else -1 */
};

/** Say where the repository of a URL stands, making the folder above it. */
int mk_cached_init(const char *cache_dir, const char *url, struct mk_cached *ret,
	struct mk_error *err) MK_CHECKED;
void mk_cached_done(struct mk_cached *cached);

/** Keep other runs from fetching until mk_cached_done, or this process' end.
 * Waits until `deadline` for another one: MK_ETIMEOUT, MK_EINTR. */
int mk_cached_lock(struct mk_cached *cached, int64_t deadline, struct mk_error *err) MK_CHECKED;

/** The repository if it is there and can be opened, else NULL. */
git_repository *mk_cached_open(const struct mk_cached *cached);

/** As mk_cached_open, but what a killed run left in it is swept away, and an empty
 * one is made where there is none, or none that opens. Locked only. */
int mk_cached_prepare(
	const struct mk_cached *cached, git_repository **ret, struct mk_error *err) MK_CHECKED;

/** Remove it, for it is damaged. Locked only. */
int mk_cached_discard(const struct mk_cached *cached, struct mk_error *err) MK_CHECKED;

/** Whether a commit can be read here, and its tree's top. */
bool mk_repository_has(git_repository *repo, const git_oid *id);

/** Note that a commit was fetched whole: the next fetch builds on it. */
int mk_repository_keep(git_repository *repo, const git_oid *id, struct mk_error *err) MK_CHECKED;

/** Whether a commit that was fetched can no longer be read. */
bool mk_repository_is_damaged(git_repository *repo);

/** Whether no commit was ever fetched into it. */
bool mk_repository_is_empty(git_repository *repo);

/** Which of a server's refs is wanted. */
struct mk_choice {
	const char *name; /* its full name, borrowed from the heads; NULL: none is named */
	git_oid id;       /* what it points at; zero when only part of an id is known */
};

/** Find the location's REF among the heads of a server. Without `name`, an id
 * was given that none of them points at. MK_ENOTFOUND names those that are there;
 * MK_EUSAGE for a name that is a branch and another tag. */
int mk_refs_choose(const git_remote_head **heads, size_t count, const struct mk_location *location,
	struct mk_choice *ret, struct mk_error *err) MK_CHECKED;

/** One fetch on its way. libgit2's callbacks note in `error` why they ended it. */
struct mk_pull {
	const struct mk_location *location;
	const struct mk_source_options *options; /* none of the limits zero */
	int64_t deadline;
	int64_t told_ms; /* when the listener last heard of it */
	struct mk_source_progress progress;
	struct mk_error error;
};

/** Bring what the location names into the repository, unless it is there, and say
 * which commit that is. A file:// URL's own repository is `repo`, and only looked
 * at. Errors are those of mk_source_open. */
int mk_pull_commit(
	struct mk_pull *pull, git_repository *repo, git_oid *ret, struct mk_error *err) MK_CHECKED;

/** 0, or -1 with `error` set: interrupted, too late, too large. */
int mk_pull_check(struct mk_pull *pull);

/** The transport of http and https, for git_remote_callbacks: `payload` is the pull. */
int mk_wire_transport(git_transport **ret, git_remote *owner, void *payload);

/** The files of a commit, in the cache or in a repository of the user's. Takes the
 * repository over when it succeeds. */
int mk_tree_open_commit(git_repository *repo, const git_oid *id, bool cached, struct mk_tree *ret,
	struct mk_error *err) MK_CHECKED;

#endif

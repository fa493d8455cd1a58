/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files from where the user says: a folder, one file, or a commit of a git
 * repository, all read in the same way. The only user of libgit2.
 *
 *   PATH                     a folder or a file of this machine
 *   URL[@REF][:PATH]         URL is https://, file:/// or, to the loopback, http://
 *
 * REF is a branch, a tag or a commit id (in full, or 7 digits and more); none is
 * what the repository's HEAD names. PATH is a folder or a file in the tree. The
 * first @ or : behind the host ends the URL, so these are %40 and %3A in it.
 * ssh is refused: libgit2 gives it no time limit. https://USER:TOKEN@HOST/ logs
 * in; neither is ever shown or kept, and a redirect to another host loses them.
 *
 * A repository of this machine is read where it is. Others are kept bare in the
 * cache folder's git/, one a URL. HTTP is
 * lib/http's: certificates are checked, proxies honoured, redirects followed
 * within the scheme. Of a branch or tag only its own history is fetched, of a
 * commit id its history where the server gives that away by id, else all
 * branches and tags, and so for ids that are not in full. No fetch is shallow:
 * libgit2 can that from 1.7 on, and Debian 12 has 1.5. A commit id in full that
 * is in the cache needs no network.
 */
#ifndef MK_GIT_SOURCE_H
#define MK_GIT_SOURCE_H

#include "lib/base/buf.h"
#include "lib/base/str.h"

#include <stdint.h>

struct mk_source;

/** What has come of a repository so far. */
struct mk_source_progress {
	uint64_t bytes;
	size_t objects;
	size_t total; /* objects in all; 0 while unknown */
};

/** Hear how a fetch fares: at most ten times a second, and once at its end. */
typedef void (*mk_source_listener)(void *payload, const struct mk_source_progress *progress);

/** All may be zero. */
struct mk_source_options {
	const char *cache_dir; /* NULL is mk_fs_cache_dir's "git" */
	const char *ca_pem;    /* the only CAs trusted, or NULL for the system's */
	mk_source_listener listener;
	void *listener_payload;
	uint64_t max_fetch; /* bytes of one fetch; 0 is 512 MB */
	uint64_t max_file;  /* bytes of one file; 0 is 8 MB */
	uint64_t max_total; /* bytes of all files of a walk; 0 is 64 MB */
	size_t max_files;   /* of a walk; 0 is 10000. Ten times as many names are looked at. */
	int64_t timeout_ms; /* of a fetch, waiting for another run's included; 0 is 15 min */
	int64_t stall_ms;   /* give a server up after so long without data; 0 is 30 s */
};

/** Whether `from` has the form of a source, without looking for it: MK_EUSAGE. */
int mk_source_check(const char *from, struct mk_error *err) MK_CHECKED;

/**
 * Open a source, fetching its commit if need be. Blocks for as long as data
 * comes, at most `timeout_ms`, and while another run fetches from the same URL.
 * Whatever fails leaves the cache fit for the next run.
 *
 * Errors to branch on: MK_EUSAGE (malformed, or REF means two commits),
 * MK_ENOTFOUND (no such folder, repository, REF or PATH), MK_EHOST (a repository
 * of another owner on this machine, no cache folder), MK_ENET, MK_ETIMEOUT,
 * MK_EREMOTE (the server refused; `status` says how), MK_EINVALID (no repository
 * there, damaged, larger than `max_fetch`), MK_EINTR. No message has a user or a
 * password in it.
 */
int mk_source_open(const char *from, const struct mk_source_options *options,
	struct mk_source **ret, struct mk_error *err) MK_CHECKED;
void mk_source_free(struct mk_source *source);
MK_DEFINE_CLEANUP(struct mk_source *, mk_source_free);

/** "URL at COMMIT", or the folder as it was given: for people. Borrowed. */
const char *mk_source_describe(const struct mk_source *source);

/** The commit's id in full, or NULL for a folder. Borrowed. */
const char *mk_source_commit(const struct mk_source *source);

/** What of a source is wanted. */
struct mk_source_query {
	const char *path;            /* below the source's own PATH; NULL is all of it */
	const char *const *suffixes; /* { ".yml", ".yaml", NULL }; NULL is every file */
	bool recursive;              /* folders inside, too; ".git" never */
};

/** Take one file: its path from the top of the repository or folder, and its
 * bytes, followed by a NUL. Borrowed. 0, or -code to end the walk with `err`. */
typedef int (*mk_source_visitor)(
	void *payload, const char *path, const void *data, size_t len, struct mk_error *err);

/**
 * Hand over the files asked for, sorted by name within each folder. A query's
 * path that is one file is handed over whatever its suffix. Symbolic links are
 * followed while they stay in the repository or folder, and files keep the
 * link's name; others are refused, as are submodules, folders that contain
 * themselves, and what is neither file nor folder. MK_ENOTFOUND when there is no
 * such path; none that matches is no failure. MK_EINVALID when a limit is passed
 * or something is refused; MK_EINTR.
 */
int mk_source_walk(struct mk_source *source, const struct mk_source_query *query,
	mk_source_visitor visitor, void *payload, struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Release files: downloaded side by side, checked against their published
 * SHA-256 or SHA-512 digest, and kept in a cache, where the next run finds them
 * without asking the network. An interrupted download is continued, by the same
 * run after a broken connection or by a later one.
 *
 * The cache and a mirror have one layout: the file of https://HOST/PATH stands
 * at HOST/PATH, percent signs and all. URLs with a query, a fragment, a user
 * name or "..", which would have no such place, are refused. A mirror serves
 * the checksum files too, so it is trusted as much as the origin is.
 */
#ifndef MK_FETCH_FETCH_H
#define MK_FETCH_FETCH_H

#include "lib/base/error.h"

#include <stdint.h>

struct mk_fetch_item {
	const char *url;           /* http or https */
	const char *checksum_url;  /* a file with the hex digest alone, or a list of them */
	const char *checksum_name; /* the file's name in a list; NULL is the url's base name */
	/* Set on success, NULL before: the verified file, and its digest in hex. */
	char *path;
	char *digest;
};

enum mk_fetch_state {
	MK_FETCH_QUEUED,
	MK_FETCH_ACTIVE,
	MK_FETCH_VERIFYING, /* hashing, or bringing the file into the cache */
	MK_FETCH_RETRYING,  /* waiting before the next attempt */
	MK_FETCH_DONE,
	MK_FETCH_CACHED, /* was there already */
};

struct mk_fetch_status {
	const char *name; /* base name of the url */
	enum mk_fetch_state state;
	uint64_t received; /* bytes, those of an earlier run included */
	uint64_t total;    /* 0 while unknown */
	unsigned attempt;  /* 1 is the first; 0 before it */
};

/** Hear how the items fare: at most ten times a second, and once at the end. */
typedef void (*mk_fetch_progress)(void *payload, const struct mk_fetch_status *items, size_t count);

struct mk_fetch_options {
	const char *cache_dir;      /* made when absent */
	const char *mirror;         /* NULL, "http(s)://root", or a folder */
	mk_fetch_progress progress; /* or NULL */
	void *progress_payload;
	unsigned parallel;  /* downloads at a time; 0 is 4 */
	int retries;        /* failures in a row forgiven; 0 is 4, negative none */
	int64_t stall_ms;   /* give up an attempt after so long without data; 0 is 30 s */
	int64_t backoff_ms; /* the first wait, doubled up to 60 times; 0 is 500 */
	uint64_t max_size;  /* cap of one item; 0 is 2 GiB */
};

/**
 * Bring all items into the cache. Items that are there and unchanged cost no
 * request. Blocks for as long as data comes; a server that does not answer is
 * given up after the retries. While another process downloads into the same
 * cache, waits for it to end.
 *
 * On success each item's `path` and `digest` are set: free them with
 * mk_fetch_item_done. The first final failure ends all downloads and leaves
 * every item as it was; partial files stay for the next run, except those whose
 * digest is wrong. Errors to branch on: MK_ENOTFOUND (404 or 410, or not in the
 * mirror's folder), MK_EREMOTE (refused otherwise; `status` says how), MK_ENET,
 * MK_ETIMEOUT, MK_EINVALID (wrong digest, no digest, larger than its cap),
 * MK_EHOST (not enough disk space), MK_EUSAGE (bad URL or mirror), MK_EINTR.
 */
int mk_fetch_all(struct mk_fetch_item *items, size_t count, const struct mk_fetch_options *options,
	struct mk_error *err) MK_CHECKED;

/** Free what mk_fetch_all set in an item, which can then be fetched again. */
void mk_fetch_item_done(struct mk_fetch_item *item);

/**
 * Ask whether every URL answers, with HEAD requests side by side that take at
 * most `timeout_ms` together. `ret` is true when all do; otherwise `ret_reason`
 * says in one line why not (caller frees; NULL when reachable). Fails only with
 * MK_EUSAGE (bad URL or mirror), MK_EINTR, and MK_EFAIL when libcurl does not start.
 */
int mk_fetch_reachable(const char *const *urls, size_t count, const char *mirror,
	int64_t timeout_ms, bool *ret, char **ret_reason, struct mk_error *err) MK_CHECKED;

#endif

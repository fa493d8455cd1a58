/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/fetch: where a URL's file stands, in the cache and in a
 * mirror, and the record beside a cached file of what was verified when.
 *
 * The record is FILE.sha256 or FILE.sha512: a line that `sha256sum -c` reads,
 * and a comment with the file's size and time of change. While both are as
 * recorded the file is trusted; else it is hashed again.
 */
#ifndef MK_FETCH_CACHE_H
#define MK_FETCH_CACHE_H

#include "lib/base/error.h"

/** "HOST/PATH" of a URL; MK_EUSAGE when it has no place of its own. Caller frees. */
int mk_cache_key(const char *url, char **ret, struct mk_error *err) MK_CHECKED;

/** What follows the last slash. Borrowed. */
const char *mk_cache_base_name(const char *url);

/**
 * Where a URL is read from, given a mirror or NULL: a URL, or a file's path
 * with `ret_local` true. MK_EUSAGE for a mirror that is neither. Caller frees.
 */
int mk_cache_source(const char *url, const char *mirror, char **ret, bool *ret_local,
	struct mk_error *err) MK_CHECKED;

/**
 * The recorded digest of the cached file at `path` when the file is still what
 * was verified, else NULL in `ret_digest`. Hashes the file when it looks
 * changed. Caller frees.
 */
int mk_cache_lookup(const char *path, char **ret_digest, struct mk_error *err) MK_CHECKED;

/** Record that the open file, which is or will be at `path`, has this digest. */
int mk_cache_record(int fd, const char *path, const char *digest, struct mk_error *err) MK_CHECKED;

/**
 * Whether a file without a good record stands at `path` and has the digest
 * nonetheless: put there by hand, or its record was lost. It is then recorded.
 */
int mk_cache_adopt(
	const char *path, const char *digest, bool *ret, struct mk_error *err) MK_CHECKED;

#endif

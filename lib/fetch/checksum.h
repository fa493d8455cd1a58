/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/fetch: running digests and published checksum files. The only
 * user of OpenSSL here. Digests are lower-case hex; their length tells SHA-256
 * (64 digits) from SHA-512 (128).
 */
#ifndef MK_FETCH_CHECKSUM_H
#define MK_FETCH_CHECKSUM_H

#include "lib/base/error.h"

struct mk_checksum;

/** Start a digest of the same kind as `like`. Free with mk_checksum_free. */
int mk_checksum_new(const char *like, struct mk_checksum **ret, struct mk_error *err) MK_CHECKED;
void mk_checksum_free(struct mk_checksum *sum);
MK_DEFINE_CLEANUP(struct mk_checksum *, mk_checksum_free);

/** Forget what was added. */
int mk_checksum_reset(struct mk_checksum *sum, struct mk_error *err) MK_CHECKED;

int mk_checksum_add(
	struct mk_checksum *sum, const void *data, size_t len, struct mk_error *err) MK_CHECKED;

/** Add a file from its beginning to its end; MK_EINTR when interrupted. */
int mk_checksum_add_file(
	struct mk_checksum *sum, int fd, const char *path, struct mk_error *err) MK_CHECKED;

/** The digest in hex; the sum must be reset before it is used again. Caller frees. */
int mk_checksum_end(struct mk_checksum *sum, char **ret, struct mk_error *err) MK_CHECKED;

/** Whether `hex` has the form of a digest that we know. */
bool mk_checksum_valid(const char *hex);

/**
 * The digest of `name` in a published checksum file: the file's only word, or
 * the first word of the line "<hex>  name" or "<hex> *name" ("./" and folders
 * before the name do not matter). `what` names the file in errors, which are
 * MK_EINVALID. Caller frees.
 */
int mk_checksum_find(const char *text, const char *name, const char *what, char **ret,
	struct mk_error *err) MK_CHECKED;

#endif

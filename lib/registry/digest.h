/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256, the one hash of images and release archives. The OpenSSL call behind
 * it can fail (no provider); that is remembered and told by the last step.
 */
#ifndef MK_REGISTRY_DIGEST_H
#define MK_REGISTRY_DIGEST_H

#include "lib/base/error.h"

#include <stdint.h>

#define MK_DIGEST_HEX 64 /* characters of the hash in hex */

struct mk_digest;

/** Start a hash. */
struct mk_digest *mk_digest_new(void) __attribute__((returns_nonnull));
void mk_digest_free(struct mk_digest *digest);
MK_DEFINE_CLEANUP(struct mk_digest *, mk_digest_free);

void mk_digest_update(struct mk_digest *digest, const void *data, size_t len);

/** End the hash; only mk_digest_free may follow. `ret` is 64 characters of
 * lower-case hex, freed by the caller. MK_EFAIL when the hash does not work. */
int mk_digest_hex(struct mk_digest *digest, char **ret, struct mk_error *err) MK_CHECKED;

/** The hash of bytes in memory, in hex. Caller frees `ret`. */
int mk_digest_data(const void *data, size_t len, char **ret, struct mk_error *err) MK_CHECKED;

/** The hash and size of a file, in hex. MK_ENOTFOUND when there is none,
 * MK_EINTR. `ret_size` may be NULL. Caller frees `ret`. */
int mk_digest_file(
	const char *path, char **ret, uint64_t *ret_size, struct mk_error *err) MK_CHECKED;

#endif

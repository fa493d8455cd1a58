/* SPDX-License-Identifier: Apache-2.0 */
/* Base64, hex and random identifiers. */
#ifndef MK_BASE_ENCODE_H
#define MK_BASE_ENCODE_H

#include "lib/base/buf.h"

/** Standard base64 with padding (RFC 4648, section 4). Caller frees. */
char *mk_base64(const void *data, size_t len);

/** Base64 for URLs, padded (RFC 4648, section 5): the form the engine's
 * X-Registry-Auth header takes. Caller frees. */
char *mk_base64url(const void *data, size_t len);

/** Decode standard base64, white space allowed, into `ret` (append).
 * MK_EINVALID on any other character, and on what `ret` cannot hold. */
int mk_base64_decode(const char *s, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/** Lower-case hex. Caller frees. */
char *mk_hex(const void *data, size_t len);

/** Fill `data` from the kernel's random source; blocks only in early boot. */
int mk_random(void *data, size_t len, struct mk_error *err) MK_CHECKED;

/** A random identifier of `bytes` random bytes in hex. Caller frees. */
int mk_random_hex(size_t bytes, char **ret, struct mk_error *err) MK_CHECKED;

#endif

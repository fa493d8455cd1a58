/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the decoding engine share; nobody else includes it. */
#ifndef MK_BASE_DECODE_INTERNAL_H
#define MK_BASE_DECODE_INTERNAL_H

#include "lib/base/decode.h"

/** So many problems that nobody reads them all: from here on they are only counted. */
bool mk_decode_is_hopeless(const struct mk_decode *d);

/** Say that `value` is not `wanted`, and what it is. */
void mk_decode_mismatch(
	struct mk_decode *d, const char *path, const char *wanted, const json_t *value);

/** "PATH.KEY". Caller frees. */
char *mk_decode_join(const char *path, const char *key);

/** Replace a reference. */
void mk_decode_put_json(json_t **member, json_t *value);

/** Decode a field that holds no tables of its own into its member. */
void mk_decode_value(struct mk_decode *d, const struct mk_field *f, const char *path, json_t *value,
	void *member);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little that jansson leaves to its users: ownership by cleanup, look-up by
 * path, and errors that say which document was malformed where.
 */
#ifndef MK_BASE_JSON_H
#define MK_BASE_JSON_H

#include "lib/base/buf.h"

#include <jansson.h>

/* jansson.h defines json_decrefp itself. */
#define mk_autojson MK_CLEANUP(json_decrefp) json_t

/** Parse `len` bytes; MK_EINVALID "WHAT: line 3, column 7: ...". The caller
 * owns the result. Depth is limited by jansson; size by what was read. */
int mk_json_parse(const char *data, size_t len, const char *what, json_t **ret,
	struct mk_error *err) MK_CHECKED;

/** Compact text of a value. Caller frees. */
char *mk_json_print(const json_t *value);

/**
 * The value at a dotted path, "status.addresses", or NULL. Borrowed. Keys that
 * hold dots themselves (labels) are looked up with json_object_get.
 */
json_t *mk_json_at(const json_t *value, const char *path);

/** The string at a dotted path, or `otherwise`. Borrowed. */
const char *mk_json_str(const json_t *value, const char *path, const char *otherwise);

/** The integer at a dotted path, or `otherwise`. */
long long mk_json_int(const json_t *value, const char *path, long long otherwise);

/** Overwrite every string in a value that nobody else holds: one that was parsed from a
 * text with keys, before it is freed. The strings are empty words then. NULL is fine. */
void mk_json_wipe(json_t *value);

/** json_pack that cannot return NULL: a bad format is a bug and aborts. */
json_t *mk_json_pack(const char *fmt, ...) __attribute__((returns_nonnull));

#endif

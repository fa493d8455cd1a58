/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What else a table of decode.h is good for: it says what a file may hold, and
 * it can turn a struct back into the object that it was decoded from.
 */
#ifndef MK_BASE_SCHEMA_H
#define MK_BASE_SCHEMA_H

#include "lib/base/decode.h"

/**
 * The object that decodes into what `object` is: defaults are written out,
 * strings and maps that are NULL and lists that are empty are left out, unless
 * the struct says that they were given. The caller owns it.
 */
json_t *mk_table_value(const struct mk_table *table, const void *object) MK_CHECKED;

/**
 * A JSON Schema (https://json-schema.org/draft/2020-12) of the objects that the
 * table decodes, as far as a schema can say it. `defaults` is a struct as it is
 * before decoding, or NULL. The caller owns it.
 */
json_t *mk_table_schema(const struct mk_table *table, const void *defaults) MK_CHECKED;

#endif

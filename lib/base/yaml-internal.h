/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the YAML module share; nobody else includes it. */
#ifndef MK_BASE_YAML_INTERNAL_H
#define MK_BASE_YAML_INTERNAL_H

#include "lib/base/yaml.h"

/**
 * What a plain scalar means: a new reference to null, a boolean or a number, or
 * NULL for text. NULL with *ret_problem set when it must be refused. `kubectl`
 * makes yes and no booleans.
 */
json_t *mk_yaml_resolve(const char *s, bool kubectl, const char **ret_problem);

/** An empty set of positions. Free with mk_yaml_lines_free. */
struct mk_yaml_lines *mk_yaml_lines_new(void);

/** Forget all positions. */
void mk_yaml_lines_clear(struct mk_yaml_lines *lines);

/** Add a key, or a list item when `key` is NULL, to the place `parent`; the
 * first place is the document itself. Returns the index of the new place. */
size_t mk_yaml_lines_add(
	struct mk_yaml_lines *lines, size_t parent, const char *key, size_t line, size_t column);

/** Note where the text of the string at place `index` stands. */
void mk_yaml_lines_set_text(
	struct mk_yaml_lines *lines, size_t index, const struct mk_yaml_origin *text);

#endif

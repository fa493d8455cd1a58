/* SPDX-License-Identifier: Apache-2.0 */
/* String lists and the small string questions asked everywhere. */
#ifndef MK_BASE_STR_H
#define MK_BASE_STR_H

#include "lib/base/error.h"

#include <stdint.h>
#include <string.h>

/** A list of owned strings; `items` is NULL-terminated once anything is in. */
struct mk_strlist {
	char **items;
	size_t count;
};

void mk_strlist_add(struct mk_strlist *list, const char *s);

/** Add a string the list then owns. */
void mk_strlist_take(struct mk_strlist *list, char *s);
void mk_strlist_addf(struct mk_strlist *list, const char *fmt, ...) MK_PRINTF(2, 3);
bool mk_strlist_has(const struct mk_strlist *list, const char *s);
void mk_strlist_sort(struct mk_strlist *list);

/** Split at any of the bytes in `seps`; empty parts are left out. */
void mk_strlist_split(struct mk_strlist *list, const char *s, const char *seps);

/** The items with `sep` between them. Caller frees. */
char *mk_strlist_join(const struct mk_strlist *list, const char *sep);
void mk_strlist_done(struct mk_strlist *list);

#define mk_autostrlist MK_CLEANUP(mk_strlist_done) struct mk_strlist

static inline bool mk_streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/** What follows `prefix` in `s`, or NULL when `s` does not begin with it. */
const char *mk_after_prefix(const char *s, const char *prefix);
bool mk_has_suffix(const char *s, const char *suffix);

/** A decimal number from `min` to `max`, nothing before or after it. */
bool mk_parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/** Damerau-Levenshtein distance of two short words, for "did you mean". */
size_t mk_edit_distance(const char *a, const char *b);

/** The candidate nearest to `word`, or NULL when none is near enough. */
const char *mk_did_you_mean(const char *word, const char *const *candidates, size_t count);

#endif

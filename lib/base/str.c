/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/str.h"

void mk_strlist_take(struct mk_strlist *list, char *s)
{
	list->items = mk_xrealloc(list->items, (list->count + 2) * sizeof(char *));
	list->items[list->count++] = s;
	list->items[list->count] = NULL;
}

void mk_strlist_add(struct mk_strlist *list, const char *s)
{
	mk_strlist_take(list, mk_xstrdup(s));
}

void mk_strlist_addf(struct mk_strlist *list, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	mk_strlist_take(list, mk_xvasprintf(fmt, ap));
	va_end(ap);
}

bool mk_strlist_has(const struct mk_strlist *list, const char *s)
{
	for (size_t i = 0; i < list->count; i++) {
		if (mk_streq(list->items[i], s))
			return true;
	}
	return false;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void mk_strlist_sort(struct mk_strlist *list)
{
	if (list->count > 1)
		qsort(list->items, list->count, sizeof(char *), compare);
}

void mk_strlist_split(struct mk_strlist *list, const char *s, const char *seps)
{
	while (*s) {
		size_t n = strcspn(s, seps);

		if (n > 0)
			mk_strlist_take(list, mk_xstrndup(s, n));
		s += n;
		s += strspn(s, seps);
	}
}

char *mk_strlist_join(const struct mk_strlist *list, const char *sep)
{
	size_t len = 1, seplen = strlen(sep);
	char *out, *p;

	for (size_t i = 0; i < list->count; i++)
		len += strlen(list->items[i]) + seplen;
	p = out = mk_xmalloc(len);
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			p = mempcpy(p, sep, seplen);
		p = mempcpy(p, list->items[i], strlen(list->items[i]));
	}
	*p = '\0';
	return out;
}

void mk_strlist_done(struct mk_strlist *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct mk_strlist){ .items = NULL };
}

const char *mk_after_prefix(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool mk_has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && mk_streq(s + n - m, suffix);
}

bool mk_parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (*s < '0' || *s > '9' || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (v < min || v > max)
		return false;
	*ret = v;
	return true;
}

#define WORD_MAX 32

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t mk_edit_distance(const char *a, const char *b)
{
	size_t la = strnlen(a, WORD_MAX), lb = strnlen(b, WORD_MAX);
	size_t d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= la; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;

			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[la][lb];
}

const char *mk_did_you_mean(const char *word, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	size_t best_distance = 0;

	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(candidates[i]);
		size_t distance = mk_edit_distance(word, candidates[i]);

		/* A third of the word may be wrong; a prefix is always meant. */
		if (strlen(word) > 1 && mk_after_prefix(candidates[i], word))
			distance = 1;
		if (distance > (n + 2) / 3)
			continue;
		if (!best || distance < best_distance) {
			best = candidates[i];
			best_distance = distance;
		}
	}
	return best;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The positions of a YAML document: a tree with one place for each key and item,
 * in one array. A look-up walks it, which is cheap enough for error messages.
 */
#include "lib/base/yaml-internal.h"

#include "lib/base/str.h"

#include <ctype.h>

/* The links are indices, 0 for none. Place 0 is the document. */
struct place {
	char *key; /* NULL for a list item */
	size_t line, column;
	struct mk_yaml_origin text; /* of a string */
	size_t first, last, next;
};

struct mk_yaml_lines {
	struct place *places;
	size_t count, cap;
};

struct mk_yaml_lines *mk_yaml_lines_new(void)
{
	return mk_xcalloc(1, sizeof(struct mk_yaml_lines));
}

void mk_yaml_lines_clear(struct mk_yaml_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->places[i].key);
	lines->count = 0;
}

size_t mk_yaml_lines_add(
	struct mk_yaml_lines *lines, size_t parent, const char *key, size_t line, size_t column)
{
	struct place *p;
	size_t index;

	if (lines->count == lines->cap) {
		lines->cap = lines->cap ? lines->cap * 2 : 64;
		lines->places = mk_xrealloc(lines->places, lines->cap * sizeof(*lines->places));
	}
	index = lines->count++;
	lines->places[index] = (struct place){
		.key = key ? mk_xstrdup(key) : NULL,
		.line = line,
		.column = column,
		.text = { .line = line, .column = column, .opaque = true },
	};
	if (index == 0)
		return 0;
	p = &lines->places[parent];
	if (p->first)
		lines->places[p->last].next = index;
	else
		p->first = index;
	p->last = index;
	return index;
}

void mk_yaml_lines_set_text(
	struct mk_yaml_lines *lines, size_t index, const struct mk_yaml_origin *text)
{
	lines->places[index].text = *text;
}

/* What follows "[N]" at the start of `path`, or NULL when that is not there. */
static const char *after_index(const char *path, size_t wanted)
{
	size_t index = 0;

	if (path[0] != '[' || !isdigit((unsigned char)path[1]))
		return NULL;
	for (path++; isdigit((unsigned char)*path); path++)
		index = index * 10 + (size_t)(*path - '0');
	return *path == ']' && index == wanted ? path + 1 : NULL;
}

/* What follows this place's own step in `path`, or NULL when it is not its step. */
static const char *after_step(const struct place *p, size_t n, const char *path)
{
	const char *rest;

	if (p->key)
		rest = mk_after_prefix(*path == '.' ? path + 1 : path, p->key);
	else
		rest = after_index(path, n);
	return rest && (*rest == '\0' || *rest == '.' || *rest == '[') ? rest : NULL;
}

/* Goes on with the next sibling after a dead end: "a.b" may be one key or two. */
static size_t find_place(const struct mk_yaml_lines *lines, size_t parent, const char *path)
{
	size_t n = 0;

	for (size_t i = lines->places[parent].first; i; i = lines->places[i].next) {
		const char *rest = after_step(&lines->places[i], n++, path);
		size_t found;

		if (!rest)
			continue;
		found = *rest ? find_place(lines, i, rest) : i;
		if (found)
			return found;
	}
	return 0;
}

/* The place at a path, or NULL. */
static const struct place *place_at(const struct mk_yaml_lines *lines, const char *path)
{
	size_t found = 0;

	if (lines->count == 0)
		return NULL;
	if (*path)
		found = find_place(lines, 0, path);
	return found || !*path ? &lines->places[found] : NULL;
}

void mk_yaml_lines_at(
	const struct mk_yaml_lines *lines, const char *path, size_t *ret_line, size_t *ret_column)
{
	const struct place *p = place_at(lines, path);

	*ret_line = p ? p->line : 0;
	*ret_column = p ? p->column : 0;
}

bool mk_yaml_lines_origin(
	const struct mk_yaml_lines *lines, const char *path, struct mk_yaml_origin *ret)
{
	const struct place *p = place_at(lines, path);

	if (p)
		*ret = p->text;
	return p != NULL;
}

void mk_yaml_lines_free(struct mk_yaml_lines *lines)
{
	if (!lines)
		return;
	mk_yaml_lines_clear(lines);
	free(lines->places);
	free(lines);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoding engine: one function a kind of field, and the collected problems,
 * kept in the order of their lines.
 */
#include "lib/base/decode.h"

#include <inttypes.h>

/* Cut off the last ".key" or "[N]"; false when nothing was left to cut. */
static bool cut_step(char *path)
{
	size_t n = strlen(path);

	if (n == 0)
		return false;
	while (n > 0 && path[n - 1] != '.' && path[n - 1] != '[')
		n--;
	path[n > 0 ? n - 1 : 0] = '\0';
	return true;
}

static void locate(const struct mk_decode *d, const char *path, struct mk_problem *p)
{
	mk_autofree char *around = mk_xstrdup(path);
	bool more = d->lines != NULL;

	while (more) {
		mk_yaml_lines_at(d->lines, around, &p->line, &p->column);
		more = p->line == 0 && cut_step(around);
	}
}

/* So many that nobody reads them all: from here on they are only counted. */
static bool is_hopeless(const struct mk_decode *d)
{
	return d->dropped >= 4 * MK_MAX_PROBLEMS;
}

static void flatten(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
	}
}

static bool is_before(const struct mk_problem *a, const struct mk_problem *b)
{
	return a->line < b->line || (a->line == b->line && a->column < b->column);
}

/* Keep the problems sorted, and the first ones when there are too many. */
static void insert_problem(struct mk_decode *d, struct mk_problem p)
{
	size_t i = d->count;

	if (d->count == MK_MAX_PROBLEMS) {
		d->dropped++;
		i--;
		if (!is_before(&p, &d->problems[i])) {
			free(p.text);
			return;
		}
		free(d->problems[i].text);
	} else {
		d->count++;
	}
	for (; i > 0 && is_before(&p, &d->problems[i - 1]); i--)
		d->problems[i] = d->problems[i - 1];
	d->problems[i] = p;
}

void mk_decode_problem(struct mk_decode *d, const char *path, const char *fmt, ...)
{
	struct mk_problem p = { .text = NULL };
	mk_autofree char *text = NULL, *at = NULL;
	va_list ap;

	if (is_hopeless(d)) {
		d->dropped++;
		return;
	}
	va_start(ap, fmt);
	text = mk_xvasprintf(fmt, ap);
	va_end(ap);
	locate(d, path, &p);
	at = p.line ? mk_xasprintf(":%zu:%zu", p.line, p.column) : mk_xstrdup("");
	p.text = mk_xasprintf("%s%s: %s%s%s", d->what, at, path, *path ? ": " : "", text);
	flatten(p.text);
	insert_problem(d, p);
}

int mk_decode_finish(struct mk_decode *d, struct mk_error *err)
{
	mk_autostrlist rest = { .items = NULL };

	if (d->count == 0)
		return 0;
	(void)mk_fail(err, MK_EUSAGE, "%s", d->problems[0].text);
	for (size_t i = 1; i < d->count; i++)
		mk_strlist_add(&rest, d->problems[i].text);
	if (d->dropped > 0)
		mk_strlist_addf(&rest, "and %zu more", d->dropped);
	if (rest.count > 0)
		err->detail = mk_strlist_join(&rest, "\n");
	mk_decode_done(d);
	return -MK_EUSAGE;
}

void mk_decode_done(struct mk_decode *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->problems[i].text);
	d->count = d->dropped = 0;
}

/* At most 40 bytes of a string, in quotes, whole characters only. Caller frees. */
static char *quote(const char *s)
{
	size_t n = strnlen(s, 40);

	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return mk_xasprintf("'%.*s%s'", (int)n, s, s[n] ? "..." : "");
}

/* "the string 'abc'", "the number 5", "a list": what was found. Caller frees. */
static char *describe(const json_t *value)
{
	mk_autofree char *text = NULL;

	if (json_is_object(value))
		return mk_xstrdup("a map");
	if (json_is_array(value))
		return mk_xstrdup("a list");
	if (json_is_string(value)) {
		text = quote(json_string_value(value));
		return mk_xasprintf("the string %s", text);
	}
	text = mk_json_print(value);
	return mk_xasprintf("%s%s", json_is_number(value) ? "the number " : "", text);
}

static void mismatch(struct mk_decode *d, const char *path, const char *wanted, const json_t *value)
{
	mk_autofree char *found = describe(value);
	bool scalar = json_is_number(value) || json_is_boolean(value);

	mk_decode_problem(d, path, "must be %s, not %s%s", wanted, found,
		scalar && mk_streq(wanted, "a string") ? "; put it in quotes" : "");
}

static char *join_path(const char *path, const char *key)
{
	return mk_xasprintf("%s%s%s", path, *path ? "." : "", key);
}

static size_t choice_count(const char *const *choices)
{
	size_t n = 0;

	while (choices[n])
		n++;
	return n;
}

/* The index of `word`, or a problem and false. */
static bool find_choice(struct mk_decode *d, const char *const *choices, const char *path,
	const char *word, unsigned int *ret)
{
	size_t count = choice_count(choices);
	const char *near = count > 1 ? mk_did_you_mean(word, choices, count) : NULL;
	mk_autofree char *found = quote(word);
	mk_autofree char *known = NULL;
	mk_autostrlist list = { .items = NULL };

	for (size_t i = 0; i < count; i++) {
		if (mk_streq(word, choices[i])) {
			*ret = (unsigned int)i;
			return true;
		}
		mk_strlist_add(&list, choices[i]);
	}
	known = mk_strlist_join(&list, ", ");
	mk_decode_problem(d, path, "must be %s%s, not %s%s%s%s", count > 1 ? "one of " : "", known,
		found, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return false;
}

/* The text of a string that its check likes, or a problem and NULL. Borrowed. */
static const char *take_string(
	struct mk_decode *d, const struct mk_field *f, const char *path, const json_t *value)
{
	const char *s = json_string_value(value);
	mk_autoerror why = { .code = MK_OK };

	if (!s) {
		mismatch(d, path, "a string", value);
		return NULL;
	}
	if (strlen(s) != json_string_length(value)) {
		mk_decode_problem(d, path, "holds a NUL character");
		return NULL;
	}
	if (f->check && f->check(s, &why) < 0) {
		mk_decode_problem(d, path, "%s", why.message);
		return NULL;
	}
	return s;
}

static void decode_string(struct mk_decode *d, const struct mk_field *f, const char *path,
	const json_t *value, char **member)
{
	const char *s = take_string(d, f, path, value);
	unsigned int index;

	if (!s || (f->choices && !find_choice(d, f->choices, path, s, &index)))
		return;
	free(*member);
	*member = mk_xstrdup(s);
}

static void decode_choice(struct mk_decode *d, const struct mk_field *f, const char *path,
	const json_t *value, void *member)
{
	const char *s = take_string(d, f, path, value);
	unsigned int index;

	/* The member is an enum of the caller's, which has the size of an int. */
	if (s && find_choice(d, f->choices, path, s, &index))
		memcpy(member, &index, sizeof(index));
}

static void decode_string_list(struct mk_decode *d, const struct mk_field *f, const char *path,
	const json_t *value, struct mk_strlist *member)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(value)) {
		mismatch(d, path, "a list of strings", value);
		return;
	}
	mk_strlist_done(member);
	json_array_foreach (value, i, item) {
		mk_autofree char *at = mk_xasprintf("%s[%zu]", path, i);
		const char *s = take_string(d, f, at, item);

		if (s)
			mk_strlist_add(member, s);
	}
}

static void put_json(json_t **member, json_t *value)
{
	json_decref(*member);
	*member = value;
}

static void decode_string_map(struct mk_decode *d, const struct mk_field *f, const char *path,
	json_t *value, json_t **member)
{
	bool good = true;
	const char *key;
	json_t *item;

	if (!json_is_object(value)) {
		mismatch(d, path, "a map of strings", value);
		return;
	}
	json_object_foreach (value, key, item) {
		mk_autofree char *at = join_path(path, key);

		good = take_string(d, f, at, item) && good;
	}
	if (good)
		put_json(member, json_incref(value));
}

static void decode_int(struct mk_decode *d, const struct mk_field *f, const char *path,
	const json_t *value, int64_t *member)
{
	mk_autofree char *wanted = mk_xasprintf(
		"a whole number from %" PRId64 " to %" PRId64, f->min, f->max);
	json_int_t n = json_integer_value(value);

	if (json_is_integer(value) && n >= f->min && n <= f->max)
		*member = n;
	else
		mismatch(d, path, wanted, value);
}

static void decode_bool(struct mk_decode *d, const char *path, const json_t *value, bool *member)
{
	if (json_is_boolean(value))
		*member = json_is_true(value);
	else
		mismatch(d, path, "true or false", value);
}

/* The caller's typed pointer is read and written as what it is in memory. */
static void *get_pointer(const void *member)
{
	void *p;

	memcpy(&p, member, sizeof(p));
	return p;
}

static void release_list(const struct mk_field *f, void *member, size_t *count)
{
	char *items = get_pointer(member);

	for (size_t i = 0; i < *count; i++)
		mk_decode_release(f->table, items + i * f->table->size);
	free(items);
	memset(member, 0, sizeof(items));
	*count = 0;
}

static void decode_object_list(struct mk_decode *d, const struct mk_field *f, const char *path,
	const json_t *value, void *member, size_t *count)
{
	size_t n = json_array_size(value), size = f->table->size;
	char *items;

	if (!json_is_array(value)) {
		mismatch(d, path, "a list", value);
		return;
	}
	release_list(f, member, count);
	if (n == 0)
		return;
	items = mk_xcalloc(n, size);
	memcpy(member, &items, sizeof(items));
	*count = n;
	for (size_t i = 0; i < n; i++) {
		mk_autofree char *at = mk_xasprintf("%s[%zu]", path, i);
		const json_t *item = json_array_get(value, i);

		if (f->table->init)
			f->table->init(items + i * size);
		if (json_is_object(item))
			mk_decode_object(d, f->table, item, at, items + i * size);
		else
			mismatch(d, at, "a map", item);
	}
}

static void decode_field(struct mk_decode *d, const struct mk_field *f, const char *path,
	json_t *value, char *object)
{
	void *member = object + f->offset;

	switch (f->kind) {
	case MK_FIELD_STRING:
		decode_string(d, f, path, value, member);
		break;
	case MK_FIELD_BOOL:
		decode_bool(d, path, value, member);
		break;
	case MK_FIELD_INT:
		decode_int(d, f, path, value, member);
		break;
	case MK_FIELD_CHOICE:
		decode_choice(d, f, path, value, member);
		break;
	case MK_FIELD_STRING_LIST:
		decode_string_list(d, f, path, value, member);
		break;
	case MK_FIELD_STRING_MAP:
		decode_string_map(d, f, path, value, member);
		break;
	case MK_FIELD_JSON:
		put_json(member, json_incref(value));
		break;
	case MK_FIELD_OBJECT:
		mk_decode_object(d, f->table, value, path, member);
		break;
	case MK_FIELD_OBJECT_LIST:
		decode_object_list(d, f, path, value, member, (void *)(object + f->count_offset));
		break;
	}
}

static void unknown_key(
	struct mk_decode *d, const struct mk_table *table, const char *path, const char *key)
{
	mk_autofree char *at = join_path(path, key), *list = NULL;
	mk_autostrlist known = { .items = NULL };
	const char *near = NULL;

	for (size_t i = 0; i < table->count; i++)
		mk_strlist_add(&known, table->fields[i].key);
	if (!is_hopeless(d))
		near = mk_did_you_mean(key, (const char *const *)known.items, known.count);
	list = mk_strlist_join(&known, ", ");
	if (near)
		mk_decode_problem(d, at, "unknown key; did you mean '%s'?", near);
	else
		mk_decode_problem(d, at, "unknown key; known here: %s", list);
}

static bool knows(const struct mk_table *table, const char *key)
{
	for (size_t i = 0; i < table->count; i++) {
		if (mk_streq(table->fields[i].key, key))
			return true;
	}
	return false;
}

void mk_decode_object(struct mk_decode *d, const struct mk_table *table, const json_t *value,
	const char *path, void *object)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct mk_field *f = &table->fields[i];
		mk_autofree char *at = join_path(path, f->key);
		json_t *field = json_object_get(value, f->key);

		if (field && !json_is_null(field))
			decode_field(d, f, at, field, object);
		else if (f->mandatory && (json_is_object(value) || json_is_null(value)))
			mk_decode_problem(d, at, field ? "must not be empty" : "is missing");
	}
	if (json_is_object(value)) {
		/* jansson iterates over const objects, but does not say so. */
		json_t *all = (json_t *)(uintptr_t)value, *item;
		const char *key;

		json_object_foreach (all, key, item) {
			if (!knows(table, key))
				unknown_key(d, table, path, key);
		}
	} else if (!json_is_null(value)) {
		mismatch(d, path, "a map", value);
	}
}

int mk_decode_yaml(const char *data, size_t len, const char *what, const struct mk_table *table,
	void *object, struct mk_error *err)
{
	MK_CLEANUP(mk_yaml_lines_freep) struct mk_yaml_lines *lines = NULL;
	mk_autodecode d = { .what = what };
	mk_autojson *value = NULL;

	if (mk_yaml_parse_lines(data, len, what, &value, &lines, err) < 0)
		return mk_error_recode(err, MK_EUSAGE);
	d.lines = lines;
	mk_decode_object(&d, table, value, "", object);
	return mk_decode_finish(&d, err);
}

static void release_field(const struct mk_field *f, char *object)
{
	void *member = object + f->offset;

	switch (f->kind) {
	case MK_FIELD_STRING:
		free(get_pointer(member));
		memset(member, 0, sizeof(char *));
		break;
	case MK_FIELD_STRING_LIST:
		mk_strlist_done(member);
		break;
	case MK_FIELD_STRING_MAP:
	case MK_FIELD_JSON:
		put_json(member, NULL);
		break;
	case MK_FIELD_OBJECT:
		mk_decode_release(f->table, member);
		break;
	case MK_FIELD_OBJECT_LIST:
		release_list(f, member, (void *)(object + f->count_offset));
		break;
	case MK_FIELD_BOOL:
	case MK_FIELD_INT:
	case MK_FIELD_CHOICE:
		break;
	}
}

void mk_decode_release(const struct mk_table *table, void *object)
{
	for (size_t i = 0; i < table->count; i++)
		release_field(&table->fields[i], object);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The decoding engine: objects and lists of objects by their tables. */
#include "lib/base/decode-internal.h"

/* The caller's typed pointer is read and written as what it is in memory. */
static void *get_pointer(const void *member)
{
	void *p;

	memcpy(&p, member, sizeof(p));
	return p;
}

static void release_field(const struct mk_field *f, char *object);

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
		mk_decode_mismatch(d, path, "a list", value);
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
			mk_decode_mismatch(d, at, "a map", item);
	}
}

/* A table without a struct: its fields are judged, one after the other, in passing. */
union scratch {
	struct mk_strlist list;
	json_t *json;
	char *string;
	int64_t number;
	bool flag;
};

static void decode_json(struct mk_decode *d, const struct mk_field *f, const char *path,
	json_t *value, json_t **member)
{
	if (f->table)
		mk_decode_object(d, f->table, value, path, NULL);
	if (!f->table || json_is_object(value))
		mk_decode_put_json(member, json_incref(value));
}

/* The key of an empty thing is no use of what is refused. */
static void refuse(
	struct mk_decode *d, const struct mk_field *f, const char *path, const json_t *value)
{
	bool empty = (json_is_array(value) && json_array_size(value) == 0) ||
		(json_is_object(value) && json_object_size(value) == 0);

	if (!empty)
		mk_decode_problem(d, path, "%s", f->help);
}

static void decode_field(struct mk_decode *d, const struct mk_field *f, const char *path,
	json_t *value, char *object)
{
	void *member = object + f->offset;

	if (f->given_offset)
		*(bool *)(object + f->given_offset) = true;
	switch (f->kind) {
	case MK_FIELD_JSON:
		decode_json(d, f, path, value, member);
		break;
	case MK_FIELD_OBJECT:
		mk_decode_object(d, f->table, value, path, member);
		break;
	case MK_FIELD_OBJECT_LIST:
		decode_object_list(d, f, path, value, member, (void *)(object + f->count_offset));
		break;
	case MK_FIELD_REFUSED:
		refuse(d, f, path, value);
		break;
	case MK_FIELD_STRING:
	case MK_FIELD_SCALAR:
	case MK_FIELD_BOOL:
	case MK_FIELD_INT:
	case MK_FIELD_CHOICE:
	case MK_FIELD_STRING_LIST:
	case MK_FIELD_STRING_MAP:
	case MK_FIELD_BOOL_MAP:
	case MK_FIELD_SCALAR_MAP:
		mk_decode_value(d, f, path, value, member);
		break;
	}
}

static void unknown_key(
	struct mk_decode *d, const struct mk_table *table, const char *path, const char *key)
{
	mk_autofree char *at = mk_decode_join(path, key), *list = NULL;
	mk_autostrlist known = { .items = NULL };
	const char *near = NULL;

	for (size_t i = 0; i < table->count; i++) {
		if (table->fields[i].kind != MK_FIELD_REFUSED)
			mk_strlist_add(&known, table->fields[i].key);
	}
	if (!mk_decode_is_hopeless(d))
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

/* A key that cannot stand beside others, each of them where it is. */
static void check_excludes(
	struct mk_decode *d, const struct mk_field *f, const char *path, const json_t *value)
{
	for (const char *const *other = f->excludes; other && *other; other++) {
		const json_t *found = json_object_get(value, *other);
		mk_autofree char *at = mk_decode_join(path, *other);

		if (found && !json_is_null(found))
			mk_decode_problem(d, at, "cannot stand beside '%s'", f->key);
	}
}

/* A field of a struct or, where there is none, of the map alone. */
static void decode_key(struct mk_decode *d, const struct mk_table *table, const struct mk_field *f,
	const char *path, json_t *value, void *object)
{
	union scratch scratch = { .list = { .items = NULL } };
	struct mk_field loose = *f;

	if (table->size > 0) {
		decode_field(d, f, path, value, object);
		return;
	}
	loose.offset = 0;
	decode_field(d, &loose, path, value, (char *)&scratch);
	release_field(&loose, (char *)&scratch);
}

void mk_decode_object(struct mk_decode *d, const struct mk_table *table, const json_t *value,
	const char *path, void *object)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct mk_field *f = &table->fields[i];
		mk_autofree char *at = mk_decode_join(path, f->key);
		json_t *field = json_object_get(value, f->key);

		if (field && !json_is_null(field)) {
			decode_key(d, table, f, at, field, object);
			check_excludes(d, f, path, value);
		} else if (f->mandatory && (json_is_object(value) || json_is_null(value))) {
			mk_decode_problem(d, at, field ? "must not be empty" : "is missing");
		}
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
		mk_decode_mismatch(d, path, "a map", value);
	}
}

int mk_decode_yaml(const char *data, size_t len, const char *what, const struct mk_table *table,
	void *object, struct mk_error *err)
{
	mk_autodecode d = { .what = what };
	mk_autojson *value = NULL;

	if (mk_decode_parse(&d, data, len, &value))
		mk_decode_object(&d, table, value, "", object);
	return mk_decode_finish(&d, err);
}

static void release_field(const struct mk_field *f, char *object)
{
	void *member = object + f->offset;

	switch (f->kind) {
	case MK_FIELD_STRING:
	case MK_FIELD_SCALAR:
		free(get_pointer(member));
		memset(member, 0, sizeof(char *));
		break;
	case MK_FIELD_STRING_LIST:
		mk_strlist_done(member);
		break;
	case MK_FIELD_STRING_MAP:
	case MK_FIELD_BOOL_MAP:
	case MK_FIELD_SCALAR_MAP:
	case MK_FIELD_JSON:
		mk_decode_put_json(member, NULL);
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
	case MK_FIELD_REFUSED:
		break;
	}
}

void mk_decode_release(const struct mk_table *table, void *object)
{
	for (size_t i = 0; i < table->count; i++)
		release_field(&table->fields[i], object);
}

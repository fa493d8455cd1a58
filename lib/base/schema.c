/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/schema.h"

static const void *get_pointer(const void *member)
{
	const void *p;

	memcpy(&p, member, sizeof(p));
	return p;
}

static json_t *list_value(const struct mk_strlist *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		(void)json_array_append_new(array, json_string(list->items[i]));
	return array;
}

static json_t *objects_value(const struct mk_table *table, const void *member, const size_t *count)
{
	const char *items = get_pointer(member);
	json_t *array = json_array();

	for (size_t i = 0; i < *count; i++)
		(void)json_array_append_new(array, mk_table_value(table, items + i * table->size));
	return array;
}

static json_t *choice_value(const struct mk_field *f, const void *member)
{
	unsigned int index;

	memcpy(&index, member, sizeof(index));
	return json_string(f->choices[index]);
}

static json_t *string_value(const void *member)
{
	const char *s = get_pointer(member);

	return s ? json_string(s) : NULL;
}

/* A new reference to the field's value, or NULL when there is none. */
static json_t *field_value(const struct mk_field *f, const char *object)
{
	const void *member = object + f->offset;

	switch (f->kind) {
	case MK_FIELD_STRING:
	case MK_FIELD_SCALAR:
		return string_value(member);
	case MK_FIELD_BOOL:
		return json_boolean(*(const bool *)member);
	case MK_FIELD_INT:
		return json_integer(*(const int64_t *)member);
	case MK_FIELD_CHOICE:
		return choice_value(f, member);
	case MK_FIELD_STRING_LIST:
		return list_value(member);
	case MK_FIELD_STRING_MAP:
	case MK_FIELD_BOOL_MAP:
	case MK_FIELD_SCALAR_MAP:
	case MK_FIELD_JSON:
		return json_incref((json_t *)(uintptr_t)get_pointer(member));
	case MK_FIELD_OBJECT:
		return mk_table_value(f->table, member);
	case MK_FIELD_OBJECT_LIST:
		return objects_value(f->table, member, (const void *)(object + f->count_offset));
	case MK_FIELD_REFUSED:
		break;
	}
	return NULL;
}

static bool is_empty(const json_t *value)
{
	return (json_is_array(value) && json_array_size(value) == 0) ||
		(json_is_object(value) && json_object_size(value) == 0);
}

json_t *mk_table_value(const struct mk_table *table, const void *object)
{
	json_t *map = json_object();

	for (size_t i = 0; i < table->count; i++) {
		const struct mk_field *f = &table->fields[i];
		bool given = f->given_offset && *((const bool *)object + f->given_offset);
		mk_autojson *value = field_value(f, object);

		if (value && (given || !is_empty(value)))
			(void)json_object_set(map, f->key, value);
	}
	return map;
}

static json_t *words(const char *const *choices)
{
	json_t *list = json_array();

	for (; *choices; choices++)
		(void)json_array_append_new(list, json_string(*choices));
	return list;
}

static json_t *string_schema(const struct mk_field *f)
{
	json_t *schema = mk_json_pack("{s:s}", "type", "string");

	if (f->choices)
		(void)json_object_set_new(schema, "enum", words(f->choices));
	if (f->pattern)
		(void)json_object_set_new(schema, "pattern", json_string(f->pattern));
	return schema;
}

static json_t *map_schema(json_t *items)
{
	return mk_json_pack("{s:s,s:o}", "type", "object", "additionalProperties", items);
}

static json_t *json_schema(const struct mk_field *f)
{
	return f->table ? mk_table_schema(f->table, NULL) : json_object();
}

/* What values of the field's type are like. `object` may be NULL. */
static json_t *type_schema(const struct mk_field *f, const char *object)
{
	switch (f->kind) {
	case MK_FIELD_STRING:
	case MK_FIELD_CHOICE:
		return string_schema(f);
	case MK_FIELD_SCALAR:
		return mk_json_pack("{s:[s,s]}", "type", "string", "number");
	case MK_FIELD_BOOL:
		return mk_json_pack("{s:s}", "type", "boolean");
	case MK_FIELD_INT:
		return mk_json_pack("{s:s,s:I,s:I}", "type", "integer", "minimum",
			(json_int_t)f->min, "maximum", (json_int_t)f->max);
	case MK_FIELD_STRING_LIST:
		return mk_json_pack("{s:s,s:o}", "type", "array", "items", string_schema(f));
	case MK_FIELD_STRING_MAP:
		return map_schema(string_schema(f));
	case MK_FIELD_BOOL_MAP:
		return map_schema(mk_json_pack("{s:s}", "type", "boolean"));
	case MK_FIELD_SCALAR_MAP:
		return map_schema(
			mk_json_pack("{s:[s,s,s]}", "type", "string", "integer", "boolean"));
	case MK_FIELD_JSON:
		return json_schema(f);
	case MK_FIELD_OBJECT:
		return mk_table_schema(f->table, object ? object + f->offset : NULL);
	case MK_FIELD_OBJECT_LIST:
		return mk_json_pack(
			"{s:s,s:o}", "type", "array", "items", mk_table_schema(f->table, NULL));
	case MK_FIELD_REFUSED:
		break;
	}
	return json_false();
}

static json_t *field_schema(const struct mk_field *f, const char *object)
{
	json_t *schema = type_schema(f, object);
	mk_autojson *value = object && f->kind != MK_FIELD_OBJECT ? field_value(f, object) : NULL;

	if (f->help)
		(void)json_object_set_new(schema, "description", json_string(f->help));
	if (value && !f->mandatory && !is_empty(value))
		(void)json_object_set(schema, "default", value);
	return schema;
}

/* Neither of two keys beside the other, as a list of what must not be. */
static void add_excludes(const struct mk_field *f, json_t *rules)
{
	for (const char *const *other = f->excludes; other && *other; other++)
		(void)json_array_append_new(
			rules, mk_json_pack("{s:{s:[s,s]}}", "not", "required", f->key, *other));
}

json_t *mk_table_schema(const struct mk_table *table, const void *defaults)
{
	json_t *properties = json_object();
	json_t *schema = mk_json_pack("{s:s,s:b,s:o}", "type", "object", "additionalProperties", 0,
		"properties", properties);
	mk_autojson *required = json_array();
	mk_autojson *rules = json_array();

	for (size_t i = 0; i < table->count; i++) {
		const struct mk_field *f = &table->fields[i];

		if (f->kind == MK_FIELD_REFUSED)
			continue;
		(void)json_object_set_new(properties, f->key, field_schema(f, defaults));
		if (f->mandatory)
			(void)json_array_append_new(required, json_string(f->key));
		add_excludes(f, rules);
	}
	if (json_array_size(required) > 0)
		(void)json_object_set(schema, "required", required);
	if (json_array_size(rules) > 0)
		(void)json_object_set(schema, "allOf", rules);
	return schema;
}

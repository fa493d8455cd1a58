/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table in its other uses: maps that are only judged, documents in strings, back
 * from a struct to its object, and as a JSON Schema.
 */
#include "lib/base/schema.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

enum speed { SPEED_SLOW, SPEED_FAST };

struct item {
	char *name;
	int64_t count;
};

struct thing {
	char *kind;
	char *amount;
	bool on;
	int64_t number;
	enum speed speed;
	struct mk_strlist words;
	bool words_given;
	json_t *labels, *gates, *flags, *any, *judged;
	struct item inner;
	struct item *items;
	size_t item_count;
	struct mk_strlist patches;
};

static int check_small(const char *value, struct mk_error *err)
{
	if (strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789.") == strlen(value))
		return 0;
	return mk_fail(err, MK_EUSAGE, "must be small");
}

static const char *const kinds[] = { "thing", NULL };
static const char *const speeds[] = { "Slow", "Fast", NULL };
static const char *const excluded[] = { "number", "on", NULL };

static const struct mk_field item_fields[] = {
	{ .key = "name",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.pattern = "^[a-z]+$",
		.offset = offsetof(struct item, name) },
	{ .key = "count",
		.kind = MK_FIELD_INT,
		.min = -1,
		.max = 7,
		.offset = offsetof(struct item, count) },
};
static const struct mk_table item_table = MK_TABLE(struct item, item_fields);

static const struct mk_field loose_fields[] = {
	{ .key = "size", .kind = MK_FIELD_INT, .max = 9 },
	{ .key = "name", .kind = MK_FIELD_STRING, .check = check_small },
	{ .key = "list", .kind = MK_FIELD_STRING_LIST },
	{ .key = "map", .kind = MK_FIELD_BOOL_MAP },
	{ .key = "old", .kind = MK_FIELD_REFUSED, .help = "is gone: use size" },
};
static const struct mk_table loose_table = MK_LOOSE_TABLE(loose_fields);

#define AT(member) offsetof(struct thing, member)

static const struct mk_field fields[] = {
	{ .key = "kind",
		.kind = MK_FIELD_STRING,
		.choices = kinds,
		.mandatory = true,
		.offset = AT(kind) },
	{ .key = "amount", .kind = MK_FIELD_SCALAR, .check = check_small, .offset = AT(amount) },
	{ .key = "on", .kind = MK_FIELD_BOOL, .offset = AT(on), .help = "Whether it is." },
	{ .key = "number", .kind = MK_FIELD_INT, .max = 100, .offset = AT(number) },
	{ .key = "speed",
		.kind = MK_FIELD_CHOICE,
		.any_case = true,
		.choices = speeds,
		.offset = AT(speed) },
	{ .key = "words",
		.kind = MK_FIELD_STRING_LIST,
		.check = check_small,
		.offset = AT(words),
		.given_offset = AT(words_given) },
	{ .key = "labels",
		.kind = MK_FIELD_STRING_MAP,
		.check_key = check_small,
		.offset = AT(labels) },
	{ .key = "gates", .kind = MK_FIELD_BOOL_MAP, .offset = AT(gates) },
	{ .key = "flags", .kind = MK_FIELD_SCALAR_MAP, .offset = AT(flags) },
	{ .key = "any", .kind = MK_FIELD_JSON, .excludes = excluded, .offset = AT(any) },
	{ .key = "judged", .kind = MK_FIELD_JSON, .table = &loose_table, .offset = AT(judged) },
	{ .key = "inner", .kind = MK_FIELD_OBJECT, .table = &item_table, .offset = AT(inner) },
	{ .key = "items",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &item_table,
		.offset = AT(items),
		.count_offset = AT(item_count) },
	{ .key = "patches", .kind = MK_FIELD_STRING_LIST, .offset = AT(patches) },
	{ .key = "gone", .kind = MK_FIELD_REFUSED, .help = "is not supported" },
};
static const struct mk_table table = MK_TABLE(struct thing, fields);

static void thing_done(struct thing *t)
{
	mk_decode_release(&table, t);
}

#define autothing MK_CLEANUP(thing_done) struct thing

static int decode(const char *text, struct thing *t, struct mk_error *err)
{
	return mk_decode_yaml(text, strlen(text), "t", &table, t, err);
}

static void assert_json(const json_t *value, const char *expected)
{
	mk_autofree char *text = mk_json_print(value);

	assert_string_equal(text, expected);
}

static void test_kinds(void **state)
{
	mk_autoerror err = { .code = MK_OK };
	autothing t = { .amount = NULL };

	(void)state;
	assert_int_equal(decode("kind: thing\namount: 0.1\nspeed: FAST\nwords: []\n"
				"gates: {a: true, b: false}\n"
				"flags: {a: 1, b: true, c: x, d: -9223372036854775808}\n"
				"judged: {size: 3, list: [a], map: {b: true}, old: []}\ngone: {}\n",
				 &t, &err),
		0);
	assert_string_equal(t.amount, "0.1");
	assert_int_equal(t.speed, SPEED_FAST);
	assert_true(t.words_given);
	assert_json(t.gates, "{\"a\":true,\"b\":false}");
	assert_json(
		t.flags, "{\"a\":\"1\",\"b\":\"true\",\"c\":\"x\",\"d\":\"-9223372036854775808\"}");
	assert_json(t.judged, "{\"size\":3,\"list\":[\"a\"],\"map\":{\"b\":true},\"old\":[]}");
}

static void test_mistakes(void **state)
{
	static const char *const mistakes[][2] = {
		{ "amount: A1", "amount: must be small" },
		{ "amount: true", "amount: must be a string, not true; put it in quotes" },
		{ "amount: [1]", "amount: must be a string, not a list" },
		{ "speed: medium", "speed: must be one of Slow, Fast, not 'medium'" },
		{ "labels: {A: x}", "labels.A: must be small" },
		{ "labels: {a: 1}",
			"labels.a: must be a string, not the number 1; put it in quotes" },
		{ "gates: {a: 'true'}", "gates.a: must be true or false, not the string 'true'" },
		{ "gates: []", "gates: must be a map of true and false, not a list" },
		{ "flags: {a: 1.10}",
			"flags.a: must be a string, not the number 1.1; put it in quotes" },
		{ "flags: {a: }", "flags.a: must be a string, not null" },
		{ "{on: true, any: 1}", "on: cannot stand beside 'any'" },
		{ "judged: 1", "judged: must be a map, not the number 1" },
		{ "judged: {sise: 1}", "judged.sise: unknown key; did you mean 'size'?" },
		{ "judged: {size: 10}",
			"judged.size: must be a whole number from 0 to 9, not the number 10" },
		{ "judged: {name: X}", "judged.name: must be small" },
		{ "judged: {map: {a: 1}}",
			"judged.map.a: must be true or false, not the number 1" },
		{ "judged: {old: 1}", "judged.old: is gone: use size" },
		{ "judged: {x: 1}", "judged.x: unknown key; known here: size, name, list, map" },
		{ "gone: [1]", "gone: is not supported" },
		{ "gone: false", "gone: is not supported" },
		{ "inner: {count: 1}", "inner.name: is missing" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(mistakes); i++) {
		mk_autojson *value = NULL;
		mk_autodecode d = { .what = NULL };
		mk_autoerror err = { .code = MK_OK };
		autothing t = { .amount = NULL };

		assert_true(mk_decode_parse(&d, mistakes[i][0], strlen(mistakes[i][0]), &value));
		(void)json_object_set_new(value, "kind", json_string("thing"));
		mk_decode_object(&d, &table, value, "", &t);
		assert_int_equal(mk_decode_finish(&d, &err), -MK_EUSAGE);
		assert_string_equal(err.message, mistakes[i][1]);
		assert_null(err.detail);
	}
}

/* Items keep their numbers, so that rules of the caller find them. */
static void test_bad_items(void **state)
{
	static const char text[] = "kind: thing\nwords: [a, B, c]\nlabels: {a.b: x, A.c: y}\n";
	mk_autojson *value = NULL;
	mk_autodecode d = { .what = "t" };
	mk_autofree char *line = NULL;
	autothing t = { .amount = NULL };

	(void)state;
	assert_true(mk_decode_parse(&d, text, strlen(text), &value));
	mk_decode_object(&d, &table, value, "", &t);
	assert_int_equal(t.words.count, 3);
	assert_string_equal(t.words.items[1], "");
	assert_string_equal(t.words.items[2], "c");
	assert_true(mk_decode_is_bad(&d, "words"));
	assert_true(mk_decode_is_bad(&d, "words[1]"));
	assert_false(mk_decode_is_bad(&d, "words[2]"));
	assert_false(mk_decode_is_bad(&d, "word"));
	assert_true(mk_decode_is_bad(&d, "labels.A.c"));
	assert_false(mk_decode_is_bad(&d, "labels.a.b"));
	assert_int_equal(d.count, 2);
	line = mk_problem_print(&d, &d.problems[0]);
	assert_string_equal(line, "t:2:12: words[1]: must be small");
}

/* A document in a string: places are those of the file. */
static void test_inner_document(void **state)
{
	static const char text[] = "kind: thing\npatches:\n- |\n  size: 1\n  map: {a: 3}\n"
				   "- \"size: 1\\nsise: 2\"\n- |\n  a: [\n";
	static const char *const expected[] = {
		"t:5:9: patches[0].map.a: must be true or false, not the number 3",
		"t:6:3: patches[1].sise: unknown key; did you mean 'size'?",
		"t:9:3: patches[2]: did not find expected node content, while parsing a flow node "
		"that began on line 9",
	};
	mk_autojson *value = NULL;
	mk_autodecode d = { .what = "t" };
	autothing t = { .amount = NULL };

	(void)state;
	assert_true(mk_decode_parse(&d, text, strlen(text), &value));
	mk_decode_object(&d, &table, value, "", &t);
	for (size_t i = 0; i < t.patches.count; i++) {
		mk_autofree char *path = mk_xasprintf("patches[%zu]", i);
		mk_autojson *patch = NULL;

		if (!mk_decode_open(&d, path, t.patches.items[i], &patch))
			continue;
		mk_decode_object(&d, &loose_table, patch, path, NULL);
		mk_decode_close(&d);
	}
	assert_int_equal(d.count, MK_ARRAY_LEN(expected));
	for (size_t i = 0; i < d.count; i++) {
		mk_autofree char *line = mk_problem_print(&d, &d.problems[i]);

		assert_string_equal(line, expected[i]);
	}
}

static void test_value(void **state)
{
	static const char *const texts[][2] = {
		/* what is read, and what is written when it is not the same */
		{ "{\"kind\":\"thing\",\"on\":false,\"number\":0,\"speed\":\"Slow\","
		  "\"inner\":{\"count\":0}}",
			NULL },
		{ "{\"kind\":\"thing\",\"amount\":\"1.5\",\"on\":true,\"number\":7,"
		  "\"speed\":\"Fast\",\"words\":[],\"labels\":{\"b\":\"x\",\"a\":\"\"},"
		  "\"gates\":{\"g\":false},\"flags\":{\"f\":\"1\"},\"judged\":{\"size\":2},"
		  "\"inner\":{\"name\":\"n\",\"count\":1},"
		  "\"items\":[{\"name\":\"a\",\"count\":-1},{\"name\":\"b\",\"count\":0}],"
		  "\"patches\":[\"p\",\"\"]}",
			NULL },
		{ "{\"kind\":\"thing\",\"amount\":2,\"flags\":{},\"items\":[]}",
			"{\"kind\":\"thing\",\"amount\":\"2\",\"on\":false,\"number\":0,"
			"\"speed\":\"Slow\",\"inner\":{\"count\":0}}" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(texts); i++) {
		mk_autodecode d = { .what = NULL };
		mk_autojson *value = NULL, *again = NULL;
		mk_autoerror err = { .code = MK_OK };
		autothing t = { .amount = NULL };

		assert_int_equal(
			mk_json_parse(texts[i][0], strlen(texts[i][0]), "t", &value, &err), 0);
		/* The inner struct may be without the name that an object of it needs. */
		mk_decode_object(&d, &table, value, "", &t);
		again = mk_table_value(&table, &t);
		assert_json(again, texts[i][1] ? texts[i][1] : texts[i][0]);
	}
}

static void assert_schema(const json_t *properties, const char *key, const char *expected)
{
	assert_json(json_object_get(properties, key), expected);
}

static void test_schema(void **state)
{
	const struct thing defaults = { .on = true, .number = 5 };
	mk_autojson *schema = mk_table_schema(&table, &defaults);
	const json_t *p = json_object_get(schema, "properties");

	(void)state;
	assert_json(json_object_get(schema, "required"), "[\"kind\"]");
	assert_json(json_object_get(schema, "allOf"),
		"[{\"not\":{\"required\":[\"any\",\"number\"]}},"
		"{\"not\":{\"required\":[\"any\",\"on\"]}}]");
	assert_null(json_object_get(p, "gone"));
	assert_schema(p, "kind", "{\"type\":\"string\",\"enum\":[\"thing\"]}");
	assert_schema(p, "amount", "{\"type\":[\"string\",\"number\"]}");
	assert_schema(p, "on",
		"{\"type\":\"boolean\",\"description\":\"Whether it is.\",\"default\":true}");
	assert_schema(
		p, "number", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":100,\"default\":5}");
	assert_schema(p, "words", "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}");
	assert_schema(p, "gates",
		"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"}}");
	assert_schema(p, "flags",
		"{\"type\":\"object\",\"additionalProperties\":{\"type\":[\"string\",\"integer\","
		"\"boolean\"]}}");
	assert_schema(p, "any", "{}");
	assert_schema(p, "items",
		"{\"type\":\"array\",\"items\":{\"type\":\"object\",\"additionalProperties\":false,"
		"\"properties\":{\"name\":{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"},"
		"\"count\":{\"type\":\"integer\",\"minimum\":-1,\"maximum\":7}},"
		"\"required\":[\"name\"]}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_bad_items),
		cmocka_unit_test(test_inner_document),
		cmocka_unit_test(test_value),
		cmocka_unit_test(test_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

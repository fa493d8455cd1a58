/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML module: what scalars mean, what is refused and where, positions, and
 * that everything printed reads back as it was.
 */
#include "lib/base/limits.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
	mk_autoerror err = { .code = MK_OK };
	json_t *value = NULL;

	if (mk_yaml_parse(text, strlen(text), "t", &value, &err) < 0)
		fail_msg("%s", err.message);
	return value;
}

static char *print(const json_t *value)
{
	mk_autobuf buf = mk_buf_init(MK_MIB);
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_yaml_print(value, &buf, &err), 0);
	return mk_buf_detach(&buf);
}

/* YAML and the JSON it means. */
static const char *const meanings[][2] = {
	{ "", "null" },
	{ "# nothing\n", "null" },
	{ "---\n...\n", "null" },
	{ "a: 1\n---\n# an empty document after it\n", "{\"a\":1}" },
	{ "---\n---\na: 1\n", "{\"a\":1}" },
	{ "a: 1\nb: [2, x, null, ~]\n", "{\"a\":1,\"b\":[2,\"x\",null,null]}" },
	{ "z: 1\na: 2\nm: 3\n", "{\"z\":1,\"a\":2,\"m\":3}" },
	{ "a:\r\n- b\r\n- c: |\r\n    x\r\n    y\r\n", "{\"a\":[\"b\",{\"c\":\"x\\ny\\n\"}]}" },
	{ "\xef\xbb\xbf"
	  "a: 1\n",
		"{\"a\":1}" },
	{ "%YAML 1.1\n---\na: 1\n", "{\"a\":1}" },
	{ "{\"a\": [true, false, null, 1.5, \"x\\u00e9\\n\"],\n\t\"b\": {}}",
		"{\"a\":[true,false,null,1.5,\"x\xc3\xa9\\n\"],\"b\":{}}" },
	{ "[true, True, TRUE, false, False, FALSE, tRue]",
		"[true,true,true,false,false,false,\"tRue\"]" },
	{ "[yes, no, on, off, y, n, Yes]", "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"Yes\"]" },
	{ "[null, Null, NULL, ~, nUll]", "[null,null,null,null,\"nUll\"]" },
	{ "['true', \"1\", '', \"null\"]", "[\"true\",\"1\",\"\",\"null\"]" },
	{ "[0, -0, +7, 42, -42, 1_000]", "[0,0,7,42,-42,1000]" },
	{ "[0x1F, 0X1f, -0x10, 0o17, 0644, 0b101]", "[31,31,-16,15,420,5]" },
	{ "[9223372036854775807, -9223372036854775808]",
		"[9223372036854775807,-9223372036854775808]" },
	{ "[0x, 0b2, 0xfg, 1a, 1-2]", "[\"0x\",\"0b2\",\"0xfg\",\"1a\",\"1-2\"]" },
	{ "['-', +, -a, 1:20, 12:30:45]", "[\"-\",\"+\",\"-a\",\"1:20\",\"12:30:45\"]" },
	{ "[1.5, -.5, +1., 1e3, 1.0, 12e99999, 1e, 1.2.3, 10.0.0.1, .]",
		"[1.5,-0.5,1.0,1000.0,1.0,\"12e99999\",\"1e\",\"1.2.3\",\"10.0.0.1\",\".\"]" },
	{ "[2001-12-14, 2001-12-14T21:59:43Z]", "[\"2001-12-14\",\"2001-12-14T21:59:43Z\"]" },
	{ "1: a\ntrue: b\nnull: c\n'': d\n1.5: e\n",
		"{\"1\":\"a\",\"true\":\"b\",\"null\":\"c\",\"\":\"d\",\"1.5\":\"e\"}" },
	{ "'<<': 1\n", "{\"<<\":1}" },
	{ "a:\nb:\n", "{\"a\":null,\"b\":null}" },
	{ "a: two\n  lines\n", "{\"a\":\"two lines\"}" },
	{ "a: >-\n  two\n  lines\n", "{\"a\":\"two lines\"}" },
};

static void test_meanings(void **state)
{
	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(meanings); i++) {
		mk_autojson *value = parse(meanings[i][0]);
		mk_autofree char *json = mk_json_print(value);

		assert_string_equal(json, meanings[i][1]);
	}
}

/* YAML that is refused, where, and a part of the reason. */
static const char *const refusals[][3] = {
	{ "a: 1\nb: *x\n", "t:2:4: ", "aliases" },
	{ "a: &x 1\n", "t:1:4: ", "anchors" },
	{ "&x a: 1\n", "t:1:1: ", "anchors" },
	{ "a: &x [1]\n", "t:1:4: ", "anchors" },
	{ "a: &x {b: 1}\n", "t:1:4: ", "anchors" },
	{ "*x : 1\n", "t:1:1: ", "a key must be" },
	{ "a: !!str 1\n", "t:1:4: ", "tags" },
	{ "a: !x {b: 1}\n", "t:1:4: ", "tags" },
	{ "a: ! b\n", "t:1:4: ", "tags" },
	{ "!!str a: b\n", "t:1:1: ", "tags" },
	{ "a: 1\nb: 2\na: 3\n", "t:3:1: ", "duplicate key 'a'" },
	{ "x:\n  - a: 1\n    a: 2\n", "t:3:5: ", "duplicate key 'a'" },
	{ "1: a\n'1': b\n", "t:2:1: ", "duplicate key '1'" },
	{ "{a: 1, a: 1}", "t:1:8: ", "duplicate key" },
	{ "<<: {a: 1}\n", "t:1:1: ", "merge keys" },
	{ "? [a, b]\n: c\n", "t:1:3: ", "a key must be" },
	{ "? {a: b}\n: c\n", "t:1:3: ", "a key must be" },
	{ ": c\n", "t:1:1: ", "did not find expected key" },
	{ "?\n: c\n", "t:1:2: ", "a key is missing" },
	{ "a: \"x\\0y\"\n", "t:1:4: ", "NUL" },
	{ "\"x\\0y\": 1\n", "t:1:1: ", "NUL" },
	{ "a: 9223372036854775808\n", "t:1:4: ", "64 bits" },
	{ "a: -9223372036854775809\n", "t:1:4: ", "64 bits" },
	{ "a: 0xffffffffffffffffffff\n", "t:1:4: ", "64 bits" },
	{ "a: 089\n", "t:1:4: ", "octal" },
	{ "a: -.inf\n", "t:1:4: ", "quotes" },
	{ "a: .NaN\n", "t:1:4: ", "quotes" },
	{ "a: 1\n---\nb: 2\n", "t:2:1: ", "a second document" },
	{ "a: b: c\n", "t:1:5: ", "mapping values" },
	{ "a:\n\t- b\n", "t:2:1: ", "cannot start any token" },
	{ "a: [1, 2\n", "t:2:1: ", "did not find expected" },
	{ "a:\n - b\n c: d\n", "t:3:2: ", "that began on line 2" },
	{ "a: 'open\n", "t:2:1: ", "unexpected end of stream" },
	{ "a: 1\nb: x\xff\n", "t:2:5: ", "UTF-8" },
	{ "a: \xc3\xa9\xe2\x82\n", "t:1:6: ", "UTF-8" },
	{ "a: \xc0\x80\n", "t:1:4: ", "UTF-8" },
	{ "a: \xed\xa0\x80\n", "t:1:4: ", "Unicode" },
	{ "a: \"\\ud800\"\n", "t:1:7: ", "Unicode" },
	{ "a: \x01\n", "t:1:4: ", "control characters" },
	{ "\xff\xfe"
	  "a",
		"t:1:1: ", "UTF-8" },
	{ "@a: b\n", "t:1:1: ", "cannot start any token" },
	{ "%TAG x\n---\na: 1\n", "t:1:", "" },
	{ "%YAML 2.0\n---\na: 1\n", "t:1:1: ", "" },
};

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(refusals); i++) {
		const char *text = refusals[i][0];
		mk_autoerror err = { .code = MK_OK };
		mk_autojson *value = NULL;
		const char *reason;

		if (mk_yaml_parse(text, strlen(text), "t", &value, &err) != -MK_EINVALID)
			fail_msg("not refused: %s", text);
		assert_null(value);
		reason = mk_after_prefix(err.message, refusals[i][1]);
		if (!reason || !strstr(reason, refusals[i][2]))
			fail_msg("%s: %s", text, err.message);
	}
}

static void test_all_documents(void **state)
{
	static const char text[] = "# one\na: 1\n---\n---\nnull\n---\n- 2\n...\n---\nx\n";
	mk_autoerror err = { .code = MK_OK };
	mk_autojson *docs = NULL;
	mk_autofree char *json = NULL;

	(void)state;
	assert_int_equal(mk_yaml_parse_all(text, strlen(text), "t", &docs, &err), 0);
	json = mk_json_print(docs);
	assert_string_equal(json, "[{\"a\":1},[2],\"x\"]");
}

/* A NUL byte in the file is not the end of it. */
static void test_nul_byte(void **state)
{
	static const char text[] = "a: 1\n\0b: [";
	mk_autoerror err = { .code = MK_OK };
	mk_autojson *value = NULL;

	(void)state;
	assert_int_equal(mk_yaml_parse(text, sizeof(text) - 1, "t", &value, &err), -MK_EINVALID);
	assert_string_equal(err.message, "t:2:1: control characters are not allowed");
}

static int parse_repeated(const char *piece, size_t count, struct mk_error *err)
{
	mk_autobuf buf = mk_buf_init(MK_MIB);
	mk_autojson *value = NULL;

	for (size_t i = 0; i < count; i++)
		mk_buf_adds(&buf, piece);
	assert_false(buf.full);
	return mk_yaml_parse(buf.data, buf.len, "t", &value, err);
}

static void test_limits(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(parse_repeated("[", MK_MAX_YAML_DEPTH + 1, &err), -MK_EINVALID);
	assert_string_equal(err.message, "t:1:65: nested more than 64 levels deep");
	assert_int_equal(parse_repeated("- ", MK_MAX_YAML_DEPTH + 1, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "nested more than 64"));
	assert_int_equal(parse_repeated("[", 100000, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "nested more than 64"));
	assert_int_equal(parse_repeated("- 1\n", MK_MAX_YAML_NODES, &err), -MK_EINVALID);
	assert_string_equal(err.message, "t:200000:3: more than 200000 values");
	assert_int_equal(parse_repeated("- 1\n", MK_MAX_YAML_NODES - 1, &err), 0);
}

static void test_lines(void **state)
{
	static const char text[] = "---\n# top\nname: dev\nnodes:\n- role: a\n- role: b\n"
				   "  labels: {a.b/c: x, d: y}\nlists:\n  - - 1\n    - 2\n"
				   "a: {b: 1}\na.b: {c: 1}\n---\n# nothing\n";
	static const struct {
		const char *path;
		size_t line, column;
	} cases[] = {
		{ "", 3, 1 },
		{ "name", 3, 1 },
		{ "nodes", 4, 1 },
		{ "nodes[0]", 5, 3 },
		{ "nodes[1].role", 6, 3 },
		{ "nodes[1].labels.a.b/c", 7, 12 },
		{ "nodes[1].labels.d", 7, 22 },
		{ "lists[0][1]", 10, 7 },
		{ "a.b", 11, 5 },
		{ "a.b.c", 12, 7 },
		{ "nodes[2]", 0, 0 },
		{ "nodes[0].labels", 0, 0 },
		{ "nam", 0, 0 },
		{ "name.x", 0, 0 },
		{ "[0]", 0, 0 },
	};
	mk_autoerror err = { .code = MK_OK };
	mk_autojson *value = NULL;
	MK_CLEANUP(mk_yaml_lines_freep) struct mk_yaml_lines *lines = NULL;

	(void)state;
	assert_int_equal(mk_yaml_parse_lines(text, strlen(text), "t", &value, &lines, &err), 0);
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		size_t line, column;

		mk_yaml_lines_at(lines, cases[i].path, &line, &column);
		assert_int_equal(line, cases[i].line);
		assert_int_equal(column, cases[i].column);
	}
}

/* Documents in strings of a document: literal blocks keep their lines. */
static void test_inner(void **state)
{
	static const char text[] = "p:\n- |\n  a: 1\n  b: {c: 2}\n- 'a: 1'\n- >\n  a: 1\n"
				   "- |  # why\n\n    a:\n      b: 1\r\n- |2\n     a: 1\n"
				   "- \"a\\nb: ]\"\nq: |-\n   x: |\n     y: 1\n";
	static const struct {
		const char *path, *inner;
		size_t line, column;
	} cases[] = {
		{ "p[0]", "a", 3, 3 },
		{ "p[0]", "b.c", 4, 7 },
		{ "p[1]", "a", 5, 3 },
		{ "p[2]", "a", 6, 3 },
		{ "p[3]", "a.b", 11, 7 },
		{ "p[4]", "a", 13, 6 },
		{ "q", "x", 16, 4 },
	};
	mk_autoerror err = { .code = MK_OK };
	mk_autojson *value = NULL;
	MK_CLEANUP(mk_yaml_lines_freep) struct mk_yaml_lines *lines = NULL;
	MK_CLEANUP(mk_yaml_lines_freep) struct mk_yaml_lines *none = NULL;
	struct mk_yaml_mark where = { .line = 0 };
	struct mk_yaml_origin origin;
	const json_t *patches;

	(void)state;
	assert_int_equal(mk_yaml_parse_lines(text, strlen(text), "t", &value, &lines, &err), 0);
	patches = json_object_get(value, "p");
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		MK_CLEANUP(mk_yaml_lines_freep) struct mk_yaml_lines *inner = NULL;
		mk_autojson *document = NULL;
		const char *s = json_string_value(i < 6 ? json_array_get(patches, i > 0 ? i - 1 : 0)
							: json_object_get(value, "q"));
		size_t line, column;

		assert_true(mk_yaml_lines_origin(lines, cases[i].path, &origin));
		assert_int_equal(
			mk_yaml_parse_inner(s, strlen(s), &origin, &document, &inner, &where, &err),
			0);
		mk_yaml_lines_at(inner, cases[i].inner, &line, &column);
		assert_int_equal(line, cases[i].line);
		assert_int_equal(column, cases[i].column);
	}
	assert_false(mk_yaml_lines_origin(lines, "p[9]", &origin));
	assert_true(mk_yaml_lines_origin(lines, "p[0]", &origin));
	value = (json_decref(value), NULL);
	assert_int_equal(mk_yaml_parse_inner("a: 1\nb: ]", 9, &origin, &value, &none, &where, &err),
		-MK_EINVALID);
	assert_int_equal(where.line, 4);
	assert_int_equal(where.column, 6);
	assert_null(strstr(err.message, ":4:"));
}

static void test_kubectl_words(void **state)
{
	static const char text[] = "[yes, Off, y, N, 'yes', yEs]";
	mk_autoerror err = { .code = MK_OK };
	mk_autojson *value = NULL;
	mk_autofree char *json = NULL;
	MK_CLEANUP(mk_yaml_lines_freep) struct mk_yaml_lines *lines = NULL;

	(void)state;
	assert_int_equal(mk_yaml_parse_kubectl(text, strlen(text), "t", &value, &lines, &err), 0);
	json = mk_json_print(value);
	assert_string_equal(json, "[true,false,true,false,\"yes\",\"yEs\"]");
}

/* JSON and the exact YAML for it. */
static const char *const layouts[][2] = {
	{ "null", "null\n" },
	{ "[]", "[]\n" },
	{ "{}", "{}\n" },
	{ "\"a\\nb\"", "|-\n  a\n  b\n" },
	{ "{\"b\":1,\"a\":{\"c\":[]},\"d\":{}}", "b: 1\na:\n  c: []\nd: {}\n" },
	{ "{\"l\":[1,{\"x\":true,\"z\":[null]},[2,[3]],{}]}",
		"l:\n- 1\n- x: true\n  z:\n  - null\n- - 2\n  - - 3\n- {}\n" },
	{ "{\"a\":\"yes\",\"b\":\"1\",\"c\":\"plain text\",\"d\":\"a: b\",\"e\":\"\"}",
		"a: \"yes\"\nb: \"1\"\nc: plain text\nd: \"a: b\"\ne: \"\"\n" },
	{ "{\"a\":\"https://127.0.0.1:6443\",\"b\":\"LS0t+/A==\",\"c\":\"mkcluster-dev\"}",
		"a: https://127.0.0.1:6443\nb: LS0t+/A==\nc: mkcluster-dev\n" },
	{ "{\"no\":1,\"2\":2,\"a b\":3,\"x\\ny\":4}",
		"\"no\": 1\n\"2\": 2\na b: 3\n\"x\\ny\": 4\n" },
	{ "{\"s\":\"#!/bin/sh\\n\\n\\techo hi\\n\",\"t\":[\"a\\nb\"]}",
		"s: |\n  #!/bin/sh\n\n  \techo hi\nt:\n- |-\n  a\n  b\n" },
	{ "[0.1,1.0,1e300,-2.5]", "- 0.1\n- 1.0\n- 1e+300\n- -2.5\n" },
	{ "\"\\u0001\\u007f\\u0085\\u00e9\\u2028\\ufeff\\t\\\"\\\\\"",
		"\"\\x01\\x7F\\u0085\xc3\xa9\\u2028\\uFEFF\\t\\\"\\\\\"\n" },
};

static void test_layouts(void **state)
{
	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(layouts); i++) {
		mk_autojson *value = json_loads(layouts[i][0], JSON_DECODE_ANY, NULL);
		mk_autofree char *text = print(value);

		assert_string_equal(text, layouts[i][1]);
	}
}

static const char *const odd_strings[] = {
	"",
	" ",
	"a ",
	" a",
	"a  b",
	"~",
	"null",
	"NULL",
	"True",
	"yes",
	"No",
	"ON",
	"y",
	"-",
	"- a",
	"-a",
	"?",
	"? a",
	":",
	":a",
	"a:",
	"a: b",
	"a:b",
	"a #b",
	"a#b",
	"#a",
	"&a",
	"*a",
	"!a",
	"!!str a",
	"|",
	">",
	"'",
	"\"",
	"it's",
	"%a",
	"@a",
	"`a`",
	"[a",
	"]",
	"{a}",
	"a, b",
	",",
	"=",
	"<<",
	"---",
	"--- a",
	"...",
	"0",
	"007",
	"089",
	"0x1f",
	"0o7",
	"0b1",
	"1e3",
	"1.",
	".5",
	"1_000",
	"+1",
	"-1",
	".inf",
	"-.INF",
	".nan",
	"1:20",
	"12:30:45",
	"2001-12-14",
	"2001-12-14t21:59:43.10-05:00",
	"9223372036854775808",
	"a\nb",
	"a\nb\n",
	"a\nb\n\n",
	"\na",
	"\n",
	"\n\n",
	"a\n\nb\n",
	" a\nb\n",
	"a\n b\n",
	"a \nb",
	"a\n  \nb",
	"a\tb",
	"\ta",
	"\ta\nb\n",
	"a\n\tb\n",
	"a\nb\t\n",
	"a\r\nb\r\n",
	"\r",
	"a\rb\nc",
	"---\na\n",
	"a\n---\n...\nb\n",
	"# a\n# b\n",
	"- a\n- b\n",
	"a: b\nc: d\n",
	"\\",
	"\\n",
	"\"a\"\n'b'\n",
	"\x01",
	"\x7f\n",
	"\x1b[0m",
	"\xc2\x85",
	"a\xe2\x80\xa8"
	"b\nc",
	"\xe2\x80\xa9",
	"\xef\xbb\xbf",
	"\xef\xbf\xbe",
	"\xef\xbf\xbd",
	"\xc3\xa9t\xc3\xa9",
	"\xf0\x9f\x98\x80",
	"\xe2\x82\xac 5\nx\n",
	"\xc2\xa0",
	"\xc2\x9f",
	"%YAML 1.1\nx\n",
	"@\n@\n",
	"a:\n b:\n",
	"true\n",
	"1\n",
};

/* Every string alone, as a value, as a key, and in a list in a list. */
static json_t *odd_tree(void)
{
	json_t *tree = json_object();

	for (size_t i = 0; i < MK_ARRAY_LEN(odd_strings); i++) {
		const char *s = odd_strings[i];

		assert_int_equal(json_object_set_new(tree, s,
					 mk_json_pack("{s:s, s:[s,[s,s]], s:{s:[{s:s}]}}", "v", s,
						 "list", s, s, s, "map", s, s, s)),
			0);
	}
	return tree;
}

static void test_round_trips(void **state)
{
	mk_autojson *tree = odd_tree();
	mk_autofree char *text = print(tree);
	mk_autojson *again = parse(text);

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(odd_strings); i++) {
		mk_autojson *string = json_string(odd_strings[i]);
		mk_autofree char *alone = print(string);
		mk_autojson *back = parse(alone);

		if (!json_equal(string, back))
			fail_msg("case %zu: %s", i, alone);
	}
	assert_true(json_equal(tree, again));
}

/* Printed JSON of random bytes and numbers reads back, whatever they are. */
static void test_random_round_trips(void **state)
{
	static const char alphabet[] = "aZ09 -:#\n\n\t\"'\\|>[]{},&*!%@?=~._+/\r\x7f";
	unsigned int seed = 4711;

	(void)state;
	for (size_t n = 0; n < 3000; n++) {
		mk_autojson *value = json_array();
		mk_autofree char *text = NULL;
		mk_autojson *back = NULL;
		char s[16] = "";
		size_t len = (size_t)rand_r(&seed) % (sizeof(s) - 1);

		for (size_t i = 0; i < len; i++)
			s[i] = alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
		assert_int_equal(json_array_append_new(value, json_string(s)), 0);
		assert_int_equal(json_array_append_new(value, mk_json_pack("{s:s}", s, s)), 0);
		assert_int_equal(json_array_append_new(value, json_real(rand_r(&seed) * 1e-7)), 0);
		assert_int_equal(json_array_append_new(value, json_integer(-rand_r(&seed))), 0);
		text = print(value);
		back = parse(text);
		if (!json_equal(value, back))
			fail_msg("%s", text);
	}
}

static void test_print_limits(void **state)
{
	mk_autobuf small = mk_buf_init(10), large = mk_buf_init(MK_MIB);
	mk_autoerror err = { .code = MK_OK };
	mk_autojson *deep = json_array();

	(void)state;
	assert_int_equal(mk_yaml_print(deep, &small, &err), 0);
	for (size_t i = 0; i < MK_MAX_YAML_DEPTH; i++)
		deep = mk_json_pack("[o]", deep);
	assert_int_equal(mk_yaml_print(deep, &small, &err), -MK_EINVALID);
	assert_int_equal(mk_yaml_print(deep, &large, &err), 0);
	deep = mk_json_pack("{s:o}", "a", deep);
	assert_int_equal(mk_yaml_print(deep, &large, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "nested more than 64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meanings),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_all_documents),
		cmocka_unit_test(test_nul_byte),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_inner),
		cmocka_unit_test(test_kubectl_words),
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_random_round_trips),
		cmocka_unit_test(test_print_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

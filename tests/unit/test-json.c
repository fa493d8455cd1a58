/* SPDX-License-Identifier: Apache-2.0 */
/* Looking values up by path, and which documents are refused. */
#include "lib/base/json.h"
#include "lib/base/str.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void test_paths(void **state)
{
	static const char
		text[] = "{\"a\":{\"b\":{\"c\":\"deep\",\"n\":7,\"f\":1.5}},\"s\":\"top\","
			 "\"l\":[1],\"a.b\":\"dotted\",\"z\":null,\"\":\"empty\"}";
	mk_autojson *value = NULL;
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_json_parse(text, strlen(text), "t", &value, &err), 0);
	assert_string_equal(mk_json_str(value, "a.b.c", "no"), "deep");
	assert_string_equal(mk_json_str(value, "s", "no"), "top");
	assert_string_equal(mk_json_str(value, "a.b", "no"), "no");
	assert_string_equal(mk_json_str(value, "s.more", "no"), "no");
	assert_string_equal(mk_json_str(value, "l.0", "no"), "no");
	assert_string_equal(mk_json_str(value, "z", "no"), "no");
	assert_null(mk_json_str(value, "x.y.z", NULL));
	assert_int_equal(mk_json_int(value, "a.b.n", -1), 7);
	assert_int_equal(mk_json_int(value, "a.b.f", -1), -1);
	assert_int_equal(mk_json_int(value, "a.b.c", -1), -1);
	assert_ptr_equal(mk_json_at(value, ""), value);
	assert_true(json_is_null(mk_json_at(value, "z")));
	/* An absent document is one without keys. */
	assert_null(mk_json_at(NULL, "a"));
	assert_string_equal(mk_json_str(NULL, "a.b", "no"), "no");
}

static void test_refusals(void **state)
{
	static const char *const cases[][2] = {
		{ "", "t: line 1, column 0: " },
		{ "{", "t: line 1, column 1: " },
		{ "{}\n x", "t: line 2, column 2: " },
		{ "{\"a\":1,\"a\":2}", "duplicate" },
		{ "{\"a\":\"\\u0000\"}", "t: line 1" },
		{ "\"\xff\"", "t: line 1" },
		{ "[99999999999999999999]", "too big" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		json_t *value = NULL;
		mk_autoerror err = { .code = MK_OK };

		assert_int_equal(mk_json_parse(cases[i][0], strlen(cases[i][0]), "t", &value, &err),
			-MK_EINVALID);
		assert_null(value);
		assert_non_null(strstr(err.message, cases[i][1]));
	}
}

/* A peer cannot exhaust the stack with brackets. */
static void test_depth(void **state)
{
	size_t len = 100000;
	mk_autofree char *text = mk_xmalloc(len);
	json_t *value = NULL;
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	memset(text, '[', len);
	assert_int_equal(mk_json_parse(text, len, "t", &value, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "depth"));
}

static void test_print(void **state)
{
	mk_autojson *value = mk_json_pack("{s:s,s:[i,n,b]}", "a", "\"", "l", 1, 1);
	mk_autojson *word = json_string("w");
	mk_autofree char *text = mk_json_print(value);
	mk_autofree char *plain = mk_json_print(word);
	mk_autofree char *none = mk_json_print(NULL);

	(void)state;
	assert_string_equal(text, "{\"a\":\"\\\"\",\"l\":[1,null,true]}");
	assert_string_equal(plain, "\"w\"");
	assert_string_equal(none, "null");
}

/* At any depth, and nothing but strings. */
static void test_wipe(void **state)
{
	mk_autojson *value = mk_json_pack(
		"{s:s,s:[s,{s:s}],s:i}", "a", "one", "b", "two", "c", "three", "d", 4);
	const char *strings[] = { mk_json_str(value, "a", ""),
		json_string_value(json_array_get(mk_json_at(value, "b"), 0)),
		mk_json_str(json_array_get(mk_json_at(value, "b"), 1), "c", "") };

	(void)state;
	mk_json_wipe(value);
	assert_memory_equal(strings[0], "\0\0\0", 3);
	assert_memory_equal(strings[1], "\0\0\0", 3);
	assert_memory_equal(strings[2], "\0\0\0\0\0", 5);
	assert_int_equal(mk_json_int(value, "d", 0), 4);
	mk_json_wipe(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

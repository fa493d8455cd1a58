/* SPDX-License-Identifier: Apache-2.0 */
/* String lists, numbers, and the guesses behind "did you mean". */
#include "lib/base/str.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void test_list(void **state)
{
	mk_autostrlist list = { .items = NULL };
	mk_autofree char *joined = NULL;

	(void)state;
	assert_false(mk_strlist_has(&list, "a"));
	mk_strlist_sort(&list);
	mk_strlist_add(&list, "c");
	mk_strlist_take(&list, mk_xstrdup("a"));
	mk_strlist_addf(&list, "%s%d", "b", 1);
	mk_strlist_sort(&list);
	joined = mk_strlist_join(&list, ", ");
	assert_string_equal(joined, "a, b1, c");
	assert_null(list.items[3]);
	assert_true(mk_strlist_has(&list, "b1"));
	assert_false(mk_strlist_has(&list, "b"));
	mk_strlist_done(&list);
	assert_int_equal(list.count, 0);
	mk_strlist_done(&list);
}

static void test_split(void **state)
{
	static const char *const cases[][3] = {
		{ "", ",", "" },
		{ ",", ",", "" },
		{ "a", ",", "a" },
		{ ",a,,b,", ",", "a|b" },
		{ "a b\tc", " \t", "a|b|c" },
		{ "one\ntwo\n", "\n", "one|two" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autostrlist list = { .items = NULL };
		mk_autofree char *joined = NULL;

		mk_strlist_split(&list, cases[i][0], cases[i][1]);
		joined = mk_strlist_join(&list, "|");
		assert_string_equal(joined, cases[i][2]);
	}
}

static void test_affixes(void **state)
{
	(void)state;
	assert_string_equal(mk_after_prefix("unix:///s", "unix://"), "/s");
	assert_string_equal(mk_after_prefix("a", "a"), "");
	assert_null(mk_after_prefix("a", "ab"));
	assert_null(mk_after_prefix("", "a"));
	assert_true(mk_has_suffix("etcd.service", ".service"));
	assert_true(mk_has_suffix("x", ""));
	assert_false(mk_has_suffix("ice", "service"));
	assert_false(mk_has_suffix("service.d", "service"));
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		bool ok;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0, true, 0 },
		{ "65535", 1, 65535, true, 65535 },
		{ "65536", 1, 65535, false, 0 },
		{ "0", 1, 9, false, 0 },
		{ "007", 0, 9, true, 7 },
		{ "18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, false, 0 },
		{ "99999999999999999999999", 0, UINT64_MAX, false, 0 },
		{ "", 0, 9, false, 0 },
		{ " 1", 0, 9, false, 0 },
		{ "1 ", 0, 9, false, 0 },
		{ "-1", 0, UINT64_MAX, false, 0 },
		{ "+1", 0, 9, false, 0 },
		{ "0x1", 0, 9, false, 0 },
		{ "1\n", 0, 9, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		uint64_t value = 42;

		assert_int_equal(mk_parse_uint(cases[i].text, cases[i].min, cases[i].max, &value),
			cases[i].ok);
		assert_int_equal(value, cases[i].ok ? cases[i].value : 42);
	}
}

static void test_distance(void **state)
{
	static const struct {
		const char *a, *b;
		size_t distance;
	} cases[] = {
		{ "", "", 0 },
		{ "", "abc", 3 },
		{ "create", "create", 0 },
		{ "craete", "create", 1 },
		{ "creat", "create", 1 },
		{ "xcreate", "create", 1 },
		{ "kitten", "sitting", 3 },
		{ "ca", "abc", 3 },
	};
	char many[200];

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		assert_int_equal(mk_edit_distance(cases[i].a, cases[i].b), cases[i].distance);
		assert_int_equal(mk_edit_distance(cases[i].b, cases[i].a), cases[i].distance);
	}
	/* Longer words are compared by their beginning. */
	memset(many, 'a', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	assert_int_equal(mk_edit_distance(many, "a"), 31);
	assert_int_equal(mk_edit_distance(many, many), 0);
}

static void test_guesses(void **state)
{
	static const char *const words[] = { "create", "delete", "get", "load", "build",
		"version" };
	static const char *const cases[][2] = {
		{ "craete", "create" },
		{ "del", "delete" },
		{ "Get", "get" },
		{ "verison", "version" },
		{ "laod", "load" },
		{ "xyz", NULL },
		{ "", NULL },
		{ "c", NULL },
		{ "kubernetes", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		const char *near = mk_did_you_mean(cases[i][0], words, MK_ARRAY_LEN(words));

		if (cases[i][1])
			assert_string_equal(near, cases[i][1]);
		else
			assert_null(near);
	}
	assert_null(mk_did_you_mean("create", words, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_affixes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_guesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

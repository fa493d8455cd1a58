/* SPDX-License-Identifier: Apache-2.0 */
/* The error object: one line whatever a peer said, context in front, one owner. */
#include "lib/base/error.h"
#include "lib/base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void test_fail(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_fail(&err, MK_EREMOTE, "%s: %d", "it", 7), -MK_EREMOTE);
	assert_int_equal(err.code, MK_EREMOTE);
	assert_string_equal(err.message, "it: 7");
	assert_null(err.hint);
	assert_int_equal(err.status, 0);
}

/* A second failure replaces all of the first, also when it quotes it. */
static void test_replace(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	(void)mk_fail(&err, MK_EREMOTE, "first");
	err.status = 404;
	err.detail = mk_xstrdup("lines\n");
	mk_error_hint(&err, "do this");
	mk_error_hint(&err, "or that");
	assert_string_equal(err.hint, "do this");
	assert_int_equal(mk_fail(&err, MK_EFAIL, "second after %s", err.message), -MK_EFAIL);
	assert_string_equal(err.message, "second after first");
	assert_null(err.hint);
	assert_null(err.detail);
	assert_int_equal(err.status, 0);
}

static void test_one_line(void **state)
{
	static const char *const cases[][2] = {
		{ "two\nlines", "two lines" },
		{ "end\r\n", "end" },
		{ "\x1b[31mred\x7f", " [31mred" },
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "\n", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autoerror err = { .code = MK_OK };

		(void)mk_fail(&err, MK_EFAIL, "%s", cases[i][0]);
		assert_string_equal(err.message, cases[i][1]);
	}
}

static void test_errno(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	errno = ENOENT;
	assert_int_equal(mk_fail_errno(&err, "open '%s'", "x"), -MK_ESYS);
	assert_string_equal(err.message, "open 'x': No such file or directory");
}

static void test_wrap(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	(void)mk_fail(&err, MK_ENET, "refused");
	err.status = 7;
	assert_int_equal(mk_error_wrap(&err, "create\nnode '%s'", "n"), -MK_ENET);
	assert_string_equal(err.message, "create node 'n': refused");
	assert_int_equal(err.status, 7);
	assert_int_equal(mk_error_recode(&err, MK_EHOST), -MK_EHOST);
	assert_string_equal(err.message, "create node 'n': refused");
	mk_error_done(&err);
	assert_int_equal(mk_error_wrap(&err, "a"), 0);
	assert_string_equal(err.message, "a: unknown error");
}

static void test_move(void **state)
{
	mk_autoerror from = { .code = MK_OK };
	mk_autoerror to = { .code = MK_OK };

	(void)state;
	(void)mk_fail(&from, MK_EINTR, "interrupted");
	mk_error_hint(&from, "hint");
	(void)mk_fail(&to, MK_EFAIL, "old");
	mk_error_move(&to, &from);
	assert_int_equal(to.code, MK_EINTR);
	assert_string_equal(to.message, "interrupted");
	assert_string_equal(to.hint, "hint");
	assert_int_equal(from.code, MK_OK);
	assert_null(from.message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

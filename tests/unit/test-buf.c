/* SPDX-License-Identifier: Apache-2.0 */
/* Growing strings: their cap, their terminator, and that nothing is lost below it. */
#include "lib/base/buf.h"

#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_empty(void **state)
{
	mk_autobuf buf = mk_buf_init(10);
	struct mk_buf zero = { .data = NULL };

	(void)state;
	assert_string_equal(buf.data, "");
	mk_buf_drop(&buf, 5);
	mk_buf_add(&buf, NULL, 0);
	assert_int_equal(buf.len, 0);
	assert_false(buf.full);
	mk_buf_clear(&zero);
	mk_buf_drop(&zero, 1);
	mk_buf_wipe(&zero);
	mk_buf_done(&zero);
}

/* Every length around the growth steps, by bytes and by blocks. */
static void test_growth(void **state)
{
	(void)state;
	for (size_t len = 0; len < 300; len++) {
		mk_autobuf bytes = mk_buf_init(1000);
		mk_autobuf block = mk_buf_init(1000);
		mk_autofree char *data = mk_xcalloc(len + 1, 1);

		memset(data, 'x', len);
		for (size_t i = 0; i < len; i++)
			mk_buf_add(&bytes, "x", 1);
		mk_buf_add(&block, data, len);
		assert_int_equal(bytes.len, len);
		assert_int_equal(block.len, len);
		assert_string_equal(bytes.data, data);
		assert_string_equal(block.data, data);
		assert_true(bytes.cap <= 1000 && block.cap <= 1000);
	}
}

static void test_cap(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	for (size_t max = 0; max < 70; max++) {
		mk_autobuf buf = mk_buf_init(max);

		for (size_t i = 0; i < max; i++)
			mk_buf_add(&buf, "y", 1);
		assert_int_equal(mk_buf_check(&buf, "it", &err), 0);
		mk_buf_adds(&buf, "zz");
		assert_int_equal(buf.len, max);
		assert_int_equal(strlen(buf.data), max);
		assert_true(buf.full);
		assert_int_equal(mk_buf_check(&buf, "it", &err), -MK_EINVALID);
		mk_buf_clear(&buf);
		assert_int_equal(mk_buf_check(&buf, "it", &err), 0);
	}
	assert_string_equal(err.message, "it is larger than 69 bytes");
}

/* What does not fit is cut at the cap, not left out. */
static void test_cut(void **state)
{
	mk_autobuf buf = mk_buf_init(6);

	(void)state;
	mk_buf_addf(&buf, "%s-%d", "abc", 12345);
	assert_string_equal(buf.data, "abc-12");
	assert_true(buf.full);
	mk_buf_drop(&buf, 4);
	assert_string_equal(buf.data, "12");
	mk_buf_adds(&buf, "3");
	assert_string_equal(buf.data, "123");
	mk_buf_drop(&buf, 99);
	assert_string_equal(buf.data, "");
}

static void test_detach(void **state)
{
	mk_autobuf buf = mk_buf_init(SIZE_MAX / 2);
	mk_autofree char *first = NULL;
	mk_autofree char *second = NULL;

	(void)state;
	mk_buf_add(&buf, "a\0b", 3);
	first = mk_buf_detach(&buf);
	assert_memory_equal(first, "a\0b", 4);
	assert_int_equal(buf.len, 0);
	second = mk_buf_detach(&buf);
	assert_string_equal(second, "");
	/* A detached buffer is as good as new. */
	mk_buf_adds(&buf, "again");
	assert_string_equal(buf.data, "again");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_detach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

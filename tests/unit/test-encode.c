/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (the vectors of RFC 4648, section 10), hex and random names. */
#include "lib/base/encode.h"
#include "lib/base/str.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const vectors[][2] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
};

static void test_vectors(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(vectors); i++) {
		mk_autofree char *text = mk_base64(vectors[i][0], strlen(vectors[i][0]));
		mk_autobuf back = mk_buf_init(100);

		assert_string_equal(text, vectors[i][1]);
		assert_int_equal(mk_base64_decode(text, &back, &err), 0);
		assert_string_equal(back.data, vectors[i][0]);
	}
}

/* Bytes of every value, and of every length to the padding's period. */
static void test_round_trip(void **state)
{
	unsigned char data[256 + 3];
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7);
	for (size_t len = 0; len <= sizeof(data); len++) {
		mk_autofree char *text = mk_base64(data, len);
		mk_autobuf back = mk_buf_init(1000);

		assert_int_equal(mk_base64_decode(text, &back, &err), 0);
		assert_int_equal(back.len, len);
		assert_memory_equal(back.data, data, len);
	}
}

static void test_url(void **state)
{
	mk_autofree char *plain = mk_base64("\xfb\xff\xfe?", 4);
	mk_autofree char *url = mk_base64url("\xfb\xff\xfe?", 4);

	(void)state;
	assert_string_equal(plain, "+//+Pw==");
	assert_string_equal(url, "-__-Pw==");
}

static void test_decode(void **state)
{
	static const struct {
		const char *text;
		const char *data; /* NULL: refused */
	} cases[] = {
		{ " Zm9v\r\nYm\tFy\n", "foobar" },
		{ "Zg= =", "f" },
		{ "Zg", NULL },
		{ "Zg=", NULL },
		{ "Zg===", NULL },
		{ "Z", NULL },
		{ "=", NULL },
		{ "====", NULL },
		{ "Zg==Zg==", NULL },
		{ "Zm9v=", NULL },
		{ "Zm-v", NULL },
		{ "Zm9v\x80", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autobuf back = mk_buf_init(100);
		mk_autoerror err = { .code = MK_OK };
		int r = mk_base64_decode(cases[i].text, &back, &err);

		assert_int_equal(r, cases[i].data ? 0 : -MK_EINVALID);
		if (cases[i].data)
			assert_string_equal(back.data, cases[i].data);
	}
}

static void test_decode_limits(void **state)
{
	mk_autobuf small = mk_buf_init(5);
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_base64_decode("Zm9vYmFy", &small, &err), -MK_EINVALID);
	/* Appended, not replaced. */
	mk_buf_clear(&small);
	mk_buf_adds(&small, "a");
	assert_int_equal(mk_base64_decode("Zg==", &small, &err), 0);
	assert_string_equal(small.data, "af");
}

static void test_hex(void **state)
{
	mk_autofree char *hex = mk_hex("\x00\x0f\xf0\xff", 4);
	mk_autofree char *none = mk_hex("", 0);

	(void)state;
	assert_string_equal(hex, "000ff0ff");
	assert_string_equal(none, "");
}

static void test_random(void **state)
{
	mk_autofree char *a = NULL;
	mk_autofree char *b = NULL;
	mk_autofree char *most = NULL;
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_random_hex(8, &a, &err), 0);
	assert_int_equal(mk_random_hex(8, &b, &err), 0);
	assert_int_equal(mk_random_hex(1000, &most, &err), 0);
	assert_int_equal(strlen(a), 16);
	assert_int_equal(strspn(a, "0123456789abcdef"), 16);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(most), 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_decode_limits),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

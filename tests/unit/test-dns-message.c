/* SPDX-License-Identifier: Apache-2.0 */
/* One DNS question, and the answers there may be. */
#include "lib/cluster/dns_message.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(s) (s), sizeof(s) - 1
#define QUESTION                                                                                   \
	"\x01"                                                                                     \
	"a\x01"                                                                                    \
	"b\x00\x00\x01\x00\x01"
#define HEAD "\x12\x34\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00"
#define ADDRESS "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x60\x00\x01"

static void test_question(void **state)
{
	mk_autobuf out = mk_buf_init(1000);
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_dns_question("a.b.", 0x1234, &out, &err), 0);
	assert_int_equal(out.len, 2 + 12 + sizeof(QUESTION) - 1);
	assert_memory_equal(out.data,
		"\x00\x15\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" QUESTION, out.len);
}

static void test_bad_names(void **state)
{
	mk_autofree char *label = mk_xcalloc(70, 1);
	mk_autofree char *name = mk_xcalloc(300, 1);
	const char *const names[] = { "", ".", label, name };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	memset(label, 'x', 64);
	for (size_t i = 0; i < 260; i++)
		name[i] = i % 2 ? '.' : 'a';
	for (size_t i = 0; i < MK_ARRAY_LEN(names); i++) {
		mk_autobuf out = mk_buf_init(1000);

		assert_int_equal(mk_dns_question(names[i], 1, &out, &err), -MK_EINVALID);
	}
}

static void test_answers(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		const char *address, *words;
		int code;
	} cases[] = {
		{ BYTES(HEAD QUESTION ADDRESS), "10.96.0.1", NULL, 0 },
		/* An alias in front of the address, with a name of its own. */
		{ BYTES("\x12\x34\x85\x80\x00\x01\x00\x02\x00\x00\x00\x00" QUESTION "\x01"
			"c\x00\x00\x05\x00\x01\x00\x00\x00\x05\x00\x02\xc0\x0c" ADDRESS),
			"10.96.0.1", NULL, 0 },
		{ BYTES("\x12\x34\x81\x82\x00\x01\x00\x00\x00\x00\x00\x00" QUESTION), NULL,
			"SERVFAIL", -MK_EREMOTE },
		{ BYTES("\x12\x34\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00" QUESTION), NULL,
			"NXDOMAIN", -MK_EREMOTE },
		{ BYTES("\x12\x34\x81\x8f\x00\x01\x00\x00\x00\x00\x00\x00" QUESTION), NULL,
			"an unknown error", -MK_EREMOTE },
		{ BYTES("\x12\x34\x85\x80\x00\x01\x00\x00\x00\x00\x00\x00" QUESTION), NULL,
			"without an address", -MK_EREMOTE },
		{ BYTES("\x12\x35\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00" QUESTION ADDRESS), NULL,
			"no answer", -MK_EINVALID },
		/* A question come back. */
		{ BYTES("\x12\x34\x05\x80\x00\x01\x00\x01\x00\x00\x00\x00" QUESTION ADDRESS), NULL,
			"no answer", -MK_EINVALID },
		{ BYTES("\x12\x34\x85\x80\xff\xff\xff\xff\x00\x00\x00\x00" QUESTION ADDRESS), NULL,
			"cut off", -MK_EINVALID },
		{ BYTES("\x12\x34"), NULL, "no answer", -MK_EINVALID },
		{ BYTES(""), NULL, "no answer", -MK_EINVALID },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *address = NULL;
		mk_autoerror err = { .code = MK_OK };
		int r = mk_dns_answer(cases[i].data, cases[i].len, 0x1234, &address, &err);

		assert_int_equal(r, cases[i].code);
		if (cases[i].address)
			assert_string_equal(address, cases[i].address);
		else if (!strstr(err.message, cases[i].words))
			fail_msg("%zu: %s", i, err.message);
	}
}

/* Cut anywhere, it is an error and nothing is read beyond it. */
static void test_cuts(void **state)
{
	static const char whole[] = HEAD QUESTION ADDRESS;

	(void)state;
	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		mk_autofree char *copy = mk_xmalloc(len + !len);
		mk_autofree char *address = NULL;
		mk_autoerror err = { .code = MK_OK };

		memcpy(copy, whole, len);
		assert_int_equal(mk_dns_answer(copy, len, 0x1234, &address, &err), -MK_EINVALID);
		assert_null(address);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

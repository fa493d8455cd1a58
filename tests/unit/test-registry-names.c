/* SPDX-License-Identifier: Apache-2.0 */
/* lib/registry's pure parts: names of images, hashes, and guesses at layers. */
#include "lib/base/str.h"
#include "lib/registry/digest.h"
#include "lib/registry/hints.h"
#include "lib/registry/reference.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void test_references(void **state)
{
	static const struct {
		const char *text, *whole; /* NULL: refused */
	} cases[] = {
		{ "echo", "docker.io/library/echo:latest" },
		{ "echo:1", "docker.io/library/echo:1" },
		{ "me/echo:V1_.-x", "docker.io/me/echo:V1_.-x" },
		{ "docker.io/echo", "docker.io/library/echo:latest" },
		{ "index.docker.io/echo", "docker.io/library/echo:latest" },
		{ "example.local/library/echo:1", "example.local/library/echo:1" },
		{ "localhost/echo", "localhost/echo:latest" },
		{ "localhost:5000/a/b/c:x", "localhost:5000/a/b/c:x" },
		{ "[::1]:5000/a", "[::1]:5000/a:latest" },
		{ "Host/a", "Host/a:latest" },
		{ "a__b/c-.d", NULL },
		{ "a__b/c--d", "docker.io/a__b/c--d:latest" },
		{ "a@sha256:0123456789012345678901234567890123456789012345678901234567890123",
			"docker.io/library/a@sha256:"
			"0123456789012345678901234567890123456789012345678901234567890123" },
		{ "a@sha256:short", NULL },
		{ "a@md5:0123", NULL },
		{ "", NULL },
		{ ":1", NULL },
		{ "echo:", NULL },
		{ "echo:-x", NULL },
		{ "echo:a/b", NULL },
		{ "Echo", NULL },
		{ "a/../b", NULL },
		{ "a//b", NULL },
		{ "a/", NULL },
		{ "/a", NULL },
		{ "a b", NULL },
		{ "a?b", NULL },
		{ "ho_st.x/a", NULL },
		{ "host:99999/a", NULL },
		{ "-host.x/a", NULL },
		{ "a___b", NULL },
		{ "\033[2J", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autoerror err = { .code = MK_OK };
		mk_autoreference reference = { .host = NULL };
		mk_autofree char *whole = NULL;
		int r = mk_reference_parse(cases[i].text, &reference, &err);

		if (r != (cases[i].whole ? 0 : -MK_EINVALID))
			fail_msg("'%s': %d %s", cases[i].text, r, err.message);
		if (!cases[i].whole) {
			assert_null(strchr(err.message, '\033'));
			continue;
		}
		whole = mk_reference_print(&reference);
		assert_string_equal(whole, cases[i].whole);
	}
}

static void test_digests(void **state)
{
	mk_autofree char *empty = NULL;
	mk_autofree char *file = NULL;
	mk_autoerror err = { .code = MK_OK };
	uint64_t size = 1;

	(void)state;
	assert_int_equal(mk_digest_data("", 0, &empty, &err), 0);
	assert_string_equal(
		empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_int_equal(mk_digest_file("/dev/null", &file, &size, &err), 0);
	assert_string_equal(file, empty);
	assert_int_equal(size, 0);
	assert_int_equal(mk_digest_file("/nonexistent", &file, NULL, &err), -MK_ENOTFOUND);
}

/* Ids as Docker 20.10.24 really gave them to these layers. */
static void test_hints_are_the_engines_ids(void **state)
{
	mk_autostrlist layers = { .count = 0 };
	MK_CLEANUP(mk_hints_freep) struct mk_hints *hints = NULL;
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	mk_strlist_split(&layers,
		"sha256:a7221f8a8d37891d5a2c1c5c15e4fd13cfff8e2fdc687b5f4d15f107853abba9 "
		"sha256:1d0db237f2bf284524e4c0be592c7247b0f0c65f00faa98edb0679b126575fd0 "
		"sha256:4b31feb84c90c4a5fa33fb42f7948c979659881676bd22e2816afa719371f11d "
		"sha256:070d830ed7be6d1a6f304bb5dbd4924b6712a7b30c17eacf8ea5e4183743d309",
		" ");
	assert_int_equal(mk_hints_new(&layers, 1, &hints, &err), 0);
	assert_string_equal(
		mk_hints_find(hints,
			"27472fcc5bddb87c63537fc03e32abb81ecf5a8f58948548a8df87073001f81e", ""),
		layers.items[0]);
	assert_string_equal(
		mk_hints_find(hints,
			"b7bba6a6eacc1463d46592c20f9bd84fda9b6564d164ef1dbe92f6d7814f14fa", "x"),
		layers.items[2]);
	assert_string_equal(
		mk_hints_find(hints,
			"266d176df3379bf2d1ce3e734966c11bd647f33a26450fe08fcad7aa44d25f29",
			"b7bba6a6eacc1463d46592c20f9bd84fda9b6564d164ef1dbe92f6d7814f14fa"),
		layers.items[3]);
	assert_null(mk_hints_find(hints, "266d", "27472fcc"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_hints_are_the_engines_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is a source, how it is taken apart, and what is refused in which words. */
#include "lib/base/str.h"
#include "lib/git/location.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_same(const char *actual, const char *expected)
{
	if (expected)
		assert_string_equal(actual, expected);
	else
		assert_null(actual);
}

static void taken_apart(void **state)
{
	static const struct {
		const char *from;
		struct {
			const char *folder, *url, *user, *password, *ref, *path;
		} is;
	} cases[] = {
		{ "deploy", { .folder = "deploy" } },
		{ "/srv/a@b:c", { .folder = "/srv/a@b:c" } },
		{ "./x.yaml", { .folder = "./x.yaml" } },
		{ "https://h.example/a/b.git", { .url = "https://h.example/a/b.git" } },
		{ "https://h.example/a/b/", { .url = "https://h.example/a/b" } },
		{ "https://h.example:8443/a@v1.2",
			{ .url = "https://h.example:8443/a", .ref = "v1.2" } },
		{ "https://h.example/a@feature/x:deploy/yaml",
			{ .url = "https://h.example/a",
				.ref = "feature/x",
				.path = "deploy/yaml" } },
		{ "https://h.example/a:dir/b@c.yml",
			{ .url = "https://h.example/a", .path = "dir/b@c.yml" } },
		{ "https://h.example/a@rel@1:x:y",
			{ .url = "https://h.example/a", .ref = "rel@1", .path = "x:y" } },
		{ "https://h.example/%40scope/a", { .url = "https://h.example/%40scope/a" } },
		{ "https://me:s%40crt%zz@h.example/a@main",
			{ .url = "https://h.example/a",
				.user = "me",
				.password = "s@crt%zz",
				.ref = "main" } },
		{ "https://token@h.example/a",
			{ .url = "https://h.example/a", .user = "token", .password = "" } },
		{ "http://127.0.0.1:80/a", { .url = "http://127.0.0.1:80/a" } },
		{ "http://127.8.9.1/a", { .url = "http://127.8.9.1/a" } },
		{ "http://[::1]:80/a", { .url = "http://[::1]:80/a" } },
		{ "http://localhost/a", { .url = "http://localhost/a" } },
		{ "file:///srv/a.git@refs/tags/v1",
			{ .url = "file:///srv/a.git", .ref = "refs/tags/v1" } },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autolocation location = { .folder = NULL };
		mk_autoerror err = { .code = MK_OK };

		if (mk_location_parse(cases[i].from, &location, &err) < 0)
			fail_msg("%s: %s", cases[i].from, err.message);
		assert_same(location.folder, cases[i].is.folder);
		assert_same(location.url, cases[i].is.url);
		assert_same(location.user, cases[i].is.user);
		assert_same(location.password, cases[i].is.password);
		assert_same(location.ref, cases[i].is.ref);
		assert_same(location.path, cases[i].is.path);
	}
}

static int refuse(const char *from, struct mk_error *err)
{
	mk_autolocation location = { .folder = NULL };

	return mk_location_parse(from, &location, err);
}

static void refused(void **state)
{
	static const struct {
		const char *from, *words;
	} cases[] = {
		{ "", "empty" },
		{ "ssh://git@h.example/a.git", "not read by ssh" },
		{ "git@h.example:a/b.git", "not read by ssh" },
		{ "git+ssh://h.example/a", "not read by ssh" },
		{ "git://h.example/a", "not read by git://" },
		{ "ftp://h.example/a", "not read by ftp://" },
		{ "http://h.example/a", "without TLS" },
		{ "http://127.0.0.1.example/a", "without TLS" },
		{ "http://localhost.example/a", "without TLS" },
		{ "http://x@128.0.0.1/a", "without TLS" },
		{ "https://", "no host" },
		{ "https:///a", "no host" },
		{ "https://h.example", "names no repository" },
		{ "https://h.example/", "names no repository" },
		{ "https://h.example:0/a", "no host" },
		{ "https://h.example:x/a", "no host" },
		{ "https://h.ex ample/a", "no host" },
		{ "https://[::1/a", "no host" },
		{ "file://server/a", "has a host" },
		{ "file://u@/a", "has a host" },
		{ "file:///", "names no repository" },
		{ "https://h.example/a?b=c", "character" },
		{ "https://h.example/a#b", "character" },
		{ "https://h.example/a b", "character" },
		{ "https://h.example/a@", "for a REF" },
		{ "https://h.example/a@:x", "for a REF" },
		{ "https://h.example/a:", "for a PATH" },
		{ "https://h.example/a@main:", "for a PATH" },
		{ "https://h.example/a@main~1", "'main~1' is no branch" },
		{ "https://h.example/a@a..b", "is no branch" },
		{ "https://h.example/a@refs/heads/*", "is no branch" },
		{ "https://h.example/a@-x", "is no branch" },
		{ "https://h.example/a@x.lock", "is no branch" },
		{ "https://h.example/a@main:/etc", "leads out" },
		{ "https://h.example/a:../x", "leads out" },
		{ "https://h.example/a:x/../../y", "leads out" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autoerror err = { .code = MK_OK };

		assert_int_equal(refuse(cases[i].from, &err), -MK_EUSAGE);
		if (!strstr(err.message, cases[i].words))
			fail_msg("%s: %s", cases[i].from, err.message);
	}
}

static void logins_are_not_shown(void **state)
{
	static const char *const cases[] = { "https://me:hunter2@h.example/a?x",
		"https://me:hunter2@h.example", "https://me:hunter2@h.example:port/a",
		"https://me:hunter2@/a", "https://me:hunter2/a@h.example/a",
		"http://me:hunter2@h.example/a", "ssh://me:hunter2@h.example/a",
		"ftp://me:hunter2@h.example/a", "https://me:hunter2@h.example/a@x~1",
		"https://me:hunter2@h.example/a@", "https://me:hunter2@h.example/a:../b",
		"file://me:hunter2@/a" };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autoerror err = { .code = MK_OK };

		assert_int_equal(refuse(cases[i], &err), -MK_EUSAGE);
		if (strstr(err.message, "hunter2") || (err.hint && strstr(err.hint, "hunter2")))
			fail_msg("%s: %s", cases[i], err.message);
	}
}

static void ids(void **state)
{
	(void)state;
	assert_true(mk_location_is_full_id("0123456789abcdefABCDEF0123456789abcdef01"));
	assert_false(mk_location_is_full_id("0123456789abcdef"));
	assert_false(mk_location_is_full_id("g123456789abcdefABCDEF0123456789abcdef01"));
	assert_true(mk_location_is_short_id("cf376b9a"));
	assert_false(mk_location_is_short_id("cf376b"));
	assert_false(mk_location_is_short_id("cf376b9x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken_apart),
		cmocka_unit_test(refused),
		cmocka_unit_test(logins_are_not_shown),
		cmocka_unit_test(ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The API server's encryption configuration: read, changed, written, refused. */
#include "pki/encryption.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
#define B "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="
#define HEAD "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
#define SECRETS "- resources:\n  - secrets\n  providers:\n"
#define ONE_KEY "  - secretbox:\n      keys:\n      - name: \"key1\"\n        secret: " A "\n"
#define TWO_KEYS ONE_KEY "      - name: \"key2\"\n        secret: " B "\n"
#define IDENTITY "  - identity: {}\n"

#define assert_ok(r, err)                                                                          \
	do {                                                                                       \
		if ((r) != 0)                                                                      \
			fail_msg("%s", (err).message);                                             \
	} while (0)

static int parse(const char *text, struct mk_encryption *ret, struct mk_error *err)
{
	return mk_encryption_parse(text, strlen(text), "file", ret, err);
}

static void assert_prints(const struct mk_encryption *config, const char *text)
{
	mk_autoerror err = { 0 };
	mk_autowipebuf printed = mk_buf_init(MK_MAX_ENCRYPTION_CONFIG);

	assert_ok(mk_encryption_print(config, &printed, &err), err);
	assert_string_equal(printed.data, text);
}

/* What is read is what is written. */
static void test_there_and_back(void **state)
{
	static const char *const texts[] = {
		HEAD SECRETS ONE_KEY IDENTITY,
		HEAD SECRETS TWO_KEYS,
		HEAD
		"- resources:\n  - secrets\n  - deployments.apps\n  - '*.*'\n  providers:\n" ONE_KEY
			IDENTITY,
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(texts); i++) {
		mk_autoerror err = { 0 };
		mk_autoencryption config = { .key_count = 0 };

		assert_ok(parse(texts[i], &config, &err), err);
		assert_prints(&config, texts[i]);
	}
}

/* As earlier versions wrote it, and as a person would. */
static void test_other_spellings(void **state)
{
	mk_autoerror err = { 0 };
	mk_autoencryption config = { .key_count = 0 };

	(void)state;
	assert_ok(
		parse("# mine\n{kind: EncryptionConfiguration, apiVersion: "
		      "apiserver.config.k8s.io/v1, resources: [{resources: [secrets], providers: "
		      "[{secretbox: {keys: [{name: key1, secret: '" A "'}]}}, {identity: {}}]}]}\n",
			&config, &err),
		err);
	assert_prints(&config, HEAD SECRETS ONE_KEY IDENTITY);
}

static void test_new(void **state)
{
	mk_autoerror err = { 0 };
	mk_autoencryption a = { .key_count = 0 }, b = { .key_count = 0 }, back = { .key_count = 0 };
	mk_autowipebuf text = mk_buf_init(MK_MAX_ENCRYPTION_CONFIG);

	(void)state;
	assert_ok(mk_encryption_new(&a, &err), err);
	assert_ok(mk_encryption_new(&b, &err), err);
	assert_string_equal(a.keys[0].name, "key1");
	assert_string_not_equal(a.keys[0].secret, b.keys[0].secret);
	assert_false(mk_encryption_same(&a, &b));
	assert_ok(mk_encryption_print(&a, &text, &err), err);
	assert_ok(parse(text.data, &back, &err), err);
	assert_true(mk_encryption_same(&a, &back));
}

static void test_changes(void **state)
{
	mk_autoerror err = { 0 };
	mk_autoencryption config = { .key_count = 0 }, other = { .key_count = 0 };
	const struct mk_encryption_key *key;

	(void)state;
	assert_ok(parse(HEAD SECRETS ONE_KEY IDENTITY, &config, &err), err);
	assert_ok(parse(HEAD SECRETS ONE_KEY IDENTITY, &other, &err), err);
	assert_null(mk_encryption_find(&config, "key2"));
	assert_ok(mk_encryption_add_new(&config, "key2", &err), err);
	assert_int_equal(mk_encryption_add_new(&config, "key2", &err), -MK_EEXISTS);
	assert_int_equal(mk_encryption_add_new(&config, "key 3", &err), -MK_EINVALID);
	key = mk_encryption_find(&config, "key2");
	assert_ptr_equal(key, &config.keys[1]);
	assert_int_equal(strlen(key->secret), 44);
	assert_string_not_equal(key->secret, A);
	/* The same key elsewhere; a second time it is there. */
	mk_encryption_add(&other, key);
	mk_encryption_add(&other, key);
	assert_true(mk_encryption_same(&config, &other));
	mk_encryption_promote(&config, "key2");
	assert_false(mk_encryption_same(&config, &other));
	assert_string_equal(config.keys[0].name, "key2");
	assert_string_equal(config.keys[1].name, "key1");
	mk_encryption_promote(&config, "key2");
	assert_string_equal(config.keys[0].name, "key2");
	mk_encryption_drop_others(&config, "key2");
	assert_int_equal(config.key_count, 1);
	mk_encryption_drop_others(&other, "key2");
	assert_true(mk_encryption_same(&config, &other));
	other.identity = false;
	assert_false(mk_encryption_same(&config, &other));
}

/* Each is refused with these words, and never with a key's. */
static void test_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "", "apiVersion" },
		{ "{", "file:" },
		{ "- a\n", "must be" },
		{ HEAD "  []\n", "one list of resources" },
		{ HEAD SECRETS ONE_KEY SECRETS ONE_KEY, "one list of resources" },
		{ HEAD SECRETS "  - identity: {}\n" ONE_KEY, "not encrypted" },
		{ HEAD SECRETS "  - identity: {}\n", "not encrypted" },
		{ HEAD "- resources: [secrets]\n  providers: []\n", "not encrypted" },
		{ HEAD "- resources: []\n  providers:\n" ONE_KEY, "names no resource" },
		{ HEAD "- resources: ['a b']\n  providers:\n" ONE_KEY, "resource" },
		{ HEAD SECRETS ONE_KEY ONE_KEY, "identity after it" },
		{ HEAD SECRETS ONE_KEY IDENTITY IDENTITY, "identity after it" },
		{ HEAD SECRETS ONE_KEY "    identity: {}\n", "one provider" },
		{ HEAD SECRETS "  - {}\n", "one provider" },
		{ HEAD SECRETS "  - aescbc: {keys: [{name: a, secret: " A "}]}\n",
			"secretbox alone" },
		{ HEAD SECRETS "  - kms: {name: a}\n", "secretbox alone" },
		{ HEAD SECRETS "  - secretbox: {keys: []}\n", "no key" },
		{ HEAD SECRETS ONE_KEY "      - name: key1\n        secret: " B "\n", "two keys" },
		{ HEAD SECRETS "  - secretbox: {keys: [{secret: " A "}]}\n", "name" },
		{ HEAD SECRETS "  - secretbox: {keys: [{name: a}]}\n", "secret" },
		{ HEAD SECRETS "  - secretbox: {keys: [{name: a, secret: YWFh}]}\n", "32 bytes" },
		{ HEAD SECRETS "  - secretbox: {keys: [{name: a, secret: \"\"}]}\n", "32 bytes" },
		{ HEAD SECRETS "  - secretbox: {keys: [{name: a, secret: '" A "!'}]}\n",
			"32 bytes" },
		/* The two in each other's place. */
		{ HEAD SECRETS "  - secretbox: {keys: [{name: " A ", secret: key1}]}\n",
			"letters, digits" },
		{ HEAD SECRETS "  - secretbox: {keys: [{name: 'a:b', secret: " A "}]}\n",
			"letters, digits" },
		{ "apiVersion: v1\nkind: Secret\nresources: []\n", "apiVersion" },
		{ HEAD SECRETS ONE_KEY "---\nb: 1\n", "file:" },
		{ HEAD SECRETS "  - secretbox: &x {keys: []}\n", "file:" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(bad); i++) {
		mk_autoerror err = { 0 };
		mk_autoencryption config = { .key_count = 0 };
		mk_autofree char *said = NULL;

		assert_int_equal(parse(bad[i].text, &config, &err), -MK_EINVALID);
		said = mk_xasprintf("%s\n%s", err.message, err.detail ? err.detail : "");
		if (!strstr(said, bad[i].words))
			fail_msg("%zu: '%s' is not in '%s'", i, bad[i].words, said);
		if (strstr(said, "YWFh") || strstr(said, "YmJi"))
			fail_msg("%zu: a key is in '%s'", i, said);
		assert_int_equal(config.key_count, 0);
		assert_null(config.keys);
	}
}

/* Whatever is cut off or replaced by another byte, nothing of it is taken amiss. */
static void test_damaged(void **state)
{
	static const char text[] = HEAD SECRETS TWO_KEYS IDENTITY;
	static const char others[] = "\0\n:-{'\"&*\xff";
	mk_autofree char *copy = mk_xstrdup(text);

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (size_t n = 0; n < sizeof(others); n++) {
			mk_autoerror err = { 0 };
			mk_autoencryption config = { .key_count = 0 };
			size_t len = n < sizeof(others) - 1 ? sizeof(text) - 1 : i;

			copy[i] = others[n < sizeof(others) - 1 ? n : 0];
			if (mk_encryption_parse(copy, len, "file", &config, &err) == 0)
				assert_in_range(config.key_count, 1, 2);
			copy[i] = text[i];
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_other_spellings),
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests_name("pki-encryption", tests, NULL, NULL);
}

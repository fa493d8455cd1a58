/* SPDX-License-Identifier: Apache-2.0 */
/* What etcd holds: pages of etcdctl as the node's script leaves them, and counts by key. */
#include "lib/cluster/encryption_private.h"
#include "lib/cluster/etcd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* "KEY=HEAD" of everything that was told. */
static int take(void *payload, const char *key, const struct mk_buf *head, struct mk_error *err)
{
	(void)err;
	mk_strlist_addf(payload, "%s=%s", key, head->data);
	return 0;
}

static int refuse(void *payload, const char *key, const struct mk_buf *head, struct mk_error *err)
{
	(void)payload;
	(void)head;
	return mk_fail(err, MK_ESYS, "not %s", key);
}

/* a=1, b=2 and an empty one. */
#define PAGE                                                                                       \
	"\"revision\":77\n\"key\":\"YQ==\"\n\"value\":\"MQ==\"\n\"key\":\"Yg==\"\n"                \
	"\"value\":\"Mg==\n\"key\":\"Yw==\"\n"

static void test_page(void **state)
{
	mk_autoerror err = { 0 };
	mk_autostrlist told = { .items = NULL };
	mk_autofree char *last = mk_xstrdup("");
	mk_autofree char *joined = NULL;
	bool more = true;
	int64_t revision = 0;

	(void)state;
	assert_int_equal(mk_etcd_read_page(PAGE, &last, &more, &revision, take, &told, &err), 0);
	joined = mk_strlist_join(&told, " ");
	assert_string_equal(joined, "a=1 b=2 c=");
	assert_string_equal(last, "c");
	assert_int_equal(revision, 77);
	assert_false(more);
	/* The next page begins with the last key. */
	assert_int_equal(mk_etcd_read_page("\"revision\":78\n\"key\":\"Yw==\"\n\"value\":\"Mw==\"\n"
					   "\"key\":\"ZA==\"\n\"value\":\"NA==\"\n\"more\":true\n",
				 &last, &more, &revision, take, &told, &err),
		0);
	assert_string_equal(told.items[told.count - 1], "d=4");
	assert_int_equal(told.count, 4);
	assert_string_equal(last, "d");
	assert_true(more);
}

static void test_bad_pages(void **state)
{
	static const char *const bad[] = { "", "Error: no\n", "\"key\":\"YQ==\"\n",
		"\"revision\":77\n\"value\":\"MQ==\"\n", "\"revision\":77\n\"key\":YQ\n",
		"\"revision\":77\n\"key\":\"!\"\n", "\"revision\":0\n", "\"revision\":x\n",
		"\"revision\":77\n\"key\":\"YQ==\"\n\"value\":\"*\"\n" };
	bool more;
	int64_t revision;

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(bad); i++) {
		mk_autoerror err = { 0 };
		mk_autostrlist told = { .items = NULL };
		mk_autofree char *last = mk_xstrdup("");

		if (mk_etcd_read_page(bad[i], &last, &more, &revision, take, &told, &err) == 0)
			fail_msg("'%s' is taken", bad[i]);
	}
}

static void test_take_stops(void **state)
{
	mk_autoerror err = { 0 };
	mk_autofree char *last = mk_xstrdup("");
	bool more;
	int64_t revision;

	(void)state;
	assert_int_equal(
		mk_etcd_read_page(PAGE, &last, &more, &revision, refuse, NULL, &err), -MK_ESYS);
	assert_string_equal(err.message, "not a");
}

static void count(struct mk_encryption_counts *counts, const char *key, const char *value)
{
	mk_autobuf head = mk_buf_init(MK_ETCD_VALUE_HEAD);

	mk_buf_adds(&head, value);
	mk_encryption_count_value(counts, key, &head);
}

static void assert_count(const struct mk_encryption_counts *counts, size_t i, const char *key,
	size_t secrets, size_t others)
{
	assert_true(i < counts->count);
	if (key)
		assert_string_equal(counts->items[i].key, key);
	else
		assert_null(counts->items[i].key);
	assert_int_equal(counts->items[i].secrets, secrets);
	assert_int_equal(counts->items[i].others, others);
}

static void test_counts(void **state)
{
	struct mk_encryption_counts counts = { 0 };

	(void)state;
	count(&counts, "/registry/secrets/a/b", "k8s:enc:secretbox:v1:key2:\x01k8s:enc:key1:");
	count(&counts, "/registry/secrets/a/c", "k8s:enc:secretbox:v1:key2:");
	count(&counts, "/registry/configmaps/a/c", "k8s:enc:secretbox:v1:key2:x");
	/* Another name that begins alike is another key. */
	count(&counts, "/registry/secrets/a/d", "k8s:enc:secretbox:v1:key21:x");
	count(&counts, "/registry/secrets/a/e", "k8s");
	count(&counts, "/registry/secrets/a/f", "");
	count(&counts, "/registry/secrets/a/g", " k8s:enc:secretbox:v1:key2:");
	/* What need not be encrypted, and is not. */
	count(&counts, "/registry/pods/a/e", "k8s");
	count(&counts, "/registry/example.com/secrets/a/e", "k8s");
	count(&counts, "/registry/secrets/a/h", "k8s:enc:aescbc:v1:old:x");
	count(&counts, "/registry/secrets/a/i", "k8s:enc:kms:v2:plugin:x");
	count(&counts, "/registry/secrets/a/j", "k8s:enc:what");
	assert_int_equal(counts.count, 6);
	assert_count(&counts, 0, "key2", 2, 1);
	assert_count(&counts, 1, "key21", 1, 0);
	assert_count(&counts, 2, NULL, 3, 0);
	assert_string_equal(counts.items[2].example, "/registry/secrets/a/e");
	assert_count(&counts, 3, "aescbc:old", 1, 0);
	assert_count(&counts, 4, "kms:plugin", 1, 0);
	assert_count(&counts, 5, "what:?", 1, 0);
	mk_encryption_counts_done(&counts);
	assert_int_equal(counts.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_bad_pages),
		cmocka_unit_test(test_take_stops),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests_name("cluster-encryption", tests, NULL, NULL);
}

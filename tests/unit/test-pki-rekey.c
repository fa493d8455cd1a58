/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rotations as a walk over all control planes' files, broken off after any write and
 * gone on with: at every moment every server can read what any server may have written.
 */
#include "pki/rekey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SERVERS 3

static const char *const names[SERVERS] = { "cp-1", "cp-2", "cp-3" };

#define assert_ok(r, err)                                                                          \
	do {                                                                                       \
		if ((r) != 0)                                                                      \
			fail_msg("%s", (err).message);                                             \
	} while (0)

/* The files, from lists of names like "key2 key1"; each key's bytes are its name. */
static void fill(struct mk_encryption *configs, const char *const *lists)
{
	for (size_t i = 0; i < SERVERS; i++) {
		mk_autostrlist words = { .items = NULL };

		mk_strlist_split(&words, lists[i], " ");
		mk_strlist_add(&configs[i].resources, "secrets");
		for (size_t k = 0; k < words.count; k++)
			mk_encryption_add(&configs[i],
				&(struct mk_encryption_key){ words.items[k], words.items[k] });
	}
}

static void done(struct mk_encryption *configs)
{
	for (size_t i = 0; i < SERVERS; i++)
		mk_encryption_done(&configs[i]);
}

static char *print(const struct mk_encryption *config)
{
	mk_autostrlist list = { .items = NULL };

	for (size_t k = 0; k < config->key_count; k++)
		mk_strlist_add(&list, config->keys[k].name);
	return mk_strlist_join(&list, " ");
}

static void test_stages(void **state)
{
	static const struct {
		const char *files[SERVERS];
		enum mk_rekey_stage stage;
		const char *key;
		const char *next[SERVERS]; /* after the step */
	} cases[] = {
		{ { "key1", "key1", "key1" }, MK_REKEY_NONE, "key1", { "key1", "key1", "key1" } },
		{ { "key1 key2", "key1", "key1" }, MK_REKEY_ADD, "key2",
			{ "key1 key2", "key1 key2", "key1 key2" } },
		{ { "key1 key2", "key1 key2", "key1 key2" }, MK_REKEY_PROMOTE, "key2",
			{ "key2 key1", "key2 key1", "key2 key1" } },
		{ { "key2 key1", "key1 key2", "key1 key2" }, MK_REKEY_PROMOTE, "key2",
			{ "key2 key1", "key2 key1", "key2 key1" } },
		{ { "key2 key1", "key2 key1", "key2 key1" }, MK_REKEY_DROP, "key2",
			{ "key2", "key2", "key2" } },
		{ { "key2", "key2 key1", "key2 key1" }, MK_REKEY_DROP, "key2",
			{ "key2", "key2", "key2" } },
		{ { "key9 key10", "key9 key10", "key9 key10" }, MK_REKEY_PROMOTE, "key10",
			{ "key10 key9", "key10 key9", "key10 key9" } },
		/* Made by hand. */
		{ { "mine", "mine", "mine" }, MK_REKEY_NONE, "mine", { "mine", "mine", "mine" } },
		{ { "mine old", "mine old", "mine old" }, MK_REKEY_DROP, "mine",
			{ "mine", "mine", "mine" } },
		{ { "mine key1", "mine", "mine" }, MK_REKEY_ADD, "key1",
			{ "mine key1", "mine key1", "mine key1" } },
		{ { "key1", "key2", "key1" }, MK_REKEY_ADD, "key2",
			{ "key1 key2", "key2 key1", "key1 key2" } },
		{ { "key2", "key1 key2", "key1 key2" }, MK_REKEY_ADD, "key2",
			{ "key2 key1", "key1 key2", "key1 key2" } },
		{ { "key3 key1", "key3 key2", "key3" }, MK_REKEY_DROP, "key3",
			{ "key3", "key3", "key3" } },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autoerror err = { 0 };
		struct mk_encryption configs[SERVERS] = { 0 };
		const struct mk_encryption_key *key = NULL;
		enum mk_rekey_stage stage;
		mk_autofree char *name = NULL;

		fill(configs, cases[i].files);
		assert_ok(mk_rekey_find(configs, names, SERVERS, &stage, &key, &err), err);
		assert_string_equal(
			mk_rekey_stage_name(stage), mk_rekey_stage_name(cases[i].stage));
		assert_string_equal(key->name, cases[i].key);
		name = mk_xstrdup(key->name);
		mk_rekey_step(configs, SERVERS, stage, name);
		for (size_t n = 0; n < SERVERS; n++) {
			mk_autofree char *text = print(&configs[n]);

			assert_string_equal(text, cases[i].next[n]);
		}
		done(configs);
	}
}

/* Every server reads what any writes: all have the first key of each. */
static void assert_readable(const struct mk_encryption *configs)
{
	for (size_t i = 0; i < SERVERS; i++) {
		for (size_t n = 0; n < SERVERS; n++)
			assert_non_null(mk_encryption_find(&configs[n], configs[i].keys[0].name));
	}
}

static void copy(struct mk_encryption *to, const struct mk_encryption *from)
{
	struct mk_encryption made = { .identity = from->identity };

	for (size_t i = 0; i < from->resources.count; i++)
		mk_strlist_add(&made.resources, from->resources.items[i]);
	for (size_t k = 0; k < from->key_count; k++)
		mk_encryption_add(&made, &from->keys[k]);
	mk_encryption_done(to);
	*to = made;
}

/* Write the step's files one after another in the order of `order`, at most `*budget`
 * of them: what a run does that is killed. False when it was. */
static bool write_files(struct mk_encryption *files, const struct mk_encryption *step,
	const size_t *order, size_t *budget)
{
	for (size_t i = 0; i < SERVERS; i++) {
		size_t n = order[i];

		if (mk_encryption_same(&files[n], &step[n]))
			continue;
		if (*budget == 0)
			return false;
		(*budget)--;
		copy(&files[n], &step[n]);
		assert_readable(files);
	}
	return true;
}

/* One run, as rotate does it, that is killed after `budget` writes. A new key only if
 * no rotation is under way; what was rewritten is under the first key of all. */
static bool run(struct mk_encryption *files, const size_t *order, size_t budget)
{
	bool fresh = true;

	for (;;) {
		mk_autoerror err = { 0 };
		struct mk_encryption step[SERVERS] = { 0 };
		const struct mk_encryption_key *key = NULL;
		enum mk_rekey_stage stage;
		mk_autofree char *name = NULL;
		bool whole;

		assert_ok(mk_rekey_find(files, names, SERVERS, &stage, &key, &err), err);
		if (stage == MK_REKEY_NONE && !fresh)
			return true;
		name = mk_xstrdup(key->name);
		for (size_t i = 0; i < SERVERS; i++)
			copy(&step[i], &files[i]);
		if (stage == MK_REKEY_NONE) {
			mk_autofree char *new_name = mk_rekey_new_name(step, SERVERS);

			assert_ok(mk_encryption_add_new(&step[0], new_name, &err), err);
			mk_rekey_step(step, SERVERS, MK_REKEY_ADD, new_name);
		} else {
			mk_rekey_step(step, SERVERS, stage, name);
		}
		fresh = false;
		whole = write_files(files, step, order, &budget);
		done(step);
		if (!whole)
			return false;
	}
}

static void test_killed_anywhere(void **state)
{
	static const size_t orders[][SERVERS] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 } };
	static const char *const files[SERVERS] = { "key1", "key1", "key1" };

	(void)state;
	for (size_t o = 0; o < MK_ARRAY_LEN(orders); o++) {
		/* Nine writes, and a run after each number of them. */
		for (size_t budget = 0; budget <= 9; budget++) {
			struct mk_encryption configs[SERVERS] = { 0 };
			bool whole;

			fill(configs, files);
			whole = run(configs, orders[o], budget);
			assert_int_equal(whole, budget == 9);
			if (!whole)
				assert_true(run(configs, orders[(o + 1) % 3], SIZE_MAX));
			for (size_t i = 0; i < SERVERS; i++) {
				assert_int_equal(configs[i].key_count, 1);
				assert_string_equal(configs[i].keys[0].name, "key2");
				assert_true(mk_encryption_same(&configs[0], &configs[i]));
			}
			done(configs);
		}
	}
}

static void test_refused(void **state)
{
	static const char *const apart[SERVERS] = { "mine", "yours", "mine" };
	static const char *const same[SERVERS] = { "key1", "key1", "key1 key2" };
	mk_autoerror err = { 0 };
	struct mk_encryption configs[SERVERS] = { 0 };
	const struct mk_encryption_key *key = NULL;
	enum mk_rekey_stage stage;

	(void)state;
	fill(configs, apart);
	assert_int_equal(mk_rekey_find(configs, names, SERVERS, &stage, &key, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "no name tells"));
	done(configs);
	fill(configs, same);
	configs[1].keys[0].secret[0] = 'x';
	assert_int_equal(mk_rekey_find(configs, names, SERVERS, &stage, &key, &err), -MK_EINVALID);
	assert_string_equal(err.message,
		"'cp-2' has another key1 than a control plane before it: what one has written, "
		"the other cannot read");
	configs[1].keys[0].secret[0] = 'k';
	mk_strlist_add(&configs[2].resources, "configmaps");
	assert_int_equal(mk_rekey_find(configs, names, SERVERS, &stage, &key, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "'cp-1' and 'cp-3'"));
	done(configs);
}

static void test_new_names(void **state)
{
	static const struct {
		const char *files[SERVERS], *name;
	} cases[] = {
		{ { "key1", "key1", "key1" }, "key2" },
		{ { "key7 key12", "key3", "key3" }, "key13" },
		{ { "mine", "mine", "mine" }, "key1" },
		/* None of these is a number of ours. */
		{ { "key0", "key01", "key-4" }, "key1" },
		{ { "key", "key99999999999999999999", "keys5" }, "key1" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		struct mk_encryption configs[SERVERS] = { 0 };
		mk_autofree char *name = NULL;

		fill(configs, cases[i].files);
		name = mk_rekey_new_name(configs, SERVERS);
		assert_string_equal(name, cases[i].name);
		done(configs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_killed_anywhere),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_new_names),
	};

	return cmocka_run_group_tests_name("pki-rekey", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Files of objects: what is taken from them, and what is said of mistakes. */
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/kube/manifest.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define META "metadata: {name: a}\n"
#define MAP "apiVersion: v1\nkind: ConfigMap\n" META

static void take(struct mk_manifests *m, const char *path, const char *text)
{
	mk_autoerror err = { .code = MK_OK };

	if (mk_manifests_take(m, path, text, strlen(text), &err) < 0)
		fail_msg("%s", err.message);
}

static void test_documents(void **state)
{
	mk_automanifests m = mk_manifests_init();
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	take(&m, "one.yaml", "# nothing\n---\n" MAP "---\n---\n" MAP "  \n---\nnull\n");
	take(&m, "two.json",
		"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n"
		"  {\"apiVersion\": \"v1\", \"kind\": \"Secret\",\n"
		"   \"metadata\": {\"name\": \"x\"}},\n"
		"  {\"apiVersion\": \"v1\", \"kind\": \"ConfigMapList\", \"items\": [\n"
		"    {\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\",\n"
		"     \"metadata\": {\"name\": \"y\"}, \"data\": {\"a\": yes}}]}]}");
	assert_int_equal(mk_manifests_check(&m, &err), 0);
	assert_int_equal(json_array_size(m.objects), 4);
	assert_string_equal(m.where.items[0], "one.yaml:3:1");
	assert_string_equal(m.where.items[1], "one.yaml:8:1");
	assert_string_equal(m.where.items[2], "two.json:2:3");
	assert_string_equal(m.where.items[3], "two.json:5:5");
	/* As kubectl reads it. */
	assert_true(json_is_true(mk_json_at(json_array_get(m.objects, 3), "data.a")));
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "a: [\n", "f:2:1: did not find" },
		{ "---\n- 1\n", "f:2:1: not an object of Kubernetes" },
		{ MAP "---\nkind: Pod\n" META, "f:5:1: a Pod without an apiVersion" },
		{ "apiVersion: v1\n" META, "f:1:1: an object without a kind" },
		{ "apiVersion: v1\nkind: Pod\n", "f:1:1: a Pod without metadata.name" },
		{ "apiVersion: v1\nkind: Pod\nmetadata: {name: 7}\n",
			"f:3:12: a Pod without metadata.name" },
		{ "apiVersion: v1\nkind: Job\nmetadata:\n  generateName: x-\n",
			"f:4:3: a Job with metadata.generateName would be another one at every" },
		{ "apiVersion: v1\nkind: Pod\nmetadata: {name: ../x}\n",
			"f:3:12: '../x' cannot be a name" },
		{ "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: ..}\n",
			"f:3:21: metadata.namespace is no name" },
		{ "apiVersion: ../v1\nkind: Pod\n" META, "f:1:1: '../v1' is no apiVersion" },
		{ "apiVersion: a/b/c\nkind: Pod\n" META, "f:1:1: 'a/b/c' is no apiVersion" },
		{ "kind: List\napiVersion: v1\nitems:\n- kind: Pod\n",
			"f:4:3: a Pod without an apiVersion" },
		{ "a: &x 1\n", "f:1:4: anchors and aliases are not supported" },
		{ "# empty\n", "no objects in 1 file" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_automanifests m = mk_manifests_init();
		mk_autoerror err = { .code = MK_OK };

		take(&m, "f", cases[i].text);
		assert_int_equal(mk_manifests_check(&m, &err), -MK_EUSAGE);
		if (!strstr(err.message, cases[i].words))
			fail_msg("%zu: '%s' is not in '%s'", i, cases[i].words, err.message);
	}
}

static void test_all_at_once(void **state)
{
	mk_automanifests m = mk_manifests_init();
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	take(&m, "a", "kind: A\n---\nkind: B\n");
	take(&m, "b", "{");
	for (int i = 0; i < 50; i++)
		take(&m, "c", "kind: C\n");
	assert_int_equal(mk_manifests_check(&m, &err), -MK_EUSAGE);
	assert_string_equal(err.message, "a:1:1: a A without an apiVersion");
	assert_non_null(strstr(err.detail, "a:3:1: a B without an apiVersion\nb:"));
	assert_non_null(strstr(err.detail, "and perhaps more\n"));
	assert_int_equal(m.mistakes.count, 20);
}

static void test_too_much(void **state)
{
	mk_automanifests m = mk_manifests_init();
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	m.bytes = MK_MAX_MANIFESTS;
	assert_int_equal(mk_manifests_take(&m, "f", MAP, strlen(MAP), &err), -MK_EUSAGE);
	assert_non_null(strstr(err.message, "f: more than 10000 files or 64 MiB"));
}

static int note(void *payload, const char *path, const char *data, size_t len, struct mk_error *err)
{
	(void)data;
	(void)len;
	(void)err;
	mk_strlist_add(payload, strrchr(path, '/') + 1);
	return 0;
}

static void test_folder(void **state)
{
	static const char *const files[] = { "b.yaml", "a.yml", "c.json", "d.txt", ".e.yaml",
		"sub/f.yaml" };
	char folder[] = "/tmp/mkcluster-manifest-XXXXXX";
	mk_autostrlist flat = { .items = NULL }, deep = { .items = NULL };
	mk_autofree char *sub = NULL, *link = NULL, *words = NULL, *deep_words = NULL;
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_non_null(mkdtemp(folder));
	sub = mk_xasprintf("%s/sub", folder);
	link = mk_xasprintf("%s/loop", folder);
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_int_equal(symlink(folder, link), 0);
	assert_int_equal(mk_manifests_read(folder, false, note, &flat, &err), -MK_EUSAGE);
	assert_non_null(strstr(err.message, "no *.yaml, *.yml or *.json in"));
	for (size_t i = 0; i < MK_ARRAY_LEN(files); i++) {
		mk_autofree char *path = mk_xasprintf("%s/%s", folder, files[i]);

		assert_int_equal(mk_fs_write_atomic(path, MAP, strlen(MAP), 0600, &err), 0);
	}
	assert_int_equal(mk_manifests_read(folder, false, note, &flat, &err), 0);
	words = mk_strlist_join(&flat, " ");
	assert_string_equal(words, "a.yml b.yaml c.json");
	assert_int_equal(mk_manifests_read(folder, true, note, &deep, &err), 0);
	deep_words = mk_strlist_join(&deep, " ");
	assert_string_equal(deep_words, "a.yml b.yaml c.json f.yaml");
	assert_int_equal(mk_fs_remove_all(folder, &err), 0);
	assert_int_equal(mk_manifests_read(folder, true, note, &deep, &err), -MK_EUSAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

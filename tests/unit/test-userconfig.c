/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's kubeconfig files: which file is meant, what a change keeps, and what
 * is refused. Two changes at once are in test-userconfig-lock.c.
 */
#include "tests/unit/userconfig-folder.h"

static void drop(const char *path, const char *name)
{
	mk_autoerror err = { .code = MK_OK };

	if (mk_userconfig_remove(path, name, &err) < 0)
		fail_msg("%s", err.message);
}

static void test_paths(void **state)
{
	static const struct {
		const char *explicit_path, *variable, *path;
	} cases[] = {
		{ NULL, NULL, "~" },
		{ "", "", "~" },
		{ NULL, ":::", "~" },
		{ "x", "a", "x" },
		{ "-", NULL, "./-" },
		{ NULL, "a", "a" },
		{ NULL, "absent:b:c", "b" },
		{ NULL, ":absent::c:b", "c" },
		{ NULL, "absent:other", "other" },
		{ NULL, "absent:other:absent", "other" },
	};
	mk_autofree char *home = mk_xasprintf("%s/.kube/config", (char *)*state);

	put("b", "");
	put("c", "");
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		const char *expected = mk_streq(cases[i].path, "~") ? home : cases[i].path;
		mk_autoerror err = { .code = MK_OK };
		mk_autofree char *path = NULL;

		if (cases[i].variable)
			assert_int_equal(setenv("KUBECONFIG", cases[i].variable, 1), 0);
		else
			assert_int_equal(unsetenv("KUBECONFIG"), 0);
		assert_int_equal(mk_userconfig_path(cases[i].explicit_path, &path, &err), 0);
		assert_string_equal(path, expected);
	}
}

static void test_no_home(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(unsetenv("HOME"), 0);
	assert_int_equal(mk_userconfig_merge(NULL, &dev, true, NULL, &err), -MK_EHOST);
	assert_string_equal(err.message, "no place for the kubeconfig: HOME is not set");
	assert_non_null(err.hint);
	assert_int_equal(mk_userconfig_remove(NULL, "x", &err), -MK_EHOST);
	assert_int_equal(mk_userconfig_check(NULL, &err), -MK_EHOST);
}

static void test_new_file(void **state)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autofree char *path = NULL, *expected = mk_xasprintf("%s/.kube/config", (char *)*state);

	assert_int_equal(mk_userconfig_check(NULL, &err), 0);
	assert_false(mk_fs_exists(".kube"));
	assert_int_equal(mk_userconfig_merge(NULL, &dev, true, &path, &err), 0);
	assert_string_equal(path, expected);
	assert_text(".kube/config", fresh);
	assert_int_equal(stat_of(".kube/config").st_mode & 07777, 0600);
	assert_int_equal(stat_of(".kube").st_mode & 07777, 0700);
	/* Nothing but the file stays in the folder: no lock, no temporary file. */
	drop(NULL, "mkcluster-dev");
	assert_int_equal(unlink(".kube/config"), 0);
	assert_int_equal(rmdir(".kube"), 0);
}

static void test_print(void **state)
{
	mk_autowipebuf buf = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_userconfig_print(&dev, &buf, &err), 0);
	assert_string_equal(buf.data, fresh);
}

static const char other[] = "# a comment\n"
			    "kind: Config\n"
			    "apiVersion: v1\n"
			    "preferences: {colors: yes}\n"
			    "users:\n"
			    "- {name: bob, user: {exec: {args: [get, '0x1', \"null\"],\n"
			    "    env: null}}}\n"
			    "clusters:\n"
			    "- name: far\n"
			    "  cluster:\n"
			    "    insecure-skip-tls-verify: yes\n"
			    "    server: https://far\n"
			    "    extensions: [{name: x, extension: {a: 1.50, b: 0644}}]\n"
			    "contexts: null\n"
			    "current-context: far\n";

static const char other_merged[] = "kind: Config\n"
				   "apiVersion: v1\n"
				   "preferences:\n"
				   "  colors: true\n"
				   "users:\n"
				   "- name: bob\n"
				   "  user:\n"
				   "    exec:\n"
				   "      args:\n"
				   "      - get\n"
				   "      - \"0x1\"\n"
				   "      - \"null\"\n"
				   "      env: null\n"
				   "- name: mkcluster-dev\n"
				   "  user:\n"
				   "    client-certificate-data: Y2VydA==\n"
				   "    client-key-data: a2V5\n"
				   "clusters:\n"
				   "- name: far\n"
				   "  cluster:\n"
				   "    insecure-skip-tls-verify: true\n"
				   "    server: https://far\n"
				   "    extensions:\n"
				   "    - name: x\n"
				   "      extension:\n"
				   "        a: 1.5\n"
				   "        b: 420\n"
				   "- cluster:\n"
				   "    certificate-authority-data: Y2E=\n"
				   "    server: https://127.0.0.1:6443\n"
				   "  name: mkcluster-dev\n"
				   "contexts:\n"
				   "- context:\n"
				   "    cluster: mkcluster-dev\n"
				   "    user: mkcluster-dev\n"
				   "  name: mkcluster-dev\n"
				   "current-context: far\n";

static void test_all_else_is_kept(void **state)
{
	mk_autofree char *text = NULL;

	(void)state;
	put("k", other);
	assert_int_equal(chmod("k", 0640), 0);
	merge("k", &dev, false);
	assert_text("k", other_merged);
	assert_int_equal(stat_of("k").st_mode & 07777, 0640);
	merge("k", &dev, true);
	text = get("k");
	assert_true(mk_has_suffix(text, "current-context: mkcluster-dev\n"));
	drop("k", "mkcluster-dev");
	free(text);
	text = get("k");
	assert_null(strstr(text, "mkcluster"));
	assert_non_null(strstr(text, "bob"));
	assert_true(mk_has_suffix(text, "contexts: []\ncurrent-context: \"\"\n"));
	assert_int_equal(stat_of("k").st_mode & 07777, 0640);
}

/* The same entry again writes nothing; another one takes the place of the first. */
static void test_replaced_in_place(void **state)
{
	struct mk_userconfig_entry moved = dev, second = dev;
	mk_autofree char *text = NULL;
	ino_t before;

	(void)state;
	second.name = "second";
	moved.server = "https://127.0.0.1:7000";
	merge("k", &dev, true);
	merge("k", &second, false);
	before = stat_of("k").st_ino;
	merge("k", &second, false);
	merge("k", &dev, true);
	assert_int_equal(stat_of("k").st_ino, before);
	merge("k", &moved, false);
	text = get("k");
	assert_null(strstr(text, ":6443\n  name: mkcluster-dev"));
	assert_true(strstr(text, ":7000\n  name: mkcluster-dev") < strstr(text, "name: second"));
	drop("k", "second");
	drop("k", "absent");
	merge("k", &dev, false);
	assert_text("k", fresh);
}

static void test_twice_the_same_name(void **state)
{
	(void)state;
	put("k", "clusters: [{name: mkcluster-dev}, {name: a}, {name: mkcluster-dev}, {}]\n");
	drop("k", "mkcluster-dev");
	assert_text("k", "clusters:\n- name: a\n- {}\n");
	put("k", "users: [{name: mkcluster-dev}, {name: mkcluster-dev}, {name: z}]\nx: 1\n");
	merge("k", &dev, false);
	assert_text("k",
		"users:\n"
		"- name: mkcluster-dev\n"
		"  user:\n"
		"    client-certificate-data: Y2VydA==\n"
		"    client-key-data: a2V5\n"
		"- name: z\n"
		"x: 1\n"
		"clusters:\n"
		"- cluster:\n"
		"    certificate-authority-data: Y2E=\n"
		"    server: https://127.0.0.1:6443\n"
		"  name: mkcluster-dev\n"
		"contexts:\n"
		"- context:\n"
		"    cluster: mkcluster-dev\n"
		"    user: mkcluster-dev\n"
		"  name: mkcluster-dev\n"
		"apiVersion: v1\n"
		"kind: Config\n");
}

static void test_empty_and_json_files(void **state)
{
	(void)state;
	put("k", "");
	drop("k", "mkcluster-dev");
	assert_text("k", "");
	merge("k", &dev, true);
	assert_text("k", fresh);
	put("k", "{\n\t\"kind\": \"Config\",\n\t\"clusters\": []\n}\n");
	merge("k", &dev, true);
	drop("k", "mkcluster-dev");
	assert_text("k",
		"kind: Config\nclusters: []\ncontexts: []\nusers: []\napiVersion: v1\n"
		"current-context: \"\"\n");
}

static void test_links(void **state)
{
	(void)state;
	assert_int_equal(mkdir("dot", 0755), 0);
	put("dot/real", "x: 1\n");
	assert_int_equal(symlink("dot/real", "link"), 0);
	assert_int_equal(symlink("dot/none/yet", "dangling"), 0);
	merge("link", &dev, true);
	assert_true(S_ISLNK(stat_of("link").st_mode));
	drop("link", "mkcluster-dev");
	assert_text("dot/real",
		"x: 1\nclusters: []\ncontexts: []\nusers: []\napiVersion: v1\n"
		"kind: Config\ncurrent-context: \"\"\n");
	merge("dangling", &dev, true);
	assert_true(S_ISLNK(stat_of("dangling").st_mode));
	assert_text("dot/none/yet", fresh);
}

static void test_list_of_files(void **state)
{
	ino_t untouched;

	(void)state;
	put("b", fresh);
	put("c", fresh);
	put("d", "x: 1\n");
	untouched = stat_of("d").st_ino;
	assert_int_equal(setenv("KUBECONFIG", "absent:b:c:d:b", 1), 0);
	drop(NULL, "mkcluster-dev");
	assert_text("c",
		"apiVersion: v1\nclusters: []\ncontexts: []\ncurrent-context: \"\"\n"
		"kind: Config\nusers: []\n");
	assert_int_equal(stat_of("d").st_ino, untouched);
	assert_false(mk_fs_exists("absent"));
	merge(NULL, &dev, true);
	assert_text("b", fresh);
}

/* Files that are left alone, and why. */
static const char *const malformed[][2] = {
	{ "clusters: [\n", "k:2:1: did not find expected node content" },
	{ "- a\n", "k:1:1: not a kubeconfig: not a map of keys" },
	{ "text\n", "k:1:1: not a kubeconfig: not a map of keys" },
	{ "a: 1\nkind: Pod\n", "k:2:1: not a kubeconfig: kind is not Config" },
	{ "apiVersion: 1\n", "k:1:1: not a kubeconfig: apiVersion is not v1" },
	{ "users: {}\n", "k:1:1: users is not a list" },
	{ "users:\n- name: a\n- b\n", "k:3:3: users[1] is not a map" },
	{ "contexts:\n- name: 5\n", "k:2:3: contexts[0] has a name that is not text" },
	{ "a: &x 1\n", "k:1:4: anchors and aliases are not supported" },
	{ "a: 1\na: 2\n", "k:2:1: duplicate key 'a'" },
	{ "a: 1\n---\nb: 1\n", "k:2:1: a second document" },
	{ "a: \xff\n", "k:1:4: " },
};

static void test_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(malformed); i++) {
		mk_autoerror err = { .code = MK_OK };

		put("k", malformed[i][0]);
		assert_int_equal(mk_userconfig_merge("k", &dev, true, NULL, &err), -MK_EINVALID);
		if (!mk_after_prefix(err.message, malformed[i][1]))
			fail_msg("%s", err.message);
		assert_string_equal(err.hint, "repair 'k', or name another file with --kubeconfig");
		assert_int_equal(mk_userconfig_remove("k", "a", &err), -MK_EINVALID);
		assert_int_equal(mk_userconfig_check("k", &err), -MK_EINVALID);
		assert_text("k", malformed[i][0]);
		assert_false(mk_fs_exists("k.lock"));
	}
}

/* One bad file does not keep the others from being cleaned. */
static void test_remove_goes_on(void **state)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autofree char *text = NULL;

	(void)state;
	put("a", "- 1\n");
	put("b", fresh);
	put("c", "- 1\n");
	assert_int_equal(setenv("KUBECONFIG", "a:b:c", 1), 0);
	assert_int_equal(mk_userconfig_remove(NULL, "mkcluster-dev", &err), -MK_EINVALID);
	assert_string_equal(err.message, "a:1:1: not a kubeconfig: not a map of keys");
	text = get("b");
	assert_null(strstr(text, "mkcluster"));
}

static void test_too_large(void **state)
{
	mk_autobuf text = mk_buf_init(2 * MK_MIB);
	mk_autoerror err = { .code = MK_OK };
	mk_autofree char *after = NULL;

	(void)state;
	while (text.len <= MK_MAX_CONFIG_FILE)
		mk_buf_adds(&text, "# the same words again and again\n");
	put("k", text.data);
	assert_int_equal(mk_userconfig_merge("k", &dev, true, NULL, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "larger than"));
	/* A file that the entry would make too large is not written either. */
	mk_buf_clear(&text);
	mk_buf_adds(&text, "x:\n");
	while (text.len < MK_MAX_CONFIG_FILE - 50)
		mk_buf_adds(&text, "- abcdefghijklmnopqrstuvwxyz\n");
	put("k", text.data);
	assert_int_equal(mk_userconfig_merge("k", &dev, true, NULL, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "larger than"));
	after = get("k");
	assert_string_equal(after, text.data);
}

static void test_no_regular_file(void **state)
{
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(symlink("/dev/null", "null"), 0);
	merge("null", &dev, true);
	drop("null", "mkcluster-dev");
	assert_int_equal(mk_userconfig_check("null", &err), 0);
	assert_true(S_ISLNK(stat_of("null").st_mode));
	assert_true(S_ISCHR(stat_of("/dev/null").st_mode));
	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_equal(mk_userconfig_merge("d", &dev, true, NULL, &err), -MK_EHOST);
	assert_int_equal(mk_userconfig_check("d", &err), -MK_EHOST);
	drop("d", "mkcluster-dev");
	put("file", "");
	assert_int_equal(mk_userconfig_merge("file/k", &dev, true, NULL, &err), -MK_ESYS);
	assert_int_equal(mk_userconfig_check("file/k", &err), -MK_ESYS);
}

/* Run in a process of its own, as nobody where we are root. 0 when all is well. */
static int in_read_only_folder(void)
{
	mk_autoerror err = { .code = MK_OK };

	if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		return 1;
	if (mk_userconfig_merge("ro/k", &dev, false, NULL, &err) != -MK_EHOST)
		return 2;
	if (!mk_after_prefix(err.message, "change 'ro/k': make the lock 'ro/k.lock': Permission"))
		return 3;
	if (mk_userconfig_remove("ro/k", "far", &err) != -MK_EHOST)
		return 4;
	/* What needs no change needs no lock. */
	if (mk_userconfig_remove("ro/k", "mkcluster-dev", &err) != 0)
		return 5;
	if (mk_userconfig_check("ro/k", &err) != -MK_EHOST)
		return 6;
	if (mk_userconfig_merge("ro/new/k", &dev, false, NULL, &err) != -MK_ESYS)
		return 7;
	return mk_userconfig_check("ro/new/k", &err) == -MK_EHOST ? 0 : 8;
}

static void test_read_only_folder(void **state)
{
	pid_t child;
	int status;

	assert_int_equal(mkdir("ro", 0755), 0);
	put("ro/k", other);
	assert_int_equal(chmod("ro/k", 0644), 0);
	assert_int_equal(chmod("ro", 0555), 0);
	assert_int_equal(chmod(*state, 0755), 0);
	child = fork();
	if (child == 0)
		_exit(in_read_only_folder());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(chmod("ro", 0755), 0);
	assert_text("ro/k", other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_paths),
		TEST(test_no_home),
		TEST(test_new_file),
		TEST(test_print),
		TEST(test_all_else_is_kept),
		TEST(test_replaced_in_place),
		TEST(test_twice_the_same_name),
		TEST(test_empty_and_json_files),
		TEST(test_links),
		TEST(test_list_of_files),
		TEST(test_malformed),
		TEST(test_remove_goes_on),
		TEST(test_too_large),
		TEST(test_no_regular_file),
		TEST(test_read_only_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

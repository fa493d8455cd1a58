/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same files as a folder and as a commit: every walk must come out alike.
 * The repositories are libgit2's own work in a temporary folder, read by file://.
 */
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/git/source.h"

#include <git2.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GIT(call) assert_int_equal(call, 0)

struct file {
	const char *path, *content;
	bool link;
};

struct world {
	char dir[64];
	char *folder, *repo, *url, *cache;
	char commit[GIT_OID_HEXSZ + 1];
	struct mk_source_options options;
	struct mk_buf seen; /* "path=content;" of each file */
	struct mk_error err;
	struct mk_source *source;
	int stop_after;
};

static const char *const yaml[] = { ".yml", ".yaml", NULL };
static const char *const json[] = { ".json", NULL };

static const struct file tree[] = {
	{ "a.yml", "1", false },
	{ "b", "2", false },
	{ "b.yaml", "3", false },
	{ "in/c.yml", "4", false },
	{ "in/deep/d.yml", "5", false },
	{ "in/deep/up.yml", "../../a.yml", true },
	{ "in-x.yml", "6", false },
	{ "same", "in/deep", true },
	{ "z.yml", "same/up.yml", true },
};

static const struct file bad[] = {
	{ "abs/x.yml", "/etc/passwd", true },
	{ "circle/a.yml", "b.yml", true },
	{ "circle/b.yml", "a.yml", true },
	{ "gone/x.yml", "nothing", true },
	{ "loop/in/back", "..", true },
	{ "loop/x.yml", "1", false },
	{ "out/x.yml", "../../secret.yml", true },
	{ "plain/x.txt", "../../secret.yml", true },
	{ "plain/x.yml", "1", false },
	{ "round/a.yml", "../round/../round/b.yml", true },
	{ "round/b.yml", "1", false },
};

static void write_folder(const struct world *w, const struct file *files, size_t count)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autofree char *secret = mk_xasprintf("%s/secret.yml", w->dir);

	assert_int_equal(mk_fs_write_atomic(secret, "secret", 6, 0600, &err), 0);
	for (size_t i = 0; i < count; i++) {
		mk_autofree char *path = mk_xasprintf("%s/%s", w->folder, files[i].path);
		mk_autofree char *parent = mk_xstrndup(path, (size_t)(strrchr(path, '/') - path));

		assert_int_equal(mk_fs_mkdir_all(parent, 0755, &err), 0);
		if (files[i].link)
			assert_int_equal(symlink(files[i].content, path), 0);
		else
			assert_int_equal(mk_fs_write_atomic(path, files[i].content,
						 strlen(files[i].content), 0644, &err),
				0);
	}
}

static void commit_tree(struct world *w, git_repository *repo, const git_oid *tree_id)
{
	git_signature *who;
	git_tree *top;
	git_oid id;

	GIT(git_signature_new(&who, "a", "a@example.com", 1700000000, 0));
	GIT(git_tree_lookup(&top, repo, tree_id));
	GIT(git_commit_create(&id, repo, "refs/heads/main", who, who, NULL, "one", top, 0, NULL));
	(void)git_oid_tostr(w->commit, sizeof(w->commit), &id);
	git_tree_free(top);
	git_signature_free(who);
}

static git_repository *new_repository(const struct world *w)
{
	git_repository *repo;

	GIT(git_repository_init(&repo, w->repo, /* is_bare= */ 1));
	GIT(git_repository_set_head(repo, "refs/heads/main"));
	return repo;
}

static void write_repository(struct world *w, const struct file *files, size_t count, bool module)
{
	git_repository *repo = new_repository(w);
	git_index *index;
	git_oid id;

	GIT(git_repository_index(&index, repo));
	for (size_t i = 0; i < count; i++) {
		git_index_entry entry = { .path = files[i].path };

		entry.mode = files[i].link ? GIT_FILEMODE_LINK : GIT_FILEMODE_BLOB;
		GIT(git_index_add_from_buffer(
			index, &entry, files[i].content, strlen(files[i].content)));
	}
	if (module) {
		git_index_entry entry = { .path = "module" };

		entry.mode = GIT_FILEMODE_COMMIT;
		GIT(git_oid_fromstr(&entry.id, "0123456789012345678901234567890123456789"));
		GIT(git_index_add(index, &entry));
	}
	GIT(git_index_write_tree(&id, index));
	commit_tree(w, repo, &id);
	git_index_free(index);
	git_repository_free(repo);
}

static int set_up(void **state)
{
	struct world *w = mk_xcalloc(1, sizeof(*w));

	assert_true(git_libgit2_init() > 0);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/test-git.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->folder = mk_xasprintf("%s/folder", w->dir);
	w->repo = mk_xasprintf("%s/repo.git", w->dir);
	w->url = mk_xasprintf("file://%s", w->repo);
	w->cache = mk_xasprintf("%s/cache", w->dir);
	w->options.cache_dir = w->cache;
	w->seen = mk_buf_init(65536);
	*state = w;
	return 0;
}

static void close_source(struct world *w)
{
	mk_source_free(w->source);
	w->source = NULL;
	mk_error_done(&w->err);
	mk_buf_clear(&w->seen);
}

static int tear_down(void **state)
{
	struct world *w = *state;

	mk_interrupt_reset();
	close_source(w);
	assert_int_equal(mk_fs_remove_all(w->dir, &w->err), 0);
	mk_buf_done(&w->seen);
	free(w->folder);
	free(w->repo);
	free(w->url);
	free(w->cache);
	free(w);
	(void)git_libgit2_shutdown();
	return 0;
}

static int see(void *payload, const char *path, const void *data, size_t len, struct mk_error *err)
{
	struct world *w = payload;

	if (w->stop_after > 0 && --w->stop_after == 0)
		return mk_fail(err, MK_EEXISTS, "seen enough at '%s'", path);
	assert_int_equal(strlen(data), len);
	mk_buf_addf(&w->seen, "%s=%s;", path, (const char *)data);
	return 0;
}

/* Open, walk; the error stays in the world. */
static int walk(struct world *w, const char *from, const struct mk_source_query *query)
{
	int r;

	close_source(w);
	r = mk_source_open(from, &w->options, &w->source, &w->err);
	return r < 0 ? r : mk_source_walk(w->source, query, see, w, &w->err);
}

static void walk_both(struct world *w, const struct mk_source_query *query, const char *expected)
{
	const char *from[] = { w->folder, w->url };

	for (size_t i = 0; i < MK_ARRAY_LEN(from); i++) {
		if (walk(w, from[i], query) < 0)
			fail_msg("%s: %s", from[i], w->err.message);
		assert_string_equal(w->seen.data, expected);
	}
}

static void refuse_both(
	struct world *w, const struct mk_source_query *query, int code, const char *words)
{
	const char *from[] = { w->folder, w->url };

	for (size_t i = 0; i < MK_ARRAY_LEN(from); i++) {
		assert_int_equal(walk(w, from[i], query), -code);
		if (!strstr(w->err.message, words))
			fail_msg("%s: %s", from[i], w->err.message);
		assert_null(strstr(w->seen.data, "secret"));
	}
}

static void walks(void **state)
{
	static const struct {
		struct mk_source_query query;
		const char *expected;
	} cases[] = {
		{ { .suffixes = yaml }, "a.yml=1;b.yaml=3;in-x.yml=6;z.yml=1;" },
		{ { .path = NULL }, "a.yml=1;b=2;b.yaml=3;in-x.yml=6;z.yml=1;" },
		{ { .suffixes = yaml, .recursive = true },
			"a.yml=1;b.yaml=3;in/c.yml=4;in/deep/d.yml=5;in/deep/up.yml=1;in-x.yml=6;"
			"same/d.yml=5;same/up.yml=1;z.yml=1;" },
		{ { .path = "in" }, "in/c.yml=4;" },
		{ { .path = "./in//deep/" }, "in/deep/d.yml=5;in/deep/up.yml=1;" },
		{ { .path = "same" }, "same/d.yml=5;same/up.yml=1;" },
		{ { .path = "same/d.yml" }, "same/d.yml=5;" },
		{ { .path = "b", .suffixes = yaml }, "b=2;" },
		{ { .path = "in/deep", .suffixes = json }, "" },
	};
	struct world *w = *state;

	write_folder(w, tree, MK_ARRAY_LEN(tree));
	write_repository(w, tree, MK_ARRAY_LEN(tree), false);
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++)
		walk_both(w, &cases[i].query, cases[i].expected);
}

static void paths_that_are_not_there(void **state)
{
	static const struct {
		const char *path, *words;
		int code;
	} cases[] = {
		{ "nope", "nope", MK_ENOTFOUND },
		{ "in/nope.yml", "in/nope.yml", MK_ENOTFOUND },
		{ "a.yml/x", "is no folder", MK_ENOTFOUND },
		{ "z.yml/x", "is no folder", MK_ENOTFOUND },
		{ "../secret.yml", "leads out", MK_EUSAGE },
		{ "in/../../secret.yml", "leads out", MK_EUSAGE },
		{ "/etc/passwd", "leads out", MK_EUSAGE },
	};
	struct world *w = *state;

	write_folder(w, tree, MK_ARRAY_LEN(tree));
	write_repository(w, tree, MK_ARRAY_LEN(tree), false);
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		struct mk_source_query query = { .path = cases[i].path };

		refuse_both(w, &query, cases[i].code, cases[i].words);
	}
}

static void links_that_lead_out(void **state)
{
	static const struct {
		struct mk_source_query query;
		const char *words;
	} cases[] = {
		{ { .path = "out" }, "'out/x.yml' is a link that leads out" },
		{ { .path = "out/x.yml" }, "'out/x.yml' is a link that leads out" },
		{ { .path = "abs" }, "'abs/x.yml' is a link that leads out" },
		{ { .path = "gone" }, "'gone/x.yml' is a link that leads to nothing" },
		{ { .path = "circle" }, "leads in a circle" },
		{ { .path = "loop", .recursive = true },
			"'loop/in/back' is a link to a folder it is in" },
		{ { .path = "plain", .suffixes = yaml, .recursive = true },
			"'plain/x.txt' is a link that leads out" },
	};
	struct mk_source_query plain = { .path = "plain", .suffixes = yaml };
	struct mk_source_query round = { .path = "round" };
	struct world *w = *state;

	write_folder(w, bad, MK_ARRAY_LEN(bad));
	write_repository(w, bad, MK_ARRAY_LEN(bad), false);
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++)
		refuse_both(w, &cases[i].query, MK_EINVALID, cases[i].words);
	walk_both(w, &plain, "plain/x.yml=1;");
	walk_both(w, &round, "round/a.yml=1;round/b.yml=1;");
}

static void limits(void **state)
{
	static const struct mk_source_query all = { .recursive = true };
	struct world *w = *state;

	write_folder(w, tree, MK_ARRAY_LEN(tree));
	write_repository(w, tree, MK_ARRAY_LEN(tree), false);
	w->options.max_files = 4;
	refuse_both(w, &all, MK_EINVALID, "more than 4 files");
	w->options.max_files = 0;
	w->options.max_total = 3;
	refuse_both(w, &all, MK_EINVALID, "more than 3 B");
	w->options.max_total = 0;
	w->stop_after = 1;
	assert_int_equal(walk(w, w->folder, &all), -MK_EEXISTS);
	w->options.max_file = 1;
	walk_both(w, &(struct mk_source_query){ .path = "a.yml" }, "a.yml=1;");
}

static void files_that_are_too_large(void **state)
{
	static const struct file large[] = { { "x.yml", "12345678", false } };
	static const struct mk_source_query all = { .path = NULL };
	struct world *w = *state;

	write_folder(w, large, 1);
	write_repository(w, large, 1, false);
	w->options.max_file = 8;
	walk_both(w, &all, "x.yml=12345678;");
	w->options.max_file = 7;
	refuse_both(w, &all, MK_EINVALID, "x.yml is larger than 7 bytes");
}

static void submodules(void **state)
{
	static const struct mk_source_query flat = { .suffixes = yaml };
	static const struct mk_source_query deep = { .suffixes = yaml, .recursive = true };
	static const struct mk_source_query in[] = { { .path = "module" }, { .path = "module/x" } };
	struct world *w = *state;

	write_repository(w, tree, MK_ARRAY_LEN(tree), true);
	assert_int_equal(walk(w, w->url, &flat), 0);
	assert_int_equal(walk(w, w->url, &deep), -MK_EINVALID);
	assert_string_equal(w->err.message, "'module' is a submodule, which is not read");
	for (size_t i = 0; i < MK_ARRAY_LEN(in); i++) {
		assert_int_equal(walk(w, w->url, &in[i]), -MK_EINVALID);
		assert_non_null(strstr(w->err.message, "'module' is a submodule"));
	}
}

/* Names that no checkout would make: they must not become paths of the caller's. */
static void hostile_names(void **state)
{
	static const char *const names[] = { "..", ".", "a/b.yml", "/etc/x.yml" };
	static const struct mk_source_query all = { .recursive = true };

	for (size_t i = 0; i < MK_ARRAY_LEN(names); i++) {
		struct world *w = *state;
		git_repository *repo = new_repository(w);
		mk_autobuf raw = mk_buf_init(4096);
		git_odb *odb;
		git_oid id;

		GIT(git_blob_create_from_buffer(&id, repo, "1", 1));
		mk_buf_addf(&raw, "100644 %s", names[i]);
		mk_buf_add(&raw, "", 1);
		mk_buf_add(&raw, id.id, GIT_OID_RAWSZ);
		GIT(git_repository_odb(&odb, repo));
		GIT(git_odb_write(&id, odb, raw.data, raw.len, GIT_OBJECT_TREE));
		commit_tree(w, repo, &id);
		git_odb_free(odb);
		git_repository_free(repo);
		assert_int_equal(walk(w, w->url, &all), -MK_EINVALID);
		assert_string_equal(w->seen.data, "");
		close_source(w);
		assert_int_equal(mk_fs_remove_all(w->repo, &w->err), 0);
	}
}

static void folders_of_this_machine(void **state)
{
	static const struct mk_source_query all = { .recursive = true };
	struct world *w = *state;
	mk_autofree char *file = mk_xasprintf("%s/in/c.yml", w->folder);
	mk_autofree char *git = mk_xasprintf("%s/.git", w->folder);
	mk_autofree char *config = mk_xasprintf("%s/config.yml", git);
	mk_autofree char *pipe = mk_xasprintf("%s/pipe.yml", w->folder);
	mk_autofree char *missing = mk_xasprintf("%s/missing", w->dir);

	write_folder(w, &tree[3], 1);
	assert_int_equal(mkdir(git, 0755), 0);
	assert_int_equal(mk_fs_write_atomic(config, "x", 1, 0644, &w->err), 0);
	assert_int_equal(walk(w, w->folder, &all), 0);
	assert_string_equal(w->seen.data, "in/c.yml=4;");
	assert_string_equal(mk_source_describe(w->source), w->folder);
	assert_null(mk_source_commit(w->source));
	assert_int_equal(walk(w, file, &all), 0);
	assert_string_equal(w->seen.data, "c.yml=4;");
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(walk(w, w->folder, &all), -MK_EINVALID);
	assert_string_equal(w->err.message, "'pipe.yml' is neither a file nor a folder");
	assert_int_equal(walk(w, missing, &all), -MK_ENOTFOUND);
	assert_non_null(strstr(w->err.hint, "https://"));
	assert_int_equal(mk_source_check(missing, &w->err), 0);
	assert_int_equal(mk_source_check("ssh://h.example/a", &w->err), -MK_EUSAGE);
}

static void a_repository_where_it_is(void **state)
{
	static const struct mk_source_query query = { .path = "in" };
	struct world *w = *state;
	mk_autofree char *pinned = NULL;
	mk_autofree char *described = NULL;
	mk_autofree char *inner = mk_xasprintf("%s@main:in", w->url);

	write_repository(w, tree, MK_ARRAY_LEN(tree), false);
	pinned = mk_xasprintf("%s@%s", w->url, w->commit);
	described = mk_xasprintf("%s at %s", w->url, w->commit);
	assert_int_equal(walk(w, inner, &(struct mk_source_query){ .path = "deep/d.yml" }), 0);
	assert_string_equal(w->seen.data, "in/deep/d.yml=5;");
	assert_int_equal(walk(w, pinned, &query), 0);
	assert_string_equal(w->seen.data, "in/c.yml=4;");
	assert_string_equal(mk_source_describe(w->source), described);
	assert_string_equal(mk_source_commit(w->source), w->commit);
	assert_false(mk_fs_exists(w->cache));
	close_source(w);
	assert_int_equal(mk_fs_remove_all(w->repo, &w->err), 0);
	assert_int_equal(walk(w, pinned, &query), -MK_ENOTFOUND);
	assert_non_null(strstr(w->err.hint, "bare repository"));
}

static void interrupts(void **state)
{
	static const struct mk_source_query all = { .recursive = true };
	struct world *w = *state;

	write_folder(w, tree, MK_ARRAY_LEN(tree));
	write_repository(w, tree, MK_ARRAY_LEN(tree), false);
	mk_interrupt_raise();
	refuse_both(w, &all, MK_EINTR, "interrupted");
	mk_interrupt_reset();
	assert_int_equal(walk(w, w->url, &all), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(walks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(paths_that_are_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(links_that_lead_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_that_are_too_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(submodules, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hostile_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(folders_of_this_machine, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_repository_where_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(interrupts, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

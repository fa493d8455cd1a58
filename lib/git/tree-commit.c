/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A commit's files, out of the repository's objects: no work tree is made.
 * Objects are asked for their size before they are read. libgit2 checks that
 * each has the hash it is named by.
 */
#include "lib/git/repository.h"

#define MAX_TREE ((size_t)16 * 1024 * 1024) /* bytes of one folder's object */

struct commit_tree {
	git_repository *repo;
	git_tree *root;
	bool cached; /* the repository is our copy */
};

static int fail_damaged(const struct commit_tree *tree, const char *path, struct mk_error *err)
{
	(void)mk_git_fail(err, MK_EINVALID, "read '%s' of the commit", path);
	if (tree->cached)
		mk_error_hint(err,
			"the copy in the cache may be damaged: remove '%s' and try again",
			git_repository_path(tree->repo));
	else
		mk_error_hint(err, "ask git about the repository: git -C '%s' fsck",
			git_repository_path(tree->repo));
	return -(int)err->code;
}

static int lookup(const struct commit_tree *tree, const char *path, git_tree_entry **ret,
	struct mk_error *err)
{
	int r = git_tree_entry_bypath(ret, tree->root, path);

	if (r == GIT_ENOTFOUND)
		return mk_fail(err, MK_ENOTFOUND, "there is no '%s'", path);
	return r < 0 ? fail_damaged(tree, path, err) : 0;
}

static int commit_kind(void *data, const char *path, enum mk_tree_kind *ret, struct mk_error *err)
{
	MK_CLEANUP(git_tree_entry_freep) git_tree_entry *entry = NULL;
	int r;

	*ret = MK_TREE_FOLDER;
	if (!*path)
		return 0;
	r = lookup(data, path, &entry, err);
	if (r < 0)
		return r;
	switch (git_tree_entry_filemode(entry)) {
	case GIT_FILEMODE_TREE:
		break;
	case GIT_FILEMODE_BLOB:
	case GIT_FILEMODE_BLOB_EXECUTABLE:
		*ret = MK_TREE_FILE;
		break;
	case GIT_FILEMODE_LINK:
		*ret = MK_TREE_LINK;
		break;
	case GIT_FILEMODE_COMMIT:
		*ret = MK_TREE_SUBMODULE;
		break;
	case GIT_FILEMODE_UNREADABLE:
		*ret = MK_TREE_OTHER;
		break;
	}
	return 0;
}

/* Whether an object has at most `max` bytes, without reading it. */
static int check_size(const struct commit_tree *tree, const git_oid *id, size_t max, bool *ret,
	const char *path, struct mk_error *err)
{
	MK_CLEANUP(git_odb_freep) git_odb *odb = NULL;
	git_object_t type;
	size_t size;

	if (git_repository_odb(&odb, tree->repo) < 0 ||
		git_odb_read_header(&size, &type, odb, id) < 0)
		return fail_damaged(tree, path, err);
	*ret = size <= max;
	return 0;
}

static int open_tree(
	const struct commit_tree *tree, const char *path, git_tree **ret, struct mk_error *err)
{
	MK_CLEANUP(git_tree_entry_freep) git_tree_entry *entry = NULL;
	bool small = false;
	int r = lookup(tree, path, &entry, err);

	if (r == 0)
		r = check_size(tree, git_tree_entry_id(entry), MAX_TREE, &small, path, err);
	if (r == 0 && !small)
		r = mk_fail(err, MK_EINVALID, "too many files in '%s'", path);
	if (r == 0 && git_tree_lookup(ret, tree->repo, git_tree_entry_id(entry)) < 0)
		r = fail_damaged(tree, path, err);
	return r;
}

static int commit_list(
	void *data, const char *path, size_t max, struct mk_strlist *ret, struct mk_error *err)
{
	const struct commit_tree *tree = data;
	MK_CLEANUP(git_tree_freep) git_tree *opened = NULL;
	const git_tree *folder = tree->root;

	if (*path) {
		int r = open_tree(tree, path, &opened, err);

		if (r < 0)
			return r;
		folder = opened;
	}
	if (git_tree_entrycount(folder) > max)
		return mk_fail(err, MK_EINVALID, "too many files in the repository");
	for (size_t i = 0; i < git_tree_entrycount(folder); i++)
		mk_strlist_add(ret, git_tree_entry_name(git_tree_entry_byindex(folder, i)));
	return 0;
}

static int commit_read(void *data, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	const struct commit_tree *tree = data;
	MK_CLEANUP(git_tree_entry_freep) git_tree_entry *entry = NULL;
	MK_CLEANUP(git_blob_freep) git_blob *blob = NULL;
	bool small = false;
	int r = lookup(tree, path, &entry, err);

	if (r == 0)
		r = check_size(
			tree, git_tree_entry_id(entry), ret->max - ret->len, &small, path, err);
	if (r < 0)
		return r;
	if (!small) {
		ret->full = true;
		return mk_buf_check(ret, path, err);
	}
	if (git_blob_lookup(&blob, tree->repo, git_tree_entry_id(entry)) < 0)
		return fail_damaged(tree, path, err);
	mk_buf_add(ret, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
	return mk_buf_check(ret, path, err);
}

static void commit_free(void *data)
{
	struct commit_tree *tree = data;

	git_tree_free(tree->root);
	git_repository_free(tree->repo);
	free(tree);
}

int mk_tree_open_commit(git_repository *repo, const git_oid *id, bool cached, struct mk_tree *ret,
	struct mk_error *err)
{
	MK_CLEANUP(git_commit_freep) git_commit *commit = NULL;
	struct commit_tree opened = { .repo = repo, .cached = cached };
	struct commit_tree *tree;
	bool small = false;
	int r;

	if (git_commit_lookup(&commit, repo, id) < 0)
		return fail_damaged(&opened, "/", err);
	r = check_size(&opened, git_commit_tree_id(commit), MAX_TREE, &small, "/", err);
	if (r < 0)
		return r;
	if (!small)
		return mk_fail(err, MK_EINVALID, "too many files at the top of the repository");
	if (git_commit_tree(&opened.root, commit) < 0)
		return fail_damaged(&opened, "/", err);
	tree = mk_xmalloc(sizeof(*tree));
	*tree = opened;
	*ret = (struct mk_tree){ .data = tree,
		.kind = commit_kind,
		.list = commit_list,
		.read = commit_read,
		.free = commit_free };
	return 0;
}

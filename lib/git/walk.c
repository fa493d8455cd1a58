/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/git/walk.h"

#include "lib/base/clock.h"

#define MAX_LINKS 40    /* on the way to one file, as the kernel has it */
#define MAX_TARGET 4096 /* bytes of a link */
#define MAX_DEPTH 64    /* folders within each other */
#define NAMES_PER_FILE 10

struct walk {
	const struct mk_tree *tree;
	const struct mk_source_query *query;
	const struct mk_source_options *limits;
	mk_source_visitor visitor;
	void *payload;
	struct mk_strlist open; /* the folders that we are in, without links */
	uint64_t bytes;
	size_t files;
	size_t names;
};

static char *join(const char *folder, const char *name)
{
	return *folder ? mk_xasprintf("%s/%s", folder, name) : mk_xstrdup(name);
}

/* A path on its way through links: `where` is done, `rest` is still to go. */
struct way {
	const struct mk_tree *tree;
	const char *asked;
	char *where;
	char *rest;
	enum mk_tree_kind kind; /* of `where` */
	unsigned links;
};

static void way_done(struct way *way)
{
	free(way->where);
	free(way->rest);
}

static int refuse_way(
	const struct way *way, const char *what, const char *why, struct mk_error *err)
{
	if (mk_streq(way->asked, what))
		return mk_fail(err, MK_EINVALID, "'%s' %s", what, why);
	return mk_fail(err, MK_EINVALID, "'%s': '%s' %s", way->asked, what, why);
}

static int step_up(struct way *way, const char *link, struct mk_error *err)
{
	char *slash = strrchr(way->where, '/');

	if (!*way->where)
		return refuse_way(way, link, "is a link that leads out of the tree", err);
	*(slash ? slash : way->where) = '\0';
	way->kind = MK_TREE_FOLDER;
	return 0;
}

static int step_link(struct way *way, const char *link, struct mk_error *err)
{
	mk_autobuf target = mk_buf_init(MAX_TARGET);
	char *rest;
	int r;

	if (++way->links > MAX_LINKS)
		return refuse_way(way, link, "is a link that leads in a circle", err);
	r = way->tree->read(way->tree->data, link, &target, err);
	if (r < 0)
		return r;
	if (target.len == 0 || target.data[0] == '/' || strlen(target.data) != target.len)
		return refuse_way(way, link, "is a link that leads out of the tree", err);
	rest = mk_xasprintf("%s/%s", target.data, way->rest);
	free(way->rest);
	way->rest = rest;
	return 0;
}

static int step_into(struct way *way, const char *next, struct mk_error *err)
{
	enum mk_tree_kind kind;
	int r = way->tree->kind(way->tree->data, next, &kind, err);

	if (r == -MK_ENOTFOUND && way->links > 0)
		return refuse_way(way, way->asked, "is a link that leads to nothing", err);
	if (r < 0)
		return r;
	if (kind == MK_TREE_LINK)
		return step_link(way, next, err);
	free(way->where);
	way->where = mk_xstrdup(next);
	way->kind = kind;
	return 0;
}

/* Go one part of `rest` further. `link` is the last link that was followed. */
static int step(struct way *way, char **link, struct mk_error *err)
{
	size_t skip = strspn(way->rest, "/");
	size_t n = strcspn(way->rest + skip, "/");
	mk_autofree char *part = mk_xstrndup(way->rest + skip, n);
	mk_autofree char *next = NULL;
	unsigned links = way->links;
	int r;

	memmove(way->rest, way->rest + skip + n, strlen(way->rest + skip + n) + 1);
	if (n == 0 || mk_streq(part, "."))
		return 0;
	if (way->kind == MK_TREE_SUBMODULE)
		return refuse_way(way, way->where, "is a submodule, which is not read", err);
	if (way->kind != MK_TREE_FOLDER)
		return mk_fail(err, MK_ENOTFOUND, "there is no '%s': '%s' is no folder", way->asked,
			way->where);
	if (mk_streq(part, ".."))
		return step_up(way, *link ? *link : way->asked, err);
	next = join(way->where, part);
	r = step_into(way, next, err);
	if (r == 0 && way->links > links) {
		free(*link);
		*link = MK_TAKE(next);
	}
	return r;
}

/* What `path` is once all links in it are followed, and where that stands. */
static int resolve(const struct mk_tree *tree, const char *path, char **ret,
	enum mk_tree_kind *ret_kind, struct mk_error *err)
{
	MK_CLEANUP(way_done)
	struct way way = { .tree = tree, .asked = path, .kind = MK_TREE_FOLDER };
	mk_autofree char *link = NULL;
	int r = 0;

	way.where = mk_xstrdup("");
	way.rest = mk_xstrdup(path);
	while (r == 0 && *way.rest)
		r = step(&way, &link, err);
	if (r < 0)
		return r;
	*ret = MK_TAKE(way.where);
	*ret_kind = way.kind;
	return 0;
}

int mk_walk_find(const struct mk_tree *tree, const char *path, struct mk_error *err)
{
	mk_autofree char *where = NULL;
	enum mk_tree_kind kind;

	return resolve(tree, path, &where, &kind, err);
}

static bool matches(const struct walk *walk, const char *name)
{
	const char *const *suffix = walk->query->suffixes;

	while (suffix && *suffix && !mk_has_suffix(name, *suffix))
		suffix++;
	return !suffix || *suffix;
}

static int visit_file(struct walk *walk, const char *shown, const char *where, struct mk_error *err)
{
	mk_autobuf bytes = mk_buf_init((size_t)walk->limits->max_file);
	int r;

	if (++walk->files > walk->limits->max_files)
		return mk_fail(err, MK_EINVALID, "more than %zu files", walk->limits->max_files);
	r = walk->tree->read(walk->tree->data, where, &bytes, err);
	if (r == 0)
		r = mk_buf_check(&bytes, shown, err);
	if (r < 0)
		return r;
	walk->bytes += bytes.len;
	if (walk->bytes > walk->limits->max_total) {
		mk_autofree char *limit = mk_format_bytes(walk->limits->max_total);

		return mk_fail(err, MK_EINVALID, "more than %s in all files together", limit);
	}
	return walk->visitor(walk->payload, shown, bytes.data, bytes.len, err);
}

static int visit_folder(
	struct walk *walk, const char *shown, const char *where, struct mk_error *err);

static int visit_link(struct walk *walk, const char *shown, const char *where, struct mk_error *err)
{
	mk_autofree char *target = NULL;
	enum mk_tree_kind kind;
	int r;

	if (!walk->query->recursive && !matches(walk, shown))
		return 0;
	r = resolve(walk->tree, where, &target, &kind, err);
	if (r < 0)
		return r;
	if (kind == MK_TREE_FOLDER)
		return walk->query->recursive ? visit_folder(walk, shown, target, err) : 0;
	if (kind != MK_TREE_FILE)
		return mk_fail(
			err, MK_EINVALID, "'%s' is a link to neither a file nor a folder", shown);
	return matches(walk, shown) ? visit_file(walk, shown, target, err) : 0;
}

static int visit_entry(
	struct walk *walk, const char *shown, const char *where, struct mk_error *err)
{
	enum mk_tree_kind kind;
	int r = mk_interrupted() ? mk_fail_interrupted(err)
				 : walk->tree->kind(walk->tree->data, where, &kind, err);

	if (r < 0)
		return r;
	switch (kind) {
	case MK_TREE_FILE:
		return matches(walk, shown) ? visit_file(walk, shown, where, err) : 0;
	case MK_TREE_FOLDER:
		return walk->query->recursive ? visit_folder(walk, shown, where, err) : 0;
	case MK_TREE_LINK:
		return visit_link(walk, shown, where, err);
	case MK_TREE_SUBMODULE:
		if (!walk->query->recursive)
			return 0;
		return mk_fail(err, MK_EINVALID, "'%s' is a submodule, which is not read", shown);
	case MK_TREE_OTHER:
		if (!matches(walk, shown))
			return 0;
		break;
	}
	return mk_fail(err, MK_EINVALID, "'%s' is neither a file nor a folder", shown);
}

static int visit_names(struct walk *walk, const char *shown, const char *where,
	const struct mk_strlist *names, struct mk_error *err)
{
	for (size_t i = 0; i < names->count; i++) {
		const char *name = names->items[i];
		mk_autofree char *shown_entry = join(shown, name);
		mk_autofree char *entry = join(where, name);
		int r;

		if (mk_streq(name, ".git"))
			continue;
		if (!*name || strchr(name, '/') || mk_streq(name, ".") || mk_streq(name, ".."))
			return mk_fail(err, MK_EINVALID, "'%s' is no name a file can have", name);
		r = visit_entry(walk, shown_entry, entry, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int visit_folder(
	struct walk *walk, const char *shown, const char *where, struct mk_error *err)
{
	mk_autostrlist names = { .items = NULL };
	size_t max = walk->limits->max_files * NAMES_PER_FILE;
	int r;

	if (mk_strlist_has(&walk->open, where))
		return mk_fail(err, MK_EINVALID, "'%s' is a link to a folder it is in", shown);
	if (walk->open.count >= MAX_DEPTH)
		return mk_fail(err, MK_EINVALID, "'%s': more than %d folders in each other", shown,
			MAX_DEPTH);
	r = walk->tree->list(walk->tree->data, where, max - walk->names, &names, err);
	if (r < 0)
		return r;
	walk->names += names.count;
	mk_strlist_sort(&names);
	mk_strlist_add(&walk->open, where);
	r = visit_names(walk, shown, where, &names, err);
	free(walk->open.items[--walk->open.count]);
	walk->open.items[walk->open.count] = NULL;
	return r;
}

int mk_walk(const struct mk_tree *tree, const char *path, const struct mk_source_query *query,
	const struct mk_source_options *limits, mk_source_visitor visitor, void *payload,
	struct mk_error *err)
{
	struct walk walk = { .tree = tree,
		.query = query,
		.limits = limits,
		.visitor = visitor,
		.payload = payload };
	mk_autofree char *where = NULL;
	enum mk_tree_kind kind;
	int r = resolve(tree, path, &where, &kind, err);

	if (r < 0)
		return r;
	if (kind == MK_TREE_FILE)
		r = visit_file(&walk, path, where, err);
	else if (kind == MK_TREE_FOLDER)
		r = visit_folder(&walk, path, where, err);
	else
		r = mk_fail(err, MK_EINVALID, "'%s' is %s", path,
			kind == MK_TREE_SUBMODULE ? "a submodule, which is not read"
						  : "neither a file nor a folder");
	mk_strlist_done(&walk.open);
	return r;
}

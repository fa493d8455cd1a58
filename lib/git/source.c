/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/git/source.h"

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/git/repository.h"

#include <libgen.h>
#include <sys/stat.h>

#define MAX_FETCH ((uint64_t)512 * 1000 * 1000)
#define MAX_FILE ((uint64_t)8 * 1000 * 1000)
#define MAX_TOTAL ((uint64_t)64 * 1000 * 1000)
#define MAX_FILES ((size_t)10000)
#define TIMEOUT_MS (15 * 60 * 1000)
#define STALL_MS (30 * 1000)
#define MAX_OBJECTS 4000000 /* in a pack: libgit2 reserves room for as many as it announces */
#define SHOWN 8             /* names in an error */

struct mk_source {
	struct mk_tree tree;
	char *base; /* where walks start: "" is the top */
	char *description;
	char *commit;
	struct mk_source_options limits;
	bool uses_git;
};

static struct mk_source_options with_defaults(const struct mk_source_options *options)
{
	struct mk_source_options all = { .cache_dir = NULL };

	if (options)
		all = *options;
	all.max_fetch = all.max_fetch ? all.max_fetch : MAX_FETCH;
	all.max_file = all.max_file ? all.max_file : MAX_FILE;
	all.max_total = all.max_total ? all.max_total : MAX_TOTAL;
	all.max_files = all.max_files ? all.max_files : MAX_FILES;
	all.timeout_ms = all.timeout_ms ? all.timeout_ms : TIMEOUT_MS;
	all.stall_ms = all.stall_ms ? all.stall_ms : STALL_MS;
	return all;
}

/* "a/b" of "./a//b/". */
static char *tidy(const char *path)
{
	mk_autostrlist parts = { .items = NULL };
	mk_autobuf tidied = mk_buf_init(SIZE_MAX);

	mk_strlist_split(&parts, path, "/");
	for (size_t i = 0; i < parts.count; i++) {
		if (!mk_streq(parts.items[i], "."))
			mk_buf_addf(&tidied, "%s%s", tidied.len > 0 ? "/" : "", parts.items[i]);
	}
	return mk_buf_detach(&tidied);
}

int mk_source_check(const char *from, struct mk_error *err)
{
	mk_autolocation location = { .folder = NULL };

	return mk_location_parse(from, &location, err);
}

static int open_path(struct mk_source *source, const char *path, struct mk_error *err)
{
	mk_autofree char *copy = mk_xstrdup(path);
	mk_autofree char *other = mk_xstrdup(path);
	struct stat st;
	bool is_file = stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
	int r = mk_tree_open_folder(is_file ? dirname(copy) : path, &source->tree, err);

	if (r == -MK_ENOTFOUND)
		mk_error_hint(err, "a repository is given as https://HOST/PATH@REF");
	if (r < 0)
		return r;
	source->base = is_file ? mk_xstrdup(basename(other)) : mk_xstrdup("");
	source->description = mk_xstrdup(path);
	return 0;
}

static int start_git(struct mk_source *source, struct mk_error *err)
{
	if (git_libgit2_init() < 0)
		return mk_git_fail(err, MK_EFAIL, "libgit2 does not start");
	source->uses_git = true;
	(void)git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t)MAX_OBJECTS);
	/* Or a pack that a rename has made known could still be empty after a power cut. */
	(void)git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
	return 0;
}

/* A commit that is named in full and there: nobody needs to be asked. */
static git_repository *open_pinned(
	const struct mk_cached *cached, const struct mk_location *location, git_oid *ret)
{
	MK_CLEANUP(git_repository_freep) git_repository *repo = NULL;

	if (!location->ref || !mk_location_is_full_id(location->ref))
		return NULL;
	repo = mk_cached_open(cached);
	if (!repo || git_oid_fromstr(ret, location->ref) < 0 || !mk_repository_has(repo, ret))
		return NULL;
	return MK_TAKE(repo);
}

/* `ret` stays NULL when it failed on a repository that is damaged. */
static int pull_once(const struct mk_cached *cached, struct mk_pull *pull, git_repository **ret,
	git_oid *ret_id, struct mk_error *err)
{
	MK_CLEANUP(git_repository_freep) git_repository *repo = NULL;
	int r = mk_cached_prepare(cached, &repo, err);

	if (r < 0)
		return r;
	r = mk_pull_commit(pull, repo, ret_id, err);
	mk_error_done(&pull->error);
	if (r == 0 || !mk_repository_is_damaged(repo))
		*ret = MK_TAKE(repo);
	return r;
}

/* Fetch; when the cache turns out to be damaged, into a new one. */
static int pull_commit(const struct mk_cached *cached, struct mk_pull *pull, git_repository **ret,
	git_oid *ret_id, struct mk_error *err)
{
	int r = pull_once(cached, pull, ret, ret_id, err);

	if (r < 0 && r != -MK_EINTR && !*ret) {
		mk_error_done(err);
		pull->progress = (struct mk_source_progress){ .bytes = 0 };
		r = mk_cached_discard(cached, err);
		if (r == 0)
			r = pull_once(cached, pull, ret, ret_id, err);
	}
	if (r < 0 && *ret) {
		mk_autoerror ignored = { .code = MK_OK };

		/* Of a URL that was only misspelt nothing stays. */
		if (mk_repository_is_empty(*ret))
			(void)!mk_cached_discard(cached, &ignored);
		git_repository_free(*ret);
		*ret = NULL;
	}
	return r;
}

static void hint_at(struct mk_error *err)
{
	const char *words = err->message;

	if (err->code == MK_ENET && (strstr(words, "certificate") || strstr(words, "SSL")))
		mk_error_hint(err,
			"nothing is fetched without a certificate that is trusted here; "
			"add its CA to those of this machine");
	else if (err->code == MK_ENET || err->code == MK_ETIMEOUT)
		mk_error_hint(err,
			"check the name and the network (HTTPS_PROXY is honoured), or "
			"give a folder; a commit id in full that was fetched before "
			"needs no network");
	else if (err->code == MK_EINVALID)
		mk_error_hint(err, "the server does not speak git's smart HTTP as it should");
}

/* A repository of this machine is read where it is. */
static int open_local(struct mk_pull *pull, const char *path, git_repository **ret, git_oid *ret_id,
	struct mk_error *err)
{
	MK_CLEANUP(git_repository_freep) git_repository *repo = NULL;
	int code = git_repository_open(&repo, path);
	int r;

	if (code < 0) {
		(void)mk_git_fail(err, code == GIT_ENOTFOUND ? MK_ENOTFOUND : MK_EHOST,
			"no repository that can be read");
		mk_error_hint(err,
			code == GIT_EOWNER
				? "repositories of other owners are read only when git's own "
				  "setting safe.directory names them"
				: "name the folder of a bare repository, or the one with .git in it");
		return -(int)err->code;
	}
	r = mk_pull_commit(pull, repo, ret_id, err);
	mk_error_done(&pull->error);
	if (r == 0)
		*ret = MK_TAKE(repo);
	return r;
}

static int open_cached(
	struct mk_pull *pull, git_repository **ret, git_oid *ret_id, struct mk_error *err)
{
	MK_CLEANUP(mk_cached_done) struct mk_cached cached = { .lock = -1 };
	const struct mk_location *location = pull->location;
	int r = mk_cached_init(pull->options->cache_dir, location->url, &cached, err);

	if (r < 0)
		return r;
	*ret = open_pinned(&cached, location, ret_id);
	if (*ret)
		return 0;
	r = mk_cached_lock(&cached, pull->deadline, err);
	/* Another run may have brought it while we waited. */
	if (r == 0)
		*ret = open_pinned(&cached, location, ret_id);
	if (r == 0 && !*ret)
		r = pull_commit(&cached, pull, ret, ret_id, err);
	if (r < 0 && r != -MK_EINTR)
		hint_at(err);
	return r;
}

/* The first names at the top, for a PATH that is not there. */
static void hint_at_names(const struct mk_tree *tree, struct mk_error *err)
{
	mk_autoerror ignored = { .code = MK_OK };
	mk_autostrlist names = { .items = NULL };
	mk_autobuf shown = mk_buf_init(1024);

	if (tree->list(tree->data, "", MAX_FILES, &names, &ignored) < 0)
		return;
	mk_strlist_sort(&names);
	for (size_t i = 0; i < names.count && i < SHOWN; i++)
		mk_buf_addf(&shown, "%s%s", i > 0 ? ", " : "", names.items[i]);
	mk_error_hint(err, "at its top there is: %s%s", names.count > 0 ? shown.data : "nothing",
		names.count > SHOWN ? ", ..." : "");
}

static int open_url(
	struct mk_source *source, const struct mk_location *location, struct mk_error *err)
{
	MK_CLEANUP(git_repository_freep) git_repository *repo = NULL;
	mk_autofree char *local = mk_location_local_path(location);
	struct mk_pull pull = { .location = location,
		.options = &source->limits,
		.deadline = mk_deadline(source->limits.timeout_ms) };
	char hex[GIT_OID_HEXSZ + 1];
	git_oid id;
	int r = start_git(source, err);

	if (r == 0)
		r = local ? open_local(&pull, local, &repo, &id, err)
			  : open_cached(&pull, &repo, &id, err);
	if (r == 0)
		r = mk_tree_open_commit(repo, &id, !local, &source->tree, err);
	if (r < 0)
		return r == -MK_EINTR ? r : mk_error_wrap(err, "%s", location->url);
	(void)MK_TAKE(repo); /* the tree's now */
	source->commit = mk_xstrdup(git_oid_tostr(hex, sizeof(hex), &id));
	source->description = mk_xasprintf("%s at %s", location->url, source->commit);
	source->base = tidy(location->path ? location->path : "");
	r = mk_walk_find(&source->tree, source->base, err);
	if (r == -MK_ENOTFOUND)
		hint_at_names(&source->tree, err);
	return r < 0 ? mk_error_wrap(err, "%s", source->description) : 0;
}

int mk_source_open(const char *from, const struct mk_source_options *options,
	struct mk_source **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_source_freep) struct mk_source *source = mk_xcalloc(1, sizeof(*source));
	mk_autolocation location = { .folder = NULL };
	int r = mk_location_parse(from, &location, err);

	if (r < 0)
		return r;
	source->limits = with_defaults(options);
	r = location.folder ? open_path(source, location.folder, err)
			    : open_url(source, &location, err);
	if (r == 0)
		*ret = MK_TAKE(source);
	return r;
}

void mk_source_free(struct mk_source *source)
{
	if (!source)
		return;
	if (source->tree.free)
		source->tree.free(source->tree.data);
	if (source->uses_git)
		(void)git_libgit2_shutdown();
	free(source->base);
	free(source->description);
	free(source->commit);
	free(source);
}

const char *mk_source_describe(const struct mk_source *source)
{
	return source->description;
}

const char *mk_source_commit(const struct mk_source *source)
{
	return source->commit;
}

int mk_source_walk(struct mk_source *source, const struct mk_source_query *query,
	mk_source_visitor visitor, void *payload, struct mk_error *err)
{
	mk_autofree char *asked = NULL;
	mk_autofree char *path = NULL;

	if (query->path && !mk_location_is_inside(query->path))
		return mk_fail(err, MK_EUSAGE, "%s: the path '%s' leads out of it",
			source->description, query->path);
	asked = mk_xasprintf("%s/%s", source->base, query->path ? query->path : "");
	path = tidy(asked);
	return mk_walk(&source->tree, path, query, &source->limits, visitor, payload, err);
}

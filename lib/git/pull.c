/* SPDX-License-Identifier: Apache-2.0 */
/* One commit on its way from a server, or another folder, into the cache. */
#include "lib/base/clock.h"
#include "lib/git/repository.h"

#define TELL_EVERY_MS 100

static int note(struct mk_pull *pull)
{
	(void)git_error_set_str(GIT_ERROR_CALLBACK, pull->error.message);
	return -1;
}

int mk_pull_check(struct mk_pull *pull)
{
	int64_t now = mk_now_ms();

	if (pull->error.code != MK_OK)
		return note(pull);
	if (mk_interrupted()) {
		(void)mk_fail_interrupted(&pull->error);
		return note(pull);
	}
	if (mk_remaining_ms(pull->deadline) == 0) {
		mk_autofree char *limit = mk_format_duration(pull->options->timeout_ms);

		(void)mk_fail(&pull->error, MK_ETIMEOUT, "not there after %s", limit);
		return note(pull);
	}
	if (pull->progress.bytes > pull->options->max_fetch) {
		mk_autofree char *limit = mk_format_bytes(pull->options->max_fetch);

		(void)mk_fail(&pull->error, MK_EINVALID, "the repository is larger than %s", limit);
		mk_error_hint(&pull->error,
			"make a clone with little history yourself (git clone --depth 1) and give "
			"its folder");
		return note(pull);
	}
	if (pull->options->listener && now - pull->told_ms >= TELL_EVERY_MS) {
		pull->told_ms = now;
		pull->options->listener(pull->options->listener_payload, &pull->progress);
	}
	return 0;
}

static int on_progress(const git_indexer_progress *stats, void *payload)
{
	struct mk_pull *pull = payload;

	pull->progress.objects = stats->received_objects;
	pull->progress.total = stats->total_objects;
	/* Of a server's bytes the transport has counted all, not the pack's alone. */
	if (stats->received_bytes > pull->progress.bytes)
		pull->progress.bytes = stats->received_bytes;
	return mk_pull_check(pull);
}

static int on_words(const char *words, int len, void *payload)
{
	(void)words;
	(void)len;
	return mk_pull_check(payload);
}

static bool is_local(const struct mk_pull *pull)
{
	return mk_after_prefix(pull->location->url, "file://");
}

/* What libgit2 has given up with; what our own callbacks noted comes first. */
static int fail_pull(struct mk_pull *pull, int code, struct mk_error *err)
{
	const git_error *last = git_error_last();
	const char *words = last && last->message ? last->message : "libgit2 does not say why";

	if (pull->error.code != MK_OK) {
		mk_error_move(err, &pull->error);
		return -(int)err->code;
	}
	if (code == GIT_EEOF)
		return mk_fail(err, MK_ENET, "the server ended its answer too early: %s", words);
	if (mk_after_prefix(words, "remote error"))
		return mk_fail(err, MK_EREMOTE, "%s", words);
	return mk_fail(err, MK_EINVALID, "%s", words);
}

static git_remote_callbacks callbacks_of(struct mk_pull *pull)
{
	git_remote_callbacks callbacks;

	(void)git_remote_init_callbacks(&callbacks, GIT_REMOTE_CALLBACKS_VERSION);
	callbacks.transfer_progress = on_progress;
	callbacks.sideband_progress = on_words;
	callbacks.transport = is_local(pull) ? NULL : mk_wire_transport;
	callbacks.payload = pull;
	return callbacks;
}

static int connect_remote(
	struct mk_pull *pull, git_repository *repo, git_remote **ret, struct mk_error *err)
{
	MK_CLEANUP(git_remote_freep) git_remote *remote = NULL;
	git_remote_create_options options;
	git_remote_callbacks callbacks = callbacks_of(pull);
	int code;

	(void)git_remote_create_options_init(&options, GIT_REMOTE_CREATE_OPTIONS_VERSION);
	options.repository = repo;
	/* The user's own url.insteadOf would lead to ssh, or anywhere. */
	options.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF | GIT_REMOTE_CREATE_SKIP_DEFAULT_FETCHSPEC;
	code = git_remote_create_with_opts(&remote, pull->location->url, &options);
	if (code == 0)
		code = git_remote_connect(remote, GIT_DIRECTION_FETCH, &callbacks, NULL, NULL);
	if (code < 0)
		return fail_pull(pull, code, err);
	*ret = MK_TAKE(remote);
	return 0;
}

static int download(struct mk_pull *pull, git_remote *remote, const char *const *specs,
	size_t count, struct mk_error *err)
{
	git_fetch_options options;
	char *items[2];
	git_strarray list = { items, count };
	int code;

	for (size_t i = 0; i < count; i++)
		items[i] = mk_xstrdup(specs[i]);
	(void)git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
	options.callbacks = callbacks_of(pull);
	options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	code = git_remote_download(remote, &list, &options);
	for (size_t i = 0; i < count; i++)
		free(items[i]);
	return code < 0 ? fail_pull(pull, code, err) : 0;
}

/* The commit that an object is, or, as a tag, is of. */
static bool peel(git_repository *repo, const git_oid *id, git_oid *ret)
{
	MK_CLEANUP(git_object_freep) git_object *object = NULL;
	MK_CLEANUP(git_object_freep) git_object *commit = NULL;

	if (git_object_lookup(&object, repo, id, GIT_OBJECT_ANY) < 0 ||
		git_object_peel(&commit, object, GIT_OBJECT_COMMIT) < 0)
		return false;
	git_oid_cpy(ret, git_object_id(commit));
	return mk_repository_has(repo, ret);
}

static int find_short(git_repository *repo, const char *ref, git_oid *ret, struct mk_error *err)
{
	MK_CLEANUP(git_commit_freep) git_commit *commit = NULL;
	git_oid part;
	int code = git_oid_fromstrn(&part, ref, strlen(ref));

	if (code == 0)
		code = git_commit_lookup_prefix(&commit, repo, &part, strlen(ref));
	if (code == GIT_EAMBIGUOUS) {
		(void)mk_fail(err, MK_EUSAGE, "several objects' ids begin with '%s'", ref);
		mk_error_hint(err, "give more digits of the id");
		return -(int)err->code;
	}
	if (code < 0) {
		(void)mk_fail(err, MK_ENOTFOUND, "there is no branch, tag or commit '%s'", ref);
		mk_error_hint(err, "only commits that a branch or tag leads to are found");
		return -(int)err->code;
	}
	git_oid_cpy(ret, git_commit_id(commit));
	return 0;
}

/* By id, from a server that gives commits away so; else with all that there is. */
static int pull_id(struct mk_pull *pull, git_repository *repo, git_remote *remote,
	const git_oid *id, struct mk_error *err)
{
	static const char *const all[] = { "+refs/heads/*:refs/heads/*",
		"+refs/tags/*:refs/tags/*" };
	MK_CLEANUP(git_remote_freep) git_remote *again = NULL;
	char hex[GIT_OID_HEXSZ + 1];
	mk_autofree char *spec = NULL;
	const char *specs[1];
	int r;

	if (git_oid_is_zero(id))
		return download(pull, remote, all, MK_ARRAY_LEN(all), err);
	spec = mk_xasprintf("%s:refs/heads/wanted", git_oid_tostr(hex, sizeof(hex), id));
	specs[0] = spec;
	r = download(pull, remote, specs, 1, err);
	if (r != -MK_EINVALID && r != -MK_EREMOTE)
		return r;
	if (err->status || pull->progress.bytes > pull->options->max_fetch)
		return r;
	/* A server that refused has ended the conversation. */
	mk_error_done(err);
	r = connect_remote(pull, repo, &again, err);
	return r < 0 ? r : download(pull, again, all, MK_ARRAY_LEN(all), err);
}

static int find_commit(struct mk_pull *pull, git_repository *repo, const struct mk_choice *choice,
	git_oid *ret, struct mk_error *err)
{
	const char *ref = pull->location->ref;

	if (git_oid_is_zero(&choice->id))
		return find_short(repo, ref, ret, err);
	if (peel(repo, &choice->id, ret) &&
		(!mk_location_is_full_id(ref ? ref : "") || git_oid_equal(ret, &choice->id)))
		return 0;
	(void)mk_fail(err, MK_ENOTFOUND, "there is no commit '%s'", ref ? ref : "HEAD");
	mk_error_hint(err, "a commit's id is what 'git rev-parse REF^{commit}' prints in a clone");
	return -(int)err->code;
}

int mk_pull_commit(struct mk_pull *pull, git_repository *repo, git_oid *ret, struct mk_error *err)
{
	MK_CLEANUP(git_remote_freep) git_remote *remote = NULL;
	const git_remote_head **heads = NULL;
	struct mk_choice choice;
	size_t count = 0;
	int code;
	int r = connect_remote(pull, repo, &remote, err);

	if (r < 0)
		return r;
	code = git_remote_ls(&heads, &count, remote);
	if (code < 0)
		return fail_pull(pull, code, err);
	r = mk_refs_choose(heads, count, pull->location, &choice, err);
	if (r < 0)
		return r;
	if (!is_local(pull) && (git_oid_is_zero(&choice.id) || !peel(repo, &choice.id, ret))) {
		r = choice.name ? download(pull, remote, &choice.name, 1, err)
				: pull_id(pull, repo, remote, &choice.id, err);
		if (r < 0)
			return r;
	}
	r = find_commit(pull, repo, &choice, ret, err);
	if (r < 0 || is_local(pull))
		return r;
	r = mk_repository_keep(repo, ret, err);
	if (r == 0 && pull->options->listener)
		pull->options->listener(pull->options->listener_payload, &pull->progress);
	return r;
}

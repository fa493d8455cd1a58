/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Git's smart HTTP, version 0 (git's gitprotocol-http(5)): libgit2 speaks the
 * protocol, lib/http carries it. libgit2's own HTTP has no time limits before
 * 1.7 and cannot be interrupted.
 */
#include "lib/base/clock.h"
#include "lib/git/repository.h"
#include "lib/http/http.h"

#define REFS "/info/refs?service=git-upload-pack"
#define REFS_TYPE "application/x-git-upload-pack-advertisement"
#define PACK_TYPE "application/x-git-upload-pack-result"
#define MAX_REDIRECTS 5
#define MAX_REFS ((uint64_t)64 * 1000 * 1000) /* bytes of a list that is kept in memory */
#define MAX_REQUEST ((size_t)1024 * 1024)

/* libgit2 knows these two by their first member. */
struct wire {
	git_smart_subtransport parent;
	struct mk_pull *pull;
	struct mk_http *http;
	char *base; /* where the repository is, after redirects */
	bool login; /* it is still the host that the user gave a login for */
};

struct wire_stream {
	git_smart_subtransport_stream parent;
	struct wire *wire;
	struct mk_http_stream *answer; /* NULL until the request is sent */
	struct mk_buf request;
	uint64_t left; /* bytes that it may still have */
};

static int fail_wire(struct wire *wire)
{
	(void)git_error_set_str(GIT_ERROR_HTTP, wire->pull->error.message);
	return -1;
}

static int set_base(struct wire *wire, const char *base, struct mk_error *err)
{
	const struct mk_location *location = wire->pull->location;
	char *copy = mk_xstrdup(base);
	struct mk_http_options options = { .name = "git",
		.base_url = copy,
		.ca_pem = wire->pull->options->ca_pem,
		.user = wire->login ? location->user : NULL,
		.password = wire->login ? location->password : NULL,
		.use_proxy = mk_after_prefix(base, "https://") };

	mk_http_free(wire->http);
	wire->http = NULL;
	free(wire->base);
	wire->base = copy;
	return mk_http_new(&options, &wire->http, err);
}

static int check_status(const struct mk_http_stream *answer, struct mk_error *err)
{
	long status = mk_http_stream_status(answer);
	bool login = status == 401 || status == 403 || status == 407;
	bool missing = status == 404 || status == 410;

	if (status == 200)
		return 0;
	(void)mk_fail(err, missing ? MK_ENOTFOUND : MK_EREMOTE, "the server answered %ld%s", status,
		login             ? ": it wants a login, or there is no such repository"
			: missing ? ": there is no such repository"
				  : "");
	err->status = (int)status;
	if (login)
		mk_error_hint(err,
			"check the spelling; a private one needs https://USER:TOKEN@HOST/"
			"..., or clone it yourself and give the folder");
	if (missing)
		mk_error_hint(err,
			"check the spelling; in a browser's URL, /tree/REF/PATH is "
			"@REF:PATH here");
	return -(int)err->code;
}

static int check_answer(const struct mk_http_stream *answer, const char *type, struct mk_error *err)
{
	mk_autofree char *actual = mk_http_stream_header(answer, "Content-Type");
	int r = check_status(answer, err);

	if (r < 0)
		return r;
	if (actual && mk_streq(actual, type))
		return 0;
	(void)mk_fail(err, MK_EINVALID, "this is no git repository: it answered %.80s",
		actual ? actual : "without a type");
	mk_error_hint(err, "give the URL that 'git clone' takes, over smart HTTP");
	return -(int)err->code;
}

static size_t origin_length(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return (size_t)(host - url) + strcspn(host, "/");
}

/* Where the repository is now, as a redirect of its refs says it. */
static int read_redirect(const struct wire *wire, const struct mk_http_stream *answer, char **ret,
	struct mk_error *err)
{
	mk_autofree char *where = mk_http_stream_header(answer, "Location");
	mk_autofree char *next = NULL;
	int scheme = (int)(strstr(wire->base, "://") - wire->base) + 3;

	if (!where || !mk_has_suffix(where, REFS))
		return mk_fail(
			err, MK_EINVALID, "this is no git repository: it redirects elsewhere");
	where[strlen(where) - strlen(REFS)] = '\0';
	next = where[0] == '/'
		? mk_xasprintf("%.*s%s", (int)origin_length(wire->base), wire->base, where)
		: mk_xstrdup(where);
	if (strncmp(next, wire->base, (size_t)scheme) != 0)
		return mk_fail(err, MK_EREMOTE,
			"the server redirects to another scheme, which is not followed");
	if (mk_location_check_url(next, err) < 0) {
		(void)mk_error_recode(err, MK_EREMOTE);
		return mk_error_wrap(err, "the server redirects elsewhere");
	}
	*ret = MK_TAKE(next);
	return 0;
}

/* Follow it: whoever answers there is given the login only on the same host. */
static int redirect(struct wire *wire, const char *next, struct mk_error *err)
{
	size_t origin = origin_length(wire->base);

	wire->login = wire->login && origin_length(next) == origin &&
		strncmp(next, wire->base, origin) == 0;
	return set_base(wire, next, err);
}

static int send(struct wire *wire, struct mk_http_request *request, struct mk_http_stream **ret,
	struct mk_error *err)
{
	mk_autostrlist headers = { .items = NULL };

	/* Some servers give repositories to those that call themselves git only. */
	mk_strlist_add(&headers, "User-Agent: git/2.0 (mkcluster)");
	mk_strlist_add(&headers, "Pragma: no-cache");
	request->headers = &headers;
	request->stall_ms = wire->pull->options->stall_ms;
	request->timeout_ms = mk_remaining_ms(wire->pull->deadline) + 1;
	return mk_http_open(wire->http, request, ret, err);
}

/* Ask for the refs once: `ret` is the answer, or else `ret_next` is where to ask. */
static int ask_refs_once(
	struct wire *wire, struct mk_http_stream **ret, char **ret_next, struct mk_error *err)
{
	struct mk_http_request request = { .path = REFS };
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *answer = NULL;
	long status;
	int r = send(wire, &request, &answer, err);

	if (r < 0)
		return r;
	status = mk_http_stream_status(answer);
	if (status >= 300 && status < 400)
		return read_redirect(wire, answer, ret_next, err);
	r = check_answer(answer, REFS_TYPE, err);
	if (r == 0)
		*ret = MK_TAKE(answer);
	return r;
}

static int ask_refs(struct wire *wire, struct mk_http_stream **ret, struct mk_error *err)
{
	for (int i = 0; i <= MAX_REDIRECTS; i++) {
		mk_autofree char *next = NULL;
		int r = ask_refs_once(wire, ret, &next, err);

		if (r < 0 || !next)
			return r;
		r = redirect(wire, next, err);
		if (r < 0)
			return r;
	}
	return mk_fail(err, MK_EREMOTE, "more than %d redirects", MAX_REDIRECTS);
}

static int ask_pack(struct wire_stream *stream, struct mk_error *err)
{
	struct mk_http_request request = { .method = "POST",
		.path = "/git-upload-pack",
		.content_type = "application/x-git-upload-pack-request",
		.body = stream->request.data,
		.body_len = stream->request.len };
	int r = mk_buf_check(&stream->request, "the request", err);

	if (r == 0)
		r = send(stream->wire, &request, &stream->answer, err);
	return r < 0 ? r : check_answer(stream->answer, PACK_TYPE, err);
}

static int stream_read(
	git_smart_subtransport_stream *parent, char *data, size_t cap, size_t *ret_count)
{
	struct wire_stream *stream = (struct wire_stream *)parent;
	struct mk_pull *pull = stream->wire->pull;
	int64_t stalled;
	ssize_t n;

	*ret_count = 0;
	if (mk_pull_check(pull) < 0)
		return -1;
	if (!stream->answer && ask_pack(stream, &pull->error) < 0)
		return fail_wire(stream->wire);
	/* More exact than libcurl, which takes the mean of some seconds. */
	stalled = mk_deadline(pull->options->stall_ms);
	n = mk_http_read(stream->answer, data, cap,
		stalled < pull->deadline ? stalled : pull->deadline, &pull->error);
	if (n < 0)
		return fail_wire(stream->wire);
	if ((uint64_t)n > stream->left) {
		(void)mk_fail(&pull->error, MK_EINVALID, "the list of its refs is too long");
		return fail_wire(stream->wire);
	}
	stream->left -= (uint64_t)n;
	*ret_count = (size_t)n;
	pull->progress.bytes += (uint64_t)n;
	return mk_pull_check(pull);
}

static int stream_write(git_smart_subtransport_stream *parent, const char *data, size_t len)
{
	struct wire_stream *stream = (struct wire_stream *)parent;

	mk_buf_add(&stream->request, data, len);
	return 0;
}

static void stream_free(git_smart_subtransport_stream *parent)
{
	struct wire_stream *stream = (struct wire_stream *)parent;

	mk_http_stream_free(stream->answer);
	mk_buf_done(&stream->request);
	free(stream);
}

static int wire_action(git_smart_subtransport_stream **ret, git_smart_subtransport *parent,
	const char *url, git_smart_service_t service)
{
	struct wire *wire = (struct wire *)parent;
	struct wire_stream *stream;

	(void)url;
	if (service != GIT_SERVICE_UPLOADPACK_LS && service != GIT_SERVICE_UPLOADPACK) {
		(void)git_error_set_str(GIT_ERROR_HTTP, "nothing is ever pushed");
		return -1;
	}
	stream = mk_xcalloc(1, sizeof(*stream));
	stream->parent.subtransport = parent;
	stream->parent.read = stream_read;
	stream->parent.write = stream_write;
	stream->parent.free = stream_free;
	stream->wire = wire;
	stream->request = mk_buf_init(MAX_REQUEST);
	stream->left = service == GIT_SERVICE_UPLOADPACK_LS ? MAX_REFS : UINT64_MAX;
	if (service == GIT_SERVICE_UPLOADPACK_LS &&
		ask_refs(wire, &stream->answer, &wire->pull->error) < 0) {
		stream_free(&stream->parent);
		return fail_wire(wire);
	}
	*ret = &stream->parent;
	return 0;
}

static int wire_close(git_smart_subtransport *parent)
{
	(void)parent;
	return 0;
}

static void wire_free(git_smart_subtransport *parent)
{
	struct wire *wire = (struct wire *)parent;

	mk_http_free(wire->http);
	free(wire->base);
	free(wire);
}

static int wire_new(git_smart_subtransport **ret, git_transport *owner, void *payload)
{
	struct wire *wire = mk_xcalloc(1, sizeof(*wire));

	(void)owner;
	wire->parent.action = wire_action;
	wire->parent.close = wire_close;
	wire->parent.free = wire_free;
	wire->pull = payload;
	wire->login = true;
	if (set_base(wire, wire->pull->location->url, &wire->pull->error) < 0) {
		(void)fail_wire(wire);
		wire_free(&wire->parent);
		return -1;
	}
	*ret = &wire->parent;
	return 0;
}

int mk_wire_transport(git_transport **ret, git_remote *owner, void *payload)
{
	git_smart_subtransport_definition definition = {
		.callback = wire_new, .rpc = 1, .param = payload
	};

	return git_transport_smart(ret, owner, &definition);
}

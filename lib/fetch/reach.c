/* SPDX-License-Identifier: Apache-2.0 */
/* The quick question whether the release files can be had at all. */
#include "lib/fetch/fetch.h"

#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/fetch/answer.h"
#include "lib/fetch/cache.h"
#include "lib/http/http.h"

struct probe {
	struct mk_strlist sources; /* the URLs to ask */
	struct mk_http_request *requests;
	struct mk_http_response *responses;
	char *reason; /* the first thing found wrong, or NULL */
};

static void probe_done(struct probe *probe)
{
	for (size_t i = 0; i < probe->sources.count && probe->responses; i++)
		mk_http_response_done(&probe->responses[i]);
	free(probe->responses);
	free(probe->requests);
	free(probe->reason);
	mk_strlist_done(&probe->sources);
}

static int collect(struct probe *probe, const char *const *urls, size_t count, const char *mirror,
	struct mk_error *err)
{
	for (size_t i = 0; i < count; i++) {
		mk_autofree char *source = NULL;
		bool local = false;
		int r = mk_cache_source(urls[i], mirror, &source, &local, err);

		if (r < 0)
			return r;
		if (!local)
			mk_strlist_take(&probe->sources, MK_TAKE(source));
		else if (!mk_fs_exists(source) && !probe->reason)
			probe->reason = mk_xasprintf("the mirror has no %s", source);
	}
	return 0;
}

/* Some servers serve a file and do not know HEAD: they are reachable. */
static bool is_there(long status)
{
	return (status >= 200 && status < 300) || status == 405 || status == 501;
}

static void judge(struct probe *probe)
{
	for (size_t i = 0; i < probe->sources.count && !probe->reason; i++) {
		mk_autoerror refusal = { .code = MK_OK };

		if (is_there(probe->responses[i].status))
			continue;
		(void)mk_answer_fail(probe->responses[i].status, &refusal);
		probe->reason = mk_xasprintf("%s: %s", probe->sources.items[i], refusal.message);
	}
}

static int ask(struct probe *probe, int64_t timeout_ms, struct mk_error *err)
{
	struct mk_http_options options = { .name = "fetch", .use_proxy = true };
	MK_CLEANUP(mk_http_freep) struct mk_http *http = NULL;
	size_t count = probe->sources.count;
	int r = mk_http_new(&options, &http, err);

	if (r < 0)
		return r;
	probe->requests = mk_xcalloc(count, sizeof(*probe->requests));
	probe->responses = mk_xcalloc(count, sizeof(*probe->responses));
	for (size_t i = 0; i < count; i++) {
		probe->requests[i].method = "HEAD";
		probe->requests[i].path = probe->sources.items[i];
		probe->requests[i].timeout_ms = timeout_ms;
		probe->requests[i].follow = true;
	}
	r = mk_http_do_all(http, probe->requests, count, probe->responses, err);
	if (r == -MK_EINTR || r == -MK_EFAIL)
		return r;
	if (r < 0) {
		probe->reason = mk_xstrdup(err->message);
		mk_error_done(err);
		return 0;
	}
	judge(probe);
	return 0;
}

int mk_fetch_reachable(const char *const *urls, size_t count, const char *mirror,
	int64_t timeout_ms, bool *ret, char **ret_reason, struct mk_error *err)
{
	MK_CLEANUP(probe_done) struct probe probe = { .reason = NULL };
	int r = collect(&probe, urls, count, mirror, err);

	if (r == 0 && !probe.reason && probe.sources.count > 0)
		r = ask(&probe, timeout_ms, err);
	if (r < 0)
		return r;
	*ret = !probe.reason;
	*ret_reason = MK_TAKE(probe.reason);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster verify */
#include "lib/cluster/verify.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/cluster/spec.h"

#include <stdio.h>

struct options {
	const char *name;
	int output;
	int64_t timeout_ms;
};

static const struct mk_option options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	MK_OUTPUT_OPTION(struct options),
	{ .name = "timeout",
		.kind = MK_OPTION_SECONDS,
		.value = "TIME",
		.offset = offsetof(struct options, timeout_ms),
		.help = "give up after (2m)" },
};

static void init(void *o)
{
	*(struct options *)o = (struct options){ .name = MK_DEFAULT_NAME, .timeout_ms = 120000 };
}

static void check_begin(void *payload, const char *title)
{
	mk_progress_begin(payload, title);
}

static void check_end(void *payload, const struct mk_check_result *check)
{
	enum mk_progress_mark mark = check->skipped ? MK_PROGRESS_SKIPPED
		: check->ok                         ? MK_PROGRESS_DONE
						    : MK_PROGRESS_FAILED;

	mk_progress_mark(payload, mark, check->title, check->ms, check->detail);
}

/* What a peer has said need not be UTF-8; JSON must be. */
static json_t *text_json(const char *text)
{
	mk_autofree char *plain = mk_xstrdup(text ? text : "");
	json_t *value = json_string(plain);

	for (char *p = plain; !value && *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	return value ? value : json_string(plain);
}

static void print_json(const struct mk_verify_result *result)
{
	mk_autojson *checks = json_array();

	for (size_t i = 0; i < result->count; i++) {
		const struct mk_check_result *check = &result->checks[i];

		(void)json_array_append_new(checks,
			mk_json_pack("{s:s,s:b,s:b,s:I,s:o}", "name", check->name, "ok", check->ok,
				"skipped", check->skipped, "ms", (json_int_t)check->ms, "detail",
				text_json(check->detail)));
	}
	mk_print_json(checks);
}

static int run(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	const struct mk_verify_report report = {
		.payload = &progress, .begin = check_begin, .end = check_end
	};
	MK_CLEANUP(mk_verify_result_done) struct mk_verify_result result = { .count = 0 };
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	int64_t start = mk_now_ms();
	mk_autofree char *time = NULL;
	int r = mk_cluster_name_check(o->name, err);

	(void)arguments;
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = mk_cluster_verify(docker, o->name, o->timeout_ms, &report, &result, err);
	mk_progress_close(&progress);
	if (o->output == MK_OUTPUT_JSON && result.count > 0)
		print_json(&result);
	if (r < 0)
		return r;
	time = mk_format_duration(mk_now_ms() - start);
	mk_progress_say(&progress, "\nCluster '%s' passes in %s.", o->name, time);
	return 0;
}

const struct mk_command mk_command_verify = {
	.path = "verify",
	.summary = "try out all that a cluster must do",
	.about =
		"Looks at etcd, the API server, the nodes and their routes, and at what etcd holds of\n"
		"a Secret; runs a pod, and looks into it, talks to it and asks DNS from it; deploys\n"
		"and calls a function. All that this makes is removed again, on failure and on\n"
		"Ctrl-C too. Status 5 when a check fails.\n",
	.examples = "  mkcluster verify\n"
		    "  mkcluster verify --name dev --output json\n",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = run,
};

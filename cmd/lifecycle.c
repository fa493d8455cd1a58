/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster stop|start|restart|pause|resume */
#include "lib/cluster/lifecycle.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/cluster/spec.h"

struct options {
	const char *name;
	int64_t timeout_ms;
};

static const struct mk_option options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	/* Last, so that the commands that do not wait can leave it out. */
	{ .name = "timeout",
		.kind = MK_OPTION_SECONDS,
		.value = "TIME",
		.offset = offsetof(struct options, timeout_ms),
		.help = "give up after (3m)" },
};

#define WITHOUT_TIMEOUT (MK_ARRAY_LEN(options) - 1)

static void init(void *o)
{
	*(struct options *)o = (struct options){ .name = MK_DEFAULT_NAME, .timeout_ms = 180000 };
}

typedef int (*plain_action)(struct mk_docker *docker, const char *name, struct mk_error *err);
typedef int (*waiting_action)(
	struct mk_docker *docker, const char *name, int64_t deadline, struct mk_error *err);

/* One command: what does not wait, then what does; either may be missing. */
static int run_actions(const struct mk_context *context, const struct options *o, const char *verb,
	plain_action plain, waiting_action waiting, struct mk_error *err)
{
	struct mk_progress progress = { .context = context };
	mk_autofree char *title = mk_xasprintf("%s cluster '%s'", verb, o->name);
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	int64_t start = mk_now_ms();
	int r = mk_cluster_name_check(o->name, err);

	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	mk_progress_begin(&progress, title);
	if (r == 0 && plain)
		r = plain(docker, o->name, err);
	if (r == 0 && waiting)
		r = waiting(docker, o->name, mk_deadline(o->timeout_ms), err);
	mk_progress_close(&progress);
	if (r == 0)
		mk_progress_end(&progress, title, mk_now_ms() - start, NULL);
	return r;
}

static int stop(const struct mk_context *context, const void *o, const struct mk_strlist *arguments,
	struct mk_error *err)
{
	(void)arguments;
	return run_actions(context, o, "Stopping", mk_cluster_stop, NULL, err);
}

static int start(const struct mk_context *context, const void *o,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	(void)arguments;
	return run_actions(context, o, "Starting", NULL, mk_cluster_start, err);
}

static int restart(const struct mk_context *context, const void *o,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	(void)arguments;
	return run_actions(context, o, "Restarting", mk_cluster_stop, mk_cluster_start, err);
}

static int pause_cluster(const struct mk_context *context, const void *o,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	(void)arguments;
	return run_actions(context, o, "Pausing", mk_cluster_pause, NULL, err);
}

static int resume(const struct mk_context *context, const void *o,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	(void)arguments;
	return run_actions(context, o, "Resuming", NULL, mk_cluster_resume, err);
}

#define COMMAND(words, text, more, count, function)                                                \
	{                                                                                          \
		.path = (words), .summary = (text), .about = (more), .options = options,           \
		.option_count = (count), .options_size = sizeof(struct options), .init = init,     \
		.run = (function),                                                                 \
	}

const struct mk_command mk_command_stop = COMMAND(
	"stop", "shut a cluster down, keeping its data", NULL, WITHOUT_TIMEOUT, stop);

const struct mk_command mk_command_start = COMMAND("start", "start a cluster that was stopped",
	"Returns when all nodes have reported and are Ready, and the gateway answers.\n",
	MK_ARRAY_LEN(options), start);

const struct mk_command mk_command_restart = COMMAND(
	"restart", "stop and start a cluster", NULL, MK_ARRAY_LEN(options), restart);

const struct mk_command mk_command_pause = COMMAND("pause",
	"freeze a cluster: no CPU is used, memory is kept", NULL, WITHOUT_TIMEOUT, pause_cluster);

const struct mk_command mk_command_resume = COMMAND("resume", "let a paused cluster run on",
	"Returns when all nodes have reported and are Ready, and the gateway answers.\n",
	MK_ARRAY_LEN(options), resume);

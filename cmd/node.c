/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster node add|remove */
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/cluster/membership.h"

struct options {
	const char *name;
	int role;
	int64_t count;
	const char *kubeconfig;
	int64_t drain_ms;
	int64_t timeout_ms;
	bool retain;
	bool force;
};

static const char *const roles[] = { "worker", "control-plane", NULL };

static void init(void *o)
{
	*(struct options *)o = (struct options){
		.name = MK_DEFAULT_NAME, .count = 1, .drain_ms = 60000, .timeout_ms = 180000
	};
}

static const struct mk_option add_options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	{ .name = "role",
		.kind = MK_OPTION_CHOICE,
		.choices = roles,
		.offset = offsetof(struct options, role),
		.help = "of the new nodes (worker)" },
	{ .name = "count",
		.kind = MK_OPTION_NUMBER,
		.value = "N",
		.offset = offsetof(struct options, count),
		.help = "how many (1)" },
	{ .name = "kubeconfig",
		.kind = MK_OPTION_STRING,
		.value = "FILE",
		.offset = offsetof(struct options, kubeconfig),
		.help = "follows a new port of the API ($KUBECONFIG, ~/.kube/config)" },
	{ .name = "timeout",
		.kind = MK_OPTION_SECONDS,
		.value = "TIME",
		.offset = offsetof(struct options, timeout_ms),
		.help = "give up after (3m)" },
	{ .name = "retain",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, retain),
		.help = "keep what was made when it fails" },
};

static int add(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	struct mk_node_add_options options = {
		.role = o->role ? MK_ROLE_CONTROL_PLANE : MK_ROLE_WORKER,
		.count = (size_t)o->count,
		.kubeconfig = o->kubeconfig,
		.retain = o->retain,
		.timeout_ms = o->timeout_ms,
		.report = mk_progress_report(&progress),
	};
	mk_autostrlist names = { .items = NULL };
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	int r = mk_cluster_name_check(o->name, err);

	(void)arguments;
	if (r == 0 && (o->count < 1 || o->count > MK_MAX_WORKERS))
		r = mk_fail(err, MK_EUSAGE, "--count is from 1 to %d", MK_MAX_WORKERS);
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = mk_cluster_add_nodes(docker, o->name, &options, &names, err);
	mk_progress_close(&progress);
	/* Also of those that came before one failed. */
	for (size_t i = 0; i < names.count; i++)
		puts(names.items[i]);
	return r;
}

static const struct mk_option remove_options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	{ .name = "drain-timeout",
		.kind = MK_OPTION_SECONDS,
		.value = "TIME",
		.offset = offsetof(struct options, drain_ms),
		.help = "how long its pods may take to leave (1m)" },
	{ .name = "force",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, force),
		.help = "end pods that take longer, or that nothing makes again" },
};

static int remove_node(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	struct mk_node_remove_options options = {
		.drain_ms = o->drain_ms,
		.force = o->force,
		.timeout_ms = o->timeout_ms,
		.report = mk_progress_report(&progress),
	};
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	int r = mk_cluster_name_check(o->name, err);

	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	for (size_t i = 0; i < arguments->count && r == 0; i++)
		r = mk_cluster_remove_node(docker, o->name, arguments->items[i], &options, err);
	mk_progress_close(&progress);
	return r;
}

const struct mk_command mk_command_node_add = {
	.path = "node add",
	.summary = "add nodes to a running cluster",
	.about =
		"Prints the new nodes' names when they are Ready. Workers come side by side, control\n"
		"planes one after another, as etcd takes them. The second control plane brings a\n"
		"load balancer, and with it a new port of the API, which the kubeconfig follows.\n",
	.examples = "  mkcluster node add\n"
		    "  mkcluster node add --count 3\n"
		    "  mkcluster node add --role control-plane --count 2\n",
	.options = add_options,
	.option_count = MK_ARRAY_LEN(add_options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = add,
};

const struct mk_command mk_command_node_remove = {
	.path = "node remove",
	.arguments = "NODE...",
	.min_arguments = 1,
	.max_arguments = MK_MAX_WORKERS,
	.summary = "drain nodes and take them out of a cluster",
	.about =
		"The pods move to other nodes, keeping to their PodDisruptionBudgets. If some do not\n"
		"leave in time, the node stays, and takes pods again.\n",
	.examples = "  mkcluster node remove mkcluster-worker-2\n",
	.options = remove_options,
	.option_count = MK_ARRAY_LEN(remove_options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = remove_node,
};

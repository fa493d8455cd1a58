/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster create [cluster] */
#include "lib/cluster/create.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "cmd/shape.h"
#include "lib/base/clock.h"

struct options {
	struct mk_shape shape;
	const char *kubeconfig;
	int64_t timeout_ms;
	bool resume;
	bool retain;
	bool switch_context;
};

static const struct mk_option options[] = {
	MK_SHAPE_OPTIONS(struct options),
	{ .name = "kubeconfig",
		.kind = MK_OPTION_STRING,
		.value = "FILE",
		.offset = offsetof(struct options, kubeconfig),
		.help = "merge into this file ($KUBECONFIG, ~/.kube/config)" },
	{ .name = "no-switch-context",
		.kind = MK_OPTION_OFF,
		.offset = offsetof(struct options, switch_context),
		.help = "leave the current context as it is" },
	{ .name = "timeout",
		.kind = MK_OPTION_SECONDS,
		.value = "TIME",
		.offset = offsetof(struct options, timeout_ms),
		.help = "give up after (5m)" },
	{ .name = "resume",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, resume),
		.help = "go on with what an earlier run of the same options has left" },
	{ .name = "retain",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, retain),
		.help = "keep what was made when it fails" },
};

static void init(void *o)
{
	*(struct options *)o = (struct options){
		.shape = MK_SHAPE_INIT, .switch_context = true, .timeout_ms = 300000
	};
}

/* What was not waited for, because the user brings what it needs. */
static void print_missing(struct mk_progress *p, const struct mk_create_result *result)
{
	if (result->needs_cni)
		mk_progress_say(p,
			"  no CNI plugin, as configured: the nodes are NotReady, and DNS and all "
			"other pods\n  wait, until you install one");
	if (result->needs_proxy)
		mk_progress_say(p,
			"  no kube-proxy, as configured: services, and DNS and OpenFaaS with them, "
			"work\n  once you have installed what replaces it");
}

static void print_next(
	struct mk_progress *p, const struct mk_create_result *result, const char *name)
{
	if (result->needs_cni || result->needs_proxy)
		mk_progress_say(p,
			"\nNext:\n  kubectl --context %s apply -f YOUR-%s.yaml\n  kubectl --context "
			"%s wait --for=condition=Ready node --all",
			result->context, result->needs_cni ? "CNI" : "PROXY", result->context);
	else if (result->gateway_url)
		mk_progress_say(p,
			"\nNext:\n  mkcluster get password%s | faas-cli login --gateway %s "
			"--password-stdin",
			name, result->gateway_url);
	else
		mk_progress_say(p, "\nNext:\n  kubectl --context %s get nodes", result->context);
}

static void print_result(struct mk_progress *p, const struct mk_cluster_spec *spec,
	const struct mk_create_result *result, int64_t ms)
{
	mk_autofree char *time = mk_format_duration(ms);
	bool is_default = mk_streq(spec->name, MK_DEFAULT_NAME);
	mk_autofree char *name = is_default ? mk_xstrdup("")
					    : mk_xasprintf(" --name %s", spec->name);

	mk_progress_say(p, "\nCluster '%s' is %s after %s.", spec->name,
		result->needs_cni || result->needs_proxy ? "up" : "ready", time);
	print_missing(p, result);
	if (result->gateway_moved)
		mk_progress_say(p, "  port %lld is taken, so the gateway has the next free one",
			(long long)spec->gateway_port);
	if (result->stand_in)
		mk_progress_say(p,
			"  the provider is mkcluster's stand-in, not faas-netes: this "
			"node image\n  was built where the genuine image cannot be had");
	mk_progress_say(
		p, "  Kubernetes  %s   (kubectl --context %s)", result->api_url, result->context);
	if (result->gateway_url) {
		mk_progress_say(p, "  OpenFaaS    %s", result->gateway_url);
		mk_progress_say(p,
			"  Portal      %s/ui/   user admin, password: mkcluster get password%s",
			result->gateway_url, name);
	}
	mk_progress_say(p, "  Registry    %s", result->registry);
	for (size_t i = 0; i < result->ports.count; i++)
		mk_progress_say(p, "  %-10s  %s", i == 0 ? "Ports" : "", result->ports.items[i]);
	print_next(p, result, name);
}

static int run(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	struct mk_create_options create = {
		.kubeconfig = o->kubeconfig,
		.switch_context = o->switch_context,
		.resume = o->resume,
		.retain = o->retain,
		.timeout_ms = o->timeout_ms,
		.report = mk_progress_report(&progress),
	};
	mk_autospec spec = mk_cluster_spec_init();
	mk_autoresult result = { .context = NULL };
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	int64_t start = mk_now_ms();
	int r = mk_shape_make(&o->shape, mk_docker_is_here(), &spec, err);

	(void)arguments;
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = mk_cluster_create(docker, &spec, &create, &result, err);
	mk_progress_close(&progress);
	if (r == 0)
		print_result(&progress, &spec, &result, mk_now_ms() - start);
	return r;
}

const struct mk_command mk_command_create = {
	.path = "create",
	.alias = "create cluster",
	.summary = "make a cluster with OpenFaaS on it",
	.about = "Returns when the node is Ready, DNS and OpenFaaS are available and the gateway\n"
		 "has answered. On failure, and on Ctrl-C, everything it made is removed.\n",
	.examples = "  mkcluster create\n"
		    "  mkcluster create --workers 2\n"
		    "  mkcluster create --name ha --control-planes 3 --workers 1\n"
		    "  mkcluster create --config cluster.yaml\n",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = run,
};

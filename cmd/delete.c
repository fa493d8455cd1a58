/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster delete [cluster] */
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/spec.h"
#include "lib/kube/userconfig.h"

struct options {
	const char *name;
	const char *kubeconfig;
	bool all;
};

static const struct mk_option options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	{ .name = "all",
		.letter = 'A',
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, all),
		.help = "every cluster of mkcluster" },
	{ .name = "kubeconfig",
		.kind = MK_OPTION_STRING,
		.value = "FILE",
		.offset = offsetof(struct options, kubeconfig),
		.help = "remove from this file ($KUBECONFIG, ~/.kube/config)" },
};

/* The kubeconfig first: entries that lead nowhere are worse than none. */
static int delete_one(struct mk_docker *docker, const char *name, const char *kubeconfig,
	struct mk_progress *progress, struct mk_error *err)
{
	mk_autofree char *context = mk_cluster_context(name);
	mk_autofree char *title = mk_xasprintf("Deleting cluster '%s'", name);
	int64_t start = mk_now_ms();
	size_t removed = 0;
	int r;

	mk_progress_begin(progress, title);
	r = mk_userconfig_remove(kubeconfig, context, err);
	if (r < 0)
		return r;
	r = mk_cluster_remove(docker, MK_LABEL_CLUSTER, name, &removed, err);
	if (r < 0)
		return mk_error_wrap(err, "delete cluster '%s'", name);
	if (removed > 0)
		mk_progress_end(progress, title, mk_now_ms() - start, NULL);
	return 0;
}

/* A failure with one cluster does not spare the others, and is not forgotten. */
static int delete_all(struct mk_docker *docker, const char *kubeconfig,
	struct mk_progress *progress, struct mk_error *err)
{
	mk_autostrlist names = { .items = NULL };
	int result = mk_cluster_names(docker, &names, err);

	if (result < 0)
		return result;
	for (size_t i = 0; i < names.count; i++) {
		mk_autoerror one = { .code = MK_OK };
		int r = delete_one(docker, names.items[i], kubeconfig, progress, &one);

		if (r < 0 && result == 0) {
			mk_error_move(err, &one);
			result = r;
		}
	}
	return result;
}

static int run(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	const char *name = o->name ? o->name : MK_DEFAULT_NAME;
	int r;

	(void)arguments;
	if (o->all && o->name)
		return mk_fail(err, MK_EUSAGE, "--all and --name exclude each other");
	r = mk_cluster_name_check(name, err);
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = o->all ? delete_all(docker, o->kubeconfig, &progress, err)
			   : delete_one(docker, name, o->kubeconfig, &progress, err);
	mk_progress_close(&progress);
	return r;
}

const struct mk_command mk_command_delete = {
	.path = "delete",
	.alias = "delete cluster",
	.summary = "remove a cluster and everything of it",
	.about =
		"Containers, volumes, network and kubeconfig entries. A cluster that is not there\n"
		"is fine.\n",
	.examples = "  mkcluster delete\n"
		    "  mkcluster delete --all\n",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster delete [cluster], and mkcluster delete -f */
#include "cmd/command.h"
#include "cmd/manifests.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/objects.h"
#include "lib/cluster/spec.h"
#include "lib/kube/userconfig.h"

struct options {
	const char *name;
	const char *kubeconfig;
	bool all;
	/* Of objects, with -f. */
	struct mk_strlist files;
	bool recursive, wait;
	int dry_run;
	const char *namespace; /* NULL: not given */
	int64_t timeout_ms;    /* 0: not given */
	int output;
};

#define DEFAULT_TIMEOUT_MS 300000

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
	{ .name = "filename",
		.letter = 'f',
		.kind = MK_OPTION_LIST,
		.value = "FILE",
		.offset = offsetof(struct options, files),
		.help = "delete this file's objects, not the cluster" },
	{ .name = "recursive",
		.letter = 'R',
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, recursive),
		.help = "with -f: the folders of a folder too" },
	{ .name = "namespace",
		.kind = MK_OPTION_STRING,
		.value = "NAME",
		.offset = offsetof(struct options, namespace),
		.help = "with -f: of objects that name none (default)" },
	{ .name = "dry-run",
		.kind = MK_OPTION_CHOICE,
		.choices = mk_dry_run_choices,
		.offset = offsetof(struct options, dry_run),
		.help = "with -f: have the server try it, and change nothing" },
	{ .name = "no-wait",
		.kind = MK_OPTION_OFF,
		.offset = offsetof(struct options, wait),
		.help = "with -f: do not wait until they are gone" },
	{ .name = "timeout",
		.kind = MK_OPTION_SECONDS,
		.value = "TIME",
		.offset = offsetof(struct options, timeout_ms),
		.help = "with -f: give up waiting after (5m)" },
	{ .name = "output",
		.letter = 'o',
		.kind = MK_OPTION_CHOICE,
		.choices = mk_output_choices,
		.offset = offsetof(struct options, output),
		.help = "with -f: how to print it (text)" },
};

static void init(void *o)
{
	*(struct options *)o = (struct options){ .wait = true };
}

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

static int delete_objects(
	const struct mk_context *context, const struct options *o, struct mk_error *err)
{
	struct mk_outcomes outcomes = {
		.output = o->output,
		.quiet = context->quiet,
		.note = o->dry_run ? " (server dry run)" : "",
	};
	struct mk_remove_options how = {
		.namespace = o->namespace ? o->namespace : "default",
		.dry_run = o->dry_run != 0,
		.wait = o->wait,
		.report = mk_outcomes_report,
		.payload = &outcomes,
	};
	const char *name = o->name ? o->name : MK_DEFAULT_NAME;
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_automanifests manifests = mk_manifests_init();
	int r = mk_cluster_name_check(name, err);

	if (r == 0)
		r = mk_check_object_name("namespace", how.namespace, err);
	if (r == 0)
		r = mk_manifests_of(&o->files, o->recursive, context, &manifests, err);
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r < 0)
		return r;
	how.deadline = mk_deadline(o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS);
	r = mk_cluster_remove_objects(docker, name, &manifests, &how, err);
	mk_outcomes_end(&outcomes);
	return r;
}

static int delete_clusters(
	const struct mk_context *context, const struct options *o, struct mk_error *err)
{
	struct mk_progress progress = { .context = context };
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	const char *name = o->name ? o->name : MK_DEFAULT_NAME;
	int r;

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

/* Whoever writes one of the two must not get the other: an option of objects without -f
 * would delete the cluster that has them. */
static int check_which(const struct options *o, struct mk_error *err)
{
	bool of_objects = o->recursive || o->dry_run || !o->wait || o->namespace || o->timeout_ms ||
		o->output != MK_OUTPUT_TEXT;

	if (o->files.count > 0 && (o->all || o->kubeconfig))
		return mk_fail(err, MK_EUSAGE,
			"-f deletes objects, --%s is for clusters: they exclude each other",
			o->all ? "all" : "kubeconfig");
	if (o->files.count > 0 || !of_objects)
		return 0;
	(void)mk_fail(err, MK_EUSAGE,
		"--recursive, --namespace, --dry-run, --no-wait, --timeout and --output need -f");
	mk_error_hint(err, "without -f, delete removes the whole cluster; nothing was deleted");
	return -MK_EUSAGE;
}

static int run(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	int r = check_which(o, err);

	(void)arguments;
	if (r < 0)
		return r;
	return o->files.count > 0 ? delete_objects(context, o, err)
				  : delete_clusters(context, o, err);
}

const struct mk_command mk_command_delete = {
	.path = "delete",
	.alias = "delete cluster",
	.summary = "remove a cluster, or with -f objects in it",
	.about =
		"Of a cluster: containers, volumes, network and kubeconfig entries. A cluster that is\n"
		"not there is fine. With -f only the objects of these files are deleted, the inverse\n"
		"of apply, in the inverse order; those that are not there are fine.\n",
	.examples = "  mkcluster delete\n"
		    "  mkcluster delete --all\n"
		    "  mkcluster delete -f app.yaml --name dev\n",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = run,
};

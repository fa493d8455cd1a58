/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster apply -f */
#include "cmd/command.h"
#include "cmd/manifests.h"
#include "lib/base/clock.h"
#include "lib/cluster/objects.h"
#include "lib/cluster/spec.h"

struct options {
	const char *name;
	struct mk_strlist files;
	const char *namespace;
	const char *set;
	bool recursive, prune, force, wait;
	int dry_run;
	int output;
	int64_t timeout_ms;
};

static const struct mk_option options[] = {
	{ .name = "filename",
		.letter = 'f',
		.kind = MK_OPTION_LIST,
		.value = "FILE",
		.offset = offsetof(struct options, files),
		.help = "file, folder, -, or URL[@REF][:PATH]; may be repeated" },
	{ .name = "recursive",
		.letter = 'R',
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, recursive),
		.help = "the folders of a folder too" },
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	{ .name = "namespace",
		.kind = MK_OPTION_STRING,
		.value = "NAME",
		.offset = offsetof(struct options, namespace),
		.help = "of objects that name none (default)" },
	{ .name = "dry-run",
		.kind = MK_OPTION_CHOICE,
		.choices = mk_dry_run_choices,
		.offset = offsetof(struct options, dry_run),
		.help = "have the server try it, and change nothing" },
	{ .name = "force-conflicts",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, force),
		.help = "take over fields that others have set" },
	{ .name = "applyset",
		.kind = MK_OPTION_STRING,
		.value = "NAME",
		.offset = offsetof(struct options, set),
		.help = "remember the objects as a set of this name" },
	{ .name = "prune",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, prune),
		.help = "delete what is no longer in the set" },
	{ .name = "wait",
		.letter = 'w',
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, wait),
		.help = "until workloads, CRDs and APIServices are ready" },
	{ .name = "timeout",
		.kind = MK_OPTION_SECONDS,
		.value = "TIME",
		.offset = offsetof(struct options, timeout_ms),
		.help = "give up waiting after (5m)" },
	MK_OUTPUT_OPTION(struct options),
};

static void init(void *o)
{
	*(struct options *)o = (struct options){
		.name = MK_DEFAULT_NAME, .namespace = "default", .timeout_ms = 300000
	};
}

static int check(const struct options *o, struct mk_error *err)
{
	int r = mk_cluster_name_check(o->name, err);

	if (r == 0 && o->files.count == 0)
		r = mk_fail(
			err, MK_EUSAGE, "apply what? -f names a file, a folder, or - for stdin");
	if (r == 0)
		r = mk_check_object_name("namespace", o->namespace, err);
	if (r == 0 && o->set)
		r = mk_check_object_name("applyset", o->set, err);
	if (r < 0 || !o->prune || o->set)
		return r;
	(void)mk_fail(err, MK_EUSAGE, "--prune needs the name of a set");
	mk_error_hint(err,
		"--applyset NAME remembers what belongs together; what an earlier apply "
		"with the same name made, and this one has not, is deleted");
	return -MK_EUSAGE;
}

static int run(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_outcomes outcomes = {
		.output = o->output,
		.quiet = context->quiet,
		.note = o->dry_run ? " (server dry run)" : "",
	};
	struct mk_apply_options how = {
		.namespace = o->namespace,
		.force = o->force,
		.dry_run = o->dry_run != 0,
		.prune = o->prune,
		.set = o->set,
		.wait = o->wait,
		.report = mk_outcomes_report,
		.payload = &outcomes,
	};
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_automanifests manifests = mk_manifests_init();
	int r = check(o, err);

	(void)arguments;
	if (r == 0)
		r = mk_manifests_of(&o->files, o->recursive, context, &manifests, err);
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r < 0)
		return r;
	how.deadline = mk_deadline(o->timeout_ms);
	r = mk_cluster_apply(docker, o->name, &manifests, &how, err);
	mk_outcomes_end(&outcomes);
	return r;
}

const struct mk_command mk_command_apply = {
	.path = "apply",
	.summary = "apply objects from files, in order of dependency",
	.about =
		"Server-side apply of any kind, CRDs and their objects in one go. Fields that another\n"
		"manager has set are a conflict, which is explained. A refused object does not hide\n"
		"others; status 1 then, and nothing is pruned. --wait fails with status 6 and says\n"
		"what is not ready, and why.\n",
	.examples = "  mkcluster apply -f app.yaml --wait\n"
		    "  mkcluster apply -f deploy/ --recursive --applyset app --prune\n"
		    "  mkcluster apply -f - --dry-run=server < app.yaml\n",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = run,
};

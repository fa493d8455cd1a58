/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster build node-image|component */
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/nodeimage/nodeimage.h"

#include <stdio.h>

#define LIVE_EVERY_MS 100
#define PLAIN_EVERY_MS 10000

struct options {
	int from;
	const char *mirror;
	const char *image;
	const char *base_image;
	const char *output;
	bool force;
};

static const char *const from_choices[] = { "auto", "release", "modules", NULL };

#define SOURCE_OPTIONS                                                                             \
	{ .name = "from",                                                                          \
		.kind = MK_OPTION_CHOICE,                                                          \
		.choices = from_choices,                                                           \
		.offset = offsetof(struct options, from),                                          \
		.help = "published releases, or Go modules (auto: what can be reached)" },         \
	{                                                                                          \
		.name = "mirror", .kind = MK_OPTION_STRING, .value = "URL|DIR",                    \
		.offset = offsetof(struct options, mirror),                                        \
		.help = "take releases from this root instead of their own hosts"                  \
	}

static const struct mk_option image_options[] = {
	SOURCE_OPTIONS,
	{ .name = "image",
		.kind = MK_OPTION_STRING,
		.value = "NAME",
		.offset = offsetof(struct options, image),
		.help = "name of the image (" MK_NODEIMAGE_DEFAULT ")" },
	{ .name = "base-image",
		.kind = MK_OPTION_STRING,
		.value = "NAME",
		.offset = offsetof(struct options, base_image),
		.help = "a Debian bookworm to start from (" MK_BASE_IMAGE_DEFAULT ")" },
	{ .name = "force",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, force),
		.help = "build even when nothing has changed" },
};

static const struct mk_option component_options[] = {
	SOURCE_OPTIONS,
	{ .name = "output",
		.letter = 'o',
		.kind = MK_OPTION_STRING,
		.value = "DIR",
		.offset = offsetof(struct options, output),
		.help = "the folder to put the programs into (.)" },
};

/* How the parts of a build are shown. */
struct show {
	struct mk_progress progress;
	int64_t last; /* when something was printed */
};

static void show_running(struct show *show, const struct mk_nodeimage_status *s, const char *title)
{
	const struct mk_context *context = show->progress.context;
	bool live = context->terminal && !context->verbose;
	mk_autofree char *time = mk_format_duration(s->elapsed_ms);
	int64_t now = mk_now_ms();

	if (now - show->last < (live ? LIVE_EVERY_MS : PLAIN_EVERY_MS))
		return;
	show->last = now;
	if (live) {
		mk_autofree char *note = mk_xasprintf("%s  %s", time, s->text);

		mk_progress_note(&show->progress, title, note);
	} else {
		mk_progress_say(&show->progress, "  %s %s  %s", title, time, s->text);
	}
}

static void on_progress(void *payload, const struct mk_nodeimage_status *s)
{
	struct show *show = payload;
	mk_autofree char *title = mk_xasprintf("[%zu/%zu] %s", s->index, s->count, s->name);

	switch (s->state) {
	case MK_PART_BEGIN:
		show->last = mk_now_ms();
		mk_progress_begin(&show->progress, title);
		return;
	case MK_PART_RUNNING:
		show_running(show, s, title);
		return;
	case MK_PART_DONE:
		mk_progress_end(&show->progress, title, s->elapsed_ms, s->cached ? "cached" : NULL);
		return;
	}
}

static struct mk_nodeimage_options build_options(const struct options *o, struct show *show)
{
	return (struct mk_nodeimage_options){
		.from = (enum mk_from)o->from,
		.mirror = o->mirror,
		.image = o->image,
		.base_image = o->base_image,
		.force = o->force,
		.progress = on_progress,
		.progress_payload = show,
	};
}

static void print_origin(struct show *show, const struct mk_nodeimage_report *report)
{
	mk_progress_say(&show->progress, "From %s: %s.",
		report->from == MK_FROM_MODULES ? "Go modules" : "releases", report->reason);
	for (size_t i = 0; i < report->notes.count; i++)
		mk_progress_say(&show->progress, "Note: %s.", report->notes.items[i]);
}

static void print_image(struct show *show, const struct mk_nodeimage_report *report)
{
	mk_autofree char *size = mk_format_bytes(report->size);
	mk_autofree char *time = mk_format_duration(report->ms);
	bool standard = mk_streq(report->image, MK_NODEIMAGE_DEFAULT);

	if (report->unchanged) {
		mk_progress_say(&show->progress,
			"%s (%s) is up to date, from %s: %s. --force builds it again.",
			report->image, size, mk_from_name(report->from), report->reason);
		return;
	}
	print_origin(show, report);
	mk_progress_say(&show->progress, "%s, %s, built in %s. Next: mkcluster create%s%s",
		report->image, size, time, standard ? "" : " --image ",
		standard ? "" : report->image);
}

static int build_node_image(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	struct show show = { .progress = { .context = context } };
	struct mk_nodeimage_options options = build_options(opts, &show);
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autoreport report = { .image = NULL };
	int r = mk_docker_new(NULL, &docker, err);

	(void)arguments;
	if (r == 0)
		r = mk_nodeimage_build(docker, &options, &report, err);
	mk_progress_close(&show.progress);
	if (r == 0)
		print_image(&show, &report);
	return r;
}

static int build_component(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct show show = { .progress = { .context = context } };
	struct mk_nodeimage_options options = build_options(o, &show);
	const char *folder = o->output ? o->output : ".";
	mk_autoreport report = { .image = NULL };
	int r = mk_nodeimage_build_programs(arguments, folder, &options, &report, err);

	mk_progress_close(&show.progress);
	if (r < 0)
		return r;
	print_origin(&show, &report);
	return 0;
}

const struct mk_command mk_command_build_node_image = {
	.path = "build node-image",
	.max_arguments = 0,
	.summary = "make the image that nodes run",
	.about = "Debian with systemd, Kubernetes v" MK_KUBERNETES_VERSION ", OpenFaaS and their\n"
		 "pods' images. Releases are downloaded and verified, or the same is built with\n"
		 "the Go toolchain from Go modules; both are kept below\n"
		 "$XDG_CACHE_HOME/mkcluster. Nothing is done when nothing has changed.\n",
	.examples = "  mkcluster build node-image\n"
		    "  mkcluster build node-image --from release --mirror http://mirror.example/\n",
	.options = image_options,
	.option_count = MK_ARRAY_LEN(image_options),
	.options_size = sizeof(struct options),
	.run = build_node_image,
};

const struct mk_command mk_command_build_component = {
	.path = "build component",
	.arguments = "NAME...",
	.min_arguments = 1,
	.max_arguments = SIZE_MAX,
	.summary = "get single programs for this machine",
	.about = "NAME is a program such as kubectl or faas-cli, or a component such as etcd for\n"
		 "all of its programs. The versions are those of the nodes.\n",
	.examples = "  mkcluster build component kubectl faas-cli --output ~/bin\n",
	.options = component_options,
	.option_count = MK_ARRAY_LEN(component_options),
	.options_size = sizeof(struct options),
	.run = build_component,
};

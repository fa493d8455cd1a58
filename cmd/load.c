/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster load image|archive */
#include "lib/cluster/load.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/cluster/spec.h"

#include <stdio.h>

struct options {
	const char *name;
	int output;
};

static const struct mk_option options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	MK_OUTPUT_OPTION(struct options),
};

static const char *cluster_name(const struct options *o)
{
	return o->name ? o->name : MK_DEFAULT_NAME;
}

static json_t *image_json(const struct mk_loaded_image *image)
{
	json_t *names = json_array();

	for (size_t i = 0; i < image->names.count; i++)
		(void)json_array_append_new(names, json_string(image->names.items[i]));
	return mk_json_pack("{s:o,s:s,s:I,s:I,s:I}", "names", names, "id", image->id, "layersSent",
		(json_int_t)image->layers_sent, "layersPresent", (json_int_t)image->layers_there,
		"bytesSent", (json_int_t)image->bytes_sent);
}

static void print_json(const struct mk_load_report *report)
{
	mk_autojson *images = json_array();

	for (size_t i = 0; i < report->count; i++)
		(void)json_array_append_new(images, image_json(&report->images[i]));
	mk_print_json(images);
}

static void print_text(
	struct mk_progress *progress, const struct mk_load_report *report, int64_t ms)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct mk_loaded_image *image = &report->images[i];
		mk_autofree char *bytes = mk_format_bytes(image->bytes_sent);
		mk_autofree char *note = image->layers_sent == 0
			? mk_xstrdup("the registry had all of it")
			: mk_xasprintf("%zu of %zu layers sent, %s", image->layers_sent,
				  image->layers_sent + image->layers_there, bytes);

		for (size_t j = 0; j < image->names.count; j++)
			mk_progress_end(progress, image->names.items[j], ms, note);
	}
}

static int finish(const struct options *o, struct mk_progress *progress,
	const struct mk_load_report *report, int64_t start, int r)
{
	mk_progress_close(progress);
	if (r < 0)
		return r;
	if (o->output == MK_OUTPUT_JSON)
		print_json(report);
	else
		print_text(progress, report, mk_now_ms() - start);
	return 0;
}

static int load_image(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autoloadreport report = { .images = NULL };
	int64_t start = mk_now_ms();
	int r = mk_docker_new(NULL, &docker, err);

	mk_progress_begin(&progress, "Loading images");
	if (r == 0)
		r = mk_cluster_load_images(docker, cluster_name(o), arguments, &report, err);
	return finish(o, &progress, &report, start, r);
}

static int load_archive(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autoloadreport report = { .images = NULL };
	int64_t start = mk_now_ms();
	int r = mk_docker_new(NULL, &docker, err);

	mk_progress_begin(&progress, "Loading an archive");
	if (r == 0)
		r = mk_cluster_load_archive(
			docker, cluster_name(o), arguments->items[0], &report, err);
	return finish(o, &progress, &report, start, r);
}

const struct mk_command mk_command_load_image = {
	.path = "load image",
	.arguments = "NAME...",
	.min_arguments = 1,
	.max_arguments = SIZE_MAX,
	.summary = "put the engine's images into the cluster's registry",
	.about =
		"Only layers that the registry lacks are sent. A function may then name the image,\n"
		"pull policy Always included: nodes ask this registry first for every name.\n",
	.examples = "  mkcluster load image example/hello:1\n",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.run = load_image,
};

const struct mk_command mk_command_load_archive = {
	.path = "load archive",
	.arguments = "FILE",
	.min_arguments = 1,
	.max_arguments = 1,
	.summary = "put a saved image into the cluster's registry",
	.about = "FILE is what `docker save` or `podman save` wrote, or an OCI layout in a tar,\n"
		 "plain or compressed; - is standard input.\n",
	.examples = "  mkcluster load archive hello.tar\n"
		    "  docker save hello:1 | mkcluster load archive -\n",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.run = load_archive,
};

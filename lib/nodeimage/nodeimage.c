/* SPDX-License-Identifier: Apache-2.0 */
/* The order of things: what is there already, where from, the OS layer, the
 * contents, the image; and the clean-up of all of it. */
#include "lib/nodeimage/nodeimage.h"

#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/fs.h"
#include "lib/docker/image.h"
#include "lib/nodeimage/work.h"

const char *mk_from_name(enum mk_from from)
{
	static const char *const names[] = { "auto", "release", "modules" };

	return names[from];
}

void mk_nodeimage_report_done(struct mk_nodeimage_report *report)
{
	free(report->image);
	free(report->reason);
	for (size_t i = 0; i < report->part_count; i++)
		free(report->parts[i].name);
	free(report->parts);
	mk_strlist_done(&report->notes);
	*report = (struct mk_nodeimage_report){ .image = NULL };
}

static void notify(
	const struct mk_work *work, enum mk_part_state state, const char *text, bool cached)
{
	const struct mk_nodeimage_status status = {
		.state = state,
		.name = work->part_name,
		.index = work->part,
		.count = work->part_count,
		.elapsed_ms = mk_now_ms() - work->part_began,
		.text = text,
		.cached = cached,
	};

	if (work->options->progress)
		work->options->progress(work->options->progress_payload, &status);
}

void mk_part_begin(struct mk_work *work, const char *name, const char *version)
{
	free(work->part_name);
	work->part_name = mk_xasprintf("%s%s%s", name, version ? " " : "", version ? version : "");
	work->part++;
	work->part_began = mk_now_ms();
	notify(work, MK_PART_BEGIN, NULL, false);
}

void mk_part_say(void *payload, const char *text)
{
	notify(payload, MK_PART_RUNNING, text, false);
}

void mk_part_end(struct mk_work *work, bool cached)
{
	struct mk_nodeimage_report *report = work->report;

	notify(work, MK_PART_DONE, NULL, cached);
	report->parts = mk_xrealloc(
		report->parts, (report->part_count + 1) * sizeof(*report->parts));
	report->parts[report->part_count++] = (struct mk_nodeimage_part){
		.name = MK_TAKE(work->part_name),
		.ms = mk_now_ms() - work->part_began,
		.cached = cached,
	};
}

void mk_work_done(struct mk_work *work)
{
	mk_autoerror ignored = { .code = MK_OK };

	mk_remove_build_container(work, work->container);
	if (work->scratch)
		(void)!mk_fs_remove_all(work->scratch, &ignored);
	mk_tar_writer_free(work->files);
	mk_strlist_done(&work->archives);
	json_decref(work->images);
	free(work->run_id);
	free(work->arch);
	free(work->cache_dir);
	free(work->scratch);
	free(work->os_image);
	free(work->container);
	free(work->part_name);
}

int mk_work_fail(struct mk_error *err)
{
	if (err->code == MK_ENOTFOUND || err->code == MK_EEXISTS)
		return mk_error_recode(err, MK_EFAIL);
	return -(int)err->code;
}

/* Of the engine's machine, which need not be ours: "x86_64" in its words. */
static int engine_arch(struct mk_docker *docker, char **ret, struct mk_error *err)
{
	mk_autojson *info = NULL;
	const char *arch;
	int r = mk_docker_info(docker, &info, err);

	if (r < 0)
		return r;
	arch = mk_json_str(info, "Architecture", "");
	if (mk_streq(arch, "x86_64") || mk_streq(arch, "amd64"))
		*ret = mk_xstrdup("amd64");
	else if (mk_streq(arch, "aarch64") || mk_streq(arch, "arm64"))
		*ret = mk_xstrdup("arm64");
	else
		return mk_fail(err, MK_EHOST,
			"the engine's machine is '%s'; nodes exist for amd64 and arm64", arch);
	return 0;
}

int mk_work_init(struct mk_work *work, struct mk_error *err)
{
	int r = mk_random_hex(6, &work->run_id, err);

	if (r == 0 && work->options->cache_dir)
		work->cache_dir = mk_xstrdup(work->options->cache_dir);
	else if (r == 0)
		r = mk_fs_cache_dir(&work->cache_dir, err);
	if (r == 0)
		r = mk_fs_mkdir_all(work->cache_dir, 0755, err);
	if (r < 0)
		return r;
	work->scratch = mk_xasprintf("%s/build-XXXXXX", work->cache_dir);
	if (!mkdtemp(work->scratch)) {
		r = mk_fail_errno(err, "make a folder in '%s'", work->cache_dir);
		free(MK_TAKE(work->scratch));
		return r;
	}
	work->files = mk_tar_writer_new(&(struct mk_tar_writer_options){ .no_parents = true });
	work->images = json_object();
	return 0;
}

static const char *image_name(const struct mk_nodeimage_options *options)
{
	return options->image ? options->image : MK_NODEIMAGE_DEFAULT;
}

/* Whether the engine has an image made of these inputs, by its label. */
static int matches(const json_t *inspection, const struct mk_nodeimage_options *options,
	enum mk_from from, const char *arch, bool *ret, struct mk_error *err)
{
	const json_t *labels = mk_json_at(inspection, "Config.Labels");
	const char *have = json_string_value(json_object_get(labels, MK_LABEL_INPUTS));
	mk_autofree char *want = NULL;
	int r;

	*ret = false;
	if (!have || (options->from != MK_FROM_AUTO && options->from != from))
		return 0;
	r = mk_inputs_digest(options, from, arch, &want, err);
	if (r == 0)
		*ret = mk_streq(have, want);
	return r;
}

/* With `auto` an image from either source will do: the network need not be asked. */
static int check_unchanged(struct mk_docker *docker, const struct mk_nodeimage_options *options,
	const char *arch, struct mk_nodeimage_report *report, struct mk_error *err)
{
	static const enum mk_from sources[] = { MK_FROM_RELEASE, MK_FROM_MODULES };
	mk_autojson *inspection = NULL;
	int r = mk_image_inspect(docker, image_name(options), &inspection, err);

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 0;
	}
	for (size_t i = 0; r == 0 && i < MK_ARRAY_LEN(sources); i++) {
		bool same;

		r = matches(inspection, options, sources[i], arch, &same, err);
		if (r == 0 && same) {
			report->unchanged = true;
			report->from = sources[i];
			report->reason = mk_xstrdup("its inputs are unchanged");
			report->size = (uint64_t)mk_json_int(inspection, "Size", 0);
		}
	}
	return r;
}

/* The id of the image that now has the name, or NULL. Caller frees. */
static char *current_id(const struct mk_work *work)
{
	mk_autojson *inspection = NULL;
	mk_autoerror ignored = { .code = MK_OK };
	const char *id = NULL;

	if (mk_image_inspect(work->docker, image_name(work->options), &inspection, &ignored) == 0)
		id = mk_json_str(inspection, "Id", NULL);
	return id ? mk_xstrdup(id) : NULL;
}

/* The image that had the name before: hundreds of megabytes that nobody would
 * find, unless it has another name, is in use, or was never ours. */
static void remove_previous(const struct mk_work *work, const char *id)
{
	mk_autojson *inspection = NULL;
	mk_autoerror ignored = { .code = MK_OK };
	const json_t *labels;

	if (!id || mk_image_inspect(work->docker, id, &inspection, &ignored) < 0)
		return;
	labels = mk_json_at(inspection, "Config.Labels");
	if (json_array_size(mk_json_at(inspection, "RepoTags")) > 0 ||
		!json_object_get(labels, MK_LABEL_IMAGE))
		return;
	(void)!mk_image_remove(work->docker, id, &ignored);
}

static int read_size(struct mk_work *work, struct mk_error *err)
{
	mk_autojson *inspection = NULL;
	int r = mk_image_inspect(work->docker, image_name(work->options), &inspection, err);

	if (r == 0)
		work->report->size = (uint64_t)mk_json_int(inspection, "Size", 0);
	return r;
}

static int build(struct mk_work *work, struct mk_error *err)
{
	mk_autofree char *inputs = NULL;
	mk_autofree char *previous = current_id(work);
	int r = mk_inputs_digest(work->options, work->from, work->arch, &inputs, err);

	if (r == 0)
		r = mk_osbase_ensure(work, err);
	if (r == 0)
		r = mk_start_build_container(work, work->os_image, &work->container, err);
	if (r == 0 && work->from == MK_FROM_MODULES)
		r = mk_add_from_modules(work, err);
	else if (r == 0)
		r = mk_add_from_release(work, err);
	if (r == 0)
		r = mk_assemble(work, inputs, err);
	if (r < 0)
		return r;
	remove_previous(work, previous);
	return read_size(work, err);
}

static size_t count_parts(enum mk_from from)
{
	return 1 + MK_ASSEMBLE_PARTS +
		(from == MK_FROM_MODULES ? mk_modules_part_count() : mk_release_part_count());
}

int mk_nodeimage_build(struct mk_docker *docker, const struct mk_nodeimage_options *options,
	struct mk_nodeimage_report *ret, struct mk_error *err)
{
	mk_autoreport report = { .image = mk_xstrdup(image_name(options)) };
	MK_CLEANUP(mk_work_done)
	struct mk_work work = {
		.docker = docker,
		.options = options,
		.report = &report,
	};
	int64_t began = mk_now_ms();
	int r = engine_arch(docker, &work.arch, err);

	if (r == 0 && !options->force)
		r = check_unchanged(docker, options, work.arch, &report, err);
	if (r == 0 && !report.unchanged) {
		r = mk_choose_source(docker, options, work.arch, &report.from, &report.reason, err);
		work.from = report.from;
		work.part_count = count_parts(report.from);
		if (r == 0)
			r = mk_work_init(&work, err);
		if (r == 0)
			r = build(&work, err);
	}
	if (r < 0) {
		(void)mk_error_wrap(err, "build node image '%s'", report.image);
		return mk_work_fail(err);
	}
	report.ms = mk_now_ms() - began;
	*ret = report;
	report = (struct mk_nodeimage_report){ .image = NULL };
	return 0;
}

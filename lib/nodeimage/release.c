/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contents of a node from releases: programs by download, images by the
 * engine's pull. A mirror has the images too, as docker-save archives, since its
 * site may reach no registry either:
 *
 *	ROOT/dl.k8s.io/v1.36.3/bin/linux/amd64/kubelet          and kubelet.sha256
 *	ROOT/github.com/etcd-io/etcd/releases/download/v3.6.8/...
 *	ROOT/images/ghcr.io/openfaas/gateway/0.27.3-amd64.tar   and ....tar.sha256
 */
#include "lib/nodeimage/release.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/docker/image.h"
#include "lib/nodeimage/podimage.h"
#include "lib/registry/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PROBE_TIMEOUT_MS 5000

static int is_present(struct mk_docker *docker, const char *image, bool *ret, struct mk_error *err)
{
	mk_autojson *inspection = NULL;
	int r = mk_image_inspect(docker, image, &inspection, err);

	if (r == -MK_ENOTFOUND)
		mk_error_done(err);
	else if (r < 0)
		return r;
	*ret = r == 0;
	return 0;
}

static ssize_t read_file(void *payload, void *data, size_t cap, struct mk_error *err)
{
	const int *fd = payload;

	for (;;) {
		ssize_t n = read(*fd, data, cap);

		if (n >= 0)
			return n;
		if (errno != EINTR)
			return mk_fail_errno(err, "read an image's archive");
	}
}

/* The engine answers 200, and what went wrong stands in a line of its answer. */
static int load_archive(struct mk_docker *docker, const char *archive, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autofree char *path = mk_docker_path(docker, "/images/load?quiet=1");
	mk_autoclose int fd = open(archive, O_RDONLY | O_CLOEXEC);
	mk_autobuf answer = mk_buf_init(MK_MIB);
	mk_autojson *event = NULL;
	const char *refusal;
	struct mk_http_request request = {
		.method = "POST",
		.path = path,
		.content_type = "application/x-tar",
		.reader = read_file,
		.reader_payload = &fd,
		.reader_size = -1,
	};
	int r;

	if (fd < 0)
		return mk_fail_errno(err, "open '%s'", archive);
	r = mk_docker_open(docker, &request, &stream, err);
	if (r == 0)
		r = mk_http_read_all(stream, &answer, mk_deadline(MK_ENGINE_TIMEOUT_MS), err);
	if (r < 0)
		return r;
	event = json_loadb(answer.data, answer.len, JSON_DISABLE_EOF_CHECK, NULL);
	refusal = mk_json_str(event, "error", NULL);
	return refusal ? mk_fail(err, MK_EREMOTE, "engine: %.400s", refusal) : 0;
}

/* Into the engine, from the mirror's archive or from its registry. */
static int obtain(
	struct mk_work *work, const char *reference, const char *archive, struct mk_error *err)
{
	mk_autofree char *platform = mk_xasprintf("linux/%s", work->arch);
	mk_autojson *inspection = NULL;
	int r;

	if (!archive) {
		r = mk_image_pull(work->docker, reference, platform, mk_part_say, work, err);
		if (r < 0 && r != -MK_EINTR)
			mk_error_hint(err,
				"the engine must reach the image's registry; "
				"or use --mirror, or --from modules");
		return r;
	}
	r = load_archive(work->docker, archive, err);
	if (r < 0)
		return mk_error_wrap(err, "load '%s'", archive);
	r = mk_image_inspect(work->docker, reference, &inspection, err);
	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return mk_fail(
			err, MK_EINVALID, "'%s' holds no image named '%s'", archive, reference);
	}
	return r;
}

/* The engine keeps only what it had before. */
static int take_image(struct mk_work *work, const char *reference, const char *from,
	const char *archive, struct mk_error *err)
{
	mk_autojson *labels = mk_json_pack(
		"{s:s,s:s}", MK_LABEL_BUILD, work->run_id, "io.mkcluster.run", work->run_id);
	mk_autoerror ignored = { .code = MK_OK };
	bool present;
	int r = is_present(work->docker, reference, &present, err);

	if (r < 0)
		return r;
	if (!present)
		r = obtain(work, reference, from, err);
	if (r == 0)
		r = mk_podimage_flatten(work->docker, reference, labels, archive, err);
	if (!present) {
		mk_interrupt_shield(true);
		(void)!mk_image_remove(work->docker, reference, &ignored);
		mk_interrupt_shield(false);
	}
	return r;
}

static int add_image(struct mk_work *work, const struct mk_component *component, const char *from,
	struct mk_error *err)
{
	mk_autofree char *archive = mk_xasprintf("%s/%s.tar", work->scratch, component->name);
	mk_autofree char *reference = NULL;
	int r = mk_component_render(
		component, component->image->reference, work->arch, &reference, err);

	mk_part_begin(work, component->name, component->version);
	if (r == 0)
		r = take_image(work, reference, from, archive, err);
	if (r < 0)
		return r;
	(void)json_object_set_new(work->images, component->image->role, json_string(reference));
	mk_strlist_add(&work->archives, archive);
	mk_part_end(work, false);
	return 0;
}

/* Programs that are one and the same file (a mirror of multi-call builds) are
 * stored once. */
static int add_programs(
	struct mk_work *work, const struct mk_programs *programs, struct mk_error *err)
{
	mk_autojson *seen = json_object();

	mk_tar_add_dir(work->files, "opt/cni", 0755, 0, 0);
	mk_tar_add_dir(work->files, "opt/cni/bin", 0755, 0, 0);
	for (size_t i = 0; i < programs->count; i++) {
		const struct mk_program *p = &programs->items[i];
		mk_autofree char *digest = NULL;
		const char *first;
		int r = mk_digest_file(p->source, &digest, NULL, err);

		if (r < 0)
			return r;
		first = json_string_value(json_object_get(seen, digest));
		if (first)
			mk_tar_add_symlink(work->files, p->path, first, 0, 0);
		else
			mk_tar_add_from_disk(work->files, p->path, 0755, 0, 0, p->source);
		if (!first)
			(void)json_object_set_new(seen, digest, json_string(p->path));
	}
	return 0;
}

static size_t node_components(const struct mk_component **ret)
{
	size_t count = 0;

	for (size_t i = 0; i < mk_component_count; i++) {
		if (!mk_components[i].host_only)
			ret[count++] = &mk_components[i];
	}
	return count;
}

static int add_files(struct mk_work *work, struct mk_strlist *images, struct mk_error *err)
{
	MK_CLEANUP(mk_programs_done) struct mk_programs programs = { .count = 0 };
	mk_autofree const struct mk_component **components = mk_xcalloc(
		mk_component_count, sizeof(struct mk_component *));
	size_t count = node_components(components);
	int r;

	mk_part_begin(work, "release files", NULL);
	r = mk_release_fetch(
		work, components, count, &programs, work->options->mirror ? images : NULL, err);
	if (r == 0)
		r = add_programs(work, &programs, err);
	if (r == 0)
		mk_part_end(work, false);
	return r;
}

int mk_add_from_release(struct mk_work *work, struct mk_error *err)
{
	mk_autostrlist archives = { .count = 0 };
	size_t image = 0;
	int r = add_files(work, &archives, err);

	for (size_t i = 0; r == 0 && i < mk_component_count; i++) {
		if (!mk_components[i].image)
			continue;
		r = add_image(work, &mk_components[i],
			image < archives.count ? archives.items[image] : NULL, err);
		image++;
	}
	if (r == 0)
		mk_strlist_add(&work->report->notes,
			"OpenFaaS' images are under its CE EULA: development and trial only");
	return r;
}

size_t mk_release_part_count(void)
{
	size_t count = 1;

	for (size_t i = 0; i < mk_component_count; i++)
		count += mk_components[i].image != NULL;
	return count;
}

/* One file of each host that releases come from. */
static int probe_files(const char *arch, bool *ret, char **ret_reason, struct mk_error *err)
{
	static const char *const names[] = { "kubernetes", "containerd" };
	mk_autostrlist urls = { .count = 0 };

	for (size_t i = 0; i < MK_ARRAY_LEN(names); i++) {
		const struct mk_component *component = mk_component_find(names[i]);
		char *url = NULL;
		int r = mk_component_render(
			component, component->files[0].checksum_url, arch, &url, err);

		if (r < 0)
			return r;
		mk_strlist_take(&urls, url);
	}
	return mk_fetch_reachable((const char *const *)urls.items, urls.count, NULL,
		PROBE_TIMEOUT_MS, ret, ret_reason, err);
}

/* The smallest image tells whether the engine reaches registries. */
static int probe_image(struct mk_docker *docker, const char *arch, bool *ret, char **ret_reason,
	struct mk_error *err)
{
	const struct mk_component *pause = mk_component_find("pause");
	mk_autofree char *platform = mk_xasprintf("linux/%s", arch);
	mk_autofree char *reference = NULL;
	int r = mk_component_render(pause, pause->image->reference, arch, &reference, err);

	if (r == 0)
		r = is_present(docker, reference, ret, err);
	if (r < 0 || *ret)
		return r;
	r = mk_image_pull(docker, reference, platform, NULL, NULL, err);
	if (r == -MK_EINTR)
		return r;
	*ret = r == 0;
	if (r < 0)
		*ret_reason = mk_xstrdup(err->message);
	mk_error_done(err);
	return 0;
}

int mk_choose_source(struct mk_docker *docker, const struct mk_nodeimage_options *options,
	const char *arch, enum mk_from *ret, char **ret_reason, struct mk_error *err)
{
	mk_autofree char *reason = NULL;
	bool reachable;
	int r;

	if (options->from != MK_FROM_AUTO || options->mirror) {
		*ret = options->from == MK_FROM_AUTO ? MK_FROM_RELEASE : options->from;
		*ret_reason = mk_xstrdup(
			options->from == MK_FROM_AUTO ? "a mirror is given" : "as asked for");
		return 0;
	}
	r = probe_files(arch, &reachable, &reason, err);
	if (r == 0 && reachable && docker)
		r = probe_image(docker, arch, &reachable, &reason, err);
	if (r < 0)
		return r;
	*ret = reachable ? MK_FROM_RELEASE : MK_FROM_MODULES;
	*ret_reason = reachable ? mk_xstrdup("releases can be reached")
				: mk_xasprintf("releases cannot be reached: %s", reason);
	return 0;
}

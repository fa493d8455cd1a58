/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load: the pass over the archive, what it held, and the manifests under
 * their names. Everything up to the manifests can be left at any point.
 */
#include "lib/registry/load.h"

#include "lib/registry/image.h"
#include "lib/registry/scan.h"

void mk_load_report_done(struct mk_load_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		mk_strlist_done(&report->images[i].names);
		free(report->images[i].id);
		free(report->images[i].digest);
	}
	free(report->images);
	*report = (struct mk_load_report){ .images = NULL };
}

static int find_images(const struct mk_members *members, const char *arch, struct mk_images *ret,
	struct mk_error *err)
{
	const struct mk_member *index = mk_members_find(members, "index.json");
	const struct mk_member *manifest = mk_members_find(members, "manifest.json");
	int r;

	if (!index && !manifest)
		return mk_fail(err, MK_EINVALID,
			"it has neither manifest.json nor index.json: not an image archive, or "
			"not all of it");
	if (!index)
		return mk_docker_images(members, manifest, arch, ret, err);
	r = mk_oci_images(members, index, arch, ret, err);
	if (r == 0 && manifest)
		r = mk_docker_names(members, manifest, ret, err);
	return r;
}

/* Put the caller's names in place of the archive's. */
static int rename_image(
	struct mk_images *images, const struct mk_strlist *names, struct mk_error *err)
{
	struct mk_image *image = &images->items[0];

	if (images->count != 1)
		return mk_fail(err, MK_EUSAGE, "it holds %zu images, so none can be given a name",
			images->count);
	mk_strlist_done(&image->names);
	for (size_t i = 0; i < names->count; i++) {
		int r = mk_image_name(image, names->items[i], err);

		if (r < 0)
			return mk_error_recode(err, MK_EUSAGE);
	}
	return 0;
}

static int check_names(const struct mk_images *images, struct mk_error *err)
{
	for (size_t i = 0; i < images->count; i++) {
		if (images->items[i].names.count > 0)
			return 0;
	}
	if (images->count == 0)
		return mk_fail(err, MK_EINVALID, "it holds no image");
	return mk_fail(err, MK_EUSAGE, "its image has no name");
}

/* Make the image's blobs belong to the repository. */
static int place_blobs(struct mk_registry *registry, const char *repository,
	const struct mk_image *image, struct mk_error *err)
{
	int r = mk_registry_put_blob(registry, repository, image->config->digest,
		image->config->data, (size_t)image->config->size, err);

	for (size_t i = 0; r == 0 && i < image->layer_count; i++) {
		const struct mk_member *layer = image->layers[i];

		if (layer->kind == MK_MEMBER_KEPT)
			r = mk_registry_put_blob(registry, repository, layer->digest, layer->data,
				(size_t)layer->size, err);
		else
			r = mk_registry_mount_blob(
				registry, repository, layer->digest, MK_STAGING_REPOSITORY, err);
	}
	return r;
}

/* Read back what the nodes will get. */
static int verify(struct mk_registry *registry, const char *repository, const char *tag,
	const struct mk_image *image, struct mk_error *err)
{
	mk_automanifest manifest = { .digest = NULL };
	int r = mk_registry_get_manifest(registry, repository, tag, &manifest, err);

	if (r < 0)
		return r;
	if (!mk_streq(manifest.digest, image->digest))
		return mk_fail(err, MK_EREMOTE,
			"the registry gives manifest %s for %s:%s, stored was %s", manifest.digest,
			repository, tag, image->digest);
	return 0;
}

static int push_name(struct mk_registry *registry, const struct mk_image *image, const char *name,
	struct mk_error *err)
{
	mk_autoreference reference = { .host = NULL };
	const char *tag;
	int r = mk_reference_parse(name, &reference, err);

	if (r < 0)
		return r;
	if (reference.digest && !mk_streq(reference.digest, image->digest))
		return mk_fail(
			err, MK_EINVALID, "the image named %s has digest %s", name, image->digest);
	tag = reference.tag ? reference.tag : reference.digest;
	r = place_blobs(registry, reference.path, image, err);
	if (r == 0)
		r = mk_registry_put_manifest(registry, reference.path, tag, image->media_type,
			image->manifest, image->manifest_len, err);
	if (r == 0)
		r = verify(registry, reference.path, tag, image, err);
	return r < 0 ? mk_error_wrap(err, "%s", name) : 0;
}

/* A layer that an image lists twice counts once. */
static bool is_repeated(const struct mk_image *image, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (mk_streq(image->layers[i]->digest, image->layers[index]->digest))
			return true;
	}
	return false;
}

static void report_image(const struct mk_image *image, struct mk_load_report *report)
{
	struct mk_loaded_image *loaded;

	report->images = mk_xrealloc(
		report->images, (report->count + 1) * sizeof(report->images[0]));
	loaded = &report->images[report->count++];
	*loaded = (struct mk_loaded_image){
		.id = mk_xstrdup(image->config->digest),
		.digest = mk_xstrdup(image->digest),
	};
	for (size_t i = 0; i < image->names.count; i++)
		mk_strlist_add(&loaded->names, image->names.items[i]);
	for (size_t i = 0; i < image->layer_count; i++) {
		if (is_repeated(image, i))
			continue;
		loaded->layers_sent += image->layers[i]->sent;
		loaded->layers_there += !image->layers[i]->sent;
		loaded->bytes_sent += image->layers[i]->sent ? image->layers[i]->size : 0;
	}
}

static int push_images(struct mk_registry *registry, const struct mk_images *images,
	struct mk_load_report *report, struct mk_error *err)
{
	for (size_t i = 0; i < images->count; i++) {
		const struct mk_image *image = &images->items[i];

		for (size_t k = 0; k < image->names.count; k++) {
			int r = push_name(registry, image, image->names.items[k], err);

			if (r < 0)
				return r;
		}
		/* Beside images with names one without has no place in a registry. */
		if (image->names.count > 0)
			report_image(image, report);
	}
	return 0;
}

static int load(struct mk_registry *registry, mk_http_reader source, void *payload,
	const struct mk_load_options *options, struct mk_load_report *report, struct mk_error *err)
{
	MK_CLEANUP(mk_members_done) struct mk_members members = { .items = NULL };
	MK_CLEANUP(mk_images_done) struct mk_images images = { .items = NULL };
	int r = mk_scan_archive(
		registry, source, payload, options, &members, &report->wrong_layers, err);

	if (r == 0)
		r = find_images(&members, options->arch, &images, err);
	if (r == 0 && options->names && options->names->count > 0)
		r = rename_image(&images, options->names, err);
	if (r == 0)
		r = check_names(&images, err);
	if (r == 0)
		r = push_images(registry, &images, report, err);
	for (size_t i = 0; i < members.count; i++)
		report->bytes_sent += members.items[i].sent ? members.items[i].size : 0;
	return r;
}

int mk_registry_load(struct mk_registry *registry, mk_http_reader source, void *payload,
	const struct mk_load_options *options, struct mk_load_report *ret, struct mk_error *err)
{
	mk_autoloadreport report = { .images = NULL };
	int r = load(registry, source, payload, options, &report, err);

	mk_load_report_done(ret);
	if (r < 0) {
		ret->wrong_layers = report.wrong_layers;
		return mk_error_wrap(err, "%s", options->what ? options->what : "image archive");
	}
	*ret = report;
	report = (struct mk_load_report){ .images = NULL };
	return 0;
}

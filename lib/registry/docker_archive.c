/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `docker save` writes: manifest.json lists each image's config, names and
 * layer members. It has no OCI manifest, so one is made here, the same from the
 * same archive every time. Layers are stored as they are in the archive:
 * uncompressed, as a rule, so that their digests are the config's diff ids.
 */
#include "lib/registry/image.h"

#include "lib/registry/digest.h"
#include "lib/registry/media.h"

static int find_member(const struct mk_members *members, const json_t *name,
	const struct mk_member **ret, struct mk_error *err)
{
	const char *text = json_string_value(name);

	if (!text)
		return mk_fail(err, MK_EINVALID, "manifest.json: a member's name is missing");
	*ret = mk_members_find(members, text);
	if (!*ret)
		return mk_fail(err, MK_EINVALID,
			"manifest.json names a member that is not in the archive");
	return 0;
}

static int find_layers(const struct mk_members *members, const json_t *list, struct mk_image *image,
	struct mk_error *err)
{
	size_t count = json_array_size(list);

	if (!json_is_array(list) || count > MK_MAX_LAYERS)
		return mk_fail(err, MK_EINVALID,
			"manifest.json: an image has no list of at most %d layers", MK_MAX_LAYERS);
	image->layers = mk_xcalloc(count + 1, sizeof(image->layers[0]));
	for (size_t i = 0; i < count; i++) {
		int r = find_member(members, json_array_get(list, i), &image->layers[i], err);

		if (r < 0)
			return r;
	}
	image->layer_count = count;
	return 0;
}

/* Uncompressed layers are the config's diff ids; a node would refuse others late. */
static int check_diff_ids(const struct mk_image *image, const json_t *config, struct mk_error *err)
{
	const json_t *ids = mk_json_at(config, "rootfs.diff_ids");

	if (json_array_size(ids) != image->layer_count)
		return mk_fail(err, MK_EINVALID,
			"manifest.json lists %zu layers for an image whose config has %zu",
			image->layer_count, json_array_size(ids));
	for (size_t i = 0; i < image->layer_count; i++) {
		const char *id = json_string_value(json_array_get(ids, i));
		const struct mk_member *layer = image->layers[i];

		if (*layer->packing == '\0' && (!id || !mk_streq(id, layer->digest)))
			return mk_fail(err, MK_EINVALID,
				"layer '%s' is not the one its image's config names", layer->name);
	}
	return 0;
}

static json_t *describe(const struct mk_member *member, const char *type, const char *packing)
{
	mk_autofree char *media_type = mk_xasprintf("%s%s", type, packing);

	return mk_json_pack("{s:s, s:I, s:s}", "mediaType", media_type, "size",
		(json_int_t)member->size, "digest", member->digest);
}

static int make_manifest(struct mk_image *image, struct mk_error *err)
{
	mk_autofree char *hex = NULL;
	mk_autojson *manifest = NULL;
	json_t *layers = json_array();
	int r;

	for (size_t i = 0; i < image->layer_count; i++)
		(void)json_array_append_new(layers,
			describe(image->layers[i], MK_MEDIA_OCI_LAYER, image->layers[i]->packing));
	manifest = mk_json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
		MK_MEDIA_OCI_MANIFEST, "config", describe(image->config, MK_MEDIA_OCI_CONFIG, ""),
		"layers", layers);
	image->media_type = mk_xstrdup(MK_MEDIA_OCI_MANIFEST);
	image->manifest = mk_json_print(manifest);
	image->manifest_len = strlen(image->manifest);
	r = mk_digest_data(image->manifest, image->manifest_len, &hex, err);
	if (r < 0)
		return r;
	image->digest = mk_xasprintf("sha256:%s", hex);
	return 0;
}

static int take_names(const json_t *entry, struct mk_image *image, struct mk_error *err)
{
	const json_t *tags = json_object_get(entry, "RepoTags");

	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *name = json_string_value(json_array_get(tags, i));
		int r;

		/* An image without a name is listed so by some tools. */
		if (!name || mk_streq(name, "<none>:<none>"))
			continue;
		r = mk_image_name(image, name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_image(const struct mk_members *members, const json_t *entry, const char *arch,
	struct mk_image *image, struct mk_error *err)
{
	mk_autojson *config = NULL;
	int r = find_member(members, json_object_get(entry, "Config"), &image->config, err);

	if (r == 0)
		r = find_layers(members, json_object_get(entry, "Layers"), image, err);
	if (r == 0)
		r = take_names(entry, image, err);
	if (r == 0)
		r = mk_image_check_platform(image, arch, &config, err);
	if (r == 0)
		r = check_diff_ids(image, config, err);
	if (r == 0)
		r = make_manifest(image, err);
	return r;
}

static int read_manifest(const struct mk_member *manifest, json_t **ret, struct mk_error *err)
{
	mk_autojson *list = NULL;
	int r = mk_member_json(manifest, &list, err);

	if (r < 0)
		return r;
	if (!json_is_array(list) || json_array_size(list) > MK_MAX_IMAGES)
		return mk_fail(err, MK_EINVALID, "manifest.json is not a list of at most %d images",
			MK_MAX_IMAGES);
	*ret = MK_TAKE(list);
	return 0;
}

int mk_docker_images(const struct mk_members *members, const struct mk_member *manifest,
	const char *arch, struct mk_images *ret, struct mk_error *err)
{
	mk_autojson *list = NULL;
	int r = read_manifest(manifest, &list, err);

	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		MK_CLEANUP(mk_image_done) struct mk_image image = { .config = NULL };

		r = take_image(members, json_array_get(list, i), arch, &image, err);
		if (r == 0)
			r = mk_images_take(ret, &image, err);
	}
	return r;
}

int mk_docker_names(const struct mk_members *members, const struct mk_member *manifest,
	struct mk_images *images, struct mk_error *err)
{
	mk_autojson *list = NULL;
	int r = read_manifest(manifest, &list, err);

	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		const char *name = mk_json_str(entry, "Config", "");
		const struct mk_member *config = mk_members_find(members, name);

		for (size_t k = 0; r == 0 && config && k < images->count; k++) {
			if (images->items[k].config == config)
				r = take_names(entry, &images->items[k], err);
		}
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an OCI image layout holds: index.json leads, perhaps through further
 * indexes, to one manifest a platform. The nodes' platform is taken and its
 * manifest is stored byte for byte, so that its digest stays what the builder
 * said.
 */
#include "lib/registry/image.h"

#include "lib/registry/media.h"
#include "lib/registry/reference.h"

#define MAX_NESTING 4
#define MAX_DESCRIPTORS 1024

struct walk {
	const struct mk_members *members;
	const char *arch;
	struct mk_images *images;
};

/* The names a descriptor gives to what it leads to. */
static int take_names(const json_t *descriptor, struct mk_image *image, struct mk_error *err)
{
	const json_t *notes = json_object_get(descriptor, "annotations");
	const char *name = json_string_value(json_object_get(notes, "io.containerd.image.name"));
	const char *ref = json_string_value(
		json_object_get(notes, "org.opencontainers.image.ref.name"));

	if (name)
		return mk_image_name(image, name, err);
	/* docker and buildkit put the bare tag there, podman and skopeo a name. */
	if (ref && strpbrk(ref, "/:"))
		return mk_image_name(image, ref, err);
	return 0;
}

/* 1: for the nodes, 0: for others, -1: it does not say. */
static int platform_fits(const struct walk *walk, const json_t *descriptor)
{
	const json_t *platform = json_object_get(descriptor, "platform");

	if (!json_is_object(platform))
		return -1;
	return mk_streq(mk_json_str(platform, "os", ""), "linux") &&
		mk_streq(mk_json_str(platform, "architecture", ""), walk->arch);
}

static int find_blob(const struct walk *walk, const json_t *descriptor,
	const struct mk_member **ret, struct mk_error *err)
{
	const char *digest = mk_json_str(descriptor, "digest", "");

	if (!mk_is_digest(digest))
		return mk_fail(err, MK_EINVALID, "a descriptor has no sha256 digest");
	*ret = mk_members_find_digest(walk->members, digest);
	if (!*ret)
		return mk_fail(err, MK_EINVALID, "the archive lacks blob %s", digest);
	return 0;
}

static int find_layers(const struct walk *walk, const json_t *manifest, struct mk_image *image,
	struct mk_error *err)
{
	const json_t *list = json_object_get(manifest, "layers");
	size_t count = json_array_size(list);

	if (!json_is_array(list) || count > MK_MAX_LAYERS)
		return mk_fail(err, MK_EINVALID, "a manifest has no list of at most %d layers",
			MK_MAX_LAYERS);
	image->layers = mk_xcalloc(count + 1, sizeof(image->layers[0]));
	for (size_t i = 0; i < count; i++) {
		int r = find_blob(walk, json_array_get(list, i), &image->layers[i], err);

		if (r < 0)
			return r;
	}
	image->layer_count = count;
	return 0;
}

static int take_manifest(const struct walk *walk, const struct mk_member *member,
	const json_t *manifest, const char *media_type, struct mk_image *image,
	struct mk_error *err)
{
	mk_autojson *config = NULL;
	int r = find_blob(walk, json_object_get(manifest, "config"), &image->config, err);

	if (r == 0)
		r = find_layers(walk, manifest, image, err);
	if (r == 0)
		r = mk_image_check_platform(image, walk->arch, &config, err);
	if (r < 0)
		return r;
	image->media_type = mk_xstrdup(media_type);
	image->manifest = mk_xmalloc((size_t)member->size + 1);
	memcpy(image->manifest, member->data, (size_t)member->size + 1);
	image->manifest_len = (size_t)member->size;
	image->digest = mk_xstrdup(member->digest);
	return mk_images_take(walk->images, image, err);
}

static int walk_descriptor(const struct walk *walk, const json_t *descriptor,
	const struct mk_strlist *names, int depth, struct mk_error *err);

/* The one manifest of a nested index that is for the nodes. */
static int walk_nested(const struct walk *walk, const json_t *index, const struct mk_strlist *names,
	int depth, struct mk_error *err)
{
	const json_t *list = json_object_get(index, "manifests");
	const json_t *otherwise = NULL;

	if (json_array_size(list) > MAX_DESCRIPTORS)
		return mk_fail(
			err, MK_EINVALID, "an index has more than %d manifests", MAX_DESCRIPTORS);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *descriptor = json_array_get(list, i);
		int fits = platform_fits(walk, descriptor);

		if (fits == 1)
			return walk_descriptor(walk, descriptor, names, depth + 1, err);
		if (fits < 0 && !otherwise)
			otherwise = descriptor;
	}
	if (otherwise)
		return walk_descriptor(walk, otherwise, names, depth + 1, err);
	return mk_fail(err, MK_EINVALID, "image %s is not there for linux/%s, the nodes' platform",
		names->count ? names->items[0] : "(without a name)", walk->arch);
}

static bool is_index(const char *media_type)
{
	return mk_streq(media_type, MK_MEDIA_OCI_INDEX) ||
		mk_streq(media_type, MK_MEDIA_DOCKER_LIST);
}

/* A manifest's type: its own word, the descriptor's, or what it looks like. */
static const char *type_of(const json_t *document, const json_t *descriptor)
{
	const char *type = mk_json_str(document, "mediaType", NULL);

	if (!type)
		type = mk_json_str(descriptor, "mediaType", NULL);
	if (type)
		return type;
	return json_object_get(document, "manifests") ? MK_MEDIA_OCI_INDEX : MK_MEDIA_OCI_MANIFEST;
}

static int copy_names(const struct mk_strlist *names, struct mk_image *image, struct mk_error *err)
{
	for (size_t i = 0; i < names->count; i++) {
		int r = mk_image_name(image, names->items[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int walk_descriptor(const struct walk *walk, const json_t *descriptor,
	const struct mk_strlist *names, int depth, struct mk_error *err)
{
	MK_CLEANUP(mk_image_done) struct mk_image image = { .config = NULL };
	mk_autojson *document = NULL;
	const struct mk_member *member = NULL;
	const char *type;
	int r = find_blob(walk, descriptor, &member, err);

	if (r == 0)
		r = copy_names(names, &image, err);
	if (r == 0)
		r = take_names(descriptor, &image, err);
	if (r == 0)
		r = mk_member_json(member, &document, err);
	if (r < 0)
		return r;
	type = type_of(document, descriptor);
	if (is_index(type) && depth == MAX_NESTING)
		return mk_fail(err, MK_EINVALID, "indexes are nested deeper than %d", MAX_NESTING);
	if (is_index(type))
		return walk_nested(walk, document, &image.names, depth, err);
	if (!mk_streq(type, MK_MEDIA_OCI_MANIFEST) && !mk_streq(type, MK_MEDIA_DOCKER_MANIFEST))
		return mk_fail(err, MK_EINVALID, "member '%s' is no image manifest", member->name);
	return take_manifest(walk, member, document, type, &image, err);
}

int mk_oci_images(const struct mk_members *members, const struct mk_member *index, const char *arch,
	struct mk_images *ret, struct mk_error *err)
{
	const struct walk walk = { .members = members, .arch = arch, .images = ret };
	const struct mk_strlist no_names = { .count = 0 };
	mk_autojson *document = NULL;
	const json_t *list;
	int r = mk_member_json(index, &document, err);

	if (r < 0)
		return r;
	list = json_object_get(document, "manifests");
	if (!json_is_array(list) || json_array_size(list) > MAX_DESCRIPTORS)
		return mk_fail(err, MK_EINVALID, "index.json is not a list of at most %d manifests",
			MAX_DESCRIPTORS);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *descriptor = json_array_get(list, i);

		if (platform_fits(&walk, descriptor) != 0)
			r = walk_descriptor(&walk, descriptor, &no_names, 0, err);
	}
	if (r == 0 && ret->count == 0)
		r = mk_fail(err, MK_EINVALID, "there is no image for linux/%s, the nodes' platform",
			arch);
	return r;
}

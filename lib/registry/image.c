/* SPDX-License-Identifier: Apache-2.0 */
/* Images: a list of them, their names, and what both kinds of archive check. */
#include "lib/registry/image.h"

#include "lib/registry/reference.h"

void mk_image_done(struct mk_image *image)
{
	mk_strlist_done(&image->names);
	free(image->media_type);
	free(image->manifest);
	free(image->digest);
	free(image->layers);
	*image = (struct mk_image){ .config = NULL };
}

void mk_images_done(struct mk_images *images)
{
	for (size_t i = 0; i < images->count; i++)
		mk_image_done(&images->items[i]);
	free(images->items);
	*images = (struct mk_images){ .items = NULL };
}

static int merge_names(struct mk_image *to, const struct mk_image *from, struct mk_error *err)
{
	for (size_t i = 0; i < from->names.count; i++) {
		int r = mk_image_name(to, from->names.items[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

int mk_images_take(struct mk_images *images, struct mk_image *image, struct mk_error *err)
{
	for (size_t i = 0; i < images->count; i++) {
		if (mk_streq(images->items[i].digest, image->digest)) {
			int r = merge_names(&images->items[i], image, err);

			mk_image_done(image);
			return r;
		}
	}
	if (images->count == MK_MAX_IMAGES)
		return mk_fail(err, MK_EINVALID, "more than %d images", MK_MAX_IMAGES);
	images->items = mk_xrealloc(images->items, (images->count + 1) * sizeof(images->items[0]));
	images->items[images->count++] = *image;
	*image = (struct mk_image){ .config = NULL };
	return 0;
}

int mk_image_name(struct mk_image *image, const char *name, struct mk_error *err)
{
	mk_autoreference reference = { .host = NULL };
	mk_autofree char *whole = NULL;
	int r = mk_reference_parse(name, &reference, err);

	if (r < 0)
		return r;
	whole = mk_reference_print(&reference);
	if (mk_strlist_has(&image->names, whole))
		return 0;
	if (image->names.count == MK_MAX_NAMES)
		return mk_fail(err, MK_EINVALID, "an image has more than %d names", MK_MAX_NAMES);
	mk_strlist_take(&image->names, MK_TAKE(whole));
	return 0;
}

int mk_member_json(const struct mk_member *member, json_t **ret, struct mk_error *err)
{
	if (member->kind != MK_MEMBER_KEPT)
		return mk_fail(err, MK_EINVALID, "member '%s' should be a small JSON document",
			member->name);
	return mk_json_parse(member->data, (size_t)member->size, member->name, ret, err);
}

/* What the config says of itself, fit for an error message. */
static bool is_word(const char *s)
{
	return strlen(s) <= 32 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(s);
}

int mk_image_check_platform(
	const struct mk_image *image, const char *arch, json_t **ret_config, struct mk_error *err)
{
	mk_autojson *config = NULL;
	const char *os;
	const char *its;
	int r = mk_member_json(image->config, &config, err);

	if (r < 0)
		return r;
	os = mk_json_str(config, "os", "linux");
	its = mk_json_str(config, "architecture", arch);
	/* Imported images leave them empty; the nodes take those. */
	if ((*os && !mk_streq(os, "linux")) || (*its && !mk_streq(its, arch)))
		return mk_fail(err, MK_EINVALID, "image %s is for %s/%s, the nodes are linux/%s",
			image->names.count ? image->names.items[0] : image->config->name,
			is_word(os) ? os : "?", is_word(its) ? its : "?", arch);
	*ret_config = MK_TAKE(config);
	return 0;
}

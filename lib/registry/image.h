/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/registry: the images an archive holds, as its members tell.
 * docker_archive.c reads docker's manifest.json, oci_layout.c OCI's index.json;
 * both end in the same manifests.
 */
#ifndef MK_REGISTRY_IMAGE_H
#define MK_REGISTRY_IMAGE_H

#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/registry/members.h"

#define MK_MAX_IMAGES 256
#define MK_MAX_LAYERS 512
#define MK_MAX_NAMES 64

struct mk_image {
	struct mk_strlist names; /* whole: "docker.io/library/echo:1" */
	char *media_type;
	char *manifest; /* its bytes, `manifest_len` of them */
	size_t manifest_len;
	char *digest;                   /* of the manifest */
	const struct mk_member *config; /* members are borrowed */
	const struct mk_member **layers;
	size_t layer_count;
};

struct mk_images {
	struct mk_image *items;
	size_t count;
};

void mk_image_done(struct mk_image *image);
void mk_images_done(struct mk_images *images);

/** Add the image, or its names to the same image that is there already. The
 * image ends empty. MK_EINVALID when there are too many. */
int mk_images_take(
	struct mk_images *images, struct mk_image *image, struct mk_error *err) MK_CHECKED;

/** Add a name, in its whole form; one that is there already is not added. */
int mk_image_name(struct mk_image *image, const char *name, struct mk_error *err) MK_CHECKED;

/** Read the config and refuse one that is not for linux/`arch`. */
int mk_image_check_platform(const struct mk_image *image, const char *arch, json_t **ret_config,
	struct mk_error *err) MK_CHECKED;

/** The kept member as JSON. MK_EINVALID when it is none. Caller frees. */
int mk_member_json(const struct mk_member *member, json_t **ret, struct mk_error *err) MK_CHECKED;

/** Collect the images that manifest.json lists. */
int mk_docker_images(const struct mk_members *members, const struct mk_member *manifest,
	const char *arch, struct mk_images *ret, struct mk_error *err) MK_CHECKED;

/** Give images of an OCI layout the names that manifest.json has for them. */
int mk_docker_names(const struct mk_members *members, const struct mk_member *manifest,
	struct mk_images *images, struct mk_error *err) MK_CHECKED;

/** Collect the images for linux/`arch` that index.json leads to. */
int mk_oci_images(const struct mk_members *members, const struct mk_member *index, const char *arch,
	struct mk_images *ret, struct mk_error *err) MK_CHECKED;

#endif

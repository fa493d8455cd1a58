/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the engine: look up, pull, import, save, tag, remove. */
#ifndef MK_DOCKER_IMAGE_H
#define MK_DOCKER_IMAGE_H

#include "lib/docker/client.h"

/** Split "repo:tag" at its tag ("latest" when there is none). Caller frees both. */
void mk_image_split(const char *image, char **ret_repo, char **ret_tag);

/** GET /images/NAME/json; MK_ENOTFOUND. The caller owns the result. */
int mk_image_inspect(
	struct mk_docker *docker, const char *image, json_t **ret, struct mk_error *err) MK_CHECKED;

/** Told while an image is pulled: the engine's own words, "Downloading". */
typedef void (*mk_image_progress)(void *payload, const char *status);

/** Pull an image for `platform` ("linux/amd64", or NULL). MK_ENOTFOUND, MK_EREMOTE,
 * or MK_ENET when the engine reaches no registry. Waits until the pull has ended. */
int mk_image_pull(struct mk_docker *docker, const char *image, const char *platform,
	mk_image_progress progress, void *payload, struct mk_error *err) MK_CHECKED;

/** Make an image of a root file system's tar, as a whole or compressed. */
int mk_image_import(struct mk_docker *docker, const char *image, mk_http_reader reader,
	void *payload, struct mk_error *err) MK_CHECKED;

/** The images as one docker-save tar stream. */
int mk_image_save(struct mk_docker *docker, const struct mk_strlist *images,
	struct mk_http_stream **ret, struct mk_error *err) MK_CHECKED;

/** Remove an image (only its name when containers or other names use it). Absent is fine. */
int mk_image_remove(struct mk_docker *docker, const char *image, struct mk_error *err) MK_CHECKED;

#endif

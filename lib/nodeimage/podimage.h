/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives of pod images in docker-save form with exactly one layer: composed
 * from programs built here, or flattened from an image of the engine. One layer,
 * because the node image carries the unpacked files in its own layers, where
 * another layer's whiteouts would be lost.
 */
#ifndef MK_NODEIMAGE_PODIMAGE_H
#define MK_NODEIMAGE_PODIMAGE_H

#include "lib/archive/tar_writer.h"
#include "lib/docker/client.h"

/** Begin a layer with what every image of ours holds: /tmp, root and nobody. */
struct mk_tar_writer *mk_podimage_layer(void) __attribute__((returns_nonnull));

/**
 * Write the archive of an image: the layer's files, and `config` in the form of
 * an image's configuration (Entrypoint, User, ...).
 */
int mk_podimage_compose(struct mk_tar_writer *layer, const char *reference, const char *arch,
	const json_t *config, const char *archive, struct mk_error *err) MK_CHECKED;

/** Write the archive of an image that the engine has, under the same name. */
int mk_podimage_flatten(struct mk_docker *docker, const char *reference, const json_t *labels,
	const char *archive, struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image archives into the cluster's registry, in one pass: layers go from the
 * archive to the registry as they come, hashed on the way, with nothing on disk
 * and 64 MiB in memory at most. Understood are `docker save` of any age, podman's
 * docker-archive, and OCI layouts, each plain or compressed with gzip, xz or zstd.
 *
 * Layers wait in the repository MK_STAGING_REPOSITORY until the archive has told
 * whose they are; from there the registry shares them, also with the images of
 * later loads. An image's manifest is stored last, so an image is either whole
 * or not there.
 */
#ifndef MK_REGISTRY_LOAD_H
#define MK_REGISTRY_LOAD_H

#include "lib/base/str.h"
#include "lib/registry/registry.h"

#define MK_STAGING_REPOSITORY "mkcluster/layers"

struct mk_load_options {
	const char *what;               /* for errors: "app.tar", "image echo:1" */
	const char *arch;               /* of the nodes, "amd64" */
	const struct mk_strlist *names; /* instead of the archive's; then it must hold
					 * one image. NULL or empty: the archive's */
	/*
	 * The layers (diff ids, lowest first) of each image that the engine was
	 * asked to save: RootFS.Layers of its inspect answer. With them a layer
	 * that the registry has is not sent even from archives that do not tell
	 * digests (engines before 25). NULL: not known.
	 */
	const struct mk_strlist *layers;
	size_t layers_count; /* images in `layers` */
};

struct mk_loaded_image {
	struct mk_strlist names; /* whole: "docker.io/library/echo:1" */
	char *id;                /* digest of the config */
	char *digest;            /* of the manifest */
	size_t layers_sent;
	size_t layers_there; /* the registry had these */
	uint64_t bytes_sent; /* of the layers; one shared by two images is in both */
};

struct mk_load_report {
	struct mk_loaded_image *images;
	size_t count;
	uint64_t bytes_sent; /* each layer once */
	bool wrong_layers;   /* failed since `layers` was not true: try without it */
};

void mk_load_report_done(struct mk_load_report *report);
#define mk_autoloadreport MK_CLEANUP(mk_load_report_done) struct mk_load_report

/**
 * Load every image of the archive that `source` gives. Blocks as long as the
 * source and the registry do.
 *
 * MK_EINVALID: the archive is malformed, or not for the nodes' platform;
 * MK_EUSAGE: its image has no name, or the given names do not suit; MK_EREMOTE,
 * MK_ENET: the registry; MK_EINTR; or the source's error. `ret` is an empty
 * report at the call and released by the caller always; on failure it says only
 * whether to repeat the load without `layers` (wrong_layers).
 */
int mk_registry_load(struct mk_registry *registry, mk_http_reader source, void *payload,
	const struct mk_load_options *options, struct mk_load_report *ret,
	struct mk_error *err) MK_CHECKED;

#endif

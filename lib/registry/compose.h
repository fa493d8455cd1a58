/* SPDX-License-Identifier: Apache-2.0 */
/* An image of one layer, made here and sent to the registry as it is made. */
#ifndef MK_REGISTRY_COMPOSE_H
#define MK_REGISTRY_COMPOSE_H

#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/registry/registry.h"

struct mk_compose {
	const char *repository;
	const char *tag;
	const char *arch;     /* "amd64" */
	const json_t *config; /* in the form of an image's: Entrypoint, User, ... */
	mk_http_reader layer; /* gives the layer's tar */
	void *payload;
};

/**
 * Store the image. The digests of its config, layer and manifest are added to
 * `digests` before each is stored, so that after a failure, too, it tells what
 * the registry may hold.
 */
int mk_registry_compose(struct mk_registry *registry, const struct mk_compose *compose,
	struct mk_strlist *digests, struct mk_error *err) MK_CHECKED;

#endif

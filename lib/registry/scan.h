/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/registry: the pass over an image archive. */
#ifndef MK_REGISTRY_SCAN_H
#define MK_REGISTRY_SCAN_H

#include "lib/registry/load.h"
#include "lib/registry/members.h"

/**
 * Read the archive to its end, sending what must be layers, and list its
 * members in `ret`, sorted. `ret_wrong_layers` is set (on failure only) when
 * options->layers misled us.
 */
int mk_scan_archive(struct mk_registry *registry, mk_http_reader source, void *payload,
	const struct mk_load_options *options, struct mk_members *ret, bool *ret_wrong_layers,
	struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/nodeimage: files of releases, fetched side by side into the
 * cache, and the programs taken out of them.
 */
#ifndef MK_NODEIMAGE_RELEASE_H
#define MK_NODEIMAGE_RELEASE_H

#include "lib/fetch/fetch.h"
#include "lib/nodeimage/work.h"

/** One program of a fetched release: where it lies here, and its place in a node. */
struct mk_program {
	char *source;
	char *path;
};

struct mk_programs {
	struct mk_program *items;
	size_t count;
};

void mk_programs_done(struct mk_programs *programs);

/**
 * Fetch and verify what these components' releases have in files, and, with
 * `images`, the archives of their images from the mirror, which end in `images`
 * as paths in the order of the components. Programs inside archives are taken
 * out into work->scratch. Errors as in mk_fetch_all and mk_archive_extract_files.
 */
int mk_release_fetch(struct mk_work *work, const struct mk_component *const *components,
	size_t count, struct mk_programs *ret, struct mk_strlist *images,
	struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files below manifests/ (and the provider's source), carried inside the
 * program: "node/units/etcd.service", "objects/coredns.yaml",
 * "modules/etcd/go.mod", "image/entrypoint", "provider/main.go".
 */
#ifndef MK_MANIFESTS_EMBED_H
#define MK_MANIFESTS_EMBED_H

#include <stddef.h>

struct mk_embedded {
	const char *path;
	const char *data; /* NUL-terminated besides */
	size_t len;
	unsigned mode; /* 0644 or 0755 */
};

/** All files, sorted by path. */
extern const struct mk_embedded mk_embedded_files[];
extern const size_t mk_embedded_count;

/** The file of this path, or NULL. */
const struct mk_embedded *mk_embedded_find(const char *path);

#endif

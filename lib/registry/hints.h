/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/registry: which layer a member of a `docker save` archive of
 * engines before 25 will be, told before its bytes are read.
 */
#ifndef MK_REGISTRY_HINTS_H
#define MK_REGISTRY_HINTS_H

#include "lib/base/str.h"

struct mk_hints;

/** Prepare from the layers (diff ids, lowest first) of each saved image. */
int mk_hints_new(const struct mk_strlist *layers, size_t count, struct mk_hints **ret,
	struct mk_error *err) MK_CHECKED;
void mk_hints_free(struct mk_hints *hints);
MK_DEFINE_CLEANUP(struct mk_hints *, mk_hints_free);

/**
 * The diff id of the layer in folder `id`, whose metadata names `parent` ("" is
 * none); NULL when that cannot be told. Borrowed.
 */
const char *mk_hints_find(const struct mk_hints *hints, const char *id, const char *parent);

#endif

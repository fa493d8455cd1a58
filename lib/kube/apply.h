/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-side apply
 * (https://kubernetes.io/docs/reference/using-api/server-side-apply/) with our
 * field manager: what we sent is what we own, and applying again changes
 * nothing.
 */
#ifndef MK_KUBE_APPLY_H
#define MK_KUBE_APPLY_H

#include "lib/kube/client.h"

#define MK_KUBE_FIELD_MANAGER "mkcluster"

/** The API path of an object, "/apis/apps/v1/namespaces/x/deployments/y", or
 * MK_EINVALID when its kind is not one we apply. Caller frees. */
int mk_kube_object_path(const json_t *object, char **ret, struct mk_error *err) MK_CHECKED;

/**
 * Apply all objects (an array) in order of dependency: namespaces, then what
 * pods refer to, then services and workloads; the objects of one rank side by
 * side. Returns at the first refusal, which names the object.
 */
int mk_kube_apply(struct mk_kube *kube, const json_t *objects, struct mk_error *err) MK_CHECKED;

#endif

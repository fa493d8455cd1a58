/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for objects by watching them
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
 */
#ifndef MK_KUBE_WATCH_H
#define MK_KUBE_WATCH_H

#include "lib/kube/client.h"

/**
 * Judge one event: `type` is ADDED, MODIFIED or DELETED, `object` the object.
 * Returns 1 when the wait is over, 0 to go on, -code to end it with `err`.
 */
typedef int (*mk_watch_judge)(
	void *payload, const char *type, const json_t *object, struct mk_error *err);

/**
 * Watch a collection ("/api/v1/nodes") from its present state on until `judge`
 * ends it or `deadline` passes (MK_ETIMEOUT). A watch that the server closes, or
 * that breaks, is opened again, and the present state is told anew.
 */
int mk_kube_watch(struct mk_kube *kube, const char *path, int64_t deadline, mk_watch_judge judge,
	void *payload, struct mk_error *err) MK_CHECKED;

/** The condition `type` in the status of `object`, or NULL. Borrowed. */
const json_t *mk_kube_find_condition(const json_t *object, const char *type);

/** Whether the condition `type` of `object` has status "True". */
bool mk_kube_condition(const json_t *object, const char *type);

/** Wait until a collection ("/api/v1/namespaces?fieldSelector=...") is empty.
 * MK_ETIMEOUT names an object that is still in it. */
int mk_kube_wait_none(
	struct mk_kube *kube, const char *path, int64_t deadline, struct mk_error *err) MK_CHECKED;

/**
 * Wait until all these nodes are Ready. MK_ETIMEOUT names those that were not. With
 * `since`, a moment for each (RFC 3339, UTC), only what a kubelet has said after it
 * counts: after a restart the API tells at first what was true before.
 */
int mk_kube_wait_nodes(struct mk_kube *kube, const struct mk_strlist *names,
	const struct mk_strlist *since, int64_t deadline, struct mk_error *err) MK_CHECKED;

/** Wait until all these nodes are known to the API, Ready or not. */
int mk_kube_wait_registered(struct mk_kube *kube, const struct mk_strlist *names, int64_t deadline,
	struct mk_error *err) MK_CHECKED;

/** Told when a Deployment became available: its name and how many are to come. */
typedef void (*mk_available_report)(void *payload, const char *name, size_t left);

/**
 * Wait until every Deployment named in `names` ("NAMESPACE/NAME") has all its
 * replicas available. MK_ETIMEOUT names those that were not.
 */
int mk_kube_wait_deployments(struct mk_kube *kube, const struct mk_strlist *names, int64_t deadline,
	mk_available_report report, void *payload, struct mk_error *err) MK_CHECKED;

/** Wait until pods reach all these addresses as the API: the service "kubernetes" has
 * them as endpoints. An API server takes its own out when it ends. */
int mk_kube_wait_api_endpoints(struct mk_kube *kube, const struct mk_strlist *addresses,
	int64_t deadline, struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Many requests to the API, side by side. Private to lib/kube. */
#ifndef MK_KUBE_BATCH_H
#define MK_KUBE_BATCH_H

#include "lib/kube/client.h"

/** Zeroed is empty. */
struct mk_batch {
	struct mk_http_request *requests;
	struct mk_http_response *responses; /* once sent */
	size_t count, capacity;
};

/** Wipes bodies and answers: they may hold Secrets. */
void mk_batch_done(struct mk_batch *batch);
#define mk_autobatch MK_CLEANUP(mk_batch_done) struct mk_batch

/** Put in a request. Takes the path; `body` and `headers` may be NULL, and headers must
 * outlive the batch. A PATCH is an apply
 * (https://kubernetes.io/docs/reference/using-api/server-side-apply/). */
void mk_batch_add(struct mk_batch *batch, const char *method, char *path, const json_t *body,
	const struct mk_strlist *headers);

/** Send all and wait for the answers, of whatever status. */
int mk_batch_send(struct mk_kube *kube, struct mk_batch *batch, struct mk_error *err) MK_CHECKED;

/** The answer of request `i` as JSON, or NULL. The caller owns it. */
json_t *mk_batch_json(const struct mk_batch *batch, size_t i);

/** Header lines that ask for an object's, or a list's, metadata alone
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches). */
extern const struct mk_strlist mk_metadata_only, mk_metadata_only_list;

#endif

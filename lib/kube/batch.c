/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/batch.h"

#include "lib/base/limits.h"

/* A request's time limit begins when it is queued: no more at once than a server
 * answers within it. */
#define AT_ONCE ((size_t)64)

static char accept_object[] = "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;"
			      "v=v1,application/json";
static char accept_list[] = "Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;"
			    "v=v1,application/json";
static char *object_lines[] = { accept_object, NULL };
static char *list_lines[] = { accept_list, NULL };

const struct mk_strlist mk_metadata_only = { object_lines, 1 };
const struct mk_strlist mk_metadata_only_list = { list_lines, 1 };

static void free_const(const void *p)
{
	free((void *)(uintptr_t)p);
}

void mk_batch_done(struct mk_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		free_const(batch->requests[i].path);
		mk_secret_free((char *)(uintptr_t)batch->requests[i].body);
		if (batch->responses)
			mk_http_response_done(&batch->responses[i]);
	}
	free(batch->requests);
	free(batch->responses);
	*batch = (struct mk_batch){ .count = 0 };
}

void mk_batch_add(struct mk_batch *batch, const char *method, char *path, const json_t *body,
	const struct mk_strlist *headers)
{
	char *text = body ? mk_json_print(body) : NULL;

	if (batch->count == batch->capacity) {
		batch->capacity = batch->capacity ? batch->capacity * 2 : 16;
		batch->requests = mk_xrealloc(
			batch->requests, batch->capacity * sizeof(*batch->requests));
	}
	batch->requests[batch->count++] = (struct mk_http_request){
		.method = method,
		.path = path,
		/* JSON is YAML: no need to print it as such. */
		.content_type = mk_streq(method, "PATCH") ? "application/apply-patch+yaml" : NULL,
		.headers = headers,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.timeout_ms = MK_KUBE_TIMEOUT_MS,
	};
}

int mk_batch_send(struct mk_kube *kube, struct mk_batch *batch, struct mk_error *err)
{
	int r = 0;

	batch->responses = mk_xcalloc(batch->count + 1, sizeof(*batch->responses));
	for (size_t i = 0; r == 0 && i < batch->count; i += AT_ONCE) {
		size_t left = batch->count - i;

		r = mk_http_do_all(mk_kube_http(kube), &batch->requests[i],
			left < AT_ONCE ? left : AT_ONCE, &batch->responses[i], err);
	}
	return r;
}

json_t *mk_batch_json(const struct mk_batch *batch, size_t i)
{
	const struct mk_buf *body = &batch->responses[i].body;

	return json_loadb(body->data ? body->data : "", body->len, 0, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Several requests to the engine side by side: what ten nodes take as long as one for. */
#include "lib/docker/client.h"

#include "lib/base/limits.h"

void mk_docker_items_done(struct mk_docker_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(items[i].path);
		json_decref(items[i].body);
		mk_buf_wipe(&items[i].raw);
		json_decref(items[i].answer);
	}
}

struct batch {
	struct mk_http_request *requests;
	struct mk_http_response *responses;
	struct mk_strlist paths;
	struct mk_strlist bodies;
	size_t count;
};

static void batch_done(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		mk_http_response_done(&batch->responses[i]);
	free(batch->requests);
	free(batch->responses);
	mk_strlist_done(&batch->paths);
	mk_strlist_done(&batch->bodies);
}

static void fill(struct mk_docker *docker, struct batch *batch, const struct mk_docker_item *item)
{
	size_t i = batch->count++;
	bool raw = item->raw.len > 0;

	mk_strlist_take(&batch->paths, mk_docker_path(docker, item->path));
	mk_strlist_take(&batch->bodies, item->body ? mk_json_print(item->body) : mk_xstrdup(""));
	batch->requests[i] = (struct mk_http_request){
		.method = item->method,
		.path = batch->paths.items[i],
		.content_type = raw ? "application/x-tar" : NULL,
		.body = raw          ? item->raw.data
			: item->body ? batch->bodies.items[i]
				     : NULL,
		.body_len = raw ? item->raw.len : strlen(batch->bodies.items[i]),
		.timeout_ms = MK_ENGINE_TIMEOUT_MS,
	};
}

static int take_answer(
	struct mk_docker_item *item, const struct mk_http_response *response, struct mk_error *err)
{
	if (response->status >= 300 && response->status != 304)
		return mk_docker_refused(
			item->method, item->path, response->status, response->body.data, err);
	if (response->body.len == 0)
		return 0;
	item->answer = json_loadb(response->body.data, response->body.len, 0, NULL);
	return 0;
}

int mk_docker_call_all(struct mk_docker *docker, struct mk_docker_item *items, size_t count,
	size_t *ret_failed, struct mk_error *err)
{
	MK_CLEANUP(batch_done)
	struct batch batch = {
		.requests = mk_xcalloc(count, sizeof(struct mk_http_request)),
		.responses = mk_xcalloc(count, sizeof(struct mk_http_response)),
	};
	int r;

	for (size_t i = 0; i < count; i++)
		fill(docker, &batch, &items[i]);
	r = mk_http_do_all(mk_docker_http(docker), batch.requests, count, batch.responses, err);
	for (size_t i = 0; i < count && r == 0; i++) {
		r = take_answer(&items[i], &batch.responses[i], err);
		if (r < 0 && ret_failed)
			*ret_failed = i;
	}
	return r;
}

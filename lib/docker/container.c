/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/docker/container.h"

#include "lib/archive/tar_reader.h"
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/docker/image.h"

int mk_container_create(struct mk_docker *docker, const char *name, const json_t *config,
	char **ret_id, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/containers/create?name=%s", name);
	mk_autojson *answer = NULL;
	const char *id;
	int r = mk_docker_call(docker, "POST", path, config, &answer, err);

	if (r < 0)
		return r;
	id = mk_json_str(answer, "Id", NULL);
	if (!id)
		return mk_fail(err, MK_EREMOTE, "engine: POST %s: no Id in the answer", path);
	*ret_id = mk_xstrdup(id);
	return 0;
}

int mk_container_start(struct mk_docker *docker, const char *id, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/containers/%s/start", id);

	return mk_docker_call(docker, "POST", path, NULL, NULL, err);
}

int mk_container_kill(struct mk_docker *docker, const char *id, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/containers/%s/kill", id);
	int r = mk_docker_call(docker, "POST", path, NULL, NULL, err);

	/* 409: it is not running. */
	if (r != -MK_EEXISTS)
		return r;
	mk_error_done(err);
	return 0;
}

int mk_container_remove(struct mk_docker *docker, const char *id, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/containers/%s?force=1&v=1", id);
	int64_t deadline = mk_deadline(10000);

	for (;;) {
		int r = mk_docker_call(docker, "DELETE", path, NULL, NULL, err);

		if (r == -MK_ENOTFOUND) {
			mk_error_done(err);
			return 0;
		}
		/* 409: "removal ... is already in progress". It ends, or the deadline does. */
		if (r != -MK_EEXISTS || mk_remaining_ms(deadline) == 0)
			return r;
		r = mk_sleep_ms(50, err);
		if (r < 0)
			return r;
	}
}

int mk_container_remove_all(
	struct mk_docker *docker, const struct mk_strlist *ids, struct mk_error *err)
{
	mk_autofree struct mk_http_request *requests = mk_xcalloc(
		ids->count, sizeof(struct mk_http_request));
	mk_autofree struct mk_http_response *responses = mk_xcalloc(
		ids->count, sizeof(struct mk_http_response));
	mk_autostrlist paths = { .items = NULL };
	int r;

	if (ids->count == 0)
		return 0;
	for (size_t i = 0; i < ids->count; i++) {
		mk_autofree char *path = mk_xasprintf("/containers/%s?force=1&v=1", ids->items[i]);

		mk_strlist_take(&paths, mk_docker_path(docker, path));
		requests[i] = (struct mk_http_request){ .method = "DELETE",
			.path = paths.items[i],
			.timeout_ms = MK_ENGINE_TIMEOUT_MS };
	}
	r = mk_http_do_all(mk_docker_http(docker), requests, ids->count, responses, err);
	for (size_t i = 0; i < ids->count && r == 0; i++)
		mk_http_response_done(&responses[i]);
	/* Whoever was being removed by somebody else is waited for here. */
	for (size_t i = 0; i < ids->count && r == 0; i++)
		r = mk_container_remove(docker, ids->items[i], err);
	return r;
}

int mk_container_inspect(
	struct mk_docker *docker, const char *id, json_t **ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/containers/%s/json", id);

	return mk_docker_call(docker, "GET", path, NULL, ret, err);
}

int mk_container_list(
	struct mk_docker *docker, const char *label, json_t **ret, struct mk_error *err)
{
	mk_autofree char *filter = mk_docker_label_filter(label);
	mk_autofree char *path = mk_xasprintf("/containers/json?all=1&filters=%s", filter);

	return mk_docker_call(docker, "GET", path, NULL, ret, err);
}

static int put(struct mk_docker *docker, const char *id, const char *path,
	struct mk_http_request *request, struct mk_error *err)
{
	mk_autoresponse response = { .status = 0 };
	mk_autofree char *where = mk_http_escape(path);
	mk_autofree char *short_path = mk_xasprintf("/containers/%s/archive?path=%s", id, where);
	mk_autofree char *full = mk_docker_path(docker, short_path);
	int r;

	request->method = "PUT";
	request->path = full;
	request->content_type = "application/x-tar";
	r = mk_http_do(mk_docker_http(docker), request, &response, err);
	if (r == 0 && response.status >= 400)
		r = mk_docker_refused("PUT", short_path, response.status, response.body.data, err);
	return r;
}

int mk_container_put_stream(struct mk_docker *docker, const char *id, const char *path,
	mk_http_reader reader, void *payload, struct mk_error *err)
{
	struct mk_http_request request = {
		.reader = reader,
		.reader_payload = payload,
		.reader_size = -1,
		.stall_ms = MK_ENGINE_TIMEOUT_MS,
	};

	return put(docker, id, path, &request, err);
}

static int read_data(
	struct mk_tar_reader *reader, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	char chunk[16384];
	ssize_t n;

	do {
		n = mk_tar_reader_data(reader, chunk, sizeof(chunk), err);
		if (n > 0)
			mk_buf_add(ret, chunk, (size_t)n);
	} while (n > 0);
	mk_wipe(chunk, sizeof(chunk));
	return n < 0 ? (int)n : mk_buf_check(ret, path, err);
}

/* The archive of one path holds one entry: the file. */
static int read_only_file(
	struct mk_http_stream *stream, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	struct mk_tar_reader_options options = { .what = path, .max_member = ret->max };
	struct mk_tar_entry entry;
	int r = mk_tar_reader_open(mk_docker_read, stream, &options, &reader, err);

	if (r == 0)
		r = mk_tar_reader_next(reader, &entry, err);
	if (r < 0)
		return r;
	if (r == 0 || entry.type != MK_TAR_FILE)
		return mk_fail(err, MK_EINVALID, "'%s' in the node is not a file", path);
	return read_data(reader, path, ret, err);
}

int mk_container_get_stream(struct mk_docker *docker, const char *id, const char *path,
	struct mk_http_stream **ret, struct mk_error *err)
{
	mk_autofree char *where = mk_http_escape(path);
	mk_autofree char *short_path = mk_xasprintf("/containers/%s/archive?path=%s", id, where);
	mk_autofree char *full = mk_docker_path(docker, short_path);
	struct mk_http_request request = { .path = full };

	return mk_docker_open(docker, &request, ret, err);
}

int mk_container_read_file(struct mk_docker *docker, const char *id, const char *path,
	struct mk_buf *ret, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	int r = mk_container_get_stream(docker, id, path, &stream, err);

	return r < 0 ? r : read_only_file(stream, path, ret, err);
}

/* Names in the archive begin with the folder's own name: its parent is put before. */
static int visit_files(struct mk_tar_reader *reader, const char *folder, size_t max_file,
	mk_container_visit visit, void *payload, struct mk_error *err)
{
	int parent = (int)(strrchr(folder, '/') - folder);
	struct mk_tar_entry entry;
	int r;

	while ((r = mk_tar_reader_next(reader, &entry, err)) == 1) {
		mk_autofree char *path = mk_xasprintf("%.*s/%s", parent, folder, entry.name);
		mk_autowipebuf data = mk_buf_init(max_file);

		if (entry.type != MK_TAR_FILE)
			continue;
		r = read_data(reader, path, &data, err);
		if (r == 0)
			r = visit(payload, path, &data, err);
		if (r < 0)
			return r;
	}
	return r;
}

int mk_container_read_folder(struct mk_docker *docker, const char *id, const char *path,
	size_t max_file, mk_container_visit visit, void *payload, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	struct mk_tar_reader_options options = {
		.what = path, .max_member = max_file, .max_count = 10000
	};
	int r = mk_container_get_stream(docker, id, path, &stream, err);

	if (r == 0)
		r = mk_tar_reader_open(mk_docker_read, stream, &options, &reader, err);
	return r == 0 ? visit_files(reader, path, max_file, visit, payload, err) : r;
}

int mk_container_export(
	struct mk_docker *docker, const char *id, struct mk_http_stream **ret, struct mk_error *err)
{
	mk_autofree char *short_path = mk_xasprintf("/containers/%s/export", id);
	mk_autofree char *full = mk_docker_path(docker, short_path);
	struct mk_http_request request = { .path = full, .stall_ms = MK_ENGINE_TIMEOUT_MS };

	return mk_docker_open(docker, &request, ret, err);
}

int mk_container_commit(struct mk_docker *docker, const char *id, const char *image,
	const json_t *config, char **ret_id, struct mk_error *err)
{
	mk_autofree char *repo = NULL;
	mk_autofree char *tag = NULL;
	mk_autofree char *path = NULL;
	mk_autojson *answer = NULL;
	int r;

	mk_image_split(image, &repo, &tag);
	path = mk_xasprintf("/commit?container=%s&repo=%s&tag=%s", id, repo, tag);
	r = mk_docker_call(docker, "POST", path, config, &answer, err);
	if (r < 0)
		return r;
	*ret_id = mk_xstrdup(mk_json_str(answer, "Id", ""));
	return 0;
}

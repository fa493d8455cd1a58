/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/docker/image.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"

void mk_image_split(const char *image, char **ret_repo, char **ret_tag)
{
	const char *at = strchr(image, '@');
	mk_autofree char *name = mk_xstrndup(image, at ? (size_t)(at - image) : strlen(image));
	char *slash = strrchr(name, '/');
	char *colon = strrchr(slash ? slash : name, ':');

	if (colon)
		*colon = '\0';
	*ret_repo = mk_xstrdup(name);
	/* A digest says more than a tag beside it; the engine takes either as "tag". */
	*ret_tag = mk_xstrdup(at ? at + 1 : colon ? colon + 1 : "latest");
}

int mk_image_inspect(
	struct mk_docker *docker, const char *image, json_t **ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/images/%s/json", image);

	return mk_docker_call(docker, "GET", path, NULL, ret, err);
}

/*
 * Pull and import answer 200 at once, then one JSON object a line; what goes
 * wrong comes as a line with "error". A missing image, an unreachable registry
 * and a refused login differ only in the words.
 */
static int take_line(const char *line, size_t len, mk_image_progress progress, void *payload,
	struct mk_error *err)
{
	mk_autojson *event = json_loadb(line, len, 0, NULL);
	const char *error = mk_json_str(event, "error", NULL);
	const char *status = mk_json_str(event, "status", NULL);

	if (error)
		return mk_fail(err, MK_EREMOTE, "engine: %.400s", error);
	if (status && progress)
		progress(payload, status);
	return 0;
}

static int take_lines(struct mk_buf *buf, bool last, mk_image_progress progress, void *payload,
	struct mk_error *err)
{
	for (;;) {
		const char *end = memchr(buf->data, '\n', buf->len);
		size_t len = end ? (size_t)(end - buf->data) : buf->len;
		int r;

		if (!end && (!last || len == 0))
			return mk_buf_check(buf, "a line of the engine's answer", err);
		r = take_line(buf->data, len, progress, payload, err);
		if (r < 0)
			return r;
		mk_buf_drop(buf, end ? len + 1 : len);
	}
}

static int follow(struct mk_docker *docker, const struct mk_http_request *request,
	mk_image_progress progress, void *payload, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autobuf buf = mk_buf_init(MK_MIB);
	char chunk[8192];
	ssize_t n;
	int r = mk_docker_open(docker, request, &stream, err);

	if (r < 0)
		return r;
	do {
		n = mk_http_read(stream, chunk, sizeof(chunk), -1, err);
		if (n < 0)
			return (int)n;
		mk_buf_add(&buf, chunk, (size_t)n);
		r = take_lines(&buf, n == 0, progress, payload, err);
		if (r < 0)
			return r;
	} while (n > 0);
	return 0;
}

int mk_image_pull(struct mk_docker *docker, const char *image, const char *platform,
	mk_image_progress progress, void *payload, struct mk_error *err)
{
	mk_autofree char *repo = NULL;
	mk_autofree char *tag = NULL;
	mk_autofree char *short_path = NULL;
	mk_autofree char *path = NULL;
	struct mk_http_request request = { .method = "POST", .stall_ms = MK_ENGINE_TIMEOUT_MS };
	int r;

	mk_image_split(image, &repo, &tag);
	short_path = mk_xasprintf("/images/create?fromImage=%s&tag=%s%s%s", repo, tag,
		platform ? "&platform=" : "", platform ? platform : "");
	path = mk_docker_path(docker, short_path);
	request.path = path;
	r = follow(docker, &request, progress, payload, err);
	return r < 0 ? mk_error_wrap(err, "pull image '%s'", image) : 0;
}

int mk_image_import(struct mk_docker *docker, const char *image, mk_http_reader reader,
	void *payload, struct mk_error *err)
{
	mk_autofree char *repo = NULL;
	mk_autofree char *tag = NULL;
	mk_autofree char *short_path = NULL;
	mk_autofree char *path = NULL;
	struct mk_http_request request = {
		.method = "POST",
		.content_type = "application/x-tar",
		.reader = reader,
		.reader_payload = payload,
		.reader_size = -1,
	};
	int r;

	mk_image_split(image, &repo, &tag);
	short_path = mk_xasprintf("/images/create?fromSrc=-&repo=%s&tag=%s", repo, tag);
	path = mk_docker_path(docker, short_path);
	request.path = path;
	r = follow(docker, &request, NULL, NULL, err);
	return r < 0 ? mk_error_wrap(err, "import image '%s'", image) : 0;
}

int mk_image_save(struct mk_docker *docker, const struct mk_strlist *images,
	struct mk_http_stream **ret, struct mk_error *err)
{
	mk_autobuf query = mk_buf_init(65536);
	mk_autofree char *path = NULL;
	struct mk_http_request request = { .stall_ms = MK_ENGINE_TIMEOUT_MS };

	mk_buf_adds(&query, "/images/get?");
	for (size_t i = 0; i < images->count; i++) {
		mk_autofree char *name = mk_http_escape(images->items[i]);

		mk_buf_addf(&query, "%snames=%s", i > 0 ? "&" : "", name);
	}
	path = mk_docker_path(docker, query.data);
	request.path = path;
	return mk_docker_open(docker, &request, ret, err);
}

int mk_image_remove(struct mk_docker *docker, const char *image, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/images/%s", image);
	int r = mk_docker_call(docker, "DELETE", path, NULL, NULL, err);

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 0;
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs in a container prints: commands, and its first process. Without a
 * terminal the engine sends stdout and stderr as frames with an 8-byte header (stream, 3 zero
 * bytes, length in network order): "Attach to a container", "Stream format" in the Engine API.
 */
#include "lib/docker/container.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"

#define FRAME_HEADER 8
#define LOGS_TIMEOUT_MS 5000

struct frames {
	unsigned char header[FRAME_HEADER];
	size_t have;   /* header bytes so far */
	uint32_t left; /* payload bytes still to come */
};

static void take_frames(struct frames *f, const char *data, size_t len, struct mk_buf *ret)
{
	while (len > 0) {
		size_t n;

		if (f->left == 0 && f->have < FRAME_HEADER) {
			f->header[f->have++] = (unsigned char)*data++;
			len--;
			continue;
		}
		if (f->have == FRAME_HEADER) {
			f->left = (uint32_t)f->header[4] << 24 | (uint32_t)f->header[5] << 16 |
				(uint32_t)f->header[6] << 8 | f->header[7];
			f->have = 0;
			continue;
		}
		n = len < f->left ? len : f->left;
		mk_buf_add(ret, data, n);
		data += n;
		len -= n;
		f->left -= (uint32_t)n;
	}
}

static int read_frames(
	struct mk_http_stream *stream, int64_t deadline, struct mk_buf *ret, struct mk_error *err)
{
	struct frames frames = { .have = 0 };
	char chunk[16384];
	ssize_t n;

	do {
		n = mk_http_read(stream, chunk, sizeof(chunk), deadline, err);
		if (n < 0)
			return (int)n;
		take_frames(&frames, chunk, (size_t)n, ret);
	} while (n > 0 && !ret->full);
	return 0;
}

static int create_exec(struct mk_docker *docker, const char *id, const char *const *argv,
	int64_t timeout_ms, char **ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/containers/%s/exec", id);
	json_t *command = json_array();
	mk_autojson *body = NULL;
	mk_autojson *answer = NULL;
	int r;

	for (size_t i = 0; argv[i]; i++)
		(void)json_array_append_new(command, json_string(argv[i]));
	body = mk_json_pack("{s:b,s:b,s:o}", "AttachStdout", 1, "AttachStderr", 1, "Cmd", command);
	r = mk_docker_call_within(docker, timeout_ms, "POST", path, body, &answer, err);
	if (r < 0)
		return r;
	*ret = mk_xstrdup(mk_json_str(answer, "Id", ""));
	return 0;
}

static int run_exec(struct mk_docker *docker, const char *exec, int64_t timeout_ms,
	struct mk_buf *ret, struct mk_error *err)
{
	static const char body[] = "{\"Detach\":false,\"Tty\":false}";
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autofree char *short_path = mk_xasprintf("/exec/%s/start", exec);
	mk_autofree char *path = mk_docker_path(docker, short_path);
	struct mk_http_request request = {
		.method = "POST",
		.path = path,
		.body = body,
		.body_len = sizeof(body) - 1,
		.timeout_ms = timeout_ms,
	};
	int r = mk_docker_open(docker, &request, &stream, err);

	return r < 0 ? r : read_frames(stream, mk_deadline(timeout_ms), ret, err);
}

int mk_container_exec(struct mk_docker *docker, const char *id, const char *const *argv,
	int64_t timeout_ms, struct mk_buf *ret, int *ret_status, struct mk_error *err)
{
	mk_autofree char *exec = NULL;
	mk_autofree char *path = NULL;
	mk_autojson *state = NULL;
	int r = create_exec(docker, id, argv, timeout_ms, &exec, err);

	if (r == 0)
		r = run_exec(docker, exec, timeout_ms, ret, err);
	if (r < 0)
		return mk_error_wrap(err, "run '%s' in %.12s", argv[0], id);
	path = mk_xasprintf("/exec/%s/json", exec);
	r = mk_docker_call_within(docker, timeout_ms, "GET", path, NULL, &state, err);
	if (r < 0)
		return r;
	*ret_status = (int)mk_json_int(state, "ExitCode", -1);
	return 0;
}

int mk_container_logs(struct mk_docker *docker, const char *id, int lines, struct mk_buf *ret,
	struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autofree char *short_path = mk_xasprintf(
		"/containers/%s/logs?stdout=1&stderr=1&tail=%d", id, lines);
	mk_autofree char *full = mk_docker_path(docker, short_path);
	struct mk_http_request request = { .path = full, .timeout_ms = LOGS_TIMEOUT_MS };
	int r = mk_docker_open(docker, &request, &stream, err);

	if (r < 0)
		return r;
	return read_frames(stream, mk_deadline(LOGS_TIMEOUT_MS), ret, err);
}

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

/* Read to the end, or until `words` (NULL: none) have come: 1 when they have. */
static int read_frames(struct mk_http_stream *stream, int64_t deadline, const char *words,
	struct mk_buf *ret, struct mk_error *err)
{
	struct frames frames = { .have = 0 };
	char chunk[16384];
	ssize_t n;

	do {
		n = mk_http_read(stream, chunk, sizeof(chunk), deadline, err);
		if (n < 0)
			return (int)n;
		take_frames(&frames, chunk, (size_t)n, ret);
		if (words && strstr(ret->data, words))
			return 1;
	} while (n > 0 && !ret->full);
	return 0;
}

/* The body of POST /containers/ID/exec. */
static json_t *exec_body(const char *const *argv)
{
	json_t *command = json_array();

	for (size_t i = 0; argv[i]; i++)
		(void)json_array_append_new(command, json_string(argv[i]));
	return mk_json_pack("{s:b,s:b,s:o}", "AttachStdout", 1, "AttachStderr", 1, "Cmd", command);
}

/* `exec` is what the engine answered when the command was made. */
static int open_exec(struct mk_docker *docker, const json_t *exec, int64_t timeout_ms,
	struct mk_http_stream **ret, struct mk_error *err)
{
	static const char body[] = "{\"Detach\":false,\"Tty\":false}";
	const char *id = mk_json_str(exec, "Id", "");
	mk_autofree char *short_path = mk_xasprintf("/exec/%s/start", id);
	mk_autofree char *path = mk_docker_path(docker, short_path);
	struct mk_http_request request = {
		.method = "POST",
		.path = path,
		.body = body,
		.body_len = sizeof(body) - 1,
		.timeout_ms = timeout_ms,
	};

	if (!*id)
		return mk_fail(err, MK_EREMOTE, "engine: no Id in the answer");
	return mk_docker_open(docker, &request, ret, err);
}

static int exec_status(struct mk_docker *docker, const char *exec, int64_t timeout_ms, int *ret,
	struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/exec/%s/json", exec);
	mk_autojson *state = NULL;
	int r = mk_docker_call_within(docker, timeout_ms, "GET", path, NULL, &state, err);

	if (r == 0)
		*ret = (int)mk_json_int(state, "ExitCode", -1);
	return r;
}

int mk_container_exec(struct mk_docker *docker, const char *id, const char *const *argv,
	int64_t timeout_ms, struct mk_buf *ret, int *ret_status, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autofree char *path = mk_xasprintf("/containers/%s/exec", id);
	mk_autojson *body = exec_body(argv);
	mk_autojson *exec = NULL;
	int r = mk_docker_call_within(docker, timeout_ms, "POST", path, body, &exec, err);

	if (r == 0)
		r = open_exec(docker, exec, timeout_ms, &stream, err);
	if (r == 0)
		r = read_frames(stream, mk_deadline(timeout_ms), NULL, ret, err);
	if (r < 0)
		return mk_error_wrap(err, "run '%s' in %.12s", argv[0], id);
	return exec_status(docker, mk_json_str(exec, "Id", ""), timeout_ms, ret_status, err);
}

/* The commands of a batch between their creation and their end. */
struct running {
	struct mk_docker_item *execs;
	struct mk_http_stream **streams;
	size_t count;
};

static void running_done(struct running *running)
{
	mk_docker_items_done(running->execs, running->count);
	for (size_t i = 0; i < running->count; i++)
		mk_http_stream_free(running->streams[i]);
	free(running->execs);
	free(running->streams);
}

static int finish_one(struct mk_docker *docker, const struct running *running, size_t i,
	struct mk_exec_item *item, int64_t deadline, struct mk_error *err)
{
	const char *exec = mk_json_str(running->execs[i].answer, "Id", "");
	int r = read_frames(running->streams[i], deadline, NULL, &item->output, err);

	return r < 0 ? r : exec_status(docker, exec, MK_ENGINE_TIMEOUT_MS, &item->status, err);
}

int mk_container_exec_all(struct mk_docker *docker, struct mk_exec_item *items, size_t count,
	int64_t timeout_ms, struct mk_error *err)
{
	MK_CLEANUP(running_done)
	struct running running = {
		.execs = mk_xcalloc(count, sizeof(struct mk_docker_item)),
		.streams = mk_xcalloc(count, sizeof(struct mk_http_stream *)),
		.count = count,
	};
	int64_t deadline = mk_deadline(timeout_ms);
	size_t failed = 0;
	int r;

	for (size_t i = 0; i < count; i++)
		running.execs[i] = (struct mk_docker_item){ .method = "POST",
			.path = mk_xasprintf("/containers/%s/exec", items[i].id),
			.body = exec_body(items[i].argv) };
	r = mk_docker_call_all(docker, running.execs, count, &failed, err);
	/* A command runs from its opening on: all do before the first is waited for. */
	for (size_t i = 0; i < count && r == 0; i++) {
		failed = i;
		r = open_exec(
			docker, running.execs[i].answer, timeout_ms, &running.streams[i], err);
	}
	for (size_t i = 0; i < count && r == 0; i++) {
		failed = i;
		r = finish_one(docker, &running, i, &items[i], deadline, err);
	}
	if (r < 0 && count > 0)
		return mk_error_wrap(
			err, "run '%s' in %.12s", items[failed].argv[0], items[failed].id);
	return r;
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
	return read_frames(stream, mk_deadline(LOGS_TIMEOUT_MS), NULL, ret, err);
}

#define PRINTED_MAX ((size_t)65536)

int mk_container_wait_printed(struct mk_docker *docker, const char *id, const char *words,
	int64_t deadline, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autofree char *short_path = mk_xasprintf(
		"/containers/%s/logs?stdout=1&stderr=1&follow=1", id);
	mk_autofree char *full = mk_docker_path(docker, short_path);
	struct mk_http_request request = { .path = full };
	mk_autobuf printed = mk_buf_init(PRINTED_MAX);
	int r = mk_docker_open(docker, &request, &stream, err);

	if (r == 0)
		r = read_frames(stream, deadline, words, &printed, err);
	if (r == 1)
		return 0;
	if (r == 0)
		r = mk_fail(err, MK_EFAIL, "%.12s ended early", id);
	if (r != -MK_EINTR && !err->detail && printed.len > 0)
		err->detail = mk_buf_detach(&printed);
	return r;
}

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
#define STDERR 2
#define LOGS_TIMEOUT_MS 5000

struct frames {
	unsigned char header[FRAME_HEADER];
	size_t have;   /* header bytes so far */
	uint32_t left; /* payload bytes still to come */
	unsigned char stream;
};

/* `out` and `err` may be one buffer. */
static void take_frames(
	struct frames *f, const char *data, size_t len, struct mk_buf *out, struct mk_buf *err)
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
			f->stream = f->header[0];
			f->have = 0;
			continue;
		}
		n = len < f->left ? len : f->left;
		mk_buf_add(f->stream == STDERR ? err : out, data, n);
		data += n;
		len -= n;
		f->left -= (uint32_t)n;
	}
}

/* Read to the end, or until `words` (NULL: none) are in `out`: 1 when they are. Once a
 * buffer is full the rest is not waited for. */
static int read_frames(struct mk_http_stream *stream, int64_t deadline, const char *words,
	struct mk_buf *out, struct mk_buf *errors, struct mk_error *err)
{
	struct frames frames = { .have = 0 };
	char chunk[16384];
	ssize_t n;

	do {
		n = mk_http_read(stream, chunk, sizeof(chunk), deadline, err);
		if (n < 0)
			return (int)n;
		take_frames(&frames, chunk, (size_t)n, out, errors);
		if (words && strstr(out->data, words))
			return 1;
	} while (n > 0 && !out->full && !errors->full);
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

static int create_exec(struct mk_docker *docker, const char *id, const char *const *argv,
	int64_t timeout_ms, char **ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/containers/%s/exec", id);
	mk_autojson *body = exec_body(argv);
	mk_autojson *answer = NULL;
	int r = mk_docker_call_within(docker, timeout_ms, "POST", path, body, &answer, err);

	/* Without JSON there is none either. */
	if (r == -MK_EINVALID || (r == 0 && !mk_json_str(answer, "Id", NULL)))
		return mk_fail(err, MK_EREMOTE, "engine: no Id in the answer");
	if (r == 0)
		*ret = mk_xstrdup(mk_json_str(answer, "Id", ""));
	return r;
}

static char *start_path(struct mk_docker *docker, const char *exec)
{
	mk_autofree char *path = mk_xasprintf("/exec/%s/start", exec);

	return mk_docker_path(docker, path);
}

/* The command runs from here on; what it prints is for wait_started. */
static int start_exec(struct mk_docker *docker, const char *exec, int64_t timeout_ms,
	struct mk_http_stream **ret, struct mk_error *err)
{
	static const char body[] = "{\"Detach\":false,\"Tty\":false}";
	mk_autofree char *path = start_path(docker, exec);
	struct mk_http_request request = {
		.method = "POST",
		.path = path,
		.body = body,
		.body_len = sizeof(body) - 1,
		.timeout_ms = timeout_ms,
	};

	return mk_http_begin(mk_docker_http(docker), &request, ret, err);
}

/* Wait until the engine has taken the start, or refused it. */
static int wait_started(struct mk_docker *docker, struct mk_http_stream *stream, const char *exec,
	int64_t deadline, struct mk_error *err)
{
	mk_autofree char *path = start_path(docker, exec);
	mk_autobuf answer = mk_buf_init(4096);
	char nothing;

	while (!mk_http_stream_answered(stream)) {
		ssize_t n = mk_http_read(stream, &nothing, 0, deadline, err);

		if (n < 0)
			return (int)n;
	}
	if (mk_http_stream_status(stream) < 400)
		return 0;
	(void)!mk_http_read_all(stream, &answer, deadline, err);
	return mk_docker_refused("POST", path, mk_http_stream_status(stream), answer.data, err);
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
	mk_autofree char *exec = NULL;
	int64_t deadline = mk_deadline(timeout_ms);
	int r = create_exec(docker, id, argv, timeout_ms, &exec, err);

	if (r == 0)
		r = start_exec(docker, exec, timeout_ms, &stream, err);
	if (r == 0)
		r = wait_started(docker, stream, exec, deadline, err);
	if (r == 0)
		r = read_frames(stream, deadline, NULL, ret, ret, err);
	if (r < 0)
		return mk_error_wrap(err, "run '%s' in %.12s", argv[0], id);
	return exec_status(docker, exec, timeout_ms, ret_status, err);
}

void mk_exec_items_done(struct mk_exec_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		mk_buf_wipe(&items[i].output);
		mk_buf_wipe(&items[i].errors);
		mk_error_done(&items[i].error);
	}
}

static void finish_item(struct mk_docker *docker, struct mk_exec_item *item, const char *exec,
	struct mk_http_stream *stream, int64_t deadline)
{
	struct mk_buf *errors = item->errors.max > 0 ? &item->errors : &item->output;
	int r = wait_started(docker, stream, exec, deadline, &item->error);

	if (r == 0)
		r = read_frames(stream, deadline, NULL, &item->output, errors, &item->error);
	if (r == 0)
		(void)exec_status(docker, exec, MK_ENGINE_TIMEOUT_MS, &item->status, &item->error);
}

/* To make one takes a millisecond; to start it is what takes long. Whether all
 * could be made. */
static bool create_all(struct mk_docker *docker, struct mk_exec_item *items, size_t count,
	int64_t timeout_ms, char **execs)
{
	bool all = true;

	for (size_t i = 0; i < count; i++)
		all &= create_exec(docker, items[i].id, items[i].argv, timeout_ms, &execs[i],
			       &items[i].error) == 0;
	return all;
}

static void run_all(struct mk_docker *docker, struct mk_exec_item *items, size_t count,
	int64_t timeout_ms, char *const *execs)
{
	mk_autofree struct mk_http_stream **streams = mk_xcalloc(count, sizeof(*streams));
	int64_t deadline = mk_deadline(timeout_ms);

	for (size_t i = 0; i < count; i++) {
		if (execs[i])
			(void)!start_exec(
				docker, execs[i], timeout_ms, &streams[i], &items[i].error);
	}
	for (size_t i = 0; i < count; i++) {
		if (streams[i])
			finish_item(docker, &items[i], execs[i], streams[i], deadline);
	}
	for (size_t i = 0; i < count; i++)
		mk_http_stream_free(streams[i]);
}

/* With `together` none is started unless all could be made. */
static int exec_items(struct mk_docker *docker, struct mk_exec_item *items, size_t count,
	int64_t timeout_ms, bool together, struct mk_error *err)
{
	mk_autofree char **execs = mk_xcalloc(count, sizeof(*execs));

	if (create_all(docker, items, count, timeout_ms, execs) || !together)
		run_all(docker, items, count, timeout_ms, execs);
	for (size_t i = 0; i < count; i++) {
		if (items[i].error.code != MK_OK)
			(void)mk_error_wrap(&items[i].error, "run '%s' in %.12s", items[i].argv[0],
				items[i].id);
		free(execs[i]);
	}
	return mk_interrupted() ? mk_fail_interrupted(err) : 0;
}

int mk_container_exec_each(struct mk_docker *docker, struct mk_exec_item *items, size_t count,
	int64_t timeout_ms, struct mk_error *err)
{
	return exec_items(docker, items, count, timeout_ms, /* together= */ false, err);
}

int mk_container_exec_all(struct mk_docker *docker, struct mk_exec_item *items, size_t count,
	int64_t timeout_ms, struct mk_error *err)
{
	int r = exec_items(docker, items, count, timeout_ms, /* together= */ true, err);

	for (size_t i = 0; i < count; i++) {
		if (r == 0 && items[i].error.code != MK_OK) {
			mk_error_move(err, &items[i].error);
			r = -(int)err->code;
		}
		mk_error_done(&items[i].error);
	}
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
	return read_frames(stream, mk_deadline(LOGS_TIMEOUT_MS), NULL, ret, ret, err);
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
		r = read_frames(stream, deadline, words, &printed, &printed, err);
	if (r == 1)
		return 0;
	if (r == 0)
		r = mk_fail(err, MK_EFAIL, "%.12s ended early", id);
	if (r != -MK_EINTR && !err->detail && printed.len > 0)
		err->detail = mk_buf_detach(&printed);
	return r;
}

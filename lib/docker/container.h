/* SPDX-License-Identifier: Apache-2.0 */
/* Containers of the engine: create, fill, start, look at, run commands in, remove. */
#ifndef MK_DOCKER_CONTAINER_H
#define MK_DOCKER_CONTAINER_H

#include "lib/docker/client.h"

/**
 * POST /containers/create with a body in the engine's own form. Returns the id.
 * MK_EEXISTS when the name is taken, MK_ENOTFOUND when the image is absent.
 */
int mk_container_create(struct mk_docker *docker, const char *name, const json_t *config,
	char **ret_id, struct mk_error *err) MK_CHECKED;
int mk_container_start(struct mk_docker *docker, const char *id, struct mk_error *err) MK_CHECKED;

/** Kill a container; one that does not run is fine. */
int mk_container_kill(struct mk_docker *docker, const char *id, struct mk_error *err) MK_CHECKED;

/** Kill and remove a container and its anonymous volumes. An absent one is fine. */
int mk_container_remove(struct mk_docker *docker, const char *id, struct mk_error *err) MK_CHECKED;

/** The same for several, side by side: an engine takes as long for ten containers
 * as for the slowest. */
int mk_container_remove_all(
	struct mk_docker *docker, const struct mk_strlist *ids, struct mk_error *err) MK_CHECKED;

/** GET /containers/ID/json; MK_ENOTFOUND. The caller owns the result. */
int mk_container_inspect(
	struct mk_docker *docker, const char *id, json_t **ret, struct mk_error *err) MK_CHECKED;

/** All containers, running or not, with this label ("key" or "key=value"): an array. */
int mk_container_list(
	struct mk_docker *docker, const char *label, json_t **ret, struct mk_error *err) MK_CHECKED;

/** Unpack an uncompressed tar at `path` of the container, which need not run; the
 * tar comes from a reader and is sent chunked. */
int mk_container_put_stream(struct mk_docker *docker, const char *id, const char *path,
	mk_http_reader reader, void *payload, struct mk_error *err) MK_CHECKED;

/** The file or folder at `path` of the container, which need not run, as an
 * uncompressed tar stream. MK_ENOTFOUND when there is no such container or path. */
int mk_container_get_stream(struct mk_docker *docker, const char *id, const char *path,
	struct mk_http_stream **ret, struct mk_error *err) MK_CHECKED;

/**
 * Append one file of the container, which need not run, to `ret`.
 * MK_ENOTFOUND when there is no such container or file.
 */
int mk_container_read_file(struct mk_docker *docker, const char *id, const char *path,
	struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/** Look at one file of a folder: its absolute path, and its bytes, which are wiped after
 * the call. -code ends the reading. */
typedef int (*mk_container_visit)(
	void *payload, const char *path, const struct mk_buf *data, struct mk_error *err);

/**
 * Read every regular file of at most `max_file` bytes below a folder of the container,
 * which need not run, in one request. MK_ENOTFOUND when there is no such container or
 * folder; MK_EINVALID when a file is larger or there are more than 10000.
 */
int mk_container_read_folder(struct mk_docker *docker, const char *id, const char *path,
	size_t max_file, mk_container_visit visit, void *payload, struct mk_error *err) MK_CHECKED;

/**
 * Run a command in a running container and wait for it, at most `timeout_ms`.
 * Its stdout and stderr go to `ret` in the order they came, up to the buffer's
 * cap; the rest is dropped. `ret_status` is its exit status.
 */
int mk_container_exec(struct mk_docker *docker, const char *id, const char *const *argv,
	int64_t timeout_ms, struct mk_buf *ret, int *ret_status, struct mk_error *err) MK_CHECKED;

/** One of several commands that run side by side. */
struct mk_exec_item {
	const char *id; /* of the container */
	const char *const *argv;
	struct mk_buf output; /* the caller's, with the cap it wants */
	struct mk_buf errors; /* of stderr; with a cap of 0 that is in `output` too */
	int status;
	struct mk_error error; /* mk_container_exec_each: why it was not run, or MK_OK */
};

/** Release the buffers and errors of the items. */
void mk_exec_items_done(struct mk_exec_item *items, size_t count);

/** mk_container_exec for all items at once: as long as the slowest, at most
 * `timeout_ms`. None is started unless all could be made. A status other than 0 is
 * the caller's to judge. */
int mk_container_exec_all(struct mk_docker *docker, struct mk_exec_item *items, size_t count,
	int64_t timeout_ms, struct mk_error *err) MK_CHECKED;

/** The same, where what goes wrong with one (its container does not run, say) is
 * no matter of the others: it stands in its item. Fails with MK_EINTR alone. */
int mk_container_exec_each(struct mk_docker *docker, struct mk_exec_item *items, size_t count,
	int64_t timeout_ms, struct mk_error *err) MK_CHECKED;

/** The last `lines` lines the container's first process printed. */
int mk_container_logs(struct mk_docker *docker, const char *id, int lines, struct mk_buf *ret,
	struct mk_error *err) MK_CHECKED;

/**
 * Wait until the container's first process has printed `words`, following its
 * output. MK_EFAIL when it ended before, MK_ETIMEOUT; `err->detail` has what it
 * printed instead.
 */
int mk_container_wait_printed(struct mk_docker *docker, const char *id, const char *words,
	int64_t deadline, struct mk_error *err) MK_CHECKED;

/** The whole file system as an uncompressed tar stream. */
int mk_container_export(struct mk_docker *docker, const char *id, struct mk_http_stream **ret,
	struct mk_error *err) MK_CHECKED;

/**
 * Make an image of a container. `config` is the image's configuration in the
 * engine's form (Entrypoint, Labels, ...). Returns the image id.
 */
int mk_container_commit(struct mk_docker *docker, const char *id, const char *image,
	const json_t *config, char **ret_id, struct mk_error *err) MK_CHECKED;

#endif

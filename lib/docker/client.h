/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the Docker Engine API (https://docs.docker.com/reference/api/engine/).
 * Everything is done over its socket; no `docker` program is called. The API
 * version is negotiated: the newest both sides know, between MK_DOCKER_API_MIN
 * and MK_DOCKER_API_MAX, so that Docker 20.10 and 29 and Podman's compatible
 * socket are spoken to alike. Nothing here takes a path on the host to be a
 * path in the node: the engine may run in another machine.
 */
#ifndef MK_DOCKER_CLIENT_H
#define MK_DOCKER_CLIENT_H

#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/http/http.h"

#define MK_DOCKER_API_MIN "1.40"
#define MK_DOCKER_API_MAX "1.51"

struct mk_docker;

/**
 * Connect to the engine: `host` (unix://, tcp://), else $DOCKER_HOST, else the
 * default socket. For tcp, $DOCKER_TLS_VERIFY and $DOCKER_CERT_PATH as the
 * docker client reads them. Asks /_ping once. MK_EHOST with a hint when no
 * engine answers or its API is too old or too new.
 */
int mk_docker_new(const char *host, struct mk_docker **ret, struct mk_error *err) MK_CHECKED;
void mk_docker_free(struct mk_docker *docker);
MK_DEFINE_CLEANUP(struct mk_docker *, mk_docker_free);

/** The API version spoken, "1.41". Borrowed. */
const char *mk_docker_api(const struct mk_docker *docker);

/** Whether $DOCKER_HOST, or that there is none, means an engine on this machine. Asks
 * nobody, so that mistakes can be told before an engine is needed. */
bool mk_docker_is_here(void);

/** Whether the engine is on this machine (a unix socket), as far as we can tell. */
bool mk_docker_is_local(const struct mk_docker *docker);

/** The host name of a tcp engine, where its published ports are (of
 * IPv6, the address without brackets); else NULL. Borrowed. */
const char *mk_docker_remote_host(const struct mk_docker *docker);

/** Whether the running engine's API is at least `version` ("1.44"). */
bool mk_docker_api_at_least(const struct mk_docker *docker, const char *version);

/** GET /info. The caller owns the result. */
int mk_docker_info(struct mk_docker *docker, json_t **ret, struct mk_error *err) MK_CHECKED;

/**
 * One request to a path below the API version ("/containers/json"). A status of
 * 400 or more becomes an error with the engine's own message: MK_ENOTFOUND for
 * 404, MK_EEXISTS for 409, else MK_EREMOTE. `body` is JSON or NULL; `ret` may be
 * NULL. For this folder's files.
 */
int mk_docker_call(struct mk_docker *docker, const char *method, const char *path,
	const json_t *body, json_t **ret, struct mk_error *err) MK_CHECKED;

/** One of several requests that are sent side by side. */
struct mk_docker_item {
	const char *method;
	char *path;        /* below the API version; owned by the batch */
	json_t *body;      /* JSON, owned; or NULL */
	struct mk_buf raw; /* an uncompressed tar instead, wiped at the end */
	json_t *answer;    /* parsed, owned; NULL when there was none */
};

/** Release what the items own. */
void mk_docker_items_done(struct mk_docker_item *items, size_t count);

/** Send all at once and wait for all. The first refusal is the error, as in
 * mk_docker_call; `*ret_failed`, when not NULL, is the index of its item. */
int mk_docker_call_all(struct mk_docker *docker, struct mk_docker_item *items, size_t count,
	size_t *ret_failed, struct mk_error *err) MK_CHECKED;

/** The same, with a time limit of its own instead of MK_ENGINE_TIMEOUT_MS. */
int mk_docker_call_within(struct mk_docker *docker, int64_t ms, const char *method,
	const char *path, const json_t *body, json_t **ret, struct mk_error *err) MK_CHECKED;

/** The error of an answer with a status of 400 or more. For this folder's files. */
int mk_docker_refused(
	const char *method, const char *path, long status, const char *body, struct mk_error *err);

/** Open a streamed answer; MK_ENOTFOUND and so on as in mk_docker_call. */
int mk_docker_open(struct mk_docker *docker, const struct mk_http_request *request,
	struct mk_http_stream **ret, struct mk_error *err) MK_CHECKED;

/** Read a streamed answer, the payload, waiting MK_ENGINE_TIMEOUT_MS for its next bytes:
 * an mk_http_reader and mk_archive_reader. */
ssize_t mk_docker_read(void *payload, void *data, size_t cap, struct mk_error *err) MK_CHECKED;

/** The path with the API version in front. Caller frees. */
char *mk_docker_path(const struct mk_docker *docker, const char *path);
struct mk_http *mk_docker_http(struct mk_docker *docker);

/** "{"label":["a=b"]}", percent-encoded for a `filters` parameter. Caller frees. */
char *mk_docker_label_filter(const char *label);

#endif

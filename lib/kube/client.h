/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of one cluster's Kubernetes API over mutual TLS
 * (https://kubernetes.io/docs/reference/using-api/api-concepts/).
 */
#ifndef MK_KUBE_CLIENT_H
#define MK_KUBE_CLIENT_H

#include "lib/base/json.h"
#include "lib/http/http.h"

struct mk_kube;

/** Who we are to which server. The strings are owned: mk_kube_identity_done. */
struct mk_kube_identity {
	char *server; /* "https://127.0.0.1:40123" */
	char *ca_pem;
	char *cert_pem;
	char *key_pem;
};

/** Wipe the key and free the strings. */
void mk_kube_identity_done(struct mk_kube_identity *identity);
#define mk_autoidentity MK_CLEANUP(mk_kube_identity_done) struct mk_kube_identity

/**
 * Take the identity out of a kubeconfig's text: its current context, or the
 * first of each list. MK_EINVALID when a part is missing.
 */
int mk_kube_identity_parse(const char *text, size_t len, struct mk_kube_identity *ret,
	struct mk_error *err) MK_CHECKED;

/** Make a client; copies the identity. Connects to nothing yet. */
int mk_kube_new(const struct mk_kube_identity *identity, struct mk_kube **ret,
	struct mk_error *err) MK_CHECKED;
void mk_kube_free(struct mk_kube *kube);
MK_DEFINE_CLEANUP(struct mk_kube *, mk_kube_free);

/**
 * One request. A status of 400 or more becomes an error with the server's own
 * message: MK_ENOTFOUND for 404, MK_EEXISTS for 409, else MK_EREMOTE with
 * err->status set. `body` (JSON; of a PATCH, a merge patch: RFC 7386) and `ret`
 * may be NULL.
 */
int mk_kube_call(struct mk_kube *kube, const char *method, const char *path, const json_t *body,
	json_t **ret, struct mk_error *err) MK_CHECKED;

/** The error of an answer with a status of 400 or more. For this folder's files. */
int mk_kube_refused(const char *method, const char *path, const struct mk_http_response *response,
	struct mk_error *err);

/** Append the plain text answer (a pod's log) to `ret`. */
int mk_kube_get_text(struct mk_kube *kube, const char *path, struct mk_buf *ret,
	struct mk_error *err) MK_CHECKED;

/**
 * Wait until /readyz says ok: asked every 25 ms, for there is nothing to watch
 * before the server runs. MK_ETIMEOUT carries the last refusal. `check`, when
 * not NULL, is called every half second and ends the wait by returning -code
 * (the node has died, say).
 */
int mk_kube_wait_ready(struct mk_kube *kube, int64_t deadline,
	int (*check)(void *payload, struct mk_error *err), void *payload,
	struct mk_error *err) MK_CHECKED;

/** Asked when a watch breaks off: 0 to open it again, -code to give up with `err`.
 * For what knows whether the server's node still runs. */
typedef int (*mk_kube_alive)(void *payload, struct mk_error *err);
void mk_kube_set_alive(struct mk_kube *kube, mk_kube_alive alive, void *payload);
int mk_kube_check(struct mk_kube *kube, struct mk_error *err) MK_CHECKED;

struct mk_http *mk_kube_http(struct mk_kube *kube);

#endif

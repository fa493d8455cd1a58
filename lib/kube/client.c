/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/client.h"

#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/yaml.h"

struct mk_kube {
	struct mk_http *http;
	mk_kube_alive alive;
	void *alive_payload;
};

int mk_kube_new(const struct mk_kube_identity *identity, struct mk_kube **ret, struct mk_error *err)
{
	struct mk_http_options options = {
		.name = "kubernetes",
		.base_url = identity->server,
		.ca_pem = identity->ca_pem,
		.cert_pem = identity->cert_pem,
		.key_pem = identity->key_pem,
	};
	struct mk_kube *kube = mk_xcalloc(1, sizeof(*kube));
	int r = mk_http_new(&options, &kube->http, err);

	if (r < 0) {
		mk_kube_free(kube);
		return r;
	}
	*ret = kube;
	return 0;
}

void mk_kube_free(struct mk_kube *kube)
{
	if (!kube)
		return;
	mk_http_free(kube->http);
	free(kube);
}

void mk_kube_set_alive(struct mk_kube *kube, mk_kube_alive alive, void *payload)
{
	kube->alive = alive;
	kube->alive_payload = payload;
}

int mk_kube_check(struct mk_kube *kube, struct mk_error *err)
{
	return kube->alive ? kube->alive(kube->alive_payload, err) : 0;
}

struct mk_http *mk_kube_http(struct mk_kube *kube)
{
	return kube->http;
}

/* The item of list `list` called `name`, or the first one when name is NULL. */
static const json_t *named(const json_t *config, const char *list, const char *name)
{
	const json_t *items = json_object_get(config, list);
	const json_t *item;
	size_t i;

	json_array_foreach (items, i, item) {
		if (!name || mk_streq(mk_json_str(item, "name", ""), name))
			return item;
	}
	return NULL;
}

static int decode_data(
	const json_t *from, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	const char *text = mk_json_str(from, path, NULL);
	int r;

	if (!text)
		return mk_fail(err, MK_EINVALID, "kubeconfig: no %s", path);
	r = mk_base64_decode(text, ret, err);
	return r < 0 ? mk_error_wrap(err, "kubeconfig: %s", path) : 0;
}

static int from_parts(const json_t *cluster, const json_t *user, struct mk_kube_identity *ret,
	struct mk_error *err)
{
	mk_autobuf ca = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autobuf cert = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autowipebuf key = mk_buf_init(MK_MAX_CONFIG_FILE);
	const char *server = mk_json_str(cluster, "cluster.server", NULL);
	int r = decode_data(cluster, "cluster.certificate-authority-data", &ca, err);

	if (r == 0)
		r = decode_data(user, "user.client-certificate-data", &cert, err);
	if (r == 0)
		r = decode_data(user, "user.client-key-data", &key, err);
	if (r == 0 && !server)
		r = mk_fail(err, MK_EINVALID, "kubeconfig: no cluster.server");
	if (r < 0)
		return r;
	*ret = (struct mk_kube_identity){
		.server = mk_xstrdup(server),
		.ca_pem = mk_buf_detach(&ca),
		.cert_pem = mk_buf_detach(&cert),
		.key_pem = mk_buf_detach(&key),
	};
	return 0;
}

int mk_kube_identity_parse(
	const char *text, size_t len, struct mk_kube_identity *ret, struct mk_error *err)
{
	mk_autojson *config = NULL;
	const json_t *context;
	int r = mk_yaml_parse(text, len, "kubeconfig", &config, err);

	if (r < 0)
		return r;
	context = named(config, "contexts", mk_json_str(config, "current-context", NULL));
	return from_parts(named(config, "clusters", mk_json_str(context, "context.cluster", NULL)),
		named(config, "users", mk_json_str(context, "context.user", NULL)), ret, err);
}

void mk_kube_identity_done(struct mk_kube_identity *identity)
{
	free(identity->server);
	free(identity->ca_pem);
	free(identity->cert_pem);
	mk_secret_free(identity->key_pem);
	*identity = (struct mk_kube_identity){ .server = NULL };
}

static enum mk_code code_of(long status)
{
	if (status == 404)
		return MK_ENOTFOUND;
	return status == 409 ? MK_EEXISTS : MK_EREMOTE;
}

int mk_kube_refused(const char *method, const char *path, const struct mk_http_response *response,
	struct mk_error *err)
{
	mk_autojson *status = json_loadb(response->body.data, response->body.len, 0, NULL);
	const char *words = mk_json_str(status, "message", NULL);

	(void)mk_fail(err, code_of(response->status), "kubernetes: %s %s: %ld: %.500s", method,
		path, response->status, words ? words : response->body.data);
	err->status = (int)response->status;
	return -(int)err->code;
}

int mk_kube_call(struct mk_kube *kube, const char *method, const char *path, const json_t *body,
	json_t **ret, struct mk_error *err)
{
	mk_autoresponse response = { .status = 0 };
	mk_autosecret char *text = body ? mk_json_print(body) : NULL;
	struct mk_http_request request = {
		.method = method,
		.path = path,
		.content_type = mk_streq(method, "PATCH") ? "application/merge-patch+json" : NULL,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.timeout_ms = MK_KUBE_TIMEOUT_MS,
	};
	int r = mk_http_do(kube->http, &request, &response, err);

	if (r < 0)
		return r;
	if (response.status >= 400)
		return mk_kube_refused(method, path, &response, err);
	if (!ret)
		return 0;
	return mk_json_parse(response.body.data, response.body.len, path, ret, err);
}

int mk_kube_get_text(
	struct mk_kube *kube, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	mk_autoresponse response = { .status = 0 };
	struct mk_http_request request = { .path = path, .timeout_ms = MK_KUBE_TIMEOUT_MS };
	int r = mk_http_do(kube->http, &request, &response, err);

	if (r < 0)
		return r;
	if (response.status >= 400)
		return mk_kube_refused("GET", path, &response, err);
	mk_buf_add(ret, response.body.data, response.body.len);
	return mk_buf_check(ret, path, err);
}

/* 0: ready; 1: not yet, `err` says why; -code: give up. */
static int probe(struct mk_kube *kube, struct mk_error *err)
{
	mk_autoresponse response = { .status = 0 };
	struct mk_http_request request = { .path = "/readyz", .timeout_ms = 5000, .quiet = true };
	int r = mk_http_do(kube->http, &request, &response, err);

	if (r == -MK_EINTR)
		return r;
	if (r < 0)
		return 1;
	if (response.status == 200)
		return 0;
	(void)mk_fail(err, MK_EREMOTE, "/readyz: %ld: %.300s", response.status, response.body.data);
	return 1;
}

int mk_kube_wait_ready(struct mk_kube *kube, int64_t deadline,
	int (*check)(void *payload, struct mk_error *err), void *payload, struct mk_error *err)
{
	int64_t next_check = mk_deadline(500);

	for (;;) {
		int r = probe(kube, err);

		if (r <= 0) {
			mk_trace("kubernetes: /readyz: %s", r == 0 ? "ok" : "given up");
			return r;
		}
		if (mk_remaining_ms(deadline) == 0)
			return mk_error_recode(err, MK_ETIMEOUT);
		if (check && mk_remaining_ms(next_check) == 0) {
			r = check(payload, err);
			if (r < 0)
				return r;
			next_check = mk_deadline(500);
		}
		r = mk_sleep_ms(25, err);
		if (r < 0)
			return r;
	}
}

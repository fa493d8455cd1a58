/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests and questions about blobs; uploads are in upload.c. Repository
 * names, tags and digests come out of mk_reference_parse or mk_is_digest, whose
 * characters need no escaping in a URL.
 */
#include "lib/registry/registry.h"

#include "lib/base/json.h"
#include "lib/base/limits.h"
#include "lib/registry/digest.h"
#include "lib/registry/internal.h"
#include "lib/registry/media.h"

int mk_registry_new(const char *base_url, struct mk_registry **ret, struct mk_error *err)
{
	const struct mk_http_options options = { .name = "registry", .base_url = base_url };
	struct mk_http *http = NULL;
	int r = mk_http_new(&options, &http, err);

	if (r < 0)
		return r;
	*ret = mk_xcalloc(1, sizeof(**ret));
	(*ret)->http = http;
	return 0;
}

void mk_registry_free(struct mk_registry *registry)
{
	if (!registry)
		return;
	mk_http_free(registry->http);
	free(registry);
}

void mk_registry_set_limit(struct mk_registry *registry, int64_t ms)
{
	registry->limit_ms = ms;
}

int64_t mk_registry_time(const struct mk_registry *registry, int64_t ms)
{
	if (registry->limit_ms > 0 && (ms == 0 || registry->limit_ms < ms))
		return registry->limit_ms;
	return ms;
}

int mk_registry_do(struct mk_registry *registry, const char *method, const char *path,
	struct mk_http_response *ret, struct mk_error *err)
{
	const struct mk_http_request request = {
		.method = method,
		.path = path,
		.timeout_ms = mk_registry_time(registry, MK_REGISTRY_TIMEOUT_MS),
	};

	return mk_http_do(registry->http, &request, ret, err);
}

int mk_registry_refused(
	const struct mk_http_response *response, struct mk_error *err, const char *fmt, ...)
{
	mk_autoerror ignored = { .code = MK_OK };
	mk_autojson *body = NULL;
	mk_autofree char *what = NULL;
	const json_t *first = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	what = mk_xvasprintf(fmt, ap);
	va_end(ap);
	if (response->body.len > 0 &&
		mk_json_parse(response->body.data, response->body.len, "answer", &body, &ignored) ==
			0)
		first = json_array_get(json_object_get(body, "errors"), 0);
	r = mk_fail(err, MK_EREMOTE, "cannot %s: the registry answered %ld%s%s%s%s", what,
		response->status, first ? ": " : "", mk_json_str(first, "code", ""),
		first ? ": " : "", mk_json_str(first, "message", ""));
	err->status = (int)response->status;
	return r;
}

/* HEAD something: 200 is true, 404 is false. */
static int head(struct mk_registry *registry, const struct mk_strlist *headers, const char *path,
	bool *ret, struct mk_error *err)
{
	const struct mk_http_request request = {
		.method = "HEAD",
		.path = path,
		.headers = headers,
		.timeout_ms = mk_registry_time(registry, MK_REGISTRY_TIMEOUT_MS),
	};
	mk_autoresponse response = { .status = 0 };
	int r = mk_http_do(registry->http, &request, &response, err);

	if (r < 0)
		return r;
	if (response.status != 200 && response.status != 404)
		return mk_registry_refused(&response, err, "look for %s", path);
	*ret = response.status == 200;
	return 0;
}

int mk_registry_has_blob(struct mk_registry *registry, const char *repository, const char *digest,
	bool *ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/v2/%s/blobs/%s", repository, digest);

	return head(registry, NULL, path, ret, err);
}

static void accept_manifests(struct mk_strlist *headers)
{
	mk_strlist_addf(headers, "Accept: %s, %s, %s, %s", MK_MEDIA_OCI_MANIFEST,
		MK_MEDIA_OCI_INDEX, MK_MEDIA_DOCKER_MANIFEST, MK_MEDIA_DOCKER_LIST);
}

int mk_registry_has_manifest(struct mk_registry *registry, const char *repository, const char *tag,
	bool *ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/v2/%s/manifests/%s", repository, tag);
	mk_autostrlist headers = { .count = 0 };

	accept_manifests(&headers);
	return head(registry, &headers, path, ret, err);
}

void mk_manifest_done(struct mk_manifest *manifest)
{
	free(manifest->digest);
	free(manifest->media_type);
	mk_buf_done(&manifest->body);
	*manifest = (struct mk_manifest){ .digest = NULL };
}

/* Move the answer into a manifest, with a digest of our own reckoning. */
static int take_manifest(
	struct mk_http_response *response, struct mk_manifest *ret, struct mk_error *err)
{
	mk_autofree char *hex = NULL;
	char *type;
	int r = mk_digest_data(response->body.data, response->body.len, &hex, err);

	if (r < 0)
		return r;
	type = mk_http_header(response, "Content-Type");
	*ret = (struct mk_manifest){
		.digest = mk_xasprintf("sha256:%s", hex),
		.media_type = type ? type : mk_xstrdup(""),
		.body = response->body,
	};
	response->body = (struct mk_buf){ .data = NULL };
	return 0;
}

int mk_registry_get_manifest(struct mk_registry *registry, const char *repository, const char *tag,
	struct mk_manifest *ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/v2/%s/manifests/%s", repository, tag);
	mk_autostrlist headers = { .count = 0 };
	mk_autoresponse response = { .status = 0 };
	const struct mk_http_request request = {
		.path = path,
		.headers = &headers,
		.timeout_ms = mk_registry_time(registry, MK_REGISTRY_TIMEOUT_MS),
		.max_body = MK_MAX_IMAGE_JSON,
	};
	int r;

	accept_manifests(&headers);
	r = mk_http_do(registry->http, &request, &response, err);
	if (r < 0)
		return r;
	if (response.status == 404) {
		r = mk_fail(err, MK_ENOTFOUND, "the registry has no image %s:%s", repository, tag);
		err->status = 404;
		return r;
	}
	if (response.status != 200)
		return mk_registry_refused(&response, err, "read image %s:%s", repository, tag);
	return take_manifest(&response, ret, err);
}

int mk_registry_put_manifest(struct mk_registry *registry, const char *repository, const char *tag,
	const char *media_type, const void *data, size_t len, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/v2/%s/manifests/%s", repository, tag);
	mk_autoresponse response = { .status = 0 };
	const struct mk_http_request request = {
		.method = "PUT",
		.path = path,
		.content_type = media_type,
		.body = data,
		.body_len = len,
		.timeout_ms = mk_registry_time(registry, MK_REGISTRY_TIMEOUT_MS),
	};
	int r = mk_http_do(registry->http, &request, &response, err);

	if (r < 0)
		return r;
	if (response.status != 201)
		return mk_registry_refused(&response, err, "store image %s:%s", repository, tag);
	return 0;
}

int mk_registry_has_image(struct mk_registry *registry, const struct mk_reference *reference,
	const char *image_id, bool *ret, struct mk_error *err)
{
	const char *tag = reference->tag ? reference->tag : reference->digest;
	mk_automanifest manifest = { .digest = NULL };
	mk_autojson *json = NULL;
	int r = mk_registry_get_manifest(registry, reference->path, tag, &manifest, err);

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		*ret = false;
		return 0;
	}
	if (r < 0)
		return r;
	r = mk_json_parse(
		manifest.body.data, manifest.body.len, "the registry's manifest", &json, err);
	if (r < 0)
		return r;
	*ret = mk_streq(manifest.digest, image_id) ||
		mk_streq(mk_json_str(json, "config.digest", ""), image_id);
	return 0;
}

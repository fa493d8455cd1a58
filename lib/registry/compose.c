/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/registry/compose.h"

#include "lib/registry/digest.h"
#include "lib/registry/media.h"

/* The layer on its way, counted and hashed. */
struct passing {
	mk_http_reader read;
	void *payload;
	struct mk_digest *digest;
	uint64_t size;
};

static ssize_t pass(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct passing *passing = payload;
	ssize_t n = passing->read(passing->payload, data, cap, err);

	if (n > 0) {
		mk_digest_update(passing->digest, data, (size_t)n);
		passing->size += (uint64_t)n;
	}
	return n;
}

static const char *note(struct mk_strlist *digests, const char *hex)
{
	mk_strlist_addf(digests, "sha256:%s", hex);
	return digests->items[digests->count - 1];
}

static int send_layer(struct mk_registry *registry, const struct mk_compose *compose,
	struct mk_strlist *digests, uint64_t *ret_size, struct mk_error *err)
{
	MK_CLEANUP(mk_upload_freep) struct mk_upload *upload = NULL;
	MK_CLEANUP(mk_digest_freep) struct mk_digest *digest = mk_digest_new();
	struct passing passing = {
		.read = compose->layer, .payload = compose->payload, .digest = digest
	};
	mk_autofree char *hex = NULL;
	int r = mk_upload_begin(registry, compose->repository, &upload, err);

	if (r == 0)
		r = mk_upload_send(upload, pass, &passing, err);
	if (r == 0)
		r = mk_digest_hex(digest, &hex, err);
	if (r < 0)
		return r;
	*ret_size = passing.size;
	return mk_upload_finish(upload, note(digests, hex), err);
}

/* https://github.com/opencontainers/image-spec/blob/main/config.md */
static char *print_config(const struct mk_compose *compose, const char *layer)
{
	mk_autojson *document = mk_json_pack("{s:s,s:s,s:O,s:{s:s,s:[s]},s:[{s:s}]}",
		"architecture", compose->arch, "os", "linux", "config", compose->config, "rootfs",
		"type", "layers", "diff_ids", layer, "history", "created_by", "mkcluster");

	return mk_json_print(document);
}

static char *print_manifest(
	const char *config, size_t config_len, const char *layer, uint64_t layer_len)
{
	mk_autojson *document = mk_json_pack("{s:i,s:s,s:{s:s,s:s,s:I},s:[{s:s,s:s,s:I}]}",
		"schemaVersion", 2, "mediaType", MK_MEDIA_OCI_MANIFEST, "config", "mediaType",
		MK_MEDIA_OCI_CONFIG, "digest", config, "size", (json_int_t)config_len, "layers",
		"mediaType", MK_MEDIA_OCI_LAYER, "digest", layer, "size", (json_int_t)layer_len);

	return mk_json_print(document);
}

/* Store the documents about the layer, which is the last of `digests`. */
static int send_documents(struct mk_registry *registry, const struct mk_compose *compose,
	uint64_t layer_len, struct mk_strlist *digests, struct mk_error *err)
{
	const char *layer = digests->items[digests->count - 1];
	mk_autofree char *config = print_config(compose, layer);
	mk_autofree char *config_hex = NULL;
	mk_autofree char *manifest = NULL;
	mk_autofree char *manifest_hex = NULL;
	const char *config_digest;
	int r = mk_digest_data(config, strlen(config), &config_hex, err);

	if (r < 0)
		return r;
	config_digest = note(digests, config_hex);
	r = mk_registry_put_blob(
		registry, compose->repository, config_digest, config, strlen(config), err);
	if (r < 0)
		return r;
	manifest = print_manifest(config_digest, strlen(config), layer, layer_len);
	r = mk_digest_data(manifest, strlen(manifest), &manifest_hex, err);
	if (r < 0)
		return r;
	(void)note(digests, manifest_hex);
	return mk_registry_put_manifest(registry, compose->repository, compose->tag,
		MK_MEDIA_OCI_MANIFEST, manifest, strlen(manifest), err);
}

int mk_registry_compose(struct mk_registry *registry, const struct mk_compose *compose,
	struct mk_strlist *digests, struct mk_error *err)
{
	uint64_t size = 0;
	int r = send_layer(registry, compose, digests, &size, err);

	if (r == 0)
		r = send_documents(registry, compose, size, digests, err);
	return r < 0 ? mk_error_wrap(err, "store image %s:%s", compose->repository, compose->tag)
		     : 0;
}

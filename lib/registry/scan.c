/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One member after the other: links are noted, small documents kept, and
 * everything else is a layer on its way to the registry. What a layer is called
 * or hinted to be only decides whether it is sent; what it is, its hash decides.
 */
#include "lib/registry/scan.h"

#include "lib/base/json.h"
#include "lib/base/limits.h"
#include "lib/registry/digest.h"
#include "lib/registry/hints.h"

#define MAX_MEMBERS 16384
#define MAX_KEPT (64 * MK_MIB)
#define MAX_LAYER ((uint64_t)64 << 30)
#define MAX_ARCHIVE ((uint64_t)256 << 30)
#define SMALL ((uint64_t)512) /* less than this is no tar archive */
#define CHUNK ((size_t)256 * 1024)
#define HEAD 4

struct scan {
	struct mk_registry *registry;
	struct mk_tar_reader *tar;
	struct mk_hints *hints;
	struct mk_members *members;
	bool wrong_layers;
};

/* A member's bytes, those looked at first, hashed as they pass. */
struct body {
	struct mk_tar_reader *tar;
	struct mk_digest *hash;
	char head[HEAD];
	size_t head_len;
	size_t head_taken;
};

static ssize_t read_body(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct body *body = payload;
	ssize_t n;

	if (body->head_taken < body->head_len) {
		size_t left = body->head_len - body->head_taken;

		n = (ssize_t)(left < cap ? left : cap);
		memcpy(data, body->head + body->head_taken, (size_t)n);
		body->head_taken += (size_t)n;
	} else {
		n = mk_tar_reader_data(body->tar, data, cap, err);
	}
	if (n > 0)
		mk_digest_update(body->hash, data, (size_t)n);
	return n;
}

static int read_head(struct body *body, struct mk_error *err)
{
	while (body->head_len < HEAD) {
		ssize_t n = mk_tar_reader_data(
			body->tar, body->head + body->head_len, HEAD - body->head_len, err);

		if (n <= 0)
			return (int)n;
		body->head_len += (size_t)n;
	}
	return 0;
}

static const char *packing_of(const struct body *body)
{
	if (body->head_len >= 2 && memcmp(body->head, "\x1f\x8b", 2) == 0)
		return "+gzip";
	if (body->head_len >= 4 && memcmp(body->head, "\x28\xb5\x2f\xfd", 4) == 0)
		return "+zstd";
	return "";
}

/* No tar archive and no compressed one begins so. */
static bool looks_like_json(const struct body *body)
{
	return body->head_len > 0 && strchr("{[ \t\r\n", body->head[0]) && body->head[0] != '\0';
}

/* The digest that an OCI layout puts into a blob's name, or NULL. Caller frees. */
static char *digest_in_name(const char *name)
{
	const char *hex = mk_after_prefix(name, "blobs/sha256/");
	mk_autofree char *digest = mk_xasprintf("sha256:%s", hex ? hex : "");

	return mk_is_digest(digest) ? MK_TAKE(digest) : NULL;
}

static int check_name(const char *name, const char *digest, struct mk_error *err)
{
	mk_autofree char *said = digest_in_name(name);

	if (said && !mk_streq(said, digest))
		return mk_fail(err, MK_EINVALID, "the contents of member '%s' have digest %s", name,
			digest);
	return 0;
}

static int finish_hash(struct body *body, char **ret, struct mk_error *err)
{
	mk_autofree char *hex = NULL;
	int r = mk_digest_hex(body->hash, &hex, err);

	if (r < 0)
		return r;
	*ret = mk_xasprintf("sha256:%s", hex);
	return 0;
}

static int read_whole(struct body *body, char *data, size_t size, struct mk_error *err)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read_body(body, data + len, size - len, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return mk_fail(err, MK_EINVALID, "a member is cut short");
		len += (size_t)n;
	}
	return 0;
}

static int keep(struct scan *scan, const struct mk_tar_entry *entry, struct body *body,
	struct mk_error *err)
{
	size_t size = (size_t)entry->size;
	mk_autofree char *data = NULL;
	mk_autofree char *digest = NULL;
	struct mk_member *member;
	int r;

	if (size > MAX_KEPT - scan->members->kept_bytes)
		return mk_fail(err, MK_EINVALID, "more than %zu bytes of documents", MAX_KEPT);
	scan->members->kept_bytes += size;
	data = mk_xcalloc(1, size + 1);
	r = read_whole(body, data, size, err);
	if (r == 0)
		r = finish_hash(body, &digest, err);
	if (r == 0)
		r = check_name(entry->name, digest, err);
	if (r < 0)
		return r;
	member = mk_members_add(scan->members, MK_MEMBER_KEPT, entry->name);
	member->data = MK_TAKE(data);
	member->size = size;
	member->digest = MK_TAKE(digest);
	member->packing = packing_of(body);
	return 0;
}

/* Hash the member without sending it. */
static int skip(struct body *body, char **ret_digest, struct mk_error *err)
{
	mk_autofree char *chunk = mk_xmalloc(CHUNK);
	ssize_t n;

	while ((n = read_body(body, chunk, CHUNK, err)) > 0)
		continue;
	return n < 0 ? (int)n : finish_hash(body, ret_digest, err);
}

static int send_layer(struct scan *scan, const struct mk_tar_entry *entry, struct body *body,
	char **ret_digest, struct mk_error *err)
{
	MK_CLEANUP(mk_upload_freep) struct mk_upload *upload = NULL;
	mk_autofree char *digest = NULL;
	int r = mk_upload_begin(scan->registry, MK_STAGING_REPOSITORY, &upload, err);

	if (r == 0)
		r = mk_upload_send(upload, read_body, body, err);
	if (r == 0)
		r = finish_hash(body, &digest, err);
	if (r == 0)
		r = check_name(entry->name, digest, err);
	if (r == 0)
		r = mk_upload_finish(upload, digest, err);
	if (r < 0)
		return r;
	*ret_digest = MK_TAKE(digest);
	return 0;
}

/* What the engine's metadata beside ID/layer.tar says its parent is. */
static int parent_of(const struct scan *scan, const char *id, char **ret, struct mk_error *err)
{
	mk_autofree char *name = mk_xasprintf("%s/json", id);
	const struct mk_member *member = mk_members_recent(scan->members, name);
	mk_autojson *json = NULL;
	int r;

	if (!member || member->kind != MK_MEMBER_KEPT) {
		*ret = NULL;
		return 0;
	}
	r = mk_json_parse(member->data, (size_t)member->size, name, &json, err);
	if (r < 0)
		return r;
	*ret = mk_xstrdup(mk_json_str(json, "parent", ""));
	return 0;
}

/* The layer that ID/layer.tar will be by the caller's word, or NULL. */
static int hint_for(const struct scan *scan, const char *name, char **ret, struct mk_error *err)
{
	const char *slash = strchr(name, '/');
	mk_autofree char *id = NULL;
	mk_autofree char *parent = NULL;
	const char *layer;
	int r;

	*ret = NULL;
	if (!scan->hints || !slash || !mk_streq(slash, "/layer.tar"))
		return 0;
	id = mk_xstrndup(name, (size_t)(slash - name));
	r = parent_of(scan, id, &parent, err);
	if (r < 0 || !parent)
		return r;
	layer = mk_hints_find(scan->hints, id, parent);
	*ret = layer ? mk_xstrdup(layer) : NULL;
	return 0;
}

/* Hash a layer the registry should have, and see that it is that layer. */
static int skip_layer(struct scan *scan, const struct mk_tar_entry *entry, struct body *body,
	const char *expected, char **ret_digest, struct mk_error *err)
{
	mk_autofree char *digest = NULL;
	int r = skip(body, &digest, err);

	if (r == 0)
		r = check_name(entry->name, digest, err);
	if (r < 0)
		return r;
	if (!mk_streq(digest, expected)) {
		scan->wrong_layers = true;
		return mk_fail(err, MK_EINVALID, "member '%s' is not the layer it was said to be",
			entry->name);
	}
	*ret_digest = MK_TAKE(digest);
	return 0;
}

static int take_layer(struct scan *scan, const struct mk_tar_entry *entry, struct body *body,
	struct mk_error *err)
{
	mk_autofree char *expected = digest_in_name(entry->name);
	mk_autofree char *digest = NULL;
	struct mk_member *member;
	bool there = false;
	int r = 0;

	if (!expected)
		r = hint_for(scan, entry->name, &expected, err);
	if (r == 0 && expected)
		r = mk_registry_has_blob(
			scan->registry, MK_STAGING_REPOSITORY, expected, &there, err);
	if (r < 0)
		return r;
	r = there ? skip_layer(scan, entry, body, expected, &digest, err)
		  : send_layer(scan, entry, body, &digest, err);
	if (r < 0)
		return r;
	member = mk_members_add(scan->members, MK_MEMBER_BLOB, entry->name);
	member->size = entry->size;
	member->digest = MK_TAKE(digest);
	member->packing = packing_of(body);
	member->sent = !there;
	return 0;
}

static int take_file(struct scan *scan, const struct mk_tar_entry *entry, struct mk_error *err)
{
	MK_CLEANUP(mk_digest_freep) struct mk_digest *hash = mk_digest_new();
	struct body body = { .tar = scan->tar, .hash = hash };
	int r = read_head(&body, err);

	if (r < 0)
		return r;
	if (entry->size < SMALL || (entry->size <= MK_MAX_IMAGE_JSON && looks_like_json(&body)))
		return keep(scan, entry, &body, err);
	return take_layer(scan, entry, &body, err);
}

static int take_link(struct scan *scan, const struct mk_tar_entry *entry, struct mk_error *err)
{
	mk_autofree char *target = NULL;
	struct mk_member *member;
	int r = mk_tar_link_target(entry, &target, err);

	if (r < 0)
		return r;
	member = mk_members_add(scan->members, MK_MEMBER_LINK, entry->name);
	member->target = MK_TAKE(target);
	return 0;
}

static int take_member(struct scan *scan, const struct mk_tar_entry *entry, struct mk_error *err)
{
	switch (entry->type) {
	case MK_TAR_FILE:
		return take_file(scan, entry, err);
	case MK_TAR_SYMLINK:
	case MK_TAR_HARDLINK:
		return take_link(scan, entry, err);
	case MK_TAR_DIR:
	case MK_TAR_SPECIAL: /* refused by the reader */
		break;
	}
	return 0;
}

static int scan_all(struct scan *scan, struct mk_error *err)
{
	struct mk_tar_entry entry;
	int r;

	while ((r = mk_tar_reader_next(scan->tar, &entry, err)) > 0) {
		r = take_member(scan, &entry, err);
		if (r < 0)
			return r;
	}
	return r;
}

int mk_scan_archive(struct mk_registry *registry, mk_http_reader source, void *payload,
	const struct mk_load_options *options, struct mk_members *ret, bool *ret_wrong_layers,
	struct mk_error *err)
{
	const struct mk_tar_reader_options tar_options = {
		.what = "tar archive",
		.max_member = MAX_LAYER,
		.max_total = MAX_ARCHIVE,
		.max_count = MAX_MEMBERS,
	};
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *tar = NULL;
	MK_CLEANUP(mk_hints_freep) struct mk_hints *hints = NULL;
	struct scan scan = { .registry = registry, .members = ret };
	int r = 0;

	if (options->layers_count > 0)
		r = mk_hints_new(options->layers, options->layers_count, &hints, err);
	if (r == 0)
		r = mk_tar_reader_open(source, payload, &tar_options, &tar, err);
	if (r < 0)
		return r;
	scan.tar = tar;
	scan.hints = hints;
	r = scan_all(&scan, err);
	if (r < 0) {
		*ret_wrong_layers = scan.wrong_layers;
		return r;
	}
	mk_members_sort(ret);
	return 0;
}

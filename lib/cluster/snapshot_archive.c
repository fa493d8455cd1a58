/* SPDX-License-Identifier: Apache-2.0 */
/* Archives as a whole: what they say they are, and whether they are it. */
#include "lib/cluster/snapshot_archive.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/cluster/spec.h"
#include "lib/registry/digest.h"
#include "pki/bundle.h"

#define BLOCK ((size_t)128 * 1024)
#define MAX_WORD 512

int mk_snapshot_minor(const char *version)
{
	const char *minor = mk_after_prefix(version, "v1.");
	mk_autofree char *digits = minor ? mk_xstrndup(minor, strcspn(minor, ".")) : NULL;
	uint64_t n = 0;

	return digits && mk_parse_uint(digits, 0, 1000, &n) ? (int)n : -1;
}

/* What is shown to the user, and holds nothing that a terminal would take for more. */
static bool is_word(json_t *value)
{
	const char *s = json_string_value(value);

	if (!s || json_string_length(value) > MAX_WORD || strlen(s) != json_string_length(value))
		return false;
	for (; *s; s++) {
		if (*s <= ' ' || *s > '~')
			return false;
	}
	return true;
}

static bool are_words(json_t *value)
{
	json_t *item;
	size_t i;

	json_array_foreach (value, i, item) {
		if (!is_word(item))
			return false;
	}
	return json_is_array(value);
}

static bool are_counts(json_t *value)
{
	const char *key;
	json_t *item;

	json_object_foreach (value, key, item) {
		if (strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(key) ||
			!json_is_integer(item) || json_integer_value(item) < 0)
			return false;
	}
	return json_is_object(value);
}

static bool is_etcd(json_t *value)
{
	static const char *const keys[] = { "hash", "revision", "totalKey", "totalSize" };

	for (size_t i = 0; i < MK_ARRAY_LEN(keys); i++) {
		const json_t *item = json_object_get(value, keys[i]);

		if (!json_is_integer(item) || json_integer_value(item) < 0)
			return false;
	}
	return true;
}

/* "2026-11-23T13:02:39Z" */
static bool is_time(json_t *value)
{
	static const char form[] = "0000-00-00T00:00:00Z";
	const char *s = json_string_value(value);

	if (!s || strlen(s) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++) {
		if (form[i] == '0' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
			return false;
	}
	return true;
}

static bool is_version(json_t *value)
{
	return is_word(value) && mk_snapshot_minor(json_string_value(value)) >= 0;
}

static bool is_bool(json_t *value)
{
	return json_is_boolean(value);
}

static bool is_name(json_t *value)
{
	mk_autoerror ignored = { .code = MK_OK };

	return is_word(value) && mk_cluster_name_check(json_string_value(value), &ignored) == 0;
}

static const struct {
	const char *key;
	bool (*good)(json_t *value);
} keys[] = {
	{ "cluster", is_name },
	{ "mkcluster", is_word },
	{ "kubernetes", is_version },
	{ "created", is_time },
	{ "etcd", is_etcd },
	{ "objects", are_counts },
	{ "barePods", are_words },
	{ "loadedImages", are_words },
	{ "images", is_bool },
};

int mk_snapshot_manifest_parse(
	const char *data, size_t len, const char *what, json_t **ret, struct mk_error *err)
{
	mk_autojson *manifest = NULL;
	int r = mk_json_parse(data, len, "manifest.json", &manifest, err);
	long long format;

	if (r < 0)
		return mk_error_wrap(err, "%s", what);
	format = mk_json_int(manifest, "format", 0);
	if (format > MK_SNAPSHOT_FORMAT) {
		(void)mk_fail(err, MK_EINVALID,
			"%s: a snapshot of format %lld; this mkcluster knows %d", what, format,
			MK_SNAPSHOT_FORMAT);
		mk_error_hint(err, "a newer mkcluster reads it");
		return -MK_EINVALID;
	}
	if (format < 1)
		return mk_fail(err, MK_EINVALID, "%s: manifest.json names no format", what);
	for (size_t i = 0; i < MK_ARRAY_LEN(keys); i++) {
		if (!keys[i].good(json_object_get(manifest, keys[i].key)))
			return mk_fail(err, MK_EINVALID,
				"%s: manifest.json: '%s' is missing or malformed", what,
				keys[i].key);
	}
	*ret = MK_TAKE(manifest);
	return 0;
}

void mk_snapshot_done(struct mk_snapshot *snapshot)
{
	json_decref(snapshot->manifest);
	for (size_t i = 0; i < MK_SNAPSHOT_ETCD; i++)
		mk_buf_wipe(&snapshot->files[i]);
	*snapshot = (struct mk_snapshot){ .manifest = NULL };
}

static bool is_end(const char *end, const char *hex)
{
	const size_t head = sizeof(MK_SNAPSHOT_END_HEAD) - 1;

	return memcmp(end, MK_SNAPSHOT_END_HEAD, head) == 0 &&
		(!hex || memcmp(end + head, hex, MK_DIGEST_HEX) == 0) &&
		end[MK_SNAPSHOT_END_LEN - 1] == '\n';
}

static int read_end(struct mk_snapshot_fd *file, char *ret, struct mk_error *err)
{
	struct mk_snapshot_source source = mk_snapshot_fd_source(file);
	ssize_t n = 0;

	if (file->size >= MK_SNAPSHOT_END_LEN) {
		file->at = file->size - MK_SNAPSHOT_END_LEN;
		n = source.read(source.payload, ret, MK_SNAPSHOT_END_LEN, err);
	}
	if (n < 0)
		return (int)n;
	if ((size_t)n == MK_SNAPSHOT_END_LEN && is_end(ret, NULL))
		return 0;
	return mk_fail(err, MK_EINVALID, "%s: no snapshot of mkcluster, or cut short", file->what);
}

/* Before a byte of it is looked at: what is damaged is called so, and not what it has
 * become by that. */
static int check_digest(struct mk_snapshot_fd *file, struct mk_error *err)
{
	MK_CLEANUP(mk_digest_freep) struct mk_digest *digest = mk_digest_new();
	mk_autofree char *block = mk_xmalloc(BLOCK);
	mk_autofree char *hex = NULL;
	char end[MK_SNAPSHOT_END_LEN];
	struct mk_snapshot_source source;
	int r = read_end(file, end, err);

	source = mk_snapshot_fd_source(file);
	for (uint64_t left = r < 0 ? 0 : file->size - MK_SNAPSHOT_END_LEN; left > 0;) {
		ssize_t n = source.read(
			source.payload, block, left < BLOCK ? (size_t)left : BLOCK, err);

		if (mk_interrupted())
			return mk_fail_interrupted(err);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return mk_fail(err, MK_EINVALID, "%s: cut short", file->what);
		mk_digest_update(digest, block, (size_t)n);
		left -= (uint64_t)n;
	}
	if (r == 0)
		r = mk_digest_hex(digest, &hex, err);
	if (r == 0 && !is_end(end, hex))
		r = mk_fail(err, MK_EINVALID, "%s: damaged: its digest is not that of its bytes",
			file->what);
	return r;
}

static int read_manifest(
	struct mk_snapshot_reader *reader, const char *what, json_t **ret, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_snapshot_reader_all(reader, &text, err);

	return r == 0 ? mk_snapshot_manifest_parse(text.data, text.len, what, ret, err) : r;
}

int mk_snapshot_glance(struct mk_snapshot_fd *file, json_t **ret_manifest, struct mk_error *err)
{
	MK_CLEANUP(mk_snapshot_reader_freep) struct mk_snapshot_reader *reader = NULL;
	struct mk_snapshot_source source;
	struct mk_snapshot_member member;
	int r = check_digest(file, err);

	source = mk_snapshot_fd_source(file);
	if (r == 0)
		r = mk_snapshot_reader_open(&source, &reader, err);
	if (r == 0)
		r = mk_snapshot_reader_next(reader, &member, err);
	return r < 0 ? r : read_manifest(reader, file->what, ret_manifest, err);
}

static int take_member(struct mk_snapshot_reader *reader, const struct mk_snapshot_member *member,
	struct mk_snapshot *snapshot, struct mk_error *err)
{
	if (member->file == MK_SNAPSHOT_FILES) {
		snapshot->registry_files++;
		snapshot->registry_size += member->size;
		return 0;
	}
	if (member->file == MK_SNAPSHOT_ETCD) {
		snapshot->etcd_size = member->size;
		return 0;
	}
	snapshot->files[member->file] = mk_buf_init(MK_MAX_CONFIG_FILE);
	return mk_snapshot_reader_all(reader, &snapshot->files[member->file], err);
}

int mk_snapshot_read(struct mk_snapshot_fd *file, struct mk_snapshot *ret, struct mk_error *err)
{
	MK_CLEANUP(mk_snapshot_reader_freep) struct mk_snapshot_reader *reader = NULL;
	mk_autosnapshot snapshot = { .size = file->size };
	struct mk_snapshot_source source;
	struct mk_snapshot_member member;
	int r = check_digest(file, err);

	source = mk_snapshot_fd_source(file);
	if (r == 0)
		r = mk_snapshot_reader_open(&source, &reader, err);
	while (r >= 0 && (r = mk_snapshot_reader_next(reader, &member, err)) == 1)
		r = take_member(reader, &member, &snapshot, err);
	if (r == 0)
		r = mk_snapshot_manifest_parse(snapshot.files[MK_SNAPSHOT_MANIFEST].data,
			snapshot.files[MK_SNAPSHOT_MANIFEST].len, file->what, &snapshot.manifest,
			err);
	if (r < 0)
		return r;
	*ret = snapshot;
	snapshot = (struct mk_snapshot){ .manifest = NULL };
	return 0;
}

static int read_secret(void *arg, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	const struct mk_snapshot *snapshot = arg;
	const char *name = mk_after_prefix(path, MK_PKI_KUBE_DIR "/");

	for (size_t i = MK_SNAPSHOT_KEYS; name && i < MK_SNAPSHOT_ETCD; i++) {
		if (!mk_streq(name, mk_snapshot_file_name((enum mk_snapshot_file)i)))
			continue;
		mk_buf_add(ret, snapshot->files[i].data, snapshot->files[i].len);
		return mk_buf_check(ret, path, err);
	}
	return mk_fail(err, MK_ENOTFOUND, "a snapshot has no '%s'", path);
}

struct mk_pki_source mk_snapshot_pki(struct mk_snapshot *snapshot)
{
	return (struct mk_pki_source){ .read = read_secret, .arg = snapshot };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/cluster/snapshot_archive.h"
#include "lib/registry/digest.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK ((size_t)128 * 1024)
#define GIB ((uint64_t)1 << 30)

#define MAX_SMALL ((uint64_t)65536)
#define MAX_ETCD (16 * GIB) /* twice what etcd advises at most */
#define MAX_BLOB (64 * GIB)
#define MAX_TOTAL (1024 * GIB)
#define MAX_MEMBERS 200000
#define MAX_SUMS (64 * (uint64_t)MK_MIB)

static const struct {
	const char *name;
	uint64_t max;
} files[MK_SNAPSHOT_FILES] = {
	[MK_SNAPSHOT_MANIFEST] = { "manifest.json", MK_MAX_CONFIG_FILE },
	[MK_SNAPSHOT_CONFIG] = { "config.yaml", MK_MAX_CONFIG_FILE },
	[MK_SNAPSHOT_KEYS] = { "encryption-config.yaml", MAX_SMALL },
	[MK_SNAPSHOT_PKI] = { "pki/ca.crt", MAX_SMALL },
	{ "pki/ca.key", MAX_SMALL },
	{ "pki/etcd/ca.crt", MAX_SMALL },
	{ "pki/etcd/ca.key", MAX_SMALL },
	{ "pki/front-proxy-ca.crt", MAX_SMALL },
	{ "pki/front-proxy-ca.key", MAX_SMALL },
	{ "pki/sa.key", MAX_SMALL },
	[MK_SNAPSHOT_ETCD] = { "etcd/snapshot.db", MAX_ETCD },
};

const char *mk_snapshot_file_name(enum mk_snapshot_file file)
{
	return files[file].name;
}

struct mk_snapshot_reader {
	char *what;
	mk_archive_reader read;
	void *payload;
	uint64_t left;            /* of the archive before its end */
	struct mk_digest *digest; /* of that */

	struct mk_tar_reader *tar;
	struct mk_digest *sums;    /* of what SHA256SUMS has to be */
	struct mk_digest *present; /* of the present member; NULL: none */
	char *name;                /* of it */
	size_t count;              /* members met */
	struct mk_strlist blobs;   /* names of the registry's */
};

/* The archive without its end, for the tar reader. */
static ssize_t read_body(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct mk_snapshot_reader *reader = payload;
	ssize_t n;

	if (cap > reader->left)
		cap = (size_t)reader->left;
	if (cap == 0)
		return 0;
	if (mk_interrupted())
		return mk_fail_interrupted(err);
	n = reader->read(reader->payload, data, cap, err);
	if (n == 0)
		return mk_fail(err, MK_EINVALID, "%s: cut short", reader->what);
	if (n > 0) {
		mk_digest_update(reader->digest, data, (size_t)n);
		reader->left -= (uint64_t)n;
	}
	return n;
}

void mk_snapshot_reader_free(struct mk_snapshot_reader *reader)
{
	if (!reader)
		return;
	mk_tar_reader_free(reader->tar);
	mk_digest_free(reader->digest);
	mk_digest_free(reader->sums);
	mk_digest_free(reader->present);
	mk_strlist_done(&reader->blobs);
	free(reader->name);
	free(reader->what);
	free(reader);
}

int mk_snapshot_reader_open(const struct mk_snapshot_source *source,
	struct mk_snapshot_reader **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_snapshot_reader_freep) struct mk_snapshot_reader *reader = NULL;
	struct mk_tar_reader_options options = { .what = source->what,
		.max_member = MAX_BLOB,
		.max_total = MAX_TOTAL,
		.max_count = MAX_MEMBERS };
	int r;

	if (source->size < MK_SNAPSHOT_END_LEN)
		return mk_fail(err, MK_EINVALID, "%s: too short for a snapshot", source->what);
	reader = mk_xcalloc(1, sizeof(*reader));
	reader->what = mk_xstrdup(source->what);
	reader->read = source->read;
	reader->payload = source->payload;
	reader->left = source->size - MK_SNAPSHOT_END_LEN;
	reader->digest = mk_digest_new();
	reader->sums = mk_digest_new();
	r = mk_tar_reader_open(read_body, reader, &options, &reader->tar, err);
	if (r == 0)
		*ret = MK_TAKE(reader);
	return r;
}

/* The hash of the member that ends, as a line of SHA256SUMS. */
static int end_member(struct mk_snapshot_reader *reader, struct mk_error *err)
{
	mk_autofree char *hex = NULL;
	mk_autofree char *line = NULL;
	mk_autofree char *block = mk_xmalloc(BLOCK);
	ssize_t n;
	int r;

	do {
		n = mk_snapshot_reader_data(reader, block, BLOCK, err);
	} while (n > 0);
	mk_wipe(block, BLOCK);
	if (n < 0)
		return (int)n;
	r = mk_digest_hex(reader->present, &hex, err);
	mk_digest_free(MK_TAKE(reader->present));
	if (r < 0)
		return r;
	line = mk_xasprintf("%s  %s\n", hex, reader->name);
	mk_digest_update(reader->sums, line, strlen(line));
	return 0;
}

static int check_size(const struct mk_snapshot_reader *reader, const struct mk_tar_entry *entry,
	uint64_t max, struct mk_error *err)
{
	if (entry->size <= max)
		return 0;
	return mk_fail(err, MK_EINVALID,
		"%s: member '%s' says it has %llu bytes, more than the %llu allowed", reader->what,
		entry->name, (unsigned long long)entry->size, (unsigned long long)max);
}

bool mk_snapshot_is_blob(const char *name)
{
	return mk_after_prefix(name, MK_SNAPSHOT_REGISTRY "docker/registry/v2/") &&
		!strstr(name, "/_uploads/");
}

static int check_entry(
	struct mk_snapshot_reader *reader, const struct mk_tar_entry *entry, struct mk_error *err)
{
	if (entry->type != MK_TAR_FILE)
		return mk_fail(
			err, MK_EINVALID, "%s: member '%s' is no file", reader->what, entry->name);
	if (reader->count < MK_SNAPSHOT_FILES) {
		const char *name = files[reader->count].name;

		if (!mk_streq(entry->name, name))
			return mk_fail(err, MK_EINVALID,
				"%s: no snapshot of mkcluster: '%s' stands where '%s' has to",
				reader->what, entry->name, name);
		return check_size(reader, entry, files[reader->count].max, err);
	}
	if (!mk_snapshot_is_blob(entry->name))
		return mk_fail(err, MK_EINVALID, "%s: member '%s' has no place in a snapshot",
			reader->what, entry->name);
	mk_strlist_add(&reader->blobs, entry->name);
	return 0;
}

static int check_sums(
	struct mk_snapshot_reader *reader, const struct mk_tar_entry *entry, struct mk_error *err)
{
	mk_autofree char *wanted = NULL;
	mk_autofree char *found = NULL;
	MK_CLEANUP(mk_digest_freep) struct mk_digest *digest = mk_digest_new();
	mk_autofree char *block = mk_xmalloc(BLOCK);
	int r = check_size(reader, entry, MAX_SUMS, err);
	ssize_t n = 0;

	if (r == 0 && entry->type != MK_TAR_FILE)
		r = mk_fail(
			err, MK_EINVALID, "%s: member '%s' is no file", reader->what, entry->name);
	while (r == 0 && (n = mk_tar_reader_data(reader->tar, block, BLOCK, err)) > 0)
		mk_digest_update(digest, block, (size_t)n);
	if (n < 0)
		r = (int)n;
	if (r == 0)
		r = mk_digest_hex(digest, &found, err);
	if (r == 0)
		r = mk_digest_hex(reader->sums, &wanted, err);
	if (r == 0 && !mk_streq(wanted, found))
		r = mk_fail(err, MK_EINVALID, "%s: damaged: " MK_SNAPSHOT_SUMS " does not fit",
			reader->what);
	return r;
}

static int check_twice(struct mk_snapshot_reader *reader, struct mk_error *err)
{
	struct mk_strlist *blobs = &reader->blobs;

	mk_strlist_sort(blobs);
	for (size_t i = 1; i < blobs->count; i++) {
		if (mk_streq(blobs->items[i - 1], blobs->items[i]))
			return mk_fail(err, MK_EINVALID, "%s: member '%s' is there twice",
				reader->what, blobs->items[i]);
	}
	return 0;
}

/* What stands behind the last member, and the digest of all. */
static int check_end(struct mk_snapshot_reader *reader, struct mk_error *err)
{
	mk_autofree char *block = mk_xmalloc(BLOCK);
	mk_autofree char *hex = NULL;
	mk_autofree char *end = NULL;
	char found[MK_SNAPSHOT_END_LEN];
	size_t have = 0;
	ssize_t n;
	int r;

	do {
		n = read_body(reader, block, BLOCK, err);
	} while (n > 0);
	for (; n >= 0 && have < sizeof(found); have += (size_t)n) {
		n = reader->read(reader->payload, found + have, sizeof(found) - have, err);
		if (n == 0)
			return mk_fail(err, MK_EINVALID, "%s: cut short", reader->what);
	}
	r = n < 0 ? (int)n : mk_digest_hex(reader->digest, &hex, err);
	if (r < 0)
		return r;
	end = mk_xmalloc(sizeof(found));
	memcpy(end, MK_SNAPSHOT_END_HEAD, sizeof(MK_SNAPSHOT_END_HEAD) - 1);
	memcpy(end + sizeof(MK_SNAPSHOT_END_HEAD) - 1, hex, MK_DIGEST_HEX);
	end[sizeof(found) - 1] = '\n';
	if (memcmp(end, found, sizeof(found)) != 0)
		return mk_fail(err, MK_EINVALID, "%s: damaged: its digest is not that of its bytes",
			reader->what);
	return 0;
}

static int end_archive(
	struct mk_snapshot_reader *reader, const struct mk_tar_entry *sums, struct mk_error *err)
{
	struct mk_tar_entry entry;
	int r = check_sums(reader, sums, err);

	if (r == 0)
		r = mk_tar_reader_next(reader->tar, &entry, err);
	if (r == 1)
		return mk_fail(err, MK_EINVALID, "%s: member '%s' stands behind the last",
			reader->what, entry.name);
	if (r == 0)
		r = check_twice(reader, err);
	return r == 0 ? check_end(reader, err) : r;
}

int mk_snapshot_reader_next(
	struct mk_snapshot_reader *reader, struct mk_snapshot_member *ret, struct mk_error *err)
{
	struct mk_tar_entry entry;
	int r = reader->present ? end_member(reader, err) : 0;

	if (r == 0)
		r = mk_tar_reader_next(reader->tar, &entry, err);
	if (r < 0)
		return r;
	if (r == 0)
		return mk_fail(err, MK_EINVALID, "%s: cut short, or no snapshot of mkcluster",
			reader->what);
	if (reader->count >= MK_SNAPSHOT_FILES && mk_streq(entry.name, MK_SNAPSHOT_SUMS))
		return end_archive(reader, &entry, err);
	r = check_entry(reader, &entry, err);
	if (r < 0)
		return r;
	free(reader->name);
	reader->name = mk_xstrdup(entry.name);
	reader->present = mk_digest_new();
	*ret = (struct mk_snapshot_member){
		.file = reader->count < MK_SNAPSHOT_FILES ? (enum mk_snapshot_file)reader->count
							  : MK_SNAPSHOT_FILES,
		.name = reader->name,
		.size = entry.size,
	};
	reader->count++;
	return 1;
}

ssize_t mk_snapshot_reader_data(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct mk_snapshot_reader *reader = payload;
	ssize_t n = mk_tar_reader_data(reader->tar, data, cap, err);

	if (n > 0)
		mk_digest_update(reader->present, data, (size_t)n);
	return n;
}

int mk_snapshot_reader_all(
	struct mk_snapshot_reader *reader, struct mk_buf *ret, struct mk_error *err)
{
	mk_autofree char *block = mk_xmalloc(BLOCK);
	ssize_t n;

	while ((n = mk_snapshot_reader_data(reader, block, BLOCK, err)) > 0)
		mk_buf_add(ret, block, (size_t)n);
	mk_wipe(block, BLOCK);
	return n < 0 ? (int)n : mk_buf_check(ret, reader->name, err);
}

int mk_snapshot_fd_open(int fd, const char *what, struct mk_snapshot_fd *ret, struct mk_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return mk_fail_errno(err, "%s", what);
	if (!S_ISREG(st.st_mode))
		return mk_fail(err, MK_EINVALID, "%s: not a file", what);
	*ret = (struct mk_snapshot_fd){ .fd = fd, .what = what, .size = (uint64_t)st.st_size };
	return 0;
}

static ssize_t read_fd(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct mk_snapshot_fd *file = payload;
	ssize_t n;

	do {
		n = pread(file->fd, data, cap, (off_t)file->at);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return mk_fail_errno(err, "read %s", file->what);
	file->at += (uint64_t)n;
	return n;
}

struct mk_snapshot_source mk_snapshot_fd_source(struct mk_snapshot_fd *file)
{
	file->at = 0;
	return (struct mk_snapshot_source){
		.what = file->what, .read = read_fd, .payload = file, .size = file->size
	};
}

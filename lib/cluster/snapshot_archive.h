/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archive that a snapshot is: a tar file, plain or compressed with Zstandard, that
 * other programs can read too. Its members are files, in this order:
 *
 *	manifest.json            what it is: mk_snapshot_manifest_parse
 *	config.yaml              the cluster's settled config
 *	encryption-config.yaml   the keys that secrets are encrypted with
 *	pki/...                  the CAs with their keys, and the key that signs tokens
 *	etcd/snapshot.db         what `etcdctl snapshot save` writes
 *	registry/...             the data of the cluster's registry, if it is in
 *	SHA256SUMS               of all the others, as `sha256sum -c` reads it
 *
 * Behind it stands the end: a skippable frame of Zstandard (RFC 8878, section 3.1.2),
 * which tar and zstd pass over, with the SHA-256 of every byte before it. The digest
 * tells damage from health; it is no signature. manifests/node/bin/snapshot-save writes
 * the same form by the node's own tools.
 *
 * An archive is a stranger's until it is read to its end: every member is expected by
 * name, in its place, and bounded; there are no links, and nothing is unpacked by its
 * own name. Private to lib/cluster.
 */
#ifndef MK_CLUSTER_SNAPSHOT_ARCHIVE_H
#define MK_CLUSTER_SNAPSHOT_ARCHIVE_H

#include "lib/archive/tar_reader.h"
#include "lib/base/json.h"
#include "pki/bundle.h"

#define MK_SNAPSHOT_FORMAT 1
#define MK_SNAPSHOT_REGISTRY "registry/" /* what the names of such members begin with */

/** The members that every archive has, in their order. */
enum mk_snapshot_file {
	MK_SNAPSHOT_MANIFEST,
	MK_SNAPSHOT_CONFIG,
	MK_SNAPSHOT_KEYS,
	MK_SNAPSHOT_PKI, /* the first of seven */
	MK_SNAPSHOT_ETCD = MK_SNAPSHOT_PKI + 7,
	MK_SNAPSHOT_FILES,
};

/** Where the bytes of an archive come from. */
struct mk_snapshot_source {
	const char *what; /* for errors; borrowed */
	mk_archive_reader read;
	void *payload;
	uint64_t size;
};

/** An open file as a source, from its beginning. It stays the caller's. */
struct mk_snapshot_fd {
	int fd;
	const char *what;
	uint64_t at, size;
};

/** MK_EINVALID for what is no regular file. */
int mk_snapshot_fd_open(
	int fd, const char *what, struct mk_snapshot_fd *ret, struct mk_error *err) MK_CHECKED;
struct mk_snapshot_source mk_snapshot_fd_source(struct mk_snapshot_fd *file);

struct mk_snapshot_reader;

/** A member; `file` is MK_SNAPSHOT_FILES for one of the registry's. `name` lives until the
 * next call. */
struct mk_snapshot_member {
	enum mk_snapshot_file file;
	const char *name;
	uint64_t size;
};

/** Start reading. MK_EINVALID when it cannot be a snapshot. */
int mk_snapshot_reader_open(const struct mk_snapshot_source *source,
	struct mk_snapshot_reader **ret, struct mk_error *err) MK_CHECKED;
void mk_snapshot_reader_free(struct mk_snapshot_reader *reader);
MK_DEFINE_CLEANUP(struct mk_snapshot_reader *, mk_snapshot_reader_free);

/** Go to the next member: 1; 0 when the archive has ended as it should, all digests
 * right; MK_EINVALID says what is wrong with it; else the source's own error. */
int mk_snapshot_reader_next(struct mk_snapshot_reader *reader, struct mk_snapshot_member *ret,
	struct mk_error *err) MK_CHECKED;

/** Read the present member: the count, 0 at its end. `payload` is the reader. */
ssize_t mk_snapshot_reader_data(
	void *payload, void *data, size_t cap, struct mk_error *err) MK_CHECKED;

/** Append the whole present member, which is not etcd's nor the registry's, to `ret`. */
int mk_snapshot_reader_all(
	struct mk_snapshot_reader *reader, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/** Parse and check a manifest. MK_EINVALID; `what` names the archive. The caller owns
 * `ret`. */
int mk_snapshot_manifest_parse(const char *data, size_t len, const char *what, json_t **ret,
	struct mk_error *err) MK_CHECKED;

/** The minor version of "v1.36.3": 36, or -1. */
int mk_snapshot_minor(const char *version);

/** An archive that was read to its end and found good: all but the large members. */
struct mk_snapshot {
	json_t *manifest;
	struct mk_buf files[MK_SNAPSHOT_ETCD]; /* by enum mk_snapshot_file; keys among them */
	uint64_t size;                         /* of the archive */
	uint64_t etcd_size;
	uint64_t registry_size;
	size_t registry_files;
};

void mk_snapshot_done(struct mk_snapshot *snapshot);
#define mk_autosnapshot MK_CLEANUP(mk_snapshot_done) struct mk_snapshot

/** Check the digest over all, then read the archive to its end: seconds a gigabyte.
 * MK_EINVALID, MK_EINTR. */
int mk_snapshot_read(
	struct mk_snapshot_fd *file, struct mk_snapshot *ret, struct mk_error *err) MK_CHECKED;

/** Check the digest over all, and read the manifest alone. */
int mk_snapshot_glance(
	struct mk_snapshot_fd *file, json_t **ret_manifest, struct mk_error *err) MK_CHECKED;

/** The snapshot's CAs and keys, as mk_pki_bundle_join wants them. Borrows `snapshot`. */
struct mk_pki_source mk_snapshot_pki(struct mk_snapshot *snapshot);

struct mk_snapshot_writer;

/** Start an archive that is to be at `path`: it is written to a temporary file beside it,
 * for its owner alone. MK_EEXISTS when there is something at `path`. */
int mk_snapshot_writer_open(
	const char *path, struct mk_snapshot_writer **ret, struct mk_error *err) MK_CHECKED;

/** Free; without mk_snapshot_writer_finish the temporary file goes. */
void mk_snapshot_writer_free(struct mk_snapshot_writer *writer);
MK_DEFINE_CLEANUP(struct mk_snapshot_writer *, mk_snapshot_writer_free);

/** Copy a member of `size` bytes: all that `read` gives. */
int mk_snapshot_writer_add(struct mk_snapshot_writer *writer, const char *name, uint64_t size,
	mk_archive_reader read, void *payload, struct mk_error *err) MK_CHECKED;

/** Write the sums and the end, and give the file, safely on disk, its name. MK_EEXISTS. */
int mk_snapshot_writer_finish(
	struct mk_snapshot_writer *writer, uint64_t *ret_size, struct mk_error *err) MK_CHECKED;

/* The end of an archive. */
#define MK_SNAPSHOT_END_HEAD "\x50\x2a\x4d\x18\x5b\0\0\0mkcluster snapshot sha256 "
#define MK_SNAPSHOT_END_LEN (sizeof(MK_SNAPSHOT_END_HEAD) - 1 + 64 + 1)
#define MK_SNAPSHOT_SUMS "SHA256SUMS"

/** Whether a file of this name, "registry/docker/...", is data of the registry, and not of
 * an upload that has not ended. */
bool mk_snapshot_is_blob(const char *name);

/** The name of a member that every archive has. */
const char *mk_snapshot_file_name(enum mk_snapshot_file file);

#endif

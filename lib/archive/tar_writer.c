/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of entries, and the machine that turns it into bytes one step at a
 * time. A step gives libarchive one header or one chunk of data; what it writes
 * lands in `pending`, from where the reader takes it. So memory stays at a
 * chunk, whatever the archive's size.
 */
#include "lib/archive/tar_writer.h"

#include "lib/archive/path.h"
#include "lib/base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK ((size_t)64 * 1024)

/* A chunk, its padding, and the largest header two long names can make. */
#define PENDING_MAX (CHUNK + (size_t)64 * 1024)

struct entry {
	char *path;
	mode_t type; /* AE_IFREG, AE_IFDIR or AE_IFLNK */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	void *data; /* a file from memory */
	size_t len;
	char *link;   /* a link's target */
	char *source; /* a file from disk */
	bool implied; /* a parent nobody has added */
};

struct mk_tar_writer {
	struct mk_tar_writer_options options;
	struct entry *entries;
	size_t count;
	struct mk_error error; /* the first entry that was wrong */

	/* The archive being read. */
	struct archive *archive;
	struct mk_buf pending;
	size_t taken;   /* bytes of `pending` the reader has had */
	size_t next;    /* the entry whose header is due */
	size_t current; /* the entry whose data is due */
	int64_t left;   /* of that data */
	int fd;         /* where it comes from, or -1: memory */
	char *chunk;
	bool ended;
	bool discard; /* what libarchive writes now is of no use */
};

struct mk_tar_writer *mk_tar_writer_new(const struct mk_tar_writer_options *options)
{
	struct mk_tar_writer *writer = mk_xcalloc(1, sizeof(*writer));

	if (options)
		writer->options = *options;
	writer->pending = mk_buf_init(PENDING_MAX);
	writer->fd = -1;
	return writer;
}

void mk_tar_writer_rewind(struct mk_tar_writer *writer)
{
	/* Freeing writes the rest of a half-done archive, zeros for what is missing.
	 * archive_write_fail would prevent that, and leak the client's state. */
	writer->discard = true;
	if (writer->archive)
		(void)archive_write_free(writer->archive);
	writer->archive = NULL;
	writer->discard = false;
	mk_closep(&writer->fd);
	writer->fd = -1;
	writer->taken = 0;
	writer->next = 0;
	writer->left = 0;
	writer->ended = false;
	mk_wipe(writer->chunk, writer->chunk ? CHUNK : 0);
	free(MK_TAKE(writer->chunk));
	mk_buf_wipe(&writer->pending);
	writer->pending = mk_buf_init(PENDING_MAX);
}

void mk_tar_writer_free(struct mk_tar_writer *writer)
{
	if (!writer)
		return;
	mk_tar_writer_rewind(writer);
	mk_buf_done(&writer->pending);
	for (size_t i = 0; i < writer->count; i++) {
		struct entry *entry = &writer->entries[i];

		mk_wipe(entry->data, entry->len);
		free(entry->data);
		free(entry->path);
		free(entry->link);
		free(entry->source);
	}
	free(writer->entries);
	mk_error_done(&writer->error);
	free(writer);
}

static struct entry *find(const struct mk_tar_writer *writer, const char *path)
{
	for (size_t i = 0; i < writer->count; i++) {
		if (mk_streq(writer->entries[i].path, path))
			return &writer->entries[i];
	}
	return NULL;
}

static struct entry *append(struct mk_tar_writer *writer, const char *path, mode_t type)
{
	struct entry *entry;

	writer->entries = mk_xrealloc(
		writer->entries, (writer->count + 1) * sizeof(writer->entries[0]));
	entry = &writer->entries[writer->count++];
	*entry = (struct entry){ .path = mk_xstrdup(path), .type = type };
	return entry;
}

/* 0 when every parent of `path` is a directory of the archive now. */
static int imply_parents(struct mk_tar_writer *writer, const char *path, struct mk_error *err)
{
	for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		mk_autofree char *parent = mk_xstrndup(path, (size_t)(p - path));
		struct entry *entry = find(writer, parent);

		if (entry && entry->type != AE_IFDIR)
			return mk_fail(err, MK_EINVALID,
				"archive entry '%s': '%s' is not a directory", path, parent);
		if (entry || writer->options.no_parents)
			continue;
		entry = append(writer, parent, AE_IFDIR);
		entry->mode = 0755;
		entry->implied = true;
	}
	return 0;
}

/* A new entry, or NULL after remembering what is wrong with it. */
static struct entry *add(struct mk_tar_writer *writer, const char *path, mode_t type)
{
	mk_autofree char *clean = NULL;
	struct mk_error *err = &writer->error;
	struct entry *entry;

	if (err->code != MK_OK)
		return NULL;
	if (mk_tar_path_clean(path, /* absolute= */ true, &clean, err) < 0)
		return NULL;
	if (mk_streq(clean, ".")) {
		(void)mk_fail(err, MK_EINVALID, "archive entry '%s' names nothing", path);
		return NULL;
	}
	entry = find(writer, clean);
	if (entry && entry->implied && type == AE_IFDIR) {
		entry->implied = false;
		return entry;
	}
	if (entry) {
		(void)mk_fail(err, MK_EINVALID, "archive entry '%s' is there twice", clean);
		return NULL;
	}
	if (imply_parents(writer, clean, err) < 0)
		return NULL;
	return append(writer, clean, type);
}

static void own(struct entry *entry, mode_t mode, uid_t uid, gid_t gid)
{
	entry->mode = mode & 07777;
	entry->uid = uid;
	entry->gid = gid;
}

void mk_tar_add_dir(
	struct mk_tar_writer *writer, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	struct entry *entry = add(writer, path, AE_IFDIR);

	if (entry)
		own(entry, mode, uid, gid);
}

void mk_tar_add_file(struct mk_tar_writer *writer, const char *path, mode_t mode, uid_t uid,
	gid_t gid, const void *data, size_t len)
{
	struct entry *entry = add(writer, path, AE_IFREG);

	if (!entry)
		return;
	own(entry, mode, uid, gid);
	entry->data = mk_xmalloc(len + 1);
	if (len > 0)
		memcpy(entry->data, data, len);
	entry->len = len;
}

void mk_tar_add_text(struct mk_tar_writer *writer, const char *path, mode_t mode, const char *text)
{
	mk_tar_add_file(writer, path, mode, 0, 0, text, strlen(text));
}

void mk_tar_add_symlink(
	struct mk_tar_writer *writer, const char *path, const char *target, uid_t uid, gid_t gid)
{
	struct entry *entry = add(writer, path, AE_IFLNK);

	if (!entry)
		return;
	own(entry, 0777, uid, gid);
	entry->link = mk_xstrdup(target);
}

void mk_tar_add_from_disk(struct mk_tar_writer *writer, const char *path, mode_t mode, uid_t uid,
	gid_t gid, const char *source)
{
	struct entry *entry = add(writer, path, AE_IFREG);

	if (!entry)
		return;
	own(entry, mode, uid, gid);
	entry->source = mk_xstrdup(source);
}

size_t mk_tar_writer_count(const struct mk_tar_writer *writer)
{
	return writer->count;
}

static ssize_t on_write(struct archive *archive, void *payload, const void *data, size_t len)
{
	struct mk_tar_writer *writer = payload;

	if (writer->discard)
		return (ssize_t)len;
	mk_buf_add(&writer->pending, data, len);
	if (writer->pending.full) {
		archive_set_error(archive, ENOMEM, "headers are too large");
		return -1;
	}
	return (ssize_t)len;
}

static int fail_archive(
	struct mk_tar_writer *writer, const struct entry *entry, struct mk_error *err)
{
	const char *words = archive_error_string(writer->archive);

	return mk_fail(err, MK_EFAIL, "archive entry '%s': %s", entry ? entry->path : "(end)",
		words ? words : "libarchive failed");
}

static int start(struct mk_tar_writer *writer, struct mk_error *err)
{
	writer->chunk = mk_xmalloc(CHUNK);
	writer->archive = archive_write_new();
	if (!writer->archive)
		return mk_fail(err, MK_EFAIL, "libarchive: no writer");
	/* Unblocked and unpadded: every byte comes to on_write at once. */
	if (archive_write_set_format_pax_restricted(writer->archive) != ARCHIVE_OK ||
		archive_write_set_bytes_per_block(writer->archive, 0) != ARCHIVE_OK ||
		archive_write_open(writer->archive, writer, NULL, on_write, NULL) != ARCHIVE_OK)
		return fail_archive(writer, NULL, err);
	return 0;
}

static int open_source(
	struct mk_tar_writer *writer, const struct entry *entry, struct mk_error *err)
{
	struct stat st;
	int fd = open(entry->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		return mk_fail(err, MK_ENOTFOUND, "archive entry '%s': no such file: %s",
			entry->path, entry->source);
	if (fd < 0)
		return mk_fail_errno(
			err, "archive entry '%s': open %s", entry->path, entry->source);
	writer->fd = fd;
	if (fstat(fd, &st) < 0)
		return mk_fail_errno(err, "archive entry '%s': %s", entry->path, entry->source);
	if (!S_ISREG(st.st_mode))
		return mk_fail(err, MK_EINVALID, "archive entry '%s': %s is not a regular file",
			entry->path, entry->source);
	writer->left = st.st_size;
	return 0;
}

static void describe(const struct mk_tar_writer *writer, const struct entry *entry, int64_t size,
	struct archive_entry *ret)
{
	archive_entry_set_pathname(ret, entry->path);
	archive_entry_set_filetype(ret, entry->type);
	archive_entry_set_perm(ret, entry->mode);
	archive_entry_set_uid(ret, entry->uid);
	archive_entry_set_gid(ret, entry->gid);
	archive_entry_set_mtime(ret, writer->options.mtime, 0);
	archive_entry_set_size(ret, size);
	if (entry->link)
		archive_entry_set_symlink(ret, entry->link);
}

/* Begin the next entry: its source, if any, and its header. */
static int step_header(struct mk_tar_writer *writer, struct mk_error *err)
{
	const struct entry *entry = &writer->entries[writer->next];
	struct archive_entry *header;
	int r = 0;

	writer->left = (int64_t)entry->len;
	if (entry->source)
		r = open_source(writer, entry, err);
	if (r < 0)
		return r;
	header = archive_entry_new();
	if (!header)
		return mk_fail(err, MK_EFAIL, "libarchive: no entry");
	describe(writer, entry, writer->left, header);
	/* A warning is a name outside the locale's charset: stored as it is. */
	if (archive_write_header(writer->archive, header) < ARCHIVE_WARN)
		r = fail_archive(writer, entry, err);
	archive_entry_free(header);
	writer->current = writer->next++;
	return r;
}

/* The next chunk of the current entry: 0 with its place in `ret`. */
static int take_chunk(struct mk_tar_writer *writer, const struct entry *entry,
	const void **ret_data, size_t *ret_len, struct mk_error *err)
{
	size_t want = writer->left > (int64_t)CHUNK ? CHUNK : (size_t)writer->left;
	ssize_t n;

	if (!entry->source) {
		*ret_data = (const char *)entry->data + (entry->len - (size_t)writer->left);
		*ret_len = want;
		return 0;
	}
	do {
		n = read(writer->fd, writer->chunk, want);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return mk_fail_errno(
			err, "archive entry '%s': read %s", entry->path, entry->source);
	if (n == 0)
		return mk_fail(err, MK_EINVALID,
			"archive entry '%s': %s became shorter while it was read", entry->path,
			entry->source);
	*ret_data = writer->chunk;
	*ret_len = (size_t)n;
	return 0;
}

static int step_data(struct mk_tar_writer *writer, struct mk_error *err)
{
	const struct entry *entry = &writer->entries[writer->current];
	const void *data = NULL;
	size_t len = 0;
	int r = take_chunk(writer, entry, &data, &len, err);

	if (r < 0)
		return r;
	if (archive_write_data(writer->archive, data, len) != (la_ssize_t)len)
		return fail_archive(writer, entry, err);
	writer->left -= (int64_t)len;
	if (writer->left == 0) {
		mk_closep(&writer->fd);
		writer->fd = -1;
	}
	return 0;
}

static int step(struct mk_tar_writer *writer, struct mk_error *err)
{
	if (writer->error.code != MK_OK)
		return mk_fail(err, writer->error.code, "%s", writer->error.message);
	if (!writer->archive)
		return start(writer, err);
	if (writer->left > 0)
		return step_data(writer, err);
	if (writer->next < writer->count)
		return step_header(writer, err);
	writer->ended = true;
	if (archive_write_close(writer->archive) != ARCHIVE_OK)
		return fail_archive(writer, NULL, err);
	return 0;
}

ssize_t mk_tar_writer_read(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct mk_tar_writer *writer = payload;
	size_t n;

	while (writer->taken == writer->pending.len && !writer->ended) {
		int r;

		mk_buf_clear(&writer->pending);
		writer->taken = 0;
		r = step(writer, err);
		if (r < 0) {
			mk_tar_writer_rewind(writer);
			return r;
		}
	}
	n = writer->pending.len - writer->taken;
	if (n > cap)
		n = cap;
	if (n > 0)
		memcpy(data, writer->pending.data + writer->taken, n);
	writer->taken += n;
	return (ssize_t)n;
}

int mk_tar_writer_write(struct mk_tar_writer *writer, struct mk_buf *ret, struct mk_error *err)
{
	mk_autosecret char *chunk = mk_xcalloc(1, 16384);
	ssize_t n;

	mk_tar_writer_rewind(writer);
	while ((n = mk_tar_writer_read(writer, chunk, 16384, err)) > 0) {
		mk_buf_add(ret, chunk, (size_t)n);
		if (ret->full)
			break;
	}
	mk_tar_writer_rewind(writer);
	mk_wipe(chunk, 16384);
	return n < 0 ? (int)n : mk_buf_check(ret, "the archive", err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the archive into a control plane: one tar stream, made while the engine takes it,
 * of the script, what it reads, etcd's snapshot and the registry's data.
 */
#include "lib/archive/tar_stream.h"
#include "lib/base/limits.h"
#include "lib/cluster/snapshot_node.h"
#include "lib/docker/container.h"
#include "manifests/embed.h"
#include "manifests/render.h"

#define CHUNK ((size_t)128 * 1024)
#define PENDING_MAX (4 * MK_MIB)
#define REGISTRY_PARENT "var/lib/"
#define RESTORE "var/lib/mkcluster/restore" /* as a member: MK_SNAPSHOT_RESTORE_FOLDER */

struct feed {
	struct mk_restore *restore;
	const struct mk_bringup *b;
	const struct mk_restore_feed *what;
	struct mk_tar_stream *tar;
	struct mk_snapshot_reader *reader;
	struct mk_buf pending; /* of the stream, not yet taken */
	size_t taken;
	char *chunk;
	char *folder; /* of the registry's file before */
	bool copying; /* a member's contents */
	bool ended;
};

static void feed_done(struct feed *f)
{
	mk_tar_stream_free(f->tar);
	mk_snapshot_reader_free(f->reader);
	mk_buf_wipe(&f->pending);
	mk_wipe(f->chunk, CHUNK);
	free(f->chunk);
	free(f->folder);
}

ssize_t mk_snapshot_bytes_read(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct mk_snapshot_bytes *bytes = payload;
	size_t n = bytes->left < cap ? bytes->left : cap;

	(void)err;
	memcpy(data, bytes->data, n);
	bytes->data += n;
	bytes->left -= n;
	return (ssize_t)n;
}

static int on_bytes(void *payload, const void *data, size_t len, struct mk_error *err)
{
	struct feed *f = payload;

	mk_buf_add(&f->pending, data, len);
	return mk_buf_check(&f->pending, "a part of the archive", err);
}

static int add_file(struct feed *f, const char *path, mode_t mode, const char *data, size_t len,
	struct mk_error *err)
{
	int r = mk_tar_stream_file(f->tar, path, mode, 0, len, err);

	return r == 0 ? mk_tar_stream_data(f->tar, data, len, err) : r;
}

/* How etcd's unit is different until the restored API answers. A node that runs puts it
 * in its place when it switches: before that it would spoil the present state. */
static int add_drop_in(struct feed *f, struct mk_error *err)
{
	static const char folder[] = "etc/systemd/system/etcd.service.d";
	mk_autorender render = mk_render_init();
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autofree char *members = mk_plan_etcd_members(&f->b->plan);
	int r;

	mk_render_set(&render, "NODE_NAME", f->what->node->name);
	mk_render_set(&render, "NODE_IP", f->what->node->ip);
	mk_render_set(&render, "ETCD_INITIAL_CLUSTER", members);
	mk_render_setf(&render, "ETCD_BUMP", "%lld", (long long)f->restore->bump);
	mk_render_setf(&render, "ETCD_TOKEN", "%s-%s", f->b->spec->name, f->b->run_id);
	r = mk_render_file(&render, "node/restore/etcd.conf", &text, err);
	if (r == 0 && f->what->running)
		return add_file(f, RESTORE "/etcd.conf", 0644, text.data, text.len, err);
	if (r == 0)
		r = mk_tar_stream_dir(f->tar, folder, 0755, err);
	return r == 0 ? add_file(f, "etc/systemd/system/etcd.service.d/restore.conf", 0644,
				text.data, text.len, err)
		      : r;
}

static int add_small(struct feed *f, struct mk_error *err)
{
	const struct mk_embedded *script = mk_embedded_find("node/bin/snapshot-restore");
	const struct mk_buf *keys = &f->restore->snapshot.files[MK_SNAPSHOT_KEYS];
	const char *keep = f->what->keep;
	int r = mk_tar_stream_dir(f->tar, &MK_SNAPSHOT_NODE_ROOT[1], 0700, err);

	if (r == 0)
		r = mk_tar_stream_dir(f->tar, RESTORE, 0700, err);
	if (r == 0)
		r = add_file(
			f, &MK_SNAPSHOT_RESTORE_SCRIPT[1], 0755, script->data, script->len, err);
	if (r == 0)
		r = add_drop_in(f, err);
	if (r == 0 && keep)
		r = add_file(f, RESTORE "/keep", 0600, keep, strlen(keep), err);
	if (r == 0 && f->what->running)
		r = add_file(
			f, RESTORE "/encryption-config.yaml", 0600, keys->data, keys->len, err);
	return r;
}

/* The folders of the path that the file before had not. */
static int add_folders(struct feed *f, const char *path, struct mk_error *err)
{
	size_t len = (size_t)(strrchr(path, '/') - path);
	mk_autofree char *folder = mk_xstrndup(path, len);
	size_t i = strlen(REGISTRY_PARENT);
	int r = 0;

	for (; i <= len && r == 0; i++) {
		mk_autofree char *parent = NULL;

		if (i < len && folder[i] != '/')
			continue;
		parent = mk_xstrndup(folder, i);
		if (!f->folder || strncmp(f->folder, parent, i) != 0 ||
			(f->folder[i] && f->folder[i] != '/'))
			r = mk_tar_stream_dir(f->tar, parent, 0755, err);
	}
	free(f->folder);
	f->folder = MK_TAKE(folder);
	return r;
}

static int begin_member(
	struct feed *f, const struct mk_snapshot_member *member, struct mk_error *err)
{
	mk_autofree char *path = NULL;
	int r;

	f->copying = true;
	if (member->file == MK_SNAPSHOT_ETCD)
		return mk_tar_stream_file(
			f->tar, RESTORE "/snapshot.db", 0600, 0, member->size, err);
	path = mk_xasprintf(REGISTRY_PARENT "%s", member->name);
	r = add_folders(f, path, err);
	return r == 0 ? mk_tar_stream_file(f->tar, path, 0644, 0, member->size, err) : r;
}

static int end_feed(struct feed *f, struct mk_error *err)
{
	f->ended = true;
	return mk_tar_stream_close(f->tar, err);
}

/* The next member that the node gets. */
static int next_member(struct feed *f, struct mk_error *err)
{
	struct mk_snapshot_member member;
	int r;

	do {
		r = mk_snapshot_reader_next(f->reader, &member, err);
	} while (r == 1 && member.file < MK_SNAPSHOT_ETCD);
	if (r < 0)
		return r;
	if (r == 0 || (member.file == MK_SNAPSHOT_FILES && !f->what->images))
		return end_feed(f, err);
	return begin_member(f, &member, err);
}

static int copy_chunk(struct feed *f, struct mk_error *err)
{
	ssize_t n = mk_snapshot_reader_data(f->reader, f->chunk, CHUNK, err);

	if (n < 0)
		return (int)n;
	if (n == 0)
		f->copying = false;
	return mk_tar_stream_data(f->tar, f->chunk, (size_t)n, err);
}

static int step(struct feed *f, struct mk_error *err)
{
	struct mk_snapshot_source source;
	int r;

	if (f->copying)
		return copy_chunk(f, err);
	if (f->reader)
		return next_member(f, err);
	source = mk_snapshot_fd_source(&f->restore->file);
	r = mk_snapshot_reader_open(&source, &f->reader, err);
	return r == 0 ? add_small(f, err) : r;
}

static ssize_t read_feed(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct feed *f = payload;
	size_t n;

	while (f->taken == f->pending.len && !f->ended) {
		int r;

		mk_buf_clear(&f->pending);
		f->taken = 0;
		r = step(f, err);
		if (r < 0)
			return r;
	}
	n = f->pending.len - f->taken;
	if (n > cap)
		n = cap;
	memcpy(data, f->pending.data + f->taken, n);
	f->taken += n;
	return (ssize_t)n;
}

int mk_restore_send(struct mk_restore *restore, const struct mk_bringup *b,
	const struct mk_restore_feed *feed, struct mk_error *err)
{
	MK_CLEANUP(feed_done)
	struct feed f = { .restore = restore,
		.b = b,
		.what = feed,
		.pending = mk_buf_init(PENDING_MAX),
		.chunk = mk_xmalloc(CHUNK) };
	int r = mk_tar_stream_open(/* compress= */ false, on_bytes, &f, &f.tar, err);

	if (r == 0)
		r = mk_container_put_stream(
			restore->docker, feed->node->container, "/", read_feed, &f, err);
	return r < 0 ? mk_error_wrap(err, "send the snapshot to '%s'", feed->node->name) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `snapshot save`: made in a node, and from there into a file, with the registry's data. */
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/snapshot.h"
#include "lib/cluster/snapshot_archive.h"
#include "lib/cluster/snapshot_node.h"
#include "lib/cluster/step_run.h"
#include "lib/docker/container.h"
#include "manifests/embed.h"

#include <sys/stat.h>
#include <time.h>

#define REGISTRY_FOLDER "/var/lib/registry"

/* A script goes on in the node when we hang up: an interrupt waits so long for its end. */
#define GRACE_MS 3000
#define CLEANUP_MS 15000

struct saving {
	struct mk_docker *docker;
	const char *cluster;
	const struct mk_snapshot_save_options *options;
	json_t *nodes;
	int64_t deadline;
	const char *container; /* in which the archive is; borrowed from `nodes` */
	char *in_node;         /* its path there */
	struct mk_snapshot_writer *writer;
	json_t *manifest;
	uint64_t size;
};

static void saving_done(struct saving *s)
{
	mk_snapshot_writer_free(s->writer);
	json_decref(s->nodes);
	json_decref(s->manifest);
	free(s->in_node);
}

void mk_snapshot_saved_done(struct mk_snapshot_saved *saved)
{
	free(saved->path);
	json_decref(saved->manifest);
	*saved = (struct mk_snapshot_saved){ .path = NULL };
}

/* "dev-20261123T130239Z.mkcluster" in the folder that was asked for, or what was. */
static char *final_path(const char *path, const char *cluster)
{
	time_t now = time(NULL);
	char when[32];
	struct stat st;
	struct tm tm;

	if (path && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
		return mk_xstrdup(path);
	(void)gmtime_r(&now, &tm);
	(void)strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	return mk_xasprintf(
		"%s%s%s-%s" MK_SNAPSHOT_SUFFIX, path ? path : "", path ? "/" : "", cluster, when);
}

static int take_in(struct saving *s, const json_t *node, struct mk_error *err)
{
	const struct mk_embedded *script = mk_embedded_find("node/bin/snapshot-save");
	const char *argv[] = { "sh", "-c", script->data, "snapshot-save", s->in_node, s->cluster,
		MK_VERSION, NULL };
	mk_autobuf output = mk_buf_init(MK_MAX_EXEC_OUTPUT);
	int status = -1;
	int r;

	s->container = mk_json_str(node, "id", "");
	mk_interrupt_delay(GRACE_MS);
	r = mk_container_exec(
		s->docker, s->container, argv, mk_remaining_ms(s->deadline), &output, &status, err);
	mk_interrupt_delay(0);
	if (r == 0 && status != 0)
		r = mk_snapshot_fail_script(output.data, err);
	return r < 0 ? mk_error_wrap(err, "%s", mk_json_str(node, "name", "?")) : 0;
}

/* In the first control plane whose etcd is well. What went wrong in the one before is
 * only told when none is. */
static int take(struct saving *s, struct mk_error *err)
{
	mk_autofree char *id = NULL;
	const json_t *node;
	size_t i;
	int r = mk_random_hex(8, &id, err);

	if (r < 0)
		return r;
	s->in_node = mk_xasprintf(MK_SNAPSHOT_NODE_ROOT "/saving/%s.saving", id);
	r = mk_fail(err, MK_EHOST, "no control plane of '%s' runs", s->cluster);
	json_array_foreach (s->nodes, i, node) {
		if (!mk_streq(mk_json_str(node, "role", ""), "control-plane") ||
			!mk_streq(mk_json_str(node, "state", ""), "running"))
			continue;
		mk_error_done(err);
		r = take_in(s, node, err);
		if (r == 0 || mk_interrupted())
			return r;
		mk_trace("%s", err->message);
	}
	if (r == -MK_EHOST)
		mk_error_hint(err, "`mkcluster start --name %s` starts it", s->cluster);
	return r;
}

/* A manifest that says what this archive has, which was made of another. */
static int add_manifest(struct saving *s, struct mk_snapshot_reader *reader, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	struct mk_snapshot_bytes bytes = { .data = NULL };
	mk_autofree char *printed = NULL;
	mk_autofree char *line = NULL;
	int r = mk_snapshot_reader_all(reader, &text, err);

	if (r == 0)
		r = mk_snapshot_manifest_parse(
			text.data, text.len, "the node's archive", &s->manifest, err);
	if (r < 0)
		return r;
	if (s->options->images)
		(void)json_object_set_new(s->manifest, "images", json_true());
	printed = mk_json_print(s->manifest);
	line = mk_xasprintf("%s\n", printed);
	bytes = (struct mk_snapshot_bytes){ .data = line, .left = strlen(line) };
	return mk_snapshot_writer_add(s->writer, mk_snapshot_file_name(MK_SNAPSHOT_MANIFEST),
		bytes.left, mk_snapshot_bytes_read, &bytes, err);
}

static int copy_members(
	struct saving *s, const struct mk_snapshot_source *source, struct mk_error *err)
{
	MK_CLEANUP(mk_snapshot_reader_freep) struct mk_snapshot_reader *reader = NULL;
	struct mk_snapshot_member member;
	int r = mk_snapshot_reader_open(source, &reader, err);

	while (r >= 0 && (r = mk_snapshot_reader_next(reader, &member, err)) == 1)
		r = member.file == MK_SNAPSHOT_MANIFEST
			? add_manifest(s, reader, err)
			: mk_snapshot_writer_add(s->writer, member.name, member.size,
				  mk_snapshot_reader_data, reader, err);
	return r;
}

/* The archive in the node, checked as it comes. */
static int copy_archive(struct saving *s, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *tar = NULL;
	struct mk_tar_reader_options options = { .what = s->in_node };
	struct mk_snapshot_source source = { .what = s->in_node, .read = mk_tar_reader_data };
	struct mk_tar_entry entry;
	int r = mk_container_get_stream(s->docker, s->container, s->in_node, &stream, err);

	if (r == 0)
		r = mk_tar_reader_open(mk_docker_read, stream, &options, &tar, err);
	if (r == 0)
		r = mk_tar_reader_next(tar, &entry, err);
	if (r < 0)
		return r;
	if (r == 0 || entry.type != MK_TAR_FILE)
		return mk_fail(err, MK_EINVALID, "'%s' in the node is not a file", s->in_node);
	source.payload = tar;
	source.size = entry.size;
	return copy_members(s, &source, err);
}

/* Of the first control plane, which has the registry, whether it runs or not. */
static int copy_registry(struct saving *s, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *tar = NULL;
	struct mk_tar_reader_options options = { .what = "the registry's data" };
	const char *first = mk_json_str(json_array_get(s->nodes, 0), "id", "");
	struct mk_tar_entry entry;
	int r = mk_container_get_stream(s->docker, first, REGISTRY_FOLDER, &stream, err);

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 0;
	}
	if (r == 0)
		r = mk_tar_reader_open(mk_docker_read, stream, &options, &tar, err);
	while (r >= 0 && (r = mk_tar_reader_next(tar, &entry, err)) == 1) {
		if (entry.type == MK_TAR_FILE && mk_snapshot_is_blob(entry.name))
			r = mk_snapshot_writer_add(
				s->writer, entry.name, entry.size, mk_tar_reader_data, tar, err);
	}
	return r < 0 ? mk_error_wrap(err, "copy the images of '%s'", s->cluster) : 0;
}

/* Keys lie in it. */
static void remove_in_node(struct saving *s)
{
	const char *argv[] = { "rm", "-f", s->in_node, NULL };
	mk_autobuf output = mk_buf_init(4096);
	mk_autoerror ignored = { .code = MK_OK };
	int status = -1;

	if (!s->container)
		return;
	mk_interrupt_shield(true);
	if (mk_container_exec(
		    s->docker, s->container, argv, CLEANUP_MS, &output, &status, &ignored) < 0)
		mk_trace("%s stays in the node: %s", s->in_node, ignored.message);
	mk_interrupt_shield(false);
}

/* One that the timer made: by its name, which leads nowhere else. */
static int find_in_node(struct saving *s, struct mk_error *err)
{
	const char *name = s->options->in_node;

	if (strchr(name, '/') || *name == '.')
		return mk_fail(err, MK_EUSAGE, "'%.100s' is no name of a snapshot", name);
	s->container = mk_json_str(json_array_get(s->nodes, 0), "id", "");
	s->in_node = mk_xasprintf(MK_SNAPSHOT_NODE_FOLDER "/%s%s", name,
		mk_has_suffix(name, MK_SNAPSHOT_SUFFIX) ? "" : MK_SNAPSHOT_SUFFIX);
	return 0;
}

static int fail_in_node(struct saving *s, int r, struct mk_error *err)
{
	if (r != -MK_ENOTFOUND || !s->options->in_node)
		return r;
	(void)mk_fail(err, MK_ENOTFOUND, "cluster '%s' has no snapshot '%s'", s->cluster,
		s->options->in_node);
	mk_error_hint(err, "`mkcluster snapshot list --name %s` lists those it has", s->cluster);
	return -MK_ENOTFOUND;
}

static int step_take(void *arg, char **ret_note, struct mk_error *err)
{
	struct saving *s = arg;

	(void)ret_note;
	return s->options->in_node ? find_in_node(s, err) : take(s, err);
}

static int step_write(void *arg, char **ret_note, struct mk_error *err)
{
	struct saving *s = arg;
	mk_autofree char *bytes = NULL;
	int r = copy_archive(s, err);

	if (r == 0 && s->options->images)
		r = copy_registry(s, err);
	if (r == 0)
		r = mk_snapshot_writer_finish(s->writer, &s->size, err);
	if (r < 0)
		return r;
	bytes = mk_format_bytes(s->size);
	*ret_note = mk_xasprintf(
		"%s, etcd revision %lld", bytes, mk_json_int(s->manifest, "etcd.revision", 0));
	return 0;
}

static const struct mk_run_step steps[] = {
	{ "Taking the snapshot", step_take, NULL },
	{ "Writing the archive", step_write, NULL },
};

int mk_cluster_snapshot_save(struct mk_docker *docker, const char *name,
	const struct mk_snapshot_save_options *options, struct mk_snapshot_saved *ret,
	struct mk_error *err)
{
	MK_CLEANUP(saving_done)
	struct saving s = { .docker = docker,
		.cluster = name,
		.options = options,
		.deadline = mk_deadline(options->timeout_ms) };
	mk_autofree char *path = final_path(options->path, name);
	mk_autojson *first = NULL;
	int r = mk_cluster_find(docker, name, &first, err);

	if (r == 0)
		r = mk_cluster_nodes(docker, name, &s.nodes, err);
	if (r == 0)
		r = mk_snapshot_writer_open(path, &s.writer, err);
	if (r == 0)
		r = mk_steps_run(steps, MK_ARRAY_LEN(steps), &s, &options->report, err);
	if (s.in_node && !options->in_node)
		remove_in_node(&s);
	if (r < 0)
		return fail_in_node(&s, r, err);
	*ret = (struct mk_snapshot_saved){
		.path = MK_TAKE(path), .size = s.size, .manifest = MK_TAKE(s.manifest)
	};
	return 0;
}

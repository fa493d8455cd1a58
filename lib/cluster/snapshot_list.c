/* SPDX-License-Identifier: Apache-2.0 */
/* `snapshot list`: in files, and in the nodes whose timer makes them. */
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/snapshot.h"
#include "lib/cluster/snapshot_archive.h"
#include "lib/cluster/snapshot_node.h"
#include "lib/docker/container.h"
#include "manifests/embed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_MS 60000

static json_int_t count_objects(const json_t *manifest)
{
	json_int_t sum = 0;
	const char *key;
	json_t *count;

	json_object_foreach (json_object_get(manifest, "objects"), key, count)
		sum += json_integer_value(count);
	return sum;
}

/* What is known of a snapshot; without a manifest, what is wrong with it. */
static json_t *entry_of(
	const char *name, uint64_t size, const json_t *manifest, const char *problem)
{
	json_t *entry = mk_json_pack("{s:s,s:I,s:b,s:s*}", "name", name, "size", (json_int_t)size,
		"ok", problem == NULL, "problem", problem);

	if (!manifest)
		return entry;
	(void)json_object_update_new(entry,
		mk_json_pack("{s:s,s:s,s:s,s:I,s:I,s:b}", "cluster",
			mk_json_str(manifest, "cluster", ""), "created",
			mk_json_str(manifest, "created", ""), "kubernetes",
			mk_json_str(manifest, "kubernetes", ""), "revision",
			(json_int_t)mk_json_int(manifest, "etcd.revision", 0), "objects",
			count_objects(manifest), "images",
			json_is_true(json_object_get(manifest, "images"))));
	return entry;
}

static void add(json_t *list, json_t *entry, const char *cluster)
{
	const char *whose = mk_json_str(entry, "cluster", NULL);

	/* Of one that cannot be read nobody knows whose it is. */
	if (!cluster || !whose || mk_streq(whose, cluster))
		(void)json_array_append_new(list, entry);
	else
		json_decref(entry);
}

/* A file that is none is an entry too, which says so; only an interrupt is a failure. */
static int list_file(const char *path, const char *cluster, json_t *list, struct mk_error *err)
{
	mk_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *slash = strrchr(path, '/');
	mk_autoerror problem = { .code = MK_OK };
	mk_autojson *manifest = NULL;
	struct mk_snapshot_fd file = { .size = 0 };
	json_t *entry;
	int r = fd < 0 ? mk_fail_errno(&problem, "open")
		       : mk_snapshot_fd_open(fd, "this file", &file, &problem);

	if (r == 0)
		r = mk_snapshot_glance(&file, &manifest, &problem);
	if (r == -MK_EINTR) {
		mk_error_move(err, &problem);
		return r;
	}
	entry = entry_of(
		slash ? slash + 1 : path, file.size, manifest, r < 0 ? problem.message : NULL);
	(void)json_object_set_new(entry, "path", json_string(path));
	add(list, entry, cluster);
	return 0;
}

static int list_folder(const char *path, const char *cluster, json_t *list, struct mk_error *err)
{
	mk_autostrlist names = { .items = NULL };
	DIR *folder = opendir(path);
	const struct dirent *item;
	int r = 0;

	if (!folder)
		return mk_fail_errno(err, "open folder %s", path);
	while ((item = readdir(folder)) != NULL) {
		if (item->d_name[0] != '.' && mk_has_suffix(item->d_name, MK_SNAPSHOT_SUFFIX))
			mk_strlist_add(&names, item->d_name);
	}
	(void)closedir(folder);
	mk_strlist_sort(&names);
	for (size_t i = 0; i < names.count && r == 0; i++) {
		mk_autofree char *file = mk_xasprintf("%s/%s", path, names.items[i]);

		r = list_file(file, cluster, list, err);
	}
	return r;
}

int mk_snapshot_list_files(
	const char *path, const char *cluster, json_t *list, struct mk_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOENT)
		return mk_fail(err, MK_ENOTFOUND, "no such file or folder: %s", path);
	if (stat(path, &st) < 0)
		return mk_fail_errno(err, "%s", path);
	return S_ISDIR(st.st_mode) ? list_folder(path, cluster, list, err)
				   : list_file(path, cluster, list, err);
}

/* "NAME SIZE good|bad {...}" */
static void add_line(json_t *list, const json_t *node, char *line)
{
	mk_autoerror problem = { .code = MK_OK };
	mk_autojson *manifest = NULL;
	mk_autostrlist words = { .items = NULL };
	char *text = strchr(line, '{');
	uint64_t size = 0;
	json_t *entry;

	if (!text)
		return;
	mk_strlist_split(&words, line, " ");
	if (words.count < 4 || !mk_parse_uint(words.items[1], 0, INT64_MAX, &size))
		return;
	if (mk_snapshot_manifest_parse(text, strlen(text), "this archive", &manifest, &problem) ==
			0 &&
		!mk_streq(words.items[2], "good"))
		(void)mk_fail(&problem, MK_EINVALID, "damaged");
	entry = entry_of(words.items[0], size, manifest, problem.message);
	(void)json_object_set_new(entry, "node", json_string(mk_json_str(node, "name", "")));
	if (!mk_json_str(entry, "cluster", NULL))
		(void)json_object_set_new(
			entry, "cluster", json_string(mk_json_str(node, "cluster", "")));
	(void)json_array_append_new(list, entry);
}

static void add_output(json_t *list, const json_t *node, const struct mk_exec_item *item)
{
	mk_autostrlist lines = { .items = NULL };

	if (item->error.code != MK_OK || item->status != 0) {
		mk_trace("%s: %s", mk_json_str(node, "name", "?"),
			item->error.message ? item->error.message : item->output.data);
		return;
	}
	mk_strlist_split(&lines, item->output.data, "\n");
	for (size_t i = 0; i < lines.count; i++)
		add_line(list, node, lines.items[i]);
}

/* The first control plane of each cluster that runs: borrowed from `nodes`, which is
 * sorted by cluster, control planes first. */
static size_t find_firsts(const json_t *nodes, const json_t **ret)
{
	const char *last = "";
	const json_t *node;
	size_t i, count = 0;

	json_array_foreach (nodes, i, node) {
		const char *cluster = mk_json_str(node, "cluster", "");
		bool is_new = !mk_streq(cluster, last);

		last = cluster;
		if (is_new && mk_streq(mk_json_str(node, "state", ""), "running"))
			ret[count++] = node;
	}
	return count;
}

int mk_snapshot_list_nodes(
	struct mk_docker *docker, const char *cluster, json_t *list, struct mk_error *err)
{
	const struct mk_embedded *script = mk_embedded_find("node/bin/snapshot-list");
	const char *argv[] = { "sh", "-c", script->data, "snapshot-list", MK_SNAPSHOT_NODE_FOLDER,
		NULL };
	mk_autojson *nodes = NULL;
	mk_autofree const json_t **firsts = NULL;
	mk_autofree struct mk_exec_item *items = NULL;
	size_t count;
	int r = mk_cluster_nodes(docker, cluster, &nodes, err);

	if (r < 0)
		return r;
	firsts = mk_xcalloc(json_array_size(nodes), sizeof(*firsts));
	count = find_firsts(nodes, firsts);
	items = mk_xcalloc(count, sizeof(*items));
	for (size_t i = 0; i < count; i++)
		items[i] = (struct mk_exec_item){ .id = mk_json_str(firsts[i], "id", ""),
			.argv = argv,
			.output = mk_buf_init(MK_MAX_EXEC_OUTPUT),
			.errors = mk_buf_init(4096) };
	r = mk_container_exec_each(docker, items, count, LIST_MS, err);
	for (size_t i = 0; i < count && r == 0; i++)
		add_output(list, firsts[i], &items[i]);
	mk_exec_items_done(items, count);
	return r;
}

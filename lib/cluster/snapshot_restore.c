/* SPDX-License-Identifier: Apache-2.0 */
/* `snapshot restore`: what is said by the archive, and whether it can be here. */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/existing.h"
#include "lib/cluster/snapshot_node.h"
#include "lib/docker/container.h"
#include "lib/docker/image.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define TIDY_MS 15000

void mk_snapshot_restored_done(struct mk_snapshot_restored *restored)
{
	free(restored->name);
	mk_create_result_done(&restored->created);
	json_decref(restored->manifest);
	mk_strlist_done(&restored->lost_images);
	mk_strlist_done(&restored->lost_pods);
	mk_strlist_done(&restored->lost_volumes);
	*restored = (struct mk_snapshot_restored){ .name = NULL };
}

int mk_snapshot_fail_script(const char *output, struct mk_error *err)
{
	const char *said = strstr(output, "Error: ");
	mk_autostrlist lines = { .items = NULL };

	if (said)
		return mk_fail(err, MK_EREMOTE, "%.*s", (int)strcspn(said, "\n"), said);
	mk_strlist_split(&lines, output, "\n");
	return mk_fail(err, MK_EREMOTE, "%.500s",
		lines.count > 0 ? lines.items[lines.count - 1] : "failed without a word");
}

int mk_restore_run(struct mk_docker *docker, const struct mk_plan *plan, const char *control_plane,
	const char *worker, int64_t timeout_ms, struct mk_error *err)
{
	size_t count = worker ? plan->kube_count : plan->control_planes;
	mk_autofree struct mk_exec_item *items = mk_xcalloc(count, sizeof(*items));
	const char *on_control_plane[] = { "sh", "-ec", control_plane, NULL };
	const char *on_worker[] = { "sh", "-ec", worker, NULL };
	int r;

	for (size_t i = 0; i < count; i++)
		items[i] = (struct mk_exec_item){ .id = plan->nodes[i].container,
			.argv = i < plan->control_planes ? on_control_plane : on_worker,
			.output = mk_buf_init(MK_MAX_EXEC_OUTPUT) };
	r = mk_container_exec_each(docker, items, count, timeout_ms, err);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (items[i].error.code != MK_OK) {
			mk_error_move(err, &items[i].error);
			r = mk_error_recode(err, MK_EREMOTE);
		} else if (items[i].status != 0) {
			r = mk_snapshot_fail_script(items[i].output.data, err);
		}
		if (r < 0)
			(void)mk_error_wrap(err, "node '%s'", plan->nodes[i].name);
	}
	mk_exec_items_done(items, count);
	return r;
}

void mk_restore_tidy(struct mk_docker *docker, const struct mk_plan *plan)
{
	mk_autoerror ignored = { .code = MK_OK };

	mk_interrupt_shield(true);
	if (mk_restore_run(
		    docker, plan, MK_SNAPSHOT_RESTORE_SCRIPT " done", NULL, TIDY_MS, &ignored) < 0)
		mk_trace("the snapshot stays in a node: %s", ignored.message);
	mk_interrupt_shield(false);
}

static const char *config_name(const struct mk_restore *restore)
{
	return mk_json_str(restore->snapshot.manifest, "cluster", "");
}

/* Nodes as they come, instead of those that are listed. */
static void set_counts(
	struct mk_cluster_spec *spec, const struct mk_snapshot_restore_options *options)
{
	if (options->control_planes < 0 && options->workers < 0)
		return;
	for (size_t i = 0; i < spec->node_count; i++)
		mk_node_spec_done(&spec->nodes[i]);
	free(MK_TAKE(spec->nodes));
	spec->node_count = 0;
	if (options->control_planes >= 0)
		spec->control_planes = options->control_planes;
	if (options->workers >= 0)
		spec->workers = options->workers;
}

/* The cluster that it was may run on beside this one: none of its addresses, and of the
 * host's ports those that are free. */
static void set_name(struct mk_cluster_spec *spec, const char *name)
{
	if (!name || mk_streq(name, spec->name))
		return;
	free(spec->name);
	spec->name = mk_xstrdup(name);
	free(MK_TAKE(spec->node_subnet));
	spec->api_port = 0;
	for (size_t i = 0; i < spec->node_count; i++) {
		struct mk_node_spec *node = &spec->nodes[i];

		free(MK_TAKE(node->ip));
		for (size_t j = 0; j < node->port_count; j++)
			node->ports[j].host_port = 0;
	}
}

static int set_image(struct mk_restore *restore, struct mk_cluster_spec *spec, struct mk_error *err)
{
	const char *image = restore->options->image;
	mk_autojson *info = NULL;
	int r = 0;

	if (!image)
		r = mk_image_inspect(restore->docker, spec->image, &info, err);
	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		r = 0;
		image = MK_DEFAULT_IMAGE;
	}
	if (image) {
		free(spec->image);
		spec->image = mk_xstrdup(image);
	}
	return r;
}

/* An older API server does not know what a newer one has written. */
static int check_version(
	struct mk_restore *restore, const char *image, const char *whose, struct mk_error *err)
{
	const char *made = mk_json_str(restore->snapshot.manifest, "kubernetes", "");
	mk_autojson *info = NULL;
	const char *version;
	int r = mk_image_inspect(restore->docker, image, &info, err);

	/* The bring-up says it with a hint. */
	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 0;
	}
	if (r < 0)
		return r;
	version = json_string_value(
		json_object_get(mk_json_at(info, "Config.Labels"), "io.mkcluster.kubernetes"));
	if (!version || mk_snapshot_minor(made) <= mk_snapshot_minor(version))
		return 0;
	(void)mk_fail(err, MK_EHOST, "the snapshot is of Kubernetes %s, %s '%s' has %s", made,
		whose, image, version);
	mk_error_hint(err, "restore it with a node image of %s or later", made);
	return -MK_EHOST;
}

static int make_spec(struct mk_restore *restore, struct mk_cluster_spec *ret, struct mk_error *err)
{
	const struct mk_snapshot_restore_options *options = restore->options;
	const struct mk_buf *text = &restore->snapshot.files[MK_SNAPSHOT_CONFIG];
	int r = mk_cluster_spec_parse(ret, text->data, text->len, "config.yaml", err);

	/* None of the user's mistakes. */
	if (r == -MK_EUSAGE)
		r = mk_error_recode(err, MK_EINVALID);
	if (r < 0)
		return mk_error_wrap(err, "%s", options->path);
	set_counts(ret, options);
	set_name(ret, options->name ? options->name : config_name(restore));
	mk_cluster_spec_settle(ret);
	r = set_image(restore, ret, err);
	return r == 0 ? mk_cluster_spec_check(ret, err) : r;
}

static int open_archive(struct mk_restore *restore, int *ret_fd, struct mk_error *err)
{
	const char *path = restore->options->path;

	*ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*ret_fd < 0 && errno == ENOENT)
		return mk_fail(err, MK_ENOTFOUND, "no such file: %s", path);
	if (*ret_fd < 0)
		return mk_fail_errno(err, "open %s", path);
	return mk_snapshot_fd_open(*ret_fd, path, &restore->file, err);
}

/*
 * Who watched the state before waits for revisions that follow those he knows: the restored
 * ones must be beyond all that any state of the cluster has had, that of another restore
 * too. So they go by the clock, and faster than any cluster writes.
 */
#define REVISIONS_A_SECOND 10000
#define LEAST_BUMP 1000000000

static int64_t choose_bump(const json_t *manifest)
{
	int64_t bump = (int64_t)time(NULL) * REVISIONS_A_SECOND -
		mk_json_int(manifest, "etcd.revision", 0);

	return bump > LEAST_BUMP ? bump : LEAST_BUMP;
}

static int read_archive(struct mk_restore *restore, struct mk_error *err)
{
	const struct mk_create_report *report = &restore->options->create.report;
	int64_t start = mk_now_ms();
	mk_autofree char *note = NULL;
	mk_autofree char *bytes = mk_format_bytes(restore->file.size);
	int r;

	report->begin(report->payload, "Checking the archive");
	r = mk_snapshot_read(&restore->file, &restore->snapshot, err);
	if (r < 0)
		return r;
	restore->bump = choose_bump(restore->snapshot.manifest);
	note = mk_xasprintf("%s of '%s', %s", bytes, config_name(restore),
		mk_json_str(restore->snapshot.manifest, "created", ""));
	report->end(report->payload, "Checking the archive", mk_now_ms() - start, note);
	return 0;
}

/* Whether there is a cluster whose state is to be replaced: 1. */
static int find_existing(struct mk_restore *restore, const char *name, struct mk_error *err)
{
	mk_autojson *first = NULL;
	mk_autojson *nodes = NULL;
	int r = mk_cluster_nodes(restore->docker, name, &nodes, err);

	if (r < 0 || json_array_size(nodes) == 0)
		return r;
	if (!restore->options->replace) {
		(void)mk_fail(err, MK_EEXISTS, "a cluster '%s' exists already", name);
		mk_error_hint(err,
			"--name gives the restored one another name; --replace puts the "
			"snapshot's state in the place of all that '%s' has now",
			name);
		return -MK_EEXISTS;
	}
	if (restore->options->control_planes >= 0 || restore->options->workers >= 0 ||
		restore->options->image)
		return mk_fail(err, MK_EUSAGE,
			"--replace keeps the nodes of '%s': no --control-planes, --workers or "
			"--image",
			name);
	r = mk_cluster_find(restore->docker, name, &first, err);
	if (r == 0)
		r = check_version(
			restore, mk_json_str(first, "image", ""), "the nodes' image", err);
	return r == 0 ? 1 : r;
}

/* What was loaded into the registry, and is not in the archive. */
static void note_images(struct mk_restore *restore)
{
	const json_t *images = json_object_get(restore->snapshot.manifest, "loadedImages");
	const json_t *image;
	size_t i;

	if (json_is_true(json_object_get(restore->snapshot.manifest, "images")))
		return;
	json_array_foreach (images, i, image)
		mk_strlist_add(&restore->result->lost_images, json_string_value(image));
}

static int run(struct mk_restore *restore, struct mk_error *err)
{
	const struct mk_snapshot_restore_options *options = restore->options;
	const char *name = options->name ? options->name : config_name(restore);
	const json_t *bare = json_object_get(restore->snapshot.manifest, "barePods");
	mk_autospec spec = mk_cluster_spec_init();
	const json_t *pod;
	size_t i;
	int r = find_existing(restore, name, err);

	if (r < 0)
		return r;
	restore->result->name = mk_xstrdup(name);
	restore->result->replaced = r == 1;
	json_array_foreach (bare, i, pod)
		mk_strlist_add(&restore->result->lost_pods, json_string_value(pod));
	if (r == 1)
		return mk_restore_replace(restore, name, err);
	note_images(restore);
	r = make_spec(restore, &spec, err);
	if (r == 0)
		r = check_version(restore, spec.image, "image", err);
	return r == 0 ? mk_restore_new(restore, &spec, err) : r;
}

int mk_cluster_snapshot_restore(struct mk_docker *docker,
	const struct mk_snapshot_restore_options *options, struct mk_snapshot_restored *ret,
	struct mk_error *err)
{
	struct mk_restore restore = { .options = options, .docker = docker, .result = ret };
	mk_autoclose int fd = -1;
	int r = open_archive(&restore, &fd, err);

	if (r == 0)
		r = read_archive(&restore, err);
	if (r == 0)
		r = run(&restore, err);
	if (r == 0)
		ret->manifest = json_incref(restore.snapshot.manifest);
	mk_snapshot_done(&restore.snapshot);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster snapshot save|list|restore */
#include "lib/cluster/snapshot.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"

#include <stdio.h>

struct options {
	const char *name;
	const char *from_node;
	const char *image;
	const char *kubeconfig;
	int64_t control_planes, workers;
	int64_t timeout_ms;
	bool images;
	bool replace;
	bool retain;
	bool switch_context;
	int output;
};

static void init(void *o)
{
	*(struct options *)o = (struct options){ .control_planes = -1,
		.workers = -1,
		.images = true,
		.switch_context = true,
		.timeout_ms = 600000 };
}

#define TIMEOUT_OPTION                                                                             \
	{                                                                                          \
		.name = "timeout", .kind = MK_OPTION_SECONDS, .value = "TIME",                     \
		.offset = offsetof(struct options, timeout_ms), .help = "give up after (10m)"      \
	}

static const struct mk_option save_options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	{ .name = "no-images",
		.kind = MK_OPTION_OFF,
		.offset = offsetof(struct options, images),
		.help = "leave out what is in the cluster's registry" },
	{ .name = "from-node",
		.kind = MK_OPTION_STRING,
		.value = "SNAPSHOT",
		.offset = offsetof(struct options, from_node),
		.help = "fetch one that the cluster has made by its schedule" },
	TIMEOUT_OPTION,
};

static int save(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	const char *name = o->name ? o->name : MK_DEFAULT_NAME;
	struct mk_snapshot_save_options options = {
		.path = arguments->count ? arguments->items[0] : NULL,
		.in_node = o->from_node,
		.images = o->images && !o->from_node,
		.timeout_ms = o->timeout_ms,
		.report = mk_progress_report(&progress),
	};
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autosaved saved = { .path = NULL };
	int r = mk_cluster_name_check(name, err);

	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = mk_cluster_snapshot_save(docker, name, &options, &saved, err);
	mk_progress_close(&progress);
	if (r < 0)
		return r;
	mk_progress_say(&progress,
		"\nIt holds the keys of the cluster's CAs, and its secrets with the keys that "
		"open them:\nwhoever reads it owns the cluster. What is in volumes is not in it.");
	(void)printf("%s\n", saved.path);
	return 0;
}

static const struct mk_option list_options[] = {
	MK_NAME_OPTION(struct options, "only of this cluster"),
	MK_OUTPUT_OPTION(struct options),
};

static void print_list(const json_t *list)
{
	const json_t *item;
	size_t i;

	(void)printf("%-36s %-16s %-21s %-9s %-9s %-8s %-7s %s\n", "NAME", "CLUSTER", "CREATED",
		"SIZE", "REVISION", "OBJECTS", "IMAGES", "STATE");
	json_array_foreach (list, i, item) {
		mk_autofree char *size = mk_format_bytes((uint64_t)mk_json_int(item, "size", 0));
		const char *node = mk_json_str(item, "node", NULL);

		(void)printf("%-36s %-16s %-21s %-9s %-9lld %-8lld %-7s %s%s%s\n",
			mk_json_str(item, "name", ""), mk_json_str(item, "cluster", "?"),
			mk_json_str(item, "created", "?"), size, mk_json_int(item, "revision", 0),
			mk_json_int(item, "objects", 0),
			json_is_true(json_object_get(item, "images")) ? "yes" : "no",
			mk_json_str(item, "problem", "good"), node ? ", in " : "",
			node ? node : "");
	}
}

static int list(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autojson *found = json_array();
	/* Who names a place wants to know what is there. */
	bool nodes = arguments->count == 0;
	int r = o->name ? mk_cluster_name_check(o->name, err) : 0;

	(void)context;
	if (r == 0)
		r = mk_snapshot_list_files(nodes ? "." : arguments->items[0], o->name, found, err);
	if (r == 0 && nodes)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0 && nodes)
		r = mk_snapshot_list_nodes(docker, o->name, found, err);
	/* Without an engine there are no nodes, and the files are worth as much. */
	if (r == -MK_EHOST && !docker) {
		mk_error_done(err);
		r = 0;
	}
	if (r < 0)
		return r;
	if (o->output == MK_OUTPUT_JSON)
		mk_print_json(found);
	else
		print_list(found);
	return 0;
}

static const struct mk_option restore_options[] = {
	MK_NAME_OPTION(struct options, "the restored cluster's name (the snapshot's)"),
	{ .name = "replace",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, replace),
		.help = "put the state in the place of a running cluster's" },
	{ .name = "image",
		.kind = MK_OPTION_STRING,
		.value = "IMAGE",
		.offset = offsetof(struct options, image),
		.help = "node image (the snapshot's, if it is there)" },
	{ .name = "control-planes",
		.kind = MK_OPTION_NUMBER,
		.value = "N",
		.offset = offsetof(struct options, control_planes),
		.help = "number of control planes, odd (the snapshot's)" },
	{ .name = "workers",
		.letter = 'w',
		.kind = MK_OPTION_NUMBER,
		.value = "N",
		.offset = offsetof(struct options, workers),
		.help = "number of workers (the snapshot's)" },
	{ .name = "kubeconfig",
		.kind = MK_OPTION_STRING,
		.value = "FILE",
		.offset = offsetof(struct options, kubeconfig),
		.help = "merge into this file ($KUBECONFIG, ~/.kube/config)" },
	{ .name = "no-switch-context",
		.kind = MK_OPTION_OFF,
		.offset = offsetof(struct options, switch_context),
		.help = "leave the current context as it is" },
	TIMEOUT_OPTION,
	{ .name = "retain",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, retain),
		.help = "keep what was made when it fails" },
};

static void say_list(struct mk_progress *p, const char *title, const struct mk_strlist *items)
{
	if (items->count > 0)
		mk_progress_say(p, "  %s", title);
	for (size_t i = 0; i < items->count; i++)
		mk_progress_say(p, "    %s", items->items[i]);
}

static void print_restored(
	struct mk_progress *p, const struct mk_snapshot_restored *restored, int64_t ms)
{
	mk_autofree char *time = mk_format_duration(ms);

	mk_progress_say(p, "\nCluster '%s' has the state of %s again after %s.", restored->name,
		mk_json_str(restored->manifest, "created", "?"), time);
	if (!restored->replaced) {
		mk_progress_say(p, "  Kubernetes  %s   (kubectl --context %s)",
			restored->created.api_url, restored->created.context);
		if (restored->created.gateway_url)
			mk_progress_say(p, "  OpenFaaS    %s", restored->created.gateway_url);
		mk_progress_say(p, "  Registry    %s", restored->created.registry);
	}
	say_list(p, "volumes whose data is not in a snapshot:", &restored->lost_volumes);
	say_list(p,
		"images that were in the registry and are not in this snapshot (`mkcluster load`):",
		&restored->lost_images);
	say_list(p, "pods that no controller makes again:", &restored->lost_pods);
}

static int restore(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	struct mk_snapshot_restore_options options = {
		.path = arguments->items[0],
		.name = o->name,
		.image = o->image,
		.control_planes = o->control_planes,
		.workers = o->workers,
		.replace = o->replace,
		.create = { .kubeconfig = o->kubeconfig,
			.switch_context = o->switch_context,
			.retain = o->retain,
			.timeout_ms = o->timeout_ms,
			.report = mk_progress_report(&progress) },
	};
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autorestored restored = { .name = NULL };
	int64_t start = mk_now_ms();
	int r = o->name ? mk_cluster_name_check(o->name, err) : 0;

	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = mk_cluster_snapshot_restore(docker, &options, &restored, err);
	mk_progress_close(&progress);
	if (r == 0)
		print_restored(&progress, &restored, mk_now_ms() - start);
	return r;
}

const struct mk_command mk_command_snapshot_save = {
	.path = "snapshot save",
	.arguments = "[FILE]",
	.max_arguments = 1,
	.summary = "write a cluster's state to a file",
	.about =
		"Prints the file's name: FILE, or NAME-TIME.mkcluster in that folder or the present\n"
		"one. In it are etcd's data, the cluster's CAs with their keys, the keys that secrets\n"
		"are encrypted with, the config, and the images of the cluster's registry. Whoever\n"
		"reads it owns the cluster; its mode is 0600. What is in volumes is not in it.\n",
	.examples = "  mkcluster snapshot save\n"
		    "  mkcluster snapshot save --name dev /backup/dev.mkcluster\n"
		    "  mkcluster snapshot save --from-node dev-20260102T060000Z\n",
	.options = save_options,
	.option_count = MK_ARRAY_LEN(save_options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = save,
};

const struct mk_command mk_command_snapshot_list = {
	.path = "snapshot list",
	.arguments = "[FILE|FOLDER]",
	.max_arguments = 1,
	.summary = "list snapshots, and whether they are good",
	.about =
		"Of the present folder and of the nodes that make them by schedule, or of FILE or\n"
		"FOLDER alone. Every byte of each is read and compared with its digest.\n",
	.examples = "  mkcluster snapshot list\n"
		    "  mkcluster snapshot list /backup --output json\n",
	.options = list_options,
	.option_count = MK_ARRAY_LEN(list_options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = list,
};

const struct mk_command mk_command_snapshot_restore = {
	.path = "snapshot restore",
	.arguments = "FILE",
	.min_arguments = 1,
	.max_arguments = 1,
	.summary = "make a cluster of a snapshot",
	.about =
		"A new cluster, with the snapshot's CAs, config, objects and images, and with nodes,\n"
		"certificates and pods of its own; host ports are chosen anew unless it has the old\n"
		"name. With --replace the cluster of the name has all its state replaced instead:\n"
		"whatever came since the snapshot is gone, all pods are made anew. What etcd had is\n"
		"kept until the API answers from the snapshot, and put back if it does not.\n"
		"Restore only what you trust: a snapshot brings everything that runs in it.\n",
	.examples = "  mkcluster snapshot restore dev.mkcluster\n"
		    "  mkcluster snapshot restore dev.mkcluster --name copy --workers 2\n"
		    "  mkcluster snapshot restore dev.mkcluster --replace\n",
	.options = restore_options,
	.option_count = MK_ARRAY_LEN(restore_options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = restore,
};

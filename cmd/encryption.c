/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster encryption status|rotate */
#include "lib/cluster/encryption.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"

#include <stdio.h>

struct options {
	const char *name;
	int output;
	bool restart;
	int64_t timeout_ms;
};

static const struct mk_option status_options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	MK_OUTPUT_OPTION(struct options),
};

static const struct mk_option rotate_options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	{ .name = "restart",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, restart),
		.help = "the API servers, instead of waiting for them" },
	{ .name = "timeout",
		.kind = MK_OPTION_SECONDS,
		.value = "TIME",
		.offset = offsetof(struct options, timeout_ms),
		.help = "give up after (15m)" },
};

static void init(void *o)
{
	*(struct options *)o = (struct options){ .name = MK_DEFAULT_NAME, .timeout_ms = 900000 };
}

static const char *const states[] = {
	[MK_PLANE_STOPPED] = "stopped",
	[MK_PLANE_BEHIND] = "behind",
	[MK_PLANE_CURRENT] = "current",
};

/* What `rotate` would do now. */
static const char *const next_steps[] = {
	[MK_REKEY_NONE] = "begin with a new key",
	[MK_REKEY_ADD] = "add it to all control planes",
	[MK_REKEY_PROMOTE] = "let all API servers encrypt with it",
	[MK_REKEY_DROP] = "write anew what is stored, then drop the others",
};

static json_t *list_json(const struct mk_strlist *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		(void)json_array_append_new(array, json_string(list->items[i]));
	return array;
}

static json_t *planes_json(const struct mk_encryption_status *status)
{
	json_t *planes = json_array();

	for (size_t i = 0; i < status->plane_count; i++) {
		const struct mk_encryption_plane *plane = &status->planes[i];

		(void)json_array_append_new(planes,
			mk_json_pack("{s:s,s:o,s:s}", "name", plane->node, "keys",
				list_json(&plane->keys), "apiServer", states[plane->state]));
	}
	return planes;
}

static json_t *counts_json(const struct mk_encryption_status *status)
{
	json_t *counts = json_array();

	for (size_t i = 0; i < status->counts.count; i++) {
		const struct mk_encryption_count *count = &status->counts.items[i];

		(void)json_array_append_new(counts,
			mk_json_pack("{s:s?,s:b,s:I,s:I}", "key", count->key, "encrypted",
				count->key != NULL, "secrets", (json_int_t)count->secrets, "others",
				(json_int_t)count->others));
	}
	return counts;
}

static void print_json(const char *cluster, const struct mk_encryption_status *status)
{
	bool under_way = status->stage != MK_REKEY_NONE;
	mk_autojson *value = mk_json_pack("{s:s,s:s,s:o,s:b,s:o,s:o,s:{s:b,s:s?,s:s,s:s}}",
		"cluster", cluster, "provider", "secretbox", "resources",
		list_json(&status->resources), "agree", status->agree, "controlPlanes",
		planes_json(status), "stored", counts_json(status), "rotation", "underWay",
		under_way, "key", status->key, "stage", mk_rekey_stage_name(status->stage), "next",
		next_steps[status->stage]);

	mk_print_json(value);
}

static void print_planes(const struct mk_encryption_status *status)
{
	static const char *const words[] = {
		[MK_PLANE_STOPPED] = "does not run",
		[MK_PLANE_BEHIND] = "works with an earlier file",
		[MK_PLANE_CURRENT] = "has them",
	};

	(void)printf("%-32s %-20s %s\n", "CONTROL-PLANE", "KEYS", "API-SERVER");
	for (size_t i = 0; i < status->plane_count; i++) {
		const struct mk_encryption_plane *plane = &status->planes[i];
		mk_autofree char *keys = mk_strlist_join(&plane->keys, ", ");

		(void)printf("%-32s %-20s %s\n", plane->node, keys, words[plane->state]);
	}
}

static void print_counts(const struct mk_encryption_status *status)
{
	(void)printf("\n%-32s %-20s %s\n", "IN-ETCD", "SECRETS", "OTHERS");
	for (size_t i = 0; i < status->counts.count; i++) {
		const struct mk_encryption_count *count = &status->counts.items[i];

		(void)printf("%-32s %-20zu %zu\n", count->key ? count->key : "NOT ENCRYPTED",
			count->secrets, count->others);
	}
}

static void print_text(const struct mk_encryption_status *status)
{
	mk_autofree char *resources = mk_strlist_join(&status->resources, ", ");

	(void)printf("secretbox encrypts %s\n\n", resources);
	print_planes(status);
	print_counts(status);
	if (!status->agree)
		(void)printf("\nThe control planes do not have the same.\n");
	if (status->key && status->stage != MK_REKEY_NONE)
		(void)printf("\nA rotation to %s is under way; `mkcluster encryption rotate` goes "
			     "on:\n%s.\n",
			status->key, next_steps[status->stage]);
}

static int show_status(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autoencryptionstatus status = { .agree = false };
	int r = mk_cluster_name_check(o->name, err);

	(void)context;
	(void)arguments;
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = mk_cluster_encryption_status(docker, o->name, &status, err);
	if (r < 0)
		return r;
	if (o->output == MK_OUTPUT_JSON)
		print_json(o->name, &status);
	else
		print_text(&status);
	return 0;
}

static int rotate(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	const struct mk_encryption_rotate_options options = {
		.restart = o->restart,
		.timeout_ms = o->timeout_ms,
		.report = mk_progress_report(&progress),
	};
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	int64_t start = mk_now_ms();
	mk_autofree char *key = NULL, *time = NULL;
	int r = mk_cluster_name_check(o->name, err);

	(void)arguments;
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = mk_cluster_encryption_rotate(docker, o->name, &options, &key, err);
	mk_progress_close(&progress);
	if (r < 0)
		return r;
	time = mk_format_duration(mk_now_ms() - start);
	mk_progress_say(&progress, "\nCluster '%s' has %s alone after %s.", o->name, key, time);
	return 0;
}

const struct mk_command mk_command_encryption_status = {
	.path = "encryption status",
	.summary = "show what etcd's Secrets are encrypted with",
	.about =
		"The names of the keys that each control plane has (the first encrypts, all decrypt),\n"
		"whether its API server works with them, and how much lies under which key in etcd.\n"
		"Keys themselves are never printed.\n",
	.examples = "  mkcluster encryption status\n"
		    "  mkcluster encryption status --name dev --output json\n",
	.options = status_options,
	.option_count = MK_ARRAY_LEN(status_options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = show_status,
};

const struct mk_command mk_command_encryption_rotate = {
	.path = "encryption rotate",
	.summary = "encrypt etcd's Secrets with a new key",
	.about =
		"Adds a new key everywhere, encrypts with it, writes anew what is stored, looks into\n"
		"etcd, and drops the old key. API servers look at their keys once a minute, and each\n"
		"stage waits for all of them: two to three minutes in which they answer all along.\n"
		"--restart restarts them one after another instead, which takes seconds.\n"
		"A rotation that was broken off, in whatever way, goes on with the same command.\n",
	.examples = "  mkcluster encryption rotate\n"
		    "  mkcluster encryption rotate --name dev --restart\n",
	.options = rotate_options,
	.option_count = MK_ARRAY_LEN(rotate_options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = rotate,
};

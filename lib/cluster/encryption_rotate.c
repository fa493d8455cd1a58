/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new key in the place of the old. Where a run is stands in the files of the control
 * planes (pki/rekey.h); here each stage is brought about: files written to all of them,
 * then every API server waited for, by what it says itself, before the next.
 */
#include "lib/base/clock.h"
#include "lib/cluster/encryption_private.h"
#include "lib/cluster/etcd.h"
#include "lib/cluster/existing.h"
#include "lib/cluster/node_change.h"
#include "lib/cluster/step_run.h"
#include "pki/table.h"

#define CHANGE_MS 60000

#define RESTART "systemctl restart kube-apiserver.service"

/* One run. The arrays are of the control planes, in the plan's order. */
struct rotation {
	const struct mk_encryption_rotate_options *options;
	struct mk_bringup b;
	struct mk_cluster_spec spec;
	struct mk_kube_lock lock;
	size_t count;
	const char **names;
	struct mk_encryption_server *servers;
	struct mk_buf *texts;          /* the files as they are */
	struct mk_encryption *configs; /* as they are to be */
};

static void rotation_done(struct rotation *run)
{
	for (size_t i = 0; i < run->count; i++) {
		mk_buf_wipe(&run->texts[i]);
		mk_encryption_done(&run->configs[i]);
	}
	free(run->names);
	free(run->servers);
	free(run->texts);
	free(run->configs);
	mk_kube_unlock(&run->lock);
	mk_bringup_done(&run->b);
	mk_cluster_spec_done(&run->spec);
}

/* The keys have to come to every API server, and none may run with others. */
static int check_running(const struct rotation *run, struct mk_error *err)
{
	for (size_t i = 0; i < run->b.plan.control_planes; i++) {
		const struct mk_node_plan *node = &run->b.plan.nodes[i];

		if (!node->running)
			return mk_existing_fail_stopped(&run->b, node, "", err);
	}
	return 0;
}

static int read_files(struct rotation *run, struct mk_error *err)
{
	size_t count = run->b.plan.control_planes;

	run->names = mk_xcalloc(count, sizeof(*run->names));
	run->servers = mk_xcalloc(count, sizeof(*run->servers));
	run->texts = mk_xcalloc(count, sizeof(*run->texts));
	run->configs = mk_xcalloc(count, sizeof(*run->configs));
	run->count = count;
	for (size_t i = 0; i < count; i++) {
		const struct mk_node_plan *node = &run->b.plan.nodes[i];
		int r;

		run->names[i] = node->name;
		run->servers[i] = (struct mk_encryption_server){ .node = node->name,
			.container = node->container };
		run->texts[i] = mk_buf_init(MK_MAX_ENCRYPTION_CONFIG);
		r = mk_encryption_read(run->b.docker, node->name, node->container, &run->texts[i],
			&run->configs[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* An API server of before mkcluster told them to reload takes files at its start alone. */
static int check_reload(const struct rotation *run, struct mk_error *err)
{
	for (size_t i = 0; i < run->count && !run->options->restart; i++) {
		if (run->servers[i].reloads)
			continue;
		(void)mk_fail(err, MK_EREMOTE,
			"node '%s': its API server does not look at its file again", run->names[i]);
		mk_error_hint(err, "--restart restarts the API servers, one after another");
		return -MK_EREMOTE;
	}
	return 0;
}

static int wait_all(struct rotation *run, struct mk_error *err)
{
	return mk_encryption_wait(run->b.docker, run->servers, run->count, run->b.deadline, err);
}

/* A run that was killed has left files that not every API server has taken: with them the
 * next stage would begin too early. */
static int settle(struct rotation *run, struct mk_error *err)
{
	mk_autochanges changes = mk_node_changes_init(&run->b.plan);
	int r = 0;

	for (size_t i = 0; i < run->count && run->options->restart; i++) {
		if (!run->servers[i].current)
			mk_node_change_do(
				mk_node_changes_add(&changes, &run->b.plan.nodes[i]), RESTART);
	}
	if (changes.count > 0)
		r = mk_control_planes_run(run->b.docker, &changes, CHANGE_MS, err);
	return r == 0 ? wait_all(run, err) : r;
}

static int step_look(void *arg, char **ret_note, struct mk_error *err)
{
	struct rotation *run = arg;
	const struct mk_encryption_key *key = NULL;
	enum mk_rekey_stage stage;
	int r = check_running(run, err);

	if (r == 0)
		r = read_files(run, err);
	if (r == 0)
		r = mk_rekey_find(run->configs, run->names, run->count, &stage, &key, err);
	if (r == 0)
		r = mk_encryption_ask(run->b.docker, run->servers, run->count, err);
	if (r == 0)
		r = check_reload(run, err);
	if (r == 0)
		r = settle(run, err);
	if (r == 0)
		*ret_note = mk_xasprintf(
			"%zu control plane%s", run->count, run->count == 1 ? "" : "s");
	return r;
}

/* Add the change of one control plane, if its file is to be another. */
static int add_change(struct rotation *run, size_t i, struct mk_node_changes *changes,
	struct mk_buf *text, struct mk_error *err)
{
	struct mk_node_change *change;
	int r = mk_encryption_print(&run->configs[i], text, err);

	if (r < 0 || mk_streq(text->data, run->texts[i].data))
		return r;
	change = mk_node_changes_add(changes, &run->b.plan.nodes[i]);
	mk_node_change_file(change, MK_PKI_ENCRYPTION_PATH, 0600, text->data, text->len);
	if (run->options->restart)
		mk_node_change_do(change, RESTART);
	return 0;
}

static int send(struct rotation *run, struct mk_node_changes *changes, struct mk_error *err)
{
	int r = mk_node_changes_send(run->b.docker, changes, err);

	if (r < 0)
		return r;
	return run->options->restart ? mk_control_planes_run(run->b.docker, changes, CHANGE_MS, err)
				     : mk_node_changes_run(run->b.docker, changes, CHANGE_MS, err);
}

/* Write the files, and wait until every API server works with them. */
static int put(struct rotation *run, struct mk_error *err)
{
	mk_autochanges changes = mk_node_changes_init(&run->b.plan);
	int r = 0;

	for (size_t i = 0; i < run->count && r == 0; i++) {
		mk_autowipebuf text = mk_buf_init(MK_MAX_ENCRYPTION_CONFIG);

		r = add_change(run, i, &changes, &text, err);
		if (r < 0)
			return r;
		mk_buf_wipe(&run->texts[i]);
		run->texts[i] = text;
		text = mk_buf_init(0);
	}
	r = send(run, &changes, err);
	return r == 0 ? wait_all(run, err) : r;
}

/* Whether all that is encrypted lies under the key, and every Secret is encrypted. */
static int check_stored(
	const struct mk_encryption_counts *counts, const char *key, struct mk_error *err)
{
	for (size_t i = 0; i < counts->count; i++) {
		const struct mk_encryption_count *item = &counts->items[i];

		if (item->key && mk_streq(item->key, key))
			continue;
		(void)mk_fail(err, MK_EREMOTE, "%zu objects in etcd are %s%s, such as %.200s",
			item->secrets + item->others, item->key ? "still under " : "not encrypted",
			item->key ? item->key : "", item->example);
		mk_error_hint(err,
			"is it among the resources of " MK_PKI_ENCRYPTION_PATH "? The keys stay as "
			"they are");
		return -MK_EREMOTE;
	}
	return 0;
}

static int step_rewrite(void *arg, char **ret_note, struct mk_error *err)
{
	struct rotation *run = arg;
	size_t count = 0;
	int r = mk_encryption_rewrite(
		run->b.kube, &run->configs[0].resources, run->b.deadline, &count, err);

	if (r == 0)
		*ret_note = mk_xasprintf("%zu objects", count);
	return r;
}

/*
 * Old values as well: an API server that has lost its watch would read them from etcd's
 * history. One that asks for what is compacted begins anew.
 */
static int step_check(void *arg, char **ret_note, struct mk_error *err)
{
	struct rotation *run = arg;
	const char *first = run->b.plan.nodes[0].container;
	const char *key = run->configs[0].keys[0].name;
	MK_CLEANUP(mk_encryption_counts_done) struct mk_encryption_counts counts = { 0 };
	int64_t revision = 0;
	int r = mk_encryption_count_values(
		run->b.docker, first, run->b.deadline, &counts, &revision, err);

	if (r == 0)
		r = check_stored(&counts, key, err);
	if (r == 0)
		r = mk_etcd_compact(run->b.docker, first, revision, err);
	if (r == 0)
		*ret_note = mk_xasprintf("nothing under another key than %s", key);
	return r;
}

static int step_put(void *arg, char **ret_note, struct mk_error *err)
{
	struct rotation *run = arg;
	(void)ret_note;
	return put(run, err);
}

/* The names of the keys that go, of all control planes. Caller frees. */
static char *old_keys(const struct rotation *run, const char *key)
{
	mk_autostrlist names = { .items = NULL };

	for (size_t i = 0; i < run->count; i++) {
		for (size_t k = 0; k < run->configs[i].key_count; k++) {
			const char *name = run->configs[i].keys[k].name;

			if (!mk_streq(name, key) && !mk_strlist_has(&names, name))
				mk_strlist_add(&names, name);
		}
	}
	return mk_strlist_join(&names, ", ");
}

static int run_step(struct rotation *run, const char *title,
	int (*step)(void *arg, char **ret_note, struct mk_error *err), struct mk_error *err)
{
	const struct mk_run_step one = { .title = title, .run = step };

	return mk_steps_run(&one, 1, run, &run->options->report, err);
}

static int run_stage(
	struct rotation *run, enum mk_rekey_stage stage, const char *key, struct mk_error *err)
{
	mk_autofree char *old = old_keys(run, key);
	mk_autofree char *title = NULL;
	int r = 0;

	if (stage == MK_REKEY_ADD)
		title = mk_xasprintf("Adding %s", key);
	else if (stage == MK_REKEY_PROMOTE)
		title = mk_xasprintf("Encrypting with %s", key);
	else
		title = mk_xasprintf("Dropping %s", old);
	if (stage == MK_REKEY_DROP)
		r = run_step(run, "Writing what is stored anew", step_rewrite, err);
	if (r == 0 && stage == MK_REKEY_DROP)
		r = run_step(run, "Checking etcd", step_check, err);
	if (r < 0)
		return r;
	mk_rekey_step(run->configs, run->count, stage, key);
	return run_step(run, title, step_put, err);
}

/* From the stage that the files say to the end. */
static int run_stages(struct rotation *run, char **ret_key, struct mk_error *err)
{
	const struct mk_encryption_key *key = NULL;
	enum mk_rekey_stage stage;
	bool fresh = true;

	for (;;) {
		mk_autofree char *name = NULL;
		int r = mk_rekey_find(run->configs, run->names, run->count, &stage, &key, err);

		if (r < 0)
			return r;
		if (stage == MK_REKEY_NONE && !fresh) {
			*ret_key = mk_xstrdup(key->name);
			return 0;
		}
		name = stage == MK_REKEY_NONE ? mk_rekey_new_name(run->configs, run->count)
					      : mk_xstrdup(key->name);
		/* In one file, and not written yet. A single API server has no other to wait
		 * for and goes on to encrypt with it at once. */
		if (stage == MK_REKEY_NONE)
			r = mk_encryption_add_new(&run->configs[0], name, err);
		else
			r = run_stage(run, stage, name, err);
		if (r < 0)
			return r;
		fresh = false;
	}
}

int mk_cluster_encryption_rotate(struct mk_docker *docker, const char *cluster,
	const struct mk_encryption_rotate_options *options, char **ret_key, struct mk_error *err)
{
	MK_CLEANUP(rotation_done)
	struct rotation run = {
		.options = options,
		.spec = mk_cluster_spec_init(),
		.b = { .docker = docker, .deadline = mk_deadline(options->timeout_ms) },
	};
	int r = mk_existing_open(&run.b, &run.spec, cluster, options->timeout_ms, &run.lock, err);

	if (r < 0)
		return r;
	r = run_step(&run, "Looking at the API servers", step_look, err);
	if (r < 0)
		return r;
	r = run_stages(&run, ret_key, err);
	if (r < 0)
		mk_error_hint(err,
			"everything can be read; `mkcluster encryption rotate --name %s` goes on, "
			"`encryption status` says where",
			cluster);
	return r;
}

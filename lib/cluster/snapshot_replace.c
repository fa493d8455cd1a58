/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a snapshot in the place of that which a cluster has. Its API need not
 * answer: a broken etcd is a reason to be here. What etcd had is put aside in each
 * control plane until the API answers from the snapshot and the nodes are Ready, and is
 * put back if that does not come to be. Nodes, certificates and ports stay.
 */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/existing.h"
#include "lib/cluster/snapshot_node.h"
#include "lib/cluster/step_run.h"
#include "lib/cluster/undo.h"
#include "lib/docker/container.h"
#include "lib/kube/watch.h"

#include <time.h>

/* What the way back may take, and what tidying up. */
#define BACK_MS 120000
#define TIDY_MS 15000

struct replacing {
	struct mk_restore *restore;
	struct mk_bringup b;
	struct mk_cluster_spec spec;
	struct mk_kube_lock lock;
	bool sent, switched; /* what is in the nodes, perhaps in a part of them */
};

static void replacing_done(struct replacing *p)
{
	mk_kube_unlock(&p->lock);
	mk_bringup_done(&p->b);
	mk_cluster_spec_done(&p->spec);
}

static int check_nodes(const struct replacing *p, struct mk_error *err)
{
	for (size_t i = 0; i < p->b.plan.kube_count; i++) {
		const struct mk_node_plan *node = &p->b.plan.nodes[i];

		if (node->running)
			continue;
		(void)mk_fail(err, MK_EHOST, "node '%s' does not run", node->name);
		mk_error_hint(err, "`mkcluster start --name %s` first", p->spec.name);
		return -MK_EHOST;
	}
	return 0;
}

/* With other CAs nobody in the cluster could talk to anybody. */
static int check_authorities(struct replacing *p, struct mk_error *err)
{
	static const enum mk_snapshot_file same[] = { MK_SNAPSHOT_PKI, MK_SNAPSHOT_PKI + 2,
		MK_SNAPSHOT_PKI + 4, MK_SNAPSHOT_PKI + 6 };

	for (size_t i = 0; i < MK_ARRAY_LEN(same); i++) {
		const struct mk_buf *wanted = &p->restore->snapshot.files[same[i]];
		mk_autofree char *path = mk_xasprintf(
			MK_PKI_KUBE_DIR "/%s", mk_snapshot_file_name(same[i]));
		mk_autowipebuf found = mk_buf_init(MK_MAX_CONFIG_FILE);
		int r = mk_container_read_file(
			p->b.docker, p->b.plan.nodes[0].container, path, &found, err);

		if (r < 0)
			return r;
		if (found.len == wanted->len && memcmp(found.data, wanted->data, found.len) == 0)
			continue;
		(void)mk_fail(err, MK_EHOST,
			"cluster '%s' has another %s than the snapshot: it is another cluster, or its "
			"CAs were renewed since",
			p->spec.name, mk_snapshot_file_name(same[i]));
		mk_error_hint(err, "--name makes a new cluster of the snapshot, with its own CAs");
		return -MK_EHOST;
	}
	return 0;
}

/* Nobody is to change the nodes meanwhile; of an API that does not answer nobody can. */
static int take_lock(struct replacing *p, struct mk_error *err)
{
	int r = mk_cluster_connect(p->b.docker, p->spec.name, &p->b.kube, err);

	if (r == 0)
		r = mk_existing_lock(&p->b, p->restore->options->create.timeout_ms, &p->lock, err);
	if (r == 0 || r == -MK_EEXISTS || r == -MK_EINTR)
		return r;
	mk_trace("no lock: %s", err->message);
	mk_error_done(err);
	return p->b.kube ? 0
			 : mk_fail(err, MK_EFAIL, "cluster '%s' has no admin.conf", p->spec.name);
}

static int step_check(void *arg, char **ret_note, struct mk_error *err)
{
	struct replacing *p = arg;
	int r = check_nodes(p, err);

	if (r == 0)
		r = check_authorities(p, err);
	if (r == 0)
		r = take_lock(p, err);
	if (r == 0)
		r = mk_existing_make_secrets(&p->b, MK_PKI_STAY, err);
	if (r == 0)
		*ret_note = mk_xasprintf("%zu nodes", p->b.plan.kube_count);
	return r;
}

/* Where no etcd reads it yet; and nor does the script of a run that was killed, which goes
 * on to its end. */
static int step_send(void *arg, char **ret_note, struct mk_error *err)
{
	struct replacing *p = arg;
	const struct mk_plan *plan = &p->b.plan;
	const json_t *manifest = p->restore->snapshot.manifest;
	mk_autofree char *check = mk_xasprintf(
		MK_SNAPSHOT_RESTORE_SCRIPT " check %lld", mk_json_int(manifest, "etcd.hash", 0));
	mk_autostrlist names = { .items = NULL };
	mk_autofree char *list = NULL;
	mk_autofree char *keep = NULL;
	int r = 0;

	(void)ret_note;
	p->sent = true;
	r = mk_restore_run(p->b.docker, plan, "flock /run/mkcluster-restore.lock true", NULL,
		mk_remaining_ms(p->b.deadline), err);
	for (size_t i = 0; i < plan->kube_count; i++)
		mk_strlist_add(&names, plan->nodes[i].name);
	list = mk_strlist_join(&names, "\n");
	keep = mk_xasprintf("%s\n", list);
	for (size_t i = 0; i < plan->control_planes && r == 0; i++) {
		struct mk_restore_feed feed = { .node = &plan->nodes[i],
			.running = true,
			.images = i == 0,
			.keep = i == 0 ? keep : NULL };

		r = mk_restore_send(p->restore, &p->b, &feed, err);
	}
	return r == 0 ? mk_restore_run(p->b.docker, &p->b.plan, check, NULL,
				mk_remaining_ms(p->b.deadline), err)
		      : r;
}

static int step_switch(void *arg, char **ret_note, struct mk_error *err)
{
	struct replacing *p = arg;
	const json_t *manifest = p->restore->snapshot.manifest;
	int r;

	p->switched = true;
	/* Nobody begins while one of them still runs with the old data. */
	r = mk_restore_run(p->b.docker, &p->b.plan, MK_SNAPSHOT_RESTORE_SCRIPT " stop",
		"systemctl stop kubelet", mk_remaining_ms(p->b.deadline), err);
	if (r == 0)
		r = mk_restore_run(p->b.docker, &p->b.plan, MK_SNAPSHOT_RESTORE_SCRIPT " switch",
			NULL, mk_remaining_ms(p->b.deadline), err);
	if (r == 0)
		*ret_note = mk_xasprintf("%lld keys, revision %lld",
			mk_json_int(manifest, "etcd.totalKey", 0),
			mk_json_int(manifest, "etcd.revision", 0));
	return r;
}

static int step_api(void *arg, char **ret_note, struct mk_error *err)
{
	struct replacing *p = arg;
	int r = mk_kube_wait_ready(p->b.kube, p->b.deadline, NULL, NULL, err);

	(void)ret_note;
	if (r == 0)
		r = mk_restore_find_volumes(p->restore, &p->b, /* fresh= */ false, err);
	return r == 0 ? mk_bringup_tell_place(&p->b, err) : r;
}

/* Kubelets register, or find their nodes again. By the nodes' own clock, which is that of
 * the engine's host: what they said before is of no worth. */
static int step_nodes(void *arg, char **ret_note, struct mk_error *err)
{
	struct replacing *p = arg;
	static const char *const date[] = { "date", "-u", "+%Y-%m-%dT%H:%M:%SZ", NULL };
	mk_autostrlist names = { .items = NULL }, since = { .items = NULL };
	mk_autobuf now = mk_buf_init(4096);
	int status = 0;
	int r = mk_container_exec(
		p->b.docker, p->b.plan.nodes[0].container, date, TIDY_MS, &now, &status, err);

	if (r == 0)
		r = mk_restore_run(p->b.docker, &p->b.plan, "systemctl start kubelet",
			"systemctl start kubelet", mk_remaining_ms(p->b.deadline), err);
	for (size_t i = 0; i < p->b.plan.kube_count; i++) {
		mk_strlist_add(&names, p->b.plan.nodes[i].name);
		mk_strlist_add(&since, now.data);
	}
	if (r == 0 && p->spec.no_cni)
		r = mk_kube_wait_registered(p->b.kube, &names, p->b.deadline, err);
	else if (r == 0)
		r = mk_kube_wait_nodes(p->b.kube, &names, &since, p->b.deadline, err);
	if (r == 0)
		r = mk_bringup_set_roles(&p->b, err);
	if (r == 0)
		*ret_note = mk_xasprintf(
			"%zu %s", names.count, p->spec.no_cni ? "registered" : "Ready");
	return r;
}

/* From here on there is no way back. */
static int step_keep(void *arg, char **ret_note, struct mk_error *err)
{
	struct replacing *p = arg;
	(void)err;
	(void)ret_note;
	p->sent = p->switched = false;
	mk_restore_tidy(p->b.docker, &p->b.plan);
	return 0;
}

static int step_pods(void *arg, char **ret_note, struct mk_error *err)
{
	struct replacing *p = arg;

	return mk_restore_wait_pods(&p->b, ret_note, err);
}

static bool no_services(const void *arg)
{
	return mk_bringup_no_services(&((const struct replacing *)arg)->b);
}

static const struct mk_run_step steps[] = {
	{ "Checking the cluster", step_check, NULL },
	{ "Sending the snapshot", step_send, NULL },
	{ "Replacing etcd's data", step_switch, NULL },
	{ "Waiting for the API server", step_api, NULL },
	{ "Waiting for the nodes", step_nodes, NULL },
	{ "Removing the old data", step_keep, NULL },
	{ "Waiting for pods", step_pods, no_services },
};

static void go_back(struct replacing *p, struct mk_error *err)
{
	mk_autoerror second = { .code = MK_OK };
	int r;

	mk_interrupt_shield(true);
	r = mk_restore_run(p->b.docker, &p->b.plan, MK_SNAPSHOT_RESTORE_SCRIPT " stop", NULL,
		BACK_MS, &second);
	if (r == 0)
		r = mk_restore_run(p->b.docker, &p->b.plan, MK_SNAPSHOT_RESTORE_SCRIPT " back",
			"systemctl start kubelet", BACK_MS, &second);
	mk_interrupt_shield(false);
	if (r == 0) {
		mk_error_hint(err, "the cluster has the state again that it had before");
		return;
	}
	(void)mk_error_wrap(&second, "putting the old state back");
	mk_undo_report(err, r, &second);
	mk_error_hint(err,
		"what etcd had is in " MK_SNAPSHOT_RESTORE_FOLDER "/before of the control planes; "
		"the same command again keeps it and goes on");
}

/* What was sent and not used. */
static void clean_up(struct replacing *p)
{
	mk_autoerror ignored = { .code = MK_OK };

	mk_interrupt_shield(true);
	(void)!mk_restore_run(p->b.docker, &p->b.plan,
		"[ -e " MK_SNAPSHOT_RESTORE_FOLDER "/before ] || rm -rf " MK_SNAPSHOT_RESTORE_FOLDER
		" " MK_SNAPSHOT_RESTORE_SCRIPT,
		NULL, TIDY_MS, &ignored);
	mk_interrupt_shield(false);
}

int mk_restore_replace(struct mk_restore *restore, const char *name, struct mk_error *err)
{
	MK_CLEANUP(replacing_done)
	struct replacing p = { .restore = restore,
		.spec = mk_cluster_spec_init(),
		.b = { .docker = restore->docker,
			.options = &restore->options->create,
			.deadline = mk_deadline(restore->options->create.timeout_ms) } };
	int r = mk_existing_read(&p.b, name, &p.spec, err);

	if (r < 0)
		return r;
	r = mk_steps_run(steps, MK_ARRAY_LEN(steps), &p, &restore->options->create.report, err);
	if (r < 0 && p.switched)
		go_back(&p, err);
	else if (r < 0 && p.sent)
		clean_up(&p);
	return r < 0 ? -(int)err->code : 0;
}

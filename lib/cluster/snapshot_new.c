/* SPDX-License-Identifier: Apache-2.0 */
/* A new cluster of a snapshot: a bring-up with other secrets, and with etcd's data. */
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/cluster/snapshot_node.h"

/* Before the nodes start: etcd's first start takes its data from it. */
static int send_snapshot(void *arg, const struct mk_bringup *b, struct mk_error *err)
{
	struct mk_restore *restore = arg;
	int r = 0;

	for (size_t i = 0; i < b->plan.control_planes && r == 0; i++) {
		struct mk_restore_feed feed = {
			.node = &b->plan.nodes[i], .images = i == 0, .keep = i == 0 ? "" : NULL
		};

		r = mk_restore_send(restore, b, &feed, err);
	}
	return r;
}

static int tell(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	struct mk_restore *restore = b->extra.arg;
	int r = mk_restore_find_volumes(restore, b, /* fresh= */ true, err);

	if (r == 0)
		r = mk_bringup_tell_place(b, err);
	if (r == 0)
		*ret_note = mk_xasprintf("%lld keys, revision %lld",
			mk_json_int(restore->snapshot.manifest, "etcd.totalKey", 0),
			mk_json_int(restore->snapshot.manifest, "etcd.revision", 0));
	return r;
}

/* Every kubelet waits for the API server beside it, and so for etcd. */
static int wait_nodes(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	int r = mk_step_wait_nodes(b, ret_note, err);

	if (r == 0)
		mk_restore_tidy(b->docker, &b->plan);
	return r;
}

static const struct mk_step steps[] = {
	{ "Checking the host", mk_step_check_host, NULL, false },
	{ "Making certificates", mk_step_make_secrets, NULL, false },
	{ "Starting the nodes", mk_step_start_nodes, NULL, false },
	{ "Waiting for the API server", mk_step_wait_api, NULL, false },
	{ "Looking at what is back", tell, NULL, false },
	{ "Waiting for the nodes", wait_nodes, NULL, false },
	{ "Waiting for pods", mk_restore_wait_pods, mk_bringup_no_services, false },
	{ "Writing the kubeconfig", mk_step_write_kubeconfig, NULL, true },
};

int mk_restore_new(struct mk_restore *restore, struct mk_cluster_spec *spec, struct mk_error *err)
{
	struct mk_pki_source pki = mk_snapshot_pki(&restore->snapshot);
	mk_autobringup b = {
		.options = &restore->options->create,
		.spec = spec,
		.docker = restore->docker,
		.deadline = mk_deadline(restore->options->create.timeout_ms),
		.begun = mk_cluster_spec_init(),
		.secrets = &pki,
		.extra = { .fill = send_snapshot, .arg = restore },
	};
	int r = mk_random_hex(8, &b.run_id, err);

	if (r == 0)
		r = mk_bringup_run(&b, steps, MK_ARRAY_LEN(steps), err);
	if (r == 0)
		mk_resume_mark_whole(&b);
	if (r == 0)
		mk_bringup_result(&b, &restore->result->created);
	return r;
}

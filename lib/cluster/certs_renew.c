/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/certs_renew.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/cluster/certs.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/existing.h"
#include "lib/cluster/node_change.h"
#include "lib/cluster/step_run.h"
#include "lib/docker/container.h"
#include "lib/kube/rollout.h"
#include "lib/kube/userconfig.h"
#include "lib/kube/watch.h"

#include <time.h>

/* One node's programs, started anew one after another. */
#define NODE_TIMEOUT_MS 90000

/* An API server that runs serves with a new pair at once, and shows a new one to kubelets
 * within five minutes (CertCallbackRefreshDuration in k8s.io/client-go/transport): no
 * reason to restart it while the old one is valid for so long and again. */
#define REFRESH_S 600

struct mk_renewal {
	const struct mk_renew_options *options;
	struct mk_create_options create;
	struct mk_bringup b;
	struct mk_cluster_spec spec;
	struct mk_kube_lock lock;
	struct mk_kube *lock_kube; /* the client that holds it */
	struct mk_node_changes changes;
	enum mk_pki_turn turn;
	enum mk_pki_stage stage; /* before the turn */
	bool expired;            /* so far that no program trusts another */
	bool uneven;             /* a stage that not every node has come to */
	bool gentle;             /* etcd and API servers run on */
};

static void renewal_done(struct mk_renewal *n)
{
	mk_kube_unlock(&n->lock);
	mk_kube_free(n->lock_kube);
	mk_node_changes_done(&n->changes);
	mk_bringup_done(&n->b);
	mk_cluster_spec_done(&n->spec);
}

/* What every node trusts has to be what the first control plane does. */
static const char *trust_of(const struct mk_found_certs *certs, const char *node, size_t skip)
{
	for (size_t i = 0; i < certs->count; i++) {
		const struct mk_found_cert *found = &certs->items[i];

		if (mk_streq(found->node, node) && mk_streq(found->name, "ca") && skip-- == 0)
			return mk_cert_serial(found->cert);
	}
	return "";
}

static bool is_uneven(const struct mk_found_certs *certs, const struct mk_plan *plan)
{
	for (size_t i = 1; i < plan->kube_count; i++) {
		for (size_t k = 0; k < 2; k++) {
			if (!mk_streq(trust_of(certs, plan->nodes[i].name, k),
				    trust_of(certs, plan->nodes[0].name, k)))
				return true;
		}
	}
	return false;
}

/* CAs are no matter here: theirs is a turn. */
static int64_t shortest_left(const struct mk_found_certs *certs)
{
	int64_t now = (int64_t)time(NULL), shortest = INT64_MAX;

	for (size_t i = 0; i < certs->count; i++) {
		int64_t left = (int64_t)mk_cert_not_after(certs->items[i].cert) - now;

		if (!mk_cert_is_ca(certs->items[i].cert) && left < shortest)
			shortest = left;
	}
	return shortest;
}

static int find_certs(struct mk_docker *docker, const char *name, struct mk_found_certs *ret,
	struct mk_error *err)
{
	mk_autojson *first = NULL;
	mk_autojson *nodes = NULL;
	int r = mk_cluster_find(docker, name, &first, err);

	if (r == 0)
		r = mk_cluster_nodes(docker, name, &nodes, err);
	return r == 0 ? mk_certs_find_in_nodes(docker, nodes, ret, err) : r;
}

static int check_running(const struct mk_renewal *n, struct mk_error *err)
{
	for (size_t i = 0; i < n->b.plan.count; i++) {
		const struct mk_node_plan *node = &n->b.plan.nodes[i];

		if (!node->running)
			return mk_existing_fail_stopped(
				&n->b, node, ": it would not learn of new CAs", err);
	}
	return 0;
}

static int open_cluster(struct mk_renewal *n, const char *name, struct mk_error *err)
{
	mk_autofoundcerts certs = { .items = NULL };
	int r = find_certs(n->b.docker, name, &certs, err);

	if (r < 0)
		return r;
	n->stage = certs.stage;
	n->expired = shortest_left(&certs) <= 0;
	r = n->expired
		? mk_existing_read(&n->b, name, &n->spec, err)
		: mk_existing_open(&n->b, &n->spec, name, n->options->timeout_ms, &n->lock, err);
	if (r < 0)
		return r;
	n->uneven = is_uneven(&certs, &n->b.plan);
	if (n->uneven)
		n->turn = MK_PKI_STAY;
	n->gentle = n->turn == MK_PKI_STAY && !n->uneven && shortest_left(&certs) > REFRESH_S;
	return n->turn == MK_PKI_STAY ? 0 : check_running(n, err);
}

/* Pods know an API server by what their namespace's ConfigMap said when they began. */
static int step_restart_pods(void *arg, char **ret_note, struct mk_error *err)
{
	struct mk_renewal *n = arg;
	mk_autobuf trust = mk_buf_init(MK_MAX_CONFIG_FILE);
	size_t count = 0;
	int r = mk_container_read_file(
		n->b.docker, n->b.plan.nodes[0].container, MK_PKI_DIR "/ca.crt", &trust, err);

	if (r == 0)
		r = mk_kube_wait_root_ca(n->b.kube, trust.data, n->b.deadline, err);
	if (r == 0)
		r = mk_kube_restart_workloads(n->b.kube, n->b.deadline, &count, err);
	if (r == 0)
		*ret_note = mk_xasprintf("%zu workloads", count);
	return r;
}

static bool pods_know(const void *arg)
{
	const struct mk_renewal *n = arg;

	return n->turn != MK_PKI_ONWARD || n->stage != MK_PKI_TRUSTED;
}

static int step_make(void *arg, char **ret_note, struct mk_error *err)
{
	struct mk_renewal *n = arg;

	(void)ret_note;
	return mk_existing_make_secrets(&n->b, n->turn, err);
}

static int add_file(void *arg, const struct mk_pki_file *file, struct mk_error *err)
{
	(void)err;
	/* Not ours to bring up to date, and another run may be about to. */
	if (!mk_streq(file->path, MK_PKI_ENCRYPTION_PATH))
		mk_node_change_file(arg, file->path, file->mode, file->data, file->len);
	return 0;
}

/* Both read new pairs by themselves, but what they trust at their start alone. Together:
 * etcd does not end before the API server's watches do. */
static void restart_control_plane(const struct mk_renewal *n, struct mk_node_change *change)
{
	enum mk_pki_stage stage = mk_pki_bundle_stage(n->b.pki);

	if (stage != MK_PKI_TRUSTED)
		mk_node_change_do(change, "cd " MK_PKI_DIR " && rm -f *-next.* etcd/*-next.*");
	if (stage != MK_PKI_ISSUED)
		mk_node_change_do(
			change, "cd " MK_PKI_DIR " && rm -f *-previous.* etcd/*-previous.*");
	if (!n->gentle)
		mk_node_change_do(change, "systemctl restart etcd.service kube-apiserver.service");
	mk_node_change_do(
		change, "systemctl restart kube-controller-manager.service kube-scheduler.service");
}

static int add_balancer(struct mk_renewal *n, struct mk_node_change *change, struct mk_error *err)
{
	mk_autobuf pem = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_pki_bundle_trust(n->b.pki, "ca", &pem, err);

	if (r < 0)
		return r;
	mk_node_change_file(change, MK_PKI_DIR "/ca.crt", 0644, pem.data, pem.len);
	mk_node_change_do(change, "systemctl reload load-balancer.service");
	return 0;
}

/* An API server that meets its new client certificate breaks all its connections to
 * kubelets, the one it is about to use included: that should not be a user's. */
static void visit_kubelet(const struct mk_node_plan *node, struct mk_node_change *change)
{
	mk_autofree char *loop = mk_xasprintf(
		"n=0\n"
		"until kubectl --kubeconfig=" MK_PKI_KUBE_DIR "/admin.conf --request-timeout=1s get"
		" --raw /api/v1/nodes/%s/proxy/healthz >/dev/null 2>&1 || [ $n -ge 15 ]; do\n"
		"\tn=$((n + 1))\n"
		"\tsleep 0.2\n"
		"done",
		node->name);

	mk_node_change_do(change, loop);
}

static int add_node(struct mk_renewal *n, const struct mk_node_plan *node, struct mk_error *err)
{
	struct mk_node_change *change = mk_node_changes_add(&n->changes, node);
	size_t index = (size_t)(node - n->b.plan.nodes);

	if (node->role == MK_ROLE_LOAD_BALANCER)
		return add_balancer(n, change, err);
	if (node->role == MK_ROLE_CONTROL_PLANE)
		restart_control_plane(n, change);
	mk_node_change_do(change, "systemctl restart kubelet.service");
	if (n->spec.proxy_mode != MK_PROXY_NONE)
		mk_node_change_do(change, "systemctl try-restart kube-proxy.service");
	if (node->role == MK_ROLE_CONTROL_PLANE && n->gentle)
		visit_kubelet(node, change);
	return mk_pki_bundle_each_file(n->b.pki, index, add_file, change, err);
}

/* Nothing has changed in nodes that run when this is done. */
static int send(struct mk_renewal *n, struct mk_error *err)
{
	int r = 0;

	n->changes = mk_node_changes_init(&n->b.plan);
	for (size_t i = 0; i < n->b.plan.count && r == 0; i++) {
		/* It has no pair, and what it trusts is as it was. */
		if (n->b.plan.nodes[i].role != MK_ROLE_LOAD_BALANCER || !n->gentle)
			r = add_node(n, &n->b.plan.nodes[i], err);
	}
	return r == 0 ? mk_node_changes_send(n->b.docker, &n->changes, err) : r;
}

static int step_control_planes(void *arg, char **ret_note, struct mk_error *err)
{
	struct mk_renewal *n = arg;
	int r = send(n, err);

	if (r < 0)
		return r;
	*ret_note = n->b.plan.control_planes > 1
		? mk_xasprintf("%zu, %s", n->b.plan.control_planes,
			  n->expired ? "all at once" : "one after another")
		: NULL;
	/* etcd has no quorum until several have what the others trust: workers and all. */
	if (n->expired)
		return mk_node_changes_run(n->b.docker, &n->changes, NODE_TIMEOUT_MS, err);
	return mk_control_planes_run(n->b.docker, &n->changes, NODE_TIMEOUT_MS, err);
}

static int step_other_nodes(void *arg, char **ret_note, struct mk_error *err)
{
	struct mk_renewal *n = arg;

	(void)ret_note;
	return mk_other_nodes_run(n->b.docker, &n->changes, NODE_TIMEOUT_MS, err);
}

static bool no_other_nodes(const void *arg)
{
	const struct mk_renewal *n = arg;

	return n->expired || n->b.plan.count == n->b.plan.control_planes;
}

static int wait_endpoints(struct mk_renewal *n, struct mk_error *err)
{
	mk_autostrlist addresses = { .items = NULL };

	for (size_t i = 0; i < n->b.plan.control_planes; i++) {
		if (n->b.plan.nodes[i].running)
			mk_strlist_add(&addresses, n->b.plan.nodes[i].ip);
	}
	return mk_kube_wait_api_endpoints(n->b.kube, &addresses, n->b.deadline, err);
}

static int step_wait(void *arg, char **ret_note, struct mk_error *err)
{
	struct mk_renewal *n = arg;
	mk_autostrlist names = { .items = NULL };
	int r;

	n->lock_kube = MK_TAKE(n->b.kube);
	/* With the new certificate of the administrator: the old one may trust no more. */
	r = mk_cluster_connect(n->b.docker, n->spec.name, &n->b.kube, err);
	if (r == 0)
		r = mk_kube_wait_ready(n->b.kube, n->b.deadline, NULL, NULL, err);
	for (size_t i = 0; i < n->b.plan.kube_count; i++) {
		if (n->b.plan.nodes[i].running)
			mk_strlist_add(&names, n->b.plan.nodes[i].name);
	}
	if (r == 0 && !n->spec.no_cni)
		r = mk_kube_wait_nodes(n->b.kube, &names, NULL, n->b.deadline, err);
	if (r == 0 && !n->gentle)
		r = wait_endpoints(n, err);
	if (r == 0)
		*ret_note = mk_xasprintf("%zu Ready", names.count);
	return r;
}

static int step_metrics(void *arg, char **ret_note, struct mk_error *err)
{
	struct mk_renewal *n = arg;

	(void)ret_note;
	return mk_bringup_renew_metrics(&n->b, err);
}

static bool no_metrics(const void *arg)
{
	return !((const struct mk_renewal *)arg)->spec.metrics;
}

/* Only where the user has the cluster: it may be another user's, or a CI job's. */
static int step_kubeconfig(void *arg, char **ret_note, struct mk_error *err)
{
	struct mk_renewal *n = arg;
	mk_autofree char *context = mk_cluster_context(n->spec.name);
	mk_autofree char *pem = NULL;
	mk_autofree char *path = NULL;
	int r = mk_userconfig_cert(n->create.kubeconfig, context, &pem, &path, err);

	if (r < 0 || pem)
		return r < 0 ? r : mk_step_write_kubeconfig(&n->b, ret_note, err);
	*ret_note = mk_xasprintf("left alone: it has no context %s", context);
	return 0;
}

static const struct mk_run_step steps[] = {
	{ "Restarting pods", step_restart_pods, pods_know },
	{ "Making certificates", step_make, NULL },
	{ "Control planes", step_control_planes, NULL },
	{ "Other nodes", step_other_nodes, no_other_nodes },
	{ "Waiting until Ready", step_wait, NULL },
	{ "Metrics server", step_metrics, no_metrics },
	{ "Updating the kubeconfig", step_kubeconfig, NULL },
};

static struct mk_renewal renewal_of(
	struct mk_docker *docker, const struct mk_renew_options *options, int64_t deadline)
{
	return (struct mk_renewal){
		.options = options,
		.create = { .kubeconfig = options->kubeconfig },
		.spec = mk_cluster_spec_init(),
		.turn = options->turn,
		.b = { .docker = docker, .deadline = deadline },
	};
}

int mk_certs_renew(struct mk_docker *docker, const char *name,
	const struct mk_renew_options *options, struct mk_renew_result *ret, struct mk_error *err)
{
	MK_CLEANUP(renewal_done)
	struct mk_renewal n = renewal_of(docker, options, mk_deadline(options->timeout_ms));
	int r;

	n.b.options = &n.create;
	r = open_cluster(&n, name, err);
	if (r == 0)
		r = mk_steps_run(steps, MK_ARRAY_LEN(steps), &n, &options->report, err);
	if (r < 0)
		return r;
	ret->stage = mk_pki_bundle_stage(n.b.pki);
	ret->finished = n.uneven;
	return 0;
}

static int renew_at_rest(struct mk_renewal *n, const char *name, struct mk_error *err)
{
	int r = mk_existing_read_at_rest(&n->b, name, &n->spec, err);

	if (r == 0)
		r = mk_existing_make_secrets(&n->b, MK_PKI_STAY, err);
	if (r == 0)
		r = send(n, err);
	/* Of those that run already: all at once, for they may not trust each other, or wait
	 * for a control plane that is only about to start. */
	return r == 0 ? mk_node_changes_run(n->b.docker, &n->changes, NODE_TIMEOUT_MS, err) : r;
}

void mk_renewal_free(struct mk_renewal *renewal)
{
	if (renewal)
		renewal_done(renewal);
	free(renewal);
}

int mk_certs_renew_due(struct mk_docker *docker, const char *name, const json_t *nodes,
	int64_t deadline, struct mk_renewal **ret, struct mk_error *err)
{
	static const struct mk_renew_options options = { .turn = MK_PKI_STAY };
	MK_CLEANUP(mk_renewal_freep) struct mk_renewal *n = NULL;
	mk_autofoundcerts certs = { .items = NULL };
	int64_t left;
	int r = mk_certs_find_in_nodes(docker, nodes, &certs, err);

	if (r < 0)
		return r;
	left = shortest_left(&certs);
	if (left >= MK_RENEW_BEFORE_S)
		return 0;
	n = mk_xmalloc(sizeof(*n));
	*n = renewal_of(docker, &options, deadline);
	n->b.options = &n->create;
	n->expired = left <= 0;
	n->gentle = left > REFRESH_S;
	r = renew_at_rest(n, name, err);
	if (r == 0)
		*ret = MK_TAKE(n);
	if (r == 0 || left <= 0 || r == -MK_EINTR)
		return r;
	mk_trace("certificates expire soon and could not be renewed: %s", err->message);
	mk_error_done(err);
	return 0;
}

int mk_certs_renew_rest(struct mk_renewal *n, struct mk_error *err)
{
	mk_autofree char *note = NULL;
	int r = mk_cluster_connect(n->b.docker, n->spec.name, &n->b.kube, err);

	if (r == 0)
		r = mk_bringup_renew_metrics(&n->b, err);
	return r == 0 ? step_kubeconfig(n, &note, err) : r;
}

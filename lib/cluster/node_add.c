/* SPDX-License-Identifier: Apache-2.0 */
/* `node add`, in order, and the way back. */
#include "lib/base/clock.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/etcd.h"
#include "lib/cluster/existing.h"
#include "lib/cluster/host.h"
#include "lib/cluster/membership.h"
#include "lib/cluster/node_host.h"
#include "lib/cluster/port.h"
#include "lib/cluster/step_run.h"
#include "lib/cluster/undo.h"
#include "lib/kube/userconfig.h"
#include "lib/kube/watch.h"

/* How long the way back waits for etcd to let a member go. */
#define UNDO_ETCD_MS 15000

/* One addition: several workers, or one control plane. */
struct adding {
	const struct mk_node_add_options *options;
	struct mk_create_options create; /* what the steps of a bring-up ask for */
	struct mk_bringup b;
	struct mk_cluster_spec spec;
	struct mk_plan before;
	struct mk_kube_lock lock;
	size_t to_come;           /* nodes of this run and of those after it */
	bool told, member, votes; /* how far it has come */
};

static void adding_done(struct adding *a)
{
	mk_kube_unlock(&a->lock);
	mk_bringup_done(&a->b);
	mk_plan_done(&a->before);
	mk_cluster_spec_done(&a->spec);
}

static bool is_control_plane(const struct adding *a)
{
	return a->options->role == MK_ROLE_CONTROL_PLANE;
}

/* The one new control plane, or the first new worker; before the plan has one, some
 * node that is not fresh. */
static const struct mk_node_plan *new_node(const struct adding *a)
{
	const struct mk_node_plan *node = a->b.plan.nodes;
	const struct mk_node_plan *last = node + a->b.plan.kube_count - 1;

	while (node < last && !node->fresh)
		node++;
	return node;
}

/* A balancer that comes now publishes ports of its own: those of the first control
 * plane stay with its container. */
static int choose_balancer_ports(struct adding *a, struct mk_error *err)
{
	struct mk_bringup *b = &a->b;
	const char *address = a->spec.api_address;
	mk_autojson *taken = NULL;
	int r = mk_host_ports_taken(b->docker, &taken, err);

	if (r == 0)
		r = mk_host_choose_port(b->docker, address, 0, false, taken, &b->api_port, err);
	if (r == 0)
		r = mk_host_choose_port(b->docker, address, a->spec.registry_port,
			/* or_next= */ true, taken, &b->registry_port, err);
	if (r == 0 && a->spec.openfaas)
		r = mk_host_choose_port(b->docker, address, a->spec.gateway_port,
			/* or_next= */ true, taken, &b->gateway_port, err);
	return r;
}

static bool brings_balancer(const struct adding *a)
{
	return !mk_plan_has_balancer(&a->before) && mk_plan_has_balancer(&a->b.plan);
}

/* What the config file says of a node that comes back. */
static int prepare_host(struct adding *a, struct mk_error *err)
{
	mk_autojson *taken = NULL;
	int r = mk_node_check_host(&a->b, err);

	if (r == 0)
		r = mk_host_ports_taken(a->b.docker, &taken, err);
	if (r == 0)
		r = mk_node_choose_ports(&a->b, /* fixed= */ true, taken, err);
	return r == 0 ? mk_node_choose_ports(&a->b, /* fixed= */ false, taken, err) : r;
}

/*
 * etcd takes no new member while one of its own is away, and a balancer that comes
 * is told to every node, in files that only a node that runs can change.
 */
static int check_others(const struct adding *a, struct mk_error *err)
{
	for (size_t i = 0; i < a->before.count; i++) {
		const struct mk_node_plan *node = &a->before.nodes[i];

		if (node->running ||
			(node->role != MK_ROLE_CONTROL_PLANE && mk_plan_has_balancer(&a->before)))
			continue;
		return mk_existing_fail_stopped(
			&a->b, node, ": no control plane can be added", err);
	}
	return 0;
}

/* What would end a run of several in its middle is said before the first. */
static int check_control_planes(const struct adding *a, struct mk_error *err)
{
	if (a->before.control_planes + a->to_come > MK_MAX_CONTROL_PLANES)
		return mk_fail(err, MK_EUSAGE,
			"a cluster has at most %d control planes, this one "
			"%zu",
			MK_MAX_CONTROL_PLANES, a->before.control_planes);
	return check_others(a, err);
}

static int step_plan(void *arg, char **ret_note, struct mk_error *err)
{
	struct adding *a = arg;
	struct mk_bringup *b = &a->b;
	size_t count = is_control_plane(a) ? 1 : a->options->count;
	int r = is_control_plane(a) ? check_control_planes(a, err) : 0;

	if (r == 0)
		r = mk_plan_grow(&b->plan, &a->spec, &b->subnet, a->options->role, count, err);
	if (r == 0)
		r = mk_host_check_inotify(b->docker, is_control_plane(a) ? 1 : 0,
			is_control_plane(a) ? 0 : count, err);
	if (r == 0)
		r = prepare_host(a, err);
	if (r == 0 && brings_balancer(a))
		r = choose_balancer_ports(a, err);
	if (r == 0 && brings_balancer(a))
		r = mk_userconfig_check(a->options->kubeconfig, err);
	if (r == 0)
		r = mk_existing_make_secrets(b, MK_PKI_STAY, err);
	if (r == 0)
		*ret_note = count == 1 ? mk_xstrdup(new_node(a)->name)
				       : mk_xasprintf("%zu workers", count);
	return r;
}

/* Before the node runs: the others route to it, and elect leaders, from now on. */
static int step_tell(void *arg, char **ret_note, struct mk_error *err)
{
	struct adding *a = arg;
	int r;

	(void)ret_note;
	a->told = true;
	r = mk_existing_tell(&a->b, &a->before, brings_balancer(a) ? 0 : MK_TELL_ALL, err);
	if (r < 0 || !is_control_plane(a))
		return r;
	a->member = true;
	return mk_etcd_add_learner(a->b.docker, a->b.plan.nodes[0].container, new_node(a)->name,
		new_node(a)->ip, a->b.deadline, err);
}

static int step_start(void *arg, char **ret_note, struct mk_error *err)
{
	struct adding *a = arg;
	int r;

	(void)ret_note;
	r = mk_nodes_make(&a->b, a->b.profile, err);
	/* Who is sent to a balancer must find one. */
	if (r == 0 && brings_balancer(a))
		r = mk_existing_tell(&a->b, &a->before, MK_TELL_ALL, err);
	return r;
}

static int step_promote(void *arg, char **ret_note, struct mk_error *err)
{
	struct adding *a = arg;

	(void)ret_note;
	a->votes = true;
	return mk_etcd_promote(
		a->b.docker, a->b.plan.nodes[0].container, new_node(a)->ip, a->b.deadline, err);
}

static int step_wait(void *arg, char **ret_note, struct mk_error *err)
{
	struct adding *a = arg;
	mk_autostrlist names = { .items = NULL };
	int r;

	for (size_t i = 0; i < a->b.plan.kube_count; i++) {
		if (a->b.plan.nodes[i].fresh)
			mk_strlist_add(&names, a->b.plan.nodes[i].name);
	}
	r = mk_kube_wait_nodes(a->b.kube, &names, NULL, a->b.deadline, err);
	if (r == 0 && is_control_plane(a))
		r = mk_bringup_set_roles(&a->b, err);
	if (r == 0)
		r = mk_ports_update(a->b.docker, a->spec.name, NULL, err);
	if (r == 0)
		*ret_note = mk_xasprintf("%zu Ready", names.count);
	return r;
}

static bool not_control_plane(const void *arg)
{
	return !is_control_plane(arg);
}

static bool no_new_balancer(const void *arg)
{
	return !brings_balancer(arg);
}

static int step_kubeconfig(void *arg, char **ret_note, struct mk_error *err)
{
	struct adding *a = arg;

	return mk_step_write_kubeconfig(&a->b, ret_note, err);
}

static const struct mk_run_step steps[] = {
	{ "Planning", step_plan, NULL },
	{ "Telling the other nodes", step_tell, NULL },
	{ "Starting", step_start, NULL },
	{ "Joining etcd", step_promote, not_control_plane },
	{ "Waiting until Ready", step_wait, NULL },
	{ "Writing the kubeconfig", step_kubeconfig, no_new_balancer },
};

/* As far as the API answers; a node that stays is found again by its name. */
static void forget_nodes(struct adding *a)
{
	mk_autoerror ignored = { .code = MK_OK };
	int r = 0;

	for (size_t i = 0; i < a->b.plan.kube_count && (r == 0 || r == -MK_ENOTFOUND); i++) {
		mk_autofree char *path = mk_xasprintf("/api/v1/nodes/%s", a->b.plan.nodes[i].name);

		if (a->b.plan.nodes[i].fresh)
			r = mk_kube_call(a->b.kube, "DELETE", path, NULL, NULL, &ignored);
		mk_error_done(&ignored);
	}
}

static int tell_back(struct adding *a, struct mk_error *err)
{
	struct mk_plan grown = a->b.plan;
	int r;

	a->b.plan = a->before;
	r = mk_existing_tell(&a->b, &grown, MK_TELL_ALL, err);
	a->b.plan = grown;
	return r == 0 ? mk_ports_update(a->b.docker, a->spec.name, NULL, err) : r;
}

/*
 * etcd first: a member with a vote that only stops costs a cluster of two its
 * quorum. One that learns costs nothing, and the next that comes replaces it. Then
 * the containers, then what the others were told.
 */
static int undo_all(struct adding *a, const struct mk_error *why, struct mk_error *second)
{
	struct mk_bringup *b = &a->b;
	mk_autoerror of_etcd = { .code = MK_OK };
	int r = 0;

	if (a->member)
		r = mk_etcd_remove(b->docker, b->plan.nodes[0].container, new_node(a)->ip,
			mk_deadline(UNDO_ETCD_MS), &of_etcd);
	if (r == 0 || !a->votes)
		r = mk_undo_run(b->docker, b->run_id, why, second);
	if (r == 0 && a->told) {
		forget_nodes(a);
		r = tell_back(a, second);
	}
	if (second->code == MK_OK)
		mk_error_move(second, &of_etcd);
	return -(int)second->code;
}

static void undo(struct adding *a, struct mk_error *err)
{
	mk_autoerror second = { .code = MK_OK };
	int r;

	mk_interrupt_shield(true);
	r = undo_all(a, err, &second);
	mk_interrupt_shield(false);
	mk_undo_report(err, r, &second);
	if (r < 0)
		mk_error_hint(err,
			"`mkcluster get nodes --name %s` shows what is left, "
			"`mkcluster node remove` takes it out",
			a->spec.name);
}

static int fail_run(struct adding *a, struct mk_error *err)
{
	if (new_node(a)->fresh && new_node(a)->container && err->code != MK_EINTR)
		mk_diagnose(&a->b, err);
	if (mk_interrupted())
		(void)mk_fail_interrupted(err);
	if (a->b.started && mk_bringup_is_failure(err->code))
		(void)mk_error_recode(err, MK_EBRINGUP);
	if (a->options->retain && a->b.started)
		mk_error_hint(err, "kept for you to look at; `mkcluster node remove` removes it");
	else if (a->told)
		undo(a, err);
	return -(int)err->code;
}

static int add_once(struct mk_docker *docker, const char *name,
	const struct mk_node_add_options *options, size_t to_come, struct mk_strlist *ret_names,
	struct mk_error *err)
{
	MK_CLEANUP(adding_done)
	struct adding a = {
		.options = options,
		.create = { .kubeconfig = options->kubeconfig },
		.spec = mk_cluster_spec_init(),
		.to_come = to_come,
		.b = { .docker = docker, .deadline = mk_deadline(options->timeout_ms) },
	};
	int r;

	a.b.options = &a.create;
	r = mk_existing_open(&a.b, &a.spec, name, options->timeout_ms, &a.lock, err);
	if (r < 0)
		return r;
	mk_plan_copy(&a.b.plan, &a.before);
	r = mk_steps_run(steps, MK_ARRAY_LEN(steps), &a, &options->report, err);
	if (r < 0)
		return fail_run(&a, err);
	for (size_t i = 0; i < a.b.plan.kube_count; i++) {
		if (a.b.plan.nodes[i].fresh)
			mk_strlist_add(ret_names, a.b.plan.nodes[i].name);
	}
	return 0;
}

int mk_cluster_add_nodes(struct mk_docker *docker, const char *name,
	const struct mk_node_add_options *options, struct mk_strlist *ret_names,
	struct mk_error *err)
{
	size_t rounds = options->role == MK_ROLE_CONTROL_PLANE ? options->count : 1;
	int r = 0;

	for (size_t i = 0; i < rounds && r == 0; i++)
		r = add_once(docker, name, options, options->count - i, ret_names, err);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `node remove`, in order. */
#include "lib/base/clock.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/etcd.h"
#include "lib/cluster/existing.h"
#include "lib/cluster/membership.h"
#include "lib/cluster/port.h"
#include "lib/cluster/step_run.h"
#include "lib/docker/container.h"
#include "lib/kube/drain.h"

struct removing {
	const struct mk_node_remove_options *options;
	struct mk_bringup b;
	struct mk_cluster_spec spec;
	struct mk_plan before;
	struct mk_kube_lock lock;
	const struct mk_node_plan *node; /* of `before` */
};

static void removing_done(struct removing *m)
{
	mk_kube_unlock(&m->lock);
	mk_bringup_done(&m->b);
	mk_plan_done(&m->before);
	mk_cluster_spec_done(&m->spec);
}

static int fail_unknown(const struct mk_plan *plan, const char *node, struct mk_error *err)
{
	mk_autostrlist names = { .items = NULL };
	mk_autofree char *list = NULL;

	for (size_t i = 0; i < plan->kube_count; i++)
		mk_strlist_add(&names, plan->nodes[i].name);
	list = mk_strlist_join(&names, ", ");
	(void)mk_fail(err, MK_ENOTFOUND, "the cluster has no node '%.64s'", node);
	mk_error_hint(err, "there are: %s", list);
	return -MK_ENOTFOUND;
}

/* etcd goes on when more than half of the members that stay are running. */
static int check_quorum(const struct removing *m, struct mk_error *err)
{
	size_t stay = m->before.control_planes - 1, running = 0;

	for (size_t i = 0; i < m->before.control_planes; i++)
		running += &m->before.nodes[i] != m->node && m->before.nodes[i].running;
	if (running > stay / 2)
		return 0;
	return mk_fail(err, MK_EHOST,
		"without '%s' only %zu of %zu etcd members would run: no quorum", m->node->name,
		running, stay);
}

static int check_node(struct removing *m, const char *name, struct mk_error *err)
{
	m->node = mk_plan_find(&m->before, name);
	if (!m->node)
		return fail_unknown(&m->before, name, err);
	if (m->node->role == MK_ROLE_LOAD_BALANCER)
		return mk_fail(err, MK_EUSAGE,
			"'%s' is the load balancer: it publishes the cluster's ports", name);
	if (m->node == &m->before.nodes[0])
		return mk_fail(err, MK_EUSAGE,
			"'%s' is the first control plane: the cluster's registry and ports are "
			"on it",
			name);
	return m->node->role == MK_ROLE_CONTROL_PLANE ? check_quorum(m, err) : 0;
}

/* The drain ended without success: pods come again, if they came before. */
static void uncordon(struct removing *m, struct mk_error *err)
{
	mk_autoerror second = { .code = MK_OK };
	mk_autofree char *first = mk_xstrdup(err->message);
	int r;

	mk_interrupt_shield(true);
	r = mk_kube_cordon(m->b.kube, m->node->name, false, &second);
	mk_interrupt_shield(false);
	if (r == 0 || r == -MK_ENOTFOUND)
		return;
	(void)mk_fail(err, err->code, "%s; and it stays cordoned: %s", first, second.message);
	mk_error_hint(err, "`kubectl uncordon %s` lets pods onto it again", m->node->name);
}

static int drain(struct removing *m, size_t *ret_count, struct mk_error *err)
{
	struct mk_drain_options options = {
		.deadline = mk_deadline(m->options->drain_ms),
		.force = m->options->force,
		.dead = !m->node->running,
	};
	int r = mk_kube_cordon(m->b.kube, m->node->name, true, err);

	if (r == 0)
		r = mk_kube_drain(m->b.kube, m->node->name, &options, ret_count, err);
	/* Until here there is a way back. */
	return r == 0 && mk_interrupted() ? mk_fail_interrupted(err) : r;
}

static int step_drain(void *arg, char **ret_note, struct mk_error *err)
{
	struct removing *m = arg;
	bool before = false;
	size_t count = 0;
	int r = mk_kube_is_cordoned(m->b.kube, m->node->name, &before, err);

	/* Kubernetes does not know it: of an addition that was killed. */
	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 0;
	}
	if (r < 0)
		return r;
	r = drain(m, &count, err);
	if (r == 0)
		*ret_note = mk_xasprintf("%zu pod%s moved", count, count == 1 ? "" : "s");
	else if (!before)
		uncordon(m, err);
	return r;
}

/* No new connections before the server goes, and no vote of a member that is gone. */
static int leave(struct removing *m, struct mk_error *err)
{
	int r;

	mk_plan_drop(&m->b.plan, m->node->name);
	r = mk_existing_tell(&m->b, &m->before, 1U << MK_ROLE_LOAD_BALANCER, err);
	if (r == 0 && m->node->role == MK_ROLE_CONTROL_PLANE)
		r = mk_etcd_remove(
			m->b.docker, m->b.plan.nodes[0].container, m->node->ip, m->b.deadline, err);
	return r;
}

/* Stopped first, and removed last: what fails in between can be asked for again, and
 * no second leader runs where the others cease to elect one. */
static int step_remove(void *arg, char **ret_note, struct mk_error *err)
{
	struct removing *m = arg;
	mk_autofree char *path = mk_xasprintf("/api/v1/nodes/%s", m->node->name);
	int r;

	(void)ret_note;
	/* However long the pods have taken. */
	m->b.deadline = mk_deadline(m->options->timeout_ms);
	r = leave(m, err);
	if (r == 0 && m->node->running)
		r = mk_container_kill(m->b.docker, m->node->container, err);
	if (r == 0)
		r = mk_existing_tell(&m->b, &m->before, MK_TELL_ALL, err);
	if (r == 0)
		r = mk_kube_call(m->b.kube, "DELETE", path, NULL, NULL, err);
	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		r = 0;
	}
	if (r == 0)
		r = mk_ports_update(m->b.docker, m->spec.name, m->node->name, err);
	if (r == 0)
		r = mk_container_remove(m->b.docker, m->node->container, err);
	if (r < 0)
		mk_error_hint(err, "`mkcluster node remove --name %s %s` goes on from there",
			m->spec.name, m->node->name);
	return r;
}

static int run_steps(struct removing *m, struct mk_error *err)
{
	mk_autofree char *draining = mk_xasprintf("Draining %s", m->node->name);
	mk_autofree char *removing = mk_xasprintf("Removing %s", m->node->name);
	const struct mk_run_step steps[] = {
		{ draining, step_drain, NULL },
		{ removing, step_remove, NULL },
	};

	return mk_steps_run(steps, MK_ARRAY_LEN(steps), m, &m->options->report, err);
}

int mk_cluster_remove_node(struct mk_docker *docker, const char *name, const char *node,
	const struct mk_node_remove_options *options, struct mk_error *err)
{
	MK_CLEANUP(removing_done)
	struct removing m = {
		.options = options,
		.spec = mk_cluster_spec_init(),
		.b = { .docker = docker, .deadline = mk_deadline(options->timeout_ms) },
	};
	int r = mk_existing_open(
		&m.b, &m.spec, name, options->drain_ms + options->timeout_ms, &m.lock, err);

	if (r < 0)
		return r;
	mk_plan_copy(&m.b.plan, &m.before);
	r = check_node(&m, node, err);
	return r == 0 ? run_steps(&m, err) : r;
}

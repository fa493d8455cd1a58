/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/plan.h"

const char *mk_role_name(enum mk_role role)
{
	switch (role) {
	case MK_ROLE_CONTROL_PLANE:
		return "control-plane";
	case MK_ROLE_WORKER:
		return "worker";
	case MK_ROLE_LOAD_BALANCER:
		return "load-balancer";
	}
	return "?";
}

/* NAME-worker, NAME-worker-2, NAME-worker-3 ... */
char *mk_plan_node_name(const char *cluster, enum mk_role role, size_t n)
{
	return n == 0 ? mk_xasprintf("%s-%s", cluster, mk_role_name(role))
		      : mk_xasprintf("%s-%s-%zu", cluster, mk_role_name(role), n + 1);
}

static void add(struct mk_plan *plan, const struct mk_cluster_spec *spec,
	const struct mk_cidr *subnet, enum mk_role role, size_t n, uint32_t host)
{
	plan->nodes[plan->count++] = (struct mk_node_plan){
		.role = role,
		.name = mk_plan_node_name(spec->name, role, n),
		.ip = mk_cidr_address(subnet, host),
		.fresh = true,
	};
}

/* A /24 of the pod subnet for each Kubernetes node. */
static int give_pods(struct mk_plan *plan, const struct mk_cluster_spec *spec, struct mk_error *err)
{
	struct mk_cidr pods;
	int r = mk_cidr_parse(spec->pod_subnet, &pods, err);

	if (r < 0)
		return r;
	if (plan->kube_count > (size_t)1 << (24 - pods.bits))
		return mk_fail(err, MK_EUSAGE,
			"pod subnet %s has no room for a /24 on each of %zu nodes",
			spec->pod_subnet, plan->kube_count);
	for (size_t i = 0; i < plan->kube_count; i++) {
		struct mk_cidr one = { .address = pods.address + ((uint32_t)i << 8), .bits = 24 };

		plan->nodes[i].pod_cidr = mk_cidr_print(&one);
	}
	return 0;
}

int mk_plan_make(const struct mk_cluster_spec *spec, const struct mk_cidr *subnet,
	struct mk_plan *ret, struct mk_error *err)
{
	size_t control_planes = (size_t)spec->control_planes, workers = (size_t)spec->workers;
	struct mk_plan plan = {
		.nodes = mk_xcalloc(control_planes + workers + 1, sizeof(struct mk_node_plan)),
		.kube_count = control_planes + workers,
		.control_planes = control_planes,
		.balancer_name = mk_plan_node_name(spec->name, MK_ROLE_LOAD_BALANCER, 0),
		.balancer_ip = mk_cidr_address(subnet, MK_PLAN_BALANCER),
	};
	int r;

	for (size_t i = 0; i < control_planes; i++)
		add(&plan, spec, subnet, MK_ROLE_CONTROL_PLANE, i,
			MK_PLAN_FIRST_CONTROL_PLANE + (uint32_t)i);
	for (size_t i = 0; i < workers; i++)
		add(&plan, spec, subnet, MK_ROLE_WORKER, i, MK_PLAN_FIRST_WORKER + (uint32_t)i);
	if (control_planes > 1)
		add(&plan, spec, subnet, MK_ROLE_LOAD_BALANCER, 0, MK_PLAN_BALANCER);
	r = give_pods(&plan, spec, err);
	if (r < 0) {
		mk_plan_done(&plan);
		return r;
	}
	plan.api_ip = mk_xstrdup(mk_plan_front(&plan)->ip);
	*ret = plan;
	return 0;
}

void mk_node_plan_done(struct mk_node_plan *node)
{
	free(node->name);
	free(node->ip);
	free(node->pod_cidr);
	free(node->container);
}

void mk_plan_done(struct mk_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		mk_node_plan_done(&plan->nodes[i]);
	free(plan->nodes);
	free(plan->api_ip);
	free(plan->balancer_name);
	free(plan->balancer_ip);
	*plan = (struct mk_plan){ .nodes = NULL };
}

bool mk_plan_has_balancer(const struct mk_plan *plan)
{
	return plan->count > plan->kube_count;
}

struct mk_node_plan *mk_plan_front(const struct mk_plan *plan)
{
	return &plan->nodes[mk_plan_has_balancer(plan) ? plan->count - 1 : 0];
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/plan.h"

#include "lib/cluster/addresses.h"
#include "lib/cluster/quantity.h"

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

char *mk_plan_spec_name(const struct mk_cluster_spec *spec, size_t i)
{
	enum mk_node_role role = spec->nodes[i].role;
	size_t n = 0;

	for (size_t j = 0; j < i; j++)
		n += spec->nodes[j].role == role ? 1 : 0;
	return mk_plan_node_name(
		spec->name, role == MK_NODE_WORKER ? MK_ROLE_WORKER : MK_ROLE_CONTROL_PLANE, n);
}

static const struct mk_node_spec *spec_of(const struct mk_cluster_spec *spec, const char *name)
{
	for (size_t i = 0; i < spec->node_count; i++) {
		mk_autofree char *other = mk_plan_spec_name(spec, i);

		if (mk_streq(other, name))
			return &spec->nodes[i];
	}
	return NULL;
}

int mk_node_plan_adopt(
	struct mk_node_plan *node, const struct mk_cluster_spec *spec, struct mk_error *err)
{
	int r = 0;

	node->spec = spec_of(spec, node->name);
	if (node->spec && node->spec->cpus)
		r = mk_quantity_cpus(node->spec->cpus, &node->nano_cpus, err);
	if (r == 0 && node->spec && node->spec->memory)
		r = mk_quantity_bytes(node->spec->memory, &node->memory, err);
	return r < 0 ? mk_error_wrap(err, "node '%s'", node->name) : 0;
}

static int add(struct mk_plan *plan, const struct mk_cluster_spec *spec, enum mk_role role,
	size_t count, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		struct mk_node_plan *node = &plan->nodes[plan->count++];

		*node = (struct mk_node_plan){
			.role = role,
			.name = mk_plan_node_name(spec->name, role, i),
			.fresh = true,
		};
		r = mk_node_plan_adopt(node, spec, err);
	}
	return r;
}

static int add_all(struct mk_plan *plan, const struct mk_cluster_spec *spec, struct mk_error *err)
{
	int r = add(plan, spec, MK_ROLE_CONTROL_PLANE, plan->control_planes, err);

	if (r == 0)
		r = add(plan, spec, MK_ROLE_WORKER, plan->kube_count - plan->control_planes, err);
	if (r == 0 && plan->control_planes > 1)
		r = add(plan, spec, MK_ROLE_LOAD_BALANCER, 1, err);
	return r;
}

/* The fixed ones: nobody else is given them. */
static int claim_fixed(
	struct mk_addresses *addresses, const struct mk_cluster_spec *spec, struct mk_error *err)
{
	for (size_t i = 0; i < spec->node_count; i++) {
		if (spec->nodes[i].ip &&
			mk_addresses_claim(addresses, spec->nodes[i].ip, err) < 0) {
			mk_autofree char *name = mk_plan_spec_name(spec, i);

			return mk_error_wrap(err, "node '%s'", name);
		}
	}
	return 0;
}

char *mk_plan_balancer_address(const struct mk_cluster_spec *spec, const struct mk_cidr *subnet)
{
	mk_autoaddresses addresses = { .used = NULL };
	mk_autoerror ignored = { .code = MK_OK };
	char *ip = NULL;

	if (mk_addresses_init(subnet, 1, &addresses, &ignored) == 0 &&
		claim_fixed(&addresses, spec, &ignored) == 0)
		ip = mk_addresses_next(&addresses, MK_PLAN_BALANCER);
	return ip ? ip : mk_cidr_address(subnet, MK_PLAN_BALANCER);
}

/* The balancer has its place also where there is none yet. */
static int give_addresses(struct mk_plan *plan, const struct mk_cluster_spec *spec,
	const struct mk_cidr *subnet, struct mk_error *err)
{
	static const uint32_t first[] = { [MK_ROLE_CONTROL_PLANE] = MK_PLAN_FIRST_CONTROL_PLANE,
		[MK_ROLE_WORKER] = MK_PLAN_FIRST_WORKER };
	mk_autoaddresses addresses = { .used = NULL };
	int r = mk_addresses_init(subnet, plan->kube_count + 1, &addresses, err);

	if (r == 0)
		r = claim_fixed(&addresses, spec, err);
	if (r < 0)
		return r;
	plan->balancer_ip = mk_addresses_next(&addresses, MK_PLAN_BALANCER);
	for (size_t i = 0; i < plan->count; i++) {
		struct mk_node_plan *node = &plan->nodes[i];

		if (node->role == MK_ROLE_LOAD_BALANCER)
			node->ip = mk_xstrdup(plan->balancer_ip);
		else if (node->spec && node->spec->ip)
			node->ip = mk_xstrdup(node->spec->ip);
		else
			node->ip = mk_addresses_next(&addresses, first[node->role]);
	}
	return 0;
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
	};
	int r = add_all(&plan, spec, err);

	if (r == 0)
		r = give_addresses(&plan, spec, subnet, err);
	if (r == 0)
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

char *mk_plan_etcd_members(const struct mk_plan *plan)
{
	mk_autostrlist members = { .items = NULL };

	for (size_t i = 0; i < plan->control_planes; i++)
		mk_strlist_addf(
			&members, "%s=https://%s:2380", plan->nodes[i].name, plan->nodes[i].ip);
	return mk_strlist_join(&members, ",");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a cluster that exists, and what becomes of it when nodes come or go. */
#include "lib/cluster/addresses.h"
#include "lib/cluster/plan.h"

static const char *label_of(const json_t *node, const char *key)
{
	return mk_json_str(node, key, "");
}

static bool role_of(const json_t *node, enum mk_role *ret)
{
	static const enum mk_role roles[] = { MK_ROLE_CONTROL_PLANE, MK_ROLE_WORKER,
		MK_ROLE_LOAD_BALANCER };

	for (size_t i = 0; i < MK_ARRAY_LEN(roles); i++) {
		*ret = roles[i];
		if (mk_streq(label_of(node, "role"), mk_role_name(roles[i])))
			return true;
	}
	return false;
}

/* 1 of "dev-worker", 12 of "dev-worker-12". */
static uint64_t number_of(const struct mk_node_plan *node)
{
	const char *dash = strrchr(node->name, '-');
	uint64_t n;

	return dash && mk_parse_uint(dash + 1, 2, 100000, &n) ? n : 1;
}

static int compare(const void *a, const void *b)
{
	const struct mk_node_plan *x = a, *y = b;

	if (x->role != y->role)
		return x->role < y->role ? -1 : 1;
	return number_of(x) < number_of(y) ? -1 : number_of(x) > number_of(y);
}

/* Counts, order, and where the API is, after any change of the nodes. */
static void settle(struct mk_plan *plan)
{
	if (plan->count > 1)
		qsort(plan->nodes, plan->count, sizeof(*plan->nodes), compare);
	plan->control_planes = plan->kube_count = 0;
	for (size_t i = 0; i < plan->count; i++) {
		plan->control_planes += plan->nodes[i].role == MK_ROLE_CONTROL_PLANE;
		plan->kube_count += plan->nodes[i].role != MK_ROLE_LOAD_BALANCER;
	}
	free(plan->api_ip);
	plan->api_ip = mk_xstrdup(mk_plan_front(plan)->ip);
}

/* What stands in other nodes' routes is an address of the subnet, and a /24. */
static bool has_ranges(const json_t *node, enum mk_role role, const struct mk_cidr *subnet)
{
	mk_autofree char *ip = mk_xasprintf("%s/32", label_of(node, "ip"));
	mk_autoerror ignored = { .code = MK_OK };
	struct mk_cidr range;

	if (mk_cidr_parse(ip, &range, &ignored) < 0 || !mk_cidr_overlap(&range, subnet))
		return false;
	return role == MK_ROLE_LOAD_BALANCER ||
		(mk_cidr_parse(label_of(node, "pods"), &range, &ignored) == 0 && range.bits == 24);
}

static int add_node(struct mk_plan *plan, const json_t *node, const struct mk_cluster_spec *spec,
	const struct mk_cidr *subnet, struct mk_error *err)
{
	const char *pods = label_of(node, "pods");
	struct mk_node_plan *ret = &plan->nodes[plan->count];

	if (!role_of(node, &ret->role) || !has_ranges(node, ret->role, subnet))
		return mk_fail(err, MK_EFAIL, "the labels of node '%s' are damaged",
			label_of(node, "name"));
	ret->name = mk_xstrdup(label_of(node, "name"));
	ret->ip = mk_xstrdup(label_of(node, "ip"));
	ret->pod_cidr = *pods ? mk_xstrdup(pods) : NULL;
	ret->container = mk_xstrdup(label_of(node, "id"));
	ret->running = mk_streq(label_of(node, "state"), "running");
	plan->count++;
	return mk_node_plan_adopt(ret, spec, err);
}

int mk_plan_of_nodes(const json_t *nodes, const struct mk_cluster_spec *spec,
	const struct mk_cidr *subnet, struct mk_plan *ret, struct mk_error *err)
{
	struct mk_plan plan = {
		.nodes = mk_xcalloc(json_array_size(nodes) + 1, sizeof(struct mk_node_plan)),
		.balancer_name = mk_plan_node_name(spec->name, MK_ROLE_LOAD_BALANCER, 0),
		.balancer_ip = mk_plan_balancer_address(spec, subnet),
	};
	const json_t *node;
	size_t i;
	int r = 0;

	json_array_foreach (nodes, i, node) {
		if (r == 0)
			r = add_node(&plan, node, spec, subnet, err);
	}
	if (r == 0 && plan.count == 0)
		r = mk_fail(err, MK_ENOTFOUND, "cluster '%s' has no nodes", spec->name);
	if (r < 0) {
		mk_plan_done(&plan);
		return r;
	}
	settle(&plan);
	*ret = plan;
	return 0;
}

static char *copy_text(const char *text)
{
	return text ? mk_xstrdup(text) : NULL;
}

void mk_plan_copy(const struct mk_plan *plan, struct mk_plan *ret)
{
	*ret = *plan;
	ret->nodes = mk_xcalloc(plan->count, sizeof(*ret->nodes));
	for (size_t i = 0; i < plan->count; i++) {
		struct mk_node_plan *node = &ret->nodes[i];

		*node = plan->nodes[i];
		node->name = copy_text(node->name);
		node->ip = copy_text(node->ip);
		node->pod_cidr = copy_text(node->pod_cidr);
		node->container = copy_text(node->container);
	}
	ret->api_ip = copy_text(plan->api_ip);
	ret->balancer_name = copy_text(plan->balancer_name);
	ret->balancer_ip = copy_text(plan->balancer_ip);
}

struct mk_node_plan *mk_plan_find(const struct mk_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (mk_streq(plan->nodes[i].name, name))
			return &plan->nodes[i];
	}
	return NULL;
}

static char *free_name(
	const struct mk_plan *plan, const struct mk_cluster_spec *spec, enum mk_role role)
{
	for (size_t n = 0;; n++) {
		mk_autofree char *name = mk_plan_node_name(spec->name, role, n);

		if (!mk_plan_find(plan, name))
			return MK_TAKE(name);
	}
}

/* Its own, if the spec says so and nobody has it, else the next free one. NULL when
 * the subnet is full. */
static char *free_ip(
	const struct mk_plan *plan, const struct mk_cidr *subnet, const struct mk_node_plan *node)
{
	const char *own = node->spec ? node->spec->ip : NULL;
	mk_autoaddresses addresses = { .used = NULL };
	mk_autoerror ignored = { .code = MK_OK };

	if (mk_addresses_init(subnet, 1, &addresses, &ignored) < 0)
		return NULL;
	(void)!mk_addresses_claim(&addresses, plan->balancer_ip, &ignored);
	for (size_t i = 0; i < plan->count; i++)
		(void)!mk_addresses_claim(&addresses, plan->nodes[i].ip, &ignored);
	if (own && mk_addresses_claim(&addresses, own, &ignored) == 0)
		return mk_xstrdup(own);
	return mk_addresses_next(&addresses,
		node->role == MK_ROLE_WORKER ? MK_PLAN_FIRST_WORKER : MK_PLAN_FIRST_CONTROL_PLANE);
}

/* NULL when the pod subnet is full. */
static char *free_pods(const struct mk_plan *plan, const struct mk_cidr *pods)
{
	for (uint32_t i = 0; i < 1U << (24 - pods->bits); i++) {
		struct mk_cidr range = { .address = pods->address + (i << 8), .bits = 24 };
		mk_autofree char *text = mk_cidr_print(&range);
		bool used = false;

		for (size_t n = 0; n < plan->kube_count; n++)
			used = used || mk_streq(plan->nodes[n].pod_cidr, text);
		if (!used)
			return MK_TAKE(text);
	}
	return NULL;
}

static void add_balancer(struct mk_plan *plan)
{
	plan->nodes[plan->count++] = (struct mk_node_plan){
		.role = MK_ROLE_LOAD_BALANCER,
		.name = mk_xstrdup(plan->balancer_name),
		.ip = mk_xstrdup(plan->balancer_ip),
		.fresh = true,
	};
}

/* Room for one node, and a balancer that may come with it. */
static void reserve(struct mk_plan *plan)
{
	plan->nodes = mk_xrealloc(plan->nodes, (plan->count + 2) * sizeof(*plan->nodes));
	memset(&plan->nodes[plan->count], 0, 2 * sizeof(*plan->nodes));
}

static int grow_by_one(struct mk_plan *plan, const struct mk_cluster_spec *spec,
	const struct mk_cidr *subnet, enum mk_role role, struct mk_error *err)
{
	struct mk_node_plan node = { .role = role, .fresh = true };
	struct mk_cidr pods;
	int r = mk_cidr_parse(spec->pod_subnet, &pods, err);

	if (r < 0)
		return r;
	node.name = free_name(plan, spec, role);
	r = mk_node_plan_adopt(&node, spec, err);
	node.ip = free_ip(plan, subnet, &node);
	node.pod_cidr = free_pods(plan, &pods);
	reserve(plan);
	plan->nodes[plan->count++] = node;
	if (r < 0)
		return r;
	if (!node.ip)
		return mk_fail(err, MK_EUSAGE, "no address is left for '%s' in the nodes' subnet",
			node.name);
	if (!node.pod_cidr)
		return mk_fail(err, MK_EUSAGE, "pod subnet %s has no /24 left for '%s'",
			spec->pod_subnet, node.name);
	if (role == MK_ROLE_CONTROL_PLANE && !mk_plan_find(plan, plan->balancer_name))
		add_balancer(plan);
	settle(plan);
	return 0;
}

int mk_plan_grow(struct mk_plan *plan, const struct mk_cluster_spec *spec,
	const struct mk_cidr *subnet, enum mk_role role, size_t count, struct mk_error *err)
{
	size_t workers = plan->kube_count - plan->control_planes;
	int r = 0;

	if (role == MK_ROLE_CONTROL_PLANE && plan->control_planes + count > MK_MAX_CONTROL_PLANES)
		return mk_fail(err, MK_EUSAGE, "a cluster has at most %d control planes",
			MK_MAX_CONTROL_PLANES);
	if (role == MK_ROLE_WORKER && workers + count > MK_MAX_WORKERS)
		return mk_fail(err, MK_EUSAGE, "a cluster has at most %d workers", MK_MAX_WORKERS);
	for (size_t i = 0; i < count && r == 0; i++)
		r = grow_by_one(plan, spec, subnet, role, err);
	return r;
}

void mk_plan_drop(struct mk_plan *plan, const char *name)
{
	struct mk_node_plan *node = mk_plan_find(plan, name);
	size_t after;

	if (!node)
		return;
	after = plan->count - 1 - (size_t)(node - plan->nodes);
	mk_node_plan_done(node);
	memmove(node, node + 1, after * sizeof(*node));
	plan->count--;
	settle(plan);
}

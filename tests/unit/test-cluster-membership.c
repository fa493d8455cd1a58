/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of clusters that exist, and what becomes of them; and members of etcd. */
#include "lib/cluster/etcd.h"
#include "lib/cluster/plan.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static const struct mk_cidr subnet = { .address = 0x0ad50700, .bits = 24 };

#define autoplan MK_CLEANUP(mk_plan_done) struct mk_plan

static void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text ? text : "(null)");
}

static struct mk_cluster_spec spec_dev(void)
{
	struct mk_cluster_spec spec = mk_cluster_spec_init();

	free(spec.name);
	spec.name = mk_xstrdup("dev");
	return spec;
}

/* A node as mk_cluster_nodes has it. */
static void add(json_t *nodes, const char *role, const char *name, int host, int pods)
{
	mk_autofree char *ip = mk_xasprintf("10.213.7.%d", host);
	mk_autofree char *range = pods < 0 ? mk_xstrdup("") : mk_xasprintf("10.244.%d.0/24", pods);
	mk_autofree char *id = mk_xasprintf("id-%s", name);

	(void)json_array_append_new(nodes,
		mk_json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "role", role, "name", name, "ip", ip,
			"pods", range, "id", id, "state", "running"));
}

/* "NAME IP PODS" of each node, a line a node. Caller frees. */
static char *print(const struct mk_plan *plan)
{
	mk_autostrlist lines = { .items = NULL };

	for (size_t i = 0; i < plan->count; i++) {
		const struct mk_node_plan *node = &plan->nodes[i];

		mk_strlist_addf(&lines, "%s%s %s %s", node->fresh ? "+" : "", node->name, node->ip,
			node->pod_cidr ? node->pod_cidr : "-");
	}
	return mk_strlist_join(&lines, "\n");
}

static void assert_plan(const struct mk_plan *plan, const char *expected)
{
	mk_autofree char *text = print(plan);

	assert_string_equal(text, expected);
}

static struct mk_plan plan_of(const json_t *nodes)
{
	mk_autospec spec = spec_dev();
	mk_autoerror err = { .code = MK_OK };
	struct mk_plan plan = { .nodes = NULL };

	if (mk_plan_of_nodes(nodes, &spec, &subnet, &plan, &err) < 0)
		fail_msg("%s", err.message);
	return plan;
}

static int grow(struct mk_plan *plan, enum mk_role role, size_t count, struct mk_error *err)
{
	mk_autospec spec = spec_dev();

	return mk_plan_grow(plan, &spec, &subnet, role, count, err);
}

/* One control plane, and workers with these numbers, of which each has what a plan of
 * that many would give it. */
static struct mk_plan plan_with_workers(const int *numbers, size_t count)
{
	mk_autojson *nodes = json_array();

	add(nodes, "control-plane", "dev-control-plane", 2, 0);
	for (size_t i = 0; i < count; i++) {
		mk_autofree char *name = numbers[i] == 1
			? mk_xstrdup("dev-worker")
			: mk_xasprintf("dev-worker-%d", numbers[i]);

		add(nodes, "worker", name, 11 + numbers[i], numbers[i]);
	}
	return plan_of(nodes);
}

/* By number, not as text: 2 comes before 10. */
static void test_order(void **state)
{
	static const char expected[] = "dev-control-plane 10.213.7.2 10.244.0.0/24\n"
				       "dev-control-plane-2 10.213.7.3 10.244.1.0/24\n"
				       "dev-worker 10.213.7.12 10.244.2.0/24\n"
				       "dev-worker-2 10.213.7.13 10.244.3.0/24\n"
				       "dev-worker-10 10.213.7.21 10.244.11.0/24\n"
				       "dev-worker-11 10.213.7.22 10.244.12.0/24\n"
				       "dev-worker-100 10.213.7.111 10.244.101.0/24\n"
				       "dev-load-balancer 10.213.7.11 -";
	mk_autojson *nodes = json_array();
	autoplan plan = { .nodes = NULL };

	(void)state;
	/* As mk_cluster_nodes sorts them. */
	add(nodes, "control-plane", "dev-control-plane", 2, 0);
	add(nodes, "control-plane", "dev-control-plane-2", 3, 1);
	add(nodes, "load-balancer", "dev-load-balancer", 11, -1);
	add(nodes, "worker", "dev-worker", 12, 2);
	add(nodes, "worker", "dev-worker-10", 21, 11);
	add(nodes, "worker", "dev-worker-100", 111, 101);
	add(nodes, "worker", "dev-worker-11", 22, 12);
	add(nodes, "worker", "dev-worker-2", 13, 3);
	plan = plan_of(nodes);
	assert_plan(&plan, expected);
	assert_int_equal(plan.count, 8);
	assert_int_equal(plan.kube_count, 7);
	assert_int_equal(plan.control_planes, 2);
	assert_string_equal(plan.api_ip, "10.213.7.11");
	assert_string_equal(plan.nodes[4].container, "id-dev-worker-10");
	assert_ptr_equal(mk_plan_find(&plan, "dev-worker-11"), &plan.nodes[5]);
	assert_null(mk_plan_find(&plan, "dev-worker-1"));
}

/* A cluster's own name that ends like a number is none. */
static void test_cluster_with_a_number(void **state)
{
	mk_autospec spec = spec_dev();
	mk_autojson *nodes = json_array();
	autoplan plan = { .nodes = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	free(spec.name);
	spec.name = mk_xstrdup("dev-9");
	add(nodes, "control-plane", "dev-9-control-plane", 2, 0);
	add(nodes, "worker", "dev-9-worker-2", 13, 2);
	add(nodes, "worker", "dev-9-worker", 12, 1);
	assert_int_equal(mk_plan_of_nodes(nodes, &spec, &subnet, &plan, &err), 0);
	assert_string_equal(plan.nodes[1].name, "dev-9-worker");
	assert_int_equal(mk_plan_grow(&plan, &spec, &subnet, MK_ROLE_WORKER, 1, &err), 0);
	assert_string_equal(plan.nodes[3].name, "dev-9-worker-3");
}

static void test_states(void **state)
{
	static const char *const states[] = { "exited", "paused", "created", "restarting", "" };
	mk_autojson *nodes = json_array();

	(void)state;
	add(nodes, "control-plane", "dev-control-plane", 2, 0);
	for (size_t i = 0; i < MK_ARRAY_LEN(states); i++) {
		autoplan plan = { .nodes = NULL };

		(void)json_object_set_new(
			json_array_get(nodes, 0), "state", json_string(states[i]));
		plan = plan_of(nodes);
		assert_false(plan.nodes[0].running);
		assert_false(plan.nodes[0].fresh);
	}
}

/* An address that nobody gave would stand in routes and in a balancer's file. */
static void test_damaged_labels(void **state)
{
	static const struct {
		const char *key, *value;
	} cases[] = {
		{ "ip", "" },
		{ "ip", "10.213.7" },
		{ "ip", "10.213.7.300" },
		{ "ip", "10.213.7.12\n10.0.0.0/8 10.213.7.1" },
		{ "ip", "10.213.8.12" },
		{ "ip", "host.example" },
		{ "ip", "10.213.7.0/24" },
		{ "pods", "" },
		{ "pods", "10.244.1.1" },
		{ "pods", "10.244.1.1/24" },
		{ "pods", "10.244.0.0/16" },
		{ "pods", "10.244.1.0/24 " },
		{ "role", "" },
		{ "role", "workers" },
	};
	mk_autospec spec = spec_dev();

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autojson *nodes = json_array();
		autoplan plan = { .nodes = NULL };
		mk_autoerror err = { .code = MK_OK };

		add(nodes, "control-plane", "dev-control-plane", 2, 0);
		add(nodes, "worker", "dev-worker", 12, 1);
		add(nodes, "worker", "dev-worker-2", 13, 2);
		(void)json_object_set_new(
			json_array_get(nodes, 1), cases[i].key, json_string(cases[i].value));
		if (mk_plan_of_nodes(nodes, &spec, &subnet, &plan, &err) != -MK_EFAIL)
			fail_msg("%s '%s' is taken", cases[i].key, cases[i].value);
		assert_string_equal(err.message, "the labels of node 'dev-worker' are damaged");
		assert_null(plan.nodes);
	}
}

static void test_no_nodes(void **state)
{
	mk_autospec spec = spec_dev();
	mk_autojson *none = json_array();
	autoplan plan = { .nodes = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_plan_of_nodes(none, &spec, &subnet, &plan, &err), -MK_ENOTFOUND);
	assert_int_equal(mk_plan_of_nodes(NULL, &spec, &subnet, &plan, &err), -MK_ENOTFOUND);
	assert_words(err.message, "cluster 'dev' has no nodes");
}

/* What those who left had is given again, the first first. */
static void test_gaps(void **state)
{
	static const int numbers[] = { 1, 3, 10 };
	autoplan plan = plan_with_workers(numbers, MK_ARRAY_LEN(numbers));
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(grow(&plan, MK_ROLE_WORKER, 3, &err), 0);
	assert_plan(&plan,
		"dev-control-plane 10.213.7.2 10.244.0.0/24\n"
		"dev-worker 10.213.7.12 10.244.1.0/24\n"
		"+dev-worker-2 10.213.7.13 10.244.2.0/24\n"
		"dev-worker-3 10.213.7.14 10.244.3.0/24\n"
		"+dev-worker-4 10.213.7.15 10.244.4.0/24\n"
		"+dev-worker-5 10.213.7.16 10.244.5.0/24\n"
		"dev-worker-10 10.213.7.21 10.244.10.0/24");
	assert_string_equal(plan.api_ip, "10.213.7.2");
}

/* From nine to eleven, and on from a name of two digits. */
static void test_two_digits(void **state)
{
	static const int numbers[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	autoplan plan = plan_with_workers(numbers, MK_ARRAY_LEN(numbers));
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(grow(&plan, MK_ROLE_WORKER, 2, &err), 0);
	assert_string_equal(plan.nodes[10].name, "dev-worker-10");
	assert_string_equal(plan.nodes[11].name, "dev-worker-11");
	assert_string_equal(plan.nodes[11].ip, "10.213.7.22");
}

static void test_control_planes(void **state)
{
	static const int numbers[] = { 1 };
	autoplan plan = plan_with_workers(numbers, 1);
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(grow(&plan, MK_ROLE_CONTROL_PLANE, 1, &err), 0);
	assert_plan(&plan,
		"dev-control-plane 10.213.7.2 10.244.0.0/24\n"
		"+dev-control-plane-2 10.213.7.3 10.244.2.0/24\n"
		"dev-worker 10.213.7.12 10.244.1.0/24\n"
		"+dev-load-balancer 10.213.7.11 -");
	assert_string_equal(plan.api_ip, "10.213.7.11");
	assert_int_equal(plan.control_planes, 2);
	assert_int_equal(plan.kube_count, 3);
	assert_ptr_equal(mk_plan_front(&plan), &plan.nodes[3]);
	/* One balancer is enough for all. */
	assert_int_equal(grow(&plan, MK_ROLE_CONTROL_PLANE, 7, &err), 0);
	assert_int_equal(plan.count, 11);
	assert_string_equal(plan.nodes[8].name, "dev-control-plane-9");
	assert_string_equal(plan.nodes[8].ip, "10.213.7.10");
	assert_int_equal(grow(&plan, MK_ROLE_CONTROL_PLANE, 1, &err), -MK_EUSAGE);
	assert_words(err.message, "at most 9 control planes");
	/* Also when there is one control plane again. */
	for (int i = 2; i <= 9; i++) {
		mk_autofree char *name = mk_xasprintf("dev-control-plane-%d", i);

		mk_plan_drop(&plan, name);
	}
	assert_int_equal(plan.control_planes, 1);
	assert_string_equal(plan.api_ip, "10.213.7.11");
	assert_int_equal(grow(&plan, MK_ROLE_CONTROL_PLANE, 1, &err), 0);
	assert_int_equal(plan.count, 4);
}

static void test_limits(void **state)
{
	autoplan plan = plan_with_workers(NULL, 0);
	mk_autoerror err = { .code = MK_OK };
	mk_autostrlist ips = { .items = NULL };

	(void)state;
	assert_int_equal(grow(&plan, MK_ROLE_WORKER, MK_MAX_WORKERS, &err), 0);
	assert_int_equal(plan.count, 1 + MK_MAX_WORKERS);
	for (size_t i = 0; i < plan.count; i++) {
		assert_false(mk_strlist_has(&ips, plan.nodes[i].ip));
		mk_strlist_add(&ips, plan.nodes[i].ip);
	}
	/* The balancer that is still to come has its address already. */
	assert_false(mk_strlist_has(&ips, plan.balancer_ip));
	assert_int_equal(grow(&plan, MK_ROLE_WORKER, 1, &err), -MK_EUSAGE);
	assert_words(err.message, "at most 200 workers");
}

static void test_full_ranges(void **state)
{
	static const int numbers[] = { 1, 2 };
	const struct mk_cidr small = { .address = subnet.address, .bits = 28 };
	mk_autospec spec = spec_dev();
	autoplan plan = plan_with_workers(numbers, 1);
	autoplan other = plan_with_workers(numbers, 2);
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	/* Of a /28, from the first worker's on and round: .2 and .12 are taken, .11 is the
	 * balancer's, .1 the gateway and .15 the broadcast address. */
	assert_int_equal(mk_plan_grow(&plan, &spec, &small, MK_ROLE_WORKER, 10, &err), 0);
	assert_string_equal(mk_plan_find(&plan, "dev-worker-3")->ip, "10.213.7.14");
	assert_string_equal(mk_plan_find(&plan, "dev-worker-4")->ip, "10.213.7.3");
	assert_string_equal(mk_plan_find(&plan, "dev-worker-11")->ip, "10.213.7.10");
	assert_int_equal(mk_plan_grow(&plan, &spec, &small, MK_ROLE_WORKER, 1, &err), -MK_EUSAGE);
	assert_words(err.message, "no address is left for 'dev-worker-12'");
	free(spec.pod_subnet);
	spec.pod_subnet = mk_xstrdup("10.244.0.0/22");
	assert_int_equal(mk_plan_grow(&other, &spec, &subnet, MK_ROLE_WORKER, 2, &err), -MK_EUSAGE);
	assert_words(err.message, "pod subnet 10.244.0.0/22 has no /24 left for 'dev-worker-4'");
}

static void test_drop(void **state)
{
	static const int numbers[] = { 1, 2, 3 };
	autoplan plan = plan_with_workers(numbers, MK_ARRAY_LEN(numbers));

	(void)state;
	mk_plan_drop(&plan, "dev-worker-2");
	mk_plan_drop(&plan, "dev-worker-2");
	mk_plan_drop(&plan, "nobody");
	assert_plan(&plan,
		"dev-control-plane 10.213.7.2 10.244.0.0/24\n"
		"dev-worker 10.213.7.12 10.244.1.0/24\n"
		"dev-worker-3 10.213.7.14 10.244.3.0/24");
	assert_int_equal(plan.kube_count, 3);
	mk_plan_drop(&plan, "dev-worker-3");
	mk_plan_drop(&plan, "dev-worker");
	assert_plan(&plan, "dev-control-plane 10.213.7.2 10.244.0.0/24");
	assert_string_equal(plan.api_ip, "10.213.7.2");
}

/* A copy stays what it was, whatever happens to the plan, and the other way round. */
static void test_copy(void **state)
{
	static const int numbers[] = { 1, 2 };
	static const char before[] = "dev-control-plane 10.213.7.2 10.244.0.0/24\n"
				     "dev-worker 10.213.7.12 10.244.1.0/24\n"
				     "dev-worker-2 10.213.7.13 10.244.2.0/24";
	struct mk_plan plan = plan_with_workers(numbers, MK_ARRAY_LEN(numbers));
	autoplan copy = { .nodes = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	mk_plan_copy(&plan, &copy);
	assert_int_equal(grow(&plan, MK_ROLE_CONTROL_PLANE, 2, &err), 0);
	mk_plan_drop(&plan, "dev-worker");
	mk_plan_done(&plan);
	assert_plan(&copy, before);
	assert_string_equal(copy.api_ip, "10.213.7.2");
	assert_string_equal(copy.balancer_name, "dev-load-balancer");
	assert_string_equal(copy.nodes[1].container, "id-dev-worker");
	assert_true(copy.nodes[1].running);
	assert_int_equal(grow(&copy, MK_ROLE_WORKER, 1, &err), 0);
}

/* Printed by etcdctl 3.6.8 beside its log: a member that runs, one that has not
 * started and so has no name, a learner. */
static const char members[] =
	"{\"level\":\"warn\",\"ts\":\"2026-11-23T10:00:00.000000Z\",\"caller\":\"v3@v3.6.8/"
	"retry_interceptor.go:65\",\"msg\":\"retrying of unary invoker failed\",\"target\":"
	"\"etcd-endpoints://0xc0000/127.0.0.1:2379\",\"peer\": https://10.213.7.4:2380, \"x\"}\n"
	"1f2a3b4c5d6e7f80, started, dev-control-plane, https://10.213.7.2:2380, "
	"https://10.213.7.2:2379, false\n"
	"8e9e05c52164694d, unstarted, , https://10.213.7.4:2380, , true\n"
	"a1, started, dev-control-plane-10, https://10.213.7.20:2380, https://10.213.7.20:2379, "
	"true\n";

static void test_etcd_members(void **state)
{
	static const char *const cases[][2] = {
		{ "10.213.7.2", "1f2a3b4c5d6e7f80" },
		{ "10.213.7.4", "8e9e05c52164694d" },
		{ "10.213.7.20", "a1" },
		/* No prefix of an address is that address. */
		{ "10.213.7.3", NULL },
		{ "0.213.7.2", NULL },
		{ "10.213.7", NULL },
		{ "10.213.7.", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *id = mk_etcd_find(members, cases[i][0]);

		if (!mk_streq(id ? id : "-", cases[i][1] ? cases[i][1] : "-"))
			fail_msg("%s is %s", cases[i][0], id ? id : "nobody");
	}
}

/* An id goes into a command: what is none is nobody. */
static void test_etcd_nonsense(void **state)
{
	static const char *const cases[] = { "", "\n\n", ", https://10.213.7.2:2380,",
		" https://10.213.7.2:2380,", "--force, started, a, https://10.213.7.2:2380, b",
		"12345678901234567, started, a, https://10.213.7.2:2380, b",
		"8e9e 5, started, a, https://10.213.7.2:2380, b" };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++)
		assert_null(mk_etcd_find(cases[i], "10.213.7.2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_cluster_with_a_number),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_damaged_labels),
		cmocka_unit_test(test_no_nodes),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_two_digits),
		cmocka_unit_test(test_control_planes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_full_ranges),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_etcd_members),
		cmocka_unit_test(test_etcd_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

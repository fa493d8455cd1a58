/* SPDX-License-Identifier: Apache-2.0 */
/* What a cluster is to be: ranges, names, config files and what they may not say. */
#include "lib/base/fs.h"
#include "lib/cluster/host.h"
#include "lib/cluster/plan.h"
#include "lib/cluster/spec.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text ? text : "(null)");
}

static void test_ranges(void **state)
{
	static const char *const good[] = { "10.244.0.0/16", "0.0.0.0/0", "1.2.3.4/32",
		"10.0.0.0/8", "192.168.1.128/25" };
	static const char *const bad[] = { "", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8",
		"10.0.0/8", "10.0.0.0/8 ", "fd00::/64", "10.0.0.0/-1", "a/8", "1.2.3.5/31" };
	struct mk_cidr range;
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(good); i++) {
		mk_autofree char *text = NULL;

		assert_int_equal(mk_cidr_parse(good[i], &range, &err), 0);
		text = mk_cidr_print(&range);
		assert_string_equal(text, good[i]);
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(bad); i++)
		assert_int_equal(mk_cidr_parse(bad[i], &range, &err), -MK_EUSAGE);
	assert_int_equal(mk_cidr_parse("10.0.0.0/8", &range, &err), 0);
	assert_int_equal(range.address, 0x0a000000);
	assert_int_equal(range.bits, 8);
}

static void test_overlaps(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} cases[] = {
		{ "10.0.0.0/8", "10.244.0.0/16", true },
		{ "10.0.0.0/8", "11.0.0.0/8", false },
		{ "0.0.0.0/0", "192.168.0.0/16", true },
		{ "10.1.0.0/24", "10.1.1.0/24", false },
		{ "10.1.0.0/23", "10.1.1.0/24", true },
		{ "1.2.3.4/32", "1.2.3.4/32", true },
		{ "1.2.3.4/32", "1.2.3.5/32", false },
	};
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		struct mk_cidr a, b;

		assert_int_equal(mk_cidr_parse(cases[i].a, &a, &err), 0);
		assert_int_equal(mk_cidr_parse(cases[i].b, &b, &err), 0);
		assert_int_equal(mk_cidr_overlap(&a, &b), cases[i].overlap);
		assert_int_equal(mk_cidr_overlap(&b, &a), cases[i].overlap);
	}
}

static void test_addresses(void **state)
{
	struct mk_cidr range = { .address = 0x0a600000, .bits = 16 };
	mk_autofree char *first = mk_cidr_address(&range, 1);
	mk_autofree char *far = mk_cidr_address(&range, 0x1234);

	(void)state;
	assert_string_equal(first, "10.96.0.1");
	assert_string_equal(far, "10.96.18.52");
}

static void test_names(void **state)
{
	static const char *const good[] = { "a", "mkcluster", "a-1", "1a", "0",
		"abcdefghijklmnopqrstuvwxyz012345" };
	static const char *const bad[] = { "", "-a", "a-", "A", "a.b", "a_b", "a b", "ä", "a/b",
		"abcdefghijklmnopqrstuvwxyz0123456" };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(good); i++)
		assert_int_equal(mk_cluster_name_check(good[i], &err), 0);
	for (size_t i = 0; i < MK_ARRAY_LEN(bad); i++) {
		assert_int_equal(mk_cluster_name_check(bad[i], &err), -MK_EUSAGE);
		assert_words(err.message, "cannot name a cluster");
	}
}

/* Counts become nodes, a list of nodes is put in order, and its own counts hold. */
static void test_settle(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();

	(void)state;
	spec.control_planes = 3;
	spec.workers = 1;
	for (int twice = 0; twice < 2; twice++) {
		mk_cluster_spec_settle(&spec);
		assert_int_equal(spec.node_count, 4);
		assert_int_equal(spec.nodes[2].role, MK_NODE_CONTROL_PLANE);
		assert_int_equal(spec.nodes[3].role, MK_NODE_WORKER);
	}
	spec.nodes[0].role = MK_NODE_WORKER;
	spec.nodes[0].image = mk_xstrdup("first/worker:1");
	spec.nodes[1].role = MK_NODE_WORKER;
	mk_cluster_spec_settle(&spec);
	assert_int_equal(spec.control_planes, 1);
	assert_int_equal(spec.workers, 3);
	assert_int_equal(spec.nodes[0].role, MK_NODE_CONTROL_PLANE);
	assert_string_equal(spec.nodes[1].image, "first/worker:1");
}

static void assert_node(const struct mk_plan *plan, size_t i, const char *expected)
{
	const struct mk_node_plan *node = &plan->nodes[i];
	mk_autofree char *text = mk_xasprintf("%s %s %s %s", node->name, mk_role_name(node->role),
		node->ip, node->pod_cidr ? node->pod_cidr : "-");

	assert_string_equal(text, expected);
	assert_null(node->container);
}

static void test_plans(void **state)
{
	static const struct mk_cidr subnet = { .address = 0x0ad50700, .bits = 24 };
	mk_autospec spec = mk_cluster_spec_init();
	MK_CLEANUP(mk_plan_done) struct mk_plan one = { .nodes = NULL };
	MK_CLEANUP(mk_plan_done) struct mk_plan many = { .nodes = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_plan_make(&spec, &subnet, &one, &err), 0);
	assert_int_equal(one.count, 1);
	assert_node(&one, 0, "mkcluster-control-plane control-plane 10.213.7.2 10.244.0.0/24");
	assert_false(mk_plan_has_balancer(&one));
	assert_ptr_equal(mk_plan_front(&one), &one.nodes[0]);
	assert_string_equal(one.api_ip, "10.213.7.2");
	spec.control_planes = 3;
	spec.workers = 2;
	assert_int_equal(mk_plan_make(&spec, &subnet, &many, &err), 0);
	assert_int_equal(many.count, 6);
	assert_int_equal(many.kube_count, 5);
	assert_node(&many, 2, "mkcluster-control-plane-3 control-plane 10.213.7.4 10.244.2.0/24");
	assert_node(&many, 3, "mkcluster-worker worker 10.213.7.12 10.244.3.0/24");
	assert_node(&many, 4, "mkcluster-worker-2 worker 10.213.7.13 10.244.4.0/24");
	assert_node(&many, 5, "mkcluster-load-balancer load-balancer 10.213.7.11 -");
	assert_ptr_equal(mk_plan_front(&many), &many.nodes[5]);
	assert_string_equal(many.api_ip, "10.213.7.11");
}

/* The largest cluster: every address is in the /24 and nobody else's. */
static void test_large_plan(void **state)
{
	static const struct mk_cidr subnet = { .address = 0x0ad50700, .bits = 24 };
	mk_autospec spec = mk_cluster_spec_init();
	MK_CLEANUP(mk_plan_done) struct mk_plan plan = { .nodes = NULL };
	struct mk_plan none = { .nodes = NULL };
	mk_autostrlist seen = { .items = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	spec.control_planes = MK_MAX_CONTROL_PLANES;
	spec.workers = MK_MAX_WORKERS;
	assert_int_equal(mk_plan_make(&spec, &subnet, &plan, &err), 0);
	for (size_t i = 0; i < plan.count; i++) {
		assert_non_null(mk_after_prefix(plan.nodes[i].ip, "10.213.7."));
		assert_false(mk_strlist_has(&seen, plan.nodes[i].ip));
		assert_true(strlen(plan.nodes[i].name) <= 63);
		mk_strlist_add(&seen, plan.nodes[i].ip);
	}
	assert_false(mk_strlist_has(&seen, "10.213.7.255") || mk_strlist_has(&seen, "10.213.7.1"));
	free(spec.pod_subnet);
	spec.pod_subnet = mk_xstrdup("10.244.0.0/17");
	assert_int_equal(mk_plan_make(&spec, &subnet, &none, &err), -MK_EUSAGE);
	assert_words(err.message, "has no room for a /24 on each of 209 nodes");
}

#define ROUTES                                                                                     \
	"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

static void test_routes(void **state)
{
	static const char text[] = ROUTES
		"eth0\t00000000\t0100110A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
		"eth0\t0000110A\t00000000\t0001\t0\t0\t100\t0000FFFF\t0\t0\t0\n"
		"wg0\t0101A8C0\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n"
		"broken line\n\n"
		"tun0\t0000640A\t00000000\t0001\t0\t0\t0\t00C0FFFF\t0\t0\t0\n";
	static const char *const expected[] = { "10.17.0.0/16", "192.168.1.1/32", "10.100.0.0/18" };
	struct mk_cidr routes[8];

	(void)state;
	assert_int_equal(mk_host_parse_routes(text, routes, 8), 3);
	for (size_t i = 0; i < MK_ARRAY_LEN(expected); i++) {
		mk_autofree char *range = mk_cidr_print(&routes[i]);

		assert_string_equal(range, expected[i]);
	}
	assert_int_equal(mk_host_parse_routes(text, routes, 1), 1);
	assert_int_equal(mk_host_parse_routes(ROUTES, routes, 8), 0);
	assert_int_equal(mk_host_parse_routes("", routes, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_large_plan),
		cmocka_unit_test(test_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

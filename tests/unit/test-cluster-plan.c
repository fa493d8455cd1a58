/* SPDX-License-Identifier: Apache-2.0 */
/* What each node is given before there are any: address, share of the host; the
 * subnet that the user names. */
#include "lib/cluster/host.h"
#include "lib/cluster/plan.h"
#include "lib/cluster/quantity.h"
#include "tests/unit/test-docker-world.h"

static void test_quantities(void **state)
{
	static const struct {
		const char *text;
		int64_t nano, bytes; /* 0: refused */
	} cases[] = {
		{ "2", 2000000000, 2 },
		{ "1.5", 1500000000, 1 },
		{ "0.01", 10000000, 0 },
		{ "0.009", 0, 0 },
		{ "500m", 500000000, 0 },
		{ "9m", 0, 0 },
		{ "0", 0, 0 },
		{ "", 0, 0 },
		{ "-1", 0, 0 },
		{ "1.", 0, 0 },
		{ ".5", 0, 0 },
		{ "1e3", 0, 0 },
		{ "100001", 0, 100001 },
		{ "99999999999999999999", 0, 0 },
		{ "2Gi", 0, 2147483648 },
		{ "1.5Gi", 0, 1610612736 },
		{ "512M", 0, 512000000 },
		{ "8388608Ti", 0, 0 },
		{ "1 Gi", 0, 0 },
		{ "1Gb", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		int64_t nano = 0, bytes = 0;

		assert_int_equal(mk_quantity_cpus(cases[i].text, &nano, &w.err),
			cases[i].nano ? 0 : -MK_EUSAGE);
		assert_int_equal(mk_quantity_bytes(cases[i].text, &bytes, &w.err),
			cases[i].bytes ? 0 : -MK_EUSAGE);
		assert_int_equal(nano, cases[i].nano);
		assert_int_equal(bytes, cases[i].bytes);
	}
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = { { "8760h", 31536000 }, { "1h30m", 5400 }, { "1.5h", 5400 }, { "90s", 90 },
		{ "1m0.5s", 60 }, { "1500ms", 1 }, { "2562047h", 9223369200 }, { "2562048h", 0 },
		{ "2562047h60m", 0 }, { "999ms", 0 }, { "0s", 0 }, { "", 0 }, { "5", 0 },
		{ "h", 0 }, { "1h5", 0 }, { "-1h", 0 }, { "1d", 0 }, { "1H", 0 }, { "1h 5m", 0 },
		{ "1.h", 0 }, { "99999999999999999999h", 0 }, { "5000000000000000000ms", 0 } };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		int64_t seconds = 0;

		assert_int_equal(mk_quantity_seconds(cases[i].text, &seconds, &w.err),
			cases[i].seconds ? 0 : -MK_EUSAGE);
		assert_int_equal(seconds, cases[i].seconds);
	}
}

#define autoplan MK_CLEANUP(mk_plan_done) struct mk_plan

/* A settled spec of so many nodes. */
static struct mk_cluster_spec spec_of(int64_t control_planes, int64_t workers)
{
	struct mk_cluster_spec spec = mk_cluster_spec_init();

	spec.control_planes = control_planes;
	spec.workers = workers;
	mk_cluster_spec_settle(&spec);
	return spec;
}

static int plan_on(const struct mk_cluster_spec *spec, const char *subnet, struct mk_plan *ret)
{
	struct mk_cidr range;

	mk_error_done(&w.err);
	assert_int_equal(mk_cidr_parse(subnet, &range, &w.err), 0);
	return mk_plan_make(spec, &range, ret, &w.err);
}

static void assert_addresses(const struct mk_plan *plan, const char *expected)
{
	mk_autostrlist list = { .items = NULL };
	mk_autofree char *text = NULL;

	for (size_t i = 0; i < plan->count; i++)
		mk_strlist_add(&list, plan->nodes[i].ip);
	text = mk_strlist_join(&list, " ");
	assert_string_equal(text, expected);
}

/* A fixed address is given to no other, also not to one that comes before. */
static void test_fixed_addresses(void **state)
{
	mk_autospec spec = spec_of(3, 2);
	autoplan plan = { .nodes = NULL };

	(void)state;
	spec.nodes[1].ip = mk_xstrdup("10.0.0.2");
	spec.nodes[4].ip = mk_xstrdup("10.0.0.11");
	assert_int_equal(plan_on(&spec, "10.0.0.0/24", &plan), 0);
	assert_addresses(&plan, "10.0.0.3 10.0.0.2 10.0.0.4 10.0.0.13 10.0.0.11 10.0.0.12");
	assert_string_equal(plan.api_ip, "10.0.0.12");
	assert_string_equal(plan.balancer_ip, "10.0.0.12");
	assert_ptr_equal(plan.nodes[1].spec, &spec.nodes[1]);
	assert_null(plan.nodes[5].spec);
}

static void test_sizes_of_subnets(void **state)
{
	mk_autospec full = spec_of(3, 9);
	mk_autospec more = spec_of(3, 10);
	mk_autospec many = spec_of(1, 200);
	autoplan small = { .nodes = NULL };
	autoplan large = { .nodes = NULL };
	autoplan none = { .nodes = NULL };

	(void)state;
	/* All 13 addresses of a /28. */
	assert_int_equal(plan_on(&full, "10.0.0.16/28", &small), 0);
	assert_addresses(&small,
		"10.0.0.18 10.0.0.19 10.0.0.20 10.0.0.28 10.0.0.29 10.0.0.30 10.0.0.21 10.0.0.22 "
		"10.0.0.23 10.0.0.24 10.0.0.25 10.0.0.26 10.0.0.27");
	assert_int_equal(plan_on(&more, "10.0.0.16/28", &none), -MK_EUSAGE);
	assert_string_equal(w.err.message, "node subnet 10.0.0.16/28 is too small for 14 machines");
	assert_int_equal(plan_on(&many, "10.0.0.0/16", &large), 0);
	assert_string_equal(large.nodes[200].ip, "10.0.0.211");
}

static void test_refused_addresses(void **state)
{
	static const char *const cases[][2] = {
		{ "10.0.1.5", "node 'mkcluster-worker': the address 10.0.1.5 is not in" },
		{ "9.255.255.255", "is not in 10.0.0.0/24" },
		{ "10.0.0.1", "is another's, or not one for a machine" },
		{ "10.0.0.0", "is another's" },
		{ "10.0.0.255", "is another's" },
		{ "10.0.0.7", "is another's" },
		{ "fd00::1", "is not an IPv4 address" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autospec spec = spec_of(1, 1);
		autoplan plan = { .nodes = NULL };

		spec.nodes[0].ip = mk_xstrdup("10.0.0.7");
		spec.nodes[1].ip = mk_xstrdup(cases[i][0]);
		assert_int_equal(plan_on(&spec, "10.0.0.0/24", &plan), -MK_EUSAGE);
		assert_words(w.err.message, cases[i][1]);
	}
}

static json_t *node_json(const char *name, const char *role, const char *ip, const char *pods)
{
	return mk_json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "name", name, "role", role, "ip", ip,
		"pods", pods, "id", "x", "state", "running");
}

/* A node that was removed comes back as the spec has it, at its address; a further
 * one is plain, and gets none that is fixed or the balancer's. */
static void test_nodes_that_come_later(void **state)
{
	static const struct mk_cidr subnet = { .address = 0x0a000000, .bits = 28 };
	mk_autospec spec = spec_of(1, 1);
	mk_autojson *nodes = json_array();
	autoplan plan = { .nodes = NULL };

	(void)state;
	spec.nodes[1].ip = mk_xstrdup("10.0.0.11");
	spec.nodes[1].cpus = mk_xstrdup("0.5");
	(void)json_array_append_new(nodes,
		node_json("mkcluster-control-plane", "control-plane", "10.0.0.2", "10.244.0.0/24"));
	assert_int_equal(mk_plan_of_nodes(nodes, &spec, &subnet, &plan, &w.err), 0);
	assert_ptr_equal(plan.nodes[0].spec, &spec.nodes[0]);
	assert_string_equal(plan.balancer_ip, "10.0.0.12");
	assert_int_equal(mk_plan_grow(&plan, &spec, &subnet, MK_ROLE_WORKER, 5, &w.err), 0);
	assert_addresses(&plan, "10.0.0.2 10.0.0.11 10.0.0.13 10.0.0.14 10.0.0.3 10.0.0.4");
	assert_ptr_equal(plan.nodes[1].spec, &spec.nodes[1]);
	assert_int_equal(plan.nodes[1].nano_cpus, 500000000);
	assert_null(plan.nodes[2].spec);
	assert_int_equal(
		mk_plan_grow(&plan, &spec, &subnet, MK_ROLE_WORKER, 7, &w.err), -MK_EUSAGE);
	assert_words(w.err.message, "no address is left for 'mkcluster-worker-12'");
}

static void test_limits(void **state)
{
	mk_autospec spec = spec_of(1, 1);
	autoplan plan = { .nodes = NULL };
	autoplan none = { .nodes = NULL };

	(void)state;
	spec.nodes[1].cpus = mk_xstrdup("1.5");
	spec.nodes[1].memory = mk_xstrdup("2Gi");
	assert_int_equal(plan_on(&spec, "10.0.0.0/24", &plan), 0);
	assert_int_equal(plan.nodes[0].nano_cpus, 0);
	assert_int_equal(plan.nodes[1].nano_cpus, 1500000000);
	assert_int_equal(plan.nodes[1].memory, 2147483648);
	spec.nodes[0].memory = mk_xstrdup("much");
	assert_int_equal(plan_on(&spec, "10.0.0.0/24", &none), -MK_EUSAGE);
	assert_words(w.err.message, "node 'mkcluster-control-plane': 'much' is not an amount");
}

static void test_given_subnet(void **state)
{
	static const struct peer_route networks = { "GET /v1.41/networks",
		{ { .body = "[{\"Name\":\"vpn\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.9.8.0/24\"}]}}]" } },
		1 };
	static const struct {
		const char *subnet;
		int code;
		const char *words;
	} cases[] = {
		{ "10.213.64.0/20", 0, NULL },
		{ "10.9.0.0/16", MK_EHOST, "is taken by the engine's network 'vpn' (10.9.8.0/24)" },
		{ "10.244.7.0/24", MK_EHOST, "is taken by the pod subnet (10.244.0.0/16)" },
		{ "10.96.0.0/20", MK_EHOST, "is taken by the service subnet" },
		{ "127.0.0.1/24", MK_EUSAGE, "node subnet: '127.0.0.1/24' has bits set" },
		{ "11.0.0.0/15", MK_EUSAGE, "must be between a /16 and a /28" },
		{ "11.0.0.0/29", MK_EUSAGE, "must be between a /16 and a /28" },
	};

	(void)state;
	serve(&networks, 1);
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autospec spec = mk_cluster_spec_init();
		struct mk_cidr range = { .bits = 0 };

		spec.node_subnet = mk_xstrdup(cases[i].subnet);
		mk_error_done(&w.err);
		assert_int_equal(
			mk_host_choose_subnet(w.docker, &spec, 0, &range, &w.err), -cases[i].code);
		if (cases[i].words)
			assert_words(w.err.message, cases[i].words);
		else
			assert_int_equal(range.bits, 20);
	}
}

/* Another run took it after our look: there is no second choice. */
static void test_given_subnet_lost(void **state)
{
	static const struct peer_route networks = { "GET /v1.41/networks", { { .body = "[]" } },
		1 };
	mk_autospec spec = mk_cluster_spec_init();
	struct mk_cidr range;

	(void)state;
	spec.node_subnet = mk_xstrdup("10.213.64.0/20");
	serve(&networks, 1);
	assert_int_equal(mk_host_choose_subnet(w.docker, &spec, 1, &range, &w.err), -MK_EHOST);
	assert_words(w.err.message, "made just now");
	assert_words(w.err.hint, "networking.nodeSubnet");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_quantities),
		TEST(test_durations),
		TEST(test_fixed_addresses),
		TEST(test_sizes_of_subnets),
		TEST(test_refused_addresses),
		TEST(test_nodes_that_come_later),
		TEST(test_limits),
		TEST(test_given_subnet),
		TEST(test_given_subnet_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

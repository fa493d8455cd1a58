/* SPDX-License-Identifier: Apache-2.0 */
/* Emptying a node: who has to leave, how they are asked, and when it is given up. */
#include "lib/base/clock.h"
#include "lib/kube/drain.h"
#include "tests/unit/test-kube-world.h"

#define POD(name, more) "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"" name "\"" more "}}"
#define OWNED(kind)                                                                                \
	",\"ownerReferences\":[{\"kind\":\"Other\",\"name\":\"o\"},"                               \
	"{\"kind\":\"" kind "\",\"name\":\"x\",\"controller\":true}]"
#define WEB POD("web", OWNED("ReplicaSet"))
#define DAEMON POD("daemon", OWNED("DaemonSet"))
#define STATIC POD("static", ",\"annotations\":{\"kubernetes.io/config.mirror\":\"0a\"}")
#define BARE POD("bare", ",\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"x\"}]")
#define LIST(pods) "{\"kind\":\"PodList\",\"items\":[" pods "]}"
#define LIST_PODS "GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn"
#define WATCH_PODS LIST_PODS "&watch=1&resourceVersion=0"
#define EVICT(name) "POST /api/v1/namespaces/ns/pods/" name "/eviction"
#define DELETE(name) "DELETE /api/v1/namespaces/ns/pods/" name
#define BUDGET "{\"message\":\"Cannot evict pod as it would violate the pod's disruption budget.\"}"

/* As the list has it once it was asked to go. */
#define GOING(name) POD(name, ",\"deletionTimestamp\":\"2026-11-23T10:00:00Z\"")

/* One pod goes as soon as it is watched. */
static const struct peer_reply one_goes = { .body = "{\"type\":\"ADDED\",\"object\":" WEB
						    "}\n{\"type\":\"DELETED\",\"object\":" WEB
						    "}\n",
	.no_length = true };
/* Nothing happens, until the client leaves. */
static const struct peer_reply quiet = {
	.body = "{\"type\":\"ADDED\",\"object\":" WEB "}\n", .no_length = true, .linger_ms = 10000
};

static int drain(const struct mk_drain_options *options, size_t *ret_count)
{
	*ret_count = 77;
	return mk_kube_drain(w.kube, "n", options, ret_count, &w.err);
}

static struct mk_drain_options within(int64_t ms)
{
	return (struct mk_drain_options){ .deadline = mk_deadline(ms) };
}

static void test_cordon(void **state)
{
	static const struct peer_route routes[] = {
		{ "PATCH /api/v1/nodes/n", { { .body = "{}" } }, 1 },
		{ "GET /api/v1/nodes/n",
			{ { .body = "{\"spec\":{}}" },
				{ .body = "{\"spec\":{\"unschedulable\":true}}" },
				{ .body = "[]" } },
			3 },
	};
	const char *sent;
	bool cordoned = true;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_kube_cordon(w.kube, "n", true, &w.err), 0);
	sent = fake_peer_request(w.server, "PATCH", 0);
	assert_words(sent, "\r\nContent-Type: application/merge-patch+json\r\n");
	assert_words(sent, "\r\n\r\n{\"spec\":{\"unschedulable\":true}}");
	assert_int_equal(mk_kube_cordon(w.kube, "n", false, &w.err), 0);
	sent = fake_peer_request(w.server, "PATCH", 1);
	assert_words(sent, "\r\n\r\n{\"spec\":{\"unschedulable\":false}}");
	assert_int_equal(mk_kube_cordon(w.kube, "m", true, &w.err), -MK_ENOTFOUND);
	assert_words(w.err.message, "cordon 'm': ");
	assert_int_equal(mk_kube_cordon(w.kube, "m", false, &w.err), -MK_ENOTFOUND);
	assert_words(w.err.message, "uncordon 'm': ");
	assert_int_equal(mk_kube_is_cordoned(w.kube, "n", &cordoned, &w.err), 0);
	assert_false(cordoned);
	assert_int_equal(mk_kube_is_cordoned(w.kube, "n", &cordoned, &w.err), 0);
	assert_true(cordoned);
	assert_int_equal(mk_kube_is_cordoned(w.kube, "n", &cordoned, &w.err), 0);
	assert_false(cordoned);
	assert_int_equal(mk_kube_is_cordoned(w.kube, "m", &cordoned, &w.err), -MK_ENOTFOUND);
}

/* Static pods and those of DaemonSets are left alone, also by --force. */
static void test_who_stays(void **state)
{
	static const struct peer_route routes[] = {
		{ LIST_PODS,
			{ { .body = LIST(DAEMON "," WEB "," STATIC) },
				{ .body = LIST(DAEMON "," WEB "," STATIC) },
				{ .body = LIST(DAEMON "," GOING("web") "," STATIC) },
				{ .body = LIST(DAEMON "," STATIC) } },
			4 },
		{ EVICT("web"), { { .status = 201, .body = "{}" } }, 1 },
		{ WATCH_PODS, { one_goes }, 1 },
	};
	struct mk_drain_options options = within(5000);
	struct mk_drain_options force = { .force = true };
	size_t count;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(drain(&options, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(fake_peer_hits(w.server, "POST"), 1);
	assert_int_equal(fake_peer_hits(w.server, WATCH_PODS), 1);
	assert_words(fake_peer_request(w.server, EVICT("web"), 0),
		"{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\","
		"\"metadata\":{\"namespace\":\"ns\",\"name\":\"web\"}}");
	assert_int_equal(drain(&force, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 0);
}

/* Nothing is evicted when there is one that would be lost; its name is said. */
static void test_bare_pods(void **state)
{
	static const struct peer_route route = { LIST_PODS,
		{ { .body = LIST(WEB "," BARE "," POD("alone", "")) } }, 1 };
	struct mk_drain_options options = within(5000);
	size_t count;

	(void)state;
	serve(&route, 1);
	assert_int_equal(drain(&options, &count), -MK_EHOST);
	assert_string_equal(
		w.err.message, "nothing would make these pods again elsewhere: ns/bare, ns/alone");
	assert_words(w.err.hint, "--force");
	assert_int_equal(fake_peer_hits(w.server, ""), 1);
}

#define PHASE(name, phase)                                                                         \
	"{\"metadata\":{\"namespace\":\"ns\",\"name\":\"" name                                     \
	"\"},\"status\":{\"phase\":\"" phase "\"}}"
/* What has ended, or ends already, is no loss; who ends already is not asked to. */
static void test_pods_that_are_over(void **state)
{
	static const struct peer_route routes[] = {
		{ LIST_PODS,
			{ { .body = LIST(PHASE("done", "Succeeded") "," PHASE(
				    "broken", "Failed") "," GOING("going")) },
				{ .body = LIST(PHASE("done", "Succeeded") "," PHASE(
					  "broken", "Failed") "," GOING("going")) },
				{ .body = LIST("") } },
			3 },
		{ EVICT("done"), { { .status = 201, .body = "{}" } }, 1 },
		{ EVICT("broken"), { { .status = 201, .body = "{}" } }, 1 },
		{ WATCH_PODS, { one_goes }, 1 },
	};
	struct mk_drain_options options = within(5000);
	size_t count;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(drain(&options, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(fake_peer_hits(w.server, "POST"), 2);
}

/* A budget that held the pod lets it go at the second time of asking; a pod that is
 * gone before it is asked is as good. */
static void test_budget_lets_go(void **state)
{
	static const struct peer_route routes[] = {
		{ LIST_PODS,
			{ { .body = LIST(WEB "," POD("db", OWNED("StatefulSet"))) },
				{ .body = LIST(WEB "," POD("db", OWNED("StatefulSet"))) },
				{ .body = LIST(WEB) }, { .body = LIST("") } },
			4 },
		{ EVICT("web"),
			{ { .status = 429, .body = BUDGET }, { .status = 201, .body = "{}" } }, 2 },
		{ EVICT("db"), { { .status = 404, .body = "{}" } }, 1 },
		{ WATCH_PODS, { one_goes }, 1 },
	};
	struct mk_drain_options options = within(5000);
	size_t count;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(drain(&options, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(fake_peer_hits(w.server, EVICT("web")), 2);
	assert_int_equal(fake_peer_hits(w.server, EVICT("db")), 1);
}

static const struct peer_route held_routes[] = {
	{ LIST_PODS, { { .body = LIST(WEB) } }, 1 },
	{ EVICT("web"), { { .status = 429, .body = BUDGET } }, 1 },
	{ DELETE("web"), { { .body = "{}" } }, 1 },
	{ WATCH_PODS, { quiet }, 1 },
};

static void test_budget_holds(void **state)
{
	struct mk_drain_options options = within(300);
	int64_t begin = mk_now_ms();
	size_t count;

	(void)state;
	serve(held_routes, MK_ARRAY_LEN(held_routes));
	assert_int_equal(drain(&options, &count), -MK_ETIMEOUT);
	assert_in_range(mk_now_ms() - begin, 300, 3000);
	assert_words(w.err.message, "still there: ns/web: ");
	assert_words(w.err.message, "429: Cannot evict pod as it would violate");
	assert_words(w.err.hint, "--drain-timeout");
	assert_words(w.err.hint, "--force");
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 0);
}

/* Asked first, by the budgets, and struck off only at the deadline. */
static void test_force(void **state)
{
	struct mk_drain_options options = within(300);
	size_t count;

	(void)state;
	options.force = true;
	serve(held_routes, MK_ARRAY_LEN(held_routes));
	assert_int_equal(drain(&options, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(fake_peer_hits(w.server, "POST"), 1);
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 1);
	assert_words(fake_peer_request(w.server, DELETE("web"), 0),
		"\r\n\r\n{\"gracePeriodSeconds\":0}");
}

static void test_force_takes_bare_pods(void **state)
{
	static const struct peer_route routes[] = {
		{ LIST_PODS,
			{ { .body = LIST(BARE) }, { .body = LIST(BARE) }, { .body = LIST("") } },
			3 },
		{ EVICT("bare"), { { .status = 201, .body = "{}" } }, 1 },
		{ WATCH_PODS, { one_goes }, 1 },
	};
	struct mk_drain_options options = within(5000);
	size_t count;

	(void)state;
	options.force = true;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(drain(&options, &count), 0);
	assert_int_equal(fake_peer_hits(w.server, EVICT("bare")), 1);
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 0);
}

/* Nobody lives there to end a pod: no eviction, no wait. */
static void test_dead_node(void **state)
{
	static const struct peer_route routes[] = {
		{ LIST_PODS, { { .body = LIST(WEB "," BARE "," DAEMON "," GOING("going")) } }, 1 },
		{ DELETE("web"), { { .body = "{}" } }, 1 },
		{ DELETE("bare"), { { .status = 404, .body = "{}" } }, 1 },
		{ DELETE("going"), { { .body = "{}" } }, 1 },
	};
	struct mk_drain_options options = { .dead = true };
	size_t count;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(drain(&options, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(fake_peer_hits(w.server, "POST"), 0);
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 3);
}

static void test_refusals(void **state)
{
	static const struct {
		struct peer_reply list, evict;
		int code;
		const char *words;
	} cases[] = {
		{ { .status = 403, .body = "{\"message\":\"pods is forbidden\"}" }, { .status = 0 },
			MK_EREMOTE, "list the pods of 'n': kubernetes: " },
		{ { .body = LIST(WEB) },
			{ .status = 500, .body = "{\"message\":\"two budgets match\"}" },
			MK_EREMOTE, "500: two budgets match" },
		{ { .body = LIST(WEB) }, { .hang_up = true }, MK_ENET, "/eviction" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		struct peer_route routes[] = {
			{ LIST_PODS, { cases[i].list }, 1 },
			{ EVICT("web"), { cases[i].evict }, 1 },
		};
		struct mk_drain_options options = within(5000);
		size_t count;

		serve(routes, MK_ARRAY_LEN(routes));
		assert_int_equal(drain(&options, &count), -cases[i].code);
		assert_words(w.err.message, cases[i].words);
		restart();
	}
}

/* An answer that is no list of pods does not say that there are none. */
static void test_answers_that_are_no_list(void **state)
{
	static const char *const cases[] = { "{}", "[]", "7", "{\"items\":{}}",
		"{\"items\":\"none\"}", "{\"kind\":\"Status\",\"status\":\"Success\"}",
		"{\"items\":[7]}", "{\"items\":[null]}", "<html>" };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		struct peer_route route = { LIST_PODS, { { .body = cases[i] } }, 1 };
		struct mk_drain_options options = within(300);
		size_t count;

		serve(&route, 1);
		assert_int_equal(drain(&options, &count), -MK_EINVALID);
		assert_words(w.err.message, "list the pods of 'n': ");
		restart();
	}
}

/* No pods, as Go may print it. */
static void test_null_list(void **state)
{
	static const struct peer_route route = { LIST_PODS,
		{ { .body = "{\"kind\":\"PodList\",\"items\":null}" } }, 1 };
	struct mk_drain_options options = within(300);
	size_t count;

	(void)state;
	serve(&route, 1);
	assert_int_equal(drain(&options, &count), 0);
	assert_int_equal(count, 0);
}

/* Pods without a name, an owner that is none, a date that is a number: no crash, and
 * nobody is taken for one that may stay. */
static void test_strange_pods(void **state)
{
	static const struct peer_route route = { LIST_PODS,
		{ { .body = LIST("{},{\"metadata\":7},{\"metadata\":{\"name\":[],"
				 "\"annotations\":\"kubernetes.io/config.mirror\","
				 "\"ownerReferences\":{\"controller\":true}}},"
				 "{\"metadata\":{\"ownerReferences\":[7,{\"controller\":\"true\","
				 "\"kind\":\"DaemonSet\"}]}}") } },
		1 };
	struct mk_drain_options options = within(300);
	size_t count;

	(void)state;
	serve(&route, 1);
	assert_int_equal(drain(&options, &count), -MK_EHOST);
	assert_words(w.err.message, "elsewhere: ?/?, ?/?, ?/?, ?/?");
}

static void test_interrupt(void **state)
{
	struct mk_drain_options options = within(60000);
	int64_t begin = mk_now_ms();
	size_t count;

	(void)state;
	serve(held_routes, MK_ARRAY_LEN(held_routes));
	mk_interrupt_delay(100);
	mk_interrupt_raise();
	assert_int_equal(drain(&options, &count), -MK_EINTR);
	assert_true(mk_now_ms() - begin < 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cordon),
		TEST(test_who_stays),
		TEST(test_bare_pods),
		TEST(test_pods_that_are_over),
		TEST(test_budget_lets_go),
		TEST(test_budget_holds),
		TEST(test_force),
		TEST(test_force_takes_bare_pods),
		TEST(test_dead_node),
		TEST(test_refusals),
		TEST(test_answers_that_are_no_list),
		TEST(test_null_list),
		TEST(test_strange_pods),
		TEST(test_interrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

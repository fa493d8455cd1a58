/* SPDX-License-Identifier: Apache-2.0 */
/* Who is restarted to learn of new CAs, and when that is over. */
#include "lib/kube/rollout.h"
#include "lib/kube/watch.h"
#include "tests/unit/test-kube-world.h"

#define MAP(space, ca)                                                                             \
	"{\"metadata\":{\"namespace\":\"" space "\",\"name\":\"kube-root-ca.crt\"},"               \
	"\"data\":{\"ca.crt\":\"" ca "\"}}"
#define LIST(items) "{\"items\":[" items "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define MAPS "GET /api/v1/configmaps?fieldSelector=metadata.name%3Dkube-root-ca.crt"
#define WATCH_MAPS MAPS "&watch=1&resourceVersion=0"

static int wait_root_ca(int64_t ms)
{
	return mk_kube_wait_root_ca(w.kube, "both", mk_deadline(ms), &w.err);
}

static void test_all_know(void **state)
{
	static const struct peer_route routes[] = {
		{ MAPS, { { .body = LIST(MAP("a", "both") "," MAP("b", "both")) } }, 1 },
	};

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(wait_root_ca(2000), 0);
	assert_int_equal(fake_peer_hits(w.server, WATCH_MAPS), 0);
}

/* One namespace learns, one goes, and one that comes meanwhile is waited for. */
static void test_they_learn(void **state)
{
	static const struct peer_route routes[] = {
		{ WATCH_MAPS,
			{ { .body = EVENT("ADDED", "{\"metadata\":{\"namespace\":\"a\"}}") EVENT(
				    "ADDED", MAP("b", "old")) EVENT("ADDED", MAP("c", "old"))
					EVENT("MODIFIED", MAP("a", "both"))
						EVENT("DELETED", MAP("b", "old"))
							EVENT("MODIFIED", MAP("c", "both")),
				.no_length = true,
				.linger_ms = 10000 } },
			1 },
		{ MAPS, { { .body = LIST(MAP("a", "old") "," MAP("b", "old")) } }, 1 },
	};

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(wait_root_ca(5000), 0);
}

static void test_one_never_learns(void **state)
{
	static const struct peer_route routes[] = {
		{ WATCH_MAPS,
			{ { .body = EVENT("ADDED", MAP("stuck", "old")),
				.no_length = true,
				.linger_ms = 10000 } },
			1 },
		{ MAPS, { { .body = LIST(MAP("a", "both") "," MAP("stuck", "old")) } }, 1 },
	};

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(wait_root_ca(300), -MK_ETIMEOUT);
	assert_words(w.err.message, "the CAs that pods trust in namespace 'stuck'");
}

#define WORKLOAD(name, pod)                                                                        \
	"{\"metadata\":{\"namespace\":\"ns\",\"name\":\"" name                                     \
	"\"},\"spec\":{\"template\":{\"spec\":" pod "}}}"
#define NO_TOKEN "{\"automountServiceAccountToken\":false}"
#define APPS "/apis/apps/v1/"
#define DEPLOYMENT(name, ready)                                                                    \
	"{\"metadata\":{\"namespace\":\"ns\",\"name\":\"" name                                     \
	"\",\"generation\":2},\"spec\":{\"replicas\":1},\"status\":{\"observedGeneration\":2,"     \
	"\"updatedReplicas\":1,\"availableReplicas\":" ready "}}"

static const struct peer_reply done = { .body = "{}" };
static const struct peer_reply comes_back = { .body = EVENT("ADDED", DEPLOYMENT("web", "0"))
						      EVENT("MODIFIED", DEPLOYMENT("web", "1")),
	.no_length = true,
	.linger_ms = 10000 };
static const struct peer_reply stays_away = {
	.body = EVENT("ADDED", DEPLOYMENT("web", "0")), .no_length = true, .linger_ms = 10000
};

static void serve_workloads(const struct peer_reply *watch)
{
	const struct peer_route routes[] = {
		{ "GET " APPS "deployments?watch=1&resourceVersion=0", { *watch }, 1 },
		{ "GET " APPS "deployments",
			{ { .body = LIST(WORKLOAD("web", "{}") "," WORKLOAD("quiet", NO_TOKEN)) } },
			1 },
		{ "GET " APPS "daemonsets", { { .body = LIST(WORKLOAD("agent", "{}")) } }, 1 },
		{ "GET " APPS "statefulsets", { { .body = LIST(WORKLOAD("db", "{}")) } }, 1 },
		{ "PATCH " APPS "namespaces/ns/deployments/web", { done }, 1 },
		{ "PATCH " APPS "namespaces/ns/daemonsets/agent", { done }, 1 },
		{ "PATCH " APPS "namespaces/ns/statefulsets/db",
			{ { .status = 404, .body = "{\"message\":\"gone\"}" } }, 1 },
	};

	serve(routes, MK_ARRAY_LEN(routes));
}

static void test_restart(void **state)
{
	size_t count = 77;
	const char *sent;

	(void)state;
	serve_workloads(&comes_back);
	if (mk_kube_restart_workloads(w.kube, mk_deadline(5000), &count, &w.err) < 0)
		fail_msg("%s", w.err.message);
	assert_int_equal(count, 3);
	sent = fake_peer_request(w.server, "PATCH " APPS "namespaces/ns/deployments/web", 0);
	assert_words(sent,
		"{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{"
		"\"kubectl.kubernetes.io/restartedAt\":\"20");
	/* Its pods have nothing to ask of the API. */
	assert_int_equal(fake_peer_hits(w.server, "PATCH"), 3);
}

static void test_does_not_come_back(void **state)
{
	size_t count = 0;

	(void)state;
	serve_workloads(&stays_away);
	assert_int_equal(
		mk_kube_restart_workloads(w.kube, mk_deadline(300), &count, &w.err), -MK_ETIMEOUT);
	assert_words(w.err.message, "not available: ns/web");
}

#define SLICE(endpoints) "{\"metadata\":{\"name\":\"kubernetes\"},\"endpoints\":[" endpoints "]}"
#define AT(ip) "{\"addresses\":[\"" ip "\"]}"

/* A server takes itself out when it ends, and is there again when it answers. */
static void test_endpoints(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET /apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector="
		  "kubernetes.io%2Fservice-name%3Dkubernetes&watch=1&resourceVersion=0",
			{ { .body = EVENT("ADDED", SLICE("{},7," AT("10.0.0.2"))) EVENT(
				    "MODIFIED", SLICE(AT("10.0.0.3")))
					EVENT("MODIFIED", SLICE(AT("10.0.0.2") "," AT("10.0.0.3"))),
				.no_length = true,
				.linger_ms = 10000 } },
			1 },
	};
	mk_autostrlist addresses = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	mk_strlist_add(&addresses, "10.0.0.2");
	mk_strlist_add(&addresses, "10.0.0.3");
	assert_int_equal(
		mk_kube_wait_api_endpoints(w.kube, &addresses, mk_deadline(5000), &w.err), 0);
	mk_strlist_add(&addresses, "10.0.0.4");
	assert_int_equal(mk_kube_wait_api_endpoints(w.kube, &addresses, mk_deadline(300), &w.err),
		-MK_ETIMEOUT);
	assert_words(w.err.message, "not reachable for pods: 10.0.0.4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_know),
		TEST(test_they_learn),
		TEST(test_one_never_learns),
		TEST(test_restart),
		TEST(test_does_not_come_back),
		TEST(test_endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

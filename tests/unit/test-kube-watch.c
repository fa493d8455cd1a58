/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: events cut anywhere, streams that end, break, refuse or say nothing. */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/kube/watch.h"
#include "tests/unit/fake-peer.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
	struct fake_peer *server;
	struct mk_kube *kube;
	struct mk_error err;
	struct mk_strlist events; /* what the judge was told: "TYPE name" */
	size_t enough;            /* events after which it is over; 0 is never */
};

static struct world w;

static int leave(void **state)
{
	(void)state;
	mk_kube_free(w.kube);
	fake_peer_stop(w.server);
	mk_error_done(&w.err);
	mk_strlist_done(&w.events);
	mk_interrupt_reset();
	w = (struct world){ .kube = NULL };
	return 0;
}

static void serve(const char *request, const struct peer_reply *replies, size_t count)
{
	mk_autoidentity identity = { .server = NULL };
	struct peer_route route = { .request = request, .count = count };

	memcpy(route.replies, replies, count * sizeof(*replies));
	w.server = fake_peer_start(NULL, &route, 1);
	identity.server = mk_xstrdup(fake_peer_address(w.server));
	assert_int_equal(mk_kube_new(&identity, &w.kube, &w.err), 0);
}

static void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text ? text : "(null)");
}

static int judge(void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	const char *name = mk_json_str(object, "metadata.name", "?");

	(void)payload;
	mk_strlist_addf(&w.events, "%s %s", type, name);
	if (*name == '!')
		return mk_fail(err, MK_EBRINGUP, "enough of %s", name);
	return w.events.count == w.enough ? 1 : 0;
}

static int watch(int64_t ms)
{
	return mk_kube_watch(w.kube, "/w", mk_deadline(ms), judge, NULL, &w.err);
}

static void assert_events(const char *expected)
{
	mk_autofree char *joined = mk_strlist_join(&w.events, ", ");

	assert_string_equal(joined, expected);
}

#define EVENT(type, name)                                                                          \
	"{\"type\":\"" type "\",\"object\":{\"metadata\":{\"name\":\"" name "\"}}}\n"

static const char three[] = EVENT("ADDED", "a")
	EVENT("BOOKMARK", "mark") "\n" EVENT("MODIFIED", "b") EVENT("DELETED", "c");

static void test_cuts(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof(three); cut += cut == 0 ? 1 : 3) {
		struct peer_reply reply = { .body = three,
			.cut = cut,
			.no_length = true,
			.bytewise = cut + 3 >= sizeof(three) };

		w.enough = 3;
		serve("GET /w", &reply, 1);
		assert_int_equal(watch(5000), 0);
		assert_events("ADDED a, MODIFIED b, DELETED c");
		assert_non_null(fake_peer_request(
			w.server, "GET /w?watch=1&resourceVersion=0 HTTP/1.1", 0));
		(void)leave(NULL);
	}
}

/* Closed, broken off inside a line, refused, gone: each is begun anew. */
static void test_reopen(void **state)
{
	static const struct peer_reply replies[] = {
		{ .body = EVENT("ADDED", "a"), .no_length = true },
		{ .body = "{\"type\":\"ADD", .no_length = true },
		{ .body = "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"message\":\"too old\"}}\n" },
		{ .body = EVENT("ADDED", "b"), .linger_ms = 9000, .no_length = true },
	};

	(void)state;
	w.enough = 2;
	serve("GET /w", replies, 4);
	assert_int_equal(watch(9000), 0);
	assert_events("ADDED a, ADDED b");
	assert_int_equal(fake_peer_hits(w.server, "GET /w"), 4);
}

static void test_reopen_after_refusals(void **state)
{
	static const struct peer_reply replies[] = {
		{ .status = 503, .body = "{\"message\":\"shutting down\"}" },
		{ .status = 403, .body = "" },
		{ .hang_up = true },
		{ .body = EVENT("ADDED", "a") },
	};

	(void)state;
	w.enough = 1;
	serve("GET /w", replies, 4);
	assert_int_equal(watch(9000), 0);
	assert_events("ADDED a");
}

static void test_ends(void **state)
{
	static const struct peer_reply reply = { .body = EVENT("ADDED", "!x") EVENT("ADDED", "y"),
		.linger_ms = 9000,
		.no_length = true };
	static const struct peer_reply broken = { .body = "no json\n" };

	(void)state;
	serve("GET /w", &reply, 1);
	assert_int_equal(watch(9000), -MK_EBRINGUP);
	assert_string_equal(w.err.message, "enough of !x");
	assert_events("ADDED !x");
	(void)leave(NULL);
	serve("GET /w", &broken, 1);
	assert_int_equal(watch(9000), -MK_EINVALID);
}

static void test_deadlines(void **state)
{
	static const struct peer_reply quiet = {
		.body = EVENT("ADDED", "a"), .linger_ms = 9000, .no_length = true
	};
	static const struct peer_reply closes = { .body = EVENT("ADDED", "a") };
	int64_t start = mk_now_ms();

	(void)state;
	serve("GET /w", &quiet, 1);
	assert_int_equal(watch(80), -MK_ETIMEOUT);
	assert_events("ADDED a");
	mk_interrupt_raise();
	assert_int_equal(watch(9000), -MK_EINTR);
	(void)leave(NULL);
	serve("GET /w", &closes, 1);
	assert_int_equal(watch(300), -MK_ETIMEOUT);
	assert_true(mk_now_ms() - start < 5000);
}

#define LIST(names)                                                                                \
	{                                                                                          \
		.body = "{\"items\":[" names "]}"                                                  \
	}
#define ITEM(name) "{\"metadata\":{\"name\":\"" name "\"}}"

/* A list, a watch until something goes, and a list again. */
static void test_none(void **state)
{
	static const struct peer_reply gone[] = { LIST(ITEM("a")),
		{ .body = EVENT("ADDED", "a") EVENT("DELETED", "a"),
			.linger_ms = 9000,
			.no_length = true },
		LIST("") };
	static const struct peer_reply empty = LIST("");
	static const struct peer_reply refused = { .status = 403, .body = "{}" };

	(void)state;
	serve("GET /w", gone, 3);
	assert_int_equal(mk_kube_wait_none(w.kube, "/w?a=b", mk_deadline(5000), &w.err), 0);
	assert_int_equal(w.err.code, MK_OK);
	assert_non_null(fake_peer_request(w.server, "GET /w?a=b&watch=1&resourceVersion=0 ", 0));
	(void)leave(NULL);
	serve("GET /w", &empty, 1);
	assert_int_equal(mk_kube_wait_none(w.kube, "/w", mk_deadline(0), &w.err), 0);
	(void)leave(NULL);
	serve("GET /w", &refused, 1);
	assert_int_equal(mk_kube_wait_none(w.kube, "/w", mk_deadline(5000), &w.err), -MK_EREMOTE);
}

/* What goes unseen is noticed a second later; what stays is named. */
static void test_none_unseen(void **state)
{
	static const struct peer_reply unseen[] = { LIST(ITEM("a")),
		{ .body = "", .linger_ms = 1300, .no_length = true }, LIST("") };
	static const struct peer_reply stays[] = { LIST(ITEM("a") "," ITEM("b")),
		{ .body = "", .linger_ms = 100, .no_length = true }, LIST(ITEM("b")) };

	(void)state;
	serve("GET /w", unseen, 3);
	assert_int_equal(mk_kube_wait_none(w.kube, "/w", mk_deadline(9000), &w.err), 0);
	(void)leave(NULL);
	serve("GET /w", stays, 3);
	assert_int_equal(mk_kube_wait_none(w.kube, "/w", mk_deadline(90), &w.err), -MK_ETIMEOUT);
	assert_words(w.err.message, "b is still there");
}

/* An API server that accepts and then says nothing at all. */
static void test_silence(void **state)
{
	static const struct peer_reply silent = { .delay_ms = 4000 };
	int64_t start = mk_now_ms();

	(void)state;
	serve("GET /w", &silent, 1);
	assert_int_equal(watch(100), -MK_ETIMEOUT);
	assert_true(mk_now_ms() - start < 3000);
}

static void test_endless_event(void **state)
{
	size_t len = MK_MAX_WATCH_LINE + 2;
	mk_autofree char *line = mk_xmalloc(len);
	struct peer_reply reply = { .body = line, .len = len };

	(void)state;
	memset(line, ' ', len);
	serve("GET /w", &reply, 1);
	assert_int_equal(watch(9000), -MK_EINVALID);
	assert_words(w.err.message, "an event of a watch is larger than");
}

static void test_conditions(void **state)
{
	static const char
		text[] = "{\"status\":{\"conditions\":[{\"type\":\"A\",\"status\":\"True\"},"
			 "{\"type\":\"B\",\"status\":\"False\"},{\"type\":\"C\"}]}}";
	mk_autojson *object = json_loads(text, 0, NULL);

	(void)state;
	assert_true(mk_kube_condition(object, "A"));
	assert_false(mk_kube_condition(object, "B"));
	assert_false(mk_kube_condition(object, "C"));
	assert_false(mk_kube_condition(object, "D"));
	assert_false(mk_kube_condition(NULL, "A"));
}

#define NODE(type, name, ready)                                                                    \
	"{\"type\":\"" type "\",\"object\":{\"metadata\":{\"name\":\"" name                        \
	"\"},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"" ready "\"}]}}}\n"

static int wait_nodes(const char *names, int64_t ms)
{
	mk_autostrlist list = { .items = NULL };

	mk_strlist_split(&list, names, " ");
	return mk_kube_wait_nodes(w.kube, &list, NULL, mk_deadline(ms), &w.err);
}

static void test_nodes(void **state)
{
	static const struct peer_reply reply = { .no_length = true,
		.linger_ms = 9000,
		.body = NODE("ADDED", "a", "True") NODE("ADDED", "b", "Unknown")
			NODE("MODIFIED", "b", "False") NODE("DELETED", "b", "True")
				NODE("ADDED", "other", "True") NODE("ADDED", "b", "True") };
	static const struct peer_reply never = { .no_length = true,
		.linger_ms = 9000,
		.body = NODE("ADDED", "a", "True") NODE("ADDED", "b", "False") };

	(void)state;
	serve("GET /api/v1/nodes", &reply, 1);
	assert_int_equal(wait_nodes("a b", 5000), 0);
	assert_int_equal(wait_nodes("", 1), 0);
	(void)leave(NULL);
	serve("GET /api/v1/nodes", &never, 1);
	assert_int_equal(wait_nodes("a b c", 80), -MK_ETIMEOUT);
	assert_words(w.err.message, "not Ready: b, c: ");
}

static int wait_registered(const char *names, int64_t ms)
{
	mk_autostrlist list = { .items = NULL };

	mk_strlist_split(&list, names, " ");
	return mk_kube_wait_registered(w.kube, &list, mk_deadline(ms), &w.err);
}

/* Without a pod network no node is Ready, and each is there. */
static void test_registered(void **state)
{
	static const struct peer_reply reply = { .no_length = true,
		.linger_ms = 9000,
		.body = NODE("ADDED", "a", "False") NODE("ADDED", "b", "False")
			NODE("DELETED", "b", "False") NODE("ADDED", "c", "False") };

	(void)state;
	serve("GET /api/v1/nodes", &reply, 1);
	assert_int_equal(wait_registered("a c", 5000), 0);
	assert_int_equal(wait_registered("a b c", 80), -MK_ETIMEOUT);
	assert_words(w.err.message, "not registered: b: ");
}

#define SPOKE(name, ready, time)                                                                   \
	"{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"" name                        \
	"\"},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"" ready                  \
	"\",\"lastHeartbeatTime\":\"" time "\"}]}}}\n"

/* Ready counts when it was said after the node's own moment, to the second. */
static void test_ready_since(void **state)
{
	static const struct peer_reply reply = { .no_length = true,
		.linger_ms = 9000,
		.body = SPOKE("a", "True", "2026-01-01T00:00:10Z") SPOKE("other", "True",
			"2027-01-01T00:00:00Z") SPOKE("a", "False", "2026-01-01T00:00:11Z")
			SPOKE("b", "True", "2026-01-01T00:00:11Z")
				SPOKE("a", "True", "2026-01-01T00:00:12Z") };
	mk_autostrlist names = { .items = NULL };
	mk_autostrlist since = { .items = NULL };

	(void)state;
	mk_strlist_split(&names, "a b", " ");
	mk_strlist_split(&since, "2026-01-01T00:00:10Z 2026-01-01T00:00:12Z", " ");
	serve("GET /api/v1/nodes", &reply, 1);
	assert_int_equal(
		mk_kube_wait_nodes(w.kube, &names, &since, mk_deadline(80), &w.err), -MK_ETIMEOUT);
	assert_words(w.err.message, "not Ready: b: ");
	since.items[1][18] = '0';
	assert_int_equal(mk_kube_wait_nodes(w.kube, &names, &since, mk_deadline(5000), &w.err), 0);
	/* Down again is down, whatever it said before. */
	since.items[0][18] = '2';
	assert_int_equal(
		mk_kube_wait_nodes(w.kube, &names, &since, mk_deadline(80), &w.err), -MK_ETIMEOUT);
}

/* A Deployment of generation 2 that wants two replicas. */
#define DEPLOYMENT(type, name, seen, updated, available)                                           \
	"{\"type\":\"" type "\",\"object\":{\"metadata\":{\"namespace\":\"ns\",\"name\":\"" name   \
	"\",\"generation\":2},\"spec\":{\"replicas\":2},\"status\":{\"observedGeneration\":" #seen \
	",\"updatedReplicas\":" #updated ",\"availableReplicas\":" #available "}}}\n"

static void on_available(void *payload, const char *name, size_t left)
{
	mk_strlist_addf(payload, "%s %zu", name, left);
}

static int wait_deployments(const char *names, int64_t ms)
{
	mk_autostrlist list = { .items = NULL };

	mk_strlist_split(&list, names, " ");
	return mk_kube_wait_deployments(
		w.kube, &list, mk_deadline(ms), on_available, &w.events, &w.err);
}

static void test_deployments(void **state)
{
	static const struct peer_reply reply = { .no_length = true,
		.linger_ms = 9000,
		.body = DEPLOYMENT("ADDED", "other", 2, 2, 2) DEPLOYMENT("ADDED", "a", 1, 2,
			2) DEPLOYMENT("ADDED", "b", 2, 2, 2) DEPLOYMENT("MODIFIED", "a", 2, 1, 2)
			DEPLOYMENT("MODIFIED", "b", 2, 2, 1) DEPLOYMENT("MODIFIED", "a", 2, 2, 2)
				DEPLOYMENT("MODIFIED", "b", 2, 2, 2) };

	(void)state;
	serve("GET /apis/apps/v1/deployments", &reply, 1);
	assert_int_equal(wait_deployments("ns/a ns/b", 5000), 0);
	/* What becomes unavailable again is waited for again. */
	assert_events("ns/b 1, ns/a 1, ns/b 0");
	assert_int_equal(wait_deployments("", 1), 0);
}

static void test_missing_deployments(void **state)
{
	static const struct peer_reply reply = { .no_length = true,
		.linger_ms = 9000,
		.body = DEPLOYMENT("ADDED", "a", 2, 2, 2) DEPLOYMENT("ADDED", "b", 2, 2, 2)
			DEPLOYMENT("DELETED", "b", 2, 2, 2) };

	(void)state;
	serve("GET /apis/apps/v1/deployments", &reply, 1);
	assert_int_equal(wait_deployments("ns/a ns/b ns/c", 100), -MK_ETIMEOUT);
	assert_words(w.err.message, "not available: ns/b, ns/c: ");
}

#define TEST(name) cmocka_unit_test_teardown(name, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cuts),
		TEST(test_reopen),
		TEST(test_reopen_after_refusals),
		TEST(test_ends),
		TEST(test_deadlines),
		TEST(test_none),
		TEST(test_none_unseen),
		TEST(test_silence),
		TEST(test_endless_event),
		TEST(test_conditions),
		TEST(test_nodes),
		TEST(test_registered),
		TEST(test_ready_since),
		TEST(test_deployments),
		TEST(test_missing_deployments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

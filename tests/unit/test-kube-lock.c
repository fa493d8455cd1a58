/* SPDX-License-Identifier: Apache-2.0 */
/* The lock on a cluster's nodes: whose it is, when it is nobody's, and races for it. */
#include "lib/base/clock.h"
#include "lib/kube/lock.h"
#include "tests/unit/test-kube-world.h"

#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
#define GET_LEASE "GET " LEASES "/nodes"
#define PUT_LEASE "PUT " LEASES "/nodes"
#define DELETE_LEASE "DELETE " LEASES "/nodes"
#define TAKEN "{\"message\":\"leases.coordination.k8s.io \\\"nodes\\\" already exists\"}"

static const struct peer_reply conflict = { .status = 409, .body = TAKEN };
static const struct peer_reply absent = { .status = 404, .body = "{}" };
static const struct peer_reply ours = { .status = 201,
	.body = "{\"metadata\":{\"resourceVersion\":\"8\"}}" };

/* A lease that someone took `ago` seconds ago, for a minute. Caller frees. */
static char *lease(const char *holder, int ago)
{
	time_t then = time(NULL) - ago;
	struct tm tm;
	char text[32];

	(void)gmtime_r(&then, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.123456Z", &tm);
	return mk_xasprintf("{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":{"
			    "\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":60,"
			    "\"renewTime\":\"%s\"}}",
		holder, text);
}

static char *identity(pid_t pid)
{
	char host[65] = "";

	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	return mk_xasprintf("%s:%d", host, (int)pid);
}

/* A process that was, and is no more. */
static pid_t dead_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static int lock(struct mk_kube_lock *ret)
{
	return mk_kube_lock(w.kube, "nodes", 90, ret, &w.err);
}

/* The JSON that the request carried. The caller owns it. */
static json_t *body_of(const char *request, size_t n)
{
	const char *sent = fake_peer_request(w.server, request, n);
	json_t *body = sent ? json_loads(strstr(sent, "\r\n\r\n") + 4, 0, NULL) : NULL;

	assert_non_null(body);
	return body;
}

static void test_take(void **state)
{
	static const struct peer_route routes[] = {
		{ "POST " LEASES, { ours }, 1 },
		{ DELETE_LEASE, { { .body = "{}" } }, 1 },
	};
	struct mk_kube_lock held = { .kube = NULL };
	mk_autojson *made = NULL;
	mk_autojson *deleted = NULL;
	mk_autofree char *self = identity(getpid());

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(lock(&held), 0);
	made = body_of("POST", 0);
	assert_string_equal(mk_json_str(made, "metadata.name", ""), "nodes");
	assert_string_equal(mk_json_str(made, "spec.holderIdentity", ""), self);
	assert_int_equal(mk_json_int(made, "spec.leaseDurationSeconds", 0), 90);
	assert_string_equal(mk_json_str(made, "spec.renewTime", ""),
		mk_json_str(made, "spec.acquireTime", "?"));
	assert_int_equal(strlen(mk_json_str(made, "spec.renewTime", "")), 27);
	mk_kube_unlock(&held);
	/* Only the lease as we left it: another's is not ours to delete. */
	deleted = body_of(DELETE_LEASE, 0);
	assert_string_equal(mk_json_str(deleted, "preconditions.resourceVersion", ""), "8");
	/* Once is enough. */
	mk_kube_unlock(&held);
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 1);
}

/* Given back also after Ctrl-C; and a lock that was not taken is not. */
static void test_unlock(void **state)
{
	static const struct peer_route routes[] = {
		{ "POST " LEASES, { ours, { .status = 403, .body = "{\"message\":\"no\"}" } }, 2 },
		{ DELETE_LEASE, { conflict }, 1 },
	};
	struct mk_kube_lock held = { .kube = NULL }, none = { .kube = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(lock(&held), 0);
	assert_int_equal(lock(&none), -MK_EREMOTE);
	assert_words(w.err.message, "lock 'nodes': kubernetes: POST");
	mk_interrupt_raise();
	mk_kube_unlock(&none);
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 0);
	mk_kube_unlock(&held);
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 1);
	assert_true(mk_interrupted());
}

/* POST finds one, GET shows `old`, and PUT is answered by `put`. */
static int lock_over(const char *old, const struct peer_reply *put)
{
	struct peer_route routes[] = {
		{ "POST " LEASES, { conflict }, 1 },
		{ GET_LEASE, { { .body = old } }, 1 },
		{ PUT_LEASE, { *put }, 1 },
	};
	mk_autokubelock held = { .kube = NULL };
	int r;

	serve(routes, MK_ARRAY_LEN(routes));
	r = lock(&held);
	/* Nothing is taken from those who hold it, nor kept by those who do not. */
	assert_int_equal(held.kube != NULL, r == 0);
	return r;
}

static void assert_taken_over(const char *old)
{
	mk_autojson *put = NULL;

	if (lock_over(old, &ours) < 0)
		fail_msg("%s: %s", old, w.err.message);
	put = body_of(PUT_LEASE, 0);
	assert_string_equal(mk_json_str(put, "metadata.resourceVersion", ""), "7");
	restart();
}

static void assert_held(const char *old, const char *holder)
{
	mk_autofree char *words = mk_xasprintf("another run (%s) holds the lock 'nodes'", holder);

	assert_int_equal(lock_over(old, &ours), -MK_EEXISTS);
	assert_string_equal(w.err.message, words);
	assert_words(w.err.hint, "at the latest, in ");
	assert_null(fake_peer_request(w.server, "PUT", 0));
	restart();
}

static void test_held(void **state)
{
	mk_autofree char *parent = identity(getppid());
	mk_autofree char *gone = identity(dead_pid());
	mk_autofree char *elsewhere = mk_xasprintf("x%s", gone);
	const char *const others[] = { parent, elsewhere, "other-host:1", "no colon", "" };
	/* Of this host, but of no process that could be asked for. */
	static const char *const odd[] = { "", "x", "0", "-1", "1x", "99999999999" };
	size_t host = (size_t)(strrchr(gone, ':') - gone) + 1;

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(others); i++) {
		mk_autofree char *old = lease(others[i], 5);

		assert_held(old, others[i]);
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(odd); i++) {
		mk_autofree char *name = mk_xasprintf("%.*s%s", (int)host, gone, odd[i]);
		mk_autofree char *old = lease(name, 5);

		assert_held(old, name);
	}
}

static void test_taken_over(void **state)
{
	mk_autofree char *gone = identity(dead_pid());
	mk_autofree char *self = identity(getpid());
	mk_autofree char *parent = identity(getppid());
	mk_autofree char *of_dead = lease(gone, 5);
	mk_autofree char *expired = lease("other-host:1", 61);
	mk_autofree char *expired_here = lease(parent, 61);
	/* An answer of ours was lost on its way, and the request came twice. */
	mk_autofree char *own = lease(self, 0);

	(void)state;
	assert_taken_over(of_dead);
	assert_taken_over(expired);
	assert_taken_over(expired_here);
	assert_taken_over(own);
}

#define SPEC(spec) "{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":{" spec "}}"

/* Who says neither who he is nor until when does not hold it. */
static void test_damaged(void **state)
{
	static const char *const cases[] = {
		SPEC(""),
		"{\"metadata\":{\"resourceVersion\":\"7\"}}",
		"{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":7}",
		SPEC("\"holderIdentity\":7,\"renewTime\":\"soon\",\"leaseDurationSeconds\":60"),
		SPEC("\"holderIdentity\":\"a:1\",\"renewTime\":1,\"leaseDurationSeconds\":60"),
	};
	/* A duration that no server would let in: no more than the time it was taken. */
	static const char *const held[] = {
		SPEC("\"holderIdentity\":\"a:1\",\"renewTime\":\"2999-01-01T00:00:00Z\","
		     "\"leaseDurationSeconds\":9223372036854775807"),
		SPEC("\"holderIdentity\":\"a:1\",\"renewTime\":\"2999-01-01T00:00:00Z\","
		     "\"leaseDurationSeconds\":-9223372036854775807"),
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++)
		assert_taken_over(cases[i]);
	for (size_t i = 0; i < MK_ARRAY_LEN(held); i++)
		assert_held(held[i], "a:1");
}

/* Two runs find a lease that nobody holds; the other one is faster, and is named. */
static void test_lost_race(void **state)
{
	mk_autofree char *expired = lease("dead-host:1", 100);
	mk_autofree char *winner = lease("winner:2", 1);
	struct peer_route routes[] = {
		{ "POST " LEASES, { conflict }, 1 },
		{ GET_LEASE, { { .body = expired }, { .body = winner } }, 2 },
		{ PUT_LEASE, { conflict }, 1 },
	};
	struct mk_kube_lock none = { .kube = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(lock(&none), -MK_EEXISTS);
	assert_words(w.err.message, "another run (winner:2) holds the lock");
	assert_null(none.kube);
	assert_int_equal(fake_peer_hits(w.server, "PUT"), 1);
}

/* Its holder gives it back between our POST and our GET: it is free, not unknown. */
static void test_given_back_meanwhile(void **state)
{
	static const struct peer_route routes[] = {
		{ "POST " LEASES, { conflict, ours }, 2 },
		{ GET_LEASE, { absent }, 1 },
		{ DELETE_LEASE, { { .body = "{}" } }, 1 },
	};
	mk_autokubelock held = { .kube = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(lock(&held), 0);
	assert_non_null(held.kube);
}

/* A server that contradicts itself is not asked for ever. */
static void test_never_settled(void **state)
{
	static const struct peer_route routes[] = {
		{ "POST " LEASES, { conflict }, 1 },
		{ GET_LEASE, { absent }, 1 },
	};
	struct mk_kube_lock none = { .kube = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(lock(&none), -MK_EREMOTE);
	assert_in_range(fake_peer_hits(w.server, "POST"), 2, 20);
}

/* Ctrl-C while the server makes the lease: its answer is waited for, so that the
 * lease can be given back. */
static void test_interrupted_while_it_is_made(void **state)
{
	struct peer_reply slow = ours;
	struct peer_route routes[] = {
		{ "POST " LEASES, { slow }, 1 },
		{ DELETE_LEASE, { { .body = "{}" } }, 1 },
	};
	mk_autokubelock held = { .kube = NULL };

	(void)state;
	routes[0].replies[0].delay_ms = 200;
	serve(routes, MK_ARRAY_LEN(routes));
	mk_interrupt_raise();
	assert_int_equal(lock(&held), 0);
	assert_true(mk_interrupted());
	mk_kube_unlock(&held);
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_take),
		TEST(test_unlock),
		TEST(test_held),
		TEST(test_taken_over),
		TEST(test_damaged),
		TEST(test_lost_race),
		TEST(test_given_back_meanwhile),
		TEST(test_never_settled),
		TEST(test_interrupted_while_it_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

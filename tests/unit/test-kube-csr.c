/* SPDX-License-Identifier: Apache-2.0 */
/* A client's certificate by the API: what is sent, what ends it, and that nothing stays. */
#include "lib/kube/csr.h"
#include "tests/unit/test-kube-world.h"

#define REQUESTS "/apis/certificates.k8s.io/v1/certificatesigningrequests"
#define POST "POST " REQUESTS
#define APPROVE "PUT " REQUESTS "/mkcluster-*"
#define SEEN "GET " REQUESTS "/mkcluster-*"
#define WATCH "GET " REQUESTS "?*"
#define DELETE "DELETE " REQUESTS "/mkcluster-*"

#define OBJECT(version, status)                                                                    \
	"{\"metadata\":{\"resourceVersion\":\"" version "\"},\"status\":" status "}"
#define NEW OBJECT("1", "{}")
#define ENDED(type)                                                                                \
	OBJECT("2",                                                                                \
		"{\"conditions\":[{\"type\":\"" type                                               \
		"\",\"status\":\"True\",\"reason\":\"Why\",\"message\":\"because\"}]}")
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
/* "PEM" in base64, after an event that has none yet. */
#define SIGNED                                                                                     \
	EVENT("ADDED", OBJECT("2", "{}"))                                                          \
	EVENT("MODIFIED", OBJECT("3", "{\"certificate\":\"UEVN\"}"))

static const struct peer_reply conflict = { .status = 409, .body = "{\"message\":\"modified\"}" };

static int sign(struct mk_buf *ret)
{
	return mk_kube_sign_client(w.kube, "REQUEST", 86400, mk_deadline(2000), ret, &w.err);
}

static json_t *body_of(const char *request, size_t n)
{
	const char *sent = fake_peer_request(w.server, request, n);
	json_t *body = sent ? json_loads(strstr(sent, "\r\n\r\n") + 4, 0, NULL) : NULL;

	assert_non_null(body);
	return body;
}

static void test_signed(void **state)
{
	static const struct peer_route routes[] = {
		{ POST, { { .status = 201, .body = NEW } }, 1 },
		{ APPROVE, { { .body = NEW } }, 1 },
		{ WATCH, { { .body = SIGNED, .no_length = true } }, 1 },
		{ DELETE, { { .body = "{}" } }, 1 },
	};
	mk_autobuf pem = mk_buf_init(4096);
	mk_autojson *made = NULL;
	mk_autojson *approved = NULL;
	const char *name;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(sign(&pem), 0);
	assert_string_equal(pem.data, "PEM");
	made = body_of(POST, 0);
	name = mk_json_str(made, "metadata.name", "");
	assert_int_equal(strlen(name), strlen("mkcluster-") + 16);
	assert_string_equal(mk_json_str(made, "spec.request", ""), "UkVRVUVTVA==");
	assert_string_equal(
		mk_json_str(made, "spec.signerName", ""), "kubernetes.io/kube-apiserver-client");
	assert_int_equal(mk_json_int(made, "spec.expirationSeconds", 0), 86400);
	approved = body_of("PUT", 0);
	/* As the server gave it: it compares the version. */
	assert_string_equal(mk_json_str(approved, "metadata.resourceVersion", ""), "1");
	assert_string_equal(
		mk_json_str(
			json_array_get(mk_json_at(approved, "status.conditions"), 0), "type", ""),
		"Approved");
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 1);
	assert_int_equal(fake_peer_hits(w.server, "GET"), 1);
}

/* Somebody has changed it: what is newer is approved. */
static void test_conflict(void **state)
{
	static const struct peer_route routes[] = {
		{ POST, { { .status = 201, .body = NEW } }, 1 },
		{ APPROVE, { conflict, { .body = NEW } }, 2 },
		{ SEEN, { { .body = OBJECT("7", "{}") } }, 1 },
		{ WATCH, { { .body = SIGNED, .no_length = true } }, 1 },
		{ DELETE, { { .body = "{}" } }, 1 },
	};
	mk_autobuf pem = mk_buf_init(4096);
	mk_autojson *approved = NULL;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(sign(&pem), 0);
	approved = body_of("PUT", 1);
	assert_string_equal(mk_json_str(approved, "metadata.resourceVersion", ""), "7");
}

static void test_conflict_for_ever(void **state)
{
	static const struct peer_route routes[] = {
		{ POST, { { .status = 201, .body = NEW } }, 1 },
		{ APPROVE, { conflict }, 1 },
		{ SEEN, { { .body = NEW } }, 1 },
		{ DELETE, { { .body = "{}" } }, 1 },
	};
	mk_autobuf pem = mk_buf_init(4096);

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(sign(&pem), -MK_EREMOTE);
	assert_words(w.err.message, "approve the certificate: ");
	assert_int_equal(fake_peer_hits(w.server, "PUT"), 5);
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 1);
}

/* Approved by somebody else is as good. */
static void test_approved_already(void **state)
{
	static const struct peer_route routes[] = {
		{ POST, { { .status = 201, .body = NEW } }, 1 },
		{ APPROVE, { conflict }, 1 },
		{ SEEN, { { .body = ENDED("Approved") } }, 1 },
		{ WATCH, { { .body = SIGNED, .no_length = true } }, 1 },
		{ DELETE, { { .body = "{}" } }, 1 },
	};
	mk_autobuf pem = mk_buf_init(4096);

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(sign(&pem), 0);
	assert_int_equal(fake_peer_hits(w.server, "PUT"), 1);
}

/* Each event, and the words it ends with; the object is removed each time. */
static void test_ends(void **state)
{
	static const struct {
		const char *event, *words;
		int code;
	} cases[] = {
		{ EVENT("MODIFIED", ENDED("Denied")),
			"somebody has denied the request: Why: because", MK_EREMOTE },
		{ EVENT("MODIFIED", ENDED("Failed")), "the signer has refused the request: Why",
			MK_EREMOTE },
		{ EVENT("DELETED", NEW), "somebody has deleted the request", MK_EREMOTE },
		{ EVENT("MODIFIED", OBJECT("3", "{\"certificate\":\"!\"}")),
			"the certificate in the answer", MK_EINVALID },
		{ EVENT("ADDED", NEW), "wait for the certificate", MK_ETIMEOUT },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		const struct peer_route routes[] = {
			{ POST, { { .status = 201, .body = NEW } }, 1 },
			{ APPROVE, { { .body = NEW } }, 1 },
			{ WATCH, { { .body = cases[i].event, .no_length = true } }, 1 },
			{ DELETE, { { .status = 404, .body = "{}" } }, 1 },
		};
		mk_autobuf pem = mk_buf_init(4096);

		serve(routes, MK_ARRAY_LEN(routes));
		assert_int_equal(sign(&pem), -cases[i].code);
		assert_words(w.err.message, cases[i].words);
		assert_int_equal(fake_peer_hits(w.server, "DELETE"), 1);
		restart();
	}
}

/* What was refused is not there; what got no answer may be. */
static void test_not_made(void **state)
{
	static const struct peer_route refused[] = {
		{ POST, { { .status = 403, .body = "{\"message\":\"not allowed\"}" } }, 1 },
	};
	static const struct peer_route lost[] = {
		{ POST, { { .hang_up = true } }, 1 },
		{ DELETE, { { .body = "{}" } }, 1 },
	};
	mk_autobuf pem = mk_buf_init(4096);

	(void)state;
	serve(refused, MK_ARRAY_LEN(refused));
	assert_int_equal(sign(&pem), -MK_EREMOTE);
	assert_words(w.err.message, "ask for a certificate: kubernetes: POST");
	assert_words(w.err.message, "not allowed");
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 0);
	restart();
	serve(lost, MK_ARRAY_LEN(lost));
	assert_int_equal(sign(&pem), -MK_ENET);
	assert_int_equal(fake_peer_hits(w.server, "DELETE"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_signed),
		TEST(test_conflict),
		TEST(test_conflict_for_ever),
		TEST(test_approved_already),
		TEST(test_ends),
		TEST(test_not_made),
	};

	return cmocka_run_group_tests_name("kube-csr", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The API server's client: identities, refusals, readiness, and applying objects. */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/kube/apply.h"
#include "tests/unit/fake-peer.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
	struct fake_peer *server;
	struct mk_kube *kube;
	struct mk_error err;
};

static struct world w;

static int leave(void **state)
{
	(void)state;
	mk_kube_free(w.kube);
	fake_peer_stop(w.server);
	mk_error_done(&w.err);
	mk_interrupt_reset();
	w = (struct world){ .kube = NULL };
	return 0;
}

static void serve(const struct peer_route *routes, size_t count)
{
	mk_autoidentity identity = { .server = NULL };

	w.server = fake_peer_start(NULL, routes, count);
	identity.server = mk_xstrdup(fake_peer_address(w.server));
	assert_int_equal(mk_kube_new(&identity, &w.kube, &w.err), 0);
}

static void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text ? text : "(null)");
}

#define CLUSTER(name, server)                                                                      \
	"- name: " name "\n  cluster: {certificate-authority-data: Y2E=, server: '" server "'}\n"
#define USER(name, cert)                                                                           \
	"- name: " name "\n  user: {client-certificate-data: " cert ", client-key-data: a2V5}\n"

static void test_identity(void **state)
{
	static const struct {
		const char *text, *server, *cert;
	} cases[] = {
		{ "clusters:\n" CLUSTER("a", "https://a") "users:\n" USER("u", "dQ=="), "https://a",
			"u" },
		{ "current-context: ''\nclusters:\n" CLUSTER("a", "https://a") CLUSTER(
			  "b", "https://b") "users:\n" USER("u", "dQ==") USER("v", "dg=="),
			"https://a", "u" },
		{ "current-context: two\ncontexts:\n- {name: one, context: {cluster: a, user: u}}\n"
		  "- {name: two, context: {cluster: b, user: v}}\nclusters:\n" CLUSTER(
			  "a", "https://a") CLUSTER("b", "https://b") "users:\n" USER("u", "dQ==")
				USER("v", "dg=="),
			"https://b", "v" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autoidentity identity = { .server = NULL };

		if (mk_kube_identity_parse(
			    cases[i].text, strlen(cases[i].text), &identity, &w.err) < 0)
			fail_msg("%zu: %s", i, w.err.message);
		assert_string_equal(identity.server, cases[i].server);
		assert_string_equal(identity.ca_pem, "ca");
		assert_string_equal(identity.cert_pem, cases[i].cert);
		assert_string_equal(identity.key_pem, "key");
	}
}

static void test_bad_identities(void **state)
{
	static const char *const cases[][2] = {
		{ "", "no cluster.certificate-authority-data" },
		{ "[]", "no cluster.certificate-authority-data" },
		{ "a: [", "kubeconfig:" },
		{ "clusters:\n" CLUSTER("a", "https://a"), "no user.client-certificate-data" },
		{ "clusters:\n" CLUSTER("a", "https://a") "users:\n" USER("u", "'?'"),
			"kubeconfig: user.client-certificate-data: not base64" },
		{ "current-context: c\ncontexts:\n- {name: c, context: {cluster: gone, user: u}}\n"
		  "clusters:\n" CLUSTER("a", "https://a") "users:\n" USER("u", "dQ=="),
			"no cluster.certificate-authority-data" },
		{ "clusters:\n- {name: a, cluster: {certificate-authority-data: Y2E=}}\nusers:\n" USER(
			  "u", "dQ=="),
			"no cluster.server" },
		{ "clusters:\n- {name: a, cluster: {certificate-authority-data: 7}}\n",
			"no cluster.certificate-authority-data" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autoidentity identity = { .server = NULL };

		assert_int_equal(
			mk_kube_identity_parse(cases[i][0], strlen(cases[i][0]), &identity, &w.err),
			-MK_EINVALID);
		assert_words(w.err.message, cases[i][1]);
		assert_null(identity.server);
	}
}

static void test_call(void **state)
{
	static const struct peer_route routes[] = {
		{ "POST /ok", { { .status = 201, .body = "{\"a\":1}" } }, 1 },
		{ "GET /403",
			{ { .status = 403,
				.body = "{\"kind\":\"Status\",\"message\":\"no way\"}" } },
			1 },
		{ "GET /404", { { .status = 404, .body = "404 page not found\n" } }, 1 },
		{ "GET /409", { { .status = 409, .body = "{}" } }, 1 },
		{ "GET /bad", { { .body = "<html>" } }, 1 },
		{ "GET /text", { { .body = "line 1\nline 2\n" } }, 1 },
	};
	mk_autojson *body = mk_json_pack("{s:i}", "b", 2);
	mk_autojson *answer = NULL;
	mk_autobuf text = mk_buf_init(10);
	mk_autobuf log = mk_buf_init(100);

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_kube_call(w.kube, "POST", "/ok", body, &answer, &w.err), 0);
	assert_int_equal(mk_json_int(answer, "a", 0), 1);
	assert_words(fake_peer_request(w.server, "POST /ok", 0), "\r\n\r\n{\"b\":2}");
	assert_int_equal(mk_kube_call(w.kube, "GET", "/403", NULL, NULL, &w.err), -MK_EREMOTE);
	assert_string_equal(w.err.message, "kubernetes: GET /403: 403: no way");
	assert_int_equal(w.err.status, 403);
	assert_int_equal(mk_kube_call(w.kube, "GET", "/404", NULL, NULL, &w.err), -MK_ENOTFOUND);
	assert_words(w.err.message, "404: 404 page not found");
	assert_int_equal(mk_kube_call(w.kube, "GET", "/409", NULL, NULL, &w.err), -MK_EEXISTS);
	assert_int_equal(mk_kube_call(w.kube, "GET", "/bad", NULL, NULL, &w.err), 0);
	assert_int_equal(mk_kube_call(w.kube, "GET", "/bad", NULL, &answer, &w.err), -MK_EINVALID);
	assert_int_equal(mk_kube_get_text(w.kube, "/text", &log, &w.err), 0);
	assert_string_equal(log.data, "line 1\nline 2\n");
	assert_int_equal(mk_kube_get_text(w.kube, "/text", &text, &w.err), -MK_EINVALID);
	assert_int_equal(mk_kube_get_text(w.kube, "/404", &log, &w.err), -MK_ENOTFOUND);
}

static int died(void *payload, struct mk_error *err)
{
	(*(int *)payload)++;
	return mk_fail(err, MK_EBRINGUP, "the node died");
}

static void test_ready(void **state)
{
	static const struct peer_route route = { "GET /readyz",
		{ { .hang_up = true }, { .status = 500, .body = "[-]etcd failed" },
			{ .body = "ok" } },
		3 };

	(void)state;
	serve(&route, 1);
	assert_int_equal(mk_kube_wait_ready(w.kube, mk_deadline(5000), NULL, NULL, &w.err), 0);
	assert_int_equal(fake_peer_hits(w.server, "GET /readyz"), 3);
}

static void test_not_ready(void **state)
{
	static const struct peer_route route = { "GET /readyz",
		{ { .status = 500, .body = "[-]etcd failed" } }, 1 };
	int asked = 0;

	(void)state;
	serve(&route, 1);
	assert_int_equal(
		mk_kube_wait_ready(w.kube, mk_deadline(60), died, &asked, &w.err), -MK_ETIMEOUT);
	assert_words(w.err.message, "/readyz: 500: [-]etcd failed");
	assert_int_equal(asked, 0);
	assert_int_equal(
		mk_kube_wait_ready(w.kube, mk_deadline(9000), died, &asked, &w.err), -MK_EBRINGUP);
	assert_int_equal(asked, 1);
	mk_interrupt_raise();
	assert_int_equal(
		mk_kube_wait_ready(w.kube, mk_deadline(9000), died, &asked, &w.err), -MK_EINTR);
}

static void test_paths(void **state)
{
	static const struct {
		const char *version, *kind, *namespace, *path; /* NULL: refused */
	} cases[] = {
		{ "v1", "Namespace", NULL, "/api/v1/namespaces/x" },
		{ "v1", "Namespace", "n", "/api/v1/namespaces/x" },
		{ "v1", "Secret", "n", "/api/v1/namespaces/n/secrets/x" },
		{ "v1", "Secret", NULL, "/api/v1/namespaces/default/secrets/x" },
		{ "v1", "Service", "n", "/api/v1/namespaces/n/services/x" },
		{ "apps/v1", "Deployment", "n", "/apis/apps/v1/namespaces/n/deployments/x" },
		{ "rbac.authorization.k8s.io/v1", "ClusterRole", NULL,
			"/apis/rbac.authorization.k8s.io/v1/clusterroles/x" },
		{ "rbac.authorization.k8s.io/v1", "RoleBinding", "n",
			"/apis/rbac.authorization.k8s.io/v1/namespaces/n/rolebindings/x" },
		{ "storage.k8s.io/v1", "StorageClass", NULL,
			"/apis/storage.k8s.io/v1/storageclasses/x" },
		{ "apiregistration.k8s.io/v1", "APIService", NULL,
			"/apis/apiregistration.k8s.io/v1/apiservices/x" },
		{ "v1", "Deployment", "n", NULL },
		{ "apps/v1beta1", "Deployment", "n", NULL },
		{ "", "", "n", NULL },
	};
	mk_autojson *nameless = mk_json_pack("{s:s,s:s}", "apiVersion", "v1", "kind", "Secret");
	char *none = NULL;

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *path = NULL;
		mk_autojson *object = mk_json_pack("{s:s,s:s,s:{s:s,s:s*}}", "apiVersion",
			cases[i].version, "kind", cases[i].kind, "metadata", "name", "x",
			"namespace", cases[i].namespace);
		int r = mk_kube_object_path(object, &path, &w.err);

		assert_int_equal(r, cases[i].path ? 0 : -MK_EINVALID);
		if (cases[i].path)
			assert_string_equal(path, cases[i].path);
	}
	assert_int_equal(mk_kube_object_path(nameless, &none, &w.err), -MK_EINVALID);
	assert_int_equal(mk_kube_object_path(NULL, &none, &w.err), -MK_EINVALID);
}

static json_t *object(const char *version, const char *kind, const char *name)
{
	return mk_json_pack(
		"{s:s,s:s,s:{s:s}}", "apiVersion", version, "kind", kind, "metadata", "name", name);
}

#define APPLIED "?fieldManager=mkcluster-create&force=true HTTP/1.1\r\n"

static void test_apply(void **state)
{
	static const struct peer_route routes[] = {
		{ "PATCH /apis/apps/v1/namespaces/default/deployments/d", { { .status = 201 } },
			1 },
		{ "PATCH /api/v1/namespaces/default/services/s", { { .status = 200 } }, 1 },
		{ "PATCH /api/v1/namespaces/default/configmaps/c", { { .status = 200 } }, 1 },
		{ "PATCH /api/v1/namespaces/n", { { .status = 200 } }, 1 },
	};
	mk_autojson *objects = mk_json_pack("[o,o,o,o]", object("apps/v1", "Deployment", "d"),
		object("v1", "Service", "s"), object("v1", "ConfigMap", "c"),
		object("v1", "Namespace", "n"));
	const char *first;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_kube_apply(w.kube, objects, &w.err), 0);
	assert_int_equal(fake_peer_hits(w.server, ""), 4);
	/* Whatever their order in the file: what holds others first, workloads last. */
	first = fake_peer_request(w.server, "", 0);
	assert_words(first, "PATCH /api/v1/namespaces/n" APPLIED);
	assert_words(first, "\r\nContent-Type: application/apply-patch+yaml\r\n");
	assert_words(first, "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\"");
	assert_words(fake_peer_request(w.server, "", 1), "/configmaps/c" APPLIED);
	assert_words(fake_peer_request(w.server, "", 2), "/services/s" APPLIED);
	assert_words(fake_peer_request(w.server, "", 3), "/deployments/d" APPLIED);
}

static void test_apply_refused(void **state)
{
	static const struct peer_route routes[] = {
		{ "PATCH /api/v1/namespaces/n", { { .status = 200 } }, 1 },
		{ "PATCH /api/v1/namespaces/default/configmaps/c",
			{ { .status = 422, .body = "{\"message\":\"data: Invalid value\"}" } }, 1 },
		{ "GET /api/v1",
			{ { .body = "{\"resources\":[{\"name\":\"gadgets\",\"kind\":\"Gadget\"}]}" } },
			1 },
	};
	mk_autojson *objects = mk_json_pack("[o,o,o]", object("v1", "Namespace", "n"),
		object("v1", "ConfigMap", "c"), object("v1", "Service", "s"));
	mk_autojson *unknown = mk_json_pack(
		"[o,o]", object("v1", "Namespace", "n"), object("v1", "Widget", "x"));
	mk_autojson *none = json_array();

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_kube_apply(w.kube, objects, &w.err), -MK_EREMOTE);
	assert_words(w.err.message, "/configmaps/c");
	assert_words(w.err.message, "422: data: Invalid value");
	assert_int_equal(fake_peer_hits(w.server, ""), 2);
	/* An unknown kind is noticed before anything is applied: the server is asked. */
	assert_int_equal(mk_kube_apply(w.kube, unknown, &w.err), -MK_EINVALID);
	assert_words(w.err.message, "v1 has no kind 'Widget'; did you mean 'Gadget'?");
	assert_int_equal(fake_peer_hits(w.server, "PATCH "), 2);
	assert_int_equal(fake_peer_hits(w.server, "GET /api/v1 "), 1);
	assert_int_equal(mk_kube_apply(w.kube, none, &w.err), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_bad_identities),
		TEST(test_call),
		TEST(test_ready),
		TEST(test_not_ready),
		TEST(test_paths),
		TEST(test_apply),
		TEST(test_apply_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

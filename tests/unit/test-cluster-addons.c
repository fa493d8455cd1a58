/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addons as they are applied: which, when, with what trust between the API
 * server, metrics-server and the kubelets, and with how few rights.
 */
#include "lib/base/encode.h"
#include "lib/cluster/bringup.h"
#include "tests/unit/test-docker-world.h"

static const struct peer_route accept_all = { "PATCH *", { { .body = "{}" } }, 1 };

#define KUBE_SYSTEM "PATCH /api/v1/namespaces/kube-system/"
#define APPS "PATCH /apis/apps/v1/namespaces/"
#define METRICS_SERVER APPS "kube-system/deployments/metrics-server"
#define PROVISIONER APPS "local-path-storage/deployments/local-path-provisioner"
#define STORAGE_CLASS "PATCH /apis/storage.k8s.io/v1/storageclasses/standard"
#define API_SERVICE "PATCH /apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"

/* A run that has come as far as the step. */
static struct mk_bringup bringup(const struct mk_cluster_spec *spec, struct fake_peer *server)
{
	mk_autoidentity identity = { .server = mk_xstrdup(fake_peer_address(server)) };
	mk_autofree char *note = NULL;
	struct mk_bringup b = {
		.spec = spec,
		.subnet = { .address = 0x0ad50700, .bits = 24 },
		.images = mk_json_pack("{s:s,s:s,s:s}", "metrics-server", "img/metrics:1",
			"local-path-provisioner", "img/provisioner:1", "local-path-helper",
			"img/helper:1"),
	};

	serve(NULL, 0);
	b.docker = w.docker;
	assert_int_equal(mk_step_make_secrets(&b, &note, &w.err), 0);
	assert_int_equal(mk_kube_new(&identity, &b.kube, &w.err), 0);
	return b;
}

/* Run the step; its note is the result. Caller frees. */
static char *start_addons(bool storage, bool metrics, struct fake_peer *server)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	char *note = NULL;

	spec.storage = storage;
	spec.metrics = metrics;
	b = bringup(&spec, server);
	if (mk_step_start_addons(&b, &note, &w.err) < 0)
		fail_msg("%s", w.err.message);
	return note;
}

/* What the first request beginning so carried. The caller owns it. */
static json_t *sent(struct fake_peer *server, const char *request)
{
	const char *text = fake_peer_request(server, request, 0);
	json_t *body;

	if (!text)
		fail_msg("no %s", request);
	body = json_loads(strstr(text, "\r\n\r\n") + 4, 0, NULL);
	assert_non_null(body);
	return body;
}

static void test_both(void **state)
{
	struct fake_peer *server = fake_peer_start(NULL, &accept_all, 1);
	mk_autofree char *note = start_addons(true, true, server);
	mk_autojson *class = sent(server, STORAGE_CLASS);
	const json_t *annotations = mk_json_at(class, "metadata.annotations");

	(void)state;
	assert_string_equal(note, "storage, metrics");
	assert_int_equal(fake_peer_hits(server, METRICS_SERVER), 1);
	assert_int_equal(fake_peer_hits(server, PROVISIONER), 1);
	assert_string_equal(json_string_value(json_object_get(
				    annotations, "storageclass.kubernetes.io/is-default-class")),
		"true");
	assert_string_equal(mk_json_str(class, "volumeBindingMode", ""), "WaitForFirstConsumer");
	assert_string_equal(mk_json_str(class, "reclaimPolicy", ""), "Delete");
	fake_peer_stop(server);
}

static void test_one_of_them(void **state)
{
	struct fake_peer *first = fake_peer_start(NULL, &accept_all, 1);
	mk_autofree char *storage = start_addons(true, false, first);
	struct fake_peer *second;
	mk_autofree char *metrics = NULL;

	(void)state;
	assert_string_equal(storage, "storage");
	assert_int_equal(fake_peer_hits(first, STORAGE_CLASS), 1);
	assert_int_equal(fake_peer_hits(first, KUBE_SYSTEM), 0);
	assert_int_equal(fake_peer_hits(first, API_SERVICE), 0);
	fake_peer_stop(first);
	mk_docker_free(MK_TAKE(w.docker));
	fake_peer_stop(MK_TAKE(w.engine));
	second = fake_peer_start(NULL, &accept_all, 1);
	metrics = start_addons(false, true, second);
	assert_string_equal(metrics, "metrics");
	assert_int_equal(fake_peer_hits(second, API_SERVICE), 1);
	assert_int_equal(fake_peer_hits(second, STORAGE_CLASS), 0);
	assert_int_equal(fake_peer_hits(second, PROVISIONER), 0);
	fake_peer_stop(second);
}

/* The text of a base64 field as a certificate. */
static void parse_cert(const char *text, struct mk_cert **ret)
{
	mk_autobuf pem = mk_buf_init(65536);

	assert_non_null(text);
	assert_int_equal(mk_base64_decode(text, &pem, &w.err), 0);
	assert_int_equal(mk_cert_parse(pem.data, pem.len, ret, &w.err), 0);
}

/* The API server trusts the cluster's CA for this name, and nothing is skipped. */
static void test_trust(void **state)
{
	struct fake_peer *server = fake_peer_start(NULL, &accept_all, 1);
	mk_autofree char *note = start_addons(false, true, server);
	mk_autojson *service = sent(server, API_SERVICE);
	mk_autojson *secret = sent(server, KUBE_SYSTEM "secrets/metrics-server");
	const json_t *data = json_object_get(secret, "data");
	mk_autobuf key_pem = mk_buf_init(65536);
	mk_autocert *ca = NULL;
	mk_autocert *cert = NULL;
	mk_autokey *key = NULL;

	(void)state;
	parse_cert(mk_json_str(service, "spec.caBundle", NULL), &ca);
	parse_cert(json_string_value(json_object_get(data, "tls.crt")), &cert);
	assert_null(mk_json_at(service, "spec.insecureSkipTLSVerify"));
	assert_true(mk_cert_is_ca(ca));
	assert_string_equal(mk_cert_subject(ca), "CN=kubernetes-ca");
	assert_string_equal(mk_cert_issuer(cert), mk_cert_subject(ca));
	assert_true(mk_strlist_has(&mk_cert_sans(cert)->dns, "metrics-server.kube-system.svc"));
	assert_string_equal(mk_json_str(secret, "type", ""), "kubernetes.io/tls");
	assert_int_equal(mk_base64_decode(json_string_value(json_object_get(data, "tls.key")),
				 &key_pem, &w.err),
		0);
	assert_int_equal(mk_key_parse(key_pem.data, key_pem.len, &key, &w.err), 0);
	assert_true(mk_cert_has_key(cert, key));
	fake_peer_stop(server);
}

static bool has_argument(const json_t *container, const char *word)
{
	const json_t *argument;
	size_t i;

	json_array_foreach (json_object_get(container, "args"), i, argument) {
		if (strstr(json_string_value(argument), word))
			return true;
	}
	return false;
}

static const json_t *only_container(const json_t *deployment)
{
	const json_t *list = mk_json_at(deployment, "spec.template.spec.containers");

	assert_int_equal(json_array_size(list), 1);
	return json_array_get(list, 0);
}

static void test_kubelets_are_checked(void **state)
{
	struct fake_peer *server = fake_peer_start(NULL, &accept_all, 1);
	mk_autofree char *note = start_addons(false, true, server);
	mk_autojson *deployment = sent(server, METRICS_SERVER);
	const json_t *container = only_container(deployment);

	(void)state;
	assert_true(has_argument(container, "--kubelet-certificate-authority=/"));
	assert_false(has_argument(container, "insecure"));
	assert_string_equal(mk_json_str(container, "image", ""), "img/metrics:1");
	fake_peer_stop(server);
}

static void assert_few_rights(struct fake_peer *server, const char *request)
{
	mk_autojson *deployment = sent(server, request);
	const json_t *pod = mk_json_at(deployment, "spec.template.spec");
	const json_t *container = only_container(deployment);
	const json_t *drop = mk_json_at(container, "securityContext.capabilities.drop");
	const json_t *requests = mk_json_at(container, "resources.requests");

	assert_true(json_is_true(mk_json_at(pod, "securityContext.runAsNonRoot")));
	assert_int_equal(mk_json_int(pod, "securityContext.runAsUser", 0), 65534);
	assert_string_equal(
		mk_json_str(pod, "securityContext.seccompProfile.type", ""), "RuntimeDefault");
	assert_true(
		json_is_false(mk_json_at(container, "securityContext.allowPrivilegeEscalation")));
	assert_true(json_is_true(mk_json_at(container, "securityContext.readOnlyRootFilesystem")));
	assert_string_equal(json_string_value(json_array_get(drop, 0)), "ALL");
	assert_null(mk_json_at(container, "securityContext.capabilities.add"));
	assert_null(json_object_get(pod, "hostNetwork"));
	assert_non_null(json_object_get(requests, "cpu"));
	assert_non_null(json_object_get(requests, "memory"));
}

/* Who may make pods in any namespace has the rights of every account there. */
static void assert_no_pods_anywhere(struct fake_peer *server)
{
	mk_autojson *role = sent(server,
		"PATCH /apis/rbac.authorization.k8s.io/v1/clusterroles/local-path-provisioner");
	const json_t *rule, *resource;
	size_t i, j;

	json_array_foreach (json_object_get(role, "rules"), i, rule) {
		json_array_foreach (json_object_get(rule, "resources"), j, resource) {
			assert_string_not_equal(json_string_value(resource), "pods");
			assert_string_not_equal(json_string_value(resource), "secrets");
			assert_string_not_equal(json_string_value(resource), "*");
		}
	}
}

static void test_few_rights(void **state)
{
	struct fake_peer *server = fake_peer_start(NULL, &accept_all, 1);
	mk_autofree char *note = start_addons(true, true, server);

	(void)state;
	assert_few_rights(server, METRICS_SERVER);
	assert_few_rights(server, PROVISIONER);
	assert_no_pods_anywhere(server);
	fake_peer_stop(server);
}

static void test_refused(void **state)
{
	static const struct peer_route routes[] = {
		{ API_SERVICE, { { .status = 403, .body = "{\"message\":\"not here\"}" } }, 1 },
		{ "PATCH *", { { .body = "{}" } }, 1 },
	};
	struct fake_peer *server = fake_peer_start(NULL, routes, MK_ARRAY_LEN(routes));
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = bringup(&spec, server);
	mk_autofree char *note = NULL;

	(void)state;
	assert_true(mk_step_start_addons(&b, &note, &w.err) < 0);
	assert_words(w.err.message, "v1beta1.metrics.k8s.io");
	assert_words(w.err.message, "not here");
	fake_peer_stop(server);
}

static size_t step_at(const char *title)
{
	for (size_t i = 0; i < mk_create_step_count; i++) {
		if (mk_streq(mk_create_steps[i].title, title))
			return i;
	}
	fail_msg("no step '%s'", title);
	return 0;
}

/* After all that takes CPU has started, before the wait that mostly sleeps. */
static void test_place(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	const struct mk_bringup b = { .spec = &spec };
	size_t at = step_at("Starting addons");
	const struct mk_step *step = &mk_create_steps[at];

	(void)state;
	assert_int_equal(at, step_at("Waiting for DNS") + 1);
	assert_int_equal(at, step_at("Waiting for OpenFaaS") - 1);
	assert_false((step->skip)(&b));
	spec.storage = false;
	assert_false((step->skip)(&b));
	spec.metrics = false;
	assert_true((step->skip)(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both),
		TEST(test_one_of_them),
		TEST(test_trust),
		TEST(test_kubelets_are_checked),
		TEST(test_few_rights),
		TEST(test_refused),
		TEST(test_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates of a cluster: one bundle for two control planes and a worker
 * is made once, and OpenSSL says who would accept what.
 */
#include "lib/base/clock.h"
#include "pki/bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <cmocka.h>

#define DAY 86400
#define MAX_TEXT 65536
#define NODES 3
#define WORKER 2

#define assert_ok(r, err)                                                                          \
	do {                                                                                       \
		if ((r) != 0)                                                                      \
			fail_msg("%s", (err).message);                                             \
	} while (0)

static char *sans_items[] = { (char[]){ "lb.example.com" }, (char[]){ "192.0.2.7" },
	(char[]){ "LOCALHOST" }, NULL };
static const struct mk_strlist extra_sans = { sans_items, 3 };
static const struct mk_pki_node nodes[NODES] = {
	{ "dev-control-plane", "172.20.0.3", true },
	{ "dev-control-plane2", "172.20.0.4", true },
	{ "dev-worker", "172.20.0.5", false },
};
static const struct mk_pki_spec spec = {
	.cluster = "dev",
	.key_kind = MK_KEY_EC_P256,
	.service_ip = "10.96.0.1",
	.server = "https://172.20.0.2:6443",
	.api_sans = &extra_sans,
	.nodes = nodes,
	.node_count = NODES,
};

static int setup(void **state)
{
	struct mk_pki_bundle *bundle = NULL;
	mk_autoerror err = { 0 };

	assert_ok(mk_pki_bundle_new(&spec, &bundle, &err), err);
	*state = bundle;
	return 0;
}

static int teardown(void **state)
{
	mk_pki_bundle_free(*state);
	return 0;
}

static X509 *read_x509(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(x509);
	return x509;
}

static X509 *x509_of(const struct mk_pki_bundle *bundle, const char *name, size_t node)
{
	mk_autoerror err = { 0 };
	mk_autobuf pem = mk_buf_init(MAX_TEXT);
	const struct mk_cert *cert = mk_pki_bundle_cert(bundle, name, node);

	assert_non_null(cert);
	assert_ok(mk_cert_pem(cert, &pem, &err), err);
	return read_x509(pem.data);
}

/* Whether a TLS peer that trusts `ca` alone takes the certificate in this role. */
static bool verifies(const struct mk_pki_bundle *bundle, const char *name, size_t node,
	const char *ca, int purpose)
{
	X509 *leaf = x509_of(bundle, name, node), *root = x509_of(bundle, ca, 0);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok;

	assert_int_equal(X509_STORE_add_cert(store, root), 1);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, NULL), 1);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
	assert_int_equal(X509_STORE_CTX_set_purpose(ctx, purpose), 1);
	ok = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(root);
	X509_free(leaf);
	return ok;
}

struct expected {
	const char *name;
	const char *subject; /* on the first control plane */
	const char *signer;  /* its row */
	unsigned usages;
};

static const struct expected expected[] = {
	{ "ca", "CN=kubernetes-ca", "ca", MK_CERT_CA },
	{ "etcd/ca", "CN=etcd-ca", "etcd/ca", MK_CERT_CA },
	{ "front-proxy-ca", "CN=front-proxy-ca", "front-proxy-ca", MK_CERT_CA },
	{ "apiserver", "CN=kube-apiserver", "ca", MK_CERT_SERVER },
	{ "apiserver-kubelet-client", "CN=kube-apiserver-kubelet-client", "ca", MK_CERT_CLIENT },
	{ "apiserver-etcd-client", "CN=kube-apiserver-etcd-client", "etcd/ca", MK_CERT_CLIENT },
	{ "front-proxy-client", "CN=front-proxy-client", "front-proxy-ca", MK_CERT_CLIENT },
	{ "etcd/server", "CN=dev-control-plane", "etcd/ca", MK_CERT_CLIENT | MK_CERT_SERVER },
	{ "etcd/peer", "CN=dev-control-plane", "etcd/ca", MK_CERT_CLIENT | MK_CERT_SERVER },
	{ "etcd/healthcheck-client", "CN=kube-etcd-healthcheck-client", "etcd/ca", MK_CERT_CLIENT },
	{ "admin", "CN=kubernetes-admin,O=system:masters", "ca", MK_CERT_CLIENT },
	{ "controller-manager", "CN=system:kube-controller-manager", "ca", MK_CERT_CLIENT },
	{ "scheduler", "CN=system:kube-scheduler", "ca", MK_CERT_CLIENT },
	{ "kubelet", "CN=system:node:dev-control-plane,O=system:nodes", "ca", MK_CERT_CLIENT },
	{ "kubelet-server", "CN=system:node:dev-control-plane,O=system:nodes", "ca",
		MK_CERT_SERVER },
	{ "kube-proxy", "CN=system:kube-proxy,O=system:node-proxier", "ca", MK_CERT_CLIENT },
	{ "metrics-server", "CN=metrics-server.kube-system.svc", "ca", MK_CERT_SERVER },
};

static void test_rows(void **state)
{
	const struct mk_pki_bundle *bundle = *state;
	size_t rows;

	(void)mk_pki_rows(&rows);
	assert_int_equal(rows, MK_ARRAY_LEN(expected) + 1); /* and "sa", which has no certificate */
	assert_null(mk_pki_bundle_cert(bundle, "sa", 0));
	for (size_t i = 0; i < MK_ARRAY_LEN(expected); i++) {
		const struct expected *e = &expected[i];
		const struct mk_cert *cert = mk_pki_bundle_cert(bundle, e->name, 0);
		const struct mk_cert *ca = mk_pki_bundle_cert(bundle, e->signer, 0);
		int64_t days = e->usages == MK_CERT_CA ? 3650 : 365;

		assert_non_null(cert);
		assert_string_equal(mk_cert_subject(cert), e->subject);
		assert_string_equal(mk_cert_issuer(cert), mk_cert_subject(ca));
		assert_int_equal(mk_cert_usages(cert), e->usages);
		assert_int_equal(mk_cert_is_ca(cert), e->usages == MK_CERT_CA);
		assert_in_range(mk_cert_not_after(cert), time(NULL) + days * DAY - 60,
			time(NULL) + days * DAY);
		assert_true(mk_cert_has_key(cert, mk_pki_bundle_key(bundle, e->name, 0)));
	}
}

static void test_chains(void **state)
{
	static const char *const cas[] = { "ca", "etcd/ca", "front-proxy-ca" };
	const struct mk_pki_bundle *bundle = *state;

	for (size_t i = 3; i < MK_ARRAY_LEN(expected); i++) {
		const struct expected *e = &expected[i];

		for (size_t j = 0; j < MK_ARRAY_LEN(cas); j++) {
			bool mine = mk_streq(cas[j], e->signer);

			assert_int_equal(
				verifies(bundle, e->name, 0, cas[j], X509_PURPOSE_SSL_SERVER),
				mine && (e->usages & MK_CERT_SERVER));
			assert_int_equal(
				verifies(bundle, e->name, 0, cas[j], X509_PURPOSE_SSL_CLIENT),
				mine && (e->usages & MK_CERT_CLIENT));
		}
	}
	assert_true(verifies(bundle, "kubelet-server", WORKER, "ca", X509_PURPOSE_SSL_SERVER));
	assert_true(verifies(bundle, "kubelet", WORKER, "ca", X509_PURPOSE_SSL_CLIENT));
}

static void test_serials_and_keys_are_unique(void **state)
{
	const struct mk_pki_bundle *bundle = *state;
	mk_autostrlist serials = { 0 }, keys = { 0 };

	for (size_t i = 0; i < MK_ARRAY_LEN(expected); i++) {
		bool per_node = mk_pki_row_find(expected[i].name)->per_node;

		for (size_t n = 0; n < (per_node ? NODES : 1); n++) {
			const struct mk_cert *cert = mk_pki_bundle_cert(
				bundle, expected[i].name, n);
			mk_autobuf pem = mk_buf_init(MAX_TEXT);
			mk_autoerror err = { 0 };

			if (!cert)
				continue;
			assert_ok(mk_key_public_pem(mk_pki_bundle_key(bundle, expected[i].name, n),
					  &pem, &err),
				err);
			assert_false(mk_strlist_has(&serials, mk_cert_serial(cert)));
			assert_false(mk_strlist_has(&keys, pem.data));
			mk_strlist_add(&serials, mk_cert_serial(cert));
			mk_strlist_add(&keys, pem.data);
		}
	}
	/* 12 shared ones; 3 on each control plane; 2 on each node. */
	assert_int_equal(serials.count, 12 + 3 * 2 + 2 * 3);
}

/* In KTHW the service's address and its full name are missing from the
 * certificate, and no client in a pod works. */
static void test_api_names(void **state)
{
	static const char *const names[] = { "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
		"host.docker.internal", "dev-control-plane", "dev-control-plane2",
		"lb.example.com" };
	static const char *const ips[] = { "10.96.0.1", "127.0.0.1", "::1", "172.20.0.3",
		"172.20.0.4", "192.0.2.7" };
	const struct mk_pki_bundle *bundle = *state;

	for (size_t node = 0; node < WORKER; node++) {
		const struct mk_cert *cert = mk_pki_bundle_cert(bundle, "apiserver", node);
		X509 *x509 = x509_of(bundle, "apiserver", node);

		for (size_t i = 0; i < MK_ARRAY_LEN(names); i++)
			assert_int_equal(X509_check_host(x509, names[i], 0, 0, NULL), 1);
		for (size_t i = 0; i < MK_ARRAY_LEN(ips); i++)
			assert_int_equal(X509_check_ip_asc(x509, ips[i], 0), 1);
		assert_int_equal(X509_check_host(x509, "dev-worker", 0, 0, NULL), 0);
		/* Each once, "LOCALHOST" included. */
		assert_int_equal(mk_cert_sans(cert)->dns.count, MK_ARRAY_LEN(names));
		assert_int_equal(mk_cert_sans(cert)->ips.count, MK_ARRAY_LEN(ips));
		X509_free(x509);
	}
}

static void test_node_names(void **state)
{
	static const struct {
		const char *name;
		size_t node;
		bool local;
	} cases[] = { { "etcd/server", 0, true }, { "etcd/server", 1, true },
		{ "etcd/peer", 1, true }, { "kubelet-server", 0, false },
		{ "kubelet-server", WORKER, false } };
	const struct mk_pki_bundle *bundle = *state;

	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		X509 *x509 = x509_of(bundle, cases[i].name, cases[i].node);

		for (size_t n = 0; n < NODES; n++) {
			int mine = n == cases[i].node;

			assert_int_equal(X509_check_host(x509, nodes[n].name, 0, 0, NULL), mine);
			assert_int_equal(X509_check_ip_asc(x509, nodes[n].ip, 0), mine);
		}
		assert_int_equal(X509_check_host(x509, "localhost", 0, 0, NULL), cases[i].local);
		assert_int_equal(X509_check_ip_asc(x509, "127.0.0.1", 0), cases[i].local);
		assert_int_equal(X509_check_ip_asc(x509, "::1", 0), cases[i].local);
		X509_free(x509);
	}
	assert_string_equal(mk_cert_subject(mk_pki_bundle_cert(bundle, "kubelet", WORKER)),
		"CN=system:node:dev-worker,O=system:nodes");
}

/* A service inside the cluster: its name and nothing more. */
static void test_own_name(void **state)
{
	const struct mk_cert *cert = mk_pki_bundle_cert(*state, "metrics-server", WORKER);
	const struct mk_sans *sans = mk_cert_sans(cert);

	assert_int_equal(sans->dns.count, 1);
	assert_string_equal(sans->dns.items[0], "metrics-server.kube-system.svc");
	assert_int_equal(sans->ips.count, 0);
}

static void test_lookups(void **state)
{
	const struct mk_pki_bundle *bundle = *state;

	assert_null(mk_pki_bundle_cert(bundle, "apiserver", WORKER));
	assert_null(mk_pki_bundle_cert(bundle, "apiserver", NODES));
	assert_null(mk_pki_bundle_key(bundle, "nothing", 0));
	assert_non_null(mk_pki_bundle_key(bundle, "sa", 0));
	assert_ptr_equal(mk_pki_bundle_cert(bundle, "ca", 0), mk_pki_bundle_cert(bundle, "ca", 2));
}

static void assert_refused(const struct mk_pki_spec *bad, const char *words)
{
	mk_autoerror err = { 0 };
	mk_autopki *bundle = NULL;

	assert_int_equal(mk_pki_bundle_new(bad, &bundle, &err), -MK_EINVALID);
	assert_null(bundle);
	if (!strstr(err.message, words))
		fail_msg("'%s' does not say '%s'", err.message, words);
}

static void test_specs_refused(void **state)
{
	static const struct {
		struct mk_pki_node node;
		const char *words;
	} cases[] = {
		{ { "dev-control-plane", "172.20.0.9", false }, "another node has its name" },
		{ { "dev-w", "172.20.0.3", false }, "or its address 172.20.0.3" },
		{ { "Dev-w", "172.20.0.9", false }, "is lower case" },
		{ { "*.w", "172.20.0.9", false }, "without '*'" },
		{ { "dev_w", "172.20.0.9", false }, "node 'dev_w': 'dev_w' is not a DNS name" },
		{ { "dev-w", "172.20.0", false }, "node 'dev-w': '172.20.0' is not an IP" },
		{ { "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyza", "10.0.0.9", false },
			"is longer than 64" },
	};
	char *bad_items[] = { (char[]){ "a_b" }, NULL };
	const struct mk_strlist bad_sans = { bad_items, 1 };
	struct mk_pki_spec bad = spec;
	struct mk_pki_node list[2] = { nodes[0] };

	(void)state;
	bad.nodes = list;
	bad.node_count = 2;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		list[1] = cases[i].node;
		assert_refused(&bad, cases[i].words);
	}
	bad.node_count = 0;
	assert_refused(&bad, "no node is of the control plane");
	bad.node_count = 1;
	bad.service_ip = "10.96.0.0/12";
	assert_refused(&bad, "certificate 'apiserver' of node 'dev-control-plane'");
	bad.service_ip = spec.service_ip;
	bad.api_sans = &bad_sans;
	assert_refused(&bad, "'a_b' is not a DNS name");
	bad.api_sans = NULL;
	bad.dns_domain = "cluster local";
	assert_refused(&bad, "is not a DNS name");
}

static void test_ed25519(void **state)
{
	struct mk_pki_spec small = spec;
	mk_autoerror err = { 0 };
	mk_autopki *bundle = NULL;

	(void)state;
	small.key_kind = MK_KEY_ED25519;
	small.node_count = 1;
	assert_ok(mk_pki_bundle_new(&small, &bundle, &err), err);
	assert_int_equal(mk_key_kind(mk_pki_bundle_key(bundle, "ca", 0)), MK_KEY_ED25519);
	/* No API server could sign a token with an Ed25519 key. */
	assert_int_equal(mk_key_kind(mk_pki_bundle_key(bundle, "sa", 0)), MK_KEY_EC_P256);
}

static void assert_lasts(const struct mk_pki_bundle *bundle, const char *name, int64_t seconds)
{
	const struct mk_cert *cert = mk_pki_bundle_cert(bundle, name, 0);

	assert_in_range(
		mk_cert_not_before(cert), time(NULL) - MK_CERT_SKEW_S - 5, time(NULL) - 300);
	assert_in_range(mk_cert_not_after(cert), time(NULL) + seconds - 5, time(NULL) + seconds);
}

/* Of a spec for every row, and none outlives its CA. */
static void test_lifetimes(void **state)
{
	struct mk_pki_spec brief = spec;

	(void)state;
	for (int64_t leaf = 300; leaf <= 1200; leaf += 900) {
		mk_autoerror err = { 0 };
		mk_autopki *bundle = NULL;

		brief.lifetime_s = leaf;
		brief.ca_lifetime_s = 600;
		assert_ok(mk_pki_bundle_new(&brief, &bundle, &err), err);
		for (size_t i = 0; i < MK_ARRAY_LEN(expected); i++)
			assert_lasts(bundle, expected[i].name, i < 3 || leaf > 600 ? 600 : leaf);
	}
}

static void test_interrupt(void **state)
{
	mk_autoerror err = { 0 };
	mk_autopki *bundle = NULL;
	int r;

	(void)state;
	mk_interrupt_raise();
	r = mk_pki_bundle_new(&spec, &bundle, &err);
	mk_interrupt_reset();
	assert_int_equal(r, -MK_EINTR);
	assert_null(bundle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_serials_and_keys_are_unique),
		cmocka_unit_test(test_api_names),
		cmocka_unit_test(test_node_names),
		cmocka_unit_test(test_own_name),
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_specs_refused),
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_lifetimes),
		cmocka_unit_test(test_interrupt),
	};

	return cmocka_run_group_tests_name("pki-bundle", tests, setup, teardown);
}

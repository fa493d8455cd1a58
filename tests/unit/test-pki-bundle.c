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

/* What stands in table.c, for who would take it; test-pki-table.c has all of it. */
static const struct expected {
	const char *name, *signer;
	unsigned usages;
} expected[] = {
	{ "ca", "ca", MK_CERT_CA },
	{ "etcd/ca", "etcd/ca", MK_CERT_CA },
	{ "front-proxy-ca", "front-proxy-ca", MK_CERT_CA },
	{ "apiserver", "ca", MK_CERT_SERVER },
	{ "apiserver-kubelet-client", "ca", MK_CERT_CLIENT },
	{ "apiserver-etcd-client", "etcd/ca", MK_CERT_CLIENT },
	{ "front-proxy-client", "front-proxy-ca", MK_CERT_CLIENT },
	{ "etcd/server", "etcd/ca", MK_CERT_CLIENT | MK_CERT_SERVER },
	{ "etcd/peer", "etcd/ca", MK_CERT_CLIENT | MK_CERT_SERVER },
	{ "etcd/healthcheck-client", "etcd/ca", MK_CERT_CLIENT },
	{ "admin", "ca", MK_CERT_CLIENT },
	{ "controller-manager", "ca", MK_CERT_CLIENT },
	{ "scheduler", "ca", MK_CERT_CLIENT },
	{ "kubelet", "ca", MK_CERT_CLIENT },
	{ "kubelet-server", "ca", MK_CERT_SERVER },
	{ "kube-proxy", "ca", MK_CERT_CLIENT },
	{ "metrics-server", "ca", MK_CERT_SERVER },
};

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

static void test_keys_are_unique(void **state)
{
	const struct mk_pki_bundle *bundle = *state;
	mk_autostrlist keys = { 0 };

	for (size_t i = 0; i < MK_ARRAY_LEN(expected); i++) {
		bool per_node = mk_pki_row_find(expected[i].name)->per_node;

		for (size_t n = 0; n < (per_node ? NODES : 1); n++) {
			const struct mk_key *key = mk_pki_bundle_key(bundle, expected[i].name, n);
			mk_autobuf pem = mk_buf_init(MAX_TEXT);
			mk_autoerror err = { 0 };

			if (!key)
				continue;
			assert_ok(mk_key_public_pem(key, &pem, &err), err);
			assert_false(mk_strlist_has(&keys, pem.data));
			mk_strlist_add(&keys, pem.data);
		}
	}
	/* 12 shared ones; 3 on each control plane; 2 on each node. */
	assert_int_equal(keys.count, 12 + 3 * 2 + 2 * 3);
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

/* RSA keys are made on all processors at once: every one, and each in its place. */
static void test_rsa(void **state)
{
	struct mk_pki_spec small = spec;
	mk_autoerror err = { 0 };
	mk_autopki *bundle = NULL;
	mk_autostrlist keys = { 0 };

	(void)state;
	small.key_kind = MK_KEY_RSA_2048;
	small.node_count = 1;
	assert_ok(mk_pki_bundle_new(&small, &bundle, &err), err);
	for (size_t i = 0; i < MK_ARRAY_LEN(expected); i++) {
		const struct expected *e = &expected[i];
		const struct mk_key *key = mk_pki_bundle_key(bundle, e->name, 0);
		mk_autobuf pem = mk_buf_init(MAX_TEXT);

		assert_int_equal(mk_key_kind(key), MK_KEY_RSA_2048);
		assert_true(mk_cert_has_key(mk_pki_bundle_cert(bundle, e->name, 0), key));
		assert_int_equal(verifies(bundle, e->name, 0, e->signer, X509_PURPOSE_SSL_CLIENT),
			(e->usages & MK_CERT_CLIENT) != 0);
		assert_ok(mk_key_public_pem(key, &pem, &err), err);
		assert_false(mk_strlist_has(&keys, pem.data));
		mk_strlist_add(&keys, pem.data);
	}
	assert_int_equal(mk_key_kind(mk_pki_bundle_key(bundle, "sa", 0)), MK_KEY_RSA_2048);
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
	static const enum mk_key_kind kinds[] = { MK_KEY_EC_P256, MK_KEY_RSA_2048 };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(kinds); i++) {
		struct mk_pki_spec one = spec;
		mk_autoerror err = { 0 };
		mk_autopki *bundle = NULL;
		int r;

		one.key_kind = kinds[i];
		mk_interrupt_raise();
		r = mk_pki_bundle_new(&one, &bundle, &err);
		mk_interrupt_reset();
		assert_int_equal(r, -MK_EINTR);
		assert_null(bundle);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_keys_are_unique),
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_specs_refused),
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_rsa),
		cmocka_unit_test(test_lifetimes),
		cmocka_unit_test(test_interrupt),
	};

	return cmocka_run_group_tests_name("pki-bundle", tests, setup, teardown);
}

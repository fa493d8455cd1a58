/* SPDX-License-Identifier: Apache-2.0 */
/* A node that joins: what is read from a cluster's files signs what is new. */
#include "tests/unit/pki-source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cmocka.h>

#define MAX_TEXT 65536

static const struct mk_pki_node nodes[] = {
	{ "dev-control-plane", "172.20.0.2", true },
	{ "dev-worker", "172.20.0.12", false },
	{ "dev-control-plane-2", "172.20.0.3", true },
};
#define OLD_WORKER 1
#define NEW_CONTROL_PLANE 2

static struct mk_pki_spec spec_of(size_t count)
{
	return (struct mk_pki_spec){
		.cluster = "dev",
		.service_ip = "10.96.0.1",
		.server = "https://172.20.0.2:6443",
		.nodes = nodes,
		.node_count = count,
	};
}

struct world {
	struct mk_pki_bundle *old;
	json_t *files;
	struct mk_pki_source source;
};

static int setup(void **state)
{
	struct world *world = mk_xcalloc(1, sizeof(*world));
	struct mk_pki_spec spec = spec_of(2);
	mk_autoerror err = { 0 };

	world->files = json_object();
	world->source = (struct mk_pki_source){ .read = give, .arg = world->files };
	assert_int_equal(mk_pki_bundle_new(&spec, &world->old, &err), 0);
	assert_int_equal(mk_pki_bundle_each_file(world->old, 0, keep, world->files, &err), 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	mk_pki_bundle_free(world->old);
	json_decref(world->files);
	free(world);
	return 0;
}

static X509 *x509_of(const struct mk_pki_bundle *bundle, const char *name, size_t node)
{
	mk_autoerror err = { 0 };
	mk_autobuf pem = mk_buf_init(MAX_TEXT);
	BIO *bio;
	X509 *x509;

	assert_int_equal(mk_cert_pem(mk_pki_bundle_cert(bundle, name, node), &pem, &err), 0);
	bio = BIO_new_mem_buf(pem.data, -1);
	x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	assert_non_null(x509);
	return x509;
}

static void assert_signed(const struct mk_pki_bundle *old, const char *ca,
	const struct mk_pki_bundle *joined, const char *name, size_t node)
{
	X509 *authority = x509_of(old, ca, 0), *leaf = x509_of(joined, name, node);

	assert_int_equal(X509_verify(leaf, X509_get0_pubkey(authority)), 1);
	X509_free(authority);
	X509_free(leaf);
}

static void test_new_node_is_of_the_old_cluster(void **state)
{
	struct world *world = *state;
	struct mk_pki_spec spec = spec_of(3);
	mk_autopki *joined = NULL;
	mk_autoerror err = { 0 };

	if (mk_pki_bundle_join(&spec, &world->source, &joined, &err) < 0)
		fail_msg("%s", err.message);
	assert_signed(world->old, "ca", joined, "kubelet", NEW_CONTROL_PLANE);
	assert_signed(world->old, "ca", joined, "apiserver", NEW_CONTROL_PLANE);
	assert_signed(world->old, "ca", joined, "kube-proxy", OLD_WORKER);
	assert_signed(world->old, "etcd/ca", joined, "etcd/peer", NEW_CONTROL_PLANE);
	assert_signed(world->old, "front-proxy-ca", joined, "front-proxy-client", 0);
}

/* Byte for byte: the CAs, the tokens' key and the encryption keys. */
static void test_authorities_stay(void **state)
{
	static const char *const same[] = { "/etc/kubernetes/pki/ca.crt",
		"/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/etcd/ca.key",
		"/etc/kubernetes/pki/front-proxy-ca.crt", "/etc/kubernetes/pki/sa.key",
		"/etc/kubernetes/pki/sa.pub", MK_PKI_ENCRYPTION_PATH };
	struct world *world = *state;
	struct mk_pki_spec spec = spec_of(3);
	mk_autopki *joined = NULL;
	mk_autojson *files = json_object();
	mk_autoerror err = { 0 };

	assert_int_equal(mk_pki_bundle_join(&spec, &world->source, &joined, &err), 0);
	assert_int_equal(mk_pki_bundle_each_file(joined, NEW_CONTROL_PLANE, keep, files, &err), 0);
	for (size_t i = 0; i < MK_ARRAY_LEN(same); i++)
		assert_string_equal(json_string_value(json_object_get(files, same[i])),
			json_string_value(json_object_get(world->files, same[i])));
}

static void assert_refused(struct world *world, const char *path, const char *text, int code)
{
	struct mk_pki_spec spec = spec_of(3);
	struct mk_pki_bundle *joined = NULL;
	mk_autoerror err = { 0 };

	if (text)
		(void)json_object_set_new(world->files, path, json_string(text));
	else
		(void)json_object_del(world->files, path);
	assert_int_equal(mk_pki_bundle_join(&spec, &world->source, &joined, &err), -code);
	assert_null(joined);
	assert_non_null(strstr(err.message, text ? "ca" : path));
}

static void test_key_of_another(void **state)
{
	struct world *world = *state;
	mk_autofree char *other = mk_xstrdup(json_string_value(
		json_object_get(world->files, "/etc/kubernetes/pki/etcd/ca.key")));

	assert_refused(world, "/etc/kubernetes/pki/ca.key", other, MK_EINVALID);
}

static void test_missing(void **state)
{
	assert_refused(*state, "/etc/kubernetes/pki/sa.key", NULL, MK_ENOTFOUND);
}

static void test_damaged(void **state)
{
	assert_refused(*state, "/etc/kubernetes/pki/ca.crt", "-----BEGIN", MK_EINVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_new_node_is_of_the_old_cluster, setup, teardown),
		cmocka_unit_test_setup_teardown(test_authorities_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key_of_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

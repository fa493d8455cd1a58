/* SPDX-License-Identifier: Apache-2.0 */
/* From one set of CAs to the next, stage by stage, and back from each. */
#include "lib/base/encode.h"
#include "tests/unit/pki-source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cmocka.h>

#define PKI "/etc/kubernetes/pki/"
#define MAX_TEXT 65536

static const struct mk_pki_node nodes[] = {
	{ "dev-control-plane", "172.20.0.2", true },
	{ "dev-worker", "172.20.0.12", false },
};

static const char *const cas[] = { "ca", "etcd/ca", "front-proxy-ca" };

static struct mk_pki_spec spec_of(enum mk_pki_turn turn)
{
	return (struct mk_pki_spec){
		.cluster = "dev",
		.service_ip = "10.96.0.1",
		.server = "https://172.20.0.2:6443",
		.nodes = nodes,
		.node_count = MK_ARRAY_LEN(nodes),
		.turn = turn,
	};
}

static json_t *files_of(const struct mk_pki_bundle *bundle, size_t node)
{
	mk_autoerror err = { 0 };
	json_t *files = json_object();

	assert_int_equal(mk_pki_bundle_each_file(bundle, node, keep, files, &err), 0);
	return files;
}

static json_t *fresh(void)
{
	struct mk_pki_spec spec = spec_of(MK_PKI_STAY);
	mk_autopki *bundle = NULL;
	mk_autoerror err = { 0 };

	assert_int_equal(mk_pki_bundle_new(&spec, &bundle, &err), 0);
	assert_int_equal(mk_pki_bundle_stage(bundle), MK_PKI_SETTLED);
	return files_of(bundle, 0);
}

/* What a control plane with these files becomes; `worker`, unless NULL, is a worker's. */
static json_t *turn(
	json_t *files, enum mk_pki_turn way, enum mk_pki_stage expected, json_t **worker)
{
	struct mk_pki_source source = { .read = give, .arg = files };
	struct mk_pki_spec spec = spec_of(way);
	mk_autopki *bundle = NULL;
	mk_autoerror err = { 0 };

	if (mk_pki_bundle_join(&spec, &source, &bundle, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(mk_pki_bundle_stage(bundle), expected);
	if (worker)
		*worker = files_of(bundle, 1);
	return files_of(bundle, 0);
}

static const char *text_at(const json_t *files, const char *path)
{
	const char *text = json_string_value(json_object_get(files, path));

	if (!text)
		fail_msg("no %s", path);
	return text;
}

static X509 *cert_at(const char *pem, size_t index)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = NULL;

	for (size_t i = 0; i <= index; i++) {
		X509_free(cert);
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	}
	ERR_clear_error();
	BIO_free(bio);
	return cert;
}

static bool signed_by(const char *pem, const char *ca_pem)
{
	X509 *cert = cert_at(pem, 0), *ca = cert_at(ca_pem, 0);
	bool yes = X509_verify(cert, X509_get0_pubkey(ca)) == 1;

	ERR_clear_error();
	X509_free(cert);
	X509_free(ca);
	return yes;
}

static size_t count_of(const char *text, const char *word)
{
	size_t count = 0;

	for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
		count++;
	return count;
}

#define BEGIN "-----BEGIN CERTIFICATE-----"

/* Under every CA's name `signer` and, unless NULL, `other` are trusted, in this order,
 * and what is issued is the signer's; the other's pair lies under `suffix`. */
static void assert_stage(
	const json_t *files, const json_t *signer, const json_t *other, const char *suffix)
{
	for (size_t i = 0; i < MK_ARRAY_LEN(cas); i++) {
		mk_autofree char *path = mk_xasprintf(PKI "%s.crt", cas[i]);
		mk_autofree char *key = mk_xasprintf(PKI "%s.key", cas[i]);
		mk_autofree char *expected = mk_xasprintf("%s%s",
			json_string_value(json_object_get(signer, cas[i])),
			other ? json_string_value(json_object_get(other, cas[i])) : "");
		mk_autofree char *other_path = mk_xasprintf(PKI "%s%s.crt", cas[i], suffix);
		mk_autofree char *other_key = mk_xasprintf(PKI "%s%s.key", cas[i], suffix);

		assert_string_equal(text_at(files, path), expected);
		(void)text_at(files, key);
		if (!other)
			continue;
		assert_string_equal(text_at(files, other_path),
			json_string_value(json_object_get(other, cas[i])));
		(void)text_at(files, other_key);
	}
	assert_string_equal(text_at(files, PKI "ca-signer.crt"),
		json_string_value(json_object_get(signer, "ca")));
	assert_true(signed_by(text_at(files, PKI "apiserver.crt"), text_at(files, PKI "ca.crt")));
	assert_true(
		signed_by(text_at(files, PKI "etcd/peer.crt"), text_at(files, PKI "etcd/ca.crt")));
	assert_true(signed_by(text_at(files, PKI "front-proxy-client.crt"),
		text_at(files, PKI "front-proxy-ca.crt")));
}

/* The CAs that sign, and those under a suffix: name -> PEM. */
static json_t *cas_of(const json_t *files, const char *suffix)
{
	json_t *found = json_object();

	for (size_t i = 0; i < MK_ARRAY_LEN(cas); i++) {
		mk_autofree char *path = mk_xasprintf(PKI "%s%s.crt", cas[i], suffix);

		(void)json_object_set_new(found, cas[i], json_string(text_at(files, path)));
	}
	return found;
}

static size_t others_in(const json_t *files)
{
	mk_autofree char *text = json_dumps(files, 0);

	return count_of(text, "-next.") + count_of(text, "-previous.");
}

static void test_all_the_way(void **state)
{
	mk_autojson *first = fresh();
	mk_autojson *old = cas_of(first, "");
	mk_autojson *trusted = turn(first, MK_PKI_ONWARD, MK_PKI_TRUSTED, NULL);
	mk_autojson *new = cas_of(trusted, "-next");
	mk_autojson *issued = turn(trusted, MK_PKI_ONWARD, MK_PKI_ISSUED, NULL);
	mk_autojson *settled = turn(issued, MK_PKI_ONWARD, MK_PKI_SETTLED, NULL);

	(void)state;
	assert_stage(first, old, NULL, "");
	assert_int_equal(others_in(first), 0);
	assert_stage(trusted, old, new, "-next");
	assert_int_equal(others_in(trusted), 6);
	assert_stage(issued, new, old, "-previous");
	assert_int_equal(others_in(issued), 6);
	assert_stage(settled, new, NULL, "");
	assert_int_equal(others_in(settled), 0);
	for (size_t i = 0; i < MK_ARRAY_LEN(cas); i++)
		assert_string_not_equal(json_string_value(json_object_get(old, cas[i])),
			json_string_value(json_object_get(new, cas[i])));
	/* Tokens are no matter of CAs: what pods hold stays valid. */
	assert_string_equal(text_at(first, PKI "sa.key"), text_at(settled, PKI "sa.key"));
}

/* What is issued at one stage is trusted at the next and at the one before. */
static void test_neighbours_trust_each_other(void **state)
{
	mk_autojson *first = fresh();
	mk_autojson *trusted = turn(first, MK_PKI_ONWARD, MK_PKI_TRUSTED, NULL);
	mk_autojson *issued = turn(trusted, MK_PKI_ONWARD, MK_PKI_ISSUED, NULL);
	mk_autojson *settled = turn(issued, MK_PKI_ONWARD, MK_PKI_SETTLED, NULL);
	const json_t *stages[] = { first, trusted, issued, settled };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const char *a = text_at(stages[i], PKI "ca.crt");
		const char *b = text_at(stages[i + 1], PKI "ca.crt");

		assert_non_null(strstr(b, text_at(stages[i], PKI "ca-signer.crt")));
		assert_non_null(strstr(a, text_at(stages[i + 1], PKI "ca-signer.crt")));
	}
}

static void test_back(void **state)
{
	mk_autojson *first = fresh();
	mk_autojson *old = cas_of(first, "");
	mk_autojson *trusted = turn(first, MK_PKI_ONWARD, MK_PKI_TRUSTED, NULL);
	mk_autojson *new = cas_of(trusted, "-next");
	mk_autojson *as_before = turn(trusted, MK_PKI_BACK, MK_PKI_SETTLED, NULL);
	mk_autojson *issued = turn(trusted, MK_PKI_ONWARD, MK_PKI_ISSUED, NULL);
	mk_autojson *trusted_again = turn(issued, MK_PKI_BACK, MK_PKI_TRUSTED, NULL);

	(void)state;
	assert_stage(as_before, old, NULL, "");
	assert_int_equal(others_in(as_before), 0);
	assert_stage(trusted_again, old, new, "-next");
	assert_int_equal(others_in(trusted_again), 6);
}

static void test_no_way_back(void **state)
{
	mk_autojson *first = fresh();
	struct mk_pki_source source = { .read = give, .arg = first };
	struct mk_pki_spec spec = spec_of(MK_PKI_BACK);
	mk_autopki *bundle = NULL;
	mk_autoerror err = { 0 };

	(void)state;
	assert_int_equal(mk_pki_bundle_join(&spec, &source, &bundle, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "one set of CAs"));
}

/* A node that comes meanwhile, and certificates renewed, stay at the stage. */
static void test_stay(void **state)
{
	mk_autojson *first = fresh();
	mk_autojson *old = cas_of(first, "");
	mk_autojson *trusted = turn(first, MK_PKI_ONWARD, MK_PKI_TRUSTED, NULL);
	mk_autojson *new = cas_of(trusted, "-next");
	mk_autojson *worker = NULL;
	mk_autojson *same = turn(trusted, MK_PKI_STAY, MK_PKI_TRUSTED, &worker);

	(void)state;
	assert_stage(same, old, new, "-next");
	assert_int_equal(count_of(text_at(worker, PKI "ca.crt"), BEGIN), 2);
	assert_int_equal(others_in(worker), 0);
	assert_null(json_object_get(worker, PKI "ca-signer.crt"));
}

/* A kubeconfig, which is a worker's only way to the API, has both CAs as well. */
static void test_kubeconfigs(void **state)
{
	mk_autojson *first = fresh();
	mk_autojson *worker = NULL;
	mk_autojson *trusted = turn(first, MK_PKI_ONWARD, MK_PKI_TRUSTED, &worker);
	mk_autofree char *bundle = mk_base64(
		text_at(worker, PKI "ca.crt"), strlen(text_at(worker, PKI "ca.crt")));

	(void)state;
	assert_non_null(strstr(text_at(worker, "/etc/kubernetes/kubelet.conf"), bundle));
	assert_non_null(strstr(text_at(trusted, "/etc/kubernetes/admin.conf"), bundle));
}

/* Half of a stage is damage, and is said, not taken for another stage. */
static void test_half(void **state)
{
	mk_autojson *first = fresh();
	mk_autojson *trusted = turn(first, MK_PKI_ONWARD, MK_PKI_TRUSTED, NULL);
	struct mk_pki_source source = { .read = give, .arg = trusted };
	struct mk_pki_spec spec = spec_of(MK_PKI_STAY);
	mk_autopki *bundle = NULL;
	mk_autoerror err = { 0 };

	(void)state;
	(void)json_object_del(trusted, PKI "etcd/ca-next.key");
	assert_int_equal(mk_pki_bundle_join(&spec, &source, &bundle, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "etcd/ca-next.key"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_the_way),
		cmocka_unit_test(test_neighbours_trust_each_other),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_no_way_back),
		cmocka_unit_test(test_stay),
		cmocka_unit_test(test_kubeconfigs),
		cmocka_unit_test(test_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

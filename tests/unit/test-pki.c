/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, names and single certificates. What was made is read back by OpenSSL
 * itself, so that our reader cannot hide a fault of our writer.
 */
#include "pki/cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cmocka.h>

#define DAY 86400

#define assert_ok(r, err)                                                                          \
	do {                                                                                       \
		if ((r) != 0)                                                                      \
			fail_msg("%s", (err).message);                                             \
	} while (0)

static void assert_says(const struct mk_error *err, const char *words)
{
	if (!err->message || !strstr(err->message, words))
		fail_msg("'%s' does not say '%s'", err->message ? err->message : "", words);
}

static struct mk_key *new_key(enum mk_key_kind kind)
{
	mk_autoerror err = { 0 };
	struct mk_key *key = NULL;

	assert_ok(mk_key_new(kind, &key, &err), err);
	return key;
}

static struct mk_cert *new_ca(const struct mk_key *key, int64_t lifetime_s, time_t now)
{
	mk_autoerror err = { 0 };
	struct mk_cert *ca = NULL;
	struct mk_cert_request request = {
		.common_name = "test-ca",
		.usages = MK_CERT_CA,
		.lifetime_s = lifetime_s,
		.now = now,
	};

	assert_ok(mk_cert_self_sign(&request, key, &ca, &err), err);
	return ca;
}

static X509 *to_x509(const struct mk_cert *cert)
{
	mk_autoerror err = { 0 };
	mk_autobuf pem = mk_buf_init(65536);
	BIO *bio;
	X509 *x509;

	assert_ok(mk_cert_pem(cert, &pem, &err), err);
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	assert_non_null(x509);
	return x509;
}

static void assert_critical(const X509 *x509, int nid, int critical)
{
	int at = X509_get_ext_by_NID(x509, nid, -1);

	assert_true(at >= 0);
	assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(x509, at)), critical);
}

/* keys */

static void test_key_round_trip(void **state)
{
	static const enum mk_key_kind kinds[] = { MK_KEY_EC_P256, MK_KEY_RSA_2048, MK_KEY_ED25519 };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(kinds); i++) {
		mk_autoerror err = { 0 };
		mk_autokey *key = new_key(kinds[i]);
		mk_autokey *again = NULL;
		mk_autowipebuf pem = mk_buf_init(65536);
		mk_autobuf public_a = mk_buf_init(65536), public_b = mk_buf_init(65536);

		assert_ok(mk_key_private_pem(key, &pem, &err), err);
		assert_memory_equal(pem.data, "-----BEGIN PRIVATE KEY-----\n", 28);
		assert_ok(mk_key_parse(pem.data, pem.len, &again, &err), err);
		assert_int_equal(mk_key_kind(again), kinds[i]);
		assert_ok(mk_key_public_pem(key, &public_a, &err), err);
		assert_ok(mk_key_public_pem(again, &public_b, &err), err);
		assert_memory_equal(public_a.data, "-----BEGIN PUBLIC KEY-----\n", 27);
		assert_string_equal(public_a.data, public_b.data);
	}
}

static void test_key_names(void **state)
{
	mk_autoerror err = { 0 };
	enum mk_key_kind kind = MK_KEY_EC_P256;

	(void)state;
	for (int i = MK_KEY_EC_P256; i <= MK_KEY_ED25519; i++) {
		assert_ok(
			mk_key_kind_parse(mk_key_kind_name((enum mk_key_kind)i), &kind, &err), err);
		assert_int_equal(kind, i);
	}
	assert_ok(mk_key_kind_parse("rsa-3072", &kind, &err), err);
	assert_int_equal(kind, MK_KEY_RSA_3072);
	assert_int_equal(mk_key_kind_parse("DSA", &kind, &err), -MK_EINVALID);
	assert_says(&err, "'DSA' (there are ECDSA-P256, RSA-2048, RSA-3072, RSA-4096, Ed25519)");
	assert_int_equal(kind, MK_KEY_RSA_3072);
}

/* The PEM of a key in a form that mk_key_private_pem does not write. */
static char *foreign_pem(EVP_PKEY *evp, bool encrypted)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *pem;
	long len;

	if (encrypted)
		PEM_write_bio_PKCS8PrivateKey(bio, evp, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
	else
		PEM_write_bio_PrivateKey_traditional(bio, evp, NULL, NULL, 0, NULL, NULL);
	len = BIO_get_mem_data(bio, &data);
	pem = mk_xstrndup(data, (size_t)len);
	BIO_free(bio);
	EVP_PKEY_free(evp);
	return pem;
}

static void test_key_reads_older_forms(void **state)
{
	mk_autoerror err = { 0 };
	mk_autokey *key = NULL;
	mk_autofree char *pem = foreign_pem(
		EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), /* encrypted: */ false);

	(void)state;
	assert_non_null(strstr(pem, "BEGIN EC PRIVATE KEY"));
	assert_ok(mk_key_parse(pem, strlen(pem), &key, &err), err);
	assert_int_equal(mk_key_kind(key), MK_KEY_EC_P256);
}

static void assert_no_key(const char *pem, size_t len, const char *words)
{
	mk_autoerror err = { 0 };
	mk_autokey *key = NULL;

	assert_int_equal(mk_key_parse(pem, len, &key, &err), -MK_EINVALID);
	assert_null(key);
	assert_says(&err, words);
}

static void test_key_refuses(void **state)
{
	mk_autofree char *locked = foreign_pem(
		EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), /* encrypted: */ true);
	mk_autofree char *p384 = foreign_pem(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), false);
	mk_autofree char *small = foreign_pem(
		EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), false);
	mk_autofree char *large = mk_xcalloc(1, 65537);

	(void)state;
	assert_no_key("", 0, "read a private key: ");
	assert_no_key("hello", 5, "read a private key: ");
	assert_no_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 59,
		"read a private key: ");
	assert_no_key(locked, strlen(locked), "the private key is encrypted: ");
	assert_no_key(p384, strlen(p384), "384 bits, type EC, is not supported");
	assert_no_key(small, strlen(small), "1024 bits, type RSA, is not supported");
	assert_no_key(large, 65537, "larger than 65536");
}

/* names */

#define L61 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"
#define L63 L61 "jk"
#define L253 L63 "." L63 "." L63 "." L61

static void test_sans(void **state)
{
	static const struct {
		const char *in;
		const char *dns;
		const char *ip;
	} cases[] = {
		{ "localhost", "localhost", NULL },
		{ "Example.COM", "example.com", NULL },
		{ "*.example.com", "*.example.com", NULL },
		{ "3com.com", "3com.com", NULL },
		{ "a-b.c1", "a-b.c1", NULL },
		{ L253, L253, NULL },
		{ "10.0.0.1", NULL, "10.0.0.1" },
		{ "::1", NULL, "::1" },
		{ "FD00:0:0::0001", NULL, "fd00::1" },
	};
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "a b",
		"a,DNS:b", "*", "*.", "a.*.b", "*a.b", L63 "x", L253 "x", "10.0.0.256", "1.2.3",
		"10.0.0.1/24", "10.0.0.1:6443", "::g", "fe80::1%eth0", "[::1]", "https://a",
		"m\xc3\xbcnchen.de" };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autoerror err = { 0 };
		mk_autosans sans = { 0 };

		/* The second time changes nothing. */
		assert_ok(mk_sans_add(&sans, cases[i].in, &err), err);
		assert_ok(mk_sans_add(&sans, cases[i].in, &err), err);
		assert_int_equal(sans.dns.count, cases[i].dns ? 1 : 0);
		assert_int_equal(sans.ips.count, cases[i].ip ? 1 : 0);
		assert_string_equal(cases[i].dns ? sans.dns.items[0] : sans.ips.items[0],
			cases[i].dns ? cases[i].dns : cases[i].ip);
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(bad); i++) {
		mk_autoerror err = { 0 };
		mk_autosans sans = { 0 };

		if (mk_sans_add(&sans, bad[i], &err) != -MK_EINVALID)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(sans.dns.count + sans.ips.count, 0);
	}
}

/* certificates */

static void test_ca(void **state)
{
	mk_autokey *key = new_key(MK_KEY_EC_P256);
	time_t before = time(NULL);
	mk_autocert *ca = new_ca(key, 10 * DAY, 0);
	X509 *x509 = to_x509(ca);

	(void)state;
	assert_int_equal(X509_get_version(x509), X509_VERSION_3);
	assert_int_equal(X509_get_signature_nid(x509), NID_ecdsa_with_SHA256);
	assert_true(X509_check_ca(x509) == 1);
	assert_int_equal(X509_get_pathlen(x509), 0);
	assert_int_equal(X509_get_key_usage(x509), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_critical(x509, NID_basic_constraints, 1);
	assert_critical(x509, NID_key_usage, 1);
	assert_int_equal(X509_get_ext_by_NID(x509, NID_ext_key_usage, -1), -1);
	assert_int_equal(ASN1_OCTET_STRING_cmp(
				 X509_get0_subject_key_id(x509), X509_get0_authority_key_id(x509)),
		0);
	assert_int_equal(X509_verify(x509, X509_get0_pubkey(x509)), 1);
	assert_string_equal(mk_cert_subject(ca), "CN=test-ca");
	assert_string_equal(mk_cert_issuer(ca), "CN=test-ca");
	assert_true(mk_cert_is_ca(ca));
	assert_int_equal(mk_cert_usages(ca), MK_CERT_CA);
	assert_in_range(
		mk_cert_not_before(ca), before - MK_CERT_SKEW_S, time(NULL) - MK_CERT_SKEW_S);
	assert_in_range(mk_cert_not_after(ca), before + 10 * DAY, time(NULL) + 10 * DAY);
	X509_free(x509);
}

struct leaf_case {
	enum mk_key_kind kind;
	unsigned usages;
	uint32_t key_usage;
	uint32_t extended;
	int signature;
};

static void check_leaf(const struct leaf_case *c)
{
	mk_autoerror err = { 0 };
	mk_autokey *key = new_key(c->kind);
	mk_autocert *ca = new_ca(key, 10 * DAY, 0);
	mk_autocert *leaf = NULL;
	mk_autosans sans = { 0 };
	mk_autostrlist groups = { 0 };
	struct mk_cert_request request = { "some:user", &groups, &sans, c->usages, DAY, 0 };
	X509 *x509, *issuer = to_x509(ca);

	mk_strlist_add(&groups, "group one");
	mk_strlist_add(&groups, "group,two");
	assert_ok(mk_sans_add(&sans, "host.example", &err), err);
	assert_ok(mk_sans_add(&sans, "10.1.2.3", &err), err);
	assert_ok(mk_sans_add(&sans, "fd00::1", &err), err);
	assert_ok(mk_cert_sign(&request, key, ca, key, &leaf, &err), err);
	x509 = to_x509(leaf);
	assert_int_equal(X509_check_ca(x509), 0);
	assert_int_equal(X509_get_key_usage(x509), c->key_usage);
	assert_int_equal(X509_get_extended_key_usage(x509), c->extended);
	assert_int_equal(X509_get_signature_nid(x509), c->signature);
	assert_critical(x509, NID_basic_constraints, 1);
	assert_critical(x509, NID_key_usage, 1);
	assert_critical(x509, NID_subject_alt_name, 0);
	assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(x509),
				 X509_get0_subject_key_id(issuer)),
		0);
	assert_int_equal(X509_verify(x509, X509_get0_pubkey(issuer)), 1);
	assert_int_equal(X509_check_host(x509, "host.example", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x509, "other.example", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(x509, "10.1.2.3", 0), 1);
	assert_int_equal(X509_check_ip_asc(x509, "fd00::1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x509, "10.1.2.4", 0), 0);
	assert_string_equal(mk_cert_subject(leaf), "CN=some:user,O=group\\,two,O=group one");
	assert_string_equal(mk_cert_common_name(leaf), "some:user");
	assert_string_equal(mk_cert_issuer(leaf), "CN=test-ca");
	assert_int_equal(mk_cert_usages(leaf), c->usages);
	assert_false(mk_cert_is_ca(leaf));
	X509_free(x509);
	X509_free(issuer);
}

static void test_leaves(void **state)
{
	static const struct leaf_case cases[] = {
		{ MK_KEY_EC_P256, MK_CERT_CLIENT, KU_DIGITAL_SIGNATURE, XKU_SSL_CLIENT,
			NID_ecdsa_with_SHA256 },
		{ MK_KEY_EC_P256, MK_CERT_CLIENT | MK_CERT_SERVER, KU_DIGITAL_SIGNATURE,
			XKU_SSL_CLIENT | XKU_SSL_SERVER, NID_ecdsa_with_SHA256 },
		{ MK_KEY_ED25519, MK_CERT_SERVER, KU_DIGITAL_SIGNATURE, XKU_SSL_SERVER,
			NID_ED25519 },
		{ MK_KEY_RSA_2048, MK_CERT_CLIENT, KU_DIGITAL_SIGNATURE, XKU_SSL_CLIENT,
			NID_sha256WithRSAEncryption },
		{ MK_KEY_RSA_2048, MK_CERT_SERVER, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
			XKU_SSL_SERVER, NID_sha256WithRSAEncryption },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++)
		check_leaf(&cases[i]);
}

/* A client's certificate by a CA, or what refused it. */
static int sign_client(const struct mk_cert *ca, const struct mk_key *key, int64_t lifetime_s,
	time_t now, struct mk_cert **ret, struct mk_error *err)
{
	struct mk_cert_request request = {
		.common_name = "user",
		.usages = MK_CERT_CLIENT,
		.lifetime_s = lifetime_s,
		.now = now,
	};

	return mk_cert_sign(&request, key, ca, key, ret, err);
}

static void test_validity_stays_within_ca(void **state)
{
	mk_autoerror err = { 0 };
	mk_autokey *key = new_key(MK_KEY_EC_P256);
	time_t now = 2524600000; /* hours before 2050, where X.509 changes its time format */
	mk_autocert *ca = new_ca(key, 10 * DAY, now);
	mk_autocert *within = NULL, *clamped = NULL, *early = NULL;

	(void)state;
	assert_int_equal(mk_cert_not_before(ca), now - 300);
	assert_int_equal(mk_cert_not_after(ca), now + 10 * DAY);
	assert_ok(sign_client(ca, key, DAY, now + 60, &within, &err), err);
	assert_int_equal(mk_cert_not_before(within), now - 240);
	assert_int_equal(mk_cert_not_after(within), now + 60 + DAY);
	assert_ok(sign_client(ca, key, 365 * DAY, now, &clamped, &err), err);
	assert_int_equal(mk_cert_not_after(clamped), mk_cert_not_after(ca));
	assert_ok(sign_client(ca, key, DAY, now - 100, &early, &err), err);
	assert_int_equal(mk_cert_not_before(early), mk_cert_not_before(ca));
}

static void test_serials(void **state)
{
	mk_autokey *key = new_key(MK_KEY_EC_P256);
	mk_autostrlist seen = { 0 };

	(void)state;
	for (int i = 0; i < 50; i++) {
		mk_autocert *ca = new_ca(key, DAY, 0);
		X509 *x509 = to_x509(ca);
		const ASN1_INTEGER *serial = X509_get0_serialNumber(x509);

		assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER);
		assert_int_equal(ASN1_STRING_length(serial), 17);
		assert_int_equal(strlen(mk_cert_serial(ca)), 34);
		assert_memory_equal(mk_cert_serial(ca), "01", 2);
		assert_false(mk_strlist_has(&seen, mk_cert_serial(ca)));
		mk_strlist_add(&seen, mk_cert_serial(ca));
		X509_free(x509);
	}
}

static void test_ca_refused(void **state)
{
	mk_autoerror err = { 0 };
	mk_autokey *key = new_key(MK_KEY_EC_P256), *other = new_key(MK_KEY_EC_P256);
	mk_autocert *ca = new_ca(key, DAY, 0), *old = new_ca(key, DAY, 1000000000);
	mk_autocert *leaf = NULL, *out = NULL;

	(void)state;
	assert_ok(sign_client(ca, key, DAY, 0, &leaf, &err), err);
	assert_int_equal(sign_client(leaf, key, DAY, 0, &out, &err), -MK_EINVALID);
	assert_says(&err, "'CN=user' is not a certificate authority");
	assert_int_equal(sign_client(ca, other, DAY, 0, &out, &err), -MK_EINVALID);
	assert_says(&err, "the key does not belong to certificate authority 'CN=test-ca'");
	assert_int_equal(sign_client(old, key, DAY, 0, &out, &err), -MK_EINVALID);
	assert_says(&err, "has expired");
	assert_null(out);
	assert_true(mk_cert_has_key(ca, key));
	assert_false(mk_cert_has_key(ca, other));
}

static char *good_dns[] = { (char[]){ "host" }, NULL };
static char *bad_dns[] = { (char[]){ "no_host" }, NULL };
static char *bad_ip[] = { (char[]){ "10.0.0.0/8" }, NULL };
static char *bad_group[] = { (char[]){ "" }, NULL };

static void test_requests_refused(void **state)
{
	static const struct mk_sans good = { .dns = { good_dns, 1 } };
	static const struct mk_sans no_dns = { .dns = { bad_dns, 1 } };
	static const struct mk_sans no_ip = { .ips = { bad_ip, 1 } };
	static const struct mk_strlist no_group = { bad_group, 1 };
	static const struct {
		struct mk_cert_request request;
		const char *words;
	} cases[] = {
		{ { NULL, NULL, &good, MK_CERT_SERVER, DAY, 0 }, "common name is empty" },
		{ { "", NULL, &good, MK_CERT_SERVER, DAY, 0 }, "common name is empty" },
		{ { L63 "xy", NULL, &good, MK_CERT_SERVER, DAY, 0 }, "longer than 64" },
		{ { "a\nb", NULL, &good, MK_CERT_SERVER, DAY, 0 }, "not printable ASCII" },
		{ { "\xc3\xbc", NULL, &good, MK_CERT_SERVER, DAY, 0 }, "not printable ASCII" },
		{ { "a", &no_group, &good, MK_CERT_SERVER, DAY, 0 }, "organization is empty" },
		{ { "a", NULL, &good, 0, DAY, 0 }, "either a CA's" },
		{ { "a", NULL, &good, MK_CERT_CA | MK_CERT_SERVER, DAY, 0 }, "either a CA's" },
		{ { "a", NULL, &good, 8, DAY, 0 }, "either a CA's" },
		{ { "a", NULL, NULL, MK_CERT_SERVER, DAY, 0 }, "needs a DNS name" },
		{ { "a", NULL, &no_dns, MK_CERT_SERVER, DAY, 0 }, "'no_host' is not a DNS name" },
		{ { "a", NULL, &no_ip, MK_CERT_SERVER, DAY, 0 }, "is not an IP address" },
		{ { "a", NULL, &good, MK_CERT_SERVER, 0, 0 }, "lifetime of 0" },
		{ { "a", NULL, &good, MK_CERT_SERVER, -1, 0 }, "out of range" },
		{ { "a", NULL, &good, MK_CERT_SERVER, INT64_MAX, 0 }, "out of range" },
	};
	mk_autokey *key = new_key(MK_KEY_EC_P256);
	mk_autocert *ca = new_ca(key, DAY, 0), *out = NULL;

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autoerror err = { 0 };

		assert_int_equal(
			mk_cert_sign(&cases[i].request, key, ca, key, &out, &err), -MK_EINVALID);
		assert_says(&err, cases[i].words);
		assert_int_equal(
			mk_cert_self_sign(&cases[i].request, key, &out, &err), -MK_EINVALID);
		assert_null(out);
	}
}

static void test_parse(void **state)
{
	mk_autoerror err = { 0 };
	mk_autokey *key = new_key(MK_KEY_EC_P256);
	mk_autocert *ca = new_ca(key, DAY, 0), *again = NULL, *none = NULL;
	mk_autobuf pem = mk_buf_init(65536), small = mk_buf_init(10);

	(void)state;
	assert_ok(mk_cert_pem(ca, &pem, &err), err);
	assert_ok(mk_cert_parse(pem.data, pem.len, &again, &err), err);
	assert_string_equal(mk_cert_serial(again), mk_cert_serial(ca));
	assert_int_equal(mk_cert_not_after(again), mk_cert_not_after(ca));
	assert_true(mk_cert_has_key(again, key));
	assert_int_equal(mk_cert_pem(ca, &small, &err), -MK_EINVALID);
	assert_int_equal(mk_cert_parse("", 0, &none, &err), -MK_EINVALID);
	assert_says(&err, "read a certificate: no start line (Expecting: CERTIFICATE)");
	assert_int_equal(mk_cert_parse(pem.data, pem.len / 2, &none, &err), -MK_EINVALID);
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_round_trip),
		cmocka_unit_test(test_key_names),
		cmocka_unit_test(test_key_reads_older_forms),
		cmocka_unit_test(test_key_refuses),
		cmocka_unit_test(test_sans),
		cmocka_unit_test(test_ca),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_validity_stays_within_ca),
		cmocka_unit_test(test_serials),
		cmocka_unit_test(test_ca_refused),
		cmocka_unit_test(test_requests_refused),
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests_name("pki", tests, NULL, NULL);
}

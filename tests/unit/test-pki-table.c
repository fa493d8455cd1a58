/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Row by row, what the table of certificates must come to: three control planes and
 * two workers, every certificate read by OpenSSL, every field compared with what
 * stands in test-pki-rows.h in full. A new row has to be written down there as well.
 */
#include "lib/base/encode.h"
#include "tests/unit/test-pki-rows.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cmocka.h>

#define DAY 86400
#define MAX_TEXT 65536
#define MAX_FILES 40

#define assert_ok(r, err)                                                                          \
	do {                                                                                       \
		if ((r) != 0)                                                                      \
			fail_msg("%s", (err).message);                                             \
	} while (0)

/* The bundle and the files of all nodes; made once, read by every test. */
static struct {
	struct mk_pki_bundle *bundle;
	struct {
		char *path, *data;
		mode_t mode;
		bool known;
	} files[NODES][MAX_FILES];
	size_t count[NODES];
	time_t before, after;
} w;

static int keep_file(void *arg, const struct mk_pki_file *file, struct mk_error *err)
{
	size_t node = *(size_t *)arg, i = w.count[node]++;

	(void)err;
	assert_true(i < MAX_FILES);
	w.files[node][i].path = mk_xstrdup(file->path);
	w.files[node][i].data = mk_xstrndup(file->data, file->len);
	w.files[node][i].mode = file->mode;
	return 0;
}

static int setup(void **state)
{
	mk_autoerror err = { 0 };

	(void)state;
	w.before = time(NULL);
	assert_ok(mk_pki_bundle_new(&spec, &w.bundle, &err), err);
	w.after = time(NULL);
	for (size_t i = 0; i < NODES; i++)
		assert_ok(mk_pki_bundle_each_file(w.bundle, i, keep_file, &i, &err), err);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < NODES; i++) {
		for (size_t j = 0; j < w.count[i]; j++) {
			free(w.files[i][j].path);
			free(w.files[i][j].data);
		}
	}
	mk_pki_bundle_free(w.bundle);
	return 0;
}

/* The first certificate of the row, on the node or the first that has one. */
static X509 *x509_of(const char *row, size_t node)
{
	mk_autoerror err = { 0 };
	mk_autobuf pem = mk_buf_init(MAX_TEXT);
	const struct mk_cert *cert = mk_pki_bundle_cert(w.bundle, row, node);
	BIO *bio;
	X509 *x509;

	if (!cert)
		fail_msg("'%s' has no certificate on %s", row, nodes[node].name);
	assert_ok(mk_cert_pem(cert, &pem, &err), err);
	bio = BIO_new_mem_buf(pem.data, -1);
	x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	assert_non_null(x509);
	return x509;
}

static void assert_name(const X509_NAME *name, const char *want)
{
	BIO *bio = BIO_new(BIO_s_mem());
	mk_autofree char *text = NULL;
	char *data;
	long len;

	assert_true(X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0);
	len = BIO_get_mem_data(bio, &data);
	text = mk_xstrndup(data, (size_t)len);
	BIO_free(bio);
	assert_string_equal(text, want);
}

/* Exactly these, in this order, and critical where it says so. */
static void assert_extensions(const X509 *x509, enum role role, bool names)
{
	static const struct {
		int nid;
		bool critical, of_ca, of_leaf;
	} order[] = {
		{ NID_basic_constraints, true, true, true },
		{ NID_key_usage, true, true, true },
		{ NID_ext_key_usage, false, false, true },
		{ NID_subject_key_identifier, false, true, true },
		{ NID_authority_key_identifier, false, true, true },
		{ NID_subject_alt_name, false, false, true },
	};
	int n = 0;

	for (size_t i = 0; i < MK_ARRAY_LEN(order); i++) {
		X509_EXTENSION *extension;

		if (!(role == CA ? order[i].of_ca : order[i].of_leaf) ||
			(order[i].nid == NID_subject_alt_name && !names))
			continue;
		assert_true(n < X509_get_ext_count(x509));
		extension = X509_get_ext(x509, n++);
		assert_int_equal(OBJ_obj2nid(X509_EXTENSION_get_object(extension)), order[i].nid);
		assert_int_equal(X509_EXTENSION_get_critical(extension), order[i].critical);
	}
	assert_int_equal(n, X509_get_ext_count(x509));
}

static void assert_usages(X509 *x509, enum role role)
{
	static const uint32_t extended[] = { [CLIENT] = XKU_SSL_CLIENT,
		[SERVER] = XKU_SSL_SERVER,
		[BOTH] = XKU_SSL_CLIENT | XKU_SSL_SERVER };
	EXTENDED_KEY_USAGE *list = X509_get_ext_d2i(x509, NID_ext_key_usage, NULL, NULL);

	assert_int_equal(X509_check_ca(x509), role == CA);
	assert_int_equal(X509_get_pathlen(x509), role == CA ? 0 : -1);
	if (role == CA) {
		assert_int_equal(X509_get_key_usage(x509), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
		assert_null(list);
		return;
	}
	assert_int_equal(X509_get_key_usage(x509), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(x509), extended[role]);
	assert_int_equal(sk_ASN1_OBJECT_num(list), role == BOTH ? 2 : 1);
	EXTENDED_KEY_USAGE_free(list);
}

/* The identifier of a key is the SHA-1 of it (RFC 5280, section 4.2.1.2). */
static void assert_identifiers(X509 *x509, X509 *signer)
{
	const ASN1_OCTET_STRING *subject = X509_get0_subject_key_id(x509);
	const ASN1_OCTET_STRING *authority = X509_get0_authority_key_id(x509);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	assert_int_equal(X509_pubkey_digest(x509, EVP_sha1(), digest, &len), 1);
	assert_int_equal(ASN1_STRING_length(subject), len);
	assert_memory_equal(ASN1_STRING_get0_data(subject), digest, len);
	assert_non_null(authority);
	assert_int_equal(ASN1_OCTET_STRING_cmp(authority, X509_get0_subject_key_id(signer)), 0);
	assert_null(X509_get0_authority_issuer(x509));
	assert_null(X509_get0_authority_serial(x509));
	assert_int_equal(X509_verify(x509, X509_get0_pubkey(signer)), 1);
}

static void assert_time(const ASN1_TIME *at, time_t earliest, time_t latest)
{
	assert_true(ASN1_TIME_cmp_time_t(at, earliest) >= 0);
	assert_true(ASN1_TIME_cmp_time_t(at, latest) <= 0);
}

/* The names of one type, sorted, between blanks. */
static char *names_of(X509 *x509, int type)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
	mk_autostrlist list = { .items = NULL };

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		char text[INET6_ADDRSTRLEN] = "";

		assert_true(name->type == GEN_DNS || name->type == GEN_IPADD);
		if (name->type != type)
			continue;
		if (type == GEN_DNS)
			mk_strlist_addf(&list, "%.*s", ASN1_STRING_length(name->d.dNSName),
				ASN1_STRING_get0_data(name->d.dNSName));
		else
			mk_strlist_add(&list,
				inet_ntop(ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET
										     : AF_INET6,
					ASN1_STRING_get0_data(name->d.iPAddress), text,
					sizeof(text)));
	}
	GENERAL_NAMES_free(names);
	mk_strlist_sort(&list);
	return mk_strlist_join(&list, " ");
}

static void check_leaf(const struct expected *e, const struct leaf *leaf, size_t node)
{
	X509 *x509 = x509_of(e->row, node), *signer = x509_of(e->signer, 0);
	mk_autofree char *dns = names_of(x509, GEN_DNS), *ips = names_of(x509, GEN_IPADD);
	int64_t days = e->role == CA ? 3650 : 365;

	assert_int_equal(X509_get_version(x509), X509_VERSION_3);
	assert_int_equal(X509_get_signature_nid(x509), NID_ecdsa_with_SHA256);
	assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(x509)), 256);
	assert_name(X509_get_subject_name(x509), leaf->subject);
	assert_name(X509_get_issuer_name(x509), e->issuer);
	assert_string_equal(dns, leaf->dns);
	assert_string_equal(ips, leaf->ips);
	assert_extensions(x509, e->role, *dns || *ips);
	assert_usages(x509, e->role);
	assert_identifiers(x509, signer);
	assert_time(X509_get0_notBefore(x509), w.before - 300, w.after - 300);
	assert_time(X509_get0_notAfter(x509), w.before + days * DAY, w.after + days * DAY);
	X509_free(x509);
	X509_free(signer);
}

static void assert_holds(const char *path, const char *data, const struct mk_buf *part)
{
	mk_autofree char *coded = mk_base64(part->data, part->len);

	if (!strstr(data, mk_has_suffix(path, ".conf") ? coded : part->data))
		fail_msg("%s does not hold what it should", path);
}

/* One file: there, with its mode, and with this row's certificate or key or both. */
static void check_file(const char *row, size_t node, const char *want)
{
	mk_autofree char *path = mk_xstrndup(want, strcspn(want, " "));
	mk_autofree char *mode = NULL;
	mk_autobuf cert = mk_buf_init(MAX_TEXT);
	mk_autowipebuf key = mk_buf_init(MAX_TEXT);
	mk_autoerror err = { 0 };
	size_t i = 0;

	while (i < w.count[node] && !mk_streq(w.files[node][i].path, path))
		i++;
	if (i == w.count[node])
		fail_msg("%s has no %s", nodes[node].name, path);
	mode = mk_xasprintf("%o", w.files[node][i].mode);
	assert_string_equal(mode, want + strlen(path) + 1);
	assert_ok(mk_cert_pem(mk_pki_bundle_cert(w.bundle, row, node), &cert, &err), err);
	assert_ok(mk_key_private_pem(mk_pki_bundle_key(w.bundle, row, node), &key, &err), err);
	if (!mk_has_suffix(path, ".key"))
		assert_holds(path, w.files[node][i].data, &cert);
	if (!mk_has_suffix(path, ".crt"))
		assert_holds(path, w.files[node][i].data, &key);
	else
		assert_string_equal(w.files[node][i].data, cert.data);
	w.files[node][i].known = true;
}

static void check_row(void **state)
{
	const struct expected *e = *state;
	size_t leaves = 0;

	while (leaves < NODES && e->leaves[leaves].node)
		leaves++;
	for (size_t node = 0; node < NODES; node++) {
		const char *const *files = nodes[node].control_plane ? e->control_plane : e->worker;
		const struct leaf *mine = NULL;

		for (size_t i = 0; i < leaves; i++) {
			if (mk_streq(e->leaves[i].node, "*") ||
				mk_streq(e->leaves[i].node, nodes[node].name))
				mine = &e->leaves[i];
		}
		if (mine)
			check_leaf(e, mine, node);
		else
			assert_null(mk_pki_bundle_cert(w.bundle, e->row, node));
		for (size_t i = 0; i < MK_ARRAY_LEN(e->control_plane) && files[i]; i++)
			check_file(e->row, node, files[i]);
	}
}

/* The tokens' key has no certificate, and control planes alone have it. */
static void check_sa(void **state)
{
	(void)state;
	assert_null(mk_pki_bundle_cert(w.bundle, "sa", 0));
	assert_int_equal(mk_key_kind(mk_pki_bundle_key(w.bundle, "sa", 0)), MK_KEY_EC_P256);
	for (size_t node = 0; node < NODES; node++) {
		size_t seen = 0;

		for (size_t i = 0; i < w.count[node]; i++) {
			bool key = mk_streq(w.files[node][i].path, PKI "sa.key");
			bool pub = mk_streq(w.files[node][i].path, PKI "sa.pub");
			bool secret = mk_streq(
				w.files[node][i].path, KUBE "encryption-config.yaml");

			if (!key && !pub && !secret)
				continue;
			assert_int_equal(w.files[node][i].mode, pub ? 0644 : 0600);
			w.files[node][i].known = true;
			seen++;
		}
		assert_int_equal(seen, nodes[node].control_plane ? 3 : 0);
	}
}

static void test_no_row_is_unknown(void **state)
{
	size_t count;
	const struct mk_pki_row *rows = mk_pki_rows(&count);

	(void)state;
	assert_int_equal(count, MK_ARRAY_LEN(all) + 1);
	for (size_t i = 0; i < count; i++) {
		bool found = mk_streq(rows[i].name, "sa");

		for (size_t j = 0; j < MK_ARRAY_LEN(all); j++)
			found = found || mk_streq(rows[i].name, all[j].row);
		if (!found)
			fail_msg("of the row '%s' this test knows nothing", rows[i].name);
	}
}

/* After all rows: no node has a file that none of them asked for. */
static void test_no_file_is_unknown(void **state)
{
	(void)state;
	for (size_t node = 0; node < NODES; node++) {
		for (size_t i = 0; i < w.count[node]; i++) {
			if (!w.files[node][i].known)
				fail_msg("%s has %s", nodes[node].name, w.files[node][i].path);
		}
	}
}

/* Positive, of at most 20 octets, no two the same, and each of 128 bits is a coin:
 * that all of these certificates agree in one happens once in ten million runs. */
static void test_serials(void **state)
{
	unsigned char ones[16] = { 0 }, zeros[16] = { 0 };
	mk_autostrlist seen = { .items = NULL };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(all) * NODES; i++) {
		const struct expected *e = &all[i / NODES];
		size_t node = i % NODES;
		bool shared = mk_streq(e->leaves[0].node, "*");
		const struct mk_cert *cert = mk_pki_bundle_cert(w.bundle, e->row, node);
		const ASN1_INTEGER *serial;
		X509 *x509;

		if (!cert || (shared && node > 0))
			continue;
		x509 = x509_of(e->row, node);
		serial = X509_get0_serialNumber(x509);
		assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER);
		assert_int_equal(ASN1_STRING_length(serial), 17);
		assert_true(ASN1_STRING_get0_data(serial)[0] < 0x80);
		for (size_t j = 0; j < 16; j++) {
			ones[j] |= ASN1_STRING_get0_data(serial)[1 + j];
			zeros[j] |= (unsigned char)~ASN1_STRING_get0_data(serial)[1 + j];
		}
		assert_false(mk_strlist_has(&seen, mk_cert_serial(cert)));
		mk_strlist_add(&seen, mk_cert_serial(cert));
		X509_free(x509);
	}
	/* 12 that are shared, 3 more of each control plane, 2 more of each node. */
	assert_int_equal(seen.count, 12 + 3 * 3 + 2 * 5);
	for (size_t j = 0; j < 16; j++)
		assert_int_equal(ones[j] & zeros[j], 0xff);
}

int main(void)
{
	struct CMUnitTest tests[MK_ARRAY_LEN(all) + 4];
	size_t n = 0;

	for (; n < MK_ARRAY_LEN(all); n++)
		tests[n] = (struct CMUnitTest){ .name = all[n].row,
			.test_func = check_row,
			.initial_state = (void *)(uintptr_t)&all[n] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(check_sa);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_no_row_is_unknown);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_no_file_is_unknown);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_serials);
	return cmocka_run_group_tests_name("pki-table", tests, setup, teardown);
}

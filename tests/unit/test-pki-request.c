/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for certificates, read back by OpenSSL itself. */
#include "pki/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cmocka.h>

#define assert_ok(r, err)                                                                          \
	do {                                                                                       \
		if ((r) != 0)                                                                      \
			fail_msg("%s", (err).message);                                             \
	} while (0)

static X509_REQ *parse(const struct mk_buf *pem)
{
	BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
	X509_REQ *request = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(request);
	return request;
}

static void assert_subject(X509_REQ *request, const char *text)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	long len;

	assert_true(X509_NAME_print_ex(
			    bio, X509_REQ_get_subject_name(request), 0, XN_FLAG_ONELINE) >= 0);
	len = BIO_get_mem_data(bio, &data);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(data, text, (size_t)len);
	BIO_free(bio);
}

static void check_kind(enum mk_key_kind kind)
{
	mk_autoerror err = { 0 };
	mk_autokey *key = NULL;
	mk_autobuf pem = mk_buf_init(65536), public = mk_buf_init(65536);
	mk_autostrlist groups = { .items = NULL };
	struct mk_cert_request asked = { .common_name = "jane", .organizations = &groups };
	X509_REQ *request;
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;

	mk_strlist_add(&groups, "dev, O=x");
	mk_strlist_add(&groups, "ops");
	assert_ok(mk_key_new(kind, &key, &err), err);
	assert_ok(mk_cert_request_pem(&asked, key, &pem, &err), err);
	assert_ok(mk_key_public_pem(key, &public, &err), err);
	assert_null(strstr(pem.data, "PRIVATE"));
	request = parse(&pem);
	/* Signed with the key that it asks for: who asks has it. */
	assert_int_equal(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)), 1);
	assert_int_equal(PEM_write_bio_PUBKEY(bio, X509_REQ_get0_pubkey(request)), 1);
	assert_int_equal(BIO_get_mem_data(bio, &data), public.len);
	assert_memory_equal(data, public.data, public.len);
	assert_subject(request, "O = \"dev, O=x\", O = ops, CN = jane");
	assert_int_equal(X509_REQ_get_version(request), X509_REQ_VERSION_1);
	assert_int_equal(X509_REQ_get_attr_count(request), 0);
	X509_REQ_free(request);
	BIO_free(bio);
}

static void test_request(void **state)
{
	(void)state;
	check_kind(MK_KEY_EC_P256);
	check_kind(MK_KEY_ED25519);
	check_kind(MK_KEY_RSA_2048);
}

static void test_names(void **state)
{
	static const char *const bad[] = { "", "a\nb", "\xc3\xa4",
		"12345678901234567890123456789012345678901234567890123456789012345" };
	mk_autoerror err = { 0 };
	mk_autokey *key = NULL;
	mk_autobuf pem = mk_buf_init(65536);
	mk_autostrlist none = { .items = NULL };

	(void)state;
	assert_ok(mk_key_new(MK_KEY_EC_P256, &key, &err), err);
	assert_ok(mk_cert_check_names("jane.doe@example.com", &none, &err), err);
	assert_ok(mk_cert_check_names(bad[3] + 1, NULL, &err), err);
	for (size_t i = 0; i < MK_ARRAY_LEN(bad); i++) {
		mk_autostrlist groups = { .items = NULL };
		struct mk_cert_request asked = { .common_name = bad[i] };

		mk_strlist_add(&groups, "fine");
		mk_strlist_add(&groups, bad[i]);
		assert_int_equal(mk_cert_request_pem(&asked, key, &pem, &err), -MK_EINVALID);
		assert_int_equal(mk_cert_check_names("jane", &groups, &err), -MK_EINVALID);
		assert_non_null(strstr(err.message, "organization"));
	}
	assert_int_equal(pem.len, 0);
}

static void test_does_not_fit(void **state)
{
	mk_autoerror err = { 0 };
	mk_autokey *key = NULL;
	mk_autobuf small = mk_buf_init(64);
	struct mk_cert_request asked = { .common_name = "jane" };

	(void)state;
	assert_ok(mk_key_new(MK_KEY_EC_P256, &key, &err), err);
	assert_int_equal(mk_cert_request_pem(&asked, key, &small, &err), -MK_EINVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_does_not_fit),
	};

	return cmocka_run_group_tests_name("pki-request", tests, NULL, NULL);
}

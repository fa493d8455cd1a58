/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/request.h"

#include "pki/ssl.h"

#include <openssl/pem.h>

MK_DEFINE_CLEANUP(X509_REQ *, X509_REQ_free);

static int fill(X509_REQ *x509, const struct mk_cert_request *request, const struct mk_key *key,
	struct mk_error *err)
{
	X509_NAME *subject = X509_REQ_get_subject_name(x509);
	int r;

	if (!X509_REQ_set_version(x509, X509_REQ_VERSION_1) ||
		!X509_REQ_set_pubkey(x509, mk_key_evp(key)))
		return mk_ssl_fail(err, MK_EFAIL, "begin a certificate request");
	r = mk_ssl_add_subject(subject, request, err);
	if (r < 0)
		return r;
	if (!X509_REQ_sign(x509, mk_key_evp(key), mk_ssl_digest(key)))
		return mk_ssl_fail(err, MK_EFAIL, "sign a certificate request");
	return 0;
}

int mk_cert_request_pem(const struct mk_cert_request *request, const struct mk_key *key,
	struct mk_buf *ret, struct mk_error *err)
{
	MK_CLEANUP(X509_REQ_freep) X509_REQ *x509 = X509_REQ_new();
	mk_autobio *bio = BIO_new(BIO_s_mem());
	int r = mk_cert_check_names(request->common_name, request->organizations, err);

	if (r < 0)
		return r;
	if (!x509 || !bio)
		return mk_ssl_fail(err, MK_EFAIL, "begin a certificate request");
	r = fill(x509, request, key, err);
	if (r < 0)
		return r;
	if (!PEM_write_bio_X509_REQ(bio, x509))
		return mk_ssl_fail(err, MK_EFAIL, "print a certificate request");
	return mk_ssl_add_bio(bio, "a certificate request", ret, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to pki/: OpenSSL's types under cleanup, its error queue as an
 * mk_error, and the way from our opaque objects to its objects. No header that
 * another layer reads includes this one.
 */
#ifndef MK_PKI_SSL_H
#define MK_PKI_SSL_H

#include "lib/base/buf.h"
#include "pki/cert.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* A PEM file with one key or a chain of certificates stays far below. */
#define MK_MAX_PEM ((size_t)65536)

MK_DEFINE_CLEANUP(BIO *, BIO_free_all);
MK_DEFINE_CLEANUP(BIGNUM *, BN_free);
MK_DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free);
MK_DEFINE_CLEANUP(X509 *, X509_free);
MK_DEFINE_CLEANUP(GENERAL_NAME *, GENERAL_NAME_free);
MK_DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free);

#define mk_autobio MK_CLEANUP(BIO_free_allp) BIO
#define mk_autox509 MK_CLEANUP(X509_freep) X509

/** Fill `err` with the text and OpenSSL's own reason, and empty its queue. */
int mk_ssl_fail(struct mk_error *err, enum mk_code code, const char *fmt, ...) MK_PRINTF(3, 4);

/** Append what was written to a memory BIO; MK_EINVALID when it does not fit. */
int mk_ssl_add_bio(BIO *bio, const char *what, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/** A BIO that reads PEM text, which must outlive it; MK_EINVALID when too large. */
int mk_ssl_open_pem(
	const char *pem, size_t len, const char *what, BIO **ret, struct mk_error *err) MK_CHECKED;

/** The key inside. Borrowed. */
EVP_PKEY *mk_key_evp(const struct mk_key *key);

/** The certificate inside. Borrowed. */
X509 *mk_cert_x509(const struct mk_cert *cert);

/** What a key signs with; NULL for a kind that takes no digest. */
const EVP_MD *mk_ssl_digest(const struct mk_key *signer);

/** Add the request's organizations and common name to a subject. */
int mk_ssl_add_subject(
	X509_NAME *subject, const struct mk_cert_request *request, struct mk_error *err) MK_CHECKED;

/** Read every field of `x509` into a new object, which then owns it. On
 * failure it is still the caller's. */
int mk_cert_wrap(X509 *x509, struct mk_cert **ret, struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.509 certificates: signed here from a description, printed as PEM, read
 * back from PEM. Which certificates a cluster needs is bundle.h's matter.
 */
#ifndef MK_PKI_CERT_H
#define MK_PKI_CERT_H

#include "pki/key.h"
#include "pki/sans.h"

#include <stdint.h>
#include <time.h>

/* Clocks of hosts and virtual machines differ a little: a certificate is valid
 * from this long before it was signed. */
#define MK_CERT_SKEW_S 300

enum mk_cert_usage {
	MK_CERT_CLIENT = 1 << 0,
	MK_CERT_SERVER = 1 << 1,
	MK_CERT_CA = 1 << 2,
};

/** What a certificate is to say. All pointers are borrowed. */
struct mk_cert_request {
	const char *common_name;                /* a user for Kubernetes; 1 to 64 characters */
	const struct mk_strlist *organizations; /* its groups; NULL is none */
	const struct mk_sans *sans;             /* NULL is none; a server needs one */
	unsigned usages;                        /* of enum mk_cert_usage; a CA is only a CA */
	int64_t lifetime_s;                     /* from now on */
	time_t now;                             /* 0 is the clock's */
};

struct mk_cert;

/**
 * Sign a certificate for `key` by a CA. It never outlives the CA: the end is
 * brought forward. MK_EINVALID when the request breaks a rule of RFC 5280 or
 * of sans.h, when the CA's certificate is no CA's or has expired, and when
 * `ca_key` is not its key.
 */
int mk_cert_sign(const struct mk_cert_request *request, const struct mk_key *key,
	const struct mk_cert *ca, const struct mk_key *ca_key, struct mk_cert **ret,
	struct mk_error *err) MK_CHECKED;

/** Sign a certificate with its own key: how a CA begins. Errors as above. */
int mk_cert_self_sign(const struct mk_cert_request *request, const struct mk_key *key,
	struct mk_cert **ret, struct mk_error *err) MK_CHECKED;

/** Read the first certificate of a PEM text. MK_EINVALID when there is none. */
int mk_cert_parse(
	const char *pem, size_t len, struct mk_cert **ret, struct mk_error *err) MK_CHECKED;

void mk_cert_free(struct mk_cert *cert);
MK_DEFINE_CLEANUP(struct mk_cert *, mk_cert_free);

#define mk_autocert MK_CLEANUP(mk_cert_freep) struct mk_cert

/** Append the certificate as PEM (RFC 7468). */
int mk_cert_pem(const struct mk_cert *cert, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/* What the certificate says. Strings and lists are borrowed from it. */

/** The subject as RFC 4514 writes it: "CN=kubernetes-admin,O=system:masters". */
const char *mk_cert_subject(const struct mk_cert *cert);
const char *mk_cert_issuer(const struct mk_cert *cert);

/** The first common name of the subject, "" when there is none. */
const char *mk_cert_common_name(const struct mk_cert *cert);

/** The serial number in hex, as `openssl x509 -serial` prints it. */
const char *mk_cert_serial(const struct mk_cert *cert);
time_t mk_cert_not_before(const struct mk_cert *cert);
time_t mk_cert_not_after(const struct mk_cert *cert);
bool mk_cert_is_ca(const struct mk_cert *cert);

/** Of enum mk_cert_usage. A certificate that restricts nothing is for both
 * clients and servers. */
unsigned mk_cert_usages(const struct mk_cert *cert);
const struct mk_sans *mk_cert_sans(const struct mk_cert *cert);

/** Whether `key` is the certificate's. */
bool mk_cert_has_key(const struct mk_cert *cert, const struct mk_key *key);

#endif

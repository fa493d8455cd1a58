/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making certificates: the rules of a request, and the fields and extensions
 * that follow from it (RFC 5280, section 4). Free text from a request never
 * passes through OpenSSL's configuration syntax, where a comma could add an
 * extension.
 */
#include "pki/request.h"
#include "pki/ssl.h"

#include "lib/base/encode.h"

#include <openssl/err.h>

#define DAY_S ((int64_t)86400)
#define MAX_LIFETIME_S (100 * 366 * DAY_S)
#define MAX_NAME_PART 64 /* ub-common-name and ub-organization-name, RFC 5280, appendix A */
#define SERIAL_RANDOM 16

/* One certificate in the making; a self-signed one has no CA. */
struct order {
	const struct mk_cert_request *request;
	const struct mk_key *key;
	const struct mk_cert *ca;
	const struct mk_key *ca_key;
	time_t now;
};

static int check_name_part(const char *what, const char *s, struct mk_error *err)
{
	size_t len = s ? strlen(s) : 0;

	if (len == 0)
		return mk_fail(err, MK_EINVALID, "the %s is empty", what);
	if (len > MAX_NAME_PART)
		return mk_fail(err, MK_EINVALID, "the %s '%s' is longer than %d characters", what,
			s, MAX_NAME_PART);
	for (; *s; s++) {
		if (*s < 0x20 || *s > 0x7e)
			return mk_fail(err, MK_EINVALID,
				"the %s has a character that is not printable ASCII", what);
	}
	return 0;
}

static int check_usages(const struct mk_cert_request *request, struct mk_error *err)
{
	const struct mk_sans *sans = request->sans;
	unsigned usages = request->usages;

	if (usages != MK_CERT_CA &&
		(usages == 0 || (usages & ~(unsigned)(MK_CERT_CLIENT | MK_CERT_SERVER))))
		return mk_fail(err, MK_EINVALID,
			"a certificate is either a CA's, or a client's or server's");
	/* Go and browsers look for a server's name here and nowhere else. */
	if ((usages & MK_CERT_SERVER) && (!sans || sans->dns.count + sans->ips.count == 0))
		return mk_fail(
			err, MK_EINVALID, "a server's certificate needs a DNS name or IP address");
	return 0;
}

int mk_cert_check_names(
	const char *common_name, const struct mk_strlist *organizations, struct mk_error *err)
{
	int r = check_name_part("common name", common_name, err);

	for (size_t i = 0; r == 0 && organizations && i < organizations->count; i++)
		r = check_name_part("organization", organizations->items[i], err);
	return r;
}

static int check_request(const struct mk_cert_request *request, struct mk_error *err)
{
	int r = mk_cert_check_names(request->common_name, request->organizations, err);

	if (r == 0)
		r = check_usages(request, err);
	if (r < 0)
		return r;
	if (request->lifetime_s <= 0 || request->lifetime_s > MAX_LIFETIME_S)
		return mk_fail(err, MK_EINVALID, "a lifetime of %lld seconds is out of range",
			(long long)request->lifetime_s);
	return 0;
}

static int check_ca(const struct order *order, struct mk_error *err)
{
	const char *name = mk_cert_subject(order->ca);

	if (!mk_cert_is_ca(order->ca))
		return mk_fail(err, MK_EINVALID, "'%s' is not a certificate authority", name);
	if (!mk_cert_has_key(order->ca, order->ca_key))
		return mk_fail(err, MK_EINVALID,
			"the key does not belong to certificate authority '%s'", name);
	if (mk_cert_not_after(order->ca) <= order->now)
		return mk_fail(err, MK_EINVALID, "certificate authority '%s' has expired", name);
	return 0;
}

/*
 * 128 random bits after a leading 01 byte: always positive, never zero, of one
 * length, and within the 20 octets of RFC 5280, section 4.1.2.2.
 */
static int set_serial(X509 *x509, struct mk_error *err)
{
	unsigned char raw[1 + SERIAL_RANDOM] = { 1 };
	MK_CLEANUP(BN_freep) BIGNUM *number = NULL;
	int r = mk_random(raw + 1, SERIAL_RANDOM, err);

	if (r < 0)
		return r;
	number = BN_bin2bn(raw, sizeof(raw), NULL);
	if (!number || !BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)))
		return mk_ssl_fail(err, MK_EFAIL, "set a serial number");
	return 0;
}

static bool add_name_part(X509_NAME *name, int nid, const char *s)
{
	return X509_NAME_add_entry_by_NID(
		       name, nid, MBSTRING_UTF8, (const unsigned char *)s, -1, -1, 0) == 1;
}

/* Organizations first, then the common name: the order Kubernetes' own tools use. */
int mk_ssl_add_subject(
	X509_NAME *subject, const struct mk_cert_request *request, struct mk_error *err)
{
	const struct mk_strlist *groups = request->organizations;
	bool ok = true;

	for (size_t i = 0; ok && groups && i < groups->count; i++)
		ok = add_name_part(subject, NID_organizationName, groups->items[i]);
	ok = ok && add_name_part(subject, NID_commonName, request->common_name);
	return ok ? 0 : mk_ssl_fail(err, MK_EFAIL, "set a certificate's names");
}

static int set_names(X509 *x509, const struct order *order, struct mk_error *err)
{
	X509_NAME *subject = X509_get_subject_name(x509);
	int r = mk_ssl_add_subject(subject, order->request, err);

	if (r < 0)
		return r;
	if (order->ca)
		subject = X509_get_subject_name(mk_cert_x509(order->ca));
	if (!X509_set_issuer_name(x509, subject))
		return mk_ssl_fail(err, MK_EFAIL, "set a certificate's names");
	return 0;
}

static int set_validity(X509 *x509, const struct order *order, struct mk_error *err)
{
	time_t from = order->now - MK_CERT_SKEW_S;
	time_t until = order->now + (time_t)order->request->lifetime_s;

	/* A certificate that reaches beyond its CA's days would fail then, unexplained. */
	if (order->ca && from < mk_cert_not_before(order->ca))
		from = mk_cert_not_before(order->ca);
	if (order->ca && until > mk_cert_not_after(order->ca))
		until = mk_cert_not_after(order->ca);
	if (!ASN1_TIME_set(X509_getm_notBefore(x509), from) ||
		!ASN1_TIME_set(X509_getm_notAfter(x509), until))
		return mk_ssl_fail(err, MK_EFAIL, "set a certificate's dates");
	return 0;
}

/* `value` is OpenSSL's configuration syntax: constants of this file only. */
static int add_extension(
	X509 *x509, const struct order *order, int nid, const char *value, struct mk_error *err)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, order->ca ? mk_cert_x509(order->ca) : x509, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = extension && X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
	return ok ? 0 : mk_ssl_fail(err, MK_EFAIL, "add %s=%s", OBJ_nid2ln(nid), value);
}

/* A CA's key signs certificates and revocation lists and does nothing else: with
 * digitalSignature as well, it could be taken for a server's. */
static const char *key_usage(const struct order *order)
{
	if (order->request->usages & MK_CERT_CA)
		return "critical,keyCertSign,cRLSign";
	/* Nobody encrypts to a client (RFC 5280, section 4.2.1.12). */
	if (order->request->usages == MK_CERT_CLIENT)
		return "critical,digitalSignature";
	switch (mk_key_kind(order->key)) {
	case MK_KEY_RSA_2048:
	case MK_KEY_RSA_3072:
	case MK_KEY_RSA_4096:
		/* TLS 1.2 without Diffie-Hellman encrypts to the key. */
		return "critical,digitalSignature,keyEncipherment";
	case MK_KEY_EC_P256:
	case MK_KEY_ED25519:
		break;
	}
	return "critical,digitalSignature";
}

static const char *extended_usage(unsigned usages)
{
	if (usages == MK_CERT_CLIENT)
		return "clientAuth";
	return usages == MK_CERT_SERVER ? "serverAuth" : "serverAuth,clientAuth";
}

static int add_extensions(X509 *x509, const struct order *order, struct mk_error *err)
{
	bool ca = (order->request->usages & MK_CERT_CA) != 0;
	/* pathlen 0: our CAs sign leaves, never another CA. */
	int r = add_extension(x509, order, NID_basic_constraints,
		ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE", err);

	if (r == 0)
		r = add_extension(x509, order, NID_key_usage, key_usage(order), err);
	if (r == 0 && !ca)
		r = add_extension(x509, order, NID_ext_key_usage,
			extended_usage(order->request->usages), err);
	/* The subject's identifier goes first: a self-signed certificate's authority
	 * is itself, and copies it. */
	if (r == 0)
		r = add_extension(x509, order, NID_subject_key_identifier, "hash", err);
	if (r == 0)
		r = add_extension(x509, order, NID_authority_key_identifier, "keyid:always", err);
	return r;
}

static int push_sans(
	GENERAL_NAMES *names, int type, const struct mk_strlist *list, struct mk_error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		MK_CLEANUP(GENERAL_NAME_freep)
		GENERAL_NAME *name = a2i_GENERAL_NAME(NULL, NULL, NULL, type, list->items[i], 0);

		if (!name || sk_GENERAL_NAME_push(names, name) <= 0)
			return mk_ssl_fail(err, MK_EFAIL, "add the name '%s'", list->items[i]);
		name = NULL;
	}
	return 0;
}

/* Go through sans.h again, for callers that filled the lists themselves. */
static int check_sans(const struct mk_sans *from, struct mk_sans *ret, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->dns.count; i++)
		r = mk_sans_add_dns(ret, from->dns.items[i], err);
	for (size_t i = 0; r == 0 && i < from->ips.count; i++)
		r = mk_sans_add_ip(ret, from->ips.items[i], err);
	return r;
}

static int add_sans(X509 *x509, const struct mk_sans *from, struct mk_error *err)
{
	mk_autosans sans = { 0 };
	MK_CLEANUP(GENERAL_NAMES_freep) GENERAL_NAMES *names = NULL;
	int r;

	if (!from || from->dns.count + from->ips.count == 0)
		return 0;
	r = check_sans(from, &sans, err);
	if (r < 0)
		return r;
	names = GENERAL_NAMES_new();
	if (!names)
		return mk_ssl_fail(err, MK_EFAIL, "add names");
	r = push_sans(names, GEN_DNS, &sans.dns, err);
	if (r == 0)
		r = push_sans(names, GEN_IPADD, &sans.ips, err);
	if (r == 0 && X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, 0) <= 0)
		r = mk_ssl_fail(err, MK_EFAIL, "add names");
	return r;
}

static int fill(X509 *x509, const struct order *order, struct mk_error *err)
{
	int r;

	if (!X509_set_version(x509, X509_VERSION_3) ||
		!X509_set_pubkey(x509, mk_key_evp(order->key)))
		return mk_ssl_fail(err, MK_EFAIL, "begin a certificate");
	r = set_serial(x509, err);
	if (r == 0)
		r = set_names(x509, order, err);
	if (r == 0)
		r = set_validity(x509, order, err);
	if (r == 0)
		r = add_extensions(x509, order, err);
	if (r == 0)
		r = add_sans(x509, order->request->sans, err);
	return r;
}

const EVP_MD *mk_ssl_digest(const struct mk_key *signer)
{
	/* Ed25519 signs the message itself, not a digest (RFC 8410). */
	return mk_key_kind(signer) == MK_KEY_ED25519 ? NULL : EVP_sha256();
}

static int issue(const struct order *order, struct mk_cert **ret, struct mk_error *err)
{
	const struct mk_key *signer = order->ca ? order->ca_key : order->key;
	mk_autox509 *x509 = X509_new();
	int r;

	if (!x509)
		return mk_ssl_fail(err, MK_EFAIL, "begin a certificate");
	r = fill(x509, order, err);
	if (r < 0)
		return r;
	if (!X509_sign(x509, mk_key_evp(signer), mk_ssl_digest(signer)))
		return mk_ssl_fail(err, MK_EFAIL, "sign a certificate");
	r = mk_cert_wrap(x509, ret, err);
	if (r == 0)
		x509 = NULL;
	return r;
}

int mk_cert_sign(const struct mk_cert_request *request, const struct mk_key *key,
	const struct mk_cert *ca, const struct mk_key *ca_key, struct mk_cert **ret,
	struct mk_error *err)
{
	struct order order = {
		.request = request,
		.key = key,
		.ca = ca,
		.ca_key = ca_key,
		.now = request->now ? request->now : time(NULL),
	};
	int r = check_request(request, err);

	if (r == 0)
		r = check_ca(&order, err);
	return r < 0 ? r : issue(&order, ret, err);
}

int mk_cert_self_sign(const struct mk_cert_request *request, const struct mk_key *key,
	struct mk_cert **ret, struct mk_error *err)
{
	struct order order = {
		.request = request,
		.key = key,
		.now = request->now ? request->now : time(NULL),
	};
	int r = check_request(request, err);

	return r < 0 ? r : issue(&order, ret, err);
}

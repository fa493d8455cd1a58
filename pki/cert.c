/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate object: PEM and what a certificate says. Everything is read
 * once, when the object is made, so that the questions asked later cannot fail.
 * Signing is in sign.c.
 */
#include "pki/cert.h"

#include "pki/ssl.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>

struct mk_cert {
	X509 *x509;
	char *subject;
	char *issuer;
	char *common_name;
	char *serial;
	time_t not_before;
	time_t not_after;
	unsigned usages;
	struct mk_sans sans;
};

static int read_name(const X509_NAME *name, char **ret, struct mk_error *err)
{
	mk_autobio *bio = BIO_new(BIO_s_mem());
	mk_autobuf text = mk_buf_init(MK_MAX_PEM);
	int r;

	if (!bio || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0)
		return mk_ssl_fail(err, MK_EINVALID, "read a certificate's name");
	r = mk_ssl_add_bio(bio, "a certificate's name", &text, err);
	if (r < 0)
		return r;
	*ret = mk_buf_detach(&text);
	return 0;
}

static char *read_common_name(const X509_NAME *name)
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	unsigned char *utf8 = NULL;
	char *text;
	int len;

	if (at < 0)
		return mk_xstrdup("");
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len < 0) {
		ERR_clear_error();
		return mk_xstrdup("");
	}
	text = mk_xstrndup((const char *)utf8, (size_t)len);
	OPENSSL_free(utf8);
	return text;
}

static int read_time(const ASN1_TIME *from, time_t *ret, struct mk_error *err)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(from, &tm))
		return mk_ssl_fail(err, MK_EINVALID, "read a certificate's dates");
	*ret = timegm(&tm);
	return 0;
}

static int read_serial(const X509 *x509, char **ret, struct mk_error *err)
{
	MK_CLEANUP(BN_freep)
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
	char *hex = number ? BN_bn2hex(number) : NULL;

	if (!hex)
		return mk_ssl_fail(err, MK_EINVALID, "read a certificate's serial number");
	*ret = mk_xstrdup(hex);
	OPENSSL_free(hex);
	return 0;
}

static unsigned read_usages(X509 *x509)
{
	uint32_t extended;

	if (X509_get_extension_flags(x509) & EXFLAG_CA)
		return MK_CERT_CA;
	/* All bits are set when the extension is absent. */
	extended = X509_get_extended_key_usage(x509);
	return (extended & XKU_SSL_CLIENT ? (unsigned)MK_CERT_CLIENT : 0) |
		(extended & XKU_SSL_SERVER ? (unsigned)MK_CERT_SERVER : 0);
}

/* Names of other types (mail, URI), and what breaks the rules of sans.h in a
 * certificate made elsewhere, are left out: nothing here reaches a server by them. */
static void read_san(const GENERAL_NAME *name, struct mk_sans *sans)
{
	mk_autoerror ignored = { 0 };
	char text[INET6_ADDRSTRLEN];
	int type;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
	const unsigned char *data;
	int len;

	if (type != GEN_DNS && type != GEN_IPADD)
		return;
	data = ASN1_STRING_get0_data(value);
	len = ASN1_STRING_length(value);
	if (type == GEN_DNS) {
		mk_autofree char *dns = mk_xstrndup((const char *)data, (size_t)len);

		if (strlen(dns) == (size_t)len)
			(void)!mk_sans_add_dns(sans, dns, &ignored);
	} else if (len == 4 || len == 16) {
		if (inet_ntop(len == 4 ? AF_INET : AF_INET6, data, text, sizeof(text)))
			(void)!mk_sans_add_ip(sans, text, &ignored);
	}
}

static void read_sans(const X509 *x509, struct mk_sans *sans)
{
	MK_CLEANUP(GENERAL_NAMES_freep)
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		read_san(sk_GENERAL_NAME_value(names, i), sans);
	ERR_clear_error();
}

int mk_cert_wrap(X509 *x509, struct mk_cert **ret, struct mk_error *err)
{
	mk_autocert *cert = mk_xcalloc(1, sizeof(*cert));
	int r = read_name(X509_get_subject_name(x509), &cert->subject, err);

	if (r == 0)
		r = read_name(X509_get_issuer_name(x509), &cert->issuer, err);
	if (r == 0)
		r = read_serial(x509, &cert->serial, err);
	if (r == 0)
		r = read_time(X509_get0_notBefore(x509), &cert->not_before, err);
	if (r == 0)
		r = read_time(X509_get0_notAfter(x509), &cert->not_after, err);
	if (r < 0)
		return r;
	cert->common_name = read_common_name(X509_get_subject_name(x509));
	cert->usages = read_usages(x509);
	read_sans(x509, &cert->sans);
	cert->x509 = x509;
	*ret = MK_TAKE(cert);
	return 0;
}

int mk_cert_parse(const char *pem, size_t len, struct mk_cert **ret, struct mk_error *err)
{
	mk_autobio *bio = NULL;
	mk_autox509 *x509 = NULL;
	int r = mk_ssl_open_pem(pem, len, "a certificate", &bio, err);

	if (r < 0)
		return r;
	x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	if (!x509)
		return mk_ssl_fail(err, MK_EINVALID, "read a certificate");
	r = mk_cert_wrap(x509, ret, err);
	if (r == 0)
		x509 = NULL;
	return r;
}

void mk_cert_free(struct mk_cert *cert)
{
	if (!cert)
		return;
	X509_free(cert->x509);
	free(cert->subject);
	free(cert->issuer);
	free(cert->common_name);
	free(cert->serial);
	mk_sans_done(&cert->sans);
	free(cert);
}

int mk_cert_pem(const struct mk_cert *cert, struct mk_buf *ret, struct mk_error *err)
{
	mk_autobio *bio = BIO_new(BIO_s_mem());

	if (!bio || !PEM_write_bio_X509(bio, cert->x509))
		return mk_ssl_fail(err, MK_EFAIL, "print a certificate");
	return mk_ssl_add_bio(bio, "a certificate", ret, err);
}

const char *mk_cert_subject(const struct mk_cert *cert)
{
	return cert->subject;
}

const char *mk_cert_issuer(const struct mk_cert *cert)
{
	return cert->issuer;
}

const char *mk_cert_common_name(const struct mk_cert *cert)
{
	return cert->common_name;
}

const char *mk_cert_serial(const struct mk_cert *cert)
{
	return cert->serial;
}

time_t mk_cert_not_before(const struct mk_cert *cert)
{
	return cert->not_before;
}

time_t mk_cert_not_after(const struct mk_cert *cert)
{
	return cert->not_after;
}

bool mk_cert_is_ca(const struct mk_cert *cert)
{
	return (cert->usages & MK_CERT_CA) != 0;
}

unsigned mk_cert_usages(const struct mk_cert *cert)
{
	return cert->usages;
}

const struct mk_sans *mk_cert_sans(const struct mk_cert *cert)
{
	return &cert->sans;
}

bool mk_cert_has_key(const struct mk_cert *cert, const struct mk_key *key)
{
	bool same = X509_check_private_key(cert->x509, mk_key_evp(key)) == 1;

	/* "No" leaves a reason in the queue, where it would pass for the next failure's. */
	ERR_clear_error();
	return same;
}

X509 *mk_cert_x509(const struct mk_cert *cert)
{
	return cert->x509;
}

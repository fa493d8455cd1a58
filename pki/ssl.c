/* SPDX-License-Identifier: Apache-2.0 */
/* What the rest of pki/ shares about OpenSSL: its errors and memory BIOs. */
#include "pki/ssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

int mk_ssl_fail(struct mk_error *err, enum mk_code code, const char *fmt, ...)
{
	mk_autofree char *what = NULL, *why = NULL;
	const char *data = NULL, *reason;
	int flags = 0;
	unsigned long e;
	va_list ap;

	va_start(ap, fmt);
	what = mk_xvasprintf(fmt, ap);
	va_end(ap);
	/* The oldest entry is the cause; later ones are its callers complaining. */
	e = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
	reason = e ? ERR_reason_error_string(e) : NULL;
	if (!reason)
		reason = "OpenSSL gave no reason";
	if (data && *data && (flags & ERR_TXT_STRING))
		why = mk_xasprintf("%s (%s)", reason, data);
	else
		why = mk_xstrdup(reason);
	ERR_clear_error();
	return mk_fail(err, code, "%s: %s", what, why);
}

int mk_ssl_add_bio(BIO *bio, const char *what, struct mk_buf *ret, struct mk_error *err)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);

	if (len < 0)
		return mk_ssl_fail(err, MK_EFAIL, "print %s", what);
	mk_buf_add(ret, data, (size_t)len);
	return mk_buf_check(ret, what, err);
}

int mk_ssl_open_pem(const char *pem, size_t len, const char *what, BIO **ret, struct mk_error *err)
{
	BIO *bio;

	if (len > MK_MAX_PEM)
		return mk_fail(err, MK_EINVALID, "%s is larger than %zu bytes", what, MK_MAX_PEM);
	bio = BIO_new_mem_buf(pem, (int)len);
	if (!bio)
		return mk_ssl_fail(err, MK_EFAIL, "read %s", what);
	*ret = bio;
	return 0;
}

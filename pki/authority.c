/* SPDX-License-Identifier: Apache-2.0 */
/* What a cluster that exists signs and encrypts with, read back from a control plane. */
#include "pki/bundle_private.h"

#define MAX_FILE ((size_t)65536)

/* CAs and the key of service account tokens: what others depend on and cannot be
 * made anew for one node. */
bool mk_pki_is_authority(const struct mk_pki_row *row)
{
	return (row->usages & MK_CERT_CA) || row->form == MK_PKI_SIGNING;
}

static int read_key(const struct mk_pki_source *source, const char *name, struct mk_key **ret,
	struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("%s/%s.key", MK_PKI_DIR, name);
	mk_autowipebuf pem = mk_buf_init(MAX_FILE);
	int r = source->read(source->arg, path, &pem, err);

	if (r == 0)
		r = mk_key_parse(pem.data, pem.len, ret, err);
	return r < 0 ? mk_error_wrap(err, "%s", path) : 0;
}

static int read_cert(const struct mk_pki_source *source, const char *name, struct mk_cert **ret,
	struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("%s/%s.crt", MK_PKI_DIR, name);
	mk_autobuf pem = mk_buf_init(MAX_FILE);
	int r = source->read(source->arg, path, &pem, err);

	if (r == 0)
		r = mk_cert_parse(pem.data, pem.len, ret, err);
	return r < 0 ? mk_error_wrap(err, "%s", path) : 0;
}

int mk_pki_read_authority(const struct mk_pki_source *source, const struct mk_pki_row *row,
	const char *suffix, struct mk_pki_secret *ret, struct mk_error *err)
{
	mk_autofree char *name = mk_xasprintf("%s%s", row->name, suffix);
	int r = read_key(source, name, &ret->key, err);

	if (r < 0 || row->form == MK_PKI_SIGNING)
		return r;
	r = read_cert(source, name, &ret->cert, err);
	if (r == 0 && !mk_cert_has_key(ret->cert, ret->key))
		return mk_fail(err, MK_EINVALID, "the key of '%s' is not its certificate's", name);
	return r;
}

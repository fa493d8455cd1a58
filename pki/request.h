/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests for certificates that somebody else signs (PKCS #10, RFC 2986): the
 * private key stays here, its public half and the names go to the signer.
 */
#ifndef MK_PKI_REQUEST_H
#define MK_PKI_REQUEST_H

#include "pki/cert.h"

/**
 * MK_EINVALID unless both names of a client are what a certificate can hold: 1 to 64
 * characters of printable ASCII (RFC 5280, appendix A). `organizations` may be NULL.
 */
int mk_cert_check_names(const char *common_name, const struct mk_strlist *organizations,
	struct mk_error *err) MK_CHECKED;

/**
 * Append a request for `key` as PEM: subject and nothing else, for the extensions of
 * a client's certificate are the signer's to set. Of `request` only the common name
 * and the organizations are read; MK_EINVALID as in mk_cert_check_names.
 */
int mk_cert_request_pem(const struct mk_cert_request *request, const struct mk_key *key,
	struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

#endif

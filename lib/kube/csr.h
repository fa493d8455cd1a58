/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of clients, signed by the cluster
 * (https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/).
 */
#ifndef MK_KUBE_CSR_H
#define MK_KUBE_CSR_H

#include "lib/kube/client.h"

/**
 * Have a certificate signed for clients of the API (kubernetes.io/kube-apiserver-client):
 * ask, approve, wait until it is there, and remove the request object again, after a
 * failure and an interrupt too. `request_pem` is a PKCS #10 request; `lifetime_s`, ten
 * minutes at least, is what is asked for, the signer may give less. The certificate is
 * appended to `ret` as PEM.
 *
 * MK_EREMOTE with the server's words when it may not be asked for or approved, when
 * somebody else denies it, and when the signer fails; MK_ETIMEOUT when nobody signs.
 */
int mk_kube_sign_client(struct mk_kube *kube, const char *request_pem, int64_t lifetime_s,
	int64_t deadline, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

#endif

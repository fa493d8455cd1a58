/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a kubeconfig (v1 Config of client-go's clientcmd) with one
 * cluster, one user and one context, and all certificates inside.
 */
#ifndef MK_PKI_KUBECONFIG_H
#define MK_PKI_KUBECONFIG_H

#include "lib/base/buf.h"

/** What goes in. All pointers are borrowed. */
struct mk_kubeconfig {
	const char *cluster; /* the names of the three entries */
	const char *user;
	const char *context;
	const char *server; /* https://HOST:PORT */
	const char *ca_pem;
	const char *cert_pem;
	const char *key_pem;
};

/**
 * Append the kubeconfig as YAML whose every name is a quoted string. The
 * buffer then holds a private key: the caller wipes it. MK_EINVALID when a name
 * is empty or not printable ASCII, or the server is no https URL.
 */
int mk_kubeconfig_print(
	const struct mk_kubeconfig *conf, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of all keys and certificates of a cluster, as data: what each one
 * says, who signs it, which nodes get it in which form. bundle.h makes them.
 */
#ifndef MK_PKI_TABLE_H
#define MK_PKI_TABLE_H

#include "pki/cert.h"

/* The folders in a node. */
#define MK_PKI_KUBE_DIR "/etc/kubernetes"
#define MK_PKI_DIR MK_PKI_KUBE_DIR "/pki"
/* The cluster's CA alone, for who signs with it: ca.crt may hold two. */
#define MK_PKI_SIGNER_PATH MK_PKI_DIR "/ca-signer.crt"
#define MK_PKI_ENCRYPTION_PATH MK_PKI_KUBE_DIR "/encryption-config.yaml"

enum mk_pki_form {
	MK_PKI_PAIR,       /* MK_PKI_DIR/NAME.crt and NAME.key */
	MK_PKI_KUBECONFIG, /* MK_PKI_KUBE_DIR/NAME.conf, and nowhere else */
	MK_PKI_SIGNING,    /* MK_PKI_DIR/NAME.key and NAME.pub; there is no certificate */
	MK_PKI_SECRET,     /* in no file: for a Secret of the cluster */
};

enum mk_pki_place {
	MK_PKI_CONTROL_PLANE,
	MK_PKI_EVERY_NODE,
};

/* Where the subject alternative names come from. */
enum mk_pki_sans {
	MK_PKI_SANS_NODE = 1 << 0,  /* the node's name and address */
	MK_PKI_SANS_LOCAL = 1 << 1, /* localhost, 127.0.0.1, ::1 */
	MK_PKI_SANS_API = 1 << 2,   /* every way to reach an API server */
	MK_PKI_SANS_OWN = 1 << 3,   /* the common name */
};

struct mk_pki_row {
	const char *name;         /* "etcd/server": for look-ups, and part of the path */
	const char *common_name;  /* "%s" is the node's name; NULL: no certificate */
	const char *organization; /* the Kubernetes group, or NULL */
	const char *signer;       /* the name of an earlier row; NULL: signs itself */
	unsigned usages;          /* of enum mk_cert_usage */
	unsigned sans;            /* of enum mk_pki_sans */
	enum mk_pki_form form;
	enum mk_pki_place cert_on;
	enum mk_pki_place key_on;
	bool per_node; /* each node has its own, under the same name */
};

/** All rows; a signer stands before what it signs. */
const struct mk_pki_row *mk_pki_rows(size_t *ret_count);

/** The row of this name, or NULL. */
const struct mk_pki_row *mk_pki_row_find(const char *name);

/** The kind of a row's key where the cluster is to have `wanted` ones: that, or
 * MK_KEY_EC_P256 for what cannot be Ed25519. */
enum mk_key_kind mk_pki_row_key_kind(const struct mk_pki_row *row, enum mk_key_kind wanted);

/** Seconds a certificate of this row is valid: 10 years for a CA, else one. */
int64_t mk_pki_row_lifetime(const struct mk_pki_row *row);

#endif

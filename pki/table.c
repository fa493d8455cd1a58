/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table. Names, users, groups and files follow kubeadm ("PKI certificates
 * and requirements", kubernetes.io/docs/setup/best-practices/certificates),
 * with these differences:
 *
 * - The API server's user towards kubelets is in no group. kubeadm gives it
 *   all rights by group; here a role binding names the user.
 * - The kubelet's serving certificate is signed by the cluster's CA, not by
 *   the kubelet itself, so the API server can check whom it talks to.
 * - What only a kubeconfig needs is only in the kubeconfig.
 *
 * A certificate that names a machine belongs to that machine alone; one that
 * names a role is shared by the machines that play it. Three CAs, so that a
 * client of etcd or of an aggregated API is nobody to the API server, and the
 * other way round.
 */
#include "pki/table.h"

#define DAY_S ((int64_t)86400)

#define CLIENT MK_CERT_CLIENT
#define SERVER MK_CERT_SERVER
#define BOTH (MK_CERT_CLIENT | MK_CERT_SERVER)
#define CA MK_CERT_CA
#define NODE MK_PKI_SANS_NODE
#define LOCAL MK_PKI_SANS_LOCAL
#define API MK_PKI_SANS_API
#define OWN MK_PKI_SANS_OWN
#define PAIR MK_PKI_PAIR
#define CONF MK_PKI_KUBECONFIG
#define SECRET MK_PKI_SECRET
#define CONTROL MK_PKI_CONTROL_PLANE
#define EVERY MK_PKI_EVERY_NODE

/* clang-format off */
static const struct mk_pki_row rows[] = {
	/* name, common name,
	 *	group, signer, usages, names, form, certificate on, key on, per node */

	{ "ca", "kubernetes-ca",
		NULL, NULL, CA, 0, PAIR, EVERY, CONTROL, false },
	{ "etcd/ca", "etcd-ca",
		NULL, NULL, CA, 0, PAIR, CONTROL, CONTROL, false },
	{ "front-proxy-ca", "front-proxy-ca",
		NULL, NULL, CA, 0, PAIR, CONTROL, CONTROL, false },

	/* Signs and checks service account tokens: never Ed25519, for which kube-apiserver
	 * and kube-controller-manager end with "unknown private key type". All other rows
	 * can be of any kind: Kubernetes, etcd, client-go and OpenSSL take them. */
	{ "sa", NULL,
		NULL, NULL, 0, 0, MK_PKI_SIGNING, CONTROL, CONTROL, false },

	{ "apiserver", "kube-apiserver",
		NULL, "ca", SERVER, API | LOCAL | NODE, PAIR, CONTROL, CONTROL, true },
	{ "apiserver-kubelet-client", "kube-apiserver-kubelet-client",
		NULL, "ca", CLIENT, 0, PAIR, CONTROL, CONTROL, false },
	{ "apiserver-etcd-client", "kube-apiserver-etcd-client",
		NULL, "etcd/ca", CLIENT, 0, PAIR, CONTROL, CONTROL, false },
	{ "front-proxy-client", "front-proxy-client",
		NULL, "front-proxy-ca", CLIENT, 0, PAIR, CONTROL, CONTROL, false },

	/* etcd calls itself with its serving pair, through its own gateway. */
	{ "etcd/server", "%s",
		NULL, "etcd/ca", BOTH, NODE | LOCAL, PAIR, CONTROL, CONTROL, true },
	/* One name for all: etcd tells its peers from its clients by it. */
	{ "etcd/peer", "etcd-peer",
		NULL, "etcd/ca", BOTH, NODE | LOCAL, PAIR, CONTROL, CONTROL, true },
	{ "etcd/healthcheck-client", "kube-etcd-healthcheck-client",
		NULL, "etcd/ca", CLIENT, 0, PAIR, CONTROL, CONTROL, false },

	{ "admin", "kubernetes-admin",
		"system:masters", "ca", CLIENT, 0, CONF, CONTROL, CONTROL, false },
	{ "controller-manager", "system:kube-controller-manager",
		NULL, "ca", CLIENT, 0, CONF, CONTROL, CONTROL, false },
	{ "scheduler", "system:kube-scheduler",
		NULL, "ca", CLIENT, 0, CONF, CONTROL, CONTROL, false },

	{ "kubelet", "system:node:%s",
		"system:nodes", "ca", CLIENT, 0, CONF, EVERY, EVERY, true },
	{ "kubelet-server", "system:node:%s",
		"system:nodes", "ca", SERVER, NODE | LOCAL, PAIR, EVERY, EVERY, true },
	{ "kube-proxy", "system:kube-proxy",
		"system:node-proxier", "ca", CLIENT, 0, CONF, EVERY, EVERY, false },

	/* By this name the API server calls what an APIService names. */
	{ "metrics-server", "metrics-server.kube-system.svc",
		NULL, "ca", SERVER, OWN, SECRET, CONTROL, CONTROL, false },
};
/* clang-format on */

const struct mk_pki_row *mk_pki_rows(size_t *ret_count)
{
	*ret_count = MK_ARRAY_LEN(rows);
	return rows;
}

const struct mk_pki_row *mk_pki_row_find(const char *name)
{
	for (size_t i = 0; i < MK_ARRAY_LEN(rows); i++) {
		if (mk_streq(rows[i].name, name))
			return &rows[i];
	}
	return NULL;
}

enum mk_key_kind mk_pki_row_key_kind(const struct mk_pki_row *row, enum mk_key_kind wanted)
{
	/* For tokens pkg/serviceaccount/jwt.go of Kubernetes knows RSA and ECDSA only. */
	if (row->form == MK_PKI_SIGNING && wanted == MK_KEY_ED25519)
		return MK_KEY_EC_P256;
	return wanted;
}

int64_t mk_pki_row_lifetime(const struct mk_pki_row *row)
{
	return row->usages & MK_CERT_CA ? 3650 * DAY_S : 365 * DAY_S;
}

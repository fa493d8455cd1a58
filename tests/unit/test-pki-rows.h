/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the table of certificates must come to in a cluster of three control planes
 * and two workers, written out row by row. Private to test-pki-table.c.
 */
#ifndef MK_TESTS_UNIT_TEST_PKI_ROWS_H
#define MK_TESTS_UNIT_TEST_PKI_ROWS_H

#include "pki/bundle.h"

#define NODES 5

#define KUBE "/etc/kubernetes/"
#define PKI KUBE "pki/"

/* What lib/cluster adds: where the API is published, the load balancer, the user's. */
static char *sans_items[] = { (char[]){ "127.0.0.1" }, (char[]){ "dev-load-balancer" },
	(char[]){ "172.20.0.7" }, (char[]){ "Api.Example.com" }, (char[]){ "192.0.2.9" },
	(char[]){ "FD00:0::9" }, (char[]){ "LOCALHOST" } };
static const struct mk_strlist extra_sans = { sans_items, MK_ARRAY_LEN(sans_items) };
static const struct mk_pki_node nodes[NODES] = {
	{ "cp1", "172.20.0.2", true },
	{ "cp2", "172.20.0.3", true },
	{ "cp3", "172.20.0.4", true },
	{ "w1", "172.20.0.5", false },
	{ "w2", "172.20.0.6", false },
};
static const struct mk_pki_spec spec = {
	.cluster = "dev",
	.service_ip = "10.96.0.1",
	.server = "https://172.20.0.7:6443",
	.api_sans = &extra_sans,
	.nodes = nodes,
	.node_count = NODES,
};

/* All names of the API, in the order of the alphabet, as everything below. */
#define API_DNS                                                                                    \
	"api.example.com cp1 cp2 cp3 dev-load-balancer host.docker.internal kubernetes "           \
	"kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster "                \
	"kubernetes.default.svc.cluster.local kubernetes.svc.cluster.local localhost"
#define API_IPS                                                                                    \
	"10.96.0.1 127.0.0.1 172.20.0.2 172.20.0.3 172.20.0.4 172.20.0.7 192.0.2.9 ::1 fd00::9"

enum role { CA, CLIENT, SERVER, BOTH };

/* One certificate: of one node, or of all. */
struct leaf {
	const char *node; /* "*": the same in all of them */
	const char *subject;
	const char *dns;
	const char *ips;
};

struct expected {
	const char *row;
	const char *signer, *issuer;
	enum role role;
	struct leaf leaves[NODES];
	/* "PATH MODE" each, in every control plane and in every worker. */
	const char *control_plane[4];
	const char *worker[4];
};

static const struct expected all[] = {
	{ "ca", "ca", "CN=kubernetes-ca", CA, { { "*", "CN=kubernetes-ca", "", "" } },
		{ PKI "ca.crt 644", PKI "ca.key 600", PKI "ca-signer.crt 644" },
		{ PKI "ca.crt 644" } },
	{ "etcd/ca", "etcd/ca", "CN=etcd-ca", CA, { { "*", "CN=etcd-ca", "", "" } },
		{ PKI "etcd/ca.crt 644", PKI "etcd/ca.key 600" }, { NULL } },
	{ "front-proxy-ca", "front-proxy-ca", "CN=front-proxy-ca", CA,
		{ { "*", "CN=front-proxy-ca", "", "" } },
		{ PKI "front-proxy-ca.crt 644", PKI "front-proxy-ca.key 600" }, { NULL } },
	{ "apiserver", "ca", "CN=kubernetes-ca", SERVER,
		{ { "cp1", "CN=kube-apiserver", API_DNS, API_IPS },
			{ "cp2", "CN=kube-apiserver", API_DNS, API_IPS },
			{ "cp3", "CN=kube-apiserver", API_DNS, API_IPS } },
		{ PKI "apiserver.crt 644", PKI "apiserver.key 600" }, { NULL } },
	{ "apiserver-kubelet-client", "ca", "CN=kubernetes-ca", CLIENT,
		{ { "*", "CN=kube-apiserver-kubelet-client", "", "" } },
		{ PKI "apiserver-kubelet-client.crt 644", PKI "apiserver-kubelet-client.key 600" },
		{ NULL } },
	{ "apiserver-etcd-client", "etcd/ca", "CN=etcd-ca", CLIENT,
		{ { "*", "CN=kube-apiserver-etcd-client", "", "" } },
		{ PKI "apiserver-etcd-client.crt 644", PKI "apiserver-etcd-client.key 600" },
		{ NULL } },
	{ "front-proxy-client", "front-proxy-ca", "CN=front-proxy-ca", CLIENT,
		{ { "*", "CN=front-proxy-client", "", "" } },
		{ PKI "front-proxy-client.crt 644", PKI "front-proxy-client.key 600" }, { NULL } },
	{ "etcd/server", "etcd/ca", "CN=etcd-ca", BOTH,
		{ { "cp1", "CN=cp1", "cp1 localhost", "127.0.0.1 172.20.0.2 ::1" },
			{ "cp2", "CN=cp2", "cp2 localhost", "127.0.0.1 172.20.0.3 ::1" },
			{ "cp3", "CN=cp3", "cp3 localhost", "127.0.0.1 172.20.0.4 ::1" } },
		{ PKI "etcd/server.crt 644", PKI "etcd/server.key 600" }, { NULL } },
	{ "etcd/peer", "etcd/ca", "CN=etcd-ca", BOTH,
		{ { "cp1", "CN=etcd-peer", "cp1 localhost", "127.0.0.1 172.20.0.2 ::1" },
			{ "cp2", "CN=etcd-peer", "cp2 localhost", "127.0.0.1 172.20.0.3 ::1" },
			{ "cp3", "CN=etcd-peer", "cp3 localhost", "127.0.0.1 172.20.0.4 ::1" } },
		{ PKI "etcd/peer.crt 644", PKI "etcd/peer.key 600" }, { NULL } },
	{ "etcd/healthcheck-client", "etcd/ca", "CN=etcd-ca", CLIENT,
		{ { "*", "CN=kube-etcd-healthcheck-client", "", "" } },
		{ PKI "etcd/healthcheck-client.crt 644", PKI "etcd/healthcheck-client.key 600" },
		{ NULL } },
	{ "admin", "ca", "CN=kubernetes-ca", CLIENT,
		{ { "*", "CN=kubernetes-admin,O=system:masters", "", "" } },
		{ KUBE "admin.conf 600" }, { NULL } },
	{ "controller-manager", "ca", "CN=kubernetes-ca", CLIENT,
		{ { "*", "CN=system:kube-controller-manager", "", "" } },
		{ KUBE "controller-manager.conf 600" }, { NULL } },
	{ "scheduler", "ca", "CN=kubernetes-ca", CLIENT,
		{ { "*", "CN=system:kube-scheduler", "", "" } }, { KUBE "scheduler.conf 600" },
		{ NULL } },
	{ "kubelet", "ca", "CN=kubernetes-ca", CLIENT,
		{ { "cp1", "CN=system:node:cp1,O=system:nodes", "", "" },
			{ "cp2", "CN=system:node:cp2,O=system:nodes", "", "" },
			{ "cp3", "CN=system:node:cp3,O=system:nodes", "", "" },
			{ "w1", "CN=system:node:w1,O=system:nodes", "", "" },
			{ "w2", "CN=system:node:w2,O=system:nodes", "", "" } },
		{ KUBE "kubelet.conf 600" }, { KUBE "kubelet.conf 600" } },
	{ "kubelet-server", "ca", "CN=kubernetes-ca", SERVER,
		{ { "cp1", "CN=system:node:cp1,O=system:nodes", "cp1 localhost",
			  "127.0.0.1 172.20.0.2 ::1" },
			{ "cp2", "CN=system:node:cp2,O=system:nodes", "cp2 localhost",
				"127.0.0.1 172.20.0.3 ::1" },
			{ "cp3", "CN=system:node:cp3,O=system:nodes", "cp3 localhost",
				"127.0.0.1 172.20.0.4 ::1" },
			{ "w1", "CN=system:node:w1,O=system:nodes", "localhost w1",
				"127.0.0.1 172.20.0.5 ::1" },
			{ "w2", "CN=system:node:w2,O=system:nodes", "localhost w2",
				"127.0.0.1 172.20.0.6 ::1" } },
		{ PKI "kubelet-server.crt 644", PKI "kubelet-server.key 600" },
		{ PKI "kubelet-server.crt 644", PKI "kubelet-server.key 600" } },
	{ "kube-proxy", "ca", "CN=kubernetes-ca", CLIENT,
		{ { "*", "CN=system:kube-proxy,O=system:node-proxier", "", "" } },
		{ KUBE "kube-proxy.conf 600" }, { KUBE "kube-proxy.conf 600" } },
	{ "metrics-server", "ca", "CN=kubernetes-ca", SERVER,
		{ { "*", "CN=metrics-server.kube-system.svc", "metrics-server.kube-system.svc",
			"" } },
		{ NULL }, { NULL } },
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All keys, certificates and other secrets of one new cluster, and the files
 * in which each node gets its share. What there is stands in table.h.
 */
#ifndef MK_PKI_BUNDLE_H
#define MK_PKI_BUNDLE_H

#include "pki/table.h"

#include <sys/types.h>

struct mk_pki_node {
	const char *name; /* the host and Kubernetes node name, lower case */
	const char *ip;
	bool control_plane;
};

/*
 * How far the CAs of a cluster are on the way to new ones. Whoever is at one stage
 * trusts whoever is at the one before or after it, so nodes can go there one by one.
 */
enum mk_pki_stage {
	MK_PKI_SETTLED, /* one set of CAs */
	MK_PKI_TRUSTED, /* new CAs are trusted, beside those that sign */
	MK_PKI_ISSUED,  /* the new ones sign, and the previous ones are still trusted */
};

/** "settled", "trusted", "issued". */
const char *mk_pki_stage_name(enum mk_pki_stage stage);

/** A step on that way; onward from MK_PKI_ISSUED is MK_PKI_SETTLED. */
enum mk_pki_turn {
	MK_PKI_STAY,
	MK_PKI_ONWARD,
	MK_PKI_BACK,
};

/** The cluster to make secrets for. All pointers are borrowed, and none is
 * needed once mk_pki_bundle_new is back. A certificate ends with its CA at the latest. */
struct mk_pki_spec {
	const char *cluster;       /* its name, for kubeconfigs */
	enum mk_key_kind key_kind; /* mk_pki_row_key_kind says what keeps to it */
	int64_t lifetime_s;        /* of all but CAs, from now on; 0 is the table's */
	int64_t ca_lifetime_s;     /* of CAs likewise */
	const char *dns_domain;    /* of services; NULL is "cluster.local" */
	const char *service_ip;    /* of the service "kubernetes": the first of the service CIDR */
	const char *server;        /* the API's URL for kubelets and kube-proxies */
	/* Further names and addresses of the API: the load balancer's, the user's. */
	const struct mk_strlist *api_sans;
	const struct mk_pki_node *nodes;
	size_t node_count;
	enum mk_pki_turn turn; /* mk_pki_bundle_join */
};

/** One file of a node; `data` is valid, and held, only during the call. */
struct mk_pki_file {
	const char *path; /* absolute */
	mode_t mode;      /* 0600 for what holds a key, else 0644; owner root */
	const char *data;
	size_t len;
};

struct mk_pki_bundle;

/**
 * Make everything at once: milliseconds with EC and Ed25519 keys, about a
 * second a key and processor with RSA 4096; MK_EINTR when interrupted between two keys.
 * MK_EINVALID when a name or address is malformed or given to two nodes, when a
 * node's name is too long for a certificate (52 characters), and when no node
 * is of the control plane.
 */
int mk_pki_bundle_new(const struct mk_pki_spec *spec, struct mk_pki_bundle **ret,
	struct mk_error *err) MK_CHECKED;

/** Where the files of a cluster that exists are: `read` appends the one at the
 * absolute path to `ret`, or fails. */
struct mk_pki_source {
	int (*read)(void *arg, const char *path, struct mk_buf *ret, struct mk_error *err);
	void *arg;
};

/**
 * As mk_pki_bundle_new, for nodes that join a cluster: its CAs, the key of its
 * service account tokens and its encryption keys are read from a control plane's
 * files; all else is made anew for every node of the spec and signed by them. With a
 * turn, the CAs first go a stage on or back. MK_EINVALID also when what was read does
 * not belong together, and when there is nothing to go back from.
 */
int mk_pki_bundle_join(const struct mk_pki_spec *spec, const struct mk_pki_source *source,
	struct mk_pki_bundle **ret, struct mk_error *err) MK_CHECKED;

/** The stage that the cluster is at when it has the files of the bundle. */
enum mk_pki_stage mk_pki_bundle_stage(const struct mk_pki_bundle *bundle);

/** Append in PEM all that is trusted under the name of a CA: the one that signs first. */
int mk_pki_bundle_trust(const struct mk_pki_bundle *bundle, const char *name, struct mk_buf *ret,
	struct mk_error *err) MK_CHECKED;

/** Wipe all keys and free; NULL is fine. */
void mk_pki_bundle_free(struct mk_pki_bundle *bundle);
MK_DEFINE_CLEANUP(struct mk_pki_bundle *, mk_pki_bundle_free);

#define mk_autopki MK_CLEANUP(mk_pki_bundle_freep) struct mk_pki_bundle

/**
 * The certificate of a row of the table, "etcd/server", on the node of this
 * index in the spec (any node for what is not per node). Borrowed; NULL when
 * there is none.
 */
const struct mk_cert *mk_pki_bundle_cert(
	const struct mk_pki_bundle *bundle, const char *name, size_t node);

/** The private key likewise. */
const struct mk_key *mk_pki_bundle_key(
	const struct mk_pki_bundle *bundle, const char *name, size_t node);

/**
 * Append a kubeconfig with the certificate of a row. `entry` names cluster, user
 * and context alike, so that the file can be merged with others; NULL takes the
 * cluster's name, the certificate's user, and USER@CLUSTER. The buffer then
 * holds a private key: the caller wipes it.
 */
int mk_pki_bundle_kubeconfig(const struct mk_pki_bundle *bundle, const char *name, size_t node,
	const char *server, const char *entry, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/**
 * Call `add` for each file of one node, in the table's order: certificates,
 * keys, kubeconfigs, and on control planes MK_PKI_SIGNER_PATH and
 * MK_PKI_ENCRYPTION_PATH. A CA's file holds all that is trusted in its place; its pair
 * that is not the signer's is in NAME-next or NAME-previous on control planes. Workers get
 * the cluster CA's certificate, their kubelet's and kube-proxy's, and nothing
 * else. Stops at the first failure of `add` and returns it.
 */
int mk_pki_bundle_each_file(const struct mk_pki_bundle *bundle, size_t node,
	int (*add)(void *arg, const struct mk_pki_file *file, struct mk_error *err), void *arg,
	struct mk_error *err) MK_CHECKED;

#endif

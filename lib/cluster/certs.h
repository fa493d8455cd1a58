/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificates of a cluster, wherever they lie: in the files and kubeconfigs of
 * its nodes, in the user's kubeconfig, in the cluster's own Secret. Read from where
 * they are used, not from what was once written, so what someone has changed shows.
 */
#ifndef MK_CLUSTER_CERTS_H
#define MK_CLUSTER_CERTS_H

#include "lib/docker/client.h"
#include "pki/bundle.h"

struct mk_found_cert {
	char *node; /* the node it is in; NULL: in none */
	char *path; /* absolute; of a Secret "secret/NAMESPACE/NAME" */
	char *name; /* of its row in the table of certificates; "": it is in none */
	struct mk_cert *cert;
};

struct mk_found_certs {
	struct mk_found_cert *items;
	size_t count;
	enum mk_pki_stage stage; /* of the first control plane */
	char *unread;            /* why a Secret is missing here, or NULL */
};

void mk_found_certs_done(struct mk_found_certs *certs);
#define mk_autofoundcerts MK_CLEANUP(mk_found_certs_done) struct mk_found_certs

/**
 * Find all certificates of the cluster, whose nodes need not run; `kubeconfig` is the
 * user's file or NULL, as for mk_userconfig_path. By node, then in the order of the
 * table. The Secret is left out, with a reason, when the API does not answer.
 * MK_ENOTFOUND names the clusters there are; MK_EINVALID a file that holds no
 * certificate where one should be.
 */
int mk_certs_find(struct mk_docker *docker, const char *name, const char *kubeconfig,
	struct mk_found_certs *ret, struct mk_error *err) MK_CHECKED;

/** The same in the files of nodes alone: what a start depends on. `nodes` is an array
 * as of mk_cluster_nodes. */
int mk_certs_find_in_nodes(struct mk_docker *docker, const json_t *nodes,
	struct mk_found_certs *ret, struct mk_error *err) MK_CHECKED;

/** The one that is the first to expire, CAs included; NULL when there is none. */
const struct mk_found_cert *mk_certs_first_to_expire(const struct mk_found_certs *certs);

#endif

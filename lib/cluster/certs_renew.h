/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New certificates for a cluster that exists, in place: its pods go on running. New
 * CAs come in stages (pki/bundle.h), each of which can be left for as long as one
 * likes, and gone back from.
 */
#ifndef MK_CLUSTER_CERTS_RENEW_H
#define MK_CLUSTER_CERTS_RENEW_H

#include "lib/cluster/create.h"
#include "pki/bundle.h"

/** `start` renews what has less than this left. */
#define MK_RENEW_BEFORE_S ((int64_t)30 * 86400)

struct mk_renew_options {
	const char *kubeconfig; /* as in mk_create_options */
	enum mk_pki_turn turn;  /* MK_PKI_STAY: certificates only, no CA */
	int64_t timeout_ms;
	struct mk_create_report report;
};

struct mk_renew_result {
	enum mk_pki_stage stage; /* that the cluster is at now */
	bool finished;           /* a stage begun by a run that was killed, not a turn */
};

/**
 * Make every certificate anew, signed by the CAs of the cluster's present stage, or,
 * with a turn, of the next; also the one in the user's kubeconfig. Control planes take
 * them one after another, so that the API of several answers all along; kubelets and
 * kube-proxies are restarted, and no pod is. To trust new CAs pods are restarted as
 * their Deployments say, before the new CAs sign.
 *
 * Expired certificates are no obstacle: only then is the cluster's lock not taken, which
 * is in the API. A failed run leaves nodes that trust each other; the next finishes what
 * it began. MK_EHOST when a node does not run that has to; MK_EINVALID when there is
 * nothing to go back from; MK_EEXISTS says who holds the lock.
 */
int mk_certs_renew(struct mk_docker *docker, const char *name,
	const struct mk_renew_options *options, struct mk_renew_result *ret,
	struct mk_error *err) MK_CHECKED;

/** A renewal whose rest has to wait for an API. */
struct mk_renewal;

/** Wipe and free; NULL is fine. */
void mk_renewal_free(struct mk_renewal *renewal);
MK_DEFINE_CLEANUP(struct mk_renewal *, mk_renewal_free);

/**
 * Before a start: renew what expires within MK_RENEW_BEFORE_S in `nodes` (an array as of
 * mk_cluster_nodes), which run or do not, without an API. `*ret`, NULL before, is the
 * renewal if something was due; its rest then has to follow the start. A failure is one
 * only when something has expired: else the cluster can still be started.
 */
int mk_certs_renew_due(struct mk_docker *docker, const char *name, const json_t *nodes,
	int64_t deadline, struct mk_renewal **ret, struct mk_error *err) MK_CHECKED;

/** After it: what is in the API and in the user's kubeconfig. */
int mk_certs_renew_rest(struct mk_renewal *renewal, struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* `create`: from a specification to a cluster that answers, or to nothing. */
#ifndef MK_CLUSTER_CREATE_H
#define MK_CLUSTER_CREATE_H

#include "lib/cluster/spec.h"
#include "lib/docker/client.h"

#include <stdint.h>

/** How a run reports itself. Called in order, from the calling thread. */
struct mk_create_report {
	void *payload;
	void (*begin)(void *payload, const char *title);
	/** `note` is what is worth knowing of the step, or NULL. */
	void (*end)(void *payload, const char *title, int64_t ms, const char *note);
};

struct mk_create_options {
	const char *kubeconfig; /* the file to merge into, or NULL for kubectl's rules */
	bool switch_context;
	bool resume;        /* go on with what an earlier run has left */
	bool retain;        /* keep what was made when the bring-up fails */
	int64_t timeout_ms; /* for the whole */
	struct mk_create_report report;
};

/** What a finished run has to say. Strings are owned: mk_create_result_done. */
struct mk_create_result {
	char *context;
	char *kubeconfig;
	char *api_url;
	char *gateway_url;  /* NULL without OpenFaaS */
	char *registry;     /* host address:port */
	char *profile;      /* "privileged" or "restricted" */
	bool gateway_moved; /* 31112, or what was asked for, was taken */
	bool stand_in;      /* the provider is the stand-in, not faas-netes */

	bool needs_cni;   /* nodes and pods wait for the user's CNI */
	bool needs_proxy; /* services wait for the user's substitute of kube-proxy */

	/* The ports of single nodes: "127.0.0.1:8080->80/tcp NODE". */
	struct mk_strlist ports;
};

void mk_create_result_done(struct mk_create_result *result);
#define mk_autoresult MK_CLEANUP(mk_create_result_done) struct mk_create_result

/**
 * Make the cluster. Returns when every node is Ready, DNS and OpenFaaS are
 * available and the gateway has answered; without a CNI or kube-proxy of ours, when
 * all has come up that can. On failure and on interrupt all that
 * this run made is removed (by its run id, so nothing of another run is touched)
 * unless `retain`. With `resume`, nodes that an earlier run of the same spec has made
 * are brought to their end, and kept whatever comes; without any, or when they lack
 * files, it is begun anew. MK_EUSAGE, MK_EHOST, MK_EEXISTS before anything was made;
 * MK_EBRINGUP, MK_ETIMEOUT, MK_EINTR after.
 */
int mk_cluster_create(struct mk_docker *docker, const struct mk_cluster_spec *spec,
	const struct mk_create_options *options, struct mk_create_result *ret,
	struct mk_error *err) MK_CHECKED;

#endif

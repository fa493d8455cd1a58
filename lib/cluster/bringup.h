/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of `create`, private to lib/cluster: what the steps share. steps.c is
 * the order, step_*.c are the steps.
 */
#ifndef MK_CLUSTER_BRINGUP_H
#define MK_CLUSTER_BRINGUP_H

#include "lib/cluster/create.h"
#include "lib/cluster/plan.h"
#include "lib/cluster/spec.h"
#include "lib/docker/client.h"
#include "lib/kube/client.h"
#include "pki/bundle.h"

#include <stdint.h>

struct mk_bringup {
	const struct mk_create_options *options;
	const struct mk_cluster_spec *spec;
	struct mk_docker *docker; /* borrowed */
	struct mk_kube *kube;
	struct mk_pki_bundle *pki;
	int64_t deadline;
	int64_t next_unit_check;

	char *run_id;
	char *network;    /* its name */
	char *network_id; /* two runs of one name may both have made one */
	struct mk_cidr subnet;
	int64_t mtu;
	struct mk_plan plan;
	bool joining;                 /* nodes for a cluster that exists, not a new one */
	bool resuming;                /* the nodes are there already */
	struct mk_cluster_spec begun; /* of a resumed run: what the nodes were made from */
	bool started;                 /* something of ours may exist in the engine */
	json_t *images;               /* role -> image: the node image's, then the spec's */
	const char *provider;         /* "stand-in", or another word of the image's label */
	json_t *image_info;
	json_t *node_images; /* image -> what it holds, of the nodes' own */
	bool cgroup_v1;
	int64_t host_cpus; /* of the engine's host; 0: it does not say */
	enum mk_profile profile;
	int64_t api_port, gateway_port, registry_port;
	json_t *host_ports; /* node -> the ports of its spec's ports, an array of numbers */
	char *password;
	char *kubeconfig_path;
	const struct mk_pki_source *secrets; /* the CAs and keys to use; NULL: new ones */
	/* What a restore puts into the nodes besides, before they start; or nothing. */
	struct {
		int (*fill)(void *arg, const struct mk_bringup *b, struct mk_error *err);
		void *arg;
	} extra;
};

/** One step: what the user reads while it runs, and what it does. A step may
 * set `*ret_note` (owned by the caller) to what is worth saying about it. */
struct mk_step {
	const char *title;
	int (*run)(struct mk_bringup *b, char **ret_note, struct mk_error *err);
	bool (*skip)(const struct mk_bringup *b); /* NULL: never */
	bool whole; /* the cluster is: a failure leaves it, only an interrupt undoes it */
};

extern const struct mk_step mk_create_steps[];
extern const size_t mk_create_step_count;

/** Of a resumed run: whether the nodes are there (b->resuming); if not all of them
 * can be, what is there is removed. */
int mk_step_find(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;
/** Of a resumed run: the password that OpenFaaS has, or a new one. */
int mk_step_find_password(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;

int mk_step_check_host(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;
int mk_step_make_secrets(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;
int mk_step_start_nodes(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;
int mk_step_wait_api(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;
int mk_step_apply(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;
int mk_step_wait_nodes(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;
int mk_step_wait_dns(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;
int mk_step_start_addons(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;
int mk_step_wait_openfaas(struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;
int mk_step_write_kubeconfig(
	struct mk_bringup *b, char **ret_note, struct mk_error *err) MK_CHECKED;

/** Run steps in order; on a failure and on an interrupt the way back, as mk_cluster_create
 * has it. */
int mk_bringup_run(struct mk_bringup *b, const struct mk_step *steps, size_t count,
	struct mk_error *err) MK_CHECKED;

/** What a finished run has to say. */
void mk_bringup_result(const struct mk_bringup *b, struct mk_create_result *ret);

/** Tell a cluster whose objects come from a snapshot what is true of its nodes now: where
 * the registry is, and the pair that metrics-server serves with. */
int mk_bringup_tell_place(struct mk_bringup *b, struct mk_error *err) MK_CHECKED;

/** Note in the first control plane that the bring-up has come to its end. Without
 * the note only a hint is different, so a failure is none of the user's. */
void mk_resume_mark_whole(struct mk_bringup *b);

/** Whether the node, a first control plane, has that note, or cannot be asked. */
bool mk_resume_is_whole(struct mk_docker *docker, const char *container);

/** Whether a failure is about bringing up what exists, not about its making. */
bool mk_bringup_is_failure(enum mk_code code);

/** Whether nothing that depends on Services comes up: the user brings the network. */
bool mk_bringup_no_services(const struct mk_bringup *b);

/** How long to watch before asking whether the units stay up, of which no watch tells: a
 * deadline within b's own. */
int64_t mk_bringup_slice(const struct mk_bringup *b);

/** After such a watch, which ended with `*r`: whether there is time for another, and a
 * reason. Units that do not stay up are none: `*r` and `err` say so then. */
bool mk_bringup_goes_on(struct mk_bringup *b, int *r, struct mk_error *err);

/** Release what `b` owns. */
void mk_bringup_done(struct mk_bringup *b);
#define mk_autobringup MK_CLEANUP(mk_bringup_done) struct mk_bringup

/** The images of pods and the provider, by the node image's labels and the spec.
 * MK_EHOST when the image is absent or not one of ours. */
int mk_bringup_read_image(struct mk_bringup *b, struct mk_error *err) MK_CHECKED;

/** The engine's version of cgroups, and its CPUs. `*ret_engine`, unless NULL, is "NAME VERSION";
 * the caller frees it. */
int mk_bringup_read_engine(
	struct mk_bringup *b, char **ret_engine, struct mk_error *err) MK_CHECKED;

/** Certificates for every node of the plan: new CAs, or those of `source` after the turn. */
int mk_bringup_make_bundle(struct mk_bringup *b, const struct mk_pki_source *source,
	enum mk_pki_turn turn, struct mk_error *err) MK_CHECKED;

/** Create, fill and start every fresh node of the plan, side by side, with this
 * profile. What was made before a failure carries the run's id. */
int mk_nodes_make(struct mk_bringup *b, enum mk_profile profile, struct mk_error *err) MK_CHECKED;

/** Give metrics-server the bundle's pair, and the API server its CAs, if the cluster
 * has one; nothing else of it is applied. */
int mk_bringup_renew_metrics(struct mk_bringup *b, struct mk_error *err) MK_CHECKED;

/** Wait until the gateway answers at its port of the host. */
int mk_bringup_wait_gateway(struct mk_bringup *b, struct mk_error *err) MK_CHECKED;

/** Label the control planes with their role: a kubelet may not give itself one
 * (NodeRestriction). */
int mk_bringup_set_roles(struct mk_bringup *b, struct mk_error *err) MK_CHECKED;

/** The archive of every file that makes the image this node of the cluster. The
 * buffer holds private keys: the caller wipes it. */
int mk_node_archive(const struct mk_bringup *b, const struct mk_node_plan *node, struct mk_buf *ret,
	struct mk_error *err) MK_CHECKED;

/** The body of POST /containers/create for the node. The caller owns it. */
json_t *mk_node_container(const struct mk_bringup *b, const struct mk_node_plan *node);

/**
 * Whether one of our units on the first `count` nodes has been restarted again and
 * again: MK_EBRINGUP names it. 0 when none has, and when a node cannot be asked.
 */
int mk_check_units(struct mk_bringup *b, size_t count, struct mk_error *err) MK_CHECKED;

/** MK_EBRINGUP when the first control plane has stopped or was restarted. */
int mk_node_still_runs(void *bringup, struct mk_error *err) MK_CHECKED;

/** Put what failed units and pods say about the failure into err->detail. */
void mk_diagnose(struct mk_bringup *b, struct mk_error *err);

#endif

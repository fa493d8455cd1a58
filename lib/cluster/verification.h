/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of `verify`, private to lib/cluster: what its checks share. verify.c
 * has their table and order, verify_*.c the checks.
 */
#ifndef MK_CLUSTER_VERIFICATION_H
#define MK_CLUSTER_VERIFICATION_H

#include "lib/cluster/verify.h"
#include "lib/docker/container.h"
#include "lib/kube/client.h"

/* The longest a single check waits for something to come up. */
#define MK_VERIFY_WAIT_MS 45000
/* A command in a node, or an answer of something that runs already. */
#define MK_VERIFY_ANSWER_MS 10000
/* How long an interrupt waits for a request that makes something: what was made
 * must be known to be removed. */
#define MK_VERIFY_SETTLE_MS 2000
/* What a check may find: it was not tried, and its note says why. */
#define MK_VERIFY_SKIPPED 1

/** A container of the cluster, as the engine knows it. Strings are borrowed from
 * `list` of the run. */
struct mk_verify_node {
	const char *id, *name, *ip;
	const char *pods; /* range of its pods' addresses, or "" */
	bool running, control_plane;
};

struct mk_verification {
	struct mk_docker *docker; /* borrowed */
	struct mk_kube *kube;
	const char *cluster;
	json_t *list;                 /* as mk_cluster_nodes */
	struct mk_verify_node *nodes; /* without load balancers; control planes first */
	size_t node_count, control_planes;
	const struct mk_verify_node *first; /* the first control plane that runs */
	json_t *images;                     /* role -> image in the nodes */
	char *registry_url;
	char *gateway_url; /* NULL without OpenFaaS */
	char *password;    /* of the gateway */
	int64_t deadline;

	char *run_id;
	char *namespace; /* of the probe; its deployment and pod's container are "probe" */
	bool namespace_made;
	char *pod, *pod_node; /* once it runs */

	char *function;            /* its name, and its repository's last part */
	char *repository;          /* in the registry, once something may be there */
	struct mk_strlist digests; /* blobs of ours there */
	bool function_made;
};

/** The sooner of the run's deadline and `ms` from now. */
int64_t mk_verify_deadline(const struct mk_verification *v, int64_t ms);

/** The same as milliseconds, at least 1. */
int64_t mk_verify_ms(const struct mk_verification *v, int64_t ms);

/** A command for a node of the run, for mk_container_exec_each. */
struct mk_exec_item mk_verify_command(const struct mk_verify_node *node, const char *const *argv);

/** 0 when the command could be run and has ended well, else -code with its last
 * words; `what` names it. */
int mk_verify_judge_command(const struct mk_verify_node *node, struct mk_exec_item *item,
	const char *what, struct mk_error *err);

typedef int (*mk_verify_judge)(const struct mk_verification *v, const struct mk_verify_node *node,
	struct mk_exec_item *item, struct mk_error *err);

/** Run argvs[i] on node i, of the first `count` those that run, and judge each.
 * `*ret_count` is how many they were. */
int mk_verify_each(struct mk_verification *v, size_t count, const char *const *const *argvs,
	mk_verify_judge judge, size_t *ret_count, struct mk_error *err);

/**
 * A check: 0 and a note when it passed, MK_VERIFY_SKIPPED and the reason as the
 * note, or -code. The caller frees the note.
 */
typedef int (*mk_verify_check)(struct mk_verification *v, char **ret_note, struct mk_error *err);

/* The checks, by the names of the table in verify.c. Those that begin something set
 * going what the check of the same name waits for. */
int mk_verify_ready(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_version(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_servers(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_etcd(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_nodes(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_routes(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_encryption(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_begin_deployment(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_deployment(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_exec(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_logs(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_forward(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_node_port(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_dns(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_begin_function(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_function(struct mk_verification *v, char **ret_note, struct mk_error *err);
int mk_verify_invoke(struct mk_verification *v, char **ret_note, struct mk_error *err);

/** Remove all that the run has made. Not interruptible; takes half a minute at
 * most. Goes on after a failure, and tells the first. */
int mk_verify_clean_up(struct mk_verification *v, char **ret_note, struct mk_error *err);

/** What keeps the pods of a selector from running, "pod x: ErrImageNeverPull: ...",
 * in front of the error. */
void mk_verify_explain_pods(struct mk_verification *v, const char *namespace, const char *selector,
	struct mk_error *err);

#endif

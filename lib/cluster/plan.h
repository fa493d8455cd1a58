/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machines of a cluster: names, roles and addresses, all decided before the
 * first container is made, and none left to the engine, which would give others
 * at the next start.
 */
#ifndef MK_CLUSTER_PLAN_H
#define MK_CLUSTER_PLAN_H

#include "lib/cluster/spec.h"

/*
 * Where each kind's addresses begin in the cluster's subnet: .1 is the gateway, then
 * control planes, balancer, workers. What is taken or does not fit has the next free.
 */
#define MK_PLAN_FIRST_CONTROL_PLANE 2
#define MK_PLAN_BALANCER 11
#define MK_PLAN_FIRST_WORKER 12

enum mk_role {
	MK_ROLE_CONTROL_PLANE,
	MK_ROLE_WORKER,
	MK_ROLE_LOAD_BALANCER, /* no Kubernetes node: only in front of 2 or more API servers */
};

/** "control-plane", "worker", "load-balancer": in names and labels. */
const char *mk_role_name(enum mk_role role);

struct mk_node_plan {
	enum mk_role role;
	char *name; /* of container, host and Kubernetes node */
	char *ip;
	char *pod_cidr;  /* NULL for a load balancer */
	char *container; /* the engine's id, once created */
	bool fresh;      /* to be made by this run */
	bool running;    /* of one that existed before */

	const struct mk_node_spec *spec; /* borrowed from the cluster's; NULL: nothing special */
	int64_t nano_cpus;               /* of the host, in billionths; 0: all */
	int64_t memory;                  /* bytes; 0: all */
};

void mk_node_plan_done(struct mk_node_plan *node);

/** Control planes first, then workers, then the load balancer if there is one. */
struct mk_plan {
	struct mk_node_plan *nodes;
	size_t count;
	size_t kube_count; /* Kubernetes nodes: without the load balancer */
	size_t control_planes;
	char *api_ip; /* where other machines reach the API */
	/* The load balancer's, if there is one or comes to be: certificates name it. */
	char *balancer_name;
	char *balancer_ip;
};

/**
 * Plan the cluster of a spec on this subnet. The plan points into the spec. An
 * address that a node's spec fixes is given to no other. MK_EUSAGE when the
 * subnet is too small, or a node's address or limit cannot be.
 */
int mk_plan_make(const struct mk_cluster_spec *spec, const struct mk_cidr *subnet,
	struct mk_plan *ret, struct mk_error *err) MK_CHECKED;
void mk_plan_done(struct mk_plan *plan);

/** Let the node, which has its name, be as the spec says of the node of that name:
 * also of one that comes back. MK_EUSAGE when a limit cannot be. */
int mk_node_plan_adopt(struct mk_node_plan *node, const struct mk_cluster_spec *spec,
	struct mk_error *err) MK_CHECKED;

/** The name of the spec's `i`th node. Caller frees. */
char *mk_plan_spec_name(const struct mk_cluster_spec *spec, size_t i);

/** The balancer's address, if there is a balancer: the same for a spec always.
 * Caller frees. */
char *mk_plan_balancer_address(const struct mk_cluster_spec *spec, const struct mk_cidr *subnet);

/** A copy that owns all of its own. Release with mk_plan_done. */
void mk_plan_copy(const struct mk_plan *plan, struct mk_plan *ret);

/**
 * The plan that a cluster follows, from its containers (mk_cluster_nodes): roles,
 * names and addresses are in their labels. MK_EFAIL when a label is damaged.
 */
int mk_plan_of_nodes(const json_t *nodes, const struct mk_cluster_spec *spec,
	const struct mk_cidr *subnet, struct mk_plan *ret, struct mk_error *err) MK_CHECKED;

/**
 * Add `count` fresh nodes of a role, with the first free names, addresses and pod
 * ranges; a second control plane brings a load balancer with it. MK_EUSAGE when the
 * limits or the ranges have no room. Pointers to the plan's nodes become invalid.
 */
int mk_plan_grow(struct mk_plan *plan, const struct mk_cluster_spec *spec,
	const struct mk_cidr *subnet, enum mk_role role, size_t count,
	struct mk_error *err) MK_CHECKED;

/** Take the node out of the plan. */
void mk_plan_drop(struct mk_plan *plan, const char *name);

/** "a=https://10.0.0.2:2380,b=https://10.0.0.3:2380": etcd's members when all begin as one
 * cluster. Caller frees. */
char *mk_plan_etcd_members(const struct mk_plan *plan);

/** The node of this name, or NULL. */
struct mk_node_plan *mk_plan_find(const struct mk_plan *plan, const char *name);

/** "dev-worker-2" for n = 1 of cluster dev. Caller frees. */
char *mk_plan_node_name(const char *cluster, enum mk_role role, size_t n);

/** The machine whose ports are published: the load balancer, or the only control plane. */
struct mk_node_plan *mk_plan_front(const struct mk_plan *plan);
bool mk_plan_has_balancer(const struct mk_plan *plan);

#endif

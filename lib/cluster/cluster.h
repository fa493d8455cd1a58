/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters as the engine knows them. There is no state file: what belongs to a
 * cluster carries its label, so listing and deleting work from anywhere, also
 * after a run that was killed.
 */
#ifndef MK_CLUSTER_CLUSTER_H
#define MK_CLUSTER_CLUSTER_H

#include "lib/docker/client.h"
#include "lib/kube/client.h"

#define MK_LABEL_CLUSTER "io.mkcluster.cluster"
#define MK_LABEL_ROLE "io.mkcluster.role"
#define MK_LABEL_RUN "io.mkcluster.run"
#define MK_LABEL_API "io.mkcluster.api"           /* host address:port of the API */
#define MK_LABEL_REGISTRY "io.mkcluster.registry" /* host address:port */
#define MK_LABEL_GATEWAY "io.mkcluster.gateway"   /* host address:port, or absent */
#define MK_LABEL_PODS "io.mkcluster.pods"         /* the node's range of pod addresses */
#define MK_LABEL_PORTS "io.mkcluster.ports"       /* further ports, "ADDRESS:PORT->PORT/tcp,..." */
#define MK_LABEL_IP "io.mkcluster.ip"             /* the node's address */

/** The role of a container that publishes a port (lib/cluster/port.h): beside the nodes,
 * and none of them. */
#define MK_ROLE_NAME_PORT "port"

/** The name of a cluster's entries in the user's kubeconfig. Caller frees. */
char *mk_cluster_context(const char *name);

/**
 * All that runs for clusters, or for cluster `name`: its nodes, load balancer and
 * published ports. An array of objects {cluster, name, role, state, ip, pods, image,
 * id, api, registry, gateway, ports}, sorted. The caller owns it.
 */
int mk_cluster_members(
	struct mk_docker *docker, const char *name, json_t **ret, struct mk_error *err) MK_CHECKED;

/** Whether a member is a published port; a machine that Kubernetes has as a node. */
bool mk_cluster_is_port(const json_t *member);
bool mk_cluster_is_kube(const json_t *member);

/** All nodes, or those of cluster `name`: mk_cluster_members without the ports. */
int mk_cluster_nodes(
	struct mk_docker *docker, const char *name, json_t **ret, struct mk_error *err) MK_CHECKED;

/** All clusters: an array of {name, nodes, running, api, gateway, registry}. */
int mk_cluster_list(struct mk_docker *docker, json_t **ret, struct mk_error *err) MK_CHECKED;

/** The names of all clusters, also of those of which a killed run left only a
 * network: added to `ret`. */
int mk_cluster_names(
	struct mk_docker *docker, struct mk_strlist *ret, struct mk_error *err) MK_CHECKED;

/** The first control plane of a cluster: an object as in mk_cluster_nodes.
 * MK_ENOTFOUND names the clusters there are. */
int mk_cluster_find(
	struct mk_docker *docker, const char *name, json_t **ret, struct mk_error *err) MK_CHECKED;

/** The administrator's identity, from the control plane's admin.conf, with the
 * address that reaches the API from here (or, `internal`, from other containers
 * of its network). */
int mk_cluster_identity(struct mk_docker *docker, const char *name, bool internal,
	struct mk_kube_identity *ret, struct mk_error *err) MK_CHECKED;

/** A client of the cluster's API with that identity, from here. Connects to nothing yet. */
int mk_cluster_connect(struct mk_docker *docker, const char *name, struct mk_kube **ret,
	struct mk_error *err) MK_CHECKED;

/** Append the OpenFaaS password. MK_ENOTFOUND when the cluster has no OpenFaaS. */
int mk_cluster_password(struct mk_docker *docker, const char *name, struct mk_buf *ret,
	struct mk_error *err) MK_CHECKED;

/** "http://127.0.0.1:31112" of a label's value, with the engine's own host when
 * that is another machine. Caller frees. */
char *mk_cluster_url(const struct mk_docker *docker, const char *scheme, const char *address);

/**
 * Remove everything with the label `key`=`value`: containers with their volumes,
 * side by side, then networks. Absent is fine; `ret_count`, when not NULL, is the
 * number of containers removed. Not interruptible: half a removal helps nobody.
 */
int mk_cluster_remove(struct mk_docker *docker, const char *key, const char *value,
	size_t *ret_count, struct mk_error *err) MK_CHECKED;

#endif

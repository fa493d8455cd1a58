/* SPDX-License-Identifier: Apache-2.0 */
/* A published port as the engine sees it, private to lib/cluster. */
#ifndef MK_CLUSTER_PORT_PRIVATE_H
#define MK_CLUSTER_PORT_PRIVATE_H

#include "lib/cluster/port.h"

/** Where the configuration is: a volume, for the rest of its files is read-only. */
#define MK_PORT_FOLDER "/etc/mkcluster"
/** What HAProxy prints once it listens (2.6, src/mworker.c). */
#define MK_PORT_READY "Loading success"

/** What all ports of one run have in common. Borrowed. */
struct mk_port_run {
	const char *cluster;
	const char *run_id;
	const char *image;
	const char *network; /* its id */
};

/** The name of the container: CLUSTER-port-HOST. Caller frees. */
char *mk_port_name(const char *cluster, int64_t host_port);

/** The body of POST /containers/create for a port, at `ip` of the cluster's network. */
json_t *mk_port_container(
	const struct mk_port_run *run, const struct mk_port_spec *port, const char *ip);

/** Append HAProxy's configuration for a port of these members' Kubernetes nodes. */
int mk_port_config(const json_t *members, int64_t node_port, struct mk_buf *ret,
	struct mk_error *err) MK_CHECKED;

/** Append the archive to unpack in MK_PORT_FOLDER: that configuration. */
int mk_port_archive(const json_t *members, int64_t node_port, struct mk_buf *ret,
	struct mk_error *err) MK_CHECKED;

/** The request that unpacks it in a container, its `raw` still empty. */
struct mk_docker_item mk_port_put(const char *id);

#endif

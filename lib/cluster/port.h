/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of the host that lead to a port of every node: added to and removed from a
 * cluster that runs. An engine publishes ports only when it creates a container, so
 * each is a small one of its own, from the cluster's node image on its network,
 * which runs nothing but HAProxy, as nobody, without a capability. TCP only.
 */
#ifndef MK_CLUSTER_PORT_H
#define MK_CLUSTER_PORT_H

#include "lib/cluster/spec.h"
#include "lib/docker/client.h"

/** The most that one command publishes. */
#define MK_MAX_PORTS 64

void mk_port_spec_done(struct mk_port_spec *port);
#define mk_autoport MK_CLEANUP(mk_port_spec_done) struct mk_port_spec

/**
 * Parse "[ADDRESS:]HOST:NODEPORT[/tcp]". HOST 0 is any free port; NODEPORT is what a
 * node listens on: a Service's NodePort, or a pod's hostPort. MK_EUSAGE.
 */
int mk_port_parse(const char *text, struct mk_port_spec *ret, struct mk_error *err) MK_CHECKED;

/**
 * Publish ports of a cluster that runs, all of them or none, side by side; returns
 * when all listen. Unset addresses and ports of `ports` are filled in. MK_EUSAGE for
 * one host port twice; MK_ENOTFOUND, MK_EEXISTS for a cluster or port; MK_EHOST when
 * the cluster is stopped or the host's port taken. What was made is removed after a
 * failure and an interrupt.
 */
int mk_ports_add(struct mk_docker *docker, const char *cluster, struct mk_port_spec *ports,
	size_t count, struct mk_error *err) MK_CHECKED;

/** The published ports: an array of {cluster, address, hostPort, nodePort, state},
 * by host port. The caller owns it. MK_ENOTFOUND when there is no such cluster. */
int mk_ports_list(struct mk_docker *docker, const char *cluster, json_t **ret,
	struct mk_error *err) MK_CHECKED;

/** No longer publish these ports of the host ("8080"), side by side. MK_ENOTFOUND
 * when any is not published, and then all stay; MK_EUSAGE for what is no port. */
int mk_ports_remove(struct mk_docker *docker, const char *cluster, const struct mk_strlist *hosts,
	struct mk_error *err) MK_CHECKED;

/**
 * Tell every published port of the cluster which nodes there are now, side by side:
 * to be called after nodes were added, or before one is removed, which is then left
 * out: `without` (NULL: none). HAProxy takes over its listening
 * socket and lets connections run on where they are. A port that is stopped learns
 * it at its next start. None published is fine.
 */
int mk_ports_update(struct mk_docker *docker, const char *cluster, const char *without,
	struct mk_error *err) MK_CHECKED;

#endif

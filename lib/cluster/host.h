/* SPDX-License-Identifier: Apache-2.0 */
/* What must be chosen free of everything else on the host: ports and a subnet. */
#ifndef MK_CLUSTER_HOST_H
#define MK_CLUSTER_HOST_H

#include "lib/cluster/spec.h"
#include "lib/docker/client.h"

/** "tcp", "udp", "sctp". */
const char *mk_protocol_name(enum mk_protocol protocol);

/** Ports that clusters already have, stopped ones included: an array of strings,
 * "127.0.0.1:6443/tcp". The caller owns it. */
int mk_host_ports_taken(struct mk_docker *docker, json_t **ret, struct mk_error *err) MK_CHECKED;

/**
 * A port of `address` that nothing listens on and no cluster of ours has: `wanted`
 * or, if `or_next`, the first free one after it; any free one when `wanted` is 0.
 * The port is added to `taken`. Chosen once and written down, for a port left to
 * the engine changes when the container restarts. MK_EHOST when it is taken. An
 * engine on another machine is taken at its word later. MK_EUSAGE for an address
 * that is none.
 */
int mk_host_choose_port(const struct mk_docker *docker, const char *address, int64_t wanted,
	bool or_next, json_t *taken, int64_t *ret, struct mk_error *err) MK_CHECKED;

/** The same for a port of a node, of any protocol. A port below 1024 that we may
 * not bind is taken at the engine's word. */
int mk_host_choose_node_port(const struct mk_docker *docker, const char *address,
	enum mk_protocol protocol, int64_t wanted, json_t *taken, int64_t *ret,
	struct mk_error *err) MK_CHECKED;

/**
 * The spec's subnet for a cluster's own network, or a /24, that overlaps no network
 * of the engine, no route of this host (a VPN's, say), nor the spec's pod and
 * service subnets. `skip` passes over that many free ones, for a second try after
 * a race. MK_EHOST names what takes the spec's subnet; MK_EUSAGE when its size
 * cannot be.
 */
int mk_host_choose_subnet(struct mk_docker *docker, const struct mk_cluster_spec *spec,
	unsigned skip, struct mk_cidr *ret, struct mk_error *err) MK_CHECKED;

/** The MTU of the engine's own bridge, which its networks should share: 1500 on
 * most hosts, less inside a VPN or an overlay. */
int mk_host_mtu(struct mk_docker *docker, int64_t *ret, struct mk_error *err) MK_CHECKED;

/**
 * Whether the kernel has inotify instances enough for this plan beside the
 * clusters that run. MK_EHOST names the setting, its value and the value needed:
 * without them kubelets and systemd fail with "too many open files", which no
 * file limit explains. An engine on another machine is not asked.
 */
int mk_host_check_inotify(struct mk_docker *docker, size_t control_planes, size_t workers,
	struct mk_error *err) MK_CHECKED;

/** Parse the text of /proc/net/route into `ret` (`cap` entries), the default
 * route left out. Returns the count. For tests apart. */
size_t mk_host_parse_routes(const char *text, struct mk_cidr *ret, size_t cap);

#endif

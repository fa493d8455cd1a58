/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of the engine. */
#ifndef MK_DOCKER_NETWORK_H
#define MK_DOCKER_NETWORK_H

#include "lib/docker/client.h"

/** The option of a network that holds its MTU. */
#define MK_NETWORK_MTU "com.docker.network.driver.mtu"

/** GET /networks/ID: MK_ENOTFOUND. The caller owns the result. */
int mk_network_inspect(
	struct mk_docker *docker, const char *id, json_t **ret, struct mk_error *err) MK_CHECKED;

/** All networks: an array. The caller owns it. */
int mk_network_list(struct mk_docker *docker, json_t **ret, struct mk_error *err) MK_CHECKED;

/** GET /networks/ID: what the list has, and the addresses in use ("Containers").
 * MK_ENOTFOUND. The caller owns it. */
int mk_network_inspect(
	struct mk_docker *docker, const char *id, json_t **ret, struct mk_error *err) MK_CHECKED;

/**
 * Make a bridge network with this subnet, gateway and MTU, and labels (an object
 * of strings). MK_EEXISTS when the name is taken or the subnet overlaps another
 * network's. Returns the id.
 */
int mk_network_create(struct mk_docker *docker, const char *name, const char *subnet,
	const char *gateway, int64_t mtu, const json_t *labels, char **ret_id,
	struct mk_error *err) MK_CHECKED;

/** Remove a network; an absent one is fine. */
int mk_network_remove(struct mk_docker *docker, const char *id, struct mk_error *err) MK_CHECKED;

#endif

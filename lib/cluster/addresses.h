/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of the nodes' subnet, and which of them are given away. */
#ifndef MK_CLUSTER_ADDRESSES_H
#define MK_CLUSTER_ADDRESSES_H

#include "lib/cluster/spec.h"

struct mk_addresses {
	struct mk_cidr subnet;
	uint32_t size; /* with the network's, the gateway's and the broadcast address */
	bool *used;
};

/** All of a subnet, a /8 to a /30, for `machines` machines. MK_EUSAGE when it has
 * fewer. */
int mk_addresses_init(const struct mk_cidr *subnet, size_t machines, struct mk_addresses *ret,
	struct mk_error *err) MK_CHECKED;
void mk_addresses_done(struct mk_addresses *addresses);
#define mk_autoaddresses MK_CLEANUP(mk_addresses_done) struct mk_addresses

/** Give this one away. MK_EUSAGE when it is no address, not of the subnet, or not
 * to be had. */
int mk_addresses_claim(
	struct mk_addresses *addresses, const char *ip, struct mk_error *err) MK_CHECKED;

/** Give away the first free one from the `first` on, and round. NULL when there is
 * none; the caller frees it. */
char *mk_addresses_next(struct mk_addresses *addresses, uint32_t first);

#endif

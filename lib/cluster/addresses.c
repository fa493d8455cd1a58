/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/addresses.h"

#include <arpa/inet.h>

/* Not for machines: the network's address, the gateway's, the broadcast address. */
#define RESERVED 3

int mk_addresses_init(const struct mk_cidr *subnet, size_t machines, struct mk_addresses *ret,
	struct mk_error *err)
{
	mk_autofree char *text = mk_cidr_print(subnet);

	*ret = (struct mk_addresses){ .subnet = *subnet };
	if (subnet->bits < 8 || subnet->bits > 30 ||
		machines + RESERVED > (size_t)1 << (32 - subnet->bits))
		return mk_fail(err, MK_EUSAGE, "node subnet %s is too small for %zu machines", text,
			machines);
	ret->size = (uint32_t)1 << (32 - subnet->bits);
	ret->used = mk_xcalloc(ret->size, sizeof(bool));
	ret->used[0] = ret->used[1] = ret->used[ret->size - 1] = true;
	return 0;
}

void mk_addresses_done(struct mk_addresses *addresses)
{
	free(addresses->used);
	*addresses = (struct mk_addresses){ .used = NULL };
}

int mk_addresses_claim(struct mk_addresses *addresses, const char *ip, struct mk_error *err)
{
	mk_autofree char *subnet = mk_cidr_print(&addresses->subnet);
	struct in_addr in = { .s_addr = 0 };
	uint32_t n;

	if (inet_pton(AF_INET, ip, &in) != 1)
		return mk_fail(err, MK_EUSAGE, "'%.64s' is not an IPv4 address", ip);
	n = ntohl(in.s_addr) - addresses->subnet.address;
	if (ntohl(in.s_addr) < addresses->subnet.address || n >= addresses->size) {
		(void)mk_fail(err, MK_EUSAGE, "the address %s is not in %s", ip, subnet);
		mk_error_hint(err, "networking.nodeSubnet says where the nodes' addresses are");
		return -MK_EUSAGE;
	}
	if (addresses->used[n])
		return mk_fail(err, MK_EUSAGE,
			"the address %s is another's, or not one for a machine", ip);
	addresses->used[n] = true;
	return 0;
}

char *mk_addresses_next(struct mk_addresses *addresses, uint32_t first)
{
	for (uint32_t i = 0; i < addresses->size; i++) {
		uint32_t n = (first + i) % addresses->size;

		if (addresses->used[n])
			continue;
		addresses->used[n] = true;
		return mk_cidr_address(&addresses->subnet, n);
	}
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The networks of a spec beside one another, and the nodes' addresses in theirs. */
#include "lib/cluster/config_internal.h"

#include <arpa/inet.h>

/* Of one of the networks, and what its size may be. */
struct network {
	const char *place;
	const char *text; /* NULL: none is given */
	unsigned largest, smallest;
	bool good;
	struct mk_cidr range;
};

/* Read what the file says rightly; say what is wrong with its size. */
static void read_network(struct mk_decode *d, struct network *n)
{
	mk_autoerror err = { .code = MK_OK };

	if (!n->text || mk_decode_is_bad(d, n->place))
		return;
	if (mk_cidr_parse(n->text, &n->range, &err) < 0) {
		mk_decode_problem(d, n->place, "%s", err.message);
		return;
	}
	n->good = n->range.bits >= n->largest && n->range.bits <= n->smallest;
	if (!n->good)
		mk_decode_problem(d, n->place, "'%s' must be between a /%u and a /%u", n->text,
			n->largest, n->smallest);
}

static void check_overlaps(struct mk_decode *d, const struct network *networks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct network *a = &networks[i], *b = &networks[j];

			if (a->good && b->good && mk_cidr_overlap(&a->range, &b->range))
				mk_decode_problem(d, a->place, "%s overlaps %s of %s", a->text,
					b->text, b->place);
		}
	}
}

/* Each node has a /24 of the pod network; a load balancer has none. */
static void check_room(struct mk_decode *d, const struct mk_cluster_spec *spec,
	const struct network *pods, const struct network *nodes)
{
	size_t count = (size_t)(spec->control_planes + spec->workers);
	size_t machines = count + (spec->control_planes > 1 ? 1 : 0);

	if (pods->good && count > (size_t)1 << (24 - pods->range.bits))
		mk_decode_problem(d, pods->place, "%s has no room for a /24 on each of %zu nodes",
			pods->text, count);
	/* The network, the gateway and the broadcast address are no machine's. */
	if (nodes->good && machines + 3 > (size_t)1 << (32 - nodes->range.bits))
		mk_decode_problem(d, nodes->place, "%s is too small: %zu %s need addresses",
			nodes->text, machines,
			machines > count ? "nodes and the load balancer" : "nodes");
}

static uint32_t last_of(const struct mk_cidr *range)
{
	return range->address | (uint32_t)(((uint64_t)1 << (32 - range->bits)) - 1);
}

/* What is wrong with a node's address in the subnet, or NULL. */
static const char *fault_of(uint32_t address, const struct mk_cidr *subnet)
{
	if (address < subnet->address || address > last_of(subnet))
		return "is not in networking.nodeSubnet";
	if (address == subnet->address)
		return "is the network's own address";
	if (address == subnet->address + 1)
		return "is the gateway's address";
	if (address == last_of(subnet))
		return "is the broadcast address";
	return NULL;
}

/* Addresses as their text, but by their value: no zeros in front are let in. */
static void check_ip(struct mk_decode *d, const char *ip, const char *at,
	const struct network *nodes, json_t *seen)
{
	struct in_addr in = { .s_addr = 0 };
	const char *fault = NULL, *owner;

	if (mk_decode_is_bad(d, at) || inet_pton(AF_INET, ip, &in) != 1)
		return;
	if (!nodes->text)
		mk_decode_problem(
			d, at, "needs networking.nodeSubnet to say which addresses are the nodes'");
	else if (nodes->good)
		fault = fault_of(ntohl(in.s_addr), &nodes->range);
	if (fault)
		mk_decode_problem(d, at, "%s %s", ip, fault);
	owner = json_string_value(json_object_get(seen, ip));
	if (owner)
		mk_decode_problem(d, at, "%s is %s already", ip, owner);
	else
		(void)json_object_set_new(seen, ip, json_string(at));
}

void mk_config_check_networks(struct mk_decode *d, const struct mk_cluster_spec *spec)
{
	struct network networks[] = {
		{ .place = "networking.podSubnet",
			.text = spec->pod_subnet,
			.largest = 8,
			.smallest = 24 },
		{ .place = "networking.serviceSubnet",
			.text = spec->service_subnet,
			.largest = 12,
			.smallest = 26 },
		{ .place = "networking.nodeSubnet",
			.text = spec->node_subnet,
			.largest = 16,
			.smallest = 28 },
	};
	mk_autojson *seen = json_object();

	for (size_t i = 0; i < MK_ARRAY_LEN(networks); i++)
		read_network(d, &networks[i]);
	check_overlaps(d, networks, MK_ARRAY_LEN(networks));
	check_room(d, spec, &networks[0], &networks[2]);
	for (size_t i = 0; i < spec->node_count; i++) {
		mk_autofree char *at = mk_xasprintf("nodes[%zu].ip", i);

		if (spec->nodes[i].ip)
			check_ip(d, spec->nodes[i].ip, at, &networks[2], seen);
	}
}

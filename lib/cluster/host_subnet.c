/* SPDX-License-Identifier: Apache-2.0 */
/* A subnet for the nodes that nothing else on the host has. */
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/cluster/host.h"
#include "lib/docker/network.h"

#include <arpa/inet.h>
#include <stdio.h>

size_t mk_host_parse_routes(const char *text, struct mk_cidr *ret, size_t cap)
{
	mk_autostrlist lines = { .items = NULL };
	size_t count = 0;

	mk_strlist_split(&lines, text, "\n");
	for (size_t i = 1; i < lines.count && count < cap; i++) {
		unsigned destination, mask;

		/* Iface Destination Gateway Flags RefCnt Use Metric Mask ... */
		if (sscanf(lines.items[i], "%*s %8x %*x %*x %*d %*d %*d %8x", &destination,
			    &mask) != 2 ||
			mask == 0)
			continue;
		ret[count++] = (struct mk_cidr){
			.address = ntohl(destination),
			.bits = (unsigned)__builtin_popcount(mask),
		};
	}
	return count;
}

#define MAX_ROUTES 512

/* A range that is not free, and whose it is. */
struct used {
	struct mk_cidr ranges[MAX_ROUTES];
	char *owners[MAX_ROUTES];
	size_t count;
};

static void used_done(struct used *used)
{
	for (size_t i = 0; i < used->count; i++)
		free(used->owners[i]);
}

static void use_range(struct used *used, const struct mk_cidr *range, const char *owner)
{
	mk_autofree char *text = mk_cidr_print(range);

	if (used->count == MAX_ROUTES)
		return;
	used->ranges[used->count] = *range;
	used->owners[used->count++] = mk_xasprintf("%s (%s)", owner, text);
}

static void use(struct used *used, const char *text, const char *owner)
{
	mk_autoerror ignored = { .code = MK_OK };
	struct mk_cidr range;

	/* IPv6 ranges do not parse, and cannot overlap. */
	if (mk_cidr_parse(text, &range, &ignored) == 0)
		use_range(used, &range, owner);
}

static void use_host_routes(struct used *used)
{
	mk_autobuf text = mk_buf_init(MK_MIB);
	mk_autoerror ignored = { .code = MK_OK };
	mk_autofree struct mk_cidr *routes = mk_xcalloc(MAX_ROUTES, sizeof(struct mk_cidr));
	size_t count = 0;

	if (mk_fs_read("/proc/net/route", &text, &ignored) == 0)
		count = mk_host_parse_routes(text.data, routes, MAX_ROUTES);
	for (size_t i = 0; i < count; i++)
		use_range(used, &routes[i], "a route of this host");
}

static int use_networks(struct mk_docker *docker, struct used *used, struct mk_error *err)
{
	mk_autojson *networks = NULL;
	const json_t *network, *config;
	size_t i, j;
	int r = mk_network_list(docker, &networks, err);

	if (r < 0)
		return r;
	json_array_foreach (networks, i, network) {
		mk_autofree char *owner = mk_xasprintf(
			"the engine's network '%s'", mk_json_str(network, "Name", ""));

		json_array_foreach (mk_json_at(network, "IPAM.Config"), j, config)
			use(used, mk_json_str(config, "Subnet", ""), owner);
	}
	return 0;
}

/* Whose range overlaps this one, or NULL. */
static const char *owner_of(const struct used *used, const struct mk_cidr *range)
{
	for (size_t i = 0; i < used->count; i++) {
		if (mk_cidr_overlap(&used->ranges[i], range))
			return used->owners[i];
	}
	return NULL;
}

/* The networks before the routes: a bridge's route is its network's. */
static int find_used(struct mk_docker *docker, const struct mk_cluster_spec *spec,
	struct used *used, struct mk_error *err)
{
	int r;

	use(used, spec->pod_subnet, "the pod subnet");
	use(used, spec->service_subnet, "the service subnet");
	r = use_networks(docker, used, err);
	if (r == 0 && mk_docker_is_local(docker))
		use_host_routes(used);
	return r;
}

#define LARGEST_SUBNET 16
#define SMALLEST_SUBNET 28

/* The subnet that the spec names, which no second try can replace. */
static int take_given(const struct used *used, const char *text, bool again, struct mk_cidr *ret,
	struct mk_error *err)
{
	struct mk_cidr range;
	const char *owner;
	int r = mk_cidr_parse(text, &range, err);

	if (r < 0)
		return mk_error_wrap(err, "node subnet");
	if (range.bits < LARGEST_SUBNET || range.bits > SMALLEST_SUBNET)
		return mk_fail(err, MK_EUSAGE, "node subnet %s must be between a /%d and a /%d",
			text, LARGEST_SUBNET, SMALLEST_SUBNET);
	owner = owner_of(used, &range);
	if (!owner && !again) {
		*ret = range;
		return 0;
	}
	(void)mk_fail(err, MK_EHOST, "node subnet %s is taken by %s", text,
		owner ? owner : "a network of the engine that was made just now");
	mk_error_hint(err, "choose another networking.nodeSubnet, or none: a free one is found");
	return -MK_EHOST;
}

/* Private ranges (RFC 1918) that routers, clouds and VPNs choose least. */
static const uint32_t candidates[] = { 0x0ad50000 /* 10.213 */, 0xac1f0000 /* 172.31 */,
	0x0a590000 /* 10.89 */, 0xc0a80000 /* 192.168 */ };

static int find_free(
	const struct used *used, unsigned skip, struct mk_cidr *ret, struct mk_error *err)
{
	for (size_t i = 0; i < MK_ARRAY_LEN(candidates) * 256; i++) {
		struct mk_cidr range = { .bits = 24,
			.address = candidates[i / 256] + ((uint32_t)(i % 256) << 8) };

		if (owner_of(used, &range))
			continue;
		if (skip == 0) {
			*ret = range;
			return 0;
		}
		skip--;
	}
	(void)mk_fail(
		err, MK_EHOST, "no /24 is free of this host's routes and the engine's networks");
	mk_error_hint(err, "remove networks that are not used: `docker network prune`");
	return -MK_EHOST;
}

int mk_host_choose_subnet(struct mk_docker *docker, const struct mk_cluster_spec *spec,
	unsigned skip, struct mk_cidr *ret, struct mk_error *err)
{
	MK_CLEANUP(used_done) struct used used = { .count = 0 };
	int r = find_used(docker, spec, &used, err);

	if (r < 0)
		return r;
	if (spec->node_subnet)
		return take_given(&used, spec->node_subnet, skip > 0, ret, err);
	return find_free(&used, skip, ret, err);
}

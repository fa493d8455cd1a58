/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of the host: no two things on one. An address of 0.0.0.0 is all of them;
 * the protocols do not see each other. Whether a port is free is the host's matter.
 */
#include "lib/cluster/config_internal.h"

#include <arpa/inet.h>

#define MAX_PORTS 1000

/* Something that is published. */
struct port {
	uint32_t address;
	enum mk_protocol protocol;
	int64_t number;
	char *place;
	const char *what; /* of a place that no file names; else NULL */
};

struct ports {
	struct port list[MAX_PORTS + 3];
	size_t count;
};

static void ports_done(struct ports *ports)
{
	for (size_t i = 0; i < ports->count; i++)
		free(ports->list[i].place);
}

static uint32_t number_of(const char *address)
{
	struct in_addr in = { .s_addr = 0 };

	(void)inet_pton(AF_INET, address, &in);
	return ntohl(in.s_addr);
}

static bool clash(const struct port *a, const struct port *b)
{
	return a->number == b->number && a->protocol == b->protocol &&
		(a->address == b->address || a->address == 0 || b->address == 0);
}

/* Add a port, which becomes the owner of its place, unless another one has it. */
static void add(struct mk_decode *d, struct ports *ports, struct port port)
{
	for (size_t i = 0; i < ports->count; i++) {
		const struct port *other = &ports->list[i];

		if (!clash(other, &port))
			continue;
		mk_decode_problem(d, port.place, "%lld/%s of the host is %s already",
			(long long)port.number, mk_config_protocols[port.protocol],
			other->what ? other->what : other->place);
		free(port.place);
		return;
	}
	ports->list[ports->count++] = port;
}

static void add_own(struct mk_decode *d, struct ports *ports, const struct mk_cluster_spec *spec,
	const char *place, const char *what, int64_t number)
{
	if (number == 0 || mk_decode_is_bad(d, place))
		return;
	add(d, ports,
		(struct port){ .address = number_of(spec->api_address),
			.number = number,
			.place = mk_xstrdup(place),
			.what = what });
}

/* False when there are too many to go on. */
static bool add_node(struct mk_decode *d, struct ports *ports, const struct mk_cluster_spec *spec,
	size_t node, const struct mk_config_names *names)
{
	const struct mk_node_spec *n = &spec->nodes[node];

	for (size_t i = 0; i < n->port_count; i++) {
		const struct mk_port_spec *port = &n->ports[i];
		const char *address = port->listen_address ? port->listen_address
							   : spec->api_address;
		mk_autofree char *at = mk_xasprintf("nodes[%zu].%s[%zu]", node, names->ports, i);

		if (ports->count >= MAX_PORTS + 3) {
			mk_decode_problem(d, at, "a cluster publishes at most %d ports", MAX_PORTS);
			return false;
		}
		if (port->host_port == 0 || mk_decode_is_bad(d, at))
			continue;
		add(d, ports,
			(struct port){ .address = number_of(address),
				.protocol = port->protocol,
				.number = port->host_port,
				.place = mk_xasprintf("%s.hostPort", at) });
	}
	return true;
}

void mk_config_check_ports(struct mk_decode *d, const struct mk_cluster_spec *spec,
	const struct mk_config_names *names)
{
	MK_CLEANUP(ports_done) struct ports ports = { .count = 0 };

	if (spec->openfaas)
		add_own(d, &ports, spec, "openfaas.port", "the OpenFaaS gateway's (openfaas.port)",
			spec->gateway_port);
	add_own(d, &ports, spec, "registry.port", "the registry's (registry.port)",
		spec->registry_port);
	add_own(d, &ports, spec, "networking.apiServerPort", "the API server's", spec->api_port);
	for (size_t i = 0; i < spec->node_count; i++) {
		if (!add_node(d, &ports, spec, i, names))
			break;
	}
}

static bool is_asked_for(const struct mk_cluster_spec *spec, int64_t number)
{
	for (size_t i = 0; i < spec->node_count; i++) {
		for (size_t j = 0; j < spec->nodes[i].port_count; j++) {
			if (spec->nodes[i].ports[j].host_port == number)
				return true;
		}
	}
	return number == spec->api_port;
}

static int64_t next_free(const struct mk_cluster_spec *spec, int64_t number, int64_t other)
{
	for (int64_t n = number; n <= 65535; n++) {
		if (n != other && !is_asked_for(spec, n))
			return n;
	}
	return number;
}

void mk_config_move_ports(struct mk_cluster_spec *spec)
{
	spec->gateway_port = next_free(spec, spec->gateway_port, spec->registry_port);
	spec->registry_port = next_free(spec, spec->registry_port, spec->gateway_port);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A node as the engine sees it: the container it is. */
#include "lib/cluster/bringup.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/node_host.h"

static void publish(
	json_t *bindings, json_t *exposed, const char *address, int node_port, int64_t host_port)
{
	mk_node_publish(bindings, exposed, MK_PROTOCOL_TCP, node_port, address, host_port);
}

static void set_label(json_t *labels, const char *key, char *value)
{
	(void)json_object_set_new(labels, key, json_string(value));
	free(value);
}

static json_t *labels_of(const struct mk_bringup *b, const struct mk_node_plan *node)
{
	const char *address = b->spec->api_address;
	char *ports = mk_node_ports_text(b, node);
	json_t *labels = json_object();

	set_label(labels, MK_LABEL_CLUSTER, mk_xstrdup(b->spec->name));
	set_label(labels, MK_LABEL_ROLE, mk_xstrdup(mk_role_name(node->role)));
	set_label(labels, MK_LABEL_RUN, mk_xstrdup(b->run_id));
	set_label(labels, MK_LABEL_IP, mk_xstrdup(node->ip));
	if (node->pod_cidr)
		set_label(labels, MK_LABEL_PODS, mk_xstrdup(node->pod_cidr));
	/* Every node knows the way in: any of them may be the one that is asked. */
	set_label(labels, MK_LABEL_API, mk_xasprintf("%s:%lld", address, (long long)b->api_port));
	set_label(labels, MK_LABEL_REGISTRY,
		mk_xasprintf("%s:%lld", address, (long long)b->registry_port));
	if (b->spec->openfaas)
		set_label(labels, MK_LABEL_GATEWAY,
			mk_xasprintf("%s:%lld", address, (long long)b->gateway_port));
	if (ports)
		set_label(labels, MK_LABEL_PORTS, ports);
	return labels;
}

/*
 * What --privileged gives, without the one capability that nested engines and
 * hardened hosts do not have to give: everything else is asked for by name.
 */
static void restrict_host_config(json_t *host)
{
	mk_autojson *more = mk_json_pack("{s:[s],s:[s],s:[s,s],s:[],s:[],s:[s]}", "CapAdd", "ALL",
		"CapDrop", "SYS_RESOURCE", "SecurityOpt", "seccomp=unconfined",
		"apparmor=unconfined", "MaskedPaths", "ReadonlyPaths", "DeviceCgroupRules",
		"a *:* rwm");

	(void)json_object_update(host, more);
}

static json_t *bindings_of(
	const struct mk_bringup *b, const struct mk_node_plan *node, json_t *exposed)
{
	const char *address = b->spec->api_address;
	json_t *bindings = json_object();

	if (node != mk_plan_front(&b->plan))
		return bindings;
	publish(bindings, exposed, address, MK_API_PORT, b->api_port);
	publish(bindings, exposed, address, 5000, b->registry_port);
	if (b->spec->openfaas)
		publish(bindings, exposed, address, MK_GATEWAY_PORT, b->gateway_port);
	return bindings;
}

static json_t *host_config(
	const struct mk_bringup *b, const struct mk_node_plan *node, json_t *exposed)
{
	json_t *bindings = bindings_of(b, node, exposed);
	json_t *host;

	/* Back after a reboot or an engine restart, not after `docker stop`. */
	host = mk_json_pack("{s:s,s:s,s:{s:s,s:s},s:o,s:{s:s},s:b}", "NetworkMode", b->network_id,
		"CgroupnsMode", "private", "Tmpfs", "/tmp", "exec,mode=1777", "/run",
		"exec,mode=755", "PortBindings", bindings, "RestartPolicy", "Name",
		"unless-stopped", "Init", 0);
	if (b->profile == MK_PROFILE_PRIVILEGED)
		(void)json_object_set_new(host, "Privileged", json_true());
	else
		restrict_host_config(host);
	mk_node_add_host(b, node, host, exposed);
	return host;
}

json_t *mk_node_container(const struct mk_bringup *b, const struct mk_node_plan *node)
{
	json_t *exposed = json_object();
	json_t *host = host_config(b, node, exposed);

	return mk_json_pack("{s:s,s:s,s:o,s:[s],s:s,s:{s:{}},s:o,s:o,s:{s:{s:{s:{s:s}}}}}", "Image",
		mk_node_image(b, node), "Hostname", node->name, "Labels", labels_of(b, node), "Env",
		"container=docker",
		/* systemd as first process ignores SIGTERM; this one is "halt". */
		"StopSignal", "SIGRTMIN+3", "Volumes", "/var", "ExposedPorts", exposed,
		"HostConfig", host, "NetworkingConfig", "EndpointsConfig", b->network_id,
		"IPAMConfig", "IPv4Address", node->ip);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster port add|list|remove */
#include "lib/cluster/port.h"
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"

#include <stdio.h>

struct options {
	const char *name;
	int output;
};

static const struct mk_option options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	/* Last, so that the command that prints nothing can leave it out. */
	MK_OUTPUT_OPTION(struct options),
};

#define WITHOUT_OUTPUT (MK_ARRAY_LEN(options) - 1)

static void init(void *o)
{
	*(struct options *)o = (struct options){ .name = MK_DEFAULT_NAME };
}

struct ports {
	struct mk_port_spec *items;
	size_t count;
};

static void ports_done(struct ports *ports)
{
	for (size_t i = 0; i < ports->count; i++)
		mk_port_spec_done(&ports->items[i]);
	free(ports->items);
}

static int parse_all(const struct mk_strlist *arguments, struct ports *ret, struct mk_error *err)
{
	int r = 0;

	ret->items = mk_xcalloc(arguments->count, sizeof(*ret->items));
	for (size_t i = 0; i < arguments->count && r == 0; i++) {
		r = mk_port_parse(arguments->items[i], &ret->items[i], err);
		if (r == 0)
			ret->count++;
	}
	return r;
}

static void print_added(const struct options *o, struct mk_progress *progress,
	const struct ports *ports, int64_t ms)
{
	mk_autojson *list = json_array();

	for (size_t i = 0; i < ports->count; i++) {
		const struct mk_port_spec *port = &ports->items[i];
		mk_autofree char *note = mk_xasprintf("%s:%lld leads to port %lld of every node",
			port->listen_address, (long long)port->host_port,
			(long long)port->container_port);

		mk_progress_end(progress, "Publishing a port", ms, note);
		if (o->output == MK_OUTPUT_TEXT)
			(void)printf("%s:%lld\n", port->listen_address, (long long)port->host_port);
		(void)json_array_append_new(list,
			mk_json_pack("{s:s,s:s,s:I,s:I,s:s}", "cluster", o->name, "address",
				port->listen_address, "hostPort", (json_int_t)port->host_port,
				"nodePort", (json_int_t)port->container_port, "state", "running"));
	}
	if (o->output == MK_OUTPUT_JSON)
		mk_print_json(list);
}

static int add(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	MK_CLEANUP(ports_done) struct ports ports = { .items = NULL };
	int64_t start = mk_now_ms();
	int r = mk_cluster_name_check(o->name, err);

	if (r == 0)
		r = parse_all(arguments, &ports, err);
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	mk_progress_begin(&progress, "Publishing ports");
	if (r == 0)
		r = mk_ports_add(docker, o->name, ports.items, ports.count, err);
	mk_progress_close(&progress);
	if (r == 0)
		print_added(o, &progress, &ports, mk_now_ms() - start);
	return r;
}

static int list(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autojson *ports = NULL;
	const json_t *port;
	size_t i;
	int r = mk_cluster_name_check(o->name, err);

	(void)context;
	(void)arguments;
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = mk_ports_list(docker, o->name, &ports, err);
	if (r < 0)
		return r;
	if (o->output == MK_OUTPUT_JSON) {
		mk_print_json(ports);
		return 0;
	}
	(void)printf("%-16s %-10s %-10s %s\n", "ADDRESS", "HOST-PORT", "NODE-PORT", "STATE");
	json_array_foreach (ports, i, port)
		(void)printf("%-16s %-10lld %-10lld %s\n", mk_json_str(port, "address", ""),
			mk_json_int(port, "hostPort", 0), mk_json_int(port, "nodePort", 0),
			mk_json_str(port, "state", ""));
	return 0;
}

static int remove_ports(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	mk_autofree char *names = mk_strlist_join(arguments, ", ");
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	int64_t start = mk_now_ms();
	int r = mk_cluster_name_check(o->name, err);

	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	mk_progress_begin(&progress, "Removing ports");
	if (r == 0)
		r = mk_ports_remove(docker, o->name, arguments, err);
	mk_progress_close(&progress);
	if (r == 0)
		mk_progress_end(&progress, "Removing ports", mk_now_ms() - start, names);
	return r;
}

const struct mk_command mk_command_port_add = {
	.path = "port add",
	.arguments = "[ADDRESS:]HOST:NODEPORT...",
	.min_arguments = 1,
	.max_arguments = SIZE_MAX,
	.summary = "publish ports of a cluster that runs",
	.about =
		"HOST is a port of this machine, 0 any free one; it leads to port NODEPORT of every\n"
		"node that listens there: a Service's NodePort or a pod's hostPort, TCP only.\n"
		"ADDRESS is where the cluster's own ports are (127.0.0.1) unless it is given.\n"
		"Prints the address of each. No node is recreated, and the port stays through\n"
		"restarts until it is removed. Pods see connections come from inside.\n",
	.examples = "  mkcluster port add 8080:30080\n"
		    "  mkcluster port add 80:80 443:443\n"
		    "  curl http://$(mkcluster port add -q 0:30080)\n",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = add,
};

const struct mk_command mk_command_port_list = {
	.path = "port list",
	.summary = "list the ports that were added",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = list,
};

const struct mk_command mk_command_port_remove = {
	.path = "port remove",
	.arguments = "HOST...",
	.min_arguments = 1,
	.max_arguments = SIZE_MAX,
	.summary = "no longer publish ports",
	.about = "HOST is a port of this machine as `port list` shows it.\n",
	.examples = "  mkcluster port remove 8080 8443\n",
	.options = options,
	.option_count = WITHOUT_OUTPUT,
	.options_size = sizeof(struct options),
	.init = init,
	.run = remove_ports,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster get clusters|nodes|kubeconfig|password: what there is, on stdout. */
#include "cmd/command.h"
#include "lib/base/limits.h"
#include "lib/base/yaml.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/spec.h"
#include "lib/kube/userconfig.h"

#include <stdio.h>

struct options {
	const char *name;
	int output;
	bool internal;
};

static const struct mk_option list_options[] = { MK_OUTPUT_OPTION(struct options) };
static const struct mk_option node_options[] = {
	MK_NAME_OPTION(struct options, "only of this cluster (all)"),
	MK_OUTPUT_OPTION(struct options),
};
static const struct mk_option kubeconfig_options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	MK_OUTPUT_OPTION(struct options),
	{ .name = "internal",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, internal),
		.help = "with the address inside the cluster's network" },
};
static const struct mk_option password_options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	MK_OUTPUT_OPTION(struct options),
};

static int get_clusters(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autojson *clusters = NULL;
	const json_t *cluster;
	size_t i;
	int r = mk_docker_new(NULL, &docker, err);

	(void)arguments;
	if (r == 0)
		r = mk_cluster_list(docker, &clusters, err);
	if (r < 0)
		return r;
	if (o->output == MK_OUTPUT_JSON) {
		mk_print_json(clusters);
		return 0;
	}
	json_array_foreach (clusters, i, cluster)
		(void)printf("%s\n", mk_json_str(cluster, "name", ""));
	if (json_array_size(clusters) == 0 && !context->quiet)
		(void)fprintf(stderr, "no clusters; `mkcluster create` makes one\n");
	return 0;
}

static int get_nodes(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autojson *nodes = NULL;
	mk_autojson *first = NULL;
	const json_t *node;
	size_t i;
	int r = mk_docker_new(NULL, &docker, err);

	(void)context;
	(void)arguments;
	if (r == 0 && o->name)
		r = mk_cluster_find(docker, o->name, &first, err);
	if (r == 0)
		r = mk_cluster_nodes(docker, o->name, &nodes, err);
	if (r < 0)
		return r;
	if (o->output == MK_OUTPUT_JSON) {
		mk_print_json(nodes);
		return 0;
	}
	(void)printf("%-32s %-16s %-14s %-10s %s\n", "NAME", "CLUSTER", "ROLE", "STATE", "IP");
	json_array_foreach (nodes, i, node)
		(void)printf("%-32s %-16s %-14s %-10s %s\n", mk_json_str(node, "name", ""),
			mk_json_str(node, "cluster", ""), mk_json_str(node, "role", ""),
			mk_json_str(node, "state", ""), mk_json_str(node, "ip", ""));
	return 0;
}

static int get_kubeconfig(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	const char *name = o->name ? o->name : MK_DEFAULT_NAME;
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autoidentity identity = { .server = NULL };
	mk_autofree char *entry_name = mk_cluster_context(name);
	struct mk_userconfig_entry entry = { .name = entry_name };
	mk_autojson *value = NULL;
	int r = mk_docker_new(NULL, &docker, err);

	(void)context;
	(void)arguments;
	if (r == 0)
		r = mk_cluster_identity(docker, name, o->internal, &identity, err);
	if (r < 0)
		return r;
	entry.server = identity.server;
	entry.ca_pem = identity.ca_pem;
	entry.cert_pem = identity.cert_pem;
	entry.key_pem = identity.key_pem;
	r = mk_userconfig_print(&entry, &text, err);
	if (r == 0 && o->output == MK_OUTPUT_JSON)
		r = mk_yaml_parse(text.data, text.len, "kubeconfig", &value, err);
	if (r < 0)
		return r;
	if (value)
		mk_print_json(value);
	else
		(void)fwrite(text.data, 1, text.len, stdout);
	return 0;
}

static int get_password(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	const char *name = o->name ? o->name : MK_DEFAULT_NAME;
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autowipebuf password = mk_buf_init(4096);
	mk_autojson *value = NULL;
	int r = mk_docker_new(NULL, &docker, err);

	(void)context;
	(void)arguments;
	if (r == 0)
		r = mk_cluster_password(docker, name, &password, err);
	if (r < 0)
		return r;
	if (o->output == MK_OUTPUT_JSON) {
		value = mk_json_pack("{s:s,s:s}", "user", "admin", "password", password.data);
		mk_print_json(value);
	} else {
		(void)printf("%s\n", password.data);
	}
	return 0;
}

const struct mk_command mk_command_get_clusters = {
	.path = "get clusters",
	.summary = "list the clusters",
	.options = list_options,
	.option_count = MK_ARRAY_LEN(list_options),
	.options_size = sizeof(struct options),
	.run = get_clusters,
};

const struct mk_command mk_command_get_nodes = {
	.path = "get nodes",
	.summary = "list the nodes",
	.options = node_options,
	.option_count = MK_ARRAY_LEN(node_options),
	.options_size = sizeof(struct options),
	.run = get_nodes,
};

const struct mk_command mk_command_get_kubeconfig = {
	.path = "get kubeconfig",
	.summary = "print a cluster's kubeconfig",
	.options = kubeconfig_options,
	.option_count = MK_ARRAY_LEN(kubeconfig_options),
	.options_size = sizeof(struct options),
	.run = get_kubeconfig,
};

const struct mk_command mk_command_get_password = {
	.path = "get password",
	.summary = "print the OpenFaaS password of user admin",
	.options = password_options,
	.option_count = MK_ARRAY_LEN(password_options),
	.options_size = sizeof(struct options),
	.run = get_password,
};

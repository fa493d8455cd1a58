/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/node_settings.h"

#include "lib/base/yaml.h"
#include "lib/cluster/node_containerd.h"
#include "lib/cluster/unit.h"

#define ROLE_LABEL "mkcluster.dev/role"

static void set_labels(const struct mk_node_plan *node, struct mk_buf *unit)
{
	mk_autojson *labels = mk_json_pack("{s:s}", ROLE_LABEL, mk_role_name(node->role));
	mk_autofree char *text = NULL;
	const char *name;
	json_t *value;

	json_object_foreach (node->spec ? node->spec->labels : NULL, name, value) {
		if (!mk_streq(name, ROLE_LABEL))
			(void)json_object_set(labels, name, value);
	}
	text = mk_unit_map_value(labels);
	mk_unit_set_flag(unit, "node-labels", text ? text : "");
}

char *mk_node_taints(const struct mk_bringup *b, const struct mk_node_plan *node)
{
	const struct mk_node_spec *spec = node->spec;
	bool workers = b->plan.kube_count > b->plan.control_planes;
	mk_autojson *taints = json_array();

	for (size_t i = 0; spec && i < spec->taint_count; i++)
		(void)json_array_append_new(taints,
			mk_json_pack("{s:s,s:s*,s:s}", "key", spec->taints[i].key, "value",
				spec->taints[i].value, "effect", spec->taints[i].effect));
	if (json_array_size(taints) == 0 && !(spec && spec->taints_given) && workers &&
		node->role == MK_ROLE_CONTROL_PLANE)
		(void)json_array_append_new(taints,
			mk_json_pack("{s:s,s:s}", "key", "node-role.kubernetes.io/control-plane",
				"effect", "NoSchedule"));
	return mk_json_print(taints);
}

static bool is_limited(const struct mk_node_plan *node)
{
	return node->nano_cpus > 0 || node->memory > 0;
}

/* Whether the user reserves something by this field of the kubelet's configuration,
 * or by the flag that is over it. */
static bool has_reserved(const struct mk_bringup *b, const struct mk_node_plan *node,
	const char *field, const char *flag)
{
	const struct mk_node_spec *spec = node->spec;

	return json_object_get(b->spec->kubelet_config, field) ||
		json_object_get(b->spec->kubelet_args, flag) ||
		(spec &&
			(json_object_get(spec->kubelet_config, field) ||
				json_object_get(spec->kubelet_args, flag)));
}

const char *mk_node_reserved_field(const struct mk_bringup *b, const struct mk_node_plan *node)
{
	return has_reserved(b, node, "systemReserved", "system-reserved") ? "kubeReserved"
									  : "systemReserved";
}

static void set_kubelet(
	const struct mk_bringup *b, const struct mk_node_plan *node, struct mk_buf *unit)
{
	(void)b;
	set_labels(node, unit);
	/* Where node-limits writes what it found. */
	if (is_limited(node))
		mk_unit_set_flag(unit, "config-dir", "/run/mkcluster/kubelet.d");
}

static void set_gates(
	const struct mk_bringup *b, const struct mk_node_plan *node, struct mk_buf *unit)
{
	mk_autofree char *gates = mk_unit_map_value(b->spec->feature_gates);

	(void)node;
	if (gates)
		mk_unit_set_flag(unit, "feature-gates", gates);
}

static void set_api_server(
	const struct mk_bringup *b, const struct mk_node_plan *node, struct mk_buf *unit)
{
	mk_autofree char *apis = mk_unit_map_value(b->spec->runtime_config);

	set_gates(b, node, unit);
	if (apis)
		mk_unit_set_flag(unit, "runtime-config", apis);
}

static void set_controller_manager(
	const struct mk_bringup *b, const struct mk_node_plan *node, struct mk_buf *unit)
{
	set_gates(b, node, unit);
	/* Our own pod network knows each node's range; another's asks the node. */
	if (b->spec->no_cni)
		mk_unit_set_flag(unit, "allocate-node-cidrs", "true");
}

static void set_etcd(
	const struct mk_bringup *b, const struct mk_node_plan *node, struct mk_buf *unit)
{
	(void)node;
	if (b->spec->unsafe_etcd)
		mk_unit_set_flag(unit, "unsafe-no-fsync", "true");
}

#define ARGS(member) offsetof(struct mk_cluster_spec, member)
#define KUBELET "node/units/kubelet.service"

/* Units with settings: ours from the spec, then the user's flags over all. */
static const struct component {
	const char *source;
	size_t args;
	void (*set)(const struct mk_bringup *, const struct mk_node_plan *, struct mk_buf *);
} components[] = {
	{ "node/control-plane/etcd.service", ARGS(etcd_args), set_etcd },
	{ "node/control-plane/kube-apiserver.service", ARGS(api_server_args), set_api_server },
	{ "node/control-plane/kube-controller-manager.service", ARGS(controller_manager_args),
		set_controller_manager },
	{ "node/control-plane/kube-scheduler.service", ARGS(scheduler_args), set_gates },
	{ KUBELET, ARGS(kubelet_args), set_kubelet },
	{ "node/units/kube-proxy.service", ARGS(proxy_args), NULL },
};

static void adjust_unit(const struct mk_bringup *b, const struct mk_node_plan *node,
	const struct component *component, struct mk_buf *unit)
{
	const char *spec = (const char *)b->spec;

	if (component->set)
		component->set(b, node, unit);
	mk_unit_set_flags(unit, *(json_t *const *)(const void *)(spec + component->args));
	if (mk_streq(component->source, KUBELET) && node->spec)
		mk_unit_set_flags(unit, node->spec->kubelet_args);
}

/* Put `more` over `fields`: objects key by key, all else as a whole. */
static void merge(json_t *fields, const json_t *more)
{
	/* A copy: what is merged next must not reach into the spec. */
	mk_autojson *copy = more ? json_deep_copy(more) : NULL;

	if (copy)
		(void)json_object_update_recursive(fields, copy);
}

/* The gates as a configuration file has them, booleans; NULL: there are none. */
static json_t *gates_of(const json_t *gates)
{
	json_t *fields = json_object();
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)gates, name, value) {
		const char *word = json_string_value(value);

		(void)json_object_set_new(fields, name,
			json_boolean(word ? mk_streq(word, "true") : json_is_true(value)));
	}
	if (json_object_size(fields) > 0)
		return mk_json_pack("{s:o}", "featureGates", fields);
	json_decref(fields);
	return NULL;
}

/* What differs in kubelet.yaml on this node: an object of its fields. */
static json_t *kubelet_fields(const struct mk_bringup *b, const struct mk_node_plan *node)
{
	json_t *fields = json_object();
	mk_autojson *gates = gates_of(b->spec->feature_gates);
	json_t *merged;

	merge(fields, gates);
	merge(fields, b->spec->kubelet_config);
	merge(fields, node->spec ? node->spec->kubelet_config : NULL);
	/* Without it the kubelet dies of what a restricted profile refuses. */
	merged = json_object_get(fields, "featureGates");
	if (merged && b->profile == MK_PROFILE_RESTRICTED)
		(void)json_object_set_new(merged, "KubeletInUserNamespace", json_true());
	return fields;
}

/* What differs in kube-proxy.yaml. */
static json_t *proxy_fields(const struct mk_bringup *b, const struct mk_node_plan *node)
{
	json_t *fields = json_object();
	mk_autojson *gates = gates_of(b->spec->feature_gates);

	(void)node;
	merge(fields, gates);
	merge(fields, b->spec->proxy_config);
	return fields;
}

static const struct {
	const char *source;
	json_t *(*fields)(const struct mk_bringup *, const struct mk_node_plan *);
} configurations[] = {
	{ "node/config/kubelet.yaml", kubelet_fields },
	{ "node/config/kube-proxy.yaml", proxy_fields },
};

static int adjust_yaml(
	const char *source, const json_t *fields, struct mk_buf *text, struct mk_error *err)
{
	mk_autojson *document = NULL;
	int r;

	/* As it is written, comments and all, where there is nothing to change. */
	if (json_object_size(fields) == 0)
		return 0;
	r = mk_yaml_parse(text->data, text->len, source, &document, err);
	if (r < 0)
		return r;
	merge(document, fields);
	mk_buf_clear(text);
	mk_buf_adds(text, "# With what the cluster's config file says.\n");
	return mk_yaml_print(document, text, err);
}

int mk_node_adjust(const struct mk_bringup *b, const struct mk_node_plan *node, const char *source,
	struct mk_buf *text, struct mk_error *err)
{
	for (size_t i = 0; i < MK_ARRAY_LEN(components); i++) {
		if (mk_streq(components[i].source, source))
			adjust_unit(b, node, &components[i], text);
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(configurations); i++) {
		mk_autojson *fields = NULL;

		if (!mk_streq(configurations[i].source, source))
			continue;
		fields = configurations[i].fields(b, node);
		return adjust_yaml(source, fields, text, err);
	}
	return mk_buf_check(text, source, err);
}

bool mk_node_leaves_out(
	const struct mk_bringup *b, const struct mk_node_plan *node, const char *source)
{
	static const char *const proxy[] = { "node/units/kube-proxy.service",
		"node/config/kube-proxy.yaml" };
	static const char *const network[] = { "node/config/cni.conflist", "node/bin/pod-network",
		"node/units/pod-network.service" };

	for (size_t i = 0; i < MK_ARRAY_LEN(proxy); i++) {
		if (b->spec->proxy_mode == MK_PROXY_NONE && mk_streq(source, proxy[i]))
			return true;
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(network); i++) {
		if (b->spec->no_cni && mk_streq(source, network[i]))
			return true;
	}
	if (mk_streq(source, "node/config/registry-hosts.toml"))
		return mk_node_has_default_registry(b->spec);
	if (mk_after_prefix(source, "node/proxy/"))
		return !mk_node_has_proxy();
	if (mk_after_prefix(source, "node/snapshot/") ||
		mk_after_prefix(source, "node/bin/snapshot-"))
		return !b->spec->snapshot_every;
	return mk_after_prefix(source, "node/limits/") && !is_limited(node);
}

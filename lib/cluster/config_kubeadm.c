/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind's kubeadmConfigPatches: taken over where mkcluster has a place for what they
 * say, and refused where not. kubeadm reads most of it on the first control plane
 * only, and so do we, but say so.
 */
#include "lib/cluster/config_kubeadm.h"
#include "lib/cluster/config_syntax.h"

/* A patch that is being read. */
struct patch {
	struct mk_decode *d;
	const char *path;
	struct mk_cluster_spec *spec;
	size_t node; /* of the list, or MK_ALL_NODES */

	/* What a patch says of nodes, before it is put over each of them. */
	struct mk_node_spec *more;
};

/* Place of something in the patch. Caller frees. */
static char *at(const struct patch *p, const char *rest)
{
	return mk_xasprintf("%s.%s", p->path, rest);
}

static size_t first_control_plane(const struct mk_cluster_spec *spec)
{
	size_t i = 0;

	while (i < spec->node_count && spec->nodes[i].role != MK_NODE_CONTROL_PLANE)
		i++;
	return i;
}

/* Whether the patch is where kubeadm would have read it, or a problem. */
static bool is_on_first(const struct patch *p, const char *kind, const char *instead)
{
	if (p->node == MK_ALL_NODES || p->node == first_control_plane(p->spec))
		return true;
	mk_decode_problem(p->d, p->path,
		"kubeadm reads %s on the first control plane only: put it %s", kind, instead);
	return false;
}

/* One flag of extraArgs, and where it stands. */
typedef void take_flag(const struct patch *p, unsigned what, const char *place, const char *flag,
	const char *value);

/* The text of a flag's value, or a problem and NULL. Caller frees. */
static char *value_of(const struct patch *p, const char *place, const json_t *value)
{
	if (json_is_string(value))
		return mk_xstrdup(json_string_value(value));
	if (json_is_integer(value) || json_is_boolean(value))
		return mk_json_print(value);
	mk_decode_problem(
		p->d, place, "must be a string%s", json_is_real(value) ? ": put it in quotes" : "");
	return NULL;
}

/* v1beta4: a list of { name, value }. */
static void take_pairs(const struct patch *p, const char *place, const json_t *list,
	take_flag *take, unsigned what)
{
	mk_autojson *seen = json_object();
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		mk_autofree char *here = mk_xasprintf("%s[%zu]", place, i);
		const char *flag = json_string_value(json_object_get(item, "name"));
		const char *value = json_string_value(json_object_get(item, "value"));

		if (!flag || !value || json_object_size(item) != 2) {
			mk_decode_problem(p->d, here,
				"must be { name: ..., value: ... }, both of them strings");
			continue;
		}
		if (json_object_get(seen, flag))
			mk_decode_problem(p->d, here, "--%s is given twice", flag);
		(void)json_object_set_new(seen, flag, json_true());
		take(p, what, here, flag, value);
	}
}

/* v1beta2 and v1beta3: a map. */
static void take_map(
	const struct patch *p, const char *place, json_t *map, take_flag *take, unsigned what)
{
	const char *flag;
	json_t *item;

	json_object_foreach (map, flag, item) {
		mk_autofree char *here = mk_xasprintf("%s.%s", place, flag);
		mk_autofree char *value = value_of(p, here, item);

		if (value)
			take(p, what, here, flag, value);
	}
}

static void take_args(
	const struct patch *p, const char *rest, json_t *args, take_flag *take, unsigned what)
{
	mk_autofree char *place = at(p, rest);

	if (json_is_object(args))
		take_map(p, place, args, take, what);
	else if (json_is_array(args))
		take_pairs(p, place, args, take, what);
	else if (args)
		mk_decode_problem(p->d, place, "must be a map of flags, or a list of them");
}

static void set_text(json_t **map, const char *key, const char *value)
{
	if (!*map)
		*map = json_object();
	(void)json_object_set_new(*map, key, json_string(value));
}

static void take_component_flag(const struct patch *p, unsigned what, const char *place,
	const char *flag, const char *value)
{
	enum mk_component component = (enum mk_component)what;
	mk_autoerror err = { .code = MK_OK };

	if (mk_config_check_flag(component, flag, value, p->spec, &err) < 0)
		mk_decode_problem(p->d, place, "%s", err.message);
	else
		set_text(mk_config_args_of(p->spec, component), flag, value);
}

/* The control plane runs on the node itself and sees its files where they are. */
static void check_volumes(
	const struct patch *p, const char *component, const struct mk_kubeadm_component *c)
{
	for (size_t i = 0; i < c->volume_count; i++) {
		const struct mk_kubeadm_volume *v = &c->volumes[i];
		mk_autofree char *rest = mk_xasprintf("%s.extraVolumes[%zu]", component, i);
		mk_autofree char *place = at(p, rest);

		if (v->host_path && v->mount_path && !mk_streq(v->host_path, v->mount_path))
			mk_decode_problem(p->d, place,
				"the component is no pod and sees the node's %.200s there: mountPath "
				"must be hostPath",
				v->host_path);
	}
}

static void take_component(const struct patch *p, const char *name,
	const struct mk_kubeadm_component *c, enum mk_component component)
{
	mk_autofree char *args = mk_xasprintf("%s.extraArgs", name);

	take_args(p, args, c->args, take_component_flag, component);
	check_volumes(p, name, c);
	for (size_t i = 0; i < c->sans.count; i++) {
		if (*c->sans.items[i] && !mk_strlist_has(&p->spec->api_sans, c->sans.items[i]))
			mk_strlist_add(&p->spec->api_sans, c->sans.items[i]);
	}
}

/* What the file itself says elsewhere can be repeated, not contradicted. */
static void check_same(const struct patch *p, const char *rest, const char *value, const char *ours,
	const char *key)
{
	mk_autofree char *place = at(p, rest);

	if (value && !mk_streq(value, ours))
		mk_decode_problem(p->d, place, "is %s here: %s", ours, key);
}

/* What v1beta4 brought; a patch without a version is of any. */
static bool is_new(const struct patch *p, const char *rest, const char *version)
{
	mk_autofree char *place = at(p, rest);

	if (!version || mk_streq(version, "kubeadm.k8s.io/v1beta4"))
		return true;
	mk_decode_problem(p->d, place, "is not in %s, but in kubeadm.k8s.io/v1beta4", version);
	return false;
}

static void take_duration(const struct patch *p, const char *rest, const char *version,
	const char *value, char **member)
{
	if (!value || !is_new(p, rest, version))
		return;
	free(*member);
	*member = mk_xstrdup(value);
}

static void take_certificates(const struct patch *p, const struct mk_kubeadm_cluster *c)
{
	mk_autoerror err = { .code = MK_OK };

	if (c->algorithm && is_new(p, "encryptionAlgorithm", c->api_version) &&
		mk_key_kind_parse(c->algorithm, &p->spec->cert_algorithm, &err) < 0)
		mk_decode_problem(p->d, p->path, "%s", err.message);
	take_duration(p, "certificateValidityPeriod", c->api_version, c->validity,
		&p->spec->cert_validity);
	take_duration(p, "caCertificateValidityPeriod", c->api_version, c->ca_validity,
		&p->spec->ca_validity);
}

static void take_cluster(const struct patch *p, const json_t *value)
{
	struct mk_kubeadm_cluster c = { .kind = NULL };

	mk_decode_object(p->d, &mk_kubeadm_cluster_table, value, p->path, &c);
	take_component(p, "apiServer", &c.api_server, MK_COMPONENT_API_SERVER);
	take_component(
		p, "controllerManager", &c.controller_manager, MK_COMPONENT_CONTROLLER_MANAGER);
	take_component(p, "scheduler", &c.scheduler, MK_COMPONENT_SCHEDULER);
	take_args(p, "etcd.local.extraArgs", c.etcd_args, take_component_flag, MK_COMPONENT_ETCD);
	check_same(p, "networking.podSubnet", c.pod_subnet, p->spec->pod_subnet,
		"networking.podSubnet of the file says it");
	check_same(p, "networking.serviceSubnet", c.service_subnet, p->spec->service_subnet,
		"networking.serviceSubnet of the file says it");
	check_same(p, "networking.dnsDomain", c.dns_domain, "cluster.local",
		"it stands in certificates, too");
	take_certificates(p, &c);
	mk_decode_release(&mk_kubeadm_cluster_table, &c);
}

/* "a=b,c=d" of --node-labels. */
static void take_labels(
	const struct patch *p, const char *place, const char *text, struct mk_node_spec *node)
{
	mk_autostrlist words = { .items = NULL };

	mk_strlist_split(&words, text, ",");
	for (size_t i = 0; i < words.count; i++) {
		char *value = strchr(words.items[i], '=');
		mk_autoerror err = { .code = MK_OK };

		if (!value) {
			mk_decode_problem(p->d, place, "'%.64s' must be KEY=VALUE", words.items[i]);
			continue;
		}
		*value++ = '\0';
		if (mk_check_node_label(words.items[i], &err) < 0 ||
			mk_check_label_value(value, &err) < 0)
			mk_decode_problem(p->d, place, "'%.64s': %s", words.items[i], err.message);
		else
			set_text(&node->labels, words.items[i], value);
	}
}

static void take_kubelet_flag(const struct patch *p, unsigned what, const char *place,
	const char *flag, const char *value)
{
	mk_autoerror err = { .code = MK_OK };

	(void)what;
	if (mk_streq(flag, "node-labels"))
		take_labels(p, place, value, p->more);
	else if (mk_config_check_flag(MK_COMPONENT_KUBELET, flag, value, p->spec, &err) < 0)
		mk_decode_problem(p->d, place, "%s", err.message);
	else
		set_text(&p->more->kubelet_args, flag, value);
}

static void free_taints(struct mk_node_spec *node)
{
	for (size_t i = 0; i < node->taint_count; i++) {
		free(node->taints[i].key);
		free(node->taints[i].value);
		free(node->taints[i].effect);
	}
	free(node->taints);
	node->taints = NULL;
	node->taint_count = 0;
}

static void set_taints(const struct mk_kubeadm_node *n, struct mk_node_spec *node)
{
	if (!n->taints_given)
		return;
	free_taints(node);
	node->taints_given = true;
	node->taint_count = n->taint_count;
	if (n->taint_count > 0)
		node->taints = mk_xcalloc(n->taint_count, sizeof(*node->taints));
	for (size_t i = 0; i < n->taint_count; i++) {
		const struct mk_taint_spec *from = &n->taints[i];

		node->taints[i] = (struct mk_taint_spec){
			.key = mk_xstrdup(from->key ? from->key : ""),
			.value = from->value ? mk_xstrdup(from->value) : NULL,
			.effect = mk_xstrdup(from->effect ? from->effect : ""),
		};
	}
}

/* Phases that are left out: only one of them is something that we would do. */
static void take_phases(const struct patch *p, const struct mk_strlist *phases)
{
	for (size_t i = 0; i < phases->count; i++) {
		mk_autofree char *rest = mk_xasprintf("skipPhases[%zu]", i);
		mk_autofree char *place = at(p, rest);

		if (mk_streq(phases->items[i], "addon/kube-proxy"))
			p->spec->proxy_mode = MK_PROXY_NONE;
		else if (!mk_decode_is_bad(p->d, place))
			mk_decode_problem(p->d, place,
				"kubeadm has such a phase, mkcluster has not: only addon/kube-proxy "
				"can be left out");
	}
}

static void check_socket(const struct patch *p, const char *socket)
{
	mk_autofree char *place = at(p, "nodeRegistration.criSocket");
	const char *path = socket ? mk_after_prefix(socket, "unix://") : NULL;

	path = path ? path : socket;
	if (path && !mk_streq(path, "/run/containerd/containerd.sock") &&
		!mk_streq(path, "/var/run/containerd/containerd.sock"))
		mk_decode_problem(p->d, place, "containerd is at /run/containerd/containerd.sock");
}

static void put_over(json_t **map, json_t *more)
{
	if (!more)
		return;
	if (!*map)
		*map = json_object();
	(void)json_object_update(*map, more);
}

/* Beyond this the number of nodes is a problem itself, and is told. */
#define MAX_NODES (MK_MAX_CONTROL_PLANES + MK_MAX_WORKERS)

static void take_node(struct patch *p, const json_t *value, bool init)
{
	const struct mk_table *table = init ? &mk_kubeadm_init_table : &mk_kubeadm_join_table;
	size_t first = first_control_plane(p->spec);
	struct mk_kubeadm_node n = { .kind = NULL };
	struct mk_node_spec more = { .image = NULL };

	mk_decode_object(p->d, table, value, p->path, &n);
	check_socket(p, n.socket);
	take_phases(p, &n.skip_phases);
	p->more = &more;
	take_args(p, "nodeRegistration.kubeletExtraArgs", n.kubelet_args, take_kubelet_flag, 0);
	for (size_t i = 0; i < p->spec->node_count && i < MAX_NODES; i++) {
		struct mk_node_spec *node = &p->spec->nodes[i];

		if (p->node == MK_ALL_NODES ? (i == first) != init : i != p->node)
			continue;
		put_over(&node->labels, more.labels);
		put_over(&node->kubelet_args, more.kubelet_args);
		set_taints(&n, node);
	}
	mk_node_spec_done(&more);
	mk_decode_release(table, &n);
}

static void take_init(struct patch *p, const json_t *value)
{
	if (is_on_first(p, "InitConfiguration", "there, or write JoinConfiguration"))
		take_node(p, value, true);
}

static void take_join(struct patch *p, const json_t *value)
{
	if (p->node != MK_ALL_NODES && p->node == first_control_plane(p->spec))
		mk_decode_problem(p->d, p->path,
			"the first control plane joins nothing: write InitConfiguration");
	else
		take_node(p, value, false);
}

/* Put what a loose table likes over what is there already. */
static void merge(
	const struct patch *p, const struct mk_table *table, const json_t *value, json_t **member)
{
	mk_autojson *fields = json_deep_copy(value);

	(void)json_object_del(fields, "apiVersion");
	(void)json_object_del(fields, "kind");
	(void)json_object_del(fields, "metadata");
	mk_decode_object(p->d, table, fields, p->path, NULL);
	if (!*member)
		*member = json_object();
	(void)json_object_update_recursive(*member, fields);
}

static void take_kubelet(struct patch *p, const json_t *value)
{
	merge(p, &mk_config_kubelet_table, value,
		p->node == MK_ALL_NODES ? &p->spec->kubelet_config
					: &p->spec->nodes[p->node].kubelet_config);
}

static void take_proxy(struct patch *p, const json_t *value)
{
	if (is_on_first(p, "KubeProxyConfiguration", "at the top of the file"))
		merge(p, &mk_config_proxy_table, value, &p->spec->proxy_config);
}

static void take_whole_cluster(struct patch *p, const json_t *value)
{
	if (is_on_first(p, "ClusterConfiguration", "at the top of the file"))
		take_cluster(p, value);
}

static const struct document {
	const char *kind;
	const char *group; /* of its apiVersion */
	void (*take)(struct patch *p, const json_t *value);
} documents[] = {
	{ "ClusterConfiguration", "kubeadm.k8s.io/", take_whole_cluster },
	{ "InitConfiguration", "kubeadm.k8s.io/", take_init },
	{ "JoinConfiguration", "kubeadm.k8s.io/", take_join },
	{ "KubeletConfiguration", "kubelet.config.k8s.io/v1beta1", take_kubelet },
	{ "KubeProxyConfiguration", "kubeproxy.config.k8s.io/v1alpha1", take_proxy },
};

static const struct document *find_document(const struct patch *p, const json_t *value)
{
	const json_t *kind = json_object_get(value, "kind");
	const char *names[MK_ARRAY_LEN(documents)];
	mk_autofree char *place = at(p, "kind");
	const char *word = json_string_value(kind), *near = NULL;

	for (size_t i = 0; i < MK_ARRAY_LEN(documents); i++) {
		names[i] = documents[i].kind;
		if (word && mk_streq(word, names[i]))
			return &documents[i];
	}
	if (word)
		near = mk_did_you_mean(word, names, MK_ARRAY_LEN(names));
	if (!kind)
		mk_decode_problem(p->d, place, "is missing: it says what the patch is for");
	else if (near)
		mk_decode_problem(
			p->d, place, "kubeadm reads no such thing; did you mean '%s'?", near);
	else
		mk_decode_problem(p->d, place,
			"must be ClusterConfiguration, InitConfiguration, JoinConfiguration, "
			"KubeletConfiguration or KubeProxyConfiguration");
	return NULL;
}

static void take_document(struct patch *p, const json_t *value)
{
	const struct document *document = find_document(p, value);
	const json_t *version = json_object_get(value, "apiVersion");
	mk_autofree char *place = at(p, "apiVersion");
	const char *word = json_string_value(version);

	if (!document)
		return;
	if (version && (!word || !mk_after_prefix(word, document->group)))
		mk_decode_problem(
			p->d, place, "must be %s for a %s", document->group, document->kind);
	else
		document->take(p, value);
}

void mk_config_take_kubeadm(struct mk_decode *d, const char *path, const char *text,
	struct mk_cluster_spec *spec, size_t node)
{
	struct patch patch = { .d = d, .path = path, .spec = spec, .node = node };
	mk_autojson *value = NULL;

	if (!mk_decode_open(d, path, text, &value))
		return;
	if (json_is_object(value))
		take_document(&patch, value);
	else
		mk_decode_problem(d, path, "must be YAML: a map with a kind");
	mk_decode_close(d);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that need an API: kubeconfig, manifests, and waiting for them. */
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/cluster/bringup.h"
#include "lib/cluster/cluster.h"
#include "lib/kube/apply.h"
#include "lib/kube/userconfig.h"
#include "lib/kube/watch.h"
#include "manifests/render.h"

int mk_step_write_kubeconfig(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autoidentity identity = { .server = NULL };
	mk_autofree char *address = mk_xasprintf(
		"%s:%lld", b->spec->api_address, (long long)b->api_port);
	mk_autofree char *url = mk_cluster_url(b->docker, "https", address);
	mk_autofree char *context = mk_cluster_context(b->spec->name);
	struct mk_userconfig_entry entry = { .name = context, .server = url };
	int r = mk_pki_bundle_kubeconfig(b->pki, "admin", 0, url, context, &text, err);

	if (r == 0)
		r = mk_kube_identity_parse(text.data, text.len, &identity, err);
	if (r < 0)
		return r;
	entry.ca_pem = identity.ca_pem;
	entry.cert_pem = identity.cert_pem;
	entry.key_pem = identity.key_pem;
	r = mk_userconfig_merge(b->options->kubeconfig, &entry, b->options->switch_context,
		&b->kubeconfig_path, err);
	if (r < 0)
		return mk_error_wrap(err, "write the kubeconfig");
	*ret_note = mk_xasprintf("context %s in %s", context, b->kubeconfig_path);
	return 0;
}

/* ${GATEWAY_IMAGE} of role "gateway", and so on. */
static void set_image(struct mk_render *render, const char *role, const char *image)
{
	mk_autofree char *name = mk_xasprintf("%s_IMAGE", role);

	for (char *p = name; *p; p++)
		*p = *p == '-' ? '_' : (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
	mk_render_set(render, name, image);
}

/* PEM texts go into objects as base64 of them. */
static int ca_bundle(const struct mk_bringup *b, char **ret, struct mk_error *err)
{
	mk_autobuf pem = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_pki_bundle_trust(b->pki, "ca", &pem, err);

	if (r == 0)
		*ret = mk_base64(pem.data, pem.len);
	return r;
}

static int set_variables(const struct mk_bringup *b, struct mk_render *render, struct mk_error *err)
{
	mk_autofree char *dns = NULL;
	mk_autofree char *ca = NULL;
	struct mk_cidr services;
	const char *role;
	json_t *image;
	int r = mk_cidr_parse(b->spec->service_subnet, &services, err);

	if (r == 0)
		r = ca_bundle(b, &ca, err);
	if (r < 0)
		return r;
	dns = mk_cidr_address(&services, 10);
	mk_render_set(render, "CA_BUNDLE", ca);
	mk_render_set(render, "DNS_IP", dns);
	mk_render_setf(render, "GATEWAY_NODE_PORT", "%d", MK_GATEWAY_PORT);
	mk_render_setf(
		render, "REGISTRY_HOST_ADDRESS", "localhost:%lld", (long long)b->registry_port);
	mk_render_setf(render, "REGISTRY_NODE_ADDRESS", "%s:5000", b->plan.nodes[0].ip);
	json_object_foreach (b->images, role, image)
		set_image(render, role, json_string_value(image));
	return 0;
}

static int add_objects(
	const struct mk_render *render, const char *path, json_t *objects, struct mk_error *err)
{
	mk_autojson *more = NULL;
	int r = mk_render_objects(render, path, &more, err);

	if (r == 0)
		(void)json_array_extend(objects, more);
	return r;
}

static json_t *password_secret(const struct mk_bringup *b)
{
	mk_autosecret char *password = mk_base64(b->password, strlen(b->password));
	mk_autofree char *user = mk_base64("admin", 5);

	return mk_json_pack("{s:s,s:s,s:{s:s,s:s},s:s,s:{s:s,s:s}}", "apiVersion", "v1", "kind",
		"Secret", "metadata", "name", "basic-auth", "namespace", "openfaas", "type",
		"Opaque", "data", "basic-auth-user", user, "basic-auth-password", password);
}

static const char *const cluster_files[] = { "objects/cluster.yaml", "objects/coredns.yaml" };
static const char *const openfaas_files[] = { "objects/openfaas-namespaces.yaml",
	"objects/openfaas-gateway.yaml", "objects/openfaas-queue.yaml",
	"objects/openfaas-monitoring.yaml" };

int mk_step_apply(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	mk_autorender render = mk_render_init();
	mk_autojson *objects = json_array();
	int r = set_variables(b, &render, err);

	for (size_t i = 0; i < MK_ARRAY_LEN(cluster_files) && r == 0; i++)
		r = add_objects(&render, cluster_files[i], objects, err);
	for (size_t i = 0; i < MK_ARRAY_LEN(openfaas_files) && r == 0 && b->spec->openfaas; i++)
		r = add_objects(&render, openfaas_files[i], objects, err);
	if (r < 0)
		return r;
	if (b->spec->openfaas)
		(void)json_array_append_new(objects, password_secret(b));
	*ret_note = mk_xasprintf("%zu objects", json_array_size(objects));
	return mk_kube_apply(b->kube, objects, err);
}

/* The pair that metrics-server serves with: it is in no node's files. */
static int add_metrics_secret(const struct mk_bringup *b, json_t *objects, struct mk_error *err)
{
	mk_autobuf cert = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autowipebuf key = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autofree char *cert_text = NULL;
	mk_autosecret char *key_text = NULL;
	int r = mk_cert_pem(mk_pki_bundle_cert(b->pki, "metrics-server", 0), &cert, err);

	if (r == 0)
		r = mk_key_private_pem(mk_pki_bundle_key(b->pki, "metrics-server", 0), &key, err);
	if (r < 0)
		return r;
	cert_text = mk_base64(cert.data, cert.len);
	key_text = mk_base64(key.data, key.len);
	(void)json_array_append_new(objects,
		mk_json_pack("{s:s,s:s,s:{s:s,s:s},s:s,s:{s:s,s:s}}", "apiVersion", "v1", "kind",
			"Secret", "metadata", "name", "metrics-server", "namespace", "kube-system",
			"type", "kubernetes.io/tls", "data", "tls.crt", cert_text, "tls.key",
			key_text));
	return 0;
}

int mk_step_start_addons(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	bool storage = b->spec->storage, metrics = b->spec->metrics;
	mk_autorender render = mk_render_init();
	mk_autojson *objects = json_array();
	int r = set_variables(b, &render, err);

	if (r == 0 && storage)
		r = add_objects(&render, "objects/storage.yaml", objects, err);
	if (r == 0 && metrics)
		r = add_objects(&render, "objects/metrics.yaml", objects, err);
	if (r == 0 && metrics)
		r = add_metrics_secret(b, objects, err);
	if (r < 0)
		return r;
	*ret_note = mk_xasprintf("%s%s%s", storage ? "storage" : "", storage && metrics ? ", " : "",
		metrics ? "metrics" : "");
	return mk_kube_apply(b->kube, objects, err);
}

/* The rest of metrics-server may be as the user has changed it. */
static json_t *only_trust(const json_t *objects)
{
	json_t *some = json_array();
	const json_t *object;
	size_t i;

	json_array_foreach (objects, i, object) {
		const char *kind = mk_json_str(object, "kind", "");

		if (mk_streq(kind, "Secret") || mk_streq(kind, "APIService"))
			(void)json_array_append(some, (json_t *)(uintptr_t)object);
	}
	return some;
}

int mk_bringup_renew_metrics(struct mk_bringup *b, struct mk_error *err)
{
	mk_autorender render = mk_render_init();
	mk_autojson *objects = json_array();
	mk_autojson *some = NULL;
	int r = b->spec->metrics ? set_variables(b, &render, err) : 0;

	if (r < 0 || !b->spec->metrics)
		return r;
	r = add_objects(&render, "objects/metrics.yaml", objects, err);
	if (r == 0)
		r = add_metrics_secret(b, objects, err);
	if (r < 0)
		return r;
	some = only_trust(objects);
	return mk_kube_apply(b->kube, some, err);
}

/* Of the cluster's own objects only those that say where something is: all others are as
 * the snapshot has them, and as the user may have changed them. */
int mk_bringup_tell_place(struct mk_bringup *b, struct mk_error *err)
{
	mk_autorender render = mk_render_init();
	mk_autojson *all = NULL;
	mk_autojson *objects = json_array();
	const json_t *object;
	size_t i;
	int r = set_variables(b, &render, err);

	if (r == 0)
		r = mk_render_objects(&render, cluster_files[0], &all, err);
	json_array_foreach (all, i, object) {
		if (mk_streq(mk_json_str(object, "kind", ""), "ConfigMap"))
			(void)json_array_append(objects, json_array_get(all, i));
	}
	if (r == 0)
		r = mk_kube_apply(b->kube, objects, err);
	return r == 0 ? mk_bringup_renew_metrics(b, err) : r;
}

int mk_bringup_set_roles(struct mk_bringup *b, struct mk_error *err)
{
	mk_autojson *nodes = json_array();

	for (size_t i = 0; i < b->plan.control_planes; i++)
		(void)json_array_append_new(nodes,
			mk_json_pack("{s:s,s:s,s:{s:s,s:{s:s}}}", "apiVersion", "v1", "kind",
				"Node", "metadata", "name", b->plan.nodes[i].name, "labels",
				"node-role.kubernetes.io/control-plane", ""));
	return mk_kube_apply(b->kube, nodes, err);
}

/* A wrong flag in the config file should not cost the whole time limit. */
#define SLICE_MS 5000

/* A watch gives up a moment early, when it could not begin anew: no slice is as
 * short, or its silence would take the place of what was refused. */
#define SHORTEST_MS 500

int64_t mk_bringup_slice(const struct mk_bringup *b)
{
	int64_t left = mk_remaining_ms(b->deadline);

	return mk_deadline(left < SLICE_MS ? left : SLICE_MS);
}

bool mk_bringup_goes_on(struct mk_bringup *b, int *r, struct mk_error *err)
{
	if (*r != -MK_ETIMEOUT || mk_remaining_ms(b->deadline) < SHORTEST_MS)
		return false;
	mk_error_done(err);
	*r = mk_check_units(b, b->plan.kube_count, err);
	return *r == 0;
}

int mk_step_wait_nodes(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	mk_autostrlist names = { .items = NULL };
	bool no_cni = b->spec->no_cni;
	int r;

	for (size_t i = 0; i < b->plan.kube_count; i++)
		mk_strlist_add(&names, b->plan.nodes[i].name);
	do {
		r = no_cni ? mk_kube_wait_registered(b->kube, &names, mk_bringup_slice(b), err)
			   : mk_kube_wait_nodes(b->kube, &names, NULL, mk_bringup_slice(b), err);
	} while (mk_bringup_goes_on(b, &r, err));
	if (r == 0)
		r = mk_bringup_set_roles(b, err);
	if (r == 0)
		*ret_note = mk_xasprintf("%zu %s", names.count,
			no_cni ? "registered, NotReady without a CNI" : "Ready");
	return r;
}

static int wait_for(struct mk_bringup *b, const char *const *names, size_t count,
	mk_available_report report, void *payload, struct mk_error *err)
{
	mk_autostrlist list = { .items = NULL };
	int r;

	for (size_t i = 0; i < count; i++)
		mk_strlist_add(&list, names[i]);
	do {
		r = mk_kube_wait_deployments(
			b->kube, &list, mk_bringup_slice(b), report, payload, err);
	} while (mk_bringup_goes_on(b, &r, err));
	return r;
}

int mk_step_wait_dns(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	static const char *const names[] = { "kube-system/coredns" };

	(void)ret_note;
	return wait_for(b, names, MK_ARRAY_LEN(names), NULL, NULL, err);
}

/* When the gateway became available, in a wait for all of OpenFaaS. */
static void note_gateway(void *payload, const char *name, size_t left)
{
	int64_t *when = payload;

	(void)left;
	/* Every slice tells anew what is available. */
	if (mk_streq(name, "openfaas/gateway") && *when == 0)
		*when = mk_now_ms();
}

/* The last word has the gateway itself, through the port the user will use. */
int mk_bringup_wait_gateway(struct mk_bringup *b, struct mk_error *err)
{
	mk_autofree char *address = mk_xasprintf(
		"%s:%lld", b->spec->api_address, (long long)b->gateway_port);
	mk_autofree char *url = mk_cluster_url(b->docker, "http", address);

	for (;;) {
		int64_t left = mk_remaining_ms(b->deadline);
		int r = mk_http_wait_ok(
			url, "/healthz", mk_deadline(left < 1000 ? left : 1000), err);

		if (r != -MK_ETIMEOUT || mk_remaining_ms(b->deadline) == 0)
			return r;
		r = mk_node_still_runs(b, err);
		if (r < 0)
			return r;
	}
}

int mk_step_wait_openfaas(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	/* Prometheus too: without it the gateway answers no list of functions. */
	static const char *const names[] = { "openfaas/gateway", "openfaas/nats",
		"openfaas/queue-worker", "openfaas/prometheus", "openfaas/alertmanager" };
	int64_t start = mk_now_ms(), gateway = 0;
	mk_autofree char *answered = NULL;
	int r = wait_for(b, names, MK_ARRAY_LEN(names), note_gateway, &gateway, err);

	if (r == 0)
		r = mk_bringup_wait_gateway(b, err);
	if (r < 0)
		return r;
	answered = mk_format_duration(gateway - start);
	*ret_note = mk_xasprintf("the gateway after %s", answered);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/kind.h"

#include "lib/base/limits.h"
#include "lib/kube/batch.h"
#include "lib/kube/manifest.h"

#include <ctype.h>

#define RBAC "rbac.authorization.k8s.io/v1"
#define ADMISSION "admissionregistration.k8s.io/v1"

/* https://kubernetes.io/docs/reference/kubernetes-api/ */
static const struct mk_kind known[] = {
	{ "v1", "Namespace", "namespaces", false, MK_RANK_NAMESPACE, false },
	{ "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false,
		MK_RANK_CRD, false },
	{ "v1", "ServiceAccount", "serviceaccounts", true, MK_RANK_REFERRED, false },
	{ "v1", "Secret", "secrets", true, MK_RANK_REFERRED, false },
	{ "v1", "ConfigMap", "configmaps", true, MK_RANK_REFERRED, false },
	{ "v1", "PersistentVolume", "persistentvolumes", false, MK_RANK_REFERRED, false },
	{ "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true, MK_RANK_REFERRED, false },
	{ "v1", "LimitRange", "limitranges", true, MK_RANK_REFERRED, false },
	{ "v1", "ResourceQuota", "resourcequotas", true, MK_RANK_REFERRED, false },
	{ RBAC, "Role", "roles", true, MK_RANK_REFERRED, false },
	{ RBAC, "RoleBinding", "rolebindings", true, MK_RANK_REFERRED, false },
	{ RBAC, "ClusterRole", "clusterroles", false, MK_RANK_REFERRED, false },
	{ RBAC, "ClusterRoleBinding", "clusterrolebindings", false, MK_RANK_REFERRED, false },
	{ "storage.k8s.io/v1", "StorageClass", "storageclasses", false, MK_RANK_REFERRED, false },
	{ "storage.k8s.io/v1", "CSIDriver", "csidrivers", false, MK_RANK_REFERRED, false },
	{ "scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", false, MK_RANK_REFERRED,
		false },
	{ "node.k8s.io/v1", "RuntimeClass", "runtimeclasses", false, MK_RANK_REFERRED, false },
	{ "networking.k8s.io/v1", "IngressClass", "ingressclasses", false, MK_RANK_REFERRED,
		false },
	{ "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true, MK_RANK_REFERRED,
		false },
	{ "v1", "Node", "nodes", false, MK_RANK_REFERRED, false },
	{ "v1", "Service", "services", true, MK_RANK_SERVICE, false },
	{ "networking.k8s.io/v1", "Ingress", "ingresses", true, MK_RANK_SERVICE, false },
	{ "policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true, MK_RANK_SERVICE,
		false },
	{ "v1", "Pod", "pods", true, MK_RANK_WORKLOAD, false },
	{ "v1", "ReplicationController", "replicationcontrollers", true, MK_RANK_WORKLOAD, false },
	{ "apps/v1", "Deployment", "deployments", true, MK_RANK_WORKLOAD, false },
	{ "apps/v1", "DaemonSet", "daemonsets", true, MK_RANK_WORKLOAD, false },
	{ "apps/v1", "StatefulSet", "statefulsets", true, MK_RANK_WORKLOAD, false },
	{ "apps/v1", "ReplicaSet", "replicasets", true, MK_RANK_WORKLOAD, false },
	{ "batch/v1", "Job", "jobs", true, MK_RANK_WORKLOAD, false },
	{ "batch/v1", "CronJob", "cronjobs", true, MK_RANK_WORKLOAD, false },
	{ "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true,
		MK_RANK_WORKLOAD, false },
	{ ADMISSION, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false,
		MK_RANK_LAST, false },
	{ ADMISSION, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false,
		MK_RANK_LAST, false },
	{ ADMISSION, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false,
		MK_RANK_LAST, false },
	{ ADMISSION, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", false,
		MK_RANK_LAST, false },
	{ "apiregistration.k8s.io/v1", "APIService", "apiservices", false, MK_RANK_LAST, false },
};

struct mk_kinds {
	json_t *words;            /* keeps the strings of the learned ones */
	struct mk_kind **learned; /* each stays where it is */
	size_t count;
	struct mk_strlist asked;  /* API versions */
	struct mk_strlist absent; /* those of them that the server has not */
};

static bool is_kind(const struct mk_kind *kind, const char *api_version, const char *name)
{
	return mk_streq(kind->api_version, api_version) && mk_streq(kind->kind, name);
}

const struct mk_kind *mk_kind_known(const json_t *object)
{
	const char *version = mk_json_str(object, "apiVersion", "");
	const char *kind = mk_json_str(object, "kind", "");

	for (size_t i = 0; i < MK_ARRAY_LEN(known); i++) {
		if (is_kind(&known[i], version, kind))
			return &known[i];
	}
	return NULL;
}

struct mk_kinds *mk_kinds_new(void)
{
	struct mk_kinds *kinds = mk_xcalloc(1, sizeof(*kinds));

	kinds->words = json_array();
	return kinds;
}

void mk_kinds_free(struct mk_kinds *kinds)
{
	if (!kinds)
		return;
	json_decref(kinds->words);
	for (size_t i = 0; i < kinds->count; i++)
		free(kinds->learned[i]);
	free(kinds->learned);
	mk_strlist_done(&kinds->asked);
	mk_strlist_done(&kinds->absent);
	free(kinds);
}

static const char *keep(struct mk_kinds *kinds, const char *s)
{
	json_t *word = json_string(s);

	(void)json_array_append_new(kinds->words, word);
	return word ? json_string_value(word) : "";
}

static void learn(struct mk_kinds *kinds, const struct mk_kind *kind)
{
	struct mk_kind *own = mk_xmalloc(sizeof(*own));

	*own = *kind;
	own->api_version = keep(kinds, kind->api_version);
	own->kind = keep(kinds, kind->kind);
	own->plural = keep(kinds, kind->plural);
	kinds->learned = mk_xrealloc(kinds->learned, (kinds->count + 1) * sizeof(*kinds->learned));
	kinds->learned[kinds->count++] = own;
}

const struct mk_kind *mk_kinds_find(const struct mk_kinds *kinds, const json_t *object)
{
	const char *version = mk_json_str(object, "apiVersion", "");
	const char *name = mk_json_str(object, "kind", "");
	const struct mk_kind *kind = mk_kind_known(object);

	for (size_t i = 0; !kind && i < kinds->count; i++) {
		if (is_kind(kinds->learned[i], version, name))
			kind = kinds->learned[i];
	}
	return kind;
}

static bool is_of_group(const struct mk_kind *kind, const char *group, const char *name)
{
	mk_autofree char *own = mk_kind_group(kind->api_version);

	return mk_streq(own, group) && mk_streq(kind->kind, name);
}

const struct mk_kind *mk_kinds_of_group(
	const struct mk_kinds *kinds, const char *group, const char *name)
{
	for (size_t i = 0; i < kinds->count; i++) {
		if (is_of_group(kinds->learned[i], group, name))
			return kinds->learned[i];
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(known); i++) {
		if (is_of_group(&known[i], group, name))
			return &known[i];
	}
	return NULL;
}

/* https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
 */
static void learn_crd(struct mk_kinds *kinds, const json_t *crd)
{
	const char *group = mk_json_str(crd, "spec.group", "");
	const char *plural = mk_json_str(crd, "spec.names.plural", "");
	const json_t *version;
	size_t i;

	if (!mk_manifest_name_ok(group) || !mk_manifest_name_ok(plural))
		return;
	json_array_foreach (mk_json_at(crd, "spec.versions"), i, version) {
		mk_autofree char *api_version = mk_xasprintf(
			"%s/%s", group, mk_json_str(version, "name", ""));
		const struct mk_kind kind = {
			.api_version = api_version,
			.kind = mk_json_str(crd, "spec.names.kind", ""),
			.plural = plural,
			.namespaced = mk_streq(mk_json_str(crd, "spec.scope", ""), "Namespaced"),
			.rank = MK_RANK_CUSTOM,
			.promised = true,
		};

		learn(kinds, &kind);
	}
}

static char *discovery_path(const char *api_version)
{
	return mk_xasprintf("/%s/%s", strchr(api_version, '/') ? "apis" : "api", api_version);
}

static int learn_resources(struct mk_kinds *kinds, const char *api_version,
	const struct mk_http_response *response, struct mk_error *err)
{
	mk_autojson *list = NULL;
	const json_t *resource;
	size_t i;
	int r = mk_json_parse(response->body.data, response->body.len, api_version, &list, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(list, "resources"), i, resource) {
		const struct mk_kind kind = {
			.api_version = api_version,
			.kind = mk_json_str(resource, "kind", ""),
			.plural = mk_json_str(resource, "name", "/"),
			.namespaced = json_is_true(json_object_get(resource, "namespaced")),
			.rank = MK_RANK_CUSTOM,
		};

		/* "deployments/scale" is a part of one. */
		if (mk_manifest_name_ok(kind.plural))
			learn(kinds, &kind);
	}
	return 0;
}

/* Ask for those of `versions` that nobody has asked for. */
static int discover(struct mk_kinds *kinds, struct mk_kube *kube, const struct mk_strlist *versions,
	struct mk_error *err)
{
	mk_autobatch batch = { .count = 0 };
	size_t first = kinds->asked.count;
	int r;

	for (size_t i = 0; i < versions->count; i++) {
		if (mk_strlist_has(&kinds->asked, versions->items[i]))
			continue;
		mk_strlist_add(&kinds->asked, versions->items[i]);
		mk_batch_add(&batch, "GET", discovery_path(versions->items[i]), NULL, NULL);
	}
	r = mk_batch_send(kube, &batch, err);
	for (size_t i = 0; r == 0 && i < batch.count; i++) {
		const struct mk_http_response *response = &batch.responses[i];
		const char *version = kinds->asked.items[first + i];

		if (response->status == 404)
			mk_strlist_add(&kinds->absent, version);
		else if (response->status >= 400)
			r = mk_kube_refused("GET", batch.requests[i].path, response, err);
		else
			r = learn_resources(kinds, version, response, err);
	}
	return r;
}

int mk_kinds_learn(
	struct mk_kinds *kinds, struct mk_kube *kube, const json_t *objects, struct mk_error *err)
{
	mk_autostrlist versions = { .items = NULL };
	const json_t *object;
	size_t i;

	json_array_foreach (objects, i, object) {
		const struct mk_kind *kind = mk_kind_known(object);

		if (kind && kind->rank == MK_RANK_CRD)
			learn_crd(kinds, object);
	}
	json_array_foreach (objects, i, object) {
		const char *version = mk_json_str(object, "apiVersion", "");

		if (*version && !mk_kinds_find(kinds, object) &&
			!mk_strlist_has(&versions, version))
			mk_strlist_add(&versions, version);
	}
	return versions.count > 0 ? discover(kinds, kube, &versions, err) : 0;
}

int mk_kinds_learn_group(
	struct mk_kinds *kinds, struct mk_kube *kube, const char *group, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/apis/%s", group);
	mk_autostrlist versions = { .items = NULL };
	mk_autojson *answer = NULL;
	const char *version;
	int r = *group ? mk_kube_call(kube, "GET", path, NULL, &answer, err) : 0;

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 0;
	}
	if (r < 0)
		return r;
	version = *group ? mk_json_str(answer, "preferredVersion.groupVersion", NULL) : "v1";
	if (!version)
		return 0;
	mk_strlist_add(&versions, version);
	return discover(kinds, kube, &versions, err);
}

/* One component of a path. A colon, as in "system:node", needs no escape (RFC 3986,
 * section 3.3). Caller frees. */
static char *component(const char *name)
{
	for (const char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("-._~:", *p))
			return mk_http_escape(name);
	}
	return mk_xstrdup(name);
}

char *mk_kind_path(const struct mk_kind *kind, const char *namespace, const char *name)
{
	mk_autofree char *space = namespace ? component(namespace) : NULL;
	mk_autofree char *last = name ? component(name) : NULL;
	bool in = kind->namespaced && space;

	return mk_xasprintf("/%s/%s%s%s/%s%s%s", strchr(kind->api_version, '/') ? "apis" : "api",
		kind->api_version, in ? "/namespaces/" : "", in ? space : "", kind->plural,
		last ? "/" : "", last ? last : "");
}

char *mk_kind_group(const char *api_version)
{
	const char *slash = strchr(api_version, '/');

	return mk_xstrndup(api_version, slash ? (size_t)(slash - api_version) : 0);
}

/* Words about a group that the server has not, or not in this version. */
static char *explain_group(const json_t *groups, const char *api_version, const char *kind)
{
	mk_autofree char *wanted = mk_kind_group(api_version);
	mk_autostrlist names = { .items = NULL }, versions = { .items = NULL };
	mk_autofree char *list = NULL;
	const json_t *group, *version;
	const char *near;
	size_t i, j;

	json_array_foreach (json_object_get(groups, "groups"), i, group) {
		const char *name = mk_json_str(group, "name", "");

		mk_strlist_add(&names, name);
		json_array_foreach (json_object_get(group, "versions"), j, version) {
			if (mk_streq(name, wanted))
				mk_strlist_add(&versions, mk_json_str(version, "groupVersion", ""));
		}
	}
	list = mk_strlist_join(&versions, ", ");
	if (versions.count > 0)
		return mk_xasprintf("the server has %s, but not %s", list, api_version);
	near = mk_did_you_mean(wanted, (const char *const *)names.items, names.count);
	if (near)
		return mk_xasprintf(
			"the server has no API '%s'; did you mean '%s'?", api_version, near);
	return mk_xasprintf("the server has no API '%s', and no CRD among the objects makes the "
			    "kind %s",
		api_version, kind);
}

static char *explain_kind(const struct mk_kinds *kinds, const char *api_version, const char *kind)
{
	mk_autostrlist names = { .items = NULL };
	const char *near;

	for (size_t i = 0; i < kinds->count; i++) {
		if (mk_streq(kinds->learned[i]->api_version, api_version))
			mk_strlist_add(&names, kinds->learned[i]->kind);
	}
	near = mk_did_you_mean(kind, (const char *const *)names.items, names.count);
	if (near)
		return mk_xasprintf(
			"%s has no kind '%s'; did you mean '%s'?", api_version, kind, near);
	return mk_xasprintf(
		"%s has no kind '%s', and no CRD among the objects makes it", api_version, kind);
}

int mk_kinds_explain(const struct mk_kinds *kinds, struct mk_kube *kube, const json_t *object,
	char **ret, struct mk_error *err)
{
	const char *version = mk_json_str(object, "apiVersion", "");
	const char *kind = mk_json_str(object, "kind", "");
	mk_autojson *groups = NULL;
	int r;

	if (!mk_strlist_has(&kinds->absent, version)) {
		*ret = explain_kind(kinds, version, kind);
		return 0;
	}
	r = mk_kube_call(kube, "GET", "/apis", NULL, &groups, err);
	if (r == 0)
		*ret = explain_group(groups, version, kind);
	return r;
}

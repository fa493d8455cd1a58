/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/apply.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"

enum rank {
	RANK_NAMESPACE, /* holds the others */
	RANK_REFERRED,  /* pods and bindings refer to it */
	RANK_SERVICE,   /* claims addresses and ports that others know */
	RANK_WORKLOAD,
	RANK_COUNT,
};

/* The kinds of our own manifests: https://kubernetes.io/docs/reference/kubernetes-api/ */
static const struct kind {
	const char *api_version;
	const char *kind;
	const char *plural;
	bool namespaced;
	enum rank rank;
} kinds[] = {
	{ "v1", "Namespace", "namespaces", false, RANK_NAMESPACE },
	{ "v1", "ServiceAccount", "serviceaccounts", true, RANK_REFERRED },
	{ "v1", "Secret", "secrets", true, RANK_REFERRED },
	{ "v1", "ConfigMap", "configmaps", true, RANK_REFERRED },
	{ "rbac.authorization.k8s.io/v1", "Role", "roles", true, RANK_REFERRED },
	{ "rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true, RANK_REFERRED },
	{ "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false, RANK_REFERRED },
	{ "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false,
		RANK_REFERRED },
	{ "storage.k8s.io/v1", "StorageClass", "storageclasses", false, RANK_REFERRED },
	{ "v1", "Node", "nodes", false, RANK_REFERRED },
	{ "v1", "Service", "services", true, RANK_SERVICE },
	{ "apps/v1", "Deployment", "deployments", true, RANK_WORKLOAD },
	{ "apps/v1", "DaemonSet", "daemonsets", true, RANK_WORKLOAD },
	{ "apps/v1", "StatefulSet", "statefulsets", true, RANK_WORKLOAD },
	/* Last: the API server calls at once what it names. */
	{ "apiregistration.k8s.io/v1", "APIService", "apiservices", false, RANK_WORKLOAD },
};

static const struct kind *find_kind(const json_t *object)
{
	const char *api_version = mk_json_str(object, "apiVersion", "");
	const char *kind = mk_json_str(object, "kind", "");

	for (size_t i = 0; i < MK_ARRAY_LEN(kinds); i++) {
		if (mk_streq(kinds[i].api_version, api_version) && mk_streq(kinds[i].kind, kind))
			return &kinds[i];
	}
	return NULL;
}

int mk_kube_object_path(const json_t *object, char **ret, struct mk_error *err)
{
	const struct kind *kind = find_kind(object);
	const char *name = mk_json_str(object, "metadata.name", NULL);
	const char *namespace = mk_json_str(object, "metadata.namespace", "default");
	mk_autofree char *scope = NULL;

	if (!kind || !name)
		return mk_fail(err, MK_EINVALID,
			"cannot apply a %s %s without a known kind and a name",
			mk_json_str(object, "apiVersion", "?"), mk_json_str(object, "kind", "?"));
	scope = kind->namespaced ? mk_xasprintf("/namespaces/%s", namespace) : mk_xstrdup("");
	*ret = mk_xasprintf("/%s/%s%s/%s/%s", strchr(kind->api_version, '/') ? "apis" : "api",
		kind->api_version, scope, kind->plural, name);
	return 0;
}

struct batch {
	struct mk_http_request *requests;
	struct mk_http_response *responses;
	char **paths;
	char **bodies;
	size_t count;
};

static struct batch batch_init(size_t capacity)
{
	return (struct batch){
		.requests = mk_xcalloc(capacity, sizeof(struct mk_http_request)),
		.responses = mk_xcalloc(capacity, sizeof(struct mk_http_response)),
		.paths = mk_xcalloc(capacity, sizeof(char *)),
		.bodies = mk_xcalloc(capacity, sizeof(char *)),
	};
}

static void batch_done(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		mk_http_response_done(&batch->responses[i]);
		free(batch->paths[i]);
		mk_secret_free(batch->bodies[i]);
	}
	free(batch->requests);
	free(batch->responses);
	free(batch->paths);
	free(batch->bodies);
}

static int batch_add(struct batch *batch, const json_t *object, struct mk_error *err)
{
	mk_autofree char *path = NULL;
	size_t i = batch->count;
	int r = mk_kube_object_path(object, &path, err);

	if (r < 0)
		return r;
	batch->paths[i] = mk_xasprintf(
		"%s?fieldManager=" MK_KUBE_FIELD_MANAGER "&force=true", path);
	batch->bodies[i] = mk_json_print(object);
	batch->requests[i] = (struct mk_http_request){
		.method = "PATCH",
		.path = batch->paths[i],
		/* JSON is YAML: no need to print it as such. */
		.content_type = "application/apply-patch+yaml",
		.body = batch->bodies[i],
		.body_len = strlen(batch->bodies[i]),
		.timeout_ms = MK_KUBE_TIMEOUT_MS,
	};
	batch->count++;
	return 0;
}

static int batch_send(struct mk_kube *kube, struct batch *batch, struct mk_error *err)
{
	int r = mk_http_do_all(
		mk_kube_http(kube), batch->requests, batch->count, batch->responses, err);

	for (size_t i = 0; r == 0 && i < batch->count; i++) {
		if (batch->responses[i].status >= 400)
			r = mk_kube_refused("PATCH", batch->paths[i], &batch->responses[i], err);
	}
	return r;
}

static int apply_rank(
	struct mk_kube *kube, const json_t *objects, enum rank rank, struct mk_error *err)
{
	MK_CLEANUP(batch_done) struct batch batch = batch_init(json_array_size(objects));
	const json_t *object;
	size_t i;
	int r = 0;

	json_array_foreach (objects, i, object) {
		const struct kind *kind = find_kind(object);

		if (kind && kind->rank != rank)
			continue;
		r = batch_add(&batch, object, err);
		if (r < 0)
			return r;
	}
	return batch_send(kube, &batch, err);
}

int mk_kube_apply(struct mk_kube *kube, const json_t *objects, struct mk_error *err)
{
	for (int rank = 0; rank < RANK_COUNT; rank++) {
		int r = apply_rank(kube, objects, (enum rank)rank, err);

		if (r < 0)
			return r;
	}
	return 0;
}

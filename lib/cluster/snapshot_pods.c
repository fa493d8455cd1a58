/* SPDX-License-Identifier: Apache-2.0 */
/* What comes back in a restored cluster, and what cannot. */
#include "lib/base/clock.h"
#include "lib/cluster/snapshot_node.h"
#include "lib/kube/watch.h"

/* Pods of a namespace, and the Deployments that they are to be enough for. */
struct waiting {
	json_t *deployments; /* array of Deployments */
	json_t *ready;       /* uid -> labels of each pod that is Ready */
};

static void waiting_done(struct waiting *w)
{
	json_decref(w->deployments);
	json_decref(w->ready);
}

static bool has_labels(const json_t *labels, json_t *wanted)
{
	const char *key;
	json_t *value;

	json_object_foreach (wanted, key, value) {
		if (!json_equal(json_object_get(labels, key), value))
			return false;
	}
	return true;
}

static bool is_there(const struct waiting *w, const json_t *deployment)
{
	long long left = mk_json_int(deployment, "spec.replicas", 1);
	json_t *selector = mk_json_at(deployment, "spec.selector.matchLabels");
	const char *uid;
	json_t *labels;

	json_object_foreach (w->ready, uid, labels)
		left -= has_labels(labels, selector);
	return left <= 0;
}

/* The first Deployment that lacks pods, or NULL. */
static const char *missing(const struct waiting *w)
{
	const json_t *deployment;
	size_t i;

	json_array_foreach (w->deployments, i, deployment) {
		if (!is_there(w, deployment))
			return mk_json_str(deployment, "metadata.name", "?");
	}
	return NULL;
}

static int judge_pod(void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	struct waiting *w = payload;
	const char *uid = mk_json_str(object, "metadata.uid", "");

	(void)err;
	if (mk_streq(type, "DELETED") || !mk_kube_condition(object, "Ready"))
		(void)json_object_del(w->ready, uid);
	else
		(void)json_object_set(w->ready, uid, mk_json_at(object, "metadata.labels"));
	return missing(w) ? 0 : 1;
}

/* All Deployments of a namespace, or the one of this name, if there is one. */
static int find_deployments(struct mk_bringup *b, const char *namespace, const char *name,
	json_t **ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/apis/apps/v1/namespaces/%s/deployments%s%s",
		namespace, name ? "?fieldSelector=metadata.name%3D" : "", name ? name : "");
	mk_autojson *list = NULL;
	int r = mk_kube_call(b->kube, "GET", path, NULL, &list, err);

	if (r == 0)
		*ret = json_incref(json_object_get(list, "items"));
	return r;
}

static int wait_namespace(struct mk_bringup *b, const char *namespace, const char *name,
	size_t *count, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/api/v1/namespaces/%s/pods", namespace);
	MK_CLEANUP(waiting_done) struct waiting w = { .ready = json_object() };
	int r = find_deployments(b, namespace, name, &w.deployments, err);

	*count += json_array_size(w.deployments);
	if (r < 0 || !missing(&w))
		return r;
	do {
		r = mk_kube_watch(b->kube, path, mk_bringup_slice(b), judge_pod, &w, err);
	} while (mk_bringup_goes_on(b, &r, err));
	return r == -MK_ETIMEOUT
		? mk_error_wrap(err, "'%s/%s' has not enough pods", namespace, missing(&w))
		: r;
}

int mk_restore_wait_pods(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	size_t dns = 0, openfaas = 0;
	int r = wait_namespace(b, "kube-system", "coredns", &dns, err);

	if (r == 0 && b->spec->openfaas)
		r = wait_namespace(b, "openfaas", NULL, &openfaas, err);
	/* Where OpenFaaS was taken out since, there is no gateway either. */
	if (r == 0 && openfaas > 0)
		r = mk_bringup_wait_gateway(b, err);
	if (r == 0)
		*ret_note = mk_xasprintf("%s%s%s", dns ? "DNS" : "", dns && openfaas ? ", " : "",
			openfaas ? "OpenFaaS" : "");
	return r;
}

/* The node on which a local volume is, or NULL: borrowed. */
static const char *node_of(const json_t *volume)
{
	const json_t *terms = mk_json_at(volume, "spec.nodeAffinity.required.nodeSelectorTerms");
	const json_t *term, *expression;
	size_t i, j;

	json_array_foreach (terms, i, term) {
		json_array_foreach (json_object_get(term, "matchExpressions"), j, expression) {
			if (mk_streq(mk_json_str(expression, "key", ""), "kubernetes.io/hostname"))
				return json_string_value(
					json_array_get(json_object_get(expression, "values"), 0));
		}
	}
	return NULL;
}

static void note_volume(
	struct mk_restore *restore, const struct mk_bringup *b, const json_t *volume, bool fresh)
{
	const char *node = node_of(volume);
	bool gone = node && !mk_plan_find(&b->plan, node);
	bool here = node || mk_json_at(volume, "spec.hostPath");

	if (!here || (!fresh && !gone))
		return;
	mk_strlist_addf(&restore->result->lost_volumes, "%s (%s/%s)%s%s%s",
		mk_json_str(volume, "metadata.name", "?"),
		mk_json_str(volume, "spec.claimRef.namespace", "?"),
		mk_json_str(volume, "spec.claimRef.name", "?"), gone ? " of node " : " is empty",
		gone ? node : "", gone ? ", which is not here: its pods wait" : "");
}

int mk_restore_find_volumes(
	struct mk_restore *restore, struct mk_bringup *b, bool fresh, struct mk_error *err)
{
	mk_autojson *list = NULL;
	const json_t *volume;
	size_t i;
	int r = mk_kube_call(b->kube, "GET", "/api/v1/persistentvolumes", NULL, &list, err);

	json_array_foreach (json_object_get(list, "items"), i, volume)
		note_volume(restore, b, volume, fresh);
	return r;
}

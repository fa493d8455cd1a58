/* SPDX-License-Identifier: Apache-2.0 */
/* As `kubectl rollout status` and `kubectl wait` judge. */
#include "lib/kube/readiness.h"

#include "lib/base/str.h"
#include "lib/kube/watch.h"

#define MAX_TEXT 2000

static bool is_observed(const json_t *object)
{
	return mk_json_int(object, "status.observedGeneration", -1) >=
		mk_json_int(object, "metadata.generation", 0);
}

static enum mk_readiness ready_if(bool ready)
{
	return ready ? MK_READY : MK_NOT_YET;
}

static enum mk_readiness of_deployment(const json_t *object)
{
	long long wanted = mk_json_int(object, "spec.replicas", 1);
	long long updated = mk_json_int(object, "status.updatedReplicas", 0);

	if (!is_observed(object))
		return MK_NOT_YET;
	if (mk_streq(mk_json_str(mk_kube_find_condition(object, "Progressing"), "reason", ""),
		    "ProgressDeadlineExceeded"))
		return MK_NEVER;
	return ready_if(updated >= wanted && mk_json_int(object, "status.replicas", 0) <= updated &&
		mk_json_int(object, "status.availableReplicas", 0) >= wanted);
}

static enum mk_readiness of_daemonset(const json_t *object)
{
	long long wanted = mk_json_int(object, "status.desiredNumberScheduled", 0);

	return ready_if(is_observed(object) &&
		mk_json_int(object, "status.updatedNumberScheduled", 0) >= wanted &&
		mk_json_int(object, "status.numberAvailable", 0) >= wanted);
}

static enum mk_readiness of_statefulset(const json_t *object)
{
	long long wanted = mk_json_int(object, "spec.replicas", 1);
	long long from = mk_json_int(object, "spec.updateStrategy.rollingUpdate.partition", 0);
	bool by_hand = mk_streq(mk_json_str(object, "spec.updateStrategy.type", ""), "OnDelete");

	return ready_if(is_observed(object) &&
		(by_hand || mk_json_int(object, "status.updatedReplicas", 0) >= wanted - from) &&
		mk_json_int(object, "status.readyReplicas", 0) >= wanted);
}

static enum mk_readiness of_job(const json_t *object)
{
	if (mk_kube_condition(object, "Failed"))
		return MK_NEVER;
	return ready_if(mk_kube_condition(object, "Complete") ||
		json_is_true(mk_json_at(object, "spec.suspend")));
}

static enum mk_readiness of_pod(const json_t *object)
{
	const char *phase = mk_json_str(object, "status.phase", "");

	if (mk_streq(phase, "Failed"))
		return MK_NEVER;
	return ready_if(mk_streq(phase, "Succeeded") || mk_kube_condition(object, "Ready"));
}

static enum mk_readiness of_crd(const json_t *object)
{
	if (mk_streq(mk_json_str(mk_kube_find_condition(object, "NamesAccepted"), "status", ""),
		    "False"))
		return MK_NEVER;
	return ready_if(mk_kube_condition(object, "Established"));
}

static enum mk_readiness of_apiservice(const json_t *object)
{
	return ready_if(mk_kube_condition(object, "Available"));
}

/* `done` and `wanted`: what to tell of the progress, of status and spec. */
static const struct judge {
	const char *group;
	const char *kind;
	enum mk_readiness (*judge)(const json_t *object);
	const char *done, *wanted, *word;
} judges[] = {
	{ "apps/", "Deployment", of_deployment, "status.availableReplicas", "spec.replicas",
		"available" },
	{ "apps/", "DaemonSet", of_daemonset, "status.numberAvailable",
		"status.desiredNumberScheduled", "available" },
	{ "apps/", "StatefulSet", of_statefulset, "status.readyReplicas", "spec.replicas",
		"ready" },
	{ "batch/", "Job", of_job, "status.succeeded", "spec.completions", "complete" },
	{ "v1", "Pod", of_pod, NULL, NULL, NULL },
	{ "apiextensions.k8s.io/", "CustomResourceDefinition", of_crd, NULL, NULL, NULL },
	{ "apiregistration.k8s.io/", "APIService", of_apiservice, NULL, NULL, NULL },
};

static const struct judge *judge_of(const json_t *object)
{
	const char *api_version = mk_json_str(object, "apiVersion", "");
	const char *kind = mk_json_str(object, "kind", "");

	for (size_t i = 0; i < MK_ARRAY_LEN(judges); i++) {
		if (mk_streq(judges[i].kind, kind) && mk_after_prefix(api_version, judges[i].group))
			return &judges[i];
	}
	return NULL;
}

bool mk_readiness_known(const json_t *object)
{
	return judge_of(object) != NULL;
}

enum mk_readiness mk_readiness_of(const json_t *object)
{
	const struct judge *judge = judge_of(object);

	return judge ? judge->judge(object) : MK_READY;
}

/* Types whose "True" is the trouble. */
static bool is_trouble(const json_t *item)
{
	const char *type = mk_json_str(item, "type", "");
	bool is_true = mk_streq(mk_json_str(item, "status", ""), "True");

	if (mk_streq(type, "Failed") || mk_has_suffix(type, "Failure") ||
		mk_streq(type, "FailureTarget"))
		return is_true;
	return !is_true && !mk_streq(type, "Complete") && !mk_streq(type, "SuccessCriteriaMet");
}

char *mk_readiness_text(const json_t *object)
{
	const struct judge *judge = judge_of(object);
	mk_autobuf text = mk_buf_init(MAX_TEXT);
	const json_t *item;
	size_t i;

	if (judge && judge->done)
		mk_buf_addf(&text, "%lld of %lld %s", mk_json_int(object, judge->done, 0),
			mk_json_int(object, judge->wanted, 1), judge->word);
	json_array_foreach (mk_json_at(object, "status.conditions"), i, item) {
		if (is_trouble(item))
			mk_buf_addf(&text, "%s%s: %.300s", text.len > 0 ? "; " : "",
				mk_json_str(item, "reason", mk_json_str(item, "type", "?")),
				mk_json_str(item, "message", ""));
	}
	if (text.len == 0)
		mk_buf_adds(&text, "no status yet");
	return mk_buf_detach(&text);
}

static char *of_containers(const json_t *statuses)
{
	const json_t *item;
	size_t i;

	json_array_foreach (statuses, i, item) {
		const json_t *state = json_object_get(item, "state");
		const json_t *waiting = json_object_get(state, "waiting");
		const json_t *ended = json_object_get(state, "terminated");
		const char *reason = mk_json_str(waiting, "reason", NULL);

		/* These two are how every pod begins. */
		if (reason && !mk_streq(reason, "ContainerCreating") &&
			!mk_streq(reason, "PodInitializing"))
			return mk_xasprintf(
				"%s: %.400s", reason, mk_json_str(waiting, "message", ""));
		if (ended && mk_json_int(ended, "exitCode", 0) != 0)
			return mk_xasprintf("%s, exit status %lld",
				mk_json_str(ended, "reason", "ended"),
				mk_json_int(ended, "exitCode", 0));
	}
	return NULL;
}

char *mk_readiness_of_pod(const json_t *pod)
{
	const json_t *scheduled = mk_kube_find_condition(pod, "PodScheduled");
	char *text = of_containers(mk_json_at(pod, "status.initContainerStatuses"));

	if (!text)
		text = of_containers(mk_json_at(pod, "status.containerStatuses"));
	if (!text && mk_streq(mk_json_str(scheduled, "status", ""), "False"))
		text = mk_xasprintf("%s: %.400s", mk_json_str(scheduled, "reason", "?"),
			mk_json_str(scheduled, "message", ""));
	if (!text && !mk_kube_condition(pod, "Ready") &&
		!mk_streq(mk_json_str(pod, "status.phase", ""), "Succeeded"))
		text = mk_xasprintf("%s, not ready", mk_json_str(pod, "status.phase", "?"));
	return text;
}

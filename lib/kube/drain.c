/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/drain.h"

#include "lib/base/clock.h"
#include "lib/kube/watch.h"

/* A budget that holds a pod may let it go at any time, and tells nobody. */
#define RETRY_MS 1000

int mk_kube_cordon(struct mk_kube *kube, const char *node, bool cordoned, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/api/v1/nodes/%s", node);
	mk_autojson *patch = mk_json_pack("{s:{s:b}}", "spec", "unschedulable", cordoned);
	int r = mk_kube_call(kube, "PATCH", path, patch, NULL, err);

	return r < 0 ? mk_error_wrap(err, "%s '%s'", cordoned ? "cordon" : "uncordon", node) : 0;
}

int mk_kube_is_cordoned(struct mk_kube *kube, const char *node, bool *ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/api/v1/nodes/%s", node);
	mk_autojson *object = NULL;
	int r = mk_kube_call(kube, "GET", path, NULL, &object, err);

	if (r == 0)
		*ret = json_is_true(mk_json_at(object, "spec.unschedulable"));
	return r;
}

static char *pods_path(const char *node)
{
	return mk_xasprintf("/api/v1/pods?fieldSelector=spec.nodeName%%3D%s", node);
}

static const json_t *controller_of(const json_t *pod)
{
	const json_t *owners = mk_json_at(pod, "metadata.ownerReferences");
	const json_t *owner;
	size_t i;

	json_array_foreach (owners, i, owner) {
		if (json_is_true(json_object_get(owner, "controller")))
			return owner;
	}
	return NULL;
}

/* A static pod is the kubelet's own; one of a DaemonSet would come back at once. */
static bool stays(const json_t *pod)
{
	const json_t *annotations = mk_json_at(pod, "metadata.annotations");

	return json_object_get(annotations, "kubernetes.io/config.mirror") ||
		mk_streq(mk_json_str(controller_of(pod), "kind", ""), "DaemonSet");
}

static bool is_going(const json_t *pod)
{
	return mk_json_at(pod, "metadata.deletionTimestamp") != NULL;
}

static bool is_over(const json_t *pod)
{
	const char *phase = mk_json_str(pod, "status.phase", "");

	return mk_streq(phase, "Succeeded") || mk_streq(phase, "Failed") || is_going(pod);
}

/* What is no list of objects does not say that the node is empty. */
static int check_list(const json_t *list, struct mk_error *err)
{
	const json_t *items = json_object_get(list, "items");
	const json_t *pod;
	size_t i;
	bool good = json_is_array(items) || json_is_null(items);

	json_array_foreach (items, i, pod)
		good = good && json_is_object(pod);
	return good ? 0 : mk_fail(err, MK_EINVALID, "the answer is no list of pods");
}

/* The pods that have to leave: an array. */
static int list_leaving(struct mk_kube *kube, const char *node, json_t **ret, struct mk_error *err)
{
	mk_autofree char *path = pods_path(node);
	mk_autojson *list = NULL;
	const json_t *pod;
	json_t *leaving;
	size_t i;
	int r = mk_kube_call(kube, "GET", path, NULL, &list, err);

	if (r == 0)
		r = check_list(list, err);
	if (r < 0)
		return mk_error_wrap(err, "list the pods of '%s'", node);
	leaving = json_array();
	json_array_foreach (json_object_get(list, "items"), i, pod) {
		if (!stays(pod))
			(void)json_array_append(leaving, (json_t *)(uintptr_t)pod);
	}
	*ret = leaving;
	return 0;
}

static char *name_of(const json_t *pod)
{
	return mk_xasprintf("%s/%s", mk_json_str(pod, "metadata.namespace", "?"),
		mk_json_str(pod, "metadata.name", "?"));
}

/* "ns/a, ns/b" of all pods. Caller frees. */
static char *names_of(const json_t *pods)
{
	mk_autostrlist names = { .items = NULL };
	const json_t *pod;
	size_t i;

	json_array_foreach (pods, i, pod)
		mk_strlist_take(&names, name_of(pod));
	return mk_strlist_join(&names, ", ");
}

/* Whom nobody makes again is lost: only if the user says so. */
static int check_replaceable(const json_t *pods, struct mk_error *err)
{
	mk_autojson *alone = json_array();
	mk_autofree char *names = NULL;
	const json_t *pod;
	size_t i;

	json_array_foreach (pods, i, pod) {
		if (!controller_of(pod) && !is_over(pod))
			(void)json_array_append(alone, (json_t *)(uintptr_t)pod);
	}
	if (json_array_size(alone) == 0)
		return 0;
	names = names_of(alone);
	(void)mk_fail(err, MK_EHOST, "nothing would make these pods again elsewhere: %s", names);
	mk_error_hint(err, "delete them, or give them up with --force");
	return -MK_EHOST;
}

/* 0: it goes; 1: it is gone, or a budget holds it and `err` has the server's words. */
static int evict(struct mk_kube *kube, const json_t *pod, struct mk_error *err)
{
	const char *namespace = mk_json_str(pod, "metadata.namespace", "");
	const char *name = mk_json_str(pod, "metadata.name", "");
	mk_autofree char *path = mk_xasprintf(
		"/api/v1/namespaces/%s/pods/%s/eviction", namespace, name);
	mk_autojson *body = mk_json_pack("{s:s,s:s,s:{s:s,s:s}}", "apiVersion", "policy/v1", "kind",
		"Eviction", "metadata", "namespace", namespace, "name", name);
	int r = mk_kube_call(kube, "POST", path, body, NULL, err);

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return 1;
	}
	return r < 0 && err->status == 429 ? 1 : r;
}

static int strike_off(struct mk_kube *kube, const json_t *pods, struct mk_error *err)
{
	mk_autojson *now = mk_json_pack("{s:i}", "gracePeriodSeconds", 0);
	const json_t *pod;
	size_t i;

	json_array_foreach (pods, i, pod) {
		mk_autofree char *path = mk_xasprintf("/api/v1/namespaces/%s/pods/%s",
			mk_json_str(pod, "metadata.namespace", ""),
			mk_json_str(pod, "metadata.name", ""));
		int r = mk_kube_call(kube, "DELETE", path, now, NULL, err);

		if (r < 0 && r != -MK_ENOTFOUND)
			return r;
		mk_error_done(err);
	}
	return 0;
}

/* Ask all that have not been asked; `held` keeps the last budget's words. Returns how
 * many go. */
static int evict_all(
	struct mk_kube *kube, const json_t *pods, struct mk_error *held, struct mk_error *err)
{
	const json_t *pod;
	size_t i;
	int going = 0;

	json_array_foreach (pods, i, pod) {
		int r;

		if (is_going(pod))
			continue;
		r = evict(kube, pod, err);
		if (r < 0)
			return r;
		if (r == 0)
			going++;
		else if (err->code != MK_OK)
			mk_error_move(held, err);
	}
	return going;
}

static int judge_gone(void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	(void)payload;
	(void)object;
	(void)err;
	return mk_streq(type, "DELETED");
}

/* Until one of the node's pods is gone, or it is time to ask again. */
static int wait_for_one(
	struct mk_kube *kube, const char *node, int64_t deadline, struct mk_error *err)
{
	mk_autofree char *path = pods_path(node);
	int64_t left = mk_remaining_ms(deadline);
	int r = mk_kube_watch(
		kube, path, mk_deadline(left < RETRY_MS ? left : RETRY_MS), judge_gone, NULL, err);

	if (r != -MK_ETIMEOUT)
		return r;
	mk_error_done(err);
	return 0;
}

static int fail_late(const json_t *pods, const struct mk_error *held, struct mk_error *err)
{
	mk_autofree char *names = names_of(pods);

	(void)mk_fail(err, MK_ETIMEOUT, "still there: %s%s%s", names, held->message ? ": " : "",
		held->message ? held->message : "");
	mk_error_hint(err, "give them longer with --drain-timeout, or end them with --force");
	return -MK_ETIMEOUT;
}

/* Evict until all have left or the deadline has come. */
static int evict_until(struct mk_kube *kube, const char *node,
	const struct mk_drain_options *options, struct mk_error *held, json_t **ret_left,
	struct mk_error *err)
{
	for (;;) {
		mk_autojson *pods = NULL;
		int r = list_leaving(kube, node, &pods, err);

		if (r == 0 && json_array_size(pods) > 0 && mk_remaining_ms(options->deadline) > 0) {
			r = evict_all(kube, pods, held, err);
			/* A pod without much to end is gone before a watch would begin. */
			if (r > 0)
				continue;
			if (r == 0)
				r = wait_for_one(kube, node, options->deadline, err);
			if (r == 0)
				continue;
		}
		*ret_left = MK_TAKE(pods);
		return r;
	}
}

int mk_kube_drain(struct mk_kube *kube, const char *node, const struct mk_drain_options *options,
	size_t *ret_count, struct mk_error *err)
{
	mk_autoerror held = { .code = MK_OK };
	mk_autojson *pods = NULL;
	mk_autojson *left = NULL;
	int r = list_leaving(kube, node, &pods, err);

	if (r == 0 && !options->force && !options->dead)
		r = check_replaceable(pods, err);
	if (r < 0)
		return r;
	*ret_count = json_array_size(pods);
	if (options->dead)
		return strike_off(kube, pods, err);
	r = evict_until(kube, node, options, &held, &left, err);
	if (r < 0 || json_array_size(left) == 0)
		return r;
	return options->force ? strike_off(kube, left, err) : fail_late(left, &held, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/await.h"

#include "lib/base/limits.h"
#include "lib/kube/batch.h"
#include "lib/kube/readiness.h"
#include "lib/kube/watch.h"

#define MAX_PODS 3

/* The collection of one object. Caller frees. */
static char *watch_path(const struct mk_target *target)
{
	mk_autofree char *name = mk_http_escape(mk_json_str(target->object, "metadata.name", ""));
	mk_autofree char *path = mk_kind_path(
		target->kind, mk_json_str(target->object, "metadata.namespace", NULL), NULL);

	return mk_xasprintf("%s?fieldSelector=metadata.name%%3D%s", path, name);
}

static int judge(void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	const struct mk_target *target = payload;

	if (mk_streq(type, "DELETED"))
		return mk_fail(err, MK_EFAIL, "%s was deleted meanwhile", target->label);
	switch (mk_readiness_of(object)) {
	case MK_READY:
		return 1;
	case MK_NOT_YET:
		return 0;
	case MK_NEVER:
		break;
	}
	return mk_fail(err, MK_EFAIL, "%s has failed", target->label);
}

int mk_target_await(struct mk_kube *kube, const struct mk_target *target, int64_t deadline,
	struct mk_error *err)
{
	mk_autofree char *path = NULL;
	int r;

	if (!mk_readiness_known(target->object))
		return 0;
	path = watch_path(target);
	r = mk_kube_watch(kube, path, deadline, judge, (void *)(uintptr_t)target, err);
	return r == -MK_ETIMEOUT ? mk_fail(err, MK_ETIMEOUT, "%s is not ready", target->label) : r;
}

/* "k%3Dv%2Ck%3Dv", of a workload's own selector. Caller frees. */
static char *selector_of(const json_t *object)
{
	mk_autostrlist pairs = { .items = NULL };
	mk_autofree char *joined = NULL;
	const char *key;
	json_t *value;

	json_object_foreach (mk_json_at(object, "spec.selector.matchLabels"), key, value)
		mk_strlist_addf(&pairs, "%s=%s", key, json_string_value(value));
	if (pairs.count == 0)
		return NULL;
	joined = mk_strlist_join(&pairs, ",");
	return mk_http_escape(joined);
}

/* What keeps the pods of a workload, the first few that say. */
static void add_pods(struct mk_kube *kube, const json_t *object, struct mk_buf *text)
{
	mk_autofree char *selector = selector_of(object);
	mk_autofree char *path = NULL;
	mk_autojson *list = NULL;
	mk_autoerror ignored = { .code = MK_OK };
	const json_t *pod;
	size_t i, told = 0;

	if (!selector)
		return;
	path = mk_xasprintf("/api/v1/namespaces/%s/pods?labelSelector=%s",
		mk_json_str(object, "metadata.namespace", ""), selector);
	if (mk_kube_call(kube, "GET", path, NULL, &list, &ignored) < 0)
		return;
	json_array_foreach (json_object_get(list, "items"), i, pod) {
		mk_autofree char *why = mk_readiness_of_pod(pod);

		if (!why || told++ >= MAX_PODS)
			continue;
		mk_buf_addf(text, "; pod %s: %s", mk_json_str(pod, "metadata.name", "?"), why);
	}
}

/* "LABEL: WHY" of each target that is not ready now. */
static int find_late(struct mk_kube *kube, const struct mk_targets *targets, struct mk_strlist *ret,
	struct mk_error *err)
{
	mk_autobatch batch = { .count = 0 };
	size_t n = 0;
	int r;

	for (size_t i = 0; i < targets->count; i++) {
		if (mk_readiness_known(targets->items[i].object))
			mk_batch_add(&batch, "GET", mk_xstrdup(targets->items[i].path), NULL, NULL);
	}
	r = mk_batch_send(kube, &batch, err);
	for (size_t i = 0; r == 0 && i < targets->count; i++) {
		const struct mk_target *target = &targets->items[i];
		mk_autojson *object = NULL;
		mk_autobuf text = mk_buf_init(8192);
		mk_autofree char *why = NULL;

		if (!mk_readiness_known(target->object))
			continue;
		object = mk_batch_json(&batch, n);
		if (batch.responses[n++].status >= 400)
			mk_strlist_addf(ret, "%s: gone", target->label);
		if (batch.responses[n - 1].status >= 400 || mk_readiness_of(object) == MK_READY)
			continue;
		why = mk_readiness_text(object);
		mk_buf_adds(&text, why);
		add_pods(kube, object, &text);
		mk_strlist_addf(ret, "%s: %s", target->label, text.data);
	}
	return r;
}

int mk_targets_await(struct mk_kube *kube, const struct mk_targets *targets, int64_t deadline,
	struct mk_error *err)
{
	mk_autostrlist late = { .items = NULL };
	mk_autoerror other = { .code = MK_OK };
	mk_autobuf lines = mk_buf_init(MK_MIB);
	int r = 0;

	/* One after another is as quick as all at once: the slowest counts. */
	for (size_t i = 0; i < targets->count && r == 0; i++)
		r = mk_target_await(kube, &targets->items[i], deadline, err);
	if (r != -MK_ETIMEOUT && r != -MK_EFAIL)
		return r;
	if (find_late(kube, targets, &late, &other) < 0 || late.count == 0)
		return r;
	if (late.count == 1)
		return mk_fail(err, err->code, "%s: %s",
			r == -MK_ETIMEOUT ? "not ready in time" : "failed", late.items[0]);
	for (size_t i = 0; i < late.count; i++)
		mk_buf_addf(&lines, "%s\n", late.items[i]);
	(void)mk_fail(err, err->code, "%zu objects are not ready%s, %.300s first", late.count,
		r == -MK_ETIMEOUT ? " in time" : "", late.items[0]);
	err->detail = mk_buf_detach(&lines);
	return r;
}

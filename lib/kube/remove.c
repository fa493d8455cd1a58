/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/remove.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/kube/batch.h"
#include "lib/kube/watch.h"

/* What goes between a look and the watch is seen by the next look. */
#define LOOK_AGAIN_MS 1000

struct run {
	struct mk_kube *kube;
	const struct mk_remove_options *options;
	struct mk_targets targets;
	struct mk_strlist failures;
	json_t *uids; /* by path: what is to go, not what comes after it by the same name */
};

static void run_done(struct run *run)
{
	mk_targets_done(&run->targets);
	mk_strlist_done(&run->failures);
	json_decref(run->uids);
}

static void tell(
	const struct run *run, const struct mk_target *target, const char *verb, const char *why)
{
	struct mk_outcome outcome = mk_target_outcome(target, verb, why);

	run->options->report(run->options->payload, &outcome);
}

/* Foreground: it goes when what it owns has gone
 * (https://kubernetes.io/docs/concepts/architecture/garbage-collection/#foreground-deletion). */
static json_t *delete_options(const struct run *run)
{
	json_t *body = mk_json_pack("{s:s,s:s,s:s}", "kind", "DeleteOptions", "apiVersion", "v1",
		"propagationPolicy", run->options->wait ? "Foreground" : "Background");

	if (run->options->dry_run)
		(void)json_object_set_new(body, "dryRun", json_pack("[s]", "All"));
	return body;
}

static void judge(
	struct run *run, const struct mk_target *target, const struct mk_http_response *response)
{
	mk_autojson *answer = json_loadb(response->body.data, response->body.len, 0, NULL);
	const char *uid = mk_json_str(answer, "metadata.uid", NULL);
	mk_autofree char *why = NULL;

	if (response->status == 404) {
		tell(run, target, "not found", NULL);
		return;
	}
	if (response->status >= 400) {
		why = mk_target_refusal(target, response);
		mk_strlist_addf(&run->failures, "%s: %s", target->label, why);
		tell(run, target, "failed", why);
		return;
	}
	/* Of what is gone already there is a Status instead. */
	if (!uid)
		uid = mk_json_str(answer, "details.uid", "?");
	(void)json_object_set_new(run->uids, target->path, json_string(uid));
	tell(run, target, "deleted", NULL);
}

/* 1: gone; 0: still there, `ret` is it; -code. */
static int look(struct run *run, const struct mk_target *target, json_t **ret, struct mk_error *err)
{
	const char *uid = json_string_value(json_object_get(run->uids, target->path));
	mk_autobatch batch = { .count = 0 };
	mk_autojson *object = NULL;
	int r;

	mk_batch_add(&batch, "GET", mk_xstrdup(target->path), NULL, NULL);
	r = mk_batch_send(run->kube, &batch, err);
	if (r < 0 || batch.responses[0].status == 404)
		return r < 0 ? r : 1;
	if (batch.responses[0].status >= 400)
		return mk_kube_refused("GET", target->path, &batch.responses[0], err);
	object = mk_batch_json(&batch, 0);
	if (!mk_streq(mk_json_str(object, "metadata.uid", ""), uid))
		return 1;
	*ret = MK_TAKE(object);
	return 0;
}

static int judge_gone(void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	(void)payload;
	(void)object;
	(void)err;
	return mk_streq(type, "DELETED") ? 1 : 0;
}

/* What holds an object that does not go: finalizers, or what a namespace still has. */
static int still_there(const struct mk_target *target, const json_t *object, struct mk_error *err)
{
	mk_autostrlist holds = { .items = NULL };
	mk_autofree char *list = NULL;
	const json_t *item;
	size_t i;

	json_array_foreach (mk_json_at(object, "metadata.finalizers"), i, item)
		mk_strlist_addf(&holds, "finalizer %s", json_string_value(item));
	json_array_foreach (mk_json_at(object, "status.conditions"), i, item) {
		if (mk_after_prefix(mk_json_str(item, "type", ""), "Namespace") &&
			mk_streq(mk_json_str(item, "status", ""), "True"))
			mk_strlist_addf(&holds, "%.300s", mk_json_str(item, "message", ""));
	}
	list = mk_strlist_join(&holds, "; ");
	return mk_fail(err, MK_ETIMEOUT, "%s is still there%s%s", target->label,
		holds.count > 0 ? ": " : "", list);
}

static int wait_gone(struct run *run, const struct mk_target *target, struct mk_error *err)
{
	mk_autofree char *name = mk_http_escape(mk_json_str(target->object, "metadata.name", ""));
	mk_autofree char *all = mk_kind_path(
		target->kind, mk_json_str(target->object, "metadata.namespace", NULL), NULL);
	mk_autofree char *path = mk_xasprintf("%s?fieldSelector=metadata.name%%3D%s", all, name);
	int64_t deadline = run->options->deadline;

	for (;;) {
		mk_autojson *object = NULL;
		int64_t soon = mk_deadline(LOOK_AGAIN_MS);
		int r = look(run, target, &object, err);

		if (r != 0)
			return r < 0 ? r : 0;
		if (mk_remaining_ms(deadline) == 0)
			return still_there(target, object, err);
		r = mk_kube_watch(
			run->kube, path, soon < deadline ? soon : deadline, judge_gone, NULL, err);
		if (r < 0 && r != -MK_ETIMEOUT)
			return r;
		mk_error_done(err);
	}
}

static int run_rank(struct run *run, enum mk_rank rank, struct mk_error *err)
{
	mk_autofree size_t *which = mk_xcalloc(run->targets.count + 1, sizeof(size_t));
	mk_autojson *body = delete_options(run);
	mk_autobatch batch = { .count = 0 };
	size_t count = 0;
	int r;

	for (size_t i = 0; i < run->targets.count; i++) {
		const struct mk_target *target = &run->targets.items[i];

		if (!target->kind || target->kind->rank != rank)
			continue;
		which[count++] = i;
		mk_batch_add(&batch, "DELETE", mk_xstrdup(target->path), body, NULL);
	}
	r = mk_batch_send(run->kube, &batch, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		judge(run, &run->targets.items[which[i]], &batch.responses[i]);
	for (size_t i = 0; r == 0 && i < count && run->options->wait; i++) {
		const struct mk_target *target = &run->targets.items[which[i]];

		if (!run->options->dry_run && json_object_get(run->uids, target->path))
			r = wait_gone(run, target, err);
	}
	return r;
}

int mk_kube_remove_manifests(struct mk_kube *kube, const struct mk_manifests *manifests,
	const struct mk_remove_options *options, struct mk_error *err)
{
	MK_CLEANUP(run_done)
	struct run run = { .kube = kube, .options = options, .uids = json_object() };
	int r = mk_targets_find(kube, manifests->objects, &manifests->where, options->namespace,
		/* lenient= */ true, &run.targets, err);

	for (size_t i = 0; r == 0 && i < run.targets.count; i++) {
		if (!run.targets.items[i].kind)
			tell(&run, &run.targets.items[i], "not found", "nor its kind");
	}
	for (int rank = MK_RANK_COUNT - 1; r == 0 && rank >= 0; rank--)
		r = run_rank(&run, (enum mk_rank)rank, err);
	if (r == 0 && run.failures.count > 0)
		r = mk_target_failures(&run.failures, run.targets.count, "deleted", err);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/apply.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/kube/applyset.h"
#include "lib/kube/await.h"
#include "lib/kube/batch.h"

/* How long a CRD may take to be served, and its kind to be there on every server. */
#define CRD_MS 30000
#define KIND_MS 10000
#define AGAIN_MS 100

int mk_kube_object_path(const json_t *object, char **ret, struct mk_error *err)
{
	const struct mk_kind *kind = mk_kind_known(object);
	const char *name = mk_json_str(object, "metadata.name", NULL);

	if (!kind || !name)
		return mk_fail(err, MK_EINVALID,
			"cannot apply a %s %s without a known kind and a name",
			mk_json_str(object, "apiVersion", "?"), mk_json_str(object, "kind", "?"));
	*ret = mk_kind_path(kind, mk_json_str(object, "metadata.namespace", "default"), name);
	return 0;
}

/* Wait for the CRDs of the targets: their objects come next. */
static int wait_crds(struct mk_kube *kube, const struct mk_targets *targets, struct mk_error *err)
{
	for (size_t i = 0; i < targets->count; i++) {
		int r = 0;

		if (targets->items[i].kind->rank == MK_RANK_CRD)
			r = mk_target_await(kube, &targets->items[i], mk_deadline(CRD_MS), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void add_patch(struct mk_batch *batch, const struct mk_target *target, const char *query)
{
	mk_batch_add(
		batch, "PATCH", mk_xasprintf("%s%s", target->path, query), target->object, NULL);
}

/* The server has the CRD, but does not serve its kind yet. */
static bool is_early(const struct mk_target *target, const struct mk_http_response *response)
{
	mk_autojson *status = NULL;

	if (!target->kind->promised || response->status != 404)
		return false;
	status = json_loadb(response->body.data, response->body.len, 0, NULL);
	/* Not so for a namespace that is missing, which has a name in its details. */
	return !mk_json_str(status, "details.name", NULL);
}

/* Apply one that came early again, until the server knows its kind: there is nothing to
 * watch before that. */
static int apply_again(struct mk_kube *kube, const struct mk_target *target,
	const struct mk_http_request *request, struct mk_http_response *response,
	struct mk_error *err)
{
	int64_t deadline = mk_deadline(KIND_MS);

	while (is_early(target, response) && mk_remaining_ms(deadline) > 0) {
		int r = mk_sleep_ms(AGAIN_MS, err);

		if (r < 0)
			return r;
		mk_http_response_done(response);
		r = mk_http_do(mk_kube_http(kube), request, response, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Apply the targets at these indices; the answers are in the batch. */
static int apply_some(struct mk_kube *kube, const struct mk_targets *targets, const size_t *which,
	size_t count, const char *query, struct mk_batch *batch, struct mk_error *err)
{
	int r;

	for (size_t i = 0; i < count; i++)
		add_patch(batch, &targets->items[which[i]], query);
	r = mk_batch_send(kube, batch, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = apply_again(kube, &targets->items[which[i]], &batch->requests[i],
			&batch->responses[i], err);
	return r;
}

static size_t of_rank(const struct mk_targets *targets, enum mk_rank rank, size_t *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < targets->count; i++) {
		if (targets->items[i].kind->rank == rank)
			ret[count++] = i;
	}
	return count;
}

static int apply_rank(struct mk_kube *kube, const struct mk_targets *targets, enum mk_rank rank,
	struct mk_error *err)
{
	mk_autofree size_t *which = mk_xcalloc(targets->count + 1, sizeof(size_t));
	size_t count = of_rank(targets, rank, which);
	mk_autobatch batch = { .count = 0 };
	int r = count == 0
		? 0
		: apply_some(kube, targets, which, count,
			  "?fieldManager=" MK_KUBE_OWN_MANAGER "&force=true", &batch, err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (batch.responses[i].status >= 400)
			r = mk_kube_refused(
				"PATCH", batch.requests[i].path, &batch.responses[i], err);
	}
	if (r == 0 && rank == MK_RANK_CRD)
		r = wait_crds(kube, targets, err);
	return r;
}

int mk_kube_apply(struct mk_kube *kube, const json_t *objects, struct mk_error *err)
{
	mk_autotargets targets = { .items = NULL };
	int r = mk_targets_find(
		kube, objects, NULL, "default", /* lenient= */ false, &targets, err);

	for (int rank = 0; r == 0 && rank < MK_RANK_COUNT; rank++)
		r = apply_rank(kube, &targets, (enum mk_rank)rank, err);
	return r;
}

/* An apply of the user's on its way. */
struct run {
	struct mk_kube *kube;
	const struct mk_apply_options *options;
	struct mk_targets targets;
	struct mk_applyset set;
	struct mk_strlist failures;
	struct mk_strlist missing; /* paths of namespaces and CRDs that a dry run has not made */
	bool in_conflict;
};

static void run_done(struct run *run)
{
	mk_targets_done(&run->targets);
	mk_applyset_done(&run->set);
	mk_strlist_done(&run->failures);
	mk_strlist_done(&run->missing);
}

static void tell(
	const struct run *run, const struct mk_target *target, const char *verb, const char *why)
{
	struct mk_outcome outcome = mk_target_outcome(target, verb, why);

	run->options->report(run->options->payload, &outcome);
}

static void fail(struct run *run, const struct mk_target *target, const char *why)
{
	mk_strlist_addf(&run->failures, "%s%s%s: %s", target->where ? target->where : "",
		target->where ? ": " : "", target->label, why);
	tell(run, target, "failed", why);
}

/* An object without what the server keeps of it: to compare with what a dry run says. */
static json_t *bare(const json_t *object)
{
	json_t *copy = json_deep_copy(object);
	json_t *meta = json_object_get(copy, "metadata");

	(void)json_object_del(meta, "managedFields");
	(void)json_object_del(meta, "resourceVersion");
	(void)json_object_del(meta, "generation");
	return copy;
}

static bool is_same(const struct run *run, const json_t *before, const json_t *after)
{
	mk_autojson *old = NULL, *new = NULL;

	if (!run->options->dry_run)
		return mk_streq(mk_json_str(before, "metadata.resourceVersion", "?"),
			mk_json_str(after, "metadata.resourceVersion", ""));
	old = bare(before);
	new = bare(after);
	return json_equal(old, new) == 1;
}

static void judge(struct run *run, const struct mk_target *target, const struct mk_batch *live,
	const struct mk_batch *batch, size_t i)
{
	const struct mk_http_response *response = &batch->responses[i];
	mk_autojson *before = NULL, *after = NULL;
	mk_autofree char *why = NULL;

	if (response->status >= 400) {
		why = mk_target_refusal(target, response);
		run->in_conflict |= mk_target_in_conflict(response);
		fail(run, target, why);
		return;
	}
	before = live->responses[i].status == 200 ? mk_batch_json(live, i) : NULL;
	after = mk_batch_json(batch, i);
	mk_applyset_note(&run->set, target, after);
	if (response->status == 201)
		tell(run, target, "created", NULL);
	else
		tell(run, target,
			before && is_same(run, before, after) ? "unchanged" : "configured", NULL);
}

/* What of this rank is there: its metadata, or all of it for a dry run. */
static int get_live(struct run *run, const size_t *which, size_t count, struct mk_batch *batch,
	struct mk_error *err)
{
	const struct mk_strlist *headers = run->options->dry_run ? NULL : &mk_metadata_only;

	for (size_t i = 0; i < count; i++)
		mk_batch_add(
			batch, "GET", mk_xstrdup(run->targets.items[which[i]].path), NULL, headers);
	return mk_batch_send(run->kube, batch, err);
}

/* Whether a dry run cannot try this one: what holds it, or makes its kind, is only to
 * come. */
static const char *untried(const struct run *run, const struct mk_target *target)
{
	const char *space = mk_json_str(target->object, "metadata.namespace", "");
	mk_autofree char *path = mk_xasprintf("/api/v1/namespaces/%s", space);
	mk_autofree char *group = mk_kind_group(target->kind->api_version);
	mk_autofree char *crd = mk_xasprintf(
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/%s.%s",
		target->kind->plural, group);

	if (target->kind->namespaced && mk_strlist_has(&run->missing, path))
		return "its namespace does not exist yet";
	return mk_strlist_has(&run->missing, crd) ? "its CRD does not exist yet" : NULL;
}

/* Leave out of `which` what cannot be tried, or belongs to another set. */
static size_t keep_possible(struct run *run, size_t *which, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		const struct mk_target *target = &run->targets.items[which[i]];
		const char *why = run->options->dry_run ? untried(run, target) : NULL;

		if (why)
			tell(run, target, "untried", why);
		else
			which[kept++] = which[i];
	}
	return kept;
}

/* Others' members stay theirs (KEP-3659: no object is in two sets). */
static size_t keep_free(struct run *run, size_t *which, size_t count, struct mk_batch *live)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		const struct mk_target *target = &run->targets.items[which[i]];
		mk_autojson *object = live->responses[i].status == 200 ? mk_batch_json(live, i)
								       : NULL;
		mk_autofree char *why = mk_applyset_taken(&run->set, object);
		struct mk_http_response swap = live->responses[kept];

		if (live->responses[i].status == 404 && run->options->dry_run)
			mk_strlist_add(&run->missing, target->path);
		if (why) {
			fail(run, target, why);
			continue;
		}
		live->responses[kept] = live->responses[i];
		live->responses[i] = swap;
		which[kept++] = which[i];
	}
	return kept;
}

static int run_rank(struct run *run, enum mk_rank rank, struct mk_error *err)
{
	const struct mk_apply_options *o = run->options;
	mk_autofree size_t *which = mk_xcalloc(run->targets.count + 1, sizeof(size_t));
	mk_autofree char *query = mk_xasprintf("?fieldManager=" MK_KUBE_FIELD_MANAGER "&force=%s%s",
		o->force ? "true" : "false", o->dry_run ? "&dryRun=All" : "");
	size_t count = keep_possible(run, which, of_rank(&run->targets, rank, which));
	mk_autobatch live = { .count = 0 }, batch = { .count = 0 };
	int r = 0;

	if (count > 0)
		r = get_live(run, which, count, &live, err);
	if (r == 0 && count > 0)
		count = keep_free(run, which, count, &live);
	if (r == 0 && count > 0)
		r = apply_some(run->kube, &run->targets, which, count, query, &batch, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		judge(run, &run->targets.items[which[i]], &live, &batch, i);
	if (r == 0 && rank == MK_RANK_CRD && !o->dry_run && run->failures.count == 0)
		r = wait_crds(run->kube, &run->targets, err);
	return r;
}

static int failures(const struct run *run, struct mk_error *err)
{
	int r = mk_target_failures(&run->failures, run->targets.count,
		run->options->dry_run ? "tried with success" : "applied", err);

	if (run->in_conflict)
		mk_error_hint(err,
			"another manager has set these fields: leave them out of the "
			"file, or take them over with --force-conflicts");
	return r;
}

static void skip_rank(const struct run *run, enum mk_rank rank)
{
	for (size_t i = 0; i < run->targets.count; i++) {
		const struct mk_target *target = &run->targets.items[i];

		if (target->kind->rank == rank)
			tell(run, target, "untried", "what comes before it was refused");
	}
}

static int run_ranks(struct run *run, struct mk_error *err)
{
	int r = 0;

	for (int rank = 0; r == 0 && rank < MK_RANK_COUNT; rank++) {
		/* What depends on a refused object would fail for that, or worse, run. */
		if (run->failures.count > 0 && !run->options->dry_run)
			skip_rank(run, (enum mk_rank)rank);
		else
			r = run_rank(run, (enum mk_rank)rank, err);
	}
	if (r == 0 && run->failures.count > 0)
		r = failures(run, err);
	return r;
}

int mk_kube_apply_manifests(struct mk_kube *kube, const struct mk_manifests *manifests,
	const struct mk_apply_options *options, struct mk_error *err)
{
	MK_CLEANUP(run_done) struct run run = { .kube = kube, .options = options };
	int r = mk_targets_find(kube, manifests->objects, &manifests->where, options->namespace,
		/* lenient= */ false, &run.targets, err);

	if (r == 0)
		r = mk_applyset_begin(&run.set, kube, options, &run.targets, err);
	if (r == 0)
		r = run_ranks(&run, err);
	if (r == 0)
		r = mk_applyset_end(&run.set, &run.targets, err);
	if (r == 0 && options->wait && !options->dry_run)
		r = mk_targets_await(kube, &run.targets, options->deadline, err);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/prune.h"

#include "lib/kube/apply.h"
#include "lib/kube/batch.h"

/* A member that is to go. */
struct member {
	const struct mk_kind *kind;
	json_t *object; /* its metadata, with apiVersion and kind */
};

struct members {
	struct member *items;
	size_t count;
};

static void members_done(struct members *members)
{
	for (size_t i = 0; i < members->count; i++)
		json_decref(members->items[i].object);
	free(members->items);
}

/* Parts of the cluster itself, which write into everybody's objects. */
static bool is_system(const char *manager)
{
	return mk_after_prefix(manager, "kube-") || mk_streq(manager, "kubelet");
}

static bool has_annotation(const json_t *member, const char *key)
{
	return json_object_get(mk_json_at(member, "metadata.annotations"), key) != NULL;
}

char *mk_prune_why_kept(const json_t *member, bool strict)
{
	bool ours = false;
	const json_t *entry;
	size_t i;

	if (has_annotation(member, "kubectl.kubernetes.io/last-applied-configuration"))
		return mk_xstrdup("kubectl applies it too");
	if (has_annotation(member, "meta.helm.sh/release-name"))
		return mk_xstrdup("a Helm release has it");
	json_array_foreach (mk_json_at(member, "metadata.ownerReferences"), i, entry) {
		if (json_is_true(json_object_get(entry, "controller")))
			return mk_xasprintf("%s '%s' controls it", mk_json_str(entry, "kind", "?"),
				mk_json_str(entry, "name", "?"));
	}
	json_array_foreach (mk_json_at(member, "metadata.managedFields"), i, entry) {
		const char *manager = mk_json_str(entry, "manager", "");
		bool applies = mk_streq(mk_json_str(entry, "operation", ""), "Apply");
		bool part = *mk_json_str(entry, "subresource", "") != '\0';

		if (mk_streq(manager, MK_KUBE_FIELD_MANAGER))
			ours |= applies && !part;
		else if (applies && !part)
			return mk_xasprintf("'%s' applies it too", manager);
		else if (strict && !part && !is_system(manager))
			return mk_streq(manager, "before-first-apply")
				? mk_xstrdup("it was there before it was in the set")
				: mk_xasprintf("'%s' has written to it", manager);
	}
	return ours ? NULL : mk_xstrdup("mkcluster no longer has any of it");
}

/* What goes with all that is in it. */
static bool is_strict(const struct mk_kind *kind)
{
	return kind->rank == MK_RANK_NAMESPACE || kind->rank == MK_RANK_CRD ||
		mk_streq(kind->kind, "PersistentVolumeClaim") ||
		mk_streq(kind->kind, "PersistentVolume");
}

static void tell(
	const struct mk_applyset *set, const json_t *object, const char *verb, const char *why)
{
	const char *api_version = mk_json_str(object, "apiVersion", "");
	const char *kind = mk_json_str(object, "kind", "");
	const char *name = mk_json_str(object, "metadata.name", "");
	mk_autofree char *label = mk_target_label(api_version, kind, name);
	struct mk_outcome outcome = {
		.label = label,
		.api_version = api_version,
		.kind = kind,
		.name = name,
		.namespace = mk_json_str(object, "metadata.namespace", NULL),
		.verb = verb,
		.why = why,
	};

	set->options->report(set->options->payload, &outcome);
}

/* The kind that the parent calls "Deployment.apps", NULL when there is none any more. */
static int find_kind(const struct mk_applyset *set, const char *name, const struct mk_kind **ret,
	struct mk_error *err)
{
	const char *dot = strchr(name, '.');
	mk_autofree char *kind = mk_xstrndup(name, dot ? (size_t)(dot - name) : strlen(name));
	const char *group = dot ? dot + 1 : "";
	int r = 0;

	*ret = NULL;
	if (!mk_manifest_name_ok(kind) || (dot && !mk_manifest_name_ok(group)))
		return 0;
	*ret = mk_kinds_of_group(set->kinds, group, kind);
	if (!*ret)
		r = mk_kinds_learn_group(set->kinds, set->kube, group, err);
	if (r == 0)
		*ret = mk_kinds_of_group(set->kinds, group, kind);
	return r;
}

static void sort_item(const struct mk_applyset *set, const struct mk_kind *kind, json_t *item,
	struct members *ret, json_t *left)
{
	mk_autofree char *why = NULL;

	if (json_object_get(set->uids, mk_json_str(item, "metadata.uid", "")))
		return;
	(void)json_object_set_new(item, "apiVersion", json_string(kind->api_version));
	(void)json_object_set_new(item, "kind", json_string(kind->kind));
	why = mk_prune_why_kept(item, is_strict(kind));
	if (why) {
		tell(set, item, "kept", why);
		(void)json_array_append(left, item);
		return;
	}
	ret->items = mk_xrealloc(ret->items, (ret->count + 1) * sizeof(*ret->items));
	ret->items[ret->count++] = (struct member){ .kind = kind, .object = json_incref(item) };
}

static int take_list(const struct mk_applyset *set, const struct mk_kind *kind,
	const struct mk_batch *batch, size_t i, struct members *ret, json_t *left,
	struct mk_error *err)
{
	const struct mk_http_response *response = &batch->responses[i];
	mk_autojson *list = NULL;
	json_t *item;
	size_t j;

	if (response->status == 404)
		return 0;
	if (response->status >= 400)
		return mk_kube_refused("GET", batch->requests[i].path, response, err);
	list = mk_batch_json(batch, i);
	json_array_foreach (json_object_get(list, "items"), j, item)
		sort_item(set, kind, item, ret, left);
	return 0;
}

/* All members of the kinds that the parent names, sorted into those to go and `left`. */
static int find_members(
	const struct mk_applyset *set, struct members *ret, json_t *left, struct mk_error *err)
{
	mk_autofree const struct mk_kind **kinds = mk_xcalloc(
		json_object_size(set->group_kinds) + 1, sizeof(*kinds));
	mk_autobatch batch = { .count = 0 };
	const char *name;
	json_t *value;
	int r = 0;

	json_object_foreach (set->group_kinds, name, value) {
		const struct mk_kind *kind;
		mk_autofree char *path = NULL;

		r = find_kind(set, name, &kind, err);
		if (r < 0)
			return r;
		if (!kind)
			continue;
		path = mk_kind_path(kind, NULL, NULL);
		kinds[batch.count] = kind;
		mk_batch_add(&batch, "GET",
			mk_xasprintf("%s?labelSelector=applyset.kubernetes.io%%2Fpart-of%%3D%s",
				path, set->options->set_id),
			NULL, &mk_metadata_only_list);
	}
	r = mk_batch_send(set->kube, &batch, err);
	for (size_t i = 0; r == 0 && i < batch.count; i++)
		r = take_list(set, kinds[i], &batch, i, ret, left, err);
	return r;
}

/* Only the object that was looked at, as it was then. */
static void add_delete(struct mk_batch *batch, const struct member *member)
{
	mk_autojson *body = mk_json_pack("{s:s,s:s,s:s,s:{s:s,s:s}}", "kind", "DeleteOptions",
		"apiVersion", "v1", "propagationPolicy", "Background", "preconditions", "uid",
		mk_json_str(member->object, "metadata.uid", ""), "resourceVersion",
		mk_json_str(member->object, "metadata.resourceVersion", ""));

	mk_batch_add(batch, "DELETE",
		mk_kind_path(member->kind, mk_json_str(member->object, "metadata.namespace", NULL),
			mk_json_str(member->object, "metadata.name", "")),
		body, NULL);
}

static int delete_rank(const struct mk_applyset *set, const struct members *members,
	enum mk_rank rank, json_t *left, struct mk_strlist *failures, struct mk_error *err)
{
	mk_autobatch batch = { .count = 0 };
	size_t n = 0;
	int r;

	for (size_t i = 0; i < members->count; i++) {
		if (members->items[i].kind->rank == rank)
			add_delete(&batch, &members->items[i]);
	}
	r = mk_batch_send(set->kube, &batch, err);
	for (size_t i = 0; r == 0 && i < members->count; i++) {
		json_t *object = members->items[i].object;
		mk_autoerror refused = { .code = MK_OK };
		long status;

		if (members->items[i].kind->rank != rank)
			continue;
		status = batch.responses[n].status;
		if (status == 409) {
			tell(set, object, "kept", "it was changed meanwhile");
			(void)json_array_append(left, object);
		} else if (status >= 400 && status != 404) {
			(void)mk_kube_refused(
				"DELETE", batch.requests[n].path, &batch.responses[n], &refused);
			mk_strlist_add(failures, refused.message);
			tell(set, object, "failed", refused.message);
			(void)json_array_append(left, object);
		} else {
			tell(set, object, "pruned", NULL);
		}
		n++;
	}
	return r;
}

int mk_prune(struct mk_applyset *set, json_t *left, struct mk_error *err)
{
	MK_CLEANUP(members_done) struct members members = { .items = NULL };
	mk_autostrlist failures = { .items = NULL };
	int r = find_members(set, &members, left, err);

	for (size_t i = 0; r == 0 && set->options->dry_run && i < members.count; i++)
		tell(set, members.items[i].object, "pruned", NULL);
	if (r < 0 || set->options->dry_run)
		return r;
	for (int rank = MK_RANK_COUNT - 1; r == 0 && rank >= 0; rank--)
		r = delete_rank(set, &members, (enum mk_rank)rank, left, &failures, err);
	if (r == 0 && failures.count > 0)
		r = mk_target_failures(&failures, members.count, "pruned", err);
	return r;
}

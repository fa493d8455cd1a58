/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/applyset.h"

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/kube/apply.h"
#include "lib/kube/batch.h"
#include "lib/kube/prune.h"

#define PREFIX "applyset.kubernetes.io/"
#define TOOLING "mkcluster/v" MK_VERSION

char *mk_applyset_id_source(const char *name, const char *namespace)
{
	return mk_xasprintf("%s.%s.Secret.", name, namespace);
}

char *mk_applyset_id(const unsigned char *hash)
{
	mk_autofree char *text = mk_base64url(hash, 32);

	text[strcspn(text, "=")] = '\0';
	return mk_xasprintf("applyset-%s-v1", text);
}

void mk_applyset_done(struct mk_applyset *set)
{
	free(set->path);
	json_decref(set->group_kinds);
	json_decref(set->namespaces);
	json_decref(set->uids);
	*set = (struct mk_applyset){ .kube = NULL };
}

static const json_t *label_of(const json_t *object, const char *map, const char *key)
{
	return json_object_get(json_object_get(json_object_get(object, "metadata"), map), key);
}

static json_t *words_of(const char *list)
{
	mk_autostrlist words = { .items = NULL };
	json_t *set = json_object();

	mk_strlist_split(&words, list ? list : "", ",");
	for (size_t i = 0; i < words.count; i++)
		(void)json_object_set_new(set, words.items[i], json_true());
	return set;
}

/* The keys, sorted, with commas. Caller frees. */
static char *list_of(const json_t *set, const char *without)
{
	mk_autostrlist words = { .items = NULL };
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)set, key, value) {
		if (!mk_streq(key, without))
			mk_strlist_add(&words, key);
	}
	mk_strlist_sort(&words);
	return mk_strlist_join(&words, ",");
}

static int check_parent(const struct mk_applyset *set, const json_t *parent, struct mk_error *err)
{
	const struct mk_apply_options *o = set->options;
	const char *id = json_string_value(label_of(parent, "labels", PREFIX "id"));
	const char *tooling = json_string_value(label_of(parent, "annotations", PREFIX "tooling"));

	if (id && mk_streq(id, o->set_id) && tooling && mk_after_prefix(tooling, "mkcluster/"))
		return 0;
	(void)mk_fail(err, MK_EEXISTS,
		"secret '%s' in namespace '%s', which should remember the set, is %s%s", o->set,
		o->namespace, tooling ? "a set of " : "something else", tooling ? tooling : "");
	mk_error_hint(err, "choose another name for --applyset");
	return -MK_EEXISTS;
}

static int read_parent(struct mk_applyset *set, struct mk_error *err)
{
	mk_autobatch batch = { .count = 0 };
	mk_autojson *parent = NULL;
	int r;

	mk_batch_add(&batch, "GET", mk_xstrdup(set->path), NULL, &mk_metadata_only);
	r = mk_batch_send(set->kube, &batch, err);
	if (r < 0)
		return r;
	if (batch.responses[0].status == 404)
		return 0;
	if (batch.responses[0].status >= 400)
		return mk_kube_refused("GET", set->path, &batch.responses[0], err);
	parent = mk_batch_json(&batch, 0);
	r = check_parent(set, parent, err);
	if (r < 0)
		return r;
	json_decref(set->group_kinds);
	json_decref(set->namespaces);
	set->group_kinds = words_of(
		json_string_value(label_of(parent, "annotations", PREFIX "contains-group-kinds")));
	set->namespaces = words_of(
		json_string_value(label_of(parent, "annotations", PREFIX "additional-namespaces")));
	return 0;
}

static int write_parent(struct mk_applyset *set, struct mk_error *err)
{
	const struct mk_apply_options *o = set->options;
	mk_autofree char *kinds = list_of(set->group_kinds, "");
	mk_autofree char *spaces = list_of(set->namespaces, o->namespace);
	mk_autobatch batch = { .count = 0 };
	mk_autojson *parent = mk_json_pack("{s:s,s:s,s:{s:s,s:s,s:{s:s},s:{s:s,s:s,s:s}}}",
		"apiVersion", "v1", "kind", "Secret", "metadata", "name", o->set, "namespace",
		o->namespace, "labels", PREFIX "id", o->set_id, "annotations", PREFIX "tooling",
		TOOLING, PREFIX "contains-group-kinds", kinds, PREFIX "additional-namespaces",
		spaces);
	int r;

	mk_batch_add(&batch, "PATCH",
		mk_xasprintf("%s?fieldManager=" MK_KUBE_FIELD_MANAGER "&force=true", set->path),
		parent, NULL);
	r = mk_batch_send(set->kube, &batch, err);
	if (r == 0 && batch.responses[0].status >= 400)
		r = mk_kube_refused("PATCH", set->path, &batch.responses[0], err);
	if (r < 0)
		return mk_error_wrap(
			err, "remember set '%s' in namespace '%s'", o->set, o->namespace);
	return 0;
}

/* "Deployment.apps", or "Secret" of the group without a name. Caller frees. */
static char *group_kind(const char *api_version, const char *kind)
{
	mk_autofree char *group = mk_kind_group(api_version);

	return mk_xasprintf("%s%s%s", kind, *group ? "." : "", group);
}

static void expect(
	struct mk_applyset *set, const char *api_version, const char *kind, const char *namespace)
{
	mk_autofree char *name = group_kind(api_version, kind);

	(void)json_object_set_new(set->group_kinds, name, json_true());
	if (namespace)
		(void)json_object_set_new(set->namespaces, namespace, json_true());
}

static void make_member(struct mk_applyset *set, struct mk_target *target)
{
	json_t *object = json_deep_copy(target->object);
	json_t *meta = json_object_get(object, "metadata");

	if (!json_is_object(json_object_get(meta, "labels")))
		(void)json_object_set_new(meta, "labels", json_object());
	(void)json_object_set_new(json_object_get(meta, "labels"), MK_APPLYSET_PART_OF,
		json_string(set->options->set_id));
	json_decref(target->object);
	target->object = object;
	expect(set, target->kind->api_version, target->kind->kind,
		target->kind->namespaced ? mk_json_str(object, "metadata.namespace", NULL) : NULL);
}

int mk_applyset_begin(struct mk_applyset *set, struct mk_kube *kube,
	const struct mk_apply_options *options, struct mk_targets *targets, struct mk_error *err)
{
	int r;

	if (!options->set)
		return 0;
	*set = (struct mk_applyset){
		.kube = kube,
		.options = options,
		.kinds = targets->kinds,
		.path = mk_xasprintf(
			"/api/v1/namespaces/%s/secrets/%s", options->namespace, options->set),
		.group_kinds = json_object(),
		.namespaces = json_object(),
		.uids = json_object(),
	};
	r = read_parent(set, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < targets->count; i++) {
		if (mk_streq(targets->items[i].path, set->path))
			return mk_fail(err, MK_EUSAGE, "%s: this Secret remembers the set '%s'",
				targets->items[i].where, options->set);
		make_member(set, &targets->items[i]);
	}
	return options->dry_run ? 0 : write_parent(set, err);
}

char *mk_applyset_taken(const struct mk_applyset *set, const json_t *live)
{
	const char *id = json_string_value(label_of(live, "labels", MK_APPLYSET_PART_OF));

	if (!set->options || !id || mk_streq(id, set->options->set_id) || set->options->force)
		return NULL;
	return mk_xasprintf("it belongs to another set, %s; --force-conflicts takes it over", id);
}

void mk_applyset_note(struct mk_applyset *set, const struct mk_target *target, const json_t *object)
{
	(void)target;
	if (set->options)
		(void)json_object_set_new(
			set->uids, mk_json_str(object, "metadata.uid", "?"), json_true());
}

/* The parent names what was applied, and what is left of earlier. */
static int forget_others(struct mk_applyset *set, const struct mk_targets *targets,
	const json_t *left, struct mk_error *err)
{
	mk_autofree char *before = list_of(set->group_kinds, "");
	mk_autofree char *before_spaces = list_of(set->namespaces, "");
	mk_autofree char *after = NULL, *after_spaces = NULL;
	const json_t *item;
	size_t i;

	(void)json_object_clear(set->group_kinds);
	(void)json_object_clear(set->namespaces);
	for (i = 0; i < targets->count; i++) {
		const json_t *object = targets->items[i].object;

		expect(set, mk_json_str(object, "apiVersion", ""), mk_json_str(object, "kind", ""),
			mk_json_str(object, "metadata.namespace", NULL));
	}
	json_array_foreach (left, i, item)
		expect(set, mk_json_str(item, "apiVersion", ""), mk_json_str(item, "kind", ""),
			mk_json_str(item, "metadata.namespace", NULL));
	after = list_of(set->group_kinds, "");
	after_spaces = list_of(set->namespaces, "");
	if (mk_streq(before, after) && mk_streq(before_spaces, after_spaces))
		return 0;
	return write_parent(set, err);
}

int mk_applyset_end(struct mk_applyset *set, const struct mk_targets *targets, struct mk_error *err)
{
	mk_autojson *left = json_array();
	int r;

	if (!set->options || !set->options->prune)
		return 0;
	r = mk_prune(set, left, err);
	if (r < 0 || set->options->dry_run)
		return r;
	return forget_others(set, targets, left, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/target.h"

#include "lib/base/limits.h"

#include <ctype.h>

#define MAX_SHOWN 20

void mk_targets_done(struct mk_targets *targets)
{
	for (size_t i = 0; i < targets->count; i++) {
		json_decref(targets->items[i].object);
		free(targets->items[i].path);
		free(targets->items[i].label);
	}
	free(targets->items);
	mk_kinds_free(targets->kinds);
	*targets = (struct mk_targets){ .items = NULL };
}

char *mk_target_label(const char *api_version, const char *kind, const char *name)
{
	mk_autofree char *group = mk_kind_group(api_version);
	char *label = mk_xasprintf("%s%s%s/%s", kind, *group ? "." : "", group, name);

	for (char *p = label; *p && *p != '.' && *p != '/'; p++)
		*p = (char)tolower((unsigned char)*p);
	return label;
}

struct mk_outcome mk_target_outcome(
	const struct mk_target *target, const char *verb, const char *why)
{
	return (struct mk_outcome){
		.label = target->label,
		.api_version = mk_json_str(target->object, "apiVersion", ""),
		.kind = mk_json_str(target->object, "kind", ""),
		.name = mk_json_str(target->object, "metadata.name", ""),
		.namespace = mk_json_str(target->object, "metadata.namespace", NULL),
		.verb = verb,
		.why = why,
	};
}

/* Our own copy where something has to be set. */
static json_t *with_namespace(
	const json_t *object, const struct mk_kind *kind, const char *namespace)
{
	json_t *copy;

	if (!kind || !kind->namespaced || mk_json_str(object, "metadata.namespace", NULL))
		return json_incref((json_t *)(uintptr_t)object);
	copy = json_deep_copy(object);
	(void)json_object_set_new(
		json_object_get(copy, "metadata"), "namespace", json_string(namespace));
	return copy;
}

static void add(
	struct mk_targets *targets, const json_t *object, const char *where, const char *namespace)
{
	const struct mk_kind *kind = mk_kinds_find(targets->kinds, object);
	struct mk_target *target = &targets->items[targets->count++];

	target->object = with_namespace(object, kind, namespace);
	target->where = where;
	target->kind = kind;
	target->label = mk_target_label(mk_json_str(object, "apiVersion", ""),
		mk_json_str(object, "kind", ""), mk_json_str(object, "metadata.name", ""));
	if (kind)
		target->path = mk_kind_path(kind,
			mk_json_str(target->object, "metadata.namespace", NULL),
			mk_json_str(object, "metadata.name", ""));
}

/* What is wrong with the targets, each with its place. */
static int find_mistakes(struct mk_targets *targets, struct mk_kube *kube, bool lenient,
	struct mk_strlist *ret, struct mk_error *err)
{
	mk_autojson *seen = json_object();

	for (size_t i = 0; i < targets->count && ret->count < MAX_SHOWN; i++) {
		const struct mk_target *target = &targets->items[i];
		const char *where = target->where ? target->where : target->label;
		mk_autofree char *why = NULL;
		const json_t *first;

		if (!target->kind && lenient)
			continue;
		if (!target->kind) {
			int r = mk_kinds_explain(targets->kinds, kube, target->object, &why, err);

			if (r < 0)
				return r;
			mk_strlist_addf(ret, "%s: %s", where, why);
			continue;
		}
		first = json_object_get(seen, target->path);
		if (first)
			mk_strlist_addf(ret, "%s: %s is there twice, first at %s", where,
				target->label, json_string_value(first));
		else
			(void)json_object_set_new(seen, target->path, json_string(where));
	}
	return 0;
}

/* All lines of an error: the first is the message, the others its detail. */
static int fail_lines(enum mk_code code, const struct mk_strlist *lines, struct mk_error *err)
{
	mk_autobuf rest = mk_buf_init(MK_MIB);

	for (size_t i = 1; i < lines->count; i++)
		mk_buf_addf(&rest, "%s\n", lines->items[i]);
	(void)mk_fail(err, code, "%s", lines->items[0]);
	if (rest.len > 0)
		err->detail = mk_buf_detach(&rest);
	return -(int)code;
}

int mk_targets_find(struct mk_kube *kube, const json_t *objects, const struct mk_strlist *where,
	const char *namespace, bool lenient, struct mk_targets *ret, struct mk_error *err)
{
	mk_autotargets targets = { .kinds = mk_kinds_new() };
	mk_autostrlist mistakes = { .items = NULL };
	const json_t *object;
	size_t i;
	int r = mk_kinds_learn(targets.kinds, kube, objects, err);

	if (r < 0)
		return r;
	targets.items = mk_xcalloc(json_array_size(objects) + 1, sizeof(*targets.items));
	json_array_foreach (objects, i, object) {
		if (!mk_json_str(object, "metadata.name", NULL))
			return mk_fail(err, MK_EINVALID, "a %s %s without a name",
				mk_json_str(object, "apiVersion", "?"),
				mk_json_str(object, "kind", "?"));
		add(&targets, object, where ? where->items[i] : NULL, namespace);
	}
	r = find_mistakes(&targets, kube, lenient, &mistakes, err);
	if (r < 0)
		return r;
	if (mistakes.count > 0)
		return fail_lines(where ? MK_EUSAGE : MK_EINVALID, &mistakes, err);
	*ret = targets;
	targets = (struct mk_targets){ .items = NULL };
	return 0;
}

int mk_target_failures(
	const struct mk_strlist *failures, size_t total, const char *what, struct mk_error *err)
{
	mk_autobuf lines = mk_buf_init(MK_MIB);

	if (failures->count == 1)
		return mk_fail(err, MK_EREMOTE, "%s", failures->items[0]);
	for (size_t i = 0; i < failures->count; i++)
		mk_buf_addf(&lines, "%s\n", failures->items[i]);
	(void)mk_fail(err, MK_EREMOTE, "%zu of %zu objects could not be %s, %.300s first",
		failures->count, total, what, failures->items[0]);
	err->detail = mk_buf_detach(&lines);
	return -MK_EREMOTE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/manifests.h"

#include <stdio.h>

static int read_one(
	const char *file, bool recursive, struct mk_manifests *ret, struct mk_error *err)
{
	if (!*file)
		return mk_fail(err, MK_EUSAGE, "-f: an empty name of a file");
	if (strstr(file, "://"))
		return mk_fail(err, MK_EUSAGE, "-f %s: neither a file nor a folder nor '-'", file);
	return mk_manifests_read(file, recursive, mk_manifests_take, ret, err);
}

int mk_manifests_of(const struct mk_strlist *files, bool recursive, struct mk_manifests *ret,
	struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < files->count; i++)
		r = read_one(files->items[i], recursive, ret, err);
	return r < 0 ? r : mk_manifests_check(ret, err);
}

int mk_check_object_name(const char *option, const char *name, struct mk_error *err)
{
	bool ok = *name && strlen(name) <= 63 &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name) &&
		name[0] != '-' && name[strlen(name) - 1] != '-';

	if (ok)
		return 0;
	return mk_fail(err, MK_EUSAGE,
		"--%s: '%s' is no name: up to 63 of a-z, 0-9 and -, not - at either end", option,
		name);
}

/* What servers and managers have said need not be UTF-8; JSON must be. */
static json_t *text_json(const char *text)
{
	json_t *value = json_string(text);

	return value ? value : json_string("?");
}

static void keep(struct mk_outcomes *outcomes, const struct mk_outcome *o)
{
	json_t *item = mk_json_pack("{s:s,s:s,s:s*,s:s,s:s}", "apiVersion", o->api_version, "kind",
		o->kind, "namespace", o->namespace, "name", o->name, "outcome", o->verb);

	if (o->why)
		(void)json_object_set_new(item, "why", text_json(o->why));
	if (!outcomes->list)
		outcomes->list = json_array();
	(void)json_array_append_new(outcomes->list, item);
}

void mk_outcomes_report(void *payload, const struct mk_outcome *outcome)
{
	struct mk_outcomes *outcomes = payload;
	/* Why something failed is in the error. */
	bool failed = mk_streq(outcome->verb, "failed");

	if (outcomes->output == MK_OUTPUT_JSON) {
		keep(outcomes, outcome);
		return;
	}
	if (outcomes->quiet || failed)
		return;
	(void)printf("%s %s%s%s%s\n", outcome->label, outcome->verb, outcomes->note,
		outcome->why ? ": " : "", outcome->why ? outcome->why : "");
	(void)fflush(stdout);
}

void mk_outcomes_end(struct mk_outcomes *outcomes)
{
	mk_autofree char *text = NULL;

	if (outcomes->output == MK_OUTPUT_JSON) {
		text = outcomes->list ? json_dumps(outcomes->list, JSON_INDENT(2)) : NULL;
		(void)printf("%s\n", text ? text : "[]");
	}
	json_decref(outcomes->list);
	outcomes->list = NULL;
}

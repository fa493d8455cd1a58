/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/manifests.h"

#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/git/source.h"

#include <stdio.h>

const char *const mk_dry_run_choices[] = { "none", "server", NULL };

static void show_fetch(void *payload, const struct mk_source_progress *fetched)
{
	mk_autofree char *bytes = mk_format_bytes(fetched->bytes);
	mk_autofree char *note = fetched->total > 0
		? mk_xasprintf("%zu of %zu objects, %s", fetched->objects, fetched->total, bytes)
		: mk_xstrdup(bytes);

	mk_progress_note(payload, "Fetching", note);
}

static int take(void *payload, const char *path, const void *data, size_t len, struct mk_error *err)
{
	return mk_manifests_take(payload, path, data, len, err);
}

static int walk(
	struct mk_source *source, bool recursive, struct mk_manifests *ret, struct mk_error *err)
{
	static const char *const suffixes[] = { ".yaml", ".yml", ".json", NULL };
	struct mk_source_query query = { .suffixes = suffixes, .recursive = recursive };
	size_t before = ret->files;
	int r = mk_source_walk(source, &query, take, ret, err);

	if (r < 0 || ret->files > before)
		return r;
	(void)mk_fail(
		err, MK_EUSAGE, "no *.yaml, *.yml or *.json in %s", mk_source_describe(source));
	if (!recursive)
		mk_error_hint(err, "--recursive looks into its folders too");
	return -MK_EUSAGE;
}

/* Which commit it was is worth knowing afterwards: a branch moves on. */
static int read_repository(const char *from, bool recursive, const struct mk_context *context,
	struct mk_manifests *ret, struct mk_error *err)
{
	struct mk_progress progress = { .context = context };
	struct mk_source_options options = { .listener = show_fetch,
		.listener_payload = &progress };
	MK_CLEANUP(mk_source_freep) struct mk_source *source = NULL;
	int r = mk_source_open(from, &options, &source, err);

	mk_progress_close(&progress);
	if (r == 0)
		r = walk(source, recursive, ret, err);
	/* A place that is not there is a mistake of the command line, as a file is. */
	if (r == -MK_ENOTFOUND)
		return mk_error_recode(err, MK_EUSAGE);
	if (r == 0)
		mk_progress_say(&progress, "from %s", mk_source_describe(source));
	return r;
}

static int read_one(const char *file, bool recursive, const struct mk_context *context,
	struct mk_manifests *ret, struct mk_error *err)
{
	if (!*file)
		return mk_fail(err, MK_EUSAGE, "-f: an empty name of a file");
	if (strstr(file, "://"))
		return read_repository(file, recursive, context, ret, err);
	return mk_manifests_read(file, recursive, mk_manifests_take, ret, err);
}

int mk_manifests_of(const struct mk_strlist *files, bool recursive,
	const struct mk_context *context, struct mk_manifests *ret, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < files->count; i++)
		r = read_one(files->items[i], recursive, context, ret, err);
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
	if (outcomes->output == MK_OUTPUT_JSON && !outcomes->list)
		outcomes->list = json_array();
	if (outcomes->output == MK_OUTPUT_JSON)
		mk_print_json(outcomes->list);
	json_decref(outcomes->list);
	outcomes->list = NULL;
}

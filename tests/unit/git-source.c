/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lib/git makes of a source, as one line of JSON: for git-http.py.
 *
 * usage: git-source SOURCE CACHE [OPTION=VALUE...]
 */
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/git/source.h"

#include <jansson.h>
#include <stdio.h>

#define MAX_CA ((size_t)65536)

struct run {
	struct mk_source_options options;
	struct mk_source_query query;
	struct mk_buf ca;
	struct mk_source_progress progress;
	int told;
};

static void on_progress(void *payload, const struct mk_source_progress *progress)
{
	struct run *run = payload;

	/* Somebody waits for the fetch to be on its way. */
	if (run->told++ == 0)
		(void)fprintf(stderr, "fetching\n");
	run->progress = *progress;
}

static int on_file(
	void *payload, const char *path, const void *data, size_t len, struct mk_error *err)
{
	(void)err;
	(void)json_object_set_new(payload, path, json_stringn_nocheck(data, len));
	return 0;
}

static int set_option(struct run *run, const char *option, struct mk_error *err)
{
	static const char *const yaml[] = { ".yml", ".yaml", NULL };
	const char *value = strchr(option, '=') ? strchr(option, '=') + 1 : "";
	uint64_t number = 0;

	if (mk_after_prefix(option, "path="))
		run->query.path = value;
	else if (mk_streq(option, "recursive"))
		run->query.recursive = true;
	else if (mk_streq(option, "yaml"))
		run->query.suffixes = yaml;
	else if (mk_after_prefix(option, "ca="))
		return mk_fs_read(value, &run->ca, err);
	else if (!mk_parse_uint(value, 1, INT64_MAX, &number))
		return mk_fail(err, MK_EUSAGE, "%s", option);
	else if (mk_after_prefix(option, "max-fetch="))
		run->options.max_fetch = number;
	else if (mk_after_prefix(option, "timeout="))
		run->options.timeout_ms = (int64_t)number;
	else if (mk_after_prefix(option, "stall="))
		run->options.stall_ms = (int64_t)number;
	else
		return mk_fail(err, MK_EUSAGE, "%s", option);
	return 0;
}

static int use(const char *from, struct run *run, json_t *result, struct mk_error *err)
{
	MK_CLEANUP(mk_source_freep) struct mk_source *source = NULL;
	json_t *files = json_object();
	int r = mk_source_open(from, &run->options, &source, err);

	(void)json_object_set_new(result, "files", files);
	if (r < 0)
		return r;
	(void)json_object_set_new(result, "describe", json_string(mk_source_describe(source)));
	if (mk_source_commit(source))
		(void)json_object_set_new(result, "commit", json_string(mk_source_commit(source)));
	return mk_source_walk(source, &run->query, on_file, files, err);
}

int main(int argc, char **argv)
{
	mk_autoerror err = { .code = MK_OK };
	json_t *result = json_object();
	struct run run = { .ca = mk_buf_init(MAX_CA) };
	int r = argc > 2 ? 0 : mk_fail(&err, MK_EUSAGE, "SOURCE CACHE [OPTION=VALUE...]");

	mk_interrupt_install();
	for (int i = 3; i < argc && r == 0; i++)
		r = set_option(&run, argv[i], &err);
	if (r == 0) {
		run.options.cache_dir = argv[2];
		run.options.ca_pem = run.ca.len > 0 ? run.ca.data : NULL;
		run.options.listener = on_progress;
		run.options.listener_payload = &run;
		r = use(argv[1], &run, result, &err);
	}
	(void)json_object_set_new(result, "code", json_integer(-r));
	(void)json_object_set_new(result, "status", json_integer(err.status));
	(void)json_object_set_new(result, "message", json_string(err.message ? err.message : ""));
	(void)json_object_set_new(result, "hint", json_string(err.hint ? err.hint : ""));
	(void)json_object_set_new(result, "told", json_integer(run.told));
	(void)json_object_set_new(result, "bytes", json_integer((json_int_t)run.progress.bytes));
	(void)json_object_set_new(
		result, "objects", json_integer((json_int_t)run.progress.objects));
	(void)json_object_set_new(result, "total", json_integer((json_int_t)run.progress.total));
	(void)json_dumpf(result, stdout, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(result);
	mk_buf_done(&run.ca);
	return r < 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster config validate|print|schema: config files without a cluster. */
#include "lib/cluster/config.h"
#include "cmd/command.h"
#include "cmd/shape.h"
#include "lib/base/limits.h"

#include <stdio.h>

struct options {
	struct mk_shape shape;
	int output;
};

static const struct mk_option validate_options[] = { MK_OUTPUT_OPTION(struct options) };
static const struct mk_option print_options[] = {
	MK_SHAPE_OPTIONS(struct options),
	MK_OUTPUT_OPTION(struct options),
};

static void init(void *o)
{
	*(struct options *)o = (struct options){ .shape = MK_SHAPE_INIT };
}

static json_t *problem_value(const struct mk_decode *d, const struct mk_problem *problem)
{
	return mk_json_pack("{s:s,s:I,s:I,s:s,s:s}", "file", d->what, "line",
		(json_int_t)problem->line, "column", (json_int_t)problem->column, "path",
		problem->path, "message", problem->text);
}

static void print_problems(const struct mk_decode *d, int output)
{
	mk_autojson *problems = json_array();
	mk_autojson *value = NULL;

	for (size_t i = 0; i < d->count; i++) {
		mk_autofree char *line = mk_problem_print(d, &d->problems[i]);

		if (output == MK_OUTPUT_TEXT)
			(void)printf("%s\n", line);
		else
			(void)json_array_append_new(problems, problem_value(d, &d->problems[i]));
	}
	if (output == MK_OUTPUT_TEXT && d->dropped > 0)
		(void)printf("and %zu more\n", d->dropped);
	if (output == MK_OUTPUT_TEXT)
		return;
	value = mk_json_pack("{s:b,s:O,s:I}", "valid", d->count == 0 ? 1 : 0, "problems", problems,
		"more", (json_int_t)d->dropped);
	mk_print_json(value);
}

static int validate(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	mk_autospec spec = mk_cluster_spec_init();
	mk_autofree char *name = NULL;
	mk_autodecode d = { .what = NULL };
	int r = mk_config_read(&spec, arguments->items[0], 0, &d, &name, err);
	size_t count = d.count + d.dropped;

	if (r < 0)
		return r;
	print_problems(&d, o->output);
	if (count > 0)
		return mk_fail(
			err, MK_EUSAGE, "%s: %zu mistake%s", d.what, count, count > 1 ? "s" : "");
	if (!context->quiet)
		(void)fprintf(stderr, "%s: cluster '%s', %lld control plane%s, %lld worker%s\n",
			d.what, spec.name, (long long)spec.control_planes,
			spec.control_planes > 1 ? "s" : "", (long long)spec.workers,
			spec.workers == 1 ? "" : "s");
	return 0;
}

static int print(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobuf text = mk_buf_init(2 * MK_MAX_CONFIG_FILE);
	mk_autojson *value = NULL;
	int r = mk_shape_make(&o->shape, /* here= */ false, &spec, err);

	(void)context;
	(void)arguments;
	if (r == 0 && o->output == MK_OUTPUT_JSON) {
		value = mk_cluster_spec_value(&spec);
		mk_print_json(value);
		return 0;
	}
	if (r == 0)
		r = mk_cluster_spec_print(&spec, &text, err);
	if (r == 0)
		(void)fwrite(text.data, 1, text.len, stdout);
	return r;
}

static int schema(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	mk_autojson *value = mk_config_schema();

	(void)context;
	(void)opts;
	(void)arguments;
	(void)err;
	mk_print_json(value);
	return 0;
}

const struct mk_command mk_command_config_validate = {
	.path = "config validate",
	.arguments = "FILE",
	.min_arguments = 1,
	.max_arguments = 1,
	.summary = "list the mistakes of a config file",
	.about =
		"One a line, FILE:LINE:COLUMN: KEY: what is wrong; exits with 2 if there are any.\n"
		"The file is mkcluster's or kind's; - is standard input. The host is not looked\n"
		"at: that folders exist and ports are free is found out by `create`.\n",
	.examples = "  mkcluster config validate cluster.yaml\n",
	.options = validate_options,
	.option_count = MK_ARRAY_LEN(validate_options),
	.options_size = sizeof(struct options),
	.run = validate,
};

const struct mk_command mk_command_config_print = {
	.path = "config print",
	.summary = "print the whole config that create would use",
	.about = "With every default written out, as mkcluster.dev/v1, from a file of either\n"
		 "format and the same flags as `create`.\n",
	.examples = "  mkcluster config print --workers 2 > cluster.yaml\n"
		    "  mkcluster config print --config kind.yaml\n",
	.options = print_options,
	.option_count = MK_ARRAY_LEN(print_options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = print,
};

const struct mk_command mk_command_config_schema = {
	.path = "config schema",
	.summary = "print the JSON Schema of config files",
	.about = "Of mkcluster.dev/v1, for editors. Rules between fields are beyond a schema:\n"
		 "`config validate` knows them all.\n",
	.examples = "  mkcluster config schema > mkcluster.schema.json\n",
	.options_size = sizeof(struct options),
	.run = schema,
};

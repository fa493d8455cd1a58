/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, by the real table of commands: parsing, refusals and help. */
#include "cmd/options.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

/* The words of one command line, split at spaces; "\t" stands for an empty word. */
struct line {
	struct mk_strlist words;
	struct mk_invocation inv;
	struct mk_error err;
};

static void line_done(struct line *line)
{
	mk_invocation_done(&line->inv);
	mk_strlist_done(&line->words);
	mk_error_done(&line->err);
}

#define autoline MK_CLEANUP(line_done) struct line

static int parse(struct line *line, const char *text)
{
	mk_strlist_split(&line->words, text, " ");
	for (size_t i = 0; i < line->words.count; i++) {
		if (mk_streq(line->words.items[i], "\t"))
			*line->words.items[i] = '\0';
	}
	return mk_options_parse((int)line->words.count, line->words.items, &line->inv, &line->err);
}

static void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text ? text : "(null)");
}

static void test_commands(void **state)
{
	static const char *const cases[][3] = {
		/* line, command, arguments */
		{ "create", "create", "" },
		{ "create cluster", "create", "" },
		{ "delete", "delete", "" },
		{ "delete cluster --name x", "delete", "" },
		{ "get clusters", "get clusters", "" },
		{ "-v get nodes", "get nodes", "" },
		{ "get -v nodes", NULL, "nodes" },
		{ "get nodes -q", "get nodes", "" },
		{ "load image a b:1", "load image", "a b:1" },
		{ "load image -n x a", "load image", "a" },
		{ "load image a -n x b", "load image", "a b" },
		{ "load image -- -n --name", "load image", "-n --name" },
		{ "load archive -", "load archive", "-" },
		{ "load archive \t", "load archive", "" },
		{ "version", "version", "" },
		{ "", NULL, "" },
		{ "get", NULL, "" },
		{ "--help", NULL, "" },
		{ "--version", NULL, "" },
		{ "help", NULL, "" },
		{ "help get", NULL, "" },
		{ "help load image", "load image", "" },
		{ "load image --help", "load image", "" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		autoline line = { .err = { .code = MK_OK } };
		mk_autofree char *joined = NULL;

		if (parse(&line, cases[i][0]) < 0)
			fail_msg("%s: %s", cases[i][0], line.err.message);
		if (!cases[i][1] != !line.inv.command)
			fail_msg("%s: another command", cases[i][0]);
		if (cases[i][1])
			assert_string_equal(line.inv.command->path, cases[i][1]);
		joined = mk_strlist_join(&line.inv.arguments, " ");
		assert_string_equal(joined, cases[i][2]);
	}
}

static void test_refusals(void **state)
{
	static const char *const cases[][3] = {
		/* line, message, hint */
		{ "craete", "unknown command 'craete'", "did you mean 'create'?" },
		{ "get node", "unknown command 'get node'", "did you mean 'get nodes'?" },
		{ "get xyzzy", "unknown command 'get xyzzy'", "--help" },
		{ "xyzzy", "unknown command 'xyzzy'", "`mkcluster --help`" },
		{ "create --nam x", "unknown option '--nam'", "did you mean '--name'?" },
		{ "create --kubeconfg=f", "unknown option '--kubeconfg=f'", "'--kubeconfig'" },
		{ "create --xyzzy", "unknown option '--xyzzy'", "`mkcluster create --help`" },
		{ "--xyzzy", "unknown option '--xyzzy'", "`mkcluster --help`" },
		{ "create -x", "unknown option '-x'", NULL },
		{ "create -nx", "unknown option '-nx'", NULL },
		{ "create --name", "--name needs a value: NAME", NULL },
		{ "create -n", "--name needs a value: NAME", NULL },
		{ "create --retain=yes", "--retain takes no value", NULL },
		{ "create --profile root",
			"--profile: 'root' is none of auto, privileged, restricted", NULL },
		{ "create --profile=", "--profile: '' is none of", NULL },
		{ "create --timeout 5x", "--timeout: '5x' is no duration like 90s or 5m", NULL },
		{ "create dev", "`create` does not know what to do with 'dev'", "create --help" },
		{ "create \t", "`create` does not know what to do with ''", NULL },
		{ "get nodes x", "does not know what to do with 'x'", "get nodes --help" },
		{ "load image", "`load image` needs NAME...", "load image --help" },
		{ "load archive a b", "does not know what to do with 'b'", NULL },
		{ "\t", "unknown command ''", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		autoline line = { .err = { .code = MK_OK } };

		if (parse(&line, cases[i][0]) != -MK_EUSAGE)
			fail_msg("%s: not refused", cases[i][0]);
		assert_words(line.err.message, cases[i][1]);
		if (cases[i][2])
			assert_words(line.err.hint, cases[i][2]);
	}
}

/* The value that help and refusals name is never a null pointer's. */
static void test_missing_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < mk_command_count; i++) {
		for (size_t j = 0; j < mk_commands[i]->option_count; j++) {
			const struct mk_option *option = &mk_commands[i]->options[j];
			mk_autofree char *text = mk_xasprintf(
				"%s --%s", mk_commands[i]->path, option->name);
			autoline line = { .err = { .code = MK_OK } };

			if (option->kind == MK_OPTION_ON || option->kind == MK_OPTION_OFF)
				continue;
			assert_int_equal(parse(&line, text), -MK_EUSAGE);
			assert_words(line.err.message, "needs a value: ");
			assert_null(strstr(line.err.message, "(null)"));
		}
	}
}

/* The option of that name, and where the parsed struct has it. */
static const void *value_of(const struct mk_invocation *inv, const char *name)
{
	for (size_t i = 0; i < inv->command->option_count; i++) {
		if (mk_streq(inv->command->options[i].name, name))
			return (const char *)inv->options + inv->command->options[i].offset;
	}
	fail_msg("no option --%s", name);
	return NULL;
}

static const char *string_of(const struct mk_invocation *inv, const char *name)
{
	return *(const char *const *)value_of(inv, name);
}

static void test_values(void **state)
{
	autoline line = { .err = { .code = MK_OK } };
	autoline defaults = { .err = { .code = MK_OK } };

	(void)state;
	assert_int_equal(
		parse(&line,
			"create -v --name=a --name b --config - --image i=1 "
			"--profile restricted --timeout 2m --no-openfaas --no-switch-context --quiet"),
		0);
	assert_string_equal(string_of(&line.inv, "name"), "b");
	assert_string_equal(string_of(&line.inv, "config"), "-");
	assert_string_equal(string_of(&line.inv, "image"), "i=1");
	assert_null(string_of(&line.inv, "kubeconfig"));
	assert_int_equal(*(const int *)value_of(&line.inv, "profile"), 2);
	assert_int_equal(*(const int64_t *)value_of(&line.inv, "timeout"), 120000);
	assert_false(*(const bool *)value_of(&line.inv, "no-openfaas"));
	assert_false(*(const bool *)value_of(&line.inv, "no-switch-context"));
	assert_false(*(const bool *)value_of(&line.inv, "retain"));
	assert_true(line.inv.context.verbose);
	assert_true(line.inv.context.quiet);
	assert_int_equal(parse(&defaults, "create"), 0);
	assert_true(*(const bool *)value_of(&defaults.inv, "no-openfaas"));
	assert_int_equal(*(const int64_t *)value_of(&defaults.inv, "timeout"), 300000);
	assert_int_equal(*(const int *)value_of(&defaults.inv, "profile"), -1);
}

/* A value may look like an option; an empty one is given by `=`. */
static void test_odd_values(void **state)
{
	autoline dashes = { .err = { .code = MK_OK } };
	autoline empty = { .err = { .code = MK_OK } };

	(void)state;
	assert_int_equal(parse(&dashes, "create --image --retain"), 0);
	assert_string_equal(string_of(&dashes.inv, "image"), "--retain");
	assert_false(*(const bool *)value_of(&dashes.inv, "retain"));
	assert_int_equal(parse(&empty, "create --kubeconfig="), 0);
	assert_string_equal(string_of(&empty.inv, "kubeconfig"), "");
}

static void test_seconds(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* 0: refused */
	} cases[] = {
		{ "1", 1000 },
		{ "90s", 90000 },
		{ "2m", 120000 },
		{ "1h", 3600000 },
		{ "86400", 86400000 },
		{ "86401", 0 },
		{ "0", 0 },
		{ "", 0 },
		{ "s", 0 },
		{ "-1", 0 },
		{ "1.5m", 0 },
		{ "1ms", 0 },
		{ "5mm", 0 },
		{ " 5", 0 },
		{ "5 s", 0 },
		{ "99999999999999999999h", 0 },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		int64_t ms = 0;

		assert_int_equal(mk_parse_seconds(cases[i].text, &ms), cases[i].ms > 0);
		assert_int_equal(ms, cases[i].ms);
	}
}

static char *printed(const char *group, const struct mk_command *command)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	if (command)
		mk_help_command(out, command);
	else
		mk_help_overview(out, group);
	(void)fclose(out);
	return text;
}

/* Given again and again, also where the command line is refused in the end. */
static void test_list(void **state)
{
	autoline line = { .err = { .code = MK_OK } };
	autoline none = { .err = { .code = MK_OK } };
	autoline refused = { .err = { .code = MK_OK } };
	const struct mk_strlist *groups;
	mk_autofree char *joined = NULL;

	(void)state;
	assert_int_equal(parse(&line, "kubeconfig user -g a --group=b=c jane --group -d"), 0);
	for (size_t i = 0; i < line.inv.command->option_count; i++) {
		const struct mk_option *option = &line.inv.command->options[i];

		if (option->kind != MK_OPTION_LIST)
			continue;
		groups = (const void *)((const char *)line.inv.options + option->offset);
		joined = mk_strlist_join(groups, " ");
	}
	assert_string_equal(joined, "a b=c -d");
	assert_int_equal(parse(&none, "kubeconfig user jane"), 0);
	assert_int_equal(parse(&refused, "kubeconfig user --group a --xyzzy"), -MK_EUSAGE);
}

static void test_overview(void **state)
{
	mk_autofree char *all = printed(NULL, NULL);
	mk_autofree char *get = printed("get", NULL);

	(void)state;
	for (size_t i = 0; i < mk_command_count; i++) {
		assert_words(all, mk_commands[i]->path);
		assert_words(all, mk_commands[i]->summary);
	}
	assert_words(get, "get nodes");
	assert_null(strstr(get, "load image"));
	assert_true(mk_is_group("get") && mk_is_group("load") && mk_is_group("build"));
	assert_false(mk_is_group("create") || mk_is_group("version") || mk_is_group("ge"));
}

/* Each command's entry is sound, and its help fits a terminal. */
static void test_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < mk_command_count; i++) {
		const struct mk_command *c = mk_commands[i];
		mk_autofree char *text = printed(NULL, c);
		mk_autostrlist lines = { .items = NULL };

		assert_non_null(c->run);
		assert_true(c->max_arguments >= c->min_arguments);
		assert_int_equal(c->max_arguments > 0, c->arguments != NULL);
		assert_true(islower((unsigned char)c->summary[0]));
		assert_words(text, c->summary);
		assert_null(strstr(text, "(null)"));
		for (size_t j = 0; j < c->option_count; j++) {
			mk_autofree char *option = mk_xasprintf("--%s", c->options[j].name);

			assert_words(text, option);
			assert_true(c->options[j].offset < c->options_size);
			assert_true((c->options[j].kind == MK_OPTION_CHOICE) ==
				(c->options[j].choices != NULL));
		}
		mk_strlist_split(&lines, text, "\n");
		for (size_t j = 0; j < lines.count; j++) {
			if (strlen(lines.items[j]) > 100)
				fail_msg("%s: a line of help is too long: %s", c->path,
					lines.items[j]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_missing_values),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_odd_values),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_overview),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

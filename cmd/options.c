/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/options.h"

#include <unistd.h>

/* Options that every command takes. */
static const struct mk_option common[] = {
	{ .name = "help",
		.letter = 'h',
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct mk_invocation, help),
		.help = "show this help" },
	{ .name = "quiet",
		.letter = 'q',
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct mk_invocation, context.quiet),
		.help = "say nothing but errors" },
	{ .name = "verbose",
		.letter = 'v',
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct mk_invocation, context.verbose),
		.help = "show each engine and API request" },
	{ .name = "version",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct mk_invocation, version),
		.help = "show the version" },
};

/* What the options have been given that is not argv's. */
static void release_lists(const struct mk_invocation *invocation)
{
	const struct mk_command *command = invocation->command;

	for (size_t i = 0; invocation->options && i < command->option_count; i++) {
		const struct mk_option *option = &command->options[i];

		if (option->kind == MK_OPTION_LIST)
			mk_strlist_done((void *)((char *)invocation->options + option->offset));
	}
}

void mk_invocation_done(struct mk_invocation *invocation)
{
	release_lists(invocation);
	free(invocation->group);
	free(invocation->options);
	mk_strlist_done(&invocation->arguments);
}

/* Whether `path` begins with the `words` given; `*ret_all` when it is no longer. */
static bool path_begins(const char *path, char **words, size_t count, bool *ret_all)
{
	*ret_all = false;
	for (size_t i = 0; i < count; i++) {
		size_t n = strcspn(path, " ");

		if (n == 0 || strlen(words[i]) != n || strncmp(path, words[i], n) != 0)
			return false;
		path += n;
		path += strspn(path, " ");
	}
	*ret_all = *path == '\0';
	return true;
}

/* The command whose path is the first words; the longest path wins. */
static const struct mk_command *find_command(char **words, size_t count, size_t *ret_used)
{
	for (size_t used = count < 2 ? count : 2; used > 0; used--) {
		for (size_t i = 0; i < mk_command_count; i++) {
			const struct mk_command *c = mk_commands[i];
			bool all, alias_all = false;

			(void)path_begins(c->path, words, used, &all);
			if (c->alias)
				(void)path_begins(c->alias, words, used, &alias_all);
			if (all || alias_all) {
				*ret_used = used;
				return c;
			}
		}
	}
	return NULL;
}

bool mk_is_group(const char *word)
{
	char *words[] = { (char *)(uintptr_t)word };
	bool all;

	for (size_t i = 0; i < mk_command_count; i++) {
		if (path_begins(mk_commands[i]->path, words, 1, &all) && !all)
			return true;
	}
	return false;
}

static int unknown_command(const char *group, const char *word, struct mk_error *err)
{
	mk_autostrlist candidates = { .items = NULL };
	mk_autofree char *prefix = group ? mk_xasprintf("%s ", group) : mk_xstrdup("");
	const char *near;

	for (size_t i = 0; i < mk_command_count; i++) {
		const char *rest = mk_after_prefix(mk_commands[i]->path, prefix);

		if (rest)
			mk_strlist_take(&candidates, mk_xstrndup(rest, strcspn(rest, " ")));
	}
	near = mk_did_you_mean(word, (const char *const *)candidates.items, candidates.count);
	(void)mk_fail(err, MK_EUSAGE, "unknown command '%s%s'", prefix, word);
	if (near)
		mk_error_hint(err, "did you mean '%s%s'?", prefix, near);
	else
		mk_error_hint(err, "`mkcluster --help` lists the commands");
	return -MK_EUSAGE;
}

bool mk_parse_seconds(const char *text, int64_t *ret)
{
	static const struct {
		char suffix;
		int64_t ms;
	} units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 } };
	size_t len = strlen(text);
	mk_autofree char *number = mk_xstrdup(text);
	int64_t factor = 1000;
	uint64_t value;

	for (size_t i = 0; len > 0 && i < MK_ARRAY_LEN(units); i++) {
		if (text[len - 1] != units[i].suffix)
			continue;
		factor = units[i].ms;
		number[len - 1] = '\0';
	}
	if (!mk_parse_uint(number, 1, 86400, &value))
		return false;
	*ret = (int64_t)value * factor;
	return true;
}

static int set_choice(
	const struct mk_option *option, const char *value, int *target, struct mk_error *err)
{
	mk_autostrlist words = { .items = NULL };
	mk_autofree char *list = NULL;

	for (int i = 0; option->choices[i]; i++) {
		if (mk_streq(option->choices[i], value)) {
			*target = i;
			return 0;
		}
		mk_strlist_add(&words, option->choices[i]);
	}
	list = mk_strlist_join(&words, ", ");
	return mk_fail(err, MK_EUSAGE, "--%s: '%s' is none of %s", option->name, value, list);
}

static int set_number(
	const struct mk_option *option, const char *value, int64_t *target, struct mk_error *err)
{
	uint64_t number;

	if (!mk_parse_uint(value, 0, 1000000, &number))
		return mk_fail(err, MK_EUSAGE, "--%s: '%s' is not a number", option->name, value);
	*target = (int64_t)number;
	return 0;
}

static int set_option(
	const struct mk_option *option, void *target, const char *value, struct mk_error *err)
{
	switch (option->kind) {
	case MK_OPTION_ON:
	case MK_OPTION_OFF:
		*(bool *)target = option->kind == MK_OPTION_ON;
		return 0;
	case MK_OPTION_STRING:
		*(const char **)target = value;
		return 0;
	case MK_OPTION_LIST:
		mk_strlist_add(target, value);
		return 0;
	case MK_OPTION_CHOICE:
		return set_choice(option, value, target, err);
	case MK_OPTION_NUMBER:
		return set_number(option, value, target, err);
	case MK_OPTION_SECONDS:
		if (mk_parse_seconds(value, target))
			return 0;
		return mk_fail(err, MK_EUSAGE, "--%s: '%s' is no duration like 90s or 5m",
			option->name, value);
	}
	return 0;
}

static bool takes_value(const struct mk_option *option)
{
	return option->kind != MK_OPTION_ON && option->kind != MK_OPTION_OFF;
}

/* The option called `name` (or by letter when `len` is 1 and `by_letter`). */
static const struct mk_option *find_option(
	const struct mk_option *options, size_t count, const char *name, size_t len, bool by_letter)
{
	for (size_t i = 0; i < count; i++) {
		if (by_letter ? options[i].letter == name[0]
			      : strlen(options[i].name) == len &&
					!strncmp(options[i].name, name, len))
			return &options[i];
	}
	return NULL;
}

static int unknown_option(const struct mk_command *command, const char *word, struct mk_error *err)
{
	const char *names[64];
	size_t count = 0;
	mk_autofree char *bare = mk_xstrndup(
		word + strspn(word, "-"), strcspn(word + strspn(word, "-"), "="));
	const char *near;

	for (size_t i = 0; command && i < command->option_count && count < 60; i++)
		names[count++] = command->options[i].name;
	for (size_t i = 0; i < MK_ARRAY_LEN(common); i++)
		names[count++] = common[i].name;
	near = mk_did_you_mean(bare, names, count);
	(void)mk_fail(err, MK_EUSAGE, "unknown option '%s'", word);
	if (near)
		mk_error_hint(err, "did you mean '--%s'?", near);
	else if (command)
		mk_error_hint(err, "`mkcluster %s --help` lists its options", command->path);
	else
		mk_error_hint(err, "`mkcluster --help` lists the commands");
	return -MK_EUSAGE;
}

/* What an option takes: "NAME", or its choices as "a|b". Caller frees. */
static char *value_of(const struct mk_option *option)
{
	mk_autostrlist words = { .items = NULL };

	if (!option->choices)
		return mk_xstrdup(option->value ? option->value : "");
	for (size_t i = 0; option->choices[i]; i++)
		mk_strlist_add(&words, option->choices[i]);
	return mk_strlist_join(&words, "|");
}

static int needs_value(const struct mk_option *option, struct mk_error *err)
{
	mk_autofree char *value = value_of(option);

	return mk_fail(err, MK_EUSAGE, "--%s needs a value: %s", option->name, value);
}

/* One word that begins with a dash; may take the next word as its value. */
static int parse_option(
	struct mk_invocation *inv, int argc, char **argv, int *at, struct mk_error *err)
{
	const struct mk_command *command = inv->command;
	const char *word = argv[*at];
	bool by_letter = word[1] != '-';
	const char *name = word + (by_letter ? 1 : 2);
	const char *equals = by_letter ? NULL : strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct mk_option *option = NULL;
	char *base = (char *)inv;

	if (command && !(by_letter && len != 1)) {
		option = find_option(command->options, command->option_count, name, len, by_letter);
		base = inv->options;
	}
	if (!option && !(by_letter && len != 1)) {
		option = find_option(common, MK_ARRAY_LEN(common), name, len, by_letter);
		base = (char *)inv;
	}
	if (!option)
		return unknown_option(command, word, err);
	if (!takes_value(option)) {
		if (equals)
			return mk_fail(err, MK_EUSAGE, "--%s takes no value", option->name);
		return set_option(option, base + option->offset, NULL, err);
	}
	if (!equals && *at + 1 >= argc)
		return needs_value(option, err);
	return set_option(option, base + option->offset, equals ? equals + 1 : argv[++*at], err);
}

/* Words before any option name the command: `mkcluster -v get nodes` too. */
static int choose_command(
	struct mk_invocation *inv, int argc, char **argv, int *ret_skip, struct mk_error *err)
{
	char *words[2];
	size_t count = 0, used = 0;

	for (int i = 0; i < argc && count < 2; i++) {
		if (argv[i][0] == '-' && count > 0)
			break;
		if (argv[i][0] != '-')
			words[count++] = argv[i];
	}
	*ret_skip = 0;
	if (count == 0)
		return 0;
	inv->command = find_command(words, count, &used);
	*ret_skip = (int)used;
	if (inv->command)
		return 0;
	if (mk_is_group(words[0]) && count > 1)
		return unknown_command(words[0], words[1], err);
	if (!mk_is_group(words[0]))
		return unknown_command(NULL, words[0], err);
	inv->group = mk_xstrdup(words[0]);
	*ret_skip = 1;
	return 0;
}

static int check_arguments(const struct mk_invocation *inv, struct mk_error *err)
{
	const struct mk_command *c = inv->command;

	if (inv->arguments.count < c->min_arguments) {
		(void)mk_fail(err, MK_EUSAGE, "`%s` needs %s", c->path, c->arguments);
		mk_error_hint(err, "`mkcluster %s --help`", c->path);
		return -MK_EUSAGE;
	}
	if (inv->arguments.count <= c->max_arguments)
		return 0;
	(void)mk_fail(err, MK_EUSAGE, "`%s` does not know what to do with '%s'", c->path,
		inv->arguments.items[c->max_arguments]);
	mk_error_hint(err, "`mkcluster %s --help`", c->path);
	return -MK_EUSAGE;
}

static int parse_words(
	struct mk_invocation *inv, int argc, char **argv, int skip, struct mk_error *err)
{
	bool only_words = false;

	for (int i = 0; i < argc; i++) {
		int r = 0;

		if (!only_words && mk_streq(argv[i], "--"))
			only_words = true;
		else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0')
			r = parse_option(inv, argc, argv, &i, err);
		else if (skip > 0)
			skip--;
		else
			mk_strlist_add(&inv->arguments, argv[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

int mk_options_parse(int argc, char **argv, struct mk_invocation *ret, struct mk_error *err)
{
	mk_autoinvocation inv = { .command = NULL };
	int skip, r;

	/* `help get nodes` is `get nodes --help`. */
	if (argc > 0 && mk_streq(argv[0], "help")) {
		inv.help = true;
		argc--;
		argv++;
	}
	r = choose_command(&inv, argc, argv, &skip, err);
	if (r < 0)
		return r;
	if (inv.command) {
		inv.options = mk_xcalloc(1, inv.command->options_size);
		if (inv.command->init)
			inv.command->init(inv.options);
	}
	r = parse_words(&inv, argc, argv, skip, err);
	if (r == 0 && inv.command && !inv.help && !inv.version)
		r = check_arguments(&inv, err);
	if (r < 0)
		return r;
	*ret = inv;
	inv = (struct mk_invocation){ .command = NULL };
	return 0;
}

#define HELP_COLUMN 32

static void print_option(FILE *out, const struct mk_option *option)
{
	mk_autofree char *value = value_of(option);
	mk_autofree char *left = mk_xasprintf("%c%c%s --%s%s%s", option->letter ? '-' : ' ',
		option->letter ? option->letter : ' ', option->letter ? "," : " ", option->name,
		*value ? " " : "", value);

	if (strlen(left) > HELP_COLUMN)
		(void)fprintf(out, "  %s\n  %*s %s\n", left, HELP_COLUMN, "", option->help);
	else
		(void)fprintf(out, "  %-*s %s\n", HELP_COLUMN, left, option->help);
}

void mk_help_overview(FILE *out, const char *group)
{
	mk_autofree char *prefix = group ? mk_xasprintf("%s ", group) : mk_xstrdup("");

	(void)fprintf(out, "Usage: mkcluster %sCOMMAND [OPTIONS]\n\n", prefix);
	if (!group)
		(void)fprintf(out,
			"Kubernetes clusters in containers, made the hard way, "
			"with OpenFaaS on them.\n\n");
	(void)fprintf(out, "Commands:\n");
	for (size_t i = 0; i < mk_command_count; i++) {
		if (mk_after_prefix(mk_commands[i]->path, prefix))
			(void)fprintf(
				out, "  %-18s %s\n", mk_commands[i]->path, mk_commands[i]->summary);
	}
	(void)fprintf(out, "\nOptions of every command:\n");
	for (size_t i = 0; i < MK_ARRAY_LEN(common); i++)
		print_option(out, &common[i]);
	(void)fprintf(out, "\n`mkcluster COMMAND --help` says more.\n");
}

void mk_help_command(FILE *out, const struct mk_command *c)
{
	(void)fprintf(out, "Usage: mkcluster %s%s%s [OPTIONS]\n", c->path, c->arguments ? " " : "",
		c->arguments ? c->arguments : "");
	if (c->alias)
		(void)fprintf(out, "       mkcluster %s ...\n", c->alias);
	(void)fprintf(out, "\n%s\n", c->summary);
	if (c->about)
		(void)fprintf(out, "\n%s", c->about);
	(void)fprintf(out, "\nOptions:\n");
	for (size_t i = 0; i < c->option_count; i++)
		print_option(out, &c->options[i]);
	for (size_t i = 0; i < MK_ARRAY_LEN(common) - 1; i++)
		print_option(out, &common[i]);
	if (c->examples)
		(void)fprintf(out, "\nExamples:\n%s", c->examples);
}

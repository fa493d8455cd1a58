/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the command line by the commands' tables, and printing help from them. */
#ifndef MK_CMD_OPTIONS_H
#define MK_CMD_OPTIONS_H

#include "cmd/command.h"

#include <stdio.h>

/** What a command line asks for. Release with mk_invocation_done. */
struct mk_invocation {
	const struct mk_command *command; /* NULL: only help or a group was named */
	char *group;                      /* "get" of a bare `mkcluster get`, or NULL */
	void *options;
	struct mk_strlist arguments;
	struct mk_context context;
	bool help;
	bool version;
};

void mk_invocation_done(struct mk_invocation *invocation);
#define mk_autoinvocation MK_CLEANUP(mk_invocation_done) struct mk_invocation

/** Parse argv (without the program's name). MK_EUSAGE, with "did you mean" as
 * the hint. The strings are argv's and must outlive the invocation. */
int mk_options_parse(
	int argc, char **argv, struct mk_invocation *ret, struct mk_error *err) MK_CHECKED;

/** Print the list of commands; of one group ("get") when `group` is not NULL. */
void mk_help_overview(FILE *out, const char *group);

/** Print one command's help. */
void mk_help_command(FILE *out, const struct mk_command *command);

/** Whether any command's path begins with this word. */
bool mk_is_group(const char *word);

/** "90s", "2m", "1h" or a bare number of seconds, as milliseconds. */
bool mk_parse_seconds(const char *text, int64_t *ret);

#endif

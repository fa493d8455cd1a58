/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command is: one entry with its words, options, help and function.
 * commands.c lists them; parsing, usage, help and "did you mean" all come from
 * these entries.
 *
 * To add one: write cmd/NAME.c that exports a `const struct mk_command`, put it
 * into the list of commands.c, and into README.md's table, which a test holds
 * against `--help`.
 */
#ifndef MK_CMD_COMMAND_H
#define MK_CMD_COMMAND_H

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/str.h"

/** Exit statuses, the same for every command. */
enum mk_exit {
	MK_EXIT_OK = 0,
	MK_EXIT_FAIL = 1,
	MK_EXIT_USAGE = 2,
	MK_EXIT_HOST = 3,
	MK_EXIT_NAME = 4, /* exists (create), or does not (get and others) */
	MK_EXIT_BRINGUP = 5,
	MK_EXIT_TIMEOUT = 6,
	MK_EXIT_INTERRUPTED = 130,
};

enum mk_option_kind {
	MK_OPTION_ON,      /* sets a bool to true; takes no value */
	MK_OPTION_OFF,     /* sets a bool to false */
	MK_OPTION_STRING,  /* const char *, of argv */
	MK_OPTION_CHOICE,  /* int: the index of the word in `choices` */
	MK_OPTION_NUMBER,  /* int64_t, not negative */
	MK_OPTION_SECONDS, /* int64_t milliseconds, from "90s", "2m" or "90" */
	MK_OPTION_LIST,    /* struct mk_strlist: a string each time it is given */
};

struct mk_option {
	const char *name; /* without the dashes */
	char letter;      /* or '\0' */
	enum mk_option_kind kind;
	const char *value;          /* what help calls its value: "NAME" */
	const char *const *choices; /* ends with NULL */
	size_t offset;              /* in the command's options struct */
	const char *help;
};

/** The option that says which cluster; `options` is the command's own struct, whose
 * `member` it sets. */
#define MK_NAME_MEMBER_OPTION(options, member, text)                                               \
	{                                                                                          \
		.name = "name", .letter = 'n', .kind = MK_OPTION_STRING, .value = "NAME",          \
		.offset = offsetof(options, member), .help = (text)                                \
	}

/** The same for the member `name`. */
#define MK_NAME_OPTION(options, text) MK_NAME_MEMBER_OPTION(options, name, text)

/** What every command has besides its own options. */
struct mk_context {
	bool verbose;
	bool quiet;
	bool terminal; /* stderr is one, and may be drawn on */
	bool colour;
};

struct mk_command {
	const char *path;      /* "get nodes" */
	const char *alias;     /* a second path, or NULL */
	const char *arguments; /* for usage: "NAME...", or NULL */
	size_t min_arguments, max_arguments;
	const char *summary;  /* one line */
	const char *about;    /* further lines of its help, or NULL */
	const char *examples; /* lines, or NULL */
	const struct mk_option *options;
	size_t option_count;
	size_t options_size;         /* of the struct that the offsets point into */
	void (*init)(void *options); /* defaults that are not zero; may be NULL */
	int (*run)(const struct mk_context *context, const void *options,
		const struct mk_strlist *arguments, struct mk_error *err);
};

extern const struct mk_command *const mk_commands[];
extern const size_t mk_command_count;

extern const struct mk_command mk_command_apply;
extern const struct mk_command mk_command_build_component;
extern const struct mk_command mk_command_build_node_image;
extern const struct mk_command mk_command_certs_check;
extern const struct mk_command mk_command_certs_list;
extern const struct mk_command mk_command_certs_renew;
extern const struct mk_command mk_command_config_print;
extern const struct mk_command mk_command_config_schema;
extern const struct mk_command mk_command_config_validate;
extern const struct mk_command mk_command_create;
extern const struct mk_command mk_command_delete;
extern const struct mk_command mk_command_encryption_rotate;
extern const struct mk_command mk_command_encryption_status;
extern const struct mk_command mk_command_get_clusters;
extern const struct mk_command mk_command_get_kubeconfig;
extern const struct mk_command mk_command_get_nodes;
extern const struct mk_command mk_command_get_password;
extern const struct mk_command mk_command_kubeconfig_user;
extern const struct mk_command mk_command_load_archive;
extern const struct mk_command mk_command_load_image;
extern const struct mk_command mk_command_node_add;
extern const struct mk_command mk_command_node_remove;
extern const struct mk_command mk_command_openfaas_login;
extern const struct mk_command mk_command_pause;
extern const struct mk_command mk_command_port_add;
extern const struct mk_command mk_command_port_list;
extern const struct mk_command mk_command_port_remove;
extern const struct mk_command mk_command_restart;
extern const struct mk_command mk_command_resume;
extern const struct mk_command mk_command_snapshot_list;
extern const struct mk_command mk_command_snapshot_restore;
extern const struct mk_command mk_command_snapshot_save;
extern const struct mk_command mk_command_start;
extern const struct mk_command mk_command_stop;
extern const struct mk_command mk_command_verify;
extern const struct mk_command mk_command_version;

extern const char *const mk_output_choices[]; /* "text", "json" */
enum mk_output { MK_OUTPUT_TEXT, MK_OUTPUT_JSON };

/** The option that says how to print; it sets the int `output` of `options`. */
#define MK_OUTPUT_OPTION(options)                                                                  \
	{                                                                                          \
		.name = "output", .letter = 'o', .kind = MK_OPTION_CHOICE,                         \
		.choices = mk_output_choices, .offset = offsetof(options, output),                 \
		.help = "how to print it (text)"                                                   \
	}

/** Print a value on stdout as JSON for people and programs. The text is wiped: a
 * kubeconfig may be in it. */
void mk_print_json(const json_t *value);

#endif

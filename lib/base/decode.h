/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a JSON or YAML object to a C struct by a table: one line a key, with its
 * type, its place in the struct and what it may hold. Decoding is strict, a key
 * that the table does not know is an error, and complete: every mistake in the
 * file is reported at once, in the order of its lines.
 *
 *	struct node { char *name; int64_t port; };
 *	static const struct mk_field fields[] = {
 *		{ .key = "name", .kind = MK_FIELD_STRING, .mandatory = true,
 *			.offset = offsetof(struct node, name) },
 *		{ .key = "port", .kind = MK_FIELD_INT, .min = 1, .max = 65535,
 *			.offset = offsetof(struct node, port) },
 *	};
 *	static const struct mk_table node_table = MK_TABLE(struct node, fields);
 *
 * Defaults are what the struct holds before: a key that is absent, or null,
 * leaves its field alone; one that is given replaces (and frees) it. What
 * strings, lists and maps were decoded is owned by the struct, until
 * mk_decode_release.
 */
#ifndef MK_BASE_DECODE_H
#define MK_BASE_DECODE_H

#include "lib/base/str.h"
#include "lib/base/yaml.h"

/** The type of a field, and the member it is decoded into. */
enum mk_field_kind {
	MK_FIELD_STRING,      /* char *; one of `choices` if there are any */
	MK_FIELD_SCALAR,      /* char *, from a string or a number */
	MK_FIELD_BOOL,        /* bool */
	MK_FIELD_INT,         /* int64_t, from min to max */
	MK_FIELD_CHOICE,      /* an enum: the index of the word in `choices` */
	MK_FIELD_STRING_LIST, /* struct mk_strlist; a bad item is "" in it */
	MK_FIELD_STRING_MAP,  /* json_t *, an object that holds only strings */
	MK_FIELD_BOOL_MAP,    /* json_t *, an object that holds only booleans */
	MK_FIELD_SCALAR_MAP,  /* json_t *, an object that holds only strings: whole numbers
			       * and booleans become what they would be on a command line */
	MK_FIELD_JSON,        /* json_t *, as it is: a map that `table` likes, else anything */
	MK_FIELD_OBJECT,      /* a struct in place, by `table` */
	MK_FIELD_OBJECT_LIST, /* a pointer to structs by `table`, size_t at count_offset */
	MK_FIELD_REFUSED,     /* nothing: known and not supported, `help` says why */
};

struct mk_field {
	const char *key;
	enum mk_field_kind kind;
	bool mandatory;
	bool any_case; /* CHOICE: capital letters are as good as small ones */
	size_t offset;
	size_t count_offset;          /* OBJECT_LIST */
	size_t given_offset;          /* of a bool that says the key was there; 0: none */
	int64_t min, max;             /* INT */
	const char *const *choices;   /* CHOICE, STRING: ends with NULL */
	const struct mk_table *table; /* OBJECT, OBJECT_LIST, JSON */
	const char *const *excludes;  /* keys that cannot stand beside it; ends with NULL */

	/* Judge a string, list item or map value: 0, or an error whose message
	 * says what is wrong with it ("must be ..."). May be NULL. */
	int (*check)(const char *value, struct mk_error *err);
	int (*check_key)(const char *key, struct mk_error *err); /* of maps */

	const char *help;    /* for whoever writes the file, in a sentence */
	const char *pattern; /* of strings and items, for the schema: `check` judges */
};

struct mk_table {
	const struct mk_field *fields;
	size_t count;
	size_t size;                /* of the struct; 0: there is none, for JSON */
	void (*init)(void *object); /* defaults of a new list item; NULL: all zero */
};

#define MK_TABLE(type, table_fields)                                                               \
	{                                                                                          \
		.fields = (table_fields), .count = MK_ARRAY_LEN(table_fields),                     \
		.size = sizeof(type)                                                               \
	}

/** A table that only says which keys a map has, and what they may hold. */
#define MK_LOOSE_TABLE(table_fields)                                                               \
	{                                                                                          \
		.fields = (table_fields), .count = MK_ARRAY_LEN(table_fields)                      \
	}

#define MK_MAX_PROBLEMS 50

struct mk_problem {
	size_t line, column; /* 0: no place is known */
	char *path;
	char *text; /* what is wrong there, one line */
};

/** One pass over one document. Set `what`, leave the rest zero. */
struct mk_decode {
	const char *what;            /* the file's name; NULL: there is none */
	struct mk_yaml_lines *lines; /* where things stood, or NULL; owned */
	struct mk_problem problems[MK_MAX_PROBLEMS];
	size_t count;
	size_t dropped; /* problems beyond those */

	/* A document in a string of the document, while it is read. */
	char *inner_path;
	struct mk_yaml_lines *inner_lines;
};

/** Parse the document and remember its places. False, and a problem, when it is
 * malformed; the caller owns the result. */
bool mk_decode_parse(struct mk_decode *d, const char *data, size_t len, json_t **ret) MK_CHECKED;

/**
 * Parse `text`, the string at `path`, as a document of its own: until
 * mk_decode_close the places of what is below `path` are looked up in it. Not
 * for documents in documents in documents. False, and a problem, when it is
 * malformed; the caller owns the result.
 */
bool mk_decode_open(
	struct mk_decode *d, const char *path, const char *text, json_t **ret) MK_CHECKED;
void mk_decode_close(struct mk_decode *d);

/**
 * Decode `value`, which stands at `path` in the document ("" is the top), into
 * `object` by `table`. Problems are collected, and the fields without problems
 * are set. JSON null, an empty file, counts as an object without keys.
 */
void mk_decode_object(struct mk_decode *d, const struct mk_table *table, const json_t *value,
	const char *path, void *object);

/** Add a problem at `path`, for rules that concern more than one field. Its
 * place is that of the nearest thing around it that the document has. */
void mk_decode_problem(struct mk_decode *d, const char *path, const char *fmt, ...) MK_PRINTF(3, 4);

/** Whether there is a problem at `path` or below it: then what the struct holds
 * there is not what the document says. */
bool mk_decode_is_bad(const struct mk_decode *d, const char *path);

/** A problem as one line, "FILE:LINE:COLUMN: PATH: TEXT". Caller frees. */
char *mk_problem_print(const struct mk_decode *d, const struct mk_problem *problem);

/**
 * End the pass: 0 when there were no problems, else MK_EUSAGE with the first
 * problem, "FILE:LINE:COLUMN: PATH: ...", as the message and the others, one a
 * line, as the detail. The problems are freed then.
 */
int mk_decode_finish(struct mk_decode *d, struct mk_error *err) MK_CHECKED;

/** Free the problems and places of a pass. */
void mk_decode_done(struct mk_decode *d);

#define mk_autodecode MK_CLEANUP(mk_decode_done) struct mk_decode

/**
 * Parse one YAML document, decode it and finish. MK_EUSAGE for malformed YAML as
 * well. `object` is to be released after an error too.
 */
int mk_decode_yaml(const char *data, size_t len, const char *what, const struct mk_table *table,
	void *object, struct mk_error *err) MK_CHECKED;

/** Free everything that the fields of `table` own in `object`, and empty them. */
void mk_decode_release(const struct mk_table *table, void *object);

#endif

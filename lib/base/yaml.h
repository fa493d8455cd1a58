/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to and from jansson's values: the only user of libyaml. Scalars are
 * resolved by YAML 1.2's core schema: true and false are booleans, yes, no, on
 * and off are words, quoted is always a string. Numbers are what Kubernetes
 * makes of them, so 0644 is octal. A plain scalar that tools disagree about
 * beyond repair (089, an integer of more than 64 bits, .inf) is an error that
 * asks for quotes.
 *
 * Anchors and aliases are refused, so that no small file can grow into a large
 * one; so are duplicate keys, merge keys, tags, NUL characters, keys that are
 * not scalars, and nesting beyond MK_MAX_YAML_DEPTH or more values than
 * MK_MAX_YAML_NODES. A key is always a string, whatever it looks like.
 */
#ifndef MK_BASE_YAML_H
#define MK_BASE_YAML_H

#include "lib/base/json.h"

/**
 * Parse all documents of `data` into a JSON array; documents that are empty or
 * null are left out. Errors are MK_EINVALID "WHAT:LINE:COLUMN: ...". The caller
 * owns the result.
 */
int mk_yaml_parse_all(const char *data, size_t len, const char *what, json_t **ret,
	struct mk_error *err) MK_CHECKED;

/** Parse exactly one document; an empty file gives JSON null, a second document
 * that is not empty is an error. */
int mk_yaml_parse(const char *data, size_t len, const char *what, json_t **ret,
	struct mk_error *err) MK_CHECKED;

/**
 * Append `value` as one block-style YAML document, laid out as kubectl does.
 * Key order is kept. Strings that any reader, those of YAML 1.1 included, could
 * take for another type are quoted; text of several lines is a literal block
 * where that reads back exactly. MK_EINVALID when it is nested too deeply or
 * does not fit into `ret`.
 */
int mk_yaml_print(const json_t *value, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/** Where each key and item of a parsed document stood, for errors in files that
 * people write. */
struct mk_yaml_lines;

/** As mk_yaml_parse, and remember positions. Free with mk_yaml_lines_free. */
int mk_yaml_parse_lines(const char *data, size_t len, const char *what, json_t **ret,
	struct mk_yaml_lines **ret_lines, struct mk_error *err) MK_CHECKED;

/**
 * Where the lines of a document stand when it is a string of another one. All
 * zero: nowhere else. `line` and `column` are added to every position, unless
 * `opaque`: then a line of the text is no line of the outer document (it is
 * quoted, or folded), and every position is this one.
 */
struct mk_yaml_origin {
	size_t line, column;
	bool opaque;
};

/** A position, both from 1; 0 and 0 when there is none. */
struct mk_yaml_mark {
	size_t line, column;
};

/**
 * As mk_yaml_parse_lines, for a document that stands at `origin`: positions are
 * those of the outer one. On failure the message is without a position, which
 * is in `ret_where`.
 */
int mk_yaml_parse_inner(const char *data, size_t len, const struct mk_yaml_origin *origin,
	json_t **ret, struct mk_yaml_lines **ret_lines, struct mk_yaml_mark *ret_where,
	struct mk_error *err) MK_CHECKED;

/** Where the text of the string at `path` stands, to parse it as a document of
 * its own. False when the path is not in the document. */
bool mk_yaml_lines_origin(
	const struct mk_yaml_lines *lines, const char *path, struct mk_yaml_origin *ret);

/**
 * As mk_yaml_parse_lines, for kubectl's own files that are written back: yes,
 * no, on, off, y and n are booleans, as they are for kubectl. Reading them as
 * words would turn `insecure-skip-tls-verify: yes` into a string that kubectl
 * then refuses.
 */
int mk_yaml_parse_kubectl(const char *data, size_t len, const char *what, json_t **ret,
	struct mk_yaml_lines **ret_lines, struct mk_error *err) MK_CHECKED;

/**
 * Read all documents as kubectl does (see mk_yaml_parse_kubectl), empty ones as null,
 * and remember positions: "[1].kind" is a key of the second document.
 */
int mk_yaml_parse_stream(const char *data, size_t len, const char *what, json_t **ret,
	struct mk_yaml_lines **ret_lines, struct mk_error *err) MK_CHECKED;

/**
 * The position of a key or list item, both from 1, by dotted path with [N] for
 * items: "nodes[0].role"; "" is the document. Keys may hold dots themselves.
 * 0 and 0 when the path is not in the document.
 */
void mk_yaml_lines_at(
	const struct mk_yaml_lines *lines, const char *path, size_t *ret_line, size_t *ret_column);

/** Free the positions; NULL is fine. */
void mk_yaml_lines_free(struct mk_yaml_lines *lines);
MK_DEFINE_CLEANUP(struct mk_yaml_lines *, mk_yaml_lines_free);

#endif

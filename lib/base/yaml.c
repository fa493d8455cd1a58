/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading YAML: libyaml's events become jansson's values, one recursive call a
 * level. What a plain scalar means is decided in yaml-scalar.c; printing is in
 * yaml-print.c and needs no library.
 */
#include "lib/base/yaml-internal.h"

#include "lib/base/limits.h"
#include "lib/base/str.h"

#include <stdint.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	yaml_event_t event;
	const char *what;
	const char *data;
	size_t len;
	size_t nodes;
	bool kubectl;                /* yes and no are booleans */
	bool whole;                  /* keep empty documents, and positions of all */
	struct mk_yaml_lines *lines; /* NULL: not wanted */
	struct mk_yaml_origin origin;
	struct mk_yaml_mark *where; /* of a failure; NULL: in the message */
	struct mk_error *err;

	/* Where line `raw_line` of the data begins: goes forward only. */
	size_t raw_line, raw_offset;
};

/* The position to tell of something that is at `at` in the data. */
static struct mk_yaml_mark outer(const struct reader *in, yaml_mark_t at)
{
	const struct mk_yaml_origin *o = &in->origin;

	if (o->opaque)
		return (struct mk_yaml_mark){ .line = o->line, .column = o->column };
	return (struct mk_yaml_mark){ .line = o->line + at.line + 1,
		.column = o->column + at.column + 1 };
}

static int MK_PRINTF(3, 4) fail_at(struct reader *in, yaml_mark_t at, const char *fmt, ...)
{
	struct mk_yaml_mark mark = outer(in, at);
	mk_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mk_xvasprintf(fmt, ap);
	va_end(ap);
	if (!in->where)
		return mk_fail(in->err, MK_EINVALID, "%s:%zu:%zu: %s", in->what, mark.line,
			mark.column, text);
	*in->where = mark;
	return mk_fail(in->err, MK_EINVALID, "%s", text);
}

/* The bytes of `s` to show in a message, for "%.*s": whole characters only. */
static int shown(const char *s)
{
	size_t n = strnlen(s, 48);

	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return (int)n;
}

/* libyaml's reader counts bytes, not lines. */
static yaml_mark_t mark_of_offset(const struct reader *in, size_t offset)
{
	yaml_mark_t at = { .index = offset };

	for (size_t i = 0; i < offset && i < in->len; i++) {
		if (in->data[i] == '\n') {
			at.line++;
			at.column = 0;
		} else if (((unsigned char)in->data[i] & 0xc0) != 0x80) {
			at.column++;
		}
	}
	return at;
}

static int fail_memory(struct reader *in)
{
	return mk_fail(in->err, MK_EFAIL, "%s: out of memory", in->what);
}

static int fail_parser(struct reader *in)
{
	const yaml_parser_t *p = &in->parser;
	const char *problem = p->problem ? p->problem : "malformed";

	if (p->error == YAML_MEMORY_ERROR)
		return fail_memory(in);
	if (p->error == YAML_READER_ERROR)
		return fail_at(in, mark_of_offset(in, p->problem_offset), "%s", problem);
	if (!p->context)
		return fail_at(in, p->problem_mark, "%s", problem);
	return fail_at(in, p->problem_mark, "%s, %s that began on line %zu", problem, p->context,
		outer(in, p->context_mark).line);
}

static int next(struct reader *in)
{
	yaml_event_delete(&in->event);
	return yaml_parser_parse(&in->parser, &in->event) ? 0 : fail_parser(in);
}

/* Note where the current event begins. */
static size_t add_place(struct reader *in, size_t parent, const char *key)
{
	struct mk_yaml_mark at = outer(in, in->event.start_mark);

	if (!in->lines)
		return 0;
	return mk_yaml_lines_add(in->lines, parent, key, at.line, at.column);
}

/* The text of a line of the data, from 0. Lines are asked for in their order. */
static const char *raw_line(struct reader *in, size_t line, size_t *ret_len)
{
	const char *s, *end;

	while (in->raw_line < line && in->raw_offset < in->len) {
		s = in->data + in->raw_offset;
		end = memchr(s, '\n', in->len - in->raw_offset);
		in->raw_offset = end ? (size_t)(end + 1 - in->data) : in->len;
		in->raw_line++;
	}
	s = in->data + in->raw_offset;
	end = memchr(s, '\n', in->len - in->raw_offset);
	*ret_len = end ? (size_t)(end - s) : in->len - in->raw_offset;
	return s;
}

/*
 * The lines of a literal block are lines of the file, all indented by as much.
 * By how much shows its first line that is not blank.
 */
static void note_literal(struct reader *in, size_t place, const char *text)
{
	size_t blank = strspn(text, "\n"), len;
	size_t line = in->event.start_mark.line + 1;
	size_t n = strcspn(text + blank, "\n"), indent;
	const char *raw = raw_line(in, line + blank, &len);
	struct mk_yaml_origin origin = { .line = in->origin.line + line };

	len -= len > 0 && raw[len - 1] == '\r';
	if (n == 0 || len < n || in->origin.opaque)
		return;
	indent = len - n;
	if (memcmp(raw + indent, text + blank, n) != 0)
		return;
	for (size_t i = 0; i < indent; i++) {
		if (raw[i] != ' ')
			return;
	}
	origin.column = in->origin.column + indent;
	mk_yaml_lines_set_text(in->lines, place, &origin);
}

static int read_value(struct reader *in, size_t place, size_t depth, json_t **ret);

static int read_scalar(struct reader *in, size_t place, json_t **ret)
{
	const char *s = (const char *)in->event.data.scalar.value;
	size_t len = in->event.data.scalar.length;
	const char *problem = NULL;
	json_t *value = NULL;

	if (memchr(s, '\0', len))
		return fail_at(in, in->event.start_mark, "a NUL character in a string");
	if (in->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		value = mk_yaml_resolve(s, in->kubectl, &problem);
	if (problem)
		return fail_at(in, in->event.start_mark, "%s", problem);
	if (!value)
		value = json_stringn(s, len);
	if (!value)
		return fail_at(in, in->event.start_mark, "a string that is not UTF-8");
	if (in->lines && in->event.data.scalar.style == YAML_LITERAL_SCALAR_STYLE)
		note_literal(in, place, s);
	*ret = value;
	return 0;
}

static int read_list(struct reader *in, size_t place, size_t depth, json_t **ret)
{
	mk_autojson *list = json_array();
	int r;

	for (;;) {
		json_t *item = NULL;

		r = next(in);
		if (r < 0)
			return r;
		if (in->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		r = read_value(in, add_place(in, place, NULL), depth + 1, &item);
		if (r < 0)
			return r;
		if (json_array_append_new(list, item) < 0)
			return fail_memory(in);
	}
	*ret = MK_TAKE(list);
	return 0;
}

/* The key that the current event is. Caller frees. */
static int read_key(struct reader *in, const json_t *map, char **ret)
{
	const char *s = (const char *)in->event.data.scalar.value;
	yaml_mark_t at = in->event.start_mark;
	bool plain;

	if (in->event.type != YAML_SCALAR_EVENT)
		return fail_at(in, at, "a key must be plain text");
	if (in->event.data.scalar.anchor || in->event.data.scalar.tag)
		return fail_at(in, at, "anchors and tags are not supported");
	plain = in->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (memchr(s, '\0', in->event.data.scalar.length))
		return fail_at(in, at, "a NUL character in a key");
	if (plain && *s == '\0')
		return fail_at(in, at, "a key is missing");
	if (plain && mk_streq(s, "<<"))
		return fail_at(in, at, "merge keys are not supported");
	if (json_object_get(map, s))
		return fail_at(in, at, "duplicate key '%.*s'", shown(s), s);
	*ret = mk_xstrdup(s);
	return 0;
}

static int read_map(struct reader *in, size_t place, size_t depth, json_t **ret)
{
	mk_autojson *map = json_object();

	for (;;) {
		mk_autofree char *key = NULL;
		json_t *value = NULL;
		size_t child;
		int r = next(in);

		if (r < 0)
			return r;
		if (in->event.type == YAML_MAPPING_END_EVENT)
			break;
		r = read_key(in, map, &key);
		if (r < 0)
			return r;
		child = add_place(in, place, key);
		r = next(in);
		if (r == 0)
			r = read_value(in, child, depth + 1, &value);
		if (r < 0)
			return r;
		if (json_object_set_new(map, key, value) < 0)
			return fail_memory(in);
	}
	*ret = MK_TAKE(map);
	return 0;
}

/* The value that the current event is or begins. */
static int read_value(struct reader *in, size_t place, size_t depth, json_t **ret)
{
	const yaml_event_t *e = &in->event;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (e->type == YAML_SCALAR_EVENT) {
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	}
	if (e->type == YAML_ALIAS_EVENT || anchor)
		return fail_at(in, e->start_mark, "anchors and aliases are not supported");
	if (tag)
		return fail_at(in, e->start_mark, "tags are not supported");
	if (++in->nodes > MK_MAX_YAML_NODES)
		return fail_at(in, e->start_mark, "more than %d values", MK_MAX_YAML_NODES);
	if (e->type == YAML_SCALAR_EVENT)
		return read_scalar(in, place, ret);
	if (depth >= MK_MAX_YAML_DEPTH)
		return fail_at(
			in, e->start_mark, "nested more than %d levels deep", MK_MAX_YAML_DEPTH);
	return e->type == YAML_SEQUENCE_START_EVENT ? read_list(in, place, depth, ret)
						    : read_map(in, place, depth, ret);
}

/* Read the document whose start is the current event. */
static int read_document(struct reader *in, json_t *docs, size_t max)
{
	yaml_mark_t at = in->event.start_mark;
	mk_autojson *doc = NULL;
	int r = next(in);

	if (r < 0)
		return r;
	/* Positions are those of the first document that holds something. */
	if (in->lines && !in->whole && json_array_size(docs) > 0)
		in->lines = NULL;
	if (in->lines && !in->whole)
		mk_yaml_lines_clear(in->lines);
	r = read_value(in, add_place(in, 0, NULL), 0, &doc);
	if (r < 0)
		return r;
	r = next(in);
	if (r < 0 || (json_is_null(doc) && !in->whole))
		return r;
	if (json_array_size(docs) == max)
		return fail_at(in, at, "a second document begins here, where one is expected");
	return json_array_append_new(docs, MK_TAKE(doc)) < 0 ? fail_memory(in) : 0;
}

static int read_stream(struct reader *in, json_t *docs, size_t max)
{
	int r = next(in);

	while (r == 0) {
		r = next(in);
		if (r < 0 || in->event.type == YAML_STREAM_END_EVENT)
			break;
		r = read_document(in, docs, max);
	}
	return r;
}

/* Read at most `max` documents; `in` brings what the caller wants besides. */
static int parse(struct reader *in, const char *data, size_t len, size_t max, json_t **ret)
{
	static const char bom[] = "\xef\xbb\xbf";
	mk_autojson *docs = json_array();
	int r;

	if (len >= 3 && memcmp(data, bom, 3) == 0) {
		data += 3;
		len -= 3;
	}
	in->data = data;
	in->len = len;
	if (!yaml_parser_initialize(&in->parser))
		return fail_memory(in);
	yaml_parser_set_encoding(&in->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&in->parser, (const unsigned char *)data, len);
	r = read_stream(in, docs, max);
	yaml_event_delete(&in->event);
	yaml_parser_delete(&in->parser);
	if (r == 0)
		*ret = MK_TAKE(docs);
	return r;
}

static int parse_one(struct reader *in, const char *data, size_t len, json_t **ret)
{
	mk_autojson *docs = NULL;
	int r = parse(in, data, len, 1, &docs);

	if (r < 0)
		return r;
	*ret = json_array_size(docs) > 0 ? json_incref(json_array_get(docs, 0)) : json_null();
	return 0;
}

int mk_yaml_parse_all(
	const char *data, size_t len, const char *what, json_t **ret, struct mk_error *err)
{
	struct reader in = { .what = what, .err = err };

	return parse(&in, data, len, SIZE_MAX, ret);
}

int mk_yaml_parse(
	const char *data, size_t len, const char *what, json_t **ret, struct mk_error *err)
{
	struct reader in = { .what = what, .err = err };

	return parse_one(&in, data, len, ret);
}

static int parse_with_lines(struct reader *in, const char *data, size_t len, json_t **ret,
	struct mk_yaml_lines **ret_lines)
{
	MK_CLEANUP(mk_yaml_lines_freep)
	struct mk_yaml_lines *lines = mk_yaml_lines_new();
	int r;

	in->lines = lines;
	r = parse_one(in, data, len, ret);
	if (r == 0)
		*ret_lines = MK_TAKE(lines);
	return r;
}

int mk_yaml_parse_lines(const char *data, size_t len, const char *what, json_t **ret,
	struct mk_yaml_lines **ret_lines, struct mk_error *err)
{
	struct reader in = { .what = what, .err = err };

	return parse_with_lines(&in, data, len, ret, ret_lines);
}

int mk_yaml_parse_inner(const char *data, size_t len, const struct mk_yaml_origin *origin,
	json_t **ret, struct mk_yaml_lines **ret_lines, struct mk_yaml_mark *ret_where,
	struct mk_error *err)
{
	struct mk_yaml_mark where = { .line = 0 };
	struct reader in = { .what = "YAML", .origin = *origin, .where = &where, .err = err };
	int r = parse_with_lines(&in, data, len, ret, ret_lines);

	if (r < 0)
		*ret_where = where;
	return r;
}

int mk_yaml_parse_kubectl(const char *data, size_t len, const char *what, json_t **ret,
	struct mk_yaml_lines **ret_lines, struct mk_error *err)
{
	struct reader in = { .what = what, .kubectl = true, .err = err };

	return parse_with_lines(&in, data, len, ret, ret_lines);
}

int mk_yaml_parse_stream(const char *data, size_t len, const char *what, json_t **ret,
	struct mk_yaml_lines **ret_lines, struct mk_error *err)
{
	MK_CLEANUP(mk_yaml_lines_freep)
	struct mk_yaml_lines *lines = mk_yaml_lines_new();
	struct reader in = {
		.what = what, .kubectl = true, .whole = true, .lines = lines, .err = err
	};
	int r;

	(void)mk_yaml_lines_add(lines, 0, NULL, 1, 1);
	r = parse(&in, data, len, SIZE_MAX, ret);
	if (r == 0)
		*ret_lines = MK_TAKE(lines);
	return r;
}

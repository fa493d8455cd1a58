/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing YAML in the block style of kubectl: two spaces a level, list items
 * under their key without more. It writes straight into the caller's buffer, so
 * that secrets leave no copies behind, and quotes whatever is not plainly text.
 */
#include "lib/base/yaml.h"

#include "lib/base/limits.h"
#include "lib/base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <strings.h>

#define BLANKS "                                "

static void put_indent(struct mk_buf *out, size_t n)
{
	for (; n > sizeof(BLANKS) - 1; n -= sizeof(BLANKS) - 1)
		mk_buf_adds(out, BLANKS);
	mk_buf_add(out, BLANKS, n);
}

/*
 * Whether every reader takes the bare string for text. The rule is stricter than
 * YAML's: what begins with a letter or a slash is no number, date or indicator
 * in any version of it.
 */
static bool is_plain(const char *s, size_t len)
{
	static const char *const words[] = { "y", "n", "yes", "no", "on", "off", "true", "false",
		"null" };
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/";
	static const char others[] = "0123456789.:@+=%~- ";

	if (len == 0 || !strchr(letters, s[0]) || s[len - 1] == ' ' || s[len - 1] == ':')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\0' || (!strchr(letters, s[i]) && !strchr(others, s[i])))
			return false;
		if (s[i] == ':' && s[i + 1] == ' ')
			return false;
	}
	for (size_t i = 0; i < MK_ARRAY_LEN(words); i++) {
		if (strcasecmp(s, words[i]) == 0)
			return false;
	}
	return true;
}

/*
 * Characters beyond ASCII that readers drop, refuse or take for line breaks, by
 * their UTF-8: C1 controls, the two separators, the byte order mark, and the two
 * that are not characters. Returns the bytes to skip and the code point.
 */
static size_t odd_character(const unsigned char *s, unsigned int *ret_code)
{
	if (s[0] == 0xc2 && s[1] < 0xa0) {
		*ret_code = s[1];
		return 2;
	}
	if (s[0] != 0xe2 && s[0] != 0xef)
		return 0;
	*ret_code = (s[0] & 0xfU) << 12 | (s[1] & 0x3fU) << 6 | (s[2] & 0x3fU);
	if (*ret_code == 0x2028 || *ret_code == 0x2029 || *ret_code == 0xfeff)
		return 3;
	return *ret_code >= 0xfffe ? 3 : 0;
}

static void put_quoted(struct mk_buf *out, const char *s, size_t len)
{
	static const char escaped[] = "\"\\\n\t\r", letter[] = "\"\\ntr";

	mk_buf_adds(out, "\"");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		const char *found = c ? strchr(escaped, c) : NULL;
		unsigned int code;
		size_t odd = c >= 0x80 ? odd_character((const unsigned char *)s + i, &code) : 0;

		if (found) {
			mk_buf_addf(out, "\\%c", letter[found - escaped]);
		} else if (c < 0x20 || c == 0x7f) {
			mk_buf_addf(out, "\\x%02X", c);
		} else if (odd) {
			mk_buf_addf(out, "\\u%04X", code);
			i += odd - 1;
		} else {
			mk_buf_add(out, s + i, 1);
		}
	}
	mk_buf_adds(out, "\"");
}

/*
 * Whether a literal block gives the text back exactly, and shows it: at most one
 * line break at the end, no blank at the start (it would count as indentation)
 * nor at the end of a line, nothing that needs an escape.
 */
static bool is_literal(const char *s, size_t len)
{
	unsigned int code;

	if (len < 2 || !memchr(s, '\n', len - 1) || strchr(" \t\n", s[0]))
		return false;
	if (s[len - 1] == '\n' && s[len - 2] == '\n')
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		bool blank = c == ' ' || c == '\t';

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			return false;
		if (blank && (i + 1 == len || s[i + 1] == '\n'))
			return false;
		if (c >= 0x80 && odd_character((const unsigned char *)s + i, &code))
			return false;
	}
	return true;
}

/* After the "|": the lines, `indent` deep, without the last line break. */
static void put_literal(struct mk_buf *out, const char *s, size_t len, size_t indent)
{
	bool ends = s[len - 1] == '\n';
	const char *end = s + len - (ends ? 1 : 0);

	mk_buf_adds(out, ends ? "|" : "|-");
	while (s < end) {
		const char *stop = memchr(s, '\n', (size_t)(end - s));
		size_t n = (size_t)((stop ? stop : end) - s);

		mk_buf_adds(out, "\n");
		if (n > 0)
			put_indent(out, indent);
		mk_buf_add(out, s, n);
		s += n + 1;
	}
}

static void put_string(struct mk_buf *out, const char *s, size_t len, size_t indent)
{
	if (is_plain(s, len))
		mk_buf_add(out, s, len);
	else if (is_literal(s, len))
		put_literal(out, s, len, indent);
	else
		put_quoted(out, s, len);
}

/* The fewest digits that read back as the same number, and as a real one. */
static void put_real(struct mk_buf *out, double value)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	mk_buf_adds(out, text);
	if (!strpbrk(text, ".e"))
		mk_buf_adds(out, ".0");
}

/* What fits on the line of its key or dash, or is a literal block. */
static void put_scalar(struct mk_buf *out, const json_t *value, size_t indent)
{
	if (json_is_string(value))
		put_string(out, json_string_value(value), json_string_length(value), indent);
	else if (json_is_integer(value))
		mk_buf_addf(out, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		put_real(out, json_real_value(value));
	else if (json_is_array(value))
		mk_buf_adds(out, "[]");
	else if (json_is_object(value))
		mk_buf_adds(out, "{}");
	else if (json_is_boolean(value))
		mk_buf_adds(out, json_is_true(value) ? "true" : "false");
	else
		mk_buf_adds(out, "null");
	mk_buf_adds(out, "\n");
}

static bool is_block(const json_t *value)
{
	return json_array_size(value) > 0 || json_object_size(value) > 0;
}

static bool put_block(struct mk_buf *out, const json_t *value, size_t indent, size_t depth);

static bool put_list(struct mk_buf *out, const json_t *list, size_t indent, size_t depth)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (i > 0)
			put_indent(out, indent);
		mk_buf_adds(out, "- ");
		if (!is_block(item))
			put_scalar(out, item, indent + 2);
		else if (!put_block(out, item, indent + 2, depth + 1))
			return false;
	}
	return true;
}

/* A key and its colon end within 1024 characters of a line (YAML 1.2, 7.4), and an
 * escaped character is up to six of them; a longer key is written after a "?". */
#define SIMPLE_KEY_MAX 160

static void put_key(struct mk_buf *out, const char *key, size_t indent)
{
	size_t len = strlen(key);

	if (len > SIMPLE_KEY_MAX)
		mk_buf_adds(out, "? ");
	if (is_plain(key, len))
		mk_buf_adds(out, key);
	else
		put_quoted(out, key, len);
	if (len > SIMPLE_KEY_MAX) {
		mk_buf_adds(out, "\n");
		put_indent(out, indent);
	}
}

static bool put_map(struct mk_buf *out, const json_t *map, size_t indent, size_t depth)
{
	/* jansson iterates over const objects, but does not say so. */
	json_t *object = (json_t *)(uintptr_t)map;
	bool first = true;

	for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
		const char *key = json_object_iter_key(i);
		const json_t *value = json_object_iter_value(i);
		bool in_line = json_is_array(value) && strlen(key) <= SIMPLE_KEY_MAX;
		size_t inner = in_line ? indent : indent + 2;

		if (!first)
			put_indent(out, indent);
		first = false;
		put_key(out, key, indent);
		mk_buf_adds(out, is_block(value) ? ":\n" : ": ");
		if (!is_block(value)) {
			put_scalar(out, value, indent + 2);
			continue;
		}
		put_indent(out, inner);
		if (!put_block(out, value, inner, depth + 1))
			return false;
	}
	return true;
}

/* A list or map whose first line is indented already; false when too deep. */
static bool put_block(struct mk_buf *out, const json_t *value, size_t indent, size_t depth)
{
	if (depth >= MK_MAX_YAML_DEPTH || out->full)
		return out->full;
	return json_is_array(value) ? put_list(out, value, indent, depth)
				    : put_map(out, value, indent, depth);
}

int mk_yaml_print(const json_t *value, struct mk_buf *ret, struct mk_error *err)
{
	if (!is_block(value))
		put_scalar(ret, value, 2);
	else if (!put_block(ret, value, 0, 0))
		return mk_fail(err, MK_EINVALID, "a YAML document nested more than %d levels deep",
			MK_MAX_YAML_DEPTH);
	return mk_buf_check(ret, "the YAML document", err);
}

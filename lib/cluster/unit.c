/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/unit.h"

#include "lib/base/str.h"

#define EXEC "\nExecStart="

/* What means nothing special to systemd, neither in a word nor at its begin. */
static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			    "-_=:,./@+";

static void add_escaped(struct mk_buf *line, char c)
{
	if (c == '"' || c == '\\')
		mk_buf_addf(line, "\\%c", c);
	else if (c == '%' || c == '$')
		mk_buf_addf(line, "%c%c", c, c);
	else if ((unsigned char)c < 0x20 || c == 0x7f)
		mk_buf_addf(line, "\\x%02x", (unsigned)c);
	else
		mk_buf_add(line, &c, 1);
}

void mk_unit_add_word(struct mk_buf *line, const char *word)
{
	bool quote = !*word || word[strspn(word, plain)];

	if (quote)
		mk_buf_adds(line, "\"");
	for (const char *p = word; *p; p++)
		add_escaped(line, *p);
	if (quote)
		mk_buf_adds(line, "\"");
}

static char same(char c)
{
	return c == '_' ? '-' : c;
}

/* Whether the line is that of the flag: `--name`, perhaps quoted, and no more of it. */
static bool is_flag(const char *line, const char *name)
{
	line += strspn(line, " \t");
	line += *line == '"' ? 1 : 0;
	if (!mk_after_prefix(line, "--"))
		return false;
	for (line += 2; *name && same(*line) == same(*name); name++)
		line++;
	return !*name && strspn(line, "= \"\\\n") > 0;
}

/* Put `text` in the place of bytes `from` to `to`. */
static void splice(struct mk_buf *buf, size_t from, size_t to, const char *text)
{
	struct mk_buf whole = mk_buf_init(buf->max);

	mk_buf_add(&whole, buf->data, from);
	mk_buf_adds(&whole, text);
	mk_buf_adds(&whole, buf->data + to);
	whole.full = whole.full || buf->full;
	mk_buf_done(buf);
	*buf = whole;
}

void mk_unit_set_flag(struct mk_buf *unit, const char *name, const char *value)
{
	mk_autofree char *flag = mk_xasprintf("--%s=%s", name, value);
	mk_autobuf word = mk_buf_init(unit->max);
	mk_autofree char *last = NULL;
	const char *line = strstr(unit->data, EXEC);

	if (!line)
		return;
	mk_unit_add_word(&word, flag);
	for (line++;; line++) {
		size_t len = strcspn(line, "\n");
		bool more = len > 0 && line[len - 1] == '\\';
		size_t from = (size_t)(line - unit->data), to = from + len;

		if (is_flag(line, name)) {
			last = mk_xasprintf("  %s%s", word.data, more ? " \\" : "");
			splice(unit, from, to, last);
			return;
		}
		if (!more || !line[len]) {
			last = mk_xasprintf(" \\\n  %s", word.data);
			splice(unit, to, to, last);
			return;
		}
		line += len;
	}
}

/* A value of a map as the word that it is on a command line. Caller frees. */
static char *word_of(const json_t *value)
{
	mk_autofree char *text = NULL;

	if (json_is_string(value))
		return mk_xstrdup(json_string_value(value));
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	return mk_xstrdup(text ? text : "");
}

void mk_unit_set_flags(struct mk_buf *unit, const json_t *flags)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)flags, name, value) {
		mk_autofree char *word = word_of(value);

		mk_unit_set_flag(unit, name, word);
	}
}

char *mk_unit_map_value(const json_t *map)
{
	mk_autostrlist parts = { .items = NULL };
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)map, key, value) {
		mk_autofree char *word = word_of(value);

		mk_strlist_addf(&parts, "%s=%s", key, word);
	}
	return parts.count > 0 ? mk_strlist_join(&parts, ",") : NULL;
}

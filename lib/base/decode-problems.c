/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The problems of a pass, each with its place in the document, kept in the order
 * of their lines.
 */
#include "lib/base/decode-internal.h"

/* Cut off the last ".key" or "[N]"; false when nothing was left to cut. */
static bool cut_step(char *path)
{
	size_t n = strlen(path);

	if (n == 0)
		return false;
	while (n > 0 && path[n - 1] != '.' && path[n - 1] != '[')
		n--;
	path[n > 0 ? n - 1 : 0] = '\0';
	return true;
}

/* The place of the nearest thing around `path` that these lines have. */
static void look_up(const struct mk_yaml_lines *lines, const char *path, struct mk_problem *p)
{
	mk_autofree char *around = mk_xstrdup(path);
	bool more = lines != NULL;

	while (more) {
		mk_yaml_lines_at(lines, around, &p->line, &p->column);
		more = p->line == 0 && cut_step(around);
	}
}

/* What follows `prefix` and a dot or bracket in `path`, or NULL. */
static const char *below(const char *path, const char *prefix)
{
	const char *rest = mk_after_prefix(path, prefix);

	if (!rest || (*rest && *rest != '.' && *rest != '['))
		return NULL;
	return *rest == '.' ? rest + 1 : rest;
}

static void locate(const struct mk_decode *d, const char *path, struct mk_problem *p)
{
	const char *rest = d->inner_path ? below(path, d->inner_path) : NULL;

	if (rest)
		look_up(d->inner_lines, rest, p);
	if (p->line == 0)
		look_up(d->lines, path, p);
}

bool mk_decode_is_hopeless(const struct mk_decode *d)
{
	return d->dropped >= 4 * MK_MAX_PROBLEMS;
}

static void flatten(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
	}
}

static bool is_before(const struct mk_problem *a, const struct mk_problem *b)
{
	return a->line < b->line || (a->line == b->line && a->column < b->column);
}

static void free_problem(struct mk_problem *p)
{
	free(p->path);
	free(p->text);
}

/* Keep the problems sorted, and the first ones when there are too many. */
static void insert_problem(struct mk_decode *d, struct mk_problem p)
{
	size_t i = d->count;

	if (d->count == MK_MAX_PROBLEMS) {
		d->dropped++;
		i--;
		if (!is_before(&p, &d->problems[i])) {
			free_problem(&p);
			return;
		}
		free_problem(&d->problems[i]);
	} else {
		d->count++;
	}
	for (; i > 0 && is_before(&p, &d->problems[i - 1]); i--)
		d->problems[i] = d->problems[i - 1];
	d->problems[i] = p;
}

void mk_decode_problem(struct mk_decode *d, const char *path, const char *fmt, ...)
{
	struct mk_problem p = { .text = NULL };
	va_list ap;

	if (mk_decode_is_hopeless(d)) {
		d->dropped++;
		return;
	}
	locate(d, path, &p);
	p.path = mk_xstrdup(path);
	va_start(ap, fmt);
	p.text = mk_xvasprintf(fmt, ap);
	va_end(ap);
	flatten(p.path);
	flatten(p.text);
	insert_problem(d, p);
}

bool mk_decode_is_bad(const struct mk_decode *d, const char *path)
{
	for (size_t i = 0; i < d->count; i++) {
		if (below(d->problems[i].path, path))
			return true;
	}
	return false;
}

char *mk_problem_print(const struct mk_decode *d, const struct mk_problem *problem)
{
	mk_autobuf text = mk_buf_init(SIZE_MAX);

	if (d->what)
		mk_buf_adds(&text, d->what);
	if (d->what && problem->line)
		mk_buf_addf(&text, ":%zu:%zu", problem->line, problem->column);
	if (d->what)
		mk_buf_adds(&text, ": ");
	if (*problem->path)
		mk_buf_addf(&text, "%s: ", problem->path);
	mk_buf_adds(&text, problem->text);
	return mk_buf_detach(&text);
}

int mk_decode_finish(struct mk_decode *d, struct mk_error *err)
{
	mk_autostrlist lines = { .items = NULL };

	if (d->count == 0)
		return 0;
	for (size_t i = 0; i < d->count; i++)
		mk_strlist_take(&lines, mk_problem_print(d, &d->problems[i]));
	if (d->dropped > 0)
		mk_strlist_addf(&lines, "and %zu more", d->dropped);
	(void)mk_fail(err, MK_EUSAGE, "%s", lines.items[0]);
	if (lines.count > 1) {
		struct mk_strlist rest = { .items = lines.items + 1, .count = lines.count - 1 };

		err->detail = mk_strlist_join(&rest, "\n");
	}
	mk_decode_done(d);
	return -MK_EUSAGE;
}

void mk_decode_done(struct mk_decode *d)
{
	for (size_t i = 0; i < d->count; i++)
		free_problem(&d->problems[i]);
	d->count = d->dropped = 0;
	mk_decode_close(d);
	mk_yaml_lines_free(MK_TAKE(d->lines));
}

/* Parse, or add the problem where the parser says. */
static bool parse(struct mk_decode *d, const char *path, const char *data, size_t len,
	const struct mk_yaml_origin *origin, json_t **ret, struct mk_yaml_lines **ret_lines)
{
	mk_autoerror err = { .code = MK_OK };
	struct mk_yaml_mark where = { .line = 0 };

	if (mk_yaml_parse_inner(data, len, origin, ret, ret_lines, &where, &err) == 0)
		return true;
	insert_problem(d,
		(struct mk_problem){ .line = where.line,
			.column = where.column,
			.path = mk_xstrdup(path),
			.text = mk_xstrdup(err.message) });
	return false;
}

bool mk_decode_parse(struct mk_decode *d, const char *data, size_t len, json_t **ret)
{
	static const struct mk_yaml_origin origin = { .line = 0 };

	return parse(d, "", data, len, &origin, ret, &d->lines);
}

bool mk_decode_open(struct mk_decode *d, const char *path, const char *text, json_t **ret)
{
	struct mk_yaml_origin origin = { .opaque = true };

	if (d->lines && !mk_yaml_lines_origin(d->lines, path, &origin))
		origin = (struct mk_yaml_origin){ .opaque = true };
	if (!parse(d, path, text, strlen(text), &origin, ret, &d->inner_lines))
		return false;
	d->inner_path = mk_xstrdup(path);
	return true;
}

void mk_decode_close(struct mk_decode *d)
{
	free(MK_TAKE(d->inner_path));
	mk_yaml_lines_free(MK_TAKE(d->inner_lines));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "manifests/render.h"

#include "lib/base/limits.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"
#include "manifests/embed.h"

const struct mk_embedded *mk_embedded_find(const char *path)
{
	for (size_t i = 0; i < mk_embedded_count; i++) {
		if (mk_streq(mk_embedded_files[i].path, path))
			return &mk_embedded_files[i];
	}
	return NULL;
}

struct mk_render mk_render_init(void)
{
	return (struct mk_render){ .vars = json_object() };
}

void mk_render_done(struct mk_render *render)
{
	json_decref(render->vars);
	render->vars = NULL;
}

void mk_render_set(struct mk_render *render, const char *name, const char *value)
{
	(void)json_object_set_new(render->vars, name, json_string(value));
}

void mk_render_setf(struct mk_render *render, const char *name, const char *fmt, ...)
{
	mk_autofree char *value = NULL;
	va_list ap;

	va_start(ap, fmt);
	value = mk_xvasprintf(fmt, ap);
	va_end(ap);
	mk_render_set(render, name, value);
}

/* A name is capitals, digits and underscores; anything else after ${ is text
 * of the file's own (a shell's ${setting#*=}). */
static size_t name_length(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	return s[n] == '}' ? n : 0;
}

int mk_render_text(const struct mk_render *render, const char *what, const char *text,
	struct mk_buf *ret, struct mk_error *err)
{
	for (;;) {
		const char *start = strstr(text, "${");
		const char *value;
		size_t n;

		if (!start) {
			mk_buf_adds(ret, text);
			return mk_buf_check(ret, what, err);
		}
		n = name_length(start + 2);
		if (n == 0) {
			mk_buf_add(ret, text, (size_t)(start - text) + 2);
			text = start + 2;
			continue;
		}
		mk_buf_add(ret, text, (size_t)(start - text));
		value = json_string_value(json_object_getn(render->vars, start + 2, n));
		if (!value)
			return mk_fail(err, MK_EFAIL, "%s: nothing is known as ${%.*s}", what,
				(int)n, start + 2);
		mk_buf_adds(ret, value);
		text = start + 2 + n + 1;
	}
}

int mk_render_file(
	const struct mk_render *render, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	const struct mk_embedded *file = mk_embedded_find(path);

	if (!file)
		return mk_fail(err, MK_EFAIL, "this program carries no file '%s'", path);
	return mk_render_text(render, path, file->data, ret, err);
}

int mk_render_objects(
	const struct mk_render *render, const char *path, json_t **ret, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_render_file(render, path, &text, err);

	if (r < 0)
		return r;
	return mk_yaml_parse_all(text.data, text.len, path, ret, err);
}

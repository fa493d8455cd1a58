/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling in the embedded files, and the files themselves: each one is what its
 * reader will take it for.
 */
#include "lib/base/limits.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"
#include "manifests/embed.h"
#include "manifests/render.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void test_text(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "${A}", "one" },
		{ "x${A}y${A}${B_2}z", "xoneyonetwoz" },
		{ "${EMPTY}", "" },
		/* Values are not looked into. */
		{ "${NESTED}", "${A}" },
		/* A shell's own: not our names. */
		{ "${setting#*=} ${a} ${} ${ A}", "${setting#*=} ${a} ${} ${ A}" },
		{ "$ $A $$ {A} ${A", "$ $A $$ {A} ${A" },
		{ "${${A}}", "${one}" },
		{ "$${A}", "$one" },
	};
	mk_autorender render = mk_render_init();

	(void)state;
	mk_render_set(&render, "A", "one");
	mk_render_setf(&render, "B_2", "%s%d", "tw", 0);
	mk_render_set(&render, "B_2", "two");
	mk_render_set(&render, "EMPTY", "");
	mk_render_set(&render, "NESTED", "${A}");
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autobuf out = mk_buf_init(100);
		mk_autoerror err = { .code = MK_OK };

		assert_int_equal(mk_render_text(&render, "t", cases[i][0], &out, &err), 0);
		assert_string_equal(out.data, cases[i][1]);
	}
}

static void test_unknown(void **state)
{
	mk_autorender render = mk_render_init();
	mk_autobuf out = mk_buf_init(100);
	mk_autobuf small = mk_buf_init(3);
	mk_autoerror err = { .code = MK_OK };
	json_t *objects = NULL;

	(void)state;
	assert_int_equal(mk_render_text(&render, "t", "a ${NOBODY_1} b", &out, &err), -MK_EFAIL);
	assert_string_equal(err.message, "t: nothing is known as ${NOBODY_1}");
	assert_int_equal(mk_render_text(&render, "t", "1234", &small, &err), -MK_EINVALID);
	assert_int_equal(mk_render_file(&render, "objects/none.yaml", &out, &err), -MK_EFAIL);
	assert_string_equal(err.message, "this program carries no file 'objects/none.yaml'");
	assert_int_equal(mk_render_objects(&render, "node/units", &objects, &err), -MK_EFAIL);
	assert_null(objects);
}

static void test_embedded(void **state)
{
	(void)state;
	assert_true(mk_embedded_count > 40);
	for (size_t i = 0; i < mk_embedded_count; i++) {
		const struct mk_embedded *file = &mk_embedded_files[i];

		assert_ptr_equal(mk_embedded_find(file->path), file);
		assert_int_equal(strlen(file->data), file->len);
		assert_int_equal(file->mode, strncmp(file->data, "#!", 2) == 0 ? 0755 : 0644);
		assert_false(mk_has_suffix(file->path, "_test.go"));
		if (i > 0)
			assert_true(strcmp(mk_embedded_files[i - 1].path, file->path) < 0);
	}
	assert_null(mk_embedded_find("node"));
	assert_null(mk_embedded_find(""));
	assert_non_null(mk_embedded_find("provider/main.go"));
	assert_non_null(mk_embedded_find("modules/kubernetes/go.mod"));
}

/* Give every ${NAME} of the text a value. */
static void set_all(struct mk_render *render, const char *text, const char *value)
{
	while ((text = strstr(text, "${"))) {
		size_t n = strspn(text + 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
		mk_autofree char *name = mk_xstrndup(text + 2, n);

		mk_render_set(render, name, value);
		text += 2;
	}
}

static void render_into(const struct mk_embedded *file, const char *value, struct mk_buf *out)
{
	mk_autorender render = mk_render_init();
	mk_autoerror err = { .code = MK_OK };

	set_all(&render, file->data, value);
	if (mk_render_file(&render, file->path, out, &err) < 0)
		fail_msg("%s", err.message);
}

static void test_objects(void **state)
{
	size_t files = 0;

	(void)state;
	for (size_t i = 0; i < mk_embedded_count; i++) {
		const struct mk_embedded *file = &mk_embedded_files[i];
		mk_autorender render = mk_render_init();
		mk_autoerror err = { .code = MK_OK };
		mk_autojson *objects = NULL;
		const json_t *object;
		size_t j;

		if (!mk_after_prefix(file->path, "objects/"))
			continue;
		files++;
		set_all(&render, file->data, "1");
		if (mk_render_objects(&render, file->path, &objects, &err) < 0)
			fail_msg("%s", err.message);
		assert_true(json_array_size(objects) > 0);
		json_array_foreach (objects, j, object) {
			if (!*mk_json_str(object, "apiVersion", "") ||
				!*mk_json_str(object, "kind", "") ||
				!*mk_json_str(object, "metadata.name", ""))
				fail_msg("%s: object %zu has no kind or name", file->path, j);
		}
	}
	assert_int_equal(files, 8);
}

/* One line of a unit file: a section, a comment, a setting or a continuation. */
static void check_unit_line(const char *path, const char *line, bool goes_on)
{
	static const char *const sections[] = { "[Unit]", "[Service]", "[Install]" };

	if (*line == '\0' || *line == '#' || goes_on)
		return;
	for (size_t i = 0; i < MK_ARRAY_LEN(sections); i++) {
		if (mk_streq(line, sections[i]))
			return;
	}
	if (*line == '[' || !strchr(line, '='))
		fail_msg("%s: \"%s\"", path, line);
}

static void check_unit(const struct mk_embedded *file)
{
	mk_autobuf text = mk_buf_init(MK_MIB);
	mk_autostrlist lines = { .items = NULL };
	bool goes_on = false;

	/* Some names stand for whole lines. */
	render_into(file, "A=1", &text);
	if (!strstr(text.data, "[Unit]\n") || !strstr(text.data, "\n[Service]\n") ||
		!strstr(text.data, "\nDescription=") || !strstr(text.data, "\nExecStart="))
		fail_msg("%s: lacks a part", file->path);
	mk_strlist_split(&lines, text.data, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		check_unit_line(file->path, lines.items[i], goes_on);
		goes_on = mk_has_suffix(lines.items[i], "\\");
	}
	assert_false(goes_on);
}

static void test_units(void **state)
{
	size_t units = 0;

	(void)state;
	for (size_t i = 0; i < mk_embedded_count; i++) {
		if (!mk_after_prefix(mk_embedded_files[i].path, "node/") ||
			!mk_has_suffix(mk_embedded_files[i].path, ".service"))
			continue;
		check_unit(&mk_embedded_files[i]);
		units++;
	}
	assert_true(units >= 10);
}

/* What a node's programs read is YAML or JSON by its name's ending. */
static void test_configs(void **state)
{
	(void)state;
	for (size_t i = 0; i < mk_embedded_count; i++) {
		const struct mk_embedded *file = &mk_embedded_files[i];
		mk_autobuf text = mk_buf_init(MK_MIB);
		mk_autoerror err = { .code = MK_OK };
		mk_autojson *value = NULL;
		int r = 0;

		if (!mk_after_prefix(file->path, "node/"))
			continue;
		render_into(file, "1", &text);
		if (mk_has_suffix(file->path, ".yaml"))
			r = mk_yaml_parse_all(text.data, text.len, file->path, &value, &err);
		if (mk_has_suffix(file->path, ".conflist"))
			r = mk_json_parse(text.data, text.len, file->path, &value, &err);
		if (r < 0)
			fail_msg("%s", err.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_embedded),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_configs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/manifest.h"

#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/yaml.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define MAX_MISTAKES 20
#define MAX_FOLDER_DEPTH 32

/* One file on its way into the manifests. */
struct file {
	struct mk_manifests *into;
	const char *path;
	const struct mk_yaml_lines *lines;
};

struct mk_manifests mk_manifests_init(void)
{
	return (struct mk_manifests){ .objects = json_array() };
}

void mk_manifests_done(struct mk_manifests *manifests)
{
	json_decref(manifests->objects);
	mk_strlist_done(&manifests->where);
	mk_strlist_done(&manifests->mistakes);
	*manifests = (struct mk_manifests){ .objects = NULL };
}

bool mk_manifest_name_ok(const char *name)
{
	return *name && !mk_streq(name, ".") && !mk_streq(name, "..") && !strpbrk(name, "/%");
}

/* "v1" or "GROUP/VERSION", of characters that mean nothing in a path. */
static bool is_api_version(const char *s)
{
	const char *slash = strchr(s, '/');

	for (const char *p = s; *p; p++) {
		if (p != slash && !isalnum((unsigned char)*p) && !strchr(".-", *p))
			return false;
	}
	return isalnum((unsigned char)*s) && (!slash || isalnum((unsigned char)slash[1]));
}

/* The place of a path, or of its document when the path is not there. Caller frees. */
static char *place(const struct file *file, const char *at, const char *key)
{
	mk_autofree char *path = mk_xasprintf("%s%s", at, key);
	size_t line, column;

	mk_yaml_lines_at(file->lines, path, &line, &column);
	if (line == 0)
		mk_yaml_lines_at(file->lines, at, &line, &column);
	return mk_xasprintf("%s:%zu:%zu", file->path, line, column);
}

static void MK_PRINTF(4, 5)
	mistake(const struct file *file, const char *at, const char *key, const char *fmt, ...)
{
	mk_autofree char *where = place(file, at, key);
	mk_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = mk_xvasprintf(fmt, ap);
	va_end(ap);
	mk_strlist_addf(&file->into->mistakes, "%s: %s", where, text);
}

static bool check_name(const struct file *file, const char *at, const json_t *object)
{
	const char *kind = mk_json_str(object, "kind", "");
	const json_t *name = mk_json_at(object, "metadata.name");
	const json_t *space = mk_json_at(object, "metadata.namespace");

	if (!name && mk_json_at(object, "metadata.generateName"))
		mistake(file, at, ".metadata.generateName",
			"a %s with metadata.generateName would be another one at every apply: "
			"give it a metadata.name",
			kind);
	else if (!json_is_string(name))
		mistake(file, at, ".metadata.name", "a %s without metadata.name", kind);
	else if (!mk_manifest_name_ok(json_string_value(name)))
		mistake(file, at, ".metadata.name", "'%.80s' cannot be a name",
			json_string_value(name));
	else if (space && !json_is_null(space) &&
		(!json_is_string(space) || !mk_manifest_name_ok(json_string_value(space))))
		mistake(file, at, ".metadata.namespace", "metadata.namespace is no name");
	else
		return true;
	return false;
}

static bool check_object(const struct file *file, const char *at, const json_t *object)
{
	const char *version = mk_json_str(object, "apiVersion", NULL);

	if (!json_is_object(object))
		mistake(file, at, "", "not an object of Kubernetes");
	else if (!mk_json_str(object, "kind", NULL))
		mistake(file, at, ".kind", "an object without a kind");
	else if (!version)
		mistake(file, at, ".apiVersion", "a %s without an apiVersion",
			mk_json_str(object, "kind", ""));
	else if (!is_api_version(version))
		mistake(file, at, ".apiVersion", "'%.80s' is no apiVersion", version);
	else
		return true;
	return false;
}

static void take_object(const struct file *file, const char *at, json_t *object)
{
	struct mk_manifests *into = file->into;
	const json_t *items = json_object_get(object, "items");
	json_t *item;
	size_t i;

	if (into->mistakes.count >= MAX_MISTAKES || !check_object(file, at, object))
		return;
	if (mk_has_suffix(mk_json_str(object, "kind", ""), "List") && json_is_array(items)) {
		json_array_foreach (items, i, item) {
			mk_autofree char *inner = mk_xasprintf("%s.items[%zu]", at, i);

			take_object(file, inner, item);
		}
		return;
	}
	if (!check_name(file, at, object))
		return;
	(void)json_array_append(into->objects, object);
	mk_strlist_take(&into->where, place(file, at, ""));
}

int mk_manifests_take(
	void *payload, const char *path, const char *data, size_t len, struct mk_error *err)
{
	struct mk_manifests *m = payload;
	struct file file = { .into = m, .path = path };
	MK_CLEANUP(mk_yaml_lines_freep) struct mk_yaml_lines *lines = NULL;
	mk_autojson *documents = NULL;
	json_t *document;
	size_t i;

	m->bytes += len;
	if (++m->files > MK_MAX_OBJECTS || m->bytes > MK_MAX_MANIFESTS)
		return mk_fail(err, MK_EUSAGE, "%s: more than %zu files or %zu MiB of objects",
			path, MK_MAX_OBJECTS, MK_MAX_MANIFESTS / MK_MIB);
	if (mk_yaml_parse_stream(data, len, path, &documents, &lines, err) < 0) {
		mk_strlist_add(&m->mistakes, err->message);
		mk_error_done(err);
		return 0;
	}
	file.lines = lines;
	json_array_foreach (documents, i, document) {
		mk_autofree char *at = mk_xasprintf("[%zu]", i);

		if (!json_is_null(document))
			take_object(&file, at, document);
	}
	if (json_array_size(m->objects) > MK_MAX_OBJECTS)
		return mk_fail(err, MK_EUSAGE, "%s: more than %zu objects", path, MK_MAX_OBJECTS);
	return 0;
}

int mk_manifests_check(const struct mk_manifests *m, struct mk_error *err)
{
	mk_autobuf rest = mk_buf_init(MK_MIB);

	if (m->mistakes.count == 0 && json_array_size(m->objects) == 0)
		return mk_fail(err, MK_EUSAGE, "no objects in %zu %s", m->files,
			m->files == 1 ? "file" : "files");
	if (m->mistakes.count == 0)
		return 0;
	for (size_t i = 1; i < m->mistakes.count; i++)
		mk_buf_addf(&rest, "%s\n", m->mistakes.items[i]);
	if (m->mistakes.count >= MAX_MISTAKES)
		mk_buf_adds(&rest, "and perhaps more\n");
	(void)mk_fail(err, MK_EUSAGE, "%s", m->mistakes.items[0]);
	if (rest.len > 0)
		err->detail = mk_buf_detach(&rest);
	return -MK_EUSAGE;
}

static int take_file(const char *path, mk_manifest_taker take, void *payload, struct mk_error *err)
{
	/* It may hold Secrets. */
	mk_autowipebuf text = mk_buf_init(MK_MAX_MANIFEST);
	int r = mk_fs_read(path, &text, err);

	if (r < 0)
		return r;
	return take(payload, mk_streq(path, "-") ? "stdin" : path, text.data, text.len, err);
}

static bool is_manifest(const char *name)
{
	return name[0] != '.' &&
		(mk_has_suffix(name, ".yaml") || mk_has_suffix(name, ".yml") ||
			mk_has_suffix(name, ".json"));
}

static int names_of(const char *folder, struct mk_strlist *ret, struct mk_error *err)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	if (!dir)
		return mk_fail_errno(err, "open '%s'", folder);
	while (ret->count <= MK_MAX_OBJECTS && (entry = readdir(dir))) {
		if (!mk_streq(entry->d_name, ".") && !mk_streq(entry->d_name, ".."))
			mk_strlist_add(ret, entry->d_name);
	}
	(void)closedir(dir);
	mk_strlist_sort(ret);
	if (ret->count > MK_MAX_OBJECTS)
		return mk_fail(
			err, MK_EUSAGE, "'%s' has more than %zu files", folder, MK_MAX_OBJECTS);
	return 0;
}

static int take_folder(const char *folder, int depth, mk_manifest_taker take, void *payload,
	size_t *ret_count, struct mk_error *err)
{
	mk_autostrlist names = { .items = NULL };
	int r = names_of(folder, &names, err);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		mk_autofree char *path = mk_xasprintf("%s/%s", folder, names.items[i]);
		struct stat itself, target;

		if (lstat(path, &itself) < 0)
			continue;
		if (S_ISDIR(itself.st_mode) && depth > 0) {
			r = take_folder(path, depth - 1, take, payload, ret_count, err);
		} else if (is_manifest(names.items[i]) && stat(path, &target) == 0 &&
			S_ISREG(target.st_mode)) {
			(*ret_count)++;
			r = take_file(path, take, payload, err);
		}
	}
	return r;
}

/* "x" of "x/": the paths of its files shall read well. Caller frees. */
static char *without_slash(const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	return mk_xstrndup(path, n);
}

int mk_manifests_read(const char *path, bool recursive, mk_manifest_taker take, void *payload,
	struct mk_error *err)
{
	mk_autofree char *plain = without_slash(path);
	size_t count = 0;
	struct stat st;
	int r;

	if (mk_streq(path, "-"))
		return take_file(path, take, payload, err);
	if (stat(plain, &st) < 0) {
		int missing = errno == ENOENT;

		(void)mk_fail_errno(err, "open '%s'", path);
		return mk_error_recode(err, missing ? MK_EUSAGE : MK_ESYS);
	}
	if (!S_ISDIR(st.st_mode))
		return take_file(plain, take, payload, err);
	r = take_folder(plain, recursive ? MAX_FOLDER_DEPTH : 0, take, payload, &count, err);
	if (r < 0 || count > 0)
		return r;
	(void)mk_fail(err, MK_EUSAGE, "no *.yaml, *.yml or *.json in '%s'", path);
	if (!recursive)
		mk_error_hint(err, "--recursive looks into its folders too");
	return -MK_EUSAGE;
}

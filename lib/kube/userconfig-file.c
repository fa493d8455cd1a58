/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files are the user's, and reading them. The rules are client-go's:
 * https://github.com/kubernetes/client-go/blob/master/tools/clientcmd/config.go
 *
 * What libyaml copies inside while it parses is beyond our reach.
 */
#include "lib/kube/userconfig-file.h"
#include "lib/base/encode.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/yaml.h"
#include "lib/kube/userconfig.h"

#include <sys/stat.h>

static const char *const list_keys[] = { "clusters", "contexts", "users" };

void mk_userconfig_wipe(const json_t *value)
{
	const json_t *item;
	const char *key;
	size_t i;

	if (json_is_string(value))
		mk_wipe((void *)(uintptr_t)json_string_value(value), json_string_length(value));
	json_array_foreach (value, i, item)
		mk_userconfig_wipe(item);
	json_object_foreach ((json_t *)(uintptr_t)value, key, item)
		mk_userconfig_wipe(item);
}

static void add_file(struct mk_strlist *files, const char *path)
{
	/* The file of that name, not standard input. */
	const char *name = mk_streq(path, "-") ? "./-" : path;

	if (!mk_strlist_has(files, name))
		mk_strlist_add(files, name);
}

/* The files to look at, at least one. */
int mk_userconfig_files(const char *explicit_path, struct mk_strlist *ret, struct mk_error *err)
{
	const char *variable = getenv("KUBECONFIG"), *home = getenv("HOME");
	mk_autostrlist names = { .items = NULL };

	if (explicit_path && *explicit_path) {
		add_file(ret, explicit_path);
		return 0;
	}
	if (variable)
		mk_strlist_split(&names, variable, ":");
	for (size_t i = 0; i < names.count; i++)
		add_file(ret, names.items[i]);
	if (ret->count > 0)
		return 0;
	if (!home || !*home) {
		(void)mk_fail(err, MK_EHOST, "no place for the kubeconfig: HOME is not set");
		mk_error_hint(err, "name the file with --kubeconfig");
		return -MK_EHOST;
	}
	mk_strlist_addf(ret, "%s/.kube/config", home);
	return 0;
}

int mk_userconfig_path(const char *explicit_path, char **ret, struct mk_error *err)
{
	mk_autostrlist files = { .items = NULL };
	int r = mk_userconfig_files(explicit_path, &files, err);
	size_t i = 0;

	if (r < 0)
		return r;
	while (i + 1 < files.count && !mk_fs_exists(files.items[i]))
		i++;
	*ret = mk_xstrdup(files.items[i]);
	return 0;
}

static int MK_PRINTF(5, 6) fail_shape(const char *file, const struct mk_yaml_lines *lines,
	const char *path, struct mk_error *err, const char *fmt, ...)
{
	mk_autofree char *text = NULL;
	size_t line, column;
	va_list ap;

	va_start(ap, fmt);
	text = mk_xvasprintf(fmt, ap);
	va_end(ap);
	mk_yaml_lines_at(lines, path, &line, &column);
	return mk_fail(err, MK_EINVALID, "%s:%zu:%zu: %s", file, line, column, text);
}

static int check_list(const char *file, const json_t *root, const char *key,
	const struct mk_yaml_lines *lines, struct mk_error *err)
{
	const json_t *list = json_object_get(root, key), *item, *name;
	size_t i;

	if (list && !json_is_null(list) && !json_is_array(list))
		return fail_shape(file, lines, key, err, "%s is not a list", key);
	json_array_foreach (list, i, item) {
		mk_autofree char *at = mk_xasprintf("%s[%zu]", key, i);

		if (!json_is_object(item))
			return fail_shape(file, lines, at, err, "%s is not a map", at);
		name = json_object_get(item, "name");
		if (name && !json_is_string(name))
			return fail_shape(
				file, lines, at, err, "%s has a name that is not text", at);
	}
	return 0;
}

/* Only what is a kubeconfig is changed. */
static int check_shape(const char *file, const json_t *root, const struct mk_yaml_lines *lines,
	struct mk_error *err)
{
	static const char *const expected[][2] = { { "apiVersion", "v1" }, { "kind", "Config" } };
	int r = 0;

	if (!json_is_object(root))
		return fail_shape(file, lines, "", err, "not a kubeconfig: not a map of keys");
	for (size_t i = 0; i < MK_ARRAY_LEN(expected); i++) {
		const char *key = expected[i][0], *wanted = expected[i][1];

		if (json_object_get(root, key) && !mk_streq(mk_json_str(root, key, ""), wanted))
			return fail_shape(file, lines, key, err, "not a kubeconfig: %s is not %s",
				key, wanted);
	}
	for (size_t i = 0; r == 0 && i < MK_ARRAY_LEN(list_keys); i++)
		r = check_list(file, root, list_keys[i], lines, err);
	return r;
}

static int parse(const char *file, const struct mk_buf *text, json_t **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_yaml_lines_freep) struct mk_yaml_lines *lines = NULL;
	autosecretjson *root = NULL;
	int r;

	r = mk_yaml_parse_kubectl(text->data, text->len, file, &root, &lines, err);
	if (r == 0 && !json_is_null(root))
		r = check_shape(file, root, lines, err);
	if (r < 0) {
		mk_error_hint(err, "repair '%s', or name another file with --kubeconfig", file);
		return r;
	}
	*ret = MK_TAKE(root);
	return 0;
}

/* Read the file; JSON null when there is none or it is empty. */
int mk_userconfig_load(const char *file, json_t **ret, struct mk_error *err)
{
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_fs_read(file, &text, err);

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		*ret = json_null();
		return 0;
	}
	return r < 0 ? r : parse(file, &text, ret, err);
}

/* What is at the path; a device like /dev/null must not be replaced by a file. */
enum mk_userconfig_nature mk_userconfig_nature(const char *file)
{
	struct stat st;

	if (stat(file, &st) < 0)
		return MK_USERCONFIG_ABSENT;
	if (S_ISREG(st.st_mode))
		return MK_USERCONFIG_REGULAR;
	return S_ISCHR(st.st_mode) ? MK_USERCONFIG_NOWHERE : MK_USERCONFIG_OTHER;
}

/* NULL when the user is not there or has no certificate in the file itself. */
static const char *cert_of(const json_t *root, const char *name)
{
	const json_t *user;
	size_t i;

	json_array_foreach (json_object_get(root, "users"), i, user) {
		if (mk_streq(mk_json_str(user, "name", ""), name))
			return mk_json_str(user, "user.client-certificate-data", NULL);
	}
	return NULL;
}

int mk_userconfig_cert(const char *explicit_path, const char *name, char **ret_pem, char **ret_path,
	struct mk_error *err)
{
	mk_autostrlist files = { .items = NULL };
	const char *cert = NULL;
	int r = mk_userconfig_files(explicit_path, &files, err);

	*ret_pem = NULL;
	for (size_t i = 0; i < files.count && r == 0 && !cert; i++) {
		mk_autobuf pem = mk_buf_init(MK_MAX_CONFIG_FILE);
		autosecretjson *root = NULL;

		if (mk_userconfig_nature(files.items[i]) != MK_USERCONFIG_REGULAR)
			continue;
		r = mk_userconfig_load(files.items[i], &root, err);
		cert = r == 0 ? cert_of(root, name) : NULL;
		if (cert)
			r = mk_base64_decode(cert, &pem, err);
		if (r < 0 || !cert)
			continue;
		*ret_pem = mk_buf_detach(&pem);
		*ret_path = mk_xstrdup(files.items[i]);
	}
	return r;
}

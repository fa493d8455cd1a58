/* SPDX-License-Identifier: Apache-2.0 */
/* Changing and writing the user's files. Buffers and strings that hold keys are wiped. */
#include "lib/kube/userconfig.h"

#include "lib/base/encode.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/str.h"
#include "lib/base/yaml.h"
#include "lib/kube/userconfig-file.h"
#include "lib/kube/userconfig-lock.h"

#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const list_keys[] = { "clusters", "contexts", "users" };

/* The folder a file is in. Caller frees. */
static char *folder_of(const char *path)
{
	mk_autofree char *copy = mk_xstrdup(path);

	return mk_xstrdup(dirname(copy));
}

/* The file behind symbolic links, whether it exists or not. Caller frees. */
static char *follow_links(const char *path)
{
	mk_autofree char *file = mk_xstrdup(path);

	for (int i = 0; i < 40; i++) {
		mk_autofree char *folder = folder_of(file);
		char link[PATH_MAX];
		ssize_t n = readlink(file, link, sizeof(link) - 1);

		if (n < 0)
			break;
		link[n] = '\0';
		free(file);
		file = link[0] == '/' ? mk_xstrdup(link) : mk_xasprintf("%s/%s", folder, link);
	}
	return MK_TAKE(file);
}

static int store(const char *file, const json_t *root, struct mk_error *err)
{
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autofree char *target = follow_links(file), *folder = folder_of(target);
	int r = mk_yaml_print(root, &text, err);

	if (r < 0)
		return mk_error_wrap(err, "%s", file);
	r = mk_fs_mkdir_all(folder, 0700, err);
	return r < 0 ? r : mk_fs_write_atomic(target, text.data, text.len, 0600, err);
}

/* What to do to a file: merge `entry`, or remove `name` when that is NULL. */
struct change {
	const struct mk_userconfig_entry *entry;
	const char *name;
	bool switch_context;
};

/* Note a change. jansson refuses one only when it has no memory left. */
static void changed(bool *ret, int refused)
{
	if (refused)
		abort();
	*ret = true;
}

static void set_string(json_t *root, const char *key, const char *value, bool *ret_changed)
{
	if (!mk_streq(mk_json_str(root, key, ""), value) || !json_object_get(root, key))
		changed(ret_changed, json_object_set_new(root, key, json_string(value)));
}

/* Remove the items of that name but the one at `keep`. */
static void remove_named(json_t *list, const char *name, size_t keep, bool *ret_changed)
{
	for (size_t i = json_array_size(list); i-- > 0;) {
		const json_t *item = json_array_get(list, i);

		if (i == keep || !mk_streq(mk_json_str(item, "name", ""), name))
			continue;
		mk_userconfig_wipe(item);
		changed(ret_changed, json_array_remove(list, i));
	}
}

/* Put `item`, which is taken over, into the place of the first of that name. */
static void put_named(
	json_t *root, const char *key, const char *name, json_t *item, bool *ret_changed)
{
	json_t *list = json_object_get(root, key);
	size_t i = 0;

	if (!json_is_array(list)) {
		list = json_array();
		changed(ret_changed, json_object_set_new(root, key, list));
	}
	while (i < json_array_size(list) &&
		!mk_streq(mk_json_str(json_array_get(list, i), "name", ""), name))
		i++;
	remove_named(list, name, i, ret_changed);
	if (json_equal(json_array_get(list, i), item)) {
		mk_userconfig_drop(&item);
	} else if (i < json_array_size(list)) {
		mk_userconfig_wipe(json_array_get(list, i));
		changed(ret_changed, json_array_set_new(list, i, item));
	} else {
		changed(ret_changed, json_array_append_new(list, item));
	}
}

static void merge_entry(
	json_t *root, const struct mk_userconfig_entry *e, bool switch_context, bool *ret_changed)
{
	mk_autosecret char *ca = mk_base64(e->ca_pem, strlen(e->ca_pem));
	mk_autosecret char *cert = mk_base64(e->cert_pem, strlen(e->cert_pem));
	mk_autosecret char *key = mk_base64(e->key_pem, strlen(e->key_pem));

	put_named(root, "clusters", e->name,
		mk_json_pack("{s:{s:s,s:s},s:s}", "cluster", "certificate-authority-data", ca,
			"server", e->server, "name", e->name),
		ret_changed);
	put_named(root, "contexts", e->name,
		mk_json_pack("{s:{s:s,s:s},s:s}", "context", "cluster", e->name, "user", e->name,
			"name", e->name),
		ret_changed);
	put_named(root, "users", e->name,
		mk_json_pack("{s:s,s:{s:s,s:s}}", "name", e->name, "user",
			"client-certificate-data", cert, "client-key-data", key),
		ret_changed);
	set_string(root, "apiVersion", "v1", ret_changed);
	set_string(root, "kind", "Config", ret_changed);
	if (switch_context)
		set_string(root, "current-context", e->name, ret_changed);
}

static void remove_entry(json_t *root, const char *name, bool *ret_changed)
{
	for (size_t i = 0; i < MK_ARRAY_LEN(list_keys); i++)
		remove_named(json_object_get(root, list_keys[i]), name, SIZE_MAX, ret_changed);
	if (mk_streq(mk_json_str(root, "current-context", ""), name))
		set_string(root, "current-context", "", ret_changed);
}

/* The keys of a new file, in kubectl's order. */
static json_t *empty_config(void)
{
	return mk_json_pack("{s:s,s:[],s:[],s:s,s:s,s:[]}", "apiVersion", "v1", "clusters",
		"contexts", "current-context", "", "kind", "Config", "users");
}

static void apply(const struct change *c, json_t **root, bool *ret_changed)
{
	if (json_is_null(*root) && c->entry)
		*root = empty_config();
	if (c->entry)
		merge_entry(*root, c->entry, c->switch_context, ret_changed);
	else if (*c->name)
		remove_entry(*root, c->name, ret_changed);
}

static int change_file(const char *file, const struct change *c, struct mk_error *err)
{
	mk_autouserconfiglock lock = { .path = NULL };
	mk_autoerror no_lock = { .code = MK_OK };
	autosecretjson *root = NULL;
	bool is_changed = false;
	int r;

	r = mk_userconfig_lock_take(file, MK_USERCONFIG_LOCK_WAIT_MS, &lock, &no_lock);
	/* What cannot be locked because it cannot be written may need no change. */
	if (r == 0 || r == -MK_EHOST)
		r = mk_userconfig_load(file, &root, err);
	else
		mk_error_move(err, &no_lock);
	if (r < 0)
		return r;
	apply(c, &root, &is_changed);
	if (!is_changed)
		return 0;
	if (lock.path)
		return store(file, root, err);
	mk_error_move(err, &no_lock);
	return mk_error_wrap(err, "change '%s'", file);
}

static int fail_nature(const char *file, struct mk_error *err)
{
	return mk_fail(err, MK_EHOST, "the kubeconfig '%s' is not a regular file", file);
}

static int merge_into(const char *file, const struct change *c, struct mk_error *err)
{
	mk_autofree char *folder = folder_of(file);
	enum mk_userconfig_nature nature = mk_userconfig_nature(file);
	int r;

	if (nature == MK_USERCONFIG_NOWHERE)
		return 0;
	if (nature == MK_USERCONFIG_OTHER)
		return fail_nature(file, err);
	r = mk_fs_exists(folder) ? 0 : mk_fs_mkdir_all(folder, 0700, err);
	return r < 0 ? r : change_file(file, c, err);
}

int mk_userconfig_merge(const char *explicit_path, const struct mk_userconfig_entry *entry,
	bool switch_context, char **ret_path, struct mk_error *err)
{
	struct change c = { .entry = entry, .switch_context = switch_context };
	mk_autofree char *file = NULL;
	int r = mk_userconfig_path(explicit_path, &file, err);

	if (r == 0)
		r = merge_into(file, &c, err);
	if (r == 0 && ret_path)
		*ret_path = MK_TAKE(file);
	return r;
}

int mk_userconfig_remove(const char *explicit_path, const char *name, struct mk_error *err)
{
	struct change c = { .name = name };
	mk_autostrlist files = { .items = NULL };
	mk_autoerror first = { .code = MK_OK };
	int r = mk_userconfig_files(explicit_path, &files, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < files.count; i++) {
		mk_autoerror why = { .code = MK_OK };

		if (mk_userconfig_nature(files.items[i]) != MK_USERCONFIG_REGULAR)
			continue;
		if (change_file(files.items[i], &c, &why) < 0 && first.code == MK_OK)
			mk_error_move(&first, &why);
	}
	if (first.code == MK_OK)
		return 0;
	mk_error_move(err, &first);
	return -(int)err->code;
}

/* Whether files can be made in the folder, or it in the nearest one that exists. */
static int check_folder(const char *file, struct mk_error *err)
{
	mk_autofree char *folder = folder_of(file);

	while (!mk_fs_exists(folder) && !mk_streq(folder, "/") && !mk_streq(folder, ".")) {
		char *parent = folder_of(folder);

		free(folder);
		folder = parent;
	}
	if (access(folder, W_OK | X_OK) == 0)
		return 0;
	(void)mk_fail_errno(
		err, "the kubeconfig '%s' cannot be written: folder '%s'", file, folder);
	mk_error_hint(err, "name another file with --kubeconfig");
	return mk_error_recode(err, MK_EHOST);
}

int mk_userconfig_check(const char *explicit_path, struct mk_error *err)
{
	mk_autofree char *file = NULL, *target = NULL;
	autosecretjson *root = NULL;
	int r = mk_userconfig_path(explicit_path, &file, err);

	if (r < 0)
		return r;
	if (mk_userconfig_nature(file) == MK_USERCONFIG_NOWHERE)
		return 0;
	if (mk_userconfig_nature(file) == MK_USERCONFIG_OTHER)
		return fail_nature(file, err);
	r = mk_userconfig_load(file, &root, err);
	target = follow_links(file);
	if (r == 0)
		r = check_folder(file, err);
	return r < 0 ? r : check_folder(target, err);
}

int mk_userconfig_print(
	const struct mk_userconfig_entry *entry, struct mk_buf *ret, struct mk_error *err)
{
	autosecretjson *root = empty_config();
	bool is_changed = false;

	merge_entry(root, entry, true, &is_changed);
	return mk_yaml_print(root, ret, err);
}

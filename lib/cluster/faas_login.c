/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/faas_login.h"

#include "lib/base/encode.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/yaml.h"
#include "lib/cluster/cluster.h"

#define MAX_PASSWORD 4096

static bool in_ci(void)
{
	const char *ci = getenv("CI");

	return ci && (mk_streq(ci, "true") || mk_streq(ci, "1"));
}

static int find_file(char **ret, struct mk_error *err)
{
	const char *folder = getenv("OPENFAAS_CONFIG"), *home = getenv("HOME");

	if (folder && *folder)
		*ret = mk_xasprintf("%s/config.yml", folder);
	else if (in_ci())
		*ret = mk_xstrdup(".openfaas/config.yml");
	else if (home && *home)
		*ret = mk_xasprintf("%s/.openfaas/config.yml", home);
	else
		return mk_fail(err, MK_EHOST, "no place for faas-cli's config: HOME is not set");
	return 0;
}

/* An object with a list of logins; a new one when there is no file. */
static int load(const char *path, json_t **ret, struct mk_error *err)
{
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autojson *root = NULL;
	int r = mk_fs_read(path, &text, err);

	if (r == -MK_ENOTFOUND)
		mk_error_done(err);
	else if (r == 0)
		r = mk_yaml_parse(text.data, text.len, path, &root, err);
	if (r < 0 && r != -MK_ENOTFOUND)
		return r;
	if (!root || json_is_null(root)) {
		*ret = mk_json_pack("{s:[]}", "auths");
		return 0;
	}
	if (!json_is_object(root) ||
		(json_object_get(root, "auths") && !json_is_array(json_object_get(root, "auths"))))
		return mk_fail(err, MK_EINVALID, "%s: not faas-cli's: no list of auths", path);
	*ret = MK_TAKE(root);
	return 0;
}

/* In the place of the login that was there, or as the last. */
static void set_login(json_t *root, const char *gateway, const char *token)
{
	json_t *list = json_object_get(root, "auths");
	json_t *login = mk_json_pack(
		"{s:s,s:s,s:s}", "gateway", gateway, "auth", "basic", "token", token);
	size_t i = 0;

	if (!list) {
		list = json_array();
		(void)json_object_set_new(root, "auths", list);
	}
	while (i < json_array_size(list) &&
		!mk_streq(mk_json_str(json_array_get(list, i), "gateway", ""), gateway))
		i++;
	if (i < json_array_size(list))
		(void)json_array_set_new(list, i, login);
	else
		(void)json_array_append_new(list, login);
}

static int store(const char *path, const json_t *root, struct mk_error *err)
{
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autofree char *folder = mk_xstrndup(path, (size_t)(strrchr(path, '/') - path));
	int r = mk_yaml_print(root, &text, err);

	if (r == 0)
		r = mk_fs_mkdir_all(folder, 0700, err);
	return r == 0 ? mk_fs_write_atomic(path, text.data, text.len, 0600, err) : r;
}

static int change_file(
	const char *path, const char *gateway, const char *password, struct mk_error *err)
{
	mk_autowipebuf pair = mk_buf_init(MAX_PASSWORD + 16);
	mk_autosecret char *token = NULL;
	json_t *root = NULL;
	int r = load(path, &root, err);

	if (r < 0)
		return r;
	mk_buf_addf(&pair, "admin:%s", password);
	token = mk_base64(pair.data, pair.len);
	set_login(root, gateway, token);
	r = store(path, root, err);
	mk_json_wipe(root);
	json_decref(root);
	return r;
}

int mk_faas_login(struct mk_docker *docker, const char *name, char **ret_gateway, char **ret_path,
	struct mk_error *err)
{
	mk_autowipebuf password = mk_buf_init(MAX_PASSWORD);
	mk_autofree char *path = NULL;
	mk_autofree char *gateway = NULL;
	mk_autojson *node = NULL;
	int r = find_file(&path, err);

	if (r == 0)
		r = mk_cluster_find(docker, name, &node, err);
	if (r == 0)
		r = mk_cluster_password(docker, name, &password, err);
	if (r < 0)
		return r;
	gateway = mk_cluster_url(docker, "http", mk_json_str(node, "gateway", ""));
	r = change_file(path, gateway, password.data, err);
	if (r < 0)
		return mk_error_wrap(err, "log faas-cli in");
	*ret_gateway = MK_TAKE(gateway);
	*ret_path = MK_TAKE(path);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/clock.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/encryption_private.h"
#include "lib/cluster/plan.h"

/* As long as a count of etcd's keys may take. */
#define STATUS_MS 60000

void mk_encryption_status_done(struct mk_encryption_status *status)
{
	for (size_t i = 0; i < status->plane_count; i++) {
		free(status->planes[i].node);
		mk_strlist_done(&status->planes[i].keys);
	}
	free(status->planes);
	free(status->key);
	mk_strlist_done(&status->resources);
	mk_encryption_counts_done(&status->counts);
	*status = (struct mk_encryption_status){ .agree = false };
}

/* The control planes' files while they are compared. */
struct files {
	const char **names;
	struct mk_encryption *configs;
	struct mk_encryption_server *servers; /* of those that run */
	size_t *of_server;                    /* its index among the planes */
	size_t count, running;
};

static void files_done(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		mk_encryption_done(&files->configs[i]);
	free(files->names);
	free(files->configs);
	free(files->servers);
	free(files->of_server);
}

static struct files files_init(size_t room)
{
	return (struct files){
		.names = mk_xcalloc(room, sizeof(const char *)),
		.configs = mk_xcalloc(room, sizeof(struct mk_encryption)),
		.servers = mk_xcalloc(room, sizeof(struct mk_encryption_server)),
		.of_server = mk_xcalloc(room, sizeof(size_t)),
	};
}

static int add_plane(struct mk_docker *docker, const json_t *node, struct files *files,
	struct mk_encryption_status *ret, struct mk_error *err)
{
	const char *name = mk_json_str(node, "name", ""), *id = mk_json_str(node, "id", "");
	mk_autowipebuf text = mk_buf_init(MK_MAX_ENCRYPTION_CONFIG);
	struct mk_encryption *config = &files->configs[files->count];
	struct mk_encryption_plane *plane = &ret->planes[ret->plane_count];
	int r = mk_encryption_read(docker, name, id, &text, config, err);

	if (r < 0)
		return r;
	*plane = (struct mk_encryption_plane){ .node = mk_xstrdup(name) };
	for (size_t k = 0; k < config->key_count; k++)
		mk_strlist_add(&plane->keys, config->keys[k].name);
	if (mk_streq(mk_json_str(node, "state", ""), "running")) {
		files->of_server[files->running] = ret->plane_count;
		files->servers[files->running++] = (struct mk_encryption_server){ .node = name,
			.container = id };
	}
	files->names[files->count++] = name;
	ret->plane_count++;
	return 0;
}

static int read_planes(struct mk_docker *docker, const json_t *nodes, struct files *files,
	struct mk_encryption_status *ret, struct mk_error *err)
{
	const char *role = mk_role_name(MK_ROLE_CONTROL_PLANE);
	const json_t *node;
	size_t i;
	int r = 0;

	ret->planes = mk_xcalloc(json_array_size(nodes), sizeof(*ret->planes));
	json_array_foreach (nodes, i, node) {
		if (r == 0 && mk_streq(mk_json_str(node, "role", ""), role))
			r = add_plane(docker, node, files, ret, err);
	}
	return r;
}

static void compare(const struct files *files, struct mk_encryption_status *ret)
{
	const struct mk_strlist *resources = &files->configs[0].resources;

	ret->agree = true;
	for (size_t i = 1; i < files->count; i++)
		ret->agree = ret->agree &&
			mk_encryption_same(&files->configs[0], &files->configs[i]);
	for (size_t i = 0; i < resources->count; i++)
		mk_strlist_add(&ret->resources, resources->items[i]);
}

static int ask_servers(struct mk_docker *docker, struct files *files,
	struct mk_encryption_status *ret, struct mk_error *err)
{
	int r = mk_encryption_ask(docker, files->servers, files->running, err);

	for (size_t i = 0; i < files->running && r == 0; i++)
		ret->planes[files->of_server[i]].state = files->servers[i].current
			? MK_PLANE_CURRENT
			: MK_PLANE_BEHIND;
	return r;
}

static int fail_state(const json_t *node, const char *cluster, struct mk_error *err)
{
	const char *state = mk_json_str(node, "state", "?");

	(void)mk_fail(err, MK_EHOST, "node '%s' is %s", mk_json_str(node, "name", ""), state);
	mk_error_hint(err, "`mkcluster %s --name %s` first",
		mk_streq(state, "paused") ? "resume" : "start", cluster);
	return -MK_EHOST;
}

int mk_cluster_encryption_status(struct mk_docker *docker, const char *cluster,
	struct mk_encryption_status *ret, struct mk_error *err)
{
	mk_autojson *first = NULL;
	mk_autojson *nodes = NULL;
	MK_CLEANUP(files_done) struct files files = { .count = 0 };
	const struct mk_encryption_key *key = NULL;
	int64_t revision = 0;
	int r = mk_cluster_find(docker, cluster, &first, err);

	if (r == 0 && !mk_streq(mk_json_str(first, "state", ""), "running"))
		r = fail_state(first, cluster, err);
	if (r == 0)
		r = mk_cluster_nodes(docker, cluster, &nodes, err);
	if (r < 0)
		return r;
	files = files_init(json_array_size(nodes));
	r = read_planes(docker, nodes, &files, ret, err);
	if (r < 0)
		return r;
	compare(&files, ret);
	r = ask_servers(docker, &files, ret, err);
	if (r == 0)
		r = mk_encryption_count_values(docker, mk_json_str(first, "id", ""),
			mk_deadline(STATUS_MS), &ret->counts, &revision, err);
	if (r == 0)
		r = mk_rekey_find(files.configs, files.names, files.count, &ret->stage, &key, err);
	if (r == 0)
		ret->key = mk_xstrdup(key->name);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/lifecycle.h"

#include "lib/base/clock.h"
#include "lib/cluster/certs_renew.h"
#include "lib/cluster/cluster.h"
#include "lib/docker/container.h"
#include "lib/kube/watch.h"

/* Long enough for pods with the usual grace period of 30 s to end by themselves. */
#define STOP_SECONDS 40

/* What stands and falls with the cluster: its published ports too. */
static int list_nodes(
	struct mk_docker *docker, const char *name, json_t **ret, struct mk_error *err)
{
	mk_autojson *first = NULL;
	int r = mk_cluster_find(docker, name, &first, err);

	return r == 0 ? mk_cluster_members(docker, name, ret, err) : r;
}

/* POST /containers/ID/ACTION for every one that is in `state` (NULL: any). */
static int for_nodes(struct mk_docker *docker, const json_t *nodes, const char *action,
	const char *state, struct mk_error *err)
{
	size_t count = json_array_size(nodes), sent = 0, failed = 0;
	mk_autofree struct mk_docker_item *items = mk_xcalloc(count, sizeof(*items));
	mk_autofree const char **names = mk_xcalloc(count, sizeof(char *));
	const json_t *node;
	size_t i;
	int r;

	json_array_foreach (nodes, i, node) {
		if (state && !mk_streq(mk_json_str(node, "state", ""), state))
			continue;
		names[sent] = mk_json_str(node, "name", "");
		items[sent++] = (struct mk_docker_item){ .method = "POST",
			.path = mk_xasprintf(
				"/containers/%s/%s", mk_json_str(node, "id", ""), action) };
	}
	r = mk_docker_call_all(docker, items, sent, &failed, err);
	if (r < 0 && sent > 0)
		(void)mk_error_wrap(
			err, "%.*s '%s'", (int)strcspn(action, "?"), action, names[failed]);
	mk_docker_items_done(items, sent);
	return r;
}

int mk_cluster_stop(struct mk_docker *docker, const char *name, struct mk_error *err)
{
	mk_autofree char *action = mk_xasprintf("stop?t=%d", STOP_SECONDS);
	mk_autojson *nodes = NULL;
	int r = list_nodes(docker, name, &nodes, err);

	if (r == 0)
		r = for_nodes(docker, nodes, "unpause", "paused", err);
	return r == 0 ? for_nodes(docker, nodes, action, NULL, err) : r;
}

int mk_cluster_pause(struct mk_docker *docker, const char *name, struct mk_error *err)
{
	mk_autojson *nodes = NULL;
	int r = list_nodes(docker, name, &nodes, err);

	return r == 0 ? for_nodes(docker, nodes, "pause", "running", err) : r;
}

/* The Kubernetes nodes, and since when each of them runs by the engine's clock. */
static int started_at(struct mk_docker *docker, const json_t *nodes, struct mk_strlist *names,
	struct mk_strlist *since, struct mk_error *err)
{
	const json_t *node;
	size_t i;

	json_array_foreach (nodes, i, node) {
		mk_autojson *info = NULL;
		int r;

		if (!mk_cluster_is_kube(node))
			continue;
		r = mk_container_inspect(docker, mk_json_str(node, "id", ""), &info, err);
		if (r < 0)
			return r;
		mk_strlist_add(names, mk_json_str(node, "name", ""));
		mk_strlist_add(since, mk_json_str(info, "State.StartedAt", ""));
	}
	return 0;
}

static int wait_gateway(
	struct mk_docker *docker, const json_t *nodes, int64_t deadline, struct mk_error *err)
{
	const char *address = mk_json_str(json_array_get(nodes, 0), "gateway", "");
	mk_autofree char *url = NULL;

	if (!*address)
		return 0;
	url = mk_cluster_url(docker, "http", address);
	return mk_http_wait_ok(url, "/healthz", deadline, err);
}

static int wait_cluster(struct mk_docker *docker, const char *name, const json_t *nodes,
	const struct mk_strlist *names, const struct mk_strlist *since, int64_t deadline,
	struct mk_error *err)
{
	MK_CLEANUP(mk_kube_freep) struct mk_kube *kube = NULL;
	int r = mk_cluster_connect(docker, name, &kube, err);

	if (r < 0)
		return r;
	r = mk_kube_wait_ready(kube, deadline, NULL, NULL, err);
	if (r < 0)
		return mk_error_wrap(err, "the API server of '%s' is not ready", name);
	r = mk_kube_wait_nodes(kube, names, since, deadline, err);
	return r == 0 ? wait_gateway(docker, nodes, deadline, err) : r;
}

static int start_nodes(struct mk_docker *docker, const char *name, const json_t *nodes,
	int64_t deadline, struct mk_renewal **ret_renewal, struct mk_error *err)
{
	int r = mk_certs_renew_due(docker, name, nodes, deadline, ret_renewal, err);

	return r == 0 ? for_nodes(docker, nodes, "start", NULL, err) : r;
}

/* Let every node run that does not, the stopped ones too if asked, and wait. */
static int bring_back(struct mk_docker *docker, const char *name, bool stopped, int64_t deadline,
	struct mk_error *err)
{
	mk_autostrlist names = { .items = NULL }, since = { .items = NULL };
	mk_autojson *nodes = NULL;
	MK_CLEANUP(mk_renewal_freep) struct mk_renewal *renewal = NULL;
	int r = list_nodes(docker, name, &nodes, err);

	if (r == 0)
		r = for_nodes(docker, nodes, "unpause", "paused", err);
	if (r == 0 && stopped)
		r = start_nodes(docker, name, nodes, deadline, &renewal, err);
	if (r == 0)
		r = started_at(docker, nodes, &names, &since, err);
	if (r == 0)
		r = wait_cluster(docker, name, nodes, &names, &since, deadline, err);
	return r == 0 && renewal ? mk_certs_renew_rest(renewal, err) : r;
}

int mk_cluster_start(
	struct mk_docker *docker, const char *name, int64_t deadline, struct mk_error *err)
{
	return bring_back(docker, name, /* stopped= */ true, deadline, err);
}

int mk_cluster_resume(
	struct mk_docker *docker, const char *name, int64_t deadline, struct mk_error *err)
{
	return bring_back(docker, name, /* stopped= */ false, deadline, err);
}

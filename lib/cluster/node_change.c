/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/node_change.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/docker/container.h"

#include <unistd.h>

/* Where the files wait: in the file system of their places, so that a rename does. */
#define PARENT "/etc/mkcluster"
#define STAGE "staged"

#define MAX_SCRIPT ((size_t)65536)

/* A balancer that has lost sight of an API server looks for it every 200 ms; on a host
 * that has no CPU to spare, a look with its handshake takes longer than that. */
#define BALANCER_NOTICES_MS 1500

/* In the folder of this change; what one that was killed has left goes unread. All is on
 * the disk before the first file has its name. */
static const char move_files[] =
	"find . -type f -exec sync {} +\n"
	"find . ! -type d -exec sh -ec 'for f; do mkdir -p \"/${f%/*}\"; mv -fT \"$f\" \"/$f\"; done' "
	"sh {} +\n"
	"cd /\n"
	"rm -rf " PARENT "/" STAGE "\n"
	"sync -f /etc\n";

static const char wait_ready[] =
	"ready() {\n"
	"\tcurl -sf -o /dev/null -m 5 --cacert /etc/kubernetes/pki/ca.crt https://127.0.0.1:6443/readyz\n"
	"}\n"
	"n=0\n"
	"until ready; do\n"
	"\tn=$((n + 1))\n"
	"\t[ $n -lt 600 ] || { echo 'the API server is not ready'; exit 1; }\n"
	"\tsleep 0.1\n"
	"done\n";

struct mk_node_changes mk_node_changes_init(const struct mk_plan *plan)
{
	return (struct mk_node_changes){
		.items = mk_xcalloc(plan->count, sizeof(struct mk_node_change)),
		.room = plan->count,
		.stage = mk_xasprintf(STAGE "/%ld-%lld", (long)getpid(), (long long)mk_now_ms()),
	};
}

void mk_node_changes_done(struct mk_node_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		mk_tar_writer_free(changes->items[i].files);
		mk_buf_done(&changes->items[i].script);
	}
	free(changes->items);
	free(changes->stage);
	*changes = (struct mk_node_changes){ .items = NULL };
}

struct mk_node_change *mk_node_changes_add(
	struct mk_node_changes *changes, const struct mk_node_plan *node)
{
	struct mk_tar_writer_options options = { .no_parents = !node->running };
	struct mk_node_change *change = &changes->items[changes->count];

	if (changes->count == changes->room)
		abort();
	changes->count++;
	*change = (struct mk_node_change){ .node = node,
		.stage = changes->stage,
		.files = mk_tar_writer_new(&options),
		.script = mk_buf_init(MAX_SCRIPT) };
	return change;
}

void mk_node_change_file(
	struct mk_node_change *change, const char *path, mode_t mode, const void *data, size_t len)
{
	bool staged = change->node->running;
	mk_autofree char *place = mk_xasprintf("%s%s", staged ? change->stage : "", path);

	if (staged && change->file_count == 0)
		mk_tar_add_dir(change->files, STAGE, 0700, 0, 0);
	mk_tar_add_file(change->files, place, mode, 0, 0, data, len);
	change->file_count++;
}

void mk_node_change_do(struct mk_node_change *change, const char *line)
{
	mk_buf_addf(&change->script, "%s\n", line);
}

static char *archive_path(const struct mk_node_plan *node)
{
	return mk_xasprintf("/containers/%s/archive?path=%s", node->container,
		node->running ? "%2Fetc%2Fmkcluster" : "%2F");
}

/* One that has stopped or gone meanwhile is no name that the user gave. */
static int fail_node(int r, const struct mk_node_plan *node, struct mk_error *err)
{
	if (r == -MK_EEXISTS || r == -MK_ENOTFOUND)
		r = mk_error_recode(err, MK_EREMOTE);
	return node ? mk_error_wrap(err, "tell node '%s'", node->name) : r;
}

int mk_node_changes_send(
	struct mk_docker *docker, struct mk_node_changes *changes, struct mk_error *err)
{
	mk_autofree struct mk_docker_item *items = mk_xcalloc(changes->count, sizeof(*items));
	mk_autofree const struct mk_node_plan **nodes = mk_xcalloc(
		changes->count, sizeof(struct mk_node_plan *));
	size_t count = 0, failed = changes->count;
	int r = 0;

	for (size_t i = 0; i < changes->count && r == 0; i++) {
		const struct mk_node_change *change = &changes->items[i];

		if (change->file_count == 0)
			continue;
		nodes[count] = change->node;
		items[count] = (struct mk_docker_item){ .method = "PUT",
			.path = archive_path(change->node),
			.raw = mk_buf_init(MK_MAX_NODE_ARCHIVE) };
		r = mk_tar_writer_write(change->files, &items[count++].raw, err);
	}
	if (r == 0)
		r = mk_docker_call_all(docker, items, count, &failed, err);
	if (r < 0)
		r = fail_node(r, failed < count ? nodes[failed] : NULL, err);
	mk_docker_items_done(items, count);
	return r;
}

/* One node's script on its way. */
struct run {
	const struct mk_node_change *change;
	char *text;
	const char *argv[4];
};

static struct run run_of(const struct mk_node_change *change, const char *after)
{
	struct run run = { .change = change, .argv = { "sh", "-ec" } };

	if (change->file_count > 0)
		run.text = mk_xasprintf("cd " PARENT "/%s\n%s%s%s", change->stage, move_files,
			change->script.data, after);
	else
		run.text = mk_xasprintf("%s%s", change->script.data, after);
	run.argv[2] = run.text;
	return run;
}

/* A failed script's last words say why; the node is named. */
static int judge(const struct run *runs, const struct mk_exec_item *items, size_t count,
	struct mk_error *err)
{
	for (size_t i = 0; i < count; i++) {
		if (items[i].status != 0)
			return mk_fail(err, MK_EREMOTE, "node '%s' did not take the change: %.400s",
				runs[i].change->node->name, items[i].output.data);
	}
	return 0;
}

static int run_all(struct mk_docker *docker, const struct run *runs, size_t count,
	int64_t timeout_ms, struct mk_error *err)
{
	mk_autofree struct mk_exec_item *items = mk_xcalloc(count, sizeof(*items));
	int r;

	for (size_t i = 0; i < count; i++)
		items[i] = (struct mk_exec_item){ .id = runs[i].change->node->container,
			.argv = runs[i].argv,
			.output = mk_buf_init(MK_MAX_CONFIG_FILE) };
	r = mk_container_exec_all(docker, items, count, timeout_ms, err);
	if (r == 0)
		r = judge(runs, items, count, err);
	else if (r == -MK_EEXISTS || r == -MK_ENOTFOUND)
		r = mk_error_recode(err, MK_EREMOTE);
	mk_exec_items_done(items, count);
	return r;
}

static bool has_work(const struct mk_node_change *change)
{
	return change->node->running && (change->file_count > 0 || change->script.len > 0);
}

/* Those of the roles (bits 1 << enum mk_role) that have something to do. */
static int run_roles(struct mk_docker *docker, const struct mk_node_changes *changes,
	unsigned roles, int64_t timeout_ms, struct mk_error *err)
{
	mk_autofree struct run *runs = mk_xcalloc(changes->count, sizeof(*runs));
	size_t count = 0;
	int r = 0;

	for (size_t i = 0; i < changes->count; i++) {
		const struct mk_node_change *change = &changes->items[i];

		if (has_work(change) && (roles >> change->node->role & 1))
			runs[count++] = run_of(change, "");
	}
	if (count > 0)
		r = run_all(docker, runs, count, timeout_ms, err);
	for (size_t i = 0; i < count; i++)
		free(runs[i].text);
	return r;
}

int mk_node_changes_run(struct mk_docker *docker, const struct mk_node_changes *changes,
	int64_t timeout_ms, struct mk_error *err)
{
	return run_roles(docker, changes, ~0U, timeout_ms, err);
}

int mk_other_nodes_run(struct mk_docker *docker, const struct mk_node_changes *changes,
	int64_t timeout_ms, struct mk_error *err)
{
	return run_roles(docker, changes, ~(1U << MK_ROLE_CONTROL_PLANE), timeout_ms, err);
}

int mk_control_planes_run(struct mk_docker *docker, const struct mk_node_changes *changes,
	int64_t timeout_ms, struct mk_error *err)
{
	bool first = true;
	int r = 0;

	for (size_t i = 0; i < changes->count && r == 0; i++) {
		const struct mk_node_change *change = &changes->items[i];
		struct run run;

		if (!has_work(change) || change->node->role != MK_ROLE_CONTROL_PLANE)
			continue;
		r = first ? 0 : mk_sleep_ms(BALANCER_NOTICES_MS, err);
		if (r < 0)
			return r;
		first = false;
		run = run_of(change, wait_ready);
		r = run_all(docker, &run, 1, timeout_ms, err);
		free(run.text);
	}
	return r;
}

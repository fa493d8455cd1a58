/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes of a cluster know of each other, brought up to date. */
#include "lib/base/limits.h"
#include "lib/cluster/existing.h"
#include "lib/cluster/file_list.h"
#include "lib/docker/container.h"

#define TELL_TIMEOUT_MS 60000

/* The files that depend on other nodes, and what makes a change of each take hold. */
static const struct {
	const char *path;
	const char *command;
} told[] = {
	{ "/etc/mkcluster/routes", "systemctl restart pod-network.service" },
	{ "/etc/mkcluster/haproxy.cfg", "systemctl reload load-balancer.service" },
	{ "/etc/systemd/system/kube-controller-manager.service",
		"systemctl restart kube-controller-manager.service" },
	{ "/etc/systemd/system/kube-scheduler.service",
		"systemctl restart kube-scheduler.service" },
	/* Only read when the kubelet's start waits for the API. */
	{ "/etc/systemd/system/kube-api-ready.service", ":" },
};

/* What one node is told: files, and a script for when it runs. */
struct message {
	const struct mk_node_plan *node;
	struct mk_node_files files;
	struct mk_buf script;
	const char *argv[4];
};

struct messages {
	struct message *items;
	size_t count;
};

static void messages_done(struct messages *messages)
{
	for (size_t i = 0; i < messages->count; i++) {
		mk_node_files_done(&messages->items[i].files);
		mk_buf_done(&messages->items[i].script);
	}
	free(messages->items);
}

/* A unit that changed is read anew before anything is done with it. */
static const char *first_command(const struct mk_node_files *changed)
{
	for (size_t i = 0; i < changed->count; i++) {
		if (mk_after_prefix(changed->items[i].path, "/etc/systemd/"))
			return "systemctl daemon-reload\n";
	}
	return "";
}

/* Of the two lists, what is new to the node. */
static void compare(
	const struct mk_node_files *before, const struct mk_node_files *now, struct message *ret)
{
	mk_autobuf commands = mk_buf_init(MK_MAX_CONFIG_FILE);

	for (size_t i = 0; i < MK_ARRAY_LEN(told); i++) {
		const struct mk_node_file *old = mk_node_files_find(before, told[i].path);
		const struct mk_node_file *file = mk_node_files_find(now, told[i].path);

		if (!file || (old && mk_streq(old->text, file->text)))
			continue;
		mk_node_files_add(&ret->files, file->path, file->mode, file->text);
		mk_buf_addf(&commands, "%s\n", told[i].command);
	}
	mk_buf_addf(&ret->script, "%s%s", first_command(&ret->files), commands.data);
}

/* The API moved behind a balancer: kubelet and kube-proxy follow. Their files hold
 * keys that we do not have, so the one line is changed where it stands. */
static void move_api(const struct mk_bringup *b, struct mk_buf *script)
{
	mk_buf_addf(script,
		"for f in kubelet%s; do\n"
		"\tsed -i 's#^\\( *server: \\).*#\\1https://%s:6443#' /etc/kubernetes/$f.conf\n"
		"\tsystemctl try-restart $f.service\ndone\n",
		b->spec->proxy_mode == MK_PROXY_NONE ? "" : " kube-proxy", b->plan.api_ip);
}

static int make_message(struct mk_bringup *b, const struct mk_plan *before,
	const struct mk_node_plan *node, struct messages *ret, struct mk_error *err)
{
	struct mk_bringup then = *b;
	mk_autonodefiles old = { .items = NULL }, now = { .items = NULL };
	struct message *message = &ret->items[ret->count];
	int r;

	then.plan = *before;
	r = mk_node_files_make(&then, mk_plan_find(before, node->name), &old, err);
	if (r == 0)
		r = mk_node_files_make(b, node, &now, err);
	if (r < 0)
		return mk_error_wrap(err, "node '%s'", node->name);
	*message = (struct message){ .node = node, .script = mk_buf_init(MK_MAX_CONFIG_FILE) };
	ret->count++;
	compare(&old, &now, message);
	if (node->role != MK_ROLE_LOAD_BALANCER && !mk_streq(before->api_ip, b->plan.api_ip))
		move_api(b, &message->script);
	return 0;
}

static int pack(const struct mk_node_files *files, struct mk_buf *ret, struct mk_error *err)
{
	struct mk_tar_writer_options options = { .no_parents = true };
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *tar = mk_tar_writer_new(&options);

	mk_node_files_pack(files, tar);
	return mk_tar_writer_write(tar, ret, err);
}

static int send_files(struct mk_bringup *b, const struct messages *messages, struct mk_error *err)
{
	mk_autofree struct mk_docker_item *items = mk_xcalloc(messages->count, sizeof(*items));
	mk_autofree const char **names = mk_xcalloc(messages->count, sizeof(char *));
	size_t count = 0, failed = messages->count;
	int r = 0;

	for (size_t i = 0; i < messages->count && r == 0; i++) {
		const struct message *message = &messages->items[i];

		if (message->files.count == 0)
			continue;
		names[count] = message->node->name;
		items[count] = (struct mk_docker_item){ .method = "PUT",
			.path = mk_xasprintf(
				"/containers/%s/archive?path=%%2F", message->node->container),
			.raw = mk_buf_init(MK_MAX_NODE_ARCHIVE) };
		r = pack(&message->files, &items[count++].raw, err);
	}
	if (r == 0)
		r = mk_docker_call_all(b->docker, items, count, &failed, err);
	if (r < 0 && failed < count)
		(void)mk_error_wrap(err, "tell node '%s'", names[failed]);
	mk_docker_items_done(items, count);
	return r;
}

/* A failed script's last line says why; the node is named. */
static int judge(const struct messages *messages, struct mk_exec_item *items, size_t count,
	struct mk_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *name = "?";

		for (size_t n = 0; n < messages->count; n++) {
			if (messages->items[n].argv == items[i].argv)
				name = messages->items[n].node->name;
		}
		if (items[i].status != 0)
			return mk_fail(err, MK_EREMOTE, "node '%s' did not take the change: %.400s",
				name, items[i].output.data);
	}
	return 0;
}

static int run_scripts(struct mk_bringup *b, struct messages *messages, struct mk_error *err)
{
	mk_autofree struct mk_exec_item *items = mk_xcalloc(messages->count, sizeof(*items));
	size_t count = 0;
	int r;

	for (size_t i = 0; i < messages->count; i++) {
		struct message *message = &messages->items[i];

		if (message->script.len == 0 || !message->node->running)
			continue;
		message->argv[0] = "sh";
		message->argv[1] = "-ec";
		message->argv[2] = message->script.data;
		items[count++] = (struct mk_exec_item){ .id = message->node->container,
			.argv = message->argv,
			.output = mk_buf_init(MK_MAX_CONFIG_FILE) };
	}
	r = mk_container_exec_all(b->docker, items, count, TELL_TIMEOUT_MS, err);
	if (r == 0)
		r = judge(messages, items, count, err);
	for (size_t i = 0; i < count; i++)
		mk_buf_done(&items[i].output);
	return r;
}

int mk_existing_tell(
	struct mk_bringup *b, const struct mk_plan *before, unsigned roles, struct mk_error *err)
{
	MK_CLEANUP(messages_done)
	struct messages messages = { .items = mk_xcalloc(b->plan.count, sizeof(struct message)) };
	int r = 0;

	for (size_t i = 0; i < b->plan.count && r == 0; i++) {
		const struct mk_node_plan *node = &b->plan.nodes[i];

		if ((roles >> node->role & 1) && !node->fresh && mk_plan_find(before, node->name))
			r = make_message(b, before, node, &messages, err);
	}
	if (r == 0)
		r = send_files(b, &messages, err);
	if (r == 0)
		r = run_scripts(b, &messages, err);
	/* One that has stopped or gone meanwhile is no name that the user gave. */
	return r == -MK_EEXISTS || r == -MK_ENOTFOUND ? mk_error_recode(err, MK_EREMOTE) : r;
}

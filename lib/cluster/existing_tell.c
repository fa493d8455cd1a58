/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes of a cluster know of each other, brought up to date. */
#include "lib/base/limits.h"
#include "lib/cluster/existing.h"
#include "lib/cluster/file_list.h"
#include "lib/cluster/node_change.h"

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

static const struct mk_node_file *changed_file(
	const struct mk_node_files *before, const struct mk_node_files *now, const char *path)
{
	const struct mk_node_file *old = mk_node_files_find(before, path);
	const struct mk_node_file *file = mk_node_files_find(now, path);

	return file && old && mk_streq(old->text, file->text) ? NULL : file;
}

/* Of the two lists, what is new to the node. A unit that changed is read anew before
 * anything is done with it. */
static void compare(const struct mk_node_files *before, const struct mk_node_files *now,
	struct mk_node_change *ret)
{
	mk_autobuf commands = mk_buf_init(MK_MAX_CONFIG_FILE);
	bool unit = false;

	for (size_t i = 0; i < MK_ARRAY_LEN(told); i++) {
		const struct mk_node_file *file = changed_file(before, now, told[i].path);

		if (!file)
			continue;
		unit = unit || mk_after_prefix(file->path, "/etc/systemd/");
		mk_node_change_file(ret, file->path, file->mode, file->text, strlen(file->text));
		mk_buf_addf(&commands, "%s\n", told[i].command);
	}
	mk_buf_addf(&ret->script, "%s%s", unit ? "systemctl daemon-reload\n" : "", commands.data);
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

static int make_change(struct mk_bringup *b, const struct mk_plan *before,
	const struct mk_node_plan *node, struct mk_node_changes *ret, struct mk_error *err)
{
	struct mk_bringup then = *b;
	mk_autonodefiles old = { .items = NULL }, now = { .items = NULL };
	struct mk_node_change *change;
	int r;

	then.plan = *before;
	r = mk_node_files_make(&then, mk_plan_find(before, node->name), &old, err);
	if (r == 0)
		r = mk_node_files_make(b, node, &now, err);
	if (r < 0)
		return mk_error_wrap(err, "node '%s'", node->name);
	change = mk_node_changes_add(ret, node);
	compare(&old, &now, change);
	if (node->role != MK_ROLE_LOAD_BALANCER && !mk_streq(before->api_ip, b->plan.api_ip))
		move_api(b, &change->script);
	return 0;
}

int mk_existing_tell(
	struct mk_bringup *b, const struct mk_plan *before, unsigned roles, struct mk_error *err)
{
	mk_autochanges changes = mk_node_changes_init(&b->plan);
	int r = 0;

	for (size_t i = 0; i < b->plan.count && r == 0; i++) {
		const struct mk_node_plan *node = &b->plan.nodes[i];

		if ((roles >> node->role & 1) && !node->fresh && mk_plan_find(before, node->name))
			r = make_change(b, before, node, &changes, err);
	}
	if (r == 0)
		r = mk_node_changes_send(b->docker, &changes, err);
	return r == 0 ? mk_node_changes_run(b->docker, &changes, TELL_TIMEOUT_MS, err) : r;
}

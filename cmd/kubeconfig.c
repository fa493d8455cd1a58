/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster kubeconfig user */
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/cluster/spec.h"
#include "lib/cluster/user.h"

#include <stdio.h>

#define DAY_S 86400

struct options {
	const char *name;
	struct mk_strlist groups;
	int64_t days;
	const char *file;
	bool allow_system;
	int64_t timeout_ms;
};

static const struct mk_option options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
	{ .name = "group",
		.letter = 'g',
		.kind = MK_OPTION_LIST,
		.value = "GROUP",
		.offset = offsetof(struct options, groups),
		.help = "of which the user is; may be given again" },
	{ .name = "days",
		.kind = MK_OPTION_NUMBER,
		.value = "N",
		.offset = offsetof(struct options, days),
		.help = "how long the certificate is valid (365)" },
	{ .name = "output",
		.letter = 'o',
		.kind = MK_OPTION_STRING,
		.value = "FILE",
		.offset = offsetof(struct options, file),
		.help = "a new file, instead of stdout" },
	{ .name = "allow-system",
		.kind = MK_OPTION_ON,
		.offset = offsetof(struct options, allow_system),
		.help = "names that begin with system:, too" },
	{ .name = "timeout",
		.kind = MK_OPTION_SECONDS,
		.value = "TIME",
		.offset = offsetof(struct options, timeout_ms),
		.help = "give up after (30s)" },
};

static void init(void *o)
{
	*(struct options *)o = (struct options){
		.name = MK_DEFAULT_NAME, .days = 365, .timeout_ms = 30000
	};
}

/* Before a certificate is made for it. A file that is there may be read by others, or be
 * the user's own kubeconfig, of which nothing would be left. */
static int check_file(const char *path, struct mk_error *err)
{
	if (!path || !mk_fs_exists(path))
		return 0;
	(void)mk_fail(err, MK_EEXISTS, "'%s' is there already", path);
	mk_error_hint(err, "name another file, or remove it");
	return -MK_EEXISTS;
}

static int write_out(const char *path, const struct mk_buf *text, struct mk_error *err)
{
	if (path)
		return mk_fs_write_atomic(path, text->data, text->len, 0600, err);
	if (fwrite(text->data, 1, text->len, stdout) != text->len || fflush(stdout) != 0)
		return mk_fail_errno(err, "write to stdout");
	return 0;
}

static char *describe(const struct mk_user_grant *grant)
{
	char date[32];
	struct tm tm;

	(void)gmtime_r(&grant->not_after, &tm);
	(void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &tm);
	return mk_xasprintf("valid until %s", date);
}

static void explain(struct mk_progress *progress, const struct options *o, const char *user,
	const struct mk_user_grant *grant)
{
	long long days = (long long)(grant->not_after - time(NULL) + DAY_S / 2) / DAY_S;

	if (grant->shorter)
		mk_progress_say(progress, "That is %lld days instead of %lld: %s.", days,
			(long long)o->days,
			grant->by_authority
				? "the cluster's CA is valid no longer"
				: "the controller manager's --cluster-signing-duration is the "
				  "most it gives");
	mk_progress_say(progress,
		"It cannot be revoked, and gives no rights: those are what RBAC gives to user '%s'%s"
		".\nTo let them read a namespace, say:\n"
		"  kubectl create rolebinding NAME --clusterrole=view --%s='%s' --namespace=default",
		user, o->groups.count > 0 ? " and the groups" : "",
		o->groups.count > 0 ? "group" : "user",
		o->groups.count > 0 ? o->groups.items[0] : user);
}

static int add_user(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	const struct mk_user user = {
		.name = arguments->items[0],
		.groups = &o->groups,
		.days = o->days,
		.allow_system = o->allow_system,
		.timeout_ms = o->timeout_ms,
	};
	struct mk_user_grant grant = { .shorter = false };
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	int64_t start = mk_now_ms();
	mk_autofree char *note = NULL;
	int r = mk_cluster_name_check(o->name, err);

	if (r == 0)
		r = mk_user_check(&user, err);
	if (r == 0)
		r = check_file(o->file, err);
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	mk_progress_begin(&progress, "Having a certificate signed");
	if (r == 0)
		r = mk_cluster_add_user(docker, o->name, &user, &text, &grant, err);
	mk_progress_close(&progress);
	if (r == 0)
		r = write_out(o->file, &text, err);
	if (r < 0)
		return r;
	note = describe(&grant);
	mk_progress_end(&progress, "Having a certificate signed", mk_now_ms() - start, note);
	explain(&progress, o, user.name, &grant);
	return 0;
}

const struct mk_command mk_command_kubeconfig_user = {
	.path = "kubeconfig user",
	.arguments = "NAME",
	.min_arguments = 1,
	.max_arguments = 1,
	.summary = "print a kubeconfig for another user",
	.about =
		"Makes a key, and has the cluster sign a certificate for user NAME and the groups. The\n"
		"key is in the kubeconfig and nowhere else; --output writes it to a file with mode\n"
		"0600. The user has no rights but those that a RoleBinding or ClusterRoleBinding\n"
		"gives. A certificate cannot be revoked: few days are safer than many.\n",
	.examples =
		"  mkcluster kubeconfig user jane --group dev --days 30 --output jane.conf\n"
		"  kubectl create rolebinding dev --clusterrole=edit --group=dev --namespace=default\n"
		"  kubectl --kubeconfig jane.conf get pods\n",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = add_user,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster openfaas login */
#include "cmd/command.h"
#include "cmd/progress.h"
#include "lib/cluster/faas_login.h"
#include "lib/cluster/spec.h"

struct options {
	const char *name;
};

static const struct mk_option options[] = {
	MK_NAME_OPTION(struct options, "the cluster's name (mkcluster)"),
};

static void init(void *o)
{
	*(struct options *)o = (struct options){ .name = MK_DEFAULT_NAME };
}

static int login(const struct mk_context *context, const void *opts,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	const struct options *o = opts;
	struct mk_progress progress = { .context = context };
	MK_CLEANUP(mk_docker_freep) struct mk_docker *docker = NULL;
	mk_autofree char *gateway = NULL;
	mk_autofree char *path = NULL;
	int r = mk_cluster_name_check(o->name, err);

	(void)arguments;
	if (r == 0)
		r = mk_docker_new(NULL, &docker, err);
	if (r == 0)
		r = mk_faas_login(docker, o->name, &gateway, &path, err);
	if (r == 0)
		mk_progress_say(&progress,
			"faas-cli is logged in, by %s. Next:\n  export OPENFAAS_URL=%s", path,
			gateway);
	return r;
}

const struct mk_command mk_command_openfaas_login = {
	.path = "openfaas login",
	.summary = "log faas-cli in to a cluster's gateway",
	.about = "Writes faas-cli's own file, for you alone; logins to other gateways are kept.\n",
	.examples = "  mkcluster openfaas login && faas-cli list --gateway "
		    "http://127.0.0.1:31112\n",
	.options = options,
	.option_count = MK_ARRAY_LEN(options),
	.options_size = sizeof(struct options),
	.init = init,
	.run = login,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* What `create` does, in order: the architecture on one screen. */
#include "lib/cluster/bringup.h"

/* Without pod network and services nothing in pods can come up. */
bool mk_bringup_no_services(const struct mk_bringup *b)
{
	return b->spec->no_cni || b->spec->proxy_mode == MK_PROXY_NONE;
}

static bool no_openfaas(const struct mk_bringup *b)
{
	return !b->spec->openfaas || mk_bringup_no_services(b);
}

static bool not_asked_to_resume(const struct mk_bringup *b)
{
	return !b->options->resume;
}

static bool resuming(const struct mk_bringup *b)
{
	return b->resuming;
}

static bool no_password_to_find(const struct mk_bringup *b)
{
	return !b->resuming || !b->spec->openfaas;
}

static bool no_addons(const struct mk_bringup *b)
{
	return !b->spec->storage && !b->spec->metrics;
}

const struct mk_step mk_create_steps[] = {
	{ "Finding what is there", mk_step_find, not_asked_to_resume, false },
	{ "Checking the host", mk_step_check_host, resuming, false },
	{ "Making certificates", mk_step_make_secrets, resuming, false },
	{ "Starting the nodes", mk_step_start_nodes, resuming, false },
	{ "Waiting for the API server", mk_step_wait_api, NULL, false },
	{ "Finding the password", mk_step_find_password, no_password_to_find, false },
	{ "Applying manifests", mk_step_apply, NULL, false },
	{ "Waiting for the nodes", mk_step_wait_nodes, NULL, false },
	{ "Waiting for DNS", mk_step_wait_dns, mk_bringup_no_services, false },
	/* Nobody waits for them: they start while OpenFaaS' pods mostly wait for each other. */
	{ "Starting addons", mk_step_start_addons, no_addons, false },
	{ "Waiting for OpenFaaS", mk_step_wait_openfaas, no_openfaas, false },
	/* Last, so that a bring-up that fails has not touched the user's file. */
	{ "Writing the kubeconfig", mk_step_write_kubeconfig, NULL, true },
};

const size_t mk_create_step_count = MK_ARRAY_LEN(mk_create_steps);

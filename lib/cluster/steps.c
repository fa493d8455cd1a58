/* SPDX-License-Identifier: Apache-2.0 */
/* What `create` does, in order: the architecture on one screen. */
#include "lib/cluster/bringup.h"

static bool no_openfaas(const struct mk_bringup *b)
{
	return !b->spec->openfaas;
}

const struct mk_step mk_create_steps[] = {
	{ "Checking the host", mk_step_check_host, NULL },
	{ "Making certificates", mk_step_make_secrets, NULL },
	{ "Starting the nodes", mk_step_start_nodes, NULL },
	{ "Waiting for the API server", mk_step_wait_api, NULL },
	{ "Writing the kubeconfig", mk_step_write_kubeconfig, NULL },
	{ "Applying manifests", mk_step_apply, NULL },
	{ "Waiting for the nodes", mk_step_wait_nodes, NULL },
	{ "Waiting for DNS", mk_step_wait_dns, NULL },
	{ "Waiting for OpenFaaS", mk_step_wait_openfaas, no_openfaas },
};

const size_t mk_create_step_count = MK_ARRAY_LEN(mk_create_steps);

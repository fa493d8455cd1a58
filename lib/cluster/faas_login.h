/* SPDX-License-Identifier: Apache-2.0 */
/* faas-cli, logged in to a cluster's gateway without being asked for the password. */
#ifndef MK_CLUSTER_FAAS_LOGIN_H
#define MK_CLUSTER_FAAS_LOGIN_H

#include "lib/docker/client.h"

/**
 * Write the password of user admin into faas-cli's own file, as `faas-cli login` does
 * (github.com/openfaas/faas-cli/config): config.yml in $OPENFAAS_CONFIG, in ./.openfaas
 * where $CI is true, else in ~/.openfaas. A new file has mode 0600, a new folder 0700;
 * other gateways and keys we do not know are kept, and the file is replaced as a whole.
 * The caller frees `*ret_gateway`, the URL, and `*ret_path`.
 *
 * MK_ENOTFOUND when there is no such cluster or it has no OpenFaaS; MK_EINVALID,
 * FILE:LINE:COLUMN, when the file is none of faas-cli's, and it is left alone.
 */
int mk_faas_login(struct mk_docker *docker, const char *name, char **ret_gateway, char **ret_path,
	struct mk_error *err) MK_CHECKED;

#endif

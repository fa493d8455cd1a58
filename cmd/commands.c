/* SPDX-License-Identifier: Apache-2.0 */
/* The list of all commands, in the order of help. */
#include "cmd/command.h"

const struct mk_command *const mk_commands[] = {
	&mk_command_create,
	&mk_command_delete,
	&mk_command_stop,
	&mk_command_start,
	&mk_command_restart,
	&mk_command_pause,
	&mk_command_resume,
	&mk_command_node_add,
	&mk_command_node_remove,
	&mk_command_port_add,
	&mk_command_port_list,
	&mk_command_port_remove,
	&mk_command_encryption_status,
	&mk_command_encryption_rotate,
	&mk_command_verify,
	&mk_command_certs_list,
	&mk_command_certs_check,
	&mk_command_certs_renew,
	&mk_command_snapshot_save,
	&mk_command_snapshot_list,
	&mk_command_snapshot_restore,
	&mk_command_get_clusters,
	&mk_command_get_nodes,
	&mk_command_get_kubeconfig,
	&mk_command_get_password,
	&mk_command_kubeconfig_user,
	&mk_command_apply,
	&mk_command_openfaas_login,
	&mk_command_load_image,
	&mk_command_load_archive,
	&mk_command_config_validate,
	&mk_command_config_print,
	&mk_command_config_schema,
	&mk_command_build_node_image,
	&mk_command_build_component,
	&mk_command_version,
};

const size_t mk_command_count = MK_ARRAY_LEN(mk_commands);

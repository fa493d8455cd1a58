/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Config files in more detail than mk_cluster_spec_load: problem by problem, with
 * the host looked at, and what a file may hold as a schema.
 */
#ifndef MK_CLUSTER_CONFIG_H
#define MK_CLUSTER_CONFIG_H

#include "lib/base/decode.h"
#include "lib/cluster/spec.h"

enum mk_config_flags {
	MK_CONFIG_HOST = 1 << 0, /* the folders to mount must exist on this machine */
};

/**
 * Read a config file ("-" is standard input) over what the spec holds. MK_EUSAGE
 * when it cannot be read at all; every mistake in it becomes a problem of `d`, whose
 * `what` is set: mk_decode_finish makes an error of them. `*ret_name` is what `what`
 * points to, and for the caller to free after `d` is done with.
 */
int mk_config_read(struct mk_cluster_spec *spec, const char *path, unsigned flags,
	struct mk_decode *d, char **ret_name, struct mk_error *err) MK_CHECKED;

/** The JSON Schema of mkcluster.dev/v1 files. The caller owns it. */
json_t *mk_config_schema(void) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* mkcluster version */
#include "cmd/command.h"

#include <stdio.h>

static int run(const struct mk_context *context, const void *options,
	const struct mk_strlist *arguments, struct mk_error *err)
{
	(void)context;
	(void)options;
	(void)arguments;
	(void)err;
	(void)printf("mkcluster " MK_VERSION "\n");
	return 0;
}

const struct mk_command mk_command_version = {
	.path = "version",
	.summary = "show the version",
	.run = run,
};

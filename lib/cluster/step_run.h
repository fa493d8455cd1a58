/* SPDX-License-Identifier: Apache-2.0 */
/* A run in steps that are reported one by one. Private to lib/cluster. */
#ifndef MK_CLUSTER_STEP_RUN_H
#define MK_CLUSTER_STEP_RUN_H

#include "lib/cluster/create.h"

struct mk_run_step {
	const char *title;
	/** May set `*ret_note`, which the runner frees, to what is worth saying. */
	int (*run)(void *arg, char **ret_note, struct mk_error *err);
	bool (*skip)(const void *arg); /* NULL: never */
};

/** Run the steps in order, up to the first that fails, whose title comes before its
 * error; MK_EINTR between two of them. */
int mk_steps_run(const struct mk_run_step *steps, size_t count, void *arg,
	const struct mk_create_report *report, struct mk_error *err) MK_CHECKED;

#endif

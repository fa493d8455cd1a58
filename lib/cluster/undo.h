/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back of a run that failed. Everything it made carries its run id, so
 * the undo goes by that id and touches nothing of another run, nor of the
 * cluster that was there before.
 */
#ifndef MK_CLUSTER_UNDO_H
#define MK_CLUSTER_UNDO_H

#include "lib/docker/client.h"

/** How long an interrupt waits for the answer of a request that makes something
 * (mk_interrupt_delay): an engine makes it also when we hang up, after the undo
 * has looked for it. */
#define MK_CREATE_GRACE_MS 3000

/**
 * Remove all that the run made, after it failed with `why`. When that dropped a
 * request in the middle, what the engine was making appears a moment later: a
 * second look finds it. Not interruptible.
 */
int mk_undo_run(struct mk_docker *docker, const char *run_id, const struct mk_error *why,
	struct mk_error *err) MK_CHECKED;

/** Say in `err`, the failure of the run, how its undo ended: with `r`, and when that is
 * negative with `second`, which is added and never replaces the first. */
void mk_undo_report(struct mk_error *err, int r, const struct mk_error *second);

#endif

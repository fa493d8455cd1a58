/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps as they are shown on stderr: one live line on a terminal, one plain
 * line a finished step elsewhere, nothing with --quiet.
 */
#ifndef MK_CMD_PROGRESS_H
#define MK_CMD_PROGRESS_H

#include "cmd/command.h"
#include "lib/cluster/create.h"

#include <stdint.h>

struct mk_progress {
	const struct mk_context *context;
	bool open; /* a live line stands without its end */
};

void mk_progress_begin(struct mk_progress *progress, const char *title);

/** Replace what the live line says beside the title; nothing without a terminal. */
void mk_progress_note(struct mk_progress *progress, const char *title, const char *note);

/** How a step has ended. */
enum mk_progress_mark { MK_PROGRESS_DONE, MK_PROGRESS_FAILED, MK_PROGRESS_SKIPPED };

/** Print the line of a step that has ended. */
void mk_progress_mark(struct mk_progress *progress, enum mk_progress_mark mark, const char *title,
	int64_t ms, const char *note);

/** The same, of one that is done. */
void mk_progress_end(struct mk_progress *progress, const char *title, int64_t ms, const char *note);

/** What a run in steps reports to, to be shown so; `progress` has to outlive the run. */
struct mk_create_report mk_progress_report(struct mk_progress *progress);

/** A line of its own, such as a warning. */
void mk_progress_say(struct mk_progress *progress, const char *fmt, ...) MK_PRINTF(2, 3);

/** End a live line that was left open by a failure. */
void mk_progress_close(struct mk_progress *progress);

#endif

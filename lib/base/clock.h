/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monotonic time, deadlines, and the one place where an interrupt is noticed.
 * SIGINT and SIGTERM only set a flag; whatever waits (a sleep, a transfer, a
 * child process) looks at it and returns MK_EINTR, so that the caller's undo
 * runs in ordinary code.
 */
#ifndef MK_BASE_CLOCK_H
#define MK_BASE_CLOCK_H

#include "lib/base/error.h"

#include <stdint.h>

/** Milliseconds of the monotonic clock. */
int64_t mk_now_ms(void);

/** The moment `ms` from now. */
int64_t mk_deadline(int64_t ms);

/** Milliseconds until `deadline`, never negative; 0 once it has passed. */
int64_t mk_remaining_ms(int64_t deadline);

/**
 * Install the handlers for SIGINT and SIGTERM, and ignore SIGPIPE. The first
 * signal asks for an orderly end; the second one, during the undo, leaves at
 * once with status 130.
 */
void mk_interrupt_install(void);

/** Whether the user asked to stop, and nobody shields work from it now. */
bool mk_interrupted(void);

/** Whether a signal has arrived, shielded or not. */
bool mk_interrupt_seen(void);

/** While shielded, waits go on in spite of the first signal: the undo runs so. Every
 * shield put up is taken down again; within one, another one changes nothing. */
void mk_interrupt_shield(bool on);

/** Until it is set to 0 again, waits notice a signal only `ms` after it came: for
 * requests whose effect must be known before they are given up. */
void mk_interrupt_delay(int64_t ms);

/** Set the flag as a signal would. For tests. */
void mk_interrupt_raise(void);

/** Clear the flag. For tests. */
void mk_interrupt_reset(void);

/** Fill `err` with MK_EINTR and return -MK_EINTR. */
int mk_fail_interrupted(struct mk_error *err);

/** Sleep up to `ms`; MK_EINTR when interrupted. */
int mk_sleep_ms(int64_t ms, struct mk_error *err) MK_CHECKED;

/** "4.2s", "1m05s": a duration for people. Caller frees. */
char *mk_format_duration(int64_t ms);

/** "2026-11-23T10:00:00Z": seconds since 1970 as RFC 3339 has them, UTC. Caller frees. */
char *mk_format_time(int64_t seconds);

/** "12.3 MB": decimal units, as disk and registry sizes are given. Caller frees. */
char *mk_format_bytes(uint64_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace lines on stderr for -v. Library code traces only; steps and results
 * reach the user through callbacks that cmd passes down. Secrets never come
 * here: callers trace a request's method, path and status, not its body.
 */
#ifndef MK_BASE_LOG_H
#define MK_BASE_LOG_H

#include "lib/base/mem.h"

/** 0: nothing; 1: each engine and API request; 2: more. Set once, by cmd. */
void mk_log_set_level(int level);
int mk_log_level(void);

/** Print one line with the time since start when the level is at least 1. */
void mk_trace(const char *fmt, ...) MK_PRINTF(1, 2);

#endif

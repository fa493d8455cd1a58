/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/log.h"

#include "lib/base/clock.h"

#include <stdio.h>

static int log_level;
static int64_t log_start_ms;

void mk_log_set_level(int level)
{
	log_level = level;
	log_start_ms = mk_now_ms();
}

int mk_log_level(void)
{
	return log_level;
}

void mk_trace(const char *fmt, ...)
{
	mk_autofree char *line = NULL;
	int64_t ms;
	va_list ap;

	if (log_level < 1)
		return;
	va_start(ap, fmt);
	line = mk_xvasprintf(fmt, ap);
	va_end(ap);
	ms = mk_now_ms() - log_start_ms;
	(void)fprintf(stderr, "[%3lld.%03lld] %s\n", (long long)(ms / 1000), (long long)(ms % 1000),
		line);
}

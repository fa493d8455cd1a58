/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress.h"

#include "lib/base/clock.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ERASE "\r\033[K"

static bool is_utf8(void)
{
	static int known = -1;

	if (known < 0) {
		(void)setlocale(LC_CTYPE, "");
		known = mk_streq(nl_langinfo(CODESET), "UTF-8");
	}
	return known == 1;
}

static bool is_live(const struct mk_progress *p)
{
	/* Trace lines and a live line would overwrite each other. */
	return p->context->terminal && !p->context->quiet && !p->context->verbose;
}

static int columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10)
		return size.ws_col;
	return 80;
}

void mk_progress_note(struct mk_progress *progress, const char *title, const char *note)
{
	mk_autofree char *line = NULL;

	if (!is_live(progress))
		return;
	line = mk_xasprintf("%s%s%s", title, note ? " " : " ...", note ? note : "");
	/* A line that wraps could not be erased. */
	(void)fprintf(stderr, ERASE "  %.*s", columns() - 3, line);
	(void)fflush(stderr);
	progress->open = true;
}

void mk_progress_begin(struct mk_progress *progress, const char *title)
{
	mk_progress_note(progress, title, NULL);
}

void mk_progress_mark(struct mk_progress *progress, enum mk_progress_mark mark, const char *title,
	int64_t ms, const char *note)
{
	static const struct {
		const char *plain, *utf8, *colour;
	} marks[] = {
		[MK_PROGRESS_DONE] = { "+", "✓", "\033[32m" },
		[MK_PROGRESS_FAILED] = { "x", "✗", "\033[31m" },
		[MK_PROGRESS_SKIPPED] = { "-", "-", "\033[33m" },
	};
	mk_autofree char *time = mark == MK_PROGRESS_SKIPPED ? mk_xstrdup("")
							     : mk_format_duration(ms);
	bool colour = progress->context->colour;

	if (progress->context->quiet)
		return;
	(void)fprintf(stderr, "%s%s%s%s %-28s %6s%s%s\n", is_live(progress) ? ERASE : "",
		colour ? marks[mark].colour : "", is_utf8() ? marks[mark].utf8 : marks[mark].plain,
		colour ? "\033[0m" : "", title, time, note ? "  " : "", note ? note : "");
	progress->open = false;
}

void mk_progress_end(struct mk_progress *progress, const char *title, int64_t ms, const char *note)
{
	mk_progress_mark(progress, MK_PROGRESS_DONE, title, ms, note);
}

static void step_begin(void *payload, const char *title)
{
	mk_progress_begin(payload, title);
}

static void step_end(void *payload, const char *title, int64_t ms, const char *note)
{
	mk_progress_end(payload, title, ms, note);
}

struct mk_create_report mk_progress_report(struct mk_progress *progress)
{
	return (struct mk_create_report){
		.payload = progress, .begin = step_begin, .end = step_end
	};
}

void mk_progress_say(struct mk_progress *progress, const char *fmt, ...)
{
	mk_autofree char *line = NULL;
	va_list ap;

	if (progress->context->quiet)
		return;
	va_start(ap, fmt);
	line = mk_xvasprintf(fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "%s%s\n", progress->open ? ERASE : "", line);
	progress->open = false;
}

void mk_progress_close(struct mk_progress *progress)
{
	if (progress->open)
		(void)fprintf(stderr, ERASE);
	progress->open = false;
}

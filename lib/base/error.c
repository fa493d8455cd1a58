/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/error.h"

#include <errno.h>
#include <string.h>

/* The message must stay one line, whatever a peer put into it. */
static void flatten(char *s)
{
	size_t end;

	for (char *p = s; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	}
	end = strlen(s);
	while (end > 0 && s[end - 1] == ' ')
		s[--end] = '\0';
}

void mk_error_done(struct mk_error *err)
{
	free(err->message);
	free(err->hint);
	free(err->detail);
	*err = (struct mk_error){ .code = MK_OK };
}

int mk_fail(struct mk_error *err, enum mk_code code, const char *fmt, ...)
{
	va_list ap;
	char *message;

	va_start(ap, fmt);
	message = mk_xvasprintf(fmt, ap);
	va_end(ap);
	mk_error_done(err);
	flatten(message);
	err->code = code;
	err->message = message;
	return -(int)code;
}

int mk_fail_errno(struct mk_error *err, const char *fmt, ...)
{
	int saved = errno;
	mk_autofree char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = mk_xvasprintf(fmt, ap);
	va_end(ap);
	return mk_fail(err, MK_ESYS, "%s: %s", what, strerror(saved));
}

int mk_error_wrap(struct mk_error *err, const char *fmt, ...)
{
	mk_autofree char *context = NULL;
	char *message;
	va_list ap;

	va_start(ap, fmt);
	context = mk_xvasprintf(fmt, ap);
	va_end(ap);
	flatten(context);
	message = mk_xasprintf("%s: %s", context, err->message ? err->message : "unknown error");
	free(err->message);
	err->message = message;
	return -(int)err->code;
}

void mk_error_hint(struct mk_error *err, const char *fmt, ...)
{
	va_list ap;

	if (err->hint)
		return;
	va_start(ap, fmt);
	err->hint = mk_xvasprintf(fmt, ap);
	va_end(ap);
}

int mk_error_recode(struct mk_error *err, enum mk_code code)
{
	err->code = code;
	return -(int)code;
}

void mk_error_move(struct mk_error *to, struct mk_error *from)
{
	mk_error_done(to);
	*to = *from;
	*from = (struct mk_error){ .code = MK_OK };
}

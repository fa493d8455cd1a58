/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/mem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

__attribute__((noreturn)) static void out_of_memory(void)
{
	static const char message[] = "mkcluster: out of memory\n";

	(void)!write(STDERR_FILENO, message, sizeof(message) - 1);
	_exit(1);
}

void *mk_xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *mk_xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *mk_xrealloc(void *p, size_t size)
{
	void *q = realloc(p, size ? size : 1);

	if (!q)
		out_of_memory();
	return q;
}

char *mk_xstrdup(const char *s)
{
	return mk_xstrndup(s, strlen(s));
}

char *mk_xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = mk_xmalloc(len + 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *mk_xvasprintf(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		out_of_memory();
	return s;
}

char *mk_xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = mk_xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

void mk_wipe(void *p, size_t len)
{
	if (p && len > 0)
		explicit_bzero(p, len);
}

void mk_secret_free(char *s)
{
	if (!s)
		return;
	mk_wipe(s, strlen(s));
	free(s);
}

void mk_closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

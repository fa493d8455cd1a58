/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/buf.h"

#include <string.h>

struct mk_buf mk_buf_init(size_t max)
{
	struct mk_buf buf = { .max = max };

	buf.data = mk_xcalloc(1, 1);
	return buf;
}

void mk_buf_done(struct mk_buf *buf)
{
	free(buf->data);
	*buf = (struct mk_buf){ .data = NULL };
}

void mk_buf_wipe(struct mk_buf *buf)
{
	mk_wipe(buf->data, buf->cap);
	mk_buf_done(buf);
}

/*
 * Grown by copying, not realloc: a moved block would leave a copy of a secret
 * in freed memory.
 */
static void reserve(struct mk_buf *buf, size_t need)
{
	size_t cap = buf->cap ? buf->cap : 64;
	char *data;

	if (need <= buf->cap)
		return;
	while (cap < need)
		cap = cap > buf->max / 2 ? buf->max : cap * 2;
	data = mk_xmalloc(cap + 1);
	if (buf->data)
		memcpy(data, buf->data, buf->len);
	data[buf->len] = '\0';
	mk_wipe(buf->data, buf->cap);
	free(buf->data);
	buf->data = data;
	buf->cap = cap;
}

void mk_buf_add(struct mk_buf *buf, const void *data, size_t len)
{
	if (len > buf->max - buf->len) {
		buf->full = true;
		len = buf->max - buf->len;
	}
	if (len == 0)
		return;
	reserve(buf, buf->len + len);
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void mk_buf_adds(struct mk_buf *buf, const char *s)
{
	mk_buf_add(buf, s, strlen(s));
}

void mk_buf_addf(struct mk_buf *buf, const char *fmt, ...)
{
	mk_autosecret char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = mk_xvasprintf(fmt, ap);
	va_end(ap);
	mk_buf_adds(buf, s);
}

void mk_buf_clear(struct mk_buf *buf)
{
	buf->len = 0;
	buf->full = false;
	if (buf->data)
		buf->data[0] = '\0';
}

void mk_buf_drop(struct mk_buf *buf, size_t n)
{
	if (n > buf->len)
		n = buf->len;
	if (n == 0)
		return;
	memmove(buf->data, buf->data + n, buf->len - n);
	buf->len -= n;
	buf->data[buf->len] = '\0';
}

char *mk_buf_detach(struct mk_buf *buf)
{
	char *s = buf->data ? buf->data : mk_xstrdup("");

	*buf = (struct mk_buf){ .max = buf->max };
	return s;
}

int mk_buf_check(const struct mk_buf *buf, const char *what, struct mk_error *err)
{
	if (!buf->full)
		return 0;
	return mk_fail(err, MK_EINVALID, "%s is larger than %zu bytes", what, buf->max);
}

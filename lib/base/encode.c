/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/encode.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

static char *encode64(const void *data, size_t len, const char *alphabet)
{
	const unsigned char *in = data;
	char *out = mk_xmalloc((len + 2) / 3 * 4 + 1);
	char *p = out;

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)in[i] << 16;

		if (left > 1)
			v |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			v |= in[i + 2];
		*p++ = alphabet[v >> 18 & 63];
		*p++ = alphabet[v >> 12 & 63];
		*p++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
		*p++ = left > 2 ? alphabet[v & 63] : '=';
	}
	*p = '\0';
	return out;
}

char *mk_base64(const void *data, size_t len)
{
	return encode64(
		data, len, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

char *mk_base64url(const void *data, size_t len)
{
	return encode64(
		data, len, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}

static int value64(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

int mk_base64_decode(const char *s, struct mk_buf *ret, struct mk_error *err)
{
	uint32_t acc = 0;
	unsigned bits = 0, digits = 0, pads = 0;

	for (; *s; s++) {
		int v;
		char byte;

		if (strchr(" \t\r\n", *s))
			continue;
		if (*s == '=') {
			pads++;
			continue;
		}
		v = value64(*s);
		if (v < 0 || pads > 0)
			return mk_fail(err, MK_EINVALID, "not base64");
		digits++;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		byte = (char)(acc >> bits & 0xff);
		mk_buf_add(ret, &byte, 1);
	}
	if (pads > 2 || (digits + pads) % 4 != 0)
		return mk_fail(err, MK_EINVALID, "base64 is cut short");
	return mk_buf_check(ret, "base64 data", err);
}

char *mk_hex(const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *in = data;
	char *out = mk_xmalloc(len * 2 + 1);

	for (size_t i = 0; i < len; i++) {
		out[i * 2] = digits[in[i] >> 4];
		out[i * 2 + 1] = digits[in[i] & 15];
	}
	out[len * 2] = '\0';
	return out;
}

int mk_random(void *data, size_t len, struct mk_error *err)
{
	unsigned char *p = data;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mk_fail_errno(err, "getrandom");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int mk_random_hex(size_t bytes, char **ret, struct mk_error *err)
{
	unsigned char raw[64];
	int r;

	if (bytes > sizeof(raw))
		bytes = sizeof(raw);
	r = mk_random(raw, bytes, err);
	if (r < 0)
		return r;
	*ret = mk_hex(raw, bytes);
	mk_wipe(raw, sizeof(raw));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests by OpenSSL's EVP interface, and the two forms in which projects
 * publish them.
 */
#include "lib/fetch/checksum.h"

#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/str.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <unistd.h>

#define SHA256_DIGITS 64
#define SHA512_DIGITS 128
#define FILE_CHUNK ((size_t)262144)

struct mk_checksum {
	EVP_MD_CTX *context;
	const EVP_MD *kind;
};

static int fail_openssl(struct mk_error *err)
{
	char words[256];

	ERR_error_string_n(ERR_get_error(), words, sizeof(words));
	return mk_fail(err, MK_EFAIL, "compute a digest: %s", words);
}

int mk_checksum_new(const char *like, struct mk_checksum **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_checksum_freep) struct mk_checksum *sum = mk_xcalloc(1, sizeof(*sum));
	int r;

	sum->kind = strlen(like) == SHA512_DIGITS ? EVP_sha512() : EVP_sha256();
	sum->context = EVP_MD_CTX_new();
	if (!sum->context)
		return fail_openssl(err);
	r = mk_checksum_reset(sum, err);
	if (r < 0)
		return r;
	*ret = MK_TAKE(sum);
	return 0;
}

void mk_checksum_free(struct mk_checksum *sum)
{
	if (!sum)
		return;
	EVP_MD_CTX_free(sum->context);
	free(sum);
}

int mk_checksum_reset(struct mk_checksum *sum, struct mk_error *err)
{
	if (EVP_DigestInit_ex(sum->context, sum->kind, NULL) != 1)
		return fail_openssl(err);
	return 0;
}

int mk_checksum_add(struct mk_checksum *sum, const void *data, size_t len, struct mk_error *err)
{
	if (EVP_DigestUpdate(sum->context, data, len) != 1)
		return fail_openssl(err);
	return 0;
}

int mk_checksum_add_file(struct mk_checksum *sum, int fd, const char *path, struct mk_error *err)
{
	mk_autofree char *chunk = mk_xmalloc(FILE_CHUNK);
	off_t offset = 0;

	for (;;) {
		ssize_t n = pread(fd, chunk, FILE_CHUNK, offset);
		int r;

		if (mk_interrupted())
			return mk_fail_interrupted(err);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mk_fail_errno(err, "read '%s'", path);
		if (n == 0)
			return 0;
		r = mk_checksum_add(sum, chunk, (size_t)n, err);
		if (r < 0)
			return r;
		offset += n;
	}
}

int mk_checksum_end(struct mk_checksum *sum, char **ret, struct mk_error *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_DigestFinal_ex(sum->context, digest, &len) != 1)
		return fail_openssl(err);
	*ret = mk_hex(digest, len);
	return 0;
}

/* The hex digits at the start of `s` when they are a whole digest, else 0. */
static size_t digest_length(const char *s)
{
	size_t n = strspn(s, "0123456789abcdefABCDEF");

	return n == SHA256_DIGITS || n == SHA512_DIGITS ? n : 0;
}

bool mk_checksum_valid(const char *hex)
{
	size_t n = digest_length(hex);

	return n > 0 && hex[n] == '\0';
}

static char *lower(const char *s, size_t n)
{
	char *copy = mk_xstrndup(s, n);

	for (char *p = copy; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

/* Whether the line is "<hex>  name": white space, perhaps a star, the name. */
static bool names_file(const char *line, const char *name)
{
	size_t n = digest_length(line);
	const char *listed, *base;

	if (n == 0 || (line[n] != ' ' && line[n] != '\t'))
		return false;
	listed = line + n + strspn(line + n, " \t");
	if (*listed == '*')
		listed++;
	base = strrchr(listed, '/');
	return mk_streq(listed, name) || (base && mk_streq(base + 1, name));
}

static void trim_end(char *line)
{
	size_t n = strlen(line);

	while (n > 0 && isspace((unsigned char)line[n - 1]))
		line[--n] = '\0';
}

int mk_checksum_find(
	const char *text, const char *name, const char *what, char **ret, struct mk_error *err)
{
	mk_autostrlist lines = { .items = NULL };
	size_t digests = 0;

	mk_strlist_split(&lines, text, "\r\n");
	for (size_t i = 0; i < lines.count; i++) {
		trim_end(lines.items[i]);
		digests += digest_length(lines.items[i]) > 0;
	}
	if (lines.count == 1 && mk_checksum_valid(lines.items[0])) {
		*ret = lower(lines.items[0], strlen(lines.items[0]));
		return 0;
	}
	for (size_t i = 0; i < lines.count; i++) {
		if (names_file(lines.items[i], name)) {
			*ret = lower(lines.items[i], digest_length(lines.items[i]));
			return 0;
		}
	}
	if (digests > 0)
		return mk_fail(err, MK_EINVALID, "%s has no checksum for '%s'", what, name);
	return mk_fail(err, MK_EINVALID, "%s holds no SHA-256 or SHA-512 checksum", what);
}

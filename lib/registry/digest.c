/* SPDX-License-Identifier: Apache-2.0 */
/* The only user of OpenSSL's digests in this layer. */
#include "lib/registry/digest.h"

#include "lib/base/clock.h"
#include "lib/base/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

struct mk_digest {
	EVP_MD_CTX *ctx;
	bool broken;
};

struct mk_digest *mk_digest_new(void)
{
	struct mk_digest *digest = mk_xcalloc(1, sizeof(*digest));

	digest->ctx = EVP_MD_CTX_new();
	digest->broken = !digest->ctx || EVP_DigestInit_ex(digest->ctx, EVP_sha256(), NULL) != 1;
	return digest;
}

void mk_digest_free(struct mk_digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->ctx);
	free(digest);
}

void mk_digest_update(struct mk_digest *digest, const void *data, size_t len)
{
	if (!digest->broken && len > 0)
		digest->broken = EVP_DigestUpdate(digest->ctx, data, len) != 1;
}

int mk_digest_hex(struct mk_digest *digest, char **ret, struct mk_error *err)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (!digest->broken)
		digest->broken = EVP_DigestFinal_ex(digest->ctx, hash, &len) != 1;
	if (digest->broken)
		return mk_fail(err, MK_EFAIL, "OpenSSL: SHA-256 does not work");
	*ret = mk_hex(hash, len);
	return 0;
}

int mk_digest_data(const void *data, size_t len, char **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_digest_freep) struct mk_digest *digest = mk_digest_new();

	mk_digest_update(digest, data, len);
	return mk_digest_hex(digest, ret, err);
}

static int hash_fd(int fd, const char *path, struct mk_digest *digest, uint64_t *ret_size,
	struct mk_error *err)
{
	const size_t cap = (size_t)256 * 1024;
	mk_autofree char *chunk = mk_xmalloc(cap);

	for (;;) {
		ssize_t n;

		if (mk_interrupted())
			return mk_fail_interrupted(err);
		n = read(fd, chunk, cap);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mk_fail_errno(err, "read %s", path);
		if (n == 0)
			return 0;
		mk_digest_update(digest, chunk, (size_t)n);
		*ret_size += (uint64_t)n;
	}
}

int mk_digest_file(const char *path, char **ret, uint64_t *ret_size, struct mk_error *err)
{
	MK_CLEANUP(mk_digest_freep) struct mk_digest *digest = mk_digest_new();
	mk_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t size = 0;
	int r;

	if (fd < 0 && errno == ENOENT)
		return mk_fail(err, MK_ENOTFOUND, "no such file: %s", path);
	if (fd < 0)
		return mk_fail_errno(err, "open %s", path);
	r = hash_fd(fd, path, digest, &size, err);
	if (r == 0)
		r = mk_digest_hex(digest, ret, err);
	if (r == 0 && ret_size)
		*ret_size = size;
	return r;
}

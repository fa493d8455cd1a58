/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of the cache and of mirrors, and the records of verified files. */
#include "lib/fetch/cache.h"

#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/fetch/checksum.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_RECORD 4096

static const char *after_scheme(const char *url)
{
	const char *rest = mk_after_prefix(url, "https://");

	return rest ? rest : mk_after_prefix(url, "http://");
}

const char *mk_cache_base_name(const char *url)
{
	const char *slash = strrchr(url, '/');

	return slash ? slash + 1 : url;
}

static bool good_segment(const char *s, size_t n)
{
	if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isgraph((unsigned char)s[i]) || strchr("?#@\\", s[i]))
			return false;
	}
	return true;
}

int mk_cache_key(const char *url, char **ret, struct mk_error *err)
{
	const char *rest = after_scheme(url);
	size_t segments = 0;

	for (const char *p = rest; p; segments++) {
		size_t n = strcspn(p, "/");

		if (!good_segment(p, n))
			return mk_fail(err, MK_EUSAGE, "'%s' is not a plain file URL", url);
		p = p[n] == '/' ? p + n + 1 : NULL;
	}
	if (segments < 2)
		return mk_fail(err, MK_EUSAGE, "'%s' is not an http(s) URL of a file", url);
	*ret = mk_xstrdup(rest);
	return 0;
}

int mk_cache_source(
	const char *url, const char *mirror, char **ret, bool *ret_local, struct mk_error *err)
{
	mk_autofree char *key = NULL;
	size_t n = mirror ? strlen(mirror) : 0;
	struct stat st;
	int r = mk_cache_key(url, &key, err);

	if (r < 0)
		return r;
	if (!mirror) {
		*ret = mk_xstrdup(url);
		*ret_local = false;
		return 0;
	}
	if (!after_scheme(mirror) && (stat(mirror, &st) < 0 || !S_ISDIR(st.st_mode))) {
		(void)mk_fail(
			err, MK_EUSAGE, "mirror '%s' is not a folder or an http(s) URL", mirror);
		mk_error_hint(err, "name an existing folder, or a URL that starts with https://");
		return -(int)err->code;
	}
	while (n > 1 && mirror[n - 1] == '/')
		n--;
	*ret = mk_xasprintf("%.*s/%s", (int)n, mirror, key);
	*ret_local = !after_scheme(mirror);
	return 0;
}

static char *record_path(const char *path, const char *kind)
{
	return mk_xasprintf("%s.%s", path, kind);
}

static char *record_stamp(const struct stat *st)
{
	return mk_xasprintf("# size %" PRIdMAX " changed %" PRIdMAX ".%09ld\n",
		(intmax_t)st->st_size, (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

int mk_cache_record(int fd, const char *path, const char *digest, struct mk_error *err)
{
	const char *kind = strlen(digest) == 64 ? "sha256" : "sha512";
	const char *other = strlen(digest) == 64 ? "sha512" : "sha256";
	mk_autofree char *record = record_path(path, kind);
	mk_autofree char *stale = record_path(path, other);
	mk_autofree char *stamp = NULL;
	mk_autofree char *text = NULL;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return mk_fail_errno(err, "read the size of '%s'", path);
	stamp = record_stamp(&st);
	text = mk_xasprintf("%s  %s\n%s", digest, mk_cache_base_name(path), stamp);
	(void)unlink(stale);
	return mk_fs_write_atomic(record, text, strlen(text), 0644, err);
}

/* The record's digest and stamp; an absent or unreadable record is no record. */
static bool read_record(const char *path, char **ret_digest, char **ret_stamp)
{
	static const char *const kinds[] = { "sha256", "sha512" };

	for (size_t i = 0; i < MK_ARRAY_LEN(kinds); i++) {
		mk_autofree char *record = record_path(path, kinds[i]);
		mk_autobuf text = mk_buf_init(MAX_RECORD);
		mk_autoerror ignored = { .code = MK_OK };
		const char *stamp;

		if (mk_fs_read(record, &text, &ignored) < 0)
			continue;
		stamp = strchr(text.data, '\n');
		if (!stamp ||
			mk_checksum_find(text.data, mk_cache_base_name(path), record, ret_digest,
				&ignored) < 0)
			continue;
		*ret_stamp = mk_xstrdup(stamp + 1);
		return true;
	}
	return false;
}

static int hash_matches(
	int fd, const char *path, const char *digest, bool *ret, struct mk_error *err)
{
	MK_CLEANUP(mk_checksum_freep) struct mk_checksum *sum = NULL;
	mk_autofree char *actual = NULL;
	int r = mk_checksum_new(digest, &sum, err);

	if (r == 0)
		r = mk_checksum_add_file(sum, fd, path, err);
	if (r == 0)
		r = mk_checksum_end(sum, &actual, err);
	if (r == 0)
		*ret = mk_streq(actual, digest);
	return r;
}

/* Open a regular file; -1 in `ret` when there is none. */
static int open_cached(const char *path, int *ret, struct stat *ret_st, struct mk_error *err)
{
	mk_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
		return mk_fail_errno(err, "open '%s'", path);
	if (fd >= 0 && fstat(fd, ret_st) < 0)
		return mk_fail_errno(err, "open '%s'", path);
	if (fd >= 0 && !S_ISREG(ret_st->st_mode))
		return mk_fail(err, MK_EHOST, "'%s' is in the way of a download", path);
	*ret = fd;
	fd = -1;
	return 0;
}

int mk_cache_lookup(const char *path, char **ret_digest, struct mk_error *err)
{
	mk_autofree char *digest = NULL;
	mk_autofree char *recorded = NULL;
	mk_autofree char *stamp = NULL;
	mk_autoclose int fd = -1;
	struct stat st;
	bool good = false;
	int r = open_cached(path, &fd, &st, err);

	if (r < 0)
		return r;
	if (fd >= 0 && read_record(path, &digest, &recorded)) {
		stamp = record_stamp(&st);
		good = mk_streq(stamp, recorded);
		if (!good) {
			r = hash_matches(fd, path, digest, &good, err);
			if (r < 0)
				return r;
			/* A cache that cannot be written is slower, not worse. */
			if (good && mk_cache_record(fd, path, digest, err) < 0)
				mk_error_done(err);
		}
	}
	*ret_digest = good ? MK_TAKE(digest) : NULL;
	return 0;
}

int mk_cache_adopt(const char *path, const char *digest, bool *ret, struct mk_error *err)
{
	mk_autoclose int fd = -1;
	struct stat st;
	bool same = false;
	int r = open_cached(path, &fd, &st, err);

	if (r == 0 && fd >= 0)
		r = hash_matches(fd, path, digest, &same, err);
	if (r == 0 && same)
		r = mk_cache_record(fd, path, digest, err);
	if (r == 0)
		*ret = same;
	return r;
}

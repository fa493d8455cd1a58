/* SPDX-License-Identifier: Apache-2.0 */
/* lib/archive: taking files out of release archives, and compressed ones. */
#include "lib/archive/extract.h"
#include "lib/archive/tar_reader.h"
#include "lib/archive/tar_writer.h"
#include "lib/base/fs.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *scratch(void)
{
	char *dir = mk_xstrdup("/tmp/mk-test-archive.XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static void drop_scratch(char *dir)
{
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_fs_remove_all(dir, &err), 0);
	free(dir);
}

static void save(const char *path, const void *data, size_t len)
{
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_fs_write_atomic(path, data, len, 0644, &err), 0);
}

static void test_extract(void **state)
{
	char *dir = scratch();
	mk_autofree char *tar_path = mk_xasprintf("%s/r.tar", dir);
	mk_autofree char *etcd = mk_xasprintf("%s/etcd", dir);
	mk_autofree char *other = mk_xasprintf("%s/ctl", dir);
	struct mk_archive_member members[] = {
		{ "rel/etcdctl", other, 0600 },
		{ "rel/etcd", etcd, 0755 },
	};
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *writer = mk_tar_writer_new(NULL);
	mk_autoerror err = { .code = MK_OK };
	mk_autobuf tar = mk_buf_init(1 << 20);
	mk_autobuf data = mk_buf_init(1 << 20);
	struct stat st;

	(void)state;
	mk_tar_add_text(writer, "rel/etcd", 0600, "the server");
	mk_tar_add_text(writer, "rel/etcdctl", 0755, "the tool");
	mk_tar_add_symlink(writer, "rel/link", "/etc/passwd", 0, 0);
	assert_int_equal(mk_tar_writer_write(writer, &tar, &err), 0);
	save(tar_path, tar.data, tar.len);
	save(etcd, "old", 3);
	assert_int_equal(mk_archive_extract_files(tar_path, members, 2, &err), 0);
	assert_int_equal(mk_fs_read(etcd, &data, &err), 0);
	assert_string_equal(data.data, "the server");
	assert_int_equal(stat(etcd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(
		mk_archive_extract_file(tar_path, "rel/none", other, 0644, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "r.tar has no member 'rel/none'"));
	assert_int_equal(
		mk_archive_extract_file(tar_path, "rel/link", other, 0644, &err), -MK_EINVALID);
	assert_int_equal(
		mk_archive_extract_file("/nonexistent", "x", other, 0644, &err), -MK_ENOTFOUND);
	drop_scratch(dir);
}

/* Archives compressed as a whole, and the first halves of them. */
static void test_compressed(void **state)
{
	char *dir = scratch();
	mk_autofree char *plain = mk_xasprintf("%s/t.tar", dir);
	mk_autofree char *path = mk_xasprintf("%s/packed", dir);
	mk_autofree char *out = mk_xasprintf("%s/out", dir);
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *writer = mk_tar_writer_new(NULL);
	static const char *const tools[] = { "gzip", "xz", "zstd -q" };
	mk_autoerror err = { .code = MK_OK };
	mk_autobuf tar = mk_buf_init(1 << 20);

	(void)state;
	mk_tar_add_text(writer, "f", 0644, "hi\n");
	assert_int_equal(mk_tar_writer_write(writer, &tar, &err), 0);
	save(plain, tar.data, tar.len);
	for (size_t i = 0; i < MK_ARRAY_LEN(tools); i++) {
		mk_autofree char *command = mk_xasprintf("%s -c %s", tools[i], plain);
		mk_autobuf packed = mk_buf_init(1 << 20);
		char chunk[4096];
		FILE *pipe = popen(command, "r");
		size_t n;

		assert_non_null(pipe);
		while ((n = fread(chunk, 1, sizeof(chunk), pipe)) > 0)
			mk_buf_add(&packed, chunk, n);
		if (pclose(pipe) != 0) /* the tool is not installed here */
			continue;
		save(path, packed.data, packed.len);
		assert_int_equal(mk_archive_extract_file(path, "f", out, 0644, &err), 0);
		save(path, packed.data, packed.len / 2);
		assert_int_equal(mk_archive_extract_file(path, "f", out, 0644, &err), -MK_EINVALID);
		mk_error_done(&err);
	}
	drop_scratch(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extract),
		cmocka_unit_test(test_compressed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

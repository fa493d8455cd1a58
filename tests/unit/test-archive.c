/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/archive: what the writer builds is what the reader finds, the same bytes
 * every time; and what the reader must refuse, written by hand as raw headers.
 */
#include "lib/archive/tar_reader.h"
#include "lib/archive/tar_writer.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG ((size_t)300 * 1024 + 17)

struct source {
	const char *data;
	size_t len;
	size_t step; /* bytes a call, 0: as many as fit */
	size_t fail_at;
};

static ssize_t read_source(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct source *source = payload;
	size_t n = source->len < cap ? source->len : cap;

	if (source->fail_at > 0 && source->fail_at-- == 1)
		return mk_fail(err, MK_ENET, "the wire was cut");
	if (source->step > 0 && n > source->step)
		n = source->step;
	memcpy(data, source->data, n);
	source->data += n;
	source->len -= n;
	return (ssize_t)n;
}

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

static struct mk_tar_writer *sample(const char *disk)
{
	struct mk_tar_writer_options options = { .mtime = 1700000000 };
	struct mk_tar_writer *writer = mk_tar_writer_new(&options);
	mk_autofree char *big = mk_xcalloc(1, BIG);

	memset(big, 'b', BIG);
	mk_tar_add_text(writer, "/etc/app/one.txt", 0600, "one\n");
	mk_tar_add_dir(writer, "etc/app/", 0750, 10, 20);
	mk_tar_add_symlink(writer, "etc/link", "../app/one.txt", 0, 0);
	mk_tar_add_file(writer, "big", 0644, 1, 2, big, BIG);
	mk_tar_add_file(writer, "empty", 0644, 0, 0, NULL, 0);
	if (disk)
		mk_tar_add_from_disk(writer, "disk", 0755, 3, 4, disk);
	return writer;
}

static void read_all(struct mk_tar_reader *reader, struct mk_buf *ret)
{
	mk_autoerror err = { .code = MK_OK };
	char chunk[1000];
	ssize_t n;

	mk_buf_clear(ret);
	while ((n = mk_tar_reader_data(reader, chunk, sizeof(chunk), &err)) > 0)
		mk_buf_add(ret, chunk, (size_t)n);
	assert_int_equal(n, 0);
}

static void expect(struct mk_tar_reader *reader, const char *name, enum mk_tar_type type,
	mode_t mode, uint64_t size)
{
	mk_autoerror err = { .code = MK_OK };
	struct mk_tar_entry entry;

	assert_int_equal(mk_tar_reader_next(reader, &entry, &err), 1);
	assert_string_equal(entry.name, name);
	assert_int_equal(entry.type, type);
	assert_int_equal(entry.mode, mode);
	assert_int_equal(entry.size, size);
}

static void test_round_trip(void **state)
{
	mk_autofree char *path = NULL;
	char *dir = scratch();
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *writer = NULL;
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	mk_autoerror err = { .code = MK_OK };
	mk_autowipebuf tar = mk_buf_init(4 << 20);
	mk_autobuf data = mk_buf_init(4 << 20);
	struct mk_tar_entry entry;
	struct source source;

	(void)state;
	path = mk_xasprintf("%s/f", dir);
	save(path, "from disk", 9);
	writer = sample(path);
	assert_int_equal(mk_tar_writer_write(writer, &tar, &err), 0);
	source = (struct source){ .data = tar.data, .len = tar.len, .step = 777 };
	assert_int_equal(mk_tar_reader_open(read_source, &source, NULL, &reader, &err), 0);
	expect(reader, "etc", MK_TAR_DIR, 0755, 0);
	expect(reader, "etc/app", MK_TAR_DIR, 0750, 0);
	expect(reader, "etc/app/one.txt", MK_TAR_FILE, 0600, 4);
	read_all(reader, &data);
	assert_string_equal(data.data, "one\n");
	expect(reader, "etc/link", MK_TAR_SYMLINK, 0777, 0);
	expect(reader, "big", MK_TAR_FILE, 0644, BIG);
	read_all(reader, &data);
	assert_int_equal(data.len, BIG);
	expect(reader, "empty", MK_TAR_FILE, 0644, 0);
	read_all(reader, &data);
	assert_int_equal(data.len, 0);
	expect(reader, "disk", MK_TAR_FILE, 0755, 9);
	read_all(reader, &data);
	assert_string_equal(data.data, "from disk");
	assert_int_equal(mk_tar_reader_next(reader, &entry, &err), 0);
	drop_scratch(dir);
}

/* Pulled in odd pieces, twice, the archive is the one written whole. */
static void test_stream_is_same_bytes(void **state)
{
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *writer = sample(NULL);
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *other = sample(NULL);
	mk_autoerror err = { .code = MK_OK };
	mk_autobuf whole = mk_buf_init(4 << 20);
	char chunk[313];
	ssize_t n;

	(void)state;
	assert_int_equal(mk_tar_writer_write(other, &whole, &err), 0);
	assert_int_equal(whole.len % 512, 0);
	for (int round = 0; round < 2; round++) {
		mk_autobuf pieces = mk_buf_init(4 << 20);

		while ((n = mk_tar_writer_read(writer, chunk, sizeof(chunk), &err)) > 0)
			mk_buf_add(&pieces, chunk, (size_t)n);
		assert_int_equal(n, 0);
		assert_int_equal(mk_tar_writer_read(writer, chunk, sizeof(chunk), &err), 0);
		assert_int_equal(pieces.len, whole.len);
		assert_memory_equal(pieces.data, whole.data, whole.len);
		mk_tar_writer_rewind(writer);
	}
	/* Freed in the middle. */
	assert_true(mk_tar_writer_read(writer, chunk, 100, &err) > 0);
}

static void test_long_and_foreign_names(void **state)
{
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *writer = NULL;
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	struct mk_tar_writer_options options = { .no_parents = true };
	mk_autoerror err = { .code = MK_OK };
	mk_autobuf tar = mk_buf_init(1 << 20);
	struct source source;
	char name[601];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[600] = '\0';
	name[100] = name[300] = name[500] = '/';
	writer = mk_tar_writer_new(&options);
	mk_tar_add_text(writer, name, 0644, "x");
	mk_tar_add_text(writer, "d\xc3\xa9j\xc3\xa0", 0644, "y");
	assert_int_equal(mk_tar_writer_count(writer), 2);
	assert_int_equal(mk_tar_writer_write(writer, &tar, &err), 0);
	source = (struct source){ .data = tar.data, .len = tar.len };
	assert_int_equal(mk_tar_reader_open(read_source, &source, NULL, &reader, &err), 0);
	expect(reader, name, MK_TAR_FILE, 0644, 1);
	expect(reader, "d\xc3\xa9j\xc3\xa0", MK_TAR_FILE, 0644, 1);
}

static void expect_write_error(
	struct mk_tar_writer *writer, size_t max, enum mk_code code, const char *words)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autobuf tar = mk_buf_init(max);

	assert_int_equal(mk_tar_writer_write(writer, &tar, &err), -(int)code);
	if (!strstr(err.message, words))
		fail_msg("'%s' lacks '%s'", err.message, words);
	mk_tar_writer_free(writer);
}

static void test_writer_refuses(void **state)
{
	struct mk_tar_writer *writer = mk_tar_writer_new(NULL);

	(void)state;
	mk_tar_add_text(writer, "a/../b", 0644, "");
	mk_tar_add_text(writer, "fine", 0644, "");
	expect_write_error(writer, 65536, MK_EINVALID, "a/../b");

	writer = mk_tar_writer_new(NULL);
	mk_tar_add_text(writer, "a", 0644, "");
	mk_tar_add_text(writer, "./a", 0644, "");
	expect_write_error(writer, 65536, MK_EINVALID, "'a' is there twice");

	writer = mk_tar_writer_new(NULL);
	mk_tar_add_text(writer, "a", 0644, "");
	mk_tar_add_text(writer, "a/b", 0644, "");
	expect_write_error(writer, 65536, MK_EINVALID, "'a' is not a directory");

	writer = mk_tar_writer_new(NULL);
	mk_tar_add_text(writer, "/", 0644, "");
	expect_write_error(writer, 65536, MK_EINVALID, "names nothing");

	writer = mk_tar_writer_new(NULL);
	mk_tar_add_from_disk(writer, "x", 0644, 0, 0, "/nonexistent/file");
	expect_write_error(writer, 65536, MK_ENOTFOUND, "'x': no such file: /nonexistent/file");

	writer = mk_tar_writer_new(NULL);
	mk_tar_add_from_disk(writer, "x", 0644, 0, 0, "/tmp");
	expect_write_error(writer, 65536, MK_EINVALID, "not a regular file");

	writer = sample(NULL);
	expect_write_error(writer, 65536, MK_EINVALID, "larger than 65536 bytes");
}

/* One ustar header, checksum included; nothing libarchive's writer would make. */
static void raw_header(
	struct mk_buf *tar, const char *name, char type, const char *link, uint64_t size)
{
	char block[512] = { 0 };
	unsigned int sum = 0;

	(void)snprintf(block, 100, "%s", name);
	(void)snprintf(block + 100, 8, "0000644");
	(void)snprintf(block + 108, 8, "0000000");
	(void)snprintf(block + 116, 8, "0000000");
	(void)snprintf(block + 124, 12, "%011llo", (unsigned long long)size);
	(void)snprintf(block + 136, 12, "00000000000");
	memset(block + 148, ' ', 8);
	block[156] = type;
	(void)snprintf(block + 157, 100, "%s", link ? link : "");
	memcpy(block + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(block); i++)
		sum += (unsigned char)block[i];
	(void)snprintf(block + 148, 8, "%06o", sum);
	mk_buf_add(tar, block, sizeof(block));
}

static void raw_end(struct mk_buf *tar)
{
	char zeros[1024] = { 0 };

	mk_buf_add(tar, zeros, sizeof(zeros));
}

/* Read to the end; 0 or the first error. */
static int drain(
	const struct mk_buf *tar, const struct mk_tar_reader_options *options, struct mk_error *err)
{
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	struct source source = { .data = tar->data, .len = tar->len };
	int r = mk_tar_reader_open(read_source, &source, options, &reader, err);

	while (r == 0) {
		struct mk_tar_entry entry;
		char chunk[512];
		ssize_t n;

		r = mk_tar_reader_next(reader, &entry, err);
		if (r <= 0)
			return r;
		while ((n = mk_tar_reader_data(reader, chunk, sizeof(chunk), err)) > 0)
			continue;
		r = (int)n;
	}
	return r;
}

static void test_reader_refuses(void **state)
{
	static const struct {
		const char *name;
		char type;
		uint64_t size;
		const char *words;
	} cases[] = {
		{ "/etc/passwd", '0', 0, "'/etc/passwd' has an absolute name" },
		{ "../x", '0', 0, "'../x' leads outside" },
		{ "a/../../x", '0', 0, "leads outside" },
		{ "a/..", '5', 0, "leads outside" },
		{ "es\033[2Jcape", '0', 0, "control characters" },
		{ "dev/null", '3', 0, "'dev/null' is a device or pipe" },
		{ "disk", '4', 0, "'disk' is a device or pipe" },
		{ "pipe", '6', 0, "'pipe' is a device or pipe" },
		{ "bomb", '0', 077777777777, "member 'bomb' says it has 8589934591 bytes" },
		{ "short", '0', 1000, "" },
	};
	const struct mk_tar_reader_options options = { .what = "x.tar", .max_member = 1 << 20 };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autoerror err = { .code = MK_OK };
		mk_autobuf tar = mk_buf_init(65536);

		raw_header(&tar, "ok", '0', NULL, 0);
		raw_header(&tar, cases[i].name, cases[i].type, NULL, cases[i].size);
		if (cases[i].size == 0)
			raw_end(&tar);
		assert_int_equal(drain(&tar, &options, &err), -MK_EINVALID);
		if (!strstr(err.message, cases[i].words) || !strstr(err.message, "x.tar"))
			fail_msg("%s: '%s'", cases[i].name, err.message);
	}
}

static void test_reader_caps(void **state)
{
	const struct mk_tar_reader_options few = { .max_count = 3 };
	const struct mk_tar_reader_options little = { .max_total = 1500 };
	const struct mk_tar_reader_options special = { .allow_special = true };
	mk_autoerror err = { .code = MK_OK };
	mk_autobuf tar = mk_buf_init(65536);
	mk_autobuf device = mk_buf_init(65536);
	char data[512] = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		raw_header(&tar, "f", '0', NULL, 512);
		mk_buf_add(&tar, data, sizeof(data));
	}
	raw_end(&tar);
	assert_int_equal(drain(&tar, NULL, &err), 0);
	assert_int_equal(drain(&tar, &few, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "more than the 3 members"));
	assert_int_equal(drain(&tar, &little, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "more than the 1500 bytes"));
	raw_header(&device, "dev/null", '3', NULL, 0);
	raw_end(&device);
	assert_int_equal(drain(&device, &special, &err), 0);
}

/* Cut anywhere but between members, an archive is an error, never a crash. */
static void test_truncated(void **state)
{
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *writer = mk_tar_writer_new(NULL);
	mk_autoerror err = { .code = MK_OK };
	mk_autobuf tar = mk_buf_init(1 << 20);

	(void)state;
	mk_tar_add_text(writer, "a", 0644, "0123456789");
	mk_tar_add_file(writer, "b", 0644, 0, 0, tar.data, 0);
	assert_int_equal(mk_tar_writer_write(writer, &tar, &err), 0);
	for (size_t len = 0; len < 1024; len += 7) {
		mk_autobuf part = mk_buf_init(1 << 20);

		mk_buf_add(&part, tar.data, len);
		assert_int_equal(drain(&part, NULL, &err), -MK_EINVALID);
		mk_error_done(&err);
	}
}

static void test_not_an_archive(void **state)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autobuf text = mk_buf_init(65536);
	struct source source = { .data = "", .len = 0, .fail_at = 1 };
	struct mk_tar_reader *reader = NULL;

	(void)state;
	for (int i = 0; i < 200; i++)
		mk_buf_adds(&text, "PK\003\004 this is no archive\n");
	assert_int_equal(drain(&text, NULL, &err), -MK_EINVALID);
	/* A source that fails is heard in its own words. */
	assert_int_equal(mk_tar_reader_open(read_source, &source, NULL, &reader, &err), -MK_ENET);
	assert_string_equal(err.message, "the wire was cut");
}

static void test_link_targets(void **state)
{
	static const struct {
		const char *name, *link;
		enum mk_tar_type type;
		const char *target; /* NULL: refused */
	} cases[] = {
		{ "a/layer.tar", "../b/layer.tar", MK_TAR_SYMLINK, "b/layer.tar" },
		{ "a", "b", MK_TAR_SYMLINK, "b" },
		{ "a/b", "./c//d", MK_TAR_SYMLINK, "a/c/d" },
		{ "a/b", "../../c", MK_TAR_SYMLINK, NULL },
		{ "a/b", "/c", MK_TAR_SYMLINK, NULL },
		{ "a/b", "c/d", MK_TAR_HARDLINK, "c/d" },
		{ "a/b", "../d", MK_TAR_HARDLINK, NULL },
		{ "a/b", NULL, MK_TAR_FILE, NULL },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		struct mk_tar_entry entry = {
			.name = cases[i].name, .link = cases[i].link, .type = cases[i].type
		};
		mk_autoerror err = { .code = MK_OK };
		mk_autofree char *target = NULL;
		int r = mk_tar_link_target(&entry, &target, &err);

		assert_int_equal(r, cases[i].target ? 0 : -MK_EINVALID);
		if (cases[i].target)
			assert_string_equal(target, cases[i].target);
	}
}

/* Links arrive as they are stored, whole archives of them. */
static void test_links_are_read(void **state)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autobuf tar = mk_buf_init(65536);
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	struct mk_tar_entry entry;
	struct source source;

	(void)state;
	raw_header(&tar, "./a/l", '2', "../b/l", 0);
	raw_header(&tar, "./", '5', NULL, 0);
	raw_header(&tar, "h", '1', "b/l", 0);
	raw_end(&tar);
	source = (struct source){ .data = tar.data, .len = tar.len };
	assert_int_equal(mk_tar_reader_open(read_source, &source, NULL, &reader, &err), 0);
	assert_int_equal(mk_tar_reader_next(reader, &entry, &err), 1);
	assert_string_equal(entry.name, "a/l");
	assert_string_equal(entry.link, "../b/l");
	assert_int_equal(mk_tar_reader_next(reader, &entry, &err), 1);
	assert_string_equal(entry.name, ".");
	assert_int_equal(entry.type, MK_TAR_DIR);
	assert_int_equal(mk_tar_reader_next(reader, &entry, &err), 1);
	assert_int_equal(entry.type, MK_TAR_HARDLINK);
	assert_string_equal(entry.link, "b/l");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_stream_is_same_bytes),
		cmocka_unit_test(test_long_and_foreign_names),
		cmocka_unit_test(test_writer_refuses),
		cmocka_unit_test(test_reader_refuses),
		cmocka_unit_test(test_reader_caps),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_not_an_archive),
		cmocka_unit_test(test_link_targets),
		cmocka_unit_test(test_links_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives of snapshots: what the writer writes is what the reader finds; and every
 * archive that is damaged, cut short, foreign or crafted is refused by a word for it.
 */
#include "lib/archive/tar_stream.h"
#include "lib/archive/tar_writer.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/cluster/snapshot_archive.h"
#include "lib/registry/digest.h"
#include "tests/unit/bytes.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MANIFEST                                                                                   \
	"{\"format\":1,\"cluster\":\"dev\",\"mkcluster\":\"0.1\",\"kubernetes\":\"v1.36.3\","      \
	"\"created\":\"2026-11-23T13:02:39Z\",\"etcd\":{\"hash\":3318032876,\"revision\":548,"     \
	"\"totalKey\":393,\"totalSize\":1183744,\"version\":\"3.6.0\"},"                           \
	"\"objects\":{\"pods\":8,\"apiservices.apiregistration.k8s.io\":22},"                      \
	"\"barePods\":[\"default/one\"],\"loadedImages\":[\"example/hello:1\"],\"images\":true}"
#define BLOB "registry/docker/registry/v2/blobs/sha256/ab/abcd/data"
#define ETCD_SIZE ((size_t)200000)
#define MAX_ARCHIVE (4 * MK_MIB)

static char *folder;
static struct mk_error err;

static int setup(void **state)
{
	(void)state;
	folder = mk_xstrdup("/tmp/mk-test-snapshot.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	int r;

	(void)state;
	mk_error_done(&err);
	r = mk_fs_remove_all(folder, &err);
	mk_error_done(&err);
	free(folder);
	return r;
}

/* The contents of a member that every archive has. */
static struct mk_buf contents(size_t file)
{
	struct mk_buf buf = mk_buf_init(MK_MIB);

	if (file == MK_SNAPSHOT_MANIFEST)
		mk_buf_adds(&buf, MANIFEST);
	else if (file != MK_SNAPSHOT_ETCD)
		mk_buf_addf(
			&buf, "this is %s\n", mk_snapshot_file_name((enum mk_snapshot_file)file));
	for (uint32_t n = 1; file == MK_SNAPSHOT_ETCD && buf.len < ETCD_SIZE; n = n * 69069 + 1)
		mk_buf_add(&buf, &n, sizeof(n));
	return buf;
}

static void add(struct mk_snapshot_writer *writer, const char *name, const char *data, size_t len)
{
	struct bytes bytes = { data, len };

	assert_int_equal(mk_snapshot_writer_add(writer, name, len, read_bytes, &bytes, &err), 0);
}

static char *write_good(const char *name)
{
	char *path = mk_xasprintf("%s/%s", folder, name);
	MK_CLEANUP(mk_snapshot_writer_freep) struct mk_snapshot_writer *writer = NULL;
	uint64_t size = 0;
	struct stat st;

	assert_int_equal(mk_snapshot_writer_open(path, &writer, &err), 0);
	for (size_t i = 0; i < MK_SNAPSHOT_FILES; i++) {
		mk_autobuf text = contents(i);

		add(writer, mk_snapshot_file_name((enum mk_snapshot_file)i), text.data, text.len);
	}
	add(writer, BLOB, "layer", 5);
	assert_false(mk_fs_exists(path));
	assert_int_equal(mk_snapshot_writer_finish(writer, &size, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, size);
	return path;
}

static int read_file(const char *path, struct mk_snapshot *ret)
{
	mk_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct mk_snapshot_fd file;

	assert_true(fd >= 0);
	mk_error_done(&err);
	assert_int_equal(mk_snapshot_fd_open(fd, "x", &file, &err), 0);
	return mk_snapshot_read(&file, ret, &err);
}

static void test_round(void **state)
{
	mk_autofree char *path = write_good("good.mkcluster");
	mk_autosnapshot snapshot = { .size = 0 };
	mk_autowipebuf key = mk_buf_init(MK_MIB);
	struct mk_pki_source pki;

	(void)state;
	assert_int_equal(read_file(path, &snapshot), 0);
	assert_string_equal(mk_json_str(snapshot.manifest, "cluster", ""), "dev");
	for (size_t i = 0; i < MK_SNAPSHOT_ETCD; i++) {
		mk_autobuf text = contents(i);

		assert_string_equal(snapshot.files[i].data, text.data);
	}
	assert_int_equal(snapshot.etcd_size, ETCD_SIZE);
	assert_int_equal(snapshot.registry_files, 1);
	assert_int_equal(snapshot.registry_size, 5);
	pki = mk_snapshot_pki(&snapshot);
	assert_int_equal(pki.read(pki.arg, "/etc/kubernetes/pki/etcd/ca.key", &key, &err), 0);
	assert_string_equal(key.data, "this is pki/etcd/ca.key\n");
	assert_int_equal(
		pki.read(pki.arg, "/etc/kubernetes/config.yaml", &key, &err), -MK_ENOTFOUND);
	mk_error_done(&err);
}

/* What is there is not replaced, and what is not finished leaves nothing. */
static void test_writer(void **state)
{
	mk_autofree char *path = write_good("a.mkcluster");
	mk_autofree char *other = mk_xasprintf("%s/b.mkcluster", folder);
	struct mk_snapshot_writer *writer = NULL;
	mk_autosnapshot snapshot = { .size = 0 };
	uint64_t size;

	(void)state;
	assert_int_equal(mk_snapshot_writer_open(path, &writer, &err), -MK_EEXISTS);
	mk_error_done(&err);
	assert_int_equal(mk_snapshot_writer_open(other, &writer, &err), 0);
	add(writer, "manifest.json", "{}", 2);
	/* Made by another meanwhile. */
	assert_int_equal(link(path, other), 0);
	assert_int_equal(mk_snapshot_writer_finish(writer, &size, &err), -MK_EEXISTS);
	mk_snapshot_writer_free(writer);
	assert_int_equal(read_file(other, &snapshot), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
}

static void save(const char *path, const char *data, size_t len)
{
	mk_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(mk_fs_write_all(fd, path, data, len, &err), 0);
}

static void assert_refused(const char *path, const char *words)
{
	mk_autosnapshot snapshot = { .size = 0 };
	int r = read_file(path, &snapshot);

	if (r != -MK_EINVALID || !strstr(err.message, words))
		fail_msg("%d '%s' instead of '%s'", r, err.message ? err.message : "", words);
	mk_error_done(&err);
}

/* One bit anywhere, and any length that is not the whole. */
static void test_damage(void **state)
{
	mk_autofree char *path = write_good("good.mkcluster");
	mk_autofree char *bad = mk_xasprintf("%s/bad", folder);
	mk_autobuf good = mk_buf_init(MAX_ARCHIVE);

	(void)state;
	assert_int_equal(mk_fs_read(path, &good, &err), 0);
	for (size_t i = 0; i < good.len; i += i < 2000 || i + 500 > good.len ? 1 : 997) {
		good.data[i] = (char)(good.data[i] ^ 1 << i % 8);
		save(bad, good.data, good.len);
		assert_refused(bad, i + MK_SNAPSHOT_END_LEN < good.len ? "damaged" : "");
		good.data[i] = (char)(good.data[i] ^ 1 << i % 8);
		save(bad, good.data, i);
		assert_refused(bad, "cut short");
	}
	mk_buf_adds(&good, "more");
	save(bad, good.data, good.len);
	assert_refused(bad, "no snapshot of mkcluster");
}

/* Archives made by hand: with a digest that is right. */
struct crafted {
	struct mk_buf bytes;
	struct mk_buf sums;
	struct mk_tar_stream *tar;
};

static int on_bytes(void *payload, const void *data, size_t len, struct mk_error *e)
{
	struct crafted *c = payload;

	(void)e;
	mk_buf_add(&c->bytes, data, len);
	return 0;
}

static void craft(struct crafted *c, const char *name, const char *data, size_t len)
{
	mk_autofree char *hex = NULL;

	assert_int_equal(mk_tar_stream_file(c->tar, name, 0600, 0, len, &err), 0);
	assert_int_equal(mk_tar_stream_data(c->tar, data, len, &err), 0);
	assert_int_equal(mk_digest_data(data, len, &hex, &err), 0);
	mk_buf_addf(&c->sums, "%s  %s\n", hex, name);
}

static struct crafted craft_begin(void)
{
	return (struct crafted){ .bytes = mk_buf_init(MAX_ARCHIVE), .sums = mk_buf_init(MK_MIB) };
}

/* The members that every archive has, but for one. */
static void craft_files(struct crafted *c, size_t but, const char *name, const char *data)
{
	assert_int_equal(mk_tar_stream_open(false, on_bytes, c, &c->tar, &err), 0);
	for (size_t i = 0; i < MK_SNAPSHOT_FILES; i++) {
		mk_autobuf text = contents(i);

		if (i == but && name)
			craft(c, name, data, strlen(data));
		else if (i != but)
			craft(c, mk_snapshot_file_name((enum mk_snapshot_file)i), text.data,
				text.len);
	}
}

static void craft_end(struct crafted *c)
{
	mk_autofree char *hex = NULL;

	if (c->tar)
		assert_int_equal(mk_tar_stream_close(c->tar, &err), 0);
	mk_tar_stream_free(c->tar);
	assert_int_equal(mk_digest_data(c->bytes.data, c->bytes.len, &hex, &err), 0);
	mk_buf_add(&c->bytes, MK_SNAPSHOT_END_HEAD, sizeof(MK_SNAPSHOT_END_HEAD) - 1);
	mk_buf_addf(&c->bytes, "%s\n", hex);
}

static void assert_crafted(struct crafted *c, const char *words)
{
	mk_autofree char *path = mk_xasprintf("%s/crafted", folder);

	save(path, c->bytes.data, c->bytes.len);
	if (words) {
		assert_refused(path, words);
	} else {
		mk_autosnapshot snapshot = { .size = 0 };

		if (read_file(path, &snapshot) < 0)
			fail_msg("%s", err.message);
	}
	mk_buf_done(&c->bytes);
	mk_buf_done(&c->sums);
}

static void craft_sums(struct crafted *c)
{
	mk_autobuf sums = mk_buf_init(MK_MIB);

	mk_buf_add(&sums, c->sums.data, c->sums.len);
	craft(c, MK_SNAPSHOT_SUMS, sums.data, sums.len);
}

/* An archive of which one member is another. */
static void assert_with(size_t but, const char *name, const char *data, const char *words)
{
	struct crafted c = craft_begin();

	craft_files(&c, but, name, data);
	craft_sums(&c);
	craft_end(&c);
	assert_crafted(&c, words);
}

static void test_members(void **state)
{
	mk_autofree char *large = mk_xcalloc(1, 70000);

	(void)state;
	memset(large, 'x', 69999);
	assert_with(MK_SNAPSHOT_FILES, NULL, NULL, NULL);
	assert_with(MK_SNAPSHOT_KEYS, NULL, NULL, "'pki/ca.crt' stands where");
	assert_with(MK_SNAPSHOT_PKI, "pki/../ca.crt", "x", "..");
	assert_with(MK_SNAPSHOT_PKI, "/pki/ca.crt", "x", "/pki/ca.crt");
	assert_with(MK_SNAPSHOT_PKI, "pki/other", "x", "'pki/other' stands where");
	assert_with(MK_SNAPSHOT_PKI, "config.yaml", "x", "'config.yaml' stands where");
	assert_with(MK_SNAPSHOT_KEYS, "encryption-config.yaml", large, "more than the 65536");
	assert_with(MK_SNAPSHOT_ETCD, NULL, NULL, "'SHA256SUMS' stands where");
}

/* One more member behind those that every archive has. */
static void assert_more(const char *one, const char *two, const char *words)
{
	struct crafted c = craft_begin();

	craft_files(&c, MK_SNAPSHOT_FILES, NULL, NULL);
	craft(&c, one, "x", 1);
	if (two)
		craft(&c, two, "x", 1);
	craft_sums(&c);
	craft_end(&c);
	assert_crafted(&c, words);
}

static void test_registry(void **state)
{
	(void)state;
	assert_more(BLOB, BLOB "2", NULL);
	assert_more(BLOB, BLOB, "there twice");
	assert_more("registry/../../etc/passwd", NULL, "..");
	assert_more("registry/docker/registry/v2/../../../../etc/passwd", NULL, "..");
	assert_more("etc/passwd", NULL, "has no place");
	assert_more("manifest.json", NULL, "has no place");
	assert_more(
		"registry/docker/registry/v2/repositories/a/_uploads/1/data", NULL, "has no place");
}

static void test_sums(void **state)
{
	struct crafted c = craft_begin();

	(void)state;
	craft_files(&c, MK_SNAPSHOT_FILES, NULL, NULL);
	c.sums.data[0] = c.sums.data[0] == '0' ? '1' : '0';
	craft_sums(&c);
	craft_end(&c);
	assert_crafted(&c, "SHA256SUMS does not fit");
	c = craft_begin();
	craft_files(&c, MK_SNAPSHOT_FILES, NULL, NULL);
	craft_end(&c);
	assert_crafted(&c, "cut short");
	c = craft_begin();
	craft_files(&c, MK_SNAPSHOT_FILES, NULL, NULL);
	craft_sums(&c);
	craft(&c, BLOB, "x", 1);
	craft_end(&c);
	assert_crafted(&c, "behind the last");
}

/* What is a tar archive with our end, and yet none of ours. */
static void test_foreign(void **state)
{
	struct crafted c = craft_begin();
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *tar = mk_tar_writer_new(NULL);

	(void)state;
	mk_tar_add_symlink(tar, "manifest.json", "config.yaml", 0, 0);
	assert_int_equal(mk_tar_writer_write(tar, &c.bytes, &err), 0);
	craft_end(&c);
	assert_crafted(&c, "is no file");
	c = craft_begin();
	mk_tar_writer_free(tar);
	tar = mk_tar_writer_new(NULL);
	mk_tar_add_text(tar, "hello.txt", 0600, "hello");
	assert_int_equal(mk_tar_writer_write(tar, &c.bytes, &err), 0);
	craft_end(&c);
	assert_crafted(&c, "no snapshot of mkcluster");
	c = craft_begin();
	mk_buf_adds(&c.bytes, "this is not a tar archive, but has our end");
	craft_end(&c);
	assert_crafted(&c, "nrecognized archive format");
	c = craft_begin();
	mk_buf_adds(&c.bytes, "#!/bin/sh\n");
	assert_crafted(&c, "no snapshot of mkcluster, or cut short");
	c = craft_begin();
	assert_crafted(&c, "no snapshot of mkcluster, or cut short");
}

/* A manifest with one word of it replaced. */
static void assert_manifest(const char *old, const char *new, const char *words)
{
	const char *at = strstr(MANIFEST, old);
	mk_autofree char *text = NULL;
	mk_autojson *manifest = NULL;
	int r;

	assert_non_null(at);
	text = mk_xasprintf("%.*s%s%s", (int)(at - MANIFEST), MANIFEST, new, at + strlen(old));
	r = mk_snapshot_manifest_parse(text, strlen(text), "x", &manifest, &err);
	if (r != -MK_EINVALID || !strstr(err.message, words))
		fail_msg("%s: %d '%s'", new, r, err.message ? err.message : "");
	mk_error_done(&err);
}

static void test_manifest(void **state)
{
	(void)state;
	assert_manifest("\"format\":1", "\"format\":2", "of format 2; this mkcluster knows 1");
	assert_manifest("\"format\":1", "\"form\":1", "names no format");
	assert_manifest("{\"format\":1", "[{\"format\":1", "manifest.json");
	assert_manifest("\"dev\"", "\"../dev\"", "'cluster'");
	assert_manifest("\"dev\"", "7", "'cluster'");
	assert_manifest("\"0.1\"", "\"\\u001b[2J\"", "'mkcluster'");
	assert_manifest("v1.36.3", "1.36.3", "'kubernetes'");
	assert_manifest("v1.36.3", "v1.x", "'kubernetes'");
	assert_manifest("2026-11-23T13:02:39Z", "2026-11-23 13:02:39Z", "'created'");
	assert_manifest("548", "-548", "'etcd'");
	assert_manifest("3318032876", "\"1\"", "'etcd'");
	assert_manifest("\"pods\":8", "\"pods\":\"8\"", "'objects'");
	assert_manifest("\"pods\":8", "\"po ds\":8", "'objects'");
	assert_manifest("\"default/one\"", "\"a\\nb\"", "'barePods'");
	assert_manifest("[\"example/hello:1\"]", "{}", "'loadedImages'");
	assert_manifest("\"images\":true", "\"images\":1", "'images'");
	assert_int_equal(mk_snapshot_minor("v1.36.3"), 36);
	assert_int_equal(mk_snapshot_minor("v1.36"), 36);
	assert_int_equal(mk_snapshot_minor("v2.1.0"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_members, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_manifest, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/registry: loads of handmade image archives of each kind into a strict
 * fake registry, and what must be refused or undone on the way.
 */
#include "lib/archive/tar_writer.h"
#include "lib/base/clock.h"
#include "lib/registry/digest.h"
#include "lib/registry/load.h"
#include "tests/unit/fake-registry.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#define LAYER_LEN ((size_t)300 * 1024)
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"

static char *digest_of(const void *data, size_t len)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autofree char *hex = NULL;

	assert_int_equal(mk_digest_data(data, len, &hex, &err), 0);
	return mk_xasprintf("sha256:%s", hex);
}

/* Bytes of a layer; `magic` makes them look compressed. */
static char *layer_bytes(char fill, const char *magic)
{
	char *data = mk_xmalloc(LAYER_LEN);

	memset(data, fill, LAYER_LEN);
	if (magic)
		memcpy(data, magic, strlen(magic));
	return data;
}

static char *layer_digest(char fill, const char *magic)
{
	mk_autofree char *data = layer_bytes(fill, magic);

	return digest_of(data, LAYER_LEN);
}

static void add_layer(struct mk_tar_writer *tar, const char *path, char fill, const char *magic)
{
	mk_autofree char *data = layer_bytes(fill, magic);

	mk_tar_add_file(tar, path, 0644, 0, 0, data, LAYER_LEN);
}

/* A blob of an OCI layout; returns its digest. */
static char *add_blob(struct mk_tar_writer *tar, const char *text)
{
	char *digest = digest_of(text, strlen(text));
	mk_autofree char *path = mk_xasprintf("blobs/sha256/%s", digest + 7);

	mk_tar_add_text(tar, path, 0644, text);
	return digest;
}

static char *add_layer_blob(struct mk_tar_writer *tar, char fill)
{
	char *digest = layer_digest(fill, NULL);
	mk_autofree char *path = mk_xasprintf("blobs/sha256/%s", digest + 7);

	add_layer(tar, path, fill, NULL);
	return digest;
}

/* An image of one layer in an OCI layout; returns its manifest's digest. */
static char *add_oci_image(struct mk_tar_writer *tar, const char *arch, char fill)
{
	mk_autofree char *layer = add_layer_blob(tar, fill);
	mk_autofree char *config = mk_xasprintf(
		"{\"os\":\"linux\",\"architecture\":\"%s\","
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
		arch, layer);
	mk_autofree char *config_digest = add_blob(tar, config);
	mk_autofree char *manifest = mk_xasprintf(
		"{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST
		"\",\"config\":{\"digest\":\"%s\",\"size\":%zu},"
		"\"layers\":[{\"digest\":\"%s\",\"size\":%zu}]}",
		config_digest, strlen(config), layer, LAYER_LEN);

	return add_blob(tar, manifest);
}

/* An OCI layout whose index.json leads through an index of two platforms. */
static struct mk_tar_writer *oci_archive(const char *name, const char *first, const char *second)
{
	struct mk_tar_writer *tar = mk_tar_writer_new(NULL);
	mk_autofree char *one = add_oci_image(tar, first, 'A');
	mk_autofree char *two = add_oci_image(tar, second, 'B');
	mk_autofree char *nested = mk_xasprintf(
		"{\"mediaType\":\"" OCI_INDEX "\",\"manifests\":["
		"{\"digest\":\"%s\",\"platform\":"
		"{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
		"{\"digest\":\"%s\",\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}},"
		"{\"digest\":\"%s\",\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
		one, one, first, two, second);
	mk_autofree char *nested_digest = add_blob(tar, nested);
	mk_autofree char *notes = name
		? mk_xasprintf("\"annotations\":{\"io.containerd.image.name\":\"%s\"},", name)
		: mk_xstrdup("");
	mk_autofree char *index = mk_xasprintf("{\"manifests\":[{%s\"mediaType\":\"" OCI_INDEX
					       "\",\"digest\":\"%s\"}]}",
		notes, nested_digest);

	mk_tar_add_text(tar, "index.json", 0644, index);
	mk_tar_add_text(tar, "oci-layout", 0644, "{\"imageLayoutVersion\":\"1.0.0\"}");
	return tar;
}

/* What an old engine saves: layers 'A' and `fill`, the first one again by a link. */
static struct mk_tar_writer *docker_archive(const char *tags, char fill, const char *magic)
{
	struct mk_tar_writer *tar = mk_tar_writer_new(NULL);
	mk_autofree char *a = layer_digest('A', NULL);
	mk_autofree char *b = layer_digest(fill, magic);
	mk_autofree char *config = mk_xasprintf(
		"{\"os\":\"linux\",\"architecture\":\"amd64\","
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\",\"%s\"]}}",
		a, b, a);
	mk_autofree char *manifest = mk_xasprintf(
		"[{\"Config\":\"c.json\",\"RepoTags\":%s,"
		"\"Layers\":[\"aa/layer.tar\",\"bb/layer.tar\",\"a0/layer.tar\"]}]",
		tags);

	/* Links may come before what they lead to. */
	mk_tar_add_symlink(tar, "a0/layer.tar", "../aa/layer.tar", 0, 0);
	mk_tar_add_text(tar, "aa/VERSION", 0644, "1.0");
	mk_tar_add_text(tar, "aa/json", 0644, "{\"id\":\"aa\"}");
	add_layer(tar, "aa/layer.tar", 'A', NULL);
	mk_tar_add_text(tar, "bb/json", 0644, "{\"id\":\"bb\",\"parent\":\"aa\"}");
	add_layer(tar, "bb/layer.tar", fill, magic);
	mk_tar_add_text(tar, "c.json", 0644, config);
	mk_tar_add_text(tar, "manifest.json", 0644, manifest);
	mk_tar_add_text(tar, "repositories", 0644, "{}");
	return tar;
}

static int load(struct fake_registry *fake, struct mk_tar_writer *tar,
	const struct mk_load_options *options, struct mk_load_report *report, struct mk_error *err)
{
	const struct mk_load_options plain = { .what = "x.tar", .arch = "amd64" };
	MK_CLEANUP(mk_registry_freep) struct mk_registry *registry = NULL;

	assert_int_equal(mk_registry_new(fake_registry_url(fake), &registry, err), 0);
	mk_tar_writer_rewind(tar);
	return mk_registry_load(
		registry, mk_tar_writer_read, tar, options ? options : &plain, report, err);
}

static void expect_failure(struct mk_tar_writer *tar, const struct mk_load_options *options,
	enum mk_code code, const char *words)
{
	struct fake_registry *fake = fake_registry_start();
	mk_autoerror err = { .code = MK_OK };
	mk_autoloadreport report = { .images = NULL };

	assert_int_equal(load(fake, tar, options, &report, &err), -(int)code);
	if (!strstr(err.message, words))
		fail_msg("'%s' lacks '%s'", err.message, words);
	assert_int_equal(fake_registry_sessions(fake), 0);
	assert_int_equal(fake_registry_manifests(fake), 0);
	fake_registry_stop(fake);
	mk_tar_writer_free(tar);
}

static void test_docker_archive(void **state)
{
	struct fake_registry *fake = fake_registry_start();
	struct mk_tar_writer *tar = docker_archive(
		"[\"echo:1\",\"example.local/me/echo:2\"]", 'B', NULL);
	mk_autoloadreport report = { .images = NULL };
	mk_autoerror err = { .code = MK_OK };
	mk_autofree char *a = layer_digest('A', NULL);
	const char *manifest;

	(void)state;
	assert_int_equal(load(fake, tar, NULL, &report, &err), 0);
	assert_int_equal(report.count, 1);
	assert_int_equal(report.images[0].names.count, 2);
	assert_string_equal(report.images[0].names.items[0], "docker.io/library/echo:1");
	assert_int_equal(report.images[0].layers_sent, 2);
	assert_int_equal(report.bytes_sent, 2 * LAYER_LEN);
	manifest = fake_registry_manifest(fake, "library/echo", "1");
	assert_non_null(manifest);
	assert_non_null(strstr(manifest, "application/vnd.oci.image.layer.v1.tar\""));
	assert_non_null(strstr(manifest, a));
	assert_non_null(fake_registry_manifest(fake, "me/echo", "2"));
	assert_true(fake_registry_has_blob(fake, "me/echo", a));
	assert_int_equal(fake_registry_sessions(fake), 0);
	fake_registry_stop(fake);
	mk_tar_writer_free(tar);
}

/* The caller's layers save the sending, and wrong ones are found out. */
static void test_hinted_layers(void **state)
{
	struct fake_registry *fake = fake_registry_start();
	struct mk_tar_writer *tar = docker_archive("[\"echo:1\"]", 'B', NULL);
	mk_autofree char *a = layer_digest('A', NULL);
	mk_autofree char *b = layer_digest('B', NULL);
	struct mk_strlist layers = { .count = 0 };
	struct mk_load_options options = {
		.what = "x.tar", .arch = "amd64", .layers = &layers, .layers_count = 1
	};
	mk_autoloadreport report = { .images = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(load(fake, tar, NULL, &report, &err), 0);
	/* A one-layer image on no parent: that is folder aa. */
	mk_strlist_add(&layers, a);
	assert_int_equal(load(fake, tar, &options, &report, &err), 0);
	assert_int_equal(report.images[0].layers_there, 1);
	assert_int_equal(report.bytes_sent, LAYER_LEN);
	free(layers.items[0]);
	layers.items[0] = mk_xstrdup(b);
	assert_int_equal(load(fake, tar, &options, &report, &err), -MK_EINVALID);
	assert_true(report.wrong_layers);
	assert_int_equal(report.count, 0);
	mk_strlist_done(&layers);
	fake_registry_stop(fake);
	mk_tar_writer_free(tar);
}

static void test_compressed_layers(void **state)
{
	struct fake_registry *fake = fake_registry_start();
	struct mk_tar_writer *tar = docker_archive("[\"echo:1\"]", 'B', "\x1f\x8b");
	mk_autoloadreport report = { .images = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(load(fake, tar, NULL, &report, &err), 0);
	assert_non_null(
		strstr(fake_registry_manifest(fake, "library/echo", "1"), "layer.v1.tar+gzip"));
	fake_registry_stop(fake);
	mk_tar_writer_free(tar);
}

static void test_oci_layout(void **state)
{
	struct fake_registry *fake = fake_registry_start();
	struct mk_tar_writer *tar = oci_archive("docker.io/me/app:3", "arm64", "amd64");
	mk_autofree char *b = layer_digest('B', NULL);
	mk_autoloadreport report = { .images = NULL };
	mk_autoerror err = { .code = MK_OK };
	int patches;

	(void)state;
	assert_int_equal(load(fake, tar, NULL, &report, &err), 0);
	assert_int_equal(report.count, 1);
	assert_non_null(strstr(fake_registry_manifest(fake, "me/app", "3"), b));
	/* Again: every layer is known before it is read. */
	patches = fake_registry_count(fake, "PATCH");
	assert_int_equal(load(fake, tar, NULL, &report, &err), 0);
	assert_int_equal(fake_registry_count(fake, "PATCH"), patches);
	assert_int_equal(report.bytes_sent, 0);
	assert_int_equal(report.images[0].layers_there, 1);
	fake_registry_stop(fake);
	mk_tar_writer_free(tar);
}

/* docker >= 25 and buildx write both; the names may be in either. */
static void test_oci_layout_with_docker_names(void **state)
{
	struct fake_registry *fake = fake_registry_start();
	struct mk_tar_writer *tar = oci_archive(NULL, "arm64", "amd64");
	mk_autofree char *layer = layer_digest('B', NULL);
	mk_autofree char *config = mk_xasprintf(
		"{\"os\":\"linux\",\"architecture\":\"amd64\","
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
		layer);
	mk_autofree char *digest = digest_of(config, strlen(config));
	mk_autofree char *manifest = mk_xasprintf(
		"[{\"Config\":\"blobs/sha256/%s\","
		"\"RepoTags\":[\"app:9\"],\"Layers\":[\"blobs/sha256/%s\"]}]",
		digest + 7, layer + 7);
	mk_autoloadreport report = { .images = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	mk_tar_add_text(tar, "manifest.json", 0644, manifest);
	assert_int_equal(load(fake, tar, NULL, &report, &err), 0);
	assert_non_null(fake_registry_manifest(fake, "library/app", "9"));
	assert_string_equal(report.images[0].id, digest);
	fake_registry_stop(fake);
	mk_tar_writer_free(tar);
}

static void test_given_names(void **state)
{
	struct fake_registry *fake = fake_registry_start();
	struct mk_tar_writer *tar = oci_archive(NULL, "arm64", "amd64");
	mk_autostrlist names = { .count = 0 };
	const struct mk_load_options options = { .arch = "amd64", .names = &names };
	mk_autoloadreport report = { .images = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	mk_strlist_add(&names, "mine:1");
	assert_int_equal(load(fake, tar, &options, &report, &err), 0);
	assert_non_null(fake_registry_manifest(fake, "library/mine", "1"));
	fake_registry_stop(fake);
	mk_tar_writer_free(tar);
	expect_failure(oci_archive(NULL, "arm64", "amd64"), NULL, MK_EUSAGE, "has no name");
	mk_strlist_add(&names, "Bad Name");
	expect_failure(
		oci_archive(NULL, "arm64", "amd64"), &options, MK_EUSAGE, "image name 'Bad'");
}

static struct mk_tar_writer *with_manifest(const char *manifest)
{
	struct mk_tar_writer *tar = mk_tar_writer_new(NULL);

	add_layer(tar, "l.tar", 'L', NULL);
	mk_tar_add_text(tar, "c.json", 0644,
		"{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[\"x\"]}}");
	mk_tar_add_text(tar, "w.json", 0644, "{\"os\":\"windows\",\"architecture\":\"amd64\"}");
	mk_tar_add_symlink(tar, "loop", "loop2", 0, 0);
	mk_tar_add_symlink(tar, "loop2", "loop", 0, 0);
	mk_tar_add_text(tar, "manifest.json", 0644, manifest);
	return tar;
}

#define ENTRY(config, tags, layers)                                                                \
	"[{\"Config\":\"" config "\",\"RepoTags\":" tags ",\"Layers\":" layers "}]"

static void test_bad_archives(void **state)
{
	static const struct {
		const char *manifest, *words;
	} cases[] = {
		{ "{", "manifest.json" },
		{ "{}", "not a list" },
		{ "[]", "holds no image" },
		{ "[1]", "name is missing" },
		{ ENTRY("none", "[]", "[]"), "not in the archive" },
		{ ENTRY("../c.json", "[]", "[]"), "not in the archive" },
		{ ENTRY("loop", "[]", "[]"), "not in the archive" },
		{ ENTRY("c.json", "[]", "{}"), "no list of at most 512" },
		{ ENTRY("c.json", "[]", "[\"nope\"]"), "not in the archive" },
		{ ENTRY("l.tar", "[]", "[]"), "should be a small JSON" },
		{ ENTRY("w.json", "[\"w:1\"]", "[]"), "is for windows/amd64" },
		{ ENTRY("c.json", "[\"a:1\"]", "[]"), "lists 0 layers" },
		{ ENTRY("c.json", "[\"a:1\"]", "[\"l.tar\"]"), "not the one its image's config" },
		{ ENTRY("c.json", "[\"Bad\"]", "[\"l.tar\"]"), "image name 'Bad'" },
	};
	struct mk_tar_writer *tar = mk_tar_writer_new(NULL);

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++)
		expect_failure(with_manifest(cases[i].manifest), NULL, MK_EINVALID, cases[i].words);
	mk_tar_add_text(tar, "f", 0644, "x");
	expect_failure(
		tar, NULL, MK_EINVALID, "x.tar: it has neither manifest.json nor index.json");
	tar = mk_tar_writer_new(NULL);
	mk_tar_add_symlink(tar, "l", "/etc/passwd", 0, 0);
	expect_failure(tar, NULL, MK_EINVALID, "link 'l' in the archive is absolute");
	tar = mk_tar_writer_new(NULL);
	add_layer(tar,
		"blobs/sha256/"
		"0123456789012345678901234567890123456789012345678901234567890123",
		'x', NULL);
	expect_failure(tar, NULL, MK_EINVALID, "contents of member 'blobs/sha256/0123");
	expect_failure(oci_archive("a:1", "arm64", "s390x"), NULL, MK_EINVALID,
		"docker.io/library/a:1 is not there for linux/amd64");
}

/* A registry that fails once, at each request in turn: an error, and nothing half. */
static void test_every_request_can_fail(void **state)
{
	struct mk_tar_writer *tar = docker_archive("[\"echo:1\"]", 'B', NULL);
	int n = 1;

	(void)state;
	for (;; n++) {
		struct fake_registry *fake = fake_registry_start();
		mk_autoloadreport report = { .images = NULL };
		mk_autoerror err = { .code = MK_OK };
		int r;
		bool stored;

		fake_registry_fail(fake, n);
		r = load(fake, tar, NULL, &report, &err);
		stored = fake_registry_manifest(fake, "library/echo", "1") != NULL;
		assert_int_equal(fake_registry_sessions(fake), 0);
		fake_registry_stop(fake);
		if (r == 0)
			break;
		assert_int_equal(r, -MK_EREMOTE);
		assert_int_equal(err.status, 500);
		assert_non_null(strstr(err.message, "the registry answered 500"));
		/* Only the last request, the look at what is stored, comes after. */
		if (stored)
			assert_non_null(strstr(err.message, "read image"));
	}
	assert_true(n > 12);
	mk_tar_writer_free(tar);
}

struct cut_source {
	struct mk_tar_writer *tar;
	size_t left;
	bool interrupt;
};

static ssize_t read_cut(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct cut_source *source = payload;
	ssize_t n;

	if (source->left == 0 && source->interrupt) {
		mk_interrupt_raise();
		source->interrupt = false;
		source->left = SIZE_MAX / 2;
	}
	if (source->left == 0)
		return mk_fail(err, MK_ENET, "the engine is gone");
	n = mk_tar_writer_read(source->tar, data, cap < source->left ? cap : source->left, err);
	source->left -= n > 0 ? (size_t)n : 0;
	return n;
}

/* Cut or interrupted in the middle of a layer: its session is cancelled. */
static void test_cut_in_a_layer(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct fake_registry *fake = fake_registry_start();
		MK_CLEANUP(mk_registry_freep) struct mk_registry *registry = NULL;
		MK_CLEANUP(mk_tar_writer_freep)
		struct mk_tar_writer *tar = docker_archive("[\"echo:1\"]", 'B', NULL);
		struct cut_source source = { .tar = tar, .left = 100000, .interrupt = i == 1 };
		const struct mk_load_options options = { .arch = "amd64" };
		mk_autoloadreport report = { .images = NULL };
		mk_autoerror err = { .code = MK_OK };
		int r;

		assert_int_equal(mk_registry_new(fake_registry_url(fake), &registry, &err), 0);
		r = mk_registry_load(registry, read_cut, &source, &options, &report, &err);
		mk_interrupt_reset();
		assert_int_equal(r, i == 1 ? -MK_EINTR : -MK_ENET);
		assert_int_equal(fake_registry_count(fake, "DELETE"), 1);
		assert_int_equal(fake_registry_sessions(fake), 0);
		assert_int_equal(fake_registry_manifests(fake), 0);
		fake_registry_stop(fake);
	}
}

static void test_verified_and_found(void **state)
{
	struct fake_registry *fake = fake_registry_start();
	struct mk_tar_writer *tar = docker_archive("[\"echo:1\"]", 'B', NULL);
	MK_CLEANUP(mk_registry_freep) struct mk_registry *registry = NULL;
	mk_autoreference name = { .host = NULL };
	mk_autoreference other = { .host = NULL };
	mk_autoloadreport report = { .images = NULL };
	mk_autoerror err = { .code = MK_OK };
	bool has = false;

	(void)state;
	assert_int_equal(mk_registry_new(fake_registry_url(fake), &registry, &err), 0);
	assert_int_equal(mk_reference_parse("x.local/library/echo:1", &name, &err), 0);
	assert_int_equal(mk_reference_parse("echo:2", &other, &err), 0);
	assert_int_equal(load(fake, tar, NULL, &report, &err), 0);
	assert_int_equal(
		mk_registry_has_image(registry, &name, report.images[0].id, &has, &err), 0);
	assert_true(has);
	assert_int_equal(mk_registry_has_image(registry, &name, "sha256:0", &has, &err), 0);
	assert_false(has);
	assert_int_equal(
		mk_registry_has_image(registry, &other, report.images[0].id, &has, &err), 0);
	assert_false(has);
	assert_int_equal(mk_registry_has_manifest(registry, "library/echo", "1", &has, &err), 0);
	assert_true(has);
	fake_registry_spoil(fake, true);
	assert_int_equal(load(fake, tar, NULL, &report, &err), -MK_EREMOTE);
	assert_non_null(strstr(err.message, "docker.io/library/echo:1: the registry gives"));
	fake_registry_stop(fake);
	mk_tar_writer_free(tar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_docker_archive),
		cmocka_unit_test(test_hinted_layers),
		cmocka_unit_test(test_compressed_layers),
		cmocka_unit_test(test_oci_layout),
		cmocka_unit_test(test_oci_layout_with_docker_names),
		cmocka_unit_test(test_given_names),
		cmocka_unit_test(test_bad_archives),
		cmocka_unit_test(test_every_request_can_fail),
		cmocka_unit_test(test_cut_in_a_layer),
		cmocka_unit_test(test_verified_and_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/nodeimage: that the component table is whole, that digests change with
 * what they are of, that a composed image reads back as one, and that a release
 * is taken from a mirror's folder and refused when it is wrong.
 */
#include "lib/nodeimage/components.h"
#include "lib/nodeimage/nodeimage.h"
#include "lib/nodeimage/podimage.h"
#include "lib/nodeimage/release.h"

#include "lib/archive/tar_reader.h"
#include "lib/archive/tar_writer.h"
#include "lib/base/fs.h"
#include "lib/nodeimage/files.h"
#include "lib/registry/digest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const arches[] = { "amd64", "arm64" };

static char *scratch(void)
{
	char *dir = mk_xstrdup("/tmp/mk-test-nodeimage.XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static void drop_scratch(char *dir)
{
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_fs_remove_all(dir, &err), 0);
	free(dir);
}

static char *render(const struct mk_component *component, const char *text, const char *arch)
{
	mk_autoerror err = { .code = MK_OK };
	char *ret = NULL;

	if (mk_component_render(component, text, arch, &ret, &err) < 0)
		fail_msg("%s: %s", component->name, err.message);
	assert_null(strchr(ret, '$'));
	return ret;
}

static void check_file(const struct mk_component *component, const struct mk_release_file *file,
	const char *arch, struct mk_strlist *urls)
{
	mk_autofree char *url = render(component, file->url, arch);
	mk_autofree char *checksum_url = render(component, file->checksum_url, arch);

	assert_non_null(mk_after_prefix(url, "https://"));
	assert_non_null(mk_after_prefix(checksum_url, "https://"));
	assert_string_not_equal(url, checksum_url);
	assert_false(mk_strlist_has(urls, url));
	mk_strlist_add(urls, url);
	assert_non_null(file->members[0].path);
	for (size_t i = 0; i < MK_MAX_MEMBERS && file->members[i].path; i++) {
		assert_int_equal(file->members[i].path[0], '/');
		/* Either the file is the program, or each program is named in it. */
		assert_true((file->members[i].name != NULL) == (file->members[0].name != NULL));
	}
}

static void check_build(const struct mk_component *component, const char *arch)
{
	const struct mk_gobuild *build = component->build;
	mk_autofree char *ldflags = render(component, build->ldflags, arch);

	assert_non_null(strstr(ldflags, "-s -w"));
	assert_non_null(build->packages[0]);
	assert_non_null(build->outputs[0].name);
	for (const struct mk_built *o = build->outputs; o->name; o++)
		assert_int_equal(o->path[0], '/');
}

static void check_image(const struct mk_component *component, const char *arch)
{
	const struct mk_podimage *image = component->image;
	mk_autofree char *reference = render(component, image->reference, arch);
	mk_autofree char *local = render(component, image->local, arch);

	assert_non_null(strchr(reference, ':'));
	/* Nobody shall take ours for upstream's. */
	assert_non_null(mk_after_prefix(local, "mkcluster.local/"));
	assert_non_null(image->role);
	assert_non_null(image->command[0]);
	assert_non_null(image->user);
	assert_true(component->build || image->os_file);
	for (size_t i = 0; image->os_links && image->os_links[i]; i++) {
		assert_non_null(image->os_file);
		assert_int_equal(image->os_links[i][0], '/');
	}
}

static void table_is_whole(void **state)
{
	(void)state;
	for (size_t a = 0; a < MK_ARRAY_LEN(arches); a++) {
		mk_autostrlist names = { .count = 0 };
		mk_autostrlist urls = { .count = 0 };

		for (size_t i = 0; i < mk_component_count; i++) {
			const struct mk_component *component = &mk_components[i];

			assert_false(mk_strlist_has(&names, component->name));
			mk_strlist_add(&names, component->name);
			assert_non_null(component->version);
			assert_non_null(component->license);
			assert_true(component->files || component->image);
			for (const struct mk_release_file *f = component->files; f && f->url; f++)
				check_file(component, f, arches[a], &urls);
			if (component->build)
				check_build(component, arches[a]);
			if (component->image)
				check_image(component, arches[a]);
		}
	}
}

static void both_sources_give_the_same_programs(void **state)
{
	(void)state;
	for (size_t i = 0; i < mk_component_count; i++) {
		const struct mk_release_file *f = mk_components[i].files;

		for (; f && f->url; f++) {
			for (size_t m = 0; m < MK_MAX_MEMBERS && f->members[m].path; m++) {
				const char *program = strrchr(f->members[m].path, '/') + 1;

				assert_ptr_equal(mk_component_find(program), &mk_components[i]);
			}
		}
	}
}

static void finds_by_name_and_program(void **state)
{
	(void)state;
	assert_string_equal(mk_component_find("kubectl")->name, "kubernetes");
	assert_string_equal(mk_component_find("etcdutl")->name, "etcd");
	assert_string_equal(mk_component_find("provider")->name, "provider");
	assert_null(mk_component_find("kubectx"));
}

static void addresses_follow_the_architecture(void **state)
{
	const struct mk_component *cli = mk_component_find("faas-cli");
	const struct mk_component *kubernetes = mk_component_find("kubernetes");
	mk_autofree char *plain = render(cli, cli->files[0].url, "amd64");
	mk_autofree char *arm = render(cli, cli->files[0].url, "arm64");
	mk_autofree char *kubelet = render(kubernetes, kubernetes->files[3].url, "arm64");

	(void)state;
	assert_true(mk_has_suffix(plain, "/faas-cli"));
	assert_true(mk_has_suffix(arm, "/faas-cli-arm64"));
	assert_string_equal(kubelet, "https://dl.k8s.io/v1.36.3/bin/linux/arm64/kubelet");
}

static void unknown_variable_is_an_error(void **state)
{
	mk_autoerror err = { .code = MK_OK };
	char *ret = NULL;

	(void)state;
	assert_true(mk_component_render(&mk_components[0], "x${NAME}", "amd64", &ret, &err) < 0);
	assert_null(ret);
	assert_non_null(strstr(err.message, "NAME"));
}

static void digests_differ(void **state)
{
	mk_autostrlist seen = { .count = 0 };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	for (size_t i = 0; i < mk_component_count; i++) {
		for (size_t a = 0; a < MK_ARRAY_LEN(arches); a++) {
			char *digest = NULL;
			mk_autofree char *again = NULL;

			assert_int_equal(
				mk_component_digest(&mk_components[i], arches[a], &digest, &err),
				0);
			assert_int_equal(
				mk_component_digest(&mk_components[i], arches[a], &again, &err), 0);
			assert_string_equal(digest, again);
			assert_false(mk_strlist_has(&seen, digest));
			mk_strlist_take(&seen, digest);
		}
	}
}

static char *inputs(const struct mk_nodeimage_options *options, enum mk_from from)
{
	mk_autoerror err = { .code = MK_OK };
	char *ret = NULL;

	assert_int_equal(mk_inputs_digest(options, from, "amd64", &ret, &err), 0);
	return ret;
}

static void inputs_follow_the_options(void **state)
{
	mk_autofree char *plain = inputs(
		&(struct mk_nodeimage_options){ .force = false }, MK_FROM_MODULES);
	mk_autofree char *forced = inputs(
		&(struct mk_nodeimage_options){ .force = true }, MK_FROM_MODULES);
	mk_autofree char *based = inputs(
		&(struct mk_nodeimage_options){ .base_image = "b" }, MK_FROM_MODULES);
	mk_autofree char *released = inputs(
		&(struct mk_nodeimage_options){ .force = false }, MK_FROM_RELEASE);
	mk_autofree char *mirrored = inputs(
		&(struct mk_nodeimage_options){ .mirror = "m" }, MK_FROM_RELEASE);

	(void)state;
	assert_string_equal(plain, forced);
	assert_string_not_equal(plain, based);
	assert_string_not_equal(plain, released);
	assert_string_not_equal(released, mirrored);
}

static void mirror_has_a_place_for_each_image(void **state)
{
	mk_autofree char *path = mk_mirror_image_path("ghcr.io/openfaas/gateway:0.27.3", "amd64");
	mk_autofree char *port = mk_mirror_image_path("host:5000/a/b:1", "arm64");

	(void)state;
	assert_string_equal(path, "images/ghcr.io/openfaas/gateway/0.27.3-amd64.tar");
	assert_string_equal(port, "images/host:5000/a/b/1-arm64.tar");
}

/* The archive's documents, and the digest of its layer as it was read. */
struct archive {
	struct mk_buf manifest, config;
	char *layer_digest;
};

static void read_member(
	struct mk_tar_reader *reader, const struct mk_tar_entry *entry, struct archive *archive)
{
	MK_CLEANUP(mk_digest_freep) struct mk_digest *digest = mk_digest_new();
	struct mk_buf *keep = NULL;
	mk_autoerror err = { .code = MK_OK };
	char chunk[4096];
	ssize_t n;

	if (mk_streq(entry->name, "manifest.json"))
		keep = &archive->manifest;
	else if (mk_has_suffix(entry->name, ".json"))
		keep = &archive->config;
	while ((n = mk_tar_reader_data(reader, chunk, sizeof(chunk), &err)) > 0) {
		mk_digest_update(digest, chunk, (size_t)n);
		if (keep)
			mk_buf_add(keep, chunk, (size_t)n);
	}
	assert_int_equal(n, 0);
	if (mk_streq(entry->name, "layer.tar"))
		assert_int_equal(mk_digest_hex(digest, &archive->layer_digest, &err), 0);
}

static void read_archive(const char *path, struct archive *archive)
{
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	const struct mk_tar_reader_options options = { .what = path };
	mk_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	mk_autoerror err = { .code = MK_OK };
	struct mk_tar_entry entry;

	assert_int_equal(mk_tar_reader_open_fd(fd, &options, &reader, &err), 0);
	while (mk_tar_reader_next(reader, &entry, &err) > 0)
		read_member(reader, &entry, archive);
	assert_int_equal(err.code, MK_OK);
}

static void parse(const struct mk_buf *text, json_t **ret)
{
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_json_parse(text->data, text->len, "document", ret, &err), 0);
}

static void composed_image_reads_back(void **state)
{
	char *dir = scratch();
	mk_autofree char *path = mk_xasprintf("%s/image.tar", dir);
	mk_autofree char *leftover = mk_xasprintf("%s.layer", path);
	mk_autofree char *diff_id = NULL;
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *layer = mk_podimage_layer();
	mk_autojson *settings = mk_json_pack("{s:[s],s:s}", "Entrypoint", "/x", "User", "65534");
	mk_autojson *manifest = NULL;
	mk_autojson *config = NULL;
	mk_autoerror err = { .code = MK_OK };
	struct archive archive = { mk_buf_init(65536), mk_buf_init(65536), NULL };

	(void)state;
	mk_tar_add_file(layer, "x", 0755, 0, 0, "program", 7);
	assert_int_equal(
		mk_podimage_compose(layer, "mkcluster.local/x:1", "arm64", settings, path, &err),
		0);
	assert_false(mk_fs_exists(leftover));
	read_archive(path, &archive);
	parse(&archive.manifest, &manifest);
	parse(&archive.config, &config);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(json_array_get(manifest, 0), "RepoTags"), 0)),
		"mkcluster.local/x:1");
	assert_string_equal(mk_json_str(config, "architecture", ""), "arm64");
	assert_string_equal(mk_json_str(config, "config.User", ""), "65534");
	diff_id = mk_xasprintf("sha256:%s", archive.layer_digest);
	assert_string_equal(diff_id,
		json_string_value(json_array_get(mk_json_at(config, "rootfs.diff_ids"), 0)));
	mk_buf_done(&archive.manifest);
	mk_buf_done(&archive.config);
	free(archive.layer_digest);
	drop_scratch(dir);
}

/* A component of two release files: a program, and an archive of one. */
static const struct mk_release_file small_files[] = {
	{ .url = "https://a.example/${VERSION}/tool-${ARCH}",
		.checksum_url = "https://a.example/${VERSION}/tool-${ARCH}.sha256",
		.members = { { .path = "/usr/local/bin/tool" } } },
	{ .url = "https://b.example/pack-${ARCH}.tar",
		.checksum_url = "https://b.example/SUMS",
		.members = { { "pack-${ARCH}/other", "/opt/other" } } },
	{ .url = NULL },
};
static const struct mk_component small = {
	.name = "small", .version = "1", .license = "none", .files = small_files
};

static char *sum(const char *dir, const char *path, const char *name)
{
	mk_autofree char *file = mk_xasprintf("%s/%s", dir, path);
	mk_autofree char *digest = NULL;
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_digest_file(file, &digest, NULL, &err), 0);
	return mk_xasprintf("%s  %s\n", digest, name);
}

static void save(const char *dir, const char *path, const char *text)
{
	mk_autofree char *file = mk_xasprintf("%s/%s", dir, path);
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_write_if_changed(file, text, strlen(text), &err), 0);
}

static void make_mirror(const char *dir)
{
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *pack = mk_tar_writer_new(NULL);
	mk_autofree char *file = mk_xasprintf("%s/b.example/pack-amd64.tar", dir);
	mk_autofree char *tool_sum = NULL;
	mk_autofree char *pack_sum = NULL;
	mk_autoerror err = { .code = MK_OK };

	save(dir, "a.example/1/tool-amd64", "the tool");
	tool_sum = sum(dir, "a.example/1/tool-amd64", "tool-amd64");
	save(dir, "a.example/1/tool-amd64.sha256", tool_sum);
	mk_tar_add_text(pack, "pack-amd64/other", 0644, "the other");
	assert_int_equal(mk_tar_write_file(pack, file, &err), 0);
	pack_sum = sum(dir, "b.example/pack-amd64.tar", "pack-amd64.tar");
	save(dir, "b.example/SUMS", pack_sum);
}

static int fetch_small(const char *dir, struct mk_programs *ret, struct mk_error *err)
{
	mk_autofree char *mirror = mk_xasprintf("%s/mirror", dir);
	const struct mk_component *const components[] = { &small };
	const struct mk_nodeimage_options options = { .mirror = mirror };
	struct mk_nodeimage_report report = { .image = NULL };
	mk_autofree char *cache = mk_xasprintf("%s/cache", dir);
	mk_autofree char *work_dir = mk_xasprintf("%s/work", dir);
	char arch[] = "amd64";
	struct mk_work work = { .options = &options,
		.report = &report,
		.arch = arch,
		.cache_dir = cache,
		.scratch = work_dir };

	return mk_release_fetch(&work, components, 1, ret, NULL, err);
}

static void release_comes_from_a_mirror(void **state)
{
	char *dir = scratch();
	mk_autofree char *mirror = mk_xasprintf("%s/mirror", dir);
	MK_CLEANUP(mk_programs_done) struct mk_programs programs = { .count = 0 };
	mk_autobuf text = mk_buf_init(100);
	mk_autoerror err = { .code = MK_OK };
	struct stat st;

	(void)state;
	make_mirror(mirror);
	assert_int_equal(fetch_small(dir, &programs, &err), 0);
	assert_int_equal(programs.count, 2);
	assert_string_equal(programs.items[0].path, "/usr/local/bin/tool");
	assert_string_equal(programs.items[1].path, "/opt/other");
	assert_int_equal(mk_fs_read(programs.items[1].source, &text, &err), 0);
	assert_string_equal(text.data, "the other");
	assert_int_equal(stat(programs.items[1].source, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	drop_scratch(dir);
}

static void wrong_checksum_is_refused(void **state)
{
	char *dir = scratch();
	mk_autofree char *mirror = mk_xasprintf("%s/mirror", dir);
	MK_CLEANUP(mk_programs_done) struct mk_programs programs = { .count = 0 };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	make_mirror(mirror);
	save(mirror, "a.example/1/tool-amd64", "another tool");
	assert_int_equal(fetch_small(dir, &programs, &err), -MK_EINVALID);
	assert_non_null(strstr(err.message, "tool-amd64"));
	assert_non_null(err.hint);
	assert_int_equal(programs.count, 0);
	drop_scratch(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_whole),
		cmocka_unit_test(both_sources_give_the_same_programs),
		cmocka_unit_test(finds_by_name_and_program),
		cmocka_unit_test(addresses_follow_the_architecture),
		cmocka_unit_test(unknown_variable_is_an_error),
		cmocka_unit_test(digests_differ),
		cmocka_unit_test(inputs_follow_the_options),
		cmocka_unit_test(mirror_has_a_place_for_each_image),
		cmocka_unit_test(composed_image_reads_back),
		cmocka_unit_test(release_comes_from_a_mirror),
		cmocka_unit_test(wrong_checksum_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

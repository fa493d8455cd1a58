/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nodeimage/podimage.h"

#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/fs.h"
#include "lib/docker/container.h"
#include "lib/docker/image.h"
#include "lib/nodeimage/files.h"
#include "lib/registry/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct mk_tar_writer *mk_podimage_layer(void)
{
	struct mk_tar_writer *layer = mk_tar_writer_new(NULL);

	mk_tar_add_dir(layer, "tmp", 01777, 0, 0);
	mk_tar_add_text(layer, "etc/passwd", 0644,
		"root:x:0:0:root:/root:/sbin/nologin\n"
		"nobody:x:65534:65534:nobody:/:/sbin/nologin\n");
	mk_tar_add_text(layer, "etc/group", 0644, "root:x:0:\nnobody:x:65534:\n");
	return layer;
}

/* The image's configuration: https://github.com/opencontainers/image-spec/blob/main/config.md */
static char *print_config(const char *arch, const json_t *config, const char *layer_digest)
{
	mk_autofree char *diff_id = mk_xasprintf("sha256:%s", layer_digest);
	mk_autojson *document = mk_json_pack("{s:s,s:s,s:O,s:{s:s,s:[s]},s:[{s:s}]}",
		"architecture", arch, "os", "linux", "config", config, "rootfs", "type", "layers",
		"diff_ids", diff_id, "history", "created_by", "mkcluster");

	return mk_json_print(document);
}

/* Around the layer's tar go the two documents of `docker save`. */
static int wrap_layer(const char *layer_path, const char *reference, const char *arch,
	const json_t *config, const char *archive, struct mk_error *err)
{
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *outer = mk_tar_writer_new(NULL);
	mk_autofree char *layer_digest = NULL;
	mk_autofree char *config_text = NULL;
	mk_autofree char *config_digest = NULL;
	mk_autofree char *config_name = NULL;
	mk_autofree char *manifest_text = NULL;
	mk_autojson *manifest = NULL;
	int r = mk_digest_file(layer_path, &layer_digest, NULL, err);

	if (r < 0)
		return r;
	config_text = print_config(arch, config, layer_digest);
	r = mk_digest_data(config_text, strlen(config_text), &config_digest, err);
	if (r < 0)
		return r;
	config_name = mk_xasprintf("%s.json", config_digest);
	manifest = mk_json_pack("[{s:s,s:[s],s:[s]}]", "Config", config_name, "RepoTags", reference,
		"Layers", "layer.tar");
	manifest_text = mk_json_print(manifest);
	mk_tar_add_text(outer, config_name, 0644, config_text);
	mk_tar_add_from_disk(outer, "layer.tar", 0644, 0, 0, layer_path);
	mk_tar_add_text(outer, "manifest.json", 0644, manifest_text);
	return mk_tar_write_file(outer, archive, err);
}

int mk_podimage_compose(struct mk_tar_writer *layer, const char *reference, const char *arch,
	const json_t *config, const char *archive, struct mk_error *err)
{
	mk_autofree char *layer_path = mk_xasprintf("%s.layer", archive);
	int r = mk_tar_write_file(layer, layer_path, err);

	if (r == 0)
		r = wrap_layer(layer_path, reference, arch, config, archive, err);
	(void)unlink(layer_path);
	return r < 0 ? mk_error_wrap(err, "compose image '%s'", reference) : 0;
}

static int save_export(
	struct mk_docker *docker, const char *id, const char *path, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	char chunk[32768];
	ssize_t n;
	int r;

	if (fd < 0)
		return mk_fail_errno(err, "write '%s'", path);
	r = mk_container_export(docker, id, &stream, err);
	if (r < 0)
		return r;
	do {
		n = mk_http_read(stream, chunk, sizeof(chunk), -1, err);
		if (n < 0)
			return (int)n;
		r = mk_fs_write_all(fd, path, chunk, (size_t)n, err);
		if (r < 0)
			return r;
	} while (n > 0);
	return 0;
}

/* A container that never runs, only to read its files. */
static int export_image(struct mk_docker *docker, const char *reference, const json_t *labels,
	const char *path, struct mk_error *err)
{
	mk_autojson *config = mk_json_pack(
		"{s:s,s:[s],s:O}", "Image", reference, "Cmd", "/none", "Labels", labels);
	mk_autofree char *suffix = NULL;
	mk_autofree char *name = NULL;
	mk_autofree char *id = NULL;
	mk_autoerror ignored = { .code = MK_OK };
	int r = mk_random_hex(6, &suffix, err);

	if (r < 0)
		return r;
	name = mk_xasprintf("mkcluster-flatten-%s", suffix);
	r = mk_container_create(docker, name, config, &id, err);
	if (r < 0)
		return r;
	r = save_export(docker, id, path, err);
	mk_interrupt_shield(true);
	(void)!mk_container_remove(docker, id, &ignored);
	mk_interrupt_shield(false);
	return r;
}

/* The engine's inspection mixes in fields of containers; these are an image's. */
static json_t *take_config(const json_t *inspection)
{
	static const char *const keys[] = { "User", "ExposedPorts", "Env", "Entrypoint", "Cmd",
		"Volumes", "WorkingDir", "Labels", "StopSignal" };
	const json_t *from = mk_json_at(inspection, "Config");
	json_t *config = json_object();

	for (size_t i = 0; i < MK_ARRAY_LEN(keys); i++) {
		json_t *value = json_object_get(from, keys[i]);

		if (value && !json_is_null(value))
			(void)json_object_set(config, keys[i], value);
	}
	return config;
}

int mk_podimage_flatten(struct mk_docker *docker, const char *reference, const json_t *labels,
	const char *archive, struct mk_error *err)
{
	mk_autofree char *layer_path = mk_xasprintf("%s.layer", archive);
	mk_autojson *inspection = NULL;
	mk_autojson *config = NULL;
	int r = mk_image_inspect(docker, reference, &inspection, err);

	if (r == 0)
		r = export_image(docker, reference, labels, layer_path, err);
	if (r == 0) {
		config = take_config(inspection);
		r = wrap_layer(layer_path, reference,
			mk_json_str(inspection, "Architecture", "amd64"), config, archive, err);
	}
	(void)unlink(layer_path);
	return r < 0 ? mk_error_wrap(err, "flatten image '%s'", reference) : 0;
}

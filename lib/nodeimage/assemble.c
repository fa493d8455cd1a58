/* SPDX-License-Identifier: Apache-2.0 */
/* The container in which a node image is made, and the commit at its end. */
#include "lib/nodeimage/work.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/docker/container.h"
#include "manifests/embed.h"

#define WORK "/mnt/work"
#define PRELOAD_TIMEOUT_MS (10 * 60 * 1000)
#define DETAIL_LINES 20

/* The last lines of a program's output. Caller frees. */
static char *last_lines(const struct mk_buf *output, size_t lines)
{
	const char *p = output->data + output->len;

	while (p > output->data && p[-1] == '\n')
		p--;
	while (p > output->data) {
		if (p[-1] == '\n' && --lines == 0)
			break;
		p--;
	}
	return mk_xstrdup(p);
}

/*
 * As much as a node gets: containerd mounts overlays here. Where an engine may
 * not hand out everything (a bounding set without CAP_SYS_RESOURCE), nearly
 * everything is enough. The volume is a mount, not the configuration's "Volumes",
 * which the committed image would take over.
 */
static json_t *container_config(const struct mk_work *work, const char *image, bool privileged)
{
	json_t *host = mk_json_pack("{s:[{s:s,s:s}]}", "Mounts", "Type", "volume", "Target", WORK);

	if (privileged)
		(void)json_object_set_new(host, "Privileged", json_true());
	else
		(void)json_object_update_new(host,
			mk_json_pack("{s:[s],s:[s],s:[s,s],s:[],s:[],s:[s]}", "CapAdd", "ALL",
				"CapDrop", "SYS_RESOURCE", "SecurityOpt", "seccomp=unconfined",
				"apparmor=unconfined", "MaskedPaths", "ReadonlyPaths",
				"DeviceCgroupRules", "a *:* rwm"));
	return mk_json_pack("{s:s,s:[],s:[s,s],s:{s:s,s:s},s:o}", "Image", image, "Entrypoint",
		"Cmd", "sleep", "infinity", "Labels", MK_LABEL_BUILD, work->run_id,
		"io.mkcluster.run", work->run_id, "HostConfig", host);
}

static int try_start(struct mk_work *work, const char *image, bool privileged, char **ret_id,
	struct mk_error *err)
{
	mk_autojson *config = container_config(work, image, privileged);
	mk_autofree char *name = mk_xasprintf("mkcluster-build-%s", work->run_id);
	mk_autofree char *id = NULL;
	int r = mk_container_create(work->docker, name, config, &id, err);

	if (r < 0)
		return r;
	r = mk_container_start(work->docker, id, err);
	if (r < 0) {
		mk_remove_build_container(work, id);
		return r;
	}
	*ret_id = MK_TAKE(id);
	return 0;
}

int mk_start_build_container(
	struct mk_work *work, const char *image, char **ret_id, struct mk_error *err)
{
	int r = try_start(work, image, true, ret_id, err);

	if (r == -MK_EREMOTE) {
		mk_trace("no privileged container (%s), trying a restricted one", err->message);
		mk_error_done(err);
		r = try_start(work, image, false, ret_id, err);
	}
	return r < 0 ? mk_error_wrap(err, "start a build container of '%s'", image) : 0;
}

int mk_run_in_container(struct mk_work *work, const char *id, const char *const *argv,
	int64_t timeout_ms, struct mk_error *err)
{
	mk_autobuf output = mk_buf_init(MK_MAX_EXEC_OUTPUT);
	int status = 0;
	int r = mk_container_exec(work->docker, id, argv, timeout_ms, &output, &status, err);

	if (r < 0)
		return r;
	if (status == 0)
		return 0;
	(void)mk_fail(err, MK_EFAIL, "'%s' failed in the build container with exit status %d",
		argv[0], status);
	free(err->detail);
	err->detail = last_lines(&output, DETAIL_LINES);
	return -MK_EFAIL;
}

void mk_remove_build_container(struct mk_work *work, const char *id)
{
	mk_autoerror ignored = { .code = MK_OK };

	if (!id)
		return;
	mk_interrupt_shield(true);
	if (mk_container_remove(work->docker, id, &ignored) < 0)
		mk_trace("%s", ignored.message);
	mk_interrupt_shield(false);
}

/* The mode is given here: a checkout need not have kept it. */
static void add_embedded(
	struct mk_tar_writer *writer, const char *name, const char *path, mode_t mode)
{
	const struct mk_embedded *file = mk_embedded_find(name);

	mk_tar_add_file(writer, path, mode, 0, 0, file->data, file->len);
}

/* One stream for the node's files, one for the images, which only pass through. */
static int put_files(struct mk_work *work, struct mk_error *err)
{
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *images = mk_tar_writer_new(NULL);
	int r;

	mk_tar_add_dir(work->files, "usr/lib/mkcluster", 0755, 0, 0);
	add_embedded(work->files, "image/entrypoint", "usr/local/bin/entrypoint", 0755);
	add_embedded(work->files, "image/preload", "usr/lib/mkcluster/preload", 0755);
	add_embedded(work->files, "image/containerd-preload.toml",
		"usr/lib/mkcluster/containerd-preload.toml", 0644);
	r = mk_container_put_stream(
		work->docker, work->container, "/", mk_tar_writer_read, work->files, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < work->archives.count; i++) {
		const char *slash = strrchr(work->archives.items[i], '/');
		mk_autofree char *name = mk_xasprintf("in%s", slash);

		mk_tar_add_from_disk(images, name, 0644, 0, 0, work->archives.items[i]);
	}
	return mk_container_put_stream(
		work->docker, work->container, WORK, mk_tar_writer_read, images, err);
}

static int preload(struct mk_work *work, struct mk_error *err)
{
	mk_autostrlist paths = { .count = 0 };
	mk_autofree const char **argv = mk_xcalloc(work->archives.count + 3, sizeof(*argv));
	size_t n = 0;

	argv[n++] = "/usr/lib/mkcluster/preload";
	argv[n++] = WORK "/containerd";
	for (size_t i = 0; i < work->archives.count; i++)
		mk_strlist_addf(&paths, WORK "/in%s", strrchr(work->archives.items[i], '/'));
	for (size_t i = 0; i < paths.count; i++)
		argv[n++] = paths.items[i];
	return mk_run_in_container(work, work->container, argv, PRELOAD_TIMEOUT_MS, err);
}

static json_t *image_config(const struct mk_work *work, const char *inputs)
{
	mk_autofree char *images = mk_json_print(work->images);
	bool modules = work->from == MK_FROM_MODULES;
	json_t *labels = mk_json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", MK_LABEL_IMAGE, "1",
		MK_LABEL_KUBERNETES, "v" MK_KUBERNETES_VERSION, MK_LABEL_INPUTS, inputs,
		MK_LABEL_FROM, mk_from_name(work->from), MK_LABEL_PROVIDER,
		modules ? "stand-in" : "faas-netes", MK_LABEL_IMAGES, images,
		/* A container's labels pass on to the image, unless they are given. */
		MK_LABEL_BUILD, "", "io.mkcluster.run", "");

	return mk_json_pack("{s:[s],s:[],s:s,s:[s,s],s:o}", "Entrypoint",
		"/usr/local/bin/entrypoint", "Cmd", "StopSignal", "SIGRTMIN+3", "Env",
		"container=docker",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "Labels",
		labels);
}

static int commit(struct mk_work *work, const char *inputs, struct mk_error *err)
{
	const char *image = work->options->image ? work->options->image : MK_NODEIMAGE_DEFAULT;
	mk_autojson *config = image_config(work, inputs);
	mk_autofree char *id = NULL;
	int r;

	/* The engine ends what it has begun, whether we listen or not; an image made
	 * behind our back would be worse than a few seconds. */
	mk_interrupt_shield(true);
	r = mk_container_commit(work->docker, work->container, image, config, &id, err);
	mk_interrupt_shield(false);
	return r;
}

int mk_assemble(struct mk_work *work, const char *inputs, struct mk_error *err)
{
	int r;

	mk_part_begin(work, "files into the image", NULL);
	r = put_files(work, err);
	if (r < 0)
		return mk_error_wrap(err, "fill the build container");
	mk_part_end(work, false);
	mk_part_begin(work, "pod images unpacked", NULL);
	r = preload(work, err);
	if (r < 0)
		return mk_error_wrap(err, "unpack the pod images");
	mk_part_end(work, false);
	mk_part_begin(work, "commit", NULL);
	r = commit(work, inputs, err);
	if (r < 0)
		return mk_error_wrap(err, "commit the node image");
	mk_part_end(work, false);
	return 0;
}

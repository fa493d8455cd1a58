/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/load.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/cluster/cluster.h"
#include "lib/docker/image.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* The cluster's registry, and the architecture that its nodes run. */
struct target {
	struct mk_registry *registry;
	char *arch;
};

static void target_done(struct target *target)
{
	mk_registry_free(target->registry);
	free(target->arch);
}

static int open_target(
	struct mk_docker *docker, const char *cluster, struct target *ret, struct mk_error *err)
{
	mk_autojson *node = NULL;
	mk_autojson *image = NULL;
	mk_autofree char *url = NULL;
	int r = mk_cluster_find(docker, cluster, &node, err);

	if (r < 0)
		return r;
	if (!mk_streq(mk_json_str(node, "state", ""), "running")) {
		(void)mk_fail(err, MK_EHOST, "cluster '%s' does not run", cluster);
		mk_error_hint(err, "`docker start %s`", mk_json_str(node, "name", ""));
		return -MK_EHOST;
	}
	r = mk_image_inspect(docker, mk_json_str(node, "image", ""), &image, err);
	if (r < 0)
		return r;
	ret->arch = mk_xstrdup(mk_json_str(image, "Architecture", "amd64"));
	url = mk_cluster_url(docker, "http", mk_json_str(node, "registry", ""));
	return mk_registry_new(url, &ret->registry, err);
}

/* Add a line to the report for an image that was there already. */
static void report_present(struct mk_load_report *report, const struct mk_reference *reference,
	const char *id, size_t layers)
{
	struct mk_loaded_image *image;

	report->images = mk_xrealloc(report->images, (report->count + 1) * sizeof(*report->images));
	image = &report->images[report->count++];
	*image = (struct mk_loaded_image){
		.id = mk_xstrdup(id), .digest = mk_xstrdup(""), .layers_there = layers
	};
	mk_strlist_take(&image->names, mk_reference_print(reference));
}

static int send_saved(struct mk_docker *docker, const struct target *target, const char *name,
	const struct mk_load_options *options, struct mk_load_report *ret, struct mk_error *err)
{
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autostrlist names = { .items = NULL };
	int r;

	mk_strlist_add(&names, name);
	r = mk_image_save(docker, &names, &stream, err);
	if (r < 0)
		return r;
	return mk_registry_load(target->registry, mk_docker_read, stream, options, ret, err);
}

/* Move what one load reported behind what `to` has. */
static void append_report(struct mk_load_report *to, struct mk_load_report *from)
{
	size_t total = to->count + from->count;

	to->images = mk_xrealloc(to->images, total * sizeof(*to->images));
	for (size_t i = 0; i < from->count; i++)
		to->images[to->count++] = from->images[i];
	to->bytes_sent += from->bytes_sent;
	free(from->images);
	*from = (struct mk_load_report){ .images = NULL };
}

static int send_image(struct mk_docker *docker, const struct target *target, const char *name,
	const struct mk_strlist *layers, struct mk_load_report *ret, struct mk_error *err)
{
	mk_autoloadreport report = { .images = NULL };
	struct mk_load_options options = {
		.what = name,
		.arch = target->arch,
		.layers = layers,
		.layers_count = 1,
	};
	int r = send_saved(docker, target, name, &options, &report, err);

	/* The engine's archive is not laid out as its inspect answer says: send all. */
	if (r < 0 && report.wrong_layers) {
		mk_error_done(err);
		mk_load_report_done(&report);
		options.layers = NULL;
		options.layers_count = 0;
		r = send_saved(docker, target, name, &options, &report, err);
	}
	if (r == 0)
		append_report(ret, &report);
	return r;
}

static int load_one(struct mk_docker *docker, const struct target *target, const char *name,
	struct mk_load_report *ret, struct mk_error *err)
{
	mk_autoreference reference = { .host = NULL };
	mk_autostrlist layers = { .items = NULL };
	mk_autojson *info = NULL;
	const json_t *layer;
	const char *id;
	bool present = false;
	size_t i;
	int r = mk_reference_parse(name, &reference, err);

	if (r < 0)
		return mk_error_recode(err, MK_EUSAGE);
	r = mk_image_inspect(docker, name, &info, err);
	if (r == -MK_ENOTFOUND) {
		(void)mk_fail(err, MK_ENOTFOUND, "the engine has no image '%s'", name);
		mk_error_hint(err, "build or pull it first; `docker images` lists what there is");
	}
	if (r < 0)
		return r;
	json_array_foreach (mk_json_at(info, "RootFS.Layers"), i, layer)
		mk_strlist_add(&layers, json_string_value(layer));
	id = mk_json_str(info, "Id", "");
	r = mk_registry_has_image(target->registry, &reference, id, &present, err);
	if (r < 0)
		return r;
	if (present) {
		report_present(ret, &reference, id, layers.count);
		return 0;
	}
	return send_image(docker, target, name, &layers, ret, err);
}

int mk_cluster_load_images(struct mk_docker *docker, const char *cluster,
	const struct mk_strlist *images, struct mk_load_report *ret, struct mk_error *err)
{
	MK_CLEANUP(target_done) struct target target = { .registry = NULL };
	int r = open_target(docker, cluster, &target, err);

	for (size_t i = 0; i < images->count && r == 0; i++) {
		r = load_one(docker, &target, images->items[i], ret, err);
		if (r < 0)
			(void)mk_error_wrap(err, "load image '%s'", images->items[i]);
	}
	return r;
}

/* A pipe may stay silent for long: an interrupt must be noticed meanwhile. */
static ssize_t read_fd(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct pollfd poll_fd = { .fd = *(int *)payload, .events = POLLIN };

	for (;;) {
		ssize_t n;

		if (mk_interrupted())
			return mk_fail_interrupted(err);
		if (poll(&poll_fd, 1, 100) <= 0)
			continue;
		n = read(poll_fd.fd, data, cap);
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return mk_fail_errno(err, "read the archive");
	}
}

int mk_cluster_load_archive(struct mk_docker *docker, const char *cluster, const char *path,
	struct mk_load_report *ret, struct mk_error *err)
{
	MK_CLEANUP(target_done) struct target target = { .registry = NULL };
	bool is_stdin = mk_streq(path, "-");
	const char *what = is_stdin ? "standard input" : path;
	mk_autoclose int file = is_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int fd = is_stdin ? STDIN_FILENO : file;
	struct mk_load_options options = { .what = what };
	int r;

	if (fd < 0)
		return mk_fail_errno(err, "open '%s'", path);
	r = open_target(docker, cluster, &target, err);
	if (r < 0)
		return r;
	options.arch = target.arch;
	r = mk_registry_load(target.registry, read_fd, &fd, &options, ret, err);
	return r < 0 ? mk_error_wrap(err, "load archive '%s'", what) : 0;
}

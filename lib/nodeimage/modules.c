/* SPDX-License-Identifier: Apache-2.0 */
/* The contents of a node from Go modules: programs for the node, and pod images
 * composed around programs. */
#include "lib/nodeimage/files.h"
#include "lib/nodeimage/gobuild.h"
#include "lib/nodeimage/podimage.h"
#include "lib/nodeimage/work.h"

#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/docker/container.h"

static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

static json_t *image_config(const struct mk_podimage *image)
{
	json_t *command = json_array();

	for (size_t i = 0; image->command[i]; i++)
		(void)json_array_append_new(command, json_string(image->command[i]));
	return mk_json_pack("{s:o,s:s,s:s,s:[s]}", "Entrypoint", command, "User", image->user,
		"WorkingDir", "/", "Env", "PATH=/usr/local/bin:/usr/bin:/bin");
}

static int compose(struct mk_work *work, const struct mk_component *component,
	struct mk_tar_writer *layer, struct mk_error *err)
{
	mk_autojson *config = image_config(component->image);
	mk_autofree char *archive = mk_xasprintf("%s/%s.tar", work->scratch, component->name);
	mk_autofree char *reference = NULL;
	int r = mk_component_render(
		component, component->image->local, work->arch, &reference, err);

	if (r == 0)
		r = mk_podimage_compose(layer, reference, work->arch, config, archive, err);
	if (r < 0)
		return r;
	(void)json_object_set_new(work->images, component->image->role, json_string(reference));
	mk_strlist_add(&work->archives, archive);
	return 0;
}

static void add_outputs(
	struct mk_tar_writer *writer, const struct mk_gobuild *build, const char *dir)
{
	for (const struct mk_built *o = build->outputs; o->name; o++) {
		mk_autofree char *source = mk_xasprintf("%s/%s", dir, o->name);

		mk_tar_add_from_disk(writer, o->path, 0755, 0, 0, source);
		for (size_t i = 0; o->links && o->links[i]; i++) {
			mk_autofree char *link = mk_xasprintf("%.*s%s",
				(int)(base_name(o->path) - o->path), o->path, o->links[i]);

			mk_tar_add_symlink(writer, link, base_name(o->path), 0, 0);
		}
	}
}

static int add_image(struct mk_work *work, const struct mk_component *component, const char *dir,
	struct mk_error *err)
{
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *layer = mk_podimage_layer();
	const struct mk_gobuild *build = component->build;
	int r = 0;

	add_outputs(layer, build, dir);
	if (build->tree) {
		mk_autofree char *from = mk_xasprintf("%s/%s", dir, build->tree);

		r = mk_tar_add_tree(layer, build->tree, from, err);
	}
	return r < 0 ? r : compose(work, component, layer, err);
}

/* An image around a static program that Debian ships: it is in the OS layer. */
static int add_os_image(
	struct mk_work *work, const struct mk_component *component, struct mk_error *err)
{
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *layer = mk_podimage_layer();
	mk_autobuf file = mk_buf_init(16 * MK_MIB);
	const char *path = component->image->os_file;
	const char *const *links = component->image->os_links;
	int r = mk_container_read_file(work->docker, work->container, path, &file, err);

	if (r < 0)
		return r;
	mk_tar_add_file(layer, path, 0755, 0, 0, file.data, file.len);
	for (size_t i = 0; links && links[i]; i++)
		mk_tar_add_symlink(layer, links[i], path, 0, 0);
	return compose(work, component, layer, err);
}

static int add_component(struct mk_work *work, const struct mk_go *go,
	const struct mk_component *component, struct mk_error *err)
{
	mk_autofree char *dir = NULL;
	bool cached = true;
	int r;

	mk_part_begin(work, component->name, mk_component_module_version(component));
	if (!component->build) {
		r = add_os_image(work, component, err);
	} else {
		r = mk_go_build(go, component, &dir, &cached, err);
		if (r == 0 && component->image)
			r = add_image(work, component, dir, err);
		else if (r == 0)
			add_outputs(work->files, component->build, dir);
	}
	if (r < 0)
		return r;
	mk_part_end(work, cached);
	if (component->note)
		mk_strlist_addf(&work->report->notes, "%s: %s", component->name, component->note);
	return 0;
}

int mk_add_from_modules(struct mk_work *work, struct mk_error *err)
{
	MK_CLEANUP(mk_go_done) struct mk_go go = { .version = NULL };
	int r = mk_go_init(&go, work->cache_dir, work->arch, mk_part_say, work, err);

	mk_tar_add_dir(work->files, "opt/cni", 0755, 0, 0);
	mk_tar_add_dir(work->files, "opt/cni/bin", 0755, 0, 0);
	for (size_t i = 0; r == 0 && i < mk_component_count; i++) {
		if (!mk_components[i].host_only)
			r = add_component(work, &go, &mk_components[i], err);
	}
	return r;
}

size_t mk_modules_part_count(void)
{
	size_t count = 0;

	for (size_t i = 0; i < mk_component_count; i++)
		count += !mk_components[i].host_only;
	return count;
}

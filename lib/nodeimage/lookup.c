/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the component table: by name, filled in, and its digest. */
#include "lib/nodeimage/components.h"

#include "lib/registry/digest.h"
#include "manifests/embed.h"
#include "manifests/render.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool has_output(const struct mk_gobuild *build, const char *program)
{
	for (const struct mk_built *o = build ? build->outputs : NULL; o && o->name; o++) {
		if (mk_streq(base_name(o->path), program))
			return true;
		for (size_t i = 0; o->links && o->links[i]; i++) {
			if (mk_streq(o->links[i], program))
				return true;
		}
	}
	return false;
}

const struct mk_component *mk_component_find(const char *name)
{
	for (size_t i = 0; i < mk_component_count; i++) {
		if (mk_streq(mk_components[i].name, name))
			return &mk_components[i];
	}
	for (size_t i = 0; i < mk_component_count; i++) {
		if (has_output(mk_components[i].build, name))
			return &mk_components[i];
	}
	return NULL;
}

const char *mk_component_module_version(const struct mk_component *component)
{
	return component->module_version ? component->module_version : component->version;
}

int mk_component_render(const struct mk_component *component, const char *text, const char *arch,
	char **ret, struct mk_error *err)
{
	mk_autorender render = mk_render_init();
	mk_autobuf buf = mk_buf_init(65536);
	bool plain = mk_streq(arch, "amd64");
	int r;

	mk_render_set(&render, "VERSION", component->version);
	mk_render_set(&render, "MODULE_VERSION", mk_component_module_version(component));
	mk_render_set(&render, "ARCH", arch);
	mk_render_setf(&render, "ARCH_SUFFIX", "%s%s", plain ? "" : "-", plain ? "" : arch);
	r = mk_render_text(&render, component->name, text, &buf, err);
	if (r < 0)
		return r;
	*ret = mk_buf_detach(&buf);
	return 0;
}

/* With the NUL, so that "ab" + "c" is not "a" + "bc". */
static void add(struct mk_digest *digest, const char *text)
{
	mk_digest_update(digest, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void add_build(struct mk_digest *digest, const struct mk_gobuild *build)
{
	mk_autofree char *folder = mk_xasprintf("%s/", build->folder);

	for (size_t i = 0; build->packages[i]; i++)
		add(digest, build->packages[i]);
	add(digest, build->tags);
	add(digest, build->ldflags);
	add(digest, build->cgo ? "cgo" : "");
	add(digest, build->tree_module);
	add(digest, build->tree);
	for (size_t i = 0; i < mk_embedded_count; i++) {
		const struct mk_embedded *file = &mk_embedded_files[i];

		if (!mk_after_prefix(file->path, folder))
			continue;
		add(digest, file->path);
		mk_digest_update(digest, file->data, file->len);
	}
}

int mk_component_digest(
	const struct mk_component *component, const char *arch, char **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_digest_freep) struct mk_digest *digest = mk_digest_new();

	add(digest, component->name);
	add(digest, component->version);
	add(digest, component->module_version);
	add(digest, arch);
	if (component->build)
		add_build(digest, component->build);
	return mk_digest_hex(digest, ret, err);
}

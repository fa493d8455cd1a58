/* SPDX-License-Identifier: Apache-2.0 */
/* The digest of everything that decides what a node image will be. */
#include "lib/nodeimage/work.h"

#include "lib/registry/digest.h"
#include "manifests/embed.h"

/* To be counted up when the same inputs are put together in another way. */
#define RECIPE "1"

/* With the NUL, so that "ab" + "c" is not "a" + "bc". */
static void add(struct mk_digest *digest, const char *text)
{
	mk_digest_update(digest, text ? text : "", text ? strlen(text) + 1 : 1);
}

static int add_rendered(struct mk_digest *digest, const struct mk_component *component,
	const char *text, const char *arch, struct mk_error *err)
{
	mk_autofree char *rendered = NULL;
	int r = mk_component_render(component, text, arch, &rendered, err);

	if (r == 0)
		add(digest, rendered);
	return r;
}

static int add_release(struct mk_digest *digest, const struct mk_component *component,
	const char *arch, struct mk_error *err)
{
	int r = 0;

	for (const struct mk_release_file *f = component->files; r == 0 && f && f->url; f++) {
		r = add_rendered(digest, component, f->url, arch, err);
		for (size_t i = 0; i < MK_MAX_MEMBERS && f->members[i].path; i++) {
			add(digest, f->members[i].name);
			add(digest, f->members[i].path);
		}
	}
	if (r == 0 && component->image)
		r = add_rendered(digest, component, component->image->reference, arch, err);
	return r;
}

static int add_modules(struct mk_digest *digest, const struct mk_component *component,
	const char *arch, struct mk_error *err)
{
	const struct mk_podimage *image = component->image;
	mk_autofree char *built = NULL;
	int r = mk_component_digest(component, arch, &built, err);

	if (r < 0)
		return r;
	add(digest, built);
	if (!image)
		return 0;
	for (size_t i = 0; image->command[i]; i++)
		add(digest, image->command[i]);
	add(digest, image->user);
	add(digest, image->os_file);
	for (size_t i = 0; image->os_links && image->os_links[i]; i++)
		add(digest, image->os_links[i]);
	return add_rendered(digest, component, image->local, arch, err);
}

static void add_common(struct mk_digest *digest, const struct mk_nodeimage_options *options,
	enum mk_from from, const char *arch)
{
	add(digest, RECIPE);
	add(digest, mk_from_name(from));
	add(digest, arch);
	add(digest, from == MK_FROM_RELEASE ? options->mirror : NULL);
	add(digest, options->base_image ? options->base_image : MK_BASE_IMAGE_DEFAULT);
	for (size_t i = 0; mk_os_packages[i]; i++)
		add(digest, mk_os_packages[i]);
	for (size_t i = 0; i < mk_embedded_count; i++) {
		if (!mk_after_prefix(mk_embedded_files[i].path, "image/"))
			continue;
		add(digest, mk_embedded_files[i].path);
		mk_digest_update(digest, mk_embedded_files[i].data, mk_embedded_files[i].len);
	}
}

int mk_inputs_digest(const struct mk_nodeimage_options *options, enum mk_from from,
	const char *arch, char **ret, struct mk_error *err)
{
	MK_CLEANUP(mk_digest_freep) struct mk_digest *digest = mk_digest_new();

	add_common(digest, options, from, arch);
	for (size_t i = 0; i < mk_component_count; i++) {
		const struct mk_component *component = &mk_components[i];
		int r = 0;

		if (component->host_only)
			continue;
		if (from == MK_FROM_RELEASE)
			r = add_release(digest, component, arch, err);
		else
			r = add_modules(digest, component, arch, err);
		if (r < 0)
			return r;
	}
	return mk_digest_hex(digest, ret, err);
}

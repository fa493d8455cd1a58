/* SPDX-License-Identifier: Apache-2.0 */
/* Release files into the cache, and programs out of them. */
#include "lib/nodeimage/release.h"

#include "lib/archive/extract.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"

char *mk_mirror_image_path(const char *reference, const char *arch)
{
	char *path = mk_xasprintf("images/%s-%s.tar", reference, arch);
	char *slash = strrchr(path, '/');
	char *colon = strrchr(slash, ':');

	if (colon)
		*colon = '/';
	return path;
}

void mk_programs_done(struct mk_programs *programs)
{
	for (size_t i = 0; i < programs->count; i++) {
		free(programs->items[i].source);
		free(programs->items[i].path);
	}
	free(programs->items);
}

static void add_program(struct mk_programs *programs, const char *source, const char *path)
{
	programs->items = mk_xrealloc(
		programs->items, (programs->count + 1) * sizeof(*programs->items));
	programs->items[programs->count++] = (struct mk_program){
		.source = mk_xstrdup(source),
		.path = mk_xstrdup(path),
	};
}

/* What is to be fetched; the strings of an item are owned here. */
struct batch {
	struct mk_fetch_item *items;
	const struct mk_release_file **files; /* NULL: an image's archive */
	const struct mk_component **components;
	size_t count;
	struct mk_strlist strings;
};

static void batch_done(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		mk_fetch_item_done(&batch->items[i]);
	free(batch->items);
	free(batch->files);
	free(batch->components);
	mk_strlist_done(&batch->strings);
}

static void batch_add(struct batch *batch, char *url, char *checksum_url,
	const struct mk_release_file *file, const struct mk_component *component)
{
	size_t n = batch->count++;

	batch->items = mk_xrealloc(batch->items, batch->count * sizeof(*batch->items));
	batch->files = mk_xrealloc(batch->files, batch->count * sizeof(*batch->files));
	batch->components = mk_xrealloc(
		batch->components, batch->count * sizeof(*batch->components));
	mk_strlist_take(&batch->strings, url);
	mk_strlist_take(&batch->strings, checksum_url);
	batch->items[n] = (struct mk_fetch_item){ .url = url, .checksum_url = checksum_url };
	batch->files[n] = file;
	batch->components[n] = component;
}

static int collect_files(const struct mk_work *work, const struct mk_component *component,
	struct batch *batch, struct mk_error *err)
{
	for (const struct mk_release_file *f = component->files; f && f->url; f++) {
		mk_autofree char *url = NULL;
		mk_autofree char *checksum_url = NULL;
		int r = mk_component_render(component, f->url, work->arch, &url, err);

		if (r == 0)
			r = mk_component_render(
				component, f->checksum_url, work->arch, &checksum_url, err);
		if (r < 0)
			return r;
		batch_add(batch, MK_TAKE(url), MK_TAKE(checksum_url), f, component);
	}
	return 0;
}

/* A mirror has no origin to name, so a host "images" stands in the URL: the file
 * of https://HOST/PATH is at HOST/PATH below a mirror's root. */
static int collect_image(const struct mk_work *work, const struct mk_component *component,
	struct batch *batch, struct mk_error *err)
{
	mk_autofree char *reference = NULL;
	mk_autofree char *path = NULL;
	int r = mk_component_render(
		component, component->image->reference, work->arch, &reference, err);

	if (r < 0)
		return r;
	path = mk_mirror_image_path(reference, work->arch);
	batch_add(batch, mk_xasprintf("https://%s", path), mk_xasprintf("https://%s.sha256", path),
		NULL, component);
	return 0;
}

static void on_progress(void *payload, const struct mk_fetch_status *items, size_t count)
{
	mk_autofree char *bytes = NULL;
	mk_autofree char *text = NULL;
	uint64_t received = 0;
	size_t done = 0, retrying = 0;

	for (size_t i = 0; i < count; i++) {
		received += items[i].state == MK_FETCH_CACHED ? 0 : items[i].received;
		done += items[i].state == MK_FETCH_DONE || items[i].state == MK_FETCH_CACHED;
		retrying += items[i].state == MK_FETCH_RETRYING;
	}
	bytes = mk_format_bytes(received);
	text = retrying > 0
		? mk_xasprintf("%zu of %zu files, %s, %zu retrying", done, count, bytes, retrying)
		: mk_xasprintf("%zu of %zu files, %s", done, count, bytes);
	mk_part_say(payload, text);
}

static int fetch(struct mk_work *work, struct batch *batch, struct mk_error *err)
{
	mk_autofree char *cache = mk_xasprintf("%s/release", work->cache_dir);
	const struct mk_fetch_options options = {
		.cache_dir = cache,
		.mirror = work->options->mirror,
		.progress = on_progress,
		.progress_payload = work,
	};
	int r = mk_fetch_all(batch->items, batch->count, &options, err);

	if (r < 0 && r != -MK_EINTR)
		mk_error_hint(err,
			"run the same command again to go on where it stopped, "
			"or use --from modules");
	return r;
}

/* Members of an archive go to a folder of its own in the scratch. */
static int extract(struct mk_work *work, const struct batch *batch, size_t i,
	struct mk_programs *programs, struct mk_error *err)
{
	const struct mk_release_file *file = batch->files[i];
	struct mk_archive_member members[MK_MAX_MEMBERS];
	mk_autostrlist strings = { .count = 0 };
	mk_autofree char *dir = mk_xasprintf("%s/release-%zu", work->scratch, i);
	size_t count = 0;
	int r = mk_fs_mkdir_all(dir, 0755, err);

	for (; r == 0 && count < MK_MAX_MEMBERS && file->members[count].path; count++) {
		const struct mk_member *member = &file->members[count];
		char *name = NULL;
		char *target = mk_xasprintf("%s%s", dir, strrchr(member->path, '/'));

		mk_strlist_take(&strings, target);
		r = mk_component_render(batch->components[i], member->name, work->arch, &name, err);
		if (r < 0)
			return r;
		mk_strlist_take(&strings, name);
		members[count] = (struct mk_archive_member){ name, target, 0755 };
		add_program(programs, target, member->path);
	}
	return r < 0 ? r : mk_archive_extract_files(batch->items[i].path, members, count, err);
}

static int take_item(struct mk_work *work, const struct batch *batch, size_t i,
	struct mk_programs *programs, struct mk_strlist *images, struct mk_error *err)
{
	const struct mk_release_file *file = batch->files[i];

	if (!file)
		mk_strlist_add(images, batch->items[i].path);
	else if (file->members[0].name)
		return extract(work, batch, i, programs, err);
	else
		add_program(programs, batch->items[i].path, file->members[0].path);
	return 0;
}

int mk_release_fetch(struct mk_work *work, const struct mk_component *const *components,
	size_t count, struct mk_programs *ret, struct mk_strlist *images, struct mk_error *err)
{
	MK_CLEANUP(batch_done) struct batch batch = { .count = 0 };
	MK_CLEANUP(mk_programs_done) struct mk_programs programs = { .count = 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		r = collect_files(work, components[i], &batch, err);
		if (r == 0 && images && components[i]->image)
			r = collect_image(work, components[i], &batch, err);
	}
	if (r == 0)
		r = fetch(work, &batch, err);
	for (size_t i = 0; r == 0 && i < batch.count; i++)
		r = take_item(work, &batch, i, &programs, images, err);
	if (r < 0)
		return r;
	*ret = programs;
	programs = (struct mk_programs){ .count = 0 };
	return 0;
}

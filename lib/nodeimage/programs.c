/* SPDX-License-Identifier: Apache-2.0 */
/* Single programs for the host: kubectl and faas-cli for those who have none. */
#include "lib/nodeimage/files.h"
#include "lib/nodeimage/gobuild.h"
#include "lib/nodeimage/release.h"
#include "lib/nodeimage/work.h"

#include "lib/base/clock.h"

#include <sys/utsname.h>

static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* "kubectl" wants one program; "etcd" is a component, and wants all of its own. */
static bool wanted(const struct mk_component *component, const char *name, const char *program)
{
	return mk_streq(name, program) || mk_streq(name, component->name);
}

static int put(const char *source, const char *out_dir, const char *program, size_t *count,
	struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("%s/%s", out_dir, program);

	(*count)++;
	return mk_copy_file(source, path, 0755, err);
}

static int from_modules(struct mk_work *work, const struct mk_component *component,
	const char *name, const char *out_dir, struct mk_error *err)
{
	MK_CLEANUP(mk_go_done) struct mk_go go = { .version = NULL };
	mk_autofree char *dir = NULL;
	bool cached;
	size_t count = 0;
	int r = mk_go_init(&go, work->cache_dir, work->arch, mk_part_say, work, err);

	if (r < 0)
		return r;
	mk_part_begin(work, name, mk_component_module_version(component));
	r = mk_go_build(&go, component, &dir, &cached, err);
	for (const struct mk_built *o = component->build->outputs; r == 0 && o->name; o++) {
		mk_autofree char *source = mk_xasprintf("%s/%s", dir, o->name);

		/* A file of many programs goes out under the names that do something. */
		if (!o->links && wanted(component, name, base_name(o->path)))
			r = put(source, out_dir, base_name(o->path), &count, err);
		for (size_t i = 0; r == 0 && o->links && o->links[i]; i++) {
			if (wanted(component, name, o->links[i]))
				r = put(source, out_dir, o->links[i], &count, err);
		}
	}
	if (r == 0)
		mk_part_end(work, cached);
	return r;
}

static int from_release(struct mk_work *work, const struct mk_component *component,
	const char *name, const char *out_dir, struct mk_error *err)
{
	MK_CLEANUP(mk_programs_done) struct mk_programs programs = { .count = 0 };
	size_t count = 0;
	int r;

	if (!component->files) {
		(void)mk_fail(err, MK_EUSAGE, "'%s' is released as an image, not as a file", name);
		mk_error_hint(err, "use --from modules");
		return -MK_EUSAGE;
	}
	mk_part_begin(work, name, component->version);
	r = mk_release_fetch(work, &component, 1, &programs, NULL, err);
	for (size_t i = 0; r == 0 && i < programs.count; i++) {
		const char *program = base_name(programs.items[i].path);

		if (wanted(component, name, program))
			r = put(programs.items[i].source, out_dir, program, &count, err);
	}
	if (r == 0 && count == 0)
		r = mk_fail(err, MK_EUSAGE, "the release of %s has no program '%s'",
			component->name, name);
	if (r == 0)
		mk_part_end(work, false);
	return r;
}

/* Everything that a user may have meant. */
static void list_names(struct mk_strlist *ret)
{
	for (size_t i = 0; i < mk_component_count; i++) {
		const struct mk_gobuild *build = mk_components[i].build;

		mk_strlist_add(ret, mk_components[i].name);
		for (const struct mk_built *o = build ? build->outputs : NULL; o && o->name; o++) {
			mk_strlist_add(ret, base_name(o->path));
			for (size_t j = 0; o->links && o->links[j]; j++)
				mk_strlist_add(ret, o->links[j]);
		}
	}
}

static int find(const char *name, const struct mk_component **ret, struct mk_error *err)
{
	const struct mk_component *component = mk_component_find(name);
	mk_autostrlist names = { .count = 0 };
	const char *near;

	if (component && component->build) {
		*ret = component;
		return 0;
	}
	list_names(&names);
	near = mk_did_you_mean(name, (const char *const *)names.items, names.count);
	(void)mk_fail(err, MK_EUSAGE, "there is no program or component '%s'", name);
	if (near)
		mk_error_hint(err, "did you mean '%s'?", near);
	else
		mk_error_hint(err, "programs for the host are kubectl and faas-cli");
	return -MK_EUSAGE;
}

static int host_arch(char **ret, struct mk_error *err)
{
	struct utsname name;

	if (uname(&name) < 0)
		return mk_fail_errno(err, "ask for this machine's architecture");
	if (mk_streq(name.machine, "x86_64"))
		*ret = mk_xstrdup("amd64");
	else if (mk_streq(name.machine, "aarch64"))
		*ret = mk_xstrdup("arm64");
	else
		return mk_fail(err, MK_EHOST,
			"this machine is '%s'; programs exist for amd64 and arm64", name.machine);
	return 0;
}

static int build_all(struct mk_work *work, const struct mk_strlist *names, const char *out_dir,
	struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->count; i++) {
		const struct mk_component *component = NULL;

		r = find(names->items[i], &component, err);
		if (r == 0 && work->from == MK_FROM_MODULES)
			r = from_modules(work, component, names->items[i], out_dir, err);
		else if (r == 0)
			r = from_release(work, component, names->items[i], out_dir, err);
	}
	return r;
}

int mk_nodeimage_build_programs(const struct mk_strlist *names, const char *out_dir,
	const struct mk_nodeimage_options *options, struct mk_nodeimage_report *ret,
	struct mk_error *err)
{
	mk_autoreport report = { .image = NULL };
	MK_CLEANUP(mk_work_done)
	struct mk_work work = {
		.options = options,
		.report = &report,
		.part_count = names->count,
	};
	int64_t began = mk_now_ms();
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->count; i++) {
		const struct mk_component *component;

		r = find(names->items[i], &component, err);
	}
	if (r == 0)
		r = host_arch(&work.arch, err);
	if (r == 0)
		r = mk_choose_source(NULL, options, work.arch, &report.from, &report.reason, err);
	work.from = report.from;
	if (r == 0)
		r = mk_work_init(&work, err);
	if (r == 0)
		r = build_all(&work, names, out_dir, err);
	if (r < 0)
		return mk_work_fail(err);
	report.ms = mk_now_ms() - began;
	*ret = report;
	report = (struct mk_nodeimage_report){ .image = NULL };
	return 0;
}

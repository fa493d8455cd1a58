/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/nodeimage/gobuild.h"

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/nodeimage/child.h"
#include "lib/nodeimage/files.h"
#include "lib/registry/digest.h"
#include "manifests/embed.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define GO_MAJOR 1
#define GO_MINOR 26
#define KEY_DIGITS 20
#define MAX_LIST (8 * (size_t)1024 * 1024)

extern char **environ;

/* One build as it runs. */
struct build {
	const struct mk_go *go;
	const struct mk_component *component;
	char *source; /* folder of the written module */
	char *ldflags;
	struct mk_strlist env;
	size_t total; /* packages; 0 while unknown */
	size_t compiled, fetched;
};

static void build_done(struct build *b)
{
	free(b->source);
	free(b->ldflags);
	mk_strlist_done(&b->env);
}

/* GOFLAGS without -mod, which we decide: a user's -mod=vendor has no vendor here. */
static char *clean_goflags(void)
{
	const char *flags = getenv("GOFLAGS");
	mk_autostrlist words = { .count = 0 };
	mk_autostrlist kept = { .count = 0 };

	mk_strlist_split(&words, flags ? flags : "", " ");
	for (size_t i = 0; i < words.count; i++) {
		const char *word = words.items[i] + strspn(words.items[i], "-");

		if (!mk_after_prefix(word, "mod=") && !mk_after_prefix(word, "modfile="))
			mk_strlist_add(&kept, words.items[i]);
	}
	return mk_strlist_join(&kept, " ");
}

static void fill_env(struct mk_strlist *env, const char *arch, bool cgo)
{
	static const char *const ours[] = {
		"GOFLAGS=", "GOWORK=", "GOOS=", "GOARCH=", "CGO_ENABLED=", "GO111MODULE="
	};
	mk_autofree char *goflags = clean_goflags();

	for (char **e = environ; *e; e++) {
		bool set = false;

		for (size_t i = 0; i < MK_ARRAY_LEN(ours); i++)
			set = set || mk_after_prefix(*e, ours[i]);
		if (!set)
			mk_strlist_add(env, *e);
	}
	mk_strlist_addf(env, "GOFLAGS=%s", goflags);
	mk_strlist_addf(env, "GOARCH=%s", arch);
	mk_strlist_addf(env, "CGO_ENABLED=%d", cgo);
	mk_strlist_add(env, "GOOS=linux");
	mk_strlist_add(env, "GOWORK=off");
	mk_strlist_add(env, "GO111MODULE=on");
}

static int no_go(struct mk_error *err, const char *found)
{
	(void)mk_fail(err, MK_EHOST, "building from Go modules needs Go %d.%d or later; %s",
		GO_MAJOR, GO_MINOR, found);
	mk_error_hint(err,
		"install it from https://go.dev/dl/ and put `go` on the PATH, "
		"or use --from release");
	return -MK_EHOST;
}

int mk_go_init(struct mk_go *ret, const char *cache_dir, const char *arch, mk_say say,
	void *payload, struct mk_error *err)
{
	static const char *const argv[] = { "go", "version", NULL };
	const struct mk_child_options options = { .argv = argv };
	mk_autobuf out = mk_buf_init(4096);
	mk_autofree char *found = NULL;
	unsigned major = 0, minor = 0;
	const char *version;
	int r = mk_child_run(&options, &out, err);

	if (r == -MK_ENOTFOUND)
		return no_go(err, "there is no `go` on the PATH");
	if (r < 0)
		return r;
	version = mk_after_prefix(out.data, "go version ");
	if (!version || sscanf(version, "go%3u.%3u", &major, &minor) != 2)
		return no_go(err, "`go version` does not say which it is");
	found = mk_xstrndup(version, strcspn(version, " \n"));
	if (major * 1000 + minor < GO_MAJOR * 1000 + GO_MINOR) {
		mk_autofree char *words = mk_xasprintf("this is %s", found);

		return no_go(err, words);
	}
	*ret = (struct mk_go){ .cache_dir = cache_dir,
		.arch = arch,
		.version = MK_TAKE(found),
		.say = say,
		.payload = payload };
	return 0;
}

void mk_go_done(struct mk_go *go)
{
	free(go->version);
	go->version = NULL;
}

static int make_key(const struct mk_go *go, const char *source, char **ret, struct mk_error *err)
{
	mk_autofree char *text = mk_xasprintf("%s %s %s", source, go->arch, go->version);
	int r = mk_digest_data(text, strlen(text), ret, err);

	if (r == 0)
		(*ret)[KEY_DIGITS] = '\0';
	return r;
}

/* The embedded folder on disk; a file that is there already is not touched, so
 * that go's own cache sees nothing new. */
static int write_source(const struct mk_component *component, const char *dir, struct mk_error *err)
{
	mk_autofree char *prefix = mk_xasprintf("%s/", component->build->folder);

	for (size_t i = 0; i < mk_embedded_count; i++) {
		const struct mk_embedded *file = &mk_embedded_files[i];
		const char *name = mk_after_prefix(file->path, prefix);
		mk_autofree char *path = name ? mk_xasprintf("%s/%s", dir, name) : NULL;
		int r = name ? mk_write_if_changed(path, file->data, file->len, err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static void tell(const struct build *b)
{
	mk_autofree char *text = NULL;

	if (!b->go->say)
		return;
	if (b->compiled > 0)
		text = mk_xasprintf("compiled %zu of at most %zu packages", b->compiled, b->total);
	else if (b->fetched > 0)
		text = mk_xasprintf("downloaded %zu modules", b->fetched);
	else
		text = mk_xasprintf("compiling, at most %zu packages", b->total);
	b->go->say(b->go->payload, text);
}

/* `go build -v` names each package as it begins with it; packages that go's own
 * cache holds are not named. Anything else is a message. */
static void on_line(void *payload, const char *line)
{
	struct build *b = payload;

	if (mk_after_prefix(line, "go: downloading "))
		b->fetched++;
	else if (line[0] != '#' && !strpbrk(line, " \t"))
		b->compiled++;
	else
		return;
	tell(b);
}

static int run_go(
	struct build *b, const struct mk_strlist *argv, struct mk_buf *out, struct mk_error *err)
{
	mk_autofree const char **words = mk_xcalloc(argv->count + 1, sizeof(*words));
	const struct mk_child_options options = {
		.argv = words,
		.env = b->env.items,
		.cwd = b->source,
		.on_line = on_line,
		.payload = b,
	};

	for (size_t i = 0; i < argv->count; i++)
		words[i] = argv->items[i];
	return mk_child_run(&options, out, err);
}

static void add_build_flags(struct mk_strlist *argv, const struct build *b)
{
	const struct mk_gobuild *build = b->component->build;

	mk_strlist_add(argv, "-mod=readonly");
	if (build->tags) {
		mk_strlist_add(argv, "-tags");
		mk_strlist_add(argv, build->tags);
	}
}

static void add_packages(struct mk_strlist *argv, const struct build *b)
{
	for (size_t i = 0; b->component->build->packages[i]; i++)
		mk_strlist_add(argv, b->component->build->packages[i]);
}

/* How many packages there are in all; downloads the modules it has to look at. */
static int count_packages(struct build *b, struct mk_error *err)
{
	mk_autostrlist argv = { .count = 0 };
	mk_autobuf out = mk_buf_init(MAX_LIST);
	int r;

	mk_strlist_add(&argv, "go");
	mk_strlist_add(&argv, "list");
	add_build_flags(&argv, b);
	mk_strlist_add(&argv, "-deps");
	add_packages(&argv, b);
	r = run_go(b, &argv, &out, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < out.len; i++)
		b->total += out.data[i] == '\n';
	b->compiled = 0;
	tell(b);
	return 0;
}

static int compile(struct build *b, const char *out_dir, struct mk_error *err)
{
	mk_autostrlist argv = { .count = 0 };

	mk_strlist_add(&argv, "go");
	mk_strlist_add(&argv, "build");
	mk_strlist_add(&argv, "-v");
	add_build_flags(&argv, b);
	mk_strlist_add(&argv, "-trimpath");
	mk_strlist_add(&argv, "-ldflags");
	mk_strlist_add(&argv, b->ldflags);
	mk_strlist_add(&argv, "-o");
	mk_strlist_addf(&argv, "%s/", out_dir);
	add_packages(&argv, b);
	return run_go(b, &argv, NULL, err);
}

/* A folder of the module that the program reads at run time, copied beside it:
 * the module cache may be emptied while our result stays. */
static int copy_tree(struct build *b, const char *out_dir, struct mk_error *err)
{
	const struct mk_gobuild *build = b->component->build;
	mk_autostrlist argv = { .count = 0 };
	mk_autobuf out = mk_buf_init(65536);
	mk_autofree char *from = NULL;
	mk_autofree char *to = NULL;
	int r;

	if (!build->tree_module)
		return 0;
	mk_strlist_split(&argv, "go list -mod=readonly -m -f {{.Dir}}", " ");
	mk_strlist_add(&argv, build->tree_module);
	r = run_go(b, &argv, &out, err);
	if (r < 0)
		return r;
	from = mk_xasprintf("%.*s/%s", (int)strcspn(out.data, "\n"), out.data, build->tree);
	to = mk_xasprintf("%s/%s", out_dir, build->tree);
	return mk_copy_tree(from, to, err);
}

static int check_outputs(const struct build *b, const char *out_dir, struct mk_error *err)
{
	for (const struct mk_built *o = b->component->build->outputs; o->name; o++) {
		mk_autofree char *path = mk_xasprintf("%s/%s", out_dir, o->name);

		if (!mk_fs_exists(path))
			return mk_fail(
				err, MK_EFAIL, "`go build` ended without making '%s'", o->name);
	}
	return 0;
}

static void hint(const struct build *b, struct mk_error *err)
{
	if (b->component->build->cgo)
		mk_error_hint(err,
			"%s needs a C compiler and libseccomp's headers: "
			"apt-get install gcc libc6-dev libseccomp-dev",
			b->component->name);
	else
		mk_error_hint(err,
			"Go modules come from the proxy that `go env GOPROXY` names; "
			"it must be reachable, and the disk must have room");
}

/* Everything is made in a folder of its own and renamed when whole: a build that
 * is killed leaves no half result under the key. */
static int build_into(struct build *b, const char *final, struct mk_error *err)
{
	mk_autofree char *out_dir = mk_xasprintf("%s.XXXXXX", final);
	mk_autoerror ignored = { .code = MK_OK };
	int r;

	if (!mkdtemp(out_dir))
		return mk_fail_errno(err, "make folder '%s'", out_dir);
	r = count_packages(b, err);
	if (r == 0)
		r = compile(b, out_dir, err);
	if (r == 0)
		r = copy_tree(b, out_dir, err);
	if (r == 0)
		r = check_outputs(b, out_dir, err);
	if (r == 0 && rename(out_dir, final) < 0 && !mk_fs_exists(final))
		r = mk_fail_errno(err, "rename '%s' to '%s'", out_dir, final);
	(void)!mk_fs_remove_all(out_dir, &ignored);
	if (r < 0 && r != -MK_EINTR)
		hint(b, err);
	return r;
}

static int prepare(struct build *b, const char *dir, const char *source, struct mk_error *err)
{
	const struct mk_gobuild *build = b->component->build;
	int r;

	b->source = mk_xasprintf("%s/src-%.12s", dir, source);
	fill_env(&b->env, b->go->arch, build->cgo);
	r = mk_component_render(b->component, build->ldflags, b->go->arch, &b->ldflags, err);
	if (r == 0)
		r = mk_fs_mkdir_all(b->source, 0755, err);
	if (r == 0)
		r = write_source(b->component, b->source, err);
	return r;
}

int mk_go_build(const struct mk_go *go, const struct mk_component *component, char **ret_dir,
	bool *ret_cached, struct mk_error *err)
{
	MK_CLEANUP(build_done) struct build b = { .go = go, .component = component };
	mk_autofree char *dir = mk_xasprintf("%s/modules/%s", go->cache_dir, component->name);
	mk_autofree char *source = NULL;
	mk_autofree char *key = NULL;
	mk_autofree char *final = NULL;
	bool cached;
	int r = mk_component_digest(component, go->arch, &source, err);

	if (r == 0)
		r = make_key(go, source, &key, err);
	if (r < 0)
		return r;
	final = mk_xasprintf("%s/%s", dir, key);
	cached = mk_fs_exists(final);
	if (!cached) {
		r = prepare(&b, dir, source, err);
		if (r == 0)
			r = build_into(&b, final, err);
		if (r < 0)
			return mk_error_wrap(err, "build %s %s from Go modules", component->name,
				mk_component_module_version(component));
	}
	*ret_cached = cached;
	*ret_dir = MK_TAKE(final);
	return 0;
}

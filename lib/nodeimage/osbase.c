/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operating-system layer: Debian bookworm with the packages of a node, kept
 * as an image of its own under a name that holds the digest of its inputs, so
 * that it is made once. Debian's image is pulled and the packages are added in a
 * container; where no image can be pulled, mmdebstrap makes the same from
 * Debian's archive. Bookworm, because later releases' systemd does not start on
 * cgroup v1.
 */
#include "lib/nodeimage/child.h"
#include "lib/nodeimage/files.h"
#include "lib/nodeimage/work.h"

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/docker/container.h"
#include "lib/docker/image.h"
#include "lib/registry/digest.h"
#include "manifests/embed.h"

#include <sys/stat.h>

#define SETUP "image/setup-os"
/* mmdebstrap's hook that starts with the merged /usr, and so needs no perl to merge it. */
#define MERGED_USR "/usr/share/mmdebstrap/hooks/merged-usr"
#define APT_TIMEOUT_MS (20 * 60 * 1000)

/* What nobody reads in a node. The licences stay. */
static const char *const excluded[] = {
	"path-exclude=/usr/share/man/*",
	"path-exclude=/usr/share/info/*",
	"path-exclude=/usr/share/locale/*",
	"path-exclude=/usr/share/doc/*",
	"path-include=/usr/share/doc/*/copyright",
};

static const char *base_image(const struct mk_work *work)
{
	return work->options->base_image ? work->options->base_image : MK_BASE_IMAGE_DEFAULT;
}

static char *join_packages(const char *separator)
{
	mk_autostrlist list = { .count = 0 };

	for (size_t i = 0; mk_os_packages[i]; i++)
		mk_strlist_add(&list, mk_os_packages[i]);
	return mk_strlist_join(&list, separator);
}

static int name_image(const struct mk_work *work, char **ret, struct mk_error *err)
{
	mk_autofree char *packages = join_packages(" ");
	mk_autobuf text = mk_buf_init(1 << 20);
	mk_autofree char *digest = NULL;
	int r;

	mk_buf_addf(&text, "%s\n%s\n%s\n", base_image(work), work->arch, packages);
	for (size_t i = 0; i < MK_ARRAY_LEN(excluded); i++)
		mk_buf_addf(&text, "%s\n", excluded[i]);
	mk_buf_adds(&text, mk_embedded_find(SETUP)->data);
	r = mk_digest_data(text.data, text.len, &digest, err);
	if (r < 0)
		return r;
	*ret = mk_xasprintf("mkcluster/os:%.12s", digest);
	return 0;
}

/* Whether the engine has it; anything but "no such image" is an error. */
static int is_present(struct mk_work *work, const char *image, bool *ret, struct mk_error *err)
{
	mk_autojson *inspection = NULL;
	int r = mk_image_inspect(work->docker, image, &inspection, err);

	if (r == -MK_ENOTFOUND)
		mk_error_done(err);
	else if (r < 0)
		return r;
	*ret = r == 0;
	return 0;
}

/* dpkg's excludes first, then the packages, then what every node shares. */
static int fill(struct mk_work *work, const char *id, struct mk_error *err)
{
	MK_CLEANUP(mk_tar_writer_freep)
	struct mk_tar_writer *files = mk_tar_writer_new(
		&(struct mk_tar_writer_options){ .no_parents = true });
	mk_autofree char *packages = join_packages(" ");
	mk_autofree char *install = mk_xasprintf(
		"export DEBIAN_FRONTEND=noninteractive && apt-get update && "
		"apt-get install -y --no-install-recommends %s && apt-get clean && "
		"sh /tmp/setup-os / && rm /tmp/setup-os",
		packages);
	const char *const argv[] = { "/bin/sh", "-ec", install, NULL };
	mk_autobuf excludes = mk_buf_init(4096);
	int r;

	for (size_t i = 0; i < MK_ARRAY_LEN(excluded); i++)
		mk_buf_addf(&excludes, "%s\n", excluded[i]);
	mk_tar_add_text(files, "etc/dpkg/dpkg.cfg.d/mkcluster", 0644, excludes.data);
	mk_tar_add_text(files, "tmp/setup-os", 0644, mk_embedded_find(SETUP)->data);
	r = mk_container_put_stream(work->docker, id, "/", mk_tar_writer_read, files, err);
	if (r == 0)
		r = mk_run_in_container(work, id, argv, APT_TIMEOUT_MS, err);
	return r < 0 ? mk_error_wrap(err, "install Debian packages in '%s'", base_image(work)) : 0;
}

static int make_from_image(struct mk_work *work, const char *image, struct mk_error *err)
{
	mk_autofree char *id = NULL;
	mk_autofree char *image_id = NULL;
	/* The container's labels would otherwise pass on to the image. */
	mk_autojson *config = mk_json_pack("{s:[s],s:{s:s,s:s}}", "Cmd", "/bin/sh", "Labels",
		MK_LABEL_BUILD, "", "io.mkcluster.run", "");
	int r = mk_start_build_container(work, base_image(work), &id, err);

	if (r == 0) {
		mk_part_say(work, "installing packages");
		r = fill(work, id, err);
	}
	if (r == 0)
		r = mk_container_commit(work->docker, id, image, config, &image_id, err);
	mk_remove_build_container(work, id);
	return r;
}

static void on_line(void *payload, const char *line)
{
	const char *text = mk_after_prefix(line, "I: ");

	if (text)
		mk_part_say(payload, text);
}

/* Debian's own tool; its hook runs the same script as the container does. */
static int bootstrap(struct mk_work *work, const char *image, struct mk_error *err)
{
	MK_CLEANUP(mk_child_freep) struct mk_child *child = NULL;
	const struct mk_embedded *setup = mk_embedded_find(SETUP);
	mk_autofree char *hook = mk_xasprintf("%s/setup-os", work->scratch);
	mk_autofree char *packages = join_packages(",");
	mk_autofree char *include = mk_xasprintf("--include=%s", packages);
	mk_autofree char *arch = mk_xasprintf("--architectures=%s", work->arch);
	mk_autofree char *hook_option = mk_xasprintf("--customize-hook=%s", hook);
	mk_autostrlist options = { .count = 0 };
	const char *argv[MK_ARRAY_LEN(excluded) + 9] = { "mmdebstrap", "--variant=minbase", arch,
		include, hook_option };
	struct mk_child_options run = { .argv = argv, .on_line = on_line, .payload = work };
	size_t n = 5;
	int r = mk_write_if_changed(hook, setup->data, setup->len, err);

	if (r < 0)
		return r;
	if (chmod(hook, 0755) < 0)
		return mk_fail_errno(err, "make '%s' executable", hook);
	for (size_t i = 0; i < MK_ARRAY_LEN(excluded); i++)
		mk_strlist_addf(&options, "--dpkgopt=%s", excluded[i]);
	for (size_t i = 0; i < options.count; i++)
		argv[n++] = options.items[i];
	if (mk_fs_exists(MERGED_USR))
		argv[n++] = "--hook-dir=" MERGED_USR;
	argv[n++] = "bookworm";
	argv[n++] = "-";
	r = mk_child_start(&run, &child, err);
	if (r < 0)
		return r;
	r = mk_image_import(work->docker, image, mk_child_read, child, err);
	if (r < 0 && r != -MK_EINTR)
		mk_error_hint(err,
			"mmdebstrap reads Debian's archive as apt does here; "
			"see the lines above");
	return r;
}

static int make_without_image(
	struct mk_work *work, const char *image, struct mk_error *pull_error, struct mk_error *err)
{
	int r;

	mk_part_say(work, "no image can be pulled, bootstrapping with mmdebstrap");
	mk_trace("%s", pull_error->message);
	r = bootstrap(work, image, err);
	if (r != -MK_ENOTFOUND)
		return r;
	/* There is no mmdebstrap either: the pull is what should have worked. */
	mk_error_move(err, pull_error);
	mk_error_hint(err,
		"let the engine pull %s, or install mmdebstrap "
		"(apt-get install mmdebstrap)",
		base_image(work));
	return mk_error_recode(err, MK_EHOST);
}

static int make(struct mk_work *work, const char *image, struct mk_error *err)
{
	mk_autofree char *platform = mk_xasprintf("linux/%s", work->arch);
	mk_autoerror pull_error = { .code = MK_OK };
	bool present;
	int r = is_present(work, base_image(work), &present, err);

	if (r < 0)
		return r;
	if (!present) {
		mk_part_say(work, "pulling Debian");
		r = mk_image_pull(
			work->docker, base_image(work), platform, mk_part_say, work, &pull_error);
	}
	if (r == 0)
		return make_from_image(work, image, err);
	if (r == -MK_EINTR || work->options->base_image) {
		mk_error_move(err, &pull_error);
		return r;
	}
	return make_without_image(work, image, &pull_error, err);
}

int mk_osbase_ensure(struct mk_work *work, struct mk_error *err)
{
	mk_autofree char *image = NULL;
	bool present;
	int r = name_image(work, &image, err);

	mk_part_begin(work, "operating system", "bookworm");
	if (r == 0)
		r = is_present(work, image, &present, err);
	if (r < 0)
		return r;
	if (!present)
		r = make(work, image, err);
	if (r < 0)
		return mk_error_wrap(err, "make the operating-system layer");
	work->os_image = MK_TAKE(image);
	mk_part_end(work, present);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/nodeimage: a build as it runs. Each source (releases, modules)
 * adds what it has to the same two lists, the files of the node and the archives
 * of pod images; the assembling knows nothing of where they came from.
 */
#ifndef MK_NODEIMAGE_WORK_H
#define MK_NODEIMAGE_WORK_H

#include "lib/archive/tar_writer.h"
#include "lib/nodeimage/nodeimage.h"

struct mk_work {
	struct mk_docker *docker; /* NULL when only programs are made */
	const struct mk_nodeimage_options *options;
	enum mk_from from;
	char *run_id;
	char *arch;
	char *cache_dir;
	char *scratch; /* a folder that ends with the build */
	char *os_image;
	char *container;             /* id, once made */
	struct mk_tar_writer *files; /* of the node */
	struct mk_strlist archives;  /* of pod images, below scratch */
	json_t *images;              /* role to reference */
	struct mk_nodeimage_report *report;
	size_t part, part_count;
	char *part_name;
	int64_t part_began;
};

/** Make the build's id and folders. End with mk_work_done, initialised or not. */
int mk_work_init(struct mk_work *work, struct mk_error *err) MK_CHECKED;

/** Remove the container and the scratch folder, in spite of an interrupt. */
void mk_work_done(struct mk_work *work);

/** The code for a failed build: what was not found here, a file of a release, is
 * not what the user named. Returns -code. */
int mk_work_fail(struct mk_error *err);

/** Begin a part, "kubernetes 1.36.3"; `version` may be NULL. */
void mk_part_begin(struct mk_work *work, const char *name, const char *version);

/** Tell how far the part is. `payload` is the work: an mk_say. */
void mk_part_say(void *payload, const char *text);

/** End the part and note its time. */
void mk_part_end(struct mk_work *work, bool cached);

/** Put each part's programs and images on the lists, from Go modules. */
int mk_add_from_modules(struct mk_work *work, struct mk_error *err) MK_CHECKED;
size_t mk_modules_part_count(void);

/** The same from releases, by download and by the engine's pull. */
int mk_add_from_release(struct mk_work *work, struct mk_error *err) MK_CHECKED;
size_t mk_release_part_count(void);

/** Which of the two is to be used, and why (caller frees `ret_reason`). */
int mk_choose_source(struct mk_docker *docker, const struct mk_nodeimage_options *options,
	const char *arch, enum mk_from *ret, char **ret_reason, struct mk_error *err) MK_CHECKED;

/** Find or make the image of the operating-system layer: work->os_image. */
int mk_osbase_ensure(struct mk_work *work, struct mk_error *err) MK_CHECKED;

/** Start a container of an image with `sleep`, labelled as the build's, with a
 * volume at /mnt/work. Caller frees `ret_id`, and removes the container. */
int mk_start_build_container(
	struct mk_work *work, const char *image, char **ret_id, struct mk_error *err) MK_CHECKED;

/** Run a command in it that must succeed; its last lines are the error's detail. */
int mk_run_in_container(struct mk_work *work, const char *id, const char *const *argv,
	int64_t timeout_ms, struct mk_error *err) MK_CHECKED;

/** Remove a build container, in spite of an interrupt. NULL is fine. */
void mk_remove_build_container(struct mk_work *work, const char *id);

/** Fill the build container with the lists, unpack the images, commit. */
int mk_assemble(struct mk_work *work, const char *inputs, struct mk_error *err) MK_CHECKED;

#define MK_ASSEMBLE_PARTS 3

/** The digest of all that decides what the image will be. Caller frees. */
int mk_inputs_digest(const struct mk_nodeimage_options *options, enum mk_from from,
	const char *arch, char **ret, struct mk_error *err) MK_CHECKED;

#endif

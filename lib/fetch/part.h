/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/fetch: a file on its way into the cache. FILE.part holds the
 * bytes so far, hashed as they come; FILE.part.meta says which digest they are
 * to have and which validator (ETag or Last-Modified) the server gave with
 * them, so that a file that changed meanwhile is not glued to its older half.
 */
#ifndef MK_FETCH_PART_H
#define MK_FETCH_PART_H

#include "lib/base/error.h"

#include <stdint.h>

struct mk_part;

/**
 * Open the partial file of `path`, made with its folders when absent. Bytes of
 * an earlier run are kept, and hashed, when they were meant to have the same
 * digest. Free with mk_part_free, which keeps the bytes on disk.
 */
int mk_part_open(const char *path, const char *digest, struct mk_part **ret,
	struct mk_error *err) MK_CHECKED;
void mk_part_free(struct mk_part *part);
MK_DEFINE_CLEANUP(struct mk_part *, mk_part_free);

uint64_t mk_part_size(const struct mk_part *part);

/** Whether it holds bytes of an earlier connection. */
bool mk_part_resumed(const struct mk_part *part);

/** The validator that `source` gave with the bytes, or NULL. Borrowed. */
const char *mk_part_validator(const struct mk_part *part, const char *source);

/** Remember where the bytes come from and the validator (or NULL) they came with. */
int mk_part_note(struct mk_part *part, const char *source, const char *validator,
	struct mk_error *err) MK_CHECKED;

/** Note that the next bytes come from a new connection. */
void mk_part_continue(struct mk_part *part);

/** Throw the bytes away and begin at zero. */
int mk_part_restart(struct mk_part *part, struct mk_error *err) MK_CHECKED;

/** MK_EHOST when the file system has not `need` bytes left. */
int mk_part_check_space(const struct mk_part *part, uint64_t need, struct mk_error *err) MK_CHECKED;

/** Append; MK_EHOST when the disk is full. `total` is the size expected or 0. */
int mk_part_write(struct mk_part *part, const void *data, size_t len, uint64_t total,
	struct mk_error *err) MK_CHECKED;

/**
 * Compare the digest and move the file to its place for good. With a wrong
 * digest (MK_EINVALID) the partial file is emptied.
 */
int mk_part_finish(struct mk_part *part, struct mk_error *err) MK_CHECKED;

#endif

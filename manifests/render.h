/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling in the files that nodes and clusters are made from. A file names what
 * it needs as ${NAME}; a name that nobody gave is an error, not an empty
 * string, so a renamed variable cannot go unnoticed.
 */
#ifndef MK_MANIFESTS_RENDER_H
#define MK_MANIFESTS_RENDER_H

#include "lib/base/json.h"

/** The values of ${NAME}s: a JSON object of strings. */
struct mk_render {
	json_t *vars;
};

struct mk_render mk_render_init(void);
void mk_render_done(struct mk_render *render);
#define mk_autorender MK_CLEANUP(mk_render_done) struct mk_render

void mk_render_set(struct mk_render *render, const char *name, const char *value);
void mk_render_setf(struct mk_render *render, const char *name, const char *fmt, ...)
	MK_PRINTF(3, 4);

/** Append the embedded file `path`, filled in, to `ret`. MK_EFAIL names an
 * unknown file or variable. */
int mk_render_file(const struct mk_render *render, const char *path, struct mk_buf *ret,
	struct mk_error *err) MK_CHECKED;

/** Append `text`, filled in; `what` names it in errors. */
int mk_render_text(const struct mk_render *render, const char *what, const char *text,
	struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/** The objects of the embedded YAML file `path`, filled in: an array, in the
 * file's order. The caller owns it. */
int mk_render_objects(const struct mk_render *render, const char *path, json_t **ret,
	struct mk_error *err) MK_CHECKED;

#endif

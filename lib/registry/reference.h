/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images, by docker's grammar: [host[:port]/]path[:tag][@digest].
 * Without a host it is docker.io, there a one-part path is library/path, and
 * without tag and digest the tag is latest.
 *
 * The cluster's registry stores an image under its path alone. A node's
 * containerd asks its mirror for the path and gives the host as ?ns=, so
 * docker.io/library/echo:1 and example.local/library/echo:1 are one repository
 * there, library/echo, and the one loaded last is what both names mean.
 */
#ifndef MK_REGISTRY_REFERENCE_H
#define MK_REGISTRY_REFERENCE_H

#include "lib/base/error.h"

struct mk_reference {
	char *host;   /* "docker.io", "localhost:5000" */
	char *path;   /* "library/echo": the repository in the cluster's registry */
	char *tag;    /* "latest", or NULL beside a digest */
	char *digest; /* "sha256:HEX", or NULL */
};

/** Parse a name; MK_EINVALID says which part is wrong. Free with mk_reference_done. */
int mk_reference_parse(const char *text, struct mk_reference *ret, struct mk_error *err) MK_CHECKED;
void mk_reference_done(struct mk_reference *reference);
#define mk_autoreference MK_CLEANUP(mk_reference_done) struct mk_reference

/** The whole name, "docker.io/library/echo:latest". Caller frees. */
char *mk_reference_print(const struct mk_reference *reference);

/** Whether `text` is "sha256:" and 64 digits of lower-case hex. */
bool mk_is_digest(const char *text);

#endif

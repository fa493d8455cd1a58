/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/git: what the user gave as a source, taken apart. No I/O.
 */
#ifndef MK_GIT_LOCATION_H
#define MK_GIT_LOCATION_H

#include "lib/base/error.h"

/** FOLDER, or URL[@REF][:PATH]; strings that were not given are NULL. */
struct mk_location {
	char *folder; /* on this machine, as it was given; then all else is NULL */
	char *url;    /* without user, password, REF and PATH: fit to be shown */
	char *user;
	char *password;
	char *ref;  /* a branch, a tag, a commit id, or a full name: refs/... */
	char *path; /* inside the tree: "deploy/yaml" */
};

/**
 * Take `from` apart. The first @ or : behind the URL's host ends the URL; the
 * first : behind that @ ends REF. MK_EUSAGE, in words without a password, for
 * other schemes than https, file and (loopback only) http, and for what no URL,
 * REF or PATH can look like. `ret` is filled on success only.
 */
int mk_location_parse(const char *from, struct mk_location *ret, struct mk_error *err) MK_CHECKED;
void mk_location_done(struct mk_location *location);

#define mk_autolocation MK_CLEANUP(mk_location_done) struct mk_location

/** The path of a file:// URL, or NULL when it is another one. Caller frees. */
char *mk_location_local_path(const struct mk_location *location);

/** Whether a path is relative and has no "..". */
bool mk_location_is_inside(const char *path);

/** Whether a URL is one that may be asked: https, or http to the loopback. MK_EUSAGE. */
int mk_location_check_url(const char *url, struct mk_error *err) MK_CHECKED;

/** Whether REF is an id in full, 40 hex digits, or the beginning of one, at least 7. */
bool mk_location_is_full_id(const char *ref);
bool mk_location_is_short_id(const char *ref);

#endif

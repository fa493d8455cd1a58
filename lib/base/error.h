/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error object. Every function that can fail takes `struct mk_error *err`
 * as its last parameter (never NULL) and returns 0, or -code after filling it.
 * The message says what was tried, on what, and the words of the library or
 * server that refused; callers put context in front on the way up, so that the
 * user reads "create node 'dev-control-plane': POST /containers/create: ...".
 * Library code returns errors and never prints them.
 */
#ifndef MK_BASE_ERROR_H
#define MK_BASE_ERROR_H

#include "lib/base/mem.h"

/** What a caller may branch on. Everything else is in the message. */
enum mk_code {
	MK_OK = 0,
	MK_EFAIL,     /* other failure */
	MK_EUSAGE,    /* the command line or the config file is wrong */
	MK_EHOST,     /* the host does not fit: no engine, no image, port taken */
	MK_ENOTFOUND, /* the named thing does not exist */
	MK_EEXISTS,   /* the named thing exists already */
	MK_EBRINGUP,  /* the cluster did not come up */
	MK_ETIMEOUT,  /* a deadline passed */
	MK_EINTR,     /* SIGINT or SIGTERM */
	MK_ENET,      /* no connection, or it broke */
	MK_EREMOTE,   /* the peer answered, and refused */
	MK_EINVALID,  /* data from a file or a peer is malformed or too large */
	MK_ESYS,      /* a system call failed */
};

struct mk_error {
	enum mk_code code;
	int status;    /* HTTP status when a peer refused, else 0 */
	char *message; /* one line, owned */
	char *hint;    /* what to do next, owned, may be NULL */
	char *detail;  /* further lines (logs of a failed unit), owned, may be NULL */
};

/** Release the strings of `err` and make it empty again. */
void mk_error_done(struct mk_error *err);

#define mk_autoerror MK_CLEANUP(mk_error_done) struct mk_error

/** Fill `err` and return -code: `return mk_fail(err, MK_EUSAGE, "...")`. */
int mk_fail(struct mk_error *err, enum mk_code code, const char *fmt, ...) MK_PRINTF(3, 4);

/** As mk_fail with MK_ESYS, appending ": " and strerror(errno). */
int mk_fail_errno(struct mk_error *err, const char *fmt, ...) MK_PRINTF(2, 3);

/** Put "context: " before the message; returns -err->code. */
int mk_error_wrap(struct mk_error *err, const char *fmt, ...) MK_PRINTF(2, 3);

/** Set what the user should do next, unless a deeper layer knew better. */
void mk_error_hint(struct mk_error *err, const char *fmt, ...) MK_PRINTF(2, 3);

/** Give the error another code, keeping its words; returns -code. */
int mk_error_recode(struct mk_error *err, enum mk_code code);

/** Move `from` into `to`, which is released first. `from` ends empty. */
void mk_error_move(struct mk_error *to, struct mk_error *from);

#endif

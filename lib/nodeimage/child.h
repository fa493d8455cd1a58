/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two programs that building a node image may start, `go` and `mmdebstrap`:
 * without a shell, in a process group of their own that dies with an interrupt.
 * What a program prints on stdout is read like a file, which also makes it the
 * body of a request; its stderr is told line by line, and its last lines become
 * the error's detail when it fails.
 */
#ifndef MK_NODEIMAGE_CHILD_H
#define MK_NODEIMAGE_CHILD_H

#include "lib/base/buf.h"

#include <sys/types.h>

struct mk_child;

/** Told of each line of stderr, without its end. */
typedef void (*mk_child_line)(void *payload, const char *line);

struct mk_child_options {
	const char *const *argv; /* argv[0] is looked for in PATH */
	char *const *env;        /* NULL: ours */
	const char *cwd;         /* NULL: ours */
	mk_child_line on_line;   /* or NULL */
	void *payload;
};

/** Start a program with no input. MK_ENOTFOUND when it is not installed. */
int mk_child_start(const struct mk_child_options *options, struct mk_child **ret,
	struct mk_error *err) MK_CHECKED;

/**
 * Read up to `cap` bytes of what it prints: the count, or 0 once it has ended
 * with status 0. MK_EFAIL when it ended otherwise, MK_EINTR. `payload` is the
 * child, so this is a request body's reader too.
 */
ssize_t mk_child_read(void *payload, void *data, size_t cap, struct mk_error *err) MK_CHECKED;

/** Kill the program's process group if it still runs, and free. */
void mk_child_free(struct mk_child *child);
MK_DEFINE_CLEANUP(struct mk_child *, mk_child_free);

/** Start a program, append all it prints to `ret` (NULL: drop it), and wait. */
int mk_child_run(const struct mk_child_options *options, struct mk_buf *ret,
	struct mk_error *err) MK_CHECKED;

#endif

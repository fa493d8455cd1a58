/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte string with a cap. `data` is never NULL after init and always
 * NUL-terminated, so a text buffer can be printed as it is. Appending past the
 * cap sets `full` and drops the rest: append as often as you like, check once.
 */
#ifndef MK_BASE_BUF_H
#define MK_BASE_BUF_H

#include "lib/base/error.h"

struct mk_buf {
	char *data;
	size_t len;
	size_t cap; /* allocated bytes, without the NUL */
	size_t max; /* the cap on len */
	bool full;  /* something did not fit */
};

/** An empty buffer that will hold at most `max` bytes. */
struct mk_buf mk_buf_init(size_t max);

/** Free the contents; a zeroed buffer is fine. */
void mk_buf_done(struct mk_buf *buf);

/** Wipe, then free the contents: for buffers that held secrets. */
void mk_buf_wipe(struct mk_buf *buf);

#define mk_autobuf MK_CLEANUP(mk_buf_done) struct mk_buf
#define mk_autowipebuf MK_CLEANUP(mk_buf_wipe) struct mk_buf

void mk_buf_add(struct mk_buf *buf, const void *data, size_t len);
void mk_buf_adds(struct mk_buf *buf, const char *s);
void mk_buf_addf(struct mk_buf *buf, const char *fmt, ...) MK_PRINTF(2, 3);

/** Empty the buffer, keeping its memory. */
void mk_buf_clear(struct mk_buf *buf);

/** Remove the first `n` bytes. */
void mk_buf_drop(struct mk_buf *buf, size_t n);

/** Hand the string to the caller, who frees it; the buffer ends empty. */
char *mk_buf_detach(struct mk_buf *buf);

/** MK_EINVALID "WHAT is larger than N bytes" when something did not fit. */
int mk_buf_check(const struct mk_buf *buf, const char *what, struct mk_error *err) MK_CHECKED;

#endif

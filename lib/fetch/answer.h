/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/fetch: what a server's answer to a download request means,
 * from status and headers alone. No state, no files.
 */
#ifndef MK_FETCH_ANSWER_H
#define MK_FETCH_ANSWER_H

#include "lib/http/http.h"

enum mk_answer_kind {
	MK_ANSWER_WHOLE,    /* the body is the file from its first byte */
	MK_ANSWER_REST,     /* the body goes on where we asked it to */
	MK_ANSWER_COMPLETE, /* we had all bytes already */
	MK_ANSWER_RESTART,  /* the range does not fit: ask again, without one */
};

struct mk_answer {
	enum mk_answer_kind kind;
	uint64_t total;         /* size of the whole file, 0 when not told */
	char *validator;        /* what If-Range takes, or NULL */
	int64_t retry_after_ms; /* set also on failure: what the server asked for, or 0 */
};

void mk_answer_done(struct mk_answer *answer);
#define mk_autoanswer MK_CLEANUP(mk_answer_done) struct mk_answer

/**
 * Judge the answer to a request for the bytes from `asked` on (0: no Range was
 * sent). Refusals are MK_ENOTFOUND (404, 410) and MK_EREMOTE, `status` set.
 */
int mk_answer_read(const struct mk_http_stream *stream, uint64_t asked, struct mk_answer *ret,
	struct mk_error *err) MK_CHECKED;

/** Fill `err` with "404 Not Found" and its like; returns -code. */
int mk_answer_fail(long status, struct mk_error *err);

/** Whether the failure may pass when the request is repeated. */
bool mk_answer_retryable(const struct mk_error *err);

#endif

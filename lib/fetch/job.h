/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/fetch: downloads side by side on one thread. A job is one file
 * on its way, with its retries; a checksum file goes into memory, an item into
 * its partial file.
 */
#ifndef MK_FETCH_JOB_H
#define MK_FETCH_JOB_H

#include "lib/fetch/fetch.h"
#include "lib/fetch/part.h"
#include "lib/http/http.h"

struct mk_fetch_run {
	struct mk_fetch_options options; /* with the defaults filled in */
	struct mk_http *http;
	struct mk_fetch_status *statuses; /* of the items, as reported */
	size_t count;
	int64_t reported_ms;
	char *chunk;
};

struct mk_fetch_job {
	char *source; /* the URL or local path that is read */
	bool local;
	char *path;   /* where the file goes; NULL: into `text` */
	char *digest; /* what it must hash to, with `path` */
	struct mk_buf text;
	struct mk_fetch_status *status;

	/* The rest is the job's own, zero at the start. */
	struct mk_part *part;
	struct mk_http_stream *stream;
	int fd;           /* of a local source; -1 (set by init) */
	int64_t wake_ms;  /* when the next attempt may start */
	int64_t fresh_ms; /* when the last byte came */
	uint64_t best;    /* the most that was ever received */
	int failures;     /* in a row */
	uint64_t asked;   /* where the range asked for begins */
	int64_t asked_ms; /* how long the server wants us to wait */
	bool answered;    /* the header lines were seen */
	bool plain;       /* ask for the whole file, not for a range */
	bool redone;      /* begun anew once after a wrong digest */
};

void mk_fetch_job_init(struct mk_fetch_job *job, struct mk_fetch_status *status);
void mk_fetch_job_done(struct mk_fetch_job *job);

/**
 * Run all jobs whose status is not MK_FETCH_CACHED to their end, or to the first
 * final failure. Partial files then stay on disk.
 */
int mk_fetch_jobs_run(struct mk_fetch_run *run, struct mk_fetch_job *jobs, size_t count,
	struct mk_error *err) MK_CHECKED;

/** Tell the caller where the items stand, unless it was told just now. */
void mk_fetch_report(struct mk_fetch_run *run, bool now);

#endif

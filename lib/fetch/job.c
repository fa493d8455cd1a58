/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a download: queued, active, perhaps waiting for another attempt,
 * verified. The loop at the end gives each active job its turn; whoever waits
 * for the network lets all of them receive, since they share one client.
 */
#include "lib/fetch/job.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/fetch/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK ((size_t)131072)
#define READS_PER_TURN 16
#define MAX_CHECKSUM_FILE (1 * MK_MIB)
#define REPORT_MS 100
#define MAX_BACKOFF_FACTOR 60

void mk_fetch_job_init(struct mk_fetch_job *job, struct mk_fetch_status *status)
{
	*job = (struct mk_fetch_job){ .fd = -1, .status = status };
	job->text = mk_buf_init(MAX_CHECKSUM_FILE);
}

static void close_source(struct mk_fetch_job *job)
{
	mk_http_stream_free(MK_TAKE(job->stream));
	mk_closep(&job->fd);
}

void mk_fetch_job_done(struct mk_fetch_job *job)
{
	close_source(job);
	mk_part_free(MK_TAKE(job->part));
	free(job->source);
	free(job->path);
	free(job->digest);
	mk_buf_done(&job->text);
}

void mk_fetch_report(struct mk_fetch_run *run, bool now)
{
	if (!run->options.progress || (!now && mk_now_ms() < run->reported_ms + REPORT_MS))
		return;
	run->reported_ms = mk_now_ms();
	run->options.progress(run->options.progress_payload, run->statuses, run->count);
}

static bool is_waiting(const struct mk_fetch_job *job)
{
	return job->status->state == MK_FETCH_QUEUED || job->status->state == MK_FETCH_RETRYING;
}

static bool is_active(const struct mk_fetch_job *job)
{
	return job->status->state == MK_FETCH_ACTIVE;
}

static uint64_t max_size(const struct mk_fetch_run *run, const struct mk_fetch_job *job)
{
	return job->path ? run->options.max_size : MAX_CHECKSUM_FILE;
}

static int check_size(const struct mk_fetch_run *run, const struct mk_fetch_job *job, uint64_t size,
	struct mk_error *err)
{
	if (size <= max_size(run, job))
		return 0;
	return mk_fail(err, MK_EINVALID, "the file is larger than %llu bytes",
		(unsigned long long)max_size(run, job));
}

/* Throw away what has come and count from zero. */
static int begin_anew(struct mk_fetch_job *job, struct mk_error *err)
{
	job->status->received = 0;
	job->status->total = 0;
	mk_buf_clear(&job->text);
	return job->part ? mk_part_restart(job->part, err) : 0;
}

/* Ask once more, this time for the whole file; it does not count as a failure. */
static int requeue(struct mk_fetch_job *job, struct mk_error *err)
{
	close_source(job);
	job->plain = true;
	job->wake_ms = 0;
	job->status->state = MK_FETCH_QUEUED;
	return begin_anew(job, err);
}

static int finish(struct mk_fetch_run *run, struct mk_fetch_job *job, struct mk_error *err)
{
	bool resumed = job->part && mk_part_resumed(job->part);
	int r;

	close_source(job);
	if (!job->part) {
		job->status->state = MK_FETCH_DONE;
		return mk_buf_check(&job->text, "the checksum file", err);
	}
	job->status->state = MK_FETCH_VERIFYING;
	mk_fetch_report(run, false);
	r = mk_part_finish(job->part, err);
	if (r == -MK_EINVALID && resumed && !job->redone) {
		mk_trace("fetch: %s: %s; once more from the start", job->source, err->message);
		mk_error_done(err);
		job->redone = true;
		return requeue(job, err);
	}
	if (r == -MK_EINVALID)
		mk_error_hint(err,
			"the file was removed; it was altered on its way, or it and its "
			"checksum are of different releases");
	if (r < 0)
		return r;
	mk_part_free(MK_TAKE(job->part));
	job->status->total = job->status->received;
	job->status->state = MK_FETCH_DONE;
	return 0;
}

/* What all other files in transfer will still take up of the disk. */
static uint64_t outstanding(
	const struct mk_fetch_job *jobs, size_t count, const struct mk_fetch_job *except)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		const struct mk_fetch_status *status = jobs[i].status;

		if (&jobs[i] != except && jobs[i].part && status->total > status->received)
			sum += status->total - status->received;
	}
	return sum;
}

static int expect(struct mk_fetch_run *run, struct mk_fetch_job *job, uint64_t total,
	uint64_t others, struct mk_error *err)
{
	uint64_t left = total > job->status->received ? total - job->status->received : 0;
	int r = check_size(run, job, total, err);

	if (r == 0 && job->part && total > 0)
		r = mk_part_check_space(job->part, left + others, err);
	if (r == 0)
		job->status->total = total;
	return r;
}

static int take_answer(
	struct mk_fetch_run *run, struct mk_fetch_job *job, uint64_t others, struct mk_error *err)
{
	mk_autoanswer answer = { .total = 0 };
	int r = mk_answer_read(job->stream, job->asked, &answer, err);

	job->answered = true;
	job->asked_ms = answer.retry_after_ms;
	if (r < 0)
		return r;
	if (answer.kind == MK_ANSWER_RESTART)
		return requeue(job, err);
	if (answer.kind == MK_ANSWER_COMPLETE)
		return finish(run, job, err);
	if (answer.kind == MK_ANSWER_WHOLE)
		r = begin_anew(job, err);
	if (r == 0)
		r = expect(run, job, answer.total, others, err);
	if (r == 0 && job->part) {
		mk_part_continue(job->part);
		r = mk_part_note(job->part, job->source, answer.validator, err);
	}
	return r;
}

static int open_stream(struct mk_fetch_run *run, struct mk_fetch_job *job, struct mk_error *err)
{
	mk_autostrlist headers = { .items = NULL };
	uint64_t asked = job->part && !job->plain ? mk_part_size(job->part) : 0;
	const char *validator = asked ? mk_part_validator(job->part, job->source) : NULL;
	struct mk_http_request request = {
		.path = job->source,
		.headers = &headers,
		.stall_ms = run->options.stall_ms,
		.follow = true,
	};

	if (asked > 0)
		mk_strlist_addf(&headers, "Range: bytes=%llu-", (unsigned long long)asked);
	if (validator)
		mk_strlist_addf(&headers, "If-Range: %s", validator);
	job->asked = asked;
	job->answered = false;
	return mk_http_begin(run->http, &request, &job->stream, err);
}

static int open_local(
	struct mk_fetch_run *run, struct mk_fetch_job *job, uint64_t others, struct mk_error *err)
{
	struct stat st;
	int r;

	job->fd = open(job->source, O_RDONLY | O_CLOEXEC);
	if (job->fd < 0 || fstat(job->fd, &st) < 0) {
		bool missing = errno == ENOENT || errno == ENOTDIR;

		(void)mk_fail_errno(err, "open");
		return mk_error_recode(err, missing ? MK_ENOTFOUND : MK_ESYS);
	}
	if (!S_ISREG(st.st_mode))
		return mk_fail(err, MK_EINVALID, "not a file");
	r = begin_anew(job, err);
	if (r == 0)
		r = expect(run, job, (uint64_t)st.st_size, others, err);
	if (r == 0 && job->part)
		r = mk_part_note(job->part, job->source, NULL, err);
	return r;
}

static int start(
	struct mk_fetch_run *run, struct mk_fetch_job *job, uint64_t others, struct mk_error *err)
{
	job->asked_ms = 0;
	job->status->attempt++;
	if (job->path && !job->part) {
		int r;

		job->status->state = MK_FETCH_VERIFYING; /* hashes what an earlier run left */
		mk_fetch_report(run, false);
		r = mk_part_open(job->path, job->digest, &job->part, err);
		if (r < 0)
			return r;
		job->status->received = mk_part_size(job->part);
		job->best = job->status->received;
	}
	job->status->state = MK_FETCH_ACTIVE;
	return job->local ? open_local(run, job, others, err) : open_stream(run, job, err);
}

static int store(struct mk_fetch_run *run, struct mk_fetch_job *job, size_t n, struct mk_error *err)
{
	int r = check_size(run, job, job->status->received + n, err);

	if (r == 0 && job->part)
		r = mk_part_write(job->part, run->chunk, n, job->status->total, err);
	else if (r == 0)
		mk_buf_add(&job->text, run->chunk, n);
	if (r == 0)
		job->status->received += n;
	return r;
}

static ssize_t read_source(
	struct mk_fetch_run *run, struct mk_fetch_job *job, int64_t deadline, struct mk_error *err)
{
	ssize_t n;

	if (!job->local)
		return mk_http_read(job->stream, run->chunk, CHUNK, deadline, err);
	do {
		n = read(job->fd, run->chunk, CHUNK);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? mk_fail_errno(err, "read") : n;
}

/* Whether the header lines are here and were not looked at yet. */
static bool has_news(const struct mk_fetch_job *job)
{
	return job->stream && !job->answered && mk_http_stream_answered(job->stream);
}

/* Take what has come, waiting up to `wait_ms` for the first of it. */
static int advance(struct mk_fetch_run *run, struct mk_fetch_job *job, int64_t wait_ms,
	uint64_t others, struct mk_error *err)
{
	int64_t deadline = mk_deadline(wait_ms);

	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n = read_source(run, job, deadline, err);
		int r = 0;

		if ((n >= 0 || n == -MK_ETIMEOUT) && has_news(job)) {
			mk_error_done(err);
			job->fresh_ms = mk_now_ms();
			r = take_answer(run, job, others, err);
		}
		if (r < 0 || !is_active(job))
			return r;
		if (n == 0)
			return finish(run, job, err);
		if (n == -MK_ETIMEOUT)
			break;
		if (n < 0)
			return (int)n;
		job->fresh_ms = mk_now_ms();
		deadline = job->fresh_ms;
		r = store(run, job, (size_t)n, err);
		if (r < 0)
			return r;
	}
	mk_error_done(err);
	if (mk_now_ms() - job->fresh_ms < run->options.stall_ms)
		return 0;
	return mk_fail(err, MK_ETIMEOUT, "no data for %lld ms", (long long)run->options.stall_ms);
}

static int64_t backoff(const struct mk_fetch_run *run, int failures, int64_t asked_ms)
{
	int64_t max = run->options.backoff_ms * MAX_BACKOFF_FACTOR;
	int64_t wait = run->options.backoff_ms;

	for (int i = 1; i < failures && wait < max; i++)
		wait *= 2;
	if (wait < asked_ms)
		wait = asked_ms;
	return wait < max ? wait : max;
}

static int fail_for_good(const struct mk_fetch_job *job, struct mk_error *err)
{
	mk_autofree char *prefix = mk_xasprintf("GET %s: ", job->source);
	const char *words = mk_after_prefix(err->message, prefix);

	if (err->code == MK_EINTR)
		return -(int)err->code;
	if (err->code == MK_ENOTFOUND && job->local)
		mk_error_hint(err, "put the file into the mirror, or run without the mirror");
	else if (err->code == MK_ENOTFOUND)
		mk_error_hint(err, "check that this version exists, for this architecture");
	else if (err->status == 401 || err->status == 403 || err->status == 407)
		mk_error_hint(err, "the server or a proxy on the way forbids it; try a mirror");
	else if (mk_answer_retryable(err))
		mk_error_hint(err,
			"check the network and HTTPS_PROXY, or use a mirror; "
			"run again to continue where it stopped");
	if (words) { /* libcurl's words come with the URL, which is said once here */
		mk_autofree char *kept = mk_xstrdup(words);

		free(err->message);
		err->message = MK_TAKE(kept);
	}
	return mk_error_wrap(err, "download %s", job->source);
}

/* After a failure: plan another attempt (0), or end with the error. */
static int settle(const struct mk_fetch_run *run, struct mk_fetch_job *job, struct mk_error *err)
{
	close_source(job);
	/* A connection that brought us further is no sign of a dead server. */
	if (job->status->received >= job->best + MK_MIB) {
		job->best = job->status->received;
		job->failures = 0;
	}
	if (job->local || !mk_answer_retryable(err) || ++job->failures > run->options.retries)
		return fail_for_good(job, err);
	job->wake_ms = mk_deadline(backoff(run, job->failures, job->asked_ms));
	job->plain = false;
	job->status->state = MK_FETCH_RETRYING;
	mk_trace("fetch: %s: %s; attempt %u failed", job->source, err->message,
		job->status->attempt);
	mk_error_done(err);
	if (job->part)
		return 0;
	return begin_anew(job, err); /* a checksum file has no part to continue */
}

static size_t count_jobs(
	const struct mk_fetch_job *jobs, size_t count, bool (*which)(const struct mk_fetch_job *))
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += which(&jobs[i]);
	return n;
}

static int start_due(
	struct mk_fetch_run *run, struct mk_fetch_job *jobs, size_t count, struct mk_error *err)
{
	size_t active = count_jobs(jobs, count, is_active);

	for (size_t i = 0; i < count && active < run->options.parallel; i++) {
		int r;

		if (!is_waiting(&jobs[i]) || mk_now_ms() < jobs[i].wake_ms)
			continue;
		r = start(run, &jobs[i], outstanding(jobs, count, &jobs[i]), err);
		if (r < 0)
			r = settle(run, &jobs[i], err);
		if (r < 0)
			return r;
		/* Nobody was read while an old part was hashed, so nobody has stalled. */
		for (size_t j = 0; j < count; j++)
			jobs[j].fresh_ms = mk_now_ms();
		active += is_active(&jobs[i]);
		mk_fetch_report(run, false);
	}
	return 0;
}

static int advance_active(
	struct mk_fetch_run *run, struct mk_fetch_job *jobs, size_t count, struct mk_error *err)
{
	size_t active = count_jobs(jobs, count, is_active);

	if (active == 0)
		return mk_sleep_ms(run->options.backoff_ms < 20 ? 1 : 20, err);
	for (size_t i = 0; i < count; i++) {
		int r;

		if (!is_active(&jobs[i]))
			continue;
		r = advance(run, &jobs[i], active > 1 ? 5 : 50, outstanding(jobs, count, &jobs[i]),
			err);
		if (r < 0)
			r = settle(run, &jobs[i], err);
		if (r < 0)
			return r;
		mk_fetch_report(run, false);
	}
	return 0;
}

int mk_fetch_jobs_run(
	struct mk_fetch_run *run, struct mk_fetch_job *jobs, size_t count, struct mk_error *err)
{
	if (!run->chunk)
		run->chunk = mk_xmalloc(CHUNK);
	while (count_jobs(jobs, count, is_waiting) + count_jobs(jobs, count, is_active) > 0) {
		int r;

		if (mk_interrupted())
			return mk_fail_interrupted(err);
		r = start_due(run, jobs, count, err);
		if (r == 0)
			r = advance_active(run, jobs, count, err);
		if (r < 0)
			return r;
		mk_fetch_report(run, false);
	}
	return 0;
}

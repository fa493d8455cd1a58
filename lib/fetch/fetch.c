/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a batch: look into the cache; take the cache's lock; download the
 * checksum files, then the files.
 */
#include "lib/fetch/fetch.h"

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/fetch/cache.h"
#include "lib/fetch/checksum.h"
#include "lib/fetch/job.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define PARALLEL 4
#define RETRIES 4
#define STALL_MS 30000
#define BACKOFF_MS 500
#define MAX_SIZE ((uint64_t)2 << 30)

struct batch {
	struct mk_fetch_run run;
	struct mk_fetch_item *items;
	struct mk_fetch_job *jobs; /* one an item */
	size_t count;
	struct mk_fetch_job *lists; /* one a checksum file, each asked for once */
	struct mk_fetch_status *list_statuses;
	size_t list_count;
	int lock;
};

void mk_fetch_item_done(struct mk_fetch_item *item)
{
	free(item->path);
	free(item->digest);
	item->path = NULL;
	item->digest = NULL;
}

static struct mk_fetch_options with_defaults(const struct mk_fetch_options *given)
{
	struct mk_fetch_options options = *given;

	if (options.parallel == 0)
		options.parallel = PARALLEL;
	if (options.retries == 0)
		options.retries = RETRIES;
	if (options.stall_ms == 0)
		options.stall_ms = STALL_MS;
	if (options.backoff_ms == 0)
		options.backoff_ms = BACKOFF_MS;
	if (options.max_size == 0)
		options.max_size = MAX_SIZE;
	return options;
}

static void batch_init(struct batch *batch, struct mk_fetch_item *items, size_t count,
	const struct mk_fetch_options *options)
{
	*batch = (struct batch){ .items = items, .count = count, .lock = -1 };
	batch->run.options = with_defaults(options);
	batch->run.count = count;
	batch->run.statuses = mk_xcalloc(count + 1, sizeof(struct mk_fetch_status));
	batch->list_statuses = mk_xcalloc(count + 1, sizeof(struct mk_fetch_status));
	batch->jobs = mk_xcalloc(count + 1, sizeof(struct mk_fetch_job));
	batch->lists = mk_xcalloc(count + 1, sizeof(struct mk_fetch_job));
	for (size_t i = 0; i < count; i++) {
		mk_fetch_job_init(&batch->jobs[i], &batch->run.statuses[i]);
		batch->run.statuses[i].name = mk_cache_base_name(items[i].url);
	}
}

static void batch_done(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		mk_fetch_job_done(&batch->jobs[i]);
	for (size_t i = 0; i < batch->list_count; i++)
		mk_fetch_job_done(&batch->lists[i]);
	free(batch->jobs);
	free(batch->lists);
	free(batch->run.statuses);
	free(batch->list_statuses);
	free(batch->run.chunk);
	mk_http_free(batch->run.http);
	mk_closep(&batch->lock);
}

static int plan_item(struct batch *batch, size_t i, struct mk_error *err)
{
	const struct mk_fetch_item *item = &batch->items[i];
	struct mk_fetch_job *job = &batch->jobs[i];
	mk_autofree char *key = NULL;
	int r = mk_cache_key(item->url, &key, err);

	if (r == 0)
		r = mk_cache_source(
			item->url, batch->run.options.mirror, &job->source, &job->local, err);
	if (r < 0)
		return r;
	if (!item->checksum_url)
		return mk_fail(err, MK_EUSAGE, "no checksum is known for '%s'", item->url);
	for (size_t j = 0; j < i; j++) {
		if (mk_streq(batch->items[j].url, item->url))
			return mk_fail(err, MK_EUSAGE, "'%s' is asked for twice", item->url);
	}
	job->path = mk_xasprintf("%s/%s", batch->run.options.cache_dir, key);
	return 0;
}

/* Mark what the cache has; the number of the others goes to `ret_missing`. */
static int look_up(struct batch *batch, size_t *ret_missing, struct mk_error *err)
{
	size_t missing = 0;

	for (size_t i = 0; i < batch->count; i++) {
		struct mk_fetch_job *job = &batch->jobs[i];
		int r = 0;

		if (!job->digest)
			r = mk_cache_lookup(job->path, &job->digest, err);
		if (r < 0)
			return r;
		if (job->digest)
			job->status->state = MK_FETCH_CACHED;
		else
			missing++;
	}
	*ret_missing = missing;
	return 0;
}

/* Two processes must not write one partial file. The kernel drops the lock with us. */
static int lock_cache(struct batch *batch, struct mk_error *err)
{
	const char *folder = batch->run.options.cache_dir;
	mk_autofree char *path = mk_xasprintf("%s/.lock", folder);
	bool told = false;
	int r = mk_fs_mkdir_all(folder, 0755, err);

	if (r < 0)
		return r;
	batch->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (batch->lock < 0)
		return mk_fail_errno(err, "open '%s'", path);
	while (flock(batch->lock, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return mk_fail_errno(err, "lock '%s'", path);
		if (!told)
			mk_trace("fetch: another process downloads into '%s'; waiting", folder);
		told = true;
		mk_fetch_report(&batch->run, false);
		r = mk_sleep_ms(100, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The job of a checksum file, made when this item is the first to name it. */
static int list_job(
	struct batch *batch, const char *url, struct mk_fetch_job **ret, struct mk_error *err)
{
	mk_autofree char *source = NULL;
	struct mk_fetch_job *job;
	bool local;
	int r = mk_cache_source(url, batch->run.options.mirror, &source, &local, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < batch->list_count; i++) {
		if (mk_streq(batch->lists[i].source, source)) {
			*ret = &batch->lists[i];
			return 0;
		}
	}
	job = &batch->lists[batch->list_count];
	mk_fetch_job_init(job, &batch->list_statuses[batch->list_count++]);
	job->source = MK_TAKE(source);
	job->local = local;
	*ret = job;
	return 0;
}

static int take_digest(struct batch *batch, size_t i, struct mk_error *err)
{
	const struct mk_fetch_item *item = &batch->items[i];
	const char *name = item->checksum_name ? item->checksum_name
					       : mk_cache_base_name(item->url);
	struct mk_fetch_job *job = &batch->jobs[i];
	struct mk_fetch_job *list = NULL;
	bool same = false;
	int r = list_job(batch, item->checksum_url, &list, err);

	if (r == 0)
		r = mk_checksum_find(list->text.data, name, list->source, &job->digest, err);
	if (r < 0)
		return mk_error_wrap(err, "download %s", job->source);
	r = mk_cache_adopt(job->path, job->digest, &same, err);
	if (r == 0 && same)
		job->status->state = MK_FETCH_CACHED;
	return r;
}

static int find_digests(struct batch *batch, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < batch->count && r == 0; i++) {
		struct mk_fetch_job *ignored;

		if (batch->jobs[i].status->state != MK_FETCH_CACHED)
			r = list_job(batch, batch->items[i].checksum_url, &ignored, err);
	}
	if (r == 0)
		r = mk_fetch_jobs_run(&batch->run, batch->lists, batch->list_count, err);
	for (size_t i = 0; i < batch->count && r == 0; i++) {
		if (batch->jobs[i].status->state != MK_FETCH_CACHED)
			r = take_digest(batch, i, err);
	}
	return r;
}

static int download(struct batch *batch, struct mk_error *err)
{
	struct mk_http_options options = { .name = "fetch", .use_proxy = true };
	size_t missing;
	int r = lock_cache(batch, err);

	/* What another process has brought while we waited is there now. */
	if (r == 0)
		r = look_up(batch, &missing, err);
	if (r < 0 || missing == 0)
		return r;
	r = mk_http_new(&options, &batch->run.http, err);
	if (r == 0)
		r = find_digests(batch, err);
	if (r == 0)
		r = mk_fetch_jobs_run(&batch->run, batch->jobs, batch->count, err);
	return r;
}

static int run_batch(struct batch *batch, struct mk_error *err)
{
	size_t missing;
	int r;

	for (size_t i = 0; i < batch->count; i++) {
		r = plan_item(batch, i, err);
		if (r < 0)
			return r;
	}
	r = look_up(batch, &missing, err);
	if (r == 0 && missing > 0)
		r = download(batch, err);
	return r;
}

int mk_fetch_all(struct mk_fetch_item *items, size_t count, const struct mk_fetch_options *options,
	struct mk_error *err)
{
	struct batch batch;
	int r;

	batch_init(&batch, items, count, options);
	r = run_batch(&batch, err);
	mk_fetch_report(&batch.run, true);
	for (size_t i = 0; i < count && r == 0; i++) {
		mk_fetch_item_done(&items[i]);
		items[i].path = MK_TAKE(batch.jobs[i].path);
		items[i].digest = MK_TAKE(batch.jobs[i].digest);
	}
	batch_done(&batch);
	return r;
}

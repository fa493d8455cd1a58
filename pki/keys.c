/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a bundle, made side by side: an RSA key of 4096 bits takes a second, and
 * a cluster has dozens. What the threads share is the list of keys, in which each has
 * places of its own; certificates are signed afterwards, one by one.
 */
#include "pki/bundle_private.h"

#include "lib/base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define MAX_HELPERS 15

struct order {
	struct mk_key **place;
	enum mk_key_kind kind;
};

struct work {
	struct order *orders;
	size_t count;
	atomic_size_t next;
	atomic_bool stopped;
	pthread_mutex_t lock; /* of the first error */
	struct mk_error err;
};

static void add_order(struct work *work, const struct mk_pki_bundle *bundle,
	const struct mk_pki_spec *spec, const struct mk_pki_row *row, size_t node)
{
	struct mk_pki_secret *secret = mk_pki_bundle_at(bundle, row, node);

	if (!secret->key)
		work->orders[work->count++] = (struct order){ &secret->key,
			mk_pki_row_key_kind(row, spec->key_kind) };
}

static void stop(struct work *work, struct mk_error *err)
{
	atomic_store(&work->stopped, true);
	(void)pthread_mutex_lock(&work->lock);
	if (work->err.code == MK_OK)
		mk_error_move(&work->err, err);
	(void)pthread_mutex_unlock(&work->lock);
}

/* The next key of the list; false when there is none, or no need any more. */
static bool make_next(struct work *work)
{
	size_t i = atomic_fetch_add(&work->next, 1);
	mk_autoerror err = { .code = MK_OK };

	if (i >= work->count || atomic_load(&work->stopped))
		return false;
	if (mk_key_new(work->orders[i].kind, work->orders[i].place, &err) < 0)
		stop(work, &err);
	return true;
}

static void *help(void *arg)
{
	while (make_next(arg))
		;
	return NULL;
}

/* How many threads it is worth, besides this one: none where a key is a matter of
 * microseconds. */
static size_t helpers_for(const struct work *work, enum mk_key_kind kind)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t most = processors > 1 ? (size_t)processors - 1 : 0;

	if (kind == MK_KEY_EC_P256 || kind == MK_KEY_ED25519 || work->count == 0)
		return 0;
	most = most < MAX_HELPERS ? most : MAX_HELPERS;
	return most < work->count - 1 ? most : work->count - 1;
}

static int do_work(struct work *work, size_t helpers, struct mk_error *err)
{
	pthread_t threads[MAX_HELPERS];
	size_t started = 0;

	/* With fewer threads than asked for, or none, it only takes longer. */
	while (started < helpers && pthread_create(&threads[started], NULL, help, work) == 0)
		started++;
	do {
		mk_autoerror interrupt = { .code = MK_OK };

		if (mk_interrupted()) {
			(void)mk_fail_interrupted(&interrupt);
			stop(work, &interrupt);
		}
	} while (make_next(work));
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	if (work->err.code == MK_OK)
		return 0;
	mk_error_move(err, &work->err);
	return -(int)err->code;
}

int mk_pki_make_keys(
	const struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec, struct mk_error *err)
{
	size_t rows_count;
	const struct mk_pki_row *rows = mk_pki_rows(&rows_count);
	struct work work = { .orders = mk_xcalloc(
				     rows_count * spec->node_count, sizeof(*work.orders)),
		.lock = PTHREAD_MUTEX_INITIALIZER };
	int r;

	for (size_t i = 0; i < rows_count; i++) {
		for (size_t node = 0; node < spec->node_count; node++) {
			if (mk_pki_is_of_node(&rows[i], spec, node))
				add_order(&work, bundle, spec, &rows[i], node);
		}
	}
	r = do_work(&work, helpers_for(&work, spec->key_kind), err);
	free(work.orders);
	return r < 0 ? mk_error_wrap(err, "keys") : 0;
}

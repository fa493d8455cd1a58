/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `verify`: whether a cluster does what a cluster is for, tried out one by one.
 * Everything it makes carries a name of its own with a random part and the label
 * of its run, and is gone at the end, after a failure and an interrupt too.
 */
#ifndef MK_CLUSTER_VERIFY_H
#define MK_CLUSTER_VERIFY_H

#include "lib/docker/client.h"

#include <stdint.h>

#define MK_MAX_CHECKS 16

/** How one check ended. The detail is owned: mk_verify_result_done. */
struct mk_check_result {
	const char *name;  /* "node-port": for programs */
	const char *title; /* "NodePort on every node": for people */
	bool ok;
	bool skipped; /* not tried; ok says whether that is as it should be */
	int64_t ms;
	char *detail; /* what was seen, what went wrong, or why it was skipped */
};

struct mk_verify_result {
	struct mk_check_result checks[MK_MAX_CHECKS];
	size_t count;
};

void mk_verify_result_done(struct mk_verify_result *result);

/** How a run reports itself. Called in order, from the calling thread. */
struct mk_verify_report {
	void *payload;
	void (*begin)(void *payload, const char *title);
	void (*end)(void *payload, const struct mk_check_result *check);
};

/**
 * Try everything, at most `timeout_ms` long (what must be removed at the end may
 * take half a minute more). `ret`, empty at the call and released by the caller
 * always, holds the checks that were made. 0 when all have passed. MK_EBRINGUP
 * names those that failed, MK_ETIMEOUT those that had no time; MK_ENOTFOUND and
 * MK_EHOST before anything was tried: no such cluster, or it does not run;
 * MK_EINTR after all was removed.
 */
int mk_cluster_verify(struct mk_docker *docker, const char *name, int64_t timeout_ms,
	const struct mk_verify_report *report, struct mk_verify_result *ret,
	struct mk_error *err) MK_CHECKED;

#endif

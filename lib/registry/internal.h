/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/registry: what the client's two files share. */
#ifndef MK_REGISTRY_INTERNAL_H
#define MK_REGISTRY_INTERNAL_H

#include "lib/registry/registry.h"

#define MK_REGISTRY_TIMEOUT_MS 60000         /* a request without a large body */
#define MK_REGISTRY_FINISH_TIMEOUT_MS 600000 /* the registry may hash gigabytes again */

struct mk_registry {
	struct mk_http *http;
	int64_t limit_ms; /* of any request; 0: none of its own */
};

/** The time for a request that may take `ms` (0: as long as it likes). */
int64_t mk_registry_time(const struct mk_registry *registry, int64_t ms);

/** Send a request; the answer of any status is in `ret`. */
int mk_registry_do(struct mk_registry *registry, const char *method, const char *path,
	struct mk_http_response *ret, struct mk_error *err) MK_CHECKED;

/** MK_EREMOTE "cannot WHAT: the registry answered 404: NAME_UNKNOWN: ...". */
int mk_registry_refused(const struct mk_http_response *response, struct mk_error *err,
	const char *fmt, ...) MK_PRINTF(3, 4);

#endif

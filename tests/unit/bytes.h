/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in memory as what a tar reader reads. */
#ifndef MK_TESTS_BYTES_H
#define MK_TESTS_BYTES_H

#include "lib/base/error.h"

#include <string.h>
#include <sys/types.h>

struct bytes {
	const char *data;
	size_t left;
};

static inline ssize_t read_bytes(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct bytes *bytes = payload;
	size_t n = bytes->left < cap ? bytes->left : cap;

	(void)err;
	memcpy(data, bytes->data, n);
	bytes->data += n;
	bytes->left -= n;
	return (ssize_t)n;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in memory as the source of an archive. */
#ifndef MK_TESTS_FUZZ_SOURCE_H
#define MK_TESTS_FUZZ_SOURCE_H

#include "lib/base/error.h"

#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct source {
	const uint8_t *data;
	size_t left;
};

static ssize_t read_source(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct source *source = payload;
	size_t n = source->left < cap ? source->left : cap;

	(void)err;
	memcpy(data, source->data, n);
	source->data += n;
	source->left -= n;
	return (ssize_t)n;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine streams: output frames and the lines of a pull. However the
 * bytes are cut into reads, the same comes out.
 */
#include "tests/fuzz/fuzz.h"

/* Both parsers are static. */
#include "lib/docker/exec.c"
#include "lib/docker/image.c"

#define OUTPUT_MAX ((size_t)4096)

static void collect(void *payload, const char *status)
{
	mk_buf_adds(payload, status);
	mk_buf_adds(payload, "\n");
}

static void read_as_frames(
	const char *data, size_t size, size_t step, struct mk_buf *ret, struct mk_buf *errors)
{
	struct frames frames = { .have = 0 };

	for (size_t at = 0; at < size; at += step)
		take_frames(&frames, data + at, size - at < step ? size - at : step, ret, errors);
}

static int read_as_lines(const char *data, size_t size, size_t step, struct mk_buf *ret)
{
	mk_autobuf window = mk_buf_init(MK_MIB);
	mk_autoerror err = { .code = MK_OK };
	int r = 0;

	for (size_t at = 0; at < size && r == 0; at += step) {
		mk_buf_add(&window, data + at, size - at < step ? size - at : step);
		r = take_lines(&window, false, collect, ret, &err);
	}
	return r < 0 ? r : take_lines(&window, true, collect, ret, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	size_t step = size > 0 ? (size_t)(data[0] % 31) + 1 : 1;
	mk_autobuf whole = mk_buf_init(OUTPUT_MAX);
	mk_autobuf pieces = mk_buf_init(OUTPUT_MAX);
	mk_autobuf whole_errors = mk_buf_init(OUTPUT_MAX);
	mk_autobuf piece_errors = mk_buf_init(OUTPUT_MAX);
	mk_autobuf whole_lines = mk_buf_init(OUTPUT_MAX);
	mk_autobuf piece_lines = mk_buf_init(OUTPUT_MAX);

	if (size == 0 || size > 65536)
		return 0;
	read_as_frames(bytes + 1, size - 1, size, &whole, &whole_errors);
	read_as_frames(bytes + 1, size - 1, step, &pieces, &piece_errors);
	MUST(whole.len == pieces.len && memcmp(whole.data, pieces.data, whole.len) == 0);
	MUST(whole_errors.len == piece_errors.len &&
		memcmp(whole_errors.data, piece_errors.data, whole_errors.len) == 0);
	MUST(read_as_lines(bytes + 1, size - 1, size, &whole_lines) ==
		read_as_lines(bytes + 1, size - 1, step, &piece_lines));
	MUST(mk_streq(whole_lines.data, piece_lines.data));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the peer of a WebSocket sends: the header lines of its answer, when the
 * input begins with H, else frames. However frames are cut into reads, the same
 * messages come out, none of them larger than the cap.
 */
#include "lib/http/frame.h"
#include "lib/http/handshake.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define MAX ((size_t)5000)
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static void read_frames(const char *data, size_t size, size_t step, struct mk_buf *ret)
{
	struct mk_frames frames = mk_frames_init(MAX);
	mk_autoerror err = { .code = MK_OK };
	int r = 0;

	for (size_t at = 0; at < size && r >= 0; at += step) {
		struct mk_frame frame;

		mk_frames_feed(&frames, data + at, size - at < step ? size - at : step);
		while ((r = mk_frames_next(&frames, &frame, &err)) == 1) {
			MUST(frame.len <= MAX);
			MUST(frame.kind == MK_FRAME_BINARY || frame.len <= MK_FRAME_MAX_CONTROL);
			mk_buf_addf(ret, "%d %zu %u:", (int)frame.kind, frame.len, frame.status);
			mk_buf_add(ret, frame.data, frame.len);
		}
	}
	if (r < 0)
		mk_buf_adds(ret, err.message);
	mk_frames_done(&frames);
}

static void read_handshake(const char *data, size_t size)
{
	mk_autobuf headers = mk_buf_init(65536);
	mk_autofree char *protocol = NULL;
	mk_autoerror err = { .code = MK_OK };
	long status;

	mk_buf_add(&headers, data, size);
	status = mk_handshake_status(&headers);
	MUST(status == 0 || (status >= 100 && status < 600));
	if (mk_handshake_check(&headers, "v5.x, v4.x", KEY, &protocol, &err) == 0)
		MUST(protocol && strlen(protocol) == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	mk_autobuf whole = mk_buf_init((size_t)1 << 20);
	mk_autobuf pieces = mk_buf_init((size_t)1 << 20);

	if (size < 2 || size > 60000)
		return 0;
	if (data[0] == 'H') {
		read_handshake(bytes, size);
		return 0;
	}
	read_frames(bytes + 1, size - 1, size, &whole);
	read_frames(bytes + 1, size - 1, (size_t)(data[0] % 31) + 1, &pieces);
	MUST(whole.len == pieces.len && memcmp(whole.data, pieces.data, whole.len) == 0);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Archives that are written member by member: plain or compressed, they are read back;
 * sizes that do not fit and a sink that fails are told. */
#include "lib/archive/tar_reader.h"
#include "lib/archive/tar_stream.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/str.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define BIG ((size_t)3 * 1024 * 1024)

struct place {
	struct mk_buf bytes;
	size_t taken;
	size_t fail_after; /* so many bytes; 0: never */
};

static int take(void *payload, const void *data, size_t len, struct mk_error *err)
{
	struct place *place = payload;

	mk_buf_add(&place->bytes, data, len);
	if (place->fail_after > 0 && place->bytes.len > place->fail_after)
		return mk_fail(err, MK_ESYS, "the disk is full");
	return 0;
}

static ssize_t give(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct place *place = payload;
	size_t n = place->bytes.len - place->taken < cap ? place->bytes.len - place->taken : cap;

	(void)err;
	memcpy(data, place->bytes.data + place->taken, n);
	place->taken += n;
	return (ssize_t)n;
}

static void read_back(struct place *place)
{
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	mk_autoerror err = { .code = MK_OK };
	struct mk_tar_entry entry;
	char text[8] = "";
	size_t size = 0;
	ssize_t n;

	assert_int_equal(mk_tar_reader_open(give, place, NULL, &reader, &err), 0);
	assert_int_equal(mk_tar_reader_next(reader, &entry, &err), 1);
	assert_int_equal(entry.type, MK_TAR_DIR);
	assert_int_equal(entry.mode, 0700);
	assert_int_equal(mk_tar_reader_next(reader, &entry, &err), 1);
	assert_string_equal(entry.name, "a/one");
	assert_int_equal(entry.mode, 0600);
	assert_int_equal(mk_tar_reader_data(reader, text, sizeof(text), &err), 3);
	assert_memory_equal(text, "one", 3);
	assert_int_equal(mk_tar_reader_next(reader, &entry, &err), 1);
	while ((n = mk_tar_reader_data(reader, text, sizeof(text), &err)) > 0)
		size += (size_t)n;
	assert_int_equal(size, BIG);
	assert_int_equal(mk_tar_reader_next(reader, &entry, &err), 0);
}

static void test_round(void **state)
{
	mk_autofree char *big = mk_xcalloc(1, BIG);

	(void)state;
	for (int compress = 0; compress < 2; compress++) {
		struct place place = { .bytes = mk_buf_init(2 * BIG) };
		MK_CLEANUP(mk_tar_stream_freep) struct mk_tar_stream *stream = NULL;
		mk_autoerror err = { .code = MK_OK };

		assert_int_equal(mk_tar_stream_open(compress, take, &place, &stream, &err), 0);
		assert_int_equal(mk_tar_stream_dir(stream, "a", 0700, &err), 0);
		assert_int_equal(mk_tar_stream_file(stream, "a/one", 0600, 1, 3, &err), 0);
		assert_int_equal(mk_tar_stream_data(stream, "one", 3, &err), 0);
		assert_int_equal(mk_tar_stream_file(stream, "a/big", 0600, 1, BIG, &err), 0);
		for (size_t i = 0; i < BIG; i += 4096)
			assert_int_equal(mk_tar_stream_data(stream, big + i, 4096, &err), 0);
		assert_int_equal(mk_tar_stream_close(stream, &err), 0);
		assert_true(compress ? place.bytes.len < 10000 : place.bytes.len > BIG);
		read_back(&place);
		mk_buf_done(&place.bytes);
	}
}

static void test_sizes(void **state)
{
	struct place place = { .bytes = mk_buf_init(MK_MIB) };
	MK_CLEANUP(mk_tar_stream_freep) struct mk_tar_stream *stream = NULL;
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_tar_stream_open(false, take, &place, &stream, &err), 0);
	assert_int_equal(
		mk_tar_stream_file(stream, "huge", 0600, 0, UINT64_MAX, &err), -MK_EINVALID);
	mk_error_done(&err);
	assert_int_equal(mk_tar_stream_file(stream, "one", 0600, 0, 3, &err), 0);
	assert_int_equal(mk_tar_stream_data(stream, "four", 4, &err), -MK_EFAIL);
	mk_error_done(&err);
	assert_int_equal(mk_tar_stream_data(stream, "on", 2, &err), 0);
	assert_int_equal(mk_tar_stream_file(stream, "two", 0600, 0, 0, &err), -MK_EFAIL);
	assert_non_null(strstr(err.message, "before 'two' 1 bytes are missing"));
	mk_error_done(&err);
	assert_int_equal(mk_tar_stream_close(stream, &err), -MK_EFAIL);
	mk_buf_done(&place.bytes);
}

/* The sink's own words, wherever in the archive it fails, and nothing more to it. */
static void test_sink(void **state)
{
	mk_autofree char *big = mk_xcalloc(1, BIG);

	(void)state;
	for (size_t after = 1; after < BIG; after = after * 3 + 700) {
		struct place place = { .bytes = mk_buf_init(2 * BIG), .fail_after = after };
		MK_CLEANUP(mk_tar_stream_freep) struct mk_tar_stream *stream = NULL;
		mk_autoerror err = { .code = MK_OK };
		int r = mk_tar_stream_open(false, take, &place, &stream, &err);

		if (r == 0)
			r = mk_tar_stream_file(stream, "big", 0600, 0, BIG, &err);
		if (r == 0)
			r = mk_tar_stream_data(stream, big, BIG, &err);
		if (r == 0)
			r = mk_tar_stream_close(stream, &err);
		assert_int_equal(r, -MK_ESYS);
		assert_string_equal(err.message, "the disk is full");
		place.fail_after = SIZE_MAX;
		after = place.bytes.len > after ? place.bytes.len : after;
		mk_tar_stream_free(MK_TAKE(stream));
		assert_true(place.bytes.len <= after);
		mk_buf_done(&place.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_sink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

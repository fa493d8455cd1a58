/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's snapshot: what is accepted has every member in its place, within its size,
 * and names that stay in the registry's folder. The digest at the end is made right, or
 * nothing behind it would ever be read.
 */
#include "lib/cluster/snapshot_archive.h"
#include "lib/registry/digest.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/source.h"

static uint64_t read_contents(struct mk_snapshot_reader *reader)
{
	char chunk[1000];
	uint64_t size = 0;
	mk_autoerror err = { .code = MK_OK };
	ssize_t n;

	while ((n = mk_snapshot_reader_data(reader, chunk, sizeof(chunk), &err)) > 0)
		size += (uint64_t)n;
	return n < 0 ? UINT64_MAX : size;
}

static void check_member(const struct mk_snapshot_member *member, size_t count)
{
	if (count < MK_SNAPSHOT_FILES) {
		MUST(member->file == (enum mk_snapshot_file)count);
		MUST(mk_streq(member->name, mk_snapshot_file_name(member->file)));
		return;
	}
	MUST(member->file == MK_SNAPSHOT_FILES);
	MUST(mk_after_prefix(member->name, MK_SNAPSHOT_REGISTRY "docker/registry/v2/"));
	MUST(!strstr(member->name, "/../") && !mk_has_suffix(member->name, "/.."));
}

static void read_archive(const struct mk_snapshot_source *source)
{
	MK_CLEANUP(mk_snapshot_reader_freep) struct mk_snapshot_reader *reader = NULL;
	mk_autoerror err = { .code = MK_OK };
	struct mk_snapshot_member member;
	size_t count = 0;
	int r = mk_snapshot_reader_open(source, &reader, &err);

	while (r >= 0 && (r = mk_snapshot_reader_next(reader, &member, &err)) == 1) {
		uint64_t size;

		check_member(&member, count++);
		size = read_contents(reader);
		MUST(size == UINT64_MAX || size == member.size);
	}
	MUST(r < 0 || count >= MK_SNAPSHOT_FILES);
	MUST(r < 0 || err.code == MK_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mk_autobuf whole = mk_buf_init(size + MK_SNAPSHOT_END_LEN);
	mk_autoerror err = { .code = MK_OK };
	mk_autofree char *hex = NULL;
	mk_autojson *manifest = NULL;
	struct source bytes;
	struct mk_snapshot_source source = { .what = "fuzz", .read = read_source };

	MUST(mk_digest_data(data, size, &hex, &err) == 0);
	mk_buf_add(&whole, data, size);
	mk_buf_add(&whole, MK_SNAPSHOT_END_HEAD, sizeof(MK_SNAPSHOT_END_HEAD) - 1);
	mk_buf_addf(&whole, "%s\n", hex);
	bytes = (struct source){ .data = (const uint8_t *)whole.data, .left = whole.len };
	source.payload = &bytes;
	source.size = whole.len;
	read_archive(&source);
	if (mk_snapshot_manifest_parse((const char *)data, size, "fuzz", &manifest, &err) == 0)
		MUST(mk_json_int(manifest, "format", 0) == MK_SNAPSHOT_FORMAT);
	return 0;
}

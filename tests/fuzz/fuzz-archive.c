/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's tar archive: every name that comes out stays inside, every size is
 * what was declared, and no limit is passed.
 */
#include "lib/archive/tar_reader.h"
#include "lib/base/str.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/source.h"

#define MEMBER_MAX ((uint64_t)100000)
#define TOTAL_MAX ((uint64_t)300000)

static void check_name(const char *name)
{
	mk_autostrlist parts = { .items = NULL };

	MUST(*name && *name != '/' && !strstr(name, "//") && !mk_has_suffix(name, "/"));
	mk_strlist_split(&parts, name, "/");
	for (size_t i = 0; i < parts.count; i++)
		MUST(!mk_streq(parts.items[i], ".."));
}

static uint64_t read_contents(struct mk_tar_reader *reader, const struct mk_tar_entry *entry)
{
	char chunk[1000];
	uint64_t size = 0;
	mk_autoerror err = { .code = MK_OK };
	ssize_t n;

	while ((n = mk_tar_reader_data(reader, chunk, sizeof(chunk), &err)) > 0)
		size += (uint64_t)n;
	MUST(n < 0 || entry->type != MK_TAR_FILE || size == entry->size);
	MUST(size <= MEMBER_MAX);
	return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mk_tar_reader_options options = {
		.what = "fuzz", .max_member = MEMBER_MAX, .max_total = TOTAL_MAX, .max_count = 100
	};
	struct source source = { .data = data, .left = size };
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	mk_autoerror err = { .code = MK_OK };
	struct mk_tar_entry entry;
	uint64_t total = 0;
	size_t count = 0;

	if (mk_tar_reader_open(read_source, &source, &options, &reader, &err) < 0)
		return 0;
	while (mk_tar_reader_next(reader, &entry, &err) == 1) {
		mk_autofree char *target = NULL;

		MUST(++count <= 100);
		MUST(entry.type != MK_TAR_SPECIAL);
		check_name(entry.name);
		if (entry.link && mk_tar_link_target(&entry, &target, &err) == 0)
			check_name(target);
		total += read_contents(reader, &entry);
		MUST(total <= TOTAL_MAX);
	}
	return 0;
}

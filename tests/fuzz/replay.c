/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver without libFuzzer: gives a target every file of a folder, and each of
 * them cut off at some places. usage: PROGRAM FOLDER
 */
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/str.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>

#define CUTS 40

/* A copy of its own size, so that a sanitizer sees the first byte too many. */
static void give(const char *data, size_t len)
{
	mk_autofree uint8_t *copy = mk_xmalloc(len);

	memcpy(copy, data, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
}

static void replay(const char *path)
{
	mk_autobuf file = mk_buf_init(MK_MIB);
	mk_autoerror err = { .code = MK_OK };

	if (mk_fs_read(path, &file, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	(void)printf("%s\n", path);
	(void)fflush(stdout);
	give(file.data, file.len);
	for (size_t i = 0; i < CUTS && i < file.len; i++)
		give(file.data, i * file.len / CUTS);
}

int main(int argc, char **argv)
{
	mk_autostrlist names = { .items = NULL };
	const struct dirent *entry;
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;

	if (!folder) {
		(void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] != '.')
			mk_strlist_addf(&names, "%s/%s", argv[1], entry->d_name);
	}
	(void)closedir(folder);
	mk_strlist_sort(&names);
	for (size_t i = 0; i < names.count; i++)
		replay(names.items[i]);
	(void)printf("%zu files\n", names.count);
	return names.count > 0 ? 0 : 1;
}

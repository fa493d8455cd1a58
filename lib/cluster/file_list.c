/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/file_list.h"

#include <sys/stat.h>

void mk_node_files_done(struct mk_node_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->items[i].path);
		free(files->items[i].text);
	}
	free(files->items);
	*files = (struct mk_node_files){ .items = NULL };
}

void mk_node_files_add(struct mk_node_files *files, const char *path, mode_t mode, const char *text)
{
	files->items = mk_xrealloc(files->items, (files->count + 1) * sizeof(struct mk_node_file));
	files->items[files->count++] = (struct mk_node_file){
		.path = mk_xstrdup(path),
		.mode = mode,
		.text = mk_xstrdup(text),
	};
}

const struct mk_node_file *mk_node_files_find(const struct mk_node_files *files, const char *path)
{
	for (size_t i = 0; i < files->count; i++) {
		if (mk_streq(files->items[i].path, path))
			return &files->items[i];
	}
	return NULL;
}

void mk_node_files_pack(const struct mk_node_files *files, struct mk_tar_writer *tar)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct mk_node_file *file = &files->items[i];

		if (S_ISLNK(file->mode))
			mk_tar_add_symlink(tar, file->path, file->text, 0, 0);
		else
			mk_tar_add_text(tar, file->path, file->mode, file->text);
	}
}

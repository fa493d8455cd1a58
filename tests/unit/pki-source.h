/* SPDX-License-Identifier: Apache-2.0 */
/* A node's files as an object, path -> text: kept of a bundle, and given to another. */
#ifndef MK_TESTS_PKI_SOURCE_H
#define MK_TESTS_PKI_SOURCE_H

#include "lib/base/json.h"
#include "pki/bundle.h"

static inline int keep(void *arg, const struct mk_pki_file *file, struct mk_error *err)
{
	(void)err;
	return json_object_set_new(arg, file->path, json_stringn(file->data, file->len));
}

static inline int give(void *arg, const char *path, struct mk_buf *ret, struct mk_error *err)
{
	const char *text = json_string_value(json_object_get(arg, path));

	if (!text)
		return mk_fail(err, MK_ENOTFOUND, "no file '%s'", path);
	mk_buf_adds(ret, text);
	return 0;
}

#endif

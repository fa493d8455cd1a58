/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/kube: a file of the user's kubeconfig, found and read. */
#ifndef MK_KUBE_USERCONFIG_FILE_H
#define MK_KUBE_USERCONFIG_FILE_H

#include "lib/base/json.h"
#include "lib/base/str.h"

/** The files to look at, at least one: added to `ret`. */
int mk_userconfig_files(
	const char *explicit_path, struct mk_strlist *ret, struct mk_error *err) MK_CHECKED;

/** Read the file; JSON null when there is none or it is empty. MK_EINVALID,
 * FILE:LINE:COLUMN, when it is no kubeconfig. The caller owns and wipes it. */
int mk_userconfig_load(const char *file, json_t **ret, struct mk_error *err) MK_CHECKED;

/** Overwrite every string in the value. */
void mk_userconfig_wipe(const json_t *value);

/** Wipe and release, and forget. */
static inline void mk_userconfig_drop(json_t **value)
{
	mk_userconfig_wipe(*value);
	json_decref(*value);
	*value = NULL;
}
#define autosecretjson MK_CLEANUP(mk_userconfig_drop) json_t

enum mk_userconfig_nature {
	MK_USERCONFIG_ABSENT,
	MK_USERCONFIG_REGULAR,
	MK_USERCONFIG_NOWHERE, /* a device: /dev/null must not be replaced by a file */
	MK_USERCONFIG_OTHER,
};

/** What is at the path. */
enum mk_userconfig_nature mk_userconfig_nature(const char *file);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Member names are text from strangers when read, and paths inside a node when
 * written; both come through here.
 */
#include "lib/archive/path.h"

#include "lib/base/str.h"

static bool is_plain(const char *name)
{
	for (const char *p = name; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c == 0x7f)
			return false;
	}
	return true;
}

static int check_text(const char *name, struct mk_error *err)
{
	if (strlen(name) > MK_TAR_MAX_NAME)
		return mk_fail(err, MK_EINVALID, "a name in the archive is longer than %d bytes",
			MK_TAR_MAX_NAME);
	/* Not shown: it would reach the user's terminal. */
	if (!is_plain(name))
		return mk_fail(err, MK_EINVALID, "a name in the archive holds control characters");
	return 0;
}

static char *joined(const struct mk_strlist *parts)
{
	return parts->count ? mk_strlist_join(parts, "/") : mk_xstrdup(".");
}

int mk_tar_path_clean(const char *name, bool absolute, char **ret, struct mk_error *err)
{
	mk_autostrlist all = { .count = 0 };
	mk_autostrlist parts = { .count = 0 };
	int r = check_text(name, err);

	if (r < 0)
		return r;
	if (name[0] == '/' && !absolute)
		return mk_fail(err, MK_EINVALID, "archive member '%s' has an absolute name", name);
	mk_strlist_split(&all, name, "/");
	for (size_t i = 0; i < all.count; i++) {
		if (mk_streq(all.items[i], ".."))
			return mk_fail(err, MK_EINVALID, "archive member '%s' leads outside", name);
		if (!mk_streq(all.items[i], "."))
			mk_strlist_add(&parts, all.items[i]);
	}
	*ret = joined(&parts);
	return 0;
}

static void drop_last(struct mk_strlist *list)
{
	list->count--;
	free(list->items[list->count]);
	list->items[list->count] = NULL;
}

int mk_tar_path_follow(const char *name, const char *target, char **ret, struct mk_error *err)
{
	mk_autostrlist steps = { .count = 0 };
	mk_autostrlist parts = { .count = 0 };
	int r = check_text(target, err);

	if (r < 0)
		return r;
	if (target[0] == '/')
		return mk_fail(err, MK_EINVALID, "link '%s' in the archive is absolute: '%s'", name,
			target);
	mk_strlist_split(&parts, name, "/");
	if (parts.count > 0)
		drop_last(&parts);
	mk_strlist_split(&steps, target, "/");
	for (size_t i = 0; i < steps.count; i++) {
		bool up = mk_streq(steps.items[i], "..");

		if (up && parts.count == 0)
			return mk_fail(err, MK_EINVALID,
				"link '%s' in the archive leads outside: '%s'", name, target);
		if (up)
			drop_last(&parts);
		else if (!mk_streq(steps.items[i], "."))
			mk_strlist_add(&parts, steps.items[i]);
	}
	*ret = joined(&parts);
	return 0;
}

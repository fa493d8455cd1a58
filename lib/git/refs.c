/* SPDX-License-Identifier: Apache-2.0 */
/* What REF means among the branches and tags that a server has. */
#include "lib/git/repository.h"

#define SHOWN 5 /* names in an error */
#define LONGEST_WORD 64

struct heads {
	const git_remote_head **items;
	size_t count;
};

static const git_remote_head *find(const struct heads *heads, const char *prefix, const char *name)
{
	mk_autofree char *full = mk_xasprintf("%s%s", prefix, name);

	for (size_t i = 0; i < heads->count; i++) {
		if (mk_streq(heads->items[i]->name, full))
			return heads->items[i];
	}
	return NULL;
}

/* A tag may be an object of its own, which the server then names as TAG^{} too. */
static const git_oid *commit_of(const struct heads *heads, const git_remote_head *head)
{
	mk_autofree char *peeled = mk_xasprintf("%s^{}", head->name);
	const git_remote_head *commit = find(heads, "", peeled);

	return commit ? &commit->oid : &head->oid;
}

struct near {
	const char *name;
	size_t distance;
};

static int by_distance(const void *a, const void *b)
{
	const struct near *one = a;
	const struct near *other = b;

	if (one->distance != other->distance)
		return one->distance < other->distance ? -1 : 1;
	return strcmp(one->name, other->name);
}

static size_t distance(const char *word, const char *name)
{
	if (strlen(word) > LONGEST_WORD || strlen(name) > LONGEST_WORD)
		return LONGEST_WORD;
	return mk_edit_distance(word, name);
}

static struct near *nearest(const struct heads *heads, const char *word, size_t *ret_count)
{
	struct near *all = mk_xcalloc(heads->count + 1, sizeof(*all));
	size_t count = 0;

	for (size_t i = 0; i < heads->count; i++) {
		const char *name = heads->items[i]->name;
		const char *brief = mk_after_prefix(name, "refs/heads/");

		if (!brief)
			brief = mk_after_prefix(name, "refs/tags/");
		if (brief && !mk_has_suffix(brief, "^{}"))
			all[count++] = (struct near){ brief, distance(word, brief) };
	}
	qsort(all, count, sizeof(*all), by_distance);
	*ret_count = count;
	return all;
}

static int no_such_ref(
	const struct heads *heads, const struct mk_location *location, struct mk_error *err)
{
	const char *word = location->ref ? location->ref : "";
	size_t count;
	mk_autofree struct near *all = nearest(heads, word, &count);
	mk_autobuf names = mk_buf_init(1024);

	for (size_t i = 0; i < count && i < SHOWN; i++)
		mk_buf_addf(&names, "%s%s", i > 0 ? ", " : "", all[i].name);
	if (mk_streq(word, "") || mk_streq(word, "HEAD"))
		(void)mk_fail(err, MK_ENOTFOUND, "its HEAD names no commit");
	else
		(void)mk_fail(err, MK_ENOTFOUND, "there is no branch or tag '%s'", word);
	if (count == 0)
		mk_error_hint(err, "the repository has no branches and no tags");
	else if (count > SHOWN)
		mk_error_hint(err, "there are %s and %zu more", names.data, count - SHOWN);
	else
		mk_error_hint(err, "there %s %s", count == 1 ? "is" : "are", names.data);
	return -(int)err->code;
}

static void take(const git_remote_head *head, struct mk_choice *ret)
{
	ret->name = head->name;
	ret->id = head->oid;
}

/* An id: some ref may point at it, which every server gives away. */
static int choose_id(
	const struct heads *heads, const char *hex, struct mk_choice *ret, struct mk_error *err)
{
	if (git_oid_fromstr(&ret->id, hex) < 0)
		return mk_git_fail(err, MK_EUSAGE, "'%s'", hex);
	for (size_t i = 0; i < heads->count && !ret->name; i++) {
		const git_remote_head *head = heads->items[i];

		if (mk_after_prefix(head->name, "refs/") && !mk_has_suffix(head->name, "^{}") &&
			git_oid_equal(commit_of(heads, head), &ret->id))
			ret->name = head->name;
	}
	return 0;
}

static int choose_name(const struct heads *heads, const struct mk_location *location,
	struct mk_choice *ret, struct mk_error *err)
{
	const char *ref = location->ref;
	const git_remote_head *branch = find(heads, "refs/heads/", ref);
	const git_remote_head *tag = find(heads, "refs/tags/", ref);

	if (branch && tag && !git_oid_equal(&branch->oid, commit_of(heads, tag))) {
		(void)mk_fail(err, MK_EUSAGE, "'%s' is a branch and a tag of another commit", ref);
		mk_error_hint(err, "write @refs/heads/%s or @refs/tags/%s", ref, ref);
		return -(int)err->code;
	}
	if (branch || tag) {
		take(branch ? branch : tag, ret);
		return 0;
	}
	return mk_location_is_short_id(ref) ? 0 : no_such_ref(heads, location, err);
}

int mk_refs_choose(const git_remote_head **items, size_t count, const struct mk_location *location,
	struct mk_choice *ret, struct mk_error *err)
{
	struct heads heads = { items, count };
	const char *ref = location->ref ? location->ref : "HEAD";
	const git_remote_head *exact = NULL;

	*ret = (struct mk_choice){ .name = NULL };
	if (location->ref && mk_location_is_full_id(ref))
		return choose_id(&heads, ref, ret, err);
	if (mk_streq(ref, "HEAD") || mk_after_prefix(ref, "refs/"))
		exact = find(&heads, "", ref);
	else
		return choose_name(&heads, location, ret, err);
	if (!exact)
		return no_such_ref(&heads, location, err);
	take(exact, ret);
	return 0;
}

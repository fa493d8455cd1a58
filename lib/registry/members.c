/* SPDX-License-Identifier: Apache-2.0 */
/* A growing table, then a sorted one: archives hold thousands of members. */
#include "lib/registry/members.h"

#include "lib/base/str.h"

#define MAX_LINKS 8
#define RECENT 4

struct mk_member *mk_members_add(
	struct mk_members *members, enum mk_member_kind kind, const char *name)
{
	struct mk_member *member;

	if (members->count == members->room) {
		members->room = members->room ? members->room * 2 : 64;
		members->items = mk_xrealloc(
			members->items, members->room * sizeof(members->items[0]));
	}
	member = &members->items[members->count];
	*member = (struct mk_member){
		.kind = kind,
		.name = mk_xstrdup(name),
		.packing = "",
		.order = members->count,
	};
	members->count++;
	return member;
}

void mk_members_done(struct mk_members *members)
{
	for (size_t i = 0; i < members->count; i++) {
		free(members->items[i].name);
		free(members->items[i].target);
		free(members->items[i].digest);
		free(members->items[i].data);
	}
	free(members->items);
	*members = (struct mk_members){ .items = NULL };
}

static int compare(const void *a, const void *b)
{
	const struct mk_member *x = a;
	const struct mk_member *y = b;
	int order = strcmp(x->name, y->name);

	if (order != 0)
		return order;
	return x->order < y->order ? -1 : 1;
}

void mk_members_sort(struct mk_members *members)
{
	if (members->count > 0)
		qsort(members->items, members->count, sizeof(members->items[0]), compare);
}

/* The last of those with this name. */
static struct mk_member *find_one(const struct mk_members *members, const char *name)
{
	size_t low = 0;
	size_t high = members->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(members->items[middle].name, name) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || !mk_streq(members->items[low - 1].name, name))
		return NULL;
	return &members->items[low - 1];
}

struct mk_member *mk_members_find(const struct mk_members *members, const char *name)
{
	struct mk_member *member = find_one(members, name);

	for (int i = 0; member && member->kind == MK_MEMBER_LINK; i++) {
		if (i == MAX_LINKS)
			return NULL;
		member = find_one(members, member->target);
	}
	return member;
}

struct mk_member *mk_members_find_digest(const struct mk_members *members, const char *digest)
{
	const char *hex = mk_after_prefix(digest, "sha256:");
	mk_autofree char *name = mk_xasprintf("blobs/sha256/%s", hex ? hex : "");

	return mk_members_find(members, name);
}

const struct mk_member *mk_members_recent(const struct mk_members *members, const char *name)
{
	for (size_t i = 0; i < RECENT && i < members->count; i++) {
		const struct mk_member *member = &members->items[members->count - 1 - i];

		if (mk_streq(member->name, name))
			return member;
	}
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Under which keys etcd's values lie. */
#include "lib/cluster/encryption_private.h"
#include "lib/cluster/etcd.h"

#define SECRETS "/registry/secrets/"
#define ENCRYPTED "k8s:enc:"

/* "k8s:enc:PROVIDER:v1:NAME:" and what follows, as "NAME" of secretbox or "PROVIDER:NAME";
 * NULL when it is not encrypted. Caller frees. */
static char *key_of(const struct mk_buf *head)
{
	const char *rest = mk_after_prefix(head->data, MK_ENCRYPTION_PREFIX);
	mk_autostrlist parts = { .items = NULL };

	if (rest)
		return mk_xstrndup(rest, strcspn(rest, ":"));
	rest = mk_after_prefix(head->data, ENCRYPTED);
	if (!rest)
		return NULL;
	mk_strlist_split(&parts, rest, ":");
	return mk_xasprintf("%s:%s", parts.count > 0 ? parts.items[0] : "?",
		parts.count > 3 ? parts.items[2] : "?");
}

static struct mk_encryption_count *find(struct mk_encryption_counts *counts, const char *key)
{
	struct mk_encryption_count *item;

	for (size_t i = 0; i < counts->count; i++) {
		const char *other = counts->items[i].key;

		if (key && other ? mk_streq(key, other) : key == other)
			return &counts->items[i];
	}
	counts->items = mk_xrealloc(counts->items, (counts->count + 1) * sizeof(*counts->items));
	item = &counts->items[counts->count++];
	*item = (struct mk_encryption_count){ .key = key ? mk_xstrdup(key) : NULL };
	return item;
}

void mk_encryption_count_value(
	struct mk_encryption_counts *counts, const char *key, const struct mk_buf *head)
{
	bool secret = mk_after_prefix(key, SECRETS) != NULL;
	mk_autofree char *name = key_of(head);
	struct mk_encryption_count *item;

	if (!secret && !name)
		return;
	item = find(counts, name);
	item->secrets += secret ? 1 : 0;
	item->others += secret ? 0 : 1;
	if (!item->example)
		item->example = mk_xstrdup(key);
}

static int take(void *payload, const char *key, const struct mk_buf *head, struct mk_error *err)
{
	(void)err;
	mk_encryption_count_value(payload, key, head);
	return 0;
}

int mk_encryption_count_values(struct mk_docker *docker, const char *container, int64_t deadline,
	struct mk_encryption_counts *ret, int64_t *ret_revision, struct mk_error *err)
{
	return mk_etcd_each_value(docker, container, deadline, take, ret, ret_revision, err);
}

void mk_encryption_counts_done(struct mk_encryption_counts *counts)
{
	for (size_t i = 0; i < counts->count; i++) {
		free(counts->items[i].key);
		free(counts->items[i].example);
	}
	free(counts->items);
	*counts = (struct mk_encryption_counts){ .items = NULL };
}

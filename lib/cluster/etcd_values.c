/* SPDX-License-Identifier: Apache-2.0 */
/* What etcd holds, as raw bytes: read by etcdctl in a node, past the API server. */
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/cluster/etcd.h"
#include "lib/docker/container.h"

/* A page's keys, heads and little more. */
#define MAX_PAGE ((size_t)4 * 1024 * 1024)
#define PAGE_KEYS "1000"
#define PAGE_MS 30000
#define MAX_KEY ((size_t)65536)

/* The answer to a second compaction. */
#define COMPACTED "required revision has been compacted"

/*
 * Keys and values are base64 in etcdctl's JSON, so a line each is what splitting at the
 * punctuation gives; of a value its beginning is left, 120 bytes in 160 characters. Not
 * the JSON itself: it holds all values, and numbers larger than a parser's integers.
 */
static const char
	script[] = "from=$1; shift\n"
		   "etcdctl \"$@\" get \"$from\" --from-key --limit=" PAGE_KEYS
		   " --write-out=json |\n"
		   "\ttr '{},[]' '\\n\\n\\n\\n\\n' |\n"
		   "\tsed -nE 's/^(\"value\":\".{0,160}).*/\\1/p; /^\"(key|revision|more)\":/p'\n";

static int run_page(struct mk_docker *docker, const char *container, const char *from,
	int64_t deadline, struct mk_buf *ret, struct mk_error *err)
{
	const char *argv[] = { "bash", "-o", "pipefail", "-c", script, "etcdctl", from,
		MK_ETCDCTL_OPTIONS, NULL };
	struct mk_exec_item item = { .id = container,
		.argv = argv,
		.output = mk_buf_init(MAX_PAGE),
		.errors = mk_buf_init(MAX_KEY) };
	int64_t left = mk_remaining_ms(deadline);
	const char *said;
	int r;

	r = mk_container_exec_all(docker, &item, 1, left < PAGE_MS ? left + 1 : PAGE_MS, err);
	if (r == -MK_EEXISTS || r == -MK_ENOTFOUND)
		r = mk_error_recode(err, MK_EREMOTE);
	if (r == 0 && item.status != 0) {
		said = mk_etcd_said(item.errors.data);
		r = mk_fail(err, MK_EREMOTE, "etcdctl get: %.*s", (int)strcspn(said, "\n"), said);
	}
	if (r == 0)
		r = mk_buf_check(&item.output, "a page of etcd's keys", err);
	if (r == 0)
		mk_buf_add(ret, item.output.data, item.output.len);
	mk_exec_items_done(&item, 1);
	return r;
}

/* "NAME":"BASE64", where the last quote may be cut off with the end of a value. */
static int decode_field(
	const char *line, const char *name, struct mk_buf *ret, struct mk_error *err)
{
	mk_autofree char *head = mk_xasprintf("\"%s\":\"", name);
	const char *text = mk_after_prefix(line, head);
	mk_autofree char *base64 = NULL;

	if (!text)
		return mk_fail(err, MK_EREMOTE, "etcdctl get: unexpected: %.40s", line);
	base64 = mk_xstrndup(text, strcspn(text, "\""));
	return mk_base64_decode(base64, ret, err);
}

/* The page while it is read. */
struct page {
	mk_etcd_take take;
	void *payload;
	char **last;
	char *key; /* one whose value may follow */
	struct mk_buf head;
	bool revision_seen;
};

static void page_done(struct page *page)
{
	free(page->key);
	mk_buf_done(&page->head);
}

static int tell(struct page *page, struct mk_error *err)
{
	mk_autofree char *key = MK_TAKE(page->key);
	int r = 0;

	if (!key)
		return 0;
	if (!*page->last || !mk_streq(*page->last, key))
		r = page->take(page->payload, key, &page->head, err);
	mk_buf_clear(&page->head);
	free(*page->last);
	*page->last = MK_TAKE(key);
	return r;
}

static int begin_key(struct page *page, const char *line, struct mk_error *err)
{
	mk_autobuf key = mk_buf_init(MAX_KEY);
	int r = tell(page, err);

	if (r == 0)
		r = decode_field(line, "key", &key, err);
	if (r == 0)
		page->key = mk_buf_detach(&key);
	return r;
}

static int take_line(struct page *page, const char *line, bool *ret_more, int64_t *ret_revision,
	struct mk_error *err)
{
	const char *number = mk_after_prefix(line, "\"revision\":");
	uint64_t revision;

	if (mk_after_prefix(line, "\"key\":"))
		return begin_key(page, line, err);
	if (mk_after_prefix(line, "\"value\":"))
		return page->key ? decode_field(line, "value", &page->head, err)
				 : mk_fail(err, MK_EREMOTE, "etcdctl get: a value without a key");
	if (mk_after_prefix(line, "\"more\":true"))
		*ret_more = true;
	if (number && mk_parse_uint(number, 1, INT64_MAX, &revision)) {
		*ret_revision = (int64_t)revision;
		page->revision_seen = true;
	}
	return 0;
}

int mk_etcd_read_page(const char *text, char **last, bool *ret_more, int64_t *ret_revision,
	mk_etcd_take take, void *payload, struct mk_error *err)
{
	MK_CLEANUP(page_done)
	struct page page = { .take = take,
		.payload = payload,
		.last = last,
		.head = mk_buf_init(MK_ETCD_VALUE_HEAD) };
	mk_autostrlist lines = { .items = NULL };
	int r = 0;

	*ret_more = false;
	mk_strlist_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.count && r == 0; i++)
		r = take_line(&page, lines.items[i], ret_more, ret_revision, err);
	if (r == 0)
		r = tell(&page, err);
	if (r == 0 && !page.revision_seen)
		r = mk_fail(err, MK_EREMOTE, "etcdctl get: no revision in the answer");
	return r;
}

int mk_etcd_each_value(struct mk_docker *docker, const char *container, int64_t deadline,
	mk_etcd_take take, void *payload, int64_t *ret_revision, struct mk_error *err)
{
	mk_autofree char *last = mk_xstrdup("");
	bool more = true;
	int r = 0;

	while (more && r == 0) {
		mk_autobuf text = mk_buf_init(MAX_PAGE);
		mk_autofree char *from = mk_xstrdup(last);

		if (mk_remaining_ms(deadline) == 0)
			return mk_fail(err, MK_ETIMEOUT, "etcd has more keys than there is time");
		r = run_page(docker, container, from, deadline, &text, err);
		if (r == 0)
			r = mk_etcd_read_page(
				text.data, &last, &more, ret_revision, take, payload, err);
		if (r == 0 && more && mk_streq(from, last))
			r = mk_fail(err, MK_EREMOTE, "etcdctl get: no key after '%.100s'", last);
	}
	return r < 0 ? mk_error_wrap(err, "read etcd") : 0;
}

int mk_etcd_compact(
	struct mk_docker *docker, const char *container, int64_t revision, struct mk_error *err)
{
	mk_autofree char *number = mk_xasprintf("%lld", (long long)revision);
	const char *words[] = { "compaction", number, NULL };
	mk_autobuf output = mk_buf_init(MAX_KEY);
	int r = mk_etcd_ctl(docker, container, words, &output, err);

	if (r != -MK_EREMOTE || !strstr(err->message, COMPACTED))
		return r;
	mk_error_done(err);
	return 0;
}

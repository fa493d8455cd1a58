/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in the nodes, and what they have to say. */
#include "lib/base/limits.h"
#include "lib/cluster/verification.h"

struct mk_exec_item mk_verify_command(const struct mk_verify_node *node, const char *const *argv)
{
	return (struct mk_exec_item){
		.id = node->id,
		.argv = argv,
		.output = mk_buf_init(MK_MAX_EXEC_OUTPUT),
		.errors = mk_buf_init(MK_MAX_EXEC_OUTPUT),
	};
}

/* The last line that it said, for an error. Caller frees. */
static char *last_words(const struct mk_exec_item *item)
{
	mk_autostrlist lines = { .items = NULL };

	mk_strlist_split(
		&lines, item->errors.len > 0 ? item->errors.data : item->output.data, "\n");
	return mk_xstrdup(lines.count > 0 ? lines.items[lines.count - 1] : "it said nothing");
}

int mk_verify_judge_command(const struct mk_verify_node *node, struct mk_exec_item *item,
	const char *what, struct mk_error *err)
{
	mk_autofree char *words = NULL;

	if (item->error.code != MK_OK) {
		mk_error_move(err, &item->error);
		return mk_error_wrap(err, "%s", node->name);
	}
	if (item->status == 0)
		return 0;
	words = last_words(item);
	return mk_fail(err, MK_EREMOTE, "%s: %s: %.300s", node->name, what, words);
}

int mk_verify_each(struct mk_verification *v, size_t count, const char *const *const *argvs,
	mk_verify_judge judge, size_t *ret_count, struct mk_error *err)
{
	mk_autofree struct mk_exec_item *items = mk_xcalloc(count, sizeof(*items));
	mk_autofree const struct mk_verify_node **nodes = mk_xcalloc(count, sizeof(*nodes));
	size_t running = 0;
	int r;

	/* One that does not run is named by the checks of etcd and of the nodes. */
	for (size_t i = 0; i < count; i++) {
		if (!v->nodes[i].running)
			continue;
		nodes[running] = &v->nodes[i];
		items[running++] = mk_verify_command(&v->nodes[i], argvs[i]);
	}
	r = mk_container_exec_each(
		v->docker, items, running, mk_verify_ms(v, 2 * MK_VERIFY_ANSWER_MS), err);
	for (size_t i = 0; i < running && r == 0; i++)
		r = judge(v, nodes[i], &items[i], err);
	mk_exec_items_done(items, running);
	*ret_count = running;
	return r;
}

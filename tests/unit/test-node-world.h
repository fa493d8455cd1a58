/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of nodes share: a run as far as it has come when nodes are made,
 * and a node's archive, read back. */
#ifndef MK_TESTS_TEST_NODE_WORLD_H
#define MK_TESTS_TEST_NODE_WORLD_H

#include "lib/archive/tar_reader.h"
#include "lib/base/yaml.h"
#include "lib/cluster/bringup.h"
#include "tests/unit/bytes.h"
#include "tests/unit/test-docker-world.h"

/* All that a run knows when the node is made, without having asked an engine. */
static inline struct mk_bringup bringup(const struct mk_cluster_spec *spec)
{
	struct mk_bringup b = {
		.spec = spec,
		.docker = w.docker,
		.subnet = { .address = 0x0ad50700, .bits = 24 },
		.run_id = mk_xstrdup("run1"),
		.images = mk_json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "pause", "img/pause:1",
			"coredns", "img/coredns:1", "gateway", "img/gateway:1", "provider",
			"img/provider:1", "queue-worker", "img/worker:1", "nats", "img/nats:1",
			"prometheus", "img/prometheus:1", "alertmanager", "img/alertmanager:1"),
		.profile = MK_PROFILE_PRIVILEGED,
		.api_port = 6001,
		.gateway_port = 31112,
		.registry_port = 5001,
	};
	char *note = NULL;

	b.network_id = mk_xstrdup("net1");
	assert_int_equal(mk_step_make_secrets(&b, &note, &w.err), 0);
	free(note);
	return b;
}

/* One member as {type, mode, link, text}. */
static inline json_t *read_entry(struct mk_tar_reader *reader, const struct mk_tar_entry *entry)
{
	mk_autobuf text = mk_buf_init(MK_MIB);
	char chunk[4096];
	ssize_t n;

	while ((n = mk_tar_reader_data(reader, chunk, sizeof(chunk), &w.err)) > 0)
		mk_buf_add(&text, chunk, (size_t)n);
	assert_int_equal(n, 0);
	return mk_json_pack("{s:i,s:i,s:s*,s:s}", "type", (int)entry->type, "mode",
		(int)entry->mode, "link", entry->link, "text", text.data);
}

/* The node's archive as an object, a key a member. The caller owns it. */
static inline json_t *archive_of(struct mk_bringup *b, size_t node)
{
	mk_autowipebuf tar = mk_buf_init(MK_MAX_NODE_ARCHIVE);
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	struct mk_tar_reader_options options = { .what = "node" };
	struct mk_tar_entry entry;
	struct bytes bytes;
	json_t *members = json_object();

	if (mk_node_archive(b, &b->plan.nodes[node], &tar, &w.err) < 0)
		fail_msg("%s", w.err.message);
	bytes = (struct bytes){ .data = tar.data, .left = tar.len };
	assert_int_equal(mk_tar_reader_open(read_bytes, &bytes, &options, &reader, &w.err), 0);
	while (mk_tar_reader_next(reader, &entry, &w.err) == 1) {
		assert_null(json_object_get(members, entry.name));
		(void)json_object_set_new(members, entry.name, read_entry(reader, &entry));
	}
	assert_int_equal(w.err.code, MK_OK);
	return members;
}

static inline const json_t *member(const json_t *members, const char *name)
{
	const json_t *found = json_object_get(members, name);

	if (!found)
		fail_msg("the archive has no %s", name);
	return found;
}

static inline const char *text_of(const json_t *members, const char *name)
{
	return mk_json_str(member(members, name), "text", "");
}

/* The YAML in a member. The caller owns it. */
static inline json_t *yaml_of(const json_t *members, const char *name)
{
	const char *text = text_of(members, name);
	json_t *value = NULL;

	if (mk_yaml_parse(text, strlen(text), name, &value, &w.err) < 0)
		fail_msg("%s", w.err.message);
	return value;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The decoding engine, by a struct that has one field of each kind. */
#include "lib/base/decode.h"
#include "lib/base/limits.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

enum role { ROLE_CONTROL_PLANE, ROLE_WORKER };

struct port {
	int64_t host;
	char *protocol;
};

struct node {
	enum role role;
	char *image;
	struct port *ports;
	size_t port_count;
};

struct extra {
	bool enabled;
	char *version;
};

struct config {
	char *api_version;
	char *name;
	int64_t size;
	struct mk_strlist subnets;
	json_t *images;
	json_t *raw;
	struct extra extra;
	struct node *nodes;
	size_t node_count;
};

static int check_name(const char *value, struct mk_error *err)
{
	if (strspn(value, "abcdefghijklmnopqrstuvwxyz-") == strlen(value))
		return 0;
	return mk_fail(err, MK_EUSAGE, "must be of small letters and dashes");
}

static int check_subnet(const char *value, struct mk_error *err)
{
	return strchr(value, '/') ? 0 : mk_fail(err, MK_EUSAGE, "must be ADDRESS/LENGTH");
}

static void init_node(void *object)
{
	struct node *node = object;

	node->image = mk_xstrdup("default");
}

static const char *const roles[] = { "control-plane", "worker", NULL };
static const char *const versions[] = { "v1", NULL };
static const char *const protocols[] = { "tcp", "udp", NULL };

static const struct mk_field port_fields[] = {
	{ .key = "host",
		.kind = MK_FIELD_INT,
		.mandatory = true,
		.min = 1,
		.max = 65535,
		.offset = offsetof(struct port, host) },
	{ .key = "protocol",
		.kind = MK_FIELD_STRING,
		.choices = protocols,
		.offset = offsetof(struct port, protocol) },
};
static const struct mk_table port_table = MK_TABLE(struct port, port_fields);

static const struct mk_field node_fields[] = {
	{ .key = "role",
		.kind = MK_FIELD_CHOICE,
		.choices = roles,
		.offset = offsetof(struct node, role) },
	{ .key = "image", .kind = MK_FIELD_STRING, .offset = offsetof(struct node, image) },
	{ .key = "ports",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &port_table,
		.offset = offsetof(struct node, ports),
		.count_offset = offsetof(struct node, port_count) },
};
static const struct mk_table node_table = {
	.fields = node_fields,
	.count = MK_ARRAY_LEN(node_fields),
	.size = sizeof(struct node),
	.init = init_node,
};

static const struct mk_field extra_fields[] = {
	{ .key = "enabled",
		.kind = MK_FIELD_BOOL,
		.mandatory = true,
		.offset = offsetof(struct extra, enabled) },
	{ .key = "version", .kind = MK_FIELD_STRING, .offset = offsetof(struct extra, version) },
};
static const struct mk_table extra_table = MK_TABLE(struct extra, extra_fields);

static const struct mk_field config_fields[] = {
	{ .key = "apiVersion",
		.kind = MK_FIELD_STRING,
		.mandatory = true,
		.choices = versions,
		.offset = offsetof(struct config, api_version) },
	{ .key = "name",
		.kind = MK_FIELD_STRING,
		.check = check_name,
		.offset = offsetof(struct config, name) },
	{ .key = "size",
		.kind = MK_FIELD_INT,
		.min = -5,
		.max = 10,
		.offset = offsetof(struct config, size) },
	{ .key = "subnets",
		.kind = MK_FIELD_STRING_LIST,
		.check = check_subnet,
		.offset = offsetof(struct config, subnets) },
	{ .key = "images",
		.kind = MK_FIELD_STRING_MAP,
		.check = check_name,
		.offset = offsetof(struct config, images) },
	{ .key = "raw", .kind = MK_FIELD_JSON, .offset = offsetof(struct config, raw) },
	{ .key = "extra",
		.kind = MK_FIELD_OBJECT,
		.table = &extra_table,
		.offset = offsetof(struct config, extra) },
	{ .key = "nodes",
		.kind = MK_FIELD_OBJECT_LIST,
		.table = &node_table,
		.offset = offsetof(struct config, nodes),
		.count_offset = offsetof(struct config, node_count) },
};
static const struct mk_table config_table = MK_TABLE(struct config, config_fields);

static void config_done(struct config *c)
{
	mk_decode_release(&config_table, c);
}

#define autoconfig MK_CLEANUP(config_done) struct config

static int decode(const char *text, struct config *c, struct mk_error *err)
{
	return mk_decode_yaml(text, strlen(text), "c.yaml", &config_table, c, err);
}

static void test_everything(void **state)
{
	static const char text[] =
		"apiVersion: v1\nname: dev\nsize: -5\nsubnets: [10.0.0.0/8, fd00::/8]\n"
		"images: {b: x, a: y}\nraw: [1, {z: null}]\nextra: {enabled: true, version: '2'}\n"
		"nodes:\n- role: worker\n  image: i\n  ports:\n  - host: 80\n"
		"  - {host: 65535, protocol: udp}\n- {}\n";
	mk_autoerror err = { .code = MK_OK };
	autoconfig c = { .name = mk_xstrdup("replaced") };
	mk_autofree char *images = NULL, *raw = NULL;

	(void)state;
	mk_strlist_add(&c.subnets, "replaced");
	assert_int_equal(decode(text, &c, &err), 0);
	assert_string_equal(c.api_version, "v1");
	assert_string_equal(c.name, "dev");
	assert_int_equal(c.size, -5);
	assert_int_equal(c.subnets.count, 2);
	assert_string_equal(c.subnets.items[1], "fd00::/8");
	images = mk_json_print(c.images);
	assert_string_equal(images, "{\"b\":\"x\",\"a\":\"y\"}");
	raw = mk_json_print(c.raw);
	assert_string_equal(raw, "[1,{\"z\":null}]");
	assert_true(c.extra.enabled);
	assert_string_equal(c.extra.version, "2");
	assert_int_equal(c.node_count, 2);
	assert_int_equal(c.nodes[0].role, ROLE_WORKER);
	assert_string_equal(c.nodes[0].image, "i");
	assert_int_equal(c.nodes[0].port_count, 2);
	assert_int_equal(c.nodes[0].ports[1].host, 65535);
	assert_string_equal(c.nodes[0].ports[1].protocol, "udp");
	assert_int_equal(c.nodes[1].role, ROLE_CONTROL_PLANE);
	assert_string_equal(c.nodes[1].image, "default");
	assert_int_equal(c.nodes[1].port_count, 0);
}

static void test_defaults_stay(void **state)
{
	mk_autoerror err = { .code = MK_OK };
	autoconfig c = { .name = mk_xstrdup("kept"), .size = 7, .extra.enabled = true };

	(void)state;
	assert_int_equal(decode("apiVersion: v1\nname:\nnodes: []\nextra: ~\n", &c, &err), 0);
	assert_string_equal(c.name, "kept");
	assert_int_equal(c.size, 7);
	assert_true(c.extra.enabled);
	assert_null(c.nodes);
	mk_decode_release(&config_table, &c);
	assert_null(c.name);
}

/* A file with one mistake, and the whole message. */
static const char *const mistakes[][2] = {
	{ "", "c.yaml: apiVersion: is missing" },
	{ "apiVersion:\n", "c.yaml:1:1: apiVersion: must not be empty" },
	{ "[]\n", "c.yaml:1:1: must be a map, not a list" },
	{ "apiVersion: [\n",
		"c.yaml:2:1: did not find expected node content, while parsing a "
		"flow node that began on line 2" },
	{ "name: dev\n", "c.yaml:1:1: apiVersion: is missing" },
	{ "apiVersion: v2\n", "c.yaml:1:1: apiVersion: must be v1, not 'v2'" },
	{ "apiVersion: 1\n",
		"c.yaml:1:1: apiVersion: must be a string, not the number 1; put it in quotes" },
	{ "apiVersion: v1\nname: true\n",
		"c.yaml:2:1: name: must be a string, not true; put it in quotes" },
	{ "apiVersion: v1\nname: [a]\n", "c.yaml:2:1: name: must be a string, not a list" },
	{ "apiVersion: v1\nname: A\n", "c.yaml:2:1: name: must be of small letters and dashes" },
	{ "apiVersion: v1\nsize: 11\n",
		"c.yaml:2:1: size: must be a whole number from -5 to 10, not the number 11" },
	{ "apiVersion: v1\nsize: 1.0\n",
		"c.yaml:2:1: size: must be a whole number from -5 to 10, not the number 1.0" },
	{ "apiVersion: v1\nsize: '1'\n",
		"c.yaml:2:1: size: must be a whole number from -5 to 10, not the string '1'" },
	{ "apiVersion: v1\nsubnets: 10.0.0.0/8\n",
		"c.yaml:2:1: subnets: must be a list of strings, not the string '10.0.0.0/8'" },
	{ "apiVersion: v1\nsubnets:\n- a/1\n- b\n",
		"c.yaml:4:3: subnets[1]: must be ADDRESS/LENGTH" },
	{ "apiVersion: v1\nimages: {x: 1}\n",
		"c.yaml:2:10: images.x: must be a string, not the number 1; put it in quotes" },
	{ "apiVersion: v1\nimages: {a.b: }\n",
		"c.yaml:2:10: images.a.b: must be a string, not null" },
	{ "apiVersion: v1\nimages: []\n",
		"c.yaml:2:1: images: must be a map of strings, not a list" },
	{ "apiVersion: v1\nextra: {enabled: yes}\n",
		"c.yaml:2:9: extra.enabled: must be true or false, not the string 'yes'" },
	{ "apiVersion: v1\nextra:\n  version: x\n", "c.yaml:2:1: extra.enabled: is missing" },
	{ "apiVersion: v1\nextra: x\n", "c.yaml:2:1: extra: must be a map, not the string 'x'" },
	{ "apiVersion: v1\nnodes: {}\n", "c.yaml:2:1: nodes: must be a list, not a map" },
	{ "apiVersion: v1\nnodes:\n- a\n",
		"c.yaml:3:3: nodes[0]: must be a map, not the string 'a'" },
	{ "apiVersion: v1\nnodes:\n-\n", "c.yaml:3:2: nodes[0]: must be a map, not null" },
	{ "apiVersion: v1\nnodes:\n- role: wroker\n",
		"c.yaml:3:3: nodes[0].role: must be one of control-plane, worker, not 'wroker'; "
		"did you mean 'worker'?" },
	{ "apiVersion: v1\nnodes:\n- rol: worker\n",
		"c.yaml:3:3: nodes[0].rol: unknown key; did you mean 'role'?" },
	{ "apiVersion: v1\nnodes:\n- zzz: worker\n",
		"c.yaml:3:3: nodes[0].zzz: unknown key; known here: role, image, ports" },
	{ "apiVersion: v1\nnodes:\n- ports: [{host: 0}]\n",
		"c.yaml:3:12: nodes[0].ports[0].host: must be a whole number from 1 to 65535, not "
		"the "
		"number 0" },
	{ "apiVersion: v1\n\"\\eX\": 1\n",
		"c.yaml:2:1:  X: unknown key; known here: apiVersion, name, size, subnets, images, "
		"raw, "
		"extra, nodes" },
};

static void test_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(mistakes); i++) {
		mk_autoerror err = { .code = MK_OK };
		autoconfig c = { .name = NULL };

		assert_int_equal(decode(mistakes[i][0], &c, &err), -MK_EUSAGE);
		assert_string_equal(err.message, mistakes[i][1]);
		assert_null(err.detail);
	}
}

static void test_all_at_once(void **state)
{
	static const char text[] = "sise: 3\nname: Dev\nnodes:\n- role: x\n  imge: y\n- ports:\n"
				   "  - protocol: sctp\nextra: {enabled: 1}\n";
	mk_autoerror err = { .code = MK_OK };
	autoconfig c = { .name = NULL };

	(void)state;
	assert_int_equal(decode(text, &c, &err), -MK_EUSAGE);
	assert_string_equal(err.message, "c.yaml:1:1: apiVersion: is missing");
	assert_string_equal(err.detail,
		"c.yaml:1:1: sise: unknown key; did you mean 'size'?\n"
		"c.yaml:2:1: name: must be of small letters and dashes\n"
		"c.yaml:4:3: nodes[0].role: must be one of control-plane, worker, not 'x'\n"
		"c.yaml:5:3: nodes[0].imge: unknown key; did you mean 'image'?\n"
		"c.yaml:7:5: nodes[1].ports[0].host: is missing\n"
		"c.yaml:7:5: nodes[1].ports[0].protocol: must be one of tcp, udp, not 'sctp'\n"
		"c.yaml:8:9: extra.enabled: must be true or false, not the number 1");
}

/* The first fifty by line are kept, in whatever order they are found. */
static void test_too_many(void **state)
{
	mk_autobuf text = mk_buf_init(65536);
	mk_autoerror err = { .code = MK_OK };
	autoconfig c = { .name = NULL };
	mk_autostrlist lines = { .items = NULL };

	(void)state;
	for (size_t i = 0; i < 60; i++)
		mk_buf_addf(&text, "zz%zu: 1\n", i);
	mk_buf_adds(&text, "size: x\n");
	assert_int_equal(decode(text.data, &c, &err), -MK_EUSAGE);
	mk_strlist_split(&lines, err.detail, "\n");
	assert_int_equal(lines.count, 50);
	assert_non_null(strstr(lines.items[48], "c.yaml:49:1: zz48: unknown key"));
	assert_string_equal(lines.items[49], "and 12 more");
}

/* A file of nothing but mistakes does not take for ever. */
static void test_hopeless(void **state)
{
	mk_autobuf text = mk_buf_init(MK_MIB);
	mk_autoerror err = { .code = MK_OK };
	autoconfig c = { .name = NULL };

	(void)state;
	mk_buf_adds(&text, "apiVersion: v1\nsubnets:\n");
	for (size_t i = 0; i < 50000; i++)
		mk_buf_adds(&text, "- x\n");
	for (size_t i = 0; i < 50000; i++)
		mk_buf_addf(&text, "z%zu: 1\n", i);
	assert_int_equal(decode(text.data, &c, &err), -MK_EUSAGE);
	assert_string_equal(err.message, "c.yaml:3:3: subnets[0]: must be ADDRESS/LENGTH");
	assert_non_null(strstr(err.detail, "and 99950 more"));
}

/* Rules of the caller's own, and a document without positions. */
static void test_own_rules(void **state)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autojson *value = mk_json_pack(
		"{s:s,s:i,s:[{},{}]}", "apiVersion", "v1", "size", 3, "nodes");
	mk_autodecode d = { .what = "options" };
	autoconfig c = { .name = NULL };

	(void)state;
	mk_decode_object(&d, &config_table, value, "", &c);
	assert_int_equal(d.count, 0);
	if ((size_t)c.size != c.node_count)
		mk_decode_problem(
			&d, "size", "is %d, but there are %zu nodes", (int)c.size, c.node_count);
	mk_decode_problem(&d, "", "is not good");
	assert_int_equal(mk_decode_finish(&d, &err), -MK_EUSAGE);
	assert_string_equal(err.message, "options: size: is 3, but there are 2 nodes");
	assert_string_equal(err.detail, "options: is not good");
	assert_int_equal(mk_decode_finish(&d, &err), 0);
}

/* A pass that is given up frees its problems. */
static void test_given_up(void **state)
{
	mk_autodecode d = { .what = "x" };

	(void)state;
	mk_decode_problem(&d, "a.b", "one");
	mk_decode_problem(&d, "a.b", "two");
	assert_int_equal(d.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_defaults_stay),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_hopeless),
		cmocka_unit_test(test_own_rules),
		cmocka_unit_test(test_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Config files, mkcluster's and kind's: what tests/configs holds is accepted or
 * refused as it says itself, and what is accepted can be printed and read back.
 */
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/cluster/config.h"
#include "tests/unit/same-spec.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static const char *configs; /* tests/configs */

static void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text ? text : "(null)");
}

/* The files of a folder of tests/configs. */
static void list_files(const char *folder, struct mk_strlist *ret)
{
	mk_autofree char *path = mk_xasprintf("%s/%s", configs, folder);
	DIR *dir = opendir(path);
	const struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (mk_has_suffix(entry->d_name, ".yaml"))
			mk_strlist_addf(ret, "%s/%s", path, entry->d_name);
	}
	(void)closedir(dir);
	mk_strlist_sort(ret);
}

static void read_file(const char *path, struct mk_buf *ret)
{
	mk_autoerror err = { .code = MK_OK };

	if (mk_fs_read(path, ret, &err) < 0)
		fail_msg("%s", err.message);
}

/* What the comments at the start of a bad file expect: "7:9: words of the message". */
static void read_expected(const char *path, struct mk_strlist *ret)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autostrlist lines = { .items = NULL };

	read_file(path, &text);
	mk_strlist_split(&lines, text.data, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		const char *words = mk_after_prefix(lines.items[i], "# expect: ");

		if (!words)
			break;
		mk_strlist_add(ret, words);
	}
	if (ret->count == 0)
		fail_msg("%s expects nothing", path);
}

static void assert_expected(const char *path, const char *line, const char *expected)
{
	size_t place = strcspn(expected, " ");
	const char *rest = mk_after_prefix(line, path);

	if (!rest || strncmp(rest + 1, expected, place) != 0 ||
		!strstr(rest + 1 + place, expected + place + 1))
		fail_msg("'%s' is not '%s'", line, expected);
}

static void test_bad_files(void **state)
{
	mk_autostrlist paths = { .items = NULL };

	(void)state;
	list_files("bad", &paths);
	assert_true(paths.count >= 40);
	for (size_t i = 0; i < paths.count; i++) {
		mk_autostrlist expected = { .items = NULL }, lines = { .items = NULL };
		mk_autospec spec = mk_cluster_spec_init();
		mk_autoerror err = { .code = MK_OK };

		read_expected(paths.items[i], &expected);
		if (mk_cluster_spec_load(&spec, paths.items[i], &err) != -MK_EUSAGE)
			fail_msg("%s is accepted", paths.items[i]);
		mk_strlist_add(&lines, err.message);
		mk_strlist_split(&lines, err.detail ? err.detail : "", "\n");
		for (size_t j = 0; j < expected.count && j < lines.count; j++)
			assert_expected(paths.items[i], lines.items[j], expected.items[j]);
		if (lines.count != expected.count)
			fail_msg("%s: %zu mistakes are expected, not %zu", paths.items[i],
				expected.count, lines.count);
	}
}

static void load_file(const char *path, struct mk_cluster_spec *spec)
{
	mk_autoerror err = { .code = MK_OK };

	if (mk_cluster_spec_load(spec, path, &err) < 0)
		fail_msg("%s", err.message);
}

/* Print the spec, read it from another folder, and compare. */
static void assert_round_trip(const struct mk_cluster_spec *spec, const char *name)
{
	mk_autospec again = mk_cluster_spec_init();
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE), twice = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autoerror err = { .code = MK_OK };

	assert_int_equal(mk_cluster_spec_print(spec, &text, &err), 0);
	if (mk_cluster_spec_parse(&again, text.data, text.len, name, &err) < 0)
		fail_msg("%s\n%s", err.message, text.data);
	assert_same_spec(spec, &again);
	assert_int_equal(mk_cluster_spec_check(&again, &err), 0);
	assert_int_equal(mk_cluster_spec_print(&again, &twice, &err), 0);
	assert_string_equal(text.data, twice.data);
}

static void test_good_files(void **state)
{
	mk_autostrlist paths = { .items = NULL };
	mk_autofree char *here = getcwd(NULL, 0);

	(void)state;
	list_files("good", &paths);
	list_files("kind", &paths);
	assert_true(paths.count >= 12);
	for (size_t i = 0; i < paths.count; i++) {
		mk_autospec spec = mk_cluster_spec_init();
		mk_autoerror err = { .code = MK_OK };

		load_file(paths.items[i], &spec);
		assert_int_equal(mk_cluster_spec_check(&spec, &err), 0);
		assert_int_equal(chdir("/"), 0);
		assert_round_trip(&spec, paths.items[i]);
		mk_cluster_spec_settle(&spec);
		assert_round_trip(&spec, paths.items[i]);
		assert_int_equal(chdir(here), 0);
	}
}

static void load_named(const char *name, struct mk_cluster_spec *spec)
{
	mk_autofree char *path = mk_xasprintf("%s/%s", configs, name);

	load_file(path, spec);
}

static const char *word(const json_t *map, const char *key)
{
	const char *s = json_string_value(json_object_get(map, key));

	return s ? s : "";
}

static void test_own_nodes(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	const struct mk_node_spec *node;

	(void)state;
	load_named("good/nodes.yaml", &spec);
	assert_int_equal(spec.control_planes, 3);
	assert_int_equal(spec.workers, 1);
	assert_true(spec.dns_search_given);
	assert_int_equal(spec.dns_search.count, 0);
	assert_int_equal(spec.proxy_mode, MK_PROXY_NFTABLES);
	node = &spec.nodes[0];
	assert_int_equal(node->role, MK_NODE_WORKER);
	assert_string_equal(node->cpus, "1.5");
	assert_string_equal(word(node->kubelet_args, "v"), "4");
	assert_string_equal(word(node->kubelet_args, "serialize-image-pulls"), "true");
	assert_string_equal(mk_json_str(node->kubelet_config, "containerLogMaxSize", ""), "20Mi");
	assert_true(mk_has_suffix(node->mounts[0].host_path, "/configs"));
	assert_null(strstr(node->mounts[0].host_path, ".."));
	assert_string_equal(node->mounts[0].container_path, "/data/configs");
	assert_int_equal(node->mounts[0].propagation, MK_PROPAGATION_HOST_TO_CONTAINER);
	assert_int_equal(node->ports[1].protocol, MK_PROTOCOL_UDP);
	assert_null(node->ports[0].listen_address);
	assert_int_equal(node->ports[2].host_port, 0);
	assert_string_equal(node->taints[0].effect, "NoExecute");
	assert_true(spec.nodes[1].taints_given);
	assert_int_equal(spec.nodes[1].taint_count, 0);
	assert_false(spec.nodes[2].taints_given);
	assert_string_equal(spec.nodes[2].memory, "1073741824");
}

/* Patches reach the nodes that kubeadm would have given them to. */
static void test_kind_patches(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();

	(void)state;
	load_named("kind/patches.yaml", &spec);
	assert_string_equal(word(spec.api_server_args, "v"), "2");
	assert_string_equal(word(spec.scheduler_args, "v"), "5");
	assert_string_equal(word(spec.etcd_args, "unsafe-no-fsync"), "true");
	assert_string_equal(word(spec.controller_manager_args, "bind-address"), "0.0.0.0");
	assert_int_equal(spec.api_sans.count, 2);
	assert_int_equal(mk_json_int(spec.kubelet_config, "maxPods", 0), 60);
	assert_null(json_object_get(spec.kubelet_config, "kind"));
	assert_int_equal(mk_json_int(spec.proxy_config, "conntrack.min", -1), 0);
	assert_string_equal(word(spec.nodes[0].labels, "role"), "first");
	assert_true(spec.nodes[0].taints_given);
	assert_int_equal(spec.nodes[0].taint_count, 0);
	assert_string_equal(word(spec.nodes[1].labels, "role"), "other");
	assert_string_equal(word(spec.nodes[1].kubelet_args, "v"), "4");
	assert_string_equal(spec.nodes[1].taints[0].value, "gpu");
	assert_int_equal(mk_json_int(spec.nodes[1].kubelet_config, "maxPods", 0), 30);
	assert_string_equal(word(spec.nodes[2].labels, "role"), "other");
	assert_null(spec.nodes[2].kubelet_args);
	assert_null(spec.kubelet_args);
}

/* All addresses, as kind has it; our own ports give way, for its files cannot move them. */
static void test_kind_ports(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	const struct mk_port_spec *port;

	(void)state;
	load_named("kind/ports.yaml", &spec);
	assert_int_equal(spec.api_port, 0);
	port = spec.nodes[0].ports;
	assert_string_equal(port[0].listen_address, "127.0.0.1");
	assert_int_equal(port[0].protocol, MK_PROTOCOL_TCP);
	assert_string_equal(port[1].listen_address, "0.0.0.0");
	assert_int_equal(port[1].host_port, 0);
	assert_int_equal(port[2].host_port, 0);
	assert_int_equal(spec.nodes[1].ports[0].protocol, MK_PROTOCOL_UDP);
	assert_int_equal(spec.registry_port, 5002);
	assert_int_equal(spec.gateway_port, 31113);
}

static void test_kind_proxy(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();

	(void)state;
	load_named("kind/no-proxy.yaml", &spec);
	assert_int_equal(spec.proxy_mode, MK_PROXY_NONE);
	assert_true(spec.no_cni);
}

/* Each certificate of a bundle, and nothing of what stands between them. */
static void test_certificates(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	const char *bundle, *second;

	(void)state;
	load_named("good/certificates.yaml", &spec);
	assert_int_equal(spec.ca_certificates.count, 2);
	bundle = spec.ca_certificates.items[1];
	second = mk_after_prefix(bundle, "-----BEGIN CERTIFICATE-----\n");
	assert_non_null(second);
	assert_words(second, "-----BEGIN CERTIFICATE-----\n");
	assert_null(strstr(bundle, "Two CAs"));
	assert_null(strstr(bundle, "Certificate:"));
}

/* The algorithms of the config file are those of keys, and in their order. */
static void test_algorithms(void **state)
{
	(void)state;
	for (int i = MK_KEY_EC_P256; i <= MK_KEY_ED25519; i++) {
		mk_autospec spec = mk_cluster_spec_init();
		mk_autojson *value = NULL;

		spec.cert_algorithm = (enum mk_key_kind)i;
		value = mk_cluster_spec_value(&spec);
		assert_string_equal(mk_json_str(value, "certificates.algorithm", ""),
			mk_key_kind_name((enum mk_key_kind)i));
		assert_round_trip(&spec, "algorithm");
	}
}

static void test_own_certificates(void **state)
{
	mk_autospec plain = mk_cluster_spec_init(), own = mk_cluster_spec_init(),
		    kind = mk_cluster_spec_init();

	(void)state;
	assert_int_equal(plain.cert_algorithm, MK_KEY_EC_P256);
	assert_string_equal(plain.cert_validity, "8760h");
	assert_string_equal(plain.ca_validity, "87600h");
	load_named("good/own-certificates.yaml", &own);
	assert_int_equal(own.cert_algorithm, MK_KEY_ED25519);
	assert_string_equal(own.cert_validity, "5m");
	assert_string_equal(own.ca_validity, "1h30m");
	load_named("kind/certificates.yaml", &kind);
	assert_int_equal(kind.cert_algorithm, MK_KEY_RSA_3072);
	assert_string_equal(kind.cert_validity, "48h");
	assert_string_equal(kind.ca_validity, "43800h");
}

/* The largest cluster, and one that is too large to be kept. */
static void test_sizes(void **state)
{
	mk_autospec most = mk_cluster_spec_init(), spec = mk_cluster_spec_init();
	mk_autobuf text = mk_buf_init(MK_MIB);
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	most.control_planes = MK_MAX_CONTROL_PLANES;
	most.workers = MK_MAX_WORKERS;
	mk_cluster_spec_settle(&most);
	assert_round_trip(&most, "most");
	mk_buf_adds(&text,
		"apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\nnodes:\n"
		"- role: control-plane\n");
	for (size_t i = 0; i < 100; i++)
		mk_buf_adds(&text, "- role: worker\n");
	mk_buf_adds(&text,
		"kubeadmConfigPatches:\n- |\n  kind: JoinConfiguration\n"
		"  nodeRegistration:\n    kubeletExtraArgs:\n");
	for (size_t i = 0; i < 1000; i++)
		mk_buf_addf(&text, "      flag-%zu: '12345678901234567890'\n", i);
	assert_int_equal(
		mk_cluster_spec_parse(&spec, text.data, text.len, "large", &err), -MK_EUSAGE);
	assert_words(err.message, "is too large or too deep");
}

static void test_schema(void **state)
{
	mk_autojson *schema = mk_config_schema();
	const json_t *properties = json_object_get(schema, "properties");

	(void)state;
	assert_string_equal(
		word(schema, "$schema"), "https://json-schema.org/draft/2020-12/schema");
	assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
	assert_int_equal(json_array_size(json_object_get(schema, "required")), 2);
	assert_int_equal(mk_json_int(properties, "workers.maximum", 0), MK_MAX_WORKERS);
	assert_string_equal(mk_json_str(properties, "networking.properties.podSubnet.default", ""),
		"10.244.0.0/16");
	assert_string_equal(
		mk_json_str(properties,
			"nodes.items.properties.kubeletConfig.properties.maxPods.type", ""),
		"integer");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_good_files),
		cmocka_unit_test(test_own_nodes),
		cmocka_unit_test(test_kind_patches),
		cmocka_unit_test(test_kind_ports),
		cmocka_unit_test(test_kind_proxy),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_own_certificates),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_schema),
	};

	if (argc != 2) {
		(void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	configs = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

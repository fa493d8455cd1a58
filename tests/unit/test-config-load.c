/* SPDX-License-Identifier: Apache-2.0 */
/* Config files of mkcluster.dev/v1 line by line: defaults, refusals, rules of the whole. */
#include "lib/base/fs.h"
#include "lib/cluster/config.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text ? text : "(null)");
}

/* Load `text` as a config file. */
static int load(const char *text, struct mk_cluster_spec *spec, struct mk_error *err)
{
	char path[] = "/tmp/test-config-XXXXXX";
	mk_autoclose int fd = mkstemp(path);
	int r;

	assert_true(fd >= 0);
	assert_int_equal(mk_fs_write_atomic(path, text, strlen(text), 0600, err), 0);
	r = mk_cluster_spec_load(spec, path, err);
	assert_int_equal(remove(path), 0);
	return r;
}

#define HEAD "apiVersion: mkcluster.dev/v1\nkind: Cluster\n"

static void test_load(void **state)
{
	static const char text[] = HEAD
		"name: dev\ncontrolPlanes: 3\nworkers: 2\nimage: me/node:1\nimages: {gateway: me/gateway:2}\nprofile: restricted\n"
		"networking:\n  podSubnet: 10.1.0.0/16\n  serviceSubnet: 10.2.0.0/16\n"
		"  apiServerAddress: 0.0.0.0\n  apiServerPort: 7443\n  apiServerSANs: [a.example, b]\n"
		"openfaas: {enabled: false, port: 8080}\nregistry: {port: 5005}\n"
		"etcd: {unsafeNoFsync: true}\n";
	mk_autospec spec = mk_cluster_spec_init();
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	if (load(text, &spec, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(mk_cluster_spec_check(&spec, &err), 0);
	assert_string_equal(spec.name, "dev");
	assert_int_equal(spec.control_planes, 3);
	assert_int_equal(spec.workers, 2);
	assert_string_equal(spec.image, "me/node:1");
	assert_string_equal(mk_json_str(spec.images, "gateway", ""), "me/gateway:2");
	assert_int_equal(spec.profile, MK_PROFILE_RESTRICTED);
	assert_string_equal(spec.pod_subnet, "10.1.0.0/16");
	assert_string_equal(spec.service_subnet, "10.2.0.0/16");
	assert_string_equal(spec.api_address, "0.0.0.0");
	assert_int_equal(spec.api_port, 7443);
	assert_int_equal(spec.api_sans.count, 2);
	assert_false(spec.openfaas);
	assert_int_equal(spec.gateway_port, 8080);
	assert_int_equal(spec.registry_port, 5005);
	assert_true(spec.unsafe_etcd);
}

/* A file says only what differs. */
static void test_defaults(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(load(HEAD "openfaas:\nname: ~\n", &spec, &err), 0);
	assert_int_equal(mk_cluster_spec_check(&spec, &err), 0);
	assert_string_equal(spec.name, MK_DEFAULT_NAME);
	assert_string_equal(spec.image, MK_DEFAULT_IMAGE);
	assert_string_equal(spec.api_address, "127.0.0.1");
	assert_true(spec.openfaas);
	assert_int_equal(spec.control_planes, 1);
	assert_int_equal(spec.workers, 0);
	assert_int_equal(spec.gateway_port, MK_GATEWAY_PORT);
	assert_int_equal(spec.api_port, 0);
	assert_int_equal(spec.profile, MK_PROFILE_AUTO);
}

static void test_load_refusals(void **state)
{
	static const char *const cases[][2] = {
		{ "", "apiVersion" },
		{ "a: [", ":1:" },
		{ "[]", "" },
		{ "apiVersion: mkcluster.dev/v2\nkind: Cluster\n", ":1:" },
		{ "apiVersion: mkcluster.dev/v1\nkind: Pod\n", ":2:" },
		{ HEAD "nmae: x\n", ":3:1: nmae: " },
		{ HEAD "name: Dev\n", ":3:" },
		{ HEAD "networking: {podSubnet: 7}\n", "networking.podSubnet" },
		{ HEAD "networking: {apiServerPort: 65536}\n", "networking.apiServerPort" },
		{ HEAD "openfaas: {port: 0}\n", "openfaas.port" },
		{ HEAD "openfaas: {enabled: yes}\n", "openfaas.enabled" },
		{ HEAD "profile: root\n", "profile" },
		{ HEAD "controlPlanes: 0\n", "controlPlanes" },
		{ HEAD "controlPlanes: 11\n", "controlPlanes" },
		{ HEAD "workers: 201\n", "workers" },
		{ HEAD "images: {gateway: 1}\n", "images.gateway" },
		{ HEAD "etcd: []\n", "etcd" },
		{ HEAD "---\n" HEAD, "" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autospec spec = mk_cluster_spec_init();
		mk_autoerror err = { .code = MK_OK };

		assert_int_equal(load(cases[i][0], &spec, &err), -MK_EUSAGE);
		assert_words(err.message, cases[i][1]);
	}
}

static void test_absent_file(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_cluster_spec_load(&spec, "/nonexistent.yaml", &err), -MK_EUSAGE);
	assert_words(err.message, "/nonexistent.yaml");
	assert_string_equal(spec.name, MK_DEFAULT_NAME);
}

/* All mistakes of a file at once, in the order of its lines. */
static void test_all_mistakes(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(load(HEAD "name: X\nprofile: no\nmore: 1\n", &spec, &err), -MK_EUSAGE);
	assert_words(err.message, ":3:");
	assert_words(err.detail, ":4:");
	assert_words(err.detail, ":5:");
}

static void test_checks(void **state)
{
	static const char *const cases[][2] = {
		/* NULL: all is well */
		{ "", NULL },
		{ "image: ''\n", "'' is not an image name" },
		{ "image: 'a b'\n", "'a b' is not an image name" },
		{ "image: 'a?b'\n", "is not an image name" },
		{ "controlPlanes: 2\n", "2 control planes: the number must be odd" },
		{ "controlPlanes: 9\nworkers: 200\n", NULL },
		{ "images: {gatewy: x}\n", "no image has the role 'gatewy'" },
		{ "networking: {apiServerAddress: '::1'}\n", "'::1' is not an IPv4 address" },
		{ "networking: {apiServerAddress: localhost}\n", "is not an IPv4 address" },
		{ "networking: {podSubnet: 10.0.0.0}\n",
			"networking.podSubnet: '10.0.0.0' is not" },
		{ "networking: {serviceSubnet: x/8}\n", "networking.serviceSubnet: 'x/8' is not" },
		{ "networking: {podSubnet: 11.0.0.0/7}\n", "has bits set beyond" },
		{ "networking: {podSubnet: 10.0.0.0/7}\n", "must be between a /8 and a /24" },
		{ "networking: {podSubnet: 10.0.0.0/25}\n", "must be between a /8 and a /24" },
		{ "networking: {podSubnet: 10.3.0.0/24}\n", NULL },
		{ "networking: {serviceSubnet: 10.16.0.0/12}\n", NULL },
		{ "networking: {serviceSubnet: 10.0.0.0/11}\n", "must be between a /12 and a /26" },
		{ "networking: {serviceSubnet: 10.1.0.0/27}\n", "must be between a /12 and a /26" },
		{ "networking: {serviceSubnet: 10.244.1.0/24}\n", "overlaps" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autospec spec = mk_cluster_spec_init();
		mk_autoerror err = { .code = MK_OK };
		mk_autofree char *text = mk_xasprintf(HEAD "%s", cases[i][0]);

		assert_int_equal(load(text, &spec, &err), cases[i][1] ? -MK_EUSAGE : 0);
		if (cases[i][1])
			assert_words(err.message, cases[i][1]);
		else
			assert_int_equal(mk_cluster_spec_check(&spec, &err), 0);
	}
}

/* What only this host can say is asked when it is wanted, and told with its place. */
static void test_host(void **state)
{
	static const char text[] = HEAD "nodes:\n- mounts:\n"
					"  - {hostPath: /nowhere/at/all, containerPath: /a}\n"
					"  - {hostPath: /tmp, containerPath: /b}\n";
	char path[] = "/tmp/test-config-XXXXXX";
	mk_autoclose int fd = mkstemp(path);
	mk_autospec spec = mk_cluster_spec_init();
	mk_autofree char *name = NULL;
	mk_autodecode d = { .what = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(mk_fs_write_atomic(path, text, strlen(text), 0600, &err), 0);
	assert_int_equal(mk_config_read(&spec, path, MK_CONFIG_HOST, &d, &name, &err), 0);
	assert_int_equal(d.count, 1);
	assert_int_equal(d.problems[0].line, 5);
	assert_string_equal(d.problems[0].path, "nodes[0].mounts[0].hostPath");
	assert_words(d.problems[0].text, "'/nowhere/at/all' does not exist");
	assert_int_equal(remove(path), 0);
}

/* A spec from flags alone is told without a file. */
static void test_without_file(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	spec.control_planes = 2;
	free(spec.name);
	spec.name = mk_xstrdup("X");
	assert_int_equal(mk_cluster_spec_check(&spec, &err), -MK_EUSAGE);
	assert_words(err.message, "name: 'X' cannot name a cluster");
	assert_words(err.detail, "controlPlanes: 2 control planes: the number must be odd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_load_refusals),
		cmocka_unit_test(test_absent_file),
		cmocka_unit_test(test_all_mistakes),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_without_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

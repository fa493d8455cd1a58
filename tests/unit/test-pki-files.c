/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of each node: those of two control planes and a worker are made
 * once, and read back as the programs in the nodes will read them.
 */
#include "lib/base/encode.h"
#include "pki/bundle.h"
#include "pki/encryption.h"
#include "pki/kubeconfig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MAX_TEXT 65536
#define NODES 3
#define WORKER 2

#define assert_ok(r, err)                                                                          \
	do {                                                                                       \
		if ((r) != 0)                                                                      \
			fail_msg("%s", (err).message);                                             \
	} while (0)

static char *sans_items[] = { (char[]){ "lb.example.com" }, (char[]){ "192.0.2.7" },
	(char[]){ "LOCALHOST" }, NULL };
static const struct mk_strlist extra_sans = { sans_items, 3 };
static const struct mk_pki_node nodes[NODES] = {
	{ "dev-control-plane", "172.20.0.3", true },
	{ "dev-control-plane2", "172.20.0.4", true },
	{ "dev-worker", "172.20.0.5", false },
};
static const struct mk_pki_spec spec = {
	.cluster = "dev",
	.key_kind = MK_KEY_EC_P256,
	.service_ip = "10.96.0.1",
	.server = "https://172.20.0.2:6443",
	.api_sans = &extra_sans,
	.nodes = nodes,
	.node_count = NODES,
};

struct file {
	char *path;
	mode_t mode;
	char *data;
};

struct world {
	struct mk_pki_bundle *bundle;
	struct file files[NODES][40];
	size_t count[NODES];
};

struct adder {
	struct world *world;
	size_t node;
};

static int keep_file(void *arg, const struct mk_pki_file *file, struct mk_error *err)
{
	struct adder *adder = arg;
	size_t *count = &adder->world->count[adder->node];

	(void)err;
	assert_true(*count < 40);
	assert_int_equal(strlen(file->data), file->len);
	adder->world->files[adder->node][(*count)++] = (struct file){
		.path = mk_xstrdup(file->path),
		.mode = file->mode,
		.data = mk_xstrdup(file->data),
	};
	return 0;
}

static int setup(void **state)
{
	struct world *world = mk_xcalloc(1, sizeof(*world));
	mk_autoerror err = { 0 };

	assert_ok(mk_pki_bundle_new(&spec, &world->bundle, &err), err);
	for (size_t i = 0; i < NODES; i++) {
		struct adder adder = { world, i };

		assert_ok(mk_pki_bundle_each_file(world->bundle, i, keep_file, &adder, &err), err);
	}
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < NODES; i++) {
		for (size_t j = 0; j < world->count[i]; j++) {
			free(world->files[i][j].path);
			free(world->files[i][j].data);
		}
	}
	mk_pki_bundle_free(world->bundle);
	free(world);
	return 0;
}

static const struct file *file_at(const struct world *world, size_t node, const char *path)
{
	for (size_t i = 0; i < world->count[node]; i++) {
		if (mk_streq(world->files[node][i].path, path))
			return &world->files[node][i];
	}
	return NULL;
}

static const char *data_at(const struct world *world, size_t node, const char *path)
{
	const struct file *file = file_at(world, node, path);

	if (!file)
		fail_msg("node %zu has no %s", node, path);
	return file ? file->data : "";
}

#define KUBE "/etc/kubernetes/"
#define PKI KUBE "pki/"

static const char *const control_plane_files[] = {
	PKI "ca.crt",
	PKI "ca.key",
	PKI "etcd/ca.crt",
	PKI "etcd/ca.key",
	PKI "front-proxy-ca.crt",
	PKI "front-proxy-ca.key",
	PKI "sa.pub",
	PKI "sa.key",
	PKI "apiserver.crt",
	PKI "apiserver.key",
	PKI "apiserver-kubelet-client.crt",
	PKI "apiserver-kubelet-client.key",
	PKI "apiserver-etcd-client.crt",
	PKI "apiserver-etcd-client.key",
	PKI "front-proxy-client.crt",
	PKI "front-proxy-client.key",
	PKI "etcd/server.crt",
	PKI "etcd/server.key",
	PKI "etcd/peer.crt",
	PKI "etcd/peer.key",
	PKI "etcd/healthcheck-client.crt",
	PKI "etcd/healthcheck-client.key",
	KUBE "admin.conf",
	KUBE "controller-manager.conf",
	KUBE "scheduler.conf",
	KUBE "kubelet.conf",
	PKI "kubelet-server.crt",
	PKI "kubelet-server.key",
	KUBE "kube-proxy.conf",
	PKI "ca-signer.crt",
	KUBE "encryption-config.yaml",
};

static const char *const worker_files[] = { PKI "ca.crt", KUBE "kubelet.conf",
	PKI "kubelet-server.crt", PKI "kubelet-server.key", KUBE "kube-proxy.conf" };

static void assert_files(
	const struct world *world, size_t node, const char *const *paths, size_t count)
{
	assert_int_equal(world->count[node], count);
	for (size_t i = 0; i < count; i++) {
		const struct file *file = &world->files[node][i];
		bool public = mk_has_suffix(paths[i], ".crt") || mk_has_suffix(paths[i], ".pub");

		assert_string_equal(file->path, paths[i]);
		assert_int_equal(file->mode, public ? 0644 : 0600);
		assert_int_equal(
			!strstr(file->data, "BEGIN PRIVATE KEY"), !mk_has_suffix(paths[i], ".key"));
		if (public)
			assert_null(strstr(file->data, "PRIVATE"));
	}
}

static void test_files(void **state)
{
	const struct world *world = *state;

	assert_files(world, 0, control_plane_files, MK_ARRAY_LEN(control_plane_files));
	assert_files(world, 1, control_plane_files, MK_ARRAY_LEN(control_plane_files));
	assert_files(world, WORKER, worker_files, MK_ARRAY_LEN(worker_files));
}

static void test_pairs_match(void **state)
{
	const struct world *world = *state;

	for (size_t node = 0; node < NODES; node++) {
		for (size_t i = 0; i < world->count[node]; i++) {
			const struct file *crt = &world->files[node][i];
			mk_autofree char *path = mk_xstrdup(crt->path);
			const struct file *key;
			mk_autoerror err = { 0 };
			mk_autocert *cert = NULL;
			mk_autokey *pair = NULL;

			/* That one is a part of ca.crt. */
			if (!mk_has_suffix(path, ".crt") || mk_streq(path, PKI "ca-signer.crt"))
				continue;
			memcpy(path + strlen(path) - 3, "key", 3);
			key = file_at(world, node, path);
			assert_int_equal(
				key == NULL, node == WORKER && mk_streq(path, PKI "ca.key"));
			if (!key)
				continue;
			assert_ok(mk_cert_parse(crt->data, strlen(crt->data), &cert, &err), err);
			assert_ok(mk_key_parse(key->data, strlen(key->data), &pair, &err), err);
			assert_true(mk_cert_has_key(cert, pair));
		}
	}
}

static void test_what_control_planes_share(void **state)
{
	static const char *const shared[] = { PKI "ca.key", PKI "sa.key", PKI "sa.pub",
		PKI "etcd/ca.key", PKI "front-proxy-ca.key", KUBE "admin.conf",
		KUBE "encryption-config.yaml" };
	static const char *const own[] = { PKI "apiserver.key", PKI "etcd/server.key",
		PKI "etcd/peer.key", KUBE "kubelet.conf", PKI "kubelet-server.key" };
	const struct world *world = *state;

	for (size_t i = 0; i < MK_ARRAY_LEN(shared); i++)
		assert_string_equal(data_at(world, 0, shared[i]), data_at(world, 1, shared[i]));
	for (size_t i = 0; i < MK_ARRAY_LEN(own); i++)
		assert_string_not_equal(data_at(world, 0, own[i]), data_at(world, 1, own[i]));
	assert_string_not_equal(
		data_at(world, 0, PKI "etcd/server.key"), data_at(world, 0, PKI "etcd/peer.key"));
}

/* The value after KEY: in YAML, decoded when it is base64. */
static char *value_of(const char *text, const char *key, bool base64)
{
	mk_autofree char *mark = mk_xasprintf("    %s: ", key);
	const char *at = strstr(text, mark);
	mk_autofree char *value = NULL;
	struct mk_buf raw = mk_buf_init(MAX_TEXT);
	mk_autoerror err = { 0 };

	assert_non_null(at);
	at += strlen(mark);
	value = mk_xstrndup(at, strcspn(at, "\n"));
	if (base64)
		assert_ok(mk_base64_decode(value, &raw, &err), err);
	else
		mk_buf_adds(&raw, value);
	return mk_buf_detach(&raw);
}

static void check_kubeconfig(const struct world *world, size_t node, const char *path,
	const char *server, const char *user)
{
	const char *text = data_at(world, node, path);
	mk_autofree char *ca = value_of(text, "certificate-authority-data", true);
	mk_autofree char *crt = value_of(text, "client-certificate-data", true);
	mk_autofree char *key = value_of(text, "client-key-data", true);
	mk_autofree char *url = value_of(text, "server", false);
	mk_autofree char *context = mk_xasprintf("\ncurrent-context: \"%s@dev\"\n", user);
	mk_autoerror err = { 0 };
	mk_autocert *cert = NULL;
	mk_autokey *pair = NULL;

	assert_string_equal(ca, data_at(world, node, PKI "ca.crt"));
	assert_string_equal(url, server);
	assert_non_null(strstr(text, context));
	assert_ok(mk_cert_parse(crt, strlen(crt), &cert, &err), err);
	assert_ok(mk_key_parse(key, strlen(key), &pair, &err), err);
	assert_true(mk_cert_has_key(cert, pair));
	assert_string_equal(mk_cert_common_name(cert), user);
}

static void test_kubeconfigs(void **state)
{
	static const char local[] = "\"https://127.0.0.1:6443\"";
	static const char given[] = "\"https://172.20.0.2:6443\"";
	const struct world *world = *state;

	check_kubeconfig(world, 0, KUBE "admin.conf", local, "kubernetes-admin");
	check_kubeconfig(
		world, 1, KUBE "controller-manager.conf", local, "system:kube-controller-manager");
	check_kubeconfig(world, 1, KUBE "scheduler.conf", local, "system:kube-scheduler");
	check_kubeconfig(world, 1, KUBE "kubelet.conf", given, "system:node:dev-control-plane2");
	check_kubeconfig(world, WORKER, KUBE "kubelet.conf", given, "system:node:dev-worker");
	check_kubeconfig(world, WORKER, KUBE "kube-proxy.conf", given, "system:kube-proxy");
}

static void test_users_kubeconfig(void **state)
{
	const struct world *world = *state;
	mk_autoerror err = { 0 };
	mk_autowipebuf text = mk_buf_init(MAX_TEXT), none = mk_buf_init(MAX_TEXT);

	assert_ok(mk_pki_bundle_kubeconfig(world->bundle, "admin", 0, "https://127.0.0.1:40001",
			  "mkcluster-dev", &text, &err),
		err);
	assert_non_null(strstr(text.data, "- name: \"mkcluster-dev\"\n  cluster:\n"));
	assert_non_null(strstr(text.data, "- name: \"mkcluster-dev\"\n  user:\n"));
	assert_non_null(strstr(text.data, "    cluster: \"mkcluster-dev\"\n"));
	assert_non_null(strstr(text.data, "    user: \"mkcluster-dev\"\n"));
	assert_non_null(strstr(text.data, "    server: \"https://127.0.0.1:40001\"\n"));
	assert_int_equal(mk_pki_bundle_kubeconfig(
				 world->bundle, "nobody", 0, "https://a", NULL, &none, &err),
		-MK_ENOTFOUND);
	assert_int_equal(none.len, 0);
}

static void test_kubeconfig_text(void **state)
{
	static const char want[] = "apiVersion: v1\nkind: Config\n"
				   "clusters:\n- name: \"a\\\"b\"\n  cluster:\n"
				   "    certificate-authority-data: Y2E=\n"
				   "    server: \"https://[::1]:6443\"\n"
				   "users:\n- name: \"c\\\\d: #e\"\n  user:\n"
				   "    client-certificate-data: Y2VydA==\n"
				   "    client-key-data: a2V5\n"
				   "contexts:\n- name: \"yes\"\n  context:\n"
				   "    cluster: \"a\\\"b\"\n    user: \"c\\\\d: #e\"\n"
				   "current-context: \"yes\"\n";
	static const struct mk_kubeconfig good = { "a\"b", "c\\d: #e", "yes", "https://[::1]:6443",
		"ca", "cert", "key" };
	static const struct mk_kubeconfig bad[] = {
		{ "", "u", "c", "https://h", "", "", "" },
		{ "a\nb", "u", "c", "https://h", "", "", "" },
		{ "a", "", "c", "https://h", "", "", "" },
		{ "a", "u", "c\t", "https://h", "", "", "" },
		{ "a", "u", "c", "http://h", "", "", "" },
		{ "a", "u", "c", "https://", "", "", "" },
		{ "a", "u", "c", "https://h\"", "", "", "" },
		{ "a", "u", "c", "https://h i", "", "", "" },
	};
	mk_autoerror err = { 0 };
	mk_autowipebuf text = mk_buf_init(MAX_TEXT), small = mk_buf_init(100);

	(void)state;
	assert_ok(mk_kubeconfig_print(&good, &text, &err), err);
	assert_string_equal(text.data, want);
	assert_int_equal(mk_kubeconfig_print(&good, &small, &err), -MK_EINVALID);
	mk_buf_clear(&text);
	for (size_t i = 0; i < MK_ARRAY_LEN(bad); i++)
		assert_int_equal(mk_kubeconfig_print(&bad[i], &text, &err), -MK_EINVALID);
	assert_int_equal(text.len, 0);
}

static void test_encryption(void **state)
{
	static const char head[] = "apiVersion: apiserver.config.k8s.io/v1\n"
				   "kind: EncryptionConfiguration\n"
				   "resources:\n- resources:\n  - secrets\n  providers:\n"
				   "  - secretbox:\n      keys:\n      - name: \"key1\"\n"
				   "        secret: ";
	mk_autoerror err = { 0 };
	mk_autowipebuf a = mk_buf_init(4096), b = mk_buf_init(4096), key = mk_buf_init(64);
	mk_autofree char *text = NULL;
	const char *secret, *rest;

	(void)state;
	assert_ok(mk_encryption_config_new(&a, &err), err);
	assert_ok(mk_encryption_config_new(&b, &err), err);
	assert_string_not_equal(a.data, b.data);
	secret = mk_after_prefix(a.data, head);
	assert_non_null(secret);
	rest = secret + strcspn(secret, "\n");
	text = mk_xstrndup(secret, (size_t)(rest - secret));
	assert_ok(mk_base64_decode(text, &key, &err), err);
	assert_int_equal(key.len, 32);
	assert_string_equal(rest, "\n  - identity: {}\n");
}

static int refuse(void *arg, const struct mk_pki_file *file, struct mk_error *err)
{
	int *left = arg;

	return --*left > 0 ? 0 : mk_fail(err, MK_ESYS, "no room for %s", file->path);
}

static void test_walk_stops(void **state)
{
	const struct world *world = *state;
	mk_autoerror err = { 0 };
	int left = 2;

	assert_int_equal(mk_pki_bundle_each_file(world->bundle, 0, refuse, &left, &err), -MK_ESYS);
	assert_string_equal(err.message, "no room for " PKI "ca.key");
	assert_int_equal(left, 0);
	assert_int_equal(
		mk_pki_bundle_each_file(world->bundle, NODES, refuse, &left, &err), -MK_ENOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_pairs_match),
		cmocka_unit_test(test_what_control_planes_share),
		cmocka_unit_test(test_kubeconfigs),
		cmocka_unit_test(test_users_kubeconfig),
		cmocka_unit_test(test_kubeconfig_text),
		cmocka_unit_test(test_encryption),
		cmocka_unit_test(test_walk_stops),
	};

	return cmocka_run_group_tests_name("pki-files", tests, setup, teardown);
}

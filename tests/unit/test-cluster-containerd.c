/* SPDX-License-Identifier: Apache-2.0 */
/* Where a node takes images from, whom it trusts, and what its containerd is told. */
#include "lib/cluster/node_containerd.h"
#include "tests/unit/test-node-world.h"

#define DEFAULT_HOSTS "etc/containerd/certs.d/_default/hosts.toml"

/* The cluster's own registry comes first everywhere. */
#define OURS "[host.\"http://10.213.7.2:5000\"]\n  capabilities = [\"pull\", \"resolve\"]\n"

static struct mk_registry_spec *add_registry(struct mk_cluster_spec *spec, const char *host)
{
	struct mk_registry_spec *registry;

	spec->registries = mk_xrealloc(
		spec->registries, (spec->registry_count + 1) * sizeof(*registry));
	registry = &spec->registries[spec->registry_count++];
	*registry = (struct mk_registry_spec){ .host = mk_xstrdup(host) };
	return registry;
}

static const char *after_comment(const char *text)
{
	while (*text == '#')
		text += strcspn(text, "\n") + 1;
	return text;
}

static void test_registries(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *members = NULL;
	struct mk_registry_spec *registry = add_registry(&spec, "docker.io");

	(void)state;
	mk_strlist_add(&registry->mirrors, "https://one.example/proxy");
	mk_strlist_add(&registry->mirrors, "http://two.example:5000");
	mk_strlist_add(&registry->mirrors, "https://one.example/proxy");
	registry = add_registry(&spec, "ghcr.io:443");
	mk_strlist_add(&registry->mirrors, "https://a\"b\\c");
	registry->insecure = true;
	serve(NULL, 0);
	b = bringup(&spec);
	members = archive_of(&b, 0);
	assert_string_equal(
		after_comment(text_of(members, "etc/containerd/certs.d/docker.io/hosts.toml")),
		OURS "\n[host.\"https://one.example/proxy\"]\n"
		     "  capabilities = [\"pull\", \"resolve\"]\n"
		     "\n[host.\"http://two.example:5000\"]\n"
		     "  capabilities = [\"pull\", \"resolve\"]\n");
	assert_string_equal(
		after_comment(text_of(members, "etc/containerd/certs.d/ghcr.io:443/hosts.toml")),
		OURS "\n[host.\"https://a\\\"b\\\\c\"]\n"
		     "  capabilities = [\"pull\", \"resolve\"]\n  skip_verify = true\n");
	assert_string_equal(after_comment(text_of(members, DEFAULT_HOSTS)), OURS);
	assert_int_equal(mk_json_int(member(members, DEFAULT_HOSTS), "mode", -1), 0600);
}

/* "*" is said in the file that is there for all others, not in a second one. */
static void test_default_registry(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *members = NULL;
	struct mk_registry_spec *registry = add_registry(&spec, "*");

	(void)state;
	mk_strlist_add(&registry->mirrors, "https://cache.example");
	serve(NULL, 0);
	b = bringup(&spec);
	members = archive_of(&b, 0);
	assert_words(text_of(members, DEFAULT_HOSTS), OURS "\n[host.\"https://cache.example\"]");
	assert_null(json_object_get(members, "etc/containerd/certs.d/*/hosts.toml"));
}

/* Without mirrors it is the registry itself whose certificate is not checked. */
static void test_insecure_registry(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *members = NULL;

	(void)state;
	add_registry(&spec, "corp.example:5000")->insecure = true;
	serve(NULL, 0);
	b = bringup(&spec);
	members = archive_of(&b, 0);
	assert_non_null(mk_after_prefix(
		text_of(members, "etc/containerd/certs.d/corp.example:5000/hosts.toml"),
		"skip_verify = true\n\n#"));
}

static void test_patches(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *members = NULL;

	(void)state;
	mk_strlist_add(&spec.containerd_patches, "version = 2\n");
	mk_strlist_add(&spec.containerd_patches, "[debug]\n  level = \"${X}\"\n");
	serve(NULL, 0);
	b = bringup(&spec);
	members = archive_of(&b, 0);
	assert_string_equal(
		text_of(members, "etc/containerd/conf.d/001-user.toml"), "version = 2\n");
	assert_string_equal(text_of(members, "etc/containerd/conf.d/002-user.toml"),
		"[debug]\n  level = \"${X}\"\n");
	/* A password of a registry may be in them. */
	assert_int_equal(
		mk_json_int(member(members, "etc/containerd/conf.d/001-user.toml"), "mode", -1),
		0600);
	assert_words(text_of(members, "etc/containerd/config.toml"),
		"\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n");
}

static void test_certificates(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *members = NULL;

	(void)state;
	mk_strlist_add(&spec.ca_certificates, "PEM 1\n");
	mk_strlist_add(&spec.ca_certificates, "PEM 2\n");
	serve(NULL, 0);
	b = bringup(&spec);
	members = archive_of(&b, 0);
	assert_string_equal(
		text_of(members, "usr/local/share/ca-certificates/mkcluster-2.crt"), "PEM 2\n");
	assert_string_equal(
		mk_json_str(member(members, "etc/ssl/certs/mkcluster-2.pem"), "link", ""),
		"/usr/local/share/ca-certificates/mkcluster-2.crt");
}

static void assert_no_proxy(struct mk_bringup *b)
{
	mk_autojson *members = archive_of(b, 0);

	assert_null(json_object_get(members, "etc/mkcluster/proxy.env"));
	assert_null(json_object_get(members, "etc/systemd/system/containerd.service.d/proxy.conf"));
	assert_null(mk_node_proxy_note());
}

#define PROXY "http://me:p\"a$s@proxy.example:3128/"

static void test_proxy(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *members = NULL;
	mk_autofree char *note = NULL;
	mk_autonodefiles listed = { .items = NULL };

	(void)state;
	spec.workers = 1;
	serve(NULL, 0);
	b = bringup(&spec);
	assert_no_proxy(&b);
	assert_int_equal(setenv("https_proxy", PROXY, 1), 0);
	assert_int_equal(setenv("HTTP_PROXY", "", 1), 0);
	assert_int_equal(setenv("http_proxy", "http://plain.example", 1), 0);
	assert_int_equal(setenv("NO_PROXY", "a.example, .b.example", 1), 0);
	members = archive_of(&b, 1);
	assert_string_equal(text_of(members, "etc/mkcluster/proxy.env"),
		"HTTP_PROXY=\"http://plain.example\"\n"
		"HTTPS_PROXY=\"http://me:p\\\"a\\$s@proxy.example:3128/\"\n"
		"NO_PROXY=\"a.example,.b.example,localhost,127.0.0.1,10.244.0.0/16,10.96.0.0/16,"
		"10.213.7.0/24,.svc,.cluster.local,10.213.7.2,mkcluster-control-plane,"
		"mkcluster-worker\"\n");
	assert_int_equal(mk_json_int(member(members, "etc/mkcluster/proxy.env"), "mode", 0), 0600);
	assert_words(text_of(members, "etc/systemd/system/containerd.service.d/proxy.conf"),
		"EnvironmentFile=/etc/mkcluster/proxy.env\n");
	note = mk_node_proxy_note();
	assert_string_equal(note, "proxy proxy.example:3128");
	/* A password is in no list of files that may be compared or shown. */
	assert_int_equal(mk_node_files_make(&b, &b.plan.nodes[1], &listed, &w.err), 0);
	for (size_t i = 0; i < listed.count; i++)
		assert_null(strstr(listed.items[i].text, "p\\\"a"));
}

static void test_proxy_of_the_host(void **state)
{
	static const char *const cases[][2] = {
		{ "http://127.0.0.1:3128", "the nodes cannot reach it" },
		{ "localhost:3128", "proxy localhost:3128, which" },
		{ "http://u:a@b@[::1]:3128/x", "proxy [::1]:3128, which" },
		{ "10.0.0.1:8080", "proxy 10.0.0.1:8080" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *note = NULL;

		assert_int_equal(setenv("HTTPS_PROXY", cases[i][0], 1), 0);
		note = mk_node_proxy_note();
		assert_words(note, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registries),
		TEST(test_default_registry),
		TEST(test_insecure_registry),
		TEST(test_patches),
		TEST(test_certificates),
		TEST(test_proxy),
		TEST(test_proxy_of_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

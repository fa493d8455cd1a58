/* SPDX-License-Identifier: Apache-2.0 */
/* What a node's spec makes of its container: image, mounts, ports, limits. */
#include "lib/cluster/cluster.h"
#include "lib/cluster/node_host.h"
#include "tests/unit/test-node-world.h"

/* A settled spec of a control plane and so many workers. */
static struct mk_cluster_spec spec_of(int64_t workers)
{
	struct mk_cluster_spec spec = mk_cluster_spec_init();

	spec.workers = workers;
	mk_cluster_spec_settle(&spec);
	return spec;
}

static struct mk_mount_spec *add_mount(
	struct mk_node_spec *node, const char *host_path, const char *container_path)
{
	struct mk_mount_spec *mount;

	node->mounts = mk_xrealloc(node->mounts, (node->mount_count + 1) * sizeof(*mount));
	mount = &node->mounts[node->mount_count++];
	*mount = (struct mk_mount_spec){ .host_path = mk_xstrdup(host_path),
		.container_path = mk_xstrdup(container_path) };
	return mount;
}

static void add_port(struct mk_node_spec *node, const char *address, int64_t host_port,
	int64_t container_port, enum mk_protocol protocol)
{
	node->ports = mk_xrealloc(node->ports, (node->port_count + 1) * sizeof(*node->ports));
	node->ports[node->port_count++] = (struct mk_port_spec){
		.listen_address = address ? mk_xstrdup(address) : NULL,
		.host_port = host_port,
		.container_port = container_port,
		.protocol = protocol,
	};
}

static void assert_json(const json_t *got, const char *expected)
{
	mk_autojson *want = json_loads(expected, JSON_DECODE_ANY, NULL);
	mk_autofree char *printed = got ? mk_json_print(got) : mk_xstrdup("absent");

	assert_non_null(want);
	if (!got || !json_equal(want, got))
		fail_msg("it is\n%s, not\n%s", printed, expected);
}

static void test_images(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *plain = NULL;
	mk_autojson *own = NULL;
	mk_autojson *members = NULL;

	(void)state;
	spec.nodes[1].image = mk_xstrdup("older/node:1");
	serve(NULL, 0);
	b = bringup(&spec);
	b.node_images = mk_json_pack("{s:{s:s}}", "older/node:1", "pause", "img/pause:0");
	plain = mk_node_container(&b, &b.plan.nodes[0]);
	own = mk_node_container(&b, &b.plan.nodes[1]);
	assert_string_equal(mk_json_str(plain, "Image", ""), MK_DEFAULT_IMAGE);
	assert_string_equal(mk_json_str(own, "Image", ""), "older/node:1");
	members = archive_of(&b, 1);
	assert_words(text_of(members, "etc/containerd/config.toml"), "\"img/pause:0\"");
}

/* The balancer runs what the first control plane runs. */
static void test_image_of_balancer(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };

	(void)state;
	spec.control_planes = 3;
	mk_cluster_spec_settle(&spec);
	spec.nodes[0].image = mk_xstrdup("first:1");
	serve(NULL, 0);
	b = bringup(&spec);
	assert_string_equal(mk_node_image(&b, &b.plan.nodes[3]), "first:1");
	assert_string_equal(mk_node_image(&b, &b.plan.nodes[1]), MK_DEFAULT_IMAGE);
}

static void test_mounts(void **state)
{
	mk_autospec spec = spec_of(0);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *container = NULL;
	struct mk_mount_spec *mount;

	(void)state;
	(void)add_mount(&spec.nodes[0], "/a:b", "/data");
	mount = add_mount(&spec.nodes[0], "/src", "/src");
	mount->read_only = true;
	mount->propagation = MK_PROPAGATION_HOST_TO_CONTAINER;
	mount = add_mount(&spec.nodes[0], "/se", "/l");
	mount->read_only = mount->selinux_relabel = true;
	mount->propagation = MK_PROPAGATION_BIDIRECTIONAL;
	serve(NULL, 0);
	b = bringup(&spec);
	container = mk_node_container(&b, &b.plan.nodes[0]);
	assert_json(mk_json_at(container, "HostConfig.Mounts"),
		"[{\"Type\":\"bind\",\"Source\":\"/a:b\",\"Target\":\"/data\",\"ReadOnly\":false,"
		"\"BindOptions\":{\"Propagation\":\"rprivate\"}},"
		"{\"Type\":\"bind\",\"Source\":\"/src\",\"Target\":\"/src\",\"ReadOnly\":true,"
		"\"BindOptions\":{\"Propagation\":\"rslave\"}}]");
	assert_json(mk_json_at(container, "HostConfig.Binds"), "[\"/se:/l:ro,z,rshared\"]");
}

static void test_limits(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *limited = NULL;
	mk_autojson *plain = NULL;

	(void)state;
	spec.nodes[1].cpus = mk_xstrdup("1.5");
	spec.nodes[1].memory = mk_xstrdup("2Gi");
	serve(NULL, 0);
	b = bringup(&spec);
	limited = mk_node_container(&b, &b.plan.nodes[1]);
	plain = mk_node_container(&b, &b.plan.nodes[0]);
	assert_int_equal(mk_json_int(limited, "HostConfig.NanoCpus", 0), 1500000000);
	assert_int_equal(mk_json_int(limited, "HostConfig.Memory", 0), 2147483648);
	assert_int_equal(mk_json_int(limited, "HostConfig.MemorySwap", 0), 2147483648);
	assert_null(mk_json_at(plain, "HostConfig.NanoCpus"));
	assert_null(mk_json_at(plain, "HostConfig.Memory"));
}

static void test_dns_search(void **state)
{
	mk_autospec spec = spec_of(0);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *inherits = NULL;
	mk_autojson *none = NULL;
	mk_autojson *two = NULL;

	(void)state;
	serve(NULL, 0);
	b = bringup(&spec);
	inherits = mk_node_container(&b, &b.plan.nodes[0]);
	assert_null(mk_json_at(inherits, "HostConfig.DnsSearch"));
	spec.dns_search_given = true;
	none = mk_node_container(&b, &b.plan.nodes[0]);
	assert_json(mk_json_at(none, "HostConfig.DnsSearch"), "[\".\"]");
	mk_strlist_add(&spec.dns_search, "a.example");
	mk_strlist_add(&spec.dns_search, "b.example");
	two = mk_node_container(&b, &b.plan.nodes[0]);
	assert_json(mk_json_at(two, "HostConfig.DnsSearch"), "[\"a.example\",\"b.example\"]");
}

static void add_all_ports(struct mk_node_spec *node)
{
	add_port(node, NULL, 15080, 80, MK_PROTOCOL_TCP);
	add_port(node, "127.0.0.2", 15080, 80, MK_PROTOCOL_TCP);
	add_port(node, NULL, 15080, 53, MK_PROTOCOL_UDP);
	/* Beside ours, not instead of it. */
	add_port(node, NULL, 0, MK_API_PORT, MK_PROTOCOL_TCP);
}

static void choose_ports(struct mk_bringup *b)
{
	mk_autojson *taken = json_array();

	b->docker = w.docker;
	if (mk_node_choose_ports(b, true, taken, &w.err) < 0 ||
		mk_node_choose_ports(b, false, taken, &w.err) < 0)
		fail_msg("%s", w.err.message);
	assert_int_equal(json_array_size(taken), 4);
}

static void test_ports(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *container = NULL;
	mk_autofree char *expected = NULL;
	const json_t *labels;
	long long chosen;

	(void)state;
	add_all_ports(&spec.nodes[0]);
	serve(NULL, 0);
	b = bringup(&spec);
	choose_ports(&b);
	chosen = json_integer_value(
		json_array_get(json_object_get(b.host_ports, "mkcluster-control-plane"), 3));
	assert_in_range(chosen, 1, 65535);
	container = mk_node_container(&b, &b.plan.nodes[0]);
	assert_json(json_object_get(mk_json_at(container, "HostConfig.PortBindings"), "80/tcp"),
		"[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"15080\"},"
		"{\"HostIp\":\"127.0.0.2\",\"HostPort\":\"15080\"}]");
	assert_json(json_object_get(mk_json_at(container, "HostConfig.PortBindings"), "53/udp"),
		"[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"15080\"}]");
	assert_int_equal(json_array_size(json_object_get(
				 mk_json_at(container, "HostConfig.PortBindings"), "6443/tcp")),
		2);
	assert_non_null(json_object_get(json_object_get(container, "ExposedPorts"), "53/udp"));
	labels = json_object_get(container, "Labels");
	expected = mk_xasprintf("127.0.0.1:15080->80/tcp,127.0.0.2:15080->80/tcp,"
				"127.0.0.1:15080->53/udp,127.0.0.1:%lld->6443/tcp",
		chosen);
	assert_string_equal(json_string_value(json_object_get(labels, MK_LABEL_PORTS)), expected);
}

/* Of a cluster that exists, the ports are those of its labels. */
static void test_found_ports(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *nodes = mk_json_pack("[{s:s,s:[s,s,s,s]},{s:s,s:[]}]", "name",
		"mkcluster-control-plane", "ports", "127.0.0.1:15080->80/tcp",
		"127.0.0.2:15080->80/tcp", "127.0.0.1:15080->53/udp", "127.0.0.1:40123->6443/tcp",
		"name", "mkcluster-worker", "ports");
	mk_autofree char *text = NULL;

	(void)state;
	add_all_ports(&spec.nodes[0]);
	serve(NULL, 0);
	b = bringup(&spec);
	mk_node_find_ports(&b, nodes);
	text = mk_node_ports_text(&b, &b.plan.nodes[0]);
	assert_string_equal(text,
		"127.0.0.1:15080->80/tcp,127.0.0.2:15080->80/tcp,127.0.0.1:15080->53/udp,"
		"127.0.0.1:40123->6443/tcp");
	assert_null(mk_node_ports_text(&b, &b.plan.nodes[1]));
}

/* The second of two that want one port is named. */
static void test_port_twice(void **state)
{
	mk_autospec spec = spec_of(2);
	mk_autojson *taken = json_array();
	mk_autobringup b = { .spec = NULL };

	(void)state;
	add_port(&spec.nodes[1], NULL, 15081, 80, MK_PROTOCOL_TCP);
	add_port(&spec.nodes[2], NULL, 15081, 8080, MK_PROTOCOL_TCP);
	serve(NULL, 0);
	b = bringup(&spec);
	assert_int_equal(mk_node_choose_ports(&b, true, taken, &w.err), -MK_EHOST);
	assert_string_equal(w.err.message,
		"port 8080/tcp of node 'mkcluster-worker-2': port 15081 of 127.0.0.1 is taken");
}

static void test_check_host(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };

	(void)state;
	spec.nodes[0].cpus = mk_xstrdup("2");
	(void)add_mount(&spec.nodes[1], "/tmp", "/data");
	serve(NULL, 0);
	b = bringup(&spec);
	b.host_cpus = 2;
	assert_int_equal(mk_node_check_host(&b, &w.err), 0);
	(void)add_mount(&spec.nodes[1], "/nonexistent/x", "/x");
	assert_int_equal(mk_node_check_host(&b, &w.err), -MK_EHOST);
	assert_string_equal(w.err.message,
		"node 'mkcluster-worker' is to mount /nonexistent/x, which does not exist");
	free(spec.nodes[0].cpus);
	spec.nodes[0].cpus = mk_xstrdup("2001m");
	assert_int_equal(mk_node_check_host(&b, &w.err), -MK_EHOST);
	assert_words(w.err.message, "is to have 2001m CPUs, and the engine's host has 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_images),
		TEST(test_image_of_balancer),
		TEST(test_mounts),
		TEST(test_limits),
		TEST(test_dns_search),
		TEST(test_ports),
		TEST(test_found_ports),
		TEST(test_port_twice),
		TEST(test_check_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

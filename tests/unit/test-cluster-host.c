/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters as a scripted engine tells of them: listing, finding, removing, and
 * what is chosen free of them.
 */
#include "lib/cluster/cluster.h"
#include "lib/cluster/host.h"
#include "tests/unit/test-docker-world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define NODE(id, cluster, name, role, state, more)                                                 \
	"{\"Id\":\"" id "\",\"Names\":[\"/" name "\"],\"Image\":\"i\",\"State\":\"" state          \
	"\",\"Labels\":{\"io.mkcluster.cluster\":\"" cluster "\",\"io.mkcluster.role\":\"" role    \
	"\"" more "}}"

#define ADDRESSES                                                                                    \
	",\"io.mkcluster.api\":\"127.0.0.1:6001\","                                                  \
	"\"io.mkcluster.gateway\":\"127.0.0.1:31112\",\"io.mkcluster.registry\":\"127.0.0.1:5001\"," \
	"\"io.mkcluster.ip\":\"10.213.0.2\","                                                        \
	"\"io.mkcluster.ports\":\"0.0.0.0:80->8080/tcp,127.0.0.1:53->53/udp\""

static const char two_clusters[] = "[" NODE("3", "b", "b-worker", "worker", "running", "") "," NODE(
	"2", "b", "b-control-plane", "control-plane", "running", ADDRESSES) "," NODE("1", "a",
	"a-control-plane", "control-plane", "exited",
	"") ","
	    "{\"Id\":\"9\",\"Names\":null,\"Labels\":null}]";

static const struct peer_route list_route = { "GET /v1.41/containers/json",
	{ { .body = two_clusters } }, 1 };

static void test_list(void **state)
{
	static const char nothing[] = "{\"name\":\"\",\"nodes\":1,\"running\":0,\"api\":\"\","
				      "\"gateway\":\"\",\"registry\":\"\"}";
	static const char *const expected[] = { nothing,
		"{\"name\":\"a\",\"nodes\":1,\"running\":0,\"api\":\"\",\"gateway\":\"\","
		"\"registry\":\"\"}",
		"{\"name\":\"b\",\"nodes\":2,\"running\":2,\"api\":\"127.0.0.1:6001\","
		"\"gateway\":\"127.0.0.1:31112\",\"registry\":\"127.0.0.1:5001\"}" };
	mk_autojson *clusters = NULL;
	mk_autojson *nodes = NULL;

	(void)state;
	serve(&list_route, 1);
	assert_int_equal(mk_cluster_list(w.docker, &clusters, &w.err), 0);
	assert_int_equal(json_array_size(clusters), 3);
	for (size_t i = 0; i < MK_ARRAY_LEN(expected); i++) {
		mk_autofree char *text = mk_json_print(json_array_get(clusters, i));

		assert_string_equal(text, expected[i]);
	}
	assert_int_equal(mk_cluster_nodes(w.docker, "b", &nodes, &w.err), 0);
	assert_words(fake_peer_request(w.engine, "GET /v1.41/containers", 1), "cluster%3Db");
	assert_string_equal(mk_json_str(json_array_get(nodes, 2), "name", ""), "b-control-plane");
	assert_string_equal(mk_json_str(json_array_get(nodes, 2), "ip", ""), "10.213.0.2");
}

static void test_find(void **state)
{
	static const struct peer_route none = { "GET /v1.41/containers/json",
		{ { .body = "[]" }, { .body = two_clusters }, { .body = "[]" } }, 3 };
	mk_autojson *node = NULL;
	mk_autojson *missing = NULL;

	(void)state;
	serve(&list_route, 1);
	assert_int_equal(mk_cluster_find(w.docker, "b", &node, &w.err), 0);
	assert_string_equal(mk_json_str(node, "name", ""), "a-control-plane");
	mk_docker_free(MK_TAKE(w.docker));
	fake_peer_stop(MK_TAKE(w.engine));
	serve(&none, 1);
	assert_int_equal(mk_cluster_find(w.docker, "x", &missing, &w.err), -MK_ENOTFOUND);
	assert_string_equal(w.err.message, "no cluster 'x'");
	assert_words(w.err.hint, "a, b");
	assert_int_equal(mk_cluster_find(w.docker, "x", &missing, &w.err), -MK_ENOTFOUND);
	assert_words(w.err.hint, "`mkcluster create`");
	assert_null(missing);
}

static void test_urls(void **state)
{
	mk_autofree char *local = NULL;
	mk_autofree char *any = NULL;

	(void)state;
	serve(NULL, 0);
	local = mk_cluster_url(w.docker, "https", "127.0.0.1:6443");
	any = mk_cluster_url(w.docker, "http", "0.0.0.0:31112");
	assert_string_equal(local, "https://127.0.0.1:6443");
	assert_string_equal(any, "http://127.0.0.1:31112");
}

static void test_remote_urls(void **state)
{
	mk_autofree char *host = NULL;
	mk_autofree char *url = NULL;

	(void)state;
	w.engine = fake_peer_start(NULL, &ping_route, 1);
	host = mk_xasprintf("tcp://%s", mk_after_prefix(fake_peer_address(w.engine), "http://"));
	assert_int_equal(mk_docker_new(host, &w.docker, &w.err), 0);
	url = mk_cluster_url(w.docker, "https", "0.0.0.0:6443");
	assert_string_equal(url, "https://127.0.0.1:6443");
}

static void test_remove(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET /v1.41/containers/json",
			{ { .body = "[{\"Id\":\"1\"},{\"Id\":\"2\"}]" }, { .body = "[]" } }, 2 },
		{ "DELETE /v1.41/containers/1", { { .status = 204 }, { .status = 404 } }, 2 },
		{ "DELETE /v1.41/containers/2", { { .status = 409 }, { .status = 404 } }, 2 },
		{ "GET /v1.41/networks",
			{ { .body = "[{\"Id\":\"n1\",\"Labels\":{\"k\":\"v\"}},"
				    "{\"Id\":\"n2\",\"Labels\":{\"k\":\"w\"}},{\"Id\":\"n3\",\"Labels\":null}]" } },
			1 },
		{ "DELETE /v1.41/networks/n1", { { .status = 204 }, { .status = 404 } }, 2 },
	};
	size_t count = 7;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	/* What is removed for the sake of an interrupt is not interrupted. */
	mk_interrupt_raise();
	assert_int_equal(mk_cluster_remove(w.docker, "k", "v", &count, &w.err), 0);
	assert_int_equal(count, 2);
	assert_int_equal(fake_peer_hits(w.engine, "DELETE /v1.41/containers/"), 4);
	assert_int_equal(fake_peer_hits(w.engine, "DELETE /v1.41/networks/"), 1);
	assert_int_equal(mk_cluster_remove(w.docker, "k", "v", &count, &w.err), 0);
	assert_int_equal(count, 0);
}

static void test_taken_ports(void **state)
{
	mk_autojson *taken = NULL;
	mk_autofree char *text = NULL;

	(void)state;
	serve(&list_route, 1);
	assert_int_equal(mk_host_ports_taken(w.docker, &taken, &w.err), 0);
	text = mk_json_print(taken);
	assert_string_equal(text,
		"[\"127.0.0.1:6001/tcp\",\"127.0.0.1:31112/tcp\",\"127.0.0.1:5001/tcp\","
		"\"0.0.0.0:80/tcp\",\"127.0.0.1:53/udp\"]");
}

/* A listener of ours on some port of the loopback. */
static int listen_somewhere(int64_t *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int choose(int64_t wanted, bool or_next, json_t *taken, int64_t *ret)
{
	return mk_host_choose_port(w.docker, "127.0.0.1", wanted, or_next, taken, ret, &w.err);
}

static void test_choose_port(void **state)
{
	mk_autojson *taken = json_array();
	int64_t busy, any, next, again;
	mk_autoclose int fd = listen_somewhere(&busy);

	(void)state;
	serve(NULL, 0);
	assert_int_equal(choose(0, false, taken, &any), 0);
	assert_in_range(any, 1, 65535);
	assert_int_equal(json_array_size(taken), 1);
	/* Chosen is taken, before anybody listens. */
	assert_int_equal(choose(any, false, taken, &again), -MK_EHOST);
	assert_int_equal(choose(busy, false, taken, &next), -MK_EHOST);
	assert_words(w.err.message, "of 127.0.0.1 is taken");
	assert_words(w.err.hint, "ss -ltnp");
	assert_int_equal(choose(busy, true, taken, &next), 0);
	assert_in_range(next, busy + 1, busy + 1000);
	assert_int_equal(json_array_size(taken), 2);
}

static int choose_node_port(
	const char *address, enum mk_protocol protocol, int64_t wanted, json_t *taken, int64_t *ret)
{
	mk_error_done(&w.err);
	return mk_host_choose_node_port(w.docker, address, protocol, wanted, taken, ret, &w.err);
}

/* What stands in the way is a port of the same protocol and address. */
static void test_choose_node_port(void **state)
{
	mk_autojson *taken = json_array();
	int64_t busy, port;
	mk_autoclose int fd = listen_somewhere(&busy);

	(void)state;
	serve(NULL, 0);
	assert_int_equal(
		choose_node_port("127.0.0.1", MK_PROTOCOL_TCP, busy, taken, &port), -MK_EHOST);
	assert_words(w.err.hint, "ss -ltnp");
	assert_int_equal(choose_node_port("127.0.0.1", MK_PROTOCOL_UDP, busy, taken, &port), 0);
	assert_int_equal(port, busy);
	assert_int_equal(
		choose_node_port("127.0.0.1", MK_PROTOCOL_UDP, busy, taken, &port), -MK_EHOST);
	assert_words(w.err.hint, "ss -lunp");
	assert_int_equal(choose_node_port("127.0.0.2", MK_PROTOCOL_UDP, busy, taken, &port), 0);
	assert_int_equal(
		choose_node_port("0.0.0.0", MK_PROTOCOL_UDP, busy, taken, &port), -MK_EHOST);
	assert_int_equal(choose_node_port("127.0.0.1", MK_PROTOCOL_SCTP, 0, taken, &port), 0);
	assert_in_range(port, 1, 65535);
	assert_int_equal(json_array_size(taken), 3);
	assert_int_equal(
		choose_node_port("192.0.2.1", MK_PROTOCOL_TCP, 8080, taken, &port), -MK_EHOST);
	assert_words(w.err.message, "192.0.2.1 is no address of this host");
	assert_int_equal(choose_node_port("::1", MK_PROTOCOL_TCP, 0, taken, &port), -MK_EUSAGE);
}

static void test_choose_subnet(void **state)
{
	static const struct peer_route networks = { "GET /v1.41/networks",
		{ { .body = "[{\"IPAM\":{\"Config\":[{\"Subnet\":\"10.213.0.0/23\"},{\"Subnet\":"
			    "\"fd00::/64\"}]}},{\"IPAM\":{\"Config\":null}},{\"IPAM\":{\"Config\":[{}]}}]" },
			{ .body = "[{\"IPAM\":{\"Config\":[{\"Subnet\":\"0.0.0.0/0\"}]}}]" } },
		3 };
	mk_autospec spec = mk_cluster_spec_init();
	struct mk_cidr first, second;

	(void)state;
	serve(&networks, 1);
	assert_int_equal(mk_host_choose_subnet(w.docker, &spec, 0, &first, &w.err), 0);
	assert_int_equal(first.bits, 24);
	assert_true(first.address >= 0x0ad50200);
	assert_int_equal(mk_host_choose_subnet(w.docker, &spec, 1, &second, &w.err), -MK_EHOST);
	assert_words(w.err.hint, "docker network prune");
}

static void test_skip_subnet(void **state)
{
	static const struct peer_route networks = { "GET /v1.41/networks", { { .body = "[]" } },
		1 };
	mk_autospec spec = mk_cluster_spec_init();
	struct mk_cidr first, second;

	(void)state;
	free(spec.pod_subnet);
	spec.pod_subnet = mk_xstrdup("10.213.0.0/16");
	serve(&networks, 1);
	assert_int_equal(mk_host_choose_subnet(w.docker, &spec, 0, &first, &w.err), 0);
	assert_int_equal(mk_host_choose_subnet(w.docker, &spec, 1, &second, &w.err), 0);
	assert_true(first.address >> 16 != 0x0ad5);
	assert_false(mk_cidr_overlap(&first, &second));
}

#define MTU(name, mtu)                                                                             \
	"{\"Name\":\"" name "\",\"Options\":{\"com.docker.network.driver.mtu\":\"" mtu "\"}}"

static void test_mtu(void **state)
{
	static const struct peer_route networks = { "GET /v1.41/networks",
		{ { .body = "[]" }, { .body = "[" MTU("x", "900") "," MTU("bridge", "1420") "]" },
			{ .body = "[" MTU("bridge", "1") "]" }, { .status = 500 } },
		4 };
	static const int64_t expected[] = { 1500, 1420, 1500 };
	int64_t mtu = 0;

	(void)state;
	serve(&networks, 1);
	for (size_t i = 0; i < MK_ARRAY_LEN(expected); i++) {
		assert_int_equal(mk_host_mtu(w.docker, &mtu, &w.err), 0);
		assert_int_equal(mtu, expected[i]);
	}
	assert_int_equal(mk_host_mtu(w.docker, &mtu, &w.err), -MK_EREMOTE);
}

static void test_inotify(void **state)
{
	(void)state;
	serve(&list_route, 1);
	/* No kernel gives one user so many. */
	assert_int_equal(mk_host_check_inotify(w.docker, 9, (size_t)1 << 40, &w.err), -MK_EHOST);
	assert_words(w.err.message, "fs.inotify.max_user_instances is ");
	assert_words(w.err.hint, "sudo sysctl");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_list),
		TEST(test_find),
		TEST(test_urls),
		TEST(test_remote_urls),
		TEST(test_remove),
		TEST(test_taken_ports),
		TEST(test_choose_port),
		TEST(test_choose_node_port),
		TEST(test_choose_subnet),
		TEST(test_skip_subnet),
		TEST(test_mtu),
		TEST(test_inotify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

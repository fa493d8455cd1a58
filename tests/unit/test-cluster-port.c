/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports: how they are written, what they are made of, and what is told them. */
#include "lib/cluster/cluster.h"
#include "lib/cluster/port_private.h"
#include "tests/unit/test-docker-world.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text, *address;
		int64_t host, node;
	} good[] = {
		{ "8080:30080", NULL, 8080, 30080 },
		{ "0:80", NULL, 0, 80 },
		{ "65535:65535/tcp", NULL, 65535, 65535 },
		{ "0.0.0.0:443:30443", "0.0.0.0", 443, 30443 },
		{ "127.0.0.1:0:1", "127.0.0.1", 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(good); i++) {
		mk_autoport port = { .listen_address = NULL };

		assert_int_equal(mk_port_parse(good[i].text, &port, &w.err), 0);
		assert_int_equal(port.host_port, good[i].host);
		assert_int_equal(port.container_port, good[i].node);
		assert_int_equal(port.protocol, MK_PROTOCOL_TCP);
		if (good[i].address)
			assert_string_equal(port.listen_address, good[i].address);
		else
			assert_null(port.listen_address);
	}
}

static void test_parse_mistakes(void **state)
{
	static const char *const bad[] = { "", ":", "::", "8080", "8080:", ":8080", "8080:0",
		"8080:65536", "65536:1", "1:2:3:4", "256.0.0.1:1:2", "1.2.3.4::2", "::1:1:2",
		"[::1]:1:2", "a:1:2", " 1:2", "1:2 ", "1:2/", "1:2/udp", "1:2/sctp", "1:2/tcp/tcp",
		"-1:2", "0x10:2", "18446744073709551617:1" };
	struct mk_port_spec port = { .listen_address = NULL };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(bad); i++) {
		assert_int_equal(mk_port_parse(bad[i], &port, &w.err), -MK_EUSAGE);
		assert_null(port.listen_address);
	}
	assert_int_equal(mk_port_parse("1:2/udp", &port, &w.err), -MK_EUSAGE);
	assert_words(w.err.hint, "HAProxy, which knows no UDP");
}

#define LABELS(role, ip, more)                                                                     \
	"\"Labels\":{\"io.mkcluster.cluster\":\"c\",\"io.mkcluster.role\":\"" role                 \
	"\",\"io.mkcluster.ip\":\"" ip "\"" more "}"

#define MEMBER(id, name, state, labels)                                                            \
	"{\"Id\":\"" id "\",\"Names\":[\"/" name "\"],\"Image\":\"i\",\"State\":\"" state          \
	"\"," labels "}"

#define PORT(mapping) ",\"io.mkcluster.ports\":\"" mapping "\""

/* Out of order, with a balancer, and a port that is stopped. */
static const char members_of_c[] = "[" MEMBER("4", "c-port-9000", "exited",
	LABELS("port", "10.9.0.253", PORT("0.0.0.0:9000->30081/tcp"))) "," MEMBER("3", "c-port-80",
	"running", LABELS("port", "10.9.0.254", PORT("127.0.0.1:80->30080/tcp"))) "," MEMBER("2",
	"c-worker", "exited", LABELS("worker", "10.9.0.12", "")) "," MEMBER("1", "c-control-plane",
	"running", LABELS("control-plane", "10.9.0.2", "")) "," MEMBER("5", "c-load-balancer",
	"running", LABELS("load-balancer", "10.9.0.11", "")) "]";

static const struct peer_route members_route = { "GET /v1.41/containers/json",
	{ { .body = members_of_c } }, 1 };

/* The machines that Kubernetes has as nodes, stopped ones too; and no others. */
static void test_config(void **state)
{
	mk_autojson *members = NULL;
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);

	(void)state;
	serve(&members_route, 1);
	assert_int_equal(mk_cluster_members(w.docker, "c", &members, &w.err), 0);
	assert_int_equal(json_array_size(members), 5);
	assert_int_equal(mk_port_config(members, 30080, &text, &w.err), 0);
	assert_words(text.data,
		"\n\tserver c-control-plane 10.9.0.2:30080\n\tserver c-worker 10.9.0.12:30080\n");
	assert_null(strstr(text.data, "10.9.0.11"));
	assert_null(strstr(text.data, "10.9.0.254"));
	assert_words(text.data, "\tbind :8080\n");
}

static void test_nodes_are_no_ports(void **state)
{
	mk_autojson *nodes = NULL;
	mk_autojson *clusters = NULL;

	(void)state;
	serve(&members_route, 1);
	assert_int_equal(mk_cluster_nodes(w.docker, "c", &nodes, &w.err), 0);
	assert_int_equal(json_array_size(nodes), 3);
	assert_int_equal(mk_cluster_list(w.docker, &clusters, &w.err), 0);
	assert_int_equal(mk_json_int(json_array_get(clusters, 0), "nodes", 0), 3);
	assert_int_equal(mk_json_int(json_array_get(clusters, 0), "running", 0), 2);
}

static void test_list(void **state)
{
	static const char expected[] =
		"[{\"cluster\":\"c\",\"address\":\"127.0.0.1\",\"hostPort\":80,\"nodePort\":30080,"
		"\"state\":\"running\"},{\"cluster\":\"c\",\"address\":\"0.0.0.0\",\"hostPort\":9000,"
		"\"nodePort\":30081,\"state\":\"exited\"}]";
	mk_autojson *ports = NULL;
	mk_autofree char *text = NULL;

	(void)state;
	serve(&members_route, 1);
	assert_int_equal(mk_ports_list(w.docker, "c", &ports, &w.err), 0);
	text = mk_json_print(ports);
	assert_string_equal(text, expected);
}

/* What somebody else gave the role, or a label that is damaged, is listed as it is. */
static void test_damaged_labels(void **state)
{
	static const char damaged[] = "[" MEMBER("1", "c-control-plane", "running",
		LABELS("control-plane", "10.9.0.2", "")) "," MEMBER("2", "x", "running",
		LABELS("port", "", "")) "," MEMBER("3", "y", "running",
		LABELS("port", "", PORT("127.0.0.1:99999->1/tcp"))) "," MEMBER("4", "z", "running",
		LABELS("port", "", PORT("127.0.0.1:1->"))) "]";
	static const struct peer_route route = { "GET /v1.41/containers/json",
		{ { .body = damaged } }, 1 };
	mk_autostrlist hosts = { .items = NULL };
	mk_autojson *ports = NULL;
	size_t i;
	const json_t *port;

	(void)state;
	serve(&route, 1);
	assert_int_equal(mk_ports_list(w.docker, "c", &ports, &w.err), 0);
	assert_int_equal(json_array_size(ports), 3);
	json_array_foreach (ports, i, port)
		assert_int_equal(mk_json_int(port, "hostPort", -1), 0);
	mk_strlist_add(&hosts, "1");
	assert_int_equal(mk_ports_remove(w.docker, "c", &hosts, &w.err), -MK_ENOTFOUND);
}

static void test_remove(void **state)
{
	static const struct peer_route routes[] = { members_route,
		{ "DELETE /v1.41/containers/3", { { .status = 204 }, { .status = 404 } }, 2 },
		{ "DELETE /v1.41/containers/4", { { .status = 204 }, { .status = 404 } }, 2 } };
	mk_autostrlist hosts = { .items = NULL };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	mk_strlist_add(&hosts, "80");
	mk_strlist_add(&hosts, "8080");
	/* One that is not there spares the others. */
	assert_int_equal(mk_ports_remove(w.docker, "c", &hosts, &w.err), -MK_ENOTFOUND);
	assert_words(w.err.hint, "80, 9000");
	assert_int_equal(fake_peer_hits(w.engine, "DELETE "), 0);
	free(hosts.items[1]);
	hosts.items[1] = mk_xstrdup("0.0.0.0:9000");
	mk_strlist_add(&hosts, "80");
	assert_int_equal(mk_ports_remove(w.docker, "c", &hosts, &w.err), 0);
	assert_int_equal(fake_peer_hits(w.engine, "DELETE /v1.41/containers/3?force=1&v=1"), 2);
	assert_int_equal(fake_peer_hits(w.engine, "DELETE /v1.41/containers/4?force=1&v=1"), 2);
}

static void test_container(void **state)
{
	static const struct mk_port_run run = {
		.cluster = "c", .run_id = "r", .image = "i", .network = "n"
	};
	struct mk_port_spec port = {
		.container_port = 30080, .host_port = 80, .listen_address = (char[]){ "127.0.0.1" }
	};
	mk_autojson *body = mk_port_container(&run, &port, "10.9.0.254");
	mk_autojson *expected = json_loads(
		"{\"Image\":\"i\",\"Hostname\":\"c-port-80\",\"User\":\"65534:65534\","
		"\"Entrypoint\":[\"/usr/sbin/haproxy\"],"
		"\"Cmd\":[\"-W\",\"-db\",\"-f\",\"/etc/mkcluster/port.cfg\"],"
		"\"StopSignal\":\"SIGTERM\",\"Volumes\":{\"/etc/mkcluster\":{}},"
		"\"ExposedPorts\":{\"8080/tcp\":{}},"
		"\"Labels\":{\"io.mkcluster.cluster\":\"c\",\"io.mkcluster.role\":\"port\","
		"\"io.mkcluster.run\":\"r\",\"io.mkcluster.ip\":\"10.9.0.254\","
		"\"io.mkcluster.ports\":\"127.0.0.1:80->30080/tcp\"},"
		"\"HostConfig\":{\"NetworkMode\":\"n\",\"CapDrop\":[\"ALL\"],"
		"\"SecurityOpt\":[\"no-new-privileges\"],\"ReadonlyRootfs\":true,"
		"\"Memory\":134217728,\"PidsLimit\":32,\"PortBindings\":{\"8080/tcp\":"
		"[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"80\"}]},"
		"\"RestartPolicy\":{\"Name\":\"unless-stopped\"},\"Init\":false,"
		"\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\"}}},"
		"\"NetworkingConfig\":{\"EndpointsConfig\":{\"n\":{\"IPAMConfig\":"
		"{\"IPv4Address\":\"10.9.0.254\"}}}}}",
		0, NULL);
	mk_autofree char *printed = mk_json_print(body);

	(void)state;
	assert_non_null(expected);
	if (!json_equal(body, expected))
		fail_msg("it is\n%s", printed);
}

static const struct peer_route exec_routes[] = {
	{ "POST /v1.41/containers/3/exec", { { .status = 201, .body = "{\"Id\":\"e\"}" } }, 1 },
	{ "POST /v1.41/exec/e/start", { { .body = "" } }, 1 },
	{ "GET /v1.41/exec/e/json",
		{ { .body = "{\"ExitCode\":0,\"Running\":false}" },
			{ .body = "{\"ExitCode\":1}" } },
		2 },
};

/* Every port gets its file, and those that run are told, by no signal of the engine's. */
static void test_update(void **state)
{
	struct peer_route routes[] = { members_route,
		{ "PUT /v1.41/containers/3/archive", { { .status = 200 } }, 1 },
		{ "PUT /v1.41/containers/4/archive", { { .status = 200 } }, 1 }, exec_routes[0],
		exec_routes[1], exec_routes[2] };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_ports_update(w.docker, "c", NULL, &w.err), 0);
	assert_int_equal(fake_peer_hits(w.engine, "PUT /v1.41/containers/"), 2);
	assert_int_equal(
		fake_peer_hits(w.engine, "PUT /v1.41/containers/4/archive?path=%2Fetc%2Fmkcluster"),
		1);
	assert_int_equal(fake_peer_hits(w.engine, "POST /v1.41/containers/"), 1);
	assert_body("POST /v1.41/containers/3/exec", 0,
		"{\"AttachStdout\":true,\"AttachStderr\":true,\"Cmd\":[\"kill\",\"-USR2\",\"1\"]}");
	/* The command fails at the second time. */
	assert_int_equal(mk_ports_update(w.docker, "c", NULL, &w.err), -MK_EFAIL);
	assert_words(w.err.message, "tell the published ports of the nodes: ");
	assert_words(w.err.message, "status 1");
}

static void test_update_without_ports(void **state)
{
	static const struct peer_route route = { "GET /v1.41/containers/json",
		{ { .body = "[" MEMBER("1", "c-control-plane", "running",
			    LABELS("control-plane", "10.9.0.2", "")) "]" } },
		1 };

	(void)state;
	serve(&route, 1);
	assert_int_equal(mk_ports_update(w.docker, "c", NULL, &w.err), 0);
	assert_int_equal(fake_peer_hits(w.engine, ""), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_parse),
		TEST(test_parse_mistakes),
		TEST(test_config),
		TEST(test_nodes_are_no_ports),
		TEST(test_list),
		TEST(test_damaged_labels),
		TEST(test_remove),
		TEST(test_container),
		TEST(test_update),
		TEST(test_update_without_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

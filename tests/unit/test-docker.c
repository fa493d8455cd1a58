/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's client: where the engine is sought, which versions are spoken,
 * what becomes of refusals, and the requests of each noun.
 */
#include "tests/unit/test-docker-world.h"

static int connect_with(const struct peer_reply *reply)
{
	struct peer_route route = { .request = "GET /_ping", .replies = { *reply } };

	w.engine = fake_peer_start(w.folder, &route, 1);
	return mk_docker_new(fake_peer_address(w.engine), &w.docker, &w.err);
}

static void test_versions(void **state)
{
	static const struct {
		const char *theirs, *spoken;
	} cases[] = {
		{ "1.40", "1.40" },
		{ "1.41", "1.41" },
		{ "1.51", "1.51" },
		{ "1.99", "1.51" },
		{ "2.0", "1.51" },
		{ "1.39", NULL },
		{ "1.9", NULL },
		{ "x", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *header = mk_xasprintf("Api-Version: %s\r\n", cases[i].theirs);
		struct peer_reply reply = { .body = "OK", .headers = header };
		int r = connect_with(&reply);

		assert_int_equal(r, cases[i].spoken ? 0 : -MK_EHOST);
		if (cases[i].spoken) {
			assert_string_equal(mk_docker_api(w.docker), cases[i].spoken);
		} else {
			assert_words(w.err.message, "at least 1.40 is needed");
			assert_words(w.err.hint, "20.10");
		}
		mk_docker_free(MK_TAKE(w.docker));
		fake_peer_stop(MK_TAKE(w.engine));
	}
}

static void test_strange_engines(void **state)
{
	static const struct peer_reply silent = { .body = "OK" };
	static const struct peer_reply forbidden = { .status = 403, .body = "no" };
	static const struct peer_reply gone = { .hang_up = true };

	(void)state;
	assert_int_equal(connect_with(&silent), -MK_EHOST);
	assert_words(w.err.message, "speaks API of unknown version");
	fake_peer_stop(MK_TAKE(w.engine));
	assert_int_equal(connect_with(&forbidden), -MK_EHOST);
	assert_words(w.err.message, "answers /_ping with status 403");
	fake_peer_stop(MK_TAKE(w.engine));
	assert_int_equal(connect_with(&gone), -MK_EHOST);
	assert_words(w.err.message, "no container engine at unix:///tmp/test-docker-");
	assert_words(w.err.hint, "is Docker running");
	mk_interrupt_raise();
	fake_peer_stop(MK_TAKE(w.engine));
	assert_int_equal(connect_with(&silent), -MK_EINTR);
}

static void test_at_least(void **state)
{
	(void)state;
	serve(NULL, 0);
	assert_true(mk_docker_api_at_least(w.docker, "1.41"));
	assert_true(mk_docker_api_at_least(w.docker, "1.5"));
	assert_false(mk_docker_api_at_least(w.docker, "1.42"));
	assert_false(mk_docker_api_at_least(w.docker, "2.0"));
}

/* Addresses, and what is wrong with them; no engine answers any. */
static void test_addresses(void **state)
{
	static const struct {
		const char *host, *message, *hint;
	} cases[] = {
		{ "unix:///nonexistent.sock",
			"no container engine at unix:///nonexistent.sock: ", "DOCKER_HOST" },
		{ "tcp://127.0.0.1:1", "no container engine at tcp://127.0.0.1:1: ", "Docker" },
		{ "ssh://me@there", "cannot talk to an engine at 'ssh://me@there'",
			"must begin with unix:// or tcp://" },
		{ "npipe:////./pipe/docker", "cannot talk to an engine", "unix://" },
		{ "/var/run/docker.sock", "cannot talk to an engine", "unix://" },
		{ "unix://", "unix://", NULL },
		{ "tcp://", "tcp://", NULL },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		assert_int_equal(mk_docker_new(cases[i].host, &w.docker, &w.err), -MK_EHOST);
		assert_words(w.err.message, cases[i].message);
		if (cases[i].hint)
			assert_words(w.err.hint, cases[i].hint);
		/* The same by the environment, which yields to what is given. */
		assert_int_equal(setenv("DOCKER_HOST", cases[i].host, 1), 0);
		assert_int_equal(mk_docker_new("", &w.docker, &w.err), -MK_EHOST);
		assert_words(w.err.message, cases[i].message);
	}
	w.engine = fake_peer_start(w.folder, &ping_route, 1);
	assert_int_equal(mk_docker_new(fake_peer_address(w.engine), &w.docker, &w.err), 0);
	assert_true(mk_docker_is_local(w.docker));
	assert_null(mk_docker_remote_host(w.docker));
}

static void test_tcp(void **state)
{
	mk_autofree char *host = NULL;

	(void)state;
	w.engine = fake_peer_start(NULL, &ping_route, 1);
	host = mk_xasprintf("tcp://%s", mk_after_prefix(fake_peer_address(w.engine), "http://"));
	assert_int_equal(setenv("DOCKER_HOST", host, 1), 0);
	/* Set to nothing is not set. */
	assert_int_equal(setenv("DOCKER_TLS_VERIFY", "", 1), 0);
	assert_int_equal(mk_docker_new(NULL, &w.docker, &w.err), 0);
	assert_false(mk_docker_is_local(w.docker));
	assert_string_equal(mk_docker_remote_host(w.docker), "127.0.0.1");
}

static void test_tls(void **state)
{
	static const char *const files[] = { "ca.pem", "cert.pem", "key.pem" };

	(void)state;
	assert_int_equal(setenv("DOCKER_TLS_VERIFY", "1", 1), 0);
	assert_int_equal(setenv("DOCKER_CERT_PATH", w.folder, 1), 0);
	for (size_t i = 0; i < MK_ARRAY_LEN(files); i++) {
		mk_autofree char *path = mk_xasprintf("%s/%s", w.folder, files[i]);

		assert_int_equal(mk_docker_new("tcp://127.0.0.1:1", &w.docker, &w.err), -MK_EHOST);
		assert_words(w.err.message, path);
		assert_words(w.err.hint, "DOCKER_CERT_PATH");
		assert_int_equal(mk_fs_write_atomic(path, "x", 1, 0600, &w.err), 0);
	}
	assert_int_equal(mk_docker_new("tcp://127.0.0.1:1", &w.docker, &w.err), -MK_EHOST);
	assert_words(w.err.message, "https://127.0.0.1:1/_ping");
	/* Without DOCKER_CERT_PATH they are sought at home. */
	assert_int_equal(unsetenv("DOCKER_CERT_PATH"), 0);
	assert_int_equal(setenv("HOME", "/nonexistent", 1), 0);
	assert_int_equal(mk_docker_new("tcp://127.0.0.1:1", &w.docker, &w.err), -MK_EHOST);
	assert_words(w.err.message, "/nonexistent/.docker/ca.pem");
}

static void test_refusals(void **state)
{
	static const struct {
		struct peer_reply reply;
		int code;
		const char *message;
	} cases[] = {
		{ { .status = 404, .body = "{\"message\":\"No such container: x\"}" }, MK_ENOTFOUND,
			"engine: GET /containers/x/json: 404: No such container: x" },
		{ { .status = 409, .body = "{\"message\":\"in use\"}" }, MK_EEXISTS,
			": 409: in use" },
		{ { .status = 500, .body = "{\"cause\":\"c\",\"message\":\"m\"}" }, MK_EREMOTE,
			": 500: m" },
		{ { .status = 503, .body = "<html>\nproxy" }, MK_EREMOTE, ": 503: <html> proxy" },
		{ { .status = 400, .body = "{\"message\":7}" }, MK_EREMOTE, ": 400: {" },
		{ { .status = 500 }, MK_EREMOTE, ": 500: no reason given" },
		{ { .body = "{" }, MK_EINVALID, "/containers/x/json: line 1" },
		{ { .body = "" }, MK_EINVALID, "/containers/x/json: " },
		{ { .hang_up = true }, MK_ENET, "/v1.41/containers/x/json" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		struct peer_route route = { "GET /v1.41/containers/x/json", { cases[i].reply }, 1 };
		mk_autojson *info = NULL;

		serve(&route, 1);
		assert_int_equal(
			mk_container_inspect(w.docker, "x", &info, &w.err), -cases[i].code);
		assert_words(w.err.message, cases[i].message);
		if (cases[i].reply.status)
			assert_int_equal(w.err.status, cases[i].reply.status);
		mk_docker_free(MK_TAKE(w.docker));
		fake_peer_stop(MK_TAKE(w.engine));
	}
}

/* A reason longer than anybody reads is cut. */
static void test_long_refusal(void **state)
{
	mk_autofree char *words = mk_xcalloc(100001, 1);
	struct peer_route route = { .request = "GET /v1.41/containers/x/export",
		.replies = { { .status = 404, .body = words } } };
	struct mk_http_stream *stream = NULL;

	(void)state;
	memset(words, 'w', 100000);
	serve(&route, 1);
	assert_int_equal(mk_container_export(w.docker, "x", &stream, &w.err), -MK_ENOTFOUND);
	assert_int_equal(w.err.status, 404);
	assert_true(strlen(w.err.message) < 600);
	assert_null(stream);
}

static void test_filters(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET /v1.41/containers/json", { { .body = "[{\"Id\":\"1\"}]" } }, 1 },
	};
	mk_autofree char *filter = mk_docker_label_filter("a=b \"c\"");
	mk_autojson *list = NULL;

	(void)state;
	assert_string_equal(filter, "%7B%22label%22%3A%5B%22a%3Db%20%5C%22c%5C%22%22%5D%7D");
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_container_list(w.docker, "k=v", &list, &w.err), 0);
	assert_int_equal(json_array_size(list), 1);
	assert_non_null(fake_peer_request(w.engine,
		"GET /v1.41/containers/json?all=1&filters="
		"%7B%22label%22%3A%5B%22k%3Dv%22%5D%7D HTTP/1.1",
		0));
}

static void test_containers(void **state)
{
	static const struct peer_route routes[] = {
		{ "POST /v1.41/containers/create?name=n",
			{ { .status = 201, .body = "{\"Id\":\"c1\"}" },
				{ .status = 201, .body = "{}" } },
			2 },
		{ "POST /v1.41/containers/c1/start", { { .status = 204 }, { .status = 304 } }, 2 },
		{ "DELETE /v1.41/containers/c1?force=1&v=1",
			{ { .status = 409, .body = "{}" }, { .status = 204 },
				{ .status = 404, .body = "{}" } },
			3 },
	};
	mk_autojson *config = mk_json_pack("{s:s}", "Image", "i");
	mk_autofree char *id = NULL;
	mk_autofree char *none = NULL;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_container_create(w.docker, "n", config, &id, &w.err), 0);
	assert_string_equal(id, "c1");
	assert_body("POST /v1.41/containers/create", 0, "{\"Image\":\"i\"}");
	assert_int_equal(mk_container_create(w.docker, "n", config, &none, &w.err), -MK_EREMOTE);
	assert_words(w.err.message, "no Id in the answer");
	assert_int_equal(mk_container_start(w.docker, id, &w.err), 0);
	assert_int_equal(mk_container_start(w.docker, id, &w.err), 0);
	/* Being removed by somebody else is waited for; absent is fine. */
	assert_int_equal(mk_container_remove(w.docker, id, &w.err), 0);
	assert_int_equal(fake_peer_hits(w.engine, "DELETE"), 2);
	assert_int_equal(mk_container_remove(w.docker, id, &w.err), 0);
	assert_int_equal(w.err.code, MK_OK);
}

static void test_networks(void **state)
{
	static const struct peer_route routes[] = {
		{ "POST /v1.41/networks/create",
			{ { .status = 201, .body = "{\"Id\":\"n1\"}" },
				{ .status = 403,
					.body = "{\"message\":\"Pool overlaps with other one\"}" },
				{ .status = 500, .body = "{\"message\":\"broken\"}" } },
			3 },
		{ "DELETE /v1.41/networks/n1", { { .status = 204 }, { .status = 404 } }, 2 },
	};
	mk_autojson *labels = mk_json_pack("{s:s}", "k", "v");
	mk_autofree char *id = NULL;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_network_create(w.docker, "net", "10.1.2.0/24", "10.1.2.1", 1450, labels,
				 &id, &w.err),
		0);
	assert_string_equal(id, "n1");
	assert_body("POST /v1.41/networks/create", 0,
		"{\"Name\":\"net\",\"Driver\":\"bridge\",\"CheckDuplicate\":true,"
		"\"Labels\":{\"k\":\"v\"},\"Options\":{"
		"\"com.docker.network.driver.mtu\":\"1450\"},\"IPAM\":{\"Driver\":\"default\","
		"\"Config\":[{\"Subnet\":\"10.1.2.0/24\",\"Gateway\":\"10.1.2.1\"}]}}");
	assert_int_equal(mk_network_create(w.docker, "net", "10.1.2.0/24", "10.1.2.1", 1450, labels,
				 &id, &w.err),
		-MK_EEXISTS);
	assert_int_equal(mk_network_create(w.docker, "net", "10.1.2.0/24", "10.1.2.1", 1450, labels,
				 &id, &w.err),
		-MK_EREMOTE);
	assert_int_equal(mk_network_remove(w.docker, id, &w.err), 0);
	assert_int_equal(mk_network_remove(w.docker, id, &w.err), 0);
}

static struct mk_docker_item item_of(const char *method, const char *path)
{
	return (struct mk_docker_item){ .method = method, .path = mk_xstrdup(path) };
}

/* Requests side by side: JSON, an archive, nothing; then one of them refused. */
static void test_batch(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET /v1.41/a", { { .body = "{\"n\":1}" } }, 1 },
		{ "POST /v1.41/b", { { .status = 204 } }, 1 },
		{ "PUT /v1.41/c", { { .body = "" } }, 1 },
	};
	struct mk_docker_item items[4] = { item_of("GET", "/a"), item_of("POST", "/b"),
		item_of("PUT", "/c"), item_of("GET", "/gone") };
	size_t failed = 7;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	items[1].body = mk_json_pack("{s:i}", "b", 2);
	items[2].raw = mk_buf_init(100);
	mk_buf_add(&items[2].raw, "t\0r", 3);
	assert_int_equal(mk_docker_call_all(w.docker, items, 3, &failed, &w.err), 0);
	assert_int_equal(failed, 7);
	assert_int_equal(mk_json_int(items[0].answer, "n", 0), 1);
	assert_null(items[1].answer);
	assert_body("POST /v1.41/b", 0, "{\"b\":2}");
	assert_words(fake_peer_request(w.engine, "PUT /v1.41/c", 0), "Content-Length: 3\r\n");
	assert_words(fake_peer_request(w.engine, "PUT /v1.41/c", 0), ": application/x-tar\r\n");
	assert_int_equal(mk_docker_call_all(w.docker, items, 0, NULL, &w.err), 0);
	json_decref(MK_TAKE(items[0].answer));
	assert_int_equal(mk_docker_call_all(w.docker, items, 4, &failed, &w.err), -MK_ENOTFOUND);
	assert_int_equal(failed, 3);
	assert_words(w.err.message, "GET /gone: 404: not in the script");
	mk_docker_items_done(items, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_versions),
		TEST(test_strange_engines),
		TEST(test_at_least),
		TEST(test_addresses),
		TEST(test_tcp),
		TEST(test_tls),
		TEST(test_refusals),
		TEST(test_long_refusal),
		TEST(test_filters),
		TEST(test_containers),
		TEST(test_networks),
		TEST(test_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

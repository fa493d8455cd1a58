/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine sends piece by piece: a console's output frames, lines of a
 * pull, archives; and archives sent to it.
 */
#include "tests/unit/test-docker-world.h"

#include "lib/archive/tar_writer.h"

#include <stdio.h>

/* stdout "out\n", an empty frame, stderr "er", stdout "r\n". */
static const char frames[] = "\1\0\0\0\0\0\0\4out\n"
			     "\2\0\0\0\0\0\0\0"
			     "\2\0\0\0\0\0\0\2er"
			     "\1\0\0\0\0\0\0\2r\n";
#define FRAMES_LEN (sizeof(frames) - 1)

static void restart(void)
{
	mk_docker_free(MK_TAKE(w.docker));
	fake_peer_stop(MK_TAKE(w.engine));
}

/* The console comes in frames as well: a node has no terminal. */
static void test_logs(void **state)
{
	static const struct peer_route route = { "GET /v1.41/containers/c/logs",
		{ { .body = frames, .len = FRAMES_LEN, .cut = 9 } }, 1 };
	mk_autobuf output = mk_buf_init(1000);

	(void)state;
	serve(&route, 1);
	assert_int_equal(mk_container_logs(w.docker, "c", 20, &output, &w.err), 0);
	assert_int_equal(output.len, strlen("out\nerr\n"));
	assert_string_equal(output.data, "out\nerr\n");
	assert_non_null(fake_peer_request(
		w.engine, "GET /v1.41/containers/c/logs?stdout=1&stderr=1&tail=20 ", 0));
	assert_int_equal(mk_container_logs(w.docker, "d", 20, &output, &w.err), -MK_ENOTFOUND);
}

static int wait_for(const struct peer_reply *reply, const char *words, int64_t ms)
{
	struct peer_route route = { "GET /v1.41/containers/c/logs", { *reply }, 1 };

	serve(&route, 1);
	return mk_container_wait_printed(w.docker, "c", words, mk_deadline(ms), &w.err);
}

/* Words that come in two frames are words; and the answer need not end for them. */
static void test_wait_printed(void **state)
{
	static const struct peer_reply runs = {
		.body = frames, .len = FRAMES_LEN, .no_length = true, .linger_ms = 10000
	};
	static const struct peer_reply ends = { .body = frames, .len = FRAMES_LEN };
	int64_t begin = mk_now_ms();

	(void)state;
	assert_int_equal(wait_for(&runs, "err\n", 5000), 0);
	assert_true(mk_now_ms() - begin < 5000);
	assert_non_null(fake_peer_request(
		w.engine, "GET /v1.41/containers/c/logs?stdout=1&stderr=1&follow=1 ", 0));
	restart();
	assert_int_equal(wait_for(&ends, "ready", 5000), -MK_EFAIL);
	assert_string_equal(w.err.detail, "out\nerr\n");
	restart();
	assert_int_equal(wait_for(&runs, "ready", 100), -MK_ETIMEOUT);
	mk_interrupt_raise();
	assert_int_equal(
		mk_container_wait_printed(w.docker, "c", "ready", mk_deadline(5000), &w.err),
		-MK_EINTR);
}

static void on_progress(void *payload, const char *status)
{
	mk_strlist_add(payload, status);
}

static int pull(const struct peer_reply *reply, struct mk_strlist *words)
{
	struct peer_route route = { .request = "POST /v1.41/images/create", .replies = { *reply } };

	serve(&route, 1);
	return mk_image_pull(w.docker, "reg:5000/a/b:1", "linux/amd64", on_progress, words, &w.err);
}

static void test_pull(void **state)
{
	static const char lines[] = "{\"status\":\"Pulling\"}\r\n{\"status\":\"Downloading\","
				    "\"progressDetail\":{\"current\":1}}\nnot json\n\n{}\n"
				    "{\"status\":\"Done\"}";
	struct peer_reply reply = { .body = lines };

	(void)state;
	for (size_t cut = 0; cut < sizeof(lines); cut++) {
		mk_autostrlist words = { .items = NULL };
		mk_autofree char *joined = NULL;

		reply.cut = cut;
		assert_int_equal(pull(&reply, &words), 0);
		joined = mk_strlist_join(&words, " ");
		assert_string_equal(joined, "Pulling Downloading Done");
		assert_int_equal(fake_peer_hits(w.engine,
					 "POST /v1.41/images/create?fromImage="
					 "reg:5000/a/b&tag=1&platform=linux/amd64 "),
			1);
		restart();
	}
}

static void test_pull_failures(void **state)
{
	static const struct {
		struct peer_reply reply;
		int code;
		const char *message;
	} cases[] = {
		{ { .body = "{\"status\":\"Pulling\"}\n{\"errorDetail\":{},\"error\":\"manifest "
			    "unknown\"}\n{\"status\":\"more\"}\n" },
			MK_EREMOTE, "pull image 'reg:5000/a/b:1': engine: manifest unknown" },
		{ { .body = "{\"error\":\"last line without an end\"}" }, MK_EREMOTE, "last line" },
		{ { .status = 404, .body = "{\"message\":\"pull access denied\"}" }, MK_ENOTFOUND,
			"404: pull access denied" },
		{ { .body = "{\"status\":\"x\"}\n",
			  .headers = "Content-Length: 99\r\n",
			  .no_length = true },
			MK_ENET, "pull image" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autostrlist words = { .items = NULL };

		assert_int_equal(pull(&cases[i].reply, &words), -cases[i].code);
		assert_words(w.err.message, cases[i].message);
		restart();
	}
}

/* One line without end does not fill the memory. */
static void test_pull_endless_line(void **state)
{
	mk_autofree char *line = mk_xmalloc(3 * MK_MIB);
	struct peer_reply reply = { .body = line, .len = 3 * MK_MIB };
	mk_autostrlist words = { .items = NULL };

	(void)state;
	memset(line, ' ', 3 * MK_MIB);
	assert_int_equal(pull(&reply, &words), -MK_EINVALID);
	assert_words(w.err.message, "a line of the engine's answer is larger than");
}

static void test_names(void **state)
{
	static const char *const cases[][3] = {
		{ "a", "a", "latest" },
		{ "a:1", "a", "1" },
		{ "h:5000/a", "h:5000/a", "latest" },
		{ "h:5000/a:1", "h:5000/a", "1" },
		{ "docker.io/library/a:1.2", "docker.io/library/a", "1.2" },
		{ "a@sha256:0f", "a", "sha256:0f" },
		{ "h:5000/a:1@sha256:0f", "h:5000/a", "sha256:0f" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		mk_autofree char *repo = NULL;
		mk_autofree char *tag = NULL;

		mk_image_split(cases[i][0], &repo, &tag);
		assert_string_equal(repo, cases[i][1]);
		assert_string_equal(tag, cases[i][2]);
	}
}

static void test_images(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET /v1.41/images/a:1/json", { { .body = "{\"Id\":\"sha256:1\"}" } }, 1 },
		{ "GET /v1.41/images/get?names=a%3A1&names=h%2Fb", { { .body = "tar" } }, 1 },
		{ "DELETE /v1.41/images/a:1", { { .body = "[]" }, { .status = 404 } }, 2 },
		{ "POST /v1.41/commit", { { .status = 201, .body = "{\"Id\":\"sha256:2\"}" } }, 1 },
	};
	MK_CLEANUP(mk_http_stream_freep) struct mk_http_stream *stream = NULL;
	mk_autojson *info = NULL;
	mk_autojson *config = mk_json_pack("{s:[s]}", "Cmd", "x");
	mk_autostrlist names = { .items = NULL };
	mk_autobuf tar = mk_buf_init(100);
	mk_autofree char *id = NULL;

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	assert_int_equal(mk_image_inspect(w.docker, "a:1", &info, &w.err), 0);
	assert_string_equal(mk_json_str(info, "Id", ""), "sha256:1");
	mk_strlist_add(&names, "a:1");
	mk_strlist_add(&names, "h/b");
	assert_int_equal(mk_image_save(w.docker, &names, &stream, &w.err), 0);
	assert_int_equal(mk_http_read_all(stream, &tar, -1, &w.err), 0);
	assert_string_equal(tar.data, "tar");
	assert_int_equal(mk_image_remove(w.docker, "a:1", &w.err), 0);
	assert_int_equal(mk_image_remove(w.docker, "a:1", &w.err), 0);
	assert_int_equal(mk_container_commit(w.docker, "c", "r/i:2", config, &id, &w.err), 0);
	assert_string_equal(id, "sha256:2");
	assert_non_null(
		fake_peer_request(w.engine, "POST /v1.41/commit?container=c&repo=r/i&tag=2 ", 0));
}

/* A file out of a container, and an archive into it. */
static void test_files(void **state)
{
	mk_autobuf tar = mk_buf_init(MK_MIB);
	mk_autobuf content = mk_buf_init(100);
	mk_autobuf small = mk_buf_init(3);
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *writer = mk_tar_writer_new(NULL);
	struct peer_route routes[] = {
		{ "GET /v1.41/containers/c/archive?path=%2Fetc%2Ff", { { .status = 200 } }, 1 },
		{ "PUT /v1.41/containers/c/archive?path=%2F", { { .status = 200 } }, 1 },
	};

	(void)state;
	mk_tar_add_text(writer, "f", 0644, "contents");
	assert_int_equal(mk_tar_writer_write(writer, &tar, &w.err), 0);
	routes[0].replies[0].body = tar.data;
	routes[0].replies[0].len = tar.len;
	routes[0].replies[0].cut = 700;
	serve(routes, 2);
	assert_int_equal(mk_container_read_file(w.docker, "c", "/etc/f", &content, &w.err), 0);
	assert_string_equal(content.data, "contents");
	assert_int_equal(
		mk_container_read_file(w.docker, "c", "/etc/f", &small, &w.err), -MK_EINVALID);
	assert_int_equal(
		mk_container_read_file(w.docker, "c", "/etc/g", &content, &w.err), -MK_ENOTFOUND);
	mk_tar_writer_rewind(writer);
	assert_int_equal(
		mk_container_put_stream(w.docker, "c", "/", mk_tar_writer_read, writer, &w.err), 0);
	assert_words(fake_peer_request(w.engine, "PUT", 0), "Content-Type: application/x-tar\r\n");
	assert_words(fake_peer_request(w.engine, "PUT", 0), "Transfer-Encoding: chunked\r\n");
	mk_tar_writer_rewind(writer);
	assert_int_equal(
		mk_container_put_stream(w.docker, "d", "/", mk_tar_writer_read, writer, &w.err),
		-MK_ENOTFOUND);
}

static void test_directory_instead(void **state)
{
	mk_autobuf tar = mk_buf_init(MK_MIB);
	mk_autobuf content = mk_buf_init(100);
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *writer = mk_tar_writer_new(NULL);
	struct peer_route route = { .request = "GET /v1.41/containers/c/archive",
		.replies = { { .status = 200 }, { .body = "no tar at all" } },
		.count = 2 };

	(void)state;
	mk_tar_add_dir(writer, "d", 0755, 0, 0);
	assert_int_equal(mk_tar_writer_write(writer, &tar, &w.err), 0);
	route.replies[0].body = tar.data;
	route.replies[0].len = tar.len;
	serve(&route, 1);
	assert_int_equal(
		mk_container_read_file(w.docker, "c", "/d", &content, &w.err), -MK_EINVALID);
	assert_words(w.err.message, "'/d' in the node is not a file");
	assert_int_equal(
		mk_container_read_file(w.docker, "c", "/d", &content, &w.err), -MK_EINVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_logs),
		TEST(test_wait_printed),
		TEST(test_pull),
		TEST(test_pull_failures),
		TEST(test_pull_endless_line),
		TEST(test_names),
		TEST(test_images),
		TEST(test_files),
		TEST(test_directory_instead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in containers, one and several side by side: output frames and statuses. */
#include "tests/unit/test-docker-world.h"

#define EXEC_CREATE "POST /v1.41/containers/c/exec"
#define EXEC_START "POST /v1.41/exec/e1/start"
#define EXEC_JSON "GET /v1.41/exec/e1/json"

/* stdout "out\n", an empty frame, stderr "er", stdout "r\n". */
static const char frames[] = "\1\0\0\0\0\0\0\4out\n"
			     "\2\0\0\0\0\0\0\0"
			     "\2\0\0\0\0\0\0\2er"
			     "\1\0\0\0\0\0\0\2r\n";
#define FRAMES_LEN (sizeof(frames) - 1)

static const char *const command[] = { "sh", "-c", "true", NULL };

static void serve_exec(const struct peer_reply *start, const char *state)
{
	struct peer_route routes[] = {
		{ EXEC_CREATE, { { .status = 201, .body = "{\"Id\":\"e1\"}" } }, 1 },
		{ EXEC_START, { *start }, 1 },
		{ EXEC_JSON, { { .body = state } }, 1 },
	};

	serve(routes, MK_ARRAY_LEN(routes));
}

static void restart(void)
{
	mk_docker_free(MK_TAKE(w.docker));
	fake_peer_stop(MK_TAKE(w.engine));
}

static void test_exec(void **state)
{
	struct peer_reply start = { .body = frames, .len = FRAMES_LEN };

	(void)state;
	/* Whole, cut at every byte, and a byte at a time. */
	for (size_t cut = 0; cut <= FRAMES_LEN; cut++) {
		mk_autobuf output = mk_buf_init(1000);
		int status = -7;

		start.cut = cut;
		start.bytewise = cut == FRAMES_LEN;
		serve_exec(&start, "{\"ExitCode\":3}");
		assert_int_equal(
			mk_container_exec(w.docker, "c", command, 5000, &output, &status, &w.err),
			0);
		assert_string_equal(output.data, "out\nerr\n");
		assert_int_equal(status, 3);
		restart();
	}
}

static void test_exec_requests(void **state)
{
	static const struct peer_reply start = { .body = frames, .len = FRAMES_LEN };
	mk_autobuf output = mk_buf_init(5);
	int status = -7;

	(void)state;
	serve_exec(&start, "{\"ExitCode\":null}");
	assert_int_equal(
		mk_container_exec(w.docker, "c", command, 5000, &output, &status, &w.err), 0);
	/* What the buffer cannot hold is dropped. */
	assert_string_equal(output.data, "out\ne");
	assert_int_equal(status, -1);
	assert_body(EXEC_CREATE, 0,
		"{\"AttachStdout\":true,\"AttachStderr\":true,"
		"\"Cmd\":[\"sh\",\"-c\",\"true\"]}");
	assert_body(EXEC_START, 0, "{\"Detach\":false,\"Tty\":false}");
}

static void test_exec_failures(void **state)
{
	static const struct peer_reply gone = { .status = 409,
		.body = "{\"message\":\"container c is not running\"}" };
	static const struct peer_reply hangs = {
		.body = frames, .len = FRAMES_LEN, .no_length = true, .linger_ms = 10000
	};
	static const struct peer_reply part = { .body = frames, .len = 11 };
	mk_autobuf output = mk_buf_init(1000);
	int status = -7;
	int64_t begin = mk_now_ms();

	(void)state;
	serve_exec(&gone, "{}");
	assert_int_equal(mk_container_exec(w.docker, "c", command, 5000, &output, &status, &w.err),
		-MK_EEXISTS);
	assert_words(w.err.message, "run 'sh' in c: engine: POST /v1.41/exec/e1/start: 409: ");
	restart();
	serve_exec(&hangs, "{}");
	assert_int_equal(mk_container_exec(w.docker, "c", command, 100, &output, &status, &w.err),
		-MK_ETIMEOUT);
	assert_true(mk_now_ms() - begin < 5000);
	assert_string_equal(output.data, "out\nerr\n");
	restart();
	/* A stream that ends inside a frame gives what it had. */
	mk_buf_clear(&output);
	serve_exec(&part, "{\"ExitCode\":0}");
	assert_int_equal(
		mk_container_exec(w.docker, "c", command, 5000, &output, &status, &w.err), 0);
	assert_string_equal(output.data, "out");
	assert_int_equal(status, 0);
}

/* Two commands of a batch: what each prints and how it ends. */
static void serve_batch(const struct peer_reply *create_b, const struct peer_reply *start_b,
	const char *state_a, const char *state_b)
{
	struct peer_route routes[] = {
		{ "POST /v1.41/containers/a/exec", { { .status = 201, .body = "{\"Id\":\"ea\"}" } },
			1 },
		{ "POST /v1.41/containers/b/exec", { *create_b }, 1 },
		{ "POST /v1.41/exec/ea/start", { { .body = frames, .len = FRAMES_LEN } }, 1 },
		{ "POST /v1.41/exec/eb/start", { *start_b }, 1 },
		{ "GET /v1.41/exec/ea/json", { { .body = state_a } }, 1 },
		{ "GET /v1.41/exec/eb/json", { { .body = state_b } }, 1 },
	};

	serve(routes, MK_ARRAY_LEN(routes));
}

static const char *const first_words[] = { "first", "-x", NULL };
static const char *const second_words[] = { "second", NULL };
static const char second_frames[] = "\2\0\0\0\0\0\0\6failed";

static const struct peer_reply second_made = { .status = 201, .body = "{\"Id\":\"eb\"}" };
static const struct peer_reply second_runs = { .body = second_frames,
	.len = sizeof(second_frames) - 1 };

struct batch {
	struct mk_exec_item items[2];
};

static struct batch batch_init(void)
{
	return (struct batch){ .items = {
				       { .id = "a",
					       .argv = first_words,
					       .output = mk_buf_init(1000),
					       .status = -7 },
				       { .id = "b",
					       .argv = second_words,
					       .output = mk_buf_init(1000),
					       .status = -7 },
			       } };
}

static void batch_done(struct batch *batch)
{
	for (size_t i = 0; i < 2; i++)
		mk_buf_done(&batch->items[i].output);
}
#define autobatch MK_CLEANUP(batch_done) struct batch

static void test_exec_all(void **state)
{
	static const char *const ends[][2] = {
		{ "{\"ExitCode\":0}", "{\"ExitCode\":0}" },
		{ "{\"ExitCode\":3}", "{\"ExitCode\":0}" },
		{ "{\"ExitCode\":0}", "{\"ExitCode\":4}" },
		{ "{\"ExitCode\":null}", "{}" },
	};
	static const int statuses[][2] = { { 0, 0 }, { 3, 0 }, { 0, 4 }, { -1, -1 } };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(ends); i++) {
		autobatch batch = batch_init();

		serve_batch(&second_made, &second_runs, ends[i][0], ends[i][1]);
		/* A status of any kind is no error of ours. */
		assert_int_equal(mk_container_exec_all(w.docker, batch.items, 2, 5000, &w.err), 0);
		assert_string_equal(batch.items[0].output.data, "out\nerr\n");
		assert_string_equal(batch.items[1].output.data, "failed");
		assert_int_equal(batch.items[0].status, statuses[i][0]);
		assert_int_equal(batch.items[1].status, statuses[i][1]);
		assert_body("POST /v1.41/containers/a/exec", 0,
			"{\"AttachStdout\":true,\"AttachStderr\":true,\"Cmd\":[\"first\",\"-x\"]}");
		assert_body("POST /v1.41/containers/b/exec", 0,
			"{\"AttachStdout\":true,\"AttachStderr\":true,\"Cmd\":[\"second\"]}");
		/* Both run before the first is waited for. */
		assert_int_equal(fake_peer_hits(w.engine, "POST /v1.41/exec/"), 2);
		restart();
	}
}

static void test_exec_all_of_none(void **state)
{
	(void)state;
	serve(NULL, 0);
	assert_int_equal(mk_container_exec_all(w.docker, NULL, 0, 5000, &w.err), 0);
	assert_int_equal(fake_peer_hits(w.engine, "POST"), 0);
}

/* The command and the container that could not be run are named. */
static void test_exec_all_failures(void **state)
{
	static const struct {
		struct peer_reply create, start;
		int code;
		const char *words[2];
	} cases[] = {
		{ { .status = 409, .body = "{\"message\":\"container b is not running\"}" },
			{ .status = 500 }, MK_EEXISTS,
			{ "run 'second' in b: ", "container b is not running" } },
		{ { .status = 201, .body = "{\"Id\":\"eb\"}" },
			{ .status = 409, .body = "{\"message\":\"container b is paused\"}" },
			MK_EEXISTS, { "run 'second' in b: ", "container b is paused" } },
		{ { .status = 201, .body = "{\"Id\":7}" }, { .status = 500 }, MK_EREMOTE,
			{ "run 'second' in b: ", "no Id in the answer" } },
		{ { .status = 201, .body = "<html>" }, { .status = 500 }, MK_EREMOTE,
			{ "run 'second' in b: ", "no Id in the answer" } },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		autobatch batch = batch_init();

		serve_batch(
			&cases[i].create, &cases[i].start, "{\"ExitCode\":0}", "{\"ExitCode\":0}");
		assert_int_equal(mk_container_exec_all(w.docker, batch.items, 2, 5000, &w.err),
			-cases[i].code);
		assert_words(w.err.message, cases[i].words[0]);
		assert_words(w.err.message, cases[i].words[1]);
		assert_int_equal(batch.items[1].status, -7);
		restart();
	}
}

/* The time is that of the whole batch, and an interrupt ends it. */
static void test_exec_all_hangs(void **state)
{
	static const struct peer_reply hangs = { .body = second_frames,
		.len = sizeof(second_frames) - 1,
		.no_length = true,
		.linger_ms = 10000 };
	autobatch batch = batch_init();
	autobatch again = batch_init();
	int64_t begin = mk_now_ms();

	(void)state;
	serve_batch(&second_made, &hangs, "{\"ExitCode\":0}", "{\"ExitCode\":0}");
	assert_int_equal(
		mk_container_exec_all(w.docker, batch.items, 2, 100, &w.err), -MK_ETIMEOUT);
	assert_words(w.err.message, "run 'second' in b: ");
	/* What the first had to say is not lost. */
	assert_int_equal(batch.items[0].status, 0);
	assert_string_equal(batch.items[1].output.data, "failed");
	mk_interrupt_raise();
	assert_int_equal(mk_container_exec_all(w.docker, again.items, 2, 9000, &w.err), -MK_EINTR);
	assert_true(mk_now_ms() - begin < 5000);
}

static struct mk_exec_item item_of(const char *id)
{
	return (struct mk_exec_item){
		.id = id,
		.argv = command,
		.output = mk_buf_init(1000),
		.errors = mk_buf_init(1000),
	};
}

/* Each for itself: of two containers one does not run, of two commands one is
 * refused; the streams are apart. */
static void test_exec_each(void **state)
{
	static const struct peer_reply paused = { .status = 409,
		.body = "{\"message\":\"paused\"}" };
	struct mk_exec_item items[] = { item_of("gone"), item_of("a"), item_of("b") };

	(void)state;
	serve_batch(&second_made, &paused, "{\"ExitCode\":5}", "{}");
	assert_int_equal(mk_container_exec_each(w.docker, items, 3, 5000, &w.err), 0);
	assert_words(items[0].error.message, "run 'sh' in gone: engine: ");
	assert_int_equal(items[0].error.code, MK_ENOTFOUND);
	assert_int_equal(items[1].error.code, MK_OK);
	assert_string_equal(items[1].output.data, "out\nr\n");
	assert_string_equal(items[1].errors.data, "er");
	assert_int_equal(items[1].status, 5);
	assert_words(items[2].error.message,
		"run 'sh' in b: engine: POST /v1.41/exec/eb/start: 409: paused");
	mk_exec_items_done(items, 3);
}

static void test_exec_each_ends(void **state)
{
	static const struct peer_reply hangs = { .body = second_frames,
		.len = sizeof(second_frames) - 1,
		.no_length = true,
		.linger_ms = 10000 };
	struct mk_exec_item items[] = { item_of("b"), item_of("b") };
	int64_t begin = mk_now_ms();

	(void)state;
	serve_batch(&second_made, &hangs, "{}", "{}");
	assert_int_equal(mk_container_exec_each(w.docker, items, 1, 60, &w.err), 0);
	assert_int_equal(items[0].error.code, MK_ETIMEOUT);
	mk_interrupt_raise();
	assert_int_equal(mk_container_exec_each(w.docker, &items[1], 1, 5000, &w.err), -MK_EINTR);
	assert_true(mk_now_ms() - begin < 3000);
	mk_exec_items_done(items, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_exec),
		TEST(test_exec_requests),
		TEST(test_exec_failures),
		TEST(test_exec_all),
		TEST(test_exec_all_of_none),
		TEST(test_exec_all_failures),
		TEST(test_exec_all_hangs),
		TEST(test_exec_each),
		TEST(test_exec_each_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

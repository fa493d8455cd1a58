/* SPDX-License-Identifier: Apache-2.0 */
/* Commands, logs and ports of pods, by the channels that an API server has. */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/kube/stream.h"
#include "tests/unit/fake-peer.h"
#include "tests/unit/fake-ws.h"

#include <setjmp.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES(s) .bytes = (s), .len = sizeof(s) - 1
#define LAST(s) .last = (s), .last_len = sizeof(s) - 1
#define CLOSE "\x88\x02\x03\xe8"
#define SUCCESS "\x82\x15\x03{\"status\":\"Success\"}"
#define V4 .protocol = "v4.channel.k8s.io", .linger_ms = 500
#define V5 .protocol = "v5.channel.k8s.io", .linger_ms = 500

struct world {
	struct fake_ws *fake;
	struct fake_peer *peer;
	struct mk_kube *kube;
	struct mk_buf out, errors;
	int enough; /* what the sink returns */
	struct mk_error err;
};

static struct world w;

static const struct mk_pod pod = { .namespace = "ns", .name = "p/../x", .container = "c" };

static int leave(void **state)
{
	(void)state;
	mk_kube_free(w.kube);
	fake_ws_stop(w.fake);
	fake_peer_stop(w.peer);
	mk_buf_done(&w.out);
	mk_buf_done(&w.errors);
	mk_error_done(&w.err);
	mk_interrupt_reset();
	w = (struct world){ .kube = NULL };
	return 0;
}

static void connect_to(const char *address)
{
	mk_autoidentity identity = { .server = mk_xstrdup(address) };

	w.out = mk_buf_init(10000);
	w.errors = mk_buf_init(10000);
	assert_int_equal(mk_kube_new(&identity, &w.kube, &w.err), 0);
}

static void serve(const struct ws_script *script)
{
	w.fake = fake_ws_start(script, 1);
	connect_to(fake_ws_address(w.fake));
}

static void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text ? text : "(null)");
}

static int sink(
	void *payload, enum mk_stream stream, const void *data, size_t len, struct mk_error *err)
{
	(void)payload;
	mk_buf_add(stream == MK_STREAM_OUT ? &w.out : &w.errors, data, len);
	return w.enough < 0 ? mk_fail(err, (enum mk_code) - w.enough, "no more") : w.enough;
}

static const char *const argv[] = { "echo", "a b&c", NULL };

static int run(const struct mk_exec *exec, int *ret_status)
{
	return mk_kube_exec(w.kube, &pod, exec, mk_deadline(3000), ret_status, &w.err);
}

static void test_exec(void **state)
{
	static const struct ws_script script = { V5,
		BYTES("\x82\x01\x01"
		      "\x82\x03\x01"
		      "hi\x82\x04\x02"
		      "err\x82\x03\x01"
		      "ho\x82\x00\x82\x03\x07??" SUCCESS CLOSE) };
	const struct mk_exec exec = { .argv = argv, .sink = sink };
	int status = 99;

	(void)state;
	serve(&script);
	if (run(&exec, &status) < 0)
		fail_msg("%s", w.err.message);
	assert_int_equal(status, 0);
	assert_string_equal(w.out.data, "hiho");
	assert_string_equal(w.errors.data, "err");
	/* Names are escaped; a path cannot be climbed out of. */
	assert_words(fake_ws_request(w.fake),
		"GET /api/v1/namespaces/ns/pods/p%2F..%2Fx/exec?command=echo&command=a%20b%26c"
		"&container=c&stdout=true&stderr=true HTTP/1.1\r\n");
	assert_words(fake_ws_request(w.fake),
		"Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n");
}

#define FAILURE                                                                                    \
	"{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"message\":\"m\",\"details\":"    \
	"{\"causes\":[{\"reason\":\"Other\",\"message\":\"9\"},"                                   \
	"{\"reason\":\"ExitCode\",\"message\":\"42\"}]}}"

static void test_statuses(void **state)
{
	static const struct {
		const char *status;
		int code, exit;
		const char *words;
	} cases[] = {
		{ "{\"status\":\"Success\"}", 0, 0, NULL },
		{ FAILURE, 0, 42, NULL },
		{ "{\"status\":\"Failure\",\"message\":\"no such file\"}", -MK_EREMOTE, -1,
			"run 'echo' in pod ns/p/../x: no such file" },
		{ "{\"status\":\"Failure\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\","
		  "\"message\":\"x\"}]}}",
			-MK_EREMOTE, -1, "no reason given" },
		{ "{\"status\":", -MK_EINVALID, -1, "the status of a command" },
		{ "[1]", -MK_EREMOTE, -1, "no reason given" },
		{ NULL, -MK_ENET, -1, "without a status" },
	};

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++) {
		const struct mk_exec exec = { .argv = argv };
		mk_autobuf bytes = mk_buf_init(1000);
		struct ws_script script = { V5 };
		int status = 99;
		size_t len = cases[i].status ? strlen(cases[i].status) + 1 : 0;
		const char head[] = { '\x82', 126, (char)(len >> 8), (char)len, '\x03' };
		const char small[] = { '\x82', (char)len, '\x03' };

		if (len > 125)
			mk_buf_add(&bytes, head, sizeof(head));
		else if (len > 0)
			mk_buf_add(&bytes, small, sizeof(small));
		if (len > 0)
			mk_buf_adds(&bytes, cases[i].status);
		mk_buf_add(&bytes, CLOSE, 4);
		script.bytes = bytes.data;
		script.len = bytes.len;
		serve(&script);
		assert_int_equal(run(&exec, &status), cases[i].code);
		assert_int_equal(status, cases[i].exit);
		if (cases[i].words)
			assert_words(w.err.message, cases[i].words);
		leave(NULL);
	}
}

/* A connection that breaks off: after the status it is as good as closed. */
static void test_cuts(void **state)
{
	static const struct ws_script after = { .protocol = "v5.channel.k8s.io", BYTES(SUCCESS) };
	static const struct ws_script before = { .protocol = "v5.channel.k8s.io",
		BYTES("\x82\x03\x01hi") };
	const struct mk_exec exec = { .argv = argv, .sink = sink };
	int status;

	(void)state;
	serve(&after);
	assert_int_equal(run(&exec, &status), 0);
	assert_int_equal(status, 0);
	assert_int_equal(w.err.code, MK_OK);
	leave(NULL);
	serve(&before);
	assert_int_equal(run(&exec, &status), -MK_ENET);
	assert_int_equal(status, -1);
	assert_string_equal(w.out.data, "hi");
	assert_words(w.err.message, "run 'echo' in pod");
}

static void test_sink_ends_it(void **state)
{
	static const struct ws_script script = {
		.protocol = "v5.channel.k8s.io", BYTES("\x82\x03\x01hi"), .linger_ms = 5000
	};
	const struct mk_exec exec = { .argv = argv, .sink = sink };
	int64_t start = mk_now_ms();
	int status;

	(void)state;
	serve(&script);
	w.enough = 1;
	assert_int_equal(run(&exec, &status), 0);
	assert_int_equal(status, -1);
	leave(NULL);
	serve(&script);
	w.enough = -MK_ESYS;
	assert_int_equal(run(&exec, &status), -MK_ESYS);
	assert_words(w.err.message, "no more");
	assert_true(mk_now_ms() - start < 2000);
}

static void assert_sent(size_t n, const char *data, size_t len)
{
	unsigned opcode = 0;
	size_t got_len = 0;
	mk_autofree char *got = fake_ws_frame(w.fake, n, &opcode, &got_len);

	assert_non_null(got);
	assert_int_equal(opcode, 2);
	assert_int_equal(got_len, len);
	assert_memory_equal(got, data, len);
}

/* Standard input is passed on, and its end, where the protocol has one. */
static void test_input(void **state)
{
	static const struct ws_script v5 = { V5, .first = 2, BYTES(SUCCESS CLOSE) };
	static const struct ws_script v4 = { V4, .first = 1, BYTES(SUCCESS CLOSE) };
	struct mk_exec exec = { .argv = argv, .interactive = true };
	int ends[2];
	int status;

	(void)state;
	for (int version = 5; version >= 4; version--) {
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(write(ends[1], "typed", 5), 5);
		(void)close(ends[1]);
		exec.input = ends[0];
		serve(version == 5 ? &v5 : &v4);
		assert_int_equal(run(&exec, &status), 0);
		assert_words(fake_ws_request(w.fake), "&stdin=true");
		assert_sent(0, "\x00typed", 6);
		if (version == 5)
			assert_sent(1, "\xff\x00", 2);
		(void)close(ends[0]);
		leave(NULL);
	}
}

static bool resized(void *payload, unsigned *columns, unsigned *rows)
{
	unsigned *asked = payload;

	*columns = 80 + (*asked)++;
	*rows = 25;
	return *asked <= 2;
}

static void test_tty(void **state)
{
	static const struct ws_script script = { V5, .first = 2, BYTES(SUCCESS CLOSE) };
	unsigned asked = 0;
	struct mk_exec exec = { .argv = argv, .tty = true, .resized = resized, .payload = &asked };
	int status;

	(void)state;
	serve(&script);
	assert_int_equal(run(&exec, &status), 0);
	assert_words(fake_ws_request(w.fake), "&stdout=true&tty=true HTTP");
	assert_sent(0, "\x04{\"Width\":80,\"Height\":25}", 25);
	assert_sent(1, "\x04{\"Width\":81,\"Height\":25}", 25);
}

static void test_refusals(void **state)
{
	static const struct ws_script not_found = {
		.answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 51\r\n\r\n"
			  "{\"kind\":\"Status\",\"message\":\"pods \\\"x\\\" not found\"}"
	};
	static const struct ws_script hang = { .hang = true, .linger_ms = 3000 };
	const struct mk_exec exec = { .argv = argv };
	struct mk_forward *forward = NULL;
	int status;

	(void)state;
	serve(&not_found);
	assert_int_equal(run(&exec, &status), -MK_ENOTFOUND);
	assert_words(w.err.message, "exec: 404: pods \"x\" not found");
	assert_int_equal(mk_forward_open(w.kube, &pod, 80, mk_deadline(3000), &forward, &w.err),
		-MK_ENOTFOUND);
	assert_words(w.err.message, "port 80 of pod ns/p/../x: ");
	leave(NULL);
	serve(&hang);
	assert_int_equal(
		mk_kube_exec(w.kube, &pod, &exec, mk_deadline(50), &status, &w.err), -MK_ETIMEOUT);
	mk_interrupt_raise();
	assert_int_equal(run(&exec, &status), -MK_EINTR);
}

#define PORTS "\x82\x03\x00\x90\x1f\x82\x03\x01\x90\x1f"

static void test_forward(void **state)
{
	static const struct ws_script script = { V4,
		BYTES("\x82\x02\x00\x90\x82\x01\x00\x82\x04\x00\x1f"
		      "he\x82\x03\x01\x90\x1f\x82\x04\x00"
		      "llo\x82\x01\x00\x82\x00\x82\x02\x05x"),
		LAST(CLOSE) };
	MK_CLEANUP(mk_forward_freep) struct mk_forward *forward = NULL;
	char data[2], got[10] = "";
	size_t len = 0;
	ssize_t n;

	(void)state;
	serve(&script);
	assert_int_equal(
		mk_forward_open(w.kube, &pod, 8080, mk_deadline(3000), &forward, &w.err), 0);
	assert_words(fake_ws_request(w.fake), "/portforward?ports=8080 HTTP/1.1\r\n");
	for (; len < 5; len += (size_t)n) {
		n = mk_forward_read(forward, data, sizeof(data), mk_deadline(3000), &w.err);
		assert_in_range(n, 1, 2);
		memcpy(got + len, data, (size_t)n);
	}
	assert_string_equal(got, "hello");
	assert_int_equal(mk_forward_read(forward, data, 2, mk_deadline(20), &w.err), -MK_ETIMEOUT);
	assert_int_equal(mk_forward_send(forward, "bye", 3, &w.err), 0);
	assert_int_equal(mk_forward_read(forward, data, 2, mk_deadline(3000), &w.err), 0);
	assert_sent(0,
		"\x00"
		"bye",
		4);
	assert_int_equal(mk_forward_pending(forward), 0);
}

static void test_forward_errors(void **state)
{
	static const struct ws_script refused = { V4,
		BYTES(PORTS "\x82\x0d\x01no listener." CLOSE) };
	static const struct ws_script cut = { .protocol = "v4.channel.k8s.io", BYTES(PORTS) };
	static const struct ws_script other = { .protocol = "v9.other", .linger_ms = 300 };
	struct mk_forward *forward = NULL;
	char data[16];

	(void)state;
	serve(&refused);
	assert_int_equal(
		mk_forward_open(w.kube, &pod, 8080, mk_deadline(3000), &forward, &w.err), 0);
	assert_int_equal(
		mk_forward_read(forward, data, 16, mk_deadline(3000), &w.err), -MK_EREMOTE);
	assert_words(w.err.message, "port 8080 of pod ns/p/../x: no listener.");
	mk_forward_free(forward);
	leave(NULL);
	serve(&cut);
	assert_int_equal(
		mk_forward_open(w.kube, &pod, 8080, mk_deadline(3000), &forward, &w.err), 0);
	assert_int_equal(mk_forward_read(forward, data, 16, mk_deadline(3000), &w.err), -MK_ENET);
	mk_forward_free(forward);
	leave(NULL);
	serve(&other);
	assert_int_equal(mk_forward_open(w.kube, &pod, 8080, mk_deadline(3000), &forward, &w.err),
		-MK_EINVALID);
	assert_words(w.err.message, "not offered");
}

static int logs(const struct mk_logs *options, int64_t ms)
{
	return mk_kube_logs(w.kube, &pod, options, mk_deadline(ms), sink, NULL, &w.err);
}

#define LOG "GET /api/v1/namespaces/ns/pods/p%2F..%2Fx/log"

static void test_logs(void **state)
{
	static const struct peer_route routes[] = {
		{ LOG "?container=c&follow=true&previous=true&timestamps=true&tailLines=5"
		      "&limitBytes=100",
			{ { .body = "line 1\nline 2\n", .cut = 3, .linger_ms = 400 } }, 1 },
		{ LOG "?container=c", { { .body = "all\n" } }, 1 },
	};
	const struct mk_logs all = {
		.follow = true,
		.previous = true,
		.timestamps = true,
		.tail = 5,
		.limit_bytes = 100,
	};
	const struct mk_logs plain = { .follow = false };

	(void)state;
	w.peer = fake_peer_start(NULL, routes, MK_ARRAY_LEN(routes));
	connect_to(fake_peer_address(w.peer));
	assert_int_equal(logs(&plain, 3000), 0);
	assert_string_equal(w.out.data, "all\n");
	assert_int_equal(logs(&all, 3000), 0);
	assert_string_equal(w.out.data, "all\nline 1\nline 2\n");
	w.enough = 1;
	assert_int_equal(logs(&all, 3000), 0);
}

static void test_logs_refused(void **state)
{
	static const struct peer_route routes[] = {
		{ "GET *",
			{ { .status = 400, .body = "{\"message\":\"waiting to start\"}", .cut = 5 },
				{ .body = "x", .delay_ms = 500 } },
			2 },
	};
	const struct mk_logs plain = { .follow = false };

	(void)state;
	w.peer = fake_peer_start(NULL, routes, 1);
	connect_to(fake_peer_address(w.peer));
	assert_int_equal(logs(&plain, 3000), -MK_EREMOTE);
	assert_words(w.err.message, "400: waiting to start");
	assert_int_equal(logs(&plain, 50), -MK_ETIMEOUT);
}

#define TEST(name) cmocka_unit_test_teardown(name, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_exec),
		TEST(test_statuses),
		TEST(test_cuts),
		TEST(test_sink_ends_it),
		TEST(test_input),
		TEST(test_tty),
		TEST(test_refusals),
		TEST(test_forward),
		TEST(test_forward_errors),
		TEST(test_logs),
		TEST(test_logs_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of lib/docker share: a scripted engine on a socket in a new folder. */
#ifndef MK_TESTS_TEST_DOCKER_WORLD_H
#define MK_TESTS_TEST_DOCKER_WORLD_H

#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/docker/container.h"
#include "lib/docker/image.h"
#include "lib/docker/network.h"
#include "tests/unit/fake-peer.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
	char folder[32];
	struct fake_peer *engine;
	struct mk_docker *docker;
	struct mk_error err;
};

static struct world w;

static inline int enter(void **state)
{
	static const char *const proxies[] = { "HTTP_PROXY", "http_proxy", "HTTPS_PROXY",
		"https_proxy", "NO_PROXY", "no_proxy" };

	(void)state;
	for (size_t i = 0; i < MK_ARRAY_LEN(proxies); i++)
		(void)unsetenv(proxies[i]);
	w = (struct world){ .folder = "/tmp/test-docker-XXXXXX" };
	(void)unsetenv("DOCKER_HOST");
	(void)unsetenv("DOCKER_TLS_VERIFY");
	(void)unsetenv("DOCKER_CERT_PATH");
	return mkdtemp(w.folder) ? 0 : -1;
}

static inline int leave(void **state)
{
	(void)state;
	mk_docker_free(w.docker);
	fake_peer_stop(w.engine);
	mk_error_done(&w.err);
	mk_interrupt_reset();
	return mk_fs_remove_all(w.folder, &w.err) == 0 ? 0 : -1;
}

static const struct peer_route ping_route = { "GET /_ping",
	{ { .headers = "Api-Version: 1.41\r\n", .body = "OK" } }, 1 };

/* An engine of API 1.41 with these routes besides /_ping, and a client of it. */
static inline void serve(const struct peer_route *routes, size_t count)
{
	mk_autofree struct peer_route *all = mk_xcalloc(count + 1, sizeof(*routes));

	all[0] = ping_route;
	for (size_t i = 0; i < count; i++)
		all[i + 1] = routes[i];
	w.engine = fake_peer_start(w.folder, all, count + 1);
	if (mk_docker_new(fake_peer_address(w.engine), &w.docker, &w.err) < 0)
		fail_msg("%s", w.err.message);
}

static inline void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text ? text : "(null)");
}

/* The JSON that the `n`th request beginning so carried. */
static inline void assert_body(const char *request, size_t n, const char *expected)
{
	const char *sent = fake_peer_request(w.engine, request, n);
	mk_autojson *want = json_loads(expected, 0, NULL);
	mk_autojson *got = sent ? json_loads(strstr(sent, "\r\n\r\n") + 4, 0, NULL) : NULL;

	assert_non_null(want);
	if (!json_equal(want, got))
		fail_msg("%s carried: %s", request, sent ? sent : "(no such request)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of lib/kube's tasks share: a scripted API server, and a client of it. */
#ifndef MK_TESTS_TEST_KUBE_WORLD_H
#define MK_TESTS_TEST_KUBE_WORLD_H

#include "lib/base/clock.h"
#include "lib/kube/client.h"
#include "tests/unit/fake-peer.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
	struct fake_peer *server;
	struct mk_kube *kube;
	struct mk_error err;
};

static struct world w;

/* Before another server is made in the same test. */
static inline void restart(void)
{
	mk_kube_free(MK_TAKE(w.kube));
	fake_peer_stop(MK_TAKE(w.server));
	mk_error_done(&w.err);
}

static inline int leave(void **state)
{
	(void)state;
	restart();
	mk_interrupt_reset();
	return 0;
}

static inline void serve(const struct peer_route *routes, size_t count)
{
	mk_autoidentity identity = { .server = NULL };

	w.server = fake_peer_start(NULL, routes, count);
	identity.server = mk_xstrdup(fake_peer_address(w.server));
	assert_int_equal(mk_kube_new(&identity, &w.kube, &w.err), 0);
}

static inline void assert_words(const char *text, const char *words)
{
	if (!text || !strstr(text, words))
		fail_msg("'%s' is not in '%s'", words, text ? text : "(null)");
}

#define TEST(name) cmocka_unit_test_teardown(name, leave)

#endif

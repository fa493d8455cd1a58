/* SPDX-License-Identifier: Apache-2.0 */
/* An image made on the way into a strict fake registry, and what a failure leaves. */
#include "lib/archive/tar_writer.h"
#include "lib/registry/compose.h"
#include "lib/registry/digest.h"
#include "tests/unit/fake-registry.h"

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static int compose(struct fake_registry *fake, mk_http_reader read, struct mk_strlist *digests,
	struct mk_error *err)
{
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *layer = mk_tar_writer_new(NULL);
	MK_CLEANUP(mk_registry_freep) struct mk_registry *registry = NULL;
	mk_autojson *config = mk_json_pack("{s:[s]}", "Entrypoint", "/x");
	const struct mk_compose options = {
		.repository = "mkcluster/verify-1",
		.tag = "1",
		.arch = "arm64",
		.config = config,
		.layer = read,
		.payload = layer,
	};

	mk_tar_add_text(layer, "x", 0755, "#!/bin/sh\n");
	assert_int_equal(mk_registry_new(fake_registry_url(fake), &registry, err), 0);
	return mk_registry_compose(registry, &options, digests, err);
}

static void test_compose(void **state)
{
	struct fake_registry *fake = fake_registry_start();
	mk_autostrlist digests = { .items = NULL };
	mk_autoerror err = { .code = MK_OK };
	mk_autojson *manifest = NULL;
	mk_autofree char *hex = NULL;
	const char *text;

	(void)state;
	if (compose(fake, mk_tar_writer_read, &digests, &err) < 0)
		fail_msg("%s", err.message);
	text = fake_registry_manifest(fake, "mkcluster/verify-1", "1");
	assert_non_null(text);
	assert_int_equal(mk_digest_data(text, strlen(text), &hex, &err), 0);
	assert_int_equal(digests.count, 3);
	assert_string_equal(digests.items[2] + strlen("sha256:"), hex);
	assert_int_equal(mk_json_parse(text, strlen(text), "manifest", &manifest, &err), 0);
	assert_string_equal(mk_json_str(manifest, "config.digest", ""), digests.items[1]);
	assert_string_equal(
		mk_json_str(json_array_get(json_object_get(manifest, "layers"), 0), "digest", ""),
		digests.items[0]);
	for (size_t i = 0; i < 2; i++)
		assert_true(fake_registry_has_blob(fake, "mkcluster/verify-1", digests.items[i]));
	assert_int_equal(fake_registry_sessions(fake), 0);
	fake_registry_stop(fake);
}

/* Whatever fails, what may be in the registry is in the list, and no session is open. */
static void test_every_request_can_fail(void **state)
{
	int n = 1;

	(void)state;
	for (;; n++) {
		struct fake_registry *fake = fake_registry_start();
		mk_autostrlist digests = { .items = NULL };
		mk_autoerror err = { .code = MK_OK };
		int r;

		fake_registry_fail(fake, n);
		r = compose(fake, mk_tar_writer_read, &digests, &err);
		assert_int_equal(fake_registry_sessions(fake), 0);
		if (r == 0) {
			fake_registry_stop(fake);
			break;
		}
		assert_int_equal(r, -MK_EREMOTE);
		assert_non_null(strstr(err.message, "store image mkcluster/verify-1:1: "));
		assert_int_equal(fake_registry_manifests(fake), 0);
		assert_true(digests.count <= 3);
		fake_registry_stop(fake);
	}
	assert_true(n > 6);
}

static ssize_t broken(void *payload, void *data, size_t cap, struct mk_error *err)
{
	(void)payload;
	(void)data;
	(void)cap;
	return mk_fail(err, MK_ESYS, "no layer today");
}

static void test_source_fails(void **state)
{
	struct fake_registry *fake = fake_registry_start();
	mk_autostrlist digests = { .items = NULL };
	mk_autoerror err = { .code = MK_OK };

	(void)state;
	assert_int_equal(compose(fake, broken, &digests, &err), -MK_ESYS);
	assert_non_null(strstr(err.message, "no layer today"));
	assert_int_equal(digests.count, 0);
	assert_int_equal(fake_registry_sessions(fake), 0);
	fake_registry_stop(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compose),
		cmocka_unit_test(test_every_request_can_fail),
		cmocka_unit_test(test_source_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

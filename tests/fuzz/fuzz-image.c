/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stranger's image archive. The registry refuses connections, so what is read
 * and judged before the first request is what is tested here.
 */
#include "lib/registry/load.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mk_registry *registry;
	static const struct mk_load_options options = { .what = "fuzz", .arch = "amd64" };
	struct source source = { .data = data, .left = size };
	mk_autoloadreport report = { .images = NULL };
	mk_autoerror err = { .code = MK_OK };

	if (!registry)
		MUST(mk_registry_new("http://127.0.0.1:1", &registry, &err) == 0);
	/* An archive without images is the only one that could be loaded. */
	if (mk_registry_load(registry, read_source, &source, &options, &report, &err) < 0)
		MUST(err.message);
	else
		MUST(report.count == 0);
	return 0;
}

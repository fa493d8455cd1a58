/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images: what parses prints, and the printed name means the same. */
#include "lib/base/str.h"
#include "lib/registry/reference.h"
#include "tests/fuzz/fuzz.h"

static bool same(const char *a, const char *b)
{
	return a && b ? mk_streq(a, b) : a == b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mk_autofree char *text = mk_xstrndup(size > 0 ? (const char *)data : "", size);
	mk_autofree char *printed = NULL;
	mk_autoreference first = { .host = NULL };
	mk_autoreference again = { .host = NULL };
	mk_autoerror err = { .code = MK_OK };

	if (mk_reference_parse(text, &first, &err) < 0) {
		MUST(err.code == MK_EINVALID && err.message);
		return 0;
	}
	MUST(first.host && first.path && (first.tag || first.digest));
	printed = mk_reference_print(&first);
	MUST(mk_reference_parse(printed, &again, &err) == 0);
	MUST(same(first.host, again.host) && same(first.path, again.path));
	MUST(same(first.tag, again.tag) && same(first.digest, again.digest));
	MUST(!first.digest || mk_is_digest(first.digest));
	return 0;
}

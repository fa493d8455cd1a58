/* SPDX-License-Identifier: Apache-2.0 */
/* Sources: what parses has a URL that stands for itself, and a path that stays inside. */
#include "lib/base/str.h"
#include "lib/git/location.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mk_autofree char *text = mk_xstrndup(size > 0 ? (const char *)data : "", size);
	mk_autolocation first = { .folder = NULL };
	mk_autolocation again = { .folder = NULL };
	mk_autoerror err = { .code = MK_OK };

	if (mk_location_parse(text, &first, &err) < 0) {
		MUST(err.code == MK_EUSAGE && err.message);
		return 0;
	}
	MUST(!first.folder != !first.url);
	if (first.folder) {
		MUST(mk_streq(first.folder, text) && !first.ref && !first.path && !first.user);
		return 0;
	}
	MUST(mk_location_parse(first.url, &again, &err) == 0);
	MUST(again.url && mk_streq(again.url, first.url));
	MUST(!again.user && !again.password && !again.ref && !again.path);
	MUST(!first.user == !first.password);
	MUST(!first.ref || (*first.ref && !strpbrk(first.ref, " :*?[\\^~")));
	MUST(!first.path || (*first.path && *first.path != '/'));
	MUST(mk_after_prefix(first.url, "file://") ||
		(mk_location_check_url(first.url, &err) == 0));
	return 0;
}

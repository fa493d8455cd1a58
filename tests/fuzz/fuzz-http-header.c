/* SPDX-License-Identifier: Apache-2.0 */
/* The header lines of an answer; the input's first line is the name looked for. */
#include "lib/http/transfer.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	mk_autofree char *name = NULL;
	mk_autofree char *value = NULL;
	mk_autobuf headers = mk_buf_init(65536);

	if (!end)
		return 0;
	name = mk_xstrndup((const char *)data, (size_t)(end - data));
	mk_buf_add(&headers, end + 1, size - (size_t)(end + 1 - data));
	value = mk_transfer_header(&headers, name);
	if (!value)
		return 0;
	MUST(strcspn(value, "\r\n") == strlen(value));
	MUST(*value != ' ' && *value != '\t');
	MUST(strstr(headers.data, value));
	return 0;
}

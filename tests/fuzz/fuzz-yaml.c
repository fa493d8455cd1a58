/* SPDX-License-Identifier: Apache-2.0 */
/* YAML of any kind: what is read can be printed, and reads back as it was. */
#include "lib/base/limits.h"
#include "lib/base/yaml.h"
#include "tests/fuzz/fuzz.h"

static void print_and_reread(const json_t *value)
{
	mk_autobuf text = mk_buf_init(64 * MK_MIB);
	mk_autoerror err = { .code = MK_OK };
	mk_autojson *again = NULL;

	MUST(mk_yaml_print(value, &text, &err) == 0);
	if (mk_yaml_parse(text.data, text.len, "again", &again, &err) < 0)
		(void)fprintf(stderr, "%s\n---\n%s\n", err.message, text.data);
	MUST(again);
	MUST(json_equal(value, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mk_autojson *documents = NULL;
	mk_autojson *kubectl = NULL;
	MK_CLEANUP(mk_yaml_lines_freep) struct mk_yaml_lines *lines = NULL;
	mk_autoerror err = { .code = MK_OK };
	const char *text = (const char *)data;
	const json_t *value;
	size_t i, line, column;

	if (mk_yaml_parse_all(text, size, "fuzz", &documents, &err) == 0) {
		json_array_foreach (documents, i, value)
			print_and_reread(value);
	}
	if (mk_yaml_parse_kubectl(text, size, "fuzz", &kubectl, &lines, &err) == 0) {
		print_and_reread(kubectl);
		mk_yaml_lines_at(lines, "a[0].b", &line, &column);
	}
	return 0;
}

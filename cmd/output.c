/* SPDX-License-Identifier: Apache-2.0 */
/* How every command prints JSON. */
#include "cmd/command.h"

#include <stdio.h>

const char *const mk_output_choices[] = { "text", "json", NULL };

void mk_print_json(const json_t *value)
{
	mk_autosecret char *text = json_dumps(value, JSON_INDENT(2));

	(void)printf("%s\n", text ? text : "null");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/json.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

int mk_json_parse(
	const char *data, size_t len, const char *what, json_t **ret, struct mk_error *err)
{
	json_error_t at;
	json_t *value = json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);

	if (!value)
		return mk_fail(err, MK_EINVALID, "%s: line %d, column %d: %s", what, at.line,
			at.column, at.text);
	*ret = value;
	return 0;
}

char *mk_json_print(const json_t *value)
{
	char *s = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	return s ? s : mk_xstrdup("null");
}

json_t *mk_json_at(const json_t *value, const char *path)
{
	while (value && *path) {
		size_t n = strcspn(path, ".");

		value = json_object_getn(value, path, n);
		path += n;
		if (*path == '.')
			path++;
	}
	return (json_t *)(uintptr_t)value;
}

const char *mk_json_str(const json_t *value, const char *path, const char *otherwise)
{
	const char *s = json_string_value(mk_json_at(value, path));

	return s ? s : otherwise;
}

long long mk_json_int(const json_t *value, const char *path, long long otherwise)
{
	const json_t *v = mk_json_at(value, path);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

json_t *mk_json_pack(const char *fmt, ...)
{
	json_error_t at;
	json_t *value;
	va_list ap;

	va_start(ap, fmt);
	value = json_vpack_ex(&at, 0, fmt, ap);
	va_end(ap);
	if (!value) {
		(void)fprintf(stderr, "mkcluster: bug: json_pack \"%s\": %s\n", fmt, at.text);
		abort();
	}
	return value;
}

void mk_json_wipe(json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;

	/* jansson has them on the heap, each its own copy. */
	if (json_is_string(value))
		mk_wipe((void *)(uintptr_t)json_string_value(value), json_string_length(value));
	json_array_foreach (value, i, item)
		mk_json_wipe(item);
	json_object_foreach (value, key, item)
		mk_json_wipe(item);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that hold no tables of their own: strings, numbers, words, lists and maps. */
#include "lib/base/decode-internal.h"

#include <inttypes.h>
#include <strings.h>

/* At most 40 bytes of a string, in quotes, whole characters only. Caller frees. */
static char *quote(const char *s)
{
	size_t n = strnlen(s, 40);

	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return mk_xasprintf("'%.*s%s'", (int)n, s, s[n] ? "..." : "");
}

/* "the string 'abc'", "the number 5", "a list": what was found. Caller frees. */
static char *describe(const json_t *value)
{
	mk_autofree char *text = NULL;

	if (json_is_object(value))
		return mk_xstrdup("a map");
	if (json_is_array(value))
		return mk_xstrdup("a list");
	if (json_is_string(value)) {
		text = quote(json_string_value(value));
		return mk_xasprintf("the string %s", text);
	}
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	return mk_xasprintf("%s%s", json_is_number(value) ? "the number " : "", text ? text : "");
}

void mk_decode_mismatch(
	struct mk_decode *d, const char *path, const char *wanted, const json_t *value)
{
	mk_autofree char *found = describe(value);
	bool scalar = json_is_number(value) || json_is_boolean(value);

	mk_decode_problem(d, path, "must be %s, not %s%s", wanted, found,
		scalar && mk_streq(wanted, "a string") ? "; put it in quotes" : "");
}

char *mk_decode_join(const char *path, const char *key)
{
	return mk_xasprintf("%s%s%s", path, *path ? "." : "", key);
}

static size_t choice_count(const char *const *choices)
{
	size_t n = 0;

	while (choices[n])
		n++;
	return n;
}

/* The index of `word`, or a problem and false. */
static bool find_choice(struct mk_decode *d, const struct mk_field *f, const char *path,
	const char *word, unsigned int *ret)
{
	const char *const *choices = f->choices;
	size_t count = choice_count(choices);
	const char *near = count > 1 ? mk_did_you_mean(word, choices, count) : NULL;
	mk_autofree char *found = quote(word);
	mk_autofree char *known = NULL;
	mk_autostrlist list = { .items = NULL };

	for (size_t i = 0; i < count; i++) {
		if (f->any_case ? strcasecmp(word, choices[i]) == 0 : mk_streq(word, choices[i])) {
			*ret = (unsigned int)i;
			return true;
		}
		mk_strlist_add(&list, choices[i]);
	}
	known = mk_strlist_join(&list, ", ");
	mk_decode_problem(d, path, "must be %s%s, not %s%s%s%s", count > 1 ? "one of " : "", known,
		found, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return false;
}

/* The text of a string that its check likes, or a problem and NULL. Borrowed. */
static const char *take_string(
	struct mk_decode *d, const struct mk_field *f, const char *path, const json_t *value)
{
	const char *s = json_string_value(value);
	mk_autoerror why = { .code = MK_OK };

	if (!s) {
		mk_decode_mismatch(d, path, "a string", value);
		return NULL;
	}
	if (strlen(s) != json_string_length(value)) {
		mk_decode_problem(d, path, "holds a NUL character");
		return NULL;
	}
	if (f->check && f->check(s, &why) < 0) {
		mk_decode_problem(d, path, "%s", why.message);
		return NULL;
	}
	return s;
}

static void decode_string(struct mk_decode *d, const struct mk_field *f, const char *path,
	const json_t *value, char **member)
{
	const char *s = take_string(d, f, path, value);
	unsigned int index;

	if (!s || (f->choices && !find_choice(d, f, path, s, &index)))
		return;
	free(*member);
	*member = mk_xstrdup(s);
}

static void decode_choice(struct mk_decode *d, const struct mk_field *f, const char *path,
	const json_t *value, void *member)
{
	const char *s = take_string(d, f, path, value);
	unsigned int index;

	/* The member is an enum of the caller's, which has the size of an int. */
	if (s && find_choice(d, f, path, s, &index))
		memcpy(member, &index, sizeof(index));
}

static void decode_string_list(struct mk_decode *d, const struct mk_field *f, const char *path,
	const json_t *value, struct mk_strlist *member)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(value)) {
		mk_decode_mismatch(d, path, "a list of strings", value);
		return;
	}
	mk_strlist_done(member);
	json_array_foreach (value, i, item) {
		mk_autofree char *at = mk_xasprintf("%s[%zu]", path, i);
		const char *s = take_string(d, f, at, item);

		mk_strlist_add(member, s ? s : "");
	}
}

/* The text of a string or of a number as it is usually written, or a problem and NULL. */
static char *take_scalar(
	struct mk_decode *d, const struct mk_field *f, const char *path, const json_t *value)
{
	mk_autojson *text = NULL;
	mk_autofree char *number = NULL;
	const char *s;

	if (json_is_number(value)) {
		number = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
		text = json_string(number);
	} else {
		text = json_incref((json_t *)(uintptr_t)value);
	}
	s = take_string(d, f, path, text);
	return s ? mk_xstrdup(s) : NULL;
}

static void decode_scalar(struct mk_decode *d, const struct mk_field *f, const char *path,
	const json_t *value, char **member)
{
	char *s = take_scalar(d, f, path, value);

	if (!s)
		return;
	free(*member);
	*member = s;
}

void mk_decode_put_json(json_t **member, json_t *value)
{
	json_decref(*member);
	*member = value;
}

/*
 * What a value of a map becomes, or a problem and NULL. In a map of scalars a
 * number with a point must be quoted: 1.10 would arrive as 1.1.
 */
static json_t *take_item(
	struct mk_decode *d, const struct mk_field *f, const char *path, json_t *item)
{
	mk_autofree char *text = NULL;
	mk_autojson *made = NULL;

	if (f->kind == MK_FIELD_BOOL_MAP) {
		if (json_is_boolean(item))
			return json_incref(item);
		mk_decode_mismatch(d, path, "true or false", item);
		return NULL;
	}
	if (f->kind == MK_FIELD_SCALAR_MAP && (json_is_boolean(item) || json_is_integer(item))) {
		text = mk_json_print(item);
		made = json_string(text);
		item = made;
	}
	return take_string(d, f, path, item) ? json_incref(item) : NULL;
}

static bool is_good_key(
	struct mk_decode *d, const struct mk_field *f, const char *path, const char *key)
{
	mk_autoerror why = { .code = MK_OK };

	if (!f->check_key || f->check_key(key, &why) == 0)
		return true;
	mk_decode_problem(d, path, "%s", why.message);
	return false;
}

static void decode_map(struct mk_decode *d, const struct mk_field *f, const char *path,
	json_t *value, json_t **member)
{
	mk_autojson *map = json_object();
	const char *wanted = f->kind == MK_FIELD_BOOL_MAP ? "a map of true and false"
							  : "a map of strings";
	bool good = true;
	const char *key;
	json_t *item;

	if (!json_is_object(value)) {
		mk_decode_mismatch(d, path, wanted, value);
		return;
	}
	json_object_foreach (value, key, item) {
		mk_autofree char *at = mk_decode_join(path, key);
		json_t *taken = is_good_key(d, f, at, key) ? take_item(d, f, at, item) : NULL;

		good = taken && good;
		if (taken)
			(void)json_object_set_new(map, key, taken);
	}
	if (good)
		mk_decode_put_json(member, MK_TAKE(map));
}

static void decode_int(struct mk_decode *d, const struct mk_field *f, const char *path,
	const json_t *value, int64_t *member)
{
	mk_autofree char *wanted = mk_xasprintf(
		"a whole number from %" PRId64 " to %" PRId64, f->min, f->max);
	json_int_t n = json_integer_value(value);

	if (json_is_integer(value) && n >= f->min && n <= f->max)
		*member = n;
	else
		mk_decode_mismatch(d, path, wanted, value);
}

static void decode_bool(struct mk_decode *d, const char *path, const json_t *value, bool *member)
{
	if (json_is_boolean(value))
		*member = json_is_true(value);
	else
		mk_decode_mismatch(d, path, "true or false", value);
}

void mk_decode_value(struct mk_decode *d, const struct mk_field *f, const char *path, json_t *value,
	void *member)
{
	switch (f->kind) {
	case MK_FIELD_STRING:
		decode_string(d, f, path, value, member);
		break;
	case MK_FIELD_SCALAR:
		decode_scalar(d, f, path, value, member);
		break;
	case MK_FIELD_BOOL:
		decode_bool(d, path, value, member);
		break;
	case MK_FIELD_INT:
		decode_int(d, f, path, value, member);
		break;
	case MK_FIELD_CHOICE:
		decode_choice(d, f, path, value, member);
		break;
	case MK_FIELD_STRING_LIST:
		decode_string_list(d, f, path, value, member);
		break;
	case MK_FIELD_STRING_MAP:
	case MK_FIELD_BOOL_MAP:
	case MK_FIELD_SCALAR_MAP:
		decode_map(d, f, path, value, member);
		break;
	case MK_FIELD_JSON:
	case MK_FIELD_OBJECT:
	case MK_FIELD_OBJECT_LIST:
	case MK_FIELD_REFUSED:
		break;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The server's words about an object it refused, made fit for people, and safe. */
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/kube/target.h"

#define CONFLICT "FieldManagerConflict"

/* Whether `text` repeats a value, as it is or as JSON writes it. */
static bool repeats(const char *text, const char *value)
{
	mk_autojson *string = json_string(value);
	mk_autosecret char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;

	if (!*value)
		return false;
	if (strstr(text, value))
		return true;
	if (!quoted || strlen(quoted) < 3)
		return false;
	quoted[strlen(quoted) - 1] = '\0';
	return strstr(text, quoted + 1) != NULL;
}

static bool repeats_decoded(const char *text, const char *value)
{
	mk_autowipebuf plain = mk_buf_init(MK_MAX_MANIFEST);
	mk_autoerror ignored = { .code = MK_OK };

	return mk_base64_decode(value, &plain, &ignored) == 0 && repeats(text, plain.data);
}

static bool repeats_any(const char *text, const json_t *value)
{
	const char *s = json_string_value(value);
	mk_autosecret char *number = NULL;

	if (s)
		return repeats(text, s) || repeats_decoded(text, s);
	if (json_is_null(value))
		return false;
	/* A number or a list, where a string belongs: the server shows what it was. */
	number = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	return number && strstr(text, number);
}

/* Whether the words give away what is in a Secret. */
static bool is_telling(const json_t *object, const char *text)
{
	static const char *const keys[] = { "data", "stringData" };
	const char *key;
	json_t *value;

	if (!mk_streq(mk_json_str(object, "kind", ""), "Secret"))
		return false;
	for (size_t i = 0; i < MK_ARRAY_LEN(keys); i++) {
		json_object_foreach (json_object_get(object, keys[i]), key, value) {
			if (repeats_any(text, value))
				return true;
		}
	}
	return false;
}

static const json_t *causes_of(const json_t *status)
{
	return mk_json_at(status, "details.causes");
}

static bool is_conflict(const json_t *status)
{
	const json_t *first = json_array_get(causes_of(status), 0);

	return mk_json_int(status, "code", 0) == 409 &&
		mk_streq(mk_json_str(first, "reason", ""), CONFLICT);
}

bool mk_target_in_conflict(const struct mk_http_response *response)
{
	mk_autojson *status = json_loadb(response->body.data, response->body.len, 0, NULL);

	return response->status == 409 && is_conflict(status);
}

/* "conflict with "kubectl" using apps/v1": who it is, in quotes of ours. */
static char *conflict_text(const json_t *status)
{
	mk_autobuf text = mk_buf_init(8192);
	const json_t *cause;
	size_t i;

	json_array_foreach (causes_of(status), i, cause) {
		const char *message = mk_json_str(cause, "message", "");
		const char *who = mk_after_prefix(message, "conflict with ");

		if (i >= 10) {
			mk_buf_addf(
				&text, ", and %zu more", json_array_size(causes_of(status)) - i);
			break;
		}
		mk_buf_addf(&text, "%s%s belongs to %s", i > 0 ? ", " : "",
			mk_json_str(cause, "field", "?"), who ? who : message);
	}
	return mk_buf_detach(&text);
}

char *mk_target_refusal(const struct mk_target *target, const struct mk_http_response *response)
{
	mk_autojson *status = json_loadb(response->body.data, response->body.len, 0, NULL);
	const char *words = mk_json_str(status, "message", NULL);
	mk_autofree char *text = NULL;

	if (is_conflict(status))
		return conflict_text(status);
	text = mk_xasprintf("%ld: %.1000s", response->status,
		words                         ? words
			: response->body.data ? response->body.data
					      : "");
	if (is_telling(target->object, text))
		return mk_xasprintf("%ld: the server's words are left out, for they repeat what is "
				    "in the Secret",
			response->status);
	return MK_TAKE(text);
}

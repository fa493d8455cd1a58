/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes, Content-Range, validators, Retry-After (RFC 9110). */
#include "lib/fetch/answer.h"

#define MAX_RETRY_AFTER_S 86400

void mk_answer_done(struct mk_answer *answer)
{
	free(answer->validator);
	*answer = (struct mk_answer){ .total = 0 };
}

static const char *reason_of(long status)
{
	static const struct {
		long status;
		const char *reason;
	} reasons[] = {
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 407, "Proxy Authentication Required" },
		{ 408, "Request Timeout" },
		{ 410, "Gone" },
		{ 429, "Too Many Requests" },
		{ 451, "Unavailable For Legal Reasons" },
		{ 500, "Internal Server Error" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < MK_ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "is not an answer to a download";
}

int mk_answer_fail(long status, struct mk_error *err)
{
	enum mk_code code = status == 404 || status == 410 ? MK_ENOTFOUND : MK_EREMOTE;

	(void)mk_fail(err, code, "%ld %s", status, reason_of(status));
	err->status = (int)status;
	return -(int)code;
}

bool mk_answer_retryable(const struct mk_error *err)
{
	if (err->code == MK_ENET || err->code == MK_ETIMEOUT)
		return true;
	return err->code == MK_EREMOTE &&
		(err->status == 408 || err->status == 429 || err->status >= 500);
}

static uint64_t number_header(const struct mk_http_stream *stream, const char *name, uint64_t max)
{
	mk_autofree char *value = mk_http_stream_header(stream, name);
	uint64_t n = 0;

	if (value && !mk_parse_uint(value, 0, max, &n))
		n = 0;
	return n;
}

/* A weak ETag says nothing about bytes, so If-Range must not use it. */
static char *validator_of(const struct mk_http_stream *stream)
{
	mk_autofree char *tag = mk_http_stream_header(stream, "ETag");

	if (tag && tag[0] == '"')
		return MK_TAKE(tag);
	return mk_http_stream_header(stream, "Last-Modified");
}

/* "bytes 100-199/200" or "bytes STAR/200"; what is not told stays 0. */
static bool read_range(
	const struct mk_http_stream *stream, uint64_t *ret_first, uint64_t *ret_total)
{
	mk_autofree char *value = mk_http_stream_header(stream, "Content-Range");
	const char *range = value ? mk_after_prefix(value, "bytes ") : NULL;
	mk_autostrlist parts = { .items = NULL };

	*ret_first = 0;
	*ret_total = 0;
	if (!range)
		return false;
	mk_strlist_split(&parts, range, "-/");
	if (parts.count < 2)
		return false;
	(void)mk_parse_uint(parts.items[parts.count - 1], 0, UINT64_MAX, ret_total);
	return mk_streq(parts.items[0], "*") ||
		mk_parse_uint(parts.items[0], 0, UINT64_MAX, ret_first);
}

static void read_partial(
	const struct mk_http_stream *stream, uint64_t asked, struct mk_answer *answer)
{
	uint64_t first;

	answer->kind = MK_ANSWER_REST;
	if (!read_range(stream, &first, &answer->total) || first != asked)
		answer->kind = MK_ANSWER_RESTART;
}

static void read_unsatisfiable(
	const struct mk_http_stream *stream, uint64_t asked, struct mk_answer *answer)
{
	uint64_t first;

	/* A run that ended just before the rename left a part with nothing missing. */
	answer->kind = MK_ANSWER_RESTART;
	if (read_range(stream, &first, &answer->total) && answer->total == asked)
		answer->kind = MK_ANSWER_COMPLETE;
}

int mk_answer_read(const struct mk_http_stream *stream, uint64_t asked, struct mk_answer *ret,
	struct mk_error *err)
{
	long status = mk_http_stream_status(stream);

	ret->validator = validator_of(stream);
	ret->retry_after_ms = (int64_t)number_header(stream, "Retry-After", MAX_RETRY_AFTER_S) *
		1000;
	if (status == 200) {
		ret->kind = MK_ANSWER_WHOLE;
		ret->total = number_header(stream, "Content-Length", INT64_MAX);
		return 0;
	}
	if (status == 206 && asked > 0) {
		read_partial(stream, asked, ret);
		return 0;
	}
	if (status == 416 && asked > 0) {
		read_unsatisfiable(stream, asked, ret);
		return 0;
	}
	return mk_answer_fail(status, err);
}

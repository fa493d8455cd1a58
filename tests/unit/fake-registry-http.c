/* SPDX-License-Identifier: Apache-2.0 */
/* Requests with known lengths or chunks, answers with known lengths. */
#include "tests/unit/fake-registry-http.h"

#include "lib/base/str.h"

#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>

void fake_answer(
	int fd, const char *method, int status, const char *headers, const char *body, size_t len)
{
	mk_autofree char *head = mk_xasprintf(
		"HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", status, headers, len);

	(void)!send(fd, head, strlen(head), MSG_NOSIGNAL);
	if (len > 0 && !mk_streq(method, "HEAD"))
		(void)!send(fd, body, len, MSG_NOSIGNAL);
}

void fake_answer_error(int fd, const char *method, int status, const char *code)
{
	mk_autofree char *body = mk_xasprintf(
		"{\"errors\":[{\"code\":\"%s\",\"message\":\"the fake says no\"}]}", code);

	fake_answer(fd, method, status, "Content-Type: application/json\r\n", body, strlen(body));
}

char *fake_query_value(const struct fake_request *request, const char *name)
{
	const char *at = request->query ? strstr(request->query, name) : NULL;

	if (!at)
		return NULL;
	at += strlen(name);
	return mk_xstrndup(at, strcspn(at, "&"));
}

static bool more(struct fake_connection *connection)
{
	char chunk[16384];
	ssize_t n = recv(connection->fd, chunk, sizeof(chunk), 0);

	if (n <= 0)
		return false;
	mk_buf_add(&connection->in, chunk, (size_t)n);
	return true;
}

static bool take(struct fake_connection *connection, size_t len, struct mk_buf *to)
{
	while (connection->in.len < len) {
		if (!more(connection))
			return false;
	}
	if (to)
		mk_buf_add(to, connection->in.data, len);
	mk_buf_drop(&connection->in, len);
	return true;
}

static bool take_chunks(struct fake_connection *connection, struct mk_buf *to)
{
	for (;;) {
		const char *end;
		unsigned int len;

		while (!(end = strstr(connection->in.data, "\r\n"))) {
			if (!more(connection))
				return false;
		}
		if (sscanf(connection->in.data, "%x", &len) != 1)
			return false;
		mk_buf_drop(&connection->in, (size_t)(end - connection->in.data) + 2);
		if (!take(connection, len, to) || !take(connection, 2, NULL))
			return false;
		if (len == 0)
			return true;
	}
}

static const char *header(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);

	return at ? at + strlen(name) : NULL;
}

bool fake_read_request(struct fake_connection *connection, struct fake_request *request)
{
	mk_autobuf head = mk_buf_init(65536);
	const char *end;
	const char *value;

	while (!(end = strstr(connection->in.data, "\r\n\r\n"))) {
		if (!more(connection))
			return false;
	}
	if (!take(connection, (size_t)(end - connection->in.data) + 4, &head))
		return false;
	if (sscanf(head.data, "%15s %4095s", request->method, request->path) != 2)
		return false;
	request->query = strchr(request->path, '?');
	if (request->query)
		*request->query++ = '\0';
	value = header(head.data, "\r\nContent-Type: ");
	if (value)
		(void)sscanf(value, "%255[^\r]", request->type);
	if (header(head.data, "\r\nTransfer-Encoding: chunked"))
		return take_chunks(connection, &request->body);
	value = header(head.data, "\r\nContent-Length: ");
	return !value || take(connection, (size_t)strtoull(value, NULL, 10), &request->body);
}

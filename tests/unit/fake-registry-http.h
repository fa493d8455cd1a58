/* SPDX-License-Identifier: Apache-2.0 */
/* The little HTTP that the fake registry speaks. */
#ifndef MK_TESTS_FAKE_REGISTRY_HTTP_H
#define MK_TESTS_FAKE_REGISTRY_HTTP_H

#include "lib/base/buf.h"

struct fake_request {
	char method[16];
	char path[4096];
	char *query;
	char type[256];
	struct mk_buf body;
};

struct fake_connection {
	int fd;
	struct mk_buf in;
};

/** Read the next request with its body; false when the peer is gone. */
bool fake_read_request(struct fake_connection *connection, struct fake_request *request);

/** The value after `name` ("digest=") in the query, or NULL. Caller frees. */
char *fake_query_value(const struct fake_request *request, const char *name);

/** Send an answer; a HEAD's has no body. `headers` are whole lines. */
void fake_answer(
	int fd, const char *method, int status, const char *headers, const char *body, size_t len);

/** Send an error as a registry does. */
void fake_answer_error(int fd, const char *method, int status, const char *code);

#endif

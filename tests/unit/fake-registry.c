/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection at a time would do for the client under test, but libcurl
 * opens a second one after a cut request; so each gets a thread, and one lock
 * guards everything.
 */
#include "tests/unit/fake-registry.h"

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/str.h"
#include "lib/registry/digest.h"
#include "tests/unit/fake-registry-http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_ITEMS 512
#define MAX_CONNECTIONS 256

struct item {
	char *repository;
	char *key; /* a digest, a tag, or a session's id */
	char *type;
	struct mk_buf data;
	int offset_token; /* sessions: what the next request must carry */
};

struct table {
	struct item items[MAX_ITEMS];
	size_t count;
};

struct worker {
	struct fake_registry *fake;
	pthread_t thread;
	int fd;
};

struct fake_registry {
	pthread_mutex_t lock;
	pthread_t acceptor;
	struct worker workers[MAX_CONNECTIONS];
	size_t worker_count;
	int listener;
	char *url;
	struct table blobs, manifests, sessions;
	struct mk_strlist methods;
	int fail_in;
	int next_session;
	bool spoil;
};

static struct item *find(struct table *table, const char *repository, const char *key)
{
	for (size_t i = 0; i < table->count; i++) {
		if (mk_streq(table->items[i].key, key) &&
			(!repository || mk_streq(table->items[i].repository, repository)))
			return &table->items[i];
	}
	return NULL;
}

static struct item *put(struct table *table, const char *repository, const char *key)
{
	struct item *item = find(table, repository, key);

	if (!item) {
		if (table->count == MAX_ITEMS)
			abort();
		item = &table->items[table->count++];
		item->repository = mk_xstrdup(repository);
		item->key = mk_xstrdup(key);
		item->data = mk_buf_init((size_t)1 << 30);
	}
	return item;
}

static void drop(struct table *table, struct item *item)
{
	free(item->repository);
	free(item->key);
	free(item->type);
	mk_buf_done(&item->data);
	*item = table->items[--table->count];
}

/* Absolute and relative by turns, with a host that must be ignored. */
static void answer_session(
	int fd, const struct fake_request *request, struct item *session, int status)
{
	mk_autofree char *headers = NULL;

	session->offset_token++;
	headers = mk_xasprintf("Location: %s/v2/%s/blobs/uploads/%s?_state=%d\r\n",
		session->offset_token % 2 ? "http://elsewhere.invalid:1" : "", session->repository,
		session->key, session->offset_token);
	fake_answer(fd, request->method, status, headers, "", 0);
}

static void begin(struct fake_registry *fake, int fd, const struct fake_request *request,
	const char *repository)
{
	mk_autofree char *mount = fake_query_value(request, "mount=");
	mk_autofree char *from = fake_query_value(request, "from=");
	mk_autofree char *id = mk_xasprintf("s%d", ++fake->next_session);
	struct item *blob = mount ? find(&fake->blobs, from, mount) : NULL;

	if (blob) {
		struct item *copy = put(&fake->blobs, repository, mount);

		blob = find(&fake->blobs, from, mount);
		mk_buf_clear(&copy->data);
		mk_buf_add(&copy->data, blob->data.data, blob->data.len);
		fake_answer(fd, request->method, 201, "", "", 0);
		return;
	}
	answer_session(fd, request, put(&fake->sessions, repository, id), 202);
}

static void finish(struct fake_registry *fake, int fd, const struct fake_request *request,
	struct item *session)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autofree char *digest = fake_query_value(request, "digest=");
	mk_autofree char *hex = NULL;
	mk_autofree char *actual = NULL;
	struct item *blob;

	mk_buf_add(&session->data, request->body.data, request->body.len);
	if (mk_digest_data(session->data.data, session->data.len, &hex, &err) < 0)
		abort();
	actual = mk_xasprintf("sha256:%s", hex);
	if (!digest || !mk_streq(digest, actual)) {
		fake_answer_error(fd, request->method, 400, "DIGEST_INVALID");
		return;
	}
	blob = put(&fake->blobs, session->repository, digest);
	mk_buf_clear(&blob->data);
	mk_buf_add(&blob->data, session->data.data, session->data.len);
	drop(&fake->sessions, session);
	fake_answer(fd, request->method, 201, "", "", 0);
}

static void in_session(struct fake_registry *fake, int fd, const struct fake_request *request,
	const char *repository, const char *id)
{
	struct item *session = find(&fake->sessions, repository, id);
	mk_autofree char *state = fake_query_value(request, "_state=");

	if (!session || !state) {
		fake_answer_error(fd, request->method, 404, "BLOB_UPLOAD_UNKNOWN");
	} else if (strtoll(state, NULL, 10) != session->offset_token) {
		fake_answer_error(fd, request->method, 416, "RANGE_INVALID");
	} else if (mk_streq(request->method, "PATCH")) {
		mk_buf_add(&session->data, request->body.data, request->body.len);
		answer_session(fd, request, session, 202);
	} else if (mk_streq(request->method, "PUT")) {
		finish(fake, fd, request, session);
	} else {
		drop(&fake->sessions, session);
		fake_answer(fd, request->method, 204, "", "", 0);
	}
}

static bool has_all_blobs(
	struct fake_registry *fake, const char *repository, const json_t *manifest)
{
	const json_t *layers = json_object_get(manifest, "layers");

	if (!find(&fake->blobs, repository, mk_json_str(manifest, "config.digest", "")))
		return false;
	for (size_t i = 0; i < json_array_size(layers); i++) {
		const json_t *layer = json_array_get(layers, i);

		if (!find(&fake->blobs, repository, mk_json_str(layer, "digest", "")))
			return false;
	}
	return true;
}

static void put_manifest(struct fake_registry *fake, int fd, const struct fake_request *request,
	const char *repository, const char *tag)
{
	mk_autoerror err = { .code = MK_OK };
	mk_autojson *json = NULL;
	struct item *item;

	if (mk_json_parse(request->body.data, request->body.len, "manifest", &json, &err) < 0) {
		fake_answer_error(fd, request->method, 400, "MANIFEST_INVALID");
		return;
	}
	if (!has_all_blobs(fake, repository, json)) {
		fake_answer_error(fd, request->method, 404, "MANIFEST_BLOB_UNKNOWN");
		return;
	}
	item = put(&fake->manifests, repository, tag);
	mk_buf_clear(&item->data);
	mk_buf_add(&item->data, request->body.data, request->body.len);
	free(item->type);
	item->type = mk_xstrdup(request->type);
	fake_answer(fd, request->method, 201, "", "", 0);
}

static void give(struct fake_registry *fake, int fd, const struct fake_request *request,
	const struct item *item)
{
	mk_autofree char *headers = NULL;

	if (!item) {
		fake_answer_error(fd, request->method, 404, "UNKNOWN");
		return;
	}
	headers = mk_xasprintf(
		"Content-Type: %s\r\n", item->type ? item->type : "application/octet-stream");
	fake_answer(fd, request->method, 200, headers, fake->spoil ? "{}" : item->data.data,
		fake->spoil ? 2 : item->data.len);
}

/* What follows `part` in the path, which is cut off there; or NULL. */
static char *cut(char *path, const char *part)
{
	char *at = strstr(path, part);

	if (!at)
		return NULL;
	*at = '\0';
	return at + strlen(part);
}

static void handle(struct fake_registry *fake, int fd, struct fake_request *request)
{
	char *repository = request->path + 4;
	char *rest;

	mk_strlist_add(&fake->methods, request->method);
	if (fake->fail_in > 0 && --fake->fail_in == 0)
		fake_answer_error(fd, request->method, 500, "UNKNOWN");
	else if ((rest = cut(request->path, "/blobs/uploads/")) && *rest == '\0')
		begin(fake, fd, request, repository);
	else if (rest)
		in_session(fake, fd, request, repository, rest);
	else if ((rest = cut(request->path, "/blobs/")))
		give(fake, fd, request, find(&fake->blobs, repository, rest));
	else if (!(rest = cut(request->path, "/manifests/")))
		fake_answer_error(fd, request->method, 404, "UNKNOWN");
	else if (mk_streq(request->method, "PUT"))
		put_manifest(fake, fd, request, repository, rest);
	else
		give(fake, fd, request, find(&fake->manifests, repository, rest));
}

static void *serve(void *payload)
{
	struct worker *worker = payload;
	struct fake_connection connection = { .fd = worker->fd,
		.in = mk_buf_init((size_t)1 << 30) };
	bool alive = true;

	while (alive) {
		struct fake_request request = { .body = mk_buf_init((size_t)1 << 30) };

		alive = fake_read_request(&connection, &request);
		if (alive) {
			(void)pthread_mutex_lock(&worker->fake->lock);
			handle(worker->fake, worker->fd, &request);
			(void)pthread_mutex_unlock(&worker->fake->lock);
		}
		mk_buf_done(&request.body);
	}
	(void)shutdown(worker->fd, SHUT_RDWR);
	mk_buf_done(&connection.in);
	return NULL;
}

static void *accept_all(void *payload)
{
	struct fake_registry *fake = payload;

	for (;;) {
		struct worker *worker = &fake->workers[fake->worker_count];
		int fd = accept(fake->listener, NULL, NULL);

		if (fd < 0 || fake->worker_count == MAX_CONNECTIONS - 1)
			return NULL;
		*worker = (struct worker){ .fake = fake, .fd = fd };
		if (pthread_create(&worker->thread, NULL, serve, worker) != 0)
			abort();
		fake->worker_count++;
	}
}

struct fake_registry *fake_registry_start(void)
{
	struct fake_registry *fake = mk_xcalloc(1, sizeof(*fake));
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	(void)pthread_mutex_init(&fake->lock, NULL);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fake->listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fake->listener, 16) < 0 ||
		getsockname(fake->listener, (struct sockaddr *)&address, &len) < 0)
		abort();
	fake->url = mk_xasprintf("http://127.0.0.1:%u", (unsigned int)ntohs(address.sin_port));
	if (pthread_create(&fake->acceptor, NULL, accept_all, fake) != 0)
		abort();
	return fake;
}

static void drop_table(struct table *table)
{
	while (table->count > 0)
		drop(table, &table->items[0]);
}

void fake_registry_stop(struct fake_registry *fake)
{
	(void)shutdown(fake->listener, SHUT_RDWR);
	(void)pthread_join(fake->acceptor, NULL);
	(void)close(fake->listener);
	for (size_t i = 0; i < fake->worker_count; i++) {
		(void)shutdown(fake->workers[i].fd, SHUT_RDWR);
		(void)pthread_join(fake->workers[i].thread, NULL);
		(void)close(fake->workers[i].fd);
	}
	drop_table(&fake->blobs);
	drop_table(&fake->manifests);
	drop_table(&fake->sessions);
	mk_strlist_done(&fake->methods);
	free(fake->url);
	(void)pthread_mutex_destroy(&fake->lock);
	free(fake);
}

const char *fake_registry_url(const struct fake_registry *fake)
{
	return fake->url;
}

void fake_registry_fail(struct fake_registry *fake, int n)
{
	(void)pthread_mutex_lock(&fake->lock);
	fake->fail_in = n;
	(void)pthread_mutex_unlock(&fake->lock);
}

int fake_registry_count(struct fake_registry *fake, const char *method)
{
	int count = 0;

	(void)pthread_mutex_lock(&fake->lock);
	for (size_t i = 0; i < fake->methods.count; i++)
		count += mk_streq(fake->methods.items[i], method);
	(void)pthread_mutex_unlock(&fake->lock);
	return count;
}

static int locked_count(struct fake_registry *fake, const struct table *table)
{
	int count;

	(void)pthread_mutex_lock(&fake->lock);
	count = (int)table->count;
	(void)pthread_mutex_unlock(&fake->lock);
	return count;
}

int fake_registry_sessions(struct fake_registry *fake)
{
	return locked_count(fake, &fake->sessions);
}

int fake_registry_manifests(struct fake_registry *fake)
{
	return locked_count(fake, &fake->manifests);
}

bool fake_registry_has_blob(struct fake_registry *fake, const char *repository, const char *digest)
{
	bool has;

	(void)pthread_mutex_lock(&fake->lock);
	has = find(&fake->blobs, repository, digest) != NULL;
	(void)pthread_mutex_unlock(&fake->lock);
	return has;
}

const char *fake_registry_manifest(
	struct fake_registry *fake, const char *repository, const char *tag)
{
	const struct item *item;

	(void)pthread_mutex_lock(&fake->lock);
	item = find(&fake->manifests, repository, tag);
	(void)pthread_mutex_unlock(&fake->lock);
	return item ? item->data.data : NULL;
}

void fake_registry_spoil(struct fake_registry *fake, bool on)
{
	(void)pthread_mutex_lock(&fake->lock);
	fake->spoil = on;
	(void)pthread_mutex_unlock(&fake->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The scripted server: an accepting thread, and one thread a connection. */
#include "tests/unit/fake-http.h"

#include "lib/base/buf.h"
#include "lib/base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_REQUESTS 256

struct fake_http {
	struct fake_route *routes;
	size_t count;
	int fd;
	int port;
	pthread_t acceptor;
	pthread_mutex_t mutex; /* over all that follows */
	bool stop;
	int active;
	int peak;
	size_t *hits; /* of each route */
	pthread_t threads[MAX_REQUESTS];
	size_t thread_count;
	char *requests[MAX_REQUESTS];
	size_t request_count;
};

struct connection {
	struct fake_http *http;
	int fd;
};

static bool stopping(struct fake_http *http)
{
	bool stop;

	(void)pthread_mutex_lock(&http->mutex);
	stop = http->stop;
	(void)pthread_mutex_unlock(&http->mutex);
	return stop;
}

static void wait_ms(struct fake_http *http, int ms)
{
	struct timespec step = { .tv_nsec = 5000000 };

	for (int waited = 0; waited < ms && !stopping(http); waited += 5)
		(void)nanosleep(&step, NULL);
}

static bool read_request(struct connection *c, struct mk_buf *request)
{
	while (!strstr(request->data, "\r\n\r\n") && !stopping(c->http)) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		char chunk[2048];
		ssize_t n;

		if (poll(&p, 1, 20) == 0)
			continue;
		n = recv(c->fd, chunk, sizeof(chunk), 0);
		if (n <= 0)
			return false;
		mk_buf_add(request, chunk, (size_t)n);
	}
	return !stopping(c->http);
}

static bool is_for(const char *request, const char *path)
{
	const char *target = strchr(request, ' ');
	size_t n = strlen(path);

	return target && strncmp(target + 1, path, n) == 0 && target[1 + n] == ' ';
}

/* Log the request and take the reply that the script has for it. */
static bool choose(struct fake_http *http, const char *request, struct fake_reply *ret)
{
	bool found = false;

	(void)pthread_mutex_lock(&http->mutex);
	if (http->request_count < MAX_REQUESTS)
		http->requests[http->request_count++] = mk_xstrdup(request);
	for (size_t i = 0; i < http->count && !found; i++) {
		const struct fake_route *route = &http->routes[i];
		size_t n;

		if (!is_for(request, route->path))
			continue;
		n = http->hits[i]++;
		*ret = route->replies[n < route->count ? n : route->count - 1];
		found = true;
	}
	(void)pthread_mutex_unlock(&http->mutex);
	return found;
}

static char *header_of(const char *request, const char *name)
{
	mk_autofree char *start = mk_xasprintf("\r\n%s: ", name);
	const char *line = strstr(request, start);

	if (!line)
		return NULL;
	line += strlen(start);
	return mk_xstrndup(line, strcspn(line, "\r"));
}

/* The first byte to send, and the status that goes with it. */
static size_t apply_range(const struct fake_reply *reply, const char *request, int *ret_status)
{
	mk_autofree char *range = header_of(request, "Range");
	mk_autofree char *condition = header_of(request, "If-Range");
	const char *digits = range ? mk_after_prefix(range, "bytes=") : NULL;
	mk_autofree char *number = digits ? mk_xstrndup(digits, strcspn(digits, "-")) : NULL;
	uint64_t first = 0;

	if (!reply->ranges || !number || !mk_parse_uint(number, 0, UINT64_MAX, &first))
		return 0;
	if (condition && (!reply->etag || !mk_streq(condition, reply->etag)))
		return 0;
	*ret_status = first < reply->len ? 206 : 416;
	return first < reply->len ? (size_t)first : reply->len;
}

static bool send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static void answer(struct connection *c, const struct fake_reply *reply, const char *request)
{
	mk_autobuf head = mk_buf_init(65536);
	int status = reply->status ? reply->status : 200;
	size_t first = apply_range(reply, request, &status);
	size_t len = reply->len - first;

	wait_ms(c->http, reply->delay_ms);
	mk_buf_addf(&head, "HTTP/1.1 %d Scripted\r\nConnection: close\r\n", status);
	if (!reply->no_length)
		mk_buf_addf(&head, "Content-Length: %zu\r\n", len);
	if (reply->etag)
		mk_buf_addf(&head, "ETag: %s\r\n", reply->etag);
	if (status == 206)
		mk_buf_addf(&head, "Content-Range: bytes %zu-%zu/%zu\r\n", first, reply->len - 1,
			reply->len);
	if (status == 416)
		mk_buf_addf(&head, "Content-Range: bytes */%zu\r\n", reply->len);
	mk_buf_addf(&head, "%s\r\n", reply->headers ? reply->headers : "");
	if (!send_all(c->fd, head.data, head.len) || strncmp(request, "HEAD ", 5) == 0)
		return;
	if (reply->stop_after > 0 && reply->stop_after < len) {
		(void)send_all(c->fd, reply->body + first, reply->stop_after);
		wait_ms(c->http, reply->hold_ms);
		return;
	}
	if (len > 0)
		(void)send_all(c->fd, reply->body + first, len);
}

static void count_active(struct fake_http *http, int change)
{
	(void)pthread_mutex_lock(&http->mutex);
	http->active += change;
	if (http->active > http->peak)
		http->peak = http->active;
	(void)pthread_mutex_unlock(&http->mutex);
}

static void *serve(void *payload)
{
	static const struct fake_reply unknown = { .status = 404 };
	struct connection *c = payload;
	mk_autobuf request = mk_buf_init(65536);
	struct fake_reply reply;

	count_active(c->http, 1);
	if (read_request(c, &request))
		answer(c, choose(c->http, request.data, &reply) ? &reply : &unknown, request.data);
	count_active(c->http, -1);
	(void)shutdown(c->fd, SHUT_RDWR);
	(void)close(c->fd);
	free(c);
	return NULL;
}

static void *accept_all(void *payload)
{
	struct fake_http *http = payload;

	while (!stopping(http) && http->thread_count < MAX_REQUESTS) {
		struct pollfd p = { .fd = http->fd, .events = POLLIN };
		struct connection *c;
		int fd;

		if (poll(&p, 1, 10) <= 0)
			continue;
		fd = accept(http->fd, NULL, NULL);
		if (fd < 0)
			continue;
		c = mk_xcalloc(1, sizeof(*c));
		*c = (struct connection){ .http = http, .fd = fd };
		if (pthread_create(&http->threads[http->thread_count], NULL, serve, c) != 0)
			abort();
		http->thread_count++;
	}
	return NULL;
}

struct fake_http *fake_http_start(const struct fake_route *routes, size_t count)
{
	struct fake_http *http = mk_xcalloc(1, sizeof(*http));
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	http->routes = mk_xcalloc(count + 1, sizeof(*routes));
	if (count > 0)
		memcpy(http->routes, routes, count * sizeof(*routes));
	http->count = count;
	http->hits = mk_xcalloc(count + 1, sizeof(size_t));
	(void)pthread_mutex_init(&http->mutex, NULL);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	http->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (http->fd < 0 || bind(http->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(http->fd, 64) < 0 ||
		getsockname(http->fd, (struct sockaddr *)&address, &len) < 0 ||
		pthread_create(&http->acceptor, NULL, accept_all, http) != 0) {
		perror("fake-http");
		abort();
	}
	http->port = ntohs(address.sin_port);
	return http;
}

void fake_http_stop(struct fake_http *http)
{
	(void)pthread_mutex_lock(&http->mutex);
	http->stop = true;
	(void)pthread_mutex_unlock(&http->mutex);
	(void)pthread_join(http->acceptor, NULL);
	for (size_t i = 0; i < http->thread_count; i++)
		(void)pthread_join(http->threads[i], NULL);
	for (size_t i = 0; i < http->request_count; i++)
		free(http->requests[i]);
	(void)close(http->fd);
	(void)pthread_mutex_destroy(&http->mutex);
	free(http->routes);
	free(http->hits);
	free(http);
}

char *fake_http_url(const struct fake_http *http, const char *path)
{
	return mk_xasprintf("http://127.0.0.1:%d%s", http->port, path);
}

const char *fake_http_request(struct fake_http *http, const char *path, size_t n)
{
	const char *found = NULL;

	(void)pthread_mutex_lock(&http->mutex);
	for (size_t i = 0; i < http->request_count && !found; i++) {
		if (path && !is_for(http->requests[i], path))
			continue;
		if (n-- == 0)
			found = http->requests[i];
	}
	(void)pthread_mutex_unlock(&http->mutex);
	return found;
}

size_t fake_http_hits(struct fake_http *http, const char *path)
{
	size_t n = 0;

	while (fake_http_request(http, path, n))
		n++;
	return n;
}

int fake_http_peak(struct fake_http *http)
{
	int peak;

	(void)pthread_mutex_lock(&http->mutex);
	peak = http->peak;
	(void)pthread_mutex_unlock(&http->mutex);
	return peak;
}

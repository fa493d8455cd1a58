/* SPDX-License-Identifier: Apache-2.0 */
/* The scripted peer: one thread that accepts, reads and answers in turn. */
#include "tests/unit/fake-peer.h"

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAUSE_MS 2

struct fake_peer {
	struct peer_route *routes;
	size_t *hits; /* of each route */
	size_t count;
	char *address;
	char *socket;
	int fd;
	pthread_t thread;
	atomic_bool stop;
	pthread_mutex_t mutex; /* over the log */
	struct mk_buf *log;
	size_t logged;
};

/* Wait, unless the client goes away or the test ends. */
static void wait_ms(struct fake_peer *peer, int fd, int ms)
{
	for (int waited = 0; waited < ms && !peer->stop; waited += PAUSE_MS) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, PAUSE_MS) > 0)
			return;
	}
}

static bool is_whole(const struct mk_buf *request)
{
	const char *end = strstr(request->data, "\r\n\r\n");
	const char *length = strcasestr(request->data, "\r\nContent-Length: ");
	uint64_t wanted = 0;

	if (!end)
		return false;
	if (strcasestr(request->data, "\r\nTransfer-Encoding: chunked"))
		return memmem(
			end, request->len - (size_t)(end - request->data), "\r\n0\r\n\r\n", 7);
	if (length && length < end) {
		const char *digits = length + strlen("\r\nContent-Length: ");
		mk_autofree char *number = mk_xstrndup(digits, strcspn(digits, "\r"));

		(void)mk_parse_uint(number, 0, UINT64_MAX, &wanted);
	}
	return (uint64_t)(request->data + request->len - (end + 4)) >= wanted;
}

static bool read_request(struct fake_peer *peer, int fd, struct mk_buf *request)
{
	while (!is_whole(request) && !peer->stop) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		char chunk[65536];
		ssize_t n;

		if (poll(&p, 1, 20) == 0)
			continue;
		n = recv(fd, chunk, sizeof(chunk), 0);
		if (n <= 0)
			return false;
		mk_buf_add(request, chunk, (size_t)n);
	}
	return !peer->stop;
}

static bool is_for(const char *text, const char *request)
{
	size_t n = strlen(request);

	if (request[n - 1] == '*')
		return strncmp(text, request, n - 1) == 0;
	return strncmp(text, request, n) == 0 &&
		(text[n] == ' ' || (text[n] == '?' && !strchr(request, '?')));
}

static const struct peer_reply *choose(struct fake_peer *peer, const char *text)
{
	static const struct peer_reply unknown = { .status = 404,
		.body = "{\"message\":\"not in the script\"}" };

	for (size_t i = 0; i < peer->count; i++) {
		const struct peer_route *route = &peer->routes[i];
		size_t last = route->count > 0 ? route->count - 1 : 0;
		size_t n;

		if (!is_for(text, route->request))
			continue;
		n = peer->hits[i]++;
		return &route->replies[n < last ? n : last];
	}
	return &unknown;
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

static void send_body(struct fake_peer *peer, int fd, const struct peer_reply *reply, size_t len)
{
	size_t first = reply->cut > 0 && reply->cut < len ? reply->cut : len;

	for (size_t i = 0; i < len && reply->bytewise; i++) {
		send_all(fd, reply->body + i, 1);
		wait_ms(peer, fd, PAUSE_MS);
	}
	if (reply->bytewise)
		return;
	send_all(fd, reply->body, first);
	if (first == len)
		return;
	wait_ms(peer, fd, PAUSE_MS);
	send_all(fd, reply->body + first, len - first);
}

static void answer(struct fake_peer *peer, int fd, const struct peer_reply *reply, bool head)
{
	mk_autobuf lines = mk_buf_init(MK_MIB);
	size_t len = reply->len > 0 || !reply->body ? reply->len : strlen(reply->body);

	wait_ms(peer, fd, reply->delay_ms);
	if (reply->hang_up)
		return;
	mk_buf_addf(&lines, "HTTP/1.1 %d Scripted\r\nConnection: close\r\n",
		reply->status ? reply->status : 200);
	if (!reply->no_length)
		mk_buf_addf(&lines, "Content-Length: %zu\r\n", len);
	mk_buf_addf(&lines, "%s\r\n", reply->headers ? reply->headers : "");
	send_all(fd, lines.data, lines.len);
	if (!head)
		send_body(peer, fd, reply, len);
	wait_ms(peer, fd, reply->linger_ms);
}

/* The buffer is the log's from here on. */
static void record(struct fake_peer *peer, struct mk_buf *request)
{
	(void)pthread_mutex_lock(&peer->mutex);
	peer->log = mk_xrealloc(peer->log, (peer->logged + 1) * sizeof(*peer->log));
	peer->log[peer->logged++] = *request;
	(void)pthread_mutex_unlock(&peer->mutex);
}

static void serve(struct fake_peer *peer, int fd)
{
	struct mk_buf request = mk_buf_init(64 * MK_MIB);
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!read_request(peer, fd, &request)) {
		mk_buf_done(&request);
		return;
	}
	record(peer, &request);
	answer(peer, fd, choose(peer, request.data), strncmp(request.data, "HEAD ", 5) == 0);
}

static void *accept_all(void *payload)
{
	struct fake_peer *peer = payload;

	while (!peer->stop) {
		struct pollfd p = { .fd = peer->fd, .events = POLLIN };
		int fd;

		if (poll(&p, 1, 10) <= 0)
			continue;
		fd = accept(peer->fd, NULL, NULL);
		if (fd < 0)
			continue;
		serve(peer, fd);
		(void)shutdown(fd, SHUT_RDWR);
		(void)close(fd);
	}
	return NULL;
}

static bool listen_unix(struct fake_peer *peer, const char *folder)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	peer->socket = mk_xasprintf("%s/peer.sock", folder);
	peer->address = mk_xasprintf("unix://%s", peer->socket);
	if (strlen(peer->socket) >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, peer->socket, strlen(peer->socket) + 1);
	(void)unlink(peer->socket);
	peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return peer->fd >= 0 && bind(peer->fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		listen(peer->fd, 64) == 0;
}

static bool listen_loopback(struct fake_peer *peer)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (peer->fd < 0 || bind(peer->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(peer->fd, 64) < 0 ||
		getsockname(peer->fd, (struct sockaddr *)&address, &len) < 0)
		return false;
	peer->address = mk_xasprintf("http://127.0.0.1:%d", ntohs(address.sin_port));
	return true;
}

/* The thread may still be sending when the test's own strings are gone. */
static void keep(struct peer_reply *reply)
{
	size_t len = reply->len > 0 || !reply->body ? reply->len : strlen(reply->body);
	char *body = mk_xcalloc(len + 1, 1);

	if (len > 0)
		memcpy(body, reply->body, len);
	reply->body = body;
	reply->len = len;
	reply->headers = mk_xstrdup(reply->headers ? reply->headers : "");
}

static void forget(struct fake_peer *peer)
{
	for (size_t i = 0; i < peer->count; i++) {
		for (size_t n = 0; n < PEER_REPLIES; n++) {
			free((char *)(uintptr_t)peer->routes[i].replies[n].body);
			free((char *)(uintptr_t)peer->routes[i].replies[n].headers);
		}
	}
	free(peer->routes);
}

struct fake_peer *fake_peer_start(const char *folder, const struct peer_route *routes, size_t count)
{
	struct fake_peer *peer = mk_xcalloc(1, sizeof(*peer));

	peer->routes = mk_xcalloc(count, sizeof(*routes));
	for (size_t i = 0; i < count; i++) {
		peer->routes[i] = routes[i];
		for (size_t n = 0; n < PEER_REPLIES; n++)
			keep(&peer->routes[i].replies[n]);
	}
	peer->hits = mk_xcalloc(count, sizeof(size_t));
	peer->count = count;
	(void)pthread_mutex_init(&peer->mutex, NULL);
	if (!(folder ? listen_unix(peer, folder) : listen_loopback(peer)) ||
		pthread_create(&peer->thread, NULL, accept_all, peer) != 0) {
		perror("fake-peer");
		abort();
	}
	return peer;
}

void fake_peer_stop(struct fake_peer *peer)
{
	if (!peer)
		return;
	peer->stop = true;
	(void)pthread_join(peer->thread, NULL);
	(void)close(peer->fd);
	if (peer->socket)
		(void)unlink(peer->socket);
	(void)pthread_mutex_destroy(&peer->mutex);
	for (size_t i = 0; i < peer->logged; i++)
		mk_buf_done(&peer->log[i]);
	free(peer->log);
	forget(peer);
	free(peer->hits);
	free(peer->address);
	free(peer->socket);
	free(peer);
}

const char *fake_peer_address(const struct fake_peer *peer)
{
	return peer->address;
}

/* A shallow copy: what it points to stays until the stop. */
static struct mk_buf find(struct fake_peer *peer, const char *request, size_t n)
{
	struct mk_buf found = { .data = NULL };

	(void)pthread_mutex_lock(&peer->mutex);
	for (size_t i = 0; i < peer->logged && !found.data; i++) {
		if (mk_after_prefix(peer->log[i].data, request) && n-- == 0)
			found = peer->log[i];
	}
	(void)pthread_mutex_unlock(&peer->mutex);
	return found;
}

const char *fake_peer_request(struct fake_peer *peer, const char *request, size_t n)
{
	return find(peer, request, n).data;
}

const char *fake_peer_body(struct fake_peer *peer, const char *request, size_t n, size_t *ret_len)
{
	struct mk_buf found = find(peer, request, n);
	const char *body = found.data ? strstr(found.data, "\r\n\r\n") + 4 : NULL;

	*ret_len = body ? found.len - (size_t)(body - found.data) : 0;
	return body;
}

size_t fake_peer_hits(struct fake_peer *peer, const char *request)
{
	size_t n = 0;

	while (fake_peer_request(peer, request, n))
		n++;
	return n;
}

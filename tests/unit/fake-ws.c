/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake-ws.h"

#include "lib/base/buf.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FRAMES 4096

struct frame {
	unsigned opcode;
	char *data;
	size_t len;
};

struct fake_ws {
	const struct ws_script *scripts;
	size_t count, next;
	char *address;
	int fd;
	pthread_t thread;
	atomic_bool stop;
	pthread_mutex_t mutex; /* over all that follows */
	char *request;
	struct frame frames[MAX_FRAMES];
	size_t frame_count;
};

struct connection {
	struct fake_ws *fake;
	int fd;
	struct mk_buf in;
	bool closed;
};

/* Take what comes within `ms`. */
static void receive(struct connection *c, int ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char chunk[65536];
	ssize_t n;

	if (c->closed || poll(&p, 1, ms) <= 0)
		return;
	n = recv(c->fd, chunk, sizeof(chunk), 0);
	if (n <= 0)
		c->closed = true;
	else
		mk_buf_add(&c->in, chunk, (size_t)n);
}

static void send_bytes(struct connection *c, const char *data, size_t len, bool bytewise)
{
	while (len > 0 && !c->fake->stop) {
		ssize_t n = send(c->fd, data, bytewise ? 1 : len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
		if (bytewise)
			(void)usleep(500);
	}
}

/* Move whole frames of the client's from the buffer to the list. */
static void take_frames(struct connection *c)
{
	struct fake_ws *fake = c->fake;

	for (;;) {
		const unsigned char *p = (const unsigned char *)c->in.data;
		size_t len, head = 2;
		struct frame *frame;

		if (c->in.len < 2)
			return;
		len = p[1] & 0x7f;
		head += len == 127 ? 8 : len == 126 ? 2 : 0;
		if (c->in.len < head + 4)
			return;
		if (head == 4)
			len = (size_t)p[2] << 8 | p[3];
		if (head == 10)
			len = (size_t)p[6] << 24 | (size_t)p[7] << 16 | (size_t)p[8] << 8 | p[9];
		if (c->in.len < head + 4 + len)
			return;
		if (!(p[1] & 0x80) || fake->frame_count == MAX_FRAMES)
			abort();
		(void)pthread_mutex_lock(&fake->mutex);
		frame = &fake->frames[fake->frame_count++];
		*frame = (struct frame){
			.opcode = p[0] & 15u, .data = mk_xcalloc(len + 1, 1), .len = len
		};
		for (size_t i = 0; i < len; i++)
			frame->data[i] = (char)(p[head + 4 + i] ^ p[head + i % 4]);
		(void)pthread_mutex_unlock(&fake->mutex);
		mk_buf_drop(&c->in, head + 4 + len);
	}
}

static void wait_frames(struct connection *c, size_t count)
{
	for (int i = 0; i < 2000 && !c->closed && !c->fake->stop; i++) {
		take_frames(c);
		if (c->fake->frame_count >= count)
			return;
		receive(c, 2);
	}
}

static void linger(struct connection *c, const struct ws_script *script)
{
	for (int ms = 0; ms < script->linger_ms && !c->closed && !c->fake->stop; ms += 2) {
		if (script->deaf)
			(void)usleep(2000);
		else
			receive(c, 2);
		take_frames(c);
	}
}

static char *accept_of(const char *request, bool wrong)
{
	const char *key = strstr(request, "Sec-WebSocket-Key: ");
	mk_autofree char *text = NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!key)
		return mk_xstrdup("none");
	key += strlen("Sec-WebSocket-Key: ");
	text = mk_xasprintf("%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11%s", (int)strcspn(key, "\r"),
		key, wrong ? "x" : "");
	(void)EVP_Digest(text, strlen(text), digest, &len, EVP_sha1(), NULL);
	return mk_base64(digest, len);
}

static bool shake_hands(struct connection *c, const struct ws_script *script)
{
	mk_autofree char *accept = NULL;
	mk_autofree char *answer = NULL;
	const char *end;

	while (!(end = strstr(c->in.data, "\r\n\r\n")) && !c->closed && !c->fake->stop)
		receive(c, 20);
	if (!end)
		return false;
	(void)pthread_mutex_lock(&c->fake->mutex);
	free(c->fake->request);
	c->fake->request = mk_xstrndup(c->in.data, (size_t)(end + 4 - c->in.data));
	(void)pthread_mutex_unlock(&c->fake->mutex);
	mk_buf_drop(&c->in, (size_t)(end + 4 - c->in.data));
	if (script->hang)
		return true;
	accept = accept_of(c->fake->request, script->wrong_key);
	answer = script->answer
		? mk_xstrdup(script->answer)
		: mk_xasprintf("HTTP/1.1 101 Switching Protocols\r\n"
			       "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			       "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
			  accept, script->protocol ? "Sec-WebSocket-Protocol: " : "",
			  script->protocol ? script->protocol : "", script->protocol ? "\r\n" : "");
	send_bytes(c, answer, strlen(answer), script->bytewise);
	return true;
}

static void serve(struct fake_ws *fake, int fd, const struct ws_script *script)
{
	struct connection c = { .fake = fake, .fd = fd, .in = mk_buf_init(8 * MK_MIB) };
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (shake_hands(&c, script) && !script->hang) {
		if (script->first > 0)
			wait_frames(&c, script->first);
		send_bytes(&c, script->bytes, script->len, script->bytewise);
		for (size_t i = 0; i < script->fill && !fake->stop; i++)
			send_bytes(&c, i == 0 ? "\x02\x00" : "\x00\x00", 2, false);
		if (script->last) {
			wait_frames(&c, script->first + 1);
			send_bytes(&c, script->last, script->last_len, script->bytewise);
		}
	}
	linger(&c, script);
	mk_buf_done(&c.in);
}

static void *accept_all(void *payload)
{
	struct fake_ws *fake = payload;

	while (!fake->stop) {
		struct pollfd p = { .fd = fake->fd, .events = POLLIN };
		int fd;

		if (poll(&p, 1, 5) <= 0)
			continue;
		fd = accept(fake->fd, NULL, NULL);
		if (fd < 0)
			continue;
		serve(fake, fd, &fake->scripts[fake->next]);
		fake->next += fake->next + 1 < fake->count;
		(void)shutdown(fd, SHUT_RDWR);
		(void)close(fd);
	}
	return NULL;
}

struct fake_ws *fake_ws_start(const struct ws_script *scripts, size_t count)
{
	struct fake_ws *fake = mk_xcalloc(1, sizeof(*fake));
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	fake->scripts = scripts;
	fake->count = count;
	(void)pthread_mutex_init(&fake->mutex, NULL);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fake->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fake->fd < 0 || bind(fake->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fake->fd, 8) < 0 ||
		getsockname(fake->fd, (struct sockaddr *)&address, &len) < 0 ||
		pthread_create(&fake->thread, NULL, accept_all, fake) != 0) {
		perror("fake-ws");
		abort();
	}
	fake->address = mk_xasprintf("http://127.0.0.1:%d", ntohs(address.sin_port));
	return fake;
}

void fake_ws_stop(struct fake_ws *fake)
{
	if (!fake)
		return;
	fake->stop = true;
	(void)pthread_join(fake->thread, NULL);
	(void)close(fake->fd);
	(void)pthread_mutex_destroy(&fake->mutex);
	for (size_t i = 0; i < fake->frame_count; i++)
		free(fake->frames[i].data);
	free(fake->request);
	free(fake->address);
	free(fake);
}

const char *fake_ws_address(const struct fake_ws *fake)
{
	return fake->address;
}

const char *fake_ws_request(struct fake_ws *fake)
{
	const char *request;

	(void)pthread_mutex_lock(&fake->mutex);
	request = fake->request;
	(void)pthread_mutex_unlock(&fake->mutex);
	return request;
}

size_t fake_ws_count(struct fake_ws *fake)
{
	size_t count;

	(void)pthread_mutex_lock(&fake->mutex);
	count = fake->frame_count;
	(void)pthread_mutex_unlock(&fake->mutex);
	return count;
}

char *fake_ws_frame(struct fake_ws *fake, size_t n, unsigned *ret_opcode, size_t *ret_len)
{
	char *copy = NULL;

	for (int i = 0; i < 500 && fake_ws_count(fake) <= n; i++)
		(void)usleep(2000);
	(void)pthread_mutex_lock(&fake->mutex);
	if (n < fake->frame_count) {
		const struct frame *frame = &fake->frames[n];

		copy = mk_xcalloc(frame->len + 1, 1);
		memcpy(copy, frame->data, frame->len);
		*ret_opcode = frame->opcode;
		*ret_len = frame->len;
	}
	(void)pthread_mutex_unlock(&fake->mutex);
	return copy;
}

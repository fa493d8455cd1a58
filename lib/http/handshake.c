/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/handshake.h"

#include "lib/base/encode.h"
#include "lib/base/str.h"
#include "lib/http/transfer.h"

#include <openssl/evp.h>
#include <strings.h>

/* RFC 6455, section 1.3. */
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define SHA1_BYTES 20

int mk_handshake_key(char **ret, struct mk_error *err)
{
	unsigned char bytes[16];
	int r = mk_random(bytes, sizeof(bytes), err);

	if (r == 0)
		*ret = mk_base64(bytes, sizeof(bytes));
	return r;
}

char *mk_handshake_request(
	const char *base_url, const char *path, const char *protocols, const char *key)
{
	const char *host = strstr(base_url, "://");

	host = host ? host + 3 : base_url;
	return mk_xasprintf("GET %s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: mkcluster\r\n"
			    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
			    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s%s%s\r\n",
		path, (int)strcspn(host, "/"), host, key,
		protocols ? "Sec-WebSocket-Protocol: " : "", protocols ? protocols : "",
		protocols ? "\r\n" : "");
}

long mk_handshake_status(const struct mk_buf *headers)
{
	const char *digits = mk_after_prefix(headers->data, "HTTP/1.1 ");
	uint64_t status = 0;
	char number[4] = { 0 };

	if (!digits || strnlen(digits, 4) < 4 || !strchr(" \r", digits[3]))
		return 0;
	memcpy(number, digits, 3);
	return mk_parse_uint(number, 100, 599, &status) ? (long)status : 0;
}

/* What the server makes of our key. Caller frees; NULL when SHA-1 does not work. */
static char *accept_of(const char *key)
{
	mk_autofree char *text = mk_xasprintf("%s" GUID, key);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (EVP_Digest(text, strlen(text), digest, &len, EVP_sha1(), NULL) != 1 ||
		len != SHA1_BYTES)
		return NULL;
	return mk_base64(digest, len);
}

/* Whether a list, "a, b", has the word. */
static bool lists(const char *list, const char *word)
{
	mk_autostrlist words = { .items = NULL };

	mk_strlist_split(&words, list, ", \t");
	for (size_t i = 0; i < words.count; i++) {
		if (strcasecmp(words.items[i], word) == 0)
			return true;
	}
	return false;
}

static int refuse(struct mk_error *err, const char *what)
{
	return mk_fail(err, MK_EINVALID, "the peer agrees to a WebSocket %s", what);
}

int mk_handshake_check(const struct mk_buf *headers, const char *protocols, const char *key,
	char **ret_protocol, struct mk_error *err)
{
	mk_autofree char *upgrade = mk_transfer_header(headers, "Upgrade");
	mk_autofree char *connection = mk_transfer_header(headers, "Connection");
	mk_autofree char *accept = mk_transfer_header(headers, "Sec-WebSocket-Accept");
	mk_autofree char *extensions = mk_transfer_header(headers, "Sec-WebSocket-Extensions");
	mk_autofree char *protocol = mk_transfer_header(headers, "Sec-WebSocket-Protocol");
	mk_autofree char *expected = accept_of(key);

	if (!expected)
		return mk_fail(err, MK_EFAIL, "libcrypto: no SHA-1");
	if (!upgrade || strcasecmp(upgrade, "websocket") != 0 || !connection ||
		!lists(connection, "upgrade"))
		return refuse(err, "without upgrading to one");
	if (!accept || !mk_streq(accept, expected))
		return refuse(err, "with an answer to another key");
	if (extensions && *extensions)
		return refuse(err, "with extensions that were not asked for");
	if (protocol && *protocol && !(protocols && lists(protocols, protocol)))
		return refuse(err, "of a protocol that was not offered");
	if (protocols && !(protocol && *protocol))
		return refuse(err, "without choosing a protocol");
	*ret_protocol = protocol && *protocol ? MK_TAKE(protocol) : NULL;
	return 0;
}

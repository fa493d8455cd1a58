/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/dns_message.h"

#include "lib/base/str.h"

#define HEADER 12
#define LABEL_MAX 63
#define NAME_MAX_BYTES 253
#define POINTER 0xc0u
#define TYPE_A 1
#define CLASS_IN 1

static void add16(struct mk_buf *buf, unsigned value)
{
	const unsigned char bytes[2] = { (unsigned char)(value >> 8), (unsigned char)value };

	mk_buf_add(buf, bytes, sizeof(bytes));
}

static int add_name(struct mk_buf *buf, const char *name, struct mk_error *err)
{
	mk_autostrlist labels = { .items = NULL };

	mk_strlist_split(&labels, name, ".");
	if (labels.count == 0 || strlen(name) > NAME_MAX_BYTES)
		return mk_fail(err, MK_EINVALID, "'%.300s' is no DNS name", name);
	for (size_t i = 0; i < labels.count; i++) {
		size_t len = strlen(labels.items[i]);
		const unsigned char byte = (unsigned char)len;

		if (len > LABEL_MAX)
			return mk_fail(err, MK_EINVALID, "'%s' is no DNS name", name);
		mk_buf_add(buf, &byte, 1);
		mk_buf_add(buf, labels.items[i], len);
	}
	mk_buf_add(buf, "", 1);
	return 0;
}

int mk_dns_question(const char *name, uint16_t id, struct mk_buf *ret, struct mk_error *err)
{
	mk_autobuf message = mk_buf_init(512);
	int r;

	add16(&message, id);
	add16(&message, 0x0100); /* recursion desired */
	add16(&message, 1);      /* questions */
	add16(&message, 0);
	add16(&message, 0);
	add16(&message, 0);
	r = add_name(&message, name, err);
	if (r < 0)
		return r;
	add16(&message, TYPE_A);
	add16(&message, CLASS_IN);
	add16(ret, (unsigned)message.len);
	mk_buf_add(ret, message.data, message.len);
	return mk_buf_check(ret, "a DNS question", err);
}

/* A message, and how far it has been read. */
struct reading {
	const unsigned char *data;
	size_t len, at;
	bool short_of; /* it ended too early */
};

static unsigned take16(struct reading *r)
{
	unsigned value;

	if (r->len - r->at < 2) {
		r->short_of = true;
		return 0;
	}
	value = (unsigned)r->data[r->at] << 8 | r->data[r->at + 1];
	r->at += 2;
	return value;
}

static void skip(struct reading *r, size_t bytes)
{
	if (r->len - r->at < bytes)
		r->short_of = true;
	else
		r->at += bytes;
}

/* Pointers to names elsewhere are stepped over, never followed. */
static void skip_name(struct reading *r)
{
	while (!r->short_of) {
		unsigned length;

		if (r->at >= r->len) {
			r->short_of = true;
			return;
		}
		length = r->data[r->at];
		skip(r, 1);
		if (length == 0)
			return;
		if ((length & POINTER) == POINTER) {
			skip(r, 1);
			return;
		}
		skip(r, length);
	}
}

/* The next record: its address, or NULL when it holds none. Caller frees. */
static char *take_address(struct reading *r)
{
	unsigned type, class, length;
	const unsigned char *p;

	skip_name(r);
	type = take16(r);
	class = take16(r);
	skip(r, 4);
	length = take16(r);
	p = r->data + r->at;
	skip(r, length);
	if (r->short_of || type != TYPE_A || class != CLASS_IN || length != 4)
		return NULL;
	return mk_xasprintf("%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
}

static const char *rcode_name(unsigned code)
{
	static const char *const names[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
		"REFUSED" };

	return code < MK_ARRAY_LEN(names) ? names[code] : "an unknown error";
}

int mk_dns_answer(const void *data, size_t len, uint16_t id, char **ret, struct mk_error *err)
{
	struct reading r = { .data = data, .len = len };
	unsigned answered = take16(&r), flags = take16(&r), questions = take16(&r);
	unsigned answers = take16(&r);

	skip(&r, 4);
	if (r.short_of || answered != id || !(flags & 0x8000u))
		return mk_fail(err, MK_EINVALID, "what came is no answer of a DNS server");
	if ((flags & 15u) != 0)
		return mk_fail(
			err, MK_EREMOTE, "the DNS server answered %s", rcode_name(flags & 15u));
	for (; questions > 0 && !r.short_of; questions--) {
		skip_name(&r);
		skip(&r, 4);
	}
	for (; answers > 0 && !r.short_of; answers--) {
		char *address = take_address(&r);

		if (address) {
			*ret = address;
			return 0;
		}
	}
	if (r.short_of)
		return mk_fail(err, MK_EINVALID, "a DNS answer that is cut off");
	return mk_fail(err, MK_EREMOTE, "the DNS server answered without an address");
}

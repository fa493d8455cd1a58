/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 ranges, as far as choosing and checking networks needs them. */
#include "lib/cluster/spec.h"

#include <arpa/inet.h>

static uint32_t mask_of(unsigned bits)
{
	return bits == 0 ? 0 : UINT32_MAX << (32 - bits);
}

int mk_cidr_parse(const char *text, struct mk_cidr *ret, struct mk_error *err)
{
	const char *slash = strchr(text, '/');
	mk_autofree char *address = mk_xstrndup(
		text, slash ? (size_t)(slash - text) : strlen(text));
	struct in_addr in;
	uint64_t bits;

	if (!slash || inet_pton(AF_INET, address, &in) != 1 ||
		!mk_parse_uint(slash + 1, 0, 32, &bits))
		return mk_fail(
			err, MK_EUSAGE, "'%s' is not an IPv4 range like 10.244.0.0/16", text);
	if (ntohl(in.s_addr) & ~mask_of((unsigned)bits))
		return mk_fail(err, MK_EUSAGE, "'%s' has bits set beyond its /%llu", text,
			(unsigned long long)bits);
	*ret = (struct mk_cidr){ .address = ntohl(in.s_addr), .bits = (unsigned)bits };
	return 0;
}

bool mk_cidr_overlap(const struct mk_cidr *a, const struct mk_cidr *b)
{
	uint32_t mask = mask_of(a->bits < b->bits ? a->bits : b->bits);

	return (a->address & mask) == (b->address & mask);
}

char *mk_cidr_address(const struct mk_cidr *range, uint32_t n)
{
	struct in_addr in = { .s_addr = htonl(range->address + n) };
	char text[INET_ADDRSTRLEN];

	return mk_xstrdup(inet_ntop(AF_INET, &in, text, sizeof(text)) ? text : "?");
}

char *mk_cidr_print(const struct mk_cidr *range)
{
	mk_autofree char *address = mk_cidr_address(range, 0);

	return mk_xasprintf("%s/%u", address, range->bits);
}

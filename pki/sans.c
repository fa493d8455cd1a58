/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax of DNS names and IP addresses in certificates. */
#include "pki/sans.h"

#include <arpa/inet.h>

#define MAX_DNS_NAME 253
#define MAX_DNS_LABEL 63

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What is wrong with a label, or NULL. */
static const char *label_fault(const char *label, size_t len)
{
	if (len == 0)
		return "a part between its dots is empty";
	if (len > MAX_DNS_LABEL)
		return "a part between its dots is longer than 63 characters";
	for (size_t i = 0; i < len; i++) {
		if (!is_alnum(label[i]) && label[i] != '-')
			return "only letters, digits, hyphens and dots are allowed";
	}
	if (label[0] == '-' || label[len - 1] == '-')
		return "a part between its dots begins or ends with a hyphen";
	return NULL;
}

static const char *dns_fault(const char *name)
{
	const char *fault, *rest = mk_after_prefix(name, "*.");
	size_t len, digits;

	if (strlen(name) > MAX_DNS_NAME)
		return "it is longer than 253 characters";
	if (!rest)
		rest = name;
	for (;;) {
		len = strcspn(rest, ".");
		fault = label_fault(rest, len);
		if (fault)
			return fault;
		if (rest[len] == '\0')
			break;
		rest += len + 1;
	}
	/* Such a name is an address with a slip in it, 10.0.0.256: no name ends so. */
	digits = strspn(rest, "0123456789");
	return digits == len ? "its last part is a number" : NULL;
}

static void add_once(struct mk_strlist *list, const char *s)
{
	if (!mk_strlist_has(list, s))
		mk_strlist_add(list, s);
}

int mk_sans_add_dns(struct mk_sans *sans, const char *name, struct mk_error *err)
{
	const char *fault = dns_fault(name);
	mk_autofree char *lower = NULL;

	if (fault)
		return mk_fail(err, MK_EINVALID, "'%s' is not a DNS name: %s", name, fault);
	lower = mk_xstrdup(name);
	for (char *p = lower; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	}
	add_once(&sans->dns, lower);
	return 0;
}

static bool canonical_ip(const char *address, char ret[INET6_ADDRSTRLEN])
{
	unsigned char raw[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, address, raw) == 1)
		return inet_ntop(AF_INET, raw, ret, INET6_ADDRSTRLEN) != NULL;
	if (inet_pton(AF_INET6, address, raw) == 1)
		return inet_ntop(AF_INET6, raw, ret, INET6_ADDRSTRLEN) != NULL;
	return false;
}

int mk_sans_add_ip(struct mk_sans *sans, const char *address, struct mk_error *err)
{
	char text[INET6_ADDRSTRLEN];

	if (!canonical_ip(address, text))
		return mk_fail(err, MK_EINVALID, "'%s' is not an IP address", address);
	add_once(&sans->ips, text);
	return 0;
}

int mk_sans_add(struct mk_sans *sans, const char *name, struct mk_error *err)
{
	char text[INET6_ADDRSTRLEN];

	if (canonical_ip(name, text)) {
		add_once(&sans->ips, text);
		return 0;
	}
	/* A colon is in no DNS name, so an address was meant. */
	if (strchr(name, ':'))
		return mk_fail(err, MK_EINVALID, "'%s' is not an IP address", name);
	return mk_sans_add_dns(sans, name, err);
}

void mk_sans_done(struct mk_sans *sans)
{
	mk_strlist_done(&sans->dns);
	mk_strlist_done(&sans->ips);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subject alternative names: the DNS names and IP addresses a server may be
 * reached by. Names enter through a check, in one spelling, and once, so that
 * whatever a list holds can go into a certificate as it is.
 */
#ifndef MK_PKI_SANS_H
#define MK_PKI_SANS_H

#include "lib/base/str.h"

struct mk_sans {
	struct mk_strlist dns; /* lower case */
	struct mk_strlist ips; /* as inet_ntop writes them */
};

/**
 * Add an IP address when `name` is one, else a DNS name. A name that is there
 * already is left out. MK_EINVALID says what is wrong with it.
 */
int mk_sans_add(struct mk_sans *sans, const char *name, struct mk_error *err) MK_CHECKED;

/**
 * Add a DNS name: labels of at most 63 letters, digits and inner hyphens,
 * together at most 253, the last one not all digits (RFC 1123, section 2.1;
 * RFC 5280, section 4.2.1.6). The first label may be "*". A final dot is not
 * part of a name in a certificate, and refused.
 */
int mk_sans_add_dns(struct mk_sans *sans, const char *name, struct mk_error *err) MK_CHECKED;

/** Add an IPv4 or IPv6 address, without zone or prefix length. */
int mk_sans_add_ip(struct mk_sans *sans, const char *address, struct mk_error *err) MK_CHECKED;

void mk_sans_done(struct mk_sans *sans);

#define mk_autosans MK_CLEANUP(mk_sans_done) struct mk_sans

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of DNS as one question takes (RFC 1035, section 4): the address of a
 * name, asked over TCP, where a message begins with its length in two bytes.
 */
#ifndef MK_CLUSTER_DNS_MESSAGE_H
#define MK_CLUSTER_DNS_MESSAGE_H

#include "lib/base/buf.h"

#include <stdint.h>

#define MK_DNS_MAX 65535

/** Append the question for the IPv4 address of `name`, with its length in front.
 * MK_EINVALID when the name cannot be one. */
int mk_dns_question(
	const char *name, uint16_t id, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/**
 * Read an answer (without its length): the first address, "10.96.0.1", as
 * `*ret`, which the caller frees. MK_EREMOTE says what the server refused with,
 * MK_EINVALID that this is no answer to the question `id`.
 */
int mk_dns_answer(
	const void *data, size_t len, uint16_t id, char **ret, struct mk_error *err) MK_CHECKED;

#endif

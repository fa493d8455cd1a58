/* SPDX-License-Identifier: Apache-2.0 */
/* A DNS server's answer: an address comes out of it, or an error that says why not. */
#include "lib/cluster/dns_message.h"
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mk_autofree char *address = NULL;
	mk_autoerror err = { .code = MK_OK };
	struct in_addr parsed;
	unsigned id = size < 2 ? 0 : (unsigned)data[0] << 8 | data[1];
	int r = mk_dns_answer(data, size, (uint16_t)id, &address, &err);

	MUST((r == 0) == (address != NULL));
	MUST(r == 0 || err.message);
	MUST(!address || inet_pton(AF_INET, address, &parsed) == 1);
	return 0;
}

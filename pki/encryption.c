/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets at rest. Of the providers that need no key management service,
 * secretbox (XSalsa20 and Poly1305) is the one that stays safe unattended: it
 * authenticates what it encrypts, and its nonces of 24 random bytes do not
 * repeat. Kubernetes' documentation calls aescbc weak, for padding oracles, and
 * wants aesgcm's key rotated every 200,000 writes, which nobody here would do.
 */
#include "pki/encryption.h"

#include "lib/base/encode.h"

/* secretbox takes 32 bytes, no more and no less. */
#define KEY_LEN 32

int mk_encryption_config_new(struct mk_buf *ret, struct mk_error *err)
{
	unsigned char key[KEY_LEN];
	mk_autosecret char *text = NULL;
	int r = mk_random(key, sizeof(key), err);

	if (r < 0)
		return r;
	text = mk_base64(key, sizeof(key));
	mk_wipe(key, sizeof(key));
	/* The first provider writes; identity reads what was stored before encryption. */
	mk_buf_addf(ret,
		"apiVersion: apiserver.config.k8s.io/v1\n"
		"kind: EncryptionConfiguration\n"
		"resources:\n"
		"- resources:\n"
		"  - secrets\n"
		"  providers:\n"
		"  - secretbox:\n"
		"      keys:\n"
		"      - name: key1\n"
		"        secret: %s\n"
		"  - identity: {}\n",
		text);
	return mk_buf_check(ret, "the encryption configuration", err);
}

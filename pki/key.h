/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys: made here, printed as PEM, read back from PEM. A key's secret
 * half is wiped when it is freed; a buffer it was printed into is the
 * caller's to wipe (mk_autowipebuf).
 */
#ifndef MK_PKI_KEY_H
#define MK_PKI_KEY_H

#include "lib/base/buf.h"

enum mk_key_kind {
	MK_KEY_EC_P256, /* the default: made in a millisecond, read by everything */
	MK_KEY_RSA_2048,
	MK_KEY_RSA_3072,
	MK_KEY_RSA_4096,
	MK_KEY_ED25519,
};

struct mk_key;

/**
 * The kind with this name, in any case: ECDSA-P256, RSA-2048, RSA-3072,
 * RSA-4096 (as kubeadm's encryptionAlgorithm has them) or Ed25519. MK_EINVALID
 * names the choices.
 */
int mk_key_kind_parse(const char *name, enum mk_key_kind *ret, struct mk_error *err) MK_CHECKED;

/** The name mk_key_kind_parse reads. */
const char *mk_key_kind_name(enum mk_key_kind kind);

/** Make a new key. P-256 and Ed25519 take a millisecond, RSA 4096 a second. */
int mk_key_new(enum mk_key_kind kind, struct mk_key **ret, struct mk_error *err) MK_CHECKED;

/** Wipe and free; NULL is fine. */
void mk_key_free(struct mk_key *key);
MK_DEFINE_CLEANUP(struct mk_key *, mk_key_free);

#define mk_autokey MK_CLEANUP(mk_key_freep) struct mk_key

/**
 * Read the first private key of a PEM text: PKCS#8, or the older "EC PRIVATE
 * KEY" and "RSA PRIVATE KEY". MK_EINVALID when there is none, when it is
 * encrypted, or when it is of no kind listed above.
 */
int mk_key_parse(const char *pem, size_t len, struct mk_key **ret, struct mk_error *err) MK_CHECKED;

enum mk_key_kind mk_key_kind(const struct mk_key *key);

/** Append the private key as unencrypted PKCS#8 (RFC 5958) in PEM. */
int mk_key_private_pem(
	const struct mk_key *key, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/** Append the public key as SubjectPublicKeyInfo (PKIX, RFC 7468) in PEM. */
int mk_key_public_pem(
	const struct mk_key *key, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: generation and PEM, over OpenSSL's EVP. */
#include "pki/key.h"

#include "lib/base/str.h"
#include "pki/ssl.h"

#include <openssl/pem.h>
#include <strings.h>

struct mk_key {
	enum mk_key_kind kind;
	EVP_PKEY *evp;
};

static const struct {
	const char *name;
	const char *algorithm;  /* OpenSSL's */
	size_t bits;            /* RSA: of the modulus */
	const char *group;      /* EC: the curve as it is generated */
	const char *group_read; /* and as it is reported */
} kinds[] = {
	[MK_KEY_EC_P256] = { "ECDSA-P256", "EC", 256, "P-256", SN_X9_62_prime256v1 },
	[MK_KEY_RSA_2048] = { "RSA-2048", "RSA", 2048, NULL, NULL },
	[MK_KEY_RSA_3072] = { "RSA-3072", "RSA", 3072, NULL, NULL },
	[MK_KEY_RSA_4096] = { "RSA-4096", "RSA", 4096, NULL, NULL },
	[MK_KEY_ED25519] = { "Ed25519", "ED25519", 0, NULL, NULL },
};

int mk_key_kind_parse(const char *name, enum mk_key_kind *ret, struct mk_error *err)
{
	mk_autostrlist names = { 0 };
	mk_autofree char *choices = NULL;

	for (size_t i = 0; i < MK_ARRAY_LEN(kinds); i++) {
		if (strcasecmp(name, kinds[i].name) == 0) {
			*ret = (enum mk_key_kind)i;
			return 0;
		}
		mk_strlist_add(&names, kinds[i].name);
	}
	choices = mk_strlist_join(&names, ", ");
	return mk_fail(
		err, MK_EINVALID, "no kind of key is called '%s' (there are %s)", name, choices);
}

const char *mk_key_kind_name(enum mk_key_kind kind)
{
	return kinds[kind].name;
}

static struct mk_key *own(enum mk_key_kind kind, EVP_PKEY *evp)
{
	struct mk_key *key = mk_xcalloc(1, sizeof(*key));

	key->kind = kind;
	key->evp = evp;
	return key;
}

int mk_key_new(enum mk_key_kind kind, struct mk_key **ret, struct mk_error *err)
{
	const char *algorithm = kinds[kind].algorithm;
	EVP_PKEY *evp;

	/* The variable arguments are what the algorithm needs: a group, bits, nothing. */
	if (kinds[kind].group)
		evp = EVP_PKEY_Q_keygen(NULL, NULL, algorithm, kinds[kind].group);
	else if (kinds[kind].bits > 0)
		evp = EVP_PKEY_Q_keygen(NULL, NULL, algorithm, kinds[kind].bits);
	else
		evp = EVP_PKEY_Q_keygen(NULL, NULL, algorithm);
	if (!evp)
		return mk_ssl_fail(err, MK_EFAIL, "make a key of kind %s", kinds[kind].name);
	*ret = own(kind, evp);
	return 0;
}

void mk_key_free(struct mk_key *key)
{
	if (!key)
		return;
	/* The secret numbers are cleared by OpenSSL before their memory goes. */
	EVP_PKEY_free(key->evp);
	free(key);
}

static bool is_kind(const EVP_PKEY *evp, enum mk_key_kind kind)
{
	char group[64] = "";

	if (!EVP_PKEY_is_a(evp, kinds[kind].algorithm))
		return false;
	if (kinds[kind].group)
		return EVP_PKEY_get_group_name(evp, group, sizeof(group), NULL) &&
			mk_streq(group, kinds[kind].group_read);
	return kinds[kind].bits == 0 || EVP_PKEY_get_bits(evp) == (int)kinds[kind].bits;
}

/* Without this, OpenSSL would ask for a passphrase on the terminal. */
static int no_passphrase(char *ret, int size, int writing, void *arg)
{
	bool *encrypted = arg;

	(void)ret;
	(void)size;
	(void)writing;
	*encrypted = true;
	return -1;
}

int mk_key_parse(const char *pem, size_t len, struct mk_key **ret, struct mk_error *err)
{
	mk_autobio *bio = NULL;
	MK_CLEANUP(EVP_PKEY_freep) EVP_PKEY *evp = NULL;
	bool encrypted = false;
	int r = mk_ssl_open_pem(pem, len, "a private key", &bio, err);

	if (r < 0)
		return r;
	evp = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
	if (!evp && encrypted)
		return mk_ssl_fail(err, MK_EINVALID, "the private key is encrypted");
	if (!evp)
		return mk_ssl_fail(err, MK_EINVALID, "read a private key");
	for (size_t i = 0; i < MK_ARRAY_LEN(kinds); i++) {
		if (is_kind(evp, (enum mk_key_kind)i)) {
			*ret = own((enum mk_key_kind)i, MK_TAKE(evp));
			return 0;
		}
	}
	return mk_fail(err, MK_EINVALID, "a private key of %d bits, type %s, is not supported",
		EVP_PKEY_get_bits(evp), EVP_PKEY_get0_type_name(evp));
}

enum mk_key_kind mk_key_kind(const struct mk_key *key)
{
	return key->kind;
}

int mk_key_private_pem(const struct mk_key *key, struct mk_buf *ret, struct mk_error *err)
{
	/* A memory BIO clears its memory when it grows and when it is freed. */
	mk_autobio *bio = BIO_new(BIO_s_mem());

	if (!bio || !PEM_write_bio_PKCS8PrivateKey(bio, key->evp, NULL, NULL, 0, NULL, NULL))
		return mk_ssl_fail(err, MK_EFAIL, "print a private key");
	return mk_ssl_add_bio(bio, "a private key", ret, err);
}

int mk_key_public_pem(const struct mk_key *key, struct mk_buf *ret, struct mk_error *err)
{
	mk_autobio *bio = BIO_new(BIO_s_mem());

	if (!bio || !PEM_write_bio_PUBKEY(bio, key->evp))
		return mk_ssl_fail(err, MK_EFAIL, "print a public key");
	return mk_ssl_add_bio(bio, "a public key", ret, err);
}

EVP_PKEY *mk_key_evp(const struct mk_key *key)
{
	return key->evp;
}

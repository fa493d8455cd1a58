/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EncryptionConfiguration of the API server: how secrets are stored in
 * etcd (kubernetes.io/docs/tasks/administer-cluster/encrypt-data). Read, changed and
 * written in the one form that mkcluster gives it: a single list of resources under
 * secretbox keys. The bytes of a key are wiped when they go.
 */
#ifndef MK_PKI_ENCRYPTION_H
#define MK_PKI_ENCRYPTION_H

#include "lib/base/buf.h"
#include "lib/base/str.h"

/* A file of a few keys stays far below. */
#define MK_MAX_ENCRYPTION_CONFIG ((size_t)16384)

/* What stands before every value that a key has encrypted, then the key's name and
 * a colon (k8s.io/apiserver/pkg/server/options/encryptionconfig). */
#define MK_ENCRYPTION_PREFIX "k8s:enc:secretbox:v1:"

struct mk_encryption_key {
	char *name;
	char *secret; /* 32 random bytes in base64 */
};

struct mk_encryption {
	struct mk_strlist resources;    /* "secrets", "deployments.apps", "*.*" */
	struct mk_encryption_key *keys; /* the first writes, all read */
	size_t key_count;
	bool identity; /* what was stored before encryption can be read, too */
};

/** Wipe and free; one that is all zero is fine. */
void mk_encryption_done(struct mk_encryption *config);
#define mk_autoencryption MK_CLEANUP(mk_encryption_done) struct mk_encryption

/** Secrets under one new key, "key1". */
int mk_encryption_new(struct mk_encryption *ret, struct mk_error *err) MK_CHECKED;

/**
 * Read a file's text; `what` names it in errors, which never quote a key. MK_EINVALID
 * also for what Kubernetes allows and mkcluster does not manage: other providers,
 * several lists, unencrypted writes. `ret` is filled on success only.
 */
int mk_encryption_parse(const char *text, size_t len, const char *what, struct mk_encryption *ret,
	struct mk_error *err) MK_CHECKED;

/** Append the file's text. The buffer then holds the keys: the caller wipes it. */
int mk_encryption_print(
	const struct mk_encryption *config, struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

/** The key of this name, or NULL. Borrowed, until the configuration changes. */
const struct mk_encryption_key *mk_encryption_find(
	const struct mk_encryption *config, const char *name);

/** Add a new random key at the end, where it only reads. Its name must be free. */
int mk_encryption_add_new(
	struct mk_encryption *config, const char *name, struct mk_error *err) MK_CHECKED;

/** Add a copy of a key at the end, unless there is one of its name. */
void mk_encryption_add(struct mk_encryption *config, const struct mk_encryption_key *key);

/** Let the key of this name, which is there, write: move it to the front. */
void mk_encryption_promote(struct mk_encryption *config, const char *name);

/** Drop every key but that of this name, which is there. */
void mk_encryption_drop_others(struct mk_encryption *config, const char *name);

/** Whether both say the same, and hold the same keys in the same order. */
bool mk_encryption_same(const struct mk_encryption *a, const struct mk_encryption *b);

/**
 * Append a configuration with a new random key. Every API server of a cluster
 * needs the same one. The buffer holds the key: the caller wipes it.
 */
int mk_encryption_config_new(struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

#endif

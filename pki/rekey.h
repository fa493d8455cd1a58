/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far the rotation of an encryption key has come, by what the configurations of
 * all control planes say, and the next step of each. There is no other record of it:
 * whatever has ended a run, the next one goes on from the files. The order is that of
 * kubernetes.io/docs/tasks/administer-cluster/encrypt-data for several API servers:
 * none of them ever writes with a key that another one has not got.
 */
#ifndef MK_PKI_REKEY_H
#define MK_PKI_REKEY_H

#include "pki/encryption.h"

enum mk_rekey_stage {
	MK_REKEY_NONE,    /* every control plane has one key, the same */
	MK_REKEY_ADD,     /* some lack a key: all get all, and write as before */
	MK_REKEY_PROMOTE, /* all have all; some do not write with the new one yet */
	MK_REKEY_DROP,    /* all write with the new one; some have others, too */
};

/** "none", "add", "promote", "drop": for programs. */
const char *mk_rekey_stage_name(enum mk_rekey_stage stage);

/**
 * The stage to which all of `configs` (one at least) have come. `*ret_key` is the key
 * that is to stay, the newest by its name ("key3" came after "key2"), and the first of
 * all control planes where names do not tell; borrowed from a configuration. MK_EINVALID
 * when the files cannot be of one cluster: a name stands for two keys, the resources
 * differ, or nothing tells which key is the new one. `names` are the control planes'.
 */
int mk_rekey_find(const struct mk_encryption *configs, const char *const *names, size_t count,
	enum mk_rekey_stage *ret, const struct mk_encryption_key **ret_key,
	struct mk_error *err) MK_CHECKED;

/** "key4" when the newest of the configurations is key3. Caller frees. */
char *mk_rekey_new_name(const struct mk_encryption *configs, size_t count);

/** Do the step of this stage in each configuration that has not done it. `key`, a name,
 * is the key that stays. */
void mk_rekey_step(
	struct mk_encryption *configs, size_t count, enum mk_rekey_stage stage, const char *key);

#endif

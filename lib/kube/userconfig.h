/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's kubeconfig files, by kubectl's rules: the file that was named, or
 * else those of $KUBECONFIG, or else ~/.kube/config. An entry is a cluster, a
 * user and a context of one name. All else in the files is kept: other entries,
 * unknown fields, the order of keys, mode and owner, a symbolic link's being one.
 * Comments and layout are not, and neither does kubectl keep them. A file that
 * needs no change is not written.
 *
 * Changes happen under kubectl's own lock, FILE.lock, and replace the file as a
 * whole. A file that is malformed is left alone: MK_EINVALID, FILE:LINE:COLUMN.
 */
#ifndef MK_KUBE_USERCONFIG_H
#define MK_KUBE_USERCONFIG_H

#include "lib/base/buf.h"

struct mk_userconfig_entry {
	const char *name; /* of cluster, user and context alike */
	const char *server;
	const char *ca_pem;
	const char *cert_pem;
	const char *key_pem;
};

/**
 * The file that a merge writes: `explicit_path` unless NULL or empty, else the
 * first of the list that exists, else the last of it. MK_EHOST when neither
 * KUBECONFIG nor HOME says where. Caller frees.
 */
int mk_userconfig_path(const char *explicit_path, char **ret, struct mk_error *err) MK_CHECKED;

/** Find out, before a cluster is made for it, whether a merge could work: the
 * file is well-formed or absent, and its folder can be written. */
int mk_userconfig_check(const char *explicit_path, struct mk_error *err) MK_CHECKED;

/**
 * Put the entry into the file of mk_userconfig_path, in the place of the one of
 * its name or at the end, and make it the current context if asked. A new file
 * has mode 0600, new folders 0700; /dev/null takes it and keeps nothing. Blocks
 * up to ten seconds for the lock; MK_ETIMEOUT after that. *ret_path, unless
 * ret_path is NULL, is the file; caller frees.
 */
int mk_userconfig_merge(const char *explicit_path, const struct mk_userconfig_entry *entry,
	bool switch_context, char **ret_path, struct mk_error *err) MK_CHECKED;

/**
 * Remove the entries of that name from every file of the list, and empty the
 * current context where it is that one. Absent files and entries are fine. After
 * an error in one file the others are still done. Blocks like a merge, for each.
 */
int mk_userconfig_remove(
	const char *explicit_path, const char *name, struct mk_error *err) MK_CHECKED;

/**
 * The client certificate, in PEM, that the first file with a user of that name has for
 * it; `*ret_pem` is NULL when none has one. `*ret_path` is that file. Caller frees both.
 */
int mk_userconfig_cert(const char *explicit_path, const char *name, char **ret_pem, char **ret_path,
	struct mk_error *err) MK_CHECKED;

/** Append a kubeconfig that holds just this entry, as its current context. */
int mk_userconfig_print(const struct mk_userconfig_entry *entry, struct mk_buf *ret,
	struct mk_error *err) MK_CHECKED;

#endif

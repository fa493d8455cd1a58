/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock that kubectl and everything else built on client-go puts beside a
 * kubeconfig while changing it: FILE.lock, created exclusively. Ours says who
 * holds it, so that one left by a process that died can be told from one in use.
 */
#ifndef MK_KUBE_USERCONFIG_LOCK_H
#define MK_KUBE_USERCONFIG_LOCK_H

#include "lib/base/error.h"

#include <sys/types.h>

#define MK_USERCONFIG_LOCK_WAIT_MS 10000
#define MK_USERCONFIG_LOCK_STALE_S 60 /* another program's lock: kubectl's last milliseconds */

struct mk_userconfig_lock {
	char *path; /* NULL: not held */
	dev_t dev;
	ino_t ino;
};

/**
 * Lock the kubeconfig `file`, whose folder must exist. A lock whose process is
 * gone, or another program's that is old, is removed. Blocks up to `wait_ms`.
 * MK_ETIMEOUT when somebody else keeps it, MK_EINTR, and MK_EHOST when the
 * folder cannot be written.
 */
int mk_userconfig_lock_take(const char *file, int64_t wait_ms, struct mk_userconfig_lock *ret,
	struct mk_error *err) MK_CHECKED;

/** Remove the lock, unless somebody else has taken it over. None is fine. */
void mk_userconfig_lock_release(struct mk_userconfig_lock *lock);

#define mk_autouserconfiglock MK_CLEANUP(mk_userconfig_lock_release) struct mk_userconfig_lock

#endif

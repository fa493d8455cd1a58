/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EncryptionConfiguration of the API server: how secrets are stored in
 * etcd (kubernetes.io/docs/tasks/administer-cluster/encrypt-data).
 */
#ifndef MK_PKI_ENCRYPTION_H
#define MK_PKI_ENCRYPTION_H

#include "lib/base/buf.h"

/**
 * Append a configuration with a new random key. Every API server of a cluster
 * needs the same one. The buffer holds the key: the caller wipes it.
 */
int mk_encryption_config_new(struct mk_buf *ret, struct mk_error *err) MK_CHECKED;

#endif

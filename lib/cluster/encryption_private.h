/* SPDX-License-Identifier: Apache-2.0 */
/* What `encryption status` and `rotate` share. Private to lib/cluster. */
#ifndef MK_CLUSTER_ENCRYPTION_PRIVATE_H
#define MK_CLUSTER_ENCRYPTION_PRIVATE_H

#include "lib/cluster/encryption.h"
#include "lib/kube/client.h"

/** Append a control plane's configuration file, as it is and as it reads. The text is
 * the caller's to wipe. */
int mk_encryption_read(struct mk_docker *docker, const char *node, const char *container,
	struct mk_buf *ret_text, struct mk_encryption *ret, struct mk_error *err) MK_CHECKED;

/** One control plane's API server. */
struct mk_encryption_server {
	const char *node, *container;
	bool reloads; /* by itself, when its file changes */
	bool current; /* it works with the file as it is */
};

/** Ask each API server, side by side, whose node runs. MK_EREMOTE when one cannot be
 * asked, or reads another file than mkcluster's. */
int mk_encryption_ask(struct mk_docker *docker, struct mk_encryption_server *servers, size_t count,
	struct mk_error *err) MK_CHECKED;

/** Wait until every API server works with its file as it is, by what each says itself.
 * MK_ETIMEOUT names one that does not. */
int mk_encryption_wait(struct mk_docker *docker, const struct mk_encryption_server *servers,
	size_t count, int64_t deadline, struct mk_error *err) MK_CHECKED;

/** Count what etcd holds. `*ret_revision` is etcd's after it. */
int mk_encryption_count_values(struct mk_docker *docker, const char *container, int64_t deadline,
	struct mk_encryption_counts *ret, int64_t *ret_revision, struct mk_error *err) MK_CHECKED;
void mk_encryption_counts_done(struct mk_encryption_counts *counts);

/** Count one value by its first bytes. For tests apart. */
void mk_encryption_count_value(
	struct mk_encryption_counts *counts, const char *key, const struct mk_buf *head);

/**
 * Write every object of these resources through the API as it is, so that it is stored
 * anew; what others change or remove meanwhile is as good. `*ret_count` is how many
 * objects were seen. MK_EREMOTE names the first that was refused.
 */
int mk_encryption_rewrite(struct mk_kube *kube, const struct mk_strlist *resources,
	int64_t deadline, size_t *ret_count, struct mk_error *err) MK_CHECKED;

#endif

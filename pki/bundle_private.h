/* SPDX-License-Identifier: Apache-2.0 */
/* Private to pki/: the bundle's inside, shared by bundle.c and files.c. */
#ifndef MK_PKI_BUNDLE_PRIVATE_H
#define MK_PKI_BUNDLE_PRIVATE_H

#include "pki/bundle.h"

struct mk_pki_secret {
	struct mk_key *key;
	struct mk_cert *cert;
};

struct mk_pki_bundle {
	char *cluster;
	char *server;
	bool *control_plane; /* of each node */
	size_t node_count;
	/* A row of the table times a node; what all share is in the first node's place. */
	struct mk_pki_secret *secrets;
	struct mk_buf encryption;
};

/** The place of a row's secret for a node. Borrowed. */
struct mk_pki_secret *mk_pki_bundle_at(
	const struct mk_pki_bundle *bundle, const struct mk_pki_row *row, size_t node);

/** Whether a row is one that mk_pki_bundle_join reads instead of making it. */
bool mk_pki_is_authority(const struct mk_pki_row *row);

/** Read the key of an authority and, unless it only signs tokens, its certificate. */
int mk_pki_read_authority(const struct mk_pki_source *source, const struct mk_pki_row *row,
	struct mk_pki_secret *ret, struct mk_error *err) MK_CHECKED;

#endif

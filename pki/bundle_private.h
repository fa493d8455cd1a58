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
	enum mk_pki_stage stage;
	/* Of each row that is a CA, the one that is trusted and does not sign. */
	struct mk_pki_secret *others;
	struct mk_buf encryption;
};

/** The place of a row's secret for a node. Borrowed. */
struct mk_pki_secret *mk_pki_bundle_at(
	const struct mk_pki_bundle *bundle, const struct mk_pki_row *row, size_t node);

/** The CA of a row that does not sign, or none: both members NULL. Borrowed. */
struct mk_pki_secret *mk_pki_bundle_other(
	const struct mk_pki_bundle *bundle, const struct mk_pki_row *row);

/** "next" or "previous": how the files of the others are called. NULL when settled. */
const char *mk_pki_other_suffix(enum mk_pki_stage stage);

/** Whether a node is to have a secret of its own of a row; of one that is shared, the
 * first node has it. */
bool mk_pki_is_of_node(const struct mk_pki_row *row, const struct mk_pki_spec *spec, size_t node);

/**
 * Make all keys that are not there yet, on as many processors as there are. A second a
 * key with RSA 4096; MK_EINTR when interrupted between two.
 */
int mk_pki_make_keys(const struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec,
	struct mk_error *err) MK_CHECKED;

/** Make the key and certificate of a row, for a node, unless they are there. */
int mk_pki_make_secret(const struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec,
	const struct mk_pki_row *row, size_t node, struct mk_error *err) MK_CHECKED;

/** Find out the stage of what `source` holds, and read the CAs that do not sign. */
int mk_pki_read_others(struct mk_pki_bundle *bundle, const struct mk_pki_source *source,
	struct mk_error *err) MK_CHECKED;

/** Let the CAs go the way of spec->turn, before anything else is signed by them. */
int mk_pki_turn_cas(struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec,
	struct mk_error *err) MK_CHECKED;

/** Wipe and free key and certificate. */
void mk_pki_secret_done(struct mk_pki_secret *secret);

/** Whether a row is one that mk_pki_bundle_join reads instead of making it. */
bool mk_pki_is_authority(const struct mk_pki_row *row);

/** Read the key of an authority and, unless it only signs tokens, its certificate: the
 * first of its file. `suffix` is "", or "-next" and so on. */
int mk_pki_read_authority(const struct mk_pki_source *source, const struct mk_pki_row *row,
	const char *suffix, struct mk_pki_secret *ret, struct mk_error *err) MK_CHECKED;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/registry: what an image archive's members turned out to be.
 * The archive is read once, and what belongs to which image is known only after
 * its last member; until then this table holds the small ones whole and of the
 * large ones, already in the registry, the digest.
 */
#ifndef MK_REGISTRY_MEMBERS_H
#define MK_REGISTRY_MEMBERS_H

#include "lib/archive/tar_reader.h"

enum mk_member_kind {
	MK_MEMBER_KEPT, /* its bytes are in `data` */
	MK_MEMBER_BLOB, /* it is in the registry's staging repository */
	MK_MEMBER_LINK, /* see `target` */
};

struct mk_member {
	enum mk_member_kind kind;
	char *name;
	char *target;
	char *digest; /* "sha256:HEX" */
	char *data;   /* NUL-terminated */
	uint64_t size;
	const char *packing; /* of a layer: "", "+gzip" or "+zstd" */
	size_t order;        /* of a name that comes twice, the last counts */
	bool sent;           /* a blob that was not in the registry before */
};

struct mk_members {
	struct mk_member *items;
	size_t count;
	size_t room;
	size_t kept_bytes;
};

/** Append an empty member; its strings are the table's. Valid until the next. */
struct mk_member *mk_members_add(
	struct mk_members *members, enum mk_member_kind kind, const char *name);
void mk_members_done(struct mk_members *members);

/** Make the table ready for mk_members_find; nothing may be added afterwards. */
void mk_members_sort(struct mk_members *members);

/** The member of that name, links followed, or NULL. */
struct mk_member *mk_members_find(const struct mk_members *members, const char *name);

/** The member of an OCI layout with that digest, or NULL. */
struct mk_member *mk_members_find_digest(const struct mk_members *members, const char *digest);

/** One of the last few members added, by name, or NULL. */
const struct mk_member *mk_members_recent(const struct mk_members *members, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry in a thread, for tests: blobs, mounts, upload sessions and
 * manifests of the OCI distribution spec, on loopback and in memory. It is
 * strict: digests must match, a manifest's blobs must be in its repository, and
 * a session's request must carry the token of the answer before it, as with a
 * real Distribution.
 */
#ifndef MK_TESTS_FAKE_REGISTRY_H
#define MK_TESTS_FAKE_REGISTRY_H

#include "lib/base/mem.h"

struct fake_registry;

struct fake_registry *fake_registry_start(void);
void fake_registry_stop(struct fake_registry *fake);
const char *fake_registry_url(const struct fake_registry *fake);

/** Answer the `n`th request from now (1 is the next) with 500; 0 is none. */
void fake_registry_fail(struct fake_registry *fake, int n);

/** Requests of this method so far. */
int fake_registry_count(struct fake_registry *fake, const char *method);

/** Upload sessions that were neither finished nor cancelled. */
int fake_registry_sessions(struct fake_registry *fake);

bool fake_registry_has_blob(struct fake_registry *fake, const char *repository, const char *digest);

/** A stored manifest, or NULL. Borrowed while nothing is stored. */
const char *fake_registry_manifest(
	struct fake_registry *fake, const char *repository, const char *tag);

/** How many manifests are stored. */
int fake_registry_manifests(struct fake_registry *fake);

/** Damage a stored manifest, as a registry with a bad disk would give it. */
void fake_registry_spoil(struct fake_registry *fake, bool on);

#endif

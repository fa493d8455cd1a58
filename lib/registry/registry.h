/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the cluster's registry, a CNCF Distribution over plain http on
 * loopback (OCI distribution spec 1.1). It pushes and looks; it never deletes
 * what is stored. Refusals are MK_EREMOTE with the registry's words and status;
 * no connection is MK_ENET. Every wait ends with MK_EINTR on an interrupt.
 */
#ifndef MK_REGISTRY_REGISTRY_H
#define MK_REGISTRY_REGISTRY_H

#include "lib/base/buf.h"
#include "lib/http/http.h"
#include "lib/registry/reference.h"

struct mk_registry;

/** A client for the registry at `base_url`, "http://127.0.0.1:5001". Connects to
 * nothing yet. */
int mk_registry_new(
	const char *base_url, struct mk_registry **ret, struct mk_error *err) MK_CHECKED;
void mk_registry_free(struct mk_registry *registry);
MK_DEFINE_CLEANUP(struct mk_registry *, mk_registry_free);

/** Give up each request after `ms`, uploads included, whose time is otherwise
 * their source's matter. */
void mk_registry_set_limit(struct mk_registry *registry, int64_t ms);

/** Whether the repository has the blob. */
int mk_registry_has_blob(struct mk_registry *registry, const char *repository, const char *digest,
	bool *ret, struct mk_error *err) MK_CHECKED;

/** Store a small blob from memory, in one piece, unless it is there. */
int mk_registry_put_blob(struct mk_registry *registry, const char *repository, const char *digest,
	const void *data, size_t len, struct mk_error *err) MK_CHECKED;

/** Make a blob of repository `from` one of `repository` too, sending nothing. */
int mk_registry_mount_blob(struct mk_registry *registry, const char *repository, const char *digest,
	const char *from, struct mk_error *err) MK_CHECKED;

/** An upload under way: begin, send any number of times, then finish or free. */
struct mk_upload;
int mk_upload_begin(struct mk_registry *registry, const char *repository, struct mk_upload **ret,
	struct mk_error *err) MK_CHECKED;

/** Send all that `read` gives as the next part. Blocks as long as `read` and the
 * registry do; an interrupt is noticed between two calls of `read`, and in it.
 * Fails with the error of `read`, if that was it. */
int mk_upload_send(struct mk_upload *upload, mk_http_reader read, void *payload,
	struct mk_error *err) MK_CHECKED;

/** Store what was sent as the blob `digest`. */
int mk_upload_finish(struct mk_upload *upload, const char *digest, struct mk_error *err) MK_CHECKED;

/** Free the upload; if it is not finished the registry is told to forget it,
 * even after an interrupt (waits 5 seconds at most). */
void mk_upload_free(struct mk_upload *upload);
MK_DEFINE_CLEANUP(struct mk_upload *, mk_upload_free);

struct mk_manifest {
	char *digest; /* of the bytes below */
	char *media_type;
	struct mk_buf body;
};

void mk_manifest_done(struct mk_manifest *manifest);
#define mk_automanifest MK_CLEANUP(mk_manifest_done) struct mk_manifest

/** Whether there is a manifest under a tag or digest. */
int mk_registry_has_manifest(struct mk_registry *registry, const char *repository, const char *tag,
	bool *ret, struct mk_error *err) MK_CHECKED;

/** Fetch the manifest under a tag or digest; MK_ENOTFOUND when there is none.
 * Free with mk_manifest_done. */
int mk_registry_get_manifest(struct mk_registry *registry, const char *repository, const char *tag,
	struct mk_manifest *ret, struct mk_error *err) MK_CHECKED;

/** Store a manifest under a tag or its own digest; its blobs must be there. */
int mk_registry_put_manifest(struct mk_registry *registry, const char *repository, const char *tag,
	const char *media_type, const void *data, size_t len, struct mk_error *err) MK_CHECKED;

/**
 * Whether the registry has this very image under this name. `image_id` is the
 * engine's id of it: the digest of its config, or (engines with the containerd
 * store) of its manifest.
 */
int mk_registry_has_image(struct mk_registry *registry, const struct mk_reference *reference,
	const char *image_id, bool *ret, struct mk_error *err) MK_CHECKED;

#endif

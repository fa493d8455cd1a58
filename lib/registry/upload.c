/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs on their way into the registry. An upload is a session there: POST
 * opens it, PATCH appends, PUT names the digest and closes it, DELETE forgets
 * it. Each answer's Location says where the next request goes.
 */
#include "lib/registry/internal.h"

#include "lib/base/clock.h"

#define CANCEL_TIMEOUT_MS 5000
#define LOCATION_MAX ((size_t)8192)

struct mk_upload {
	struct mk_registry *registry;
	char *repository;
	char *location; /* path and query of the session's next request */
	bool finished;
};

/*
 * The path of a Location, absolute or relative. Its host is ignored: a registry
 * behind a proxy names itself as it likes, and our base URL is the one we trust.
 */
static int take_location(
	struct mk_upload *upload, const struct mk_http_response *response, struct mk_error *err)
{
	mk_autofree char *location = mk_http_header(response, "Location");
	const char *path = location ? location : "";
	const char *rest = mk_after_prefix(path, "http://");

	if (!rest)
		rest = mk_after_prefix(path, "https://");
	if (rest)
		path = strchr(rest, '/');
	if (!path || !mk_after_prefix(path, "/v2/") || strlen(path) > LOCATION_MAX)
		return mk_fail(err, MK_EINVALID,
			"the registry gave no usable Location for an upload to %s",
			upload->repository);
	free(upload->location);
	upload->location = mk_xstrdup(path);
	return 0;
}

int mk_upload_begin(struct mk_registry *registry, const char *repository, struct mk_upload **ret,
	struct mk_error *err)
{
	MK_CLEANUP(mk_upload_freep) struct mk_upload *upload = mk_xcalloc(1, sizeof(*upload));
	mk_autofree char *path = mk_xasprintf("/v2/%s/blobs/uploads/", repository);
	mk_autoresponse response = { .status = 0 };
	int r;

	upload->registry = registry;
	upload->repository = mk_xstrdup(repository);
	r = mk_registry_do(registry, "POST", path, &response, err);
	if (r < 0)
		return r;
	if (response.status != 202)
		return mk_registry_refused(&response, err, "begin an upload to %s", repository);
	r = take_location(upload, &response, err);
	if (r < 0)
		return r;
	*ret = MK_TAKE(upload);
	return 0;
}

/*
 * A source on its way into a PATCH. When it fails, or the user interrupts, the
 * body ends early but properly, and the error is told afterwards: a registry
 * lets nobody cancel a session whose last PATCH was cut, since only its answer
 * holds the token for the next request. So the wait for the registry, which
 * is on this machine, is shielded, and interrupts are heard between pieces.
 */
struct sending {
	mk_http_reader read;
	void *payload;
	struct mk_error error;
	bool shielded; /* by the caller: leave that alone */
};

static void shield(const struct sending *sending, bool on)
{
	if (!sending->shielded)
		mk_interrupt_shield(on);
}

static ssize_t read_piece(void *payload, void *data, size_t cap, struct mk_error *err)
{
	struct sending *sending = payload;
	ssize_t n;

	(void)err;
	if (sending->error.code != MK_OK)
		return 0;
	shield(sending, false);
	if (mk_interrupted())
		n = mk_fail_interrupted(&sending->error);
	else
		n = sending->read(sending->payload, data, cap, &sending->error);
	shield(sending, true);
	return n < 0 ? 0 : n;
}

static int patch(struct mk_upload *upload, struct sending *sending, struct mk_error *err)
{
	/* No deadline of ours: how fast the bytes come is the source's matter. */
	const struct mk_http_request request = {
		.method = "PATCH",
		.path = upload->location,
		.content_type = "application/octet-stream",
		.reader = read_piece,
		.reader_payload = sending,
		.reader_size = -1,
		.timeout_ms = mk_registry_time(upload->registry, 0),
	};
	mk_autoresponse response = { .status = 0 };
	int r = mk_http_do(upload->registry->http, &request, &response, err);

	if (r < 0)
		return r;
	/* 204 is what old registries say. */
	if (response.status != 202 && response.status != 204)
		return mk_registry_refused(&response, err, "upload to %s", upload->repository);
	return take_location(upload, &response, err);
}

int mk_upload_send(
	struct mk_upload *upload, mk_http_reader read, void *payload, struct mk_error *err)
{
	struct sending sending = {
		.read = read,
		.payload = payload,
		.shielded = mk_interrupt_seen() && !mk_interrupted(),
	};
	int r;

	shield(&sending, true);
	r = patch(upload, &sending, err);
	shield(&sending, false);
	if (sending.error.code != MK_OK) {
		mk_error_move(err, &sending.error);
		return -(int)err->code;
	}
	return r;
}

/* PUT the session's end, with the whole blob as its body or none. */
static int put(struct mk_upload *upload, const char *digest, const void *data, size_t len,
	struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("%s%cdigest=%s", upload->location,
		strchr(upload->location, '?') ? '&' : '?', digest);
	const struct mk_http_request request = {
		.method = "PUT",
		.path = path,
		.content_type = "application/octet-stream",
		.body = data,
		.body_len = len,
		.timeout_ms = mk_registry_time(upload->registry, MK_REGISTRY_FINISH_TIMEOUT_MS),
	};
	mk_autoresponse response = { .status = 0 };
	int r = mk_http_do(upload->registry->http, &request, &response, err);

	if (r < 0)
		return r;
	if (response.status != 201 && response.status != 204)
		return mk_registry_refused(
			&response, err, "store blob %s in %s", digest, upload->repository);
	upload->finished = true;
	return 0;
}

int mk_upload_finish(struct mk_upload *upload, const char *digest, struct mk_error *err)
{
	return put(upload, digest, NULL, 0, err);
}

static void cancel(struct mk_upload *upload)
{
	const struct mk_http_request request = {
		.method = "DELETE",
		.path = upload->location,
		.timeout_ms = CANCEL_TIMEOUT_MS,
	};
	mk_autoresponse response = { .status = 0 };
	mk_autoerror ignored = { .code = MK_OK };
	bool interrupted = mk_interrupted();

	if (interrupted)
		mk_interrupt_shield(true);
	/* A session that stays is purged by the registry in the end. */
	(void)!mk_http_do(upload->registry->http, &request, &response, &ignored);
	if (interrupted)
		mk_interrupt_shield(false);
}

void mk_upload_free(struct mk_upload *upload)
{
	if (!upload)
		return;
	if (upload->location && !upload->finished)
		cancel(upload);
	free(upload->repository);
	free(upload->location);
	free(upload);
}

int mk_registry_put_blob(struct mk_registry *registry, const char *repository, const char *digest,
	const void *data, size_t len, struct mk_error *err)
{
	MK_CLEANUP(mk_upload_freep) struct mk_upload *upload = NULL;
	bool there = false;
	int r = mk_registry_has_blob(registry, repository, digest, &there, err);

	if (r < 0 || there)
		return r;
	r = mk_upload_begin(registry, repository, &upload, err);
	if (r < 0)
		return r;
	return put(upload, digest, data, len, err);
}

int mk_registry_mount_blob(struct mk_registry *registry, const char *repository, const char *digest,
	const char *from, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf(
		"/v2/%s/blobs/uploads/?mount=%s&from=%s", repository, digest, from);
	MK_CLEANUP(mk_upload_freep) struct mk_upload *upload = NULL;
	mk_autoresponse response = { .status = 0 };
	int r = mk_registry_do(registry, "POST", path, &response, err);

	if (r < 0)
		return r;
	if (response.status == 201)
		return 0;
	if (response.status != 202)
		return mk_registry_refused(&response, err, "use blob %s in %s", digest, repository);
	/* It opened a session instead: the blob is not in `from`. */
	upload = mk_xcalloc(1, sizeof(*upload));
	upload->registry = registry;
	upload->repository = mk_xstrdup(repository);
	r = take_location(upload, &response, err);
	if (r < 0)
		return r;
	return mk_fail(err, MK_EREMOTE, "the registry has lost blob %s of %s", digest, from);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/csr.h"

#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/kube/watch.h"

#define REQUESTS "/apis/certificates.k8s.io/v1/certificatesigningrequests"
#define SIGNER "kubernetes.io/kube-apiserver-client"

/* Whoever else touches the request makes an approval fail. */
#define TRIES 5

/* An interrupt waits so long for an object that is being made: it has to go again. */
#define GRACE_MS 3000

static json_t *object_of(const char *name, const char *request_pem, int64_t lifetime_s)
{
	mk_autofree char *request = mk_base64(request_pem, strlen(request_pem));

	/* The key agrees on TLS keys by its signature, and encrypts nothing. */
	return mk_json_pack("{s:s,s:s,s:{s:s},s:{s:s,s:s,s:I,s:[s,s]}}", "apiVersion",
		"certificates.k8s.io/v1", "kind", "CertificateSigningRequest", "metadata", "name",
		name, "spec", "request", request, "signerName", SIGNER, "expirationSeconds",
		(json_int_t)lifetime_s, "usages", "digital signature", "client auth");
}

/* Whether it can still come to a certificate. */
static int check(const json_t *object, struct mk_error *err)
{
	static const struct {
		const char *type, *words;
	} ends[] = { { "Denied", "somebody has denied the request" },
		{ "Failed", "the signer has refused the request" } };

	for (size_t i = 0; i < MK_ARRAY_LEN(ends); i++) {
		const json_t *condition = mk_kube_find_condition(object, ends[i].type);

		if (condition)
			return mk_fail(err, MK_EREMOTE, "%s: %.100s: %.300s", ends[i].words,
				mk_json_str(condition, "reason", "no reason"),
				mk_json_str(condition, "message", "no message"));
	}
	return 0;
}

static void add_approval(json_t *object)
{
	json_t *status = json_object_get(object, "status");

	if (!json_is_object(status)) {
		status = json_object();
		(void)json_object_set_new(object, "status", status);
	}
	if (!json_is_array(json_object_get(status, "conditions")))
		(void)json_object_set_new(status, "conditions", json_array());
	(void)json_array_append_new(json_object_get(status, "conditions"),
		mk_json_pack("{s:s,s:s,s:s,s:s}", "type", "Approved", "status", "True", "reason",
			"MkclusterApproved", "message", "asked for and approved by mkcluster"));
}

/* `object` is the request as it was last seen; what is newer is looked at first. */
static int approve(struct mk_kube *kube, const char *path, json_t *object, struct mk_error *err)
{
	mk_autofree char *approval = mk_xasprintf("%s/approval", path);
	mk_autojson *now = json_incref(object);
	int r = -MK_EEXISTS;

	for (int i = 0; i < TRIES && r == -MK_EEXISTS; i++) {
		if (i > 0) {
			mk_error_done(err);
			json_decref(MK_TAKE(now));
			r = mk_kube_call(kube, "GET", path, NULL, &now, err);
			if (r < 0)
				return r;
		}
		r = check(now, err);
		if (r < 0 || mk_kube_find_condition(now, "Approved"))
			return r;
		add_approval(now);
		r = mk_kube_call(kube, "PUT", approval, now, NULL, err);
	}
	/* It is no name that the user gave. */
	return r == -MK_EEXISTS ? mk_error_recode(err, MK_EREMOTE) : r;
}

static int judge(void *payload, const char *type, const json_t *object, struct mk_error *err)
{
	const char *text = mk_json_str(object, "status.certificate", "");
	int r = check(object, err);

	if (r < 0)
		return r;
	if (mk_streq(type, "DELETED"))
		return mk_fail(err, MK_EREMOTE, "somebody has deleted the request");
	if (!*text)
		return 0;
	r = mk_base64_decode(text, payload, err);
	return r < 0 ? mk_error_wrap(err, "the certificate in the answer") : 1;
}

static int sign(struct mk_kube *kube, const char *name, json_t *object, int64_t deadline,
	struct mk_buf *ret, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf(REQUESTS "/%s", name);
	mk_autofree char *watch = mk_xasprintf(REQUESTS "?fieldSelector=metadata.name%%3D%s", name);
	int r = approve(kube, path, object, err);

	if (r < 0)
		return mk_error_wrap(err, "approve the certificate");
	r = mk_kube_watch(kube, watch, deadline, judge, ret, err);
	if (r == -MK_ETIMEOUT)
		mk_error_hint(err,
			"the controller manager signs; does it run? `mkcluster verify` looks at "
			"the cluster");
	return r < 0 ? mk_error_wrap(err, "wait for the certificate") : 0;
}

/* What stays is removed by the controller manager within an hour. */
static void forget(struct mk_kube *kube, const char *name)
{
	mk_autofree char *path = mk_xasprintf(REQUESTS "/%s", name);
	mk_autoerror ignored = { .code = MK_OK };

	mk_interrupt_shield(true);
	(void)!mk_kube_call(kube, "DELETE", path, NULL, NULL, &ignored);
	mk_interrupt_shield(false);
}

int mk_kube_sign_client(struct mk_kube *kube, const char *request_pem, int64_t lifetime_s,
	int64_t deadline, struct mk_buf *ret, struct mk_error *err)
{
	mk_autofree char *random = NULL, *name = NULL;
	mk_autojson *object = NULL;
	mk_autojson *made = NULL;
	int r = mk_random_hex(8, &random, err);

	if (r < 0)
		return r;
	name = mk_xasprintf("mkcluster-%s", random);
	object = object_of(name, request_pem, lifetime_s);
	mk_interrupt_delay(GRACE_MS);
	r = mk_kube_call(kube, "POST", REQUESTS, object, &made, err);
	mk_interrupt_delay(0);
	/* Refused, nothing is there; an answer that was lost tells nothing. */
	if (r < 0 && err->status > 0)
		return mk_error_wrap(err, "ask for a certificate");
	if (r < 0)
		(void)mk_error_wrap(err, "ask for a certificate");
	else
		r = sign(kube, name, made, deadline, ret, err);
	forget(kube, name);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/certs.h"

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/cluster/cluster.h"
#include "lib/docker/container.h"
#include "lib/kube/userconfig.h"

#define MAX_FILE ((size_t)65536)

/* A kubeconfig's name ends so, and a certificate's. */
#define CONF ".conf"
#define CRT ".crt"
#define METRICS_SECRET "metrics-server"

void mk_found_certs_done(struct mk_found_certs *certs)
{
	for (size_t i = 0; i < certs->count; i++) {
		free(certs->items[i].node);
		free(certs->items[i].path);
		free(certs->items[i].name);
		mk_cert_free(certs->items[i].cert);
	}
	free(certs->items);
	free(certs->unread);
	*certs = (struct mk_found_certs){ .items = NULL };
}

/* "/etc/kubernetes/pki/etcd/server.crt" is "etcd/server". Caller frees. */
static char *row_name(const char *path)
{
	const char *rest = mk_after_prefix(path, MK_PKI_DIR "/");
	const char *ending = rest ? CRT : CONF;
	mk_autofree char *name = NULL;

	if (!rest)
		rest = mk_after_prefix(path, MK_PKI_KUBE_DIR "/");
	if (rest && mk_has_suffix(rest, ending))
		name = mk_xstrndup(rest, strlen(rest) - strlen(ending));
	return name && mk_pki_row_find(name) ? MK_TAKE(name) : mk_xstrdup("");
}

/* Every certificate of a PEM text: a file of trusted CAs may hold two. */
static int add_pem(struct mk_found_certs *certs, const char *node, const char *path,
	const char *pem, struct mk_error *err)
{
	static const char end[] = "-----END CERTIFICATE-----";

	do {
		mk_autocert *cert = NULL;
		int r = mk_cert_parse(pem, strlen(pem), &cert, err);

		if (r < 0)
			return mk_error_wrap(
				err, "%s%s%s", node ? node : "", node ? ": " : "", path);
		certs->items = mk_xrealloc(
			certs->items, (certs->count + 1) * sizeof(struct mk_found_cert));
		certs->items[certs->count++] = (struct mk_found_cert){
			.node = node ? mk_xstrdup(node) : NULL,
			.path = mk_xstrdup(path),
			.name = row_name(path),
			.cert = MK_TAKE(cert),
		};
		pem = strstr(pem, end);
		pem = pem ? strstr(pem, "-----BEGIN CERTIFICATE-----") : NULL;
	} while (pem);
	return 0;
}

/* Where one node's files go. */
struct reading {
	struct mk_found_certs *certs;
	const char *node;
};

static void note_stage(struct mk_found_certs *certs, const char *path)
{
	if (mk_streq(path, MK_PKI_DIR "/ca-previous.crt"))
		certs->stage = MK_PKI_ISSUED;
	else if (mk_streq(path, MK_PKI_DIR "/ca-next.crt") && certs->stage == MK_PKI_SETTLED)
		certs->stage = MK_PKI_TRUSTED;
}

static int visit_file(
	void *payload, const char *path, const struct mk_buf *data, struct mk_error *err)
{
	const struct reading *reading = payload;
	mk_autoidentity identity = { .server = NULL };
	int r;

	/* ca-signer.crt is the first of ca.crt. */
	if (mk_streq(path, MK_PKI_SIGNER_PATH))
		return 0;
	note_stage(reading->certs, path);
	if (mk_has_suffix(path, CRT))
		return add_pem(reading->certs, reading->node, path, data->data, err);
	if (!mk_has_suffix(path, CONF))
		return 0;
	r = mk_kube_identity_parse(data->data, data->len, &identity, err);
	if (r < 0)
		return mk_error_wrap(err, "%s: %s", reading->node, path);
	return add_pem(reading->certs, reading->node, path, identity.cert_pem, err);
}

int mk_certs_find_in_nodes(struct mk_docker *docker, const json_t *nodes,
	struct mk_found_certs *ret, struct mk_error *err)
{
	const json_t *node;
	size_t i;
	int r = 0;

	json_array_foreach (nodes, i, node) {
		struct reading reading = { .certs = ret, .node = mk_json_str(node, "name", "") };

		/* One that never started is what a killed run has left. */
		if (!mk_cluster_is_kube(node) ||
			mk_streq(mk_json_str(node, "state", ""), "created"))
			continue;
		r = mk_container_read_folder(docker, mk_json_str(node, "id", ""), MK_PKI_KUBE_DIR,
			MAX_FILE, visit_file, &reading, err);
		if (r == -MK_ENOTFOUND)
			r = mk_error_recode(err, MK_EFAIL);
		if (r < 0)
			return mk_error_wrap(err, "certificates of node '%s'", reading.node);
	}
	return 0;
}

static int add_user(struct mk_found_certs *certs, const char *name, const char *kubeconfig,
	struct mk_error *err)
{
	mk_autofree char *context = mk_cluster_context(name);
	mk_autofree char *pem = NULL;
	mk_autofree char *path = NULL;
	int r = mk_userconfig_cert(kubeconfig, context, &pem, &path, err);

	return r == 0 && pem ? add_pem(certs, NULL, path, pem, err) : r;
}

static int read_secret(
	struct mk_docker *docker, const char *name, struct mk_buf *ret, struct mk_error *err)
{
	MK_CLEANUP(mk_kube_freep) struct mk_kube *kube = NULL;
	mk_autojson *secret = NULL;
	const char *cert;
	int r = mk_cluster_connect(docker, name, &kube, err);

	if (r == 0)
		r = mk_kube_call(kube, "GET",
			"/api/v1/namespaces/kube-system/secrets/" METRICS_SECRET, NULL, &secret,
			err);
	if (r < 0)
		return r;
	cert = json_string_value(json_object_get(json_object_get(secret, "data"), "tls.crt"));
	return mk_base64_decode(cert ? cert : "", ret, err);
}

/* A cluster may be without metrics-server, and without an API that answers. */
static int add_secret(struct mk_docker *docker, const char *name, const json_t *first,
	struct mk_found_certs *certs, struct mk_error *err)
{
	mk_autobuf pem = mk_buf_init(MAX_FILE);
	mk_autoerror why = { .code = MK_OK };
	const char *state = mk_json_str(first, "state", "");
	int r;

	if (!mk_streq(state, "running")) {
		certs->unread = mk_xasprintf("the cluster is %s", state);
		return 0;
	}
	r = read_secret(docker, name, &pem, &why);
	if (r == -MK_ENOTFOUND)
		return 0;
	if (r < 0) {
		certs->unread = mk_xstrdup(why.message);
		return 0;
	}
	r = add_pem(certs, NULL, "secret/kube-system/" METRICS_SECRET, pem.data, err);
	if (r == 0) {
		free(certs->items[certs->count - 1].name);
		certs->items[certs->count - 1].name = mk_xstrdup("metrics-server");
	}
	return r;
}

static size_t rank(const struct mk_found_cert *cert)
{
	const struct mk_pki_row *row = mk_pki_row_find(cert->name);
	size_t count;

	return row ? (size_t)(row - mk_pki_rows(&count)) : SIZE_MAX;
}

static int compare(const void *a, const void *b)
{
	const struct mk_found_cert *x = a, *y = b;
	int r = strcmp(x->node ? x->node : "~", y->node ? y->node : "~");

	if (r == 0 && rank(x) != rank(y))
		r = rank(x) < rank(y) ? -1 : 1;
	return r ? r : strcmp(x->path, y->path);
}

int mk_certs_find(struct mk_docker *docker, const char *name, const char *kubeconfig,
	struct mk_found_certs *ret, struct mk_error *err)
{
	mk_autojson *first = NULL;
	mk_autojson *nodes = NULL;
	int r = mk_cluster_find(docker, name, &first, err);

	if (r == 0)
		r = mk_cluster_nodes(docker, name, &nodes, err);
	if (r == 0)
		r = mk_certs_find_in_nodes(docker, nodes, ret, err);
	if (r == 0)
		r = add_user(ret, name, kubeconfig, err);
	if (r == 0)
		r = add_secret(docker, name, first, ret, err);
	if (r == 0 && ret->count > 1)
		qsort(ret->items, ret->count, sizeof(struct mk_found_cert), compare);
	return r;
}

const struct mk_found_cert *mk_certs_first_to_expire(const struct mk_found_certs *certs)
{
	const struct mk_found_cert *first = NULL;

	for (size_t i = 0; i < certs->count; i++) {
		const struct mk_found_cert *cert = &certs->items[i];

		if (!first || mk_cert_not_after(cert->cert) < mk_cert_not_after(first->cert))
			first = cert;
	}
	return first;
}

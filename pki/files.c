/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle as files: what one node gets, where, and with which mode. Texts with
 * a key exist only while a file is handed over.
 */
#include "pki/bundle_private.h"
#include "pki/kubeconfig.h"

#define MAX_FILE ((size_t)65536)

/* The components of a control plane talk to the API server beside them: it is up
 * when they are, and never of an older version than they expect. */
#define LOCAL_SERVER "https://127.0.0.1:6443"

/* One walk over the files of a node. */
struct walk {
	const struct mk_pki_bundle *bundle;
	size_t node;
	int (*add)(void *arg, const struct mk_pki_file *file, struct mk_error *err);
	void *arg;
};

/* All three PEM texts of a kubeconfig. */
static int print_pems(const struct mk_pki_bundle *bundle, const char *name, size_t node,
	struct mk_buf *ret_ca, struct mk_buf *ret_cert, struct mk_buf *ret_key,
	struct mk_error *err)
{
	const struct mk_cert *cert = mk_pki_bundle_cert(bundle, name, node);
	const struct mk_key *key = mk_pki_bundle_key(bundle, name, node);
	int r;

	if (!cert || !key)
		return mk_fail(err, MK_ENOTFOUND, "there is no certificate '%s'", name);
	r = mk_pki_bundle_trust(bundle, "ca", ret_ca, err);
	if (r == 0)
		r = mk_cert_pem(cert, ret_cert, err);
	if (r == 0)
		r = mk_key_private_pem(key, ret_key, err);
	return r;
}

int mk_pki_bundle_kubeconfig(const struct mk_pki_bundle *bundle, const char *name, size_t node,
	const char *server, const char *entry, struct mk_buf *ret, struct mk_error *err)
{
	mk_autobuf ca = mk_buf_init(MAX_FILE), cert = mk_buf_init(MAX_FILE);
	mk_autowipebuf key = mk_buf_init(MAX_FILE);
	mk_autofree char *context = NULL;
	const char *user;
	int r = print_pems(bundle, name, node, &ca, &cert, &key, err);

	if (r < 0)
		return r;
	user = entry ? entry : mk_cert_common_name(mk_pki_bundle_cert(bundle, name, node));
	context = entry ? mk_xstrdup(entry) : mk_xasprintf("%s@%s", user, bundle->cluster);
	r = mk_kubeconfig_print(
		&(struct mk_kubeconfig){
			.cluster = entry ? entry : bundle->cluster,
			.user = user,
			.context = context,
			.server = server,
			.ca_pem = ca.data,
			.cert_pem = cert.data,
			.key_pem = key.data,
		},
		ret, err);
	return r < 0 ? mk_error_wrap(err, "kubeconfig '%s'", name) : 0;
}

static bool is_here(const struct walk *walk, enum mk_pki_place place)
{
	return place == MK_PKI_EVERY_NODE || walk->bundle->control_plane[walk->node];
}

static int hand_over(const struct walk *walk, const char *path, mode_t mode,
	const struct mk_buf *data, struct mk_error *err)
{
	struct mk_pki_file file = {
		.path = path,
		.mode = mode,
		.data = data->data,
		.len = data->len,
	};

	return walk->add(walk->arg, &file, err);
}

static int print_public(const struct walk *walk, const struct mk_pki_row *row, struct mk_buf *ret,
	struct mk_error *err)
{
	const struct mk_pki_secret *secret = mk_pki_bundle_at(walk->bundle, row, walk->node);

	if (row->form == MK_PKI_SIGNING)
		return mk_key_public_pem(secret->key, ret, err);
	if (row->usages & MK_CERT_CA)
		return mk_pki_bundle_trust(walk->bundle, row->name, ret, err);
	return mk_cert_pem(secret->cert, ret, err);
}

static int add_public(const struct walk *walk, const struct mk_pki_row *row, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf(
		"%s/%s.%s", MK_PKI_DIR, row->name, row->form == MK_PKI_SIGNING ? "pub" : "crt");
	mk_autobuf pem = mk_buf_init(MAX_FILE);
	int r = print_public(walk, row, &pem, err);

	return r < 0 ? r : hand_over(walk, path, 0644, &pem, err);
}

static int add_cert(
	const struct walk *walk, const char *path, const struct mk_cert *cert, struct mk_error *err)
{
	mk_autobuf pem = mk_buf_init(MAX_FILE);
	int r = mk_cert_pem(cert, &pem, err);

	return r < 0 ? r : hand_over(walk, path, 0644, &pem, err);
}

static int add_key(
	const struct walk *walk, const char *path, const struct mk_key *key, struct mk_error *err)
{
	mk_autowipebuf pem = mk_buf_init(MAX_FILE);
	int r = mk_key_private_pem(key, &pem, err);

	return r < 0 ? r : hand_over(walk, path, 0600, &pem, err);
}

static int add_private(const struct walk *walk, const struct mk_pki_row *row, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("%s/%s.key", MK_PKI_DIR, row->name);

	return add_key(walk, path, mk_pki_bundle_at(walk->bundle, row, walk->node)->key, err);
}

/* The CA that is trusted and does not sign: to go on with, or back. */
static int add_other(const struct walk *walk, const struct mk_pki_row *row, struct mk_error *err)
{
	const struct mk_pki_secret *other = mk_pki_bundle_other(walk->bundle, row);
	const char *suffix = mk_pki_other_suffix(walk->bundle->stage);
	mk_autofree char *cert_path = mk_xasprintf(
		"%s/%s%s.crt", MK_PKI_DIR, row->name, suffix ? suffix : "");
	mk_autofree char *key_path = mk_xasprintf(
		"%s/%s%s.key", MK_PKI_DIR, row->name, suffix ? suffix : "");
	int r;

	if (!suffix || !other->cert)
		return 0;
	r = add_cert(walk, cert_path, other->cert, err);
	return r == 0 ? add_key(walk, key_path, other->key, err) : r;
}

static int add_kubeconfig(
	const struct walk *walk, const struct mk_pki_row *row, struct mk_error *err)
{
	bool local = row->cert_on == MK_PKI_CONTROL_PLANE;
	mk_autofree char *path = mk_xasprintf("%s/%s.conf", MK_PKI_KUBE_DIR, row->name);
	mk_autowipebuf text = mk_buf_init(MAX_FILE);
	int r = mk_pki_bundle_kubeconfig(walk->bundle, row->name, walk->node,
		local ? LOCAL_SERVER : walk->bundle->server, /* entry: */ NULL, &text, err);

	return r < 0 ? r : hand_over(walk, path, 0600, &text, err);
}

static int add_row(const struct walk *walk, const struct mk_pki_row *row, struct mk_error *err)
{
	int r = 0;

	if (!is_here(walk, row->cert_on) || row->form == MK_PKI_SECRET)
		return 0;
	if (row->form == MK_PKI_KUBECONFIG)
		return add_kubeconfig(walk, row, err);
	r = add_public(walk, row, err);
	if (r == 0 && is_here(walk, row->key_on))
		r = add_private(walk, row, err);
	if (r == 0 && is_here(walk, row->key_on) && (row->usages & MK_CERT_CA))
		r = add_other(walk, row, err);
	return r;
}

int mk_pki_bundle_each_file(const struct mk_pki_bundle *bundle, size_t node,
	int (*add)(void *arg, const struct mk_pki_file *file, struct mk_error *err), void *arg,
	struct mk_error *err)
{
	struct walk walk = { .bundle = bundle, .node = node, .add = add, .arg = arg };
	const struct mk_pki_row *rows;
	size_t count;
	int r = 0;

	if (node >= bundle->node_count)
		return mk_fail(err, MK_ENOTFOUND, "there is no node %zu", node);
	rows = mk_pki_rows(&count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_row(&walk, &rows[i], err);
	if (r == 0 && is_here(&walk, MK_PKI_CONTROL_PLANE))
		r = add_cert(&walk, MK_PKI_SIGNER_PATH, mk_pki_bundle_cert(bundle, "ca", 0), err);
	if (r == 0 && is_here(&walk, MK_PKI_CONTROL_PLANE))
		r = hand_over(&walk, MK_PKI_ENCRYPTION_PATH, 0600, &bundle->encryption, err);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Turn the table and a cluster's description into keys and certificates. */
#include "pki/bundle_private.h"

#include "lib/base/clock.h"
#include "pki/encryption.h"

#define MAX_ENCRYPTION_CONFIG MK_MAX_ENCRYPTION_CONFIG

struct mk_pki_secret *mk_pki_bundle_at(
	const struct mk_pki_bundle *bundle, const struct mk_pki_row *row, size_t node)
{
	size_t count;
	size_t index = (size_t)(row - mk_pki_rows(&count));

	return &bundle->secrets[index * bundle->node_count + (row->per_node ? node : 0)];
}

/* A node's name goes into user names, which are compared byte by byte. */
static int check_node(const struct mk_pki_node *node, struct mk_sans *seen, struct mk_error *err)
{
	size_t names = seen->dns.count, ips = seen->ips.count;
	int r = mk_sans_add_dns(seen, node->name, err);

	if (r == 0)
		r = mk_sans_add_ip(seen, node->ip, err);
	if (r < 0)
		return mk_error_wrap(err, "node '%s'", node->name);
	if (seen->dns.count == names || seen->ips.count == ips)
		return mk_fail(err, MK_EINVALID,
			"node '%s': another node has its name or its address %s", node->name,
			node->ip);
	if (!mk_streq(seen->dns.items[names], node->name) || node->name[0] == '*')
		return mk_fail(err, MK_EINVALID,
			"node '%s': a node's name is lower case and without '*'", node->name);
	return 0;
}

static int check_spec(const struct mk_pki_spec *spec, struct mk_error *err)
{
	mk_autosans seen = { 0 };
	bool control_plane = false;
	int r;

	for (size_t i = 0; i < spec->node_count; i++) {
		r = check_node(&spec->nodes[i], &seen, err);
		if (r < 0)
			return r;
		control_plane = control_plane || spec->nodes[i].control_plane;
	}
	if (!control_plane)
		return mk_fail(err, MK_EINVALID, "no node is of the control plane");
	return 0;
}

static int add_node_sans(const struct mk_pki_node *node, struct mk_sans *ret, struct mk_error *err)
{
	int r = mk_sans_add_dns(ret, node->name, err);

	return r < 0 ? r : mk_sans_add_ip(ret, node->ip, err);
}

static int add_local_sans(struct mk_sans *ret, struct mk_error *err)
{
	int r = mk_sans_add_dns(ret, "localhost", err);

	if (r == 0)
		r = mk_sans_add_ip(ret, "127.0.0.1", err);
	return r < 0 ? r : mk_sans_add_ip(ret, "::1", err);
}

/* Pods know the API by the names and the address of its service, programs on
 * the user's machine by a published port, other containers by Docker's name for
 * that machine, the nodes by each other's names. */
static int add_api_sans(const struct mk_pki_spec *spec, struct mk_sans *ret, struct mk_error *err)
{
	const char *domain = spec->dns_domain ? spec->dns_domain : "cluster.local";
	mk_autostrlist names = { 0 };
	int r = mk_sans_add_ip(ret, spec->service_ip, err);

	mk_strlist_add(&names, "kubernetes");
	mk_strlist_add(&names, "kubernetes.default");
	mk_strlist_add(&names, "kubernetes.default.svc");
	mk_strlist_addf(&names, "kubernetes.default.svc.%s", domain);
	/* No DNS has these, but the certificates of Kubernetes the hard way do. */
	mk_strlist_add(&names, "kubernetes.default.svc.cluster");
	mk_strlist_addf(&names, "kubernetes.svc.%s", domain);
	mk_strlist_add(&names, "host.docker.internal");
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = mk_sans_add_dns(ret, names.items[i], err);
	for (size_t i = 0; r == 0 && i < spec->node_count; i++) {
		if (spec->nodes[i].control_plane)
			r = add_node_sans(&spec->nodes[i], ret, err);
	}
	for (size_t i = 0; r == 0 && spec->api_sans && i < spec->api_sans->count; i++)
		r = mk_sans_add(ret, spec->api_sans->items[i], err);
	return r;
}

static int collect_sans(const struct mk_pki_spec *spec, const struct mk_pki_row *row, size_t node,
	struct mk_sans *ret, struct mk_error *err)
{
	int r = 0;

	if (row->sans & MK_PKI_SANS_NODE)
		r = add_node_sans(&spec->nodes[node], ret, err);
	if (r == 0 && (row->sans & MK_PKI_SANS_LOCAL))
		r = add_local_sans(ret, err);
	if (r == 0 && (row->sans & MK_PKI_SANS_API))
		r = add_api_sans(spec, ret, err);
	if (r == 0 && (row->sans & MK_PKI_SANS_OWN))
		r = mk_sans_add_dns(ret, row->common_name, err);
	return r;
}

static char *common_name(const struct mk_pki_row *row, const char *node)
{
	const char *mark = strstr(row->common_name, "%s");

	if (!mark)
		return mk_xstrdup(row->common_name);
	return mk_xasprintf("%.*s%s", (int)(mark - row->common_name), row->common_name, node);
}

static int64_t lifetime(const struct mk_pki_spec *spec, const struct mk_pki_row *row)
{
	int64_t given = row->usages & MK_CERT_CA ? spec->ca_lifetime_s : spec->lifetime_s;

	return given > 0 ? given : mk_pki_row_lifetime(row);
}

static int make_cert(const struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec,
	const struct mk_pki_row *row, size_t node, struct mk_error *err)
{
	struct mk_pki_secret *secret = mk_pki_bundle_at(bundle, row, node);
	mk_autofree char *name = common_name(row, spec->nodes[node].name);
	mk_autostrlist groups = { 0 };
	mk_autosans sans = { 0 };
	struct mk_cert_request request = {
		.common_name = name,
		.organizations = &groups,
		.sans = &sans,
		.usages = row->usages,
		.lifetime_s = lifetime(spec, row),
	};
	const struct mk_pki_secret *ca;
	int r = collect_sans(spec, row, node, &sans, err);

	if (r < 0)
		return r;
	if (row->organization)
		mk_strlist_add(&groups, row->organization);
	if (!row->signer)
		return mk_cert_self_sign(&request, secret->key, &secret->cert, err);
	ca = mk_pki_bundle_at(bundle, mk_pki_row_find(row->signer), 0);
	return mk_cert_sign(&request, secret->key, ca->cert, ca->key, &secret->cert, err);
}

int mk_pki_make_secret(const struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec,
	const struct mk_pki_row *row, size_t node, struct mk_error *err)
{
	struct mk_pki_secret *secret = mk_pki_bundle_at(bundle, row, node);
	int r;

	if (mk_interrupted())
		return mk_fail_interrupted(err);
	r = secret->key ? 0
			: mk_key_new(mk_pki_row_key_kind(row, spec->key_kind), &secret->key, err);
	if (r == 0 && row->common_name && !secret->cert)
		r = make_cert(bundle, spec, row, node, err);
	if (r < 0 && row->per_node)
		return mk_error_wrap(
			err, "certificate '%s' of node '%s'", row->name, spec->nodes[node].name);
	return r < 0 ? mk_error_wrap(err, "certificate '%s'", row->name) : 0;
}

bool mk_pki_is_of_node(const struct mk_pki_row *row, const struct mk_pki_spec *spec, size_t node)
{
	if (!row->per_node)
		return node == 0;
	return row->cert_on == MK_PKI_EVERY_NODE || spec->nodes[node].control_plane;
}

static int make_row(const struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec,
	const struct mk_pki_row *row, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->node_count; i++) {
		if (mk_pki_is_of_node(row, spec, i))
			r = mk_pki_make_secret(bundle, spec, row, i, err);
	}
	return r;
}

static struct mk_pki_bundle *prepare(const struct mk_pki_spec *spec)
{
	struct mk_pki_bundle *bundle = mk_xcalloc(1, sizeof(*bundle));
	size_t rows;

	(void)mk_pki_rows(&rows);
	bundle->cluster = mk_xstrdup(spec->cluster);
	bundle->server = mk_xstrdup(spec->server);
	bundle->node_count = spec->node_count;
	bundle->control_plane = mk_xcalloc(spec->node_count, sizeof(*bundle->control_plane));
	for (size_t i = 0; i < spec->node_count; i++)
		bundle->control_plane[i] = spec->nodes[i].control_plane;
	bundle->secrets = mk_xcalloc(rows * spec->node_count, sizeof(*bundle->secrets));
	bundle->others = mk_xcalloc(rows, sizeof(*bundle->others));
	bundle->encryption = mk_buf_init(MAX_ENCRYPTION_CONFIG);
	return bundle;
}

/* All rows whose secrets are not there yet. */
static int make_rows(
	const struct mk_pki_bundle *bundle, const struct mk_pki_spec *spec, struct mk_error *err)
{
	size_t count;
	const struct mk_pki_row *rows = mk_pki_rows(&count);
	int r = mk_pki_make_keys(bundle, spec, err);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = make_row(bundle, spec, &rows[i], err);
	return r;
}

int mk_pki_bundle_new(
	const struct mk_pki_spec *spec, struct mk_pki_bundle **ret, struct mk_error *err)
{
	mk_autopki *bundle = NULL;
	int r = check_spec(spec, err);

	if (r < 0)
		return r;
	bundle = prepare(spec);
	r = make_rows(bundle, spec, err);
	if (r == 0)
		r = mk_encryption_config_new(&bundle->encryption, err);
	if (r == 0)
		*ret = MK_TAKE(bundle);
	return r;
}

static int read_authorities(
	struct mk_pki_bundle *bundle, const struct mk_pki_source *source, struct mk_error *err)
{
	size_t count;
	const struct mk_pki_row *rows = mk_pki_rows(&count);
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		if (mk_pki_is_authority(&rows[i]))
			r = mk_pki_read_authority(
				source, &rows[i], "", mk_pki_bundle_at(bundle, &rows[i], 0), err);
	}
	if (r == 0)
		r = mk_pki_read_others(bundle, source, err);
	if (r == 0)
		r = source->read(source->arg, MK_PKI_ENCRYPTION_PATH, &bundle->encryption, err);
	return r;
}

int mk_pki_bundle_join(const struct mk_pki_spec *spec, const struct mk_pki_source *source,
	struct mk_pki_bundle **ret, struct mk_error *err)
{
	mk_autopki *bundle = NULL;
	int r = check_spec(spec, err);

	if (r < 0)
		return r;
	bundle = prepare(spec);
	r = read_authorities(bundle, source, err);
	if (r == 0)
		r = mk_pki_turn_cas(bundle, spec, err);
	if (r == 0)
		r = make_rows(bundle, spec, err);
	if (r == 0)
		*ret = MK_TAKE(bundle);
	return r;
}

void mk_pki_secret_done(struct mk_pki_secret *secret)
{
	mk_key_free(secret->key);
	mk_cert_free(secret->cert);
	*secret = (struct mk_pki_secret){ .key = NULL };
}

void mk_pki_bundle_free(struct mk_pki_bundle *bundle)
{
	size_t rows;

	if (!bundle)
		return;
	(void)mk_pki_rows(&rows);
	for (size_t i = 0; i < rows * bundle->node_count; i++)
		mk_pki_secret_done(&bundle->secrets[i]);
	for (size_t i = 0; i < rows; i++)
		mk_pki_secret_done(&bundle->others[i]);
	free(bundle->secrets);
	free(bundle->others);
	free(bundle->control_plane);
	free(bundle->cluster);
	free(bundle->server);
	mk_buf_wipe(&bundle->encryption);
	free(bundle);
}

static const struct mk_pki_secret *find(
	const struct mk_pki_bundle *bundle, const char *name, size_t node)
{
	const struct mk_pki_row *row = mk_pki_row_find(name);

	if (!row || node >= bundle->node_count)
		return NULL;
	return mk_pki_bundle_at(bundle, row, node);
}

const struct mk_cert *mk_pki_bundle_cert(
	const struct mk_pki_bundle *bundle, const char *name, size_t node)
{
	const struct mk_pki_secret *secret = find(bundle, name, node);

	return secret ? secret->cert : NULL;
}

const struct mk_key *mk_pki_bundle_key(
	const struct mk_pki_bundle *bundle, const char *name, size_t node)
{
	const struct mk_pki_secret *secret = find(bundle, name, node);

	return secret ? secret->key : NULL;
}

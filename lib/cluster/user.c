/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/user.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/cluster/cluster.h"
#include "lib/kube/csr.h"
#include "pki/kubeconfig.h"
#include "pki/request.h"

#define DAY_S 86400

/* The signer dates certificates back by five minutes, at both ends. */
#define NEARLY_S 600

/* "Ensure that you don't have users or groups with names that start with system: by
 * accident": kubernetes.io/docs/reference/access-authn-authz/rbac. */
static int check_reserved(const char *what, const char *name, struct mk_error *err)
{
	if (!mk_after_prefix(name, "system:"))
		return 0;
	(void)mk_fail(err, MK_EUSAGE, "%s '%s': Kubernetes keeps names with system: for itself",
		what, name);
	mk_error_hint(err, "--allow-system if it is meant");
	return -MK_EUSAGE;
}

int mk_user_check(const struct mk_user *user, struct mk_error *err)
{
	int r = mk_cert_check_names(user->name, user->groups, err);

	if (r < 0) {
		(void)mk_error_wrap(err, "the user's certificate");
		return mk_error_recode(err, MK_EUSAGE);
	}
	if (user->days < 1 || user->days > MK_USER_MAX_DAYS)
		return mk_fail(err, MK_EUSAGE, "a certificate is for 1 to %d days, not %lld",
			MK_USER_MAX_DAYS, (long long)user->days);
	if (user->allow_system)
		return 0;
	r = check_reserved("user", user->name, err);
	for (size_t i = 0; i < user->groups->count && r == 0; i++)
		r = check_reserved("group", user->groups->items[i], err);
	return r;
}

/* How the certificate ends, compared with what was asked for. */
static int judge(const struct mk_cert *cert, const struct mk_key *key,
	const struct mk_kube_identity *identity, const struct mk_user *user,
	struct mk_user_grant *ret, struct mk_error *err)
{
	mk_autocert *ca = NULL;
	time_t end = mk_cert_not_after(cert);
	int r;

	if (!mk_cert_has_key(cert, key) || !mk_streq(mk_cert_common_name(cert), user->name))
		return mk_fail(err, MK_EREMOTE, "the cluster has signed another certificate: %s",
			mk_cert_subject(cert));
	r = mk_cert_parse(identity->ca_pem, strlen(identity->ca_pem), &ca, err);
	if (r < 0)
		return r;
	*ret = (struct mk_user_grant){ .not_after = end,
		.shorter = end + NEARLY_S < time(NULL) + (time_t)user->days * DAY_S,
		.by_authority = end >= mk_cert_not_after(ca) };
	return 0;
}

/* `cert_pem` is as the cluster has signed it. */
static int print(const char *cluster, const struct mk_kube_identity *identity,
	const struct mk_user *user, const struct mk_key *key, const char *cert_pem,
	struct mk_buf *ret, struct mk_error *err)
{
	mk_autowipebuf key_pem = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autofree char *entry = mk_cluster_context(cluster);
	mk_autofree char *context = mk_xasprintf("%s@%s", user->name, entry);
	struct mk_kubeconfig config = {
		.cluster = entry,
		.user = context,
		.context = context,
		.server = identity->server,
		.ca_pem = identity->ca_pem,
		.cert_pem = cert_pem,
	};
	int r = mk_key_private_pem(key, &key_pem, err);

	config.key_pem = key_pem.data;
	return r == 0 ? mk_kubeconfig_print(&config, ret, err) : r;
}

static int sign(const struct mk_kube_identity *identity, const struct mk_user *user,
	const struct mk_key *key, struct mk_buf *ret, struct mk_error *err)
{
	MK_CLEANUP(mk_kube_freep) struct mk_kube *kube = NULL;
	mk_autobuf request = mk_buf_init(MK_MAX_CONFIG_FILE);
	struct mk_cert_request asked = {
		.common_name = user->name,
		.organizations = user->groups,
	};
	int r = mk_cert_request_pem(&asked, key, &request, err);

	if (r == 0)
		r = mk_kube_new(identity, &kube, err);
	if (r == 0)
		r = mk_kube_sign_client(kube, request.data, user->days * DAY_S,
			mk_deadline(user->timeout_ms), ret, err);
	return r;
}

int mk_cluster_add_user(struct mk_docker *docker, const char *cluster, const struct mk_user *user,
	struct mk_buf *ret, struct mk_user_grant *ret_grant, struct mk_error *err)
{
	mk_autoidentity identity = { .server = NULL };
	mk_autobuf pem = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autokey *key = NULL;
	mk_autocert *cert = NULL;
	int r = mk_user_check(user, err);

	if (r == 0)
		r = mk_cluster_identity(docker, cluster, /* internal= */ false, &identity, err);
	if (r == 0)
		r = mk_key_new(MK_KEY_EC_P256, &key, err);
	if (r == 0)
		r = sign(&identity, user, key, &pem, err);
	if (r == -MK_ENET)
		mk_error_hint(
			err, "do all its nodes run? `mkcluster get nodes --name %s`", cluster);
	if (r == 0)
		r = mk_cert_parse(pem.data, pem.len, &cert, err);
	if (r == 0)
		r = judge(cert, key, &identity, user, ret_grant, err);
	return r == 0 ? print(cluster, &identity, user, key, pem.data, ret, err) : r;
}

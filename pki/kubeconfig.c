/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubeconfig text, by plain formatting: a JSON or YAML library would keep
 * copies of the private key that nobody wipes.
 */
#include "pki/kubeconfig.h"

#include "lib/base/encode.h"
#include "lib/base/str.h"

static bool is_printable(const char *s)
{
	for (; *s; s++) {
		if (*s < 0x20 || *s > 0x7e)
			return false;
	}
	return true;
}

static int check_name(const char *what, const char *s, struct mk_error *err)
{
	if (*s && is_printable(s))
		return 0;
	return mk_fail(err, MK_EINVALID,
		"the kubeconfig's %s name is empty or has a character that is not printable ASCII",
		what);
}

static int check_server(const char *url, struct mk_error *err)
{
	const char *host = mk_after_prefix(url, "https://");

	/* A server without TLS would be sent the client's requests in the clear. */
	if (host && *host && is_printable(host) && !strpbrk(host, " \"\\"))
		return 0;
	return mk_fail(err, MK_EINVALID, "the kubeconfig's server '%s' is not an https URL", url);
}

static int check(const struct mk_kubeconfig *conf, struct mk_error *err)
{
	int r = check_name("cluster", conf->cluster, err);

	if (r == 0)
		r = check_name("user", conf->user, err);
	if (r == 0)
		r = check_name("context", conf->context, err);
	if (r == 0)
		r = check_server(conf->server, err);
	return r;
}

/* KEY: "VALUE" on a line. For printable ASCII the double-quoted string is the
 * same in JSON and YAML. */
static void add_line(struct mk_buf *ret, const char *key, const char *value)
{
	mk_buf_addf(ret, "%s: \"", key);
	for (const char *p = value; *p; p++) {
		if (*p == '"' || *p == '\\')
			mk_buf_add(ret, "\\", 1);
		mk_buf_add(ret, p, 1);
	}
	mk_buf_adds(ret, "\"\n");
}

static void add_data(struct mk_buf *ret, const char *key, const char *pem)
{
	mk_autosecret char *text = mk_base64(pem, strlen(pem));

	mk_buf_addf(ret, "    %s: ", key);
	mk_buf_adds(ret, text);
	mk_buf_add(ret, "\n", 1);
}

int mk_kubeconfig_print(const struct mk_kubeconfig *conf, struct mk_buf *ret, struct mk_error *err)
{
	int r = check(conf, err);

	if (r < 0)
		return r;
	mk_buf_adds(ret, "apiVersion: v1\nkind: Config\n");
	mk_buf_adds(ret, "clusters:\n");
	add_line(ret, "- name", conf->cluster);
	mk_buf_adds(ret, "  cluster:\n");
	add_data(ret, "certificate-authority-data", conf->ca_pem);
	add_line(ret, "    server", conf->server);
	mk_buf_adds(ret, "users:\n");
	add_line(ret, "- name", conf->user);
	mk_buf_adds(ret, "  user:\n");
	add_data(ret, "client-certificate-data", conf->cert_pem);
	add_data(ret, "client-key-data", conf->key_pem);
	mk_buf_adds(ret, "contexts:\n");
	add_line(ret, "- name", conf->context);
	mk_buf_adds(ret, "  context:\n");
	add_line(ret, "    cluster", conf->cluster);
	add_line(ret, "    user", conf->user);
	add_line(ret, "current-context", conf->context);
	return mk_buf_check(ret, "the kubeconfig", err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/node_containerd.h"

#include "lib/base/limits.h"
#include "lib/base/str.h"

#include <sys/stat.h>

#define CERTS "/etc/containerd/certs.d/"
#define EVERY_HOST "*"

/* Imported by containerd.toml in the order of their names; each file is brought to
 * containerd's own version by itself, so that old patches and new ones mix. A patch
 * may have a registry's password in it. */
static void add_patches(const struct mk_strlist *patches, struct mk_node_files *ret)
{
	for (size_t i = 0; i < patches->count; i++) {
		mk_autofree char *path = mk_xasprintf(
			"/etc/containerd/conf.d/%03zu-user.toml", i + 1);

		mk_node_files_add(ret, path, 0600, patches->items[i]);
	}
}

/* A basic string (https://toml.io/en/v1.0.0#string). */
static void add_toml_string(struct mk_buf *text, const char *s)
{
	mk_buf_adds(text, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			mk_buf_addf(text, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			mk_buf_addf(text, "\\u%04x", (unsigned)*s);
		else
			mk_buf_add(text, s, 1);
	}
	mk_buf_adds(text, "\"");
}

static void add_mirrors(const struct mk_registry_spec *registry, struct mk_buf *text)
{
	mk_autostrlist seen = { .items = NULL };

	for (size_t i = 0; i < registry->mirrors.count; i++) {
		const char *mirror = registry->mirrors.items[i];

		/* A table twice would make containerd ignore the file. */
		if (mk_strlist_has(&seen, mirror))
			continue;
		mk_strlist_add(&seen, mirror);
		mk_buf_adds(text, "\n[host.");
		add_toml_string(text, mirror);
		mk_buf_adds(text, "]\n  capabilities = [\"pull\", \"resolve\"]\n");
		if (registry->insecure)
			mk_buf_adds(text, "  skip_verify = true\n");
	}
}

/* The cluster's own registry, the mirrors, then whom the image's name says. */
static int add_registry(const struct mk_render *render, const struct mk_registry_spec *registry,
	struct mk_node_files *ret, struct mk_error *err)
{
	bool every = mk_streq(registry->host, EVERY_HOST);
	mk_autofree char *path = mk_xasprintf(
		CERTS "%s/hosts.toml", every ? "_default" : registry->host);
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r;

	/* Without mirrors it is the registry itself that is not to be checked. */
	if (registry->insecure && registry->mirrors.count == 0)
		mk_buf_adds(&text, "skip_verify = true\n\n");
	r = mk_render_file(render, "node/config/registry-hosts.toml", &text, err);
	if (r < 0)
		return r;
	add_mirrors(registry, &text);
	mk_node_files_add(ret, path, 0600, text.data);
	return mk_buf_check(&text, path, err);
}

bool mk_node_has_default_registry(const struct mk_cluster_spec *spec)
{
	for (size_t i = 0; i < spec->registry_count; i++) {
		if (mk_streq(spec->registries[i].host, EVERY_HOST))
			return true;
	}
	return false;
}

/*
 * As update-ca-certificates(8) lays them out, less the bundle that it writes: Go's
 * programs read the folder as well, so nothing has to run when the node boots.
 */
static void add_certificates(const struct mk_strlist *certificates, struct mk_node_files *ret)
{
	for (size_t i = 0; i < certificates->count; i++) {
		mk_autofree char *path = mk_xasprintf(
			"/usr/local/share/ca-certificates/mkcluster-%zu.crt", i + 1);
		mk_autofree char *link = mk_xasprintf("/etc/ssl/certs/mkcluster-%zu.pem", i + 1);

		mk_node_files_add(ret, path, 0644, certificates->items[i]);
		mk_node_files_add(ret, link, S_IFLNK, path);
	}
}

int mk_node_add_containerd(const struct mk_bringup *b, const struct mk_render *render,
	struct mk_node_files *ret, struct mk_error *err)
{
	int r = 0;

	add_patches(&b->spec->containerd_patches, ret);
	add_certificates(&b->spec->ca_certificates, ret);
	for (size_t i = 0; i < b->spec->registry_count && r == 0; i++)
		r = add_registry(render, &b->spec->registries[i], ret, err);
	return r;
}

/* As curl and Go have it: either spelling. Borrowed, or NULL. */
static const char *from_environment(const char *upper, const char *lower)
{
	const char *value = getenv(upper);

	if (!value || !*value)
		value = getenv(lower);
	return value && *value ? value : NULL;
}

static const char *http_proxy(void)
{
	return from_environment("HTTP_PROXY", "http_proxy");
}

static const char *https_proxy(void)
{
	return from_environment("HTTPS_PROXY", "https_proxy");
}

bool mk_node_has_proxy(void)
{
	return http_proxy() || https_proxy();
}

/* What is inside the cluster is reached without a proxy. */
static char *no_proxy(const struct mk_bringup *b)
{
	const char *given = from_environment("NO_PROXY", "no_proxy");
	mk_autofree char *subnet = mk_cidr_print(&b->subnet);
	const char *const ours[] = { "localhost", "127.0.0.1", b->spec->pod_subnet,
		b->spec->service_subnet, subnet, ".svc", ".cluster.local", b->plan.nodes[0].ip };
	mk_autostrlist all = { .items = NULL };

	mk_strlist_split(&all, given ? given : "", ", ");
	for (size_t i = 0; i < MK_ARRAY_LEN(ours); i++)
		mk_strlist_add(&all, ours[i]);
	for (size_t i = 0; i < b->plan.count; i++)
		mk_strlist_add(&all, b->plan.nodes[i].name);
	return mk_strlist_join(&all, ",");
}

/* systemd.exec(5), EnvironmentFile=: double quotes, and what is escaped in them. */
static void add_variable(struct mk_buf *text, const char *name, const char *value)
{
	if (!value)
		return;
	mk_buf_addf(text, "%s=\"", name);
	for (const char *p = value; *p; p++) {
		if (strchr("\"\\`$", *p))
			mk_buf_adds(text, "\\");
		mk_buf_add(text, p, 1);
	}
	mk_buf_adds(text, "\"\n");
}

void mk_node_add_proxy(const struct mk_bringup *b, struct mk_tar_writer *tar)
{
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autofree char *none = NULL;

	if (!mk_node_has_proxy())
		return;
	none = no_proxy(b);
	add_variable(&text, "HTTP_PROXY", http_proxy());
	add_variable(&text, "HTTPS_PROXY", https_proxy());
	add_variable(&text, "NO_PROXY", none);
	mk_tar_add_text(tar, "/etc/mkcluster/proxy.env", 0600, text.data);
}

/* "http://user:password@proxy:3128/": "proxy:3128". Caller frees. */
static char *host_of(const char *url)
{
	const char *begin = strstr(url, "://");
	const char *at;
	size_t len;

	begin = begin ? begin + 3 : url;
	len = strcspn(begin, "/?#");
	at = memrchr(begin, '@', len);
	if (at) {
		len -= (size_t)(at + 1 - begin);
		begin = at + 1;
	}
	return mk_xstrndup(begin, len);
}

char *mk_node_proxy_note(void)
{
	const char *proxy = https_proxy() ? https_proxy() : http_proxy();
	mk_autofree char *host = proxy ? host_of(proxy) : NULL;
	bool loopback;

	if (!host)
		return NULL;
	loopback = mk_after_prefix(host, "127.") || mk_after_prefix(host, "localhost") ||
		mk_after_prefix(host, "[::1]");
	return mk_xasprintf("proxy %s%s", host,
		loopback ? ", which is this host's own: the nodes cannot reach it" : "");
}

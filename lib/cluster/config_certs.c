/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that a config file holds or names: read, checked, kept as plain PEM. */
#include "lib/cluster/config_internal.h"

#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "pki/cert.h"

#include <sys/stat.h>

/* A bundle of all public CAs is half as large. */
#define MAX_PEM (MK_MIB / 2)

#define BEGIN "-----BEGIN "
#define BEGIN_CERTIFICATE "-----BEGIN CERTIFICATE-----"
#define END_CERTIFICATE "-----END CERTIFICATE-----"

static int take_certificate(const char *pem, size_t len, struct mk_buf *ret, struct mk_error *err)
{
	mk_autocert *cert = NULL;
	int r = mk_cert_parse(pem, len, &cert, err);

	/* One that has expired is let in: a spec must be readable at any time. */
	return r < 0 ? r : mk_cert_pem(cert, ret, err);
}

/* All certificates of a text, and nothing else of it. */
static int take_certificates(const char *text, struct mk_buf *ret, struct mk_error *err)
{
	const char *at = text;
	size_t count = 0;

	if (strstr(text, "PRIVATE KEY-----"))
		return mk_fail(err, MK_EINVALID,
			"holds a private key, which has no business in a cluster's nodes");
	while ((at = strstr(at, BEGIN_CERTIFICATE))) {
		const char *end = strstr(at, END_CERTIFICATE);
		int r;

		count++;
		if (!end)
			return mk_fail(err, MK_EINVALID, "certificate %zu has no end", count);
		end += strlen(END_CERTIFICATE);
		r = take_certificate(at, (size_t)(end - at), ret, err);
		if (r < 0)
			return mk_error_wrap(err, "certificate %zu", count);
		at = end;
	}
	return count > 0 ? 0 : mk_fail(err, MK_EINVALID, "holds no certificate in PEM");
}

/* A device or pipe would never end. */
static int read_file(const char *path, struct mk_buf *ret, struct mk_error *err)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return mk_fail(err, MK_EINVALID, "'%.200s' is not a file", path);
	return mk_fs_read(path, ret, err);
}

static int load(const char *value, const char *folder, struct mk_buf *ret, struct mk_error *err)
{
	mk_autobuf text = mk_buf_init(MAX_PEM);
	mk_autofree char *path = NULL;
	int r;

	if (strstr(value, BEGIN))
		return take_certificates(value, ret, err);
	if (!*value || strlen(value) > 4000)
		return mk_fail(err, MK_EINVALID, "must be PEM, or the name of a file of it");
	path = mk_fs_absolute(folder, value);
	r = read_file(path, &text, err);
	if (r < 0)
		return r;
	r = take_certificates(text.data, ret, err);
	return r < 0 ? mk_error_wrap(err, "'%.200s'", path) : 0;
}

void mk_config_load_certificates(
	struct mk_decode *d, struct mk_cluster_spec *spec, const char *folder)
{
	mk_autobuf all = mk_buf_init(MAX_PEM);

	for (size_t i = 0; i < spec->ca_certificates.count; i++) {
		mk_autofree char *at = mk_xasprintf("caCertificates[%zu]", i);
		mk_autobuf pem = mk_buf_init(MAX_PEM);
		mk_autoerror err = { .code = MK_OK };
		char **item = &spec->ca_certificates.items[i];

		if (mk_decode_is_bad(d, at))
			continue;
		if (load(*item, folder, &pem, &err) < 0) {
			mk_decode_problem(d, at, "%s", err.message);
			continue;
		}
		mk_buf_adds(&all, pem.data);
		free(*item);
		*item = mk_buf_detach(&pem);
		if (!all.full)
			continue;
		mk_decode_problem(d, at, "are more than %zu bytes, all together", MAX_PEM);
		return;
	}
}

void mk_config_settle_mounts(struct mk_cluster_spec *spec, const char *folder)
{
	for (size_t i = 0; i < spec->node_count; i++) {
		for (size_t j = 0; j < spec->nodes[i].mount_count; j++) {
			struct mk_mount_spec *mount = &spec->nodes[i].mounts[j];
			char *host = mount->host_path, *container = mount->container_path;

			if (host)
				mount->host_path = mk_fs_absolute(folder, host);
			if (container)
				mount->container_path = mk_fs_absolute("/", container);
			free(host);
			free(container);
		}
	}
}

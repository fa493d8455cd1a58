/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write the whole bundle of a cluster of three control planes and two workers, or of
 * fewer, for programs that are not ours to judge:
 *
 *	write-bundle FOLDER ALGORITHM [CONTROL_PLANES WORKERS [DAYS CA_DAYS]]
 *
 * FOLDER/NODE holds each node's files at their paths; what is in no node's files, but
 * in a Secret of the cluster, is in FOLDER/secrets, NAME.crt and NAME.key.
 */
#include "lib/base/fs.h"
#include "pki/bundle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MAX_TEXT 65536

static char *sans_items[] = { (char[]){ "127.0.0.1" }, (char[]){ "dev-load-balancer" },
	(char[]){ "172.20.0.7" }, (char[]){ "api.example.com" }, (char[]){ "192.0.2.9" },
	(char[]){ "fd00::9" } };
static const struct mk_strlist extra_sans = { sans_items, MK_ARRAY_LEN(sans_items) };
static const struct mk_pki_node nodes[] = {
	{ "dev-control-plane", "172.20.0.2", true },
	{ "dev-control-plane-2", "172.20.0.3", true },
	{ "dev-control-plane-3", "172.20.0.4", true },
	{ "dev-worker", "172.20.0.5", false },
	{ "dev-worker-2", "172.20.0.6", false },
};

/* Named by the linker, for calls of mk_key_new. */
int __real_mk_key_new(enum mk_key_kind kind, struct mk_key **ret, struct mk_error *err);
int __wrap_mk_key_new(enum mk_key_kind kind, struct mk_key **ret, struct mk_error *err);

static struct {
	pthread_mutex_t lock;
	struct mk_key *last;
	size_t made;
} keys = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int copy_key(const struct mk_key *key, struct mk_key **ret, struct mk_error *err)
{
	mk_autowipebuf pem = mk_buf_init(MAX_TEXT);
	int r = mk_key_private_pem(key, &pem, err);

	return r == 0 ? mk_key_parse(pem.data, pem.len, ret, err) : r;
}

/* RSA keys take up to a second each: after those of the CAs and of the tokens, all have
 * the same one. Whether one is taken for another is seen with the other kinds. */
int __wrap_mk_key_new(enum mk_key_kind kind, struct mk_key **ret, struct mk_error *err)
{
	bool slow = kind != MK_KEY_EC_P256 && kind != MK_KEY_ED25519;
	int r = 0;

	(void)pthread_mutex_lock(&keys.lock);
	if (slow && keys.made++ >= 4) {
		if (!keys.last)
			r = __real_mk_key_new(kind, &keys.last, err);
		if (r == 0)
			r = copy_key(keys.last, ret, err);
		(void)pthread_mutex_unlock(&keys.lock);
		return r;
	}
	(void)pthread_mutex_unlock(&keys.lock);
	return __real_mk_key_new(kind, ret, err);
}

static int write_file(
	const char *path, mode_t mode, const char *data, size_t len, struct mk_error *err)
{
	mk_autofree char *folder = mk_xstrndup(path, (size_t)(strrchr(path, '/') - path));
	int r = mk_fs_mkdir_all(folder, 0755, err);

	return r == 0 ? mk_fs_write_atomic(path, data, len, mode, err) : r;
}

struct target {
	const char *folder, *node;
};

static int add_file(void *arg, const struct mk_pki_file *file, struct mk_error *err)
{
	const struct target *target = arg;
	mk_autofree char *path = mk_xasprintf("%s/%s%s", target->folder, target->node, file->path);

	return write_file(path, file->mode, file->data, file->len, err);
}

static int write_secret(const struct mk_pki_bundle *bundle, const struct mk_pki_row *row,
	const char *folder, struct mk_error *err)
{
	mk_autofree char *cert_path = mk_xasprintf("%s/secrets/%s.crt", folder, row->name);
	mk_autofree char *key_path = mk_xasprintf("%s/secrets/%s.key", folder, row->name);
	mk_autobuf cert = mk_buf_init(MAX_TEXT);
	mk_autowipebuf key = mk_buf_init(MAX_TEXT);
	int r = mk_cert_pem(mk_pki_bundle_cert(bundle, row->name, 0), &cert, err);

	if (r == 0)
		r = mk_key_private_pem(mk_pki_bundle_key(bundle, row->name, 0), &key, err);
	if (r == 0)
		r = write_file(cert_path, 0644, cert.data, cert.len, err);
	return r == 0 ? write_file(key_path, 0600, key.data, key.len, err) : r;
}

static int write_bundle(const struct mk_pki_spec *spec, const struct mk_pki_bundle *bundle,
	const char *folder, struct mk_error *err)
{
	size_t count;
	const struct mk_pki_row *rows = mk_pki_rows(&count);
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->node_count; i++) {
		struct target target = { folder, spec->nodes[i].name };

		r = mk_pki_bundle_each_file(bundle, i, add_file, &target, err);
	}
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (rows[i].form == MK_PKI_SECRET)
			r = write_secret(bundle, &rows[i], folder, err);
	}
	return r;
}

/* The number at this place of the command line, or the one it is without. */
static size_t number(int argc, char **argv, int at, size_t otherwise)
{
	uint64_t n = otherwise;

	return at < argc && mk_parse_uint(argv[at], 0, 36500, &n) ? (size_t)n : otherwise;
}

static size_t choose_nodes(size_t control_planes, size_t workers, struct mk_pki_node *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < MK_ARRAY_LEN(nodes); i++) {
		size_t *left = nodes[i].control_plane ? &control_planes : &workers;

		if (*left == 0)
			continue;
		--*left;
		ret[count++] = nodes[i];
	}
	return count;
}

int main(int argc, char **argv)
{
	struct mk_pki_node chosen[MK_ARRAY_LEN(nodes)];
	struct mk_pki_spec spec = {
		.cluster = "dev",
		.service_ip = "10.96.0.1",
		.server = "https://172.20.0.7:6443",
		.api_sans = &extra_sans,
		.nodes = chosen,
		.lifetime_s = (int64_t)number(argc, argv, 5, 0) * 86400,
		.ca_lifetime_s = (int64_t)number(argc, argv, 6, 0) * 86400,
	};
	mk_autoerror err = { .code = MK_OK };
	mk_autopki *bundle = NULL;
	int r;

	if (argc < 3) {
		(void)fputs("usage: write-bundle FOLDER ALGORITHM "
			    "[CONTROL_PLANES WORKERS [DAYS CA_DAYS]]\n",
			stderr);
		return 2;
	}
	spec.node_count = choose_nodes(number(argc, argv, 3, 3), number(argc, argv, 4, 2), chosen);
	r = mk_key_kind_parse(argv[2], &spec.key_kind, &err);
	if (r == 0)
		r = mk_pki_bundle_new(&spec, &bundle, &err);
	if (r == 0)
		r = write_bundle(&spec, bundle, argv[1], &err);
	if (r < 0)
		(void)fprintf(stderr, "write-bundle: %s\n", err.message);
	mk_key_free(keys.last);
	return r < 0 ? 1 : 0;
}

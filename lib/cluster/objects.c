/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cluster/objects.h"

#include "lib/cluster/cluster.h"
#include "lib/registry/digest.h"

static unsigned char nibble(char c)
{
	return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static int set_id(const char *name, const char *namespace, char **ret, struct mk_error *err)
{
	mk_autofree char *source = mk_applyset_id_source(name, namespace);
	mk_autofree char *hex = NULL;
	unsigned char hash[MK_DIGEST_HEX / 2];
	int r = mk_digest_data(source, strlen(source), &hex, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(hash); i++)
		hash[i] = (unsigned char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
	*ret = mk_applyset_id(hash);
	return 0;
}

int mk_cluster_apply(struct mk_docker *docker, const char *name,
	const struct mk_manifests *manifests, const struct mk_apply_options *options,
	struct mk_error *err)
{
	MK_CLEANUP(mk_kube_freep) struct mk_kube *kube = NULL;
	struct mk_apply_options o = *options;
	mk_autofree char *id = NULL;
	int r = mk_cluster_connect(docker, name, &kube, err);

	if (r == 0 && o.set)
		r = set_id(o.set, o.namespace, &id, err);
	o.set_id = id;
	return r < 0 ? r : mk_kube_apply_manifests(kube, manifests, &o, err);
}

int mk_cluster_remove_objects(struct mk_docker *docker, const char *name,
	const struct mk_manifests *manifests, const struct mk_remove_options *options,
	struct mk_error *err)
{
	MK_CLEANUP(mk_kube_freep) struct mk_kube *kube = NULL;
	int r = mk_cluster_connect(docker, name, &kube, err);

	return r < 0 ? r : mk_kube_remove_manifests(kube, manifests, options, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of the whole spec, which concern more than one of its fields. A field that
 * has a problem of its own is left out: it does not hold what the file says.
 */
#include "lib/cluster/config_internal.h"
#include "lib/cluster/config_syntax.h"

#include "lib/base/fs.h"
#include "lib/cluster/quantity.h"

/* Judge a string by itself once more: flags may have replaced what the file said. */
static void check_string(struct mk_decode *d, const char *path, const char *value,
	int (*check)(const char *, struct mk_error *))
{
	mk_autoerror err = { .code = MK_OK };

	if (!mk_decode_is_bad(d, path) && check(value, &err) < 0)
		mk_decode_problem(d, path, "%s", err.message);
}

/* Where the number of nodes is said. */
static const char *place_of_count(const struct mk_cluster_spec *spec, const char *key)
{
	return spec->node_count > 0 ? "nodes" : key;
}

static void check_counts(struct mk_decode *d, const struct mk_cluster_spec *spec)
{
	const char *place = place_of_count(spec, "controlPlanes");
	long long n = (long long)spec->control_planes, workers = (long long)spec->workers;

	/* Of a node whose role is misspelled we do not know the role. */
	if (mk_decode_is_bad(d, place) && !mk_streq(place, "nodes"))
		return;
	for (size_t i = 0; i < spec->node_count; i++) {
		mk_autofree char *at = mk_xasprintf("nodes[%zu].role", i);

		if (d->count > 0 && mk_decode_is_bad(d, at))
			return;
	}
	if (n < 1 || n > MK_MAX_CONTROL_PLANES)
		mk_decode_problem(d, place, "a cluster has 1 to %d control planes, not %lld",
			MK_MAX_CONTROL_PLANES, n);
	else if (n % 2 == 0)
		mk_decode_problem(d, place,
			"%lld control planes: the number must be odd, for etcd needs more than half "
			"of its members: %lld survive the loss of no more than %lld do, and are one "
			"more that can fail",
			n, n, n - 1);
	if (workers < 0 || workers > MK_MAX_WORKERS)
		mk_decode_problem(d, place_of_count(spec, "workers"),
			"a cluster has 0 to %d workers, not %lld", MK_MAX_WORKERS, workers);
}

static void check_images(struct mk_decode *d, const struct mk_cluster_spec *spec)
{
	const char *role;
	json_t *image;

	if (mk_decode_is_bad(d, "images"))
		return;
	json_object_foreach (spec->images, role, image) {
		mk_autofree char *at = mk_xasprintf("images.%s", role);
		mk_autoerror err = { .code = MK_OK };

		if (mk_check_image_role(role, &err) < 0 ||
			mk_check_pod_image(json_string_value(image), &err) < 0)
			mk_decode_problem(d, at, "%s", err.message);
	}
}

static void check_registries(struct mk_decode *d, const struct mk_cluster_spec *spec)
{
	mk_autojson *seen = json_object();

	for (size_t i = 0; i < spec->registry_count; i++) {
		const struct mk_registry_spec *registry = &spec->registries[i];
		mk_autofree char *at = mk_xasprintf("registries[%zu]", i);
		const char *host = registry->host ? registry->host : "";

		if (mk_decode_is_bad(d, at))
			continue;
		if (json_object_get(seen, host))
			mk_decode_problem(d, at, "'%s' has mirrors already", host);
		else if (registry->mirrors.count == 0 && !registry->insecure)
			mk_decode_problem(d, at, "names no mirrors");
		(void)json_object_set_new(seen, host, json_true());
	}
}

#define MAX_MOUNTS 1000

static void check_mount(struct mk_decode *d, const struct mk_mount_spec *mount, const char *at,
	json_t *seen, unsigned flags)
{
	mk_autofree char *from = mk_xasprintf("%s.hostPath", at);
	mk_autofree char *to = mk_xasprintf("%s.containerPath", at);

	if (mount->host_path && !mk_decode_is_bad(d, from)) {
		/* The engine takes the wish to relabel only in a form that splits at colons. */
		if (mount->selinux_relabel && strchr(mount->host_path, ':'))
			mk_decode_problem(
				d, from, "a path with a colon cannot be relabelled for SELinux");
		else if ((flags & MK_CONFIG_HOST) && !mk_fs_exists(mount->host_path))
			mk_decode_problem(d, from,
				"'%.200s' does not exist: mkcluster makes nothing on the host",
				mount->host_path);
	}
	if (!mount->container_path || mk_decode_is_bad(d, to))
		return;
	if (json_object_get(seen, mount->container_path))
		mk_decode_problem(d, to, "something is mounted there already");
	(void)json_object_set_new(seen, mount->container_path, json_true());
}

static void check_mounts(struct mk_decode *d, const struct mk_cluster_spec *spec,
	const struct mk_config_names *names, unsigned flags)
{
	for (size_t i = 0; i < spec->node_count; i++) {
		const struct mk_node_spec *node = &spec->nodes[i];
		mk_autojson *seen = json_object();

		for (size_t j = 0; j < node->mount_count; j++) {
			mk_autofree char *at = mk_xasprintf(
				"nodes[%zu].%s[%zu]", i, names->mounts, j);

			check_mount(d, &node->mounts[j], at, seen, flags);
			if (j < MAX_MOUNTS)
				continue;
			mk_decode_problem(d, at, "a node has at most %d mounts", MAX_MOUNTS);
			break;
		}
	}
}

/* A taint is one by its key and effect. */
static void check_taints(struct mk_decode *d, const struct mk_cluster_spec *spec)
{
	for (size_t i = 0; i < spec->node_count; i++) {
		const struct mk_node_spec *node = &spec->nodes[i];
		mk_autojson *seen = json_object();

		for (size_t j = 0; j < node->taint_count; j++) {
			const struct mk_taint_spec *taint = &node->taints[j];
			mk_autofree char *at = mk_xasprintf("nodes[%zu].taints[%zu]", i, j);
			mk_autofree char *key = NULL;

			if (!taint->key || !taint->effect || mk_decode_is_bad(d, at))
				continue;
			key = mk_xasprintf("%s:%s", taint->key, taint->effect);
			if (json_object_get(seen, key))
				mk_decode_problem(d, at, "the taint %s is given already", key);
			(void)json_object_set_new(seen, key, json_true());
		}
	}
}

static void check_validity(
	struct mk_decode *d, const struct mk_cluster_spec *spec, const char *place)
{
	mk_autoerror err = { .code = MK_OK };
	int64_t leaf, ca;

	if (mk_decode_is_bad(d, place) || mk_decode_is_bad(d, "certificates.caValidity") ||
		mk_quantity_seconds(spec->cert_validity, &leaf, &err) < 0 ||
		mk_quantity_seconds(spec->ca_validity, &ca, &err) < 0)
		return;
	if (leaf > ca)
		mk_decode_problem(d, place,
			"certificates are to be valid for %.40s, but their CA for %.40s only: none "
			"can outlive it",
			spec->cert_validity, spec->ca_validity);
}

void mk_config_check(struct mk_decode *d, const struct mk_cluster_spec *spec,
	const struct mk_config_names *names, unsigned flags)
{
	check_string(d, "name", spec->name, mk_cluster_name_check);
	check_string(d, "image", spec->image, mk_check_image);
	check_string(d, "networking.apiServerAddress", spec->api_address, mk_check_address);
	check_validity(d, spec, names->validity);
	check_counts(d, spec);
	check_images(d, spec);
	mk_config_check_networks(d, spec);
	if (spec->control_planes + spec->workers > MK_MAX_CONTROL_PLANES + MK_MAX_WORKERS)
		return;
	mk_config_check_ports(d, spec, names);
	check_mounts(d, spec, names, flags);
	check_taints(d, spec);
	check_registries(d, spec);
}

int mk_cluster_spec_check(const struct mk_cluster_spec *spec, struct mk_error *err)
{
	mk_autodecode d = { .what = NULL };

	mk_config_check(&d, spec, &mk_config_own_names, 0);
	return mk_decode_finish(&d, err);
}

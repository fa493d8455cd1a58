/* SPDX-License-Identifier: Apache-2.0 */
/* The steps before anything exists: is the host fit, and what will be made. */
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/cluster/bringup.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/host.h"
#include "lib/cluster/node_containerd.h"
#include "lib/cluster/node_host.h"
#include "lib/cluster/quantity.h"
#include "lib/docker/container.h"
#include "lib/docker/image.h"
#include "lib/kube/userconfig.h"

static int check_name(struct mk_bringup *b, struct mk_error *err)
{
	mk_autojson *nodes = NULL;
	int r = mk_cluster_nodes(b->docker, b->spec->name, &nodes, err);

	if (r < 0)
		return r;
	if (json_array_size(nodes) == 0)
		return 0;
	(void)mk_fail(err, MK_EEXISTS, "a cluster '%s' exists already", b->spec->name);
	if (mk_resume_is_whole(b->docker, mk_json_str(json_array_get(nodes, 0), "id", "")))
		mk_error_hint(err,
			"choose another with --name, or `mkcluster delete --name %s` first",
			b->spec->name);
	else
		mk_error_hint(err,
			"but its making has not come to an end: `mkcluster create --resume` with the "
			"same options goes on, `mkcluster delete --name %s` removes it",
			b->spec->name);
	return -MK_EEXISTS;
}

/* The image's label: an object of strings, and of nothing else. */
static int parse_images(const char *text, json_t **ret, struct mk_error *err)
{
	mk_autojson *images = NULL;
	const char *role;
	json_t *image;
	bool good;

	good = mk_json_parse(text, strlen(text), "label", &images, err) == 0 &&
		json_is_object(images);
	json_object_foreach (images, role, image)
		good = good && json_is_string(image);
	if (!good)
		return mk_fail(err, MK_EHOST, "its label io.mkcluster.images is damaged");
	*ret = MK_TAKE(images);
	return 0;
}

static int read_image_labels(
	const char *name, const json_t *labels, json_t **ret, struct mk_error *err)
{
	const char *images = json_string_value(json_object_get(labels, "io.mkcluster.images"));

	if (!images) {
		(void)mk_fail(err, MK_EHOST, "image '%s' is not a node image of mkcluster", name);
		mk_error_hint(err, "`mkcluster build node-image` makes one");
		return -MK_EHOST;
	}
	if (parse_images(images, ret, err) < 0) {
		mk_error_hint(err, "`mkcluster build node-image` makes one");
		return mk_error_wrap(err, "image '%s'", name);
	}
	return 0;
}

/* Look at a node image: what the engine knows of it, and what it holds. */
static int read_image(struct mk_bringup *b, const char *name, json_t **ret_info,
	json_t **ret_images, struct mk_error *err)
{
	int r = mk_image_inspect(b->docker, name, ret_info, err);

	if (r == -MK_ENOTFOUND) {
		(void)mk_fail(err, MK_EHOST, "the engine has no image '%s'", name);
		mk_error_hint(err, "`mkcluster build node-image` makes it");
		return -MK_EHOST;
	}
	return r == 0
		? read_image_labels(name, mk_json_at(*ret_info, "Config.Labels"), ret_images, err)
		: r;
}

static const char *image_of(const struct mk_bringup *b, size_t node)
{
	const char *own = node < b->spec->node_count ? b->spec->nodes[node].image : NULL;

	return own ? own : b->spec->image;
}

/* The images of nodes that run another one than the first control plane. */
static int check_node_images(struct mk_bringup *b, struct mk_error *err)
{
	int r = 0;

	b->node_images = json_object();
	for (size_t i = 1; i < b->spec->node_count && r == 0; i++) {
		const char *name = image_of(b, i);
		mk_autojson *info = NULL;
		json_t *images = NULL;

		if (mk_streq(name, image_of(b, 0)) || json_object_get(b->node_images, name))
			continue;
		r = read_image(b, name, &info, &images, err);
		if (r == 0)
			(void)json_object_set_new(b->node_images, name, images);
	}
	return r;
}

int mk_bringup_read_image(struct mk_bringup *b, struct mk_error *err)
{
	const char *provider;
	int r = read_image(b, image_of(b, 0), &b->image_info, &b->images, err);

	if (r < 0)
		return r;
	provider = json_string_value(json_object_get(
		mk_json_at(b->image_info, "Config.Labels"), "io.mkcluster.provider"));
	b->provider = provider ? provider : "faas-netes";
	if (json_object_get(b->spec->images, "provider"))
		b->provider = "custom";
	(void)json_object_update(b->images, b->spec->images);
	return check_node_images(b, err);
}

/* Said now, not when all else has been brought up: an image that an earlier
 * version made lacks what a later one starts. */
static int check_roles(const struct mk_bringup *b, struct mk_error *err)
{
	const struct {
		const char *role;
		bool wanted;
	} roles[] = {
		{ "local-path-provisioner", b->spec->storage },
		{ "local-path-helper", b->spec->storage },
		{ "metrics-server", b->spec->metrics },
	};

	for (size_t i = 0; i < MK_ARRAY_LEN(roles); i++) {
		if (!roles[i].wanted || json_object_get(b->images, roles[i].role))
			continue;
		(void)mk_fail(err, MK_EHOST, "image '%s' holds no image for the role '%s'",
			image_of(b, 0), roles[i].role);
		mk_error_hint(err, "`mkcluster build node-image` makes one that does");
		return -MK_EHOST;
	}
	return 0;
}

static int choose_ports(struct mk_bringup *b, struct mk_error *err)
{
	const struct mk_cluster_spec *spec = b->spec;
	mk_autojson *taken = NULL;
	int r = mk_host_ports_taken(b->docker, &taken, err);

	if (r == 0)
		r = mk_node_choose_ports(b, /* fixed= */ true, taken, err);
	if (r == 0)
		r = mk_host_choose_port(b->docker, spec->api_address, spec->api_port,
			/* or_next= */ false, taken, &b->api_port, err);
	if (r == 0)
		r = mk_host_choose_port(b->docker, spec->api_address, spec->registry_port,
			/* or_next= */ true, taken, &b->registry_port, err);
	if (r == 0 && spec->openfaas)
		r = mk_host_choose_port(b->docker, spec->api_address, spec->gateway_port,
			/* or_next= */ true, taken, &b->gateway_port, err);
	return r == 0 ? mk_node_choose_ports(b, /* fixed= */ false, taken, err) : r;
}

int mk_bringup_read_engine(struct mk_bringup *b, char **ret_engine, struct mk_error *err)
{
	mk_autojson *info = NULL;
	int r = mk_docker_info(b->docker, &info, err);

	if (r < 0)
		return r;
	b->host_cpus = mk_json_int(info, "NCPU", 0);
	/* Before API 1.41 engines did not say, and knew only version 1. */
	b->cgroup_v1 = !mk_streq(mk_json_str(info, "CgroupVersion", "1"), "2");
	if (ret_engine)
		*ret_engine = mk_xasprintf("%s %s", mk_json_str(info, "Name", "engine"),
			mk_json_str(info, "ServerVersion", "?"));
	return 0;
}

int mk_step_check_host(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	mk_autofree char *engine = NULL;
	mk_autofree char *proxy = mk_node_proxy_note();
	int r = check_name(b, err);

	if (r == 0)
		r = mk_bringup_read_image(b, err);
	if (r == 0)
		r = check_roles(b, err);
	if (r == 0)
		r = mk_host_check_inotify(
			b->docker, (size_t)b->spec->control_planes, (size_t)b->spec->workers, err);
	if (r == 0)
		r = mk_userconfig_check(b->options->kubeconfig, err);
	if (r == 0)
		r = choose_ports(b, err);
	if (r == 0)
		r = mk_host_choose_subnet(b->docker, b->spec, 0, &b->subnet, err);
	if (r == 0)
		r = mk_host_mtu(b->docker, &b->mtu, err);
	if (r == 0)
		r = mk_bringup_read_engine(b, &engine, err);
	if (r == 0)
		r = mk_node_check_host(b, err);
	if (r < 0)
		return r;
	*ret_note = mk_xasprintf("%s, cgroup v%d%s%s", engine, b->cgroup_v1 ? 1 : 2,
		proxy ? ", " : "", proxy ? proxy : "");
	return 0;
}

int mk_bringup_make_bundle(struct mk_bringup *b, const struct mk_pki_source *source,
	enum mk_pki_turn turn, struct mk_error *err)
{
	mk_autofree struct mk_pki_node *nodes = mk_xcalloc(
		b->plan.kube_count, sizeof(struct mk_pki_node));
	mk_autostrlist sans = { .items = NULL };
	mk_autofree char *server = mk_xasprintf("https://%s:6443", b->plan.api_ip);
	mk_autofree char *service_ip = NULL;
	struct mk_cidr services;
	struct mk_pki_spec spec = {
		.cluster = b->spec->name,
		.key_kind = b->spec->cert_algorithm,
		.server = server,
		.api_sans = &sans,
		.nodes = nodes,
		.node_count = b->plan.kube_count,
		.turn = turn,
	};
	const char *remote = mk_docker_remote_host(b->docker);
	int r = mk_cidr_parse(b->spec->service_subnet, &services, err);

	if (r == 0)
		r = mk_quantity_seconds(b->spec->cert_validity, &spec.lifetime_s, err);
	if (r == 0)
		r = mk_quantity_seconds(b->spec->ca_validity, &spec.ca_lifetime_s, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < b->plan.kube_count; i++)
		nodes[i] = (struct mk_pki_node){ .name = b->plan.nodes[i].name,
			.ip = b->plan.nodes[i].ip,
			.control_plane = b->plan.nodes[i].role == MK_ROLE_CONTROL_PLANE };
	service_ip = mk_cidr_address(&services, 1);
	spec.service_ip = service_ip;
	mk_strlist_add(&sans, b->spec->api_address);
	/* Also where there is none yet: a second control plane brings one. */
	mk_strlist_add(&sans, b->plan.balancer_name);
	mk_strlist_add(&sans, b->plan.balancer_ip);
	if (remote)
		mk_strlist_add(&sans, remote);
	for (size_t i = 0; i < b->spec->api_sans.count; i++)
		mk_strlist_add(&sans, b->spec->api_sans.items[i]);
	return source ? mk_pki_bundle_join(&spec, source, &b->pki, err)
		      : mk_pki_bundle_new(&spec, &b->pki, err);
}

int mk_step_make_secrets(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	int r;

	(void)ret_note;
	b->network = mk_xasprintf("mkcluster-%s", b->spec->name);
	r = mk_plan_make(b->spec, &b->subnet, &b->plan, err);
	/* 160 random bits, more than the 128 that are asked for. */
	if (r == 0)
		r = mk_random_hex(20, &b->password, err);
	return r == 0 ? mk_bringup_make_bundle(b, b->secrets, MK_PKI_STAY, err) : r;
}

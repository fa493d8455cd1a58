/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that make the node: network, container, files, start, API. */
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/cluster/bringup.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/host.h"
#include "lib/docker/container.h"
#include "lib/docker/network.h"

#define SUBNET_TRIES 8

/* Apart from the subnet, the name may be taken: by a run that was killed. */
static bool is_overlap(int r, const struct mk_error *err)
{
	return r == -MK_EEXISTS && strstr(err->message, "overlap");
}

/* Another run may take the subnet between our look and the engine's: go on to
 * the next. The addresses in the certificates follow the first choice, so this
 * happens before they are made only in name: they are made again. */
static int create_network(struct mk_bringup *b, struct mk_error *err)
{
	mk_autojson *labels = mk_json_pack(
		"{s:s,s:s}", MK_LABEL_CLUSTER, b->spec->name, MK_LABEL_RUN, b->run_id);
	mk_autofree char *subnet = mk_cidr_print(&b->subnet);
	mk_autofree char *gateway = mk_cidr_address(&b->subnet, 1);
	mk_autofree char *id = NULL;
	int r = mk_network_create(b->docker, b->node_name, subnet, gateway, labels, &id, err);

	if (r == -MK_EEXISTS && !is_overlap(r, err))
		mk_error_hint(err, "another run is making '%s', or left it: `mkcluster delete --name %s`",
			b->spec->name, b->spec->name);
	return r < 0 ? mk_error_wrap(err, "create network '%s' (%s)", b->node_name, subnet) : 0;
}

static bool is_refused_privilege(const struct mk_error *err)
{
	return err->message && (strstr(err->message, "operation not permitted") ||
		strstr(err->message, "unable to apply caps") || strstr(err->message, "ermission denied"));
}

static int create_container(struct mk_bringup *b, enum mk_profile profile, struct mk_error *err)
{
	mk_autojson *body = mk_node_container(b, profile);
	int r = mk_container_create(b->docker, b->node_name, body, &b->container, err);

	if (r == -MK_EEXISTS)
		mk_error_hint(err, "another run is making '%s', or left it: `mkcluster delete --name %s`",
			b->spec->name, b->spec->name);
	return r < 0 ? mk_error_wrap(err, "create node '%s'", b->node_name) : 0;
}

static int fill_container(struct mk_bringup *b, struct mk_error *err)
{
	mk_autowipebuf archive = mk_buf_init(MK_MAX_NODE_ARCHIVE);
	int r = mk_node_archive(b, &archive, err);

	if (r == 0)
		r = mk_container_put_archive(b->docker, b->container, "/", &archive, err);
	return r < 0 ? mk_error_wrap(err, "fill node '%s'", b->node_name) : 0;
}

/* Create, fill and start with one profile. */
static int try_profile(struct mk_bringup *b, enum mk_profile profile, struct mk_error *err)
{
	int r;

	b->profile = profile;
	r = create_container(b, profile, err);
	if (r == 0)
		r = fill_container(b, err);
	if (r < 0)
		return r;
	r = mk_container_start(b->docker, b->container, err);
	if (r < 0 && strstr(err->message, "port is already allocated"))
		(void)mk_error_recode(err, MK_EHOST);
	return r < 0 ? mk_error_wrap(err, "start node '%s'", b->node_name) : 0;
}

/*
 * Which profile to try first. The engine decides, but an engine that runs
 * beside us in a sandbox mostly has the capabilities that we have, and a
 * container that cannot start costs a few tenths of a second.
 */
static enum mk_profile first_profile(const struct mk_bringup *b)
{
	mk_autobuf status = mk_buf_init(65536);
	mk_autoerror ignored = { .code = MK_OK };
	const char *line;
	unsigned long long bounding;

	if (b->spec->profile != MK_PROFILE_AUTO)
		return b->spec->profile;
	if (!mk_docker_is_local(b->docker) || mk_fs_read("/proc/self/status", &status, &ignored) < 0)
		return MK_PROFILE_PRIVILEGED;
	line = strstr(status.data, "CapBnd:");
	bounding = line ? strtoull(line + 7, NULL, 16) : 0;
	/* CAP_SYS_RESOURCE is number 24 (linux/capability.h). */
	return line && !(bounding >> 24 & 1) ? MK_PROFILE_RESTRICTED : MK_PROFILE_PRIVILEGED;
}

static int start_container(struct mk_bringup *b, struct mk_error *err)
{
	enum mk_profile first = first_profile(b);
	int r = try_profile(b, first, err);

	if (r == 0 || b->spec->profile != MK_PROFILE_AUTO || first == MK_PROFILE_RESTRICTED ||
		!is_refused_privilege(err))
		return r;
	mk_trace("the engine refuses a privileged container: %s", err->message);
	mk_error_done(err);
	r = mk_container_remove(b->docker, b->container, err);
	free(MK_TAKE(b->container));
	return r == 0 ? try_profile(b, MK_PROFILE_RESTRICTED, err) : r;
}

int mk_step_start_node(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	int r = create_network(b, err);

	for (unsigned tries = 1; is_overlap(r, err) && tries < SUBNET_TRIES; tries++) {
		mk_error_done(err);
		r = mk_host_choose_subnet(b->docker, b->spec, tries, &b->subnet, err);
		if (r < 0)
			return r;
		mk_pki_bundle_free(MK_TAKE(b->pki));
		mk_secret_free(MK_TAKE(b->password));
		free(MK_TAKE(b->node_name));
		free(MK_TAKE(b->node_ip));
		r = mk_step_make_secrets(b, ret_note, err);
		if (r == 0)
			r = create_network(b, err);
	}
	if (r == 0)
		r = start_container(b, err);
	if (r < 0)
		return r;
	*ret_note = mk_xasprintf("%s at %s, profile %s", b->node_name, b->node_ip,
		b->profile == MK_PROFILE_PRIVILEGED ? "privileged" : "restricted");
	return 0;
}

/* Asking costs the node CPU that its start needs: not before it is late. */
#define UNIT_CHECK_MS 4000

static int check_units_seldom(struct mk_bringup *b, struct mk_error *err)
{
	if (b->next_unit_check == 0)
		b->next_unit_check = mk_deadline(UNIT_CHECK_MS * 2);
	if (mk_remaining_ms(b->next_unit_check) > 0)
		return 0;
	b->next_unit_check = mk_deadline(UNIT_CHECK_MS);
	return mk_check_units(b, err);
}

static int still_runs(void *payload, struct mk_error *err)
{
	struct mk_bringup *b = payload;
	mk_autojson *info = NULL;
	int r = mk_container_inspect(b->docker, b->container, &info, err);

	if (r < 0)
		return r;
	if (json_is_true(mk_json_at(info, "State.Running")) &&
		mk_json_int(info, "RestartCount", 0) == 0)
		return check_units_seldom(b, err);
	return mk_fail(err, MK_EBRINGUP, "node '%s' stopped with status %lld", b->node_name,
		mk_json_int(info, "State.ExitCode", -1));
}

static int connect_api(struct mk_bringup *b, struct mk_error *err)
{
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autoidentity identity = { .server = NULL };
	mk_autofree char *address =
		mk_xasprintf("%s:%lld", b->spec->api_address, (long long)b->api_port);
	mk_autofree char *url = mk_cluster_url(b->docker, "https", address);
	int r = mk_pki_bundle_kubeconfig(b->pki, "admin", 0, url, NULL, &text, err);

	if (r == 0)
		r = mk_kube_identity_parse(text.data, text.len, &identity, err);
	return r == 0 ? mk_kube_new(&identity, &b->kube, err) : r;
}

int mk_step_wait_api(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	int r = connect_api(b, err);

	(void)ret_note;
	if (r == 0)
		r = mk_kube_wait_ready(b->kube, b->deadline, still_runs, b, err);
	return r < 0 ? mk_error_wrap(err, "the API server of '%s' is not ready", b->node_name) : 0;
}

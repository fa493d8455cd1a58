/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that make the node: network, container, files, start, API. */
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/cluster/bringup.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/host.h"
#include "lib/cluster/undo.h"
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
	int r;

	b->started = true;
	mk_interrupt_delay(MK_CREATE_GRACE_MS);
	r = mk_network_create(
		b->docker, b->network, subnet, gateway, b->mtu, labels, &b->network_id, err);
	mk_interrupt_delay(0);
	if (r == -MK_EEXISTS && !is_overlap(r, err))
		mk_error_hint(err,
			"another run is making '%s', or left it: `mkcluster delete --name %s`",
			b->spec->name, b->spec->name);
	return r < 0 ? mk_error_wrap(err, "create network '%s' (%s)", b->network, subnet) : 0;
}

static bool is_refused_privilege(const struct mk_error *err)
{
	return err->message &&
		(strstr(err->message, "operation not permitted") ||
			strstr(err->message, "unable to apply caps") ||
			strstr(err->message, "ermission denied"));
}

/* The nodes that this run makes, and a request for each, sent side by side. */
struct requests {
	struct mk_node_plan **nodes;
	struct mk_docker_item *items;
	size_t count;
};

static struct requests requests_init(const struct mk_bringup *b)
{
	struct requests q = {
		.nodes = mk_xcalloc(b->plan.count, sizeof(struct mk_node_plan *)),
		.items = mk_xcalloc(b->plan.count, sizeof(struct mk_docker_item)),
	};

	for (size_t i = 0; i < b->plan.count; i++) {
		if (b->plan.nodes[i].fresh)
			q.nodes[q.count++] = &b->plan.nodes[i];
	}
	return q;
}

static void requests_done(struct requests *q)
{
	mk_docker_items_done(q->items, q->count);
	free(q->items);
	free(q->nodes);
}
#define autorequests MK_CLEANUP(requests_done) struct requests

/* Name the node that was refused. */
static int send_all(
	struct mk_bringup *b, struct requests *q, const char *what, struct mk_error *err)
{
	size_t failed = 0;
	int r = mk_docker_call_all(b->docker, q->items, q->count, &failed, err);

	return r < 0 ? mk_error_wrap(err, "%s '%s'", what, q->nodes[failed]->name) : 0;
}

static int create_containers(struct mk_bringup *b, struct mk_error *err)
{
	autorequests q = requests_init(b);
	int r;

	for (size_t i = 0; i < q.count; i++)
		q.items[i] = (struct mk_docker_item){ .method = "POST",
			.path = mk_xasprintf("/containers/create?name=%s", q.nodes[i]->name),
			.body = mk_node_container(b, q.nodes[i]) };
	mk_interrupt_delay(MK_CREATE_GRACE_MS);
	r = send_all(b, &q, "create node", err);
	mk_interrupt_delay(0);
	for (size_t i = 0; i < q.count; i++) {
		const char *id = mk_json_str(q.items[i].answer, "Id", NULL);

		if (id)
			q.nodes[i]->container = mk_xstrdup(id);
		else if (r == 0)
			r = mk_fail(err, MK_EREMOTE, "create node '%s': no Id in the answer",
				q.nodes[i]->name);
	}
	if (r == -MK_EEXISTS && b->joining)
		mk_error_hint(err,
			"a container that is no node of '%s' has this name: `docker "
			"rename` gives it another",
			b->spec->name);
	else if (r == -MK_EEXISTS)
		mk_error_hint(err,
			"another run is making '%s', or left it: `mkcluster delete --name %s`",
			b->spec->name, b->spec->name);
	return r;
}

static int fill_containers(struct mk_bringup *b, struct mk_error *err)
{
	autorequests q = requests_init(b);
	int r = 0;

	for (size_t i = 0; i < q.count && r == 0; i++) {
		q.items[i] = (struct mk_docker_item){ .method = "PUT",
			.path = mk_xasprintf(
				"/containers/%s/archive?path=%%2F", q.nodes[i]->container),
			.raw = mk_buf_init(MK_MAX_NODE_ARCHIVE) };
		r = mk_node_archive(b, q.nodes[i], &q.items[i].raw, err);
	}
	return r == 0 ? send_all(b, &q, "fill node", err) : r;
}

static int start_containers(struct mk_bringup *b, struct mk_error *err)
{
	autorequests q = requests_init(b);
	int r;

	for (size_t i = 0; i < q.count; i++)
		q.items[i] = (struct mk_docker_item){ .method = "POST",
			.path = mk_xasprintf("/containers/%s/start", q.nodes[i]->container) };
	r = send_all(b, &q, "start node", err);
	if (r < 0 &&
		(strstr(err->message, "port is already allocated") ||
			strstr(err->message, "bind: ")))
		r = mk_error_recode(err, MK_EHOST);
	if (r < 0 && strstr(err->message, "not a shared")) {
		mk_error_hint(err,
			"`sudo mount --make-rshared MOUNTPOINT` makes it one; or "
			"leave the mount's propagation out");
		r = mk_error_recode(err, MK_EHOST);
	}
	return r;
}

/*
 * Two runs of one name may both have made a network before one of them lost the
 * race for the container; until it has removed its own, the engine finds two.
 */
static int start_when_alone(struct mk_bringup *b, struct mk_error *err)
{
	int64_t deadline = mk_deadline(5000);
	int r = start_containers(b, err);

	while (r < 0 && strstr(err->message, "is ambiguous") && mk_remaining_ms(deadline) > 0) {
		r = mk_sleep_ms(100, err);
		if (r == 0)
			r = start_containers(b, err);
	}
	return r;
}

int mk_nodes_make(struct mk_bringup *b, enum mk_profile profile, struct mk_error *err)
{
	int r;

	b->profile = profile;
	b->started = true;
	r = create_containers(b, err);
	if (r == 0)
		r = fill_containers(b, err);
	if (r == 0 && b->extra.fill)
		r = b->extra.fill(b->extra.arg, b, err);
	return r == 0 ? start_when_alone(b, err) : r;
}

static int remove_containers(struct mk_bringup *b, struct mk_error *err)
{
	int r = 0;

	for (size_t i = 0; i < b->plan.count && r == 0; i++) {
		r = mk_container_remove(b->docker, b->plan.nodes[i].container, err);
		free(MK_TAKE(b->plan.nodes[i].container));
	}
	return r;
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
	if (!mk_docker_is_local(b->docker) ||
		mk_fs_read("/proc/self/status", &status, &ignored) < 0)
		return MK_PROFILE_PRIVILEGED;
	line = strstr(status.data, "CapBnd:");
	bounding = line ? strtoull(line + 7, NULL, 16) : 0;
	/* CAP_SYS_RESOURCE is number 24 (linux/capability.h). */
	return line && !(bounding >> 24 & 1) ? MK_PROFILE_RESTRICTED : MK_PROFILE_PRIVILEGED;
}

static int start_all(struct mk_bringup *b, struct mk_error *err)
{
	enum mk_profile first = first_profile(b);
	int r = mk_nodes_make(b, first, err);

	if (r == 0 || b->spec->profile != MK_PROFILE_AUTO || first == MK_PROFILE_RESTRICTED ||
		!is_refused_privilege(err))
		return r;
	mk_trace("the engine refuses a privileged container: %s", err->message);
	mk_error_done(err);
	r = remove_containers(b, err);
	return r == 0 ? mk_nodes_make(b, MK_PROFILE_RESTRICTED, err) : r;
}

/* What depends on the subnet is made again with the next one. */
static int choose_again(struct mk_bringup *b, unsigned tries, struct mk_error *err)
{
	mk_autofree char *note = NULL;
	int r = mk_host_choose_subnet(b->docker, b->spec, tries, &b->subnet, err);

	if (r < 0)
		return r;
	mk_pki_bundle_free(MK_TAKE(b->pki));
	mk_secret_free(MK_TAKE(b->password));
	free(MK_TAKE(b->network));
	mk_plan_done(&b->plan);
	return mk_step_make_secrets(b, &note, err);
}

int mk_step_start_nodes(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	mk_autofree char *subnet = NULL;
	int r = create_network(b, err);

	for (unsigned tries = 1; is_overlap(r, err) && tries < SUBNET_TRIES; tries++) {
		mk_error_done(err);
		r = choose_again(b, tries, err);
		if (r == 0)
			r = create_network(b, err);
	}
	if (is_overlap(r, err))
		return mk_error_recode(err, MK_EHOST);
	if (r == 0)
		r = start_all(b, err);
	if (r < 0)
		return r;
	subnet = mk_cidr_print(&b->subnet);
	*ret_note = mk_xasprintf("%zu on %s, profile %s", b->plan.count, subnet,
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
	return mk_check_units(b, 1, err);
}

/* Whether the first control plane, without which nothing begins, still runs. */
int mk_node_still_runs(void *payload, struct mk_error *err)
{
	struct mk_bringup *b = payload;
	const struct mk_node_plan *node = &b->plan.nodes[0];
	mk_autojson *info = NULL;
	int r = mk_container_inspect(b->docker, node->container, &info, err);

	if (r < 0)
		return r;
	if (json_is_true(mk_json_at(info, "State.Running")) &&
		mk_json_int(info, "RestartCount", 0) == 0)
		return check_units_seldom(b, err);
	return mk_fail(err, MK_EBRINGUP, "node '%s' stopped with status %lld", node->name,
		mk_json_int(info, "State.ExitCode", -1));
}

static int connect_api(struct mk_bringup *b, struct mk_error *err)
{
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autoidentity identity = { .server = NULL };
	mk_autofree char *address = mk_xasprintf(
		"%s:%lld", b->spec->api_address, (long long)b->api_port);
	mk_autofree char *url = mk_cluster_url(b->docker, "https", address);
	int r = mk_pki_bundle_kubeconfig(b->pki, "admin", 0, url, NULL, &text, err);

	if (r == 0)
		r = mk_kube_identity_parse(text.data, text.len, &identity, err);
	if (r == 0)
		r = mk_kube_new(&identity, &b->kube, err);
	if (r == 0)
		mk_kube_set_alive(b->kube, mk_node_still_runs, b);
	return r;
}

int mk_step_wait_api(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	int r = connect_api(b, err);

	(void)ret_note;
	if (r == 0)
		r = mk_kube_wait_ready(b->kube, b->deadline, mk_node_still_runs, b, err);
	return r < 0 ? mk_error_wrap(err, "the API server of '%s' is not ready", b->spec->name) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `create --resume`: going on where a run that was killed, or failed, has left off. */
#include "lib/archive/tar_writer.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/existing.h"
#include "lib/docker/container.h"

/* In the first control plane, once a bring-up has come to its end. */
#define WHOLE_PATH "/etc/mkcluster/whole"

void mk_resume_mark_whole(struct mk_bringup *b)
{
	mk_autoerror ignored = { .code = MK_OK };
	struct mk_tar_writer_options options = { .no_parents = true };
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *tar = mk_tar_writer_new(&options);
	struct mk_docker_item item = { .method = "PUT",
		.path = mk_xasprintf(
			"/containers/%s/archive?path=%%2F", b->plan.nodes[0].container),
		.raw = mk_buf_init(MK_MAX_CONFIG_FILE) };

	mk_tar_add_text(tar, WHOLE_PATH, 0644, "");
	if (mk_tar_writer_write(tar, &item.raw, &ignored) < 0 ||
		mk_docker_call_all(b->docker, &item, 1, NULL, &ignored) < 0)
		mk_trace("the note that the cluster is whole: %s", ignored.message);
	mk_docker_items_done(&item, 1);
}

bool mk_resume_is_whole(struct mk_docker *docker, const char *container)
{
	mk_autobuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autoerror ignored = { .code = MK_OK };

	return mk_container_read_file(docker, container, WHOLE_PATH, &text, &ignored) !=
		-MK_ENOTFOUND;
}

/* With the balancer. */
static size_t machines(const struct mk_cluster_spec *spec)
{
	return spec->node_count + (spec->control_planes > 1);
}

/* Files are put into all nodes before the first one starts: a container that was
 * never started, or is not there, may lack them, and its keys are in no other. */
static bool is_filled(const json_t *nodes, const struct mk_cluster_spec *spec)
{
	const json_t *node;
	size_t i;

	json_array_foreach (nodes, i, node) {
		if (mk_streq(mk_json_str(node, "state", ""), "created"))
			return false;
	}
	return json_array_size(nodes) >= machines(spec);
}

static int start_stopped(struct mk_bringup *b, const json_t *nodes, struct mk_error *err)
{
	const json_t *node;
	size_t i;
	int r = 0;

	json_array_foreach (nodes, i, node) {
		if (r == 0 && mk_streq(mk_json_str(node, "state", ""), "exited"))
			r = mk_container_start(b->docker, mk_json_str(node, "id", ""), err);
	}
	return r;
}

/* What was begun must be what is asked for: nothing is changed on the way. */
static int check_same(const struct mk_cluster_spec *begun, const struct mk_cluster_spec *wanted,
	struct mk_error *err)
{
	mk_autobuf a = mk_buf_init(MK_MAX_CONFIG_FILE), b = mk_buf_init(MK_MAX_CONFIG_FILE);
	int r = mk_cluster_spec_print(begun, &a, err);

	if (r == 0)
		r = mk_cluster_spec_print(wanted, &b, err);
	if (r < 0 || mk_streq(a.data, b.data))
		return r;
	(void)mk_fail(err, MK_EUSAGE, "'%s' was begun with other options or another config",
		wanted->name);
	mk_error_hint(err, "resume it with the same ones, or `mkcluster delete --name %s` first",
		wanted->name);
	return -MK_EUSAGE;
}

/* The present password of OpenFaaS, or a new one if it has none yet. */
static int find_password(struct mk_bringup *b, struct mk_error *err)
{
	mk_autowipebuf text = mk_buf_init(MK_MAX_CONFIG_FILE);
	mk_autojson *secret = NULL;
	int r = mk_kube_call(b->kube, "GET", "/api/v1/namespaces/openfaas/secrets/basic-auth", NULL,
		&secret, err);

	if (r == -MK_ENOTFOUND) {
		mk_error_done(err);
		return mk_random_hex(20, &b->password, err);
	}
	if (r == 0)
		r = mk_base64_decode(
			mk_json_str(secret, "data.basic-auth-password", ""), &text, err);
	if (r == 0)
		b->password = mk_xstrdup(text.data);
	return r;
}

static int start_over(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	size_t count = 0;
	int r = mk_cluster_remove(b->docker, MK_LABEL_CLUSTER, b->spec->name, &count, err);

	if (r == 0)
		*ret_note = mk_xstrdup(count ? "not all nodes had their files: begun anew"
					     : "nothing: begun anew");
	return r;
}

/* A cluster that was whole is not begun anew because nodes have left it, or because
 * one that was to come has not: what runs on it would be lost. */
static int fail_whole(
	const struct mk_cluster_spec *wanted, const json_t *nodes, struct mk_error *err)
{
	(void)mk_fail(err, MK_EEXISTS,
		"a cluster '%s' exists already, and is not of the %zu machines asked for but of %zu",
		wanted->name, machines(wanted), json_array_size(nodes));
	mk_error_hint(err,
		"`mkcluster node add` and `mkcluster node remove` change it, "
		"`mkcluster delete --name %s` removes it",
		wanted->name);
	return -MK_EEXISTS;
}

int mk_step_find(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	const struct mk_cluster_spec *wanted = b->spec;
	mk_autojson *nodes = NULL;
	const char *first;
	int r = mk_cluster_nodes(b->docker, wanted->name, &nodes, err);

	if (r < 0)
		return r;
	first = mk_json_str(json_array_get(nodes, 0), "id", NULL);
	if (!is_filled(nodes, wanted))
		return first && mk_resume_is_whole(b->docker, first)
			? fail_whole(wanted, nodes, err)
			: start_over(b, ret_note, err);
	r = start_stopped(b, nodes, err);
	if (r == 0)
		r = mk_existing_read(b, wanted->name, &b->begun, err);
	if (r == 0)
		r = check_same(&b->begun, wanted, err);
	if (r == 0)
		r = mk_existing_make_secrets(b, MK_PKI_STAY, err);
	b->resuming = r == 0;
	if (r == 0)
		*ret_note = mk_xasprintf("%zu nodes", b->plan.count);
	return r;
}

int mk_step_find_password(struct mk_bringup *b, char **ret_note, struct mk_error *err)
{
	(void)ret_note;
	return find_password(b, err);
}

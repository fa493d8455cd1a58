/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back. All of it is tried, whatever fails in between, and goes by names
 * that this run alone has.
 */
#include "lib/base/clock.h"
#include "lib/cluster/verification.h"
#include "lib/kube/watch.h"

#define CLEAN_UP_MS 30000

/* First errors are told, later ones only counted as failures too. */
struct sweep {
	struct mk_verification *v;
	int64_t deadline;
	struct mk_error *err;
};

/* `gone` is fine: somebody was quicker, or it was never made. */
static void note(struct sweep *sweep, int r, const char *what, struct mk_error *err)
{
	if (r == 0 || r == -MK_ENOTFOUND || sweep->err->code != MK_OK) {
		mk_error_done(err);
		return;
	}
	(void)mk_error_wrap(err, "%s stays", what);
	mk_error_move(sweep->err, err);
}

/* Whether it goes, and after what it owns: once it is gone, so are its pods, those
 * that were about to be made included. */
static bool remove_object(struct sweep *sweep, const char *path, const char *what)
{
	mk_autojson *options = mk_json_pack("{s:s,s:s,s:s}", "apiVersion", "v1", "kind",
		"DeleteOptions", "propagationPolicy", "Foreground");
	mk_autoerror err = { .code = MK_OK };
	int r = mk_kube_call(sweep->v->kube, "DELETE", path, options, NULL, &err);

	note(sweep, r, what, &err);
	return r == 0;
}

/* Not through the gateway: it may be what is broken. */
static bool remove_function(struct sweep *sweep)
{
	static const char *const collections[] = {
		"/apis/apps/v1/namespaces/openfaas-fn/deployments",
		"/api/v1/namespaces/openfaas-fn/services"
	};
	bool goes = false;

	for (size_t i = 0; i < MK_ARRAY_LEN(collections); i++) {
		mk_autofree char *path = mk_xasprintf("%s/%s", collections[i], sweep->v->function);

		goes |= remove_object(sweep, path, "the function");
	}
	return goes;
}

/* The deployment first: a namespace waits for its pods in whole seconds. */
static bool remove_namespace(struct sweep *sweep)
{
	mk_autofree char *deployment = mk_xasprintf(
		"/apis/apps/v1/namespaces/%s/deployments/probe", sweep->v->namespace);
	mk_autofree char *namespace = mk_xasprintf("/api/v1/namespaces/%s", sweep->v->namespace);

	(void)remove_object(sweep, deployment, "the deployment");
	return remove_object(sweep, namespace, "the namespace");
}

static void wait_gone(
	struct sweep *sweep, const char *what, const char *collection, const char *name)
{
	mk_autofree char *path = mk_xasprintf("%s%s", collection, name);
	mk_autoerror err = { .code = MK_OK };

	note(sweep, mk_kube_wait_none(sweep->v->kube, path, sweep->deadline, &err), what, &err);
}

/* A file of the registry, below its blobs: "sha256/ab/abcd...". */
static void add_blob(struct mk_strlist *argv, const char *digest)
{
	const char *hex = mk_after_prefix(digest, "sha256:");

	if (hex)
		mk_strlist_addf(argv, "/var/lib/registry/docker/registry/v2/blobs/sha256/%.2s/%s",
			hex, hex);
}

/*
 * The registry's own way, garbage collection, wants it stopped. But a repository
 * and blobs that only this run knows can be taken out from under it.
 */
static void empty_registry(struct sweep *sweep)
{
	const struct mk_verification *v = sweep->v;
	mk_autostrlist argv = { .items = NULL };
	mk_autoerror err = { .code = MK_OK };
	mk_autobuf output = mk_buf_init(4096);
	int status = 0, r;

	mk_strlist_add(&argv, "rm");
	mk_strlist_add(&argv, "-rf");
	mk_strlist_addf(
		&argv, "/var/lib/registry/docker/registry/v2/repositories/%s", v->repository);
	for (size_t i = 0; i < v->digests.count; i++)
		add_blob(&argv, v->digests.items[i]);
	/* The registry is on the first control plane, whether or not others run. */
	r = mk_container_exec(v->docker, v->nodes[0].id, (const char *const *)argv.items,
		MK_VERIFY_ANSWER_MS, &output, &status, &err);
	if (r == 0 && status != 0)
		r = mk_fail(&err, MK_EREMOTE, "rm: %.300s", output.data);
	note(sweep, r, "the function's image in the registry", &err);
}

/* What the nodes that ran the function have pulled. */
static void empty_nodes(struct sweep *sweep)
{
	static const char
		script[] = "names=$(ctr -n k8s.io images ls -q | grep -F -e \"$1\" -e \"$2\")"
			   " || exit 0; ctr -n k8s.io images rm --sync $names >/dev/null";
	const struct mk_verification *v = sweep->v;
	/* The config's digest is the image's id, a name of its own. */
	const char *id = v->digests.count > 1 ? v->digests.items[1] : v->repository;
	const char *argv[] = { "sh", "-c", script, "sh", v->repository, id, NULL };
	struct mk_exec_item *items = mk_xcalloc(v->node_count, sizeof(*items));
	mk_autoerror err = { .code = MK_OK };
	int r;

	for (size_t i = 0; i < v->node_count; i++)
		items[i] = mk_verify_command(&v->nodes[i], argv);
	r = mk_container_exec_each(v->docker, items, v->node_count, MK_VERIFY_ANSWER_MS, &err);
	for (size_t i = 0; i < v->node_count && r == 0; i++) {
		/* A node that does not run has pulled nothing. */
		if (v->nodes[i].running && items[i].error.code != MK_OK)
			r = mk_fail(&err, MK_EREMOTE, "%s", items[i].error.message);
		else if (v->nodes[i].running && items[i].status != 0)
			r = mk_fail(&err, MK_EREMOTE, "%s: %.300s", v->nodes[i].name,
				items[i].errors.data);
	}
	mk_exec_items_done(items, v->node_count);
	free(items);
	note(sweep, r, "the function's image in the nodes", &err);
}

static void sweep_all(struct sweep *sweep)
{
	const struct mk_verification *v = sweep->v;
	bool function_goes = v->function_made && remove_function(sweep);
	bool namespace_goes = v->namespace_made && remove_namespace(sweep);

	if (v->repository)
		empty_registry(sweep);
	if (function_goes)
		wait_gone(sweep, "the function",
			"/apis/apps/v1/namespaces/openfaas-fn/deployments?fieldSelector="
			"metadata.name%3D",
			v->function);
	if (v->function_made)
		empty_nodes(sweep);
	/* It ends by itself, 5 s after its deletion: the namespace controller waits so
	 * long. Whoever has pressed Ctrl-C need not. */
	if (namespace_goes && !mk_interrupt_seen())
		wait_gone(sweep, "the namespace",
			"/api/v1/namespaces?fieldSelector=metadata.name%3D", v->namespace);
}

int mk_verify_clean_up(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	struct sweep sweep = { .v = v, .deadline = mk_deadline(CLEAN_UP_MS), .err = err };

	mk_interrupt_shield(true);
	sweep_all(&sweep);
	mk_interrupt_shield(false);
	if (err->code != MK_OK)
		return -(int)err->code;
	if (!v->namespace_made)
		*ret_note = mk_xstrdup("nothing was made");
	else if (mk_interrupt_seen())
		*ret_note = mk_xstrdup("the namespace ends by itself within 5s");
	else
		*ret_note = mk_xstrdup("a namespace takes 5s to end");
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Running the steps, and the way back when one fails. */
#include "lib/cluster/create.h"

#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/cluster/bringup.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/node_host.h"
#include "lib/cluster/undo.h"
#include "lib/kube/userconfig.h"

void mk_bringup_done(struct mk_bringup *b)
{
	mk_kube_free(b->kube);
	mk_pki_bundle_free(b->pki);
	free(b->run_id);
	free(b->network);
	free(b->network_id);
	mk_plan_done(&b->plan);
	json_decref(b->images);
	json_decref(b->image_info);
	json_decref(b->node_images);
	json_decref(b->host_ports);
	mk_secret_free(b->password);
	free(b->kubeconfig_path);
	mk_cluster_spec_done(&b->begun);
}

/* Undo by run id, then the user's file: entries that lead nowhere are worse than none. */
static void undo(struct mk_bringup *b, struct mk_error *err)
{
	mk_autoerror second = { .code = MK_OK };
	mk_autofree char *context = mk_cluster_context(b->spec->name);
	int r = mk_undo_run(b->docker, b->run_id, err, &second);

	mk_interrupt_shield(true);
	if (b->kubeconfig_path && r == 0)
		r = mk_userconfig_remove(b->options->kubeconfig, context, &second);
	mk_interrupt_shield(false);
	mk_undo_report(err, r, &second);
	if (r < 0)
		mk_error_hint(err, "`mkcluster delete --name %s` removes the rest", b->spec->name);
}

static int run_step(struct mk_bringup *b, const struct mk_step *step, struct mk_error *err)
{
	const struct mk_create_report *report = &b->options->report;
	mk_autofree char *note = NULL;
	int64_t start = mk_now_ms();
	int r;

	if (mk_interrupted())
		return mk_fail_interrupted(err);
	report->begin(report->payload, step->title);
	r = step->run(b, &note, err);
	if (r == 0)
		report->end(report->payload, step->title, mk_now_ms() - start, note);
	return r;
}

bool mk_bringup_is_failure(enum mk_code code)
{
	return code != MK_EHOST && code != MK_EUSAGE && code != MK_EEXISTS && code != MK_EINTR &&
		code != MK_ETIMEOUT;
}

/* A cluster that answers is worth more than a tidy end. */
static int fail_whole(struct mk_bringup *b, const char *phase, struct mk_error *err)
{
	(void)mk_error_wrap(err, "%s", phase);
	mk_error_hint(err,
		"the cluster runs: `mkcluster get kubeconfig --name %s` prints what was to be written",
		b->spec->name);
	return -(int)err->code;
}

static int fail_run(struct mk_bringup *b, const char *phase, struct mk_error *err)
{
	bool exist = b->plan.count > 0 && b->plan.nodes[0].container;

	if (exist && err->code != MK_EINTR)
		mk_diagnose(b, err);
	/* Ctrl-C while the reasons are collected: the user has seen enough. */
	if (mk_interrupted())
		(void)mk_fail_interrupted(err);
	if (exist && mk_bringup_is_failure(err->code))
		(void)mk_error_recode(err, MK_EBRINGUP);
	if (err->code == MK_EINTR)
		(void)mk_fail(err, MK_EINTR, "interrupted: %s", phase);
	else if (b->started)
		(void)mk_error_wrap(err, "%s", phase);
	if (b->resuming)
		mk_error_hint(err,
			"what is there is kept: resume again, or `mkcluster delete --name %s`",
			b->spec->name);
	if (b->started && !b->options->retain)
		undo(b, err);
	else if (b->started)
		mk_error_hint(err,
			"kept for you to look at: `docker exec -it %s bash`; "
			"`mkcluster delete --name %s` removes it",
			b->plan.nodes[0].name, b->spec->name);
	return -(int)err->code;
}

int mk_bringup_run(
	struct mk_bringup *b, const struct mk_step *steps, size_t count, struct mk_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct mk_step *step = &steps[i];
		int r;

		if (step->skip && step->skip(b))
			continue;
		r = run_step(b, step, err);
		if (r < 0 && step->whole && r != -MK_EINTR)
			return fail_whole(b, step->title, err);
		if (r < 0)
			return fail_run(b, step->title, err);
	}
	return 0;
}

static void add_ports(const struct mk_bringup *b, struct mk_strlist *ret)
{
	for (size_t i = 0; i < b->plan.kube_count; i++) {
		mk_autofree char *text = mk_node_ports_text(b, &b->plan.nodes[i]);
		mk_autostrlist ports = { .items = NULL };

		mk_strlist_split(&ports, text ? text : "", ",");
		for (size_t j = 0; j < ports.count; j++)
			mk_strlist_addf(ret, "%s %s", ports.items[j], b->plan.nodes[i].name);
	}
}

void mk_bringup_result(const struct mk_bringup *b, struct mk_create_result *ret)
{
	const char *host = b->spec->api_address;
	mk_autofree char *api = mk_xasprintf("%s:%lld", host, (long long)b->api_port);
	mk_autofree char *gateway = mk_xasprintf("%s:%lld", host, (long long)b->gateway_port);

	*ret = (struct mk_create_result){
		.context = mk_cluster_context(b->spec->name),
		.kubeconfig = mk_xstrdup(b->kubeconfig_path),
		.api_url = mk_cluster_url(b->docker, "https", api),
		.registry = mk_xasprintf("%s:%lld", host, (long long)b->registry_port),
		.profile = mk_xstrdup(
			b->profile == MK_PROFILE_PRIVILEGED ? "privileged" : "restricted"),
		.gateway_moved = b->spec->openfaas && b->gateway_port != b->spec->gateway_port,
		.stand_in = b->spec->openfaas && mk_streq(b->provider, "stand-in"),
		.needs_cni = b->spec->no_cni,
		.needs_proxy = b->spec->proxy_mode == MK_PROXY_NONE,
	};
	if (b->spec->openfaas)
		ret->gateway_url = mk_cluster_url(b->docker, "http", gateway);
	add_ports(b, &ret->ports);
}

void mk_create_result_done(struct mk_create_result *result)
{
	free(result->context);
	free(result->kubeconfig);
	free(result->api_url);
	free(result->gateway_url);
	free(result->registry);
	free(result->profile);
	mk_strlist_done(&result->ports);
	*result = (struct mk_create_result){ .context = NULL };
}

int mk_cluster_create(struct mk_docker *docker, const struct mk_cluster_spec *spec,
	const struct mk_create_options *options, struct mk_create_result *ret, struct mk_error *err)
{
	mk_autobringup b = {
		.options = options,
		.spec = spec,
		.docker = docker,
		.deadline = mk_deadline(options->timeout_ms),
		.begun = mk_cluster_spec_init(),
	};
	int r = mk_cluster_spec_check(spec, err);

	if (r == 0)
		r = mk_random_hex(8, &b.run_id, err);
	if (r == 0)
		r = mk_bringup_run(&b, mk_create_steps, mk_create_step_count, err);
	if (r == 0)
		mk_resume_mark_whole(&b);
	if (r == 0)
		mk_bringup_result(&b, ret);
	return r;
}

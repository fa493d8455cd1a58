/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function of OpenFaaS, deployed and called through the gateway as any client
 * does it. The provider always pulls, so the function has an image of its own in
 * the cluster's registry, made here of a program that the node has: the server of
 * NATS Streaming. Of all programs there it is the small one whose answers can be
 * put below /_/health, the path where OpenFaaS looks whether a function lives;
 * and it tells a name that is chosen here, so that a call shows who has answered.
 */
#include "lib/archive/tar_writer.h"
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/cluster/verification.h"
#include "lib/kube/watch.h"
#include "lib/registry/compose.h"

#define PROGRAM "nats-streaming-server"
#define PROGRAM_MAX (64 * MK_MIB)
#define TAG "1"
#define INVOKE_MS 10000

static int fetch_password(struct mk_verification *v, struct mk_error *err)
{
	mk_autojson *secret = NULL;
	mk_autowipebuf password = mk_buf_init(4096);
	int r = mk_kube_call(v->kube, "GET", "/api/v1/namespaces/openfaas/secrets/basic-auth", NULL,
		&secret, err);

	if (r == 0)
		r = mk_base64_decode(
			mk_json_str(secret, "data.basic-auth-password", ""), &password, err);
	if (r == 0)
		v->password = mk_buf_detach(&password);
	return r;
}

/* Where the program lies in a node; NULL when the node image has none. */
static int find_program(struct mk_verification *v, char **ret, struct mk_error *err)
{
	static const char *const argv[] = { "find", "/usr/lib/mkcluster/snapshots", "-type", "f",
		"-name", PROGRAM, "-print", "-quit", NULL };
	struct mk_exec_item item = mk_verify_command(v->first, argv);
	int r = mk_container_exec_each(
		v->docker, &item, 1, mk_verify_ms(v, MK_VERIFY_ANSWER_MS), err);

	if (r == 0 && item.error.code != MK_OK) {
		mk_error_move(err, &item.error);
		r = -(int)err->code;
	}
	if (r == 0 && item.output.data[0] == '/')
		*ret = mk_xstrndup(item.output.data, strcspn(item.output.data, "\n"));
	mk_exec_items_done(&item, 1);
	return r;
}

/* The run's name in it makes the layer unlike any other: it can be removed later. */
static char *program_config(const struct mk_verification *v)
{
	return mk_xasprintf("host: 127.0.0.1\nport: -1\nhttp: \"0.0.0.0:8080\"\n"
			    "http_base_path: \"/_/health\"\nserver_name: \"%s\"\n",
		v->function);
}

static int make_layer(struct mk_verification *v, const char *program, struct mk_tar_writer *layer,
	struct mk_error *err)
{
	mk_autobuf file = mk_buf_init(PROGRAM_MAX);
	mk_autofree char *config = program_config(v);
	int r = mk_container_read_file(v->docker, v->first->id, program, &file, err);

	if (r < 0)
		return r;
	mk_tar_add_file(layer, PROGRAM, 0755, 0, 0, file.data, file.len);
	mk_tar_add_text(layer, "verify.conf", 0644, config);
	return 0;
}

/* Of the first node that says so: an image for one is one for all. */
static int find_arch(struct mk_verification *v, char **ret, struct mk_error *err)
{
	mk_autojson *list = NULL;
	int r = mk_kube_call(v->kube, "GET", "/api/v1/nodes?limit=1", NULL, &list, err);

	if (r == 0)
		*ret = mk_xstrdup(mk_json_str(json_array_get(json_object_get(list, "items"), 0),
			"status.nodeInfo.architecture", "amd64"));
	return r;
}

static int push_image(struct mk_verification *v, const char *program, struct mk_error *err)
{
	MK_CLEANUP(mk_tar_writer_freep) struct mk_tar_writer *layer = mk_tar_writer_new(NULL);
	MK_CLEANUP(mk_registry_freep) struct mk_registry *registry = NULL;
	mk_autojson *config = mk_json_pack("{s:[s,s,s],s:s}", "Entrypoint", "/" PROGRAM, "-c",
		"/verify.conf", "User", "65534");
	mk_autofree char *arch = NULL;
	struct mk_compose compose = {
		.tag = TAG, .config = config, .layer = mk_tar_writer_read, .payload = layer
	};
	int r = make_layer(v, program, layer, err);

	if (r == 0)
		r = find_arch(v, &arch, err);
	if (r == 0)
		r = mk_registry_new(v->registry_url, &registry, err);
	if (r < 0)
		return r;
	mk_registry_set_limit(registry, mk_verify_ms(v, MK_VERIFY_ANSWER_MS));
	v->repository = mk_xasprintf("mkcluster/%s", v->function);
	compose.repository = v->repository;
	compose.arch = arch;
	return mk_registry_compose(registry, &compose, &v->digests, err);
}

/* A request to the gateway, as user admin. */
static int call_gateway(struct mk_verification *v, const char *method, const char *path,
	const json_t *body, struct mk_http_response *ret, struct mk_error *err)
{
	struct mk_http_options options = { .name = "gateway",
		.base_url = v->gateway_url,
		.user = "admin",
		.password = v->password };
	MK_CLEANUP(mk_http_freep) struct mk_http *http = NULL;
	mk_autofree char *text = body ? mk_json_print(body) : NULL;
	struct mk_http_request request = {
		.method = method,
		.path = path,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.timeout_ms = MK_VERIFY_ANSWER_MS,
	};
	int r = mk_http_new(&options, &http, err);

	return r == 0 ? mk_http_do(http, &request, ret, err) : r;
}

static int gateway_refused(
	const char *what, const struct mk_http_response *answer, struct mk_error *err)
{
	return mk_fail(err, MK_EREMOTE, "%s: the gateway answered %ld: %.300s", what,
		answer->status, answer->body.data);
}

static int deploy(struct mk_verification *v, struct mk_error *err)
{
	mk_autofree char *image = mk_xasprintf("mkcluster.local/%s:" TAG, v->repository);
	mk_autojson *body = mk_json_pack("{s:s,s:s,s:{s:s,s:s}}", "service", v->function, "image",
		image, "labels", "com.openfaas.scale.min", "1", "io.mkcluster.run", v->run_id);
	mk_autoresponse answer = { .status = 0 };
	int r;

	v->function_made = true;
	mk_interrupt_delay(MK_VERIFY_SETTLE_MS);
	r = call_gateway(v, "POST", "/system/functions", body, &answer, err);
	mk_interrupt_delay(0);
	if (r == 0 && answer.status >= 300)
		return gateway_refused("deploy", &answer, err);
	return r;
}

int mk_verify_begin_function(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	mk_autofree char *program = NULL;
	int r;

	if (!v->gateway_url) {
		*ret_note = mk_xstrdup("the cluster has no OpenFaaS");
		return MK_VERIFY_SKIPPED;
	}
	r = fetch_password(v, err);
	if (r == 0)
		r = find_program(v, &program, err);
	if (r < 0)
		return r;
	if (!program) {
		*ret_note = mk_xstrdup("the node image has no " PROGRAM " to make a function of");
		return MK_VERIFY_SKIPPED;
	}
	r = push_image(v, program, err);
	return r == 0 ? deploy(v, err) : r;
}

int mk_verify_function(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	mk_autofree char *selector = mk_xasprintf("faas_function%%3D%s", v->function);
	mk_autostrlist names = { .items = NULL };
	int r;

	mk_strlist_addf(&names, "openfaas-fn/%s", v->function);
	r = mk_kube_wait_deployments(
		v->kube, &names, mk_verify_deadline(v, MK_VERIFY_WAIT_MS), NULL, NULL, err);
	if (r == -MK_ETIMEOUT)
		mk_verify_explain_pods(v, "openfaas-fn", selector, err);
	if (r == 0)
		*ret_note = mk_xstrdup(v->function);
	return r;
}

/* 0 when the function itself has answered, -code with why not. */
static int invoke(struct mk_verification *v, struct mk_error *err)
{
	mk_autofree char *path = mk_xasprintf("/function/%s/_/health/varz", v->function);
	mk_autoresponse answer = { .status = 0 };
	mk_autojson *body = NULL;
	int r = call_gateway(v, "GET", path, NULL, &answer, err);

	if (r < 0)
		return r;
	if (answer.status != 200)
		return gateway_refused("invoke", &answer, err);
	r = mk_json_parse(answer.body.data, answer.body.len, "the function's answer", &body, err);
	if (r == 0 && !mk_streq(mk_json_str(body, "server_name", ""), v->function))
		r = mk_fail(err, MK_EREMOTE, "it was not '%s' that answered", v->function);
	return r;
}

int mk_verify_invoke(struct mk_verification *v, char **ret_note, struct mk_error *err)
{
	int64_t deadline = mk_verify_deadline(v, INVOKE_MS);

	for (;;) {
		int r = invoke(v, err);

		if (r == 0) {
			*ret_note = mk_xasprintf("%s/function/%s", v->gateway_url, v->function);
			return 0;
		}
		/* The provider hears of a pod that is ready a moment after we do. */
		if (r == -MK_EINTR || mk_remaining_ms(deadline) == 0)
			return r;
		r = mk_sleep_ms(50, err);
		if (r < 0)
			return r;
	}
}

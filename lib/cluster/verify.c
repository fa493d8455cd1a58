/* SPDX-License-Identifier: Apache-2.0 */
/* The checks, their order, and what becomes of them. */
#include "lib/cluster/verify.h"

#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/cluster/cluster.h"
#include "lib/cluster/verification.h"

enum check {
	CHECK_READY,
	CHECK_VERSION,
	CHECK_SERVERS,
	CHECK_ETCD,
	CHECK_NODES,
	CHECK_ROUTES,
	CHECK_ENCRYPTION,
	CHECK_DEPLOYMENT,
	CHECK_EXEC,
	CHECK_LOGS,
	CHECK_FORWARD,
	CHECK_NODE_PORT,
	CHECK_DNS,
	CHECK_FUNCTION,
	CHECK_INVOKE,
	CHECK_CLEAN_UP,
	CHECK_COUNT,
};

_Static_assert(CHECK_COUNT <= MK_MAX_CHECKS, "a result has no place for all checks");

#define NOTHING CHECK_COUNT

static const struct definition {
	const char *name;
	const char *title;
	mk_verify_check run;
	enum check needs; /* not tried unless this one has passed */
	/* Sets going what the check waits for, so that others are made meanwhile. */
	mk_verify_check begin;
} definitions[CHECK_COUNT] = {
	[CHECK_READY] = { "ready", "Cluster answers", mk_verify_ready, NOTHING, NULL },
	[CHECK_VERSION] = { "version", "Version over TLS", mk_verify_version, CHECK_READY, NULL },
	[CHECK_SERVERS] = { "servers", "Every API server is ready", mk_verify_servers, NOTHING,
		NULL },
	[CHECK_ETCD] = { "etcd", "etcd is healthy", mk_verify_etcd, NOTHING, NULL },
	[CHECK_NODES] = { "nodes", "Nodes are Ready", mk_verify_nodes, CHECK_READY, NULL },
	[CHECK_ROUTES] = { "routes", "Pod routes on every node", mk_verify_routes, NOTHING, NULL },
	[CHECK_ENCRYPTION] = { "encryption", "Secrets encrypted in etcd", mk_verify_encryption,
		CHECK_READY, NULL },
	[CHECK_DEPLOYMENT] = { "deployment", "Deployment comes up", mk_verify_deployment,
		CHECK_READY, mk_verify_begin_deployment },
	[CHECK_EXEC] = { "exec", "Exec in a pod", mk_verify_exec, CHECK_DEPLOYMENT, NULL },
	[CHECK_LOGS] = { "logs", "Logs of a pod", mk_verify_logs, CHECK_DEPLOYMENT, NULL },
	[CHECK_FORWARD] = { "port-forward", "Port-forward to a pod", mk_verify_forward,
		CHECK_DEPLOYMENT, NULL },
	[CHECK_NODE_PORT] = { "node-port", "NodePort on every node", mk_verify_node_port,
		CHECK_DEPLOYMENT, NULL },
	[CHECK_DNS] = { "dns", "DNS in a pod", mk_verify_dns, CHECK_DEPLOYMENT, NULL },
	[CHECK_FUNCTION] = { "function", "Function is deployed", mk_verify_function, CHECK_READY,
		mk_verify_begin_function },
	[CHECK_INVOKE] = { "invoke", "Function answers", mk_verify_invoke, CHECK_FUNCTION, NULL },
	[CHECK_CLEAN_UP] = { "clean-up", "Nothing is left behind", mk_verify_clean_up, NOTHING,
		NULL },
};

/* What `begin` has left for `run`. */
struct begun {
	int64_t start; /* 0: not begun */
	int r;
	char *note;
	struct mk_error error;
};

struct run {
	struct mk_verification v;
	const struct mk_verify_report *report;
	struct mk_verify_result *result;
	struct begun begun[CHECK_COUNT];
	bool failed_in_time; /* some check failed before the run's deadline */
};

static void run_done(struct run *run)
{
	struct mk_verification *v = &run->v;

	for (size_t i = 0; i < CHECK_COUNT; i++) {
		free(run->begun[i].note);
		mk_error_done(&run->begun[i].error);
	}
	mk_kube_free(v->kube);
	json_decref(v->list);
	free(v->nodes);
	json_decref(v->images);
	free(v->registry_url);
	free(v->gateway_url);
	mk_secret_free(v->password);
	free(v->run_id);
	free(v->namespace);
	free(v->pod);
	free(v->pod_node);
	free(v->function);
	free(v->repository);
	mk_strlist_done(&v->digests);
}

void mk_verify_result_done(struct mk_verify_result *result)
{
	for (size_t i = 0; i < result->count; i++)
		free(result->checks[i].detail);
	*result = (struct mk_verify_result){ .count = 0 };
}

int64_t mk_verify_deadline(const struct mk_verification *v, int64_t ms)
{
	int64_t sooner = mk_deadline(ms);

	return sooner < v->deadline ? sooner : v->deadline;
}

int64_t mk_verify_ms(const struct mk_verification *v, int64_t ms)
{
	int64_t left = mk_remaining_ms(mk_verify_deadline(v, ms));

	return left > 0 ? left : 1;
}

static int compare_nodes(const void *a, const void *b)
{
	const struct mk_verify_node *x = a, *y = b;

	if (x->control_plane != y->control_plane)
		return x->control_plane ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void take_nodes(struct mk_verification *v)
{
	const json_t *found;
	size_t i;

	v->nodes = mk_xcalloc(json_array_size(v->list), sizeof(*v->nodes));
	json_array_foreach (v->list, i, found) {
		const char *role = mk_json_str(found, "role", "");

		if (mk_streq(role, "load-balancer"))
			continue;
		v->nodes[v->node_count++] = (struct mk_verify_node){
			.id = mk_json_str(found, "id", ""),
			.name = mk_json_str(found, "name", ""),
			.ip = mk_json_str(found, "ip", ""),
			.pods = mk_json_str(found, "pods", ""),
			.running = mk_streq(mk_json_str(found, "state", ""), "running"),
			.control_plane = mk_streq(role, "control-plane"),
		};
		v->control_planes += mk_streq(role, "control-plane");
	}
	qsort(v->nodes, v->node_count, sizeof(*v->nodes), compare_nodes);
	for (size_t n = 0; n < v->control_planes && !v->first; n++)
		v->first = v->nodes[n].running ? &v->nodes[n] : NULL;
}

/* What pods a node can run without pulling is a label of its image, and so its own. */
static int find_images(struct mk_verification *v, struct mk_error *err)
{
	mk_autojson *container = NULL;
	int r = mk_container_inspect(v->docker, v->first->id, &container, err);
	const char *images = json_string_value(
		json_object_get(mk_json_at(container, "Config.Labels"), "io.mkcluster.images"));

	v->images = images ? json_loads(images, 0, NULL) : NULL;
	return r;
}

static int connect_to(struct mk_verification *v, struct mk_error *err)
{
	const json_t *any = json_array_get(v->list, 0);
	const char *gateway = mk_json_str(any, "gateway", "");

	v->registry_url = mk_cluster_url(v->docker, "http", mk_json_str(any, "registry", ""));
	if (*gateway)
		v->gateway_url = mk_cluster_url(v->docker, "http", gateway);
	return mk_cluster_connect(v->docker, v->cluster, &v->kube, err);
}

static int look_up(struct mk_verification *v, struct mk_error *err)
{
	mk_autojson *found = NULL;
	int r = mk_cluster_find(v->docker, v->cluster, &found, err);

	if (r == 0)
		r = mk_cluster_nodes(v->docker, v->cluster, &v->list, err);
	if (r < 0)
		return r;
	take_nodes(v);
	if (!v->first) {
		(void)mk_fail(err, MK_EHOST, "cluster '%s' does not run", v->cluster);
		mk_error_hint(err, "`mkcluster start --name %s`", v->cluster);
		return -MK_EHOST;
	}
	r = find_images(v, err);
	if (r == 0)
		r = connect_to(v, err);
	if (r == 0)
		r = mk_random_hex(4, &v->run_id, err);
	if (r == 0) {
		v->namespace = mk_xasprintf("mkcluster-verify-%s", v->run_id);
		v->function = mk_xasprintf("verify-%s", v->run_id);
	}
	return r;
}

static struct mk_check_result *add_result(struct run *run, enum check check)
{
	struct mk_check_result *result = &run->result->checks[run->result->count++];

	*result = (struct mk_check_result){
		.name = definitions[check].name,
		.title = definitions[check].title,
	};
	return result;
}

static const struct mk_check_result *result_of(const struct run *run, enum check check)
{
	for (size_t i = 0; i < run->result->count; i++) {
		if (mk_streq(run->result->checks[i].name, definitions[check].name))
			return &run->result->checks[i];
	}
	return NULL;
}

/* Whether the check cannot be tried; then the result says why. */
static bool must_skip(const struct run *run, enum check check, struct mk_check_result *result)
{
	enum check needs = definitions[check].needs;
	const struct mk_check_result *other = needs == NOTHING ? NULL : result_of(run, needs);

	if (other && (other->skipped || !other->ok)) {
		result->skipped = true;
		result->ok = other->ok;
		result->detail = other->ok ? mk_xstrdup(other->detail)
					   : mk_xasprintf("not tried: needs '%s'", other->title);
	} else if (check != CHECK_CLEAN_UP && run->begun[check].r == 0 &&
		mk_remaining_ms(run->v.deadline) == 0) {
		result->skipped = true;
		result->detail = mk_xstrdup("not tried: no time was left");
	}
	return result->skipped;
}

/* Never for long: set everything going that takes its time. */
static int begin_all(struct run *run)
{
	for (size_t i = 0; i < CHECK_COUNT; i++) {
		struct begun *begun = &run->begun[i];

		if (!definitions[i].begin)
			continue;
		run->report->begin(run->report->payload, definitions[i].title);
		begun->start = mk_now_ms();
		begun->r = definitions[i].begin(&run->v, &begun->note, &begun->error);
		if (begun->r == -MK_EINTR)
			return -MK_EINTR;
	}
	return 0;
}

/* Make one check: 0 whatever it found, or -MK_EINTR. */
static int try_check(
	struct run *run, enum check check, struct mk_check_result *result, struct mk_error *err)
{
	const struct definition *definition = &definitions[check];
	struct begun *begun = &run->begun[check];
	int64_t start = begun->start > 0 ? begun->start : mk_now_ms();
	int r = begun->r;

	if (r == 0)
		r = definition->run(&run->v, &result->detail, err);
	else if (r < 0)
		mk_error_move(err, &begun->error);
	else
		result->detail = MK_TAKE(begun->note);
	result->ms = mk_now_ms() - start;
	result->ok = r >= 0;
	result->skipped = r == MK_VERIFY_SKIPPED;
	if (r < 0) {
		free(result->detail);
		result->detail = mk_xstrdup(err->message);
		mk_error_done(err);
		run->failed_in_time |= mk_remaining_ms(run->v.deadline) > 0;
	}
	return r == -MK_EINTR ? r : 0;
}

static int run_check(struct run *run, enum check check)
{
	mk_autoerror err = { .code = MK_OK };
	struct mk_check_result *result = add_result(run, check);
	int r = 0;

	if (!must_skip(run, check, result)) {
		run->report->begin(run->report->payload, definitions[check].title);
		r = try_check(run, check, result, &err);
	}
	if (r == 0)
		run->report->end(run->report->payload, result);
	return r;
}

/* All but the last check, which is the clean-up. */
static int run_checks(struct run *run)
{
	int r = 0;

	for (size_t i = 0; i < CHECK_CLEAN_UP && r == 0; i++) {
		if (mk_interrupted())
			return -MK_EINTR;
		r = run_check(run, (enum check)i);
		/* As soon as there is an API to set things going with. */
		if (r == 0 && i == CHECK_READY && run->result->checks[0].ok)
			r = begin_all(run);
	}
	return r;
}

static int conclude(const struct run *run, int64_t timeout_ms, struct mk_error *err)
{
	mk_autostrlist titles = { .items = NULL };
	mk_autofree char *list = NULL;
	mk_autofree char *time = mk_format_duration(timeout_ms);

	for (size_t i = 0; i < run->result->count; i++) {
		const struct mk_check_result *check = &run->result->checks[i];

		if (!check->ok && !check->skipped)
			mk_strlist_add(&titles, check->title);
	}
	list = mk_strlist_join(&titles, ", ");
	if (titles.count > 0 && run->failed_in_time)
		return mk_fail(err, MK_EBRINGUP, "cluster '%s' fails %zu of %zu checks: %s",
			run->v.cluster, titles.count, run->result->count, list);
	for (size_t i = 0; i < run->result->count; i++) {
		if (!run->result->checks[i].ok)
			return mk_fail(err, MK_ETIMEOUT, "cluster '%s' was not verified within %s",
				run->v.cluster, time);
	}
	return 0;
}

int mk_cluster_verify(struct mk_docker *docker, const char *name, int64_t timeout_ms,
	const struct mk_verify_report *report, struct mk_verify_result *ret, struct mk_error *err)
{
	MK_CLEANUP(run_done)
	struct run run = {
		.v = { .docker = docker, .cluster = name, .deadline = mk_deadline(timeout_ms) },
		.report = report,
		.result = ret,
	};
	int r = look_up(&run.v, err);

	if (r < 0)
		return r;
	r = run_checks(&run);
	/* What it finds is a result like any other. */
	(void)run_check(&run, CHECK_CLEAN_UP);
	if (r == -MK_EINTR || mk_interrupted()) {
		bool gone = ret->checks[ret->count - 1].ok;

		return mk_fail(err, MK_EINTR, "interrupted; %s",
			gone ? "what it made is removed" : ret->checks[ret->count - 1].detail);
	}
	return conclude(&run, timeout_ms, err);
}

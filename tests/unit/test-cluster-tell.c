/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes of a cluster are told when others come or go: files and commands. */
#include "lib/archive/tar_reader.h"
#include "lib/cluster/existing.h"
#include "tests/unit/bytes.h"
#include "tests/unit/test-docker-world.h"

#define ROUTES "etc/mkcluster/routes"
#define HAPROXY "etc/mkcluster/haproxy.cfg"
#define UNIT(name) "etc/systemd/system/" name ".service"
#define PUT(node) "PUT /v1.41/containers/c-" node "/archive?path=%2Fetc%2Fmkcluster"
#define PUT_AT_REST(node) "PUT /v1.41/containers/c-" node "/archive?path=%2F"
#define EXEC(node) "POST /v1.41/containers/c-" node "/exec"

static const struct mk_cidr subnet = { .address = 0x0ad50700, .bits = 24 };

/* Every command ends well; `*` takes any node. */
static const struct peer_route willing[] = {
	{ "PUT /v1.41/containers/c-*", { { .status = 200 } }, 1 },
	{ "POST /v1.41/containers/c-*", { { .status = 201, .body = "{\"Id\":\"e\"}" } }, 1 },
	{ "POST /v1.41/exec/e/start", { { .body = "" } }, 1 },
	{ "GET /v1.41/exec/e/json", { { .body = "{\"ExitCode\":0}" } }, 1 },
};

struct cluster {
	struct mk_cluster_spec spec;
	struct mk_bringup b; /* its plan is the new one */
	struct mk_plan before;
};

static void cluster_done(struct cluster *c)
{
	mk_bringup_done(&c->b);
	mk_plan_done(&c->before);
	mk_cluster_spec_done(&c->spec);
}
#define autocluster MK_CLEANUP(cluster_done) struct cluster

/* A cluster that runs, and a plan of it that may change. */
static struct cluster cluster_of(int control_planes, int workers)
{
	struct cluster c = {
		.spec = mk_cluster_spec_init(),
		.b = { .docker = w.docker,
			.images = mk_json_pack("{s:s}", "pause", "img/pause:1"),
			.subnet = subnet,
			.mtu = 1500,
			.joining = true,
			.profile = MK_PROFILE_PRIVILEGED },
	};

	free(c.spec.name);
	c.spec.name = mk_xstrdup("d");
	c.spec.control_planes = control_planes;
	c.spec.workers = workers;
	mk_cluster_spec_settle(&c.spec);
	assert_int_equal(mk_plan_make(&c.spec, &subnet, &c.b.plan, &w.err), 0);
	for (size_t i = 0; i < c.b.plan.count; i++) {
		struct mk_node_plan *node = &c.b.plan.nodes[i];

		node->container = mk_xasprintf("c-%s", node->name);
		node->fresh = false;
		node->running = true;
	}
	mk_plan_copy(&c.b.plan, &c.before);
	return c;
}

static void tell(struct cluster *c, unsigned roles)
{
	c->b.spec = &c->spec;
	if (mk_existing_tell(&c->b, &c->before, roles, &w.err) < 0)
		fail_msg("%s", w.err.message);
}

static void grow(struct cluster *c, enum mk_role role, size_t count)
{
	assert_int_equal(mk_plan_grow(&c->b.plan, &c->spec, &subnet, role, count, &w.err), 0);
}

/* The place of a file that waits in "staged/RUN/"; folders on the way are for root alone. */
static const char *place_of(const struct mk_tar_entry *entry)
{
	const char *rest = mk_after_prefix(entry->name, "staged");

	if (rest && !*rest)
		assert_int_equal(entry->mode, 0700);
	rest = rest && *rest ? strchr(rest + 1, '/') : NULL;
	return rest ? rest + 1 : entry->name;
}

/* The files that this PUT carried: name -> text. The caller owns it. */
static json_t *files_of(const char *put)
{
	MK_CLEANUP(mk_tar_reader_freep) struct mk_tar_reader *reader = NULL;
	struct mk_tar_reader_options options = { .what = put };
	struct mk_tar_entry entry;
	struct bytes bytes;
	json_t *files = json_object();

	bytes.data = fake_peer_body(w.engine, put, 0, &bytes.left);
	if (!bytes.data)
		return files;
	assert_int_equal(mk_tar_reader_open(read_bytes, &bytes, &options, &reader, &w.err), 0);
	while (mk_tar_reader_next(reader, &entry, &w.err) == 1) {
		mk_autobuf text = mk_buf_init(MK_MIB);
		char chunk[4096];
		const char *place = place_of(&entry);
		ssize_t n;

		if (entry.type != MK_TAR_FILE)
			continue;
		while ((n = mk_tar_reader_data(reader, chunk, sizeof(chunk), &w.err)) > 0)
			mk_buf_add(&text, chunk, (size_t)n);
		assert_int_equal(entry.mode, strstr(place, "haproxy.cfg") ? 0600 : 0644);
		(void)json_object_set_new(files, place, json_string(text.data));
	}
	return files;
}

/* Exactly these files went to the node ("" is none), and this script ran in it. */
static void assert_told(
	const char *put, const char *exec, const char *const *names, const char *script)
{
	mk_autojson *files = files_of(put);
	mk_autojson *body = NULL;
	const char *sent = fake_peer_request(w.engine, exec, 0);
	const char *ran;
	size_t count = 0;

	for (; names[count]; count++) {
		if (!json_object_get(files, names[count]))
			fail_msg("%s: no %s", put, names[count]);
	}
	assert_int_equal(json_object_size(files), count);
	assert_int_equal(fake_peer_hits(w.engine, put), count > 0 ? 1 : 0);
	assert_int_equal(fake_peer_hits(w.engine, exec), script ? 1 : 0);
	if (!script)
		return;
	body = json_loads(strstr(sent, "\r\n\r\n") + 4, 0, NULL);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(body, "Cmd"), 0)), "sh");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(body, "Cmd"), 1)), "-ec");
	ran = json_string_value(json_array_get(json_object_get(body, "Cmd"), 2));
	/* The files go to their places first. */
	if (count > 0) {
		assert_words(ran, "cd /etc/mkcluster/staged/");
		ran = strstr(ran, "sync -f /etc\n");
		assert_non_null(ran);
		ran += strlen("sync -f /etc\n");
	}
	assert_string_equal(ran, script);
}

#define TOLD(node, script, ...)                                                                    \
	assert_told(PUT(node), EXEC(node), (const char *const[]){ __VA_ARGS__, NULL }, script)
#define NOT_TOLD(node) assert_told(PUT(node), EXEC(node), (const char *const[]){ NULL }, NULL)

static void test_nothing_changed(void **state)
{
	autocluster c = { .before = { .nodes = NULL } };

	(void)state;
	serve(willing, MK_ARRAY_LEN(willing));
	c = cluster_of(3, 2);
	tell(&c, MK_TELL_ALL);
	assert_int_equal(fake_peer_hits(w.engine, ""), 1); /* the ping */
}

#define RESTART_ROUTES "systemctl restart pod-network.service\n"
#define RELOAD "systemctl reload load-balancer.service\n"
#define RESTART_LEADERS                                                                            \
	"systemctl restart kube-controller-manager.service\n"                                      \
	"systemctl restart kube-scheduler.service\n"

static void test_worker_comes(void **state)
{
	autocluster c = { .before = { .nodes = NULL } };
	mk_autojson *files = NULL;

	(void)state;
	serve(willing, MK_ARRAY_LEN(willing));
	c = cluster_of(1, 1);
	grow(&c, MK_ROLE_WORKER, 1);
	tell(&c, MK_TELL_ALL);
	TOLD("d-control-plane", RESTART_ROUTES, ROUTES);
	TOLD("d-worker", RESTART_ROUTES, ROUTES);
	files = files_of(PUT("d-worker"));
	assert_string_equal(json_string_value(json_object_get(files, ROUTES)),
		"10.244.0.0/24 10.213.7.2\n10.244.2.0/24 10.213.7.13\n");
	/* The new one has its own files from the beginning. */
	assert_int_equal(fake_peer_hits(w.engine, "PUT"), 2);
	assert_int_equal(fake_peer_hits(w.engine, "POST /v1.41/containers/"), 2);
}

static void test_worker_goes(void **state)
{
	autocluster c = { .before = { .nodes = NULL } };

	(void)state;
	serve(willing, MK_ARRAY_LEN(willing));
	c = cluster_of(3, 2);
	mk_plan_drop(&c.b.plan, "d-worker");
	/* First who sends connections to it, then everybody. */
	tell(&c, 1U << MK_ROLE_LOAD_BALANCER);
	assert_int_equal(fake_peer_hits(w.engine, "PUT"), 1);
	TOLD("d-load-balancer", RELOAD, HAPROXY);
	mk_docker_free(MK_TAKE(w.docker));
	fake_peer_stop(MK_TAKE(w.engine));
	serve(willing, MK_ARRAY_LEN(willing));
	c.b.docker = w.docker;
	tell(&c, MK_TELL_ALL);
	TOLD("d-load-balancer", RELOAD, HAPROXY);
	TOLD("d-control-plane", RESTART_ROUTES, ROUTES);
	TOLD("d-control-plane-3", RESTART_ROUTES, ROUTES);
	TOLD("d-worker-2", RESTART_ROUTES, ROUTES);
	NOT_TOLD("d-worker");
}

#define MOVE(ip)                                                                                   \
	"for f in kubelet kube-proxy; do\n"                                                        \
	"\tsed -i 's#^\\( *server: \\).*#\\1https://" ip ":6443#' /etc/kubernetes/$f.conf\n"       \
	"\tsystemctl try-restart $f.service\ndone\n"

/* The second control plane: leaders are elected from now on, and the API is behind
 * a balancer. Units that changed are read anew before they are restarted. */
static void test_second_control_plane(void **state)
{
	autocluster c = { .before = { .nodes = NULL } };
	mk_autojson *files = NULL;

	(void)state;
	serve(willing, MK_ARRAY_LEN(willing));
	c = cluster_of(1, 1);
	grow(&c, MK_ROLE_CONTROL_PLANE, 1);
	tell(&c, MK_TELL_ALL);
	TOLD("d-control-plane",
		"systemctl daemon-reload\n" RESTART_ROUTES RESTART_LEADERS MOVE("10.213.7.11"),
		ROUTES, UNIT("kube-controller-manager"), UNIT("kube-scheduler"));
	TOLD("d-worker", "systemctl daemon-reload\n" RESTART_ROUTES ":\n" MOVE("10.213.7.11"),
		ROUTES, UNIT("kube-api-ready"));
	NOT_TOLD("d-load-balancer");
	files = files_of(PUT("d-control-plane"));
	assert_words(json_string_value(json_object_get(files, UNIT("kube-scheduler"))),
		"--leader-elect=true");
}

/* The way back from there. */
static void test_second_control_plane_goes_back(void **state)
{
	autocluster c = { .before = { .nodes = NULL } };
	struct mk_plan grown;

	(void)state;
	serve(willing, MK_ARRAY_LEN(willing));
	c = cluster_of(1, 1);
	grow(&c, MK_ROLE_CONTROL_PLANE, 1);
	grown = c.b.plan;
	c.b.plan = c.before;
	c.before = grown;
	tell(&c, MK_TELL_ALL);
	TOLD("d-control-plane",
		"systemctl daemon-reload\n" RESTART_ROUTES RESTART_LEADERS MOVE("10.213.7.2"),
		ROUTES, UNIT("kube-controller-manager"), UNIT("kube-scheduler"));
	TOLD("d-worker", "systemctl daemon-reload\n" RESTART_ROUTES ":\n" MOVE("10.213.7.2"),
		ROUTES, UNIT("kube-api-ready"));
}

static void test_third_control_plane(void **state)
{
	autocluster c = { .before = { .nodes = NULL } };
	mk_autojson *files = NULL;

	(void)state;
	serve(willing, MK_ARRAY_LEN(willing));
	c = cluster_of(2, 1);
	grow(&c, MK_ROLE_CONTROL_PLANE, 1);
	tell(&c, MK_TELL_ALL);
	TOLD("d-control-plane-2", RESTART_ROUTES, ROUTES);
	TOLD("d-worker", RESTART_ROUTES, ROUTES);
	TOLD("d-load-balancer", RELOAD, HAPROXY);
	files = files_of(PUT("d-load-balancer"));
	assert_words(json_string_value(json_object_get(files, HAPROXY)),
		"\tserver d-control-plane-3 10.213.7.4:6443\n");
}

/* One that does not run has the files at its next start, and no command now. */
static void test_stopped_node(void **state)
{
	autocluster c = { .before = { .nodes = NULL } };

	(void)state;
	serve(willing, MK_ARRAY_LEN(willing));
	c = cluster_of(1, 2);
	grow(&c, MK_ROLE_WORKER, 1);
	mk_plan_find(&c.b.plan, "d-worker")->running = false;
	tell(&c, MK_TELL_ALL);
	assert_told(PUT_AT_REST("d-worker"), EXEC("d-worker"),
		(const char *const[]){ ROUTES, NULL }, NULL);
	assert_int_equal(fake_peer_hits(w.engine, PUT("d-worker")), 0);
	TOLD("d-worker-2", RESTART_ROUTES, ROUTES);
}

#define SAYS "\2\0\0\0\0\0\0\x21Unit pod-network.service is bad.\n"

/* Of several nodes the one is named that did not do as it was told, with its words. */
static void test_script_fails(void **state)
{
	struct peer_route routes[] = {
		willing[0],
		{ EXEC("d-worker"), { { .status = 201, .body = "{\"Id\":\"bad\"}" } }, 1 },
		willing[1],
		willing[2],
		willing[3],
		{ "POST /v1.41/exec/bad/start", { { .body = SAYS, .len = sizeof(SAYS) - 1 } }, 1 },
		{ "GET /v1.41/exec/bad/json", { { .body = "{\"ExitCode\":5}" } }, 1 },
	};
	autocluster c = { .before = { .nodes = NULL } };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	c = cluster_of(1, 2);
	grow(&c, MK_ROLE_WORKER, 1);
	c.b.spec = &c.spec;
	assert_int_equal(mk_existing_tell(&c.b, &c.before, MK_TELL_ALL, &w.err), -MK_EREMOTE);
	assert_words(w.err.message,
		"node 'd-worker' did not take the change: "
		"Unit pod-network.service is bad.");
}

/* No command runs where the files did not arrive; the node is named. */
static void test_files_are_refused(void **state)
{
	struct peer_route routes[] = {
		{ PUT("d-worker"), { { .status = 500, .body = "{\"message\":\"no space\"}" } }, 1 },
		willing[0],
		willing[1],
		willing[2],
		willing[3],
	};
	autocluster c = { .before = { .nodes = NULL } };

	(void)state;
	serve(routes, MK_ARRAY_LEN(routes));
	c = cluster_of(1, 2);
	grow(&c, MK_ROLE_WORKER, 1);
	c.b.spec = &c.spec;
	assert_int_equal(mk_existing_tell(&c.b, &c.before, MK_TELL_ALL, &w.err), -MK_EREMOTE);
	assert_words(w.err.message, "tell node 'd-worker': engine: ");
	assert_words(w.err.message, "500: no space");
	assert_int_equal(fake_peer_hits(w.engine, "POST"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_changed),
		TEST(test_worker_comes),
		TEST(test_worker_goes),
		TEST(test_second_control_plane),
		TEST(test_second_control_plane_goes_back),
		TEST(test_third_control_plane),
		TEST(test_stopped_node),
		TEST(test_script_fails),
		TEST(test_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

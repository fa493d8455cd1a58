/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node: its container in both profiles, the files that make it one, and the
 * objects applied to it. All embedded files pass through here with the variables
 * that real runs set.
 */
#include "lib/kube/apply.h"
#include "manifests/embed.h"
#include "manifests/render.h"
#include "tests/unit/test-node-world.h"

#define PRIVILEGED ",\"Privileged\":true"
#define RESTRICTED                                                                                 \
	",\"CapAdd\":[\"ALL\"],\"CapDrop\":[\"SYS_RESOURCE\"],\"SecurityOpt\":"                    \
	"[\"seccomp=unconfined\",\"apparmor=unconfined\"],\"MaskedPaths\":[],"                     \
	"\"ReadonlyPaths\":[],\"DeviceCgroupRules\":[\"a *:* rwm\"]"
#define GATEWAY_PORT ",\"31112/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"31112\"}]"

static char *expected_container(const char *profile, bool openfaas)
{
	return mk_xasprintf(
		"{\"Image\":\"mkcluster/node:v1.36.3\","
		"\"Hostname\":\"mkcluster-control-plane\",\"Labels\":{"
		"\"io.mkcluster.cluster\":\"mkcluster\",\"io.mkcluster.role\":\"control-plane\","
		"\"io.mkcluster.run\":\"run1\",\"io.mkcluster.ip\":\"10.213.7.2\","
		"\"io.mkcluster.pods\":\"10.244.0.0/24\","
		"\"io.mkcluster.api\":\"127.0.0.1:6001\","
		"\"io.mkcluster.registry\":\"127.0.0.1:5001\"%s},"
		"\"Env\":[\"container=docker\"],\"StopSignal\":\"SIGRTMIN+3\","
		"\"Volumes\":{\"/var\":{}},\"ExposedPorts\":{\"6443/tcp\":{},\"5000/tcp\":{}%s},"
		"\"HostConfig\":{\"NetworkMode\":\"net1\","
		"\"CgroupnsMode\":\"private\",\"Tmpfs\":{\"/tmp\":\"exec,mode=1777\","
		"\"/run\":\"exec,mode=755\"},\"PortBindings\":{"
		"\"6443/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"6001\"}],"
		"\"5000/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"5001\"}]%s},"
		"\"RestartPolicy\":{\"Name\":\"unless-stopped\"},\"Init\":false%s},"
		"\"NetworkingConfig\":{\"EndpointsConfig\":{\"net1\":"
		"{\"IPAMConfig\":{\"IPv4Address\":\"10.213.7.2\"}}}}}",
		openfaas ? ",\"io.mkcluster.gateway\":\"127.0.0.1:31112\"" : "",
		openfaas ? ",\"31112/tcp\":{}" : "", openfaas ? GATEWAY_PORT : "", profile);
}

static void assert_container(
	struct mk_bringup *b, enum mk_profile profile, const char *words, bool openfaas)
{
	mk_autofree char *text = expected_container(words, openfaas);
	mk_autojson *expected = json_loads(text, 0, NULL);
	mk_autojson *container = NULL;
	mk_autofree char *printed = NULL;

	b->profile = profile;
	container = mk_node_container(b, &b->plan.nodes[0]);
	printed = mk_json_print(container);
	assert_non_null(expected);
	if (!json_equal(expected, container))
		fail_msg("the container is\n%s, not\n%s", printed, text);
}

static void test_container(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };

	(void)state;
	serve(NULL, 0);
	b = bringup(&spec);
	assert_container(&b, MK_PROFILE_PRIVILEGED, PRIVILEGED, true);
	assert_container(&b, MK_PROFILE_RESTRICTED, RESTRICTED, true);
	spec.openfaas = false;
	assert_container(&b, MK_PROFILE_PRIVILEGED, PRIVILEGED, false);
}

/* Of several machines the load balancer alone is published; all know the way in. */
static void test_containers_of_many(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };

	(void)state;
	spec.control_planes = 3;
	spec.workers = 1;
	serve(NULL, 0);
	b = bringup(&spec);
	for (size_t i = 0; i < b.plan.count; i++) {
		const struct mk_node_plan *node = &b.plan.nodes[i];
		mk_autojson *container = mk_node_container(&b, node);
		const json_t *labels = json_object_get(container, "Labels");
		bool front = node->role == MK_ROLE_LOAD_BALANCER;

		assert_string_equal(mk_json_str(container, "Hostname", ""), node->name);
		assert_int_equal(json_object_size(mk_json_at(container, "HostConfig.PortBindings")),
			front ? 3 : 0);
		assert_string_equal(json_string_value(json_object_get(labels, "io.mkcluster.api")),
			"127.0.0.1:6001");
		assert_int_equal(json_object_get(labels, "io.mkcluster.pods") == NULL, front);
	}
}

static void assert_unit(const json_t *members, const struct mk_embedded *file)
{
	const char *name = strrchr(file->path, '/') + 1;
	mk_autofree char *path = mk_xasprintf("etc/systemd/system/%s", name);
	mk_autofree char *target = mk_xasprintf("/%s", path);
	mk_autofree char *wanted = mk_xasprintf(
		"etc/systemd/system/multi-user.target.wants/%s", name);

	assert_words(text_of(members, path), "[Service]");
	assert_int_equal(mk_json_int(member(members, path), "mode", 0), 0644);
	if (strstr(file->data, "[Install]"))
		assert_string_equal(mk_json_str(member(members, wanted), "link", ""), target);
	else
		assert_null(json_object_get(members, wanted));
}

static int count_file(void *arg, const struct mk_pki_file *file, struct mk_error *err)
{
	(void)file;
	(void)err;
	(*(size_t *)arg)++;
	return 0;
}

/* Whether a control plane gets this file of manifests/node. */
static bool is_for_control_plane(const char *path)
{
	return mk_after_prefix(path, "node/") && !mk_after_prefix(path, "node/load-balancer/") &&
		!mk_after_prefix(path, "node/limits/") && !mk_after_prefix(path, "node/proxy/") &&
		!mk_after_prefix(path, "node/snapshot/") &&
		!mk_after_prefix(path, "node/restore/") &&
		!mk_after_prefix(path, "node/bin/snapshot-") &&
		!mk_streq(path, "node/config/haproxy.cfg");
}

/* Every file of a control plane is in, filled in, and beside them only the secrets,
 * the routes, and what the cluster was made from. */
static void test_archive_is_whole(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *members = NULL;
	size_t embedded = 0, secrets = 0, files = 0;
	const char *name;
	json_t *value;

	(void)state;
	serve(NULL, 0);
	b = bringup(&spec);
	members = archive_of(&b, 0);
	for (size_t i = 0; i < mk_embedded_count; i++) {
		embedded += is_for_control_plane(mk_embedded_files[i].path) ? 1 : 0;
		if (mk_after_prefix(mk_embedded_files[i].path, "node/units/") ||
			mk_after_prefix(mk_embedded_files[i].path, "node/control-plane/"))
			assert_unit(members, &mk_embedded_files[i]);
	}
	assert_int_equal(mk_pki_bundle_each_file(b.pki, 0, count_file, &secrets, &w.err), 0);
	json_object_foreach (members, name, value) {
		const char *left = strstr(mk_json_str(value, "text", ""), "${");

		files += mk_json_int(value, "type", -1) == MK_TAR_FILE ? 1 : 0;
		if (left && strspn(left + 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") > 0)
			fail_msg("%s: %.40s is left", name, left);
	}
	assert_int_equal(files, embedded + secrets + 2);
	assert_true(secrets > 20);
}

/* Only where it is asked for, and only in the first control plane. */
static void test_snapshot_schedule(void **state)
{
	static const char timer[] = "etc/systemd/system/mkcluster-snapshot.timer";
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *first = NULL;
	mk_autojson *second = NULL;

	(void)state;
	spec.control_planes = 3;
	spec.snapshot_every = mk_xstrdup("6h");
	spec.snapshot_keep = 3;
	serve(NULL, 0);
	b = bringup(&spec);
	first = archive_of(&b, 0);
	second = archive_of(&b, 1);
	assert_words(text_of(first, timer), "OnUnitActiveSec=6h\n");
	assert_words(text_of(first, "etc/systemd/system/mkcluster-snapshot.service"),
		"snapshot-rotate mkcluster " MK_VERSION " 3\n");
	assert_string_equal(mk_json_str(member(first,
						"etc/systemd/system/multi-user.target.wants/"
						"mkcluster-snapshot.timer"),
				    "link", ""),
		"/etc/systemd/system/mkcluster-snapshot.timer");
	assert_int_equal(
		mk_json_int(member(first, "usr/local/lib/mkcluster/snapshot-save"), "mode", 0),
		0755);
	assert_null(json_object_get(second, timer));
	assert_null(json_object_get(second, "usr/local/lib/mkcluster/snapshot-save"));
}

/* Of three control planes, a worker and a balancer each gets what is its own. */
static void test_several_nodes(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *second = NULL;
	mk_autojson *worker = NULL;
	mk_autojson *balancer = NULL;

	(void)state;
	spec.control_planes = 3;
	spec.workers = 1;
	serve(NULL, 0);
	b = bringup(&spec);
	assert_int_equal(b.plan.count, 5);
	assert_string_equal(b.plan.nodes[3].name, "mkcluster-worker");
	assert_string_equal(b.plan.nodes[4].name, "mkcluster-load-balancer");
	second = archive_of(&b, 1);
	worker = archive_of(&b, 3);
	balancer = archive_of(&b, 4);
	assert_non_null(strstr(text_of(second, "etc/systemd/system/etcd.service"),
		"mkcluster-control-plane=https://10.213.7.2:2380,"
		"mkcluster-control-plane-2=https://10.213.7.3:2380,"));
	assert_null(json_object_get(second, "etc/registry.yaml"));
	assert_string_equal(text_of(worker, "etc/mkcluster/routes"),
		"10.244.0.0/24 10.213.7.2\n10.244.1.0/24 10.213.7.3\n10.244.2.0/24 10.213.7.4\n");
	assert_null(json_object_get(worker, "etc/systemd/system/etcd.service"));
	assert_null(json_object_get(worker, "etc/kubernetes/pki/ca.key"));
	assert_null(json_object_get(worker, "etc/kubernetes/admin.conf"));
	assert_non_null(
		strstr(text_of(worker, "etc/kubernetes/kubelet.conf"), "https://10.213.7.11:6443"));
	assert_non_null(strstr(text_of(balancer, "etc/mkcluster/haproxy.cfg"),
		"\tserver mkcluster-control-plane-3 10.213.7.4:6443\n"));
	assert_null(json_object_get(balancer, "etc/systemd/system/kubelet.service"));
	assert_non_null(member(balancer, "etc/kubernetes/pki/ca.crt"));
}

static void test_archive_modes(void **state)
{
	static const struct {
		const char *name;
		int mode;
	} cases[] = {
		{ "etc/kubernetes/pki", 0700 },
		{ "etc/kubernetes/pki/etcd", 0700 },
		{ "var/lib/etcd", 0700 },
		{ "etc/kubernetes/pki/ca.crt", 0644 },
		{ "etc/kubernetes/pki/ca.key", 0600 },
		{ "etc/kubernetes/admin.conf", 0600 },
		{ "etc/kubernetes/encryption-config.yaml", 0600 },
		{ "usr/local/lib/mkcluster/pod-network", 0755 },
		{ "etc/containerd/config.toml", 0600 },
		{ "etc/cni/net.d/10-mkcluster.conflist", 0600 },
		{ "etc/kubernetes/kubelet.yaml", 0600 },
		{ "etc/kubernetes/audit-policy.yaml", 0600 },
		{ "etc/systemd/system.conf.d/mkcluster.conf", 0644 },
	};
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *members = NULL;

	(void)state;
	serve(NULL, 0);
	b = bringup(&spec);
	members = archive_of(&b, 0);
	for (size_t i = 0; i < MK_ARRAY_LEN(cases); i++)
		assert_int_equal(
			mk_json_int(member(members, cases[i].name), "mode", -1), cases[i].mode);
	/* Nothing that the image has is set anew: no parents, no root. */
	assert_null(json_object_get(members, "."));
	assert_null(json_object_get(members, "etc"));
	assert_null(json_object_get(members, "usr/local/lib/mkcluster"));
}

#define ETCD_UNIT "etc/systemd/system/etcd.service"
#define KUBELET "etc/kubernetes/kubelet.yaml"

static void test_archive_variants(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	mk_autojson *plain = NULL;
	mk_autojson *other = NULL;

	(void)state;
	serve(NULL, 0);
	b = bringup(&spec);
	plain = archive_of(&b, 0);
	assert_words(text_of(plain, KUBELET), "cgroupDriver: systemd");
	assert_words(text_of(plain, KUBELET), "10.96.0.10");
	assert_words(text_of(plain, ETCD_UNIT), "mkcluster-control-plane=https://10.213.7.2:2380");
	assert_null(strstr(text_of(plain, ETCD_UNIT), "unsafe"));
	assert_words(text_of(plain, "etc/containerd/config.toml"), "img/pause:1");
	spec.unsafe_etcd = true;
	b.cgroup_v1 = true;
	b.profile = MK_PROFILE_RESTRICTED;
	other = archive_of(&b, 0);
	assert_words(text_of(other, KUBELET), "cgroupDriver: cgroupfs");
	assert_words(text_of(other, ETCD_UNIT), "--unsafe-no-fsync");
	assert_string_not_equal(text_of(plain, "etc/containerd/config.toml"),
		text_of(other, "etc/containerd/config.toml"));
}

static const struct peer_route accept_all = { "PATCH *", { { .body = "{}" } }, 1 };

static size_t apply(
	const struct mk_cluster_spec *spec, struct mk_bringup *b, struct fake_peer *server)
{
	mk_autoidentity identity = { .server = mk_xstrdup(fake_peer_address(server)) };
	mk_autofree char *note = NULL;
	mk_autofree char *expected = NULL;
	size_t before = fake_peer_hits(server, "PATCH ");
	size_t count;

	b->spec = spec;
	mk_kube_free(MK_TAKE(b->kube));
	assert_int_equal(mk_kube_new(&identity, &b->kube, &w.err), 0);
	if (mk_step_apply(b, &note, &w.err) < 0)
		fail_msg("%s", w.err.message);
	count = fake_peer_hits(server, "PATCH ") - before;
	expected = mk_xasprintf("%zu objects", count);
	assert_string_equal(note, expected);
	return count;
}

/* The objects of all embedded files, as they stand. */
static size_t object_count(const char *prefix)
{
	size_t count = 0;

	for (size_t i = 0; i < mk_embedded_count; i++) {
		const char *text = mk_embedded_files[i].data;

		if (!mk_after_prefix(mk_embedded_files[i].path, prefix))
			continue;
		for (count += mk_after_prefix(text, "kind: ") ? 1 : 0;
			(text = strstr(text, "\nkind: ")); text++)
			count++;
	}
	return count;
}

static void test_objects(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	struct fake_peer *server = fake_peer_start(NULL, &accept_all, 1);
	size_t openfaas = object_count("objects/openfaas");
	size_t all = object_count("objects/c") + openfaas;

	(void)state;
	serve(NULL, 0);
	b = bringup(&spec);
	/* And what is made here: the password's Secret, and whatever else a node needs. */
	assert_in_range(apply(&spec, &b, server), all + 1, all + 2);
	assert_words(fake_peer_request(
			     server, "PATCH /api/v1/namespaces/openfaas/secrets/basic-auth", 0),
		"\"basic-auth-user\":\"YWRtaW4=\"");
	assert_non_null(fake_peer_request(
		server, "PATCH /apis/apps/v1/namespaces/openfaas/deployments/gateway", 0));
	spec.openfaas = false;
	assert_in_range(apply(&spec, &b, server), all - openfaas, all - openfaas + 1);
	fake_peer_stop(server);
}

/* Without an image for a role nothing is sent, and the role is named. */
static void test_missing_image(void **state)
{
	mk_autospec spec = mk_cluster_spec_init();
	mk_autobringup b = { .spec = NULL };
	struct fake_peer *server = fake_peer_start(NULL, &accept_all, 1);
	mk_autoidentity identity = { .server = mk_xstrdup(fake_peer_address(server)) };
	mk_autofree char *note = NULL;

	(void)state;
	serve(NULL, 0);
	b = bringup(&spec);
	(void)json_object_del(b.images, "queue-worker");
	assert_int_equal(mk_kube_new(&identity, &b.kube, &w.err), 0);
	assert_int_equal(mk_step_apply(&b, &note, &w.err), -MK_EFAIL);
	assert_words(w.err.message, "nothing is known as ${QUEUE_WORKER_IMAGE}");
	assert_int_equal(fake_peer_hits(server, ""), 0);
	fake_peer_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_container),
		TEST(test_containers_of_many),
		TEST(test_archive_is_whole),
		TEST(test_snapshot_schedule),
		TEST(test_archive_modes),
		TEST(test_several_nodes),
		TEST(test_archive_variants),
		TEST(test_objects),
		TEST(test_missing_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

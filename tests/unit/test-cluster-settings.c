/* SPDX-License-Identifier: Apache-2.0 */
/* What a spec changes in the files of its nodes: flags, fields, files left out. */
#include "lib/cluster/node_settings.h"
#include "lib/cluster/unit.h"
#include "tests/unit/test-node-world.h"

#define API_UNIT "etc/systemd/system/kube-apiserver.service"
#define KUBELET_UNIT "etc/systemd/system/kubelet.service"
#define PROXY_UNIT "etc/systemd/system/kube-proxy.service"
#define KUBELET "etc/kubernetes/kubelet.yaml"

static const char unit[] = "[Unit]\nDescription=x --b=no\n\n[Service]\nEnvironment=--c=1\n"
			   "ExecStart=/bin/x \\\n  --a=1 \\\n  --b-b=2 \\\n  --c\n"
			   "Restart=always\n  --d=1\n";

static void assert_set(const char *name, const char *value, const char *line)
{
	mk_autobuf text = mk_buf_init(4096);
	mk_autofree char *expected = mk_xasprintf("\n%s\n", line);
	size_t lines = 0;

	mk_buf_adds(&text, unit);
	mk_unit_set_flag(&text, name, value);
	/* A second time it stands where it stood. */
	mk_unit_set_flag(&text, name, value);
	if (!strstr(text.data, expected))
		fail_msg("'%s' is not a line of\n%s", line, text.data);
	assert_words(text.data, "\nRestart=always\n  --d=1\n");
	assert_words(text.data, "\nDescription=x --b=no\n");
	for (const char *p = text.data; (p = strstr(p, "\n  ")); p++)
		lines++;
	assert_in_range(lines, 4, 5);
}

static void test_flags(void **state)
{
	(void)state;
	assert_set("a", "2", "  --a=2 \\");
	assert_set("b_b", "3", "  --b_b=3 \\");
	assert_set("b-b", "", "  --b-b= \\");
	assert_set("c", "true", "  --c=true");
	assert_set("b", "new", "  --b=new");
	assert_set("d", "new", "  --d=new");
	assert_set("e", "a b", "  \"--e=a b\"");
	assert_set("e", "50%", "  \"--e=50%%\"");
	assert_set("e", "$HOME${X}", "  \"--e=$$HOME$${X}\"");
	assert_set("e", "say \"a\\b\"", "  \"--e=say \\\"a\\\\b\\\"\"");
	assert_set("e", "two\nlines\t", "  \"--e=two\\x0alines\\x09\"");
	assert_set("e", "a;b'c", "  \"--e=a;b'c\"");
	assert_set("e", "\\", "  \"--e=\\\\\"");
}

/* A unit of one line, and one that has nothing to run. */
static void test_other_units(void **state)
{
	mk_autobuf one = mk_buf_init(4096);
	mk_autobuf none = mk_buf_init(4096);

	(void)state;
	mk_buf_adds(&one, "[Service]\nExecStart=/bin/x");
	mk_unit_set_flag(&one, "a", "1");
	mk_unit_set_flag(&one, "b", "2");
	assert_string_equal(one.data, "[Service]\nExecStart=/bin/x \\\n  --a=1 \\\n  --b=2");
	mk_buf_adds(&none, "[Unit]\nAfter=x\n");
	mk_unit_set_flag(&none, "a", "1");
	assert_string_equal(none.data, "[Unit]\nAfter=x\n");
}

static size_t count_of(const char *text, const char *words)
{
	size_t count = 0;

	for (; (text = strstr(text, words)); text++)
		count++;
	return count;
}

static struct mk_cluster_spec spec_of(int64_t workers)
{
	struct mk_cluster_spec spec = mk_cluster_spec_init();

	spec.workers = workers;
	mk_cluster_spec_settle(&spec);
	return spec;
}

static void test_extra_args(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *first = NULL;
	mk_autojson *worker = NULL;

	(void)state;
	spec.api_server_args = mk_json_pack("{s:s,s:s}", "profiling", "true", "event-ttl", "2h");
	spec.controller_manager_args = mk_json_pack("{s:s}", "v", "4");
	spec.scheduler_args = mk_json_pack("{s:s}", "kube-api-qps", "77");
	spec.etcd_args = mk_json_pack("{s:s}", "snapshot-count", "5");
	spec.kubelet_args = mk_json_pack("{s:s,s:s}", "max-pods", "50", "v", "1");
	spec.proxy_args = mk_json_pack("{s:s}", "v", "3");
	spec.nodes[1].kubelet_args = mk_json_pack("{s:s}", "max-pods", "40");
	serve(NULL, 0);
	b = bringup(&spec);
	first = archive_of(&b, 0);
	worker = archive_of(&b, 1);
	assert_words(text_of(first, API_UNIT), "\n  --profiling=true \\\n");
	assert_words(text_of(first, API_UNIT), "\n  --event-ttl=2h\nRestart=always\n");
	assert_null(strstr(text_of(first, API_UNIT), "--profiling=false"));
	assert_words(
		text_of(first, "etc/systemd/system/kube-controller-manager.service"), "  --v=4\n");
	assert_words(
		text_of(first, "etc/systemd/system/kube-scheduler.service"), "--kube-api-qps=77");
	assert_words(text_of(first, "etc/systemd/system/etcd.service"), "--snapshot-count=5 ");
	assert_int_equal(
		count_of(text_of(first, "etc/systemd/system/etcd.service"), "snapshot"), 1);
	assert_words(text_of(first, KUBELET_UNIT), "--max-pods=50 ");
	assert_words(text_of(worker, KUBELET_UNIT), "--max-pods=40 ");
	assert_words(text_of(worker, KUBELET_UNIT), "--v=1");
	assert_int_equal(count_of(text_of(worker, KUBELET_UNIT), "max-pods"), 1);
	assert_words(text_of(worker, PROXY_UNIT), "--v=3");
}

/* The node's over the cluster's over ours, map by map. */
static void test_configurations(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *first = NULL, *worker = NULL;
	mk_autojson *kubelet = NULL, *other = NULL, *proxy = NULL;

	(void)state;
	spec.kubelet_config = mk_json_pack("{s:i,s:{s:s},s:i}", "maxPods", 60, "evictionHard",
		"memory.available", "200Mi", "podsPerCore", 9);
	spec.nodes[1].kubelet_config = mk_json_pack(
		"{s:i,s:{s:s}}", "maxPods", 30, "evictionHard", "memory.available", "1Gi");
	spec.proxy_config = mk_json_pack("{s:{s:i}}", "conntrack", "min", 7);
	serve(NULL, 0);
	b = bringup(&spec);
	first = archive_of(&b, 0);
	worker = archive_of(&b, 1);
	kubelet = yaml_of(first, KUBELET);
	other = yaml_of(worker, KUBELET);
	proxy = yaml_of(worker, "etc/kubernetes/kube-proxy.yaml");
	assert_int_equal(mk_json_int(kubelet, "maxPods", 0), 60);
	assert_int_equal(mk_json_int(other, "maxPods", 0), 30);
	assert_int_equal(mk_json_int(other, "podsPerCore", 0), 9);
	/* "memory.available" is beside the three of ours. */
	assert_int_equal(json_object_size(mk_json_at(kubelet, "evictionHard")), 4);
	assert_string_equal(json_string_value(json_object_get(
				    mk_json_at(other, "evictionHard"), "memory.available")),
		"1Gi");
	assert_string_equal(
		json_string_value(json_object_get(
			json_object_get(spec.kubelet_config, "evictionHard"), "memory.available")),
		"200Mi");
	assert_int_equal(mk_json_int(proxy, "conntrack.min", 0), 7);
	assert_int_equal(mk_json_int(proxy, "conntrack.maxPerCore", -1), 0);
}

static void test_feature_gates(void **state)
{
	mk_autospec spec = spec_of(0);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *members = NULL;
	mk_autojson *kubelet = NULL;
	mk_autojson *proxy = NULL;

	(void)state;
	spec.feature_gates = mk_json_pack(
		"{s:b,s:s,s:b}", "A", 1, "B", "false", "KubeletInUserNamespace", 0);
	spec.runtime_config = mk_json_pack("{s:s,s:s}", "api/alpha", "true", "x/v1", "false");
	serve(NULL, 0);
	b = bringup(&spec);
	b.profile = MK_PROFILE_RESTRICTED;
	members = archive_of(&b, 0);
	kubelet = yaml_of(members, KUBELET);
	proxy = yaml_of(members, "etc/kubernetes/kube-proxy.yaml");
	assert_words(text_of(members, API_UNIT), "--feature-gates=A=true,B=false,");
	assert_words(text_of(members, API_UNIT), "--runtime-config=api/alpha=true,x/v1=false\n");
	assert_words(
		text_of(members, "etc/systemd/system/kube-controller-manager.service"), "A=true");
	assert_words(text_of(members, "etc/systemd/system/kube-scheduler.service"), "A=true");
	assert_null(strstr(text_of(members, "etc/systemd/system/etcd.service"), "A=true"));
	assert_true(json_is_true(mk_json_at(kubelet, "featureGates.A")));
	assert_true(json_is_false(mk_json_at(kubelet, "featureGates.B")));
	assert_true(json_is_true(mk_json_at(kubelet, "featureGates.KubeletInUserNamespace")));
	assert_true(json_is_true(mk_json_at(proxy, "featureGates.A")));
	/* What the gates have nothing to do with is as it was. */
	assert_string_equal(mk_json_str(kubelet, "evictionHard", "?"), "?");
	assert_int_equal(json_object_size(mk_json_at(kubelet, "evictionHard")), 3);
	assert_int_equal(mk_json_int(kubelet, "maxPods", 0), 250);
	assert_string_equal(mk_json_str(proxy, "mode", ""), "iptables");
}

static void test_labels(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *first = NULL;
	mk_autojson *worker = NULL;

	(void)state;
	spec.nodes[1].labels = mk_json_pack(
		"{s:s,s:s,s:s}", "disk", "ssd", "mkcluster.dev/role", "mine", "e.example/x", "");
	serve(NULL, 0);
	b = bringup(&spec);
	first = archive_of(&b, 0);
	worker = archive_of(&b, 1);
	assert_words(text_of(first, KUBELET_UNIT),
		"\n  --node-labels=mkcluster.dev/role=control-plane\n");
	assert_words(text_of(worker, KUBELET_UNIT),
		"\n  --node-labels=mkcluster.dev/role=worker,disk=ssd,e.example/x=\n");
}

static void set_taint(struct mk_node_spec *node, const char *key, const char *value)
{
	node->taints = mk_xcalloc(1, sizeof(*node->taints));
	node->taint_count = 1;
	node->taints_given = true;
	node->taints[0] = (struct mk_taint_spec){ .key = mk_xstrdup(key),
		.value = value ? mk_xstrdup(value) : NULL,
		.effect = mk_xstrdup("NoExecute") };
}

static void assert_taints(struct mk_bringup *b, size_t node, const char *expected)
{
	mk_autojson *members = archive_of(b, node);
	mk_autojson *kubelet = yaml_of(members, KUBELET);
	mk_autofree char *text = mk_json_print(mk_json_at(kubelet, "registerWithTaints"));

	assert_string_equal(text, expected);
}

static void test_taints(void **state)
{
	mk_autospec spec = spec_of(3);
	mk_autobringup b = { .spec = NULL };

	(void)state;
	set_taint(&spec.nodes[1], "only", "gpu");
	set_taint(&spec.nodes[2], "bare", NULL);
	serve(NULL, 0);
	b = bringup(&spec);
	assert_taints(&b, 0,
		"[{\"key\":\"node-role.kubernetes.io/control-plane\",\"effect\":\"NoSchedule\"}]");
	assert_taints(&b, 1, "[{\"key\":\"only\",\"value\":\"gpu\",\"effect\":\"NoExecute\"}]");
	assert_taints(&b, 2, "[{\"key\":\"bare\",\"effect\":\"NoExecute\"}]");
	assert_taints(&b, 3, "[]");
	spec.nodes[0].taints_given = true;
	assert_taints(&b, 0, "[]");
}

static void test_limits(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *plain = NULL;
	mk_autojson *limited = NULL;

	(void)state;
	spec.nodes[1].memory = mk_xstrdup("2Gi");
	serve(NULL, 0);
	b = bringup(&spec);
	plain = archive_of(&b, 0);
	limited = archive_of(&b, 1);
	assert_words(text_of(limited, "etc/systemd/system/kubelet.service.d/limits.conf"),
		"ExecStartPre=/usr/local/lib/mkcluster/node-limits /sys/fs/cgroup "
		"/run/mkcluster/kubelet.d systemReserved\n");
	assert_int_equal(
		mk_json_int(member(limited, "usr/local/lib/mkcluster/node-limits"), "mode", 0),
		0755);
	assert_words(text_of(limited, KUBELET_UNIT), "--config-dir=/run/mkcluster/kubelet.d");
	assert_null(json_object_get(plain, "usr/local/lib/mkcluster/node-limits"));
	assert_null(json_object_get(plain, "etc/systemd/system/kubelet.service.d/limits.conf"));
	assert_null(strstr(text_of(plain, KUBELET_UNIT), "config-dir"));
}

#define LIMITS "etc/systemd/system/kubelet.service.d/limits.conf"

/* What the user reserves is not replaced by what the node does not have. */
static void test_limits_beside_reserves(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *by_field = NULL;
	mk_autojson *by_flag = NULL;

	(void)state;
	spec.nodes[0].cpus = mk_xstrdup("1");
	spec.nodes[1].cpus = mk_xstrdup("1");
	spec.nodes[0].kubelet_config = mk_json_pack("{s:{s:s}}", "systemReserved", "cpu", "100m");
	spec.nodes[1].kubelet_args = mk_json_pack("{s:s}", "system-reserved", "cpu=100m");
	serve(NULL, 0);
	b = bringup(&spec);
	by_field = archive_of(&b, 0);
	by_flag = archive_of(&b, 1);
	assert_words(text_of(by_field, LIMITS), "/kubelet.d kubeReserved\n");
	assert_words(text_of(by_flag, LIMITS), "/kubelet.d kubeReserved\n");
}

/* The cluster's fields, then the node's; the spec itself stays as it is. */
static void test_fields(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *first = NULL;
	mk_autojson *worker = NULL;
	mk_autojson *one = NULL;
	mk_autojson *two = NULL;
	mk_autojson *proxy = NULL;

	(void)state;
	spec.feature_gates = mk_json_pack("{s:b}", "A", 1);
	spec.kubelet_config = mk_json_pack("{s:i,s:{s:s},s:{s:b}}", "maxPods", 7, "evictionHard",
		"memory.available", "5%", "featureGates", "B", 1);
	spec.proxy_config = mk_json_pack("{s:{s:b}}", "iptables", "masqueradeAll", 1);
	spec.nodes[1].kubelet_config = mk_json_pack(
		"{s:i,s:{s:s}}", "maxPods", 8, "evictionHard", "nodefs.available", "3%");
	serve(NULL, 0);
	b = bringup(&spec);
	worker = archive_of(&b, 1);
	first = archive_of(&b, 0);
	one = yaml_of(first, KUBELET);
	two = yaml_of(worker, KUBELET);
	proxy = yaml_of(worker, "etc/kubernetes/kube-proxy.yaml");
	assert_int_equal(mk_json_int(one, "maxPods", 0), 7);
	assert_int_equal(mk_json_int(two, "maxPods", 0), 8);
	assert_true(json_is_true(mk_json_at(two, "featureGates.A")));
	assert_true(json_is_true(mk_json_at(two, "featureGates.B")));
	assert_int_equal(json_object_size(mk_json_at(one, "evictionHard")), 4);
	assert_string_equal(json_string_value(json_object_get(
				    mk_json_at(one, "evictionHard"), "nodefs.available")),
		"0%");
	assert_string_equal(json_string_value(json_object_get(
				    mk_json_at(two, "evictionHard"), "nodefs.available")),
		"3%");
	assert_true(json_is_true(mk_json_at(proxy, "iptables.masqueradeAll")));
	assert_string_equal(mk_json_str(proxy, "iptables.minSyncPeriod", ""), "100ms");
}

static void test_proxy_modes(void **state)
{
	mk_autospec spec = spec_of(0);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *nftables = NULL;
	mk_autojson *none = NULL;

	(void)state;
	serve(NULL, 0);
	b = bringup(&spec);
	spec.proxy_mode = MK_PROXY_NFTABLES;
	nftables = archive_of(&b, 0);
	assert_words(text_of(nftables, "etc/kubernetes/kube-proxy.yaml"), "\nmode: nftables\n");
	spec.proxy_mode = MK_PROXY_NONE;
	none = archive_of(&b, 0);
	assert_null(json_object_get(none, PROXY_UNIT));
	assert_null(json_object_get(
		none, "etc/systemd/system/multi-user.target.wants/kube-proxy.service"));
	assert_null(json_object_get(none, "etc/kubernetes/kube-proxy.yaml"));
	assert_non_null(json_object_get(none, KUBELET_UNIT));
}

static void test_no_cni(void **state)
{
	mk_autospec spec = spec_of(1);
	mk_autobringup b = { .spec = NULL };
	mk_autojson *members = NULL;

	(void)state;
	spec.no_cni = true;
	serve(NULL, 0);
	b = bringup(&spec);
	members = archive_of(&b, 0);
	assert_null(json_object_get(members, "etc/cni/net.d/10-mkcluster.conflist"));
	assert_null(json_object_get(members, "etc/systemd/system/pod-network.service"));
	assert_null(json_object_get(members, "usr/local/lib/mkcluster/pod-network"));
	assert_null(json_object_get(members, "etc/mkcluster/routes"));
	assert_words(text_of(members, "etc/systemd/system/kube-controller-manager.service"),
		"\n  --allocate-node-cidrs=true \\\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flags),
		TEST(test_other_units),
		TEST(test_extra_args),
		TEST(test_configurations),
		TEST(test_feature_gates),
		TEST(test_labels),
		TEST(test_taints),
		TEST(test_limits),
		TEST(test_limits_beside_reserves),
		TEST(test_fields),
		TEST(test_proxy_modes),
		TEST(test_no_cni),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

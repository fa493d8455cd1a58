/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twelve faults that "Kubernetes the hard way", followed to the letter, leaves in
 * a cluster. Each has a test of its number here, on what is put into nodes, and
 * fails when its fault comes back. That the running cluster has none of them
 * either is seen in tests/e2e/test_cis.py (all but 11 and 12, without which no
 * node starts on the hosts that have them), and test_nodes.py (8 and 9).
 */
#include "lib/kube/apply.h"
#include "tests/unit/test-node-world.h"

#define UNIT(name) "etc/systemd/system/" name ".service"
#define API UNIT("kube-apiserver")
#define KUBELET "etc/kubernetes/kubelet.yaml"
#define ETCD_CA "/etc/kubernetes/pki/etcd/ca.crt"

struct cluster {
	struct mk_cluster_spec spec;
	struct mk_bringup b;
	json_t *control_plane;
	json_t *worker;
};

static int make_cluster(void **state)
{
	struct cluster *c = mk_xcalloc(1, sizeof(*c));

	if (enter(NULL) < 0)
		return -1;
	c->spec = mk_cluster_spec_init();
	c->spec.workers = 1;
	free(c->spec.service_subnet);
	c->spec.service_subnet = mk_xstrdup("10.32.0.0/24");
	serve(NULL, 0);
	c->b = bringup(&c->spec);
	c->control_plane = archive_of(&c->b, 0);
	c->worker = archive_of(&c->b, 1);
	*state = c;
	return 0;
}

static int free_cluster(void **state)
{
	struct cluster *c = *state;

	json_decref(c->control_plane);
	json_decref(c->worker);
	mk_bringup_done(&c->b);
	mk_cluster_spec_done(&c->spec);
	free(c);
	return leave(NULL);
}

/* What a unit gives its program as --name=VALUE, "" when it does not. */
static char *flag(const json_t *members, const char *unit, const char *name)
{
	mk_autofree char *start = mk_xasprintf(" --%s=", name);
	const char *found = strstr(text_of(members, unit), start);

	if (!found)
		return mk_xstrdup("");
	found += strlen(start);
	return mk_xasprintf("%.*s", (int)strcspn(found, " \n"), found);
}

static void assert_flag(
	const json_t *members, const char *unit, const char *name, const char *expected)
{
	mk_autofree char *value = flag(members, unit, name);

	if (!mk_streq(value, expected))
		fail_msg("%s: --%s is '%s', not '%s'", unit, name, value, expected);
}

/* The text of the file that a flag names, which must be in the node. */
static const char *file_of_flag(const json_t *members, const char *unit, const char *name)
{
	mk_autofree char *path = flag(members, unit, name);

	if (path[0] != '/')
		fail_msg("%s: --%s is '%s'", unit, name, path);
	return text_of(members, path + 1);
}

static struct mk_cert *parse_cert(const char *pem)
{
	struct mk_cert *cert = NULL;

	if (mk_cert_parse(pem, strlen(pem), &cert, &w.err) < 0)
		fail_msg("%s", w.err.message);
	return cert;
}

/* 1: the API server's own service had an address of another network, which its
 * certificate did not name. */
static void test_01_service_address_is_in_the_certificate(void **state)
{
	const struct cluster *c = *state;
	mk_autocert *cert = parse_cert(file_of_flag(c->control_plane, API, "tls-cert-file"));

	assert_flag(c->control_plane, API, "service-cluster-ip-range", "10.32.0.0/24");
	assert_flag(c->control_plane, UNIT("kube-controller-manager"), "service-cluster-ip-range",
		"10.32.0.0/24");
	assert_true(mk_strlist_has(&mk_cert_sans(cert)->ips, "10.32.0.1"));
}

/* 2: nor did it have the name that pods are told to use. */
static void test_02_service_name_is_in_the_certificate(void **state)
{
	const struct cluster *c = *state;
	mk_autocert *cert = parse_cert(file_of_flag(c->control_plane, API, "tls-cert-file"));
	mk_autojson *kubelet = yaml_of(c->worker, KUBELET);
	mk_autofree char *name = mk_xasprintf(
		"kubernetes.default.svc.%s", mk_json_str(kubelet, "clusterDomain", "(none)"));

	assert_string_equal(name, "kubernetes.default.svc.cluster.local");
	assert_true(mk_strlist_has(&mk_cert_sans(cert)->dns, name));
}

/* 3: pods were given no name server, and there was none. */
static void test_03_pods_have_dns(void **state)
{
	static const struct peer_route accept_all = { "PATCH *", { { .body = "{}" } }, 1 };
	struct cluster *c = *state;
	struct fake_peer *server = fake_peer_start(NULL, &accept_all, 1);
	mk_autoidentity identity = { .server = mk_xstrdup(fake_peer_address(server)) };
	mk_autojson *kubelet = yaml_of(c->worker, KUBELET);
	mk_autofree char *note = NULL;
	const json_t *dns = json_object_get(kubelet, "clusterDNS");

	assert_string_equal(json_string_value(json_array_get(dns, 0)), "10.32.0.10");
	assert_int_equal(mk_kube_new(&identity, &c->b.kube, &w.err), 0);
	if (mk_step_apply(&c->b, &note, &w.err) < 0)
		fail_msg("%s", w.err.message);
	assert_words(fake_peer_request(
			     server, "PATCH /api/v1/namespaces/kube-system/services/kube-dns", 0),
		"\"clusterIP\":\"10.32.0.10\"");
	assert_words(fake_peer_request(server,
			     "PATCH /apis/apps/v1/namespaces/kube-system/deployments/coredns", 0),
		"img/coredns:1");
	/* Names outside the cluster, too. */
	assert_words(fake_peer_request(
			     server, "PATCH /api/v1/namespaces/kube-system/configmaps/coredns", 0),
		"forward . /etc/resolv.conf");
	fake_peer_stop(server);
}

/* 4: sixteen pods filled a node. Kubernetes' own number is 110. */
static void test_04_a_node_takes_enough_pods(void **state)
{
	const struct cluster *c = *state;
	mk_autojson *kubelet = yaml_of(c->worker, KUBELET);

	assert_in_range(mk_json_int(kubelet, "maxPods", 110), 110, 254);
}

/* 5: an audit log without a policy stays empty. */
static void test_05_the_audit_log_has_a_policy(void **state)
{
	const struct cluster *c = *state;
	mk_autofree char *path = flag(c->control_plane, API, "audit-policy-file");
	mk_autojson *policy = NULL;
	const json_t *rules, *last, *rule;
	size_t i;

	assert_true(path[0] == '/');
	assert_flag(c->control_plane, API, "audit-log-path", "/var/log/kubernetes/audit.log");
	policy = yaml_of(c->control_plane, path + 1);
	rules = json_object_get(policy, "rules");
	last = json_array_get(rules, json_array_size(rules) - 1);
	/* Whatever no rule names is written down; no body ever is. */
	assert_int_equal(json_object_size(last), 1);
	assert_string_equal(mk_json_str(last, "level", ""), "Metadata");
	json_array_foreach (rules, i, rule) {
		const char *level = mk_json_str(rule, "level", "");

		if (!mk_streq(level, "None") && !mk_streq(level, "Metadata"))
			fail_msg("rule %zu is of level %s", i, level);
	}
}

/* 6: without a front proxy's CA no other API can stand behind the server. */
static void test_06_other_apis_can_be_aggregated(void **state)
{
	const struct cluster *c = *state;
	mk_autocert *ca = parse_cert(
		file_of_flag(c->control_plane, API, "requestheader-client-ca-file"));
	mk_autocert *client = parse_cert(
		file_of_flag(c->control_plane, API, "proxy-client-cert-file"));
	mk_autocert *cluster_ca = parse_cert(file_of_flag(c->control_plane, API, "client-ca-file"));

	assert_string_equal(mk_cert_issuer(client), mk_cert_subject(ca));
	assert_string_not_equal(mk_cert_subject(ca), mk_cert_subject(cluster_ca));
	assert_flag(
		c->control_plane, API, "requestheader-allowed-names", mk_cert_common_name(client));
	assert_flag(c->control_plane, API, "requestheader-username-headers", "X-Remote-User");
	assert_flag(c->control_plane, API, "requestheader-group-headers", "X-Remote-Group");
	assert_flag(c->control_plane, API, "requestheader-extra-headers-prefix", "X-Remote-Extra-");
	assert_non_null(file_of_flag(c->control_plane, API, "proxy-client-key-file"));
}

/* 7: etcd was open to everybody, or one certificate was used for everything. */
static void test_07_etcd_has_certificates_of_its_own(void **state)
{
	const struct cluster *c = *state;
	const char *unit = text_of(c->control_plane, UNIT("etcd"));
	mk_autocert *ca = parse_cert(text_of(c->control_plane, &ETCD_CA[1]));
	mk_autocert *server = parse_cert(file_of_flag(c->control_plane, UNIT("etcd"), "cert-file"));
	mk_autocert *peer = parse_cert(
		file_of_flag(c->control_plane, UNIT("etcd"), "peer-cert-file"));
	mk_autocert *client = parse_cert(file_of_flag(c->control_plane, API, "etcd-certfile"));
	mk_autocert *api = parse_cert(file_of_flag(c->control_plane, API, "tls-cert-file"));

	assert_flag(c->control_plane, UNIT("etcd"), "trusted-ca-file", ETCD_CA);
	assert_words(unit, " --client-cert-auth ");
	assert_words(unit, " --peer-client-cert-auth ");
	assert_null(strstr(unit, "http://"));
	assert_flag(c->control_plane, UNIT("etcd"), "peer-trusted-ca-file", ETCD_CA);
	assert_flag(c->control_plane, API, "etcd-cafile", ETCD_CA);
	assert_string_equal(mk_cert_issuer(server), mk_cert_subject(ca));
	assert_string_equal(mk_cert_issuer(peer), mk_cert_subject(ca));
	assert_string_equal(mk_cert_issuer(client), mk_cert_subject(ca));
	assert_string_not_equal(mk_cert_issuer(api), mk_cert_subject(ca));
	assert_string_not_equal(mk_cert_serial(server), mk_cert_serial(peer));
	assert_string_not_equal(mk_cert_serial(server), mk_cert_serial(client));
	/* A client, who has no such name, cannot pass for a peer. */
	assert_flag(
		c->control_plane, UNIT("etcd"), "peer-cert-allowed-cn", mk_cert_common_name(peer));
	assert_string_not_equal(mk_cert_common_name(peer), mk_cert_common_name(client));
}

/* 8: routes added by hand were gone after a restart. */
static void test_08_routes_are_a_unit(void **state)
{
	static const char
		*const wanted = "etc/systemd/system/multi-user.target.wants/pod-network.service";
	const struct cluster *c = *state;

	for (size_t i = 0; i < 2; i++) {
		const json_t *node = i ? c->worker : c->control_plane;
		const struct mk_node_plan *other = &c->b.plan.nodes[1 - i];
		const char *script = text_of(node, "usr/local/lib/mkcluster/pod-network");
		mk_autofree char *route = mk_xasprintf("%s %s\n", other->pod_cidr, other->ip);

		assert_string_equal(
			mk_json_str(member(node, wanted), "link", ""), "/" UNIT("pod-network"));
		assert_words(text_of(node, UNIT("pod-network")),
			"ExecStart=/usr/local/lib/mkcluster/pod-network");
		assert_words(script, "\tcat /etc/mkcluster/routes\n");
		assert_words(script, "\nroutes | while read -r pods via; do\n");
		assert_words(script, "\tip route replace \"$pods\" via \"$via\"\n");
		assert_string_equal(text_of(node, "etc/mkcluster/routes"), route);
	}
}

/* 9: pods saw each other by their nodes' addresses. */
static void test_09_pods_keep_their_addresses(void **state)
{
	const struct cluster *c = *state;
	const char *script = text_of(c->worker, "usr/local/lib/mkcluster/pod-network");
	const char *text = text_of(c->worker, "etc/cni/net.d/10-mkcluster.conflist");
	mk_autojson *cni = json_loads(text, 0, NULL);
	const json_t *bridge = json_array_get(json_object_get(cni, "plugins"), 0);
	const char *spared = strstr(script, "-d 10.244.0.0/16 -j RETURN");
	const char *masked = strstr(script, "-j MASQUERADE");

	assert_string_equal(mk_json_str(bridge, "type", ""), "bridge");
	assert_false(json_is_true(json_object_get(bridge, "ipMasq")));
	assert_non_null(spared);
	assert_non_null(masked);
	assert_true(spared < masked);
}

/* 10: the server was no node: nothing on it could reach a service. */
static void test_10_a_control_plane_is_a_node(void **state)
{
	static const char *const units[] = { "containerd", "kubelet", "kube-proxy" };
	const struct cluster *c = *state;
	mk_autojson *kubelet = yaml_of(c->control_plane, KUBELET);

	for (size_t i = 0; i < MK_ARRAY_LEN(units); i++) {
		mk_autofree char *wanted = mk_xasprintf(
			"etc/systemd/system/multi-user.target.wants/%s.service", units[i]);

		assert_non_null(member(c->control_plane, wanted));
	}
	assert_non_null(member(c->control_plane, "etc/kubernetes/kube-proxy.conf"));
	assert_null(strstr(text_of(c->control_plane, UNIT("kubelet")), "register-node=false"));
	assert_false(json_is_false(json_object_get(kubelet, "registerNode")));
}

/* 11: the kubelet refuses hosts with cgroup v1 unless told otherwise. */
static void test_11_the_kubelet_runs_on_cgroup_v1(void **state)
{
	const struct cluster *c = *state;
	mk_autojson *kubelet = yaml_of(c->worker, KUBELET);

	assert_true(json_is_false(json_object_get(kubelet, "failCgroupV1")));
}

/* 12: kube-proxy may not write the host's limits of connection tracking, and
 * stops when it has to. */
static void test_12_kube_proxy_leaves_the_hosts_limits(void **state)
{
	const struct cluster *c = *state;
	mk_autojson *proxy = yaml_of(c->worker, "etc/kubernetes/kube-proxy.yaml");

	assert_int_equal(mk_json_int(proxy, "conntrack.maxPerCore", -1), 0);
	assert_int_equal(mk_json_int(proxy, "conntrack.min", 0), 0);
	assert_string_equal(mk_json_str(proxy, "conntrack.tcpEstablishedTimeout", ""), "0s");
	assert_string_equal(mk_json_str(proxy, "conntrack.tcpCloseWaitTimeout", ""), "0s");
}

#define FAULT(name) cmocka_unit_test_setup_teardown(name, make_cluster, free_cluster)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAULT(test_01_service_address_is_in_the_certificate),
		FAULT(test_02_service_name_is_in_the_certificate),
		FAULT(test_03_pods_have_dns),
		FAULT(test_04_a_node_takes_enough_pods),
		FAULT(test_05_the_audit_log_has_a_policy),
		FAULT(test_06_other_apis_can_be_aggregated),
		FAULT(test_07_etcd_has_certificates_of_its_own),
		FAULT(test_08_routes_are_a_unit),
		FAULT(test_09_pods_keep_their_addresses),
		FAULT(test_10_a_control_plane_is_a_node),
		FAULT(test_11_the_kubelet_runs_on_cgroup_v1),
		FAULT(test_12_kube_proxy_leaves_the_hosts_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

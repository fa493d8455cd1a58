# SPDX-License-Identifier: Apache-2.0
"""`verify`: what passes, what fails and is named, and that nothing is left behind."""

import json
import signal

from cli.harness import NAME, NODE, CliTest

CHECKS = ["ready", "version", "servers", "etcd", "nodes", "routes", "encryption", "deployment", "exec",
          "logs", "port-forward", "node-port", "dns", "function", "invoke", "clean-up"]
WITH_A_POD = {"exec", "logs", "port-forward", "node-port", "dns"}


class VerifyTest(CliTest):
    options = ()

    def setUp(self):
        super().setUp()
        self.behaviour.ready_after = 0
        self.assert_code(self.create(*self.options), 0)
        self.node = self.engine.nodes[0]
        self.before = set(self.node.api.objects)

    def verify(self, *argv, **options):
        return self.run_cli("verify", "--name", NAME, *argv, **options)

    def checks(self, code, *argv, **options):
        """The checks by name, of a run with this exit status."""
        result = self.verify("--output", "json", *argv, **options)
        self.assert_code(result, code)
        listed = json.loads(result.out)
        for check in listed:
            self.assertEqual(set(check), {"name", "ok", "skipped", "ms", "detail"})
            self.assertEqual([type(check[k]) for k in ("name", "ok", "skipped", "ms", "detail")],
                             [str, bool, bool, int, str])
        self.assertEqual([c["name"] for c in listed], CHECKS)
        return {check["name"]: check for check in listed}

    def assert_cleaned(self, registry=True):
        self.assertEqual(set(self.node.api.objects), self.before)
        if registry:
            self.assertEqual(self.node.registry.repositories, {})
            self.assertEqual(self.node.registry.blobs, {})
        self.assertEqual(self.node.registry.sessions, {})

    def fails(self, name, words, spoil, others=()):
        """Spoil one thing: this check fails and says so, the rest passes."""
        spoil(self.behaviour)
        checks = self.checks(5)
        failed = {n for n, c in checks.items() if not c["ok"] and not c["skipped"]}
        skipped = {n for n, c in checks.items() if not c["ok"] and c["skipped"]}
        self.assertEqual((failed, skipped), ({name}, set(others)), checks)
        self.assertIn(words, checks[name]["detail"])
        for other in others:
            self.assertIn("not tried: needs ", checks[other]["detail"])
        self.assert_cleaned()


class OneNode(VerifyTest):
    def test_passes(self):
        result = self.verify()
        self.assert_code(result, 0)
        self.assertEqual(result.out, "")
        self.assert_said(result, "^✓ etcd is healthy +[0-9.]+s  1 member$",
                         "^✓ Secrets encrypted in etcd .* k8s:enc:secretbox:v1:key1$",
                         "^✓ Port-forward to a pod .* HTTP/1.0 200 OK$",
                         r"^✓ DNS in a pod .* kubernetes.default.svc.cluster.local is 10.96.0.1$",
                         "^✓ Function answers", "^✓ Nothing is left behind",
                         f"^Cluster '{NAME}' passes in ")
        self.assertEqual(result.err.count("✓"), len(CHECKS))
        self.assert_cleaned()

    def test_json(self):
        checks = self.checks(0, "-q")
        self.assertEqual({c["ok"] for c in checks.values()}, {True})
        self.assertEqual({c["skipped"] for c in checks.values()}, {False})
        self.assertEqual(checks["version"]["detail"], "v1.36.3")
        self.assertEqual(checks["nodes"]["detail"], "1 Ready")
        self.assert_cleaned()

    def test_secrets_stay_out_of_traces(self):
        result = self.verify("-v")
        self.assert_code(result, 0)
        secret = self.node.api.objects["/api/v1/namespaces/openfaas/secrets/basic-auth"]
        self.assertNotIn(secret["data"]["basic-auth-password"], result.err)
        self.assertNotIn("command=", result.err)

    def test_without_openfaas(self):
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.assert_code(self.create("--no-openfaas"), 0)
        self.node = self.engine.nodes[-1]
        self.before = set(self.node.api.objects)
        checks = self.checks(0)
        for name in ("function", "invoke"):
            self.assertEqual((checks[name]["ok"], checks[name]["skipped"]), (True, True))
            self.assertEqual(checks[name]["detail"], "the cluster has no OpenFaaS")
        self.assert_cleaned()

    # -- each check, failing by itself

    def test_says_what_failed(self):
        self.behaviour.pod_dns = None
        result = self.verify()
        self.assert_code(result, 5)
        self.assert_said(result, "^✗ DNS in a pod ",
                         rf"^mkcluster: cluster '{NAME}' fails 1 of {len(CHECKS)} checks: "
                         "DNS in a pod$")
        self.assert_cleaned()

    def test_ready_fails(self):
        self.behaviour.ready_after = 10**9
        checks = self.checks(5, timeout=40)
        self.assertIn("[-]etcd failed", checks["ready"]["detail"])
        self.assertEqual({n for n, c in checks.items() if c["ok"]},
                         {"servers", "etcd", "routes", "clean-up"})
        self.assertEqual(checks["clean-up"]["detail"], "nothing was made")
        self.assert_cleaned()

    def test_server_fails(self):
        def spoil(behaviour):
            behaviour.exec["/readyz"] = (22, "[-]etcd failed", "curl: (22) error: 500\n")
        self.fails("servers", f"{NODE}: /readyz: curl: (22) error: 500", spoil)

    def test_etcd_fails(self):
        def spoil(behaviour):
            behaviour.exec["endpoint health"] = (
                1, '[{"endpoint":"https://c:2379","health":false,"error":"deadline"}]', "warn")
        self.fails("etcd", "https://c:2379 is not healthy: deadline", spoil)

    def test_etcd_has_a_member_too_many(self):
        def spoil(behaviour):
            behaviour.exec["member list"] = (
                0, "1, started, a, p, c, false\n2, started, b, p, c, false\n", "")
        self.fails("etcd", "2 members, 1 of them healthy, on 1 nodes", spoil)

    def test_etcd_cannot_be_asked(self):
        def spoil(behaviour):
            behaviour.exec["member list"] = (1, "", "Error: no certificate\n")
        self.fails("etcd", "etcdctl member list: Error: no certificate", spoil)

    def test_node_fails(self):
        def spoil(behaviour):
            behaviour.not_ready = True
        self.fails("nodes", f"{NODE} is not Ready: container runtime is down", spoil)

    def test_another_network(self):
        del self.engine.find(NODE).files["etc/mkcluster/routes"]
        checks = self.checks(0)
        self.assertEqual((checks["routes"]["ok"], checks["routes"]["skipped"]), (True, True))
        self.assertIn("the CNI plugin is not mkcluster's", checks["routes"]["detail"])

    def test_secret_is_not_encrypted(self):
        def spoil(behaviour):
            behaviour.exec["/registry/secrets/"] = (0, "k8s\x00\n\x0c\n\x02v1\x12\x06Secret\n", "")
        self.fails("encryption", "is not encrypted", spoil)

    def test_deployment_fails(self):
        """Its pod never runs: all that needs it is not tried, at the run's deadline."""
        def on_request(node, request):
            if request.method == "PATCH" and request.path.endswith("/deployments/probe"):
                self.behaviour.never_available.add(request.path.split("/")[5] + "/probe")
        self.behaviour.on_request = on_request
        checks = self.checks(6, "--timeout", "3s")
        self.assertIn("ErrImageNeverPull: the image is not present",
                      checks["deployment"]["detail"])
        for name in WITH_A_POD:
            self.assertEqual((checks[name]["ok"], checks[name]["skipped"]), (False, True))
        self.assert_cleaned()

    def test_deployment_is_refused(self):
        def on_request(node, request):
            if request.method == "PATCH" and request.path.endswith("/deployments/probe"):
                self.behaviour.refuse[request.path] = (403, "exceeded quota")
        def spoil(behaviour):
            behaviour.on_request = on_request
        self.fails("deployment", "exceeded quota", spoil, WITH_A_POD)

    def test_exec_fails(self):
        def spoil(behaviour):
            behaviour.pod_exec = ("nothing\n", '{"status":"Failure","reason":"NonZeroExitCode",'
                                  '"details":{"causes":[{"reason":"ExitCode","message":"3"}]}}')
        self.fails("exec", "/coredns -version ended with status 3: nothing", spoil)

    def test_logs_fail(self):
        def spoil(behaviour):
            behaviour.pod_prints = False
        self.fails("logs", "its log does not have it", spoil)

    def test_port_forward_fails(self):
        def spoil(behaviour):
            behaviour.pod_refuses = 8080
        self.fails("port-forward", "error forwarding port 8080: connection refused", spoil)

    def test_node_port_fails(self):
        def spoil(behaviour):
            behaviour.exec[":31999/health"] = (7, "", "curl: (7) Failed to connect\n")
        self.fails("node-port", f"{NODE}: its NodePort: curl: (7) Failed to connect", spoil)

    def test_dns_fails(self):
        def spoil(behaviour):
            behaviour.pod_dns = None
        self.fails("dns", "kubernetes.default.svc.cluster.local: the DNS server answered SERVFAIL",
                   spoil)

    def test_dns_lies(self):
        def spoil(behaviour):
            behaviour.pod_dns = "10.96.0.2"
        self.fails("dns", "is 10.96.0.2, and should be 10.96.0.1", spoil)

    def test_function_is_refused(self):
        def spoil(behaviour):
            self.node.gateway.fault("status", "POST /system/functions", times=None, status=500,
                                    message="no such secret")
        self.fails("function", "deploy: the gateway answered 500", spoil, {"invoke"})

    def test_invoke_fails(self):
        def spoil(behaviour):
            behaviour.function_status = 503
        self.behaviour.function_status = 503
        checks = self.checks(6, "--timeout", "3s")
        self.assertIn("invoke: the gateway answered 503: no endpoints", checks["invoke"]["detail"])
        self.assert_cleaned()

    def test_no_program_for_a_function(self):
        self.behaviour.exec["find "] = (0, "", "")
        checks = self.checks(0)
        self.assertTrue(checks["function"]["skipped"])
        self.assertIn("the node image has no nats-streaming-server", checks["function"]["detail"])

    def test_registry_fails(self):
        """Wherever a push breaks off, nothing of it stays."""
        for nth in range(6):
            with self.subTest(nth=nth):
                self.behaviour.registry_faults[:] = []
                self.node.registry.fault("status", nth=nth)
                checks = self.checks(5)
                self.assertIn("the registry answered 500", checks["function"]["detail"])
                self.assert_cleaned()

    def test_registry_hangs(self):
        fault = self.node.registry.fault("hang", "PATCH .*/uploads/")
        checks = self.checks(6, "--timeout", "2s")
        self.assertIn("/uploads/", checks["function"]["detail"])
        fault.release.set()
        self.assert_cleaned()

    def test_something_stays(self):
        def on_request(node, request):
            if request.method == "PATCH" and request.path.count("/") == 4:
                self.behaviour.refuse_delete.add(request.path)
        self.behaviour.on_request = on_request
        checks = self.checks(5)
        self.assertRegex(checks["clean-up"]["detail"],
                         "^the namespace stays: .*mkcluster-verify-.*a webhook is in the way")
        self.assertEqual([n for n, c in checks.items() if not c["ok"]], ["clean-up"])

    # -- what is no check

    def test_absent(self):
        result = self.run_cli("verify", "--name", "none", "--output", "json")
        self.assert_code(result, 4)
        self.assertEqual(result.out, "")
        self.assert_said(result, "no cluster 'none'", f"there are: {NAME}")

    def test_stopped(self):
        self.engine.kill(NODE)
        result = self.verify()
        self.assert_code(result, 3)
        self.assert_said(result, f"^mkcluster: cluster '{NAME}' does not run",
                         f"`mkcluster start --name {NAME}`")

    def test_bad_name(self):
        self.assert_code(self.run_cli("verify", "--name", "../x"), 2)

    def test_interrupt(self):
        """At any moment: all that was made goes, the registry's part too."""
        for server, match in (("api", "PATCH .*/namespaces/mkcluster-verify-[0-9a-f]+\\?"),
                              ("api", "PATCH .*/deployments/probe"),
                              ("registry", "POST .*/uploads/"),
                              ("registry", "PUT .*/manifests/"),
                              ("gateway", "POST /system/functions"),
                              ("api", "/exec"), ("api", "/portforward"),
                              ("gateway", "/function/")):
            with self.subTest(server=server, match=match):
                faults = getattr(self.behaviour, f"{server}_faults")
                faults[:] = []
                fault = getattr(self.node, server).fault("hang", match)
                running = self.start("verify", "--name", NAME)
                # What is under way is waited for, two seconds at most.
                result = self.interrupt(running, fault, number=signal.SIGINT, within=6)
                self.assert_code(result, 130)
                self.assert_said(result, "^mkcluster: interrupted; what it made is removed")
                fault.release.set()
                self.assert_cleaned()


class TwoNodes(VerifyTest):
    options = ("--workers", "1")
    WORKER = f"{NAME}-worker"

    def test_passes(self):
        checks = self.checks(0)
        self.assertEqual(checks["nodes"]["detail"], "2 Ready")
        self.assertEqual(checks["routes"]["detail"], "on 2 of 2 nodes")
        self.assertEqual(checks["node-port"]["detail"], "port 31999 on 2 of 2 nodes")
        self.assert_cleaned()

    def test_route_is_missing(self):
        def routes(container, _command):
            found = self.engine.routes_of(container) if container.name == NODE else []
            return (0, json.dumps(found), "")

        def spoil(behaviour):
            behaviour.exec["route show"] = routes
        pods = self.engine.find(NODE).labels["io.mkcluster.pods"]
        self.fails("routes", f"{self.WORKER} has no route to the pods of {NODE}, {pods} via 10.",
                   spoil)

    def test_kube_proxy_of_one_node(self):
        def curl(container, _command):
            return (7, "", "curl: (7) refused") if container.name == self.WORKER else (0, "OK", "")

        def spoil(behaviour):
            behaviour.exec[":31999/health"] = curl
        self.fails("node-port", f"{self.WORKER}: its NodePort: curl: (7) refused", spoil)

    def test_a_node_that_is_stopped(self):
        """It is named once; the others are looked at all the same."""
        def spoil(_behaviour):
            self.engine.find(self.WORKER).state = "exited"
        self.fails("nodes", f"{self.WORKER} does not run", spoil)
        self.assertEqual(self.checks(5)["routes"]["detail"], "on 1 of 2 nodes")

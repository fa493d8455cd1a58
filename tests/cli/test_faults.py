# SPDX-License-Identifier: Apache-2.0
"""`create` when something is wrong: the exit code, the words, and nothing left."""

import json
import time

from cli.harness import NAME, NETWORK, NODE, CliTest, is_sanitized
from fakes import wire
from fakes.engine import NODE_IMAGE


class Host(CliTest):
    """Found before anything is made."""

    def refused(self, result, code, *patterns):
        self.assert_code(result, code)
        self.assert_said(result, *patterns)
        self.assertEqual([r for r in self.engine.requests if r.method != "GET"], [])
        self.assert_untouched_kubeconfig()
        return result

    def test_name_exists(self):
        self.engine.add_cluster(NAME)
        before = set(self.engine.labelled())
        self.refused(self.create(), 4, f"a cluster '{NAME}' exists already",
                     f"mkcluster delete --name {NAME}")
        self.assertEqual(set(self.engine.labelled()), before)

    def test_name_exists_as_a_stopped_cluster(self):
        self.engine.add_cluster(NAME).state = "exited"
        self.refused(self.create(), 4, "exists already")

    def test_no_image(self):
        self.refused(self.create("--image", "none/such:1"), 3, "no image 'none/such:1'",
                     "mkcluster build node-image")

    def test_other_image(self):
        self.refused(self.create("--image", "debian:bookworm"), 3, "is not a node image",
                     "mkcluster build node-image")

    def test_image_with_labels_of_another_kind(self):
        for text in ("no json", "[]", "7", '{"coredns": 7}'):
            self.engine.images[NODE_IMAGE]["Labels"]["io.mkcluster.images"] = text
            result = self.create()
            self.refused(result, 3, "io.mkcluster.images")

    def test_image_of_an_earlier_version(self):
        labels = self.engine.images[NODE_IMAGE]["Labels"]
        images = json.loads(labels["io.mkcluster.images"])
        for role in ("metrics-server", "local-path-provisioner", "local-path-helper"):
            labels["io.mkcluster.images"] = json.dumps({k: v for k, v in images.items()
                                                        if k != role})
            self.refused(self.create(), 3, f"no image for the role '{role}'",
                         "mkcluster build node-image")

    def test_bad_image_name(self):
        for name in ("", "a b", "a?b", "a#b"):
            self.refused(self.create("--image", name), 2, "is not an image name")

    def test_no_engine(self):
        env = {"DOCKER_HOST": f"unix://{self.folder}/none.sock"}
        self.refused(self.create(env=env), 3, "no container engine at unix://", "DOCKER_HOST")
        env = {"DOCKER_HOST": "tcp://127.0.0.1:1"}
        self.refused(self.create(env=env), 3, "no container engine at tcp://")

    def test_engine_at_a_wrong_address(self):
        for host in ("ssh://me@there", "nonsense", "/var/run/docker.sock"):
            self.refused(self.create(env={"DOCKER_HOST": host}), 3, "unix:// or tcp://")

    def test_tls_without_certificates(self):
        env = {"DOCKER_HOST": "tcp://127.0.0.1:2376", "DOCKER_TLS_VERIFY": "1"}
        self.refused(self.create(env=env), 3, "ca.pem", "DOCKER_CERT_PATH")

    def test_engine_too_old(self):
        self.engine.api_version = "1.39"
        self.refused(self.create(), 3, r"speaks API 1\.39; at least 1\.40", "Docker 20.10")

    def test_engine_of_unknown_version(self):
        self.engine.api_version = ""
        self.refused(self.create(), 3, "unknown version")

    def test_broken_kubeconfig(self):
        for text in ("a: [", "- a\n", "kind: Pod\n", "clusters: 7\n"):
            self.kubeconfig.write_text(text)
            result = self.create()
            self.assertIn(result.code, (1, 3), str(result))
            self.assert_said(result, r"kube/config:\d+:\d+", "--kubeconfig")
            self.assertEqual(self.kubeconfig.read_text(), text)
        self.assertEqual([r for r in self.engine.requests if r.method != "GET"], [])

    def test_kubeconfig_that_is_a_folder(self):
        result = self.create("--kubeconfig", str(self.folder / "home"))
        self.refused(result, 3, "not a regular file")


class Races(CliTest):
    """Another run is making the same cluster: its things are not ours."""

    def test_container_appears(self):
        fault = self.engine.fault("hang", "POST .*/networks/create")
        running = self.start_create()
        self.assertTrue(fault.reached.wait(10))
        self.engine.add_container(NODE, {"io.mkcluster.cluster": NAME,
                                         "io.mkcluster.run": "another"})
        fault.release.set()
        result = self.sane(running.wait(10))
        self.assert_code(result, 4)
        self.assert_said(result, f"mkcluster delete --name {NAME}")
        self.assertEqual(self.engine.labelled(), [NODE])
        self.assertEqual(self.engine.removed, [NETWORK])
        self.assert_untouched_kubeconfig()

    def test_network_left_by_a_killed_run(self):
        self.engine.add_network(NETWORK, [{"Subnet": "10.213.77.0/24"}],
                                {"io.mkcluster.cluster": NAME, "io.mkcluster.run": "killed"})
        result = self.create()
        self.assert_code(result, 4)
        self.assert_said(result, "already exists", f"mkcluster delete --name {NAME}")
        self.assertEqual(self.engine.labelled(), [NETWORK])
        creates = [line for line in self.engine.log() if "/networks/create" in line]
        self.assertEqual(len(creates), 1, "a name that is taken is not a subnet that is taken")
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.assertEqual(self.engine.labelled(), [])

    def test_kubeconfig_locked_by_another_program(self):
        lock = self.folder / "kube" / "config.lock"
        lock.touch()
        running = self.start_create()
        time.sleep(2)
        lock.unlink()
        self.assert_code(self.sane(running.wait(15)), 0)


class BringUp(CliTest):
    """The node is there and does not become a cluster."""

    def failed(self, result, code, *patterns):
        self.assert_failed(result, code)
        self.assert_said(result, *patterns)
        return result

    def test_node_dies_while_the_api_is_awaited(self):
        self.behaviour.ready_after = 10 ** 6
        self.behaviour.console = ("systemd 252 running\nWelcome to Debian\n"
                                  "Failed to mount cgroup at /sys/fs/cgroup: not permitted\n"
                                  "Exiting PID 1...\n")

        def die(node, request):
            if request.path == "/readyz" and node.api.asked == 3:
                self.engine.kill(NODE, exit_code=255)
        self.behaviour.on_request = die
        result = self.failed(self.create("--timeout", "20s"), 5,
                             rf"^mkcluster: Waiting for the API server: .*'{NODE}' stopped with "
                             "status 255",
                             "^Welcome to Debian$", "^Exiting PID 1...$",
                             "^cause: Failed to mount cgroup at")
        self.assertLess(result.seconds, 5)

    def test_node_restarts_while_the_api_is_awaited(self):
        self.behaviour.ready_after = 10 ** 6

        def die(node, request):
            if request.path == "/readyz" and node.api.asked == 3:
                self.engine.find(NODE).restarts = 1
        self.behaviour.on_request = die
        self.failed(self.create("--timeout", "20s"), 5, f"node '{NODE}' stopped")

    def node_dies_at(self, path):
        def die(_node, request):
            if request.path == path:
                self.engine.kill(NODE)
        self.behaviour.on_request = die
        self.behaviour.node_after = 10 ** 6
        result = self.create("--timeout", "20s")
        self.failed(result, 5, f"node '{NODE}' stopped with status 255")
        self.assertLess(result.seconds, 10)

    def test_node_dies_while_the_node_is_awaited(self):
        self.node_dies_at("/api/v1/nodes")

    def test_node_dies_while_deployments_are_awaited(self):
        self.behaviour.never_available.add("kube-system/coredns")

        def die(_node, request):
            if request.path == "/apis/apps/v1/deployments":
                self.engine.kill(NODE)
        self.behaviour.on_request = die
        result = self.create("--timeout", "20s")
        self.failed(result, 5, f"node '{NODE}' stopped with status 255")
        self.assertLess(result.seconds, 10)

    def test_node_dies_while_the_gateway_is_awaited(self):
        self.behaviour.gateway_refuses = 10 ** 6
        running = self.start_create("--timeout", "20s")
        for _ in range(200):
            time.sleep(0.05)
            if self.engine.nodes and self.engine.nodes[0].gateway.refused > 2:
                break
        self.engine.kill(NODE)
        result = self.sane(running.wait(25))
        self.failed(result, 5, f"node '{NODE}' stopped with status 255")
        self.assertLess(result.seconds, 12)

    def failing_unit(self):
        self.behaviour.exec["systemctl list-units"] = (
            0, "etcd.service loaded activating auto-restart etcd\n")
        self.behaviour.exec["--unit etcd.service"] = (0, "".join(
            f"line {i}\n" for i in range(18)) + "panic: mvcc database corrupted\nexit 2\n")

    def test_unit_fails(self):
        self.failing_unit()
        self.behaviour.ready_after = 10 ** 6
        self.failed(self.create("--timeout", "2s"), 6,
                    f"^unit etcd.service on {NODE}, last 20 lines:$", "^line 0$", "^exit 2$",
                    "^cause: panic: mvcc database corrupted$")
        commands = [r.json()["Cmd"] for r in self.engine.requests if r.path.endswith("/exec")]
        self.assertEqual([c[0] for c in commands], ["systemctl", "journalctl"])

    def test_unit_fails_and_an_object_is_refused(self):
        self.failing_unit()
        self.behaviour.refuse["/api/v1/namespaces/openfaas"] = (500, "etcdserver: no leader")
        self.failed(self.create(), 5, "^cause: panic: mvcc", "etcdserver: no leader$",
                    "^mkcluster: Applying manifests: ")

    def test_quiet_says_one_line(self):
        self.failing_unit()
        self.behaviour.refuse["/api/v1/namespaces/openfaas"] = (500, "no\nleader")
        result = self.failed(self.create("-q"), 5)
        self.assertEqual(len(result.err.splitlines()), 1, str(result))

    def test_api_never_ready(self):
        self.behaviour.ready_after = 10 ** 6
        result = self.failed(self.create("--timeout", "2s"), 6,
                             "^mkcluster: Waiting for the API server: .*/readyz: 500")
        self.assertLess(result.seconds, 8)

    def test_api_never_answers(self):
        self.behaviour.api_faults.append(wire.Fault("hang", "/readyz", times=None))
        result = self.failed(self.create("--timeout", "2s"), 6)
        self.assertLess(result.seconds, 12)

    def test_object_refused(self):
        self.behaviour.refuse["/apis/apps/v1/namespaces/openfaas/deployments/nats"] = (
            422, 'Deployment.apps "nats" is invalid: spec.template: Required value')
        self.failed(self.create(), 5, '^mkcluster: Applying manifests: .*deployments/nats'
                    '.*422.*"nats" is invalid')

    def test_addon_refused(self):
        self.behaviour.refuse["/apis/storage.k8s.io/v1/storageclasses/standard"] = (
            403, "storageclasses is forbidden")
        self.failed(self.create(), 5, "^mkcluster: Starting addons: .*storageclasses/standard"
                    ".*403.*forbidden")

    def test_addons_are_not_waited_for(self):
        self.behaviour.never_available.update(
            ("kube-system/metrics-server", "local-path-storage/local-path-provisioner"))
        self.assert_code(self.create("--timeout", "10s"), 0)

    def test_node_never_ready(self):
        self.behaviour.node_after = 10 ** 6
        self.failed(self.create("--timeout", "2s"), 6,
                    f"^mkcluster: Waiting for the nodes: not Ready: {NODE}")

    def waiting_pod(self):
        self.behaviour.pods = [
            {"metadata": {"namespace": "kube-system", "name": "coredns-1"},
             "spec": {"containers": [{"name": "coredns"}]},
             "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}},
            {"metadata": {"namespace": "openfaas", "name": "prometheus-1"},
             "spec": {"containers": [{"name": "prometheus"}]},
             "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}],
                        "containerStatuses": [{"ready": False, "state": {"waiting": {
                            "reason": "CrashLoopBackOff", "message": "back-off 10s"}}}]}}]
        self.behaviour.pod_logs["openfaas/prometheus-1"] = "starting\nerror: no config\nbye\n"

    def test_deployment_never_available(self):
        self.behaviour.never_available.add("openfaas/prometheus")
        self.waiting_pod()
        result = self.failed(
            self.create("--timeout", "3s"), 6,
            "^mkcluster: Waiting for OpenFaaS: not available: openfaas/prometheus: ",
            "^pod openfaas/prometheus-1: CrashLoopBackOff back-off 10s$",
            "^cause: error: no config$")
        self.assertNotIn("coredns-1", result.err)

    def test_dns_never_available(self):
        self.behaviour.never_available.add("kube-system/coredns")
        self.failed(self.create("--timeout", "2s"), 6, "Waiting for DNS: not available: "
                    "kube-system/coredns")

    def test_gateway_never_answers(self):
        self.behaviour.gateway_refuses = 10 ** 6
        result = self.failed(self.create("--timeout", "2s"), 6,
                             "^mkcluster: Waiting for OpenFaaS: ")
        self.assertLess(result.seconds, 8)

    def test_gateway_hangs(self):
        self.behaviour.gateway_faults.append(wire.Fault("hang", times=None))
        result = self.failed(self.create("--timeout", "2s"), 6)
        self.assertLess(result.seconds, 12)

    def test_gateway_fails_for_a_while(self):
        self.behaviour.gateway_faults.append(wire.Fault("status", times=5, status=503))
        self.assert_code(self.create(), 0)

    def watch_always(self, kind, **options):
        self.behaviour.api_faults.append(wire.Fault(kind, "watch=1", times=None, **options))
        return self.create("--timeout", "2s")

    def test_watch_hangs(self):
        """--timeout holds for a server that takes the request and says nothing."""
        result = self.failed(self.watch_always("hang"), 6)
        self.assertLess(result.seconds, 8)

    def test_watch_is_forbidden(self):
        result = self.watch_always("status", status=403, message="nodes is forbidden")
        self.failed(result, 6 if result.code == 6 else 5, "403")

    def test_watch_talks_nonsense(self):
        self.failed(self.watch_always("bad_json"), 6, "Waiting for the node")

    def test_retain(self):
        self.behaviour.refuse["/api/v1/namespaces/openfaas"] = (422, "no")
        result = self.create("--retain")
        self.assert_code(result, 5)
        self.assert_said(result, f"kept for you to look at: `docker exec -it {NODE} bash`",
                         f"mkcluster delete --name {NAME}")
        self.assertEqual(len(self.engine.labelled(NAME)), 2)
        self.assertEqual(self.engine.find(NODE).state, "running")
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.assertEqual(self.engine.labelled(), [])

    def test_other_clusters_are_left_alone(self):
        self.engine.add_cluster("other")
        self.engine.add_cluster("t1x")  # begins as ours does
        before = self.engine.labelled()
        self.behaviour.refuse["/api/v1/namespaces/openfaas"] = (422, "no")
        self.failed(self.create(), 5)
        self.assertEqual(self.engine.labelled(), before)

    def test_kubeconfig_is_as_before_also_without_one(self):
        self.kubeconfig.unlink()
        self.behaviour.refuse["/api/v1/namespaces/openfaas"] = (422, "no")
        result = self.create()
        self.assert_code(result, 5)
        self.assertEqual(list(self.kubeconfig.parent.iterdir()), [])


class CleanUp(CliTest):
    """What is made is removed, or the user is told how."""

    def setUp(self):
        super().setUp()
        self.behaviour.refuse["/api/v1/namespaces/openfaas"] = (422, "the first reason")

    def told(self, result):
        self.assert_code(result, 5)
        self.assert_said(result, "the first reason; and cleaning up failed: ",
                         f"^  `mkcluster delete --name {NAME}` removes the rest$")
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.assertEqual(self.engine.labelled(), [])

    def test_container_cannot_be_removed(self):
        self.engine.fault("status", "DELETE .*/containers/", times=2,
                          message="driver failed to remove root filesystem: device busy")
        self.told(self.create())

    def test_network_cannot_be_removed(self):
        self.engine.fault("status", "DELETE .*/networks/", status=403,
                          message="has active endpoints")
        self.told(self.create())

    def test_engine_is_gone(self):
        self.engine.fault("hangup", "io.mkcluster.run=", times=2)
        self.told(self.create())

    def test_after_an_interrupt(self):
        fault = self.engine.fault("hang", "POST .*/start")
        self.engine.fault("status", "DELETE .*/networks/", times=None, message="busy")
        result = self.interrupt(self.start_create(), fault)
        self.assert_code(result, 130)
        self.assert_said(result, "interrupted.*cleaning up failed: ",
                         f"^  `mkcluster delete --name {NAME}` removes the rest$")
        self.assertNotIn("is removed", result.err)
        self.assertEqual(self.engine.labelled(), [NETWORK])

    def test_removal_in_progress(self):
        """409 from the engine: somebody removes it already."""
        self.engine.fault("status", "DELETE .*/containers/", times=4, status=409,
                          message="removal of container x is already in progress")
        result = self.create()
        self.assert_failed(result, 5)
        self.assertNotIn("cleaning up failed", result.err)

    def each_request(self, kind):
        for nth in range(5):
            with self.subTest(nth=nth):
                # The first two looks at the networks are of the choice of a subnet.
                self.engine.faults = [wire.Fault(
                    kind, "(DELETE|GET .*(io.mkcluster.run=|/networks))", nth=nth + 2, times=2)]
                result = self.create()
                self.assert_code(result, 5)
                self.engine.faults = []
                # 200 for a DELETE that did nothing: that is a lie, not a fault.
                if self.engine.labelled() and kind != "bad_json":
                    self.assert_said(result, "cleaning up failed")
                if self.engine.labelled():
                    self.assert_code(self.run_cli("delete", "--name", NAME), 0)
                self.assertEqual(self.engine.labelled(), [])

    def diagnose(self, kind, match):
        self.engine.fault(kind, match, times=None)
        result = self.create(timeout=35)
        self.assert_failed(result, 5)
        self.assert_said(result, "the first reason")
        return result

    def test_diagnosis_is_refused(self):
        self.diagnose("status", "/exec")

    def test_diagnosis_talks_nonsense(self):
        self.diagnose("garbage", "/exec")
        self.diagnose("bad_json", "/exec")

    def test_diagnosis_hangs_at_start(self):
        self.assertLess(self.diagnose("hang", "/exec/.*/start").seconds, 15)

    def test_diagnosis_hangs_at_create(self):
        self.assertLess(self.diagnose("hang", "/containers/.*/exec").seconds, 15)

    def test_diagnosis_hangs_at_logs(self):
        self.engine.fault("status", "/exec", times=None)
        self.assertLess(self.diagnose("hang", "/logs").seconds, 15)

    def test_diagnosis_is_endless(self):
        result = self.diagnose("endless", "/exec/.*/start")
        self.assertLess(result.seconds, 15)

    def test_logs_are_endless(self):
        self.engine.fault("status", "/exec", times=None)
        self.assertLess(self.diagnose("endless", "/logs").seconds, 15)


def add_clean_ups():
    for kind in ("status", "hangup", "garbage", "bad_json", "lost", "cut"):
        def test(self, kind=kind):
            self.each_request(kind)
        setattr(CleanUp, f"test_each_request_of_it_{kind}", test)


add_clean_ups()


class Endless(CliTest):
    """10 GB, if one let it: refused, quickly, in bounded memory."""

    def refused(self, result, *faults):
        self.assertNotEqual(result.code, 0, str(result))
        self.assertLess(result.seconds, 10)
        sent = sum(f.sent for f in faults)
        self.assertGreater(sent, 0)
        self.assertLess(sent, 200e6)
        if not is_sanitized():
            self.assertLess(result.max_rss_kb, 200_000)

    def engine_says(self, match, kind="endless", argv=None):
        fault = self.engine.fault(kind, match, times=None)
        result = self.run_cli(*argv) if argv else self.create()
        self.refused(result, fault)
        self.assert_nothing_left()
        return result

    def test_ping(self):
        self.assert_code(self.engine_says("_ping"), 3)

    def test_headers(self):
        self.assert_code(self.engine_says("_ping", kind="headers"), 3)

    def test_info(self):
        self.assert_said(self.engine_says("/info"), "larger than")

    def test_image(self):
        self.engine_says("/images/")

    def test_container_create(self):
        self.engine_says("/containers/create")

    def test_headers_of_container_create(self):
        self.engine_says("/containers/create", kind="headers")

    def api_says(self, match, kind="endless", *argv):
        fault = wire.Fault(kind, match, times=None)
        self.behaviour.api_faults.append(fault)
        result = self.create(*argv)
        self.refused(result, fault)
        self.assert_nothing_left()

    def test_apply(self):
        self.api_says("PATCH")

    def test_readyz(self):
        self.behaviour.ready_after = 0
        fault = wire.Fault("endless", "/readyz", times=2)
        self.behaviour.api_faults.append(fault)
        self.assert_code(self.create(), 0)
        self.assertLess(fault.sent, 100e6)

    def test_watch(self):
        self.api_says("watch=1")

    def test_file_of_a_node(self):
        self.engine.add_cluster(NAME, **{"io.mkcluster.api": "127.0.0.1:1"})
        fault = self.engine.fault("endless", "/archive", times=None)
        self.refused(self.run_cli("get", "kubeconfig", "--name", NAME), fault)

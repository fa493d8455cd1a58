# SPDX-License-Identifier: Apache-2.0
"""`get` and `delete`."""

import base64
import json
import re
import signal

from cli.harness import CONTEXT, NAME, NODE, CliTest, Running, binary


class Get(CliTest):
    def json(self, *argv):
        result = self.run_cli("get", *argv, "--output", "json")
        self.assert_code(result, 0)
        return json.loads(result.out)

    def test_of_a_cluster(self):
        """One create for all of it."""
        self.assert_code(self.create(), 0)
        container = self.engine.find(NODE)
        addresses = {"api": f"127.0.0.1:{self.api_port}",
                     "gateway": f"127.0.0.1:{self.gateway_port}",
                     "registry": f"127.0.0.1:{self.registry_port}"}
        self.assertEqual(self.json("clusters"),
                         [{"name": NAME, "nodes": 1, "running": 1, **addresses}])
        nodes = [{"cluster": NAME, "name": NODE, "role": "control-plane", "state": "running",
                  "ip": container.labels["io.mkcluster.ip"],
                  "pods": container.labels["io.mkcluster.pods"], "id": container.id,
                  "image": "mkcluster/node:v1.36.3", "ports": [], **addresses}]
        self.assertEqual(self.json("nodes"), nodes)
        self.assertEqual(self.json("nodes", "--name", NAME), nodes)
        self.assertEqual(self.run_cli("get", "clusters").out, f"{NAME}\n")
        self.assertRegex(self.run_cli("get", "nodes").out, r"^NAME +CLUSTER +ROLE +STATE +IP\n"
                         rf"{NODE} +{NAME} +control-plane +running +10\.")
        self.passwords()
        self.kubeconfigs()
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)

    def passwords(self):
        secret = self.engine.nodes[0].api.objects["/api/v1/namespaces/openfaas/secrets/basic-auth"]
        password = base64.b64decode(secret["data"]["basic-auth-password"]).decode()
        self.assertEqual(self.run_cli("get", "password", "-n", NAME).out, password + "\n")
        self.assertEqual(self.json("password", "-n", NAME), {"user": "admin", "password": password})
        verbose = self.run_cli("-v", "get", "password", "-n", NAME)
        self.assertNotIn(password, verbose.err)

    def kubeconfigs(self):
        value = self.json("kubeconfig", "-n", NAME)
        self.assertEqual(value["current-context"], CONTEXT)
        self.assertEqual(value["clusters"][0]["cluster"]["server"],
                         f"https://127.0.0.1:{self.api_port}")
        for key in ("client-certificate-data", "client-key-data"):
            self.assertIn(b"-----BEGIN", base64.b64decode(value["users"][0]["user"][key]))
        text = self.run_cli("get", "kubeconfig", "-n", NAME).out
        self.assertIn(f"current-context: {CONTEXT}\n", text)
        inside = self.run_cli("get", "kubeconfig", "-n", NAME, "--internal").out
        self.assertIn(f"server: https://{NODE}:6443\n", inside)

    def test_nothing(self):
        self.assertEqual(self.json("clusters"), [])
        self.assertEqual(self.json("nodes"), [])
        result = self.run_cli("get", "clusters")
        self.assertEqual((result.code, result.out), (0, ""))
        self.assert_said(result, "no clusters; `mkcluster create` makes one")
        self.assertEqual(self.run_cli("get", "clusters", "-q").err, "")

    def test_absent(self):
        self.engine.add_cluster("other")
        for what in ("nodes", "kubeconfig", "password"):
            for form in ("text", "json"):
                result = self.run_cli("get", what, "--name", "none", "--output", form)
                self.assert_code(result, 4)
                self.assertEqual(result.out, "")
                self.assert_said(result, "no cluster 'none'", "there are: other")

    def test_absent_and_default(self):
        result = self.run_cli("get", "password")
        self.assert_code(result, 4)
        self.assert_said(result, "no cluster 'mkcluster'", "there are none; `mkcluster create`")

    def test_stopped_cluster(self):
        self.assert_code(self.create(), 0)
        self.engine.kill(NODE)
        self.assertEqual(self.json("clusters")[0]["running"], 0)
        self.assertEqual(self.json("nodes")[0]["state"], "exited")
        self.assert_code(self.run_cli("get", "kubeconfig", "-n", NAME), 0)
        self.engine.nodes[0].stop()
        result = self.run_cli("get", "password", "-n", NAME)
        self.assert_code(result, 1)
        self.assert_said(result, "is the cluster running")

    def test_faults(self):
        """Each request of each command, spoiled in each way: never a crash, a code."""
        self.assert_code(self.create(), 0)
        for what in ("clusters", "nodes", "kubeconfig", "password"):
            self.engine.faults = []
            argv = ("get", what) + (() if what == "clusters" else ("--name", NAME))
            before = len(self.engine.requests)
            self.assert_code(self.run_cli(*argv), 0)
            count = len(self.engine.requests) - before
            for kind in ("status", "hangup", "garbage", "bad_json", "cut"):
                for nth in range(count):
                    with self.subTest(what=what, kind=kind, nth=nth):
                        self.engine.faults = []
                        # Twice: libcurl sends again what a kept connection dropped.
                        self.engine.fault(kind, nth=nth, times=2)
                        result = self.run_cli(*argv)
                        if nth > 0 or kind not in ("bad_json", "cut"):
                            self.assertIn(result.code, (1, 3), str(result))
                            self.assertEqual(result.out, "")

    def test_interrupt(self):
        self.engine.add_cluster(NAME)
        for what in ("clusters", "nodes", "kubeconfig", "password"):
            for match in ("_ping", "/containers/json", "/archive"):
                self.engine.faults = []
                fault = self.engine.fault("hang", match)
                running = self.start("get", what, *(() if what == "clusters" else ("--name", NAME)))
                if not fault.reached.wait(0.5):
                    continue
                with self.subTest(what=what, match=match):
                    result = self.interrupt(running, fault, within=2)
                    self.assert_code(result, 130)
                    self.assertEqual(result.out, "")

    def test_full_disk(self):
        self.engine.add_cluster("some")
        argv = ["sh", "-c", '"$0" "$@" >/dev/full']
        running = Running([*argv, binary(), "get", "clusters"], self.env, str(self.folder))
        self.addCleanup(running.close)
        result = self.sane(running.wait(10))
        self.assert_code(result, 1)
        self.assert_said(result, "No space left")


class Delete(CliTest):
    def names(self):
        return sorted(set(re.findall(r"\bname: ([\w-]+)", self.kubeconfig.read_text())))

    def test_absent(self):
        result = self.run_cli("delete", "--name", "none")
        self.assert_code(result, 0)
        self.assertEqual(result.out + result.err, "")
        self.assert_untouched_kubeconfig()
        self.assertEqual([r for r in self.engine.requests if r.method != "GET"], [])

    def test_only_this_cluster(self):
        self.assert_code(self.create(), 0)
        self.assert_code(self.run_cli("create", "--config", self.config(
            name="t2", apiServerPort=0)), 0)
        self.engine.add_cluster("t1-b")
        stranger = self.engine.add_container("postgres", {})
        kept = set(self.engine.labelled()) - set(self.engine.labelled(NAME))
        result = self.run_cli("delete", "--name", NAME)
        self.assert_code(result, 0)
        self.assert_said(result, f"Deleting cluster '{NAME}'")
        self.assertEqual(set(self.engine.labelled()), kept)
        self.assertTrue(self.engine.find(stranger.id))
        self.assertEqual(self.names(), ["mkcluster-t2", "other"])
        self.assertIn("token: kept", self.kubeconfig.read_text())
        self.assertEqual(self.kubeconfig.stat().st_mode & 0o777, 0o600)
        self.assertRegex(self.kubeconfig.read_text(), "(?m)^current-context: mkcluster-t2$")
        removals = [r for r in self.engine.requests if r.method == "DELETE"
                    and "/containers/" in r.path]
        for request in removals:
            self.assertEqual(request.query, {"force": "1", "v": "1"})

    def test_alias_and_quiet(self):
        self.engine.add_cluster(NAME)
        result = self.run_cli("delete", "cluster", "-n", NAME, "-q")
        self.assert_code(result, 0)
        self.assertEqual(result.out + result.err, "")
        self.assertEqual(self.engine.labelled(), [])

    def test_all(self):
        for name in ("a", "b", "c"):
            self.engine.add_cluster(name)
        stranger = self.engine.add_container("postgres", {})
        self.assert_code(self.run_cli("delete", "--all"), 0)
        self.assertEqual(self.engine.labelled(), [])
        self.assertTrue(self.engine.find(stranger.id))
        self.assert_untouched_kubeconfig()

    def test_all_of_none(self):
        self.assert_code(self.run_cli("delete", "--all"), 0)

    def test_all_with_a_network_whose_container_is_gone(self):
        """A run that was killed early leaves a network alone."""
        self.engine.add_network("mkcluster-a", [{"Subnet": "10.213.9.0/24"}],
                                {"io.mkcluster.cluster": "a", "io.mkcluster.run": "x"})
        self.assert_code(self.run_cli("delete", "--all"), 0)
        self.assertEqual(self.engine.labelled(), [])

    def test_one_of_all_fails(self):
        for name in ("a", "b", "c"):
            self.engine.add_cluster(name)
        container = self.engine.find("b-control-plane")
        self.engine.fault("status", f"DELETE .*{container.id}", times=None, message="device busy")
        result = self.run_cli("delete", "--all")
        self.assert_code(result, 1)
        self.assert_said(result, "^mkcluster: delete cluster 'b': .*device busy")
        self.assertEqual(set(self.engine.labelled()), {"b-control-plane", "mkcluster-b"})

    def test_fails(self):
        self.engine.add_cluster(NAME)
        self.engine.fault("status", "DELETE .*/networks/", message="device busy")
        result = self.run_cli("delete", "--name", NAME)
        self.assert_code(result, 1)
        self.assert_said(result, f"^mkcluster: delete cluster '{NAME}': .*device busy")
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.assertEqual(self.engine.labelled(), [])

    def test_faults(self):
        for kind in ("status", "hangup", "garbage", "bad_json", "cut", "truncated", "lost"):
            for nth in range(6):
                with self.subTest(kind=kind, nth=nth):
                    self.engine.faults = []
                    self.engine.add_cluster(NAME)
                    self.engine.fault(kind, nth=nth, times=2)
                    result = self.run_cli("delete", "--name", NAME)
                    self.assertIn(result.code, (0, 1, 3), str(result))
                    # 200 for a DELETE that did nothing: that is a lie, not a fault.
                    if self.engine.labelled() and kind != "bad_json":
                        self.assertNotEqual(result.code, 0, str(result))
                    self.engine.faults = []
                    self.assert_code(self.run_cli("delete", "--name", NAME), 0)
                    self.assertEqual(self.engine.labelled(), [])

    def test_interrupted_once_it_goes_on(self):
        """Half a removal helps nobody."""
        self.engine.add_cluster(NAME)
        fault = self.engine.fault("hang", "DELETE .*/containers/")
        running = self.start("delete", "--name", NAME)
        self.assertTrue(fault.reached.wait(10))
        running.signal(signal.SIGINT)
        with self.assertRaises(AssertionError):
            self.assertIsNotNone(running.poll())
        fault.release.set()
        result = self.sane(running.wait(10))
        self.assertIn(result.code, (0, 130))
        self.assertEqual(self.engine.labelled(), [])

    def test_interrupted_twice_it_leaves(self):
        self.engine.add_cluster(NAME)
        fault = self.engine.fault("hang", "DELETE .*/containers/")
        running = self.start("delete", "--name", NAME)
        self.assertTrue(fault.reached.wait(10))
        running.signal(signal.SIGINT)
        running.signal(signal.SIGTERM)
        result = running.wait(3)
        self.assert_code(result, 130)
        self.assert_said(result, "interrupted again")

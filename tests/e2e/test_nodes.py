# SPDX-License-Identifier: Apache-2.0
"""Clusters of several nodes: their network, stop and start, the loss of a control plane."""
import json
import random
import threading
import time
import unittest
import urllib.request
import ssl

import cluster
from cluster import Place, docker, engine_state, run, wait_for

PROBE = f"example.local/probe:{cluster.SUFFIX}"
ECHO = f"example.local/echo:{cluster.SUFFIX}"
ETCDCTL = ("etcdctl", "--endpoints=https://127.0.0.1:2379",
           "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
           "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt",
           "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key")


def ready_nodes(place):
    items = json.loads(place.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    return sorted(n["metadata"]["name"] for n in items
                  for c in n["status"]["conditions"]
                  if c["type"] == "Ready" and c["status"] == "True")


def containers(place):
    label = f"label=io.mkcluster.cluster={place.name}"
    return docker("ps", "-a", "--filter", label, "--format", "{{.Names}}").split()


def longest_gap(address, seconds, during):
    """The longest time without an answer of /readyz while `during` happens."""
    context = ssl._create_unverified_context()
    worker = threading.Thread(target=during)
    last, worst = time.monotonic(), 0.0
    end = last + seconds
    worker.start()
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"https://{address}/readyz", context=context, timeout=1):
                pass
            now = time.monotonic()
            worst, last = max(worst, now - last), now
        except OSError:
            pass
        time.sleep(0.02)
    worker.join()
    return max(worst, time.monotonic() - last)


class Workers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cluster.host_tools()
        cls.before = engine_state()
        cls.place = Place("workers")
        cls.addClassCleanup(cls.place.close)
        cls.place.create("--workers", "2")
        cluster.build_probe(PROBE)
        cls.addClassCleanup(run, "docker", "rmi", PROBE, check=False)
        cls.place.mkcluster("load", "image", PROBE, "--name", cls.place.name)
        cls.place.load_function(ECHO)
        cls.addClassCleanup(run, "docker", "rmi", ECHO, check=False)

    def pod(self, name, node, *command):
        override = json.dumps({"spec": {"nodeName": f"{self.place.name}-{node}"}})
        self.place.kubectl("run", name, "--image", PROBE, "--restart=Never",
                           f"--overrides={override}", "--", *command)
        self.place.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        return self.place.kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}").stdout

    def test_01_every_node_is_ready(self):
        names = [f"{self.place.name}-{n}" for n in ("control-plane", "worker", "worker-2")]
        self.assertEqual(ready_nodes(self.place), sorted(names))
        taints = self.place.kubectl("get", "node", names[0], "-o",
                                    "jsonpath={.spec.taints[*].key}").stdout
        self.assertEqual(taints, "node-role.kubernetes.io/control-plane")

    def test_02_pods_reach_pods_on_other_nodes_as_themselves(self):
        one = self.pod("one", "worker", "serve")
        two = self.pod("two", "worker-2", "serve")
        self.assertNotEqual(one.rsplit(".", 1)[0], two.rsplit(".", 1)[0])
        answer = self.place.kubectl("exec", "one", "--", "/probe", "get",
                                    f"http://{two}:8080/").stdout
        self.assertTrue(answer.startswith(f"from {one}:"), answer)
        answer = self.place.kubectl("exec", "two", "--", "/probe", "resolve",
                                    "kubernetes.default.svc.cluster.local").stdout
        self.assertIn("10.96.0.1", answer)

    def test_03_a_function_runs_on_a_worker(self):
        self.place.faas("login", "--password-stdin", stdin=self.place.password())
        self.place.faas("deploy", "--image", ECHO, "--name", "echo")
        wait_for("the function answers", lambda: self.place.faas(
            "invoke", "echo", stdin="hi", check=False).stdout == "hi")

    def test_10_stop_and_start(self):
        self.place.mkcluster("stop", "--name", self.place.name)
        self.assertEqual(self.place.cluster()["running"], 0)
        self.place.mkcluster("start", "--name", self.place.name)
        self.assertEqual(len(ready_nodes(self.place)), 3)
        wait_for("the function answers", lambda: self.place.faas(
            "invoke", "echo", stdin="again", check=False).stdout == "again", seconds=90)

    def test_11_pause_and_resume(self):
        self.place.mkcluster("pause", "--name", self.place.name)
        states = {n["state"] for n in json.loads(self.place.mkcluster(
            "get", "nodes", "--name", self.place.name, "--output", "json").stdout)}
        self.assertEqual(states, {"paused"})
        self.place.mkcluster("resume", "--name", self.place.name)
        self.assertEqual(len(ready_nodes(self.place)), 3)

    def test_12_restarts_in_any_order(self):
        names = containers(self.place)
        for _ in range(2):
            random.shuffle(names)
            for name in names:
                docker("restart", "-t", "2", name)
            self.place.mkcluster("start", "--name", self.place.name)
            self.assertEqual(len(ready_nodes(self.place)), 3)
        wait_for("the function answers", lambda: self.place.faas(
            "invoke", "echo", stdin="still", check=False).stdout == "still", seconds=90)

    def test_90_delete_leaves_nothing(self):
        self.place.mkcluster("delete", "--name", self.place.name)
        after = engine_state()
        self.assertEqual(after, self.before)


class ControlPlanes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cluster.host_tools()
        cls.place = Place("ha")
        cls.addClassCleanup(cls.place.close)
        cls.place.create("--control-planes", "3", "--workers", "1")

    def members(self):
        listed = docker("exec", self.place.node(), *ETCDCTL, "member", "list", "-w", "json")
        return len([m for m in json.loads(listed)["members"] if m.get("name")])

    def healthy(self):
        checked = run("docker", "exec", self.place.node(), *ETCDCTL, "endpoint", "health",
                      "--cluster", "-w", "json", check=False).stdout
        return len([e for e in json.loads(checked) if e["health"]])

    def test_01_one_etcd_of_three(self):
        self.assertEqual(self.members(), 3)
        self.assertEqual(self.healthy(), 3)
        self.assertEqual(len(ready_nodes(self.place)), 4)

    def test_02_any_control_plane_may_die(self):
        api = self.place.cluster()["api"]
        for suffix in ("", "-2", "-3"):
            name = f"{self.place.name}-control-plane{suffix}"
            gap = longest_gap(api, 8, lambda: docker("kill", name))
            print(f"killed {name}: longest time without the API {gap:.2f} s")
            self.assertLess(gap, 5)
            wait_for("the API serves", lambda: self.place.kubectl("get", "nodes"), seconds=10)
            docker("start", name)
            wait_for("etcd is whole again", lambda: run(
                "docker", "exec", name, *ETCDCTL, "endpoint", "health", "--cluster",
                check=False).returncode == 0, seconds=60)

    def test_03_restart_of_everything(self):
        names = containers(self.place)
        random.shuffle(names)
        docker("restart", "-t", "2", *names)
        self.place.mkcluster("start", "--name", self.place.name)
        self.assertEqual(len(ready_nodes(self.place)), 4)
        self.assertEqual(self.healthy(), 3)

    def test_04_an_even_number_is_refused(self):
        refused = self.place.mkcluster("create", "--name", "even", "--control-planes", "2",
                                       check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("odd", refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)

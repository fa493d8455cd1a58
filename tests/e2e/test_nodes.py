# SPDX-License-Identifier: Apache-2.0
"""Clusters of several nodes: their network, stop and start, the loss of a control plane."""
import json
import pathlib
import random
import sys
import threading
import time
import unittest
import urllib.request
import ssl

import cluster
from cluster import ETCDCTL, Place, docker, engine_state, run, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
from storm import Storm  # noqa: E402

PROBE = f"example.local/probe:{cluster.SUFFIX}"
ECHO = f"example.local/echo:{cluster.SUFFIX}"


# Printed by the storm's rounds; the bench blows the same storm with it.
SEED = random.SystemRandom().randrange(1 << 32)


def setUpModule():
    cluster.host_tools()
    cluster.build_probe(PROBE)
    unittest.addModuleCleanup(run, "docker", "rmi", PROBE, ECHO, check=False)


def load(place):
    """What the tests run: the probe, and a function `echo` that is deployed."""
    place.mkcluster("load", "image", PROBE, "--name", place.name)
    place.load_function(ECHO)
    place.faas("login", "--password-stdin", stdin=place.password())
    place.faas("deploy", "--image", ECHO, "--name", "echo")


def storm(place):
    """Three rounds: nodes, the function, etcd and a pod's data come back each time."""
    print(f"storm with seed {SEED}")
    blown = Storm(place, SEED, probe=PROBE)
    blown.prepare()
    blown.run(3)


def ready_nodes(place):
    items = json.loads(place.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    return sorted(n["metadata"]["name"] for n in items
                  for c in n["status"]["conditions"]
                  if c["type"] == "Ready" and c["status"] == "True")


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
        cls.before = engine_state()
        cls.place = Place("workers")
        cls.addClassCleanup(cls.place.close)
        cls.place.create("--workers", "2")
        load(cls.place)

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
        storm(self.place)

    def test_90_delete_leaves_nothing(self):
        self.place.mkcluster("delete", "--name", self.place.name)
        after = engine_state()
        self.assertEqual(after, self.before)


# What nothing in Kubernetes itself minds, and tokens alone cannot be.
ED25519 = """
apiVersion: mkcluster.dev/v1
kind: Cluster
controlPlanes: 3
workers: 1
certificates: {algorithm: Ed25519}
"""


def files_of_the_table(folder):
    """What the table gives a node: {path: mode}, by write-bundle's control plane or worker."""
    return {"/" + str(path.relative_to(folder)): f"{path.stat().st_mode & 0o7777:o}"
            for path in pathlib.Path(folder).rglob("*") if path.is_file()}


class ControlPlanes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Place("ha")
        cls.addClassCleanup(cls.place.close)
        config = cls.place.folder / "config.yaml"
        config.write_text(ED25519)
        cls.place.create("--config", config)
        load(cls.place)

    def test_01_one_etcd_of_three(self):
        blown = Storm(self.place, SEED)
        self.assertEqual(len(blown.planes), 3)
        blown.check_etcd()
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

    def test_03_restarts_in_any_order(self):
        storm(self.place)

    def test_04_an_even_number_is_refused(self):
        refused = self.place.mkcluster("create", "--name", "even", "--control-planes", "2",
                                       check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("odd", refused.stderr)

    def files(self, node):
        """{path: (mode, owner)} of the node's keys, certificates and kubeconfigs."""
        found = {}
        for line in docker("exec", node, "find", "/etc/kubernetes", "-type", "f", "-printf",
                           "%p %m %u:%g\\n").splitlines():
            path, mode, owner = line.split()
            if "/pki/" in path or path.endswith((".conf", "/encryption-config.yaml")):
                found[path] = (mode, owner)
        return found

    def test_05_files_are_those_of_the_table(self):
        bundle = self.place.folder / "bundle"
        run(cluster.BUILD / "tests/pki/write-bundle", bundle, "Ed25519", 1, 1)
        tables = {"control-plane": files_of_the_table(bundle / "dev-control-plane"),
                  "worker": files_of_the_table(bundle / "dev-worker")}
        for suffix in ("control-plane", "control-plane-2", "control-plane-3", "worker"):
            node = f"{self.place.name}-{suffix}"
            table = tables["worker" if suffix == "worker" else "control-plane"]
            self.assertEqual(self.files(node),
                             {path: (mode, "root:root") for path, mode in table.items()})
            loose = docker("exec", node, "find", "/etc/kubernetes", "-perm", "/022", "-o",
                           "-not", "-user", "root")
            self.assertEqual(loose, "")
        keys = {path for path in self.files(f"{self.place.name}-worker") if ".key" in path}
        self.assertEqual(keys, {"/etc/kubernetes/pki/kubelet-server.key"})

    def test_06_nodes_are_who_their_certificates_say(self):
        """Ed25519 throughout, by the node's own name and address; tokens are ECDSA's."""
        for suffix in ("control-plane", "control-plane-2", "control-plane-3", "worker"):
            node, pki = f"{self.place.name}-{suffix}", self.place.folder / suffix
            docker("cp", f"{node}:/etc/kubernetes/pki", pki)
            address = json.loads(docker("inspect", node))[0]["NetworkSettings"]["Networks"][
                f"mkcluster-{self.place.name}"]["IPAddress"]
            servers = {"kubelet-server": "ca"}
            if suffix != "worker":
                servers |= {"apiserver": "ca", "etcd/server": "etcd/ca", "etcd/peer": "etcd/ca"}
            for server, ca in servers.items():
                run("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile",
                    pki / f"{ca}.crt", "-verify_hostname", node, "-verify_ip", address,
                    pki / f"{server}.crt")
                self.assertIn("Public Key Algorithm: ED25519", run(
                    "openssl", "x509", "-in", pki / f"{server}.crt", "-noout", "-text").stdout)
        self.assertIn("P-256", run("openssl", "pkey", "-pubin", "-in",
                                   self.place.folder / "control-plane/sa.pub", "-noout",
                                   "-text").stdout)

    def test_07_all_that_a_cluster_must_do(self):
        self.place.mkcluster("verify", "--name", self.place.name)


if __name__ == "__main__":
    unittest.main(verbosity=2)

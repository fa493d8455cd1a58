# SPDX-License-Identifier: Apache-2.0
"""Nodes that come to a running cluster and leave it again."""
import http.client
import json
import re
import signal
import subprocess
import threading
import time
import unittest

from cluster import MKCLUSTER, Place, docker, wait_for
from cluster import http as http_get

BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: all-stay }
spec:
  minAvailable: 2
  selector: { matchLabels: { app: web } }
"""

def etcd_members(node):
    out = docker("exec", node, "etcdctl", "--endpoints=https://127.0.0.1:2379",
                 "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
                 "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt",
                 "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key", "member", "list")
    return [line.split(", ") for line in out.splitlines()]


class Calls(threading.Thread):
    """Calls of the gateway at a published port, each on a connection of its own, and one
    connection that is kept: what of it fails until the end."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.url = f"http://{address}/healthz"
        self.kept = http.client.HTTPConnection(address, timeout=10)
        self.kept.auto_open = 0  # never another in its place
        self.kept.connect()
        self.ended = threading.Event()
        self.count = 0
        self.failures = []
        self.start()

    def call(self):
        self.kept.request("GET", "/healthz")
        answer = self.kept.getresponse()
        answer.read()
        statuses = answer.status, http_get(self.url)[0]
        if statuses != (200, 200):
            raise OSError(f"answered {statuses}")

    def run(self):
        while not self.ended.wait(0.02):
            self.count += 1
            try:
                self.call()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"call {self.count}: {error!r}")
                if len(self.failures) > 10:
                    return

    def end(self):
        self.ended.set()
        self.join(20)
        self.kept.close()
        return self.failures


class Membership(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Place("member")
        cls.addClassCleanup(cls.place.close)
        cls.place.create("--workers", "1")
        cls.place.load_function("example.local/echo:member")
        cls.place.faas("login", "--password-stdin", stdin=cls.place.password())
        cls.place.faas("deploy", "--image", "example.local/echo:member", "--name", "echo")
        wait_for("the function", lambda: cls.call() == b"hello", 60)

    @classmethod
    def call(cls):
        status, body = http_get(cls.place.gateway() + "/function/echo", data=b"hello")
        return body if status == 200 else status

    def node(self, *args, **options):
        return self.place.mkcluster("node", args[0], "--name", self.place.name, *args[1:],
                                    **options)

    def nodes(self):
        listed = json.loads(self.place.kubectl("get", "nodes", "-o", "json").stdout)
        return {n["metadata"]["name"]: any(c["type"] == "Ready" and c["status"] == "True"
                                           for c in n["status"]["conditions"])
                for n in listed["items"]}

    def routes(self):
        """What each node knows of the others' pods: its file, and the kernel's."""
        return {node: (docker("exec", node, "cat", "/etc/mkcluster/routes"),
                       docker("exec", node, "ip", "-4", "route", "show"))
                for node in self.nodes()}

    def leases(self):
        return self.place.kubectl("get", "leases", "-n", "kube-system", "-o", "name").stdout

    def pods_on(self, node, namespace="openfaas-fn"):
        out = self.place.kubectl("get", "pods", "-n", namespace, "-o", "name", "--field-selector",
                                 f"spec.nodeName={node}").stdout
        return out.split()

    def backends(self, published):
        """The nodes that a published port has in its file: each has been told."""
        name = f"{self.place.name}-port-{published.split(':')[1]}"
        text = docker("exec", name, "cat", "/etc/mkcluster/port.cfg")
        return re.findall(rf"server {self.place.name}-(\S+) ", text)

    def test_1_worker_comes_and_its_pods_move(self):
        name = self.place.name
        self.assertEqual(len(self.pods_on(f"{name}-worker")), 1)
        published = self.place.mkcluster("port", "add", "--name", name, "0:31112").stdout.strip()
        calls = Calls(published)
        start = time.monotonic()
        added = self.node("add").stdout.split()
        print(f"node add: {time.monotonic() - start:.1f} s, {calls.count} calls", flush=True)
        self.assertEqual(self.backends(published), ["control-plane", "worker", "worker-2"])
        time.sleep(1)  # what HAProxy gave up it gives up by now
        self.assertEqual(calls.end(), [])
        self.assertEqual(added, [f"{name}-worker-2"])
        self.assertEqual(self.nodes(), {f"{name}-control-plane": True, f"{name}-worker": True,
                                        f"{name}-worker-2": True})
        self.assertNotIn("mkcluster-nodes", self.leases(), "the lock was not given back")
        start = time.monotonic()
        self.node("remove", f"{name}-worker")
        print(f"node remove: {time.monotonic() - start:.1f} s", flush=True)
        self.assertEqual(set(self.nodes()), {f"{name}-control-plane", f"{name}-worker-2"})
        wait_for("the function elsewhere", lambda: self.call() == b"hello", 60)
        self.assertEqual(len(self.pods_on(f"{name}-worker-2")), 1)
        self.assertEqual(self.backends(published), ["control-plane", "worker-2"])
        wait_for("the gateway", lambda: http_get(f"http://{published}/healthz")[0] == 200, 60)
        self.assertNotIn(f"{name}-worker\n", docker("ps", "-a", "--format", "{{.Names}}"))

    def test_2_what_nobody_makes_again_is_not_lost(self):
        name = self.place.name
        node = f"{name}-worker-2"
        image = self.place.kubectl("get", "deployment", "-n", "openfaas", "alertmanager", "-o",
                                   "jsonpath={.spec.template.spec.containers[0].image}").stdout
        self.place.kubectl("run", "alone", "--image", image, "--restart", "Never",
                           "--overrides", json.dumps({"spec": {"nodeName": node}}))
        refused = self.node("remove", node, check=False)
        self.assertEqual(refused.returncode, 3, refused.stderr)
        self.assertIn("default/alone", refused.stderr)
        self.assertTrue(self.nodes()[node])
        self.assertEqual(self.unschedulable(), [])
        self.place.kubectl("delete", "pod", "alone", "--now")

    def unschedulable(self):
        listed = json.loads(self.place.kubectl("get", "nodes", "-o", "json").stdout)
        return [n["metadata"]["name"] for n in listed["items"]
                if n["spec"].get("unschedulable")]

    def test_3_a_budget_holds_the_node(self):
        name = self.place.name
        self.place.kubectl("create", "-f", "-", stdin=BUDGET)
        self.addCleanup(self.place.kubectl, "delete", "pdb", "all-stay")
        image = self.place.kubectl("get", "deployment", "-n", "openfaas", "nats", "-o",
                                   "jsonpath={.spec.template.spec.containers[0].image}").stdout
        self.place.kubectl("create", "deployment", "web", "--image", image, "--replicas", "2")
        self.addCleanup(self.place.kubectl, "delete", "deployment", "web", "--now")
        self.place.kubectl("rollout", "status", "deployment/web", "--timeout", "60s")
        late = self.node("remove", f"{name}-worker-2", "--drain-timeout", "2s", check=False)
        self.assertEqual(late.returncode, 6, late.stderr)
        self.assertIn("default/web-", late.stderr)
        self.assertIn("disruption budget", late.stderr)
        self.assertEqual(self.unschedulable(), [])

    def test_4_three_control_planes_and_back(self):
        name = self.place.name
        first = f"{name}-control-plane"
        start = time.monotonic()
        added = self.node("add", "--role", "control-plane", "--count", "2").stdout.split()
        print(f"1 to 3 control planes: {time.monotonic() - start:.1f} s", flush=True)
        self.assertEqual(added, [f"{first}-2", f"{first}-3"])
        members = etcd_members(first)
        self.assertEqual(sorted(m[2] for m in members), [first, f"{first}-2", f"{first}-3"])
        self.assertEqual({(m[1], m[5]) for m in members}, {("started", "false")})
        # The user's kubeconfig goes through the balancer now: it outlives the first.
        docker("kill", first)
        try:
            wait_for("the API without the first", self.nodes, 15)
        finally:
            docker("start", first)
        wait_for("all back", lambda: all(self.nodes().values()), 60)
        wait_for("the function", lambda: self.call() == b"hello", 60)
        self.node("remove", f"{first}-2", f"{first}-3")
        self.assertEqual([m[2] for m in etcd_members(first)], [first])
        self.assertEqual(set(self.nodes()), {first, f"{name}-worker-2"})
        wait_for("the function", lambda: self.call() == b"hello", 60)

    def test_5_interrupted(self):
        name = self.place.name
        before = self.nodes(), docker("ps", "-aq").split(), etcd_members(self.place.node()), \
            self.routes()
        adding = subprocess.Popen([str(MKCLUSTER), "node", "add", "--name", name, "--role",
                                   "control-plane"], env=self.place.env, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for("the container", lambda: f"{name}-control-plane-2\n" in
                 docker("ps", "--format", "{{.Names}}"), 30, 0.05)
        second = self.node("add", check=False)
        self.assertEqual(second.returncode, 4, second.stderr)
        self.assertIn("another run", second.stderr)
        adding.send_signal(signal.SIGINT)
        _, said = adding.communicate(timeout=30)
        self.assertEqual(adding.returncode, 130, said)
        self.assertIn("what it made is removed", said)
        after = self.nodes(), docker("ps", "-aq").split(), etcd_members(self.place.node()), \
            self.routes()
        self.assertEqual(before, after)
        self.assertNotIn("mkcluster-nodes", self.leases())

    def test_6_first_and_unknown(self):
        refused = self.node("remove", self.place.node(), check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("first control plane", refused.stderr)
        absent = self.node("remove", "nobody", check=False)
        self.assertEqual(absent.returncode, 4)
        self.assertIn(self.place.node(), absent.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)

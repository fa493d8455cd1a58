# SPDX-License-Identifier: Apache-2.0
"""Storage and metrics on a control plane and a worker: volumes, `top`, an autoscaler.

The tests share the cluster and run in the order of their names. What takes time by
itself, a load that an autoscaler sees, begins before the first of them."""
import base64
import json
import re
import unittest

import cluster
from cluster import Place, docker, run, wait_for

PROBE = f"example.local/probe:{cluster.SUFFIX}"
VOLUMES = "/var/local-path-provisioner"
OBJECTS = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: burn}}
spec:
  selector: {{matchLabels: {{app: burn}}}}
  template:
    metadata: {{labels: {{app: burn}}}}
    spec:
      containers:
      - name: burn
        image: {PROBE}
        args: [burn]
        resources: {{requests: {{cpu: 50m}}, limits: {{cpu: 100m}}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: burn}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: burn}}
  minReplicas: 1
  maxReplicas: 2
  metrics:
  - type: Resource
    resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 50}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: store}}
spec:
  serviceName: store
  selector: {{matchLabels: {{app: store}}}}
  template:
    metadata: {{labels: {{app: store}}}}
    spec:
      securityContext: {{runAsUser: 1234}}
      containers:
      - name: store
        image: {PROBE}
        args: [serve]
        volumeMounts: [{{name: data, mountPath: /data}}]
  volumeClaimTemplates:
  - metadata: {{name: data}}
    spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}}}
"""


class Addons(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cluster.host_tools()
        cls.place = Place("addons")
        cls.addClassCleanup(run, "docker", "rmi", PROBE, check=False)
        cls.addClassCleanup(cls.place.close)
        cls.place.create("--workers", "1")
        cluster.build_probe(PROBE)
        cls.place.mkcluster("load", "image", PROBE, "--name", cls.place.name)
        cls.place.kubectl("apply", "-f", "-", stdin=OBJECTS)
        cls.worker = f"{cls.place.name}-worker"

    def get(self, *args):
        return json.loads(self.place.kubectl("get", *args, "-o", "json").stdout)

    def top(self, *args):
        """`kubectl top`: the name of a row to its numbers."""
        rows = self.place.kubectl("top", *args, "--no-headers").stdout.splitlines()
        return {row.split()[0]: [int(n) for n in re.findall(r" (\d+)", row)] for row in rows}

    def nodes_are_measured(self):
        nodes = self.top("nodes")
        return set(nodes) == {self.place.node(), self.worker} and \
            all(cpu > 0 and memory > 0 for cpu, _, memory, _ in nodes.values())

    def test_1_top(self):
        wait_for("all nodes are measured", self.nodes_are_measured, seconds=40)
        pods = wait_for("the load is measured", lambda: {
            name: numbers for name, numbers in self.top("pods").items()
            if name.startswith("burn-") and numbers[0] >= 50}, seconds=40)
        # No more than its limit allows, give or take a reading.
        self.assertLess(max(cpu for cpu, _ in pods.values()), 150)

    def test_2_api_server_checks_whom_it_asks(self):
        service = self.get("apiservice", "v1beta1.metrics.k8s.io")
        self.assertEqual([c["status"] for c in service["status"]["conditions"]
                          if c["type"] == "Available"], ["True"])
        self.assertNotIn("insecureSkipTLSVerify", service["spec"])
        ca = docker("exec", self.place.node(), "cat", "/etc/kubernetes/pki/ca.crt")
        self.assertEqual(base64.b64decode(service["spec"]["caBundle"]).decode(), ca)
        address = self.get("-n", "kube-system", "service", "metrics-server")["spec"]["clusterIP"]
        for name, status in (("metrics-server.kube-system.svc", 0), ("other.example", 60)):
            # 60 of curl: the peer's certificate is not for that name.
            done = run("docker", "exec", self.place.node(), "curl", "-sS", "--cacert",
                       "/etc/kubernetes/pki/ca.crt", "--resolve", f"{name}:443:{address}",
                       f"https://{name}/livez", check=False)
            self.assertEqual(done.returncode, status, done.stderr)

    def test_3_autoscaler(self):
        wait_for("the load is spread", lambda: self.get(
            "deployment", "burn")["status"].get("readyReplicas") == 2, seconds=75)
        events = self.place.kubectl("get", "events", "--field-selector",
                                    "reason=SuccessfulRescale").stdout
        self.assertIn("cpu resource utilization", events)
        self.place.kubectl("delete", "hpa,deployment", "burn", "--wait=false")

    def in_pod(self, *args):
        return self.place.kubectl("exec", "store-0", "--", "/probe", *args).stdout

    def folders(self):
        return docker("exec", self.worker, "ls", VOLUMES).split()

    def test_4_volume_survives_a_restart_of_its_node(self):
        self.place.kubectl("wait", "--for=condition=Ready", "pod/store-0", "--timeout=60s")
        claim = self.get("pvc", "data-store-0")
        self.assertEqual(claim["spec"]["storageClassName"], "standard")
        self.assertEqual(self.get("pod", "store-0")["spec"]["nodeName"], self.worker)
        self.in_pod("put", "/data/word", "kept")
        self.assertEqual(len(self.folders()), 1)
        docker("restart", "-t", "2", self.worker)
        self.assertEqual(wait_for("the pod is back", lambda: self.in_pod("show", "/data/word"),
                                  seconds=60), "kept")
        self.place.mkcluster("start", "--name", self.place.name)

    def test_5_volume_goes_with_its_claim(self):
        self.place.kubectl("delete", "statefulset", "store", "--cascade=foreground")
        self.place.kubectl("delete", "pvc", "data-store-0")
        wait_for("the folder is gone", lambda: not self.folders(), seconds=60)
        wait_for("the volume is gone", lambda: not self.get("pv")["items"], seconds=20)

    def test_6_metrics_are_back(self):
        started = docker("inspect", "--format", "{{.State.StartedAt}}", self.worker)
        raw = f"/apis/metrics.k8s.io/v1beta1/nodes/{self.worker}"
        wait_for("the worker is measured anew", lambda: json.loads(self.place.kubectl(
            "get", "--raw", raw).stdout)["timestamp"][:19] > started[:19], seconds=60)
        wait_for("all nodes are measured", self.nodes_are_measured, seconds=20)


if __name__ == "__main__":
    unittest.main(verbosity=2)

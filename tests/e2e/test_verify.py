# SPDX-License-Identifier: Apache-2.0
"""`verify` on real components: all passes, nothing stays, and what breaks is named."""
import json
import re
import signal
import subprocess
import time
import unittest

import cluster
from cluster import Place, docker, engine_state, http, run, wait_for


class Verify(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.before = engine_state()
        cls.place = Place("verify")
        cls.addClassCleanup(cls.place.close)
        cls.place.create("--workers", "1")
        cls.nodes = [cls.place.node(), f"{cls.place.name}-worker"]

    def kubectl(self, *args):
        return docker("exec", self.place.node(), "kubectl", "--kubeconfig",
                      "/etc/kubernetes/admin.conf", *args)

    def state(self):
        """All that a run could leave behind, in the cluster, its nodes and the engine."""
        user = ("admin", self.place.password())
        found = {
            "engine": engine_state(),
            "objects": self.kubectl("get", "-A", "-o", "name",
                                    "namespaces,pods,deployments,services,secrets,configmaps"),
            "functions": http(self.place.gateway() + "/system/functions", user=user),
            "catalog": http(f"http://{self.place.cluster()['registry']}/v2/_catalog"),
            # It makes its folders at its first use.
            "registry": run("docker", "exec", self.place.node(), "find", "/var/lib/registry",
                            "-type", "f", check=False).stdout,
        }
        for node in self.nodes:
            # Of snapshots, those of images: containers come and go by themselves.
            found[node] = docker("exec", node, "sh", "-c", """
                ctr -n k8s.io images ls -q; ctr -n k8s.io content ls -q | sort
                ctr -n k8s.io snapshots ls | awk '$NF == "Committed" { print $1 }'""")
        return found

    def verify(self, code):
        """One run, with the checks of its JSON by name."""
        result = self.place.mkcluster("verify", "--name", self.place.name, "--output", "json",
                                      check=False)
        self.assertEqual(result.returncode, code, result.stderr)
        return {c["name"]: c for c in json.loads(result.stdout)}, result.stderr

    def failed(self):
        checks, text = self.verify(5)
        return {n: c["detail"] for n, c in checks.items() if not c["ok"]}, text

    def test_01_all_pass_and_nothing_is_left(self):
        before = self.state()
        checks, text = self.verify(0)
        self.assertEqual({n for n, c in checks.items() if c["skipped"] or not c["ok"]}, set())
        self.assertIn("k8s:enc:secretbox:v1:key1", checks["encryption"]["detail"])
        self.assertEqual(checks["nodes"]["detail"], "2 Ready")
        self.assertIn("on 2 of 2 nodes", checks["node-port"]["detail"])
        seconds = re.search(r"passes in ([0-9.]+)s", text).group(1)
        print(f"verify of two nodes: {seconds} s")
        self.assertLess(float(seconds), 30)
        self.assertEqual(self.state(), before)

    def test_02_ctrl_c_leaves_nothing(self):
        before = self.state()
        for moment in (0.25, 0.9):
            process = subprocess.Popen(
                [cluster.MKCLUSTER, "verify", "--name", self.place.name], env=self.place.env,
                stderr=subprocess.PIPE, text=True)
            time.sleep(moment)
            process.send_signal(signal.SIGINT)
            start = time.monotonic()
            _, errors = process.communicate(timeout=40)
            self.assertEqual(process.returncode, 130, errors)
            self.assertIn("interrupted; what it made is removed", errors)
            self.assertLess(time.monotonic() - start, 8)
        # A namespace ends some seconds after its deletion.
        wait_for("all is as before", lambda: not self.assertEqual(self.state(), before),
                 seconds=15)

    def test_10_kube_proxy_is_stopped_on_the_worker(self):
        docker("exec", self.nodes[1], "systemctl", "stop", "kube-proxy")
        try:
            failed, _ = self.failed()
        finally:
            docker("exec", self.nodes[1], "systemctl", "start", "kube-proxy")
        self.assertEqual(list(failed), ["node-port"], failed)
        self.assertIn(self.nodes[1], failed["node-port"])

    def test_11_cluster_dns_is_gone(self):
        self.kubectl("-n", "kube-system", "scale", "deploy/coredns", "--replicas=0")
        try:
            wait_for("CoreDNS ends", lambda: "coredns" not in self.kubectl(
                "get", "pods", "-n", "kube-system", "-o", "name"))
            failed, text = self.failed()
        finally:
            self.kubectl("-n", "kube-system", "scale", "deploy/coredns", "--replicas=1")
        self.assertEqual(list(failed), ["dns"], failed)
        self.assertIn("mkcluster: cluster '%s' fails 1 of 16 checks: DNS in a pod" %
                      self.place.name, text)

    def test_90_delete_leaves_nothing(self):
        self.place.mkcluster("delete", "--name", self.place.name)
        self.assertEqual(engine_state(), self.before)


if __name__ == "__main__":
    unittest.main(verbosity=2)

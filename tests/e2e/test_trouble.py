# SPDX-License-Identifier: Apache-2.0
"""Trouble on the real engine: what fails is told, and what was made is gone."""
import json
import signal
import socket
import subprocess
import time
import unittest

import cluster
from cluster import Place, docker, engine_state, http, run


class Trouble(unittest.TestCase):
    def setUp(self):
        self.before = engine_state()
        self.place = Place("trouble")
        self.addCleanup(self.place.close)

    def assert_nothing_left(self):
        self.assertEqual(engine_state(), self.before)
        self.assertFalse(self.place.kubeconfig.exists() and
                         self.place.name in self.place.kubeconfig.read_text())

    def test_interrupt_at_any_moment(self):
        for seconds in (0.05, 0.4, 0.9, 2.0, 4.5):
            with self.subTest(seconds=seconds):
                process = subprocess.Popen(
                    [cluster.MKCLUSTER, "create", "--name", self.place.name, "--image",
                     cluster.IMAGE], env=self.place.env, stderr=subprocess.PIPE, text=True)
                time.sleep(seconds)
                process.send_signal(signal.SIGINT)
                start = time.monotonic()
                _, errors = process.communicate(timeout=30)
                self.assertEqual(process.returncode, 130, errors)
                self.assertLess(time.monotonic() - start, 5)
                self.assertIn("mkcluster: interrupted", errors)
                self.assert_nothing_left()

    def test_a_pod_that_cannot_start_is_named(self):
        config = self.place.folder / "cluster.yaml"
        config.write_text("apiVersion: mkcluster.dev/v1\nkind: Cluster\n"
                          "images:\n  nats: example.invalid/none:1\n")
        failed = self.place.create("--config", config, "--timeout", "25s", check=False)
        self.assertEqual(failed.returncode, 6, failed.stderr)
        self.assertIn("openfaas/nats", failed.stderr)
        self.assertIn("example.invalid/none:1", failed.stderr)
        self.assert_nothing_left()

    def test_a_unit_that_fails_is_named_with_its_last_lines(self):
        broken = f"example.local/broken:{cluster.SUFFIX}"
        name = f"broken-{cluster.SUFFIX}"
        run("docker", "run", "--name", name, "--entrypoint", "/bin/sh", cluster.IMAGE, "-c",
            "printf '#!/bin/sh\\necho no store today >&2\\nexit 1\\n' > /usr/local/bin/etcd.new;"
            "chmod 755 /usr/local/bin/etcd.new; mv /usr/local/bin/etcd.new /usr/local/bin/etcd")
        try:
            run("docker", "commit", "--change", 'ENTRYPOINT ["/usr/local/bin/entrypoint"]',
                "--change", "CMD []", name, broken)
            run("docker", "rm", "-v", name)
            start = time.monotonic()
            failed = self.place.mkcluster("create", "--name", self.place.name, "--image", broken,
                                          check=False)
        finally:
            run("docker", "rmi", broken, check=False)
        self.assertEqual(failed.returncode, 5, failed.stderr)
        self.assertLess(time.monotonic() - start, 40)
        self.assertIn("etcd.service", failed.stderr)
        self.assertIn("no store today", failed.stderr)
        self.assertIn("cause: ", failed.stderr)
        self.assert_nothing_left()

    def test_taken_gateway_port(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(("127.0.0.1", 31112))
                taken.listen()
            except OSError:
                pass  # somebody else has it: as good
            created = self.place.create()
            gateway = self.place.gateway()
            self.assertNotIn(":31112", gateway)
            self.assertIn("31112 is taken", created.stderr)
            self.assertEqual(http(gateway + "/healthz")[0], 200)

    def test_one_of_two_creates_wins(self):
        command = [cluster.MKCLUSTER, "create", "--no-openfaas", "--name", self.place.name,
                   "--image", cluster.IMAGE]
        both = [subprocess.Popen(command, env=self.place.env, stderr=subprocess.PIPE, text=True)
                for _ in range(2)]
        errors = [p.communicate(timeout=120)[1] for p in both]
        self.assertEqual(sorted(p.returncode for p in both), [0, 4], errors)
        self.place.kubectl("get", "nodes")

    def test_two_clusters_do_not_touch_each_other(self):
        other = Place("second")
        self.addCleanup(other.close)
        self.place.create("--no-openfaas")
        other.create("--no-openfaas")
        self.assertNotEqual(self.place.cluster()["api"], other.cluster()["api"])
        other.mkcluster("delete", "--name", other.name)
        self.place.kubectl("get", "nodes")
        again = self.place.create(check=False)
        self.assertEqual(again.returncode, 4)
        self.assertEqual(len(again.stderr.splitlines()), 2 + again.stderr.count("✓"))
        self.place.kubectl("get", "nodes")

    def test_no_network_is_used(self):
        """Nothing is pulled: no image is in the node that was not in its image."""
        self.place.create()
        listed = docker("exec", self.place.node(), "ctr", "-n", "k8s.io", "images", "ls", "-q")
        pods = json.loads(self.place.kubectl("get", "pods", "-A", "-o", "json").stdout)["items"]
        for pod in pods:
            for container in pod["spec"]["containers"]:
                self.assertIn(container["image"], listed)
        events = self.place.kubectl("get", "events", "-A", "-o", "json").stdout
        pulled = [e["message"] for e in json.loads(events)["items"] if e["reason"] == "Pulling"]
        self.assertEqual(pulled, [])

    def test_retain_keeps_the_node(self):
        config = self.place.folder / "cluster.yaml"
        config.write_text("apiVersion: mkcluster.dev/v1\nkind: Cluster\n"
                          "images:\n  nats: example.invalid/none:1\n")
        failed = self.place.create("--config", config, "--timeout", "12s", "--retain",
                                   check=False)
        self.assertEqual(failed.returncode, 6, failed.stderr)
        self.assertIn(self.place.node(), docker("ps", "--format", "{{.Names}}"))
        self.place.mkcluster("delete", "--name", self.place.name)
        self.assert_nothing_left()

    def kill_create(self, seconds):
        process = subprocess.Popen(
            [cluster.MKCLUSTER, "create", "--name", self.place.name, "--image", cluster.IMAGE],
            env=self.place.env, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.kill()
        process.wait()

    def test_after_sigkill_delete_removes_the_rest(self):
        self.kill_create(1.5)
        self.place.mkcluster("delete", "--name", self.place.name)
        self.assert_nothing_left()

    def test_resume_after_sigkill(self):
        """Where files were missing it begins anew, else it goes on with the same nodes."""
        for seconds in 0.3, 3:
            self.kill_create(seconds)
            before = docker("ps", "-q", "--filter", f"name={self.place.name}").split()
            if before:
                again = self.place.create(check=False)
                self.assertEqual(again.returncode, 4)
                self.assertIn("--resume", again.stderr)
            other = self.place.create("--resume", "--no-openfaas", check=False)
            if seconds == 3:
                self.assertEqual(other.returncode, 2, other.stderr)
                self.place.create("--resume")
                self.assertEqual(before, docker(
                    "ps", "-q", "--filter", f"name={self.place.name}").split())
                self.assertEqual(cluster.http(
                    self.place.gateway() + "/system/functions",
                    user=("admin", self.place.password()))[0], 200)
            # A whole cluster is left as it is.
            again = self.place.create(check=False)
            self.assertEqual(again.returncode, 4)
            self.assertNotIn("--resume", again.stderr)
            self.place.mkcluster("delete", "--name", self.place.name)
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""Ports published and removed while a cluster runs, and kept while it is restarted."""
import json
import os
import socket
import subprocess
import unittest

import cluster
from cluster import Place, docker, engine_state, http, run, wait_for

PROBE = f"example.local/probe:{cluster.SUFFIX}"
NODE_PORT = 30080
POD_PORT = 8081  # of the host's name in pods: a hostPort
SERVING = {
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "serve", "labels": {"app": "serve"}},
    "spec": {"terminationGracePeriodSeconds": 1, "containers": [
        {"name": "serve", "image": PROBE, "args": ["serve"],
         "ports": [{"containerPort": 8080, "hostPort": POD_PORT}]}]}}
SERVICE = {
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "serve"},
    "spec": {"type": "NodePort", "selector": {"app": "serve"},
             "ports": [{"port": 80, "targetPort": 8080, "nodePort": NODE_PORT}]}}


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Ports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cluster.host_tools()
        cls.before = engine_state()
        cls.place = Place("ports")
        cls.addClassCleanup(cls.place.close)
        cluster.build_probe(PROBE)
        cls.addClassCleanup(run, "docker", "rmi", PROBE, check=False)
        cls.place.create("--no-openfaas", "--workers", "1")
        cls.place.mkcluster("load", "image", PROBE, "--name", cls.place.name)
        for thing in (SERVING, SERVICE):
            cls.place.kubectl("apply", "-f", "-", stdin=json.dumps(thing))

    def port(self, verb, *args, **options):
        return self.place.mkcluster("port", verb, *args, "--name", self.place.name, **options)

    def listed(self):
        return json.loads(self.port("list", "--output", "json").stdout)

    def answers(self, address, seconds=30):
        """That the pod answers at the address, and nobody else ever does."""
        body = wait_for(f"{address} answers", lambda: http(f"http://{address}/", timeout=2)[1],
                        seconds=seconds)
        self.assertRegex(body.decode(), r"^from 10\.")

    def test_01_add(self):
        """A NodePort and a pod's hostPort, side by side, on one free port and a given one."""
        given = free_port()
        nodes = self.place.mkcluster("get", "nodes", "--output", "json").stdout
        added = self.port("add", f"0:{NODE_PORT}", f"{given}:{POD_PORT}").stdout.split()
        self.assertEqual(added[1], f"127.0.0.1:{given}")
        for address in added:
            self.answers(address)
        expected = [{"cluster": self.place.name, "address": "127.0.0.1", "hostPort": int(port),
                     "nodePort": target, "state": "running"}
                    for port, target in ((added[0].split(":")[1], NODE_PORT), (given, POD_PORT))]
        self.assertEqual(self.listed(), sorted(expected, key=lambda p: p["hostPort"]))
        self.assertEqual(self.place.mkcluster("get", "nodes", "--output", "json").stdout, nodes)
        self.assertEqual(self.place.cluster()["nodes"], 2)

    def test_02_least_privilege(self):
        name = f"{self.place.name}-port-{self.listed()[0]['hostPort']}"
        status = docker("exec", name, "cat", "/proc/1/status")
        for line in ("Uid:\t65534\t65534", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
            self.assertIn(line, status)
        for folder in ("/etc/mkcluster", "/tmp", "/var/lib/haproxy"):
            self.assertNotEqual(run("docker", "exec", name, "touch", f"{folder}/it",
                                    check=False).returncode, 0, folder)
        # Its files are those of the image: creating it writes next to nothing.
        size = json.loads(run("docker", "inspect", "--size", name).stdout)[0]["SizeRw"]
        self.assertLess(size, 100_000)

    def test_03_many_runs_at_once(self):
        """Each run chooses an address in the cluster's network: no two keep the same."""
        argv = [cluster.MKCLUSTER, "port", "add", "--name", self.place.name, f"0:{NODE_PORT}"]
        runs = [subprocess.Popen(argv, env=self.place.env, text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE) for _ in range(4)]
        ends = [(*process.communicate(timeout=60), process.returncode) for process in runs]
        self.assertEqual([code for _, _, code in ends], [0] * 4, ends)
        added = [out.strip() for out, _, _ in ends]
        for address in added:
            self.answers(address)
        self.assertEqual(len(self.listed()), 6)
        self.port("remove", *added)
        self.assertEqual(len(self.listed()), 2)

    def test_04_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            refused = self.port("add", f"0:{NODE_PORT}", f"{port}:{NODE_PORT}", check=False)
        self.assertEqual(refused.returncode, 3, refused.stderr)
        self.assertIn(f"port {port} of 127.0.0.1 is taken", refused.stderr)
        again = self.port("add", f"{self.listed()[0]['hostPort']}:{NODE_PORT}", check=False)
        self.assertEqual(again.returncode, 4, again.stderr)
        self.assertEqual(len(self.listed()), 2)

    def test_05_restart_of_everything(self):
        addresses = [f"{p['address']}:{p['hostPort']}" for p in self.listed()]
        names = docker("ps", "--filter", f"label=io.mkcluster.cluster={self.place.name}",
                       "--format", "{{.Names}}").split()
        self.assertEqual(len(names), 4)
        docker("restart", "-t", "2", *sorted(names, reverse=True))
        for address in addresses:
            self.answers(address, seconds=60)
        self.place.mkcluster("stop", "--name", self.place.name)
        self.assertEqual({p["state"] for p in self.listed()}, {"exited"})
        stopped = self.port("add", f"0:{NODE_PORT}", check=False)
        self.assertEqual(stopped.returncode, 3, stopped.stderr)
        self.place.mkcluster("start", "--name", self.place.name)
        for address in addresses:
            self.answers(address, seconds=60)

    def test_90_remove_and_delete(self):
        first, second = self.listed()
        self.port("remove", str(first["hostPort"]))
        with self.assertRaises(OSError):
            socket.create_connection((first["address"], first["hostPort"]), timeout=2)
        self.assertEqual(self.listed(), [second])
        self.place.mkcluster("delete", "--name", self.place.name)
        self.assertEqual(engine_state(), self.before)


if __name__ == "__main__":
    unittest.main(verbosity=2)

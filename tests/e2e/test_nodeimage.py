# SPDX-License-Identifier: Apache-2.0
"""The node image: nothing to do, releases from a mirror over HTTP, what goes wrong."""
import functools
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import cluster
from cluster import IMAGE, MKCLUSTER, Place, docker, http as fetch, run

HERE = pathlib.Path(__file__).resolve().parent
RELEASE = f"mkcluster/node:e2e-{cluster.SUFFIX}"
KUBELET = "dl.k8s.io/v1.36.3/bin/linux"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class NodeImage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cluster.host_tools()
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mkcluster-mirror-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.addClassCleanup(run, "docker", "rmi", RELEASE, check=False)
        cls.mirror = cls.folder / "mirror"
        run(sys.executable, HERE / "make-mirror.py", cls.mirror,
            "--pause", cls.from_node("/usr/bin/catatonit"),
            "--busybox", cls.from_node("/bin/busybox"))
        cls.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=str(cls.mirror)))
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        cls.url = f"http://127.0.0.1:{cls.server.server_address[1]}"

    @classmethod
    def from_node(cls, path):
        """A program of the node image's operating system, as a file here."""
        target = cls.folder / pathlib.Path(path).name
        with open(target, "wb") as out:
            subprocess.run(["docker", "run", "--rm", "--entrypoint", "cat", IMAGE, path],
                           check=True, stdout=out)
        target.chmod(0o755)
        return target

    def build(self, *args, cache="cache", check=True):
        gocache = run("go", "env", "GOCACHE").stdout.strip()
        env = dict(os.environ, XDG_CACHE_HOME=str(self.folder / cache), GOCACHE=gocache)
        return run(MKCLUSTER, "build", "node-image", "--from", "release", "--mirror", self.url,
                   "--image", RELEASE, *args, env=env, check=check, timeout=600)

    def test_1_unchanged_inputs_cost_nothing(self):
        start = time.monotonic()
        done = run(MKCLUSTER, "build", "node-image")
        self.assertLess(time.monotonic() - start, 1.0)
        self.assertIn("is up to date", done.stderr)

    def test_2_size(self):
        size = int(docker("image", "inspect", "--format", "{{.Size}}", IMAGE))
        self.assertLess(size, 900e6)

    def test_3_from_release_over_http(self):
        self.build()
        labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}",
                                   RELEASE))
        self.assertEqual(labels["io.mkcluster.from"], "release")
        self.assertEqual(labels["io.mkcluster.provider"], "faas-netes")
        place = Place("release")
        self.addCleanup(place.close)
        place.mkcluster("create", "--name", place.name, "--image", RELEASE)
        self.assertEqual(fetch(place.gateway() + "/healthz")[0], 200)
        images = place.kubectl("get", "pods", "-A", "-o",
                               "jsonpath={..spec.containers[*].image}").stdout
        self.assertIn("ghcr.io/openfaas/faas-netes:0.17.3", images)
        for name in ("kube-system/metrics-server", "local-path-storage/local-path-provisioner"):
            namespace, deployment = name.split("/")
            place.kubectl("-n", namespace, "rollout", "status", "deployment", deployment,
                          "--timeout=60s")

    def test_4_wrong_checksum(self):
        kubelet = next((self.mirror / KUBELET).glob("*/kubelet"))
        # A link beside it: the mirror stores equal files once, and only this one is bad.
        aside = kubelet.with_name("aside")
        kubelet.rename(aside)
        self.addCleanup(aside.rename, kubelet)
        kubelet.write_bytes(aside.read_bytes()[:-1] + b"?")
        failed = self.build("--force", cache="wrong", check=False)
        self.assertEqual(failed.returncode, 1, failed.stderr)
        self.assertIn("kubelet", failed.stderr)
        self.assertIn("wrong checksum", failed.stderr)
        self.assertEqual(len([line for line in failed.stderr.splitlines()
                              if line.startswith("mkcluster: ")]), 1)

    def test_5_missing_file(self):
        kubelet = next((self.mirror / KUBELET).glob("*/kubelet"))
        aside = kubelet.with_name("aside")
        kubelet.rename(aside)
        self.addCleanup(aside.rename, kubelet)
        failed = self.build("--force", cache="missing", check=False)
        self.assertEqual(failed.returncode, 1, failed.stderr)
        self.assertIn("404", failed.stderr)
        self.assertIn("kubelet", failed.stderr)

    def test_6_no_mirror_says_why(self):
        env = dict(os.environ, XDG_CACHE_HOME=str(self.folder / "none"))
        failed = run(MKCLUSTER, "build", "node-image", "--from", "release", "--mirror",
                     "http://127.0.0.1:1", "--image", RELEASE, "--force", env=env, check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("127.0.0.1", failed.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)

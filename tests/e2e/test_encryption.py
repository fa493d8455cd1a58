# SPDX-License-Identifier: Apache-2.0
"""What lies in etcd, before, during and after rotations of its key, one of them killed; and
what another user may do. One control plane; several of them are the fakes' (tests/cli)."""
import base64
import json
import pathlib
import re
import signal
import ssl
import stat
import subprocess
import threading
import time
import unittest
import urllib.request

import cluster
import yaml
from cluster import ETCDCTL, Place, docker, engine_state, run, wait_for

CONFIG = "/etc/kubernetes/encryption-config.yaml"
SECRETS = 60


class Reader:
    """Reads a Secret through the published port, over and over, a connection each."""

    def __init__(self, place, path):
        config = yaml.safe_load(place.kubeconfig.read_text())
        user = config["users"][0]["user"]
        self.url = config["clusters"][0]["cluster"]["server"] + path
        pem = place.folder / "reader.pem"
        pem.write_bytes(base64.b64decode(user["client-certificate-data"]) +
                        base64.b64decode(user["client-key-data"]))
        ca = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
        self.context = ssl.create_default_context(cadata=ca.decode())
        self.context.load_cert_chain(pem)
        self.answers, self.failures, self.longest = 0, [], 0.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        last = time.monotonic()
        while not self.ended.wait(0.05):
            try:
                with urllib.request.urlopen(self.url, context=self.context, timeout=5) as answer:
                    json.load(answer)
                self.answers += 1
                self.longest = max(self.longest, time.monotonic() - last)
                last = time.monotonic()
            except (OSError, ValueError) as error:
                self.failures.append(str(error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


class Encryption(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.before = engine_state()
        cls.place = Place("encryption")
        cls.addClassCleanup(cls.place.close)
        cls.place.create("--no-openfaas")
        cls.node = cls.place.node()
        objects = [json.dumps({"apiVersion": "v1", "kind": "Secret", "immutable": i % 2 == 0,
                               "metadata": {"name": f"s{i:02}"},
                               "stringData": {"word": f"the word of {i}"}})
                   for i in range(SECRETS)]
        run("docker", "exec", "-i", cls.node, *cls.kubectl_words(), "create", "-f", "-",
            stdin="\n".join(objects))

    @staticmethod
    def kubectl_words(config="/etc/kubernetes/admin.conf"):
        return ("kubectl", "--kubeconfig", config, "--server=https://127.0.0.1:6443")

    def kubectl(self, *args):
        return docker("exec", self.node, *self.kubectl_words(), *args)

    def mkcluster(self, *args, **options):
        return self.place.mkcluster(*args, "--name", self.place.name, **options)

    def rotate(self, *args):
        started = time.monotonic()
        result = self.mkcluster("encryption", "rotate", *args)
        print(f"rotate {' '.join(args)}: {time.monotonic() - started:.1f} s")
        return result

    def status(self):
        return json.loads(self.mkcluster("encryption", "status", "--output", "json").stdout)

    def file_keys(self):
        return re.findall(r'name: "?(\w+)', docker("exec", self.node, "cat", CONFIG))

    def raw_keys(self):
        """The key of every Secret in etcd, by its first bytes, not by mkcluster's count."""
        names = docker("exec", self.node, *ETCDCTL, "get", "/registry/secrets/", "--prefix",
                       "--keys-only").split()
        found = {}
        for name in names[:: max(1, len(names) // 15)]:
            raw = subprocess.run(("docker", "exec", self.node, *ETCDCTL, "get", name,
                                  "--print-value-only"), check=True, capture_output=True).stdout
            self.assertNotIn(b"the word", raw)
            found[name] = raw[:60].split(b":")[4].decode() if raw.startswith(b"k8s:enc:") else None
        self.assertGreater(len(found), 10)
        return set(found.values())

    def assert_under(self, key):
        """All of it, on the disk, in etcd, and in what the API gives."""
        self.assertEqual(self.file_keys(), [key])
        self.assertEqual(docker("exec", self.node, "stat", "-c", "%a %U:%G", CONFIG).strip(),
                         "600 root:root")
        self.assertEqual(docker("exec", self.node, "sh", "-c", "ls -d /etc/mkcluster/staged* || :"),
                         "")
        self.assertEqual(self.raw_keys(), {key})
        found = self.status()
        self.assertEqual([p["apiServer"] for p in found["controlPlanes"]], ["current"])
        self.assertEqual([(s["key"], s["others"]) for s in found["stored"]], [(key, 0)])
        self.assertGreater(found["stored"][0]["secrets"], SECRETS)
        self.assertFalse(found["rotation"]["underWay"])
        self.assert_readable()

    def assert_readable(self):
        items = json.loads(self.kubectl("get", "secrets", "-o", "json"))["items"]
        self.assertEqual([base64.b64decode(i["data"]["word"]).decode() for i in items],
                         [f"the word of {i}" for i in range(SECRETS)])

    def revision(self):
        return int(re.search(r'"Revision" : (\d+)', docker(
            "exec", self.node, *ETCDCTL, "get", "/", "-w", "fields")).group(1))

    def test_01_as_it_is_made(self):
        self.assert_under("key1")

    def test_02_killed_and_gone_on_with(self):
        """SIGKILL while both keys are in the file, and the API server is on its way down."""
        before = self.revision()
        process = subprocess.Popen(
            [cluster.MKCLUSTER, "encryption", "rotate", "--restart", "--name", self.place.name],
            env=self.place.env, stderr=subprocess.DEVNULL)
        wait_for("both keys", lambda: len(self.file_keys()) == 2, every=0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for("the API", lambda: self.assert_readable() is None)
        found = self.status()
        self.assertTrue(found["rotation"]["underWay"])
        self.assertEqual(found["rotation"]["key"], "key2")
        self.rotate("--restart")
        self.assert_under("key2")
        # Nor is what lay under the old key in etcd's history.
        old = run("docker", "exec", self.node, *ETCDCTL, "get", "/registry/secrets/", "--prefix",
                  f"--rev={before}", check=False)
        self.assertIn("has been compacted", old.stdout + old.stderr)

    def test_03_again_without_an_interruption(self):
        with Reader(self.place, "/api/v1/namespaces/default/secrets/s01") as reader:
            result = self.rotate()
        self.assertIn("has key3 alone", result.stderr)
        print(f"read {reader.answers} times meanwhile, {reader.longest:.2f} s apart at most")
        self.assertEqual(reader.failures, [])
        self.assertGreater(reader.answers, 100)
        self.assert_under("key3")
        self.mkcluster("verify")

    # -- other users

    def as_user(self, config, *words):
        run("docker", "exec", "-i", self.node, "sh", "-c", "umask 077; cat > /tmp/user.conf",
            stdin=config)
        return run("docker", "exec", self.node, *self.kubectl_words("/tmp/user.conf"), *words,
                   check=False)

    def test_10_a_user_has_what_a_role_gives(self):
        path = pathlib.Path(self.place.folder / "jane.conf")
        result = self.mkcluster("kubeconfig", "user", "jane", "--group", "dev", "--days", "2",
                                "--output", str(path))
        self.assertEqual(result.stdout, "")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.kubectl("create", "namespace", "theirs")
        self.kubectl("create", "rolebinding", "dev", "--clusterrole=view", "--group=dev",
                     "--namespace=theirs")
        config = path.read_text()
        self.assertIn("jane", self.as_user(config, "auth", "whoami").stdout)
        inside = self.as_user(config, "get", "pods", "--namespace=theirs")
        self.assertEqual((inside.returncode, inside.stdout), (0, ""), inside.stderr)
        outside = self.as_user(config, "get", "pods", "--namespace=default")
        self.assertEqual(outside.returncode, 1)
        self.assertIn('User "jane" cannot list resource "pods"', outside.stderr)
        self.assertEqual(self.kubectl("get", "csr", "-o", "name"), "")

    def test_11_masters_are_not_made(self):
        result = self.mkcluster("kubeconfig", "user", "jane", "--allow-system", "--group",
                                "system:masters", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("signer with system:masters group is not allowed", result.stderr)

    def test_12_no_longer_than_the_signer_gives(self):
        result = self.mkcluster("kubeconfig", "user", "jane", "--days", "4000")
        self.assertIn("365 days instead of 4000", result.stderr)

    def test_13_nobody_signs(self):
        docker("exec", self.node, "systemctl", "stop", "kube-controller-manager")
        try:
            result = self.mkcluster("kubeconfig", "user", "jane", "--timeout", "2s", check=False)
        finally:
            docker("exec", self.node, "systemctl", "start", "kube-controller-manager")
        self.assertEqual(result.returncode, 6, result.stderr)
        self.assertEqual(self.kubectl("get", "csr", "-o", "name"), "")

    def test_90_delete_leaves_nothing(self):
        self.mkcluster("delete")
        self.assertEqual(engine_state(), self.before)


if __name__ == "__main__":
    unittest.main(verbosity=2)

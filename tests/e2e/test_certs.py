# SPDX-License-Identifier: Apache-2.0
"""Certificates of a cluster that lives: listed, renewed under running pods, replaced with
their CAs in stages, and brought back after all of them have expired."""
import base64
import json
import socket
import ssl
import subprocess
import threading
import time
import unittest

from cluster import Place, TOOLS, docker, engine_state, http, run, wait_for

IMAGE = "certs.test/echo:1"
VALIDITY_S = 60
SHORT = f"""apiVersion: mkcluster.dev/v1
kind: Cluster
workers: 1
certificates: {{validity: {VALIDITY_S}s}}
"""


def served_serial(address, port):
    """The serial number of the certificate that a server shows now."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((address, int(port)), timeout=5) as plain:
        with context.wrap_socket(plain) as tls:
            der = tls.getpeercert(binary_form=True)
    text = run("openssl", "x509", "-noout", "-serial",
               stdin=ssl.DER_cert_to_PEM_cert(der)).stdout
    return text.strip().split("=")[1]


class Api(threading.Thread):
    """Asks the API again and again; when it did not answer."""

    def __init__(self, place):
        super().__init__()
        self.place = place
        self.gaps = []
        self.asked = 0
        self.done = threading.Event()

    def run(self):
        while not self.done.is_set():
            answer = self.place.kubectl("get", "--raw", "/readyz", "--request-timeout=2s",
                                        check=False)
            self.asked += 1
            if answer.returncode != 0:
                self.gaps.append(answer.stderr)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()


class Certs(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.before = engine_state()
        cls.short = Place("certs-short")
        cls.addClassCleanup(cls.short.close)
        (cls.short.folder / "short.yaml").write_text(SHORT)
        cls.short.create("--config", cls.short.folder / "short.yaml")
        cls.deploy(cls.short)
        # It expires while others of these tests run.
        cls.short_pods = cls.pods(cls.short)
        cls.place = Place("certs")
        cls.addClassCleanup(cls.place.close)
        cls.place.create("--workers", "1")
        cls.deploy(cls.place)

    @classmethod
    def deploy(cls, place):
        place.load_function(IMAGE)
        place.kubectl("create", "secret", "generic", "kept", "--from-literal=word=before")
        place.faas("login", "--password-stdin", stdin=place.password())
        place.faas("deploy", "--image", IMAGE, "--name", "echo")
        wait_for("the function answers", lambda: cls.answers(place))

    @staticmethod
    def answers(place):
        return http(place.gateway() + "/function/echo", data=b"hello")[1] == b"hello"

    def certs(self, verb, *argv, place=None, **options):
        place = place or self.place
        return place.mkcluster("certs", verb, "--name", place.name, *argv, **options)

    def listed(self, place=None):
        return json.loads(self.certs("list", "--output", "json", place=place).stdout)

    def serials(self, place=None):
        return {(c.get("node"), c["name"] or c["path"]): c["serial"]
                for c in self.listed(place) if c["usage"] != "CA"}

    @staticmethod
    def pods(place):
        """What a restart of a container, or a new pod, would change."""
        items = json.loads(place.kubectl("get", "pods", "-A", "-o", "json").stdout)["items"]
        return sorted((p["metadata"]["uid"], p["metadata"]["name"],
                       [(c["name"], c["restartCount"]) for c in
                        p["status"].get("containerStatuses", [])]) for p in items)

    def ip(self, name):
        nodes = json.loads(self.place.mkcluster("get", "nodes", "-o", "json").stdout)
        return next(n["ip"] for n in nodes if n["name"] == name)

    def test_1_every_file_is_listed(self):
        """By the nodes' own word for which files hold a certificate."""
        listed = {(c.get("node"), c["path"]) for c in self.listed()}
        for node in (self.place.node(), f"{self.place.name}-worker"):
            files = docker("exec", node, "grep", "-rlE",
                           "BEGIN CERTIFICATE|client-certificate-data", "/etc/kubernetes").split()
            files = [f for f in files if not f.endswith("ca-signer.crt")]
            self.assertEqual(sorted(p for n, p in listed if n == node), sorted(files))
        self.assertIn((None, str(self.place.kubeconfig)), listed)
        for cert in self.listed():
            if cert["path"].endswith(".crt") and cert["usage"] != "CA":
                text = docker("exec", cert["node"], "cat", cert["path"])
                self.assertEqual(run("openssl", "x509", "-noout", "-serial", stdin=text).stdout,
                                 f"serial={cert['serial']}\n")

    def test_2_renewal_disturbs_nobody(self):
        worker = f"{self.place.name}-worker"
        servers = {(None, "apiserver"): self.place.cluster()["api"].split(":"),
                   (worker, "kubelet-server"): (self.ip(worker), 10250)}
        pods, before = self.pods(self.place), self.serials()
        with Api(self.place) as api:
            start = time.monotonic()
            self.certs("renew")
            took = time.monotonic() - start
        print(f"certs renew: {took:.1f} s, the API answered {api.asked} times", flush=True)
        self.assertEqual(api.gaps, [])
        self.assertLess(took, 30)
        self.assertEqual(self.pods(self.place), pods)
        after = self.serials()
        self.assertEqual(set(after), set(before))
        self.assertEqual([k for k in after if after[k] == before[k]], [])
        for (node, name), where in servers.items():
            wanted = after[(node or self.place.node(), name)]
            wait_for(f"{name} serves what it was given",
                     lambda a=where, s=wanted: served_serial(*a) == s, seconds=20)
        self.place.mkcluster("verify", "--name", self.place.name)

    def test_3_new_cas(self):
        """In three stages; who has only the old ones is shut out by the last."""
        old = self.place.folder / "old"
        old.write_text(self.place.kubeconfig.read_text())
        ask_old = (TOOLS / "kubectl", "--kubeconfig", old, "get", "--raw", "/version",
                   "--request-timeout=5s")
        first = self.serials()
        ca = {c["name"]: c["serial"] for c in self.listed() if c["usage"] == "CA"}

        said = self.certs("renew", "--ca").stderr
        self.assertIn("New CAs are trusted by every node", said)
        run(*ask_old)
        self.certs("renew", "--ca", "--back")
        self.assertEqual({c["name"]: c["serial"] for c in self.listed() if c["usage"] == "CA"}, ca)

        self.certs("renew", "--ca")
        said = self.certs("renew", "--ca").stderr
        self.assertIn("the previous ones are still trusted", said)
        # Its CA is one of two, and its certificate is still that CA's.
        wait_for("the old kubeconfig is trusted as a client", lambda: self.trusted(old))
        self.certs("renew", "--ca")
        refused = run(*ask_old, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertFalse(self.trusted(old))
        new = {c["name"]: c["serial"] for c in self.listed() if c["usage"] == "CA"}
        self.assertEqual(set(new), set(ca))
        self.assertFalse(set(new.values()) & set(ca.values()))
        self.assertFalse(set(self.serials().values()) & set(first.values()))
        left = docker("exec", self.place.node(), "find", "/etc/kubernetes", "-name", "*-next.*",
                      "-o", "-name", "*-previous.*")
        self.assertEqual(left, "")
        self.assertEqual(self.word(self.place), "before")
        wait_for("the function answers", lambda: self.answers(self.place))
        wait_for("all is well", lambda: self.place.mkcluster(
            "verify", "--name", self.place.name, check=False).returncode == 0, seconds=90)

    def trusted(self, kubeconfig):
        """Whether the API takes the file's certificate; whom the file trusts is no matter."""
        return run(TOOLS / "kubectl", "--kubeconfig", kubeconfig, "--insecure-skip-tls-verify",
                   "get", "nodes", "--request-timeout=5s", check=False).returncode == 0

    @staticmethod
    def word(place):
        secret = place.kubectl("get", "secret", "kept", "-o", "jsonpath={.data.word}").stdout
        return base64.b64decode(secret).decode()

    def wait_until_expired(self):
        end = time.monotonic() + VALIDITY_S + 30
        while any(c["secondsLeft"] > 0 for c in self.listed(self.short) if c["usage"] != "CA"):
            self.assertLess(time.monotonic(), end)
            time.sleep(1)

    def assert_back(self, pods):
        self.assertEqual(self.pods(self.short) if pods else None, pods)
        self.assertEqual(self.word(self.short), "before")
        wait_for("the function answers", lambda: self.answers(self.short))
        self.assertTrue(all(c["secondsLeft"] > 0 for c in self.listed(self.short)))

    def test_4_expired_while_it_runs(self):
        self.wait_until_expired()
        checked = self.certs("check", "--days", "0", place=self.short, check=False)
        self.assertEqual(checked.returncode, 1)
        self.assertIn("expired", checked.stderr)
        refused = self.short.kubectl("get", "nodes", check=False)
        self.assertIn("expired", refused.stderr)
        start = time.monotonic()
        self.certs("renew", place=self.short)
        print(f"expired, renewed in {time.monotonic() - start:.1f} s", flush=True)
        self.assert_back(self.short_pods)

    def test_5_expired_while_it_is_stopped(self):
        self.short.mkcluster("stop", "--name", self.short.name)
        self.wait_until_expired()
        start = time.monotonic()
        self.short.mkcluster("start", "--name", self.short.name)
        print(f"expired, started in {time.monotonic() - start:.1f} s", flush=True)
        self.assert_back(None)
        self.assertEqual(
            {c["metadata"]["name"] for c in json.loads(
                self.short.kubectl("get", "nodes", "-o", "json").stdout)["items"]},
            {self.short.node(), f"{self.short.name}-worker"})

    def test_9_nothing_is_left(self):
        for place in (self.short, self.place):
            place.mkcluster("delete", "--name", place.name)
        self.assertEqual(engine_state(), self.before)


if __name__ == "__main__":
    try:
        unittest.main(verbosity=2)
    finally:
        subprocess.run(["docker", "image", "rm", IMAGE], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)

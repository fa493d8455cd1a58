#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All certificates of a cluster before OpenSSL's own command: test_openssl.py WRITER

What each one is for, it accepts; what it is not for, it refuses: the wrong CA, the
wrong side of a connection, another's name, a time before or after.
"""
import concurrent.futures
import re
import subprocess
import sys
import tempfile
import time
import unittest

import bundle
from bundle import CAS, Bundle

WRITER = sys.argv.pop(1)
STRANGERS = {"example.com", "dev-worker-3", "kubernetes.default.svc.example.com", "127.0.0.2",
             "172.20.0.77", "10.96.0.10", "::2"}
DAY = 86400
KEYS = {"ECDSA-P256": "256 bit", "RSA-2048": "2048 bit", "RSA-3072": "3072 bit",
        "RSA-4096": "4096 bit", "Ed25519": "ED25519"}


def openssl(*args):
    return subprocess.run(["openssl", *map(str, args)], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def is_ip(name):
    return re.fullmatch(r"[0-9.]+|[0-9a-f:]*:[0-9a-f:]*", name) is not None


def verified(certs, ca, *options):
    """Those that `openssl verify` accepts under this CA alone."""
    done = openssl("verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", ca.pem,
                   *options, *(cert.pem for cert in certs))
    good = set(re.findall(r"(?m)^(.*): OK$", done.stdout))
    bad = set(re.findall(r"(?m)^error (.*): verification failed$", done.stdout))
    if good | bad != {str(cert.pem) for cert in certs}:
        raise AssertionError(done.stdout)
    return {cert for cert in certs if str(cert.pem) in good}


class OpenSSL(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="mkcluster-pki-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.pool = concurrent.futures.ThreadPoolExecutor()
        cls.addClassCleanup(cls.pool.shutdown)
        cls.bundles = bundle.make_all(WRITER, folder.name)
        cls.plain = cls.bundles["ECDSA-P256"]
        cls.asked = 0

    @classmethod
    def tearDownClass(cls):
        certs = sum(len(b.certs) for b in cls.bundles.values())
        print(f"{certs} certificates of {len(cls.bundles)} algorithms, "
              f"{cls.asked} verdicts of OpenSSL")

    def all_at_once(self, function, items):
        for item, outcome in zip(items, self.pool.map(lambda i: function(*i), items)):
            type(self).asked += outcome[0]
            self.assertEqual(outcome[1], outcome[2], item)

    def test_nothing_is_missing(self):
        for made in self.bundles.values():
            self.assertEqual(len(made.certs), 12 + 3 * 5 + 2 * 2)
            found = {re.sub(r".*/(pki|secrets)/", "", str(path.with_suffix("")))
                     for path in made.folder.rglob("*.crt") if path.parent != made.folder}
            found |= {path.stem for path in made.folder.rglob("*.conf")}
            self.assertEqual(found - {"ca-signer"}, {cert.row for cert in made.certs})

    def test_cas_and_purposes(self):
        def check(made, ca, purpose):
            certs = made.leaves()
            found = verified(certs, made.ca(ca), "-purpose", purpose)
            return len(certs), found, {c for c in certs if c.ca == ca and purpose in c.roles}

        self.all_at_once(check, [(made, ca, purpose) for made in self.bundles.values()
                                 for ca in CAS for purpose in ("sslserver", "sslclient")])

    def test_cas_sign_themselves_and_no_ca(self):
        def check(made, ca):
            found = verified([made.ca(c) for c in CAS], made.ca(ca), "-check_ss_sig")
            return len(CAS), found, {made.ca(ca)}

        self.all_at_once(check, [(b, ca) for b in self.bundles.values() for ca in CAS])

    def test_a_leaf_is_no_ca(self):
        """Even where a peer would trust it as one, it cannot vouch for another."""
        leaf = next(c for c in self.plain.certs if c.row == "etcd/server")
        victim = self.plain.leaves()[0]
        for purpose in ("sslserver", "sslclient"):
            self.assertEqual(verified([victim], leaf, "-partial_chain", "-purpose", purpose),
                             set())

    def test_names(self):
        def check(made, ca, name):
            certs = [c for c in made.leaves() if c.ca == ca and c.names]
            option = "-verify_ip" if is_ip(name) else "-verify_hostname"
            found = verified(certs, made.ca(ca), "-purpose", "sslserver", option, name)
            return len(certs), found, {c for c in certs if name in c.names}

        self.all_at_once(check, [
            (made, ca, name) for made in (self.plain, self.bundles["Ed25519"])
            for ca in ("ca", "etcd/ca") for name in sorted(STRANGERS.union(*(c.names for c in made.certs)))])

    def test_names_by_x509(self):
        def check(cert, name):
            option = "-checkip" if is_ip(name) else "-checkhost"
            said = openssl("x509", "-in", cert.pem, "-noout", option, name).stdout
            return 1, "does match certificate" in said, name in cert.names

        servers = [c for c in self.plain.certs if c.names]
        self.assertEqual(len(servers), 3 + 3 + 3 + 5 + 1)
        self.all_at_once(check, [(c, name) for c in servers
                                 for name in sorted(c.names | STRANGERS)])

    def ends(self, cert, seconds):
        """Whether the certificate, which was made a moment ago, ends after so long."""
        before, after = (openssl("x509", "-in", cert.pem, "-noout", "-checkend", s).returncode
                         for s in (seconds - 900, seconds))
        return (before, after) == (0, 1)

    def test_lifetimes(self):
        brief = Bundle(WRITER, f"{self.folder}/brief", "Ed25519", 1, 1, 2, 3)
        cut = Bundle(WRITER, f"{self.folder}/cut", "Ed25519", 1, 1, 9, 3)
        cases = [(self.plain, 365, 3650), (brief, 2, 3), (cut, 3, 3)]
        self.all_at_once(
            lambda made, cert, days: (2, self.ends(cert, days * DAY), True),
            [(made, cert, ca if cert.is_ca else leaf)
             for made, leaf, ca in cases for cert in made.certs])

    def test_times(self):
        short = Bundle(WRITER, f"{self.folder}/short", "ECDSA-P256", 1, 1, 2, 3)
        now = int(time.time())
        wanted = [(-3600, False), (-290, True), (0, True), (2 * DAY - 900, True),
                  (2 * DAY + 1, False), (4 * DAY, False)]
        for made_at, good in wanted:
            for ca in CAS:
                certs = [c for c in short.leaves() if c.ca == ca]
                found = verified(certs, short.ca(ca), "-attime", now + made_at)
                self.assertEqual(found, set(certs) if good else set(), made_at)

    def test_keys(self):
        def check(made, cert):
            public = openssl("x509", "-in", cert.pem, "-noout", "-pubkey").stdout
            of_key = openssl("pkey", "-in", cert.key, "-pubout").stdout
            kind = openssl("pkey", "-in", cert.key, "-noout", "-text_pub").stdout
            return 1, (of_key, KEYS[made.algorithm] in kind.split("\n")[0]), (public, True)

        self.all_at_once(check, [(b, c) for b in self.bundles.values() for c in b.certs])

    def test_token_keys(self):
        """Kubernetes signs tokens with RSA and ECDSA keys only."""
        for algorithm, made in self.bundles.items():
            pki = made.folder / made.nodes[0] / "etc/kubernetes/pki"
            of_key = openssl("pkey", "-in", pki / "sa.key", "-pubout").stdout
            kind = openssl("pkey", "-in", pki / "sa.key", "-noout", "-text_pub").stdout
            self.assertEqual(of_key, (pki / "sa.pub").read_text())
            wanted = "ECDSA-P256" if algorithm == "Ed25519" else algorithm
            self.assertIn(KEYS[wanted], kind.split("\n")[0])


if __name__ == "__main__":
    unittest.main()

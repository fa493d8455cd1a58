#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All certificates of a cluster before ZLint: test_zlint.py WRITER LINTER

LINTER is built from tests/pki/zlint, unless it is there and up to date. ZLint knows the
rules of the public web's CAs as well, and we keep to those that have a meaning here:
every lint that finds something is named below, with the reason why it may.
"""
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import bundle

LINTER = pathlib.Path(sys.argv.pop())
WRITER = sys.argv.pop()
SOURCE = pathlib.Path(__file__).resolve().parent / "zlint"

JUDGES = ["RFC3279", "RFC5280", "RFC5480", "RFC5891", "RFC8813", "Community", "Mozilla",
          "CABF_BR"]
NO_JUDGES = {
    "RFC6962": "certificate transparency: a private CA is in no public log",
    "Apple": "certificate transparency again, and the lifetimes of the public web",
    "CABF_CS_BR": "signing of code",
    "CABF_SMIME_BR": "signing of mail",
    "CABF_EV": "extended validation: names of companies",
    "ETSI_ESI": "qualified certificates of the European Union",
}

PRIVATE = "its names are this cluster's, and no public CA's to vouch for: "
EXCUSED = {
    "n_san_iana_pub_suffix_empty": ("info", PRIVATE + "nodes, localhost, kubernetes"),
    "e_dnsname_not_valid_tld": ("error", PRIVATE + "nodes, localhost, cluster.local"),
    "e_ext_san_contains_reserved_ip": ("error", PRIVATE + "addresses of a private network"),
    "e_subject_common_name_not_exactly_from_san": (
        "error", "the common name is a user to Kubernetes, and no host"),
    "e_dnsname_bad_character_in_label": ("error", "takes that user, system:node:NAME, for a host"),
    "w_subject_common_name_included": ("warn", "Kubernetes takes the user from nowhere else"),
    "e_sub_cert_country_name_must_appear": (
        "error", "the organization is a group to Kubernetes, and has no country"),
    "e_sub_cert_locality_name_must_appear": ("error", "nor a place"),
    "e_sub_cert_province_must_appear": ("error", "nor a province"),
    "e_ca_country_name_missing": ("error", "nobody's CA: it has no country"),
    "e_ca_organization_name_missing": (
        "error", "nor an organization, which could be taken for a group"),
    "e_sub_cert_cert_policy_empty": ("error", "there is no policy of issuing to point to"),
    "e_sub_cert_certificate_policies_missing": ("error", "the same"),
    "e_sub_cert_aia_missing": ("error", "who trusts a CA of ours has its certificate"),
    "w_sub_cert_aia_does_not_contain_issuing_ca_url": ("warn", "the same"),
    "w_ext_subject_key_identifier_not_recommended_subscriber": (
        "warn", "RFC 5280, section 4.2.1.2, recommends it; it saves the web some bytes"),
    "w_root_ca_basic_constraints_path_len_constraint_field_present": (
        "warn", "on purpose: OpenSSL and Go keep to it in a root, and no CA may follow ours"),
    "n_ca_digital_signature_not_set": ("info", "our CAs sign no answers of OCSP"),
}
# The rules of the web's CAs know RSA and ECDSA only, and so do browsers.
EXCUSED_ED25519 = {
    "e_signature_algorithm_not_supported": ("error", "Ed25519 is what the user asked for"),
    "e_algorithm_identifier_improper_encoding": ("error", "the same, for the key"),
}

# What is wrong, in the words of a section of `openssl req`, and the lint that must say so.
GOOD = {"basicConstraints": "critical,CA:FALSE", "keyUsage": "critical,digitalSignature",
        "extendedKeyUsage": "clientAuth", "subjectKeyIdentifier": "hash",
        "authorityKeyIdentifier": "keyid:always"}
CA = {"basicConstraints": "critical,CA:TRUE,pathlen:0",
      "keyUsage": "critical,keyCertSign,cRLSign", "extendedKeyUsage": None,
      "subjectKeyIdentifier": "hash", "authorityKeyIdentifier": "keyid:always"}
BROKEN = {
    "e_ext_subject_key_identifier_missing_ca": CA | {"subjectKeyIdentifier": "none"},
    "w_ext_subject_key_identifier_missing_sub_cert": {"subjectKeyIdentifier": "none"},
    "e_ext_authority_key_identifier_no_key_identifier": {"authorityKeyIdentifier": "none"},
    "e_basic_constraints_not_critical": CA | {"basicConstraints": "CA:TRUE"},
    "w_ext_key_usage_not_critical": {"keyUsage": "digitalSignature"},
    "e_key_usage_and_extended_key_usage_inconsistent": {"keyUsage": "critical,keyEncipherment"},
    "e_ca_key_cert_sign_not_set": CA | {"keyUsage": "critical,cRLSign"},
    "e_serial_number_longer_than_20_octets": {"serial": "0x01" + 20 * "55"},
}


def run(*args, **options):
    done = subprocess.run([str(a) for a in args], text=True, timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        raise AssertionError(f"{args[:4]} exited {done.returncode}\n{done.stderr}")
    return done.stdout


def build_linter():
    newest = max(path.stat().st_mtime for path in SOURCE.iterdir())
    if LINTER.exists() and LINTER.stat().st_mtime > newest:
        return
    env = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-buildvcs=false -mod=readonly")
    run("go", "build", "-C", SOURCE, "-trimpath", "-ldflags=-s -w", "-o", LINTER.resolve(), ".",
        env=env)


class ZLint(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="mkcluster-zlint-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        build_linter()
        cls.bundles = bundle.make_all(WRITER, folder.name)

    def judge(self, *paths):
        """What the lints say of each file: {path: {lint: result}}."""
        verdicts = json.loads(run(LINTER, "judge", ",".join(JUDGES), *paths))
        return {path: {lint: verdict["result"] for lint, verdict in said.items()}
                for path, said in verdicts.items()}

    def test_sources(self):
        """A source that is new is judged by, or there is a reason why not."""
        sources = json.loads(run(LINTER, "sources"))
        self.assertEqual(set(sources), set(JUDGES) | set(NO_JUDGES))

    def test_bundles(self):
        for algorithm, made in self.bundles.items():
            excused = EXCUSED | (EXCUSED_ED25519 if algorithm == "Ed25519" else {})
            said = self.judge(*(cert.pem for cert in made.certs))
            self.assertEqual(len(said), len(made.certs))
            found = collections.defaultdict(set)
            for cert in made.certs:
                for lint, result in said[str(cert.pem)].items():
                    if result != "pass" and excused.get(lint, ("",))[0] != result:
                        self.fail(f"{algorithm}: {cert}: {lint} says {result}")
                    found[result].add(lint)
            passed = found.pop("pass")
            self.assertEqual(set.union(*found.values()), set(excused), "excuses for nothing")
            print(f"{algorithm}: {len(said)} certificates, {len(passed.union(excused))} lints, "
                  f"{sum(map(len, said.values()))} verdicts, {len(excused)} lints excused, "
                  "no other finds anything")

    def broken(self, name, section):
        settings = GOOD | section
        serial = settings.pop("serial", "0x0155555555")
        config = self.folder / f"{name}.cnf"
        config.write_text("[req]\ndistinguished_name=dn\n[dn]\n[v3]\n" + "".join(
            f"{key}={value}\n" for key, value in settings.items() if value))
        authority = self.bundles["ECDSA-P256"].ca("ca")
        cert = self.folder / f"{name}.pem"
        run("openssl", "req", "-x509", "-config", config, "-extensions", "v3", "-subj",
            "/CN=broken", "-newkey", "rsa:2048", "-noenc", "-keyout", self.folder / "broken.key",
            "-set_serial", serial, "-days", 30, "-CA", authority.pem, "-CAkey", authority.key,
            "-out", cert)
        return cert

    def test_broken_ones_are_found(self):
        certs = {name: str(self.broken(name, section)) for name, section in BROKEN.items()}
        good = str(self.broken("good", {}))
        said = self.judge(good, *certs.values())
        self.assertEqual([lint for lint in BROKEN if said[good].get(lint, "pass") != "pass"], [])
        for lint, path in certs.items():
            self.assertEqual(said[path].get(lint), {"e": "error", "w": "warn"}[lint[0]], lint)


if __name__ == "__main__":
    unittest.main()

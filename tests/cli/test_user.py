# SPDX-License-Identifier: Apache-2.0
"""`kubeconfig user`: what is asked of the cluster, what comes out, and what can go wrong."""

import base64
import json
import os
import stat
import subprocess

import yaml

from cli.harness import CONTEXT, NAME, NODE, CliTest

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


class UserTest(CliTest):
    def setUp(self):
        super().setUp()
        self.behaviour.ready_after = 0
        self.assert_code(self.create("--no-openfaas"), 0)
        self.kubeconfig_before = self.kubeconfig.read_text()
        self.api = self.engine.nodes[0].api

    def user(self, *argv, **options):
        return self.run_cli("kubeconfig", "user", "--name", NAME, *argv, **options)

    def openssl(self, pem, *words):
        return subprocess.run(("openssl", *words), input=pem, check=True,
                              capture_output=True).stdout.decode()

    def parts(self, text):
        """The one entry: (cluster, user, names)."""
        config = yaml.safe_load(text)
        self.assertEqual([len(config[k]) for k in ("clusters", "users", "contexts")], [1, 1, 1])
        context = config["contexts"][0]
        self.assertEqual(config["current-context"], context["name"])
        self.assertEqual(context["context"], {"cluster": config["clusters"][0]["name"],
                                              "user": config["users"][0]["name"]})
        return config["clusters"][0], config["users"][0], context["name"]

    def assert_removed(self):
        self.assertEqual(self.api.csrs, {})

    def fails(self, code, *patterns, argv=("jane",)):
        result = self.user(*argv)
        self.assert_code(result, code)
        self.assertEqual(result.out, "")
        self.assert_said(result, *patterns)
        self.assert_removed()
        return result


class Made(UserTest):
    def test_to_stdout(self):
        result = self.user("jane", "--group", "dev", "-g", "ops=1, x", "--days", "30")
        self.assert_code(result, 0)
        cluster, user, name = self.parts(result.out)
        self.assertEqual((cluster["name"], user["name"], name),
                         (CONTEXT, f"jane@{CONTEXT}", f"jane@{CONTEXT}"))
        self.assertEqual(cluster["cluster"]["server"], f"https://127.0.0.1:{self.api_port}")
        ca = self.engine.find(NODE).files["etc/kubernetes/pki/ca.crt"].data
        self.assertEqual(base64.b64decode(cluster["cluster"]["certificate-authority-data"]), ca)
        cert = base64.b64decode(user["user"]["client-certificate-data"])
        key = base64.b64decode(user["user"]["client-key-data"])
        self.assertEqual(self.openssl(cert, "x509", "-noout", "-subject"),
                         "subject=O = dev, O = \"ops=1, x\", CN = jane\n")
        self.assertEqual(self.openssl(cert, "x509", "-noout", "-pubkey"),
                         self.openssl(key, "pkey", "-pubout"))
        self.assertIn("ASN1 OID: prime256v1", self.openssl(key, "pkey", "-noout", "-text"))
        self.assert_said(result, "^✓ Having a certificate signed .* valid until 20",
                         "kubectl create rolebinding NAME .* --group='dev'")
        self.assertNotIn("instead of", result.err)
        self.assert_removed()
        self.assertEqual(self.kubeconfig.read_text(), self.kubeconfig_before)

    def test_asks_for_no_more_than_it_needs(self):
        mark = len(self.api.log())
        result = self.user("jane", "--days", "2")
        self.assert_code(result, 0)
        log = [line.split("mkcluster-")[0] for line in self.api.log()[mark:]]
        self.assertEqual(log, [f"POST {CSRS}", f"PUT {CSRS}/",
                               f"GET {CSRS}?fieldSelector=metadata.name=", f"DELETE {CSRS}/"])
        sent = self.api.requests[mark].json()["spec"]
        self.assertEqual(sent["expirationSeconds"], 2 * 86400)
        self.assertEqual(sent["usages"], ["digital signature", "client auth"])
        # The key is in no request, of the API or the engine.
        key = self.parts(result.out)[1]["user"]["client-key-data"]
        for server in (self.api, self.engine):
            for request in server.requests:
                self.assertNotIn(key.encode(), request.body)

    def test_to_a_file(self):
        path = self.folder / "jane.conf"
        old = os.umask(0)
        try:
            result = self.user("jane", "--output", str(path))
        finally:
            os.umask(old)
        self.assert_code(result, 0)
        self.assertEqual(result.out, "")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(self.parts(path.read_text())[2], f"jane@{CONTEXT}")

    def test_a_file_that_is_there(self):
        """Nothing is overwritten, and nothing asked for."""
        path = self.folder / "jane.conf"
        path.write_text("mine")
        mark = len(self.engine.log())
        result = self.user("jane", "--output", str(path))
        self.assert_code(result, 4)
        self.assert_said(result, "jane.conf' is there already")
        self.assertEqual(path.read_text(), "mine")
        self.assertEqual(len(self.engine.log()), mark)

    def test_no_such_folder(self):
        self.fails(1, "write '.*none/jane.conf': No such file",
                   argv=("jane", "-o", str(self.folder / "none" / "jane.conf")))

    def test_quiet(self):
        result = self.user("jane", "-q")
        self.assert_code(result, 0)
        self.assertEqual(result.err, "")
        self.parts(result.out)

    def test_trace_has_no_key(self):
        result = self.user("jane", "-v")
        self.assert_code(result, 0)
        user = self.parts(result.out)[1]["user"]
        self.assertNotIn(user["client-key-data"][-60:], result.err)
        self.assertNotIn("PRIVATE", result.err)

    def test_shorter_than_asked_for(self):
        self.behaviour.csr_most_days = 90
        result = self.user("jane")
        self.assert_code(result, 0)
        self.assert_said(result, "^That is 90 days instead of 365: the controller manager's "
                         "--cluster-signing-duration")

    def test_a_system_name_on_purpose(self):
        result = self.user("system:auditor", "--allow-system", "--group", "system:x")
        self.assert_code(result, 0)
        self.assertEqual(self.api.csr_subjects, ["O = system:x, CN = system:auditor"])


class Refused(UserTest):
    def test_names(self):
        long = "x" * 65
        for argv, words in (
                (("",), "the common name is empty"),
                ((long,), "longer than 64"),
                (("jäne",), "not printable ASCII"),
                (("a\nb",), "not printable ASCII"),
                (("jane", "--group", ""), "the organization is empty"),
                (("jane", "--group", "dev", "--group", long), "longer than 64"),
                (("jane", "--days", "0"), "1 to 24855 days, not 0"),
                (("jane", "--days", "24856"), "not 24856"),
                (("jane", "--days", "x"), "not a number"),
                (("system:x",), "user 'system:x': Kubernetes keeps"),
                (("jane", "--group", "system:masters"), "group 'system:masters': Kubernetes keeps"),
                ((), "needs NAME"),
                (("jane", "joe"), "does not know what to do with 'joe'")):
            with self.subTest(argv=argv):
                mark = len(self.engine.log())
                self.fails(2, words, argv=argv)
                self.assertEqual(len(self.engine.log()), mark)

    def test_masters(self):
        """The API server's own words."""
        self.fails(1, r"^mkcluster: ask for a certificate: .*signer with system:masters group is "
                   r"not allowed$", argv=("jane", "--allow-system", "-g", "system:masters"))

    def test_no_cluster(self):
        result = self.run_cli("kubeconfig", "user", "jane", "--name", "none")
        self.assert_code(result, 4)
        self.assert_said(result, "no cluster 'none'")

    def test_denied(self):
        self.behaviour.csr = "denied"
        self.fails(1, "^mkcluster: approve the certificate: somebody has denied the request: "
                   "NotToday: ask again$")

    def test_signer_fails(self):
        self.behaviour.csr = "failed"
        self.fails(1, "^mkcluster: wait for the certificate: the signer has refused the request: "
                   "SignerValidationFailure: invalid usage$")

    def test_deleted(self):
        self.behaviour.csr = "deleted"
        self.fails(6, "wait for the certificate", argv=("jane", "--timeout", "1s"))

    def test_garbage(self):
        self.behaviour.csr = "garbage"
        self.fails(1, "read a certificate")

    def test_never_signed(self):
        self.behaviour.csr = "never"
        self.fails(6, "^mkcluster: wait for the certificate: ", "the controller manager signs",
                   argv=("jane", "--timeout", "1s"))

    def test_stopped(self):
        self.engine.kill(NODE)
        self.fails(1, "ask for a certificate: .*Failed to connect", f"mkcluster get nodes --name {NAME}")


class Broken(UserTest):
    """Faults at each request: an end with one line, and no request object stays if it can
    be helped."""

    STEPS = (f"POST {CSRS}", f"PUT {CSRS}/.*/approval", f"GET {CSRS}.*watch=1")

    def test_faults(self):
        for match in self.STEPS:
            for kind in ("status", "hangup", "garbage", "bad_json", "cut", "lost"):
                with self.subTest(match=match, kind=kind):
                    self.api.faults[:] = []
                    self.api.fault(kind, match)
                    result = self.user("jane", "--timeout", "1s")
                    self.assertIn(result.code, (0, 1, 6), str(result))
                    self.assertEqual(result.out == "", result.code != 0)
                    self.assert_removed()

    def test_a_conflict_is_no_end(self):
        self.api.fault("status", f"PUT {CSRS}/.*/approval", times=2, status=409,
                       message="the object has been modified")
        self.assert_code(self.user("jane"), 0)
        self.assert_removed()

    def test_conflicts_for_ever(self):
        self.api.fault("status", f"PUT {CSRS}/.*/approval", times=None, status=409,
                       message="the object has been modified")
        self.fails(1, "approve the certificate: .*has been modified")

    def test_watch_is_opened_again(self):
        self.api.fault("hangup", f"GET {CSRS}.*watch=1", times=2)
        self.assert_code(self.user("jane"), 0)

    def test_interrupt(self):
        self.behaviour.csr = "never"
        for match in self.STEPS:
            with self.subTest(match=match):
                self.api.faults[:] = []
                fault = self.api.fault("slow" if "POST" in match else "hang", match, delay=1)
                running = self.start("kubeconfig", "user", "jane", "--name", NAME)
                result = self.interrupt(running, fault)
                self.assert_code(result, 130)
                self.assertEqual(result.out, "")
                fault.release.set()
                self.assert_removed()


class Internal(UserTest):
    def test_get_kubeconfig_internal(self):
        """The node's name and port, with the same certificates."""
        outside, inside = (json.loads(self.run_cli(
            "get", "kubeconfig", "--name", NAME, "-o", "json", *words).out)
            for words in ((), ("--internal",)))
        self.assertEqual(inside["clusters"][0]["cluster"].pop("server"), f"https://{NODE}:6443")
        self.assertEqual(outside["clusters"][0]["cluster"].pop("server"),
                         f"https://127.0.0.1:{self.api_port}")
        self.assertEqual(inside, outside)

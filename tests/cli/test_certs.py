# SPDX-License-Identifier: Apache-2.0
"""`certs`: what is listed, what is renewed where, and what stays as it was."""

import base64
import json
import os
import re
import time

from cli.harness import NAME, NODE
from cli.membership import LEASE, WORKER, MemberTest

PKI = "etc/kubernetes/pki/"
BEGIN = b"-----BEGIN CERTIFICATE-----"
NODE_UNITS = ["kubelet", "kube-proxy"]
MANAGERS = ["kube-controller-manager", "kube-scheduler"]


class CertsTest(MemberTest):
    def certs(self, verb, *argv, **options):
        return self.run_cli("certs", verb, "--name", NAME, *argv, timeout=25, **options)

    def listed(self, verb="list", *argv, code=0):
        result = self.certs(verb, "--output", "json", *argv)
        self.assert_code(result, code)
        return json.loads(result.out)

    def serials(self):
        return {(c.get("node"), c["name"] or c["path"]): c["serial"]
                for c in self.listed() if c["usage"] != "CA"}

    def file(self, node, name):
        return self.container(node).files[name].data

    def restarted(self, name):
        """The units of each `systemctl restart`, in order."""
        lines = "\n".join(self.container(name).scripts).splitlines()
        return [unit.removesuffix(".service") for line in lines
                if re.match(r"systemctl (try-)?restart", line) for unit in line.split()[2:]]


class List(CertsTest):
    def test_all_are_there(self):
        certs = self.listed()
        places = [(c.get("node"), c["name"]) for c in certs]
        self.assertEqual(len(places), len(set(places)))
        self.assertEqual(len([p for p in places if p[0] == NODE]), 16)
        self.assertEqual([p[1] for p in places if p[0] == WORKER],
                         ["ca", "kubelet", "kubelet-server", "kube-proxy"])
        self.assertEqual(certs[-1]["path"], str(self.kubeconfig))
        self.assertEqual(certs[-1]["subject"], "CN=kubernetes-admin,O=system:masters")
        self.assertEqual((certs[-2]["path"], certs[-2]["name"]),
                         ("secret/kube-system/metrics-server", "metrics-server"))
        server = next(c for c in certs if c["name"] == "apiserver")
        self.assertEqual(server["usage"], "server")
        self.assertEqual(server["path"], "/" + PKI + "apiserver.crt")
        self.assertLessEqual({NODE, "kubernetes.default.svc", "127.0.0.1"}, set(server["names"]))
        self.assertAlmostEqual(server["secondsLeft"], 365 * 86400, delta=120)

    def test_text(self):
        result = self.certs("list")
        self.assert_code(result, 0)
        self.assertRegex(result.out, rf"(?m)^{NODE} +etcd/peer +CN=etcd-peer +client, server +"
                         r"etcd-ca +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ +36[45]d$")
        self.assertRegex(result.out, r"(?m)^\(in the API\) +metrics-server ")
        self.assertEqual(result.err, "")

    def test_nothing_has_to_run(self):
        self.container(NODE).state = "exited"
        result = self.certs("list")
        self.assert_code(result, 0)
        self.assertEqual(len(result.out.splitlines()), 22)
        self.assert_said(result, "not looked at: secret/kube-system/metrics-server, for the "
                         "cluster is exited")

    def test_damage_is_named(self):
        self.container(WORKER).files[PKI + "kubelet-server.crt"].data = b"nothing"
        result = self.certs("list")
        self.assert_code(result, 1)
        self.assert_said(result, f"{WORKER}: /{PKI}kubelet-server.crt: ")

    def test_check(self):
        result = self.certs("check")
        self.assert_code(result, 0)
        self.assertEqual(result.out, "")
        self.assert_said(result, "^22 certificates; the first to expire, .* has 36[45]d$")
        self.assertEqual(len(self.listed("check", "--days", "366", code=1)), 18)
        self.assertEqual(len(self.listed("check", "--days", "3651", code=1)), 22)
        result = self.certs("check", "--days", "366")
        self.assert_said(result, "18 of 22 certificates expire within 366 days; the first, ",
                         f"`mkcluster certs renew --name {NAME}`")

    def test_command_line(self):
        for argv in (("check", "--days", "x"), ("check", "--days", "100000"), ("renew", "--back"),
                     ("list", "more"), ("renew", "--timeout", "soon")):
            self.assert_code(self.certs(*argv), 2)
        for verb in ("list", "check", "renew"):
            result = self.run_cli("certs", verb, "--name", "other")
            self.assert_code(result, 4)
            self.assert_said(result, "no cluster 'other'")


class Renew(CertsTest):
    def test_all_are_new(self):
        before = self.serials()
        cas = {n: self.file(NODE, PKI + n) for n in
               ("ca.crt", "ca.key", "etcd/ca.crt", "front-proxy-ca.key", "sa.key")}
        encryption = self.file(NODE, "etc/kubernetes/encryption-config.yaml")
        result = self.certs("renew")
        self.assert_code(result, 0)
        after = self.serials()
        self.assertEqual(set(after), set(before))
        self.assertEqual([k for k in after if after[k] == before[k]], [])
        for name, data in cas.items():
            self.assertEqual(self.file(NODE, PKI + name), data, name)
        self.assertEqual(self.file(NODE, "etc/kubernetes/encryption-config.yaml"), encryption)
        for node in (NODE, WORKER):
            for name, file in self.container(node).files.items():
                if name.endswith((".key", ".conf")) and name.startswith("etc/kubernetes"):
                    self.assertEqual((file.mode, file.uid), (0o600, 0), name)
                self.assertNotIn("staged", name)
        self.assertEqual(self.members.leases, {})

    def test_what_runs_on(self):
        """etcd and the API server read new pairs by themselves."""
        self.assert_code(self.certs("renew"), 0)
        self.assertEqual(self.restarted(NODE), MANAGERS + NODE_UNITS)
        self.assertEqual(self.restarted(WORKER), NODE_UNITS)

    def test_without_kube_proxy(self):
        """There is no such unit, and no failure for want of it."""
        config = self.container(NODE).files["etc/mkcluster/config.yaml"]
        self.assertIn(b"kubeProxyMode: iptables\n", config.data)
        config.data = config.data.replace(b"kubeProxyMode: iptables", b"kubeProxyMode: none")
        self.assert_code(self.certs("renew"), 0)
        self.assertEqual(self.restarted(NODE), MANAGERS + ["kubelet"])
        self.assertEqual(self.restarted(WORKER), ["kubelet"])

    def test_kubeconfig(self):
        """The user's is kept up to date, and none is made for one who has none."""
        old = self.kubeconfig.read_text()
        result = self.certs("renew")
        self.assert_code(result, 0)
        self.assertNotEqual(self.kubeconfig.read_text(), old)
        self.assertEqual(self.kubeconfig.read_text().count("- name:"), old.count("- name:"))
        self.assert_code(self.run_cli("get", "nodes"), 0)
        other = self.folder / "another"
        result = self.certs("renew", "--kubeconfig", str(other))
        self.assert_code(result, 0)
        self.assert_said(result, f"left alone: it has no context mkcluster-{NAME}")
        self.assertFalse(other.exists())

    def test_secret(self):
        path = "/api/v1/namespaces/kube-system/secrets/metrics-server"
        old = self.api.objects[path]["data"]["tls.crt"]
        self.assert_code(self.certs("renew"), 0)
        new = self.api.objects[path]["data"]["tls.crt"]
        self.assertNotEqual(new, old)
        self.assertIn(BEGIN, base64.b64decode(new))

    def test_nothing_secret_is_said(self):
        result = self.certs("renew", "-v")
        self.assert_code(result, 0)
        self.assertNotIn("PRIVATE", result.err + result.out)
        for node in (NODE, WORKER):
            self.assertNotIn("PRIVATE", "".join(self.container(node).scripts))

    def test_a_node_fails(self):
        """It is named, and the next run does it all."""
        self.behaviour.exec["sh -ec"] = lambda container, command: (
            (1, "Job for kubelet.service failed\n") if container.name == WORKER
            else self.engine.run_command(container, command))
        result = self.certs("renew")
        self.assert_code(result, 1)
        self.assert_said(result, f"^mkcluster: Other nodes: node '{WORKER}' did not take the "
                         "change: Job for kubelet.service failed")
        self.assertEqual(self.members.leases, {})
        del self.behaviour.exec["sh -ec"]
        before = self.serials()
        self.assert_code(self.certs("renew"), 0)
        after = self.serials()
        self.assertEqual([k for k in after if after[k] == before[k]], [])

    def test_files_are_refused(self):
        """Then no program has been touched."""
        self.engine.fault("status", "PUT .*/archive", status=500)
        result = self.certs("renew")
        self.assert_code(result, 1)
        self.assert_said(result, "Control planes: tell node '")
        self.assertEqual(self.container(NODE).scripts + self.container(WORKER).scripts, [])
        self.assert_as_before(result)

    def test_lock(self):
        text = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
        self.members.leases[LEASE] = {
            "metadata": {"name": LEASE, "resourceVersion": "7"},
            "spec": {"holderIdentity": f"elsewhere:{os.getpid()}", "leaseDurationSeconds": 300,
                     "renewTime": text}}
        result = self.certs("renew")
        self.assert_code(result, 4)
        self.assert_said(result, "another run .* holds the lock")


class Cas(CertsTest):
    def stage(self):
        names = [n for n in self.container(NODE).files if n.startswith(PKI)]
        return ("issued" if PKI + "ca-previous.crt" in names else
                "trusted" if PKI + "ca-next.crt" in names else "settled")

    def test_trusted_and_back(self):
        old = self.file(NODE, PKI + "ca.crt")
        result = self.certs("renew", "--ca")
        self.assert_code(result, 0)
        self.assert_said(result, "^New CAs are trusted by every node", "with --back, all is as")
        self.assertEqual(self.stage(), "trusted")
        for node in (NODE, WORKER):
            trusted = self.file(node, PKI + "ca.crt")
            self.assertEqual((trusted.count(BEGIN), trusted.startswith(old)), (2, True))
        self.assertEqual(self.file(NODE, PKI + "ca-signer.crt"), old)
        self.assertEqual(self.restarted(NODE), ["etcd", "kube-apiserver"] + MANAGERS + NODE_UNITS)
        self.assertFalse([n for n in self.container(WORKER).files if "-next" in n])
        self.assert_said(self.certs("list"), "new CAs are trusted and do not sign yet")
        result = self.certs("renew", "--ca", "--back")
        self.assert_code(result, 0)
        self.assert_said(result, "^One set of CAs is trusted, and signs.")
        self.assertEqual(self.stage(), "settled")
        for node in (NODE, WORKER):
            self.assertEqual(self.file(node, PKI + "ca.crt"), old)

    def test_nothing_to_go_back_from(self):
        result = self.certs("renew", "--ca", "--back")
        self.assert_code(result, 1)
        self.assert_said(result, "one set of CAs: there is no way back")
        self.assert_as_before(result)

    def test_renewal_stays_at_the_stage(self):
        self.assert_code(self.certs("renew", "--ca"), 0)
        trusted = self.file(WORKER, PKI + "ca.crt")
        self.assert_code(self.certs("renew"), 0)
        self.assertEqual(self.stage(), "trusted")
        self.assertEqual(self.file(WORKER, PKI + "ca.crt"), trusted)

    def test_half_a_stage_is_finished_first(self):
        """Going on would leave a node that does not trust who signs."""
        old = self.file(WORKER, PKI + "ca.crt")
        self.assert_code(self.certs("renew", "--ca"), 0)
        self.container(WORKER).files[PKI + "ca.crt"].data = old
        self.container(NODE).scripts.clear()
        result = self.certs("renew", "--ca")
        self.assert_code(result, 0)
        self.assert_said(result, "this one has finished it, and gone no further")
        self.assertEqual(self.stage(), "trusted")
        self.assertEqual(self.file(WORKER, PKI + "ca.crt"), self.file(NODE, PKI + "ca.crt"))
        self.assertIn("etcd", self.restarted(NODE))

    def test_every_node_has_to_run(self):
        self.container(WORKER).state = "exited"
        result = self.certs("renew", "--ca")
        self.assert_code(result, 3)
        self.assert_said(result, f"node '{WORKER}' does not run: it would not learn of new CAs")
        self.assert_as_before(result, besides=["containers"])
        # A renewal reaches it all the same: its files are in their places.
        before = self.serials()
        self.assert_code(self.certs("renew"), 0)
        self.assertEqual([k for k, v in self.serials().items() if before[k] == v], [])
        self.assertEqual(self.container(WORKER).scripts, [])

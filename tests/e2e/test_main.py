# SPDX-License-Identifier: Apache-2.0
"""The main job on real components: one cluster, everything a user would do with it.

The tests of a class share its cluster and run in the order of their names."""
import base64
import json
import os
import stat
import time
import unittest

import cluster
from cluster import Place, docker, engine_state, files_below, http, run, wait_for

OTHER = """apiVersion: v1
kind: Config
current-context: other
clusters:
- name: other
  cluster: {server: "https://192.0.2.1:6443", made-up-field: kept}
users:
- name: other
  user: {token: abc}
contexts:
- name: other
  context: {cluster: other, user: other}
preferences: {}
"""
PROBE = f"example.local/probe:{cluster.SUFFIX}"
ECHO = f"example.local/echo:{cluster.SUFFIX}"


class MainJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cluster.host_tools()
        cls.before = engine_state()
        cls.place = Place("main")
        cls.place.kubeconfig.write_text(OTHER)
        os.chmod(cls.place.kubeconfig, 0o640)
        cls.created = cls.place.create()
        cluster.build_probe(PROBE)
        cls.place.mkcluster("load", "image", PROBE, "--name", cls.place.name)

    @classmethod
    def tearDownClass(cls):
        cls.place.close()
        for image in (PROBE, ECHO):
            run("docker", "rmi", image, check=False)

    def test_01_create_says_what_to_do_next(self):
        text = self.created.stderr
        self.assertEqual(self.created.stdout, "")
        self.assertIn(self.place.gateway(), text)
        self.assertIn("/ui/", text)
        self.assertIn("mkcluster get password", text)
        self.assertIn("stand-in", text)
        self.assertNotIn(self.place.password(), text)

    def test_02_node_is_ready(self):
        node = json.loads(self.place.kubectl("get", "nodes", "-o", "json").stdout)["items"]
        self.assertEqual([n["metadata"]["name"] for n in node], [self.place.node()])
        self.assertEqual(node[0]["status"]["nodeInfo"]["kubeletVersion"], "v1.36.3")
        ready = [c["status"] for c in node[0]["status"]["conditions"] if c["type"] == "Ready"]
        self.assertEqual(ready, ["True"])
        version = json.loads(self.place.kubectl("version", "-o", "json").stdout)
        self.assertEqual(version["clientVersion"]["gitVersion"], "v1.36.3")
        self.assertEqual(version["serverVersion"]["gitVersion"], "v1.36.3")

    def test_03_every_unit_runs(self):
        def running():
            return run("docker", "exec", self.place.node(), "systemctl", "is-system-running",
                       check=False).stdout.strip() == "running"
        wait_for("systemd is running", running, seconds=30)

    def test_04_kubeconfig_keeps_what_it_held(self):
        text = self.place.kubeconfig.read_text()
        self.assertIn("made-up-field", text)
        self.assertEqual(stat.S_IMODE(self.place.kubeconfig.stat().st_mode), 0o640)
        contexts = self.place.kubectl("config", "get-contexts", "-o", "name").stdout.split()
        self.assertEqual(sorted(contexts), sorted(["other", f"mkcluster-{self.place.name}"]))
        current = self.place.kubectl("config", "current-context").stdout.strip()
        self.assertEqual(current, f"mkcluster-{self.place.name}")

    def test_05_a_pod_resolves_names(self):
        names = ["kubernetes.default", "gateway.openfaas.svc.cluster.local",
                 # Through the engine's own resolver: a name outside the cluster's domain.
                 self.place.node()]
        self.place.kubectl("run", "resolve", "--image", PROBE, "--image-pull-policy=Always",
                           "--restart=Never", "--", "resolve", *names)
        try:
            self.place.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/resolve",
                               "--timeout=60s")
        finally:
            logs = self.place.kubectl("logs", "resolve", check=False).stdout
        answers = dict(line.split() for line in logs.splitlines())
        self.assertEqual(answers["kubernetes.default"], "10.96.0.1")
        self.assertEqual(len(answers), 3, logs)

    def test_06_logs_exec_and_port_forward_reach_the_kubelet(self):
        self.place.kubectl("run", "serve", "--image", PROBE, "--restart=Never", "--", "serve")
        self.place.kubectl("wait", "--for=condition=Ready", "pod/serve", "--timeout=60s")
        answer = self.place.kubectl("exec", "serve", "--", "/probe", "resolve",
                                    "kubernetes.default.svc.cluster.local").stdout
        self.assertIn("10.96.0.1", answer)
        answer = self.place.kubectl(
            "get", "--raw", "/api/v1/namespaces/default/pods/serve:8080/proxy/").stdout
        self.assertTrue(answer.startswith("from "), answer)

    def test_07_secrets_are_encrypted_in_etcd(self):
        self.place.kubectl("create", "secret", "generic", "visible",
                           "--from-literal=word=plainly-visible")
        raw = run("docker", "exec", self.place.node(), "etcdctl",
                  "--endpoints=https://127.0.0.1:2379",
                  "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
                  "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt",
                  "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key",
                  "get", "/registry/secrets/default/visible", "--write-out=json").stdout
        value = base64.b64decode(json.loads(raw)["kvs"][0]["value"])
        self.assertTrue(value.startswith(b"k8s:enc:"), value[:40])
        self.assertNotIn(b"plainly-visible", value)

    def test_08_anonymous_callers_see_health_alone(self):
        api = "https://" + self.place.cluster()["api"]
        ca = self.place.folder / "ca.crt"
        ca.write_text(docker("exec", self.place.node(), "cat", "/etc/kubernetes/pki/ca.crt"))
        import ssl
        import urllib.error
        import urllib.request
        context = ssl.create_default_context(cafile=str(ca))
        with urllib.request.urlopen(api + "/readyz", context=context, timeout=10) as answer:
            self.assertEqual(answer.read(), b"ok")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(api + "/api/v1/namespaces", context=context, timeout=10)
        self.assertEqual(refused.exception.code, 401)

    def test_10_wrong_password_is_refused(self):
        gateway = self.place.gateway()
        self.assertEqual(http(gateway + "/system/functions", user=("admin", "wrong"))[0], 401)
        self.assertEqual(http(gateway + "/system/functions")[0], 401)
        self.assertEqual(http(gateway + "/ui/")[0], 401)
        user = ("admin", self.place.password())
        self.assertEqual(http(gateway + "/ui/", user=user)[0], 200)
        refused = self.place.faas("login", "--password-stdin", stdin="wrong", check=False)
        self.assertNotEqual(refused.returncode, 0)

    def test_11_deploy_and_invoke_a_function(self):
        self.place.load_function(ECHO)
        self.place.faas("login", "--password-stdin", stdin=self.place.password())
        self.place.faas("deploy", "--image", ECHO, "--name", "echo",
                        "--label", "com.openfaas.scale.min=1")
        answer = wait_for("the function answers", lambda: self.place.faas(
            "invoke", "echo", stdin="hello", check=False).stdout == "hello")
        self.assertTrue(answer)
        self.assertIn("echo", self.place.faas("list").stdout)
        policy = self.place.kubectl("-n", "openfaas-fn", "get", "deploy", "echo", "-o",
                                    "jsonpath={..imagePullPolicy}").stdout
        self.assertEqual(policy, "Always")

    def test_12_async_call_is_executed(self):
        status, _ = http(self.place.gateway() + "/async-function/echo", data=b"later",
                         headers={"X-Call-Id": "e2e-async"})
        self.assertEqual(status, 202)

        def executed():
            logs = self.place.kubectl("-n", "openfaas", "logs", "deploy/queue-worker").stdout
            return "Invoked: echo [200]" in logs
        wait_for("the queue-worker calls the function", executed, seconds=30)

    def test_13_second_load_sends_nothing(self):
        start = time.monotonic()
        report = json.loads(self.place.mkcluster(
            "load", "image", ECHO, "--name", self.place.name, "--output", "json").stdout)
        self.assertLess(time.monotonic() - start, 1.0)
        self.assertEqual([i["bytesSent"] for i in report], [0])

    def test_14_load_archive_from_standard_input(self):
        image = f"example.local/again:{cluster.SUFFIX}"
        run("docker", "tag", ECHO, image)
        try:
            pipe = f"docker save {image} | {cluster.MKCLUSTER} load archive - " \
                   f"--name {self.place.name}"
            run("sh", "-c", pipe, env=self.place.env)
        finally:
            run("docker", "rmi", image)
        self.place.faas("deploy", "--image", image, "--name", "again")
        wait_for("the function answers", lambda: self.place.faas(
            "invoke", "again", stdin="once more", check=False).stdout == "once more")

    def test_20_everything_is_back_after_a_restart(self):
        gateway, password = self.place.gateway(), self.place.password()
        docker("restart", self.place.node())
        wait_for("the node is Ready", lambda: "Ready" in self.place.kubectl(
            "get", "nodes", "--no-headers").stdout.split(), seconds=90)
        wait_for("the function answers", lambda: self.place.faas(
            "invoke", "echo", stdin="back", check=False).stdout == "back", seconds=120)
        self.assertEqual(self.place.gateway(), gateway)
        self.assertEqual(self.place.password(), password)
        self.place.kubectl("delete", "pod", "resolve", "--ignore-not-found")
        self.test_05_a_pod_resolves_names()
        wait_for("functions are listed", lambda: "echo" in self.place.faas("list").stdout)

    def test_21_functions_are_removed(self):
        self.place.faas("remove", "echo")
        self.place.faas("remove", "again")
        wait_for("no deployment is left", lambda: self.place.kubectl(
            "-n", "openfaas-fn", "get", "deploy", "-o", "name").stdout == "")

    def test_90_delete_leaves_nothing(self):
        self.place.mkcluster("delete", "--name", self.place.name)
        self.assertEqual(engine_state(), self.before)
        contexts = run(cluster.TOOLS / "kubectl", "config", "get-contexts", "-o", "name",
                       env=self.place.env).stdout.split()
        self.assertEqual(contexts, ["other"])
        self.assertNotIn(self.place.name, self.place.kubeconfig.read_text())
        left = [f for f in files_below(self.place.folder)
                if not f.startswith((".openfaas", ".kube", ".cache", "go"))]
        self.assertEqual(left, ["ca.crt", "kubeconfig"])
        again = self.place.mkcluster("delete", "--name", self.place.name)
        self.assertEqual((again.stdout, again.stderr), ("", ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)

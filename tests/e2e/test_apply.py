# SPDX-License-Identifier: Apache-2.0
"""`apply -f` and `delete -f` on a real API server, with kubectl as the other manager."""
import json
import time
import unittest

import cluster
from cluster import Place

CRD = """\
apiVersion: example.com/v1
kind: Widget
metadata: {name: w, namespace: shop}
spec: {size: 3}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
"""
MAP = "---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {0}, namespace: shop}}, " \
      "data: {{colour: red, size: big}}}}\n"
BAD_IMAGE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "no.such.example/x:1"}]}
"""


class Apply(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cluster.host_tools()
        cls.place = Place("app")
        cls.addClassCleanup(cls.place.close)
        cls.place.create("--no-openfaas")

    def run_verb(self, verb, text, *args, check=True):
        return self.place.mkcluster(verb, "-f", "-", "--name", self.place.name, *args, stdin=text,
                                    check=check)

    def apply(self, text, *args, **options):
        return self.run_verb("apply", text, *args, **options)

    def objects(self):
        """All that this test may make, with what would show a change."""
        listed = self.place.kubectl("get", "ns,crd,cm,secret,deploy", "-A", "-o", "json").stdout
        # The addons still come up: the status of their Deployments changes.
        return sorted((o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"],
                       o["metadata"].get("generation") or o["metadata"]["resourceVersion"])
                      for o in json.loads(listed)["items"])

    def test_01_dry_run_changes_nothing(self):
        before = self.objects()
        result = self.apply(CRD, "--dry-run=server")
        self.assertEqual(result.stdout.splitlines(), [
            "namespace/shop created (server dry run)",
            "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created "
            "(server dry run)",
            "widget.example.com/w untried (server dry run): its namespace does not exist yet"])
        self.assertEqual(self.objects(), before)

    def test_02_crd_and_object(self):
        """In one file, the object first."""
        names = ("namespace/shop",
                 "customresourcedefinition.apiextensions.k8s.io/widgets.example.com",
                 "widget.example.com/w")
        for verb in ("created", "unchanged"):
            self.assertEqual(self.apply(CRD).stdout.splitlines(), [f"{n} {verb}" for n in names])
        self.assertEqual(self.place.kubectl("get", "widgets", "-n", "shop", "-o",
                                            "jsonpath={.items[*].spec.size}").stdout, "3")

    def test_03_conflict(self):
        self.apply(MAP.format("shared"))
        self.place.kubectl("-n", "shop", "patch", "configmap", "shared", "-p",
                           '{"data": {"colour": "blue"}}')
        refused = self.apply(MAP.format("shared") + MAP.format("free"), check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertEqual(refused.stdout, "configmap/free created\n")
        self.assertIn('stdin:2:1: configmap/shared: .data.colour belongs to "kubectl-patch"',
                      refused.stderr)
        self.assertIn("--force-conflicts", refused.stderr)
        self.assertEqual(self.apply(MAP.format("shared"), "--force-conflicts").stdout,
                         "configmap/shared configured\n")
        self.assertEqual(self.place.kubectl("-n", "shop", "get", "cm", "shared", "-o",
                                            "jsonpath={.data.colour}").stdout, "red")

    def test_04_prune(self):
        given = ("--applyset", "app", "--prune", "--namespace", "shop")
        self.apply(MAP.format("one") + MAP.format("two") + MAP.format("three"), *given)
        # Somebody else takes one over: it is no longer ours to delete.
        self.place.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-",
                           stdin=MAP.format("three"))
        before = self.objects()
        lines = ["configmap/one unchanged", "configmap/three kept: 'kubectl' applies it too",
                 "configmap/two pruned"]
        tried = self.apply(MAP.format("one"), *given, "--dry-run=server").stdout.splitlines()
        self.assertEqual([t.replace(" (server dry run)", "") for t in tried], lines)
        self.assertEqual(self.objects(), before)
        failed = self.apply(MAP.format("one") + MAP.format("Bad_Name"), *given, check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn(("ConfigMap", "shop", "two"), [o[:3] for o in self.objects()])
        self.assertEqual(self.apply(MAP.format("one"), *given).stdout.splitlines(), lines)
        names = [o[2] for o in self.objects() if o[:2] == ("ConfigMap", "shop")]
        self.assertEqual(names, ["free", "kube-root-ca.crt", "one", "shared", "three"])
        # kubectl takes the parent for what it is, and leaves it alone.
        self.place.env["KUBECTL_APPLYSET"] = "true"
        other = self.place.kubectl("apply", "--prune", "--applyset", "app", "-n", "shop", "-f", "-",
                                   stdin=MAP.format("one"), check=False)
        self.assertNotEqual(other.returncode, 0)
        self.assertRegex(other.stderr, "managed by.*mkcluster|mkcluster.*kubectl")

    def test_05_wait_says_why(self):
        start = time.monotonic()
        late = self.apply(BAD_IMAGE, "--wait", "--timeout", "8s", check=False)
        self.assertEqual(late.returncode, 6)
        self.assertLess(time.monotonic() - start, 12)
        self.assertEqual(late.stdout, "deployment.apps/web created\n")
        self.assertRegex(late.stderr, r"deployment\.apps/web: 0 of 1 available; .*pod web-\S+: "
                                      r"(ErrImagePull|ImagePullBackOff): .*no\.such\.example")

    def test_06_secrets_stay_secret(self):
        secret = '{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: shop}, ' \
                 'type: 7, stringData: {password: hunter2hunter2}}'
        result = self.place.mkcluster("-v", "apply", "-f", "-", "--name", self.place.name,
                                      stdin=secret, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertNotIn("hunter2", result.stdout + result.stderr)

    def test_07_delete_leaves_nothing(self):
        everything = CRD + "---\n" + BAD_IMAGE + MAP.format("one") + MAP.format("gone")
        lines = self.run_verb("delete", everything).stdout.splitlines()
        self.assertIn("configmap/gone not found", lines)
        self.assertEqual(lines[0], "widget.example.com/w deleted")
        self.assertEqual(lines[-1], "namespace/shop deleted")
        self.assertEqual([o for o in self.objects() if "shop" in o[1:3] or
                          o[2] == "widgets.example.com"], [])
        again = self.run_verb("delete", everything).stdout.splitlines()
        self.assertEqual([line.split(" ", 1)[1] for line in again], ["not found"] * 6)
        self.assertEqual(self.place.cluster()["running"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)

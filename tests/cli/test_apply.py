# SPDX-License-Identifier: Apache-2.0
"""`apply -f` and `delete -f`, and that the latter is never the cluster's `delete`."""

import json
import os
import re
import subprocess

from cli.harness import CONTEXT, NAME, NODE, CliTest

MAP = "---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {0}}}, data: {{a: {1}}}}}\n"
MAPS = "/api/v1/namespaces/default/configmaps/"
PARENT = "/api/v1/namespaces/default/secrets/app"


class Objects(CliTest):
    def setUp(self):
        super().setUp()
        self.assert_code(self.create("--no-openfaas"), 0)
        self.api = self.engine.nodes[0].api
        self.folder.joinpath("app.yaml").write_text(MAP.format("one", "x") + MAP.format("two", "y"))

    def apply(self, *argv, **options):
        return self.run_cli("apply", "--name", NAME, *argv, **options)

    def there(self):
        return sorted(path.removeprefix(MAPS) for path in self.api.objects
                      if path.startswith(MAPS))

    def test_apply_and_delete(self):
        result = self.apply("-f", "app.yaml")
        self.assert_code(result, 0)
        self.assertEqual(result.out, "configmap/one created\nconfigmap/two created\n")
        changed = MAP.format("one", "x") + MAP.format("two", "z")
        self.assertEqual(self.apply("-f", "-", stdin=changed).out,
                         "configmap/one unchanged\nconfigmap/two configured\n")
        outcomes = json.loads(self.apply("-f", "app.yaml", "-f", "-", "--output", "json",
                                         stdin=MAP.format("three", "x")).out)
        self.assertEqual([(o["name"], o["outcome"]) for o in outcomes],
                         [("one", "unchanged"), ("two", "configured"), ("three", "created")])
        self.assertEqual(self.there(), ["one", "three", "two"])
        result = self.run_cli("delete", "-f", "app.yaml", "--name", NAME)
        self.assert_code(result, 0)
        self.assertEqual(result.out, "configmap/one deleted\nconfigmap/two deleted\n")
        self.assertEqual(self.there(), ["three"])
        self.assertEqual(self.run_cli("delete", "-f", "app.yaml", "--name", NAME).out,
                         "configmap/one not found\nconfigmap/two not found\n")

    def repository(self):
        """deploy/app.yaml of a branch, and as it was at its first commit."""
        folder = self.folder / "repository"

        def git(*argv):
            done = subprocess.run(
                ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *argv],
                check=True, capture_output=True, text=True,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)})
            return done.stdout.strip()
        (folder / "deploy").mkdir(parents=True)
        git("init", "-q", "-b", "main")
        commits = []
        for names in (("one",), ("one", "two")):
            (folder / "deploy" / "app.yaml").write_text("".join(MAP.format(n, "x") for n in names))
            git("add", "-A")
            git("commit", "-qm", "app")
            commits.append(git("rev-parse", "HEAD"))
        return f"file://{folder}", commits

    def test_repository(self):
        url, (first, second) = self.repository()
        result = self.apply("-f", f"{url}@{first[:10]}:deploy")
        self.assert_code(result, 0)
        self.assertEqual(result.out, "configmap/one created\n")
        self.assert_said(result, f"^from {re.escape(url)} at {first}$")
        result = self.apply("-f", f"{url}@main:deploy/app.yaml")
        self.assert_said(result, f" at {second}$")
        self.assertEqual(result.out, "configmap/one unchanged\nconfigmap/two created\n")
        result = self.run_cli("delete", "-f", f"{url}:deploy", "--name", NAME, "-q")
        self.assert_code(result, 0)
        self.assertEqual((self.there(), result.err), ([], ""))

    def test_repository_that_is_none(self):
        url, _ = self.repository()
        for given, words in ((f"{url}@maim:deploy", "maim.*main"), (f"{url}:nowhere", "nowhere"),
                             (f"{url}-not", "repository-not"), ("ssh://a/b", "ssh"),
                             (url, "no [*].yaml, [*].yml or [*].json in .* at ")):
            result = self.apply("-f", given)
            self.assert_code(result, 2)
            self.assertRegex(result.err.replace("\n", " "), words)
        self.assertEqual(self.there(), [])

    def test_dry_run(self):
        for verb in ("apply", "delete"):
            result = self.run_cli(verb, "-f", "app.yaml", "--dry-run=server", "--name", NAME)
            self.assert_code(result, 0)
            self.assertIn("configmap/one", result.out)
            self.assertEqual(result.out.count("(server dry run)"), 2)
        self.assertEqual(self.there(), [])

    def test_set(self):
        given = ("--applyset", "app", "--prune")
        self.assert_code(self.apply("-f", "app.yaml", *given), 0)
        self.assertIn("ConfigMap", self.api.objects[PARENT]["metadata"]["annotations"][
            "applyset.kubernetes.io/contains-group-kinds"])
        self.assert_code(self.apply("-f", "-", stdin=MAP.format("mine", "x")), 0)
        result = self.apply("-f", "-", *given, stdin=MAP.format("two", "y"))
        self.assertEqual(result.out, "configmap/two unchanged\nconfigmap/one pruned\n")
        self.assertEqual(self.there(), ["mine", "two"])
        self.engine.behaviour.refuse[MAPS + "x"] = (422, "not so")
        self.assert_code(self.apply("-f", "-", *given, stdin=MAP.format("x", "y")), 1)
        self.assertEqual(self.there(), ["mine", "two"])

    def test_refusals(self):
        self.engine.behaviour.refuse[MAPS + "one"] = (422, "data: Invalid value")
        result = self.apply("-f", "app.yaml")
        self.assert_code(result, 1)
        self.assertEqual(result.out, "configmap/two created\n")
        self.assert_said(result, r"app\.yaml:2:1: configmap/one: 422: data: Invalid value$")
        secret = '{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {p: aHVudGVyMg==}}'
        self.engine.behaviour.refuse["/api/v1/namespaces/default/secrets/s"] = (422, "is hunter2")
        result = self.run_cli("-v", "apply", "--name", NAME, "-f", "-", stdin=secret)
        self.assert_code(result, 1)
        for word in ("hunter2", "aHVudGVyMg"):
            self.assertNotIn(word, result.out + result.err)

    def test_mistakes_send_nothing(self):
        before = len(self.api.log())
        cases = [
            (("-f", "gone.yaml"), None, "open 'gone.yaml'"),
            (("-f", ""), None, "an empty name"),
            ((), None, "apply what"),
            (("app.yaml",), None, "does not know what to do with 'app.yaml'"),
            (("-f", "-"), "", "no objects in 1 file"),
            (("-f", "-"), "kind: A\n---\nkind: B\n", r"stdin:3:1: a B without an apiVersion"),
            (("-f", "-", "--namespace", "../x"), "", "'../x' is no name"),
            (("-f", "app.yaml", "--prune"), None, "--prune needs the name of a set"),
        ]
        for argv, stdin, words in cases:
            result = self.apply(*argv, stdin=stdin)
            self.assert_code(result, 2)
            self.assert_said(result, words)
        self.assertEqual(len(self.api.log()), before)

    def test_unknown_kind(self):
        for verb, code, out in (("apply", 2, ""), ("delete", 0, "thing.example.com/x not found: "
                                                               "nor its kind\n")):
            result = self.run_cli(verb, "-f", "-", "--name", NAME,
                                  stdin="{apiVersion: example.com/v1, kind: Thing, "
                                        "metadata: {name: x}}")
            self.assert_code(result, code)
            self.assertEqual(result.out, out)

    def test_never_the_cluster(self):
        """Whatever is wrong about `delete -f`, the cluster stays."""
        for code, *argv in (
                (2, "-f"), (2, "-f", ""), (2, "-f", "gone.yaml"), (2, "app.yaml"),
                (2, "-f", "app.yaml", "--all"), (2, "-f", "app.yaml", "app.yaml"),
                (2, "-f", "app.yaml", "--kubeconfig", "x"), (2, "--namespace", "default"),
                (2, "--no-wait"), (2, "--timeout", "5s"), (2, "--recursive"), (2, "--dry-run=server"),
                (2, "--output", "json"), (2, "--", "-f", "app.yaml"), (0, "-f", "app.yaml")):
            result = self.run_cli("delete", "--name", NAME, *argv)
            self.assert_code(result, code)
        self.assert_code(self.run_cli("delete", "cluster", "-f", "app.yaml", "--name", NAME), 0)
        self.assert_code(self.run_cli("delete", "-f", "app.yaml", "--name", "other"), 4)
        self.assertIn(NODE, self.engine.labelled(NAME))
        self.assertIn(CONTEXT, self.kubeconfig.read_text())
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.assertEqual(self.engine.labelled(NAME), [])

# SPDX-License-Identifier: Apache-2.0
"""Config files: what `config` says of them, and what `create` does. No engine is asked."""

import json
import pathlib
import re

from cli.harness import REPO, CliTest

CONFIGS = REPO / "tests" / "configs"
HEAD = "apiVersion: mkcluster.dev/v1\nkind: Cluster\n"

# Beyond a JSON Schema: rules between fields, sums, and what strings mean.
BEYOND_SCHEMA = {
    "addresses", "address-without-subnet", "api-port", "args", "containerd", "even", "even-nodes",
    "image", "no-addresses", "no-control-plane", "no-room", "overlap", "own-certificates-order",
    "own-certificates-short", "subnets"}
NO_YAML = {"anchors", "not-yaml", "two-documents"}


def files(folder):
    return sorted((CONFIGS / folder).glob("*.yaml"))


def expected(path):
    """The "7:9" of each comment at the start of a bad file."""
    return re.findall(r"^# expect: (\d+:\d+): ", path.read_text(), re.M)


class Config(CliTest):
    def tearDown(self):
        self.assertEqual(self.engine.log(), [])

    def write(self, text):
        path = self.folder / "config.yaml"
        path.write_text(text)
        return str(path)

    def test_bad_files(self):
        for path in files("bad"):
            with self.subTest(path.name):
                result = self.run_cli("config", "validate", str(path))
                self.assert_code(result, 2)
                lines = result.out.splitlines()
                self.assertEqual([line.split(": ")[0] for line in lines],
                                 [f"{path}:{place}" for place in expected(path)])
                self.assertRegex(result.err, rf"^mkcluster: .*: {len(lines)} mistakes?\n$")

    def test_bad_file_as_json(self):
        path = CONFIGS / "bad" / "unknown-key.yaml"
        result = self.run_cli("config", "validate", str(path), "--output", "json")
        self.assert_code(result, 2)
        value = json.loads(result.out)
        self.assertEqual((value["valid"], value["more"], len(value["problems"])), (False, 0, 2))
        self.assertEqual(value["problems"][1], {
            "file": str(path), "line": 7, "column": 3, "path": "networking.podSubnets",
            "message": "unknown key; did you mean 'podSubnet'?"})

    def test_good_files(self):
        for path in files("good") + files("kind"):
            with self.subTest(path.name):
                result = self.run_cli("config", "validate", str(path))
                self.assert_code(result, 0)
                self.assertEqual(result.out, "")
                first = self.run_cli("config", "print", "--config", str(path))
                self.assert_code(first, 0)
                again = self.run_cli("config", "print", "--config", "-", stdin=first.out)
                self.assertEqual(again.out, first.out)

    def test_valid_as_json(self):
        result = self.run_cli("config", "validate", "-", "-o", "json", stdin=HEAD)
        self.assertEqual(json.loads(result.out), {"valid": True, "problems": [], "more": 0})

    def test_no_file(self):
        result = self.run_cli("config", "validate", "nowhere.yaml")
        self.assert_code(result, 2)
        self.assert_said(result, "open 'nowhere.yaml': No such file")

    def test_many_mistakes(self):
        text = HEAD + "".join(f"z{i}: 1\n" for i in range(70))
        result = self.run_cli("config", "validate", self.write(text))
        self.assertEqual(len(result.out.splitlines()), 51)
        self.assertIn("\nand 20 more\n", result.out)
        self.assert_said(result, "70 mistakes")

    def test_print_flags(self):
        result = self.run_cli("config", "print", "--name", "x", "--workers", "2", "--profile",
                              "restricted", "--no-openfaas", "--image", "a/b:1", "-o", "json")
        value = json.loads(result.out)
        self.assertEqual((value["name"], value["profile"], value["image"]),
                         ("x", "restricted", "a/b:1"))
        self.assertEqual([node["role"] for node in value["nodes"]],
                         ["control-plane", "worker", "worker"])
        self.assertIs(value["openfaas"]["enabled"], False)
        self.assertEqual(value["networking"]["podSubnet"], "10.244.0.0/16")

    def test_print_over_file(self):
        result = self.run_cli("config", "print", "--name", "y", "--config",
                              str(CONFIGS / "kind" / "multi-node.yaml"), "-o", "json")
        self.assertEqual(json.loads(result.out)["name"], "y")
        # One that lists no nodes leaves their number open.
        result = self.run_cli("config", "print", "--workers", "2", "--config",
                              str(CONFIGS / "kind" / "features.yaml"), "-o", "json")
        self.assertEqual(len(json.loads(result.out)["nodes"]), 3)

    def test_flags_against_list(self):
        path = str(CONFIGS / "kind" / "multi-node.yaml")
        for flag in ("--workers", "--control-planes"):
            for command in (("create",), ("config", "print")):
                result = self.run_cli(*command, "--config", path, flag, "3")
                self.assert_code(result, 2)
                self.assert_said(result, rf"{flag} cannot be given: '.*' lists the nodes")

    def test_bad_flags(self):
        result = self.run_cli("config", "print", "--control-planes", "2", "--name", "X")
        self.assert_code(result, 2)
        self.assert_said(result, r"mkcluster: name: 'X' cannot name a cluster",
                         r"^controlPlanes: 2 control planes: the number must be odd")

    def test_create_lists_all(self):
        path = CONFIGS / "bad" / "everything-at-once.yaml"
        result = self.run_cli("create", "--config", str(path))
        self.assert_code(result, 2)
        for place in expected(path):
            self.assert_said(result, rf"{re.escape(str(path))}:{place}: ")

    def test_create_looks_for_mounts(self):
        (self.folder / "here").mkdir()
        text = (HEAD + "nodes:\n- mounts:\n  - {hostPath: here, containerPath: /a}\n"
                "  - {hostPath: nowhere, containerPath: /b}\n")
        path = self.write(text)
        self.assert_code(self.run_cli("config", "validate", path), 0)
        result = self.run_cli("create", "--config", path)
        self.assert_code(result, 2)
        self.assert_said(result, rf"config.yaml:6:6: nodes\[0\].mounts\[1\].hostPath: "
                         rf"'{self.folder}/nowhere' does not exist")
        self.assertNotIn("/here", result.err)

    def test_schema(self):
        try:
            import jsonschema
            import yaml
        except ImportError as error:
            self.skipTest(f"{error}: see tests/setup")
        schema = json.loads(self.run_cli("config", "schema").out)
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for path in files("good"):
            validator.validate(yaml.safe_load(path.read_text()))
        for path in files("good") + files("kind"):
            printed = self.run_cli("config", "print", "--config", str(path), "-o", "json").out
            validator.validate(json.loads(printed))
        accepted = {path.stem for path in files("bad")
                    if not path.stem.startswith("kind-") and path.stem not in NO_YAML
                    and validator.is_valid(yaml.safe_load(path.read_text()))}
        self.assertEqual(accepted, BEYOND_SCHEMA)

    def test_readme(self):
        """The examples of README.md are config files, or parts of one."""
        (self.folder / "corp-ca.pem").write_text((CONFIGS / "ca.pem").read_text())
        examples = re.findall(r"(?s)```yaml\n(.*?)```", (REPO / "README.md").read_text())
        self.assertGreaterEqual(len(examples), 2)
        for text in examples:
            whole = text if text.startswith("apiVersion") else HEAD + text
            self.assert_code(self.run_cli("config", "validate", self.write(whole)), 0)

    def test_no_machine_in_files(self):
        for path in pathlib.Path(CONFIGS).rglob("*"):
            if path.is_file():
                self.assertNotIn(str(REPO), path.read_text())

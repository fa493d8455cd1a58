# SPDX-License-Identifier: Apache-2.0
"""The command line itself: help, versions, wrong words. No engine is asked."""

import re

from cli.harness import CliTest


class Words(CliTest):
    def tearDown(self):
        self.assertEqual(self.engine.log(), [])

    def usage_error(self, *argv, says=()):
        result = self.run_cli(*argv)
        self.assert_code(result, 2)
        self.assertEqual(result.out, "")
        self.assert_said(result, *says)
        return result

    def test_help(self):
        result = self.run_cli("--help")
        self.assert_code(result, 0)
        self.assertEqual(result.err, "")
        for command in ("create", "delete", "get clusters", "get nodes", "get kubeconfig",
                        "get password", "load image", "load archive", "build node-image",
                        "version"):
            self.assertRegex(result.out, rf"(?m)^  {command} +\S")

    def test_help_has_three_spellings(self):
        texts = {self.run_cli(*argv).out for argv in
                 (("help", "create"), ("create", "--help"), ("create", "-h"),
                  ("create", "cluster", "--help"))}
        self.assertEqual(len(texts), 1)
        self.assertRegex(texts.pop(), r"(?s)^Usage: mkcluster create .*--retain.*Examples:")

    def test_every_command_has_help(self):
        overview = self.run_cli("--help").out
        commands = re.findall(r"(?m)^  ([a-z]+(?: [a-z-]+)?)  +\S", overview)
        self.assertGreater(len(commands), 9)
        for command in commands:
            result = self.run_cli(*command.split(), "--help")
            self.assert_code(result, 0)
            self.assertIn(f"Usage: mkcluster {command}", result.out)

    def test_version(self):
        results = [self.run_cli(word) for word in ("version", "--version")]
        for result in results:
            self.assert_code(result, 0)
            self.assertRegex(result.out, r"\d")
        self.assertEqual(results[0].out, results[1].out)

    def test_no_command(self):
        result = self.usage_error(says=["no command given"])
        self.assertIn("Usage: mkcluster", result.err)

    def test_bare_group(self):
        result = self.usage_error("get", says=["'get' what"])
        self.assertIn("get password", result.err)
        self.assertNotIn("create", result.err)

    def test_unknown_command(self):
        self.usage_error("craete", says=[r"unknown command 'craete'", r"did you mean 'create'"])
        self.usage_error("get", "clutsers", says=[r"did you mean 'get clusters'"])
        self.usage_error("qqqqqqqq", says=[r"unknown command", r"mkcluster --help"])

    def test_unknown_option(self):
        self.usage_error("create", "--nmae", "x", says=[r"unknown option '--nmae'",
                                                        r"did you mean '--name'"])
        self.usage_error("delete", "--al", says=[r"did you mean '--all'"])
        self.usage_error("create", "-x", says=[r"unknown option '-x'"])
        self.usage_error("create", "--qqqqqqqq", says=[r"create --help"])

    def test_missing_value(self):
        self.usage_error("create", "--name", says=["--name needs a value: NAME"])
        self.usage_error("create", "--timeout", says=["--timeout needs a value"])

    def test_value_where_none_belongs(self):
        self.usage_error("create", "--retain=yes", says=["--retain takes no value"])

    def test_bad_values(self):
        self.usage_error("get", "nodes", "--output", "xml", says=["'xml' is none of text, json"])
        self.usage_error("create", "--profile", "root", says=["none of auto, privileged"])
        for text in ("0", "-1", "5d", "", "999999999999", "1.5s"):
            self.usage_error("create", "--timeout", text, says=["no duration"])

    def test_surplus_arguments(self):
        self.usage_error("create", "mycluster", says=["does not know what to do with 'mycluster'"])
        self.usage_error("get", "nodes", "a", says=["'a'"])

    def test_bad_names(self):
        for name in ("", "-a", "a-", "A", "a_b", "a.b", "a/b", "a b", "x" * 33, "ä", "a\nb",
                     "../x"):
            for command in ("create", "delete"):
                self.usage_error(command, "--name", name, says=["cannot name a cluster"])
        self.usage_error("delete", "--all", "--name", "a", says=["exclude each other"])

    def test_quiet_says_one_line(self):
        for argv in (("create", "--nmae", "x"), ("create", "--name", "A"), ("craete",)):
            result = self.usage_error(*argv, "-q")
            self.assertEqual(len(result.err.splitlines()), 1, str(result))


class Config(CliTest):
    """Config files: every mistake is named, with its place."""

    def tearDown(self):
        self.assertEqual(self.engine.log(), [])

    def refuse(self, text, *patterns):
        path = self.folder / "bad.yaml"
        path.write_text(text)
        result = self.run_cli("create", "--config", str(path))
        self.assert_code(result, 2)
        self.assert_said(result, *patterns)
        self.assert_untouched_kubeconfig()
        return result

    def test_all_mistakes_with_their_places(self):
        result = self.refuse(
            "apiVersion: mkcluster.dev/v2\n"
            "kind: Cluster\n"
            "nmae: x\n"
            "openfaas:\n"
            "  port: 99999\n"
            "networking:\n"
            "  apiServerPort: many\n")
        for line, column, word in ((1, 1, "v2"), (3, 1, "nmae"), (5, 3, "port"),
                                   (7, 3, "apiServerPort")):
            self.assertRegex(result.err, rf"bad\.yaml:{line}:{column}: .*{word}", str(result))

    def test_mandatory(self):
        self.refuse("name: x\n", r"bad\.yaml:\d+:\d+: .*apiVersion", r"bad\.yaml:\d+:\d+: .*kind")

    def test_not_yaml(self):
        self.refuse("a: [1, 2\nb: }", r"bad\.yaml:\d+:\d+")
        self.refuse("", r"bad\.yaml")
        self.refuse("- a\n", r"bad\.yaml:1:1")
        self.refuse("a: 1\na: 2\n", r"bad\.yaml:2:1")
        self.refuse("a: " + "[" * 5000, r"bad\.yaml:1:\d+")
        self.refuse("a: \0\n", r"bad\.yaml")

    def test_missing_file(self):
        result = self.run_cli("create", "--config", str(self.folder / "none.yaml"))
        self.assert_code(result, 2)
        self.assert_said(result, "none.yaml.*No such file")

    def test_a_folder(self):
        self.assert_code(self.run_cli("create", "--config", str(self.folder)), 2)

    def test_values_that_do_not_fit_each_other(self):
        head = "apiVersion: mkcluster.dev/v1\nkind: Cluster\n"
        self.refuse(head + "networking: {podSubnet: 10.96.0.0/16}\n", "overlap")
        self.refuse(head + "networking: {podSubnet: 10.1.2.3/16}\n", "podSubnet")
        self.refuse(head + "networking: {serviceSubnet: 10.0.0.0/30}\n", "serviceSubnet")
        self.refuse(head + "networking: {apiServerAddress: localhost}\n", "not an IPv4 address")
        self.refuse(head + "images: {gatewy: x}\n", "no image has the role 'gatewy'",
                    "did you mean 'gateway'")

    def test_bad_name_in_file(self):
        head = "apiVersion: mkcluster.dev/v1\nkind: Cluster\n"
        self.refuse(head + "name: Bad_Name\n", r"bad\.yaml:3:1: .*Bad_Name")

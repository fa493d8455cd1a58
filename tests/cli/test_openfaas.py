# SPDX-License-Identifier: Apache-2.0
"""`openfaas login`: faas-cli's file, and what else is in it."""

import base64

from cli.harness import NAME, CliTest

OTHER = """auths:
- gateway: https://faas.example
  auth: oauth2
  token: theirs
  options:
  - name: kept
    value: also
"""


class Login(CliTest):
    def setUp(self):
        super().setUp()
        self.assert_code(self.create(), 0)
        self.file = self.folder / "home" / ".openfaas" / "config.yml"
        self.gateway = f"http://127.0.0.1:{self.gateway_port}"

    def login(self, *argv, **options):
        return self.run_cli("openfaas", "login", "--name", NAME, *argv, **options)

    def token(self):
        secret = self.engine.nodes[0].api.objects["/api/v1/namespaces/openfaas/secrets/basic-auth"]
        password = base64.b64decode(secret["data"]["basic-auth-password"])
        return base64.b64encode(b"admin:" + password).decode()

    def entry(self):
        return f"- auth: basic\n  gateway: {self.gateway}\n  token: {self.token()}\n"

    def assert_entry(self, text):
        lines = sorted(line.strip("- ") for line in self.entry().splitlines())
        found = text[text.rindex("- "):]
        self.assertEqual(sorted(line.strip("- ") for line in found.splitlines()), lines)

    def test_new_file(self):
        result = self.login()
        self.assert_code(result, 0)
        self.assert_said(result, f"faas-cli is logged in, by {self.file}",
                         f"export OPENFAAS_URL={self.gateway}$")
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.file.parent.stat().st_mode & 0o777, 0o700)
        self.assertTrue(self.file.read_text().startswith("auths:\n"))
        self.assert_entry(self.file.read_text())
        self.assertEqual(result.out, "")
        self.assertEqual(self.login("-q").err, "")
        self.assertEqual(self.file.read_text().count("gateway:"), 1)

    def test_others_are_kept(self):
        self.file.parent.mkdir()
        self.file.write_text(OTHER)
        self.assert_code(self.login(), 0)
        self.assertTrue(self.file.read_text().startswith(OTHER))
        self.assert_entry(self.file.read_text())

    def test_what_is_not_faas_clis_stays(self):
        self.file.parent.mkdir()
        for text, words in (("auths: {}\n", "no list of auths"), ("- a\n", "no list of auths"),
                            ("auths: [\n", "config.yml:2:")):
            self.file.write_text(text)
            result = self.login()
            self.assert_code(result, 1)
            self.assert_said(result, "log faas-cli in: ", words)
            self.assertEqual(self.file.read_text(), text)

    def test_other_folders(self):
        mine = self.folder / "mine"
        self.assert_code(self.login(env={"OPENFAAS_CONFIG": str(mine)}), 0)
        self.assert_entry((mine / "config.yml").read_text())
        self.assertFalse(self.file.exists())

    def test_nothing_secret_is_said(self):
        result = self.login("-v")
        self.assert_code(result, 0)
        password = base64.b64decode(self.token()).decode().split(":")[1]
        for secret in (password, self.token()):
            self.assertNotIn(secret, result.err + result.out)

    def test_without_openfaas(self):
        self.assert_code(self.run_cli("openfaas", "login", "--name", "other"), 4)
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.assert_code(self.create("--no-openfaas"), 0)
        result = self.login()
        self.assert_code(result, 4)
        self.assert_said(result, "has no OpenFaaS password")
        self.assertFalse(self.file.exists())

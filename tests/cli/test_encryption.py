# SPDX-License-Identifier: Apache-2.0
"""`encryption`: what status shows, and that a rotation ends well however it went. What may
never be (an API server that cannot read something) is watched by the fakes at every step."""

import json
import re

import yaml

from cli.harness import NAME, NODE, CliTest
from fakes.encryption import CONFIG

OTHERS = [f"{NODE}-2", f"{NODE}-3"]


class EncryptionTest(CliTest):
    planes = [NODE]

    def setUp(self):
        super().setUp()
        self.behaviour.ready_after = 0
        options = ("--control-planes", str(len(self.planes))) if len(self.planes) > 1 else ()
        self.assert_code(self.create("--no-openfaas", *options), 0)
        self.shared = self.engine.members[NAME]
        self.api = self.engine.find(NODE).node.api

    def add_secrets(self, count, key="key1"):
        for i in range(count):
            path = f"/api/v1/namespaces/default/secrets/s{i:03}"
            self.api.objects[path] = {"kind": "Secret", "apiVersion": "v1",
                                      "metadata": {"name": f"s{i:03}", "namespace": "default"},
                                      "data": {"word": "c2VjcmV0"}}
            self.shared.under[path] = key

    def rotate(self, *argv, **options):
        return self.run_cli("encryption", "rotate", "--name", NAME, *argv, **options)

    def status(self):
        result = self.run_cli("encryption", "status", "--name", NAME, "--output", "json")
        self.assert_code(result, 0)
        return json.loads(result.out)

    def file(self, name):
        return self.engine.find(name).files[CONFIG]

    def keys(self, name):
        box = yaml.safe_load(self.file(name).data)["resources"][0]["providers"][0]["secretbox"]
        return [key["name"] for key in box["keys"]]

    def write(self, name, *keys):
        """Keys as an earlier run may have left them; the API server has not taken them."""
        config = yaml.safe_load(self.file(name).data)
        config["resources"][0]["providers"][0]["secretbox"]["keys"] = [
            {"name": k, "secret": self.shared.key_bytes.setdefault(k, "QUJD" * 10 + "QUE=")}
            for k in keys]
        self.file(name).data = yaml.safe_dump(config).encode()

    def assert_rotated(self, key):
        """Nothing is left of any other key, and nobody holds the lock."""
        self.assertEqual({name: self.keys(name) for name in self.planes},
                         {name: [key] for name in self.planes})
        self.assertEqual({name: self.file(name).data for name in self.planes},
                         {name: self.file(NODE).data for name in self.planes})
        for name in self.planes:
            file = self.file(name)
            self.assertEqual((file.mode, file.uid, file.gid), (0o600, 0, 0))
            left = [f for f in self.engine.find(name).files if "staged" in f]
            self.assertEqual(left, [])
        self.assertEqual(set(self.shared.under.values()), {key})
        self.assertEqual([s.names for s in self.shared.servers], [[key]] * len(self.planes))
        self.assertEqual(self.shared.leases, {})
        self.assertEqual(self.shared.problems, [])


class One(EncryptionTest):
    def test_status(self):
        self.add_secrets(3)
        self.shared.under["/api/v1/namespaces/default/secrets/s001"] = None
        found = self.status()
        self.assertEqual(found, {
            "cluster": NAME, "provider": "secretbox", "resources": ["secrets"], "agree": True,
            "controlPlanes": [{"name": NODE, "keys": ["key1"], "apiServer": "current"}],
            "stored": [{"key": "key1", "encrypted": True, "secrets": 3, "others": 0},
                       {"key": None, "encrypted": False, "secrets": 1, "others": 0}],
            "rotation": {"underWay": False, "key": "key1", "stage": "none",
                         "next": "begin with a new key"}})
        text = self.run_cli("encryption", "status", "--name", NAME).out
        self.assertRegex(text, rf"(?m)^{NODE} +key1 +has them$")
        self.assertRegex(text, r"(?m)^key1 +3 +0$")
        self.assertRegex(text, r"(?m)^NOT ENCRYPTED +1 +0$")
        self.assertNotIn("under way", text)

    def test_status_of_a_rotation(self):
        self.write(NODE, "key2", "key1")
        found = self.status()
        self.assertEqual(found["controlPlanes"][0],
                         {"name": NODE, "keys": ["key2", "key1"], "apiServer": "behind"})
        self.assertEqual(found["rotation"], {
            "underWay": True, "key": "key2", "stage": "drop",
            "next": "write anew what is stored, then drop the others"})
        text = self.run_cli("encryption", "status", "--name", NAME).out
        self.assertRegex(text, rf"(?m)^{NODE} +key2, key1 +works with an earlier file$")
        self.assertIn("A rotation to key2 is under way", text)

    def test_rotate(self):
        self.add_secrets(45)
        old = self.file(NODE).data
        mark = len(self.api.log())
        result = self.rotate()
        self.assert_code(result, 0)
        self.assertEqual(result.out, "")
        self.assert_said(result, "^✓ Encrypting with key2 ", "^✓ Writing what is stored anew .* 46 objects$",
                         "^✓ Checking etcd .* nothing under another key than key2$",
                         "^✓ Dropping key1 ", f"^Cluster '{NAME}' has key2 alone after ")
        self.assert_rotated("key2")
        self.assertNotEqual(self.file(NODE).data, old)
        log = [re.sub(r"&continue=.*", "&continue", line) for line in self.api.log()[mark:]
               if "leases" not in line]
        self.assertEqual(log[0], "GET /api/v1")
        self.assertEqual([line for line in log if line.startswith("GET")], [
            "GET /api/v1", "GET /api/v1/secrets?limit=20",
            "GET /api/v1/secrets?limit=20&continue", "GET /api/v1/secrets?limit=20&continue"])
        self.assertEqual(sum(line.startswith("PUT") for line in log), 46)
        # What was before is out of reach: at a revision after the last write.
        self.assertEqual(self.shared.compacted, [self.shared.version])
        self.assertEqual([s for s in self.engine.find(NODE).scripts if "restart" in s], [])

    def test_again_and_again(self):
        self.add_secrets(2)
        for key in ("key2", "key3"):
            self.assert_code(self.rotate(), 0)
            self.assert_rotated(key)
        self.assertEqual(len(set(self.shared.key_bytes.values())), 3)

    def test_restart(self):
        self.behaviour.no_reload = {NODE}
        self.add_secrets(2)
        result = self.rotate()
        self.assert_code(result, 1)
        self.assert_said(result, "does not look at its file again", "--restart restarts")
        self.assertEqual(self.keys(NODE), ["key1"])
        self.assert_code(self.rotate("--restart"), 0)
        self.assert_rotated("key2")
        scripts = [s for s in self.engine.find(NODE).scripts if "restart" in s]
        self.assertEqual(len(scripts), 2)
        for script in scripts:
            self.assertIn("/readyz", script)

    def test_no_key_is_shown(self):
        self.add_secrets(2)
        result = self.rotate("-v")
        self.assert_code(result, 0)
        text = result.err + self.run_cli("encryption", "status", "--name", NAME, "-v").err
        self.assertEqual(len(self.shared.key_bytes), 2)
        for secret in self.shared.key_bytes.values():
            self.assertNotIn(secret, text)
        self.assertNotIn("c2VjcmV0", text)

    def test_goes_on(self):
        """From whatever a run has left, taken by the API server or not."""
        for keys in (["key1", "key2"], ["key2", "key1"]):
            for taken in (False, True):
                with self.subTest(keys=keys, taken=taken):
                    self.tearDown()
                    self.doCleanups()
                    self.setUp()
                    self.add_secrets(3)
                    self.write(NODE, *keys)
                    if taken:
                        self.shared.servers[0].load()
                    self.assert_code(self.rotate(), 0)
                    self.assert_rotated("key2")

    def test_what_was_not_encrypted(self):
        self.add_secrets(3, key=None)
        self.assert_code(self.rotate(), 0)
        self.assert_rotated("key2")

    def test_old_key_in_use_elsewhere(self):
        """What the configuration no longer names cannot be rewritten: the key stays."""
        self.shared.raw["/registry/configmaps/default/x"] = b"k8s:enc:secretbox:v1:key1:\x01"
        self.shared.raw["/registry/leases/default/x"] = b"k8s:enc:aescbc:v1:old:\x01"
        result = self.rotate()
        self.assert_code(result, 1)
        self.assert_said(result, "^mkcluster: Checking etcd: 1 objects in etcd are still under key1, "
                         "such as /registry/configmaps/default/x$", "goes on|among the resources")
        self.assertEqual(self.keys(NODE), ["key2", "key1"])
        self.assertEqual(self.status()["stored"], [
            {"key": "key1", "encrypted": True, "secrets": 0, "others": 1},
            {"key": "aescbc:old", "encrypted": True, "secrets": 0, "others": 1},
            {"key": "key2", "encrypted": True, "secrets": 1, "others": 0}])
        self.shared.raw.clear()
        self.assert_code(self.rotate(), 0)
        self.assert_rotated("key2")

    def test_many_keys_in_etcd(self):
        """Page after page, and the last key of one is not told twice."""
        for i in range(2500):
            self.shared.raw[f"/registry/events/x/{i:04}"] = b"k8s\x00"
        self.add_secrets(1300)
        self.assertEqual(self.status()["stored"][0]["secrets"], 1301)

    def test_other_resources(self):
        for pattern, expected in (
                ("deployments.apps", "/apis/apps/v1/deployments"),
                ("*.apps", "/apis/apps/v1/deployments"),
                ("*.", "/api/v1/configmaps"),
                ("*.*", "/apis/apps/v1/deployments"),
                ("gone.example.com", None)):
            with self.subTest(pattern=pattern):
                self.tearDown()
                self.doCleanups()
                self.setUp()
                plural = expected.split("/")[-1] if expected else "none"
                self.behaviour.encrypted_resource = plural
                for path, item in self.api.objects.items():
                    if f"/{plural}/" in path:
                        self.shared.under[path] = "key1"
                config = yaml.safe_load(self.file(NODE).data)
                config["resources"][0]["resources"] = ["secrets", pattern]
                self.file(NODE).data = yaml.safe_dump(config).encode()
                self.assert_code(self.rotate(), 0)
                self.assertEqual(set(self.shared.under.values()), {"key2"})
                self.assertEqual(yaml.safe_load(self.file(NODE).data)["resources"][0]["resources"],
                                 ["secrets", pattern])
                if expected:
                    self.assertIn(f"GET {expected}?limit=20", self.api.log())


class Answers(EncryptionTest):
    """What the API may say to a write."""

    def fault(self, *argv, **options):
        return self.api.fault(*argv, **options)

    def test_conflict_and_absence_are_fine(self):
        """Whoever changed an object did so with the new key; here it is told to us only."""
        self.add_secrets(4)
        for name, status in (("s001", 409), ("s002", 404)):
            path = f"/api/v1/namespaces/default/secrets/{name}"
            del self.shared.under[path]
            self.fault("status", f"PUT {path}", status=status)
        self.assert_code(self.rotate(), 0)
        self.assert_rotated("key2")

    def test_too_many_requests(self):
        self.add_secrets(4)
        self.fault("status", "PUT .*/s001", times=2, status=429)
        self.fault("status", "PUT .*/s003", times=1, status=500)
        self.assert_code(self.rotate(), 0)
        self.assert_rotated("key2")
        puts = [line.split("/")[-1] for line in self.api.log() if "PUT /api/v1" in line]
        self.assertEqual(sorted(puts).count("s001"), 3)
        self.assertEqual(sorted(puts).count("s000"), 1)

    def test_refused(self):
        self.add_secrets(4)
        self.fault("status", "PUT .*/s001", times=None, status=403, message="a webhook says no")
        result = self.rotate()
        self.assert_code(result, 1)
        self.assert_said(result, "Writing what is stored anew: .*s001: 403: a webhook says no$",
                         "everything can be read; `mkcluster encryption rotate")
        self.assertEqual(self.keys(NODE), ["key2", "key1"])
        self.api.faults.clear()
        self.assert_code(self.rotate(), 0)
        self.assert_rotated("key2")

    def test_list_expires(self):
        self.add_secrets(45)
        self.fault("status", "GET .*continue=", nth=1, status=410, message="expired")
        self.assert_code(self.rotate(), 0)
        self.assert_rotated("key2")


class Refused(EncryptionTest):
    planes = [NODE, *OTHERS]

    def refused(self, code, *patterns, argv=()):
        before = {name: self.file(name).data for name in self.planes}
        result = self.rotate(*argv)
        self.assert_code(result, code)
        self.assert_said(result, *patterns)
        self.assertEqual({name: self.file(name).data for name in self.planes}, before)
        return result

    def test_no_cluster(self):
        for verb in ("rotate", "status"):
            result = self.run_cli("encryption", verb, "--name", "none")
            self.assert_code(result, 4)
            self.assert_said(result, "no cluster 'none'")

    def test_one_is_stopped(self):
        self.engine.kill(OTHERS[0])
        self.refused(3, f"node '{OTHERS[0]}' does not run", "mkcluster start")
        found = self.status()
        self.assertEqual([p["apiServer"] for p in found["controlPlanes"]],
                         ["current", "stopped", "current"])

    def test_the_first_is_stopped(self):
        self.engine.kill(NODE)
        self.refused(3, f"node '{NODE}' is exited", "mkcluster start")
        result = self.run_cli("encryption", "status", "--name", NAME)
        self.assert_code(result, 3)

    def test_held(self):
        self.shared.leases["mkcluster-nodes"] = {
            "metadata": {"name": "mkcluster-nodes", "resourceVersion": "7"},
            "spec": {"holderIdentity": "elsewhere:1", "leaseDurationSeconds": 600,
                     "renewTime": "2999-01-01T00:00:00.000000Z"}}
        self.refused(4, r"another run \(elsewhere:1\) holds the lock")

    def test_another_provider(self):
        self.file(OTHERS[1]).data = self.file(OTHERS[1]).data.replace(b"secretbox", b"aescbc")
        self.refused(1, rf"{OTHERS[1]}:/etc/kubernetes/encryption-config.yaml:7:5: .*secretbox alone")
        self.assert_code(self.run_cli("encryption", "status", "--name", NAME), 1)

    def test_keys_that_differ(self):
        config = self.file(OTHERS[1])
        key = yaml.safe_load(config.data)["resources"][0]["providers"][0]["secretbox"]["keys"][0]
        config.data = config.data.replace(key["secret"].encode(), b"QUJD" * 10 + b"QUE=")
        # The fake has no server that works with it either.
        del self.shared.servers[2:]
        self.engine.find(OTHERS[1]).node.api.keys = self.shared.servers[0]
        result = self.refused(1, f"'{OTHERS[1]}' has another key1")
        self.assertNotIn(key["secret"], result.err)

    def test_another_file(self):
        self.behaviour.encryption_file = "/etc/mine.yaml"
        self.refused(1, "its API server reads /etc/mine.yaml")

    def test_a_server_that_does_not_take_it(self):
        def stuck(container, command):
            if container.name == OTHERS[1] and len(self.keys(OTHERS[1])) > 1:
                return (3, "still with an earlier file\n", "")
            return self.engine.run_command(container, command)
        self.behaviour.exec["until taken"] = stuck
        result = self.rotate()
        self.assert_code(result, 6)
        self.assert_said(result, f"^mkcluster: Adding key2: node '{OTHERS[1]}': its API server is "
                         "still with an earlier file$", "everything can be read; .* goes on")
        self.assertEqual({tuple(self.keys(name)) for name in self.planes}, {("key1", "key2")})


class Three(EncryptionTest):
    planes = [NODE, *OTHERS]

    def test_rotate(self):
        self.add_secrets(25)
        result = self.rotate()
        self.assert_code(result, 0)
        self.assert_said(result, "^✓ Looking at the API servers .* 3 control planes$",
                         "^✓ Adding key2 ", "^✓ Encrypting with key2 ", "^✓ Dropping key1 ")
        self.assert_rotated("key2")

    def test_restart(self):
        """One after another."""
        self.behaviour.no_reload = set(self.planes)
        self.add_secrets(3)
        self.assert_code(self.rotate("--restart", timeout=60), 0)
        self.assert_rotated("key2")
        for name in self.planes:
            scripts = [s for s in self.engine.find(name).scripts if "restart" in s]
            self.assertEqual(len(scripts), 3)

    def test_goes_on(self):
        for files in ((["key1", "key2"], ["key1"], ["key1"]),
                      (["key1"], ["key1"], ["key1", "key2"]),
                      (["key1", "key2"], ["key1", "key2"], ["key1", "key2"])):
            for restart in (False, True):
                with self.subTest(files=files, restart=restart):
                    self.tearDown()
                    self.doCleanups()
                    self.setUp()
                    self.add_secrets(3)
                    for name, keys in zip(self.planes, files):
                        self.write(name, *keys)
                    found = self.status()["rotation"]
                    self.assertEqual(found["stage"], "promote" if files[0] == files[1] == files[2] else "add")
                    self.assert_code(self.rotate(*["--restart"] * restart, timeout=60), 0)
                    self.assert_rotated("key2")


class Killed(EncryptionTest):
    """SIGKILL and Ctrl-C wherever something is about to change. The fakes look at every
    file, every start and every write: each has to be readable for all."""

    planes = [NODE, *OTHERS]

    MOMENTS = (("engine", "PUT .*archive"), ("engine", "POST .*/exec/.*/start"),
               ("api", "PUT /api/v1/namespaces"), ("api", "GET /api/v1"))

    def broken_off(self, end, nth, kind, server, match):
        self.add_secrets(4)
        faults = self.engine if server == "engine" else self.api
        fault = faults.fault(kind, match, nth=nth, delay=2)
        running = self.start("encryption", "rotate", "--name", NAME)
        while not fault.reached.wait(0.05):
            if running.poll() is not None:
                return False
        end(running)
        fault.release.set()
        faults.faults.clear()
        self.assertEqual(self.status()["rotation"]["underWay"],
                         {1} != {len(self.keys(name)) for name in self.planes})
        # It goes on with the same key, unless it had come to its end but for the waiting.
        ended = [self.keys(name) for name in self.planes] == [["key2"]] * len(self.planes)
        self.assert_code(self.rotate(), 0)
        self.assert_rotated("key3" if ended else "key2")
        return True

    def everywhere(self, end, kind, step):
        for server, match in self.MOMENTS:
            nth = 0
            while True:
                with self.subTest(server=server, match=match, nth=nth):
                    self.tearDown()
                    self.doCleanups()
                    self.setUp()
                    # Up to its end, and not beyond.
                    if not self.broken_off(end, nth, kind, server, match):
                        break
                nth += step
            self.assertGreater(nth, 0)

    def test_killed(self):
        self.everywhere(lambda running: running.kill(), "hang", 3)

    def test_killed_with_the_request_on_its_way(self):
        self.everywhere(lambda running: running.kill(), "slow", 4)

    def test_interrupted(self):
        def interrupt(running):
            running.signal(2)
            result = self.sane(running.wait(10))
            self.assert_code(result, 130)
            if "Looking at" not in result.err.splitlines()[-1]:
                self.assert_said(result, "mkcluster encryption rotate --name t1` goes on")
        self.everywhere(interrupt, "hang", 5)

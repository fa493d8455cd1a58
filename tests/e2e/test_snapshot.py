# SPDX-License-Identifier: Apache-2.0
"""Snapshots of a cluster with a function: taken, the cluster deleted, restored under
another name; then put over that one while it runs. The tests share the clusters and run
in the order of their names."""
import base64
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import cluster
from cluster import ETCDCTL, Place, docker, engine_state, http, wait_for

IMAGE = f"example.local/snapped:{cluster.SUFFIX}"

# What is of nodes, or of moments, and comes anew: nodes with what they report, pods and
# where they are reached, events, and the leases of nodes and leaders.
OF_THE_MOMENT = {"nodes", "csinodes", "leases", "pods", "events", "endpointslices",
                 "endpoints", "peerserverleases"}
# No digits: those are found in any database of a megabyte.
WORDS = "no number of any kind"
OBJECTS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: shop}}
---
apiVersion: v1
kind: Secret
metadata: {{name: till, namespace: shop}}
stringData: {{code: {WORDS}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: parcels.shop.example}}
spec:
  group: shop.example
  scope: Namespaced
  names: {{plural: parcels, singular: parcel, kind: Parcel}}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""


def docker_exec(node, *args):
    return docker("exec", node, *args)


def counts(node):
    """Objects of each resource, as etcd has them: the key's second part names it."""
    found = {}
    for key in docker_exec(node, *ETCDCTL, "get", "/registry/", "--prefix",
                           "--keys-only").split():
        parts = key.split("/")
        name = {"minions": "nodes"}.get(parts[2], parts[2])
        if "." in name:
            name = f"{parts[3]}.{name}"
        elif parts[2] == "services" and parts[3] == "endpoints":
            name = "endpoints"
        if name not in ("ranges", "masterleases", "health"):
            found[name] = found.get(name, 0) + 1
    return found


def lasting(found):
    return {name: count for name, count in found.items() if name not in OF_THE_MOMENT}


class Snapshot(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cluster.host_tools()
        cls.addClassCleanup(cluster.run, "docker", "rmi", IMAGE, check=False)
        cls.old, cls.new = Place("snap"), Place("snap-new")
        for place in (cls.old, cls.new):
            cls.addClassCleanup(place.close)
        config = cls.old.folder / "config.yaml"
        config.write_text("apiVersion: mkcluster.dev/v1\nkind: Cluster\n"
                          "snapshots: {every: 1m, keep: 2}\n")
        cls.old.create("--config", str(config))
        cls.old.load_function(IMAGE)
        cls.faas("deploy", "--image", IMAGE, "--name", "snapped")
        cls.old.kubectl("apply", "-f", "-", stdin=OBJECTS)
        wait_for("the function", lambda: cls.invoke(cls.old) == b"before")
        cls.file = cls.old.folder / "one.mkcluster"
        cls.corrupt = cls.old.folder / "corrupt.mkcluster"

    @classmethod
    def faas(cls, *args):
        cls.old.faas("login", "--password-stdin", stdin=cls.old.password())
        return cls.old.faas(*args)

    @classmethod
    def invoke(cls, place):
        status, body = http(place.gateway() + "/function/snapped", data=b"before")
        return body if status == 200 else None

    def listed(self, *args):
        return json.loads(self.old.mkcluster("snapshot", "list", *args, "--output",
                                             "json").stdout)

    def restore(self, place, *args, **options):
        start = time.monotonic()
        done = place.mkcluster("snapshot", "restore", str(self.file), "--name", place.name, *args,
                               **options)
        print(f"restore {' '.join(args)}: {time.monotonic() - start:.1f} s")
        return done

    def test_01_save(self):
        start = time.monotonic()
        saved = self.old.mkcluster("snapshot", "save", "--name", self.old.name, str(self.file))
        print(f"save: {time.monotonic() - start:.1f} s, {self.file.stat().st_size} bytes")
        self.assertEqual(saved.stdout, f"{self.file}\n")
        self.assertIn("keys of the cluster's CAs", saved.stderr)
        self.assertEqual(self.file.stat().st_mode & 0o7777, 0o600)
        [entry] = self.listed(str(self.file))
        self.assertTrue(entry["ok"] and entry["images"])
        self.assertEqual(entry["cluster"], self.old.name)
        self.assertEqual(docker_exec(self.old.node(), "ls", "/var/lib/mkcluster/saving"), "")
        # Other programs read it, and its sums are right.
        here = self.old.folder / "unpacked"
        here.mkdir()
        cluster.run("sh", "-c", f"cd {here} && tar xf {self.file} && sha256sum -c --quiet SHA256SUMS")
        manifest = json.loads((here / "manifest.json").read_text())
        type(self).before = manifest["objects"]
        self.assertEqual(lasting(self.before), lasting(counts(self.old.node())))
        self.assertEqual(manifest["loadedImages"], [IMAGE.split("/", 1)[1]])
        self.assertNotIn(WORDS.encode(), (here / "etcd/snapshot.db").read_bytes())
        # What was made is no older one's successor.
        again = self.old.mkcluster("snapshot", "save", "--name", self.old.name, str(self.file),
                                   check=False)
        self.assertEqual(again.returncode, 4)

    def test_02_interrupted_save_leaves_nothing(self):
        other = self.old.folder / "interrupted.mkcluster"
        for moment, number in ((0.15, signal.SIGINT), (0.4, signal.SIGINT), (0.4, signal.SIGKILL)):
            process = subprocess.Popen(
                [cluster.MKCLUSTER, "snapshot", "save", "--name", self.old.name, str(other)],
                env=self.old.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
            time.sleep(moment)
            process.send_signal(number)
            process.communicate(timeout=30)
            if other.exists():  # It was faster.
                self.assertTrue(self.listed(str(other))[0]["ok"])
                other.unlink()

    def test_03_by_schedule(self):
        """The first 30 s after the start, the next ones by the timer."""
        wait_for("a snapshot in the node", lambda: self.in_node(), seconds=90, every=1)
        for _ in range(3):
            docker_exec(self.old.node(), "systemctl", "start", "mkcluster-snapshot.service")
            time.sleep(1.1)
        entries = self.in_node()
        self.assertEqual(len(entries), 2)
        self.assertTrue(all(e["ok"] and not e["images"] for e in entries))
        fetched = self.old.folder / "fetched.mkcluster"
        self.old.mkcluster("snapshot", "save", "--name", self.old.name, "--from-node",
                           entries[-1]["name"], str(fetched))
        self.assertEqual(self.listed(str(fetched))[0]["revision"], entries[-1]["revision"])
        mode = docker_exec(self.old.node(), "stat", "-c", "%a", "/var/lib/mkcluster/snapshots")
        self.assertEqual(mode.strip(), "700")

    def in_node(self):
        return [e for e in self.listed("--name", self.old.name) if e.get("node")]

    def test_10_corrupt_ones_are_refused(self):
        good = self.file.read_bytes()
        before = engine_state()
        for damage in (good[:-1], good[:len(good) // 2], good[:40] + b"\0" + good[41:],
                       good[:-200] + bytes([good[-200] ^ 1]) + good[-199:]):
            self.corrupt.write_bytes(damage)
            for args in ((), ("--replace",)):
                done = self.old.mkcluster("snapshot", "restore", str(self.corrupt), "--name",
                                          self.old.name, *args, check=False)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertRegex(done.stderr, "damaged|cut short")
            self.assertFalse(self.listed(str(self.corrupt))[0]["ok"])
        self.assertEqual(engine_state(), before)
        self.assertEqual(self.invoke(self.old), b"before")

    def test_11_restore_under_another_name(self):
        taken = self.restore(self.old, check=False)
        self.assertEqual(taken.returncode, 4)
        self.assertIn("--replace", taken.stderr)
        password = self.old.password()
        self.old.mkcluster("delete", "--name", self.old.name)
        self.restore(self.new)
        self.assert_all_is_back()
        self.assertEqual(self.new.password(), password)
        self.assertEqual(docker_exec(self.new.node(), "sh", "-c",
                                     "ls /var/lib/mkcluster /etc/systemd/system/etcd.service.d"
                                     ).split(), ["/etc/systemd/system/etcd.service.d:",
                                                 "/var/lib/mkcluster:"])

    def assert_all_is_back(self):
        stored = self.new.kubectl("-n", "shop", "get", "secret", "till", "-o",
                                  "jsonpath={.data.code}").stdout
        self.assertEqual(base64.b64decode(stored).decode(), WORDS)
        wait_for("the function", lambda: self.invoke(self.new) == b"before", seconds=30)
        self.assertEqual(lasting(counts(self.new.node())), lasting(self.before))
        nodes = self.new.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")
        self.assertEqual(nodes.stdout, self.new.node())

    def test_12_restore_over_the_running_cluster(self):
        self.new.kubectl("create", "namespace", "later")
        self.new.kubectl("delete", "namespace", "shop")
        self.restore(self.new, "--replace")
        namespaces = self.new.kubectl("get", "namespaces", "-o", "name").stdout
        self.assertNotIn("later", namespaces)
        self.assert_all_is_back()
        # New objects are newer than all that watchers have seen.
        self.new.kubectl("create", "namespace", "after")
        self.new.mkcluster("verify", "--name", self.new.name)
        self.new.kubectl("delete", "namespace", "after")

    def test_13_a_failed_restore_puts_the_old_state_back(self):
        """etcd does not start from the snapshot: its program is not what it was."""
        self.new.kubectl("create", "namespace", "kept")
        break_it = """
            cat > /etc/mkcluster/etcdutl <<'END'
#!/bin/sh
case "$*" in "snapshot restore"*) echo 'Error: no space left'; exit 1;; esac
exec /usr/local/bin/etcdutl.real "$@"
END
            chmod 755 /etc/mkcluster/etcdutl; mv /usr/local/bin/etcdutl /usr/local/bin/etcdutl.real
            mv /etc/mkcluster/etcdutl /usr/local/bin/etcdutl"""
        docker_exec(self.new.node(), "sh", "-ec", break_it)
        done = self.restore(self.new, "--replace", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("the state again that it had before", done.stderr)
        docker_exec(self.new.node(), "mv", "/usr/local/bin/etcdutl.real", "/usr/local/bin/etcdutl")
        wait_for("the API", lambda: "kept" in self.new.kubectl("get", "namespaces").stdout)
        wait_for("the function", lambda: self.invoke(self.new) == b"before", seconds=30)
        # And with it mended, it goes.
        self.restore(self.new, "--replace")
        self.assertNotIn("kept", self.new.kubectl("get", "namespaces").stdout)


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).parent)
    unittest.main(verbosity=2)

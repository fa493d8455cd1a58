# SPDX-License-Identifier: Apache-2.0
"""`snapshot save|list|restore` against the fakes: what goes wrong, and what is left."""

import json
import os
import signal
import stat
import time

from cli.harness import CONTEXT, NAME, NODE, CliTest
from fakes import snapshots
from fakes.engine import NODE_IMAGE, File

OTHER = "t2"
OTHER_NODE = f"{OTHER}-control-plane"
DB = "var/lib/mkcluster/restore/snapshot.db"
DROP_IN = "etc/systemd/system/etcd.service.d/restore.conf"


class SnapshotTest(CliTest):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "one.mkcluster"
        self.ran = []
        self.etcd = b"etcd's data" * 1000

    def make_cluster(self, *argv):
        self.assert_code(self.create(*argv), 0)
        self.node = self.engine.find(NODE)
        self.behaviour.exec["snapshot-save"] = self.run_script
        self.behaviour.exec["rm -f /var/lib/mkcluster/saving/"] = self.remove
        self.behaviour.exec["snapshot-restore"] = self.run_restore
        self.archive = snapshots.archive(self.node.files, NAME, self.etcd)

    def run_script(self, container, command):
        """What manifests/node/bin/snapshot-save does: sh -c TEXT NAME FILE CLUSTER VERSION."""
        self.assertEqual((command[:2], command[3]), (["sh", "-c"], "snapshot-save"))
        path, cluster = command[4:6]
        self.assertEqual(cluster, NAME)
        self.put(container, path, self.archive)
        return (0, "")

    def put(self, container, path, data):
        class Member:
            mode, uid, gid = 0o600, 0, 0
            issym = isdir = staticmethod(lambda: False)
        container.files[path.strip("/")] = File(Member, data)

    def remove(self, container, command):
        container.files.pop(command[2].strip("/"), None)
        return (0, "")

    def run_restore(self, container, command):
        self.ran.append((container.name, command[-1].split("snapshot-restore ")[-1]))
        return (0, "")

    def snapshot(self, verb, *argv, **options):
        return self.run_cli("snapshot", verb, *argv, **options)

    def save(self, *argv, **options):
        return self.snapshot("save", "--name", NAME, str(self.file), *argv, **options)

    def restore(self, *argv, **options):
        """Its API has any free port, which another test may have taken meanwhile."""
        result = self.snapshot("restore", str(self.file), *argv, **options)
        if result.code == 3 and "port is already allocated" in result.err:
            result = self.snapshot("restore", str(self.file), *argv, **options)
        return result

    def write(self, data=None, **changes):
        self.file.write_bytes(data or snapshots.archive(self.node.files, NAME, self.etcd,
                                                        **changes))

    def nothing_is_saved(self):
        self.assertEqual([p for p in os.listdir(self.folder) if "mkcluster" in p], [])
        self.assertEqual([p for p in self.node.files if "saving" in p], [])

    def listed(self, *argv):
        result = self.snapshot("list", *argv, "--output", "json")
        self.assert_code(result, 0)
        return json.loads(result.out)


class Save(SnapshotTest):
    def setUp(self):
        super().setUp()
        self.make_cluster()

    def refused(self, code, *patterns, argv=()):
        result = self.save(*argv)
        self.assert_code(result, code)
        self.assert_said(result, *patterns)
        self.assertEqual(result.out, "")
        self.nothing_is_saved()

    def test_save(self):
        result = self.save()
        self.assert_code(result, 0)
        self.assertEqual(result.out, f"{self.file}\n")
        self.assert_said(result, "whoever reads it owns the cluster")
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        [entry] = self.listed(str(self.file))
        self.assertEqual(
            (entry["cluster"], entry["revision"], entry["objects"], entry["ok"], entry["images"]),
            (NAME, 548, 12, True, True))
        self.assertEqual([p for p in self.node.files if "saving" in p], [])
        again = self.save()
        self.assert_code(again, 4)
        self.assert_said(again, "exists already")
        self.assertFalse(self.listed(str(self.file))[0].get("problem"))

    def test_in_a_folder(self):
        result = self.snapshot("save", "--name", NAME, "--no-images", "-q", str(self.folder))
        self.assert_code(result, 0)
        self.assertRegex(result.out, rf"^{self.folder}/{NAME}-\d{{8}}T\d{{6}}Z\.mkcluster\n$")
        [entry] = self.listed(result.out.strip())
        self.assertFalse(entry["images"])
        self.assertEqual(self.listed(str(self.folder)), [{**entry, "path": result.out.strip()}])

    def test_script_fails(self):
        self.behaviour.exec["snapshot-save"] = (
            1, '{"level":"info"}\nError: etcdserver: no leader\n')
        self.refused(1, f"{NODE}: Error: etcdserver: no leader$")

    def test_no_cluster_and_none_that_runs(self):
        result = self.snapshot("save", "--name", "other", str(self.file))
        self.assert_code(result, 4)
        self.node.state = "exited"
        self.refused(3, f"no control plane of '{NAME}' runs\n  `mkcluster start --name {NAME}`")
        self.node.state = "running"

    def test_damaged_on_the_way(self):
        whole = self.archive
        for damaged in (whole[:-1], whole[:3000] + b"?" + whole[3001:], b"", b"no archive" * 50):
            self.archive = damaged
            self.refused(1, "Writing the archive: ")

    def test_engine_fails(self):
        for kind in ("hangup", "status", "garbage", "cut"):
            # A connection that ends without an answer is tried once more.
            self.engine.fault(kind, "^GET .*/archive", times=2 if kind == "hangup" else 1)
            self.assertEqual(self.save().code, 1, kind)
            self.nothing_is_saved()

    def test_ctrl_c(self):
        fault = self.engine.fault("hang", "^GET .*/archive")
        running = self.start("snapshot", "save", "--name", NAME, str(self.file))
        self.assert_code(self.interrupt(running, fault), 130)
        self.nothing_is_saved()

    def test_another_control_plane(self):
        second = self.engine.add_container(f"{NAME}-control-plane-2", {**self.node.labels})
        self.behaviour.exec["snapshot-save"] = lambda container, command: \
            self.run_script(container, command) if container is second else (1, "no leader\n")
        self.assert_code(self.save(), 0)

    def test_from_node(self):
        name = f"{NAME}-20261123T130239Z.mkcluster"
        self.put(self.node, f"var/lib/mkcluster/snapshots/{name}", self.archive)
        self.refused(4, "has no snapshot 'other'", argv=("--from-node", "other"))
        self.refused(2, "no name of a snapshot", argv=("--from-node", "../../etc/shadow"))
        self.assert_code(self.save("--from-node", name), 0)
        self.assertFalse(self.listed(str(self.file))[0]["images"])
        self.assertIn(f"var/lib/mkcluster/snapshots/{name}", self.node.files)


class List(SnapshotTest):
    def test_list(self):
        self.make_cluster()
        self.write()
        (self.folder / "bad.mkcluster").write_bytes(self.file.read_bytes()[:-3])
        (self.folder / "dir.mkcluster").mkdir()
        line = json.dumps(snapshots.manifest(NAME))
        self.behaviour.exec["snapshot-list"] = (
            0, f"a.mkcluster 1200 good {line}\n", "")
        found = self.listed()
        self.assertEqual([(e["name"], e["ok"]) for e in found],
                         [("bad.mkcluster", False), ("dir.mkcluster", False),
                          ("one.mkcluster", True), ("a.mkcluster", True)])
        self.assertEqual(found[3]["node"], NODE)
        self.assertEqual([e["name"] for e in self.listed("--name", OTHER)],
                         ["bad.mkcluster", "dir.mkcluster"])
        self.assertRegex(self.snapshot("list").out, rf"a\.mkcluster +{NAME} .* good, in {NODE}")
        self.assert_code(self.snapshot("list", str(self.folder / "none")), 4)
        for odd in ("a.mkcluster\n", "x y z {\n", "a 1 bad {}\n", "a 1 good {\"format\":9}\n",
                    f"a.mkcluster 1200 bad {line}\n", "\x1b[2J\n"):
            self.behaviour.exec["snapshot-list"] = (0, odd, "")
            self.assertFalse(any(e["ok"] for e in self.listed() if e.get("node")))

    def test_without_an_engine(self):
        self.make_cluster()
        self.write()
        result = self.snapshot("list", env={"DOCKER_HOST": "unix:///nowhere/sock"})
        self.assert_code(result, 0)
        self.assertIn("one.mkcluster", result.out)


class Restore(SnapshotTest):
    def setUp(self):
        super().setUp()
        self.make_cluster()
        self.write()

    def refused(self, code, *patterns, argv=("--name", OTHER)):
        result = self.restore(*argv)
        self.assert_code(result, code)
        self.assert_said(result, *patterns)
        self.assertEqual(self.engine.labelled(OTHER), [])
        self.assertEqual(self.ran, [])

    def test_refusals(self):
        whole = self.file.read_bytes()
        for damaged in (whole[:-1], whole[1:], whole[:700] + b"?" + whole[701:], b"hello"):
            self.file.write_bytes(damaged)
            for argv in (("--name", OTHER), ("--replace",)):
                self.refused(1, "damaged|cut short", argv=argv)
        self.write(kubernetes="v1.37.0")
        self.engine.images[NODE_IMAGE]["Labels"]["io.mkcluster.kubernetes"] = "v1.36.3"
        self.refused(3, r"the snapshot is of Kubernetes v1\.37\.0, image .* has v1\.36\.3")
        self.refused(3, "the nodes' image", argv=("--replace",))
        self.write(format=2)
        self.refused(1, "of format 2; this mkcluster knows 1\n  a newer mkcluster reads it")
        self.write()
        self.refused(4, f"a cluster '{NAME}' exists already\n  --name gives .* --replace", argv=())
        self.refused(2, "no --control-planes", argv=("--replace", "--workers", "1"))
        self.refused(2, "--control-planes|odd", argv=("--name", OTHER, "--control-planes", "2"))
        self.file.unlink()
        self.refused(4, "no such file")

    def test_bad_config(self):
        good = self.node.files["etc/mkcluster/config.yaml"].data
        for bad in (b"", b"apiVersion: mkcluster.dev/v1\nkind: Cluster\nmore: 1\n",
                    b"- [", good.replace(b"restricted", b"x") + b"nodes: 7\n"):
            self.node.files["etc/mkcluster/config.yaml"].data = bad
            self.write()
            self.refused(1, "one.mkcluster: ")
        self.node.files["etc/mkcluster/config.yaml"].data = good

    def test_bad_keys(self):
        files = self.node.files
        good = files["etc/kubernetes/pki/ca.key"].data
        for bad in (b"", b"no key", files["etc/kubernetes/pki/etcd/ca.key"].data):
            files["etc/kubernetes/pki/ca.key"].data = bad
            self.write()
            self.refused(1, "ca")
        files["etc/kubernetes/pki/ca.key"].data = good

    def test_new_cluster(self):
        self.write(blobs={"registry/docker/registry/v2/blobs/sha256/ab/abcd/data": b"layer",
                          "registry/docker/registry/v2/repositories/a/b/_layers/x/link": b"x"},
                   barePods=["default/alone"])
        self.behaviour.volumes = [
            {"metadata": {"name": "pvc-1"}, "spec": {
                "claimRef": {"namespace": "shop", "name": "data"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/hostname", "values": [NODE]}]}]}}}}]
        result = self.restore("--name", OTHER)
        self.assert_code(result, 0)
        self.assert_said(result, rf"pvc-1 \(shop/data\) of node {NODE}, which is not here",
                         "no controller makes again:\n    default/alone$")
        node = self.engine.find(OTHER_NODE)
        self.assertEqual(node.files[DB].data, self.etcd)
        self.assertEqual(node.files[DB].mode, 0o600)
        self.assertEqual(node.files["var/lib/mkcluster/restore"].mode, 0o700)
        self.assertIn(f"snapshot-restore data {OTHER_NODE} ".encode(), node.files[DROP_IN].data)
        self.assertEqual(node.files["var/lib/registry/docker/registry/v2/blobs/sha256/ab/abcd/data"]
                         .data, b"layer")
        self.assertTrue(node.files["var/lib/registry/docker/registry/v2/repositories/a"].is_dir)
        for name in ("pki/ca.key", "pki/sa.key", "pki/etcd/ca.crt", "encryption-config.yaml"):
            self.assertEqual(node.files[f"etc/kubernetes/{name}"].data,
                             self.node.files[f"etc/kubernetes/{name}"].data)
        self.assertNotEqual(node.files["etc/kubernetes/pki/apiserver.crt"].data,
                            self.node.files["etc/kubernetes/pki/apiserver.crt"].data)
        self.assertEqual(self.ran, [(OTHER_NODE, "done")])
        self.assertIn(f"mkcluster-{OTHER}", self.kubeconfig.read_text())
        self.assertEqual([p for p in node.node.api.objects if "openfaas" in p], [])

    def test_images_that_are_missing(self):
        self.write(loadedImages=["example/hello:1"])
        result = self.restore("--name", OTHER)
        self.assert_said(result, "not in this snapshot .*:\n    example/hello:1$")

    def test_more_nodes(self):
        # With the first one's, hosts of 128 inotify instances would have too few.
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.assert_code(self.restore("--name", OTHER, "--control-planes", "3", "--workers", "1"),
                         0)
        for name in (OTHER_NODE, f"{OTHER_NODE}-2", f"{OTHER_NODE}-3"):
            files = self.engine.find(name).files
            self.assertEqual(files[DB].data, self.etcd)
            self.assertIn(b"t2-control-plane-3=https://", files[DROP_IN].data)
            self.assertEqual("var/lib/mkcluster/restore/keep" in files, name == OTHER_NODE)
        self.assertNotIn(DB, self.engine.find(f"{OTHER}-worker").files)

    def test_a_failure_leaves_nothing(self):
        before = self.kubeconfig.read_text()
        # Of two archives put into the node, the second is the snapshot.
        for kind, match, nth in (("hangup", "^PUT .*/archive", 1), ("status", "^PUT .*/archive", 1),
                                 ("lost", "^PUT .*/archive", 1), ("status", "^POST .*/start", 0),
                                 ("hangup", "^POST /v[0-9.]*/containers/create", 0)):
            self.engine.faults.clear()
            self.engine.fault(kind, match, nth=nth, times=2 if kind == "hangup" else 1)
            result = self.restore("--name", OTHER)
            self.assertIn(result.code, (1, 5), f"{kind} {match}")
            self.assertEqual(self.engine.labelled(OTHER), [], str(result))
        self.assertEqual(self.kubeconfig.read_text(), before)

    def test_ctrl_c(self):
        fault = self.engine.fault("hang", "^POST .*/start")
        running = self.start("snapshot", "restore", str(self.file), "--name", OTHER)
        self.assert_code(self.interrupt(running, fault), 130)
        self.assertEqual(self.engine.labelled(OTHER), [])


class Replace(SnapshotTest):
    def setUp(self):
        super().setUp()
        self.make_cluster("--workers", "1")
        self.write()
        self.behaviour.exec["date -u"] = (0, "2000-01-01T00:00:00Z\n")

    def replace(self, *argv):
        return self.restore("--replace", *argv)

    def test_replace(self):
        self.assert_code(self.replace(), 0)
        self.assertEqual(self.ran, [(NODE, w) for w in ("check 3318032876", "stop", "switch", "done")])
        files = self.node.files
        self.assertEqual(files[DB].data, self.etcd)
        # The present etcd must not read it before the switch.
        self.assertNotIn(DROP_IN, files)
        self.assertIn(b"ExecStartPre=+", files["var/lib/mkcluster/restore/etcd.conf"].data)
        self.assertEqual(files["var/lib/mkcluster/restore/keep"].data.decode(),
                         f"{NODE}\n{NAME}-worker\n")
        self.assertEqual(files["var/lib/mkcluster/restore/encryption-config.yaml"].data,
                         files["etc/kubernetes/encryption-config.yaml"].data)
        self.assertIn("systemctl start kubelet", self.node.scripts)
        self.assertIn("systemctl stop kubelet", self.engine.find(f"{NAME}-worker").scripts)
        self.assertIn(CONTEXT, self.kubeconfig.read_text())

    def refused(self, code, *patterns):
        result = self.replace()
        self.assert_code(result, code)
        self.assert_said(result, *patterns)
        self.assertEqual([r for r in self.ran if r[1] in ("stop", "switch", "done", "back")], [])

    def test_other_authorities(self):
        key = self.node.files["etc/kubernetes/pki/ca.crt"]
        key.data, good = key.data + b"\n", key.data
        self.refused(3, "has another pki/ca.crt than the snapshot.*\n  --name makes a new cluster")
        key.data = good

    def test_a_node_does_not_run(self):
        self.engine.find(f"{NAME}-worker").state = "exited"
        self.refused(3, f"node '{NAME}-worker' does not run\n  `mkcluster start")

    def test_what_arrives_is_not_whole(self):
        self.behaviour.exec["snapshot-restore check"] = (1, "")
        self.behaviour.exec = dict(sorted(self.behaviour.exec.items(),
                                          key=lambda i: i[0] != "snapshot-restore check"))
        self.refused(1, f"Sending the snapshot: node '{NODE}'")

    def fail_switch(self, answer):
        self.behaviour.exec["snapshot-restore"] = lambda container, command: (
            self.run_restore(container, command)
            if "switch" not in command[-1] else (self.run_restore(container, command), answer)[1])

    def test_the_way_back(self):
        self.fail_switch((1, "Job for etcd.service failed\n"))
        result = self.replace()
        self.assert_code(result, 1)
        self.assert_said(result, f"Replacing etcd's data: node '{NODE}': Job for etcd.service",
                         "the cluster has the state again that it had before")
        self.assertEqual([words for _, words in self.ran],
                         ["check 3318032876", "stop", "switch", "stop", "back"])

    def test_the_api_does_not_come(self):
        """Asked as the first thing after the switch; then it is put back."""
        def switch(container, command):
            self.run_restore(container, command)
            if "switch" in command[-1]:
                self.behaviour.ready_after = 10 ** 9
            return (0, "")
        self.behaviour.exec["snapshot-restore"] = switch
        result = self.replace("--timeout", "2")
        self.assert_code(result, 6)
        self.assertEqual(self.ran[-1], (NODE, "back"))
        self.assert_said(result, "Waiting for the API server")

    def test_ctrl_c_after_the_switch(self):
        self.behaviour.ready_after = 10 ** 9
        running = self.start("snapshot", "restore", str(self.file), "--replace")
        deadline = time.monotonic() + 15
        while (NODE, "switch") not in self.ran and time.monotonic() < deadline:
            time.sleep(0.01)
        running.signal(signal.SIGINT)
        self.assert_code(self.sane(running.wait(15)), 130)
        self.assertEqual(self.ran[-1], (NODE, "back"))

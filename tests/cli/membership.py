# SPDX-License-Identifier: Apache-2.0
"""A cluster of a control plane and a worker, for tests of nodes that come and go."""

import hashlib
import json
import time

from cli.harness import NAME, NODE, CliTest

WORKER = f"{NAME}-worker"
BALANCER = f"{NAME}-load-balancer"
LEASE = "mkcluster-nodes"


def pod(name, node=WORKER, owner="ReplicaSet", namespace="default"):
    """A pod that runs; without an owner nobody makes it again."""
    meta = {"namespace": namespace, "name": name}
    if owner:
        meta["ownerReferences"] = [{"kind": owner, "name": "x", "controller": True}]
    return {"metadata": meta, "spec": {"nodeName": node}, "status": {"phase": "Running"}}


class MemberTest(CliTest):
    workers = 1

    def setUp(self):
        super().setUp()
        self.assert_code(self.create("--workers", str(self.workers)), 0)
        self.members = self.engine.members[NAME]
        self.api = self.engine.find(NODE).node.api
        self.before = self.state()

    def node(self, verb, *argv, timeout=25, **options):
        return self.run_cli("node", verb, "--name", NAME, *argv, timeout=timeout, **options)

    def start_node(self, verb, *argv, **options):
        return self.start("node", verb, "--name", NAME, *argv, **options)

    def container(self, name):
        return self.engine.find(name)

    def state(self):
        """All of the cluster that a run may change, and must change back."""
        with self.engine.lock:
            found = list(self.engine.containers.values())
        return {
            "containers": {c.name: (c.id, c.state) for c in found},
            "networks": sorted(self.engine.networks),
            # What has arrived and never came to its place changes nothing.
            "files": {c.name: {name: hashlib.sha1(file.data).hexdigest()
                               for name, file in c.files.items()
                               if not name.startswith("etc/mkcluster/staged")} for c in found},
            "etcd": [dict(m) for m in self.members.etcd.members],
            "nodes": sorted(self.members.nodes),
            "cordoned": sorted(n for n in self.members.nodes if self.members.cordoned(n)),
            "leases": sorted(self.members.leases),
            "pods": json.dumps(self.behaviour.pods),
            "kubeconfig": self.kubeconfig.read_text(),
        }

    def assert_as_before(self, result=None, besides=()):
        now = self.state()
        for key, value in self.before.items():
            if key not in besides:
                self.assertEqual(now[key], value, f"{key}\n{result or ''}")

    def new_requests(self, servers):
        """Calls are noted from here on: a function that gives what came since."""
        marks = [len(s.log()) for s in servers]
        return lambda: [s.log()[m:] for s, m in zip(servers, marks)]

    def restarted(self, name):
        """The units that were restarted or reloaded in a node, in order."""
        lines = "\n".join(self.container(name).scripts).splitlines()
        return [line.split()[-1].removesuffix(".service") for line in lines
                if line.startswith(("systemctl restart", "systemctl reload"))]

    def routes(self, name):
        text = self.container(name).files["etc/mkcluster/routes"].data.decode()
        return [line.split()[0] for line in text.splitlines()]

    def wait_for(self, condition):
        end = time.monotonic() + 10
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

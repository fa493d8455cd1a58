# SPDX-License-Identifier: Apache-2.0
"""Each request of `node add` and `node remove`, spoiled in each way; and signals.

What must hold for `add`: a documented exit code, one error line, and the cluster as it
was: nothing with the run's id, the others told back, no member, no node, no lock. For
`remove`: as it was, or the same command again succeeds.
"""

import copy
import re
import signal
import time

from cli.harness import NAME, NODE
from cli.membership import BALANCER, WORKER, MemberTest, pod
from fakes import wire

KINDS = ("status", "hangup", "garbage")
CODES = (1, 3, 4, 5)


class Spoiler(wire.Fault):
    """The nth request, and the same again if it is a hang-up: libcurl sends once more
    what a kept connection did not answer."""

    def __init__(self, kind, nth):
        super().__init__(kind, nth=nth, message="spoiled")
        self.request = None

    def takes(self, request):
        if self.request is None:
            if super().takes(request):
                self.request = str(request)
                return True
            return False
        again = self.kind == "hangup" and self.times == 1 and str(request) == self.request
        self.times = 0
        return again


class Torture(MemberTest):
    """One cluster for all faults of a test: it is checked, and put back, after each."""

    def setUp(self):
        super().setUp()
        self.saved = self.save()

    def save(self):
        with self.engine.lock:
            return (dict(self.engine.containers),
                    {c: (dict(c.files), c.state, list(c.scripts))
                     for c in self.engine.containers.values()},
                    copy.deepcopy(self.members.nodes), copy.deepcopy(self.members.etcd.members),
                    copy.deepcopy(self.behaviour.pods))

    def restore(self):
        containers, inside, nodes, etcd, pods = copy.copy(self.saved)
        with self.engine.lock:
            self.engine.containers = dict(containers)
            for container, (files, state, scripts) in inside.items():
                container.files, container.state = dict(files), state
                container.scripts = list(scripts)
            self.members.nodes = copy.deepcopy(nodes)
            self.members.etcd.members[:] = copy.deepcopy(etcd)
            self.members.leases.clear()
            self.behaviour.pods[:] = copy.deepcopy(pods)

    def requests_of(self, *argv):
        """What a run asks of the engine and of the API server when all is well."""
        since = self.new_requests([self.engine, self.api])
        self.assert_code(self.node(*argv), 0)
        counts = [len(lines) for lines in since()]
        self.restore()
        return counts

    def spoil(self, kind, nth, *argv, api=False):
        """The result, or None when the run did not mind, and the request that it was."""
        fault = Spoiler(kind, nth)
        (self.behaviour.api_faults if api else self.engine.faults).append(fault)
        result = self.node(*argv)
        self.engine.faults.clear()
        self.behaviour.api_faults.clear()
        self.assertLess(result.seconds, 12)
        return result if result.code else None, fault.request or ""

    def check_lock(self, request):
        """Given back, if the request to give it back was not what was spoiled."""
        if not request.startswith("DELETE /apis/coordination"):
            self.assertEqual(self.members.leases, {})

    def each(self, kinds, api):
        """Every request, spoiled in one of the ways in turn."""
        for nth in range(self.requests_of(*self.argv)[api]):
            kind = kinds[nth % len(kinds)]
            with self.subTest(kind=kind, nth=nth):
                result, request = self.spoil(kind, nth, *self.argv, api=api)
                self.judge(result, request)
                self.check_lock(request)
                self.restore()

    def judge(self, result, request):
        self.assertTrue(request)
        if result:
            self.assertIn(result.code, CODES, str(result))
            self.assert_as_before(result)


class Add(Torture):
    argv = ("add", "--timeout", "20s")


class AddControlPlane(Torture):
    """With all that a balancer brings."""
    argv = ("add", "--role", "control-plane", "--timeout", "20s")

    def setUp(self):
        super().setUp()
        self.plain = self.kubeconfig.read_text()

    def restore(self):
        super().restore()
        self.kubeconfig.write_text(self.plain)


class Remove(Torture):
    argv = ("remove", WORKER)
    workers = 2

    def setUp(self):
        super().setUp()
        self.behaviour.pods = [pod("web")]
        self.before = self.state()
        self.saved = self.save()

    def judge(self, result, request):
        if result:
            self.assertIn(result.code, CODES, str(result))
            if re.search("^mkcluster: Removing", result.err, re.M):
                self.assert_said(
                    result, f"`mkcluster node remove --name {NAME} {WORKER}` goes on")
            else:
                self.assert_as_before(result, besides=["pods"])
            self.assert_code(self.node(*self.argv), 0)
        self.assertIsNone(self.container(WORKER))
        self.assertEqual(sorted(self.members.nodes), [NODE, f"{WORKER}-2"])
        self.assertEqual(self.behaviour.pods, [])
        for name in (NODE, f"{WORKER}-2"):
            self.assertNotIn("10.244.1.0/24", self.routes(name))


def add_tests():
    """All three ways for every request of the commonest; of the others one in turn."""
    for group in (Add, AddControlPlane, Remove):
        for kinds in [[k] for k in KINDS] if group is Add else [KINDS]:
            for api in (False, True):
                def test(self, kinds=kinds, api=api):
                    self.each(kinds, api)
                where = "the_api" if api else "the_engine"
                setattr(group, f"test_{'_'.join(kinds)}_of_{where}", test)


add_tests()


class Interrupts(MemberTest):
    """Ctrl-C at a request: the cluster as it was, and the lock given back."""

    def interrupted(self, match, *argv, api=False, nth=0, number=signal.SIGINT):
        fault = wire.Fault("hang", match, nth=nth)
        (self.behaviour.api_faults if api else self.engine.faults).append(fault)
        result = self.interrupt(self.start_node(*argv), fault, number)
        self.assert_code(result, 130)
        self.assertIn("interrupted", result.error_lines()[0])
        self.assertNotIn("cleaning up failed", result.err)
        self.assert_as_before(result)

    def test_reading(self):
        self.interrupted("GET .*/networks/", "add")

    def test_lock(self):
        self.interrupted("POST .*/leases", "add", api=True, number=signal.SIGTERM)

    def test_files_of_others(self):
        self.interrupted("PUT .*/archive", "add")

    def test_commands_of_others(self):
        self.interrupted("POST .*/exec/.*/start", "add", number=signal.SIGTERM)

    def test_container(self):
        self.interrupted("POST .*/containers/create", "add")

    def test_start(self):
        self.interrupted("POST .*/containers/.*/start", "add", "--count", "2")

    def test_ready(self):
        self.interrupted("GET /api/v1/nodes", "add", api=True)

    def test_member(self):
        self.interrupted("POST .*/exec/.*/start", "add", "--role", "control-plane")

    def test_promotion(self):
        """The fourth command: after a member and two nodes that follow the balancer."""
        self.interrupted("POST .*/exec/.*/start", "add", "--role", "control-plane", nth=3)

    def test_ready_with_a_vote(self):
        self.interrupted("GET /api/v1/nodes", "add", "--role", "control-plane", api=True)

    def test_member_that_is_added_late(self):
        """etcdctl goes on in the node when we hang up."""
        fault = self.engine.fault("slow", "POST .*/exec/.*/start", delay=0.5)
        result = self.interrupt(self.start_node("add", "--role", "control-plane"), fault)
        self.assert_code(result, 130)
        time.sleep(max(0, 0.8 - result.seconds))
        self.assert_as_before(result)

    def test_cordon(self):
        self.interrupted("PATCH", "remove", WORKER, api=True)

    def test_drain(self):
        self.behaviour.pods = [pod("web")]
        self.behaviour.evict["default/web"] = [(429, "disruption budget")]
        self.before = self.state()
        running = self.start_node("remove", WORKER)
        self.wait_for(lambda: self.members.evictions)
        running.signal(signal.SIGINT)
        result = self.sane(running.wait(5))
        self.assert_code(result, 130)
        self.assert_as_before(result)

    def test_eviction(self):
        self.behaviour.pods = [pod("web")]
        self.before = self.state()
        self.interrupted("POST .*/eviction", "remove", WORKER, api=True)

    def test_removal(self):
        """Beyond the drain there is no way back, only on."""
        fault = self.engine.fault("hang", "POST .*/kill")
        result = self.interrupt(self.start_node("remove", WORKER), fault)
        self.assert_code(result, 130)
        self.assert_said(result, f"`mkcluster node remove --name {NAME} {WORKER}` goes on")
        self.assertEqual(self.members.leases, {})
        self.assert_code(self.node("remove", WORKER), 0)
        self.assertIsNone(self.container(WORKER))
        self.assertIsNone(self.container(BALANCER))

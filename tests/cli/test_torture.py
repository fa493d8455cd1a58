# SPDX-License-Identifier: Apache-2.0
"""Each request of a create, spoiled in each way; and a signal at each of them.

What must hold, whatever happens: a documented exit code, one error line, no crash,
nothing left behind and the kubeconfig as it was.
"""

import re
import signal
import time

from cli.harness import NAME, NODE, OTHER_KUBECONFIG, CliTest, Running, binary
from fakes import wire

# The engine's requests of a create, in order: test_create.py holds them to it.
ENGINE = ("ping", "same name", "image", "ports", "ports again", "networks", "mtu", "info",
          "create network", "create container", "put archive", "start")
FIRST_CHANGE = ENGINE.index("create network")
# Answers whose body nobody reads: what spoils only that spoils nothing.
WITHOUT_BODY = ("ping", "put archive", "start")

# For the API server: one test for so many parts of all objects.
PARTS = 4


class Engine(CliTest):
    def spoil(self, kind, nth, codes=(1, 3, 5), **options):
        # libcurl sends again, once, what a kept connection did not answer at all.
        times = 2 if kind in ("hangup", "lost") else 1
        fault = self.engine.fault(kind, nth=nth, times=times, **options)
        result = self.create("--timeout", "20s")
        self.assertTrue(fault.reached.is_set())
        self.assertLess(result.seconds, 12)
        if nth < FIRST_CHANGE:
            self.assertEqual([r for r in self.engine.requests if r.method == "POST"], [])
        if nth == 0:
            codes = (3,)
        return self.assert_failed(result, *codes)


def add_engine_tests():
    kinds = ("status", "hangup", "garbage", "truncated", "bad_json", "cut", "lost")
    for kind in kinds:
        for nth, name in enumerate(ENGINE):
            if kind in ("truncated", "bad_json", "cut") and name in WITHOUT_BODY:
                continue
            def test(self, kind=kind, nth=nth):
                self.spoil(kind, nth)
            setattr(Engine, f"test_{kind}_{nth}_{name.replace(' ', '_')}", test)


add_engine_tests()


class EngineMore(CliTest):
    def test_start_that_starts_nothing(self):
        self.engine.fault("bad_json", "POST .*/start")
        result = self.create("--timeout", "20s")
        self.assert_failed(result, 5)
        self.assert_said(result, f"node '{NODE}' stopped with status 0")

    def test_status_of_all_sorts(self):
        for status in (301, 400, 404, 409, 503):
            for nth in map(ENGINE.index, ("same name", "create container", "start")):
                with self.subTest(status=status, nth=nth):
                    self.engine.faults = []
                    before = len(self.engine.requests)
                    self.engine.fault("status", nth=nth, status=status, message="a\nb\x1b[31m")
                    result = self.create("--timeout", "3s")
                    self.assertNotIn("\x1b", result.err)
                    self.assertLess(len(self.engine.requests) - before, 60)
                    self.assertIn(result.code, (1, 3, 4, 5, 6), str(result))
                    self.assert_nothing_left()

    def test_inspect_fails_while_the_api_is_awaited(self):
        for kind in ("status", "hangup", "garbage", "truncated"):
            with self.subTest(kind=kind):
                self.behaviour.ready_after = 50
                self.engine.faults = []
                fault = self.engine.fault(kind, "GET .*/containers/[0-9a-f]+/json", times=2)
                result = self.create("--timeout", "20s")
                self.assertTrue(fault.reached.is_set())
                self.assert_failed(result, 1, 5)

    def test_answer_lost_once(self):
        """Sent again by libcurl: done twice, or refused because it is done."""
        for match in ("/networks/create", "/containers/create", "/start"):
            with self.subTest(match=match):
                self.engine.faults = []
                self.engine.fault("lost", f"POST .*{match}")
                result = self.create()
                self.assertIn(result.code, (0, 1, 4, 5), str(result))
                if result.code == 0:
                    self.run_cli("delete", "--name", NAME)
                else:
                    self.assert_nothing_left()


class ApiServer(CliTest):
    """Every object's PATCH, by its path: they are sent side by side, in no order."""

    def objects(self):
        self.assert_code(self.create(), 0)
        paths = list(self.engine.nodes[0].api.objects)
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.kubeconfig.write_text(OTHER_KUBECONFIG)
        return paths

    def spoil_objects(self, kind, part, code=5):
        self.behaviour.ready_after = 0
        paths = self.objects()
        self.assertGreater(len(paths), 30)
        for path in paths[part::PARTS]:
            with self.subTest(path=path):
                # Always: libcurl sends again what a kept connection dropped.
                fault = wire.Fault(kind, f"PATCH {re.escape(path)}[?]", times=None)
                self.behaviour.api_faults[:] = [fault]
                result = self.create("--timeout", "20s")
                self.assertTrue(fault.reached.is_set())
                self.assertLess(result.seconds, 10)
                self.assert_failed(result, code)
                if kind == "status":
                    self.assert_said(result, re.escape(path))

    def spoil_one(self, kind, match, *codes, nth=0, times=1):
        fault = wire.Fault(kind, match, nth=nth, times=times)
        self.behaviour.api_faults[:] = [fault]
        result = self.create("--timeout", "20s")
        self.assertTrue(fault.reached.is_set())
        self.assertLess(result.seconds, 10)
        if codes == (0,):
            return self.assert_code(result, 0)
        return self.assert_failed(result, *codes)

    def test_readyz_is_asked_again(self):
        for kind in ("status", "hangup", "garbage", "cut"):
            with self.subTest(kind=kind):
                self.spoil_one(kind, "/readyz", 0, times=3)
                self.run_cli("delete", "--name", NAME)

    def test_watch_is_opened_again(self):
        for kind in ("status", "hangup", "garbage"):
            for nth in range(3):
                with self.subTest(kind=kind, nth=nth):
                    self.spoil_one(kind, "watch=1", 0, nth=nth)
                    self.run_cli("delete", "--name", NAME)

    def test_watch_with_bad_lines(self):
        for nth in range(3):
            with self.subTest(nth=nth):
                fault = wire.Fault("bad_json", "watch=1", nth=nth)
                self.behaviour.api_faults[:] = [fault]
                result = self.create("--timeout", "20s")
                self.assertIn(result.code, (0, 5), str(result))
                self.run_cli("delete", "--name", NAME)

    def test_answer_of_an_apply_is_not_needed(self):
        """A PATCH whose answer is no JSON has still been accepted."""
        self.spoil_one("bad_json", "PATCH .*/namespaces/kube-public[?]", 0)


def add_api_tests():
    # Two kinds for each object, the others for some.
    for kind, parts in (("status", range(PARTS)), ("hangup", range(PARTS)), ("garbage", [0]),
                        ("cut", [1])):
        for part in parts:
            def test(self, kind=kind, part=part):
                self.spoil_objects(kind, part)
            setattr(ApiServer, f"test_{kind}_objects_{part + 1}_of_{PARTS}", test)


add_api_tests()


class Identity(CliTest):
    def test_another_server_on_the_port(self):
        """Whoever answers there is not ours: its certificate is of another CA."""
        other = CliTest("setUp")
        other.setUp()
        self.addCleanup(other.doCleanups)
        other.assert_code(other.create(), 0)
        strange = other.engine.find(NODE).files
        pki = "etc/kubernetes/pki/"

        def swap(request):
            container = self.engine.find(NODE)
            if request.path.endswith("/start"):
                for name in ("ca.crt", "apiserver.crt", "apiserver.key"):
                    container.files[pki + name] = strange[pki + name]
            return original(request)
        original = self.engine.handle
        self.engine.handle = swap
        result = self.create("--timeout", "2s")
        self.assert_failed(result, 5, 6)
        self.assert_said(result, "certificate")
        self.assertEqual(self.engine.nodes[0].api.log(), [])


class Interrupts(CliTest):
    """A signal while request n is being answered."""

    def interrupted(self, fault, number, **options):
        running = self.start_create("--timeout", "30s", **options)
        result = self.interrupt(running, fault, number)
        self.assert_code(result, 130)
        self.assertIn("interrupted", result.error_lines()[0])
        self.assert_nothing_left()
        return result

    def in_api(self, match, number=signal.SIGINT, nth=0):
        fault = wire.Fault("hang", match, nth=nth)
        self.behaviour.api_faults.append(fault)
        self.interrupted(fault, number)

    def test_readyz(self):
        self.in_api("/readyz", nth=1)

    def test_between_two_asks(self):
        self.behaviour.ready_after = 10 ** 6
        running = self.start_create()
        end = time.monotonic() + 10
        while not (self.engine.nodes and self.engine.nodes[0].api.asked > 5):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        running.signal(signal.SIGINT)
        self.assert_code(self.sane(running.wait(5)), 130)
        self.assert_nothing_left()

    def test_apply_of_a_namespace(self):
        self.in_api("PATCH /api/v1/namespaces/openfaas[?]", signal.SIGTERM)

    def test_apply_of_a_deployment(self):
        self.in_api("PATCH .*/deployments/gateway")

    def test_watch_of_the_node(self):
        self.in_api("GET /api/v1/nodes", signal.SIGTERM)

    def test_watch_of_dns(self):
        self.in_api("GET /apis/apps/v1/deployments")

    def test_watch_of_openfaas(self):
        self.in_api("GET /apis/apps/v1/deployments", signal.SIGTERM, nth=1)

    def test_in_a_watch(self):
        self.behaviour.node_after = 10 ** 6
        running = self.start_create()
        end = time.monotonic() + 10
        while not (self.engine.nodes and self.engine.nodes[0].api.watching_since):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        time.sleep(0.1)
        running.signal(signal.SIGTERM)
        self.assert_code(self.sane(running.wait(5)), 130)
        self.assert_nothing_left()

    def test_gateway(self):
        fault = wire.Fault("hang")
        self.behaviour.gateway_faults.append(fault)
        self.interrupted(fault, signal.SIGINT)

    def test_waiting_for_the_lock_of_the_kubeconfig(self):
        lock = self.kubeconfig.parent / "config.lock"
        lock.touch()
        running = self.start_create()
        time.sleep(2)
        running.signal(signal.SIGINT)
        result = self.sane(running.wait(5))
        self.assertTrue(lock.exists(), "another program's lock is not ours to remove")
        lock.unlink()
        self.assert_code(result, 130)
        self.assert_nothing_left()

    def test_diagnosis(self):
        """It failed already; the user does not want to know why."""
        self.behaviour.refuse["/api/v1/namespaces/openfaas"] = (422, "no")
        fault = self.engine.fault("hang", "/exec")
        result = self.interrupt(self.start_create(), fault)
        self.assertIn(result.code, (5, 130))
        self.assert_nothing_left()

    def test_retain(self):
        fault = wire.Fault("hang", "/readyz")
        self.behaviour.api_faults.append(fault)
        result = self.interrupt(self.start_create("--retain"), fault)
        self.assert_code(result, 130)
        self.assertEqual(len(self.engine.labelled(NAME)), 2)
        self.assert_untouched_kubeconfig()

    def test_second_signal_during_the_undo(self):
        """The undo hangs: the user insists."""
        first = self.engine.fault("hang", "POST .*/start")
        second = self.engine.fault("hang", "DELETE")
        running = self.start_create()
        self.assertTrue(first.reached.wait(10))
        running.signal(signal.SIGINT)
        self.assertTrue(second.reached.wait(5))
        sent = time.monotonic()
        running.signal(signal.SIGINT)
        result = running.wait(5)
        self.assertLess(time.monotonic() - sent, 1)
        self.assert_code(result, 130)
        self.assert_said(result, "interrupted again, leaving at once; `mkcluster delete`")
        self.engine.faults = []
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.assert_nothing_left()

    def test_ignored_before(self):
        """As a background job of a shell without job control: SIGINT ignored."""
        fault = self.engine.fault("hang", "POST .*/start")
        running = Running(["sh", "-c", 'trap "" INT; exec "$0" "$@"', binary(), "create",
                           "--config", self.config()], self.env, str(self.folder))
        self.addCleanup(running.close)
        self.assertTrue(fault.reached.wait(10))
        running.signal(signal.SIGTERM)
        self.assert_code(self.sane(running.wait(5)), 130)
        self.assert_nothing_left()


class LateAnswers(CliTest):
    """The engine goes on with what it was asked for after the client has left, as
    Docker does: what it makes then must not stay."""

    def slow(self, match, delay):
        fault = self.engine.fault("slow", match, delay=delay)
        running = self.start_create()
        result = self.interrupt(running, fault)
        self.assert_code(result, 130)
        time.sleep(max(0, delay - result.seconds) + 0.3)
        self.assert_nothing_left()


def add_slow():
    for match, name in (("/networks/create", "network"), ("/containers/create", "container"),
                        ("/start", "start")):
        for delay in (0.2, 2):
            def test(self, match=match, delay=delay):
                self.slow(f"POST .*{match}", delay)
            setattr(LateAnswers, f"test_{name}_{delay}".replace(".", "_"), test)


add_slow()


def add_interrupts():
    for nth, name in enumerate(ENGINE):
        for number in (signal.SIGINT, signal.SIGTERM):
            def test(self, nth=nth, number=number):
                self.interrupted(self.engine.fault("hang", nth=nth), number)
            setattr(Interrupts,
                    f"test_{number.name.lower()}_{nth}_{name.replace(' ', '_')}", test)


add_interrupts()

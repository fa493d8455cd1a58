# SPDX-License-Identifier: Apache-2.0
"""`node add` and `node remove` when something is wrong: the exit code, the words, and
the cluster as it was."""

import os
import socket
import time

from cli.harness import NAME, NODE, free_ports
from cli.membership import BALANCER, LEASE, WORKER, MemberTest, pod
from fakes import wire

SPEC = "etc/mkcluster/config.yaml"


class CommandLine(MemberTest):
    """All of it in one cluster: nothing may change."""

    def refused(self, code, pattern, *argv):
        result = self.node(*argv)
        self.assert_code(result, code)
        self.assert_said(result, pattern)
        self.assert_as_before(result)
        return result

    def test_refusals(self):
        self.nothing_is_asked()
        self.unknown()
        self.more_than_there_can_be()

    def nothing_is_asked(self):
        since = self.new_requests([self.engine])
        for count in ("0", "201", "-1", "x", "1.5", ""):
            self.refused(2, "--count", "add", "--count", count)
        self.refused(2, "--role", "add", "--role", "boss")
        self.refused(2, "does not know what to do with 'more'", "add", "more")
        self.refused(2, "NODE", "remove")
        self.refused(2, "--drain-timeout", "remove", WORKER, "--drain-timeout", "soon")
        self.assert_code(self.run_cli("node", "add", "--name", "Bad_Name"), 2)
        self.assertEqual(since(), [[]])

    def unknown(self):
        for argv in (("add",), ("remove", WORKER)):
            result = self.run_cli("node", *argv, "--name", "other")
            self.assert_code(result, 4)
            self.assert_said(result, "no cluster 'other'", f"there are: {NAME}")
        self.refused(4, f"no node 'nobody'\n  there are: {NODE}, {WORKER}$", "remove", "nobody")
        self.refused(2, "first control plane", "remove", NODE)

    def more_than_there_can_be(self):
        """Said at once, not when eight have come."""
        self.refused(2, "at most 9 control planes, this one 1", "add", "--role",
                     "control-plane", "--count", "9")
        self.refused(2, "at most 200 workers", "add", "--count", "200")


class State(MemberTest):
    """A cluster that does not run, or not as a whole, or is not ours to understand."""

    def refused(self, code, *patterns, argv=("add",)):
        since = self.new_requests([self.engine])
        result = self.node(*argv)
        self.assert_code(result, code)
        self.assert_said(result, *patterns)
        self.assertEqual(self.state()["leases"], [])
        self.assertEqual([line for line in since()[0] if not line.startswith("GET ")], [])

    def test_does_not_run(self):
        first, worker = self.container(NODE), self.container(WORKER)
        for argv in (("add",), ("remove", WORKER)):
            first.state = "exited"
            self.refused(3, f"^mkcluster: node '{NODE}' is exited\n"
                         f"  `mkcluster start --name {NAME}` first$", argv=argv)
            first.state = "paused"
            self.refused(3, f"node '{NODE}' is paused\n  `mkcluster resume --name {NAME}` first",
                         argv=argv)
            first.state = "running"
            # It would not read what it is told, now or later.
            worker.state = "paused"
            self.refused(3, f"node '{WORKER}' is paused\n  `mkcluster resume", argv=argv)
        worker.state = "exited"
        self.refused(3, f"node '{WORKER}' does not run: no control plane can be added",
                     f"`mkcluster start --name {NAME}` starts it",
                     argv=("add", "--role", "control-plane"))
        # Who is only stopped reads it at the next start.
        self.assert_code(self.node("add"), 0)
        self.assertEqual(self.routes(WORKER), ["10.244.0.0/24", "10.244.2.0/24"])
        self.assertEqual(worker.scripts, [])

    def test_second_control_plane_is_stopped(self):
        self.assert_code(self.node("add", "--role", "control-plane"), 0)
        self.container(f"{NODE}-2").state = "exited"
        self.refused(3, f"node '{NODE}-2' does not run", argv=("add", "--role", "control-plane"))
        # A worker comes all the same.
        self.assert_code(self.node("add"), 0)
        # Of two members one has to go for the other to be a quorum: that is fine.
        self.assert_code(self.node("remove", f"{NODE}-2"), 0)
        self.assertEqual([m["name"] for m in self.members.etcd.members], [NODE])

    def test_quorum(self):
        self.assert_code(self.node("add", "--role", "control-plane", "--count", "2"), 0)
        self.container(f"{NODE}-2").state = "exited"
        self.refused(3, f"without '{NODE}-3' only 1 of 2 etcd members would run: no quorum",
                     argv=("remove", f"{NODE}-3"))
        self.refused(2, f"'{BALANCER}' is the load balancer", argv=("remove", BALANCER))

    def test_unreadable(self):
        """A record that is not there, or that somebody has changed; damaged labels."""
        file = self.container(NODE).files.pop(SPEC)
        for argv in (("add",), ("remove", WORKER)):
            self.refused(1, f"cluster '{NAME}' was made by an earlier mkcluster",
                         f"`mkcluster delete --name {NAME}` and create it again", argv=argv)
        self.container(NODE).files[SPEC] = file
        good = file.data
        for bad, words in ((b"", "apiVersion"), (b"\x00", "config.yaml"), (b"[]", "config.yaml"),
                           (good + b"more: 1\n", "more"),
                           (good.replace(b"10.244.0.0/16", b"10.244.0.0/28"), "pod|/24"),
                           (good.replace(b"10.244.0.0/16", b"nowhere"), "nowhere"),
                           (good.replace(f"name: {NAME}\n".encode(), b"name: other\n"),
                            "is of cluster 'other'")):
            self.assertNotEqual(bad, good)
            file.data = bad
            self.refused(1, f"what '{NODE}' was made from: ", words)
        file.data = good
        self.container(WORKER).labels["io.mkcluster.ip"] = "10.0.0.1; reboot"
        self.refused(1, f"the labels of node '{WORKER}' are damaged")
        del self.engine.images["mkcluster/node:v1.36.3"]
        self.refused(3, "no image 'mkcluster/node:v1.36.3'", "build node-image")

    def test_api_does_not_answer(self):
        self.container(NODE).node.stop()
        self.refused(1, "lock 'mkcluster-nodes': ", f"`mkcluster get nodes --name {NAME}`")

    def test_kubeconfig_cannot_follow(self):
        """Said before a control plane is made for which it would have to change."""
        self.kubeconfig.write_text("clusters: [")
        self.refused(1, "kube/config:2:", "or name another file with --kubeconfig", argv=("add", "--role", "control-plane"))


class Lock(MemberTest):
    def hold(self, pid, host=None, ago=0):
        text = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - ago))
        self.members.leases[LEASE] = {
            "metadata": {"name": LEASE, "resourceVersion": "7"},
            "spec": {"holderIdentity": f"{host or socket.gethostname()}:{pid}",
                     "leaseDurationSeconds": 300, "renewTime": text}}

    def test_held(self):
        for host, pid in ((None, os.getpid()), ("elsewhere", 1)):
            self.hold(pid, host)
            for argv in (("add",), ("remove", WORKER)):
                result = self.node(*argv)
                self.assert_code(result, 4)
                self.assert_said(result, "another run .* holds the lock",
                                 r"try again when it has ended; at the latest, in \d+ s")
                self.assertIn(LEASE, self.members.leases)
                self.assert_as_before(result, besides=["leases"])

    def test_taken_over(self):
        with os.popen("echo $$") as shell:
            dead = int(shell.read())
        for pid, ago in ((dead, 0), (os.getpid(), 301)):
            self.hold(pid, ago=ago)
            self.assert_code(self.node("add"), 0)
            self.assertEqual(self.members.leases, {})

    def test_two_at_once(self):
        fault = self.engine.fault("hang", "POST .*/containers/create")
        first = self.start_node("add")
        self.assertTrue(fault.reached.wait(10))
        second = self.node("add")
        self.assert_code(second, 4)
        self.assert_said(second, "another run")
        fault.release.set()
        self.assert_code(self.sane(first.wait(20)), 0)
        self.assertEqual(sorted(self.members.nodes), [NODE, WORKER, f"{WORKER}-2"])


class Adding(MemberTest):
    def failed(self, result, *codes_and_words):
        codes = [c for c in codes_and_words if isinstance(c, int)]
        self.assertIn(result.code, codes, str(result))
        self.assert_said(result, *[w for w in codes_and_words if not isinstance(w, int)])
        self.assertNotIn("cleaning up failed", result.err)
        self.assertEqual(result.out, "")
        self.assert_as_before(result)
        return result

    def test_name_is_a_strangers(self):
        stranger = self.engine.add_container(f"{WORKER}-2", {})
        self.before = self.state()
        result = self.failed(self.node("add"), 4, "Conflict", "docker rename")
        self.assertNotIn("mkcluster delete", result.err)
        self.assertIs(self.container(f"{WORKER}-2"), stranger)

    def test_never_ready(self):
        self.behaviour.node_after = 10 ** 6
        self.failed(self.node("add", "--timeout", "2s"), 6,
                    f"^mkcluster: Waiting until Ready: not Ready: {WORKER}-2")

    def test_says_why(self):
        """Of the new node, not of those that were there."""
        self.behaviour.node_after = 10 ** 6
        self.behaviour.exec["systemctl list-units"] = lambda container, _command: (
            0, f"kubelet.service loaded failed failed kubelet of {container.name}\n")
        self.behaviour.exec["--unit kubelet.service"] = lambda container, _command: (
            0, f"fatal: no cgroups on {container.name}\n")
        result = self.failed(self.node("add", "--timeout", "1s"), 6,
                             f"^unit kubelet.service on {WORKER}-2, last 20 lines:$",
                             f"^cause: fatal: no cgroups on {WORKER}-2$")
        self.assertNotIn(f"on {NODE}", result.err)

    def test_is_not_told(self):
        self.behaviour.exec["sh -ec"] = (1, "Job for pod-network.service failed\n")
        result = self.node("add")
        self.assert_code(result, 1)
        self.assert_said(result, f"Telling the other nodes: node '({NODE}|{WORKER})' did not "
                         "take the change: Job for pod-network.service failed")
        self.assert_as_before(result)

    def test_retain(self):
        self.behaviour.node_after = 10 ** 6
        result = self.node("add", "--retain", "--timeout", "1s")
        self.assert_code(result, 6)
        self.assert_said(result, "kept for you to look at; `mkcluster node remove`")
        self.assertEqual(self.container(f"{WORKER}-2").state, "running")
        self.assertEqual(self.members.leases, {})
        self.behaviour.node_after = 0
        self.assert_code(self.node("remove", f"{WORKER}-2"), 0)
        self.assert_as_before()

    def test_one_of_two_control_planes(self):
        """What came before one failed stays, and is said."""
        starts = []

        def second(container, command):
            if "add" in command:
                starts.append(command)
            if len(starts) == 2 and "add" in command:
                return (1, "Error: etcdserver: request timed out\n")
            return self.engine.run_command(container, command)
        self.behaviour.exec["etcdctl"] = second
        result = self.node("add", "--role", "control-plane", "--count", "2")
        self.assert_code(result, 1)
        self.assert_said(result, "etcdctl member add: etcdserver: request timed out")
        self.assertEqual(result.out, f"{NODE}-2\n")
        self.assertEqual(sorted(self.members.nodes), [NODE, f"{NODE}-2", WORKER])


class Etcd(MemberTest):
    def add(self, *argv):
        return self.node("add", "--role", "control-plane", *argv)

    def says(self, verb, text, times=10 ** 6):
        """`etcdctl member VERB` fails so often with these words."""
        left = [times]

        def answer(container, command):
            if verb in command and left[0] > 0:
                left[0] -= 1
                return (1, f"Error: etcdserver: {text}\n")
            return self.engine.run_command(container, command)
        self.behaviour.exec["etcdctl"] = answer

    def test_what_passes_is_waited_for(self):
        self.says("add", "unhealthy cluster", times=3)
        self.assert_code(self.add(), 0)
        self.says("promote", "can only promote a learner member which is in sync with leader",
                  times=3)
        self.assert_code(self.add(), 0)
        self.says("remove", "unhealthy cluster", times=3)
        self.assert_code(self.node("remove", f"{NODE}-2"), 0)
        self.assertEqual([m["learner"] for m in self.members.etcd.members], [False, False])

    def test_never_healthy(self):
        self.says("add", "unhealthy cluster")
        result = self.add("--timeout", "1s")
        self.assert_code(result, 6)
        self.assert_said(result, "etcdctl member add: etcdserver: unhealthy cluster")
        self.assert_as_before(result)

    def test_never_in_sync(self):
        self.says("promote", "can only promote a learner member which is in sync with leader")
        result = self.add("--timeout", "1s")
        self.assert_code(result, 6)
        self.assert_said(result, "^mkcluster: Joining etcd: etcdctl member promote: .*in sync")
        self.assert_as_before(result)

    def test_learner_that_stays(self):
        """It costs the others nothing: all else goes back, and the next one replaces it."""
        self.says("remove", "no leader")
        self.engine.fault("status", "POST .*/containers/.*/start", times=2, message="no memory")
        result = self.add()
        self.assert_code(result, 5)
        self.assert_said(result, "500: no memory; and cleaning up failed: etcdctl member remove")
        self.assert_as_before(result, besides=["etcd"])
        self.assertEqual(len(self.members.etcd.members), 2)
        self.behaviour.exec.clear()
        self.engine.faults = []
        self.assert_code(self.add(), 0)
        self.assertEqual([(m["name"], m["learner"]) for m in self.members.etcd.members],
                         [(NODE, False), (f"{NODE}-2", False)])

    def test_vote_that_stays(self):
        """A member with a vote is not stopped: that would cost the others their quorum."""
        self.behaviour.node_after = 10 ** 6
        self.says("remove", "no leader")
        result = self.add("--timeout", "1s")
        self.assert_code(result, 6)
        self.assert_said(result, "not Ready.*; and cleaning up failed: .*no leader",
                         f"`mkcluster get nodes --name {NAME}`.*`mkcluster node remove`")
        self.assertEqual(self.container(f"{NODE}-2").state, "running")
        self.assertEqual(len(self.members.etcd.members), 2)
        self.behaviour.exec.clear()
        self.behaviour.node_after = 0
        self.assert_code(self.node("remove", f"{NODE}-2"), 0)
        self.assertEqual(self.state()["etcd"], self.before["etcd"])


class Killed(MemberTest):
    """kill -9: the next run finds what is left, and goes on."""

    def kill_at(self, match, *argv, api=False, **options):
        fault = wire.Fault("hang", match, **options)
        (self.behaviour.api_faults if api else self.engine.faults).append(fault)
        running = self.start_node(*argv)
        self.assertTrue(fault.reached.wait(10))
        running.kill()
        self.assertIn(LEASE, self.members.leases)
        self.engine.faults = []

    def test_before_a_worker_started(self):
        self.kill_at("POST .*/containers/[0-9a-f]+/start", "add")
        self.assertEqual(self.container(f"{WORKER}-2").state, "created")
        result = self.node("add")
        self.assert_code(result, 0)
        self.assertEqual(result.out, f"{WORKER}-2\n")
        self.assertEqual(self.container(f"{WORKER}-2").state, "running")
        self.assertEqual(self.members.leases, {})

    def test_before_a_balancer_started(self):
        """Its ports are published nowhere: the way in is the old one."""
        self.kill_at("POST .*/containers/[0-9a-f]+/start", "add", "--role", "control-plane",
                     times=2)
        self.assertEqual(self.container(BALANCER).state, "created")
        for what in ("clusters", "nodes"):
            found = self.run_cli("get", what, "--output", "json").out
            self.assertIn(f"127.0.0.1:{self.api_port}", found)
        self.assert_code(self.run_cli("get", "password", "-n", NAME), 0)
        self.joins()

    def test_before_a_control_plane_joined(self):
        """It runs and learns: taken out by its name, for another cannot learn beside it."""
        self.kill_at("POST .*/exec/.*/start", "add", "--role", "control-plane", nth=3)
        self.assertEqual(self.members.etcd.find(learner=True)[0]["name"], f"{NODE}-2")
        result = self.node("add", "--role", "control-plane")
        self.assert_code(result, 1)
        self.assert_said(result, "too many learner members", "`mkcluster node remove`")
        self.assert_code(self.node("remove", f"{NODE}-2"), 0)
        self.joins()

    def joins(self):
        self.assert_code(self.node("add", "--role", "control-plane"), 0)
        self.assertEqual([(m["name"], m["learner"]) for m in self.members.etcd.members],
                         [(NODE, False), (f"{NODE}-2", False)])

    def test_while_it_is_awaited(self):
        self.kill_at("GET /api/v1/nodes", "add", api=True)
        self.assertEqual(self.container(f"{WORKER}-2").state, "running")
        self.assert_code(self.node("remove", f"{WORKER}-2"), 0)
        self.assert_as_before()


class Removing(MemberTest):
    workers = 2

    def test_budget_holds(self):
        self.behaviour.pods = [pod("web"), pod("db", owner="StatefulSet")]
        self.behaviour.evict["default/web"] = [(429, "Cannot evict pod as it would violate the "
                                                "pod's disruption budget.")]
        self.before = self.state()
        result = self.node("remove", WORKER, "--drain-timeout", "1s")
        self.assert_code(result, 6)
        self.assert_said(result, f"^mkcluster: Draining {WORKER}: still there: default/web: "
                         ".*429: Cannot evict pod", "--drain-timeout.*--force")
        self.assert_as_before(result, besides=["pods"])

    def test_cordoned_by_the_user_before(self):
        self.members.nodes[WORKER]["unschedulable"] = True
        self.behaviour.pods = [pod("alone", owner=None)]
        self.before = self.state()
        result = self.node("remove", WORKER)
        self.assert_code(result, 3)
        self.assert_as_before(result)

    def test_bare_pod(self):
        self.behaviour.pods = [pod("alone", owner=None)]
        self.before = self.state()
        result = self.node("remove", WORKER)
        self.assert_code(result, 3)
        self.assert_said(result, "again elsewhere: default/alone", "--force")
        self.assert_as_before(result)

    def test_stays_cordoned(self):
        """And says so, when it cannot be undone."""
        self.behaviour.pods = [pod("alone", owner=None)]
        self.behaviour.api_faults.append(wire.Fault("status", "PATCH", nth=1, times=None,
                                                    message="etcd is away"))
        result = self.node("remove", WORKER)
        self.assert_code(result, 3)
        self.assert_said(result, "default/alone; and it stays cordoned: uncordon .*etcd is away",
                         f"`kubectl uncordon {WORKER}`")

    def test_unknown_to_kubernetes(self):
        del self.members.nodes[WORKER]
        self.assert_code(self.node("remove", WORKER), 0)
        self.assertIsNone(self.container(WORKER))

    def test_second_of_two(self):
        self.behaviour.pods = [pod("alone", node=f"{WORKER}-2", owner=None)]
        result = self.node("remove", WORKER, f"{WORKER}-2")
        self.assert_code(result, 3)
        self.assertIsNone(self.container(WORKER))
        self.assertEqual(self.container(f"{WORKER}-2").state, "running")
        self.assertEqual(self.members.leases, {})

    def test_published_ports(self):
        """Told before the container goes: who could not be told can be told again."""
        self.assert_code(self.run_cli("port", "add", f"{free_ports(1)[0]}:31112", "-n", NAME), 0)
        port = next(c for c in self.engine.containers.values() if c.role == "port")
        config = port.files["etc/mkcluster/port.cfg"]
        self.assertIn(f"server {WORKER} ", config.data.decode())
        self.behaviour.exec["kill -USR2"] = (1, "no such process\n")
        result = self.node("remove", WORKER)
        self.assert_code(result, 1)
        self.assert_said(result, "tell the published ports of the nodes: .*no such process",
                         f"`mkcluster node remove --name {NAME} {WORKER}` goes on")
        self.behaviour.exec.clear()
        self.assert_code(self.node("remove", WORKER), 0)
        config = port.files["etc/mkcluster/port.cfg"]
        self.assertNotIn(f"server {WORKER} ", config.data.decode())
        self.assertIn(f"server {WORKER}-2 ", config.data.decode())
        self.assertIsNone(self.container(WORKER))

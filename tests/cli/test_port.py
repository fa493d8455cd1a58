# SPDX-License-Identifier: Apache-2.0
"""`port add|list|remove`, and the ports of a cluster in all that happens to it."""

import json
import re
import signal
import socket

from cli.harness import NAME, NODE, CliTest, free_ports

WORKER = f"{NAME}-worker"


class PortTest(CliTest):
    def setUp(self):
        super().setUp()
        self.node = self.engine.add_cluster(NAME, **{"io.mkcluster.api": "127.0.0.1:6443"})
        self.worker = self.engine.add_container(
            WORKER, {**self.node.labels, "io.mkcluster.role": "worker",
                     "io.mkcluster.ip": "10.213.99.12"})

    def port(self, verb, *args, **options):
        return self.run_cli("port", verb, "--name", NAME, *args, **options)

    def listed(self):
        result = self.port("list", "--output", "json")
        self.assert_code(result, 0)
        return json.loads(result.out)

    def ports(self):
        return {c.name: c for c in self.engine.containers.values() if c.is_port}

    def assert_nothing_made(self):
        self.assertEqual(self.ports(), {})
        self.assertEqual(sorted(self.engine.labelled(NAME)),
                         sorted([NODE, WORKER, f"mkcluster-{NAME}"]))

    def refused(self, result, code, *patterns):
        self.assert_code(result, code)
        self.assertEqual(result.out, "")
        self.assert_said(result, *patterns)
        return result


class Add(PortTest):
    def test_add_list_remove(self):
        one, two = sorted(free_ports(2))
        result = self.port("add", f"{two}:30443", f"0.0.0.0:{one}:80/tcp")
        self.assert_code(result, 0)
        self.assertEqual(result.out, f"127.0.0.1:{two}\n0.0.0.0:{one}\n")
        self.assert_said(result, rf"127\.0\.0\.1:{two} leads to port 30443 of every node")
        port = {"cluster": NAME, "state": "running"}
        self.assertEqual(self.listed(), [
            {**port, "address": "0.0.0.0", "hostPort": one, "nodePort": 80},
            {**port, "address": "127.0.0.1", "hostPort": two, "nodePort": 30443}])
        self.assertRegex(self.port("list").out,
                         r"^ADDRESS +HOST-PORT +NODE-PORT +STATE\n"
                         rf"0\.0\.0\.0 +{one} +80 +running\n127\.0\.0\.1 +{two} +30443 +running\n$")
        self.nodes_are_as_before()
        self.assert_code(self.port("remove", str(one)), 0)
        self.assertEqual([p["hostPort"] for p in self.listed()], [two])
        self.assert_code(self.port("remove", f"127.0.0.1:{two}"), 0)
        self.assertEqual(self.listed(), [])
        self.assert_nothing_made()

    def nodes_are_as_before(self):
        nodes = json.loads(self.run_cli("get", "nodes", "-o", "json").out)
        self.assertEqual([n["name"] for n in nodes], [NODE, WORKER])
        clusters = json.loads(self.run_cli("get", "clusters", "-o", "json").out)
        self.assertEqual([(c["nodes"], c["running"]) for c in clusters], [(2, 2)])

    def test_container(self):
        """The least privilege there is, and an address that no stopped node has."""
        result = self.port("add", "0:30080", "--output", "json")
        self.assert_code(result, 0)
        added = json.loads(result.out)[0]
        self.assertEqual((added["address"], added["nodePort"]), ("127.0.0.1", 30080))
        container = self.ports()[f"{NAME}-port-{added['hostPort']}"]
        config, host = container.config, container.host_config
        self.assertEqual(config["User"], "65534:65534")
        self.assertEqual(config["Entrypoint"], ["/usr/sbin/haproxy"])
        self.assertEqual(host["CapDrop"], ["ALL"])
        self.assertEqual(host["SecurityOpt"], ["no-new-privileges"])
        self.assertTrue(host["ReadonlyRootfs"])
        self.assertNotIn("CapAdd", host)
        self.assertNotIn("Privileged", host)
        self.assertEqual(host["RestartPolicy"], {"Name": "unless-stopped"})
        self.assertEqual(host["PortBindings"], {"8080/tcp": [
            {"HostIp": "127.0.0.1", "HostPort": str(added["hostPort"])}]})
        ends = config["NetworkingConfig"]["EndpointsConfig"]
        self.assertEqual(ends, {self.node.host_config["NetworkMode"]: {
            "IPAMConfig": {"IPv4Address": "10.213.99.254"}}})
        self.assertEqual(list(container.files), ["etc/mkcluster/port.cfg"])
        text = container.files["etc/mkcluster/port.cfg"].data.decode()
        self.assertEqual(re.findall(r"^\tserver (.*)$", text, re.M),
                         [f"{NODE} 10.213.99.2:30080", f"{WORKER} 10.213.99.12:30080"])

    def test_addresses_differ(self):
        self.assert_code(self.port("add", "0:30080", "0:30081"), 0)
        self.assert_code(self.port("add", "0:30082"), 0)
        self.assertEqual(sorted(c.labels["io.mkcluster.ip"] for c in self.ports().values()),
                         ["10.213.99.252", "10.213.99.253", "10.213.99.254"])

    def test_another_run_takes_the_address(self):
        self.engine.refuse_addresses = 1
        self.assert_code(self.port("add", "0:30080"), 0)
        ours = [c for c in self.ports().values() if c.labels["io.mkcluster.run"] != "other"]
        self.assertEqual([c.labels["io.mkcluster.ip"] for c in ours], ["10.213.99.253"])

    def test_address_is_taken_for_ever(self):
        self.engine.refuse_addresses = 99
        self.refused(self.port("add", "0:30080"), 1, "Address already in use")
        self.assertEqual([c.labels["io.mkcluster.run"] for c in self.ports().values()],
                         ["other"] * 5)

    def test_cluster_on_every_address(self):
        self.node.labels["io.mkcluster.api"] = "0.0.0.0:6443"
        self.assertRegex(self.port("add", "0:30080").out, r"^0\.0\.0\.0:\d+\n$")

    def test_quiet(self):
        result = self.port("add", "-q", "0:30080")
        self.assertEqual(result.err, "")
        self.assertRegex(result.out, r"^127\.0\.0\.1:\d+\n$")


class Refused(PortTest):
    def test_usage(self):
        """Before any engine is asked."""
        for text in ("8080", "8080:", ":8080", "a:b", "8080:0", "8080:65536", "65536:80", "-1:80",
                     "1.2.3:8080:80", "1.2.3.4:8080:", "[::1]:8080:80", "localhost:8080:80", "",
                     "8080:80 ", "1:2:3:4", "8080:99999999999999999999"):
            self.refused(self.port("add", "--", text), 2)
        self.refused(self.port("add", "8080:30053/udp"), 2, "protocol 'udp': only TCP",
                     "HAProxy, which knows no UDP")
        self.refused(self.port("add", "8080:80/"), 2)
        self.refused(self.port("add"), 2, "needs")
        self.refused(self.port("add", "8080:80", "1.2.3.4:8080:81"), 2, "named twice")
        self.refused(self.port("remove", "x"), 2, "'x' is not a port")
        self.refused(self.port("remove"), 2, "needs HOST")
        self.refused(self.run_cli("port", "add", "1:2", "--name", "A"), 2, "cannot name")
        writes = [r for r in self.engine.requests if r.method != "GET"]
        self.assertEqual(writes, [])

    def test_absent_cluster(self):
        for argv in (("add", "0:80"), ("list",), ("remove", "80")):
            self.refused(self.run_cli("port", *argv, "--name", "none"), 4, "no cluster 'none'",
                         f"there are: {NAME}")
        self.assert_nothing_made()

    def test_published_already(self):
        port, other = free_ports(2)
        self.assert_code(self.port("add", f"{port}:30080"), 0)
        self.refused(self.port("add", f"{other}:80", f"{port}:30081"), 4,
                     f"publishes port {port} already", "port list")
        self.assertEqual(len(self.ports()), 1)
        self.refused(self.port("remove", str(other)), 4, f"does not publish port {other}",
                     f"it publishes {port}")
        # All or none.
        self.refused(self.port("remove", str(port), str(other)), 4)
        self.assertEqual(len(self.ports()), 1)

    def test_nothing_published(self):
        self.refused(self.port("remove", "8080"), 4, "publishes none")
        self.assertEqual(self.port("list").out.splitlines()[1:], [])

    def test_taken(self):
        port, = free_ports(1)
        with socket.create_server(("127.0.0.1", port)):
            self.refused(self.port("add", "0:30080", f"{port}:30081"), 3,
                         f"port {port} of 127.0.0.1 is taken", "ss -ltnp")
        self.refused(self.port("add", "192.0.2.1:0:80"), 3, "192.0.2.1")
        self.assert_nothing_made()

    def test_ports_of_other_clusters(self):
        """Of stopped ones too, whose ports nobody has bound."""
        port, = free_ports(1)
        self.engine.add_cluster("other", **{"io.mkcluster.gateway": f"127.0.0.1:{port}"})
        self.engine.find("other-control-plane").state = "exited"
        self.refused(self.port("add", f"{port}:80"), 3, "is taken")
        self.assert_nothing_made()

    def test_stopped_and_paused(self):
        for state, hint in (("exited", "mkcluster start"), ("paused", "mkcluster resume")):
            self.node.state = self.worker.state = state
            self.refused(self.port("add", "0:80"), 3, "does not run", hint)
        self.assertEqual(self.listed(), [])
        self.node.state = "exited"
        self.worker.state = "running"
        self.assert_code(self.port("add", "0:80"), 0)

    def test_no_address_left(self):
        for n in range(2, 255):
            self.engine.add_container(f"x{n}", {**self.worker.labels,
                                                "io.mkcluster.ip": f"10.213.99.{n}"})
        self.refused(self.port("add", "0:80"), 3, "no address left")


class Faults(PortTest):
    def test_haproxy_does_not_start(self):
        self.behaviour.port_console = "[ALERT]    (1) : parsing [port.cfg:3] : no such thing\n"
        result = self.refused(self.port("add", "0:30080"), 1, "does not listen", "no such thing")
        self.assertNotIn("Loading", result.err)
        self.assert_nothing_made()

    def test_port_is_taken_at_the_last_moment(self):
        port, = free_ports(1)
        fault = self.engine.fault("hang", "/containers/create")
        running = self.start("port", "add", "--name", NAME, "0:30081", f"{port}:30080")
        self.assertTrue(fault.reached.wait(10))
        with socket.create_server(("127.0.0.1", port)):
            fault.release.set()
            result = self.sane(running.wait(20))
        self.refused(result, 3, f"publish port {port}: .*port is already allocated",
                     "choose another")
        self.assert_nothing_made()

    def test_each_request(self):
        """Each request spoiled in each way: an exit status, and all or nothing."""
        before = len(self.engine.requests)
        self.assert_code(self.port("add", "0:30080", "0:30081"), 0)
        count = len(self.engine.requests) - before
        self.assert_code(self.port("remove", *(str(p["hostPort"]) for p in self.listed())), 0)
        for kind in ("status", "hangup", "garbage"):
            for nth in range(count):
                with self.subTest(kind=kind, nth=nth):
                    self.engine.faults = []
                    self.engine.fault(kind, nth=nth, times=2)
                    result = self.port("add", "0:30080", "0:30081")
                    self.assertIn(result.code, (0, 1, 3), str(result))
                    # The second fault may hit the way back, which says so.
                    if "cleaning up failed" not in result.err:
                        made = 2 if result.code == 0 else 0
                        self.assertEqual(len(self.ports()), made, str(result))
                    self.engine.faults = []
                    left = [str(p["hostPort"]) for p in self.listed()]
                    if left:
                        self.assert_code(self.port("remove", *left), 0)
                    self.assert_nothing_made()

    def test_interrupt(self):
        for match in ("/networks/", "/create", "/archive", "/start", "/logs"):
            with self.subTest(match=match):
                self.engine.faults = []
                fault = self.engine.fault("hang", match)
                running = self.start("port", "add", "--name", NAME, "0:30080", "0:30081")
                result = self.interrupt(running, fault, number=signal.SIGTERM, within=6)
                self.assert_code(result, 130)
                self.assertEqual(result.out, "")
                self.assert_nothing_made()


class Whole(PortTest):
    """What is done to a cluster is done to its ports."""

    def test_stop_and_delete(self):
        self.assert_code(self.port("add", "0:30080"), 0)
        container, = self.ports().values()
        self.assert_code(self.run_cli("stop", "--name", NAME), 0)
        self.assertEqual({c.state for c in (container, self.node, self.worker)}, {"exited"})
        self.assertEqual([p["state"] for p in self.listed()], ["exited"])
        self.assert_code(self.run_cli("delete", "--name", NAME), 0)
        self.assert_nothing_left()

# SPDX-License-Identifier: Apache-2.0
"""`node add` and `node remove` when all is well: what they ask for, change and say."""

import re

from cli.harness import CONTEXT, NAME, NODE
from cli.membership import BALANCER, LEASE, WORKER, MemberTest, pod


def without_query(line):
    return re.sub(r"\?.*", "", line).replace("/v1.41", "")


class AddWorker(MemberTest):
    def test_it_comes(self):
        result = self.node("add")
        self.assert_code(result, 0)
        self.assertEqual(result.out, f"{WORKER}-2\n")
        new = self.container(f"{WORKER}-2")
        prefix = self.container(NODE).labels["io.mkcluster.ip"].rsplit(".", 1)[0]
        labels = dict(new.labels)
        self.assertNotEqual(labels.pop("io.mkcluster.run"),
                            self.container(NODE).labels["io.mkcluster.run"])
        self.assertEqual(labels, {
            "io.mkcluster.cluster": NAME, "io.mkcluster.role": "worker",
            "io.mkcluster.ip": f"{prefix}.13", "io.mkcluster.pods": "10.244.2.0/24",
            "io.mkcluster.api": f"127.0.0.1:{self.api_port}",
            "io.mkcluster.registry": f"127.0.0.1:{self.registry_port}",
            "io.mkcluster.gateway": f"127.0.0.1:{self.gateway_port}"})
        self.assertEqual(new.host_config["NetworkMode"],
                         self.container(NODE).host_config["NetworkMode"])
        self.assertNotIn("etc/kubernetes/pki/ca.key", new.files)
        # Of the cluster's own CA, and with routes to all others, which have one to it.
        self.assertEqual(new.files["etc/kubernetes/pki/ca.crt"].data,
                         self.container(NODE).files["etc/kubernetes/pki/ca.crt"].data)
        self.assertEqual(self.routes(f"{WORKER}-2"), ["10.244.0.0/24", "10.244.1.0/24"])
        self.assertEqual(self.routes(NODE), ["10.244.1.0/24", "10.244.2.0/24"])
        self.assertEqual(self.routes(WORKER), ["10.244.0.0/24", "10.244.2.0/24"])
        for name in (NODE, WORKER):
            self.assertEqual(self.restarted(name), ["pod-network"])
        self.assertEqual(new.scripts, [])
        now = self.state()
        self.assertEqual(now["nodes"], [NODE, WORKER, f"{WORKER}-2"])
        for key in ("networks", "etcd", "cordoned", "leases", "kubeconfig"):
            self.assertEqual(now[key], self.before[key], key)

    def test_asks_once_for_what_it_needs(self):
        since = self.new_requests([self.engine, self.api])
        self.assert_code(self.node("add"), 0)
        engine, api = since()
        first, worker, new = (self.container(n).id for n in (NODE, WORKER, f"{WORKER}-2"))
        files = [line for line in engine if f"GET /v1.41/containers/{first}/archive" in line]
        self.assertEqual(len(files), len(set(files)), "each file once")
        self.assertEqual(sum("/etc/kubernetes/pki/" in line for line in files), 9)
        log = [without_query(line) for line in engine if line not in files]
        told = [f"PUT /containers/{node}/archive" for node in (first, worker)]
        self.assertEqual(sorted(log[10:12]), sorted(told), "side by side, in no order")
        log[10:12] = told
        nodes = "GET /containers/json"
        self.assertEqual([line for line in log if "/exec" not in line], [
            "GET /_ping", nodes, f"GET /containers/{first}/json",
            f"GET /networks/{self.network_id()}", "GET /images/mkcluster/node:v1.36.3/json",
            "GET /info", nodes,  # for the way to the API
            nodes, nodes, nodes,  # under the lock; inotify; ports
            *told, "POST /containers/create", f"PUT /containers/{new}/archive",
            f"POST /containers/{new}/start",
            nodes])  # published ports, which would be told
        self.assertEqual(sum("/exec" in line for line in log), 6)
        self.assertEqual([without_query(line).split("/")[-1] for line in api],
                         ["leases", "nodes", LEASE])

    def network_id(self):
        return self.container(NODE).host_config["NetworkMode"]

    def test_several_side_by_side(self):
        result = self.node("add", "--count", "3")
        self.assert_code(result, 0)
        names = [f"{WORKER}-{n}" for n in (2, 3, 4)]
        self.assertEqual(result.out.split(), names)
        log = [without_query(line) for line in self.engine.log()]
        starts = [i for i, line in enumerate(log) if line.endswith("/start") and
                  "containers" in line][-3:]
        creates = [i for i, line in enumerate(log) if line.endswith("/create")][-3:]
        self.assertLess(max(creates), min(starts))
        self.assertEqual(self.restarted(WORKER), ["pod-network"], "told once of all")
        self.assertEqual(len({self.container(n).labels["io.mkcluster.run"] for n in names}), 1)

    def test_gap_is_filled(self):
        self.assert_code(self.node("add", "--count", "2"), 0)
        gone = self.container(f"{WORKER}-2").labels
        self.assert_code(self.node("remove", f"{WORKER}-2"), 0)
        self.assertEqual(self.node("add").out, f"{WORKER}-2\n")
        for key in ("io.mkcluster.ip", "io.mkcluster.pods"):
            self.assertEqual(self.container(f"{WORKER}-2").labels[key], gone[key])

    def test_two_digits(self):
        """Nine that are stopped, as many that run would ask much of the host."""
        labels = self.container(WORKER).labels
        prefix = labels["io.mkcluster.ip"].rsplit(".", 1)[0]
        for n in range(2, 10):
            self.engine.add_container(f"{WORKER}-{n}", {
                **labels, "io.mkcluster.ip": f"{prefix}.{11 + n}",
                "io.mkcluster.pods": f"10.244.{n}.0/24"}, state="exited")
        self.assertEqual(self.node("add", "--count", "2").out,
                         f"{WORKER}-10\n{WORKER}-11\n")
        self.assert_code(self.node("remove", f"{WORKER}-10"), 0)
        # In the order of their numbers.
        self.assertEqual(self.routes(f"{WORKER}-11"),
                         [f"10.244.{n}.0/24" for n in range(10)])
        self.assertNotIn("10.244.10.0/24", self.routes(f"{WORKER}-9"))
        self.assertEqual(self.node("add").out, f"{WORKER}-10\n")

    def test_another_network_does_not_matter(self):
        """The user has connected the node to a network of his own as well."""
        for name in ("a-network", "z-network"):
            network = self.engine.add_network(name, [{"Subnet": "10.99.0.0/24"}], {})
            network["Options"] = {"com.docker.network.driver.mtu": "1400"}
            network["Containers"][self.container(NODE).id] = {}
        self.assert_code(self.node("add"), 0)
        new = self.container(f"{WORKER}-2")
        self.assertEqual(new.host_config["NetworkMode"], self.network_id())
        self.assertRegex(new.labels["io.mkcluster.ip"], r"\.13$")


class AddControlPlane(MemberTest):
    def test_it_comes_with_a_balancer(self):
        result = self.node("add", "--role", "control-plane")
        self.assert_code(result, 0)
        self.assertEqual(result.out, f"{NODE}-2\n")
        balancer = self.container(BALANCER)
        self.assertEqual(balancer.state, "running")
        config = balancer.files["etc/mkcluster/haproxy.cfg"].data.decode()
        for name in (NODE, f"{NODE}-2", WORKER):
            self.assertIn(f"server {name} ", config)
        self.assertEqual([(m["name"], m["learner"]) for m in self.members.etcd.members],
                         [(NODE, False), (f"{NODE}-2", False)])
        self.assertEqual(self.restarted(NODE), ["pod-network", "kube-controller-manager",
                                                "kube-scheduler"])
        # The way in from other containers, too.
        inside = self.run_cli("get", "kubeconfig", "--name", NAME, "--internal").out
        self.assertIn(f"server: https://{BALANCER}:6443\n", inside)
        ip = balancer.labels["io.mkcluster.ip"]
        for name in (NODE, WORKER):
            self.assertIn(f"https://{ip}:6443", self.container(name).scripts[0])
        # The way in is the balancer's, for us and for the user.
        port = balancer.bindings()["6443/tcp"][1]
        self.assertNotEqual(port, self.api_port)
        self.assertIn(f"server: https://127.0.0.1:{port}\n", self.kubeconfig.read_text())
        self.assertIn("current-context: " + CONTEXT, self.kubeconfig.read_text())
        self.assertIn(f"127.0.0.1:{port}", self.run_cli("get", "kubeconfig", "-n", NAME).out)
        self.assertEqual(self.state()["leases"], [])

    def test_three_and_back(self):
        result = self.node("add", "--role", "control-plane", "--count", "2")
        self.assert_code(result, 0)
        self.assertEqual(result.out.split(), [f"{NODE}-2", f"{NODE}-3"])
        self.assertEqual(self.restarted(BALANCER), ["load-balancer"])
        self.assert_code(self.node("remove", f"{NODE}-2", f"{NODE}-3"), 0)
        now = self.state()
        self.assertEqual(now["etcd"], self.before["etcd"])
        self.assertEqual(now["nodes"], self.before["nodes"])
        self.assertEqual(sorted(now["containers"]), sorted([NODE, WORKER, BALANCER]))
        self.assertEqual(self.routes(NODE), ["10.244.1.0/24"])
        config = self.container(BALANCER).files["etc/mkcluster/haproxy.cfg"].data.decode()
        self.assertNotIn(f"{NODE}-2", config)


class Remove(MemberTest):
    workers = 2

    def test_it_goes(self):
        self.behaviour.pods = [pod("web"), pod("daemon", owner="DaemonSet"),
                               pod("elsewhere", node=f"{WORKER}-2")]
        result = self.node("remove", WORKER)
        self.assert_code(result, 0)
        self.assertEqual(result.out, "")
        self.assert_said(result, "1 pod moved")
        self.assertIsNone(self.container(WORKER))
        self.assertEqual(self.members.evictions, ["default/web"])
        now = self.state()
        self.assertEqual(now["nodes"], [NODE, f"{WORKER}-2"])
        self.assertEqual(now["leases"], [])
        self.assertEqual(self.routes(NODE), ["10.244.2.0/24"])
        self.assertEqual(self.restarted(NODE), ["pod-network"])
        self.assertEqual(now["kubeconfig"], self.before["kubeconfig"])

    def test_in_order(self):
        """No new pods, then none; told, killed, forgotten, and the container last."""
        self.behaviour.pods = [pod("web")]
        order = []
        worker = self.container(WORKER)
        for server in (self.engine, self.api):
            def note(request, original=server.handle):
                if request.method != "GET" and "/exec/" not in request.path:
                    order.append(without_query(f"{request.method} {request.path}"))
                return original(request)
            server.handle = note
        self.assert_code(self.node("remove", WORKER), 0)
        kept = [line for line in order if WORKER in line or worker.id in line or
                line.startswith("PUT")]
        others = {f"PUT /containers/{self.container(n).id}/archive"
                  for n in (NODE, f"{WORKER}-2")}
        self.assertEqual(kept[0], f"PATCH /api/v1/nodes/{WORKER}")
        self.assertEqual(kept[1], f"POST /containers/{worker.id}/kill")
        self.assertEqual(set(kept[2:4]), others)
        self.assertEqual(kept[4:], [f"DELETE /api/v1/nodes/{WORKER}",
                                    f"DELETE /containers/{worker.id}"])

    def test_several(self):
        self.assert_code(self.node("remove", WORKER, f"{WORKER}-2"), 0)
        self.assertEqual(self.routes(NODE), [])

    def test_stopped_worker(self):
        """There is nobody to end its pods: they are struck off."""
        self.behaviour.pods = [pod("web"), pod("alone", owner=None)]
        self.container(WORKER).state = "exited"
        self.assert_code(self.node("remove", WORKER), 0)
        self.assertEqual(self.behaviour.pods, [])
        self.assertEqual(self.members.evictions, [])

    def test_budget_lets_go(self):
        self.behaviour.pods = [pod("web")]
        self.behaviour.evict["default/web"] = [(429, "disruption budget"), (404, "gone")]
        result = self.start_node("remove", WORKER)
        self.wait_for(lambda: len(self.members.evictions) == 2)
        self.behaviour.pods.clear()
        self.assert_code(self.sane(result.wait(10)), 0)

    def test_force(self):
        self.behaviour.pods = [pod("web"), pod("alone", owner=None)]
        self.behaviour.evict["default/web"] = [(429, "disruption budget")]
        result = self.node("remove", WORKER, "--force", "--drain-timeout", "1s")
        self.assert_code(result, 0)
        self.assertEqual(self.behaviour.pods, [])

    def test_resume_does_not_begin_anew(self):
        """Of a create whose cluster has lost a node since, on purpose: it is not undone."""
        self.assert_code(self.node("remove", WORKER), 0)
        left = self.state()
        result = self.create("--workers", "2", "--resume")
        self.assert_code(result, 4)
        self.assert_said(result, f"'{NAME}' exists already, and is not of the 3 machines asked "
                         "for but of 2", "mkcluster node add")
        self.assertEqual(self.state(), left)

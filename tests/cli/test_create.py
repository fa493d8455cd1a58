# SPDX-License-Identifier: Apache-2.0
"""`create` when all is well: what it asks for, makes, writes and says."""

import base64
import json
import re
import socket
import ssl
import stat

from cli.harness import CONTEXT, NAME, NETWORK, NODE, REPO, CliTest, free_ports
from fakes.engine import NODE_IMAGE

UNITS = REPO / "manifests" / "node" / "units"


def contexts(text):
    """The names of all entries: of clusters, contexts and users."""
    return re.findall(r"\bname: ([\w-]+)", text)


class HappyPath(CliTest):
    def setUp(self):
        super().setUp()
        self.result = self.create("-v")
        self.assert_code(self.result, 0)
        self.container = self.engine.find(NODE)
        self.api = self.engine.nodes[0].api

    def test_engine_requests_in_order(self):
        node = self.container.id
        label = "/v1.41/containers/json?all=1&filters="
        expected = [
            "GET /_ping",
            f'GET {label}{{"label":["io.mkcluster.cluster={NAME}"]}}',
            f"GET /v1.41/images/{NODE_IMAGE}/json",
            f'GET {label}{{"label":["io.mkcluster.cluster"]}}',
            f'GET {label}{{"label":["io.mkcluster.cluster"]}}',
            "GET /v1.41/networks",
            "GET /v1.41/networks",
            "GET /v1.41/info",
            "POST /v1.41/networks/create",
            f"POST /v1.41/containers/create?name={NODE}",
            f"PUT /v1.41/containers/{node}/archive?path=/",
            f"POST /v1.41/containers/{node}/start",
        ]
        log = self.engine.log()
        self.assertEqual(log[:len(expected)], expected)
        # After it only whether the node still runs, every half second, and at the end the
        # note that the cluster is whole.
        self.assertEqual(log[-1], f"PUT /v1.41/containers/{node}/archive?path=/")
        self.assertLessEqual(set(log[len(expected):-1]),
                             {f"GET /v1.41/containers/{node}/json"})

    def test_objects_in_order(self):
        kinds = [path.split("/")[-2] for path in self.api.objects]
        ranks = [{"namespaces": 0, "services": 2, "deployments": 3, "apiservices": 3,
                  "nodes": 4}.get(k, 1) for k in kinds]
        # The node's role comes when there is a node, and then the addons.
        node = ranks.index(4)
        self.assertEqual(ranks[:node], sorted(ranks[:node]))
        self.assertEqual(set(ranks[:node]), {0, 1, 2, 3})
        self.assertEqual(ranks[node + 1:], sorted(ranks[node + 1:]))
        for path in ("/api/v1/namespaces/openfaas", "/api/v1/namespaces/openfaas-fn",
                     "/api/v1/namespaces/openfaas/secrets/basic-auth",
                     "/api/v1/namespaces/openfaas/services/gateway-external",
                     "/apis/apps/v1/namespaces/openfaas/deployments/gateway",
                     "/apis/apps/v1/namespaces/kube-system/deployments/coredns"):
            self.assertIn(path, list(self.api.objects)[:node])
        for path in ("/apis/storage.k8s.io/v1/storageclasses/standard",
                     "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io",
                     "/api/v1/namespaces/kube-system/secrets/metrics-server"):
            self.assertIn(path, list(self.api.objects)[node:])

    def test_api_requests_in_order(self):
        log = [re.sub(r"\?.*", "", line) for line in self.api.log()]
        first = {word: next(i for i, line in enumerate(log) if line.startswith(word))
                 for word in ("GET /readyz", "PATCH /api/v1/namespaces", "GET /api/v1/nodes",
                              "GET /apis/apps/v1/deployments")}
        self.assertEqual(list(first.values()), sorted(first.values()))
        self.assertEqual(self.api.asked, self.behaviour.ready_after + 1)

    def test_no_variable_is_left_in_objects(self):
        self.assertNotRegex(json.dumps(self.api.objects), r"\$\{[A-Z_]+\}")

    def test_files_in_the_node(self):
        files = self.container.files
        for name, file in files.items():
            self.assertEqual((file.uid, file.gid), (0, 0), name)
            if b"PRIVATE KEY" in file.data or b"client-key-data" in file.data or \
                    name.endswith((".key", ".conf")) and "kubernetes" in name:
                self.assertEqual(file.mode & 0o777, 0o600, name)
            self.assertNotRegex(file.data, rb"\$\{[A-Z_]+\}", name)
        keys = [n for n, f in files.items() if b"PRIVATE KEY" in f.data]
        self.assertGreaterEqual(len(keys), 6)
        self.assertEqual(files["var/lib/etcd"].mode & 0o777, 0o700)

    def test_units(self):
        files = self.container.files
        units = [p.name for p in UNITS.iterdir()]
        self.assertIn("kubelet.service", units)
        for unit in units:
            self.assertIn(f"etc/systemd/system/{unit}", files)
            link = files.get(f"etc/systemd/system/multi-user.target.wants/{unit}")
            if "[Install]" in (UNITS / unit).read_text():
                self.assertEqual(link.link, f"/etc/systemd/system/{unit}")
            else:
                self.assertIsNone(link)

    def test_programs_are_executable(self):
        programs = {n: f for n, f in self.container.files.items()
                    if n.startswith("usr/local/") and not f.is_dir}
        self.assertTrue(programs)
        for name, file in programs.items():
            self.assertEqual(oct(file.mode & 0o777), oct(0o755), name)

    def test_certificate_names(self):
        path = self.folder / "apiserver.crt"
        path.write_bytes(self.container.files["etc/kubernetes/pki/apiserver.crt"].data)
        # pylint: disable=protected-access
        names = ssl._ssl._test_decode_cert(str(path))["subjectAltName"]
        for name in (("IP Address", "127.0.0.1"), ("IP Address", "10.96.0.1"), ("DNS", NODE),
                     ("IP Address", self.container.labels["io.mkcluster.ip"]),
                     ("DNS", "kubernetes.default.svc.cluster.local")):
            self.assertIn(name, names)

    def test_labels(self):
        labels = dict(self.container.labels)
        run = labels.pop("io.mkcluster.run")
        self.assertRegex(run, "^[0-9a-f]{16}$")
        network = next(n for n in self.engine.networks.values() if n["Name"] == NETWORK)
        prefix = network["IPAM"]["Config"][0]["Subnet"].removesuffix(".0/24")
        self.assertEqual(labels, {
            "io.mkcluster.cluster": NAME, "io.mkcluster.role": "control-plane",
            "io.mkcluster.ip": f"{prefix}.2", "io.mkcluster.pods": "10.244.0.0/24",
            "io.mkcluster.api": f"127.0.0.1:{self.api_port}",
            "io.mkcluster.registry": f"127.0.0.1:{self.registry_port}",
            "io.mkcluster.gateway": f"127.0.0.1:{self.gateway_port}"})
        self.assertEqual(network["Labels"],
                         {"io.mkcluster.cluster": NAME, "io.mkcluster.run": run})
        addresses = self.container.config["NetworkingConfig"]["EndpointsConfig"]
        self.assertEqual(addresses, {network["Id"]: {"IPAMConfig": {"IPv4Address": f"{prefix}.2"}}})

    def test_ports_are_published_on_loopback_only(self):
        self.assertEqual(self.container.bindings(), {
            "6443/tcp": ("127.0.0.1", self.api_port),
            "5000/tcp": ("127.0.0.1", self.registry_port),
            "31112/tcp": ("127.0.0.1", self.gateway_port)})
        self.assertFalse(self.container.host_config.get("PublishAllPorts"))
        for where in self.container.host_config["PortBindings"].values():
            self.assertEqual(len(where), 1)

    def test_no_path_of_this_host_is_mounted(self):
        host = self.container.host_config
        self.assertFalse(host.get("Binds") or host.get("Mounts"))

    def test_kubeconfig(self):
        text = self.kubeconfig.read_text()
        self.assertEqual(stat.S_IMODE(self.kubeconfig.stat().st_mode), 0o600)
        self.assertEqual(sorted(contexts(text)), sorted(3 * ["other"] + 3 * [CONTEXT]))
        self.assertIn("token: kept", text)
        self.assertIn("https://other.example:6443", text)
        self.assertIn(f"server: https://127.0.0.1:{self.api_port}", text)
        self.assertRegex(text, rf"(?m)^current-context: {CONTEXT}$")
        self.assertEqual([p.name for p in self.kubeconfig.parent.iterdir()], ["config"])

    def test_secrets_stay_secret(self):
        secret = self.api.objects["/api/v1/namespaces/openfaas/secrets/basic-auth"]
        password = base64.b64decode(secret["data"]["basic-auth-password"]).decode()
        self.assertGreaterEqual(len(password), 32)
        self.assertEqual(base64.b64decode(secret["data"]["basic-auth-user"]), b"admin")
        hidden = [password, secret["data"]["basic-auth-password"], "PRIVATE KEY"]
        for name, file in self.container.files.items():
            hidden += re.findall(r"client-key-data: (\S+)", file.data.decode("utf-8", "replace"))
            if name.endswith(".key"):
                hidden.append(file.data.decode().splitlines()[1])
        seen = self.result.out + self.result.err + "\n".join(self.engine.log())
        seen += json.dumps(self.container.config) + json.dumps(list(self.engine.networks.values()))
        seen += "\n".join(self.api.log())
        for word in hidden:
            self.assertNotIn(word, seen)

    def test_what_it_says(self):
        self.assertEqual(self.result.out, "")
        self.assert_said(
            self.result, rf"Cluster '{NAME}' is ready",
            rf"http://127\.0\.0\.1:{self.gateway_port}/ui/   user admin",
            rf"mkcluster get password --name {NAME}", "Next:", "stand-in",
            rf"https://127\.0\.0\.1:{self.api_port}   \(kubectl --context {CONTEXT}\)",
            "Making certificates +[0-9.]+s", "Waiting for OpenFaaS +[0-9.]+s")

    def test_verbose_shows_requests(self):
        self.assert_said(self.result, r"^\[ *\d+\.\d{3}\] engine: GET .*/_ping: 200",
                         r"engine: POST .*/containers/create\?name=.*: 201",
                         r"kubernetes: PATCH .*/deployments/gateway\?.*: 201")


class Proxy(CliTest):
    def test_password_stays_with_root(self):
        env = {"HTTPS_PROXY": "http://me:sesame@proxy.example:3128", "no_proxy": "mine.example"}
        result = self.create("-v", env=env)
        self.assert_code(result, 0)
        self.assert_said(result, r"proxy proxy\.example:3128")
        self.assertNotIn("sesame", result.out + result.err)
        node = self.engine.find(NODE)
        holding = {n: f for n, f in node.files.items() if b"sesame" in f.data}
        self.assertEqual({n: f.mode & 0o777 for n, f in holding.items()},
                         {"etc/mkcluster/proxy.env": 0o600})
        self.assertIn(b"mine.example,", holding["etc/mkcluster/proxy.env"].data)
        self.assertNotIn("sesame", json.dumps(node.config))


class Variants(CliTest):
    def test_not_verbose(self):
        result = self.create()
        self.assert_code(result, 0)
        self.assertNotIn("/_ping", result.err)

    def test_quiet(self):
        result = self.create("-q")
        self.assert_code(result, 0)
        self.assertEqual(result.out + result.err, "")

    def test_again_and_again(self):
        """create, delete, create: nothing of the first run is in the way."""
        for _ in range(2):
            self.assert_code(self.create(), 0)
            self.assert_code(self.run_cli("delete", "--name", NAME), 0)
            self.assertEqual(self.engine.labelled(), [])
        self.assertEqual(contexts(self.kubeconfig.read_text()), 3 * ["other"])

    def test_no_openfaas(self):
        result = self.create("--no-openfaas")
        self.assert_code(result, 0)
        api = self.engine.nodes[0].api
        self.assertNotIn("openfaas", "\n".join(api.objects))
        self.assertIn("/apis/apps/v1/namespaces/kube-system/deployments/coredns", api.objects)
        container = self.engine.find(NODE)
        self.assertNotIn("31112/tcp", container.bindings())
        self.assertNotIn("io.mkcluster.gateway", container.labels)
        self.assert_said(result, f"kubectl --context {CONTEXT} get nodes")
        password = self.run_cli("get", "password", "--name", NAME)
        self.assert_code(password, 4)
        self.assert_said(password, "has no OpenFaaS password", "--no-openfaas")

    def test_no_switch_context(self):
        self.assert_code(self.create("--no-switch-context"), 0)
        text = self.kubeconfig.read_text()
        self.assertRegex(text, r"(?m)^current-context: other$")
        self.assertEqual(contexts(text).count(CONTEXT), 3)

    def test_kubeconfig_of_its_own(self):
        path = self.folder / "new" / "deep" / "config"
        self.assert_code(self.create("--kubeconfig", str(path)), 0)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(contexts(path.read_text()), 3 * [CONTEXT])
        self.assert_untouched_kubeconfig()

    def test_config_from_standard_input(self):
        text = self.folder / self.config()
        result = self.run_cli("create", "--config", "-", stdin=text.read_text())
        self.assert_code(result, 0)

    def test_name_option_wins_over_file(self):
        self.assert_code(self.create("--name", "second"), 0)
        self.assertTrue(self.engine.find("second-control-plane"))

    def test_images_of_the_config(self):
        path = self.config(
            text="images: {gateway: 'example.org/gw:1', provider: 'x/faas-netes:2'}\n")
        result = self.run_cli("create", "--config", path)
        self.assert_code(result, 0)
        text = json.dumps(self.engine.nodes[0].api.objects)
        self.assertIn("example.org/gw:1", text)
        self.assertIn("x/faas-netes:2", text)
        self.assertIn("mkcluster.local/nats:1", text)
        self.assertNotIn("stand-in", result.err)

    def test_two_clusters_side_by_side(self):
        self.assert_code(self.create(), 0)
        before = [line for line in self.kubeconfig.read_text().splitlines() if line]
        result = self.run_cli("create", "--config", self.config(name="t2", apiServerPort=0))
        self.assert_code(result, 0)
        first, second = (self.engine.find(f"{n}-control-plane") for n in (NAME, "t2"))
        self.assertFalse(set(first.bindings().values()) & set(second.bindings().values()))
        self.assert_said(result, f"port {self.gateway_port} is taken")
        subnets = [n["IPAM"]["Config"][0]["Subnet"] for n in self.engine.networks.values()
                   if n["Labels"]]
        self.assertEqual(len(set(subnets)), 2)
        after = self.kubeconfig.read_text()
        for line in before:
            if "current-context" not in line:
                self.assertIn(line, after)
        self.assert_code(self.run_cli("delete", "--name", "t2"), 0)
        self.assertEqual(len(self.engine.labelled(NAME)), 2)
        self.assertEqual(self.engine.labelled("t2"), [])

    def test_restricted(self):
        self.assert_code(self.create("--profile", "restricted"), 0)
        host = self.engine.find(NODE).host_config
        self.assertNotIn("Privileged", host)
        self.assertEqual((host["CapAdd"], host["CapDrop"]), (["ALL"], ["SYS_RESOURCE"]))

    def test_privileged(self):
        result = self.create("--profile", "privileged")
        self.assert_code(result, 0)
        self.assertIs(self.engine.find(NODE).host_config["Privileged"], True)
        self.assert_said(result, "profile privileged")

    def test_slow_answers(self):
        """A few bytes at a time: from the engine, and from the API server."""
        self.engine.fault("dribble", times=None)
        self.assert_code(self.create(), 0)

    def test_watches_that_end(self):
        """410 Gone, and a server that closes: the watch is opened anew."""
        self.behaviour.node_after = 0.6
        self.behaviour.available_after = 0.8
        self.behaviour.watch_ends = ["gone", "close", None, "close", "gone"]
        self.assert_code(self.create(), 0)
        watches = [line for line in self.engine.nodes[0].api.log() if "watch=1" in line]
        self.assertGreaterEqual(len(watches), 4)

    def test_other_versions_of_the_engine(self):
        """The newest that both know; between them Docker 20.10 and 29."""
        for version in ("1.40", "1.44", "1.51", "1.60"):
            self.engine.api_version = version
            self.assert_code(self.create(), 0)
            self.assert_code(self.run_cli("delete", "--name", NAME), 0)

    def test_engine_over_tcp(self):
        """The engine of another machine: its ports are there, not here."""
        port = free_ports(1)[0]
        self.engine.listen_tcp("127.0.0.1", port)
        result = self.create(env={"DOCKER_HOST": f"tcp://127.0.0.1:{port}"})
        self.assert_code(result, 0)
        # What it may do is not known, so the better profile is tried first.
        self.assert_said(result, "profile privileged")
        result = self.run_cli("delete", "--name", NAME,
                              env={"DOCKER_HOST": f"tcp://127.0.0.1:{port}"})
        self.assert_code(result, 0)
        self.assertEqual(self.engine.labelled(), [])

    def test_privileged_refused(self):
        port = free_ports(1)[0]
        self.engine.listen_tcp("127.0.0.1", port)
        self.engine.refuse_privileged = True
        result = self.create("-v", env={"DOCKER_HOST": f"tcp://127.0.0.1:{port}"})
        self.assert_code(result, 0)
        self.assert_said(result, "profile restricted", "refuses a privileged container")
        self.assertEqual(self.engine.removed, [NODE])
        self.assertEqual(len(self.engine.labelled()), 2)

    def test_privileged_refused_when_asked_for(self):
        self.engine.refuse_privileged = True
        result = self.create("--profile", "privileged")
        self.assert_failed(result, 5, 3)
        self.assert_said(result, "operation not permitted")


class Ports(CliTest):
    def take(self, port):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(1)
        self.addCleanup(sock.close)

    def test_gateway_port_taken(self):
        self.take(self.gateway_port)
        result = self.create()
        self.assert_code(result, 0)
        port = self.engine.find(NODE).bindings()["31112/tcp"][1]
        self.assertGreater(port, self.gateway_port)
        self.assert_said(result, f"port {self.gateway_port} is taken, so the gateway has the next",
                         f"http://127.0.0.1:{port}")

    def test_gateway_port_of_a_stopped_cluster(self):
        """It will want the port back."""
        old = self.engine.add_cluster("old", **{
            "io.mkcluster.gateway": f"127.0.0.1:{self.gateway_port}"})
        old.state = "exited"
        self.assert_code(self.create(), 0)
        self.assertNotEqual(self.engine.find(NODE).bindings()["31112/tcp"][1], self.gateway_port)

    def test_registry_port_taken(self):
        self.take(self.registry_port)
        result = self.create()
        self.assert_code(result, 0)
        port = self.engine.find(NODE).bindings()["5000/tcp"][1]
        self.assertGreater(port, self.registry_port)
        self.assert_said(result, f"Registry +127.0.0.1:{port}")

    def test_api_port_taken(self):
        self.take(self.api_port)
        result = self.create()
        self.assert_failed(result, 3)
        self.assert_said(result, f"port {self.api_port} of 127.0.0.1 is taken", "^  .*ss -ltnp")
        self.assertEqual([r for r in self.engine.requests if r.method != "GET"], [])

    def test_port_taken_between_look_and_start(self):
        """The engine's word, in its own words."""
        self.engine.fault("status", "POST .*/start", status=500, message=(
            "driver failed programming external connectivity on endpoint x: Bind for "
            "127.0.0.1:6443 failed: port is already allocated"))
        result = self.create()
        self.assert_failed(result, 3)
        self.assert_said(result, "port is already allocated")

    def test_subnet_taken_between_look_and_create(self):
        self.engine.refuse_subnets = 2
        result = self.create()
        self.assert_code(result, 0)
        tries = [r.json()["IPAM"]["Config"][0]["Subnet"] for r in self.engine.requests
                 if r.path.endswith("/networks/create")]
        self.assertEqual(len(set(tries)), 3)
        address = self.engine.find(NODE).labels["io.mkcluster.ip"]
        self.assertEqual(address, tries[2].replace(".0/24", ".2"))

    def test_no_subnet_to_be_had(self):
        self.engine.fault("status", "POST .*/networks/create", times=None, status=403,
                          message="Pool overlaps with other one on this address space")
        result = self.create()
        self.assert_failed(result, 3)
        self.assert_said(result, "overlaps")

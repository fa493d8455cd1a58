# SPDX-License-Identifier: Apache-2.0
"""What a config file asks for is what the nodes do."""
import json
import time
import unittest

import cluster
from cluster import Place, docker, engine_state, http, run, wait_for

HOST = "made-up.example"
IMAGE = f"{HOST}/probe:{cluster.SUFFIX}"
NODES = f"10.214.{int(cluster.SUFFIX) % 256}"

HEAD = "apiVersion: mkcluster.dev/v1\nkind: Cluster\n"
CONFIG = HEAD + """
openfaas: {{enabled: false}}
storage: {{enabled: false}}
metrics: {{enabled: false}}
networking:
  nodeSubnet: {nodes}.0/26
  kubeProxyMode: nftables
  dnsSearch: [corp.example]
featureGates: {{HPAScaleToZero: true}}
runtimeConfig: {{autoscaling/v1: "false"}}
components:
  apiServer: {{extraArgs: {{profiling: "true"}}}}
  kubelet: {{config: {{maxPods: 61, evictionHard: {{pid.available: "1%"}}}}}}
  kubeProxy: {{config: {{metricsBindAddress: "0.0.0.0:10249"}}}}
containerd:
  patches:
    # As kind's users write it, of no version.
    - |
      [plugins."io.containerd.grpc.v1.cri".registry]
        config_path = "/etc/containerd/certs.d"
    - |
      version = 2
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.second]
        runtime_type = "io.containerd.runc.v2"
    - |
      version = 3
      [plugins."io.containerd.cri.v1.images"]
        max_concurrent_downloads = 9
registries:
  - {{host: {host}, mirrors: ["https://{nodes}.50:5000"]}}
caCertificates: ["{folder}/ca.pem"]
nodes:
  - role: control-plane
  - role: worker
    ip: {nodes}.40
    cpus: "1.5"
    memory: 1536Mi
    labels: {{disk: ssd}}
    taints: [{{key: only, value: tests, effect: NoSchedule}}]
    kubeletArgs: {{max-pods: "37"}}
    kubeletConfig: {{systemReserved: {{memory: 256Mi}}}}
    mounts: [{{hostPath: "{folder}/data", containerPath: /data, readOnly: true}}]
    ports:
      - {{containerPort: 30080, hostPort: 0}}
      - {{containerPort: 30053, hostPort: 0, protocol: UDP}}
  - role: worker
    kubeletConfig: {{maxPods: 62}}
"""

REGISTRY = """
version: 0.1
storage: {inmemory: {}}
http:
  addr: :5000
  tls: {certificate: /registry/ca.pem, key: /registry/key.pem}
"""

POD = {
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "probe", "labels": {"app": "probe"}},
    "spec": {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "only", "operator": "Exists"}],
        "containers": [{"name": "probe", "image": IMAGE, "args": ["serve"],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "hostPath": {"path": "/data", "type": "Directory"}}],
    },
}
SERVICE = {
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "probe"},
    "spec": {"type": "NodePort", "selector": {"app": "probe"},
             "ports": [{"port": 8080, "nodePort": 30080}]},
}


def create(place, config):
    path = place.folder / "cluster.yaml"
    path.write_text(config)
    return place.create("--config", path, check=False)


def make_certificate(folder, address):
    """A certificate of its own CA: what an intercepting proxy or a corporate mirror has."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "1", "-subj", "/CN=mirror", "-addext",
        f"subjectAltName=IP:{address}", "-keyout", folder / "key.pem", "-out", folder / "ca.pem")


class OneOfEach(unittest.TestCase):
    """One cluster: a control plane, a worker with all that a node can have, a plain one."""

    @classmethod
    def setUpClass(cls):
        cluster.host_tools()
        cls.before = engine_state()
        cls.place = Place("config")
        cls.addClassCleanup(cls.place.close)
        folder = cls.place.folder
        (folder / "data").mkdir()
        (folder / "data" / "file").write_text("from the host\n")
        make_certificate(folder, f"{NODES}.50")
        cls.worker = f"{cls.place.name}-worker"
        created = create(cls.place, CONFIG.format(nodes=NODES, host=HOST, folder=folder))
        assert created.returncode == 0, created.stderr
        cls.output = created.stderr
        cls.start_mirror(folder)
        for thing in (POD, SERVICE):
            cls.place.kubectl("apply", "-f", "-", stdin=json.dumps(thing))
        cls.place.kubectl("wait", "--for=condition=Ready", "pod/probe", "--timeout=60s")

    @classmethod
    def start_mirror(cls, folder):
        """A registry with TLS in the nodes' network, and an image in it under another name."""
        mirror = f"{cls.place.name}-mirror"
        (folder / "registry.yaml").write_text(REGISTRY)
        docker("run", "-d", "--name", mirror, "--network", f"mkcluster-{cls.place.name}",
               "--ip", f"{NODES}.50", "--publish", "127.0.0.1::5000", "--volume",
               f"{folder}:/registry:ro", "--env", "OTEL_TRACES_EXPORTER=none", "--entrypoint",
               "registry", cluster.IMAGE, "serve", "/registry/registry.yaml")
        cls.addClassCleanup(run, "docker", "rm", "-f", "-v", mirror, check=False)
        port = docker("port", mirror, "5000/tcp").split(":")[1].split()[0]
        pushed = f"127.0.0.1:{port}/probe:{cluster.SUFFIX}"
        cluster.build_probe(pushed)
        cls.addClassCleanup(run, "docker", "rmi", pushed, check=False)
        # The engine does not check certificates of loopback addresses; the nodes do.
        wait_for("the mirror takes images", lambda: docker("push", pushed))

    def node(self, name=None):
        return json.loads(
            self.place.kubectl("get", "node", name or self.worker, "-o", "json").stdout)

    def ports(self):
        nodes = json.loads(self.place.mkcluster(
            "get", "nodes", "--name", self.place.name, "--output", "json").stdout)
        return {n["name"]: n["ports"] for n in nodes}

    def read(self, path):
        return self.place.kubectl("exec", "probe", "--", "/probe", "show", path).stdout

    def gate(self, path):
        found = [line for line in self.place.kubectl("get", "--raw", path).stdout.splitlines()
                 if line.startswith('kubernetes_feature_enabled{name="HPAScaleToZero"')]
        return [line.rsplit(" ", 1)[1] for line in found]

    def test_01_address(self):
        addresses = {a["type"]: a["address"] for a in self.node()["status"]["addresses"]}
        self.assertEqual(addresses["InternalIP"], f"{NODES}.40")

    def test_02_allocatable_is_the_limit_whatever_the_host_has(self):
        status = self.node()["status"]
        self.assertEqual(status["allocatable"]["cpu"], "1500m")
        # Less what the file reserves of it.
        self.assertEqual(status["allocatable"]["memory"], "1280Mi")
        other = self.node(f"{self.place.name}-worker-2")["status"]
        self.assertEqual(other["allocatable"]["memory"], other["capacity"]["memory"])

    def test_03_labels_taints_and_kubelet_flags(self):
        node = self.node()
        self.assertEqual(node["metadata"]["labels"]["disk"], "ssd")
        self.assertEqual(node["metadata"]["labels"]["mkcluster.dev/role"], "worker")
        self.assertIn({"key": "only", "value": "tests", "effect": "NoSchedule"},
                      node["spec"]["taints"])
        self.assertEqual(node["status"]["capacity"]["pods"], "37")
        # Not counted are Kubernetes' own, which come and go.
        plain = self.node(f"{self.place.name}-worker-2")["spec"].get("taints", [])
        self.assertEqual([t for t in plain if "node.kubernetes.io/" not in t["key"]], [])

    def test_03_configurations_of_kubelet_and_proxy(self):
        pods = {name: self.node(f"{self.place.name}-{name}")["status"]["capacity"]["pods"]
                for name in ("control-plane", "worker-2")}
        self.assertEqual(pods, {"control-plane": "61", "worker-2": "62"})
        config = json.loads(self.place.kubectl(
            "get", "--raw", f"/api/v1/nodes/{self.place.name}-worker-2/proxy/configz").stdout)
        self.assertEqual(config["kubeletconfig"]["evictionHard"]["pid.available"], "1%")
        self.assertEqual(config["kubeletconfig"]["evictionHard"]["nodefs.available"], "0%")
        proxy = docker("exec", self.worker, "curl", "-s", f"http://{NODES}.40:10249/healthz")
        self.assertEqual(proxy, "ok")

    def test_04_the_image_came_from_the_mirror(self):
        # From nowhere else: nobody has a registry of that name.
        status = json.loads(self.place.kubectl("get", "pod", "probe", "-o", "json").stdout)
        self.assertEqual(status["spec"]["nodeName"], self.worker)
        self.assertTrue(status["status"]["containerStatuses"][0]["image"].startswith(HOST))

    def test_05_a_folder_of_the_host_in_a_pod(self):
        self.assertEqual(self.read("/data/file"), "from the host\n")
        written = run("docker", "exec", self.worker, "touch", "/data/new", check=False)
        self.assertIn("Read-only file system", written.stderr)

    def test_06_search_domains(self):
        self.assertRegex(self.read("/etc/resolv.conf"), r"search .*cluster\.local corp\.example\n")

    def test_07_a_port_of_a_node(self):
        tcp, udp = self.ports()[self.worker]
        self.assertRegex(tcp, r"^127\.0\.0\.1:\d+->30080/tcp$")
        self.assertRegex(udp, r"^127\.0\.0\.1:\d+->30053/udp$")
        self.assertIn(f"{tcp} {self.worker}", self.output)
        url = "http://" + tcp.split("->")[0]
        wait_for("the port answers", lambda: http(url)[1].startswith(b"from "))

    def test_08_services_by_nftables(self):
        tables = docker("exec", self.worker, "nft", "list", "tables")
        self.assertIn("table ip kube-proxy\n", tables)
        answer = self.place.kubectl("exec", "probe", "--", "/probe", "get",
                                    "http://probe.default.svc.cluster.local:8080/")
        self.assertTrue(answer.stdout.startswith("from "))

    def test_09_feature_gates_everywhere(self):
        self.assertEqual(self.gate("/metrics"), ["1"])
        self.assertEqual(self.gate(f"/api/v1/nodes/{self.worker}/proxy/metrics"), ["1"])
        proxy = docker("exec", self.worker, "curl", "-s", "http://127.0.0.1:10249/metrics")
        self.assertIn('kubernetes_feature_enabled{name="HPAScaleToZero",stage="ALPHA"} 1', proxy)

    def test_10_flags_of_the_api_server_and_its_apis(self):
        # Ours is --profiling=false.
        self.place.kubectl("get", "--raw", "/debug/pprof/")
        versions = json.loads(self.place.kubectl("get", "--raw", "/apis/autoscaling").stdout)
        self.assertEqual([v["version"] for v in versions["versions"]], ["v2"])

    def test_11_patches_of_containerd(self):
        config = docker("exec", self.worker, "containerd", "config", "dump")
        self.assertIn("max_concurrent_downloads = 9\n", config)
        self.assertIn("containerd.runtimes.second]\n", config)
        self.assertIn("config_path = '/etc/containerd/certs.d'\n", config)

    def test_12_a_restart_changes_nothing(self):
        ports = self.ports()
        docker("update", "--cpus", "1", self.worker)
        docker("restart", "-t", "2", self.worker)
        self.place.mkcluster("start", "--name", self.place.name)
        self.assertEqual(self.ports(), ports)
        url = "http://" + ports[self.worker][0].split("->")[0]
        wait_for("the port answers", lambda: http(url)[1].startswith(b"from "))
        # But what the engine gives is asked anew at each start.
        wait_for("one CPU", lambda: self.node()["status"]["allocatable"]["cpu"] == "1")

    def test_13_a_node_that_comes_back_is_as_the_file_says(self):
        name = ("--name", self.place.name)
        self.place.mkcluster("node", "remove", self.worker, "--force", *name)
        self.place.mkcluster("node", "add", *name)
        node = self.node()
        addresses = {a["type"]: a["address"] for a in node["status"]["addresses"]}
        self.assertEqual(addresses["InternalIP"], f"{NODES}.40")
        self.assertEqual(node["metadata"]["labels"]["disk"], "ssd")
        self.assertEqual(node["status"]["allocatable"]["cpu"], "1500m")
        self.assertEqual(docker("exec", self.worker, "cat", "/data/file"), "from the host\n")
        tcp = self.ports()[self.worker][0]
        self.assertRegex(tcp, r"^127\.0\.0\.1:[1-9]\d*->30080/tcp$")

    def test_90_delete_leaves_nothing(self):
        docker("rm", "-f", "-v", f"{self.place.name}-mirror")
        self.place.mkcluster("delete", "--name", self.place.name)
        self.assertEqual(engine_state(), self.before)


BARE = HEAD + """
workers: 1
networking: {disableDefaultCNI: true}
"""


class Bare(unittest.TestCase):
    """Without our pod network: the user brings one."""

    def test_a_network_of_the_users(self):
        place = Place("bare")
        self.addCleanup(place.close)
        created = create(place, BARE)
        self.assertEqual(created.returncode, 0, created.stderr)
        self.assertIn("2 registered, NotReady without a CNI", created.stderr)
        self.assertRegex(created.stderr, r"no CNI plugin, as configured: the nodes are NotReady")
        self.assertNotIn("Waiting for DNS", created.stderr)
        self.assertIn("apply -f YOUR-CNI.yaml", created.stderr)
        nodes = json.loads(place.kubectl("get", "nodes", "-o", "json").stdout)["items"]
        for node in nodes:
            conditions = {c["type"]: c for c in node["status"]["conditions"]}
            self.assertEqual(conditions["Ready"]["status"], "False")
            # What a plugin asks the node for, and ours does not need.
            wait_for("the node's range", lambda n=node: place.kubectl(
                "get", "node", n["metadata"]["name"], "-o",
                "jsonpath={.spec.podCIDR}").stdout.startswith("10.244."), seconds=10)
            self.install(node["metadata"]["name"], place)
        place.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=30s")

    @staticmethod
    def install(node, place):
        """The smallest network there is, in the place of a DaemonSet's."""
        pods = place.kubectl("get", "node", node, "-o", "jsonpath={.spec.podCIDR}").stdout
        plugin = {"cniVersion": "1.0.0", "name": "mine", "type": "ptp",
                  "ipam": {"type": "host-local", "ranges": [[{"subnet": pods}]]}}
        run("docker", "exec", "-i", node, "sh", "-c", "cat >/etc/cni/net.d/10-mine.conf",
            stdin=json.dumps(plugin))


KIND = """
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
  kubeadmConfigPatches:
  - |
    kind: InitConfiguration
    nodeRegistration:
      kubeletExtraArgs:
        node-labels: "ingress-ready=true"
  extraPortMappings:
  - containerPort: 31112
    hostPort: 0
    listenAddress: 127.0.0.1
    protocol: tcp
  extraMounts:
  - hostPath: {folder}/policies
    containerPath: /etc/kubernetes/policies
kubeadmConfigPatches:
- |
  apiVersion: kubeadm.k8s.io/v1beta3
  kind: ClusterConfiguration
  apiServer:
    certSANs: [kind.example]
    extraArgs:
      audit-log-path: /var/log/kubernetes/audit.log
      audit-policy-file: /etc/kubernetes/policies/audit.yaml
    extraVolumes:
    - name: policies
      hostPath: /etc/kubernetes/policies
      mountPath: /etc/kubernetes/policies
      readOnly: true
- |
  apiVersion: kubeadm.k8s.io/v1beta4
  kind: ClusterConfiguration
  encryptionAlgorithm: RSA-2048
  certificateValidityPeriod: 48h0m0s
  caCertificateValidityPeriod: 72h
- |
  kind: KubeletConfiguration
  maxPods: 77
"""

AUDIT = """
apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: Metadata}]
"""


class Kind(unittest.TestCase):
    """A file of kind's, with what its users write in it."""

    def test_a_file_of_kinds(self):
        place = Place("kind")
        self.addCleanup(place.close)
        (place.folder / "policies").mkdir()
        (place.folder / "policies" / "audit.yaml").write_text(AUDIT)
        created = create(place, KIND.format(folder=place.folder))
        self.assertEqual(created.returncode, 0, created.stderr)
        node = json.loads(place.kubectl("get", "node", place.node(), "-o", "json").stdout)
        self.assertEqual(node["metadata"]["labels"]["ingress-ready"], "true")
        self.assertEqual(node["status"]["capacity"]["pods"], "77")
        self.assertNotIn("taints", node["spec"])
        nodes = json.loads(place.mkcluster(
            "get", "nodes", "--name", place.name, "--output", "json").stdout)
        url = "http://" + nodes[0]["ports"][0].split("->")[0]
        self.assertEqual(http(url + "/healthz")[0], 200)
        log = docker("exec", place.node(), "head", "-1", "/var/log/kubernetes/audit.log")
        self.assertEqual(json.loads(log)["kind"], "Event")
        server = place.cluster()["api"]
        names = run("openssl", "s_client", "-connect", server, "-showcerts", stdin="").stdout
        names = run("openssl", "x509", "-noout", "-ext", "subjectAltName", stdin=names).stdout
        self.assertIn("DNS:kind.example", names)
        self.check_certificates(place)
        place.mkcluster("verify", "--name", place.name)

    def check_certificates(self, place):
        """RSA of 2048 bits, two days for all but CAs, which have three."""
        docker("cp", f"{place.node()}:/etc/kubernetes/pki", place.folder / "pki")
        certs = sorted((place.folder / "pki").rglob("*.crt"))
        self.assertEqual(len(certs), 12)
        for cert in certs:
            days = 3 if cert.stem in ("ca", "ca-signer", "front-proxy-ca") else 2
            text = run("openssl", "x509", "-in", cert, "-noout", "-text", "-checkend",
                       days * 86400 - 600).stdout
            self.assertIn("Public-Key: (2048 bit)", text)
            self.assertEqual(run("openssl", "x509", "-in", cert, "-noout", "-checkend",
                                 days * 86400, check=False).returncode, 1)


class Wrong(unittest.TestCase):
    def test_what_a_component_refuses_is_named_within_seconds(self):
        place = Place("wrong")
        self.addCleanup(place.close)
        start = time.monotonic()
        created = create(place, HEAD + "nodes:\n  - role: control-plane\n"
                         "  - {role: worker, kubeletArgs: {no-such-flag: '1'}}\n")
        self.assertEqual(created.returncode, 5, created.stderr)
        self.assertIn(f"unit kubelet.service of '{place.name}-worker' does not stay up",
                      created.stderr)
        self.assertRegex(created.stderr, r"cause: .*unknown flag: --no-such-flag")
        self.assertLess(time.monotonic() - start, 30)


if __name__ == "__main__":
    unittest.main(verbosity=2)

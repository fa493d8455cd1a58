# SPDX-License-Identifier: Apache-2.0
"""Section 4 of the CIS Kubernetes Benchmark 1.12, on every node: kubelet and kube-proxy.
And the faults of "Kubernetes the hard way", as far as a running cluster shows them."""
import json

from cis import NotApplicable, expect, item
from cluster import docker, run

CONF = "/etc/kubernetes"
CA = f"{CONF}/pki/ca.crt"
UNIT = "/etc/systemd/system/kubelet.service"


def file_items(first, path, mode, what):
    @item(f"4.1.{first}", f"{what}: mode")
    def modes(c):
        return " ".join(node.at_most(path, mode) for node in c.nodes)

    @item(f"4.1.{first + 1}", f"{what}: root is the owner")
    def owners(c):
        for node in c.nodes:
            node.of_root(path)


@item("4.1.1", "The kubelet's unit: mode")
def unit_mode(c):
    for node in c.nodes:
        found = node.at_most(UNIT, 0o644)
    raise NotApplicable(f"{found}: what is in a unit systemd tells everybody, whatever its mode")


@item("4.1.2", "The kubelet's unit: root is the owner")
def unit_owner(c):
    for node in c.nodes:
        node.of_root(UNIT)


file_items(3, f"{CONF}/kube-proxy.conf", 0o600, "kube-proxy's kubeconfig")
file_items(5, f"{CONF}/kubelet.conf", 0o600, "The kubelet's kubeconfig")
file_items(7, CA, 0o644, "The CA by which the kubelet knows clients")
file_items(9, f"{CONF}/kubelet.yaml", 0o600, "The kubelet's configuration")


def kubelet_item(number, title):
    """An item that looks at the configuration of each kubelet that runs."""
    def add(function):
        @item(number, title)
        def check(c):
            notes = [function(c, node, c.kubelet(node)) for node in c.nodes]
            return notes[0]
        return check
    return add


@kubelet_item("4.2.1", "Who does not say who they are gets nothing from a kubelet")
def anonymous(c, node, config):
    expect(config["authentication"]["anonymous"]["enabled"] is False, "anybody is let in")
    for path in ("pods", "metrics", "configz", "healthz"):
        status = c.control_plane.curl("-k", f"https://{c.ip(node)}:10250/{path}")
        expect(status == 401, f"{node.name}: /{path} answers anybody with {status}")


@kubelet_item("4.2.2", "A kubelet asks the API server who may do what")
def authorization(c, node, config):
    expect(config["authorization"]["mode"] == "Webhook", "it does not")
    expect(config["authentication"]["webhook"]["enabled"] is True, "tokens are not looked at")
    # Known, but without a right to kubelets.
    status = node.curl("-k", "-H", f"Authorization: Bearer {c.token()}",
                       f"https://{c.ip(node)}:10250/pods")
    expect(status == 403, f"any account may see /pods: {status}")


@kubelet_item("4.2.3", "A kubelet knows clients by certificates of the cluster's CA")
def client_ca(c, node, config):
    expect(config["authentication"]["x509"]["clientCAFile"] == CA, "of another CA")


@kubelet_item("4.2.4", "No kubelet has a port without authentication")
def read_only_port(c, node, config):
    expect(config.get("readOnlyPort", 0) == 0, "it has")
    expect(not [p for p in node.ports if p.endswith(":10255")], "10255 is open")
    node.loopback_only(10248)
    return "but its health on loopback"


@kubelet_item("4.2.5", "Streams without traffic end")
def streaming(c, node, config):
    value = config["streamingConnectionIdleTimeout"]
    expect(value not in ("0", "0s"), "never")
    return value


@kubelet_item("4.2.6", "The kubelet keeps its chains of iptables")
def chains(c, node, config):
    expect(config["makeIPTablesUtilChains"] is True, "it does not")


@item("4.2.7", "Nodes are called what they are called")
def hostname(c):
    for node in c.nodes:
        expect(node.flag("kubelet", "hostname-override") is None, f"{node.name} is not")
        expect(node.sh("hostname").strip() == node.name, "another host's name")


@kubelet_item("4.2.8", "Events are recorded, and not without limit")
def event_rate(c, node, config):
    expect(config["eventRecordQPS"] > 0, "without limit")
    return f"{config['eventRecordQPS']} a second"


@kubelet_item("4.2.9", "Kubelets show who they are")
def serving(c, node, config):
    for name in ("tlsCertFile", "tlsPrivateKeyFile"):
        path = config.get(name)
        expect(path in node.files and path.startswith(CONF), f"{node.name}: {name} is {path}")


@kubelet_item("4.2.10", "Kubelets renew client certificates by themselves")
def rotation(c, node, config):
    expect(not config.get("rotateCertificates"), "they do: then say pass")
    raise NotApplicable("all certificates of a cluster are of one age and made by mkcluster: a "
                        "kubelet that renews its own alone does not outlive the others")


@kubelet_item("4.2.11", "A kubelet's serving certificate is not its own word")
def server_certificate(c, node, config):
    expect(config.get("featureGates", {}).get("RotateKubeletServerCertificate") is not False,
           "its renewal is switched off")
    status = c.control_plane.curl("--cacert", CA, f"https://{c.ip(node)}:10250/")
    expect(status, f"{node.name}: its certificate is not from the cluster's CA")
    return "the cluster's CA signed it"


@kubelet_item("4.2.12", "Kubelets agree to strong ciphers only")
def ciphers(c, node, config):
    return c.control_plane.tls(f"{c.ip(node)}:10250")


@kubelet_item("4.2.13", "A pod cannot take all process numbers")
def pids(c, node, config):
    limit = config["podPidsLimit"]
    expect(0 < limit <= 16384, f"the limit is {limit}")
    found = node.sh("find /sys/fs/cgroup -path '*kubepods*pod*' -name pids.max | "
                    "xargs -r cat | sort -u").split()
    expect(str(limit) in found or not c.pods_on(node), f"{node.name}: cgroups say {found}")
    return f"{limit} a pod"


@kubelet_item("4.2.14", "Pods run under a seccomp profile")
def seccomp(c, node, config):
    expect(config["seccompDefault"] is True, "not by default")
    modes = node.sh("grep -l kubepods /proc/[0-9]*/cgroup | while read -r p; do "
                    "grep ^Seccomp: ${p%cgroup}status; done").split()[1::2]
    expect(set(modes) == ({"2"} if c.pods_on(node) else set()), f"{node.name}: modes {modes}")
    return "as running programs of pods show"


@item("4.3.1", "kube-proxy tells its metrics on loopback")
def proxy_metrics(c):
    for node in c.nodes:
        node.loopback_only(10249)
        node.loopback_only(10256)
        status = node.curl("http://127.0.0.1:10249/debug/pprof/")
        expect(status == 404, f"{node.name}: profiles are to be had, {status}")


@item("own.2", "What the host publishes, it publishes on loopback")
def published(c):
    for node in c.nodes:
        ports = json.loads(docker("inspect", "--format", "{{json .HostConfig.PortBindings}}",
                                  node.name)) or {}
        found = {b["HostIp"] for bindings in ports.values() for b in bindings}
        expect(found == ({"127.0.0.1"} if node is c.control_plane else set()), f"on {found}")


@item("fault 1", "The API server's service is in its certificate")
def service_address(c):
    service = c.api.get("/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]
    expect(c.worker.curl("--cacert", CA, f"https://{service}/readyz") == 200, "it is not")
    return service


@item("fault 2", "The name that pods use for it, too")
def service_name(c):
    service = c.api.get("/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]
    name = "kubernetes.default.svc.cluster.local"
    expect(c.worker.curl("--cacert", CA, "--resolve", f"{name}:443:{service}",
                         f"https://{name}/readyz") == 200, "it is not")


@item("fault 3", "Pods have a name server")
def dns(c):
    service = c.api.get("/api/v1/namespaces/kube-system/services/kube-dns")["spec"]["clusterIP"]
    for node in c.nodes:
        expect(c.kubelet(node)["clusterDNS"] == [service], "kubelets name another")
    ready = c.api.get("/apis/apps/v1/namespaces/kube-system/deployments/coredns")["status"]
    expect(ready.get("availableReplicas", 0) > 0, "none is there")


@item("fault 4", "A node takes enough pods")
def max_pods(c):
    for node in c.nodes:
        found = int(c.api.get(f"/api/v1/nodes/{node.name}")["status"]["allocatable"]["pods"])
        expect(found >= 110, f"{node.name} takes {found}")


@item("fault 6", "Other APIs can stand behind the server")
def aggregation(c):
    c.control_plane.file_flag("kube-apiserver", "requestheader-client-ca-file")
    data = c.api.get("/api/v1/namespaces/kube-system/configmaps/"
                     "extension-apiserver-authentication")["data"]
    expect("BEGIN CERTIFICATE" in data.get("requestheader-client-ca-file", ""), "no CA for them")
    expect(data["requestheader-client-ca-file"] != data["client-ca-file"], "the clients' CA")


@item("fault 8", "Each node knows the way to the other's pods")
def routes(c):
    for node, other in (c.nodes, c.nodes[::-1]):
        pods = docker("inspect", "--format", '{{index .Config.Labels "io.mkcluster.pods"}}',
                      other.name).strip()
        expect(f"{pods} via {c.ip(other)}" in node.sh("ip route"), f"{node.name} does not")
        enabled = run("docker", "exec", node.name, "systemctl", "is-enabled", "pod-network",
                      check=False).stdout.strip()
        expect(enabled == "enabled", f"{node.name}: the unit is {enabled}")


@item("fault 9", "Pods see each other by their own addresses")
def masquerade(c):
    for node in c.nodes:
        rules = [r for r in node.sh("iptables -w -t nat -S").splitlines() if "MKCLUSTER" in r]
        spared = [i for i, r in enumerate(rules) if "-d 10.244.0.0/16 -j RETURN" in r]
        masked = [i for i, r in enumerate(rules) if "-j MASQUERADE" in r]
        expect(spared and masked and spared[0] < masked[0], f"{node.name}: {rules}")


@item("fault 10", "A control plane is a node, and reaches services")
def control_plane(c):
    expect("kube-proxy" in c.control_plane.flags, "it has no kube-proxy")
    service = c.api.get("/api/v1/namespaces/kube-system/services/kube-dns")["spec"]["clusterIP"]
    expect(c.control_plane.curl(f"http://{service}:9153/metrics") == 200, "it does not")

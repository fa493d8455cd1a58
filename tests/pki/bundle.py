# SPDX-License-Identifier: Apache-2.0
"""The certificates of a whole cluster as files, for programs that are not ours.

What is expected of them is written out here, and not asked of the program that made
them: write-bundle's three control planes and two workers, of the cluster `dev`.
"""
import base64
import concurrent.futures
import pathlib
import re
import subprocess

# Those that take long first.
ALGORITHMS = ("RSA-4096", "RSA-3072", "RSA-2048", "ECDSA-P256", "Ed25519")
CONTROL_PLANES = ("dev-control-plane", "dev-control-plane-2", "dev-control-plane-3")
WORKERS = ("dev-worker", "dev-worker-2")
IPS = dict(zip(CONTROL_PLANES + WORKERS, (f"172.20.0.{n}" for n in range(2, 7))))
CAS = ("ca", "etcd/ca", "front-proxy-ca")

# Row: its CA, and what it may be used as.
SHARED = {
    "apiserver-kubelet-client": ("ca", {"sslclient"}),
    "apiserver-etcd-client": ("etcd/ca", {"sslclient"}),
    "front-proxy-client": ("front-proxy-ca", {"sslclient"}),
    "etcd/healthcheck-client": ("etcd/ca", {"sslclient"}),
    "admin": ("ca", {"sslclient"}),
    "controller-manager": ("ca", {"sslclient"}),
    "scheduler": ("ca", {"sslclient"}),
    "kube-proxy": ("ca", {"sslclient"}),
    "metrics-server": ("ca", {"sslserver"}),
}
OF_CONTROL_PLANES = {
    "apiserver": ("ca", {"sslserver"}),
    "etcd/server": ("etcd/ca", {"sslserver", "sslclient"}),
    "etcd/peer": ("etcd/ca", {"sslserver", "sslclient"}),
}
OF_NODES = {
    "kubelet": ("ca", {"sslclient"}),
    "kubelet-server": ("ca", {"sslserver"}),
}


def names_of(row, node, nodes):
    """The names and addresses by which a server is called, in a cluster of these nodes."""
    local = {"localhost", "127.0.0.1", "::1"}
    control_planes = set(CONTROL_PLANES).intersection(nodes)
    if row == "metrics-server":
        return {"metrics-server.kube-system.svc"}
    if row != "apiserver":
        return {node, IPS[node]} | local
    return local | control_planes | {IPS[name] for name in control_planes} | {
        "kubernetes", "kubernetes.default", "kubernetes.default.svc",
        "kubernetes.default.svc.cluster", "kubernetes.default.svc.cluster.local",
        "kubernetes.svc.cluster.local", "host.docker.internal", "10.96.0.1",
        "dev-load-balancer", "172.20.0.7", "api.example.com", "192.0.2.9", "fd00::9"}


class Cert:
    """One certificate and its key, as files, and what it is."""

    def __init__(self, row, node, nodes, pem, key):
        self.row, self.node, self.pem, self.key = row, node, pem, key
        kinds = SHARED | OF_CONTROL_PLANES | OF_NODES
        self.ca, self.roles = kinds.get(row, (row, set()))
        self.is_ca = row in CAS
        self.names = names_of(row, node, nodes) if "sslserver" in self.roles else set()

    def __repr__(self):
        return f"{self.row} of {self.node}"


class Bundle:
    """write-bundle's work, with the certificates taken out of the kubeconfigs."""

    def __init__(self, writer, folder, algorithm, *shape):
        self.folder, self.algorithm = pathlib.Path(folder), algorithm
        subprocess.run([writer, folder, algorithm, *map(str, shape)], check=True, timeout=300)
        self.nodes = [name for name in IPS if (self.folder / name).is_dir()]
        self.certs = [self.find(row, node) for row, node in self.expected()]

    def expected(self):
        """Each certificate once: what nodes share is taken from the first."""
        first = self.nodes[0]
        yield from ((row, first) for row in (*CAS, *SHARED))
        for node in self.nodes:
            if node in CONTROL_PLANES:
                yield from ((row, node) for row in OF_CONTROL_PLANES)
            yield from ((row, node) for row in OF_NODES)

    def find(self, row, node):
        for pki in (self.folder / node / "etc/kubernetes/pki", self.folder / "secrets"):
            if (pki / f"{row}.crt").exists():
                return Cert(row, node, self.nodes, pki / f"{row}.crt", pki / f"{row}.key")
        return Cert(row, node, self.nodes, self.take_out(row, node, "certificate", "crt"),
                    self.take_out(row, node, "key", "key"))

    def take_out(self, row, node, what, suffix):
        text = (self.folder / node / f"etc/kubernetes/{row}.conf").read_text()
        found = re.search(rf"client-{what}-data: (\S+)", text)
        path = self.folder / f"{node}-{row}.{suffix}"
        path.write_bytes(base64.b64decode(found.group(1)))
        return path

    def ca(self, name):
        return next(cert for cert in self.certs if cert.row == name)

    def leaves(self):
        return [cert for cert in self.certs if not cert.is_ca]



def make_all(writer, folder):
    """A bundle of each algorithm, side by side."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        made = {a: pool.submit(Bundle, writer, f"{folder}/{a}", a) for a in ALGORITHMS}
        return {a: bundle.result() for a, bundle in made.items()}

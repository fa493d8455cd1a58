# SPDX-License-Identifier: Apache-2.0
"""What runs in the nodes of a fake engine, so that they are one cluster."""

import fnmatch
import json
import re
import socket
import tempfile
import time

from . import apiserver, encryption, members, wire

# Where the files of a change wait for its script.
CHANGES = "/etc/mkcluster"

# A program of the node image, where containerd would unpack it.
SNAPSHOT = "usr/lib/mkcluster/snapshots/6/fs/nats-streaming-server"


class Port:
    """What a container listens on that only passes connections on; nobody accepts them."""

    def __init__(self, bindings):
        self.sockets = []
        try:
            for where in bindings.values():
                self.sockets.append(socket.create_server(where, backlog=1))
        except OSError:
            self.stop()
            raise

    def stop(self):
        for sock in self.sockets:
            sock.close()

    def problems(self):
        return []


class NodesEngine(encryption.EncryptionEngine):
    """A part of Engine: `self.containers`, `self.networks`, `self.nodes`, `self.members`."""

    def members_of(self, container):
        cluster = container.labels["io.mkcluster.cluster"]
        return self.members.setdefault(cluster, members.Members(self.runs))

    def forget_members(self):
        """A cluster without containers has nothing left."""
        left = {c.labels.get("io.mkcluster.cluster") for c in self.containers.values()}
        self.members = {k: v for k, v in self.members.items() if k in left}

    def runs(self, name):
        container = self.find(name)
        return container is not None and container.state == "running"

    @staticmethod
    def first_file(container):
        """A file without which it is not started."""
        return {"port": "etc/mkcluster/port.cfg",
                "control-plane": "etc/kubernetes/pki/apiserver.crt"}.get(
                    container.role, "etc/kubernetes/pki/ca.crt")

    def first_of(self, shared):
        return next((n for n in self.nodes if isinstance(n, apiserver.Node) and
                     n.api.members is shared), None)

    def run_node(self, container):
        """What the container is: an API server, one in front of it, a kubelet alone, or
        a port."""
        if container.role == "port":
            container.node = Port(container.bindings())
            self.nodes.append(container.node)
            return
        shared = self.members_of(container)
        if container.role != "load-balancer":
            shared.join(container.name)
        if container.role == "worker":
            return
        # All are started at once; a balancer stands in front of somebody.
        for _ in range(500):
            if container.role == "load-balancer" and not self.first_of(shared):
                time.sleep(0.01)
        with self.lock:
            self.run_server(container, shared, self.first_of(shared))

    def run_server(self, container, shared, first):
        name, files = container.name, container.files
        if container.role == "load-balancer":
            name, files = first.name, self.find(first.name).files
        container.node = apiserver.Node(name, files, container.bindings(), self.behaviour,
                                        tempfile.mkdtemp(dir=self.folder), shared)
        container.node.api.keys = first.api.keys if container.role == "load-balancer" else \
            encryption.Keys(container, shared)
        if first:
            container.node.share(first)
        elif container.role == "control-plane":
            shared.etcd.add(name, container.labels["io.mkcluster.ip"])
        self.nodes.append(container.node)

    def run_command(self, container, command):
        """(status, output) of a command in a node, the output's lines in turn to stdout
        and stderr; or (status, stdout, stderr)."""
        answer = self.run_encryption(container, command) or self.run_tryout(container, command)
        if answer:
            return answer
        if command[0] == "etcdctl":
            return self.members_of(container).etcd.run(
                [w for w in command[1:] if not w.startswith(("--endpoints", "--c", "--key"))])
        if command[:2] == ["sh", "-ec"]:
            self.run_script(container, command[2])
            self.changed_files(container, command[2])
        return (0, "")

    @staticmethod
    def run_script(container, script):
        """What a change says: files to their places, the rest is noted."""
        container.scripts.append(script)
        lines = script.splitlines()
        stage = lines[0].removeprefix(f"cd {CHANGES}/staged/")
        if stage != lines[0]:
            stage = f"etc/mkcluster/staged/{stage}/"
            for name in [n for n in container.files if n.startswith("etc/mkcluster/staged")]:
                file = container.files.pop(name)
                if name.startswith(stage) and not file.is_dir:
                    container.files[name.removeprefix(stage)] = file
        for folder, patterns in re.findall(r"^cd (\S+) && rm -f (.*)$", script, re.MULTILINE):
            for name in list(container.files):
                if any(fnmatch.fnmatch("/" + name, f"{folder}/{p}") for p in patterns.split()):
                    del container.files[name]

    def run_tryout(self, container, command):
        """What `verify` runs, or None."""
        words = " ".join(command)
        if command[0] == "etcdctl" and words.endswith(" member list"):
            return (0, self.members_of(container).etcd.member_list(), "")
        if command[0] == "etcdctl" and " endpoint health " in words:
            return (0, json.dumps([{"endpoint": f"https://{m['ip']}:2379", "health": True}
                                   for m in self.members_of(container).etcd.members]), "")
        if command[0] == "etcdctl" and " get " in words:
            _, _, _, namespace, name = command[-1].split("/")
            path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
            found = path in container.node.api.objects
            return (0, "k8s:enc:secretbox:v1:key1:\x01\x02 unreadable\n" if found else "", "")
        if command[0] == "curl":
            return (0, "ok", "")
        if command[0] == "find":
            return (0, f"/{SNAPSHOT}\n", "")
        if command[:2] == ["rm", "-rf"]:
            for path in command[2:]:
                container.node.registry.remove(path)
            return (0, "", "")
        if command[:2] == ["ip", "-4"]:
            return (0, json.dumps(self.routes_of(container)), "")
        return None

    @staticmethod
    def routes_of(container):
        """By the file that says which there should be."""
        lines = container.files["etc/mkcluster/routes"].data.decode().splitlines()
        return [{"dst": line.split()[0], "gateway": line.split()[1], "dev": "eth0"}
                for line in lines]

    def container_kill(self, _request, name):
        container, missing = self.with_container(name)
        if not container:
            return missing
        if container.state != "running":
            return self.error(409, f"Container {name} is not running")
        if container.node:
            container.node.stop()
        container.state = "exited"
        return wire.Response(204)

    def networks_of(self, container):
        with self.lock:
            return [n for n in self.networks.values() if container.host_config.get(
                "NetworkMode") in (n["Id"], n["Name"]) or container.id in n["Containers"]]

    def network_inspect(self, _request, key):
        with self.lock:
            for network in self.networks.values():
                if key in (network["Id"], network["Name"]):
                    return wire.Response(200, network)
        return self.error(404, f"network {key} not found")

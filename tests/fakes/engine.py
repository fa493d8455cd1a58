# SPDX-License-Identifier: Apache-2.0
"""A fake Docker engine, API 1.41, as Docker 20.10 answers: shapes, words and
statuses are recorded from a real one. It keeps containers, networks and images;
a started container becomes an apiserver.Node on the published ports, or a Port.
"""

import io
import json
import os
import re
import secrets
import shutil
import struct
import tarfile
import tempfile
import threading

from . import apiserver, nodes, wire

NEWEST = "1.51"  # the newest version that mkcluster speaks
NODE_IMAGE = "mkcluster/node:v1.36.3"
ROLES = ("pause", "coredns", "gateway", "provider", "nats", "queue-worker", "prometheus",
         "alertmanager", "metrics-server", "local-path-provisioner", "local-path-helper")
IMAGE_LABELS = {
    "io.mkcluster.image": "1",
    "io.mkcluster.images": json.dumps({r: f"mkcluster.local/{r}:1" for r in ROLES}),
    "io.mkcluster.provider": "stand-in",
}


class File:
    """A member of the archives that a container was given."""

    def __init__(self, member, data):
        self.mode = member.mode
        self.uid = member.uid
        self.gid = member.gid
        self.link = member.linkname if member.issym() else None
        self.is_dir = member.isdir()
        self.data = data


class Container:
    def __init__(self, name, config):
        self.id = secrets.token_hex(32)
        self.name = name
        self.config = config
        self.labels = dict(config.get("Labels") or {})
        self.files = {}
        self.state = "created"
        self.exit_code = 0
        self.restarts = 0
        self.node = None
        self.scripts = []             # what `sh -ec` ran in it

    @property
    def is_port(self):
        return self.role == "port"

    @property
    def host_config(self):
        return self.config.get("HostConfig", {})

    def bindings(self):
        """container port -> (address, port)"""
        return {port: (where[0]["HostIp"], int(where[0]["HostPort"]))
                for port, where in self.host_config.get("PortBindings", {}).items()}

    def summary(self, image_labels):
        return {"Id": self.id, "Names": ["/" + self.name], "Image": self.config["Image"],
                "ImageID": "sha256:" + "0" * 64, "Command": "/usr/local/bin/entrypoint",
                "Created": 1795418783, "Ports": [],
                "Labels": {**image_labels, **self.labels}, "State": self.state,
                "Status": "Up 1 second", "HostConfig": {"NetworkMode": "default"},
                "NetworkSettings": {"Networks": {}}, "Mounts": []}

    @property
    def role(self):
        return self.labels.get("io.mkcluster.role")

    def inspect(self, image_labels, networks=()):
        return {"Id": self.id, "Name": "/" + self.name, "RestartCount": self.restarts,
                "State": {"Status": self.state, "Running": self.state == "running",
                          "ExitCode": self.exit_code, "Pid": 1 if self.node else 0},
                "Config": {**self.config, "Labels": {**image_labels, **self.labels}},
                "HostConfig": self.host_config,
                "NetworkSettings": {"Networks": {n["Name"]: {"NetworkID": n["Id"]}
                                                 for n in networks}}}


def program(data):
    member = tarfile.TarInfo("program")
    member.mode = 0o755
    return File(member, data)


PROGRAMS = {nodes.SNAPSHOT: program(b"\x7fELF" + b"program" * 5000)}


class Engine(nodes.NodesEngine, wire.Server):
    name = "engine"

    def __init__(self):
        super().__init__()
        self.api_version = "1.41"
        self.behaviour = apiserver.Behaviour()
        self.images = {NODE_IMAGE: {"Labels": dict(IMAGE_LABELS)},
                       "debian:bookworm": {"Labels": None}}
        self.containers = {}
        self.networks = {}
        self.removed = []             # names, in order
        self.nodes = []               # every node that ever ran
        self.execs = {}               # id -> [container, command, (status, output)]
        self.members = {}             # of each cluster
        self.refuse_privileged = False
        self.refuse_subnets = 0       # so many networks overlap
        self.refuse_addresses = 0     # so many addresses are taken by another run
        self.folder = tempfile.mkdtemp(prefix="fake-engine-")
        for name in ("bridge", "host", "none"):
            subnet = [{"Subnet": "172.17.0.0/16"}] if name == "bridge" else []
            self.add_network(name, subnet, {})

    # -- for tests

    def add_network(self, name, config, labels):
        network = {"Name": name, "Id": secrets.token_hex(32), "Driver": "bridge",
                   "Scope": "local", "Labels": labels, "Containers": {}, "Options": {},
                   "IPAM": {"Driver": "default", "Options": None, "Config": config}}
        self.networks[network["Id"]] = network
        return network

    def add_container(self, name, labels, state="running"):
        """A container that was there before."""
        container = Container(name, {"Image": NODE_IMAGE, "Labels": labels})
        container.state = state
        self.containers[container.id] = container
        return container

    def add_cluster(self, name, **labels):
        """A cluster that was there before, without a node behind it."""
        labels = {"io.mkcluster.cluster": name, "io.mkcluster.role": "control-plane",
                  "io.mkcluster.run": secrets.token_hex(8), "io.mkcluster.ip": "10.213.99.2",
                  **labels}
        network = self.add_network(
            f"mkcluster-{name}", [{"Subnet": "10.213.99.0/24"}],
            {k: labels[k] for k in ("io.mkcluster.cluster", "io.mkcluster.run")})
        container = self.add_container(f"{name}-control-plane", labels)
        container.config["HostConfig"] = {"NetworkMode": network["Id"]}
        return container

    def labelled(self, cluster=None):
        """Names of the containers and networks that carry mkcluster's label."""
        with self.lock:
            every = [(c.name, c.labels) for c in self.containers.values()]
            every += [(n["Name"], n["Labels"]) for n in self.networks.values()]
        return [name for name, labels in every if "io.mkcluster.cluster" in labels and
                cluster in (None, labels["io.mkcluster.cluster"])]

    def kill(self, name, exit_code=255, restarts=0):
        """The node's first process dies."""
        with self.lock:
            container = self.find(name)
            container.state = "exited"
            container.exit_code = exit_code
            container.restarts = restarts
        # From another thread: the caller may be one of the node's own.
        threading.Thread(target=container.node.stop, daemon=True).start()

    def all_problems(self):
        return self.problems + [p for node in self.nodes for p in node.problems()] + \
            [p for shared in self.members.values() for p in shared.problems]

    def stop(self):
        for node in self.nodes:
            node.stop()
        super().stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- requests

    def extra_headers(self):
        return {"Api-Version": self.api_version, "Docker-Experimental": "false",
                "Ostype": "linux", "Server": "Docker/20.10.24 (linux)"}

    def refuse(self, request, why):
        self.problem(f"{request}: {why}")
        return self.error(400, why)

    def find(self, name):
        for container in self.containers.values():
            if name in (container.id, container.name):
                return container
        return None

    ROUTES = (
        ("GET", r"/info", "info"),
        ("GET", r"/images/(.+)/json", "image_inspect"),
        ("GET", r"/containers/json", "container_list"),
        ("POST", r"/containers/create", "container_create"),
        ("GET", r"/containers/([^/]+)/json", "container_inspect"),
        ("PUT", r"/containers/([^/]+)/archive", "archive_put"),
        ("GET", r"/containers/([^/]+)/archive", "archive_get"),
        ("POST", r"/containers/([^/]+)/start", "container_start"),
        ("POST", r"/containers/([^/]+)/stop", "container_stop"),
        ("POST", r"/containers/([^/]+)/kill", "container_kill"),
        ("GET", r"/containers/([^/]+)/logs", "container_logs"),
        ("POST", r"/containers/([^/]+)/exec", "exec_create"),
        ("DELETE", r"/containers/([^/]+)", "container_remove"),
        ("POST", r"/exec/([^/]+)/start", "exec_start"),
        ("GET", r"/exec/([^/]+)/json", "exec_inspect"),
        ("GET", r"/networks", "network_list"),
        ("GET", r"/networks/([^/]+)", "network_inspect"),
        ("POST", r"/networks/create", "network_create"),
        ("DELETE", r"/networks/([^/]+)", "network_remove"),
        ("GET", r"/volumes", "volume_list"),
    )
    QUERIES = {"container_list": {"all", "filters"}, "container_create": {"name"},
               "archive_put": {"path"}, "archive_get": {"path"}, "container_stop": {"t"},
               "container_logs": {"stdout", "stderr", "tail"}, "container_remove": {"force", "v"},
               "volume_list": {"filters"}}
    FOLLOW = {"stdout", "stderr", "follow"}  # another query of container_logs
    WITH_JSON = {"container_create", "network_create", "exec_create", "exec_start"}

    def handle(self, request):
        if str(request) == "GET /_ping":
            return wire.Response(200, "OK", content_type="text/plain; charset=utf-8")
        prefix = "/v" + min(self.api_version, NEWEST)
        if not request.path.startswith(prefix + "/"):
            return self.refuse(request, f"not below {prefix}")
        path = request.path[len(prefix):]
        for method, pattern, name in self.ROUTES:
            found = re.fullmatch(pattern, path)
            if not found or method != request.method:
                continue
            if set(request.query) not in (self.QUERIES.get(name, set()), self.FOLLOW):
                return self.refuse(request, f"unexpected query for {name}")
            if name in self.WITH_JSON and request.headers.get("content-type") != \
                    "application/json":
                return self.refuse(request, "body is not application/json")
            if name not in self.WITH_JSON and name != "archive_put" and request.body:
                return self.refuse(request, "unexpected body")
            return getattr(self, name)(request, *found.groups())
        return self.refuse(request, "unknown request")

    def info(self, _request):
        return wire.Response(200, {"ID": "FAKE", "Name": "fake-engine", "OSType": "linux",
                                   "ServerVersion": "20.10.24", "CgroupDriver": "systemd",
                                   "CgroupVersion": "2", "Architecture": "x86_64"})

    def image_inspect(self, _request, name):
        image = self.images.get(name)
        if image is None:
            return self.error(404, f"no such image: {name}: No such image: {name}")
        return wire.Response(200, {"Id": "sha256:" + "0" * 64, "RepoTags": [name],
                                   "Config": {"Labels": image["Labels"]}, "Size": 1})

    # -- containers

    def container_list(self, request):
        filters = json.loads(request.query["filters"])
        if request.query["all"] != "1" or set(filters) != {"label"}:
            return self.refuse(request, "not a list of all with a label")
        key, _, value = filters["label"][0].partition("=")
        labels = {n: i["Labels"] or {} for n, i in self.images.items()}
        with self.lock:
            found = [c.summary(labels.get(c.config["Image"], {}))
                     for c in self.containers.values()
                     if key in c.labels and value in ("", c.labels[key])]
        return wire.Response(200, found)

    def container_create(self, request):
        name, config = request.query["name"], request.json()
        with self.lock:
            other = self.find(name)
            if other:
                return self.error(409, f'Conflict. The container name "/{name}" is already in '
                                  f'use by container "{other.id}". You have to remove (or '
                                  "rename) that container to be able to reuse that name.")
            if config.get("Image") not in self.images:
                return self.error(404, f"No such image: {config.get('Image')}")
            container = Container(name, config)
            self.containers[container.id] = container
        return wire.Response(201, {"Id": container.id, "Warnings": []})

    def with_container(self, name):
        with self.lock:
            container = self.find(name)
        return container, self.error(404, f"No such container: {name}")

    def archive_put(self, request, name):
        container, missing = self.with_container(name)
        if not container:
            return missing
        folder = request.query["path"]
        if request.headers.get("content-type") != "application/x-tar" or \
                folder not in ("/", nodes.CHANGES, *container.config.get("Volumes", {})):
            return self.refuse(request, "not a tar for /, a volume or a change")
        if container.host_config.get("ReadonlyRootfs") and folder == "/":
            return self.error(403, "container rootfs is marked read-only")
        with tarfile.open(fileobj=io.BytesIO(request.body)) as tar:
            for member in tar:
                data = tar.extractfile(member).read() if member.isfile() else b""
                container.files[os.path.join(folder, member.name).strip("/")] = File(member, data)
        return wire.Response(200)

    def archive_get(self, request, name):
        container, missing = self.with_container(name)
        if not container:
            return missing
        path = request.query["path"].strip("/")
        files = {**PROGRAMS, **container.files}
        found = {n: f for n, f in files.items()
                 if not f.is_dir and (n == path or n.startswith(path + "/"))}
        if not found:
            return self.error(404, f"Could not find the file /{path} in container {name}")
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for inside, file in found.items():
                # From the name of what was asked for on.
                member = tarfile.TarInfo(os.path.relpath(inside, os.path.dirname(path) or "."))
                member.size = len(file.data)
                member.mode = file.mode
                tar.addfile(member, io.BytesIO(file.data))
        return wire.Response(200, iter([out.getvalue()]), content_type="application/x-tar")

    def container_start(self, request, name):
        container, missing = self.with_container(name)
        if not container:
            return missing
        if container.state == "running":
            return wire.Response(304)
        mode = container.host_config["NetworkMode"]
        if mode not in [n[k] for n in self.networks.values() for k in ("Id", "Name")]:
            return self.error(404, f"network {mode} not found")
        if container.host_config.get("Privileged") and self.refuse_privileged:
            return self.error(500, "failed to create shim: OCI runtime create failed: "
                              "runc create failed: unable to start container process: unable "
                              "to apply caps: operation not permitted: unknown")
        if self.refuse_addresses > 0:
            self.refuse_addresses -= 1
            # As if another run had just started one there.
            self.add_container(secrets.token_hex(4), {
                **container.labels, "io.mkcluster.run": "other", "io.mkcluster.ports": ""})
            return self.error(403, "Address already in use")
        if self.first_file(container) not in container.files:
            return self.refuse(request, "started before its files are in it")
        try:
            self.run_node(container)
        except OSError as error:
            return self.error(500, "driver failed programming external connectivity on endpoint "
                              f"{container.name}: port is already allocated ({error})")
        container.state = "running"
        return wire.Response(204)

    def container_stop(self, _request, name):
        container, missing = self.with_container(name)
        if not container:
            return missing
        if container.node:
            container.node.stop()
        container.state = "exited"
        return wire.Response(204)

    def container_inspect(self, _request, name):
        container, missing = self.with_container(name)
        if not container:
            return missing
        image = self.images.get(container.config["Image"], {})
        return wire.Response(200, container.inspect(image.get("Labels") or {},
                                                    self.networks_of(container)))

    def container_logs(self, _request, name):
        container, missing = self.with_container(name)
        if not container:
            return missing
        console = self.behaviour.port_console if container.role == "port" else self.behaviour.console
        lines = console.splitlines(keepends=True)
        return wire.Response(200, (frame(line, 1 + i % 2) for i, line in enumerate(lines)),
                             content_type="application/octet-stream")

    def container_remove(self, _request, name):
        container, missing = self.with_container(name)
        if not container:
            return missing
        if container.node:
            container.node.stop()
        with self.lock:
            self.containers.pop(container.id, None)
            self.removed.append(container.name)
            self.forget_members()
        return wire.Response(204)

    # -- exec

    def exec_create(self, request, name):
        container, missing = self.with_container(name)
        if not container:
            return missing
        if container.state != "running":
            return self.error(409, f"Container {name} is not running")
        body = request.json()
        if not (body.get("AttachStdout") and body.get("AttachStderr") and body.get("Cmd")):
            return self.refuse(request, "not an exec whose output is read")
        key = secrets.token_hex(32)
        self.execs[key] = [container, body["Cmd"], None]
        return wire.Response(201, {"Id": key})

    def answer_of(self, container, command):
        for words, answer in self.behaviour.exec.items():
            if words in " ".join(command):
                return answer(container, command) if callable(answer) else answer
        return self.run_command(container, command)

    def exec_start(self, request, key):
        if key not in self.execs:
            return self.error(404, f"No such exec instance: {key}")
        if request.json() != {"Detach": False, "Tty": False}:
            return self.refuse(request, "unexpected body")
        container, command, _ = self.execs[key]
        self.execs[key][2] = self.answer_of(container, command)
        answer = self.execs[key][2]
        lines = answer[1:] if len(answer) == 3 else answer[1].splitlines(keepends=True)
        return wire.Response(200, (frame(line, 1 + i % 2) for i, line in enumerate(lines)),
                             content_type="application/vnd.docker.raw-stream", close=True)

    def exec_inspect(self, _request, key):
        if key not in self.execs:
            return self.error(404, f"No such exec instance: {key}")
        answer = self.execs[key][2]
        return wire.Response(200, {"ID": key, "Running": False,
                                   "ExitCode": answer[0] if answer else None})

    # -- networks and volumes

    def network_list(self, _request):
        with self.lock:
            return wire.Response(200, list(self.networks.values()))

    def network_inspect(self, _request, key):
        with self.lock:
            network = self.networks.get(key)
            return wire.Response(200, network) if network else \
                self.error(404, f"network {key} not found")

    def network_create(self, request):
        body = request.json()
        config = body["IPAM"]["Config"]
        if body.get("Driver") != "bridge" or not body.get("Labels") or \
                set(config[0]) != {"Subnet", "Gateway"}:
            return self.refuse(request, "not a labelled bridge with a subnet of its own")
        with self.lock:
            if self.refuse_subnets > 0:
                self.refuse_subnets -= 1
                # As if another program had just taken it.
                self.add_network(secrets.token_hex(4), [{"Subnet": config[0]["Subnet"]}], {})
                return self.error(403, "Pool overlaps with other one on this address space")
            if body["Name"] in [n["Name"] for n in self.networks.values()]:
                return self.error(409, f"network with name {body['Name']} already exists")
            network = self.add_network(body["Name"], config, body["Labels"])
            network["Options"] = body.get("Options", {})
        return wire.Response(201, {"Id": network["Id"], "Warning": ""})

    def network_remove(self, _request, key):
        with self.lock:
            for network in list(self.networks.values()):
                if key not in (network["Id"], network["Name"]):
                    continue
                users = [c for c in self.containers.values()
                         if c.host_config.get("NetworkMode") in (network["Id"], network["Name"]) and
                         c.state == "running"]
                if users:
                    return self.error(403, f"error while removing network: network "
                                      f"{network['Name']} id {key} has active endpoints")
                del self.networks[network["Id"]]
                self.removed.append(network["Name"])
                return wire.Response(204)
        return self.error(404, f"network {key} not found")

    def volume_list(self, _request):
        return wire.Response(200, {"Volumes": [], "Warnings": None})


def frame(line, stream):
    """One piece of output of a container without a terminal."""
    data = line.encode()
    return struct.pack(">BxxxI", stream, len(data)) + data

# SPDX-License-Identifier: Apache-2.0
"""Encryption at rest. Each API server works with the keys that it has taken last; what it
writes lies under the first of them. As strict as losing data is: a server that could not
read what is stored, or what another one may write, is a problem of the test, and so is a
file that would make it such a server at its next start."""

import base64
import hashlib
import json
import re

import yaml

from . import wire

CONFIG = "etc/kubernetes/encryption-config.yaml"
PAGE = 1000
CORE = {"secrets": "Secret", "configmaps": "ConfigMap"}
APPS = {"deployments": "Deployment", "deployments/scale": "Scale"}
VERBS = ["create", "get", "list", "update", "watch"]


class Keys:
    """Those of one API server. `shared` are the members of its cluster."""

    def __init__(self, container, shared):
        self.container = container
        self.shared = shared
        self.names = []
        self.hash = None
        shared.servers.append(self)
        self.load(first=True)

    def read(self):
        """(names, hash) of the file as it is."""
        data = self.container.files[CONFIG].data
        box = yaml.safe_load(data)["resources"][0]["providers"][0]["secretbox"]
        for key in box["keys"]:
            known = self.shared.key_bytes.setdefault(key["name"], key["secret"])
            if known != key["secret"] or len(base64.b64decode(known)) != 32:
                raise ValueError(f"{key['name']} is another one than before")
        return [key["name"] for key in box["keys"]], hashlib.sha256(data).hexdigest()

    def load(self, first=False):
        self.names, self.hash = self.read()
        if not first:
            self.check("works with", self.names)

    def check(self, what, names):
        """Whether a server with these keys can read all that is and may be stored, and the
        others what it writes."""
        needed = set(self.shared.under.values()) - {None}
        needed |= {server.names[0] for server in self.shared.running() if server is not self}
        if not needed <= set(names):
            self.shared.problems.append(
                f"{self.container.name} {what} {names}, and cannot read {needed - set(names)}")
        for server in self.shared.running():
            if server is not self and names[0] not in server.names:
                self.shared.problems.append(
                    f"{self.container.name} {what} {names}: {server.container.name} cannot read "
                    f"what it writes with {server.names}")

    def is_current(self):
        return self.read()[1] == self.hash


class EncryptionMembers:
    """The part of Members for this."""

    def __init__(self):
        self.servers = []      # Keys of every API server
        self.under = {}        # object's path -> name of the key, None: not encrypted
        self.raw = {}          # further values in etcd: key -> bytes
        self.key_bytes = {}    # name -> base64
        self.problems = []
        self.compacted = []    # revisions

    def running(self):
        return [s for s in self.servers if self.runs(s.container.name)]

    def values(self):
        """All that etcd holds, (key, value) in order."""
        found = {"/registry/pods/default/x": b"k8s\x00 not encrypted", **self.raw}
        for path, key in self.under.items():
            name = "/registry/" + re.sub(r"^/apis?/(apps/)?v1/namespaces/([^/]+)/([^/]+)/(.+)$",
                                         r"\3/\2/\4", path)
            found[name] = b"k8s\x00\n\x0cplain" if key is None else \
                b"k8s:enc:secretbox:v1:" + key.encode() + b":" + b"\x00\xffkey1:" * 50
        return sorted(found.items())


class EncryptionEngine:
    """The part of an Engine: commands in the nodes."""

    def run_encryption(self, container, command):
        """(status, stdout, stderr) of what `encryption` runs, or None."""
        if command[:4] == ["bash", "-o", "pipefail", "-c"] and "etcdctl" in command[4]:
            return (0, self.etcd_page(container, command[6]), "")
        if command[0] == "etcdctl" and command[-2] == "compaction":
            self.members_of(container).compacted.append(int(command[-1]))
            return (0, "compacted revision\n", "")
        if command[:2] != ["sh", "-c"] or "last_config_info" not in command[2]:
            return None
        keys = container.node.api.keys
        if "until taken" in command[2]:
            return self.wait_taken(container, keys)
        flags = ["--encryption-provider-config=" + self.behaviour.encryption_file]
        if container.name not in self.behaviour.no_reload:
            flags.append("--encryption-provider-config-automatic-reload=true")
        lines = flags + (["taken"] if keys.is_current() else [])
        return (0, "".join(line + "\n" for line in lines), "")

    def wait_taken(self, container, keys):
        if container.name not in self.behaviour.no_reload and not keys.is_current():
            keys.load()
        return (0, "", "") if keys.is_current() else (3, "still with an earlier file\n", "")

    def etcd_page(self, container, start):
        """What is left of etcdctl's JSON by the script."""
        shared = self.members_of(container)
        values = [(k, v) for k, v in shared.values() if k >= start]
        lines = [f'"revision":{shared.version}']
        for key, value in values[:PAGE]:
            lines.append(f'"key":"{base64.b64encode(key.encode()).decode()}"')
            lines.append(f'"value":"{base64.b64encode(value).decode()}"'[:169])
        if len(values) > PAGE:
            lines.append('"more":true')
        return "\n".join(lines) + "\n"

    @staticmethod
    def changed_files(container, script):
        """After a script has moved files and restarted units: a server that starts now has
        to be able to read all that is stored, and the others what it writes."""
        keys = container.node and getattr(container.node, "api", None) and container.node.api.keys
        if not keys or keys.container is not container:
            return
        names, _ = keys.read()
        keys.check("would start with", names)
        if container.files[CONFIG].mode != 0o600:
            keys.shared.problems.append(f"{container.name}: others can read its keys")
        if "systemctl restart kube-apiserver" in script:
            keys.load()


class EncryptionApi:
    """The part of an ApiServer: `self.keys`, lists and writes of whole objects."""

    def answer_encryption(self, request):
        """The response, or None when somebody else has it."""
        group = re.fullmatch("/apis/([a-z.]+)", request.path)
        listed = re.fullmatch("/api(?:s/apps)?/v1/([a-z]+)", request.path)
        if request.method == "GET" and request.path in ("/apis", "/api/v1", "/apis/apps/v1"):
            return self.discovery(request)
        if request.method == "GET" and group:
            return wire.Response(200, {"preferredVersion": {"groupVersion": "apps/v1"}}) \
                if group.group(1) == "apps" else self.error(404, "no such group")
        if request.method == "GET" and listed and "limit" in request.query and \
                listed.group(1) in {**CORE, **APPS}:
            return self.object_list(request, listed.group(1))
        if request.method == "PUT" and request.path in self.objects:
            return self.replace(request)
        return None

    def discovery(self, request):
        if request.path == "/apis":
            return wire.Response(200, {"groups": [{"name": "apps"}]})
        known = CORE if request.path == "/api/v1" else APPS
        return wire.Response(200, {"resources": [
            {"name": n, "kind": k, "verbs": VERBS} for n, k in known.items()] + [
                {"name": "componentstatuses", "verbs": ["get", "list"]}]})

    def encrypt(self, path):
        """It is written, by this server."""
        self.members.version += 1
        self.versions[path] = str(self.members.version)
        if f"/{self.behaviour.encrypted_resource}/" not in path and "/secrets/" not in path:
            return
        self.members.under[path] = self.keys.names[0]
        self.keys.check("writes with", self.keys.names)

    def object_list(self, request, plural):
        kind = {**CORE, **APPS}[plural]
        limit, start = int(request.query["limit"]), request.query.get("continue", "")
        paths = sorted(p for p in self.objects if p.split("/")[-2] == plural and p > start)
        items = []
        for path in paths[:limit]:
            if self.members.under.get(path) not in [None, *self.keys.names]:
                return self.error(500, "no matching key was found for the provided "
                                  "Secretbox transformer")
            item = json.loads(json.dumps(self.objects[path]))
            item.pop("kind", None)
            item.pop("apiVersion", None)
            item["metadata"].update(resourceVersion=self.versions.get(path, "1"),
                                    name=path.split("/")[-1], namespace=path.split("/")[-3])
            items.append(item)
        meta = {"continue": paths[limit - 1]} if len(paths) > limit else {}
        return wire.Response(200, {"kind": kind + "List", "metadata": meta, "items": items,
                                   "apiVersion": "apps/v1" if plural in APPS else "v1"})

    def replace(self, request):
        body, old = request.json(), self.objects[request.path]
        if (body["kind"], body["apiVersion"]) != (old["kind"], old.get("apiVersion", "v1")):
            return self.refuse(request, "another kind")
        with self.lock:
            if body["metadata"]["resourceVersion"] != self.versions.get(request.path, "1"):
                return self.error(409, "the object has been modified")
            same = {k: v for k, v in body.items() if k != "metadata"}
            if same != {k: v for k, v in old.items() if k != "metadata"}:
                return self.refuse(request, "the object is not as it was")
            self.encrypt(request.path)
        return wire.Response(200, body)

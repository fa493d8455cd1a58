# SPDX-License-Identifier: Apache-2.0
"""A fake node: a Kubernetes API server with mutual TLS, and OpenFaaS's gateway.

The identity is what mkcluster put into the node: the server speaks with
apiserver.crt and asks for a client certificate of that CA, so wrong certificates
fail here as they would in a cluster.
"""

import base64
import json
import os
import re
import ssl
import time

from . import certificates, encryption, members, objects, pods, registry, snapshots, wire

PKI = "etc/kubernetes/pki/"

# plural -> (apiVersion, kind, namespaced)
KINDS = {
    "namespaces": ("v1", "Namespace", False),
    "nodes": ("v1", "Node", False),
    "serviceaccounts": ("v1", "ServiceAccount", True),
    "secrets": ("v1", "Secret", True),
    "configmaps": ("v1", "ConfigMap", True),
    "services": ("v1", "Service", True),
    "roles": ("rbac.authorization.k8s.io/v1", "Role", True),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding", True),
    "clusterroles": ("rbac.authorization.k8s.io/v1", "ClusterRole", False),
    "clusterrolebindings": ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", False),
    "deployments": ("apps/v1", "Deployment", True),
    "daemonsets": ("apps/v1", "DaemonSet", True),
    "storageclasses": ("storage.k8s.io/v1", "StorageClass", False),
    "apiservices": ("apiregistration.k8s.io/v1", "APIService", False),
}


class Behaviour:
    """What a test may change of every node that an engine starts."""

    def __init__(self):
        self.ready_after = 2        # asks of /readyz that are answered "not ready"
        self.node_after = 0.05      # seconds from the first watch to Ready
        self.available_after = 0.1  # seconds from a deployment's apply
        self.never_available = set()   # "namespace/name"
        self.watch_ends = []        # per watch: "gone", "close", or None; then None
        self.pods = []              # items of the pod list
        self.evict = {}             # "namespace/name" -> [(status, message)], the last repeats
        self.pod_logs = {}          # "namespace/name" -> text
        self.refuse = {}            # object's path -> (status, message)
        self.gateway_refuses = 1    # connections closed before the gateway answers
        self.exec = {}              # first word(s) of a command -> (status, output)
        self.console = ""           # what `docker logs` has
        self.port_console = "[NOTICE]   (1) : Loading success.\n"  # and of a port
        self.on_request = None      # called with (node, request), of the API server
        self.api_faults = []        # wire.Fault, put into every API server
        self.gateway_faults = []
        self.registry_faults = []
        self.refuse_delete = set()  # paths of objects that nobody may delete
        self.pod_exec = ("CoreDNS-1.14.1\n", '{"status":"Success"}')
        self.pod_http = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK"
        self.pod_dns = "10.96.0.1"  # what the pod's question is answered with
        self.pod_refuses = None     # port that a pod does not listen on
        self.pod_prints = True      # its log has what its configuration says
        self.not_ready = False      # nodes are not Ready, for whoever lists them
        self.function_status = 200
        self.csr = "signed"         # or denied, failed, never, deleted, garbage
        self.csr_most_days = 365    # for which certificates are signed
        self.encryption_file = "/etc/kubernetes/encryption-config.yaml"  # of API servers' flags
        self.no_reload = set()      # nodes whose API server reads its keys at its start alone
        self.encrypted_resource = "secrets"  # and another one
        self.volumes = []           # PersistentVolumes
        self.restored = []          # Deployments that a restore waits for
        self.restored_pods = []


class ApiServer(members.MembersApi, objects.ObjectsApi, pods.PodsApi,
                certificates.CertificatesApi, encryption.EncryptionApi, snapshots.SnapshotApi,
                wire.Server):
    name = "kubernetes"

    def __init__(self, node, files, folder, shared):
        super().__init__()
        self.members = shared
        self.node = node
        self.behaviour = node.behaviour
        self.faults = node.behaviour.api_faults
        self.tls = server_context(files, folder)
        self.folder = folder
        self.keys = None    # encryption.Keys
        self.versions = {}  # path -> resourceVersion, of objects that are listed
        self.csrs = {}
        self.csr_subjects = []
        self.objects = {}   # path -> object, in order of their apply
        self.applied = {}   # path -> time
        self.asked = 0
        self.namespaces = {"default", "kube-system", "kube-public", "kube-node-lease"}
        self.watching_since = None

    def error(self, status, message):
        return wire.Response(status, {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": wire.REASONS.get(status, "").replace(" ", ""),
            "code": status})

    def refuse(self, request, why):
        self.problem(f"{request}: {why}")
        return self.error(400, why)

    def handle(self, request):
        if self.behaviour.on_request:
            self.behaviour.on_request(self.node, request)
        answer = self.answer_certificate(request) or self.answer_encryption(request) or \
            self.answer_member(request) or self.answer_object(request) or \
            self.answer_pod(request) or \
            self.answer_snapshot(request)
        if answer:
            return answer
        if request.method == "PATCH":
            return self.apply(request)
        if request.method != "GET":
            return self.refuse(request, "unexpected method")
        if request.path == "/readyz":
            return self.readyz()
        if request.query.get("watch") == "1":
            return self.watch(request)
        if request.path == "/api/v1/pods":
            return wire.Response(200, {"kind": "PodList", "items": self.behaviour.pods})
        parts = request.path.split("/")
        if len(parts) == 8 and parts[5] == "pods" and parts[7] == "log":
            text = self.behaviour.pod_logs.get(f"{parts[4]}/{parts[6]}")
            if text is None:
                return self.error(400, f"container in pod {parts[6]} is waiting to start")
            return wire.Response(200, text, content_type="text/plain")
        if request.path in self.objects:
            return wire.Response(200, self.objects[request.path])
        if len(parts) == 7 and parts[5] in ("secrets", "configmaps"):
            return self.error(404, f'{parts[5]} "{parts[6]}" not found')
        return self.refuse(request, "unknown path")

    def readyz(self):
        self.asked += 1
        if self.asked <= self.behaviour.ready_after:
            return wire.Response(500, "[+]ping ok\n[-]etcd failed: reason withheld\n"
                                 "readyz check failed\n", content_type="text/plain")
        return wire.Response(200, "ok", content_type="text/plain")

    # -- server-side apply

    def apply(self, request):
        if request.headers.get("content-type") != "application/apply-patch+yaml":
            return self.refuse(request, "wrong content type")
        query = dict(request.query)
        dry_run = query.pop("dryRun", None)
        if query.pop("force", None) not in ("true", "false") or dry_run not in (None, "All") or \
                query not in ({"fieldManager": m} for m in ("mkcluster", "mkcluster-create")):
            return self.refuse(request, "wrong query")
        body = request.json()
        parts = request.path.strip("/").split("/")
        group = parts[1] if parts[0] == "api" else "/".join(parts[1:3])
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = None
        if len(rest) == 4 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        known = KINDS.get(rest[0])
        if len(rest) != 2 or not known:
            return self.refuse(request, "no path of an object")
        meta = body.get("metadata", {})
        if (group, body.get("apiVersion"), body.get("kind")) != (known[0], known[0], known[1]) \
                or meta.get("name") != rest[1] or known[2] != (namespace is not None) \
                or meta.get("namespace", namespace) != namespace:
            return self.refuse(request, f"body is not what the path says: {meta}")
        if "managedFields" in meta:
            return self.refuse(request, "metadata.managedFields must be nil")
        if request.path in self.behaviour.refuse:
            return self.error(*self.behaviour.refuse[request.path])
        return self.store(request, body, namespace, dry_run)

    def store(self, request, body, namespace, dry_run=None):
        with self.lock:
            if namespace and namespace not in self.namespaces:
                return self.error(404, f'namespaces "{namespace}" not found')
            if body["kind"] == "Namespace":
                self.namespaces.add(body["metadata"]["name"])
            for value in body.get("data", {}).values() if body["kind"] == "Secret" else ():
                base64.b64decode(value, validate=True)
            old = self.objects.get(request.path)
            is_new = old is None
            body["metadata"]["generation"] = 1
            body["metadata"]["uid"] = request.path if is_new else old["metadata"]["uid"]
            body["metadata"]["resourceVersion"] = "0" if is_new else \
                old["metadata"]["resourceVersion"]
            if not is_new and body != old:
                body["metadata"]["resourceVersion"] += "1"
            if dry_run:
                return wire.Response(201 if is_new else 200, body)
            self.objects[request.path] = body
            self.applied[request.path] = time.monotonic()
            self.encrypt(request.path)
        return wire.Response(201 if is_new else 200, body)

    # -- watches

    def watch(self, request):
        with self.lock:
            if self.watching_since is None:
                self.watching_since = time.monotonic()
            ends = self.behaviour.watch_ends
            end = ends.pop(0) if ends else None
        if request.query.get("resourceVersion") != "0":
            return self.refuse(request, "watch without resourceVersion=0")
        if request.path == "/api/v1/nodes":
            return wire.Response(200, self.stream(self.nodes, end))
        if request.path == "/apis/apps/v1/deployments":
            return wire.Response(200, self.stream(self.deployments, end))
        if request.path == "/api/v1/pods":
            return wire.Response(200, self.stream(lambda: self.pods_of(request), end))
        if request.path == "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices":
            return wire.Response(200, self.stream(self.servers, end))
        return self.refuse(request, "watch of an unknown kind")

    def nodes(self):
        return self.members.node_objects(self.node.name, self.watching_since or 0,
                                         self.behaviour.node_after)

    def servers(self):
        """Every control plane, as pods reach the API."""
        slice_ = {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
                  "metadata": {"name": "kubernetes", "namespace": "default"},
                  "endpoints": [{"addresses": [m["ip"]]} for m in self.members.etcd.members]}
        return {"kubernetes": slice_}

    def deployments(self):
        result = {}
        with self.lock:
            items = list(self.objects.items())
        for path, item in items:
            if item["kind"] != "Deployment":
                continue
            meta, spec = item["metadata"], item.get("spec", {})
            name = f"{meta['namespace']}/{meta['name']}"
            wanted = spec.get("replicas", 1)
            status = {"observedGeneration": 1, "replicas": wanted, "updatedReplicas": wanted,
                      "unavailableReplicas": wanted}
            if name not in self.behaviour.never_available and \
                    time.monotonic() >= self.applied[path] + self.behaviour.available_after:
                status = {"observedGeneration": 1, "replicas": wanted, "updatedReplicas": wanted,
                          "readyReplicas": wanted, "availableReplicas": wanted}
            result[name] = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": meta,
                            "spec": {**spec, "replicas": wanted}, "status": status}
        return result

    def stream(self, current, end):
        """Lines of events: the state at first, a bookmark, then each change."""
        last = {}
        bookmarked = False
        while not self.stopping.is_set():
            for key, value in current().items():
                if last.get(key) == value:
                    continue
                yield event("MODIFIED" if key in last else "ADDED", value)
                last[key] = value
            for key in [k for k in last if k not in current()]:
                yield event("DELETED", last.pop(key))
            if not bookmarked:
                # In two pieces: a reader must not take a piece for a line.
                line = event("BOOKMARK", {"metadata": {"resourceVersion": "12345"}})
                yield line[:17]
                yield line[17:]
                bookmarked = True
            if end == "gone":
                yield event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired",
                                      "message": "too old resource version: 1 (2)"})
            if end:
                return
            time.sleep(0.01)
            yield b""


def event(kind, value):
    return json.dumps({"type": kind, "object": value}).encode() + b"\n"


class Gateway(wire.Server):
    """Answers once openfaas/gateway is applied, and after some refusals, as behind
    an engine's proxy: a connection is taken and closed."""

    name = "gateway"

    def __init__(self, node):
        super().__init__()
        self.node = node
        self.faults = node.behaviour.gateway_faults
        self.refused = 0

    def _answer(self, sock, request):
        applied = any(p.endswith("/deployments/gateway") for p in self.node.api.objects)
        if not applied or self.refused < self.node.behaviour.gateway_refuses:
            self.refused += 1
            return False
        return super()._answer(sock, request)

    def handle(self, request):
        found = re.fullmatch(r"/function/([a-z0-9-]+)/_/health/varz", request.path)
        if str(request) == "GET /healthz":
            return wire.Response(200, "OK", content_type="text/plain")
        if str(request) == "POST /system/functions" and self.is_admin(request):
            return self.deploy(request)
        if found and request.method == "GET" and self.is_admin(request):
            return self.invoke(found.group(1))
        self.problem(f"unexpected {request}")
        return wire.Response(404, "not found", content_type="text/plain")

    def is_admin(self, request):
        secret = self.node.api.objects["/api/v1/namespaces/openfaas/secrets/basic-auth"]
        password = base64.b64decode(secret["data"]["basic-auth-password"]).decode()
        token = base64.b64encode(f"admin:{password}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {token}"

    def deploy(self, request):
        """As the provider does it: a Deployment, of an image that must be in the registry."""
        function = request.json()
        name = function["service"]
        repository, _, tag = function["image"].removeprefix("mkcluster.local/").partition(":")
        if self.node.registry.file(repository, tag, "nats-streaming-server") is None:
            self.problem(f"no such image: {function['image']}")
        labels = {**function["labels"], "faas_function": name}
        path = f"/apis/apps/v1/namespaces/openfaas-fn/deployments/{name}"
        self.node.api.objects[path] = {
            "kind": "Deployment", "metadata": {"name": name, "namespace": "openfaas-fn",
                                               "labels": labels, "generation": 1},
            "spec": {"template": {"metadata": {"labels": labels}}}}
        self.node.api.applied[path] = time.monotonic()
        self.node.api.objects[f"/api/v1/namespaces/openfaas-fn/services/{name}"] = {
            "kind": "Service", "metadata": {"name": name}, "spec": {}}
        return wire.Response(202, "", content_type="text/plain")

    def invoke(self, name):
        """What its program would say, by the configuration in the image."""
        if self.node.behaviour.function_status != 200:
            return wire.Response(self.node.behaviour.function_status, "no endpoints",
                                 content_type="text/plain")
        config = self.node.registry.file(f"mkcluster/{name}", "1", "verify.conf").decode()
        server = re.search(r'server_name: "(.*)"', config).group(1)
        return wire.Response(200, {"server_name": server})


class Node:
    """What runs in a started control plane. `ports` maps container to (address, port)."""

    def __init__(self, name, files, ports, behaviour, folder, shared):
        self.name = name
        self.behaviour = behaviour
        self.api = ApiServer(self, files, folder, shared)
        self.gateway = Gateway(self)
        self.registry = registry.Registry(self)
        self.servers = []
        try:
            self._listen(self.api, ports.get("6443/tcp"))
            self._listen(self.gateway, ports.get("31112/tcp"))
            self._listen(self.registry, ports.get("5000/tcp"))
        except OSError:
            self.stop()
            raise

    def _listen(self, server, where):
        if where:
            server.listen_tcp(*where)
            self.servers.append(server)

    def share(self, other):
        """Answer with what `other` has: its balancer, or another API server beside it."""
        for part in ("objects", "applied", "namespaces", "watching_since", "versions"):
            setattr(self.api, part, getattr(other.api, part))

    def problems(self):
        return self.api.problems + self.gateway.problems + self.registry.problems

    def stop(self):
        for server in self.servers:
            server.stop()


def server_context(files, folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = {}
    for name in ("apiserver.crt", "apiserver.key", "ca.crt", "ca.key"):
        names[name] = os.path.join(folder, name)
        with open(names[name], "wb") as out:
            out.write(files[PKI + name].data)
    context.load_cert_chain(names["apiserver.crt"], names["apiserver.key"])
    context.load_verify_locations(names["ca.crt"])
    context.verify_mode = ssl.CERT_REQUIRED
    return context

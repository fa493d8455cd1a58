# SPDX-License-Identifier: Apache-2.0
"""What is asked of a cluster when its nodes change: leases, nodes, pods and evictions of
the API, members of etcd. Strict as the real ones are: resource versions are compared,
and what would break a cluster is a problem of the test.
"""

import re
import time

from . import encryption, wire

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
MERGE_PATCH = "application/merge-patch+json"


class Members(encryption.EncryptionMembers):
    """The state that all API servers of a cluster share. `runs` tells whether the
    container of a node runs."""

    def __init__(self, runs):
        super().__init__()
        self.runs = runs
        self.version = 100
        self.leases = {}
        self.nodes = {}        # name -> {"since": time, "unschedulable": bool}
        self.etcd = Etcd()
        self.evictions = []    # "namespace/name", as they were asked for

    def join(self, name):
        self.nodes.setdefault(name, {"since": time.monotonic(), "unschedulable": False})

    def node_objects(self, first, since, node_after):
        """Of the node that is there from the beginning, and of those that came."""
        now = time.monotonic()
        found = {first: now >= since + node_after}
        for name, node in self.nodes.items():
            if name != first:
                found[name] = now >= node["since"] + node_after
        return {name: {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name},
                       "spec": {"unschedulable": True} if self.cordoned(name) else {},
                       "status": {"conditions": [
                           {"type": "MemoryPressure", "status": "False"},
                           {"type": "Ready", "status": "True" if ready else "False",
                            "lastHeartbeatTime": "2026-11-23T13:02:39Z"}]}}
                for name, ready in found.items()}

    def cordoned(self, name):
        return self.nodes.get(name, {}).get("unschedulable", False)


class MembersApi:
    """The part of an ApiServer that answers for Members: `self.members`, `self.behaviour`,
    `self.error`, `self.refuse`, `self.problem`."""

    MEMBER_ROUTES = (
        ("POST", LEASES, "lease_make"),
        ("(GET|PUT|DELETE)", LEASES + "/([^/]+)", "lease"),
        ("(GET|DELETE)", "/api/v1/nodes/([^/]+)", "node_object"),
        ("POST", "/api/v1/namespaces/([^/]+)/pods/([^/]+)/eviction", "evict"),
        ("DELETE", "/api/v1/namespaces/([^/]+)/pods/([^/]+)", "pod_delete"),
    )

    def answer_member(self, request):
        """The response, or None when somebody else has it."""
        if request.method == "PATCH" and request.headers.get("content-type") == MERGE_PATCH:
            return self.node_patch(request)
        for method, pattern, name in self.MEMBER_ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and re.fullmatch(method, request.method):
                if request.body and request.headers.get("content-type") != "application/json":
                    return self.refuse(request, "body is not application/json")
                return getattr(self, name)(request, *found.groups())
        if request.path == "/api/v1/pods" and "fieldSelector" in request.query and \
                "watch" not in request.query:
            return wire.Response(200, {"kind": "PodList",
                                       "items": list(self.pods_of(request).values())})
        return None

    # -- leases

    def stored(self, lease, status):
        self.members.version += 1
        lease["metadata"]["resourceVersion"] = str(self.members.version)
        self.members.leases[lease["metadata"]["name"]] = lease
        return wire.Response(status, lease)

    def lease_make(self, request):
        lease = request.json()
        name = lease["metadata"]["name"]
        if not {"holderIdentity", "leaseDurationSeconds", "renewTime"} <= set(lease["spec"]):
            return self.refuse(request, "not a lease that is held")
        with self.lock:
            if name in self.members.leases:
                return self.error(409, f'leases.coordination.k8s.io "{name}" already exists')
            return self.stored(lease, 201)

    def lease(self, request, name):
        with self.lock:
            old = self.members.leases.get(name)
            if old is None:
                return self.error(404, f'leases.coordination.k8s.io "{name}" not found')
            if request.method == "GET":
                return wire.Response(200, old)
            body = request.json()
            condition = body["metadata"] if request.method == "PUT" else body["preconditions"]
            if condition["resourceVersion"] != old["metadata"]["resourceVersion"]:
                return self.error(409, "the object has been modified")
            if request.method == "PUT":
                return self.stored(body, 200)
            del self.members.leases[name]
            return wire.Response(200, {"kind": "Status", "status": "Success"})

    # -- nodes

    def node_patch(self, request):
        name = request.path.removeprefix("/api/v1/nodes/")
        body = request.json()
        if set(body) != {"spec"} or set(body["spec"]) != {"unschedulable"}:
            return self.refuse(request, "not a cordon")
        with self.lock:
            if name not in self.members.nodes:
                return self.error(404, f'nodes "{name}" not found')
            self.members.nodes[name]["unschedulable"] = body["spec"]["unschedulable"]
        return wire.Response(200, {"kind": "Node", "metadata": {"name": name}})

    def node_object(self, request, name):
        with self.lock:
            if name not in self.members.nodes:
                return self.error(404, f'nodes "{name}" not found')
            if request.method == "DELETE":
                if self.members.runs(name):
                    self.problem(f"{name} is deleted while its kubelet runs: it would come back")
                del self.members.nodes[name]
                return wire.Response(200, {"kind": "Status", "status": "Success"})
        return wire.Response(200, self.nodes().get(name))

    # -- pods

    def pods_of(self, request):
        key, _, node = request.query["fieldSelector"].partition("=")
        if key != "spec.nodeName":
            self.problem(f"{request}: unknown field selector")
        with self.lock:
            return {f"{p['metadata']['namespace']}/{p['metadata']['name']}": p
                    for p in self.behaviour.pods if p["spec"].get("nodeName") == node}

    def drop_pod(self, namespace, name):
        """Whether there was one."""
        with self.lock:
            pods = self.behaviour.pods
            left = [p for p in pods
                    if (p["metadata"]["namespace"], p["metadata"]["name"]) != (namespace, name)]
            gone = len(left) < len(pods)
            pods[:] = left
        return gone

    def evict(self, request, namespace, name):
        body = request.json()
        if (body["apiVersion"], body["kind"], body["metadata"]) != (
                "policy/v1", "Eviction", {"namespace": namespace, "name": name}):
            return self.refuse(request, "not an eviction of that pod")
        self.members.evictions.append(f"{namespace}/{name}")
        answers = self.behaviour.evict.get(f"{namespace}/{name}")
        if answers:
            return self.error(*(answers.pop(0) if len(answers) > 1 else answers[0]))
        if not self.drop_pod(namespace, name):
            return self.error(404, f'pods "{name}" not found')
        return wire.Response(201, {"kind": "Status", "status": "Success"})

    def pod_delete(self, request, namespace, name):
        if request.json() != {"gracePeriodSeconds": 0}:
            return self.refuse(request, "not a deletion without grace")
        if not self.drop_pod(namespace, name):
            return self.error(404, f'pods "{name}" not found')
        return wire.Response(200, {"kind": "Pod"})


class Etcd:
    """Members, as `etcdctl member` changes them. One that learns cannot be counted on."""

    def __init__(self):
        self.members = []  # {"id", "name", "ip", "learner"}
        self.next = 0x8e9e05c52164694d

    def add(self, name, ip, learner=False):
        self.members.append({"id": f"{self.next:x}", "name": name, "ip": ip,
                             "learner": learner})
        self.next += 0x1111

    def find(self, **what):
        return [m for m in self.members if all(m[k] == v for k, v in what.items())]

    def run(self, words):
        """(status, output) of `etcdctl`, whose words are the argv after the connection."""
        command = getattr(self, "_".join(words[:2]), None)
        if not command:
            return 128, f"Error: unknown command {words}\n"
        error = command(*words[2:])
        if words[1] == "list":
            return 0, error
        return (1, f'{{"level":"warn","msg":"log"}}\nError: etcdserver: {error}\n') if error \
            else (0, "done\n")

    def member_list(self):
        return "".join(f"{m['id']}, started, {m['name']}, https://{m['ip']}:2380, "
                       f"https://{m['ip']}:2379, {str(m['learner']).lower()}\n"
                       for m in self.members)

    def member_add(self, name, urls, learner):
        ip = re.fullmatch(r"--peer-urls=https://([\d.]+):2380", urls).group(1)
        if learner != "--learner":
            return "a member with a vote, before it runs"
        if self.find(ip=ip):
            return "Peer URLs already exists"
        if self.find(learner=True):
            return "too many learner members in cluster"
        self.add(name, ip, learner=True)
        return None

    def member_promote(self, key):
        found = self.find(id=key)
        if not found:
            return "member not found"
        found[0]["learner"] = False
        return None

    def member_remove(self, key):
        found = self.find(id=key)
        if not found:
            return "member not found"
        self.members.remove(found[0])
        return None

# SPDX-License-Identifier: Apache-2.0
"""What `verify` asks of a cluster: objects by name and label, deletion, and what its pod
does over WebSockets, exec and port-forward by the channels of the Kubernetes API. The
frames are as strict as RFC 6455 wants a server to be."""

import re
import struct
import time

from . import wire

EXEC_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
FORWARD_PROTOCOL = "v4.channel.k8s.io"


def send(sock, channel, data):
    payload = bytes([channel]) + data
    size = bytes([len(payload)]) if len(payload) < 126 else struct.pack(">BH", 126, len(payload))
    sock.sendall(b"\x82" + size + payload)


def close(sock):
    sock.sendall(b"\x88\x02\x03\xe8")


def exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise wire.Gone
        data += piece
    return data


def receive(sock):
    """The next message of the client's: (channel, data)."""
    first, second = exactly(sock, 2)
    if first & 0x0f == 8:
        raise wire.Gone
    if first != 0x82 or not second & 0x80 or second & 0x7f > 125:
        raise ValueError("not a small, whole, masked, binary message")
    mask = exactly(sock, 4)
    data = bytes(b ^ mask[i % 4] for i, b in enumerate(exactly(sock, second & 0x7f)))
    return data[0], data[1:]


def protocols(request):
    return [p.strip() for p in request.headers.get("sec-websocket-protocol", "").split(",")]


def exec_in_pod(api, request):
    if protocols(request) != EXEC_PROTOCOLS:
        return api.refuse(request, "unexpected protocols")
    output, status = api.behaviour.pod_exec

    def talk(sock):
        send(sock, 1, output.encode())
        send(sock, 3, status.encode())
        close(sock)
    return wire.Upgrade(request, EXEC_PROTOCOLS[0], talk)


def answer_dns(question, behaviour):
    """The answer to one question for an address, with its length in front."""
    message = question[2:]
    if len(message) != struct.unpack(">H", question[:2])[0]:
        raise ValueError("a wrong length")
    name = message[12:-4]
    if name != b"\x0akubernetes\x07default\x03svc\x07cluster\x05local\x00" or \
            message[-4:] != b"\0\1\0\1":
        raise ValueError("another question")
    address = behaviour.pod_dns
    if address is None:
        head = message[:2] + struct.pack(">HHHHH", 0x8182, 1, 0, 0, 0)
        answer = head + message[12:]
    else:
        head = message[:2] + struct.pack(">HHHHH", 0x8580, 1, 1, 0, 0)
        answer = head + message[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4" + \
            bytes(int(part) for part in address.split("."))
    return struct.pack(">H", len(answer)) + answer


def forward_port(api, request):
    if protocols(request) != [FORWARD_PROTOCOL]:
        return api.refuse(request, "unexpected protocols")
    port = int(request.query["ports"])

    def talk(sock):
        for channel in (0, 1):
            send(sock, channel, struct.pack("<H", port))
        if port not in (5300, 8080) or api.behaviour.pod_refuses == port:
            send(sock, 1, f"error forwarding port {port}: connection refused".encode())
            return close(sock)
        channel, data = receive(sock)
        if channel != 0:
            raise ValueError("not for the data's channel")
        if port == 8080:
            answer = api.behaviour.pod_http.encode()
            send(sock, 0, answer[:9])
            send(sock, 0, answer[9:])
        else:
            send(sock, 0, answer_dns(data, api.behaviour))
        try:
            receive(sock)
        except wire.Gone:
            pass
        return None
    return wire.Upgrade(request, FORWARD_PROTOCOL, talk)


class PodsApi:
    """The part of an ApiServer that answers for this."""

    POD_ROUTES = (
        ("GET", "/version", "version"),
        ("GET", "/api/v1/nodes", "node_list"),
        ("GET", "/api/v1/namespaces", "named_list"),
        ("GET", "/apis/apps/v1/namespaces/openfaas-fn/deployments", "named_list"),
        ("GET", "/api/v1/namespaces/default/services/kubernetes", "own_service"),
        ("GET", "/api/v1/namespaces/([^/]+)/services/probe", "service"),
        ("GET", "/api/v1/namespaces/([^/]+)/pods", "pod_list"),
        ("GET", "/api/v1/namespaces/([^/]+)/pods/([^/]+)/(exec|portforward)", "pod_stream"),
        ("GET", "/api/v1/namespaces/(mkcluster-verify-[^/]+)/pods/[^/]+/log", "pod_log"),
        ("DELETE", "/api/.*|/apis/.*", "delete"),
    )

    def answer_pod(self, request):
        """The response, or None when somebody else has it."""
        if "watch" in request.query and "fieldSelector" not in request.query:
            return None
        for method, pattern, name in self.POD_ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return getattr(self, name)(request, *found.groups())
        return None

    def version(self, _request):
        return wire.Response(200, {"gitVersion": "v1.36.3", "major": "1", "minor": "36"})

    def node_list(self, _request):
        items = list(self.nodes().values())
        for item in items:
            item["status"]["nodeInfo"] = {"architecture": "amd64"}
            if self.behaviour.not_ready:
                item["status"]["conditions"] = [{
                    "type": "Ready", "status": "False", "message": "container runtime is down"}]
        return wire.Response(200, {"items": items})

    def named(self, request):
        """The object of the name that is asked for, if it was made."""
        name = request.query["fieldSelector"].removeprefix("metadata.name=")
        path = f"{request.path}/{name}"
        return {name: self.objects[path]} if path in self.objects else {}

    def named_list(self, request):
        if request.query.get("watch") == "1":
            return wire.Response(200, self.stream(lambda: self.named(request), None))
        return wire.Response(200, {"items": list(self.named(request).values())})

    def own_service(self, _request):
        return wire.Response(200, {"spec": {"clusterIP": "10.96.0.1"}})

    def service(self, request, _namespace):
        """The object as the server completes it."""
        item = self.objects[request.path]
        ports = [{**port, "nodePort": 31999} for port in item["spec"]["ports"]]
        return wire.Response(200, {**item, "spec": {**item["spec"], "ports": ports}})

    def pod_list(self, request, namespace):
        """A pod for each Deployment with a selector that matches, Ready when that is
        available."""
        key, _, value = request.query["labelSelector"].partition("=")
        found = []
        for name, deployment in self.deployments().items():
            labels = deployment["spec"].get("template", {}).get("metadata", {}).get("labels", {})
            if not name.startswith(namespace + "/") or labels.get(key) != value:
                continue
            ready = "availableReplicas" in deployment["status"]
            waiting = {"waiting": {"reason": "ErrImageNeverPull",
                                   "message": "the image is not present"}}
            found.append({"metadata": {"name": name.split("/")[1] + "-0", "namespace": namespace},
                          "spec": {"nodeName": self.node.name},
                          "status": {"phase": "Running" if ready else "Pending", "conditions": [
                              {"type": "Ready", "status": str(ready)}],
                              "containerStatuses": [] if ready else [{"state": waiting}]}})
        return wire.Response(200, {"items": found})

    def delete(self, request):
        if request.json().get("propagationPolicy") != "Foreground":
            return self.refuse(request, "not a deletion with all that it owns")
        with self.lock:
            item = self.objects.get(request.path)
            if item is None:
                return self.error(404, f'"{request.path}" not found')
            if request.path in self.behaviour.refuse_delete:
                return self.error(403, "a webhook is in the way")
            del self.objects[request.path]
            if item["kind"] == "Namespace":
                inside = f"/namespaces/{item['metadata']['name']}/"
                for path in [p for p in self.objects if inside in p]:
                    del self.objects[path]
                self.namespaces.discard(item["metadata"]["name"])
        return wire.Response(200, item)

    def pod_stream(self, request, namespace, pod, kind):
        owner = f"/apis/apps/v1/namespaces/{namespace}/deployments/{pod.removesuffix('-0')}"
        if request.headers.get("upgrade") != "websocket":
            return self.refuse(request, "not a WebSocket")
        if owner not in self.objects:
            return self.error(404, f'pods "{pod}" not found')
        return exec_in_pod(self, request) if kind == "exec" else forward_port(self, request)

    def pod_log(self, request, namespace):
        """What CoreDNS prints first: the zones of its configuration."""
        config = self.objects[f"/api/v1/namespaces/{namespace}/configmaps/probe"]
        zones = config["data"]["Corefile"].split("{")[0].split()
        if request.query.get("follow") != "true":
            return self.refuse(request, "a log that is not followed")

        def lines():
            for zone in zones if self.behaviour.pod_prints else ["another:53"]:
                yield zone.encode() + b"\n"
            while not self.stopping.is_set():
                time.sleep(0.01)
                yield b""
        return wire.Response(200, lines(), content_type="text/plain")

# SPDX-License-Identifier: Apache-2.0
"""What the walk of test_cis.py shares: its list of items, and eyes on a running cluster.

An item passes when its function returns, with a note to print; it fails by
AssertionError, and is not applicable by NotApplicable, which gives the reason."""
import base64
import functools
import http.client
import json
import shlex
import ssl
import urllib.parse

from cluster import docker, run, wait_for

ITEMS = []
# The pods of a cluster, by what they call themselves.
OURS = {"alertmanager", "gateway", "kube-dns", "local-path-provisioner", "metrics-server", "nats",
        "prometheus", "queue-worker"}
# By keys of either kind: the controller manager makes itself one of RSA.
STRONG = ":".join(f"ECDHE-{key}-AES128-GCM-SHA256" for key in ("ECDSA", "RSA"))
WEAK = ":".join(f"ECDHE-{key}-{suite}" for key in ("ECDSA", "RSA") for suite in (
    "AES128-SHA", "AES256-SHA", "AES128-SHA256")) + ":AES128-SHA:AES128-GCM-SHA256@SECLEVEL=0"

LOOK = r"""
for p in /proc/[0-9]*; do
    words=$(tr '\0\n' '\037 ' <$p/cmdline) 2>/dev/null || continue # it has ended
    printf 'PROCESS %s %s\n' "${p#/proc/}" "$words"
done 2>/dev/null
find /etc/kubernetes /etc/cni /var/lib/cni /var/lib/etcd /var/lib/kubelet /etc/systemd/system \
    /var/log/kubernetes -printf 'FILE %m %u:%g %y %p\n' 2>/dev/null
ss -ltnH | awk '{ print "LISTEN " $4 }'
"""


class NotApplicable(Exception):
    pass


def item(number, title):
    def add(function):
        ITEMS.append((number, title, function))
        return function
    return add


def expect(condition, words):
    if not condition:
        raise AssertionError(words)


class Node:
    """A node as it runs: its programs with their flags, its files, its open ports."""

    def __init__(self, name):
        self.name = name
        self.flags, self.pids, self.files, self.ports = {}, {}, {}, []
        for line in self.sh(LOOK).split("\n"):
            word, _, rest = line.partition(" ")
            if word == "PROCESS":
                pid, _, words = rest.partition(" ")
                self.add_process(int(pid), words.split("\x1f"))
            elif word == "FILE":
                mode, owner, kind, path = rest.split(" ", 3)
                self.files[path] = (int(mode, 8), owner, kind)
            elif word == "LISTEN":
                self.ports.append(rest)

    def add_process(self, pid, argv):
        name = argv[0].rsplit("/", 1)[-1]
        flags = {}
        for word in argv[1:]:
            key, equals, value = word.removeprefix("--").partition("=")
            flags[key] = value if equals else "true"
        if argv[0].startswith("/usr/local/bin/") and name not in self.flags:
            self.flags[name], self.pids[name] = flags, pid

    def sh(self, script):
        return docker("exec", self.name, "sh", "-c", script)

    def curl(self, *args):
        """Status of the answer, 0 when none came: refused, or not understood."""
        words = ["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", *args]
        return int(run("docker", "exec", self.name, *words, check=False).stdout or 0)

    def flag(self, program, name):
        expect(program in self.flags, f"{program} does not run on {self.name}")
        return self.flags[program].get(name)

    def status(self, program):
        """/proc/PID/status of a program."""
        text = self.sh(f"cat /proc/{self.pids[program]}/status")
        return {key: value.strip() for key, _, value in
                (line.partition(":") for line in text.splitlines())}

    def at_most(self, path, mode):
        """Nobody can do more with the file than this mode says."""
        expect(path in self.files, f"{self.name} has no {path}")
        found = self.files[path][0]
        expect(found & ~mode & 0o7777 == 0, f"{self.name}: {path} has mode {found:04o}")
        return f"{found:04o}"

    def of_root(self, path):
        expect(path in self.files, f"{self.name} has no {path}")
        owner = self.files[path][1]
        expect(owner == "root:root", f"{self.name}: {path} is {owner}'s")

    def below(self, folder, *ends):
        found = [p for p, (_, _, kind) in self.files.items()
                 if p.startswith(folder + "/") and kind == "f" and p.endswith(ends or ("",))]
        expect(found, f"{self.name} has nothing in {folder}")
        return found

    def file_flag(self, program, name):
        """The file that a flag names; it is in the node."""
        path = self.flag(program, name)
        expect(path, f"{program} has no --{name}")
        run("docker", "exec", self.name, "test", "-s", path)
        return path

    def loopback_only(self, port):
        found = [p for p in self.ports if p.endswith(f":{port}")]
        expect(found, f"{self.name}: nothing listens on {port}")
        expect(all(p.startswith("127.0.0.1:") for p in found), f"{self.name}: {found}")

    def tls(self, address, *options, oldest="1.2"):
        """Which versions and suites a port agrees to; only the strong ones pass."""
        def agrees(*args):
            # HTTP/2 would hide a weak suite: it refuses the connection afterwards.
            return self.curl("-k", "--http1.1", *options, *args, f"https://{address}/") != 0
        expect(agrees("--tlsv1.3"), f"{address} does not speak TLS 1.3")
        expect(not agrees("--tls-max", "1.1", "--tlsv1", "--ciphers", "ALL@SECLEVEL=0"),
               f"{address} speaks TLS 1.1")
        expect(not agrees("--tls-max", "1.2", "--ciphers", WEAK), f"{address} takes a weak suite")
        strong = agrees("--tls-max", "1.2", "--ciphers", STRONG)
        expect(strong == (oldest == "1.2"), f"{address} and TLS 1.2: {strong}")
        return f"TLS {oldest} at least"


class Api:
    """The API server through its published port, as the administrator or another."""

    def __init__(self, place):
        config = json.loads(place.kubectl("config", "view", "--raw", "--minify", "-o",
                                          "json").stdout)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        for name, data in (("ca.crt", cluster["certificate-authority-data"]),
                           ("admin.crt", user["client-certificate-data"]),
                           ("admin.key", user["client-key-data"])):
            (place.folder / name).write_bytes(base64.b64decode(data))
        self.address = urllib.parse.urlsplit(cluster["server"]).netloc
        self.anonymous = ssl.create_default_context(cafile=place.folder / "ca.crt")
        self.admin = ssl.create_default_context(cafile=place.folder / "ca.crt")
        self.admin.load_cert_chain(place.folder / "admin.crt", place.folder / "admin.key")

    def call(self, method, path, body=None, context=None, **headers):
        """Status, headers and body of a request; dictionaries are sent as JSON."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Content-Type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection = http.client.HTTPSConnection(self.address, context=context or self.admin,
                                                 timeout=10)
        connection.request(method, path, body and json.dumps(body), headers)
        answer = connection.getresponse()
        data = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, data

    def get(self, path):
        status, _, data = self.call("GET", path)
        expect(status == 200, f"GET {path}: {status} {data[:200]}")
        return json.loads(data)

    @functools.cache
    def all(self, path):
        return self.get(path)["items"]

    def as_token(self, token, path):
        return self.call("GET", path, context=self.anonymous, Authorization=f"Bearer {token}")[0]

    def may(self, user, groups, verb, resource, **more):
        review = {"spec": {"user": user, "groups": groups, "resourceAttributes": {
            "verb": verb, "resource": resource, **more}}}
        _, _, data = self.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return json.loads(data)["status"]["allowed"]


def app_of(pod):
    labels = pod["metadata"].get("labels", {})
    return labels.get("app", labels.get("k8s-app"))


class Cluster:
    """All that the items look at, as it is now."""

    def __init__(self, place):
        self.place = place
        self.control_plane = Node(place.node())
        self.worker = Node(f"{place.name}-worker")
        self.nodes = (self.control_plane, self.worker)
        self.api = Api(place)

    @functools.cache
    def kubelet(self, node):
        """The configuration that a running kubelet has made of its file and defaults."""
        return self.api.get(f"/api/v1/nodes/{node.name}/proxy/configz")["kubeletconfig"]

    def ip(self, node):
        found = self.api.get(f"/api/v1/nodes/{node.name}")["status"]["addresses"]
        return next(a["address"] for a in found if a["type"] == "InternalIP")

    @functools.cache
    def pods(self):
        """All of them. What is said of pods would be true of none, too."""
        def listed():
            found = self.api.get("/api/v1/pods")["items"]
            absent = OURS - {app_of(p) for p in found}
            expect(not absent, f"no pods of {absent}")
            return found
        return wait_for("all pods are there", listed, 30)

    def pods_on(self, node):
        return [p for p in self.pods() if p["spec"].get("nodeName") == node.name]

    @functools.cache
    def token(self):
        """Of an account without any rights."""
        _, _, data = self.api.call(
            "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {}})
        return json.loads(data)["status"]["token"]

    def audit(self):
        text = self.control_plane.sh("cat /var/log/kubernetes/audit.log")
        return text, [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def etcd_get(self, key):
        """The value as it lies in etcd."""
        pki = "/etc/kubernetes/pki/etcd"
        answer = self.control_plane.sh(shlex.join([
            "etcdctl", "--endpoints=https://127.0.0.1:2379", f"--cacert={pki}/ca.crt",
            f"--cert={pki}/healthcheck-client.crt", f"--key={pki}/healthcheck-client.key",
            "get", key, "--write-out=json"]))
        return base64.b64decode(json.loads(answer)["kvs"][0]["value"])

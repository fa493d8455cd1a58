# SPDX-License-Identifier: Apache-2.0
"""Section 1 of the CIS Kubernetes Benchmark 1.12: the control plane."""
import base64
import json

from cis import NotApplicable, expect, item
from cluster import wait_for

CONF = "/etc/kubernetes"
PKI = f"{CONF}/pki"
API, MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"


def unit_items(first, program):
    """A program's unit file stands where the benchmark expects a static pod's."""
    path = f"/etc/systemd/system/{program}.service"

    @item(f"1.1.{first}", f"{program}: nobody but root writes what starts it")
    def mode(c):
        found = c.control_plane.at_most(path, 0o644)
        raise NotApplicable(f"no static pod but a unit, {found}: systemd tells units to everybody")

    @item(f"1.1.{first + 1}", f"{program}: what starts it is root's")
    def owner(c):
        c.control_plane.of_root(path)


for place, name in enumerate((API, MANAGER, SCHEDULER, "etcd")):
    unit_items(1 + 2 * place, name)


def kubeconfig_items(first, program):
    path = f"{CONF}/{program}.conf"

    @item(f"1.1.{first}", f"{program}.conf: only its owner reads it")
    def mode(c):
        return c.control_plane.at_most(path, 0o600)

    @item(f"1.1.{first + 1}", f"{program}.conf: root is the owner")
    def owner(c):
        c.control_plane.of_root(path)


for place, name in enumerate(("admin", "scheduler", "controller-manager")):
    kubeconfig_items(13 + 2 * place, name)


@item("1.1.9", "The pod network's files are for their owner alone")
def cni_mode(c):
    for node in c.nodes:
        for path in node.below("/etc/cni/net.d"):
            node.at_most(path, 0o600)
        node.at_most("/var/lib/cni", 0o700)


@item("1.1.10", "The pod network's files are root's")
def cni_owner(c):
    for node in c.nodes:
        for path in node.below("/etc/cni/net.d"):
            node.of_root(path)
        for path in node.files:
            if path.startswith("/var/lib/cni"):
                node.of_root(path)


@item("1.1.11", "etcd's data is for its owner alone")
def etcd_mode(c):
    return c.control_plane.at_most(c.control_plane.flag("etcd", "data-dir"), 0o700)


@item("1.1.12", "etcd's data is etcd's")
def etcd_owner(c):
    uid = c.control_plane.status("etcd")["Uid"].split()[0]
    expect(uid == "0", f"etcd runs as {uid}")
    c.control_plane.of_root(c.control_plane.flag("etcd", "data-dir"))
    raise NotApplicable("etcd has no account: it runs as the node's root, but for its powers")


@item("1.1.19", "Certificates and keys are root's, and so are their folders")
def pki_owner(c):
    for node in c.nodes:
        node.at_most(PKI, 0o700)
        for path in node.below(PKI):
            node.of_root(path)
            node.of_root(path.rsplit("/", 1)[0])


@item("1.1.20", "Certificates are written by root alone")
def certificate_mode(c):
    for node in c.nodes:
        for path in node.below(PKI, ".crt", ".pub"):
            node.at_most(path, 0o644)


@item("1.1.21", "Keys are for their owner alone")
def key_mode(c):
    for node in c.nodes:
        for path in node.below(PKI, ".key"):
            node.at_most(path, 0o600)
    c.control_plane.at_most(f"{CONF}/encryption-config.yaml", 0o600)


@item("1.2.1", "Who does not say who they are learns nothing")
def anonymous(c):
    for path in ("/healthz", "/livez", "/readyz"):
        expect(c.api.call("GET", path, context=c.api.anonymous)[0] == 200, f"{path} is closed")
    for path in ("/", "/api", "/version", "/metrics", "/openapi/v2", "/api/v1/namespaces",
                 "/.well-known/openid-configuration", "/healthz/etcd"):
        status = c.api.call("GET", path, context=c.api.anonymous)[0]
        expect(status == 401, f"{path} answers anybody with {status}")
    return "but /healthz, /livez and /readyz, which load balancers ask"


@item("1.2.2", "No users from a file of tokens")
def token_file(c):
    expect(c.control_plane.flag(API, "token-auth-file") is None, "--token-auth-file is given")


@item("1.2.3", "Services cannot claim addresses that are not the cluster's")
def external_ips(c):
    service = {"metadata": {"name": "cis"}, "spec": {"ports": [{"port": 80}],
                                                     "externalIPs": ["192.0.2.1"]}}
    status, _, data = c.api.call("POST", "/api/v1/namespaces/default/services?dryRun=All", service)
    expect(status == 403, f"a service with an external IP: {status} {data[:200]}")


@item("1.2.4", "The API server shows kubelets who it is")
def kubelet_client(c):
    c.control_plane.file_flag(API, "kubelet-client-certificate")
    c.control_plane.file_flag(API, "kubelet-client-key")
    for node in c.nodes:
        expect(c.kubelet(node)["port"] == 10250, "another port")


@item("1.2.5", "The API server checks whom it takes for a kubelet")
def kubelet_ca(c):
    expect(c.control_plane.file_flag(API, "kubelet-certificate-authority") == f"{PKI}/ca.crt",
           "kubelets' certificates are not checked by the cluster's CA")


@item("1.2.6", "Not everything is allowed to everybody")
def always_allow(c):
    modes = c.control_plane.flag(API, "authorization-mode").split(",")
    expect("AlwaysAllow" not in modes, f"modes are {modes}")
    expect(not c.api.may("somebody", ["system:authenticated"], "list", "secrets"),
           "anybody may list secrets")


@item("1.2.7", "Nodes have rights of their own kind")
def node_mode(c):
    expect("Node" in c.control_plane.flag(API, "authorization-mode").split(","), "no Node mode")
    user, groups = f"system:node:{c.worker.name}", ["system:nodes", "system:authenticated"]
    expect(c.api.may(user, groups, "get", "nodes", name=c.worker.name), "not itself")
    expect(not c.api.may(user, groups, "list", "secrets", namespace="openfaas"), "all secrets")
    # The password is of pods on the worker alone.
    for node, allowed in ((c.worker, True), (c.control_plane, False)):
        found = c.api.may(f"system:node:{node.name}", groups, "get", "secrets",
                          namespace="openfaas", name="basic-auth")
        expect(found == allowed, f"{node.name} and the password of OpenFaaS: {found}")
    return "a node sees the secrets of its own pods"


@item("1.2.8", "Rights are given by role")
def rbac_mode(c):
    expect("RBAC" in c.control_plane.flag(API, "authorization-mode").split(","), "no RBAC mode")


@item("1.2.9", "Events are limited (EventRateLimit)")
def event_rate(c):
    expect("EventRateLimit" not in plugins(c, "enable"), "it is on: then say pass")
    raise NotApplicable("a cluster of one user: a limit would lose the events of its bring-up")


def plugins(c, what):
    return (c.control_plane.flag(API, f"{what}-admission-plugins") or "").split(",")


@item("1.2.10", "No admission without a look (AlwaysAdmit)")
def always_admit(c):
    expect("AlwaysAdmit" not in plugins(c, "enable"), "AlwaysAdmit is on")


@item("1.2.11", "Images are always pulled (AlwaysPullImages)")
def always_pull(c):
    images = {s["imagePullPolicy"] for p in c.pods() for s in p["spec"]["containers"]}
    expect(images == {"IfNotPresent"}, f"policies of our pods are {images}")
    raise NotApplicable("the cluster's own images are in the node image and in no registry")


@item("1.2.12", "Pods get service accounts (ServiceAccount)")
def service_account(c):
    expect("ServiceAccount" not in plugins(c, "disable"), "ServiceAccount is off")
    expect(all(p["spec"].get("serviceAccountName") for p in c.pods()), "a pod has no account")


@item("1.2.13", "Nothing is made in a namespace that is not there (NamespaceLifecycle)")
def namespace_lifecycle(c):
    expect("NamespaceLifecycle" not in plugins(c, "disable"), "NamespaceLifecycle is off")
    status = c.api.call("POST", "/api/v1/namespaces/cis-absent/configmaps?dryRun=All",
                        {"metadata": {"name": "cis"}})[0]
    expect(status == 404, f"a config map in no namespace: {status}")


@item("1.2.14", "A kubelet changes its own node only (NodeRestriction)")
def node_restriction(c):
    def label(name):
        return c.api.call("PATCH", f"/api/v1/nodes/{name}?dryRun=All",
                          {"metadata": {"labels": {"cis": "x"}}},
                          Impersonate_User=f"system:node:{c.worker.name}",
                          Impersonate_Group="system:nodes")[0]
    expect(label(c.worker.name) == 200, "a node may not label itself")
    expect(label(c.control_plane.name) == 403, "a node may label another")


def no_profiling(c, program):
    expect(c.control_plane.flag(program, "profiling") == "false", f"{program} can be profiled")


@item("1.2.15", "The API server gives no profiles")
def api_profiling(c):
    no_profiling(c, API)
    expect(c.api.call("GET", "/debug/pprof/")[0] == 404, "/debug/pprof/ answers")


@item("1.2.16", "There is an audit log, for root's eyes only")
def audit_log(c):
    path = c.control_plane.flag(API, "audit-log-path")
    c.control_plane.at_most(path.rsplit("/", 1)[0], 0o700)
    return c.control_plane.at_most(path, 0o600)


def number_items(number, name, least, title):
    @item(number, title)
    def check(c):
        value = int(c.control_plane.flag(API, name) or 0)
        expect(value >= least, f"--{name} is {value}")
        return str(value)


number_items("1.2.17", "audit-log-maxage", 30, "Audit logs are kept for a month")
number_items("1.2.18", "audit-log-maxbackup", 10, "Ten old audit logs are kept")
number_items("1.2.19", "audit-log-maxsize", 100, "An audit log may grow to 100 MB")


@item("1.2.20", "Requests end in time")
def request_timeout(c):
    value = c.control_plane.flag(API, "request-timeout")
    expect(value in (None, "1m0s", "60s"), f"--request-timeout is {value}")
    return "the default, a minute"


@item("1.2.21", "A token dies with its account")
def account_lookup(c):
    # Only tokens without end go by the flag.
    expect(c.control_plane.flag(API, "service-account-lookup") in (None, "true"), "not all do")
    base = "/api/v1/namespaces/default/serviceaccounts"
    expect(c.api.call("POST", base, {"metadata": {"name": "cis"}})[0] == 201, "no account")
    try:
        # Answers are remembered for ten seconds: one token to be used now, one later.
        now, later = (json.loads(c.api.call("POST", f"{base}/cis/token", {"spec": {}})[2])
                      ["status"]["token"] for _ in range(2))
        expect(c.api.as_token(now, "/version") == 200, "a fresh token is refused")
    finally:
        c.api.call("DELETE", f"{base}/cis")
    expect(now != later, "both tokens are one")
    wait_for("the token is refused", lambda: c.api.as_token(later, "/version") == 401, seconds=8)


@item("1.2.22", "Tokens are checked by a key of their own")
def account_key(c):
    c.control_plane.file_flag(API, "service-account-key-file")
    c.control_plane.file_flag(API, "service-account-signing-key-file")


@item("1.2.23", "The API server shows etcd who it is")
def etcd_client(c):
    c.control_plane.file_flag(API, "etcd-certfile")
    c.control_plane.file_flag(API, "etcd-keyfile")


@item("1.2.24", "The API server shows clients who it is")
def serving(c):
    c.control_plane.file_flag(API, "tls-cert-file")
    c.control_plane.file_flag(API, "tls-private-key-file")
    expect(c.api.get("/version")["major"] == "1", "no version")


@item("1.2.25", "Clients are known by certificates of the cluster's CA")
def client_ca(c):
    c.control_plane.file_flag(API, "client-ca-file")


@item("1.2.26", "The API server checks whom it takes for etcd")
def etcd_ca(c):
    expect(c.control_plane.file_flag(API, "etcd-cafile") == f"{PKI}/etcd/ca.crt", "another CA")


@item("1.2.27", "Secrets are encrypted in etcd")
def encrypted(c):
    c.control_plane.file_flag(API, "encryption-provider-config")
    value = c.etcd_get("/registry/secrets/openfaas/basic-auth")
    expect(value.startswith(b"k8s:enc:"), f"a secret lies there as {value[:16]}")
    expect(b"basic-auth-password" not in value, "a secret can be read")


@item("1.2.28", "Secrets are encrypted by a strong cipher")
def provider(c):
    value = c.etcd_get("/registry/secrets/openfaas/basic-auth")
    expect(value.startswith(b"k8s:enc:"), "by none")
    found = value.split(b":")[2].decode()
    expect(found in ("secretbox", "aescbc", "kms"), f"by {found}")
    return found


@item("1.2.29", "The API server agrees to strong ciphers only")
def api_tls(c):
    return c.control_plane.tls("127.0.0.1:6443")


@item("1.2.30", "Pods' tokens end when they say, not a year later")
def token_life(c):
    expect(c.control_plane.flag(API, "service-account-extend-token-expiration") == "false",
           "they are extended")
    mounted = "/var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/*/..data/token"
    tokens = [t for node in c.nodes for t in node.sh(
        f"for t in {mounted}; do [ ! -f $t ] || sed '$a\\' $t; done").split()]
    parts = [t.split(".")[1] for t in tokens]
    claims = [json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4))) for p in parts]
    lives = [found["exp"] - found["iat"] for found in claims]
    expect(lives and max(lives) < 7200, f"tokens live for {lives} s")
    return f"{max(lives)} s"


@item("1.3.1", "Pods that have ended are cleared away")
def pod_gc(c):
    value = int(c.control_plane.flag(MANAGER, "terminated-pod-gc-threshold") or 0)
    expect(0 < value <= 1000, f"the threshold is {value}")
    return f"beyond {value}"


@item("1.3.2", "The controller manager gives no profiles")
def manager_profiling(c):
    no_profiling(c, MANAGER)


@item("1.3.3", "Each controller has an account of its own")
def manager_accounts(c):
    expect(c.control_plane.flag(MANAGER, "use-service-account-credentials") == "true", "shared")
    users = {e["user"].get("username") for e in c.audit()[1]}
    expect("system:serviceaccount:kube-system:deployment-controller" in users, f"of {users}")


@item("1.3.4", "The controller manager signs tokens with their own key")
def manager_key(c):
    c.control_plane.file_flag(MANAGER, "service-account-private-key-file")


@item("1.3.5", "Pods are given the cluster's CA")
def manager_ca(c):
    path = c.control_plane.file_flag(MANAGER, "root-ca-file")
    data = c.api.get("/api/v1/namespaces/openfaas/configmaps/kube-root-ca.crt")["data"]["ca.crt"]
    expect(data.strip() == c.control_plane.sh(f"cat {path}").strip(), "another CA")


@item("1.3.6", "Kubelets may renew serving certificates")
def manager_rotation(c):
    gates = c.control_plane.flag(MANAGER, "feature-gates") or ""
    expect("RotateKubeletServerCertificate=false" not in gates, "it is switched off")
    return "the default"


def local_only(c, program, port):
    expect(c.control_plane.flag(program, "bind-address") == "127.0.0.1", "not told so")
    c.control_plane.loopback_only(port)
    return c.control_plane.tls(f"127.0.0.1:{port}", oldest="1.3")


@item("1.3.7", "The controller manager listens on loopback")
def manager_address(c):
    return local_only(c, MANAGER, 10257)


@item("1.4.1", "The scheduler gives no profiles")
def scheduler_profiling(c):
    no_profiling(c, SCHEDULER)


@item("1.4.2", "The scheduler listens on loopback")
def scheduler_address(c):
    return local_only(c, SCHEDULER, 10259)

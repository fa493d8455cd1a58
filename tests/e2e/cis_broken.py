# SPDX-License-Identifier: Apache-2.0
"""A cluster made worse, in two rounds, so that the walk of test_cis.py has to see it.

First what needs no restart: modes, owners, objects, routes. Then flags and configuration
of all programs, which are restarted. What each round makes fail is listed, and so is what
neither can break: a walk that sees more, or less, or stumbles, is wrong."""
import json
import re

from cluster import run, wait_for

CONF = "/etc/kubernetes"
UNITS = "/etc/systemd/system"


def numbers(text):
    """"1.1.1-3 2.1" as {"1.1.1", "1.1.2", "1.1.3", "2.1"}."""
    found = set()
    for word in text.split():
        first, _, last = word.partition("-")
        head, dot, tail = first.rpartition(".")
        found |= {f"{head}{dot}{n}" for n in range(int(tail), int(last or tail) + 1)}
    return found


FIRST = numbers("1.1.1-21 1.2.11 1.2.16 3.1.2-3 4.1.1-10 5.1.1-13 5.2.2-9 5.2.11-12 5.4.1 "
                "5.6.1-4") | {"fault 1", "fault 2", "fault 8", "fault 9", "fault 10"}
SECOND = numbers("1.2.1-8 1.2.10 1.2.12-15 1.2.17-21 1.2.23 1.2.26-30 1.3.1-5 1.3.7 1.4.1-2 2.1-7 "
                 "3.2.1-2 4.2.1-9 4.2.11-14 4.3.1 5.2.1") | {
                     "fault 3", "fault 4", "fault 6", "own.1"}
# Passes whatever is done to a cluster that still runs.
NEITHER = numbers("1.2.22 1.2.24-25 1.3.6") | {"own.2"}

FILES = {
    "control-plane": f"""
        cd {UNITS}
        set -- kube-apiserver.service kube-controller-manager.service kube-scheduler.service \
            etcd.service {CONF}/admin.conf {CONF}/scheduler.conf {CONF}/controller-manager.conf
        chmod 666 $@
        chown 1:1 $@ /var/lib/etcd
        chmod 755 /var/lib/etcd /var/log/kubernetes
        iptables -w -I OUTPUT -p tcp --dport 9153 -j REJECT
    """,
    "worker": f"""
        cd {CONF}
        set -- {UNITS}/kubelet.service kubelet.conf kube-proxy.conf kubelet.yaml pki/ca.crt
        chmod 666 $@ pki/*.key /etc/cni/net.d/*
        chown 1:1 $@ /var/lib/cni
        systemctl disable pod-network.service 2>/dev/null
        iptables -w -t nat -D MKCLUSTER-MASQ 1
        ip route add unreachable 10.96.0.1
    """,
}


def role_binding(name, role, subject):
    group = "rbac.authorization.k8s.io"
    return {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [subject]}


def secret(kind, name, namespace, **more):
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {
        "name": name, "namespace": namespace, **more}}


POD = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "broken", "namespace": "default"},
    "spec": {
        "hostPID": True, "hostIPC": True, "hostNetwork": True, "nodeSelector": {"no": "node"},
        "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
        "containers": [{
            "name": "c", "image": "i", "imagePullPolicy": "Always",
            "ports": [{"containerPort": 80, "hostPort": 80}],
            "securityContext": {"privileged": True},
            "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        }],
    },
}
OBJECTS = [
    POD,
    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
     "metadata": {"name": "cis"},
     "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]},
    role_binding("cis", "cluster-admin",
                 {"kind": "ServiceAccount", "name": "cis", "namespace": "default"}),
    role_binding("cis-masters", "view", {"kind": "Group", "name": "system:masters",
                                         "apiGroup": "rbac.authorization.k8s.io"}),
    secret("kubernetes.io/service-account-token", "cis", "default",
           annotations={"kubernetes.io/service-account.name": "default"}),
    secret("bootstrap.kubernetes.io/token", "bootstrap-token-cis", "kube-system"),
]


def first(c):
    c.control_plane.sh(FILES["control-plane"])
    c.worker.sh(FILES["worker"])
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS})
    c.place.kubectl("apply", "-f", "-", stdin=text)


# Flags that are given otherwise; None takes them away.
FLAGS = {
    "etcd": {
        "tls-min-version": "TLS1.2", "listen-metrics-urls": "http://127.0.0.1:2381",
        "client-cert-auth": None, "trusted-ca-file": None, "auto-tls": "true",
        "peer-cert-file": None, "peer-key-file": None, "peer-client-cert-auth": None,
        "peer-cert-allowed-cn": None, "peer-auto-tls": "true",
    },
    "kube-apiserver": {
        "token-auth-file": f"{CONF}/tokens.csv", "authorization-mode": "AlwaysAllow",
        "enable-admission-plugins": "AlwaysAdmit", "admission-control-config-file": None,
        "disable-admission-plugins": "ServiceAccount,NamespaceLifecycle,PodSecurity",
        "kubelet-client-certificate": None, "kubelet-client-key": None,
        "kubelet-certificate-authority": None, "profiling": "true", "audit-log-maxage": "1",
        "audit-log-maxbackup": "1", "audit-log-maxsize": "1", "request-timeout": "1h",
        "service-account-lookup": "false",
        "etcd-certfile": None, "etcd-keyfile": None, "etcd-cafile": f"{CONF}/other-ca.crt",
        "requestheader-client-ca-file": None, "tls-min-version": "VersionTLS10",
        "tls-cipher-suites": None, "service-account-extend-token-expiration": "true",
    },
    "kube-controller-manager": {
        "profiling": "true", "bind-address": "0.0.0.0", "tls-min-version": "VersionTLS12",
        "terminated-pod-gc-threshold": "12500", "use-service-account-credentials": "false",
        "service-account-private-key-file": None, "root-ca-file": None,
    },
    "kube-scheduler": {"profiling": "true", "bind-address": "0.0.0.0"},
}
KUBELET_FLAGS = {"streaming-connection-idle-timeout": "0"}
KUBELET = f"""
    cp {CONF}/pki/ca.crt {CONF}/other-ca.crt
    sed -i -E \
        -e 's/^(  anonymous: ).*/\\1{{ enabled: true }}/' \
        -e 's/^authorization: .*/authorization: {{ mode: AlwaysAllow }}/' \
        -e 's#^(  x509: ).*#\\1{{ clientCAFile: {CONF}/other-ca.crt }}#' \
        -e '/^(tlsCertFile|tlsPrivateKeyFile|tlsCipherSuites):/d; /^  - TLS_/d' \
        -e 's/^(tlsMinVersion: ).*/\\1VersionTLS10/' \
        -e 's/^(clusterDNS: ).*/\\1[10.9.9.9]/; s/^(maxPods: ).*/\\116/' \
        -e 's/^(podPidsLimit: ).*/\\1-1/; s/^(seccompDefault: ).*/\\1false/' \
        -e 's/^(readOnlyPort: ).*/\\110255/' {CONF}/kubelet.yaml
    printf '%s\\n' 'makeIPTablesUtilChains: false' 'eventRecordQPS: 0' >>{CONF}/kubelet.yaml
    sed -i -e 's/^metricsBindAddress: .*/metricsBindAddress: 0.0.0.0:10249/' \
        -e 's/^enableProfiling: .*/enableProfiling: true/' {CONF}/kube-proxy.yaml
    systemctl daemon-reload
    systemctl restart kubelet.service kube-proxy.service
"""
CONTROL_PLANE = f"""
    cp {CONF}/pki/etcd/ca.crt {CONF}/other-ca.crt
    echo word,somebody,1 >{CONF}/tokens.csv
    sed -i '/conditions:/,$d' {CONF}/authentication.yaml
    sed -i -E 's/^( *)- secretbox:/\\1- identity: {{}}\\n&/' {CONF}/encryption-config.yaml
    sed -i '/^rules:/,$d' {CONF}/audit-policy.yaml
    cat >>{CONF}/audit-policy.yaml <<-END
	rules:
	- {{ level: None, resources: [{{ group: "", resources: [secrets] }}] }}
	- level: Request
	END
    sed -i '/^CapabilityBoundingSet=/d' {UNITS}/kube-scheduler.service
    systemctl daemon-reload
    systemctl restart etcd.service kube-apiserver.service
    systemctl restart kube-controller-manager.service kube-scheduler.service
"""


def change_flags(node, program, changes):
    path = f"{UNITS}/{program}.service"
    text = node.sh(f"cat {path}")
    line = re.search(r"^ExecStart=.*?[^\\]\n", text, re.M | re.S)
    words = [w for w in line.group().replace("\\\n", " ").split()
             if w.removeprefix("--").partition("=")[0] not in changes]
    words += [f"--{name}={value}" for name, value in changes.items() if value is not None]
    text = text[:line.start()] + " ".join(words) + "\n" + text[line.end():]
    run("docker", "exec", "-i", node.name, "sh", "-c", f"cat >{path}", stdin=text)


def second(c):
    for program, changes in FLAGS.items():
        change_flags(c.control_plane, program, changes)
    for node in c.nodes:
        change_flags(node, "kubelet", {**KUBELET_FLAGS, "hostname-override": node.name})
    c.control_plane.sh(CONTROL_PLANE)
    for node in c.nodes:
        node.sh(KUBELET)
    wait_for("secrets can be written", lambda: run_kubectl(
        c, "annotate", "secret", "basic-auth", "--namespace=openfaas", "cis=1", "--overwrite"))
    for node in c.nodes:
        wait_for(f"{node.name} says what it runs with", lambda n=node: run_kubectl(
            c, "get", "--raw", f"/api/v1/nodes/{n.name}/proxy/configz"))
    for program in ("kube-controller-manager", "kube-scheduler"):
        wait_for(f"{program} runs", lambda p=program: c.control_plane.sh(f"pgrep -f /{p}"))


def run_kubectl(c, *args):
    return c.place.kubectl(*args).stdout

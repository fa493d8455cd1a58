# SPDX-License-Identifier: Apache-2.0
"""Sections 2 and 3 of the CIS Kubernetes Benchmark 1.12: etcd, users, the audit log."""
import re
import secrets

from cis import NotApplicable, expect, item
from cluster import wait_for

PKI = "/etc/kubernetes/pki"
API = "kube-apiserver"
PROGRAMS = ("etcd", API, "kube-controller-manager", "kube-scheduler", "registry")


def etcd_curl(c, port, pair):
    pair = pair and ["--cert", f"{PKI}/{pair}.crt", "--key", f"{PKI}/{pair}.key"]
    path = "version" if port == 2380 else "health"
    return c.control_plane.curl("--http1.1", "--cacert", f"{PKI}/etcd/ca.crt", *pair,
                                f"https://{c.ip(c.control_plane)}:{port}/{path}")


@item("2.1", "etcd speaks TLS, and nothing else, to its clients")
def etcd_serving(c):
    c.control_plane.file_flag("etcd", "cert-file")
    c.control_plane.file_flag("etcd", "key-file")
    for port in (2379, 2380):
        expect(not c.control_plane.curl(f"http://127.0.0.1:{port}/health"), f"{port} is plain")
    mine = [p for p in c.control_plane.ports if p.rsplit(":", 1)[1] in ("2379", "2380", "2381")]
    expect(len(mine) == 3, f"etcd listens on {mine}")
    pair = ("--cert", f"{PKI}/etcd/healthcheck-client.crt", "--key",
            f"{PKI}/etcd/healthcheck-client.key")
    return c.control_plane.tls("127.0.0.1:2379", *pair, oldest="1.3")


@item("2.2", "etcd's clients show who they are")
def etcd_client_auth(c):
    expect(c.control_plane.flag("etcd", "client-cert-auth") == "true", "not told so")
    expect(etcd_curl(c, 2379, "etcd/healthcheck-client") == 200, "a client is refused")
    expect(etcd_curl(c, 2379, []) == 0, "it answers without a certificate")
    expect(etcd_curl(c, 2379, "apiserver-kubelet-client") == 0, "it takes any CA's certificate")


@item("2.3", "etcd makes no certificates for itself")
def etcd_auto(c):
    expect(c.control_plane.flag("etcd", "auto-tls") in (None, "false"), "it does")


@item("2.4", "etcd's members speak TLS to each other")
def etcd_peer(c):
    c.control_plane.file_flag("etcd", "peer-cert-file")
    c.control_plane.file_flag("etcd", "peer-key-file")


@item("2.5", "etcd's members show who they are")
def etcd_peer_auth(c):
    expect(c.control_plane.flag("etcd", "peer-client-cert-auth") == "true", "not told so")
    expect(etcd_curl(c, 2380, "etcd/peer") == 200, "a peer is refused")
    expect(etcd_curl(c, 2380, []) == 0, "it answers without a certificate")
    expect(etcd_curl(c, 2380, "apiserver-etcd-client") == 0, "a client passes for a peer")
    return "a client's certificate is not enough"


@item("2.6", "etcd's members make no certificates for themselves")
def etcd_peer_auto(c):
    expect(c.control_plane.flag("etcd", "peer-auto-tls") in (None, "false"), "they do")


@item("2.7", "etcd's CA is no other's")
def etcd_own_ca(c):
    flags = (("etcd", "trusted-ca-file"), (API, "client-ca-file"),
             (API, "requestheader-client-ca-file"))
    found = {c.control_plane.sh(f"cat {c.control_plane.file_flag(*flag)}") for flag in flags}
    expect(len(found) == 3, "CAs are shared")
    return "three apart"


@item("3.1.1", "People do not come by certificate")
def user_certificates(c):
    raise NotApplicable("there is no directory that could be asked: people have certificates, "
                        "which end")


@item("3.1.2", "People do not come by service accounts' tokens")
def user_tokens(c):
    found = [s["metadata"]["name"] for s in c.api.all("/api/v1/secrets")
             if s["type"] == "kubernetes.io/service-account-token"]
    expect(not found, f"tokens without end: {found}")


@item("3.1.3", "People do not come by bootstrap tokens")
def bootstrap_tokens(c):
    flag = c.control_plane.flag(API, "enable-bootstrap-token-auth")
    expect(flag in (None, "false"), "they are taken")
    expect(not [s for s in c.api.all("/api/v1/secrets")
                if s["type"] == "bootstrap.kubernetes.io/token"], "there are some")


@item("3.2.1", "The audit log tells what was done, by whom, how it ended")
def audit_policy(c):
    c.control_plane.file_flag(API, "audit-policy-file")
    # The log is not read anew: earlier walks are in it.
    name = f"cis-{secrets.token_hex(4)}"
    secret = {"metadata": {"name": name}, "stringData": {"word": "in-no-audit-log"}}
    expect(c.api.call("POST", "/api/v1/namespaces/default/secrets", secret)[0] == 201, "no secret")
    c.api.call("DELETE", f"/api/v1/namespaces/default/secrets/{name}")

    def told():
        return [e for e in c.audit()[1] if e["verb"] in ("create", "delete") and
                e["objectRef"].get("name") == name and e["stage"] == "ResponseComplete"]
    found = wait_for("the secret is in the audit log", lambda: len(told()) == 2 and told(), 5)
    expect({e["user"]["username"] for e in found} == {"kubernetes-admin"}, "by somebody else")
    expect([e["responseStatus"]["code"] for e in found] == [201, 200], "it ended otherwise")


def is_noise(verb, resource):
    return (verb == "watch" and resource not in ("secrets", "configmaps")) or (
        resource == "events" and not verb.startswith("delete"))


@item("3.2.2", "It covers what matters, and holds no secret")
def audit_covers(c):
    c.api.call("GET", "/api/v1/namespaces", context=c.api.anonymous)
    refused = wait_for("a refusal is in the audit log", lambda: [
        e for e in c.audit()[1] if e.get("responseStatus", {}).get("code") == 401], 10)
    text, events = c.audit()
    expect({e["level"] for e in events} == {"Metadata"}, "bodies are written down")
    expect(not re.search(r"in-no-audit-log|requestObject|responseObject|eyJhbGciOi", text),
           "there is more in it than who did what")
    what = {(e["verb"], e["objectRef"]["resource"], e["objectRef"].get("subresource"))
            for e in events if "objectRef" in e}
    for wanted in (("patch", "secrets", None), ("patch", "deployments", None),
                   ("patch", "clusterrolebindings", None), ("create", "pods", None),
                   ("create", "pods", "binding"), ("create", "serviceaccounts", "token"),
                   ("get", "nodes", "proxy")):
        expect(wanted in what, f"{wanted} is not in it")
    noise = [e for e in events if is_noise(e["verb"], e.get("objectRef", {}).get("resource")) or
             e["requestURI"].startswith(("/readyz", "/livez", "/healthz"))]
    expect(not noise, f"noise: {noise[:1]}")
    return f"{len(events)} lines, {len(refused)} refused"


@item("own.1", "The control plane's programs hold none of root's powers but that over files")
def capabilities(c):
    for program in PROGRAMS:
        status = c.control_plane.status(program)
        for name in ("CapEff", "CapPrm", "CapBnd"):
            expect(int(status[name], 16) == 1 << 1, f"{program}: {name} is {status[name]}")
        expect(status["NoNewPrivs"] == "1", f"{program} may gain some")

# SPDX-License-Identifier: Apache-2.0
"""Section 5 of the CIS Kubernetes Benchmark 1.12: rights, pods, networks, secrets."""
from cis import NotApplicable, app_of, expect, item

RBAC = "/apis/rbac.authorization.k8s.io/v1"
EVERYBODY = ("somebody", ["system:authenticated"])
OURS = ("openfaas", "openfaas-fn")


def is_kubernetes_own(thing):
    return "kubernetes.io/bootstrapping" in thing["metadata"].get("labels", {})


def added_roles(c):
    """(name, namespace or "", rules) of the roles that Kubernetes did not come with."""
    return [(r["metadata"]["name"], r["metadata"].get("namespace", ""), r["rules"])
            for kind in ("clusterroles", "roles") for r in c.api.all(f"{RBAC}/{kind}")
            if not is_kubernetes_own(r)]


def holders(c, role):
    """Names of those to whom a binding that we made gives a cluster role."""
    return [s["name"] for kind in ("clusterrolebindings", "rolebindings")
            for b in c.api.all(f"{RBAC}/{kind}")
            if b["roleRef"]["name"] == role and not is_kubernetes_own(b)
            for s in b.get("subjects", [])]


def grants(rules, group, resource, *verbs):
    return any({group, "*"} & set(r.get("apiGroups", [])) and
               {resource, "*"} & set(r.get("resources", [])) and
               {*verbs, "*"} & set(r["verbs"]) for r in rules)


def only(c, allowed, group, resource, *verbs):
    """The roles that need it grant this, and no other that was added; nor may everybody do it."""
    found = {name for name, _, rules in added_roles(c) if grants(rules, group, resource, *verbs)}
    expect(found == set(allowed), f"{sorted(found)} may")
    name, _, subresource = resource.partition("/")
    for verb in verbs:
        expect(not c.api.may(*EVERYBODY, verb, name, group=group, subresource=subresource),
               "everybody may")
    return ", ".join(allowed)


def containers(c):
    return [(p, s) for p in c.pods() for s in p["spec"]["containers"]]


def security(pod, container):
    return {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}


@item("5.1.1", "Nobody was given cluster-admin")
def cluster_admin(c):
    expect(not holders(c, "cluster-admin"), f"{holders(c, 'cluster-admin')} were")


@item("5.1.2", "Few can read secrets")
def secrets(c):
    return only(c, ["openfaas-controller"], "", "secrets", "get", "list", "watch")


@item("5.1.3", "No role says *")
def wildcards(c):
    found = [name for name, _, rules in added_roles(c) for r in rules
             if "*" in r["verbs"] + r.get("resources", []) + r.get("apiGroups", [])]
    expect(not found, f"{found} do")


@item("5.1.4", "Few can make pods")
def pods(c):
    # The provisioner of volumes, in a namespace of its own.
    only(c, ["local-path-provisioner"], "", "pods", "create")
    return only(c, ["openfaas-controller"], "apps", "deployments", "create")


@item("5.1.5", "No pod acts as its namespace's default account")
def default_accounts(c):
    for pod in c.pods():
        mounted = [v for v in pod["spec"].get("volumes", []) if "projected" in v]
        expect(pod["spec"]["serviceAccountName"] != "default" or not mounted,
               f"{pod['metadata']['name']} does")
    account = c.api.get("/api/v1/namespaces/openfaas-fn/serviceaccounts/default")
    expect(account["automountServiceAccountToken"] is False, "functions get a token")


@item("5.1.6", "Only pods that talk to the API have a token for it")
def tokens(c):
    found = {app_of(p) for p in c.pods()
             if any("projected" in v for v in p["spec"].get("volumes", []))}
    wanted = {"gateway", "prometheus", "kube-dns", "local-path-provisioner", "metrics-server"}
    expect(found == wanted, f"{found} have")
    return ", ".join(sorted(found))


@item("5.1.7", "Nobody is in system:masters")
def masters(c):
    found = [s for kind in ("clusterrolebindings", "rolebindings")
             for b in c.api.all(f"{RBAC}/{kind}") if not is_kubernetes_own(b)
             for s in b.get("subjects", []) if s["name"] == "system:masters"]
    expect(not found, "a role of ours is given to it")
    raise NotApplicable("the administrator is: the way in that no wrong role can close")


@item("5.1.8", "Nobody may give rights that they do not have")
def escalate(c):
    for resource in ("roles", "clusterroles"):
        only(c, [], "rbac.authorization.k8s.io", resource, "bind", "escalate")
    for resource in ("users", "groups", "serviceaccounts"):
        only(c, [], "", resource, "impersonate")


@item("5.1.9", "The provisioner alone may make persistent volumes")
def volumes(c):
    return only(c, ["local-path-provisioner"], "", "persistentvolumes", "create")


@item("5.1.10", "The API server alone may pass requests on to kubelets")
def node_proxy(c):
    only(c, ["system:kube-apiserver-to-kubelet"], "", "nodes/proxy", "get", "create")
    found = holders(c, "system:kube-apiserver-to-kubelet")
    expect(found == ["kube-apiserver-kubelet-client"], f"{found} may")


@item("5.1.11", "Nobody may approve certificates")
def approval(c):
    only(c, [], "certificates.k8s.io", "certificatesigningrequests/approval", "update", "patch")


@item("5.1.12", "Nobody may put a webhook before the API")
def webhooks(c):
    for resource in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations"):
        only(c, [], "admissionregistration.k8s.io", resource, "create", "update", "patch")


@item("5.1.13", "Nobody may make tokens")
def token_creation(c):
    only(c, [], "", "serviceaccounts/token", "create")


def try_pod(c, namespace, spec, container):
    """Status and warning for a pod that is only tried."""
    pod = {"metadata": {"name": "cis"}, "spec": {
        "containers": [{"name": "c", "image": "i", **container}], **spec}}
    status, headers, data = c.api.call(
        "POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
    return status, headers.get("Warning", ""), data


@item("5.2.1", "What pods may do is under control")
def pod_security(c):
    plain = {"securityContext": {"runAsUser": 0}}
    for namespace in ("default", *OURS):
        status, warning, data = try_pod(c, namespace, {}, plain)
        expect(status == 201 and not warning, f"a plain pod in {namespace}: {status} {data[:99]}")
    for namespace in OURS:
        status, _, _ = try_pod(c, namespace, {}, {"securityContext": {"privileged": True}})
        expect(status == 403, f"a privileged pod in {namespace}: {status}")
    return "Pod Security: OpenFaaS' namespaces refuse below baseline, others warn"


def pod_item(number, title, spec, container, runs):
    """OpenFaaS' namespaces refuse such pods, others warn; none runs."""
    @item(number, title)
    def check(c):
        for namespace in OURS:
            status, _, data = try_pod(c, namespace, spec, container)
            expect(status == 403 and "PodSecurity" in data, f"{namespace}: {status} {data[:200]}")
        status, warning, _ = try_pod(c, "default", spec, container)
        expect(status == 201 and "PodSecurity" in warning, f"default: {status} {warning}")
        found = [p["metadata"]["name"] for p, s in containers(c) if runs(p["spec"], s)]
        expect(not found, f"{found} are")


pod_item("5.2.2", "No privileged containers", {}, {"securityContext": {"privileged": True}},
         lambda pod, s: s.get("securityContext", {}).get("privileged"))
for place, (field, words) in enumerate((("hostPID", "process numbers"), ("hostIPC", "IPC"),
                                        ("hostNetwork", "network"))):
    pod_item(f"5.2.{3 + place}", f"No pods with the node's {words}", {field: True}, {},
             lambda pod, s, field=field: pod.get(field))


def all_pods(number, title, wrong):
    """What only the strictest standard asks for: our own pods keep to it."""
    @item(number, title)
    def check(c):
        found = [p["metadata"]["name"] for p, s in containers(c) if wrong(security(p, s))]
        expect(containers(c) and not found, f"{found} are")
        return "none of ours; of functions, their images decide"


all_pods("5.2.6", "No containers whose programs may gain rights",
         lambda s: s.get("allowPrivilegeEscalation") is not False)
all_pods("5.2.7", "No containers of root's",
         lambda s: s.get("runAsNonRoot") is not True or not s.get("runAsUser"))
all_pods("5.2.8", "No containers that write raw packets",
         lambda s: not {"ALL", "NET_RAW"} & set(s.get("capabilities", {}).get("drop", [])))
all_pods("5.2.9", "No containers with capabilities",
         lambda s: s.get("capabilities", {}).get("drop") != ["ALL"] or
         set(s["capabilities"].get("add", [])) - {"NET_BIND_SERVICE"})


@item("5.2.10", "No Windows containers with the host's rights")
def windows(c):
    raise NotApplicable("nodes are Linux")


pod_item("5.2.11", "No pods with the node's files",
         {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, {},
         lambda pod, s: any("hostPath" in v for v in pod.get("volumes", [])))
pod_item("5.2.12", "No pods on the node's ports", {},
         {"ports": [{"containerPort": 80, "hostPort": 80}]},
         lambda pod, s: any("hostPort" in p for p in s.get("ports", [])))


@item("5.3.1", "The pod network keeps to network policies")
def network_policies(c):
    raise NotApplicable("a bridge and routes: policies are stored and have no effect")


@item("5.3.2", "Every namespace has network policies")
def namespaces_policies(c):
    raise NotApplicable("as above")


@item("5.4.1", "Secrets are files, not environment")
def secret_files(c):
    found = [p["metadata"]["name"] for p, s in containers(c)
             if any("secretKeyRef" in e.get("valueFrom", {}) for e in s.get("env", [])) or
             any("secretRef" in e for e in s.get("envFrom", []))]
    expect(not found, f"not those of {found}")


@item("5.4.2", "Secrets lie outside the cluster")
def secret_storage(c):
    raise NotApplicable("a cluster that needs nothing outside itself keeps them, encrypted")


@item("5.5.1", "A webhook decides on images (ImagePolicyWebhook)")
def image_policy(c):
    raise NotApplicable("there is no such service on a laptop; the registry is the user's own")


@item("5.6.1", "Parts are kept apart by namespaces")
def namespaces(c):
    found = {p["metadata"]["namespace"] for p in c.pods()}
    expect(found == {"kube-system", "local-path-storage", "openfaas"}, f"pods are in {found}")
    functions = c.api.get("/api/v1/namespaces/openfaas-fn")["metadata"]["name"]
    return f"{', '.join(sorted(found))}; functions have {functions}"


@item("5.6.2", "Pods have a seccomp profile")
def seccomp(c):
    found = [p["metadata"]["name"] for p, s in containers(c)
             if security(p, s).get("seccompProfile", {}).get("type") != "RuntimeDefault"]
    expect(not found, f"{found} have none")


@item("5.6.3", "Pods have a security context")
def context(c):
    found = [p["metadata"]["name"] for p, s in containers(c)
             if security(p, s).get("readOnlyRootFilesystem") is not True]
    expect(not found, f"{found} write to their images")


@item("5.6.4", "Nothing of ours is in the default namespace")
def default_namespace(c):
    found = [p["metadata"]["name"] for p in c.pods() if p["metadata"]["namespace"] == "default"]
    expect(not found, f"{found} are")
    services = c.api.get("/api/v1/namespaces/default/services")["items"]
    expect([s["metadata"]["name"] for s in services] == ["kubernetes"], "services are")

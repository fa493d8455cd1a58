# SPDX-License-Identifier: Apache-2.0
"""CertificateSigningRequests: made, approved, signed with the cluster's own CA, watched,
removed. What the controller manager does here happens at the approval."""

import base64
import copy
import os
import re
import subprocess

from . import wire

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SIGNER = "kubernetes.io/kube-apiserver-client"
DAY = 86400


def openssl(*words, data):
    return subprocess.run(("openssl", *words), input=data, check=True, capture_output=True).stdout


class CertificatesApi:
    """The part of an ApiServer that answers for this: `self.csrs`, `self.folder`, with the
    CA's files in it."""

    def answer_certificate(self, request):
        """The response, or None when somebody else has it."""
        found = re.fullmatch(REQUESTS + "(?:/([^/]+))?(/approval)?", request.path)
        if not found:
            return None
        name, approval = found.groups()
        if request.query.get("watch") == "1":
            wanted = request.query["fieldSelector"].removeprefix("metadata.name=")
            return wire.Response(200, self.stream(lambda: {
                n: c for n, c in self.csrs.items() if n == wanted}, None))
        if request.method == "POST" and not name:
            return self.csr_make(request)
        with self.lock:
            if name not in self.csrs:
                return self.error(404, f'certificatesigningrequests "{name}" not found')
            if request.method == "DELETE":
                return wire.Response(200, self.csrs.pop(name))
        if request.method == "PUT" and approval:
            return self.csr_approve(request, name)
        return wire.Response(200, self.csrs[name])

    def csr_make(self, request):
        body = request.json()
        spec = body["spec"]
        if spec["signerName"] != SIGNER or "client auth" not in spec["usages"] or \
                not isinstance(spec["expirationSeconds"], int) or spec["expirationSeconds"] < 600:
            return self.refuse(request, "not a request for a client's certificate")
        pem = base64.b64decode(spec["request"], validate=True)
        if b"PRIVATE" in pem:
            return self.refuse(request, "a private key was sent")
        subject = openssl("req", "-verify", "-noout", "-subject", data=pem).decode()
        name = body["metadata"]["name"]
        if "O = system:masters" in subject:
            return self.error(403, f'certificatesigningrequests.certificates.k8s.io "{name}" is '
                              f"forbidden: use of {SIGNER} signer with system:masters group is "
                              "not allowed")
        with self.lock:
            body["metadata"]["resourceVersion"] = "1"
            self.csrs[name] = {**copy.deepcopy(body), "status": {}}
            if self.behaviour.csr == "denied":
                self.csr_end(name, "Denied", "NotToday", "ask again")
        self.csr_subjects.append(subject.strip().removeprefix("subject="))
        return wire.Response(201, body)

    def csr_end(self, name, kind, reason, message):
        csr = self.csrs[name]
        csr["metadata"]["resourceVersion"] += "1"
        csr["status"].setdefault("conditions", []).append(
            {"type": kind, "status": "True", "reason": reason, "message": message})

    def csr_approve(self, request, name):
        body = request.json()
        csr = self.csrs[name]
        with self.lock:
            if body["metadata"]["resourceVersion"] != csr["metadata"]["resourceVersion"]:
                return self.error(409, "the object has been modified")
            new = body["status"]["conditions"]
            if [c["type"] for c in new] != ["Approved"] or new[0]["status"] != "True":
                return self.refuse(request, "not an approval")
            self.csrs[name] = {**body, "status": dict(body["status"])}
            self.csr_sign(name)
        return wire.Response(200, body)

    def csr_sign(self, name):
        csr = self.csrs[name]
        what = self.behaviour.csr
        if what == "failed":
            self.csr_end(name, "Failed", "SignerValidationFailure", "invalid usage")
        elif what == "deleted":
            del self.csrs[name]
        elif what == "garbage":
            csr["status"]["certificate"] = base64.b64encode(b"no certificate").decode()
        elif what == "signed":
            days = min(csr["spec"]["expirationSeconds"] // DAY, self.behaviour.csr_most_days)
            pem = base64.b64decode(csr["spec"]["request"])
            signed = openssl("x509", "-req", "-days", str(days), "-set_serial", "1",
                             "-CA", os.path.join(self.folder, "ca.crt"),
                             "-CAkey", os.path.join(self.folder, "ca.key"), data=pem)
            csr["status"]["certificate"] = base64.b64encode(signed).decode()

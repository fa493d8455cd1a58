# SPDX-License-Identifier: Apache-2.0
"""A registry in memory: uploads, blobs and manifests of the OCI distribution spec, as
much as is pushed. Digests must match."""

import hashlib
import io
import json
import re
import secrets
import tarfile

from . import wire


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry(wire.Server):
    name = "registry"

    def __init__(self, node):
        super().__init__()
        self.faults = node.behaviour.registry_faults
        self.sessions = {}
        self.blobs = {}         # digest -> bytes
        self.repositories = {}  # name -> {tag: bytes}

    def error(self, status, message):
        return wire.Response(status, {"errors": [{"code": "UNKNOWN", "message": message}]})

    def handle(self, request):
        found = re.fullmatch(r"/v2/([a-z0-9/-]+)/(blobs|manifests)/(.*)", request.path)
        if not found:
            self.problem(f"unexpected {request}")
            return self.error(404, "what?")
        repository, kind, rest = found.groups()
        if kind == "manifests" and request.method == "PUT":
            return self.put_manifest(request, repository, rest)
        if kind == "blobs" and request.method == "HEAD":
            return wire.Response(200 if rest in self.blobs else 404)
        if kind == "blobs" and rest.startswith("uploads/"):
            return self.upload(request, repository, rest[len("uploads/"):])
        self.problem(f"unexpected {request}")
        return self.error(405, "not that")

    def upload(self, request, repository, session):
        if request.method == "POST" and not session:
            session = secrets.token_hex(8)
            self.sessions[session] = b""
            self.repositories.setdefault(repository, {})
        elif session not in self.sessions:
            return self.error(404, "upload unknown")
        elif request.method == "PATCH":
            self.sessions[session] += request.body
        elif request.method == "PUT":
            data = self.sessions.pop(session) + request.body
            if digest_of(data) != request.query["digest"]:
                return self.error(400, "digest invalid")
            self.blobs[request.query["digest"]] = data
            return wire.Response(201)
        elif request.method == "DELETE":
            del self.sessions[session]
            return wire.Response(204)
        return wire.Response(202, headers={
            "Location": f"http://registry.local/v2/{repository}/blobs/uploads/{session}"})

    def put_manifest(self, request, repository, tag):
        manifest = request.json()
        for part in [manifest["config"], *manifest["layers"]]:
            if len(self.blobs.get(part["digest"], b"")) != part["size"]:
                return self.error(400, "blob unknown")
        self.blobs[digest_of(request.body)] = request.body
        self.repositories[repository][tag] = request.body
        return wire.Response(201)

    # -- for the other fakes

    def file(self, repository, tag, name):
        """A file of an image of one layer, or None."""
        body = self.repositories.get(repository, {}).get(tag)
        if body is None:
            return None
        layer = self.blobs[json.loads(body)["layers"][0]["digest"]]
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            return tar.extractfile(name).read()

    def remove(self, path):
        """`rm -rf` of a path in the registry's folder."""
        repository = re.fullmatch(r"/var/lib/registry/docker/registry/v2/repositories/(.+)", path)
        blob = re.fullmatch(r"/var/lib/registry/docker/registry/v2/blobs/sha256/(..)/(\1.{62})", path)
        if repository:
            self.repositories.pop(repository.group(1), None)
        elif blob:
            self.blobs.pop("sha256:" + blob.group(2), None)
        else:
            self.problem(f"rm -rf {path}")

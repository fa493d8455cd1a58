# SPDX-License-Identifier: Apache-2.0
"""Snapshots as a node's script makes them, and what a restored API server is asked."""

import hashlib
import io
import json
import re
import struct
import tarfile

from . import wire

PKI = ("ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key", "front-proxy-ca.crt",
       "front-proxy-ca.key", "sa.key")


def end_of(body):
    """The end of every archive: a skippable frame of Zstandard with the digest."""
    words = f"mkcluster snapshot sha256 {hashlib.sha256(body).hexdigest()}\n".encode()
    return struct.pack("<II", 0x184D2A50, len(words)) + words


def manifest(cluster, **changes):
    return {"format": 1, "cluster": cluster, "mkcluster": "0.1.0", "kubernetes": "v1.36.3",
            "created": "2026-11-23T13:02:39Z",
            "etcd": {"hash": 3318032876, "revision": 548, "totalKey": 393, "totalSize": 1183744,
                     "version": "3.6.0"},
            "objects": {"pods": 8, "namespaces": 4}, "barePods": [], "loadedImages": [],
            "images": False, **changes}


def archive(files, cluster, etcd=b"etcd's data", blobs=None, **changes):
    """A snapshot of a control plane with these files (as in fakes.engine.Container)."""
    members = {"manifest.json": json.dumps(manifest(cluster, **changes)).encode(),
               "config.yaml": files["etc/mkcluster/config.yaml"].data,
               "encryption-config.yaml": files["etc/kubernetes/encryption-config.yaml"].data}
    members |= {f"pki/{name}": files[f"etc/kubernetes/pki/{name}"].data for name in PKI}
    members |= {"etcd/snapshot.db": etcd, **(blobs or {})}
    members["SHA256SUMS"] = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n"
                                    for name, data in members.items()).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue() + end_of(out.getvalue())


class SnapshotApi:
    """A part of ApiServer: what a restore looks at. None for everything else."""

    def answer_snapshot(self, request):
        if request.method != "GET":
            return None
        if request.path == "/api/v1/persistentvolumes":
            return wire.Response(200, {"kind": "PersistentVolumeList",
                                       "items": self.behaviour.volumes})
        found = re.fullmatch(r"/apis/apps/v1/namespaces/([a-z-]+)/deployments", request.path)
        if found:
            return wire.Response(200, {"kind": "DeploymentList", "items": [
                d for d in self.behaviour.restored if d["metadata"]["namespace"] == found[1]]})
        found = re.fullmatch(r"/api/v1/namespaces/([a-z-]+)/pods", request.path)
        if found and request.query.get("watch") == "1":
            pods = {p["metadata"]["uid"]: p for p in self.behaviour.restored_pods
                    if p["metadata"]["namespace"] == found[1]}
            return wire.Response(200, self.stream(lambda: pods, None))
        return None

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make a mirror of releases out of what the modules path built.

usage: make-mirror.py OUT --pause PROGRAM --busybox PROGRAM [--cache DIR]

OUT gets the layout that `mkcluster build node-image --from release --mirror`
reads: release files under their own hosts and paths with their checksum files,
and the pods' images below images/, under upstream's names. The programs come
from the cache's modules/ and the two PROGRAMs are catatonit and a static busybox
(Debian packages them): they are the same files as `--from modules` uses, packed
as upstream packs its own.
"""
import argparse
import hashlib
import io
import json
import os
import pathlib
import platform
import shutil
import tarfile

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
KUBERNETES, ETCD, CONTAINERD, RUNC, CNI, REGISTRY = (
    "1.36.3", "3.6.8", "2.4.2", "1.5.2", "1.9.1", "3.1.2")
FAAS_CLI = "0.13.15"

# component: upstream's reference, program in the cache, its path in the image, command
IMAGES = {
    "coredns": ("docker.io/coredns/coredns:1.14.1", "coredns", "/coredns", ["/coredns"]),
    "metrics-server": ("registry.k8s.io/metrics-server/metrics-server:v0.9.0", "metrics-server",
                       "/metrics-server", ["/metrics-server"]),
    "local-path-provisioner": ("docker.io/rancher/local-path-provisioner:v0.0.30",
                               "local-path-provisioner", "/usr/bin/local-path-provisioner", None),
    "gateway": ("ghcr.io/openfaas/gateway:0.27.3", "gateway", "/gateway", ["/gateway"]),
    "provider": ("ghcr.io/openfaas/faas-netes:0.17.3", "provider", "/provider", ["/provider"]),
    "queue-worker": ("ghcr.io/openfaas/queue-worker:0.14.1", "nats-queue-worker", "/worker",
                     ["/worker"]),
    "nats-streaming": ("docker.io/library/nats-streaming:0.25.6", "nats-streaming-server",
                       "/nats-streaming-server", ["/nats-streaming-server"]),
    "prometheus": ("docker.io/prom/prometheus:v2.48.1", "prometheus", "/bin/prometheus",
                   ["/bin/prometheus"]),
    "alertmanager": ("docker.io/prom/alertmanager:v0.26.0", "alertmanager", "/bin/alertmanager",
                     ["/bin/alertmanager"]),
}
PAUSE = "registry.k8s.io/pause:3.10.1"
BUSYBOX = "docker.io/library/busybox:1.37.0"


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


class Mirror:
    def __init__(self, out, cache):
        self.out = pathlib.Path(out)
        self.cache = pathlib.Path(cache)

    def built(self, component):
        """The newest result of a component in the cache."""
        folders = [p for p in (self.cache / "modules" / component).iterdir()
                   if p.is_dir() and not p.name.startswith("src-") and "." not in p.name]
        if not folders:
            raise SystemExit(f"{component} is not in the cache: build from modules first")
        return max(folders, key=lambda p: p.stat().st_mtime)

    def place(self, path):
        target = self.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.unlink()
        return target

    def link(self, source, path):
        """The program itself as a release file."""
        target = self.place(path)
        try:
            os.link(source, target)
        except OSError:
            shutil.copy(source, target)
        return target

    def archive(self, path, members):
        target = self.place(path)
        with tarfile.open(target, "w:gz", compresslevel=1) as tar:
            for name, source in members:
                tar.add(source, name)
        return target

    def checksum(self, target, suffix=".sha256", bare=False):
        digest = sha256(target)
        text = f"{digest}\n" if bare else f"{digest}  {target.name}\n"
        self.place(target.relative_to(self.out).as_posix() + suffix).write_text(text)

    def programs(self):
        kubernetes = self.built("kubernetes") / "kubernetes"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet",
                     "kube-proxy", "kubectl"):
            file = self.link(kubernetes, f"dl.k8s.io/v{KUBERNETES}/bin/linux/{ARCH}/{name}")
            self.checksum(file, bare=True)
        etcd = self.built("etcd")
        folder = f"etcd-v{ETCD}-linux-{ARCH}"
        base = f"github.com/etcd-io/etcd/releases/download/v{ETCD}"
        file = self.archive(f"{base}/{folder}.tar.gz", [
            (f"{folder}/etcd", etcd / "server"), (f"{folder}/etcdctl", etcd / "etcdctl"),
            (f"{folder}/etcdutl", etcd / "etcdutl")])
        self.place(f"{base}/SHA256SUMS").write_text(
            f"{'0' * 64}  etcd-v{ETCD}-linux-other.tar.gz\n{sha256(file)}  {file.name}\n")
        containerd = self.built("containerd")
        file = self.archive(
            f"github.com/containerd/containerd/releases/download/v{CONTAINERD}/"
            f"containerd-{CONTAINERD}-linux-{ARCH}.tar.gz",
            [(f"bin/{n}", containerd / n) for n in ("containerd", "containerd-shim-runc-v2", "ctr")])
        self.checksum(file, ".sha256sum")
        base = f"github.com/opencontainers/runc/releases/download/v{RUNC}"
        file = self.link(self.built("runc") / "runc", f"{base}/runc.{ARCH}")
        self.place(f"{base}/runc.sha256sum").write_text(f"{sha256(file)}  runc.{ARCH}\n")
        cni = self.built("cni-plugins")
        file = self.archive(
            f"github.com/containernetworking/plugins/releases/download/v{CNI}/"
            f"cni-plugins-linux-{ARCH}-v{CNI}.tgz",
            [(f"./{n}", cni / n) for n in ("bridge", "host-local", "loopback", "portmap", "ptp")])
        self.checksum(file)
        file = self.archive(
            f"github.com/distribution/distribution/releases/download/v{REGISTRY}/"
            f"registry_{REGISTRY}_linux_{ARCH}.tar.gz",
            [("registry", self.built("registry") / "registry")])
        self.checksum(file)

    def faas_cli(self):
        """Not a part of a node, so it may be missing in the cache."""
        if not (self.cache / "modules" / "faas-cli").exists():
            return
        suffix = "" if ARCH == "amd64" else f"-{ARCH}"
        file = self.link(self.built("faas-cli") / "faas-cli",
                         f"github.com/openfaas/faas-cli/releases/download/{FAAS_CLI}/faas-cli{suffix}")
        self.checksum(file)

    def image(self, reference, members, command, user):
        """A docker-save archive of two layers, as upstream's have several."""
        layers = [layer([("etc/passwd", b"nobody:x:65534:65534::/:/sbin/nologin\n")]),
                  layer(members)]
        config = json.dumps({
            "architecture": ARCH, "os": "linux",
            "config": {"Entrypoint": command, "User": user, "WorkingDir": "/"},
            "rootfs": {"type": "layers",
                       "diff_ids": ["sha256:" + hashlib.sha256(x).hexdigest() for x in layers]},
        }).encode()
        name, tag = reference.rsplit(":", 1)
        file = self.place(f"images/{name}/{tag}-{ARCH}.tar")
        manifest = json.dumps([{"Config": "config.json", "RepoTags": [reference],
                                "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}])
        with tarfile.open(file, "w") as tar:
            add(tar, "config.json", config)
            for i, data in enumerate(layers):
                add(tar, f"{i}/layer.tar", data)
            add(tar, "manifest.json", manifest.encode())
        self.checksum(file)

    def images(self, pause, busybox):
        for component, (reference, program, path, command) in IMAGES.items():
            built = self.built(component)
            members = [(path.lstrip("/"), built / program)]
            if component == "gateway":
                members.append(("assets", built / "assets"))
            self.image(reference, members, command, "0" if component == "coredns" else "65534")
        self.image(PAUSE, [("pause", pathlib.Path(pause))], ["/pause", "-P"], "65535")
        shell = pathlib.Path(busybox)
        self.image(BUSYBOX, [("bin/busybox", shell), ("bin/sh", shell)], None, "")


def add(tar, name, data, mode=0o644):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    tar.addfile(info, io.BytesIO(data))


def layer(members):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, source in members:
            if isinstance(source, bytes):
                add(tar, name, source)
            elif source.is_dir():
                tar.add(source, name)
            else:
                add(tar, name, source.read_bytes(), 0o755)
    return data.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    default = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parser.add_argument("--cache", default=os.path.join(default, "mkcluster"))
    parser.add_argument("--pause", default="/usr/bin/catatonit",
                        help="a static program that does nothing")
    parser.add_argument("--busybox", default="/bin/busybox", help="a static shell")
    args = parser.parse_args()
    mirror = Mirror(args.out, args.cache)
    mirror.programs()
    mirror.faas_cli()
    mirror.images(args.pause, args.busybox)


main()

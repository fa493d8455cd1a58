# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: the tools, a place of their own, patience."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MKCLUSTER_BUILD", ROOT / "build"))
MKCLUSTER = BUILD / "mkcluster"
TOOLS = BUILD / "bin"
IMAGE = os.environ.get("MKCLUSTER_IMAGE", "mkcluster/node:v1.36.3")
SUFFIX = str(os.getpid())
ETCDCTL = ("etcdctl", "--endpoints=https://127.0.0.1:2379",
           "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
           "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt",
           "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key")


def run(*args, check=True, stdin=None, env=None, timeout=300):
    """Run a program; its output as text. On failure what it printed is shown."""
    done = subprocess.run([str(a) for a in args], input=stdin, env=env, timeout=timeout,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if check and done.returncode != 0:
        raise AssertionError(f"{args} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def docker(*args):
    return run("docker", *args).stdout


def wait_for(what, probe, seconds=60, every=0.2):
    """Call probe until it returns something true; assertion errors count as no."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            answer = probe()
            if answer:
                return answer
        except (AssertionError, OSError, ValueError) as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds} s; last: {last}")


def http(url, data=None, user=None, headers=None, timeout=10):
    """Status and body of one request; an error status is an answer too."""
    request = urllib.request.Request(url, data=data, headers=headers or {})
    if user:
        import base64
        token = base64.b64encode(":".join(user).encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def engine_state():
    """Everything the engine holds that a cluster could leave behind."""
    return {
        "containers": sorted(docker("ps", "-a", "-q", "--no-trunc").split()),
        "volumes": sorted(docker("volume", "ls", "-q").split()),
        "networks": sorted(docker("network", "ls", "-q", "--no-trunc").split()),
    }


def files_below(folder):
    return sorted(str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*"))


class Place:
    """A home of one's own: HOME, KUBECONFIG, and a cluster's name."""

    def __init__(self, name):
        self.name = f"{name}-{SUFFIX}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mkcluster-e2e-"))
        self.kubeconfig = self.folder / "kubeconfig"
        self.env = dict(os.environ, HOME=str(self.folder), KUBECONFIG=str(self.kubeconfig))
        self.env.pop("OPENFAAS_URL", None)

    def mkcluster(self, *args, **options):
        return run(MKCLUSTER, *args, env=self.env, **options)

    def create(self, *args, **options):
        return self.mkcluster("create", "--name", self.name, "--image", IMAGE, *args, **options)

    def kubectl(self, *args, **options):
        return run(TOOLS / "kubectl", "--context", f"mkcluster-{self.name}", *args, env=self.env,
                   **options)

    def faas(self, *args, **options):
        return run(TOOLS / "faas-cli", *args, "--gateway", self.gateway(), env=self.env,
                   **options)

    def cluster(self):
        listed = json.loads(self.mkcluster("get", "clusters", "--output", "json").stdout)
        return next(c for c in listed if c["name"] == self.name)

    def gateway(self):
        return "http://" + self.cluster()["gateway"]

    def password(self):
        return self.mkcluster("get", "password", "--name", self.name).stdout.strip()

    def node(self):
        return f"{self.name}-control-plane"

    def load_function(self, image):
        run(ROOT / "tests/functions/build", "echo", image)
        return self.mkcluster("load", "image", image, "--name", self.name)

    def close(self):
        self.mkcluster("delete", "--name", self.name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def build_probe(image):
    """The probe of tests/e2e/probe as a scratch image in the engine."""
    with tempfile.TemporaryDirectory() as work:
        env = dict(os.environ, CGO_ENABLED="0")
        run("go", "build", "-C", ROOT / "tests/e2e/probe", "-trimpath", "-ldflags", "-s -w",
            "-o", f"{work}/probe", ".", env=env)
        run("tar", "-C", work, "-cf", f"{work}/root.tar", "probe")
        run("docker", "import", "--change", 'ENTRYPOINT ["/probe"]', f"{work}/root.tar", image)


def host_tools():
    """kubectl and faas-cli, built by mkcluster from its own table."""
    run(MKCLUSTER, "build", "component", "kubectl", "faas-cli", "--output", TOOLS, timeout=1800)

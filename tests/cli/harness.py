# SPDX-License-Identifier: Apache-2.0
"""What every test has: an engine, a home, a kubeconfig and ports of its own."""

import dataclasses
import functools
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from fakes.engine import Engine

REPO = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTED = {1, 2, 3, 4, 5, 6, 130}
NAME = "t1"
NODE = f"{NAME}-control-plane"
CONTEXT = f"mkcluster-{NAME}"
NETWORK = f"mkcluster-{NAME}"

# Written by hand, with a comment: a file that was rewritten shows.
OTHER_KUBECONFIG = """\
# mine
apiVersion: v1
kind: Config
current-context: other
clusters:
- {name: other, cluster: {server: "https://other.example:6443"}}
contexts:
- {name: other, context: {cluster: other, user: other}}
users:
- {name: other, user: {token: kept}}
preferences: {}
"""

# Not the module's own: forked processes would all draw the same numbers.
RANDOM = random.SystemRandom()


def binary():
    return os.environ["MKCLUSTER_BINARY"]


@functools.cache
def is_sanitized():
    return b"__asan_init" in pathlib.Path(binary()).read_bytes()


GIVEN = set()


def free_ports(count):
    """Ports below the range that the system gives to clients, free right now. Each of
    the processes that run tests side by side has a range of its own."""
    first = 15000 + int(os.environ.get("CLI_SLOT", "0")) % 32 * 500
    found = []
    while len(found) < count:
        port = RANDOM.randrange(first, first + 450)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in GIVEN:
            GIVEN.add(port)
            found.append(port)
    return found


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str
    seconds: float
    max_rss_kb: int

    def error_lines(self):
        return [line for line in self.err.splitlines() if line.startswith("mkcluster: ")]

    def __str__(self):
        return f"exit {self.code} after {self.seconds:.1f} s\n{self.out}\n{self.err}"


class Running:
    """The binary, started. Output goes to files, so that it never waits for us."""

    def __init__(self, argv, env, folder, stdin=None):
        self.files = [tempfile.TemporaryFile(dir=folder) for _ in range(3)]
        self.files[0].write((stdin or "").encode())
        self.files[0].seek(0)
        self.started = time.monotonic()
        self.process = subprocess.Popen(argv, env=env, cwd=folder, stdin=self.files[0],
                                        stdout=self.files[1], stderr=self.files[2])
        self.usage = None

    def signal(self, number):
        self.process.send_signal(number)

    def poll(self):
        if self.process.returncode is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self.usage = usage
        return self.process.returncode

    def wait(self, timeout):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                self.kill()
                raise AssertionError(f"no end within {timeout} s\n{self._result()}")
            time.sleep(0.005)
        return self._result()

    def kill(self):
        if self.poll() is None:
            self.process.kill()
            while self.poll() is None:
                time.sleep(0.005)

    def _text(self, file):
        file.seek(0)
        return file.read().decode(errors="replace")

    def _result(self):
        return Result(self.process.returncode, self._text(self.files[1]),
                      self._text(self.files[2]), time.monotonic() - self.started,
                      self.usage.ru_maxrss if self.usage else 0)

    def close(self):
        self.kill()
        for file in self.files:
            file.close()


class CliTest(unittest.TestCase):
    maxDiff = None
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mkcli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / "home").mkdir()
        (self.folder / "kube").mkdir()
        self.kubeconfig = self.folder / "kube" / "config"
        self.kubeconfig.write_text(OTHER_KUBECONFIG)
        self.kubeconfig.chmod(0o600)
        self.socket = str(self.folder / "engine.sock")
        self.api_port, self.gateway_port, self.registry_port = free_ports(3)
        self.engine = Engine()
        self.addCleanup(self._stop_engine)
        self.engine.listen_unix(self.socket)
        self.behaviour = self.engine.behaviour
        self.env = self._environment()

    def _stop_engine(self):
        self.engine.stop()
        self.assertEqual(self.engine.all_problems(), [])

    def _environment(self):
        env = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ}
        env["HOME"] = str(self.folder / "home")
        for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
            env[f"XDG_{kind}_HOME"] = str(self.folder / "home" / kind.lower())
        env["TMPDIR"] = str(self.folder)
        env["KUBECONFIG"] = str(self.kubeconfig)
        env["DOCKER_HOST"] = f"unix://{self.socket}"
        env["LC_ALL"] = "C.UTF-8"
        env["ASAN_OPTIONS"] = "exitcode=99:abort_on_error=0"
        env["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1:exitcode=99"
        return env

    # -- running

    def start(self, *argv, stdin=None, env=None):
        running = Running([binary(), *argv], {**self.env, **(env or {})}, str(self.folder), stdin)
        self.addCleanup(running.close)
        return running

    def run_cli(self, *argv, timeout=25, **options):
        """Run to the end, and check what holds for every run."""
        return self.sane(self.start(*argv, **options).wait(timeout))

    def config(self, *, name=NAME, text="", **networking):
        """A config file with the test's own ports."""
        networking.setdefault("apiServerPort", self.api_port)
        path = self.folder / "cluster.yaml"
        path.write_text(
            f"apiVersion: mkcluster.dev/v1\nkind: Cluster\nname: {name}\n"
            f"registry: {{port: {self.registry_port}}}\n"
            f"openfaas: {{port: {self.gateway_port}}}\n"
            "networking: {" + ", ".join(f"{k}: {v}" for k, v in networking.items()) + "}\n" + text)
        return str(path)

    def start_create(self, *argv, **options):
        return self.start("create", "--config", self.config(), *argv, **options)

    def create(self, *argv, timeout=25, **options):
        return self.sane(self.start_create(*argv, **options).wait(timeout))

    # -- judging

    def sane(self, result):
        for words in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "Assertion",
                      "Traceback"):
            self.assertNotIn(words, result.err, str(result))
        self.assertIn(result.code, DOCUMENTED | {0}, str(result))
        expected = 0 if result.code == 0 else 1
        self.assertEqual(len(result.error_lines()), expected, str(result))
        return result

    def assert_code(self, result, code):
        self.assertEqual(result.code, code, str(result))

    def assert_said(self, result, *patterns):
        for pattern in patterns:
            self.assertRegex(result.err, re.compile(pattern, re.M), str(result))

    def assert_untouched_kubeconfig(self):
        self.assertEqual(self.kubeconfig.read_text(), OTHER_KUBECONFIG)
        self.assertEqual(sorted(os.listdir(self.kubeconfig.parent)), ["config"])

    def assert_nothing_left(self, cluster=NAME):
        self.assertEqual(self.engine.labelled(cluster), [])
        self.assert_untouched_kubeconfig()

    def assert_failed(self, result, *codes):
        """A create that failed as it should: one line, a code, and nothing left."""
        self.assertIn(result.code, codes, str(result))
        self.assert_nothing_left()
        return result

    def interrupt(self, running, fault, number=signal.SIGINT, within=5):
        """Signal a run that is stuck at `fault`."""
        self.assertTrue(fault.reached.wait(15), "the request never came:\n" +
                        "\n".join(self.engine.log()))
        sent = time.monotonic()
        running.signal(number)
        result = self.sane(running.wait(within + 5))
        self.assertLess(time.monotonic() - sent, within, str(result))
        return result

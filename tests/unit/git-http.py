#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Repositories from git's own server over smart HTTP, and what can go wrong on the way.

usage: git-http.py GIT-SOURCE

A small HTTP server on the loopback runs `git http-backend`. The first part of a
path says how it behaves: /plain/REPO serves, /401/REPO refuses, and so on.
"""
import base64
import concurrent.futures
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None
# enum mk_code, as far as it is met here.
EUSAGE, ENOTFOUND, ETIMEOUT, EINTR, ENET, EREMOTE, EINVALID = 2, 4, 7, 8, 9, 10, 11
ENVIRONMENT = {
    "PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
}
REFS = "info/refs?service=git-upload-pack"
BIG_FILES, BIG_FILE = 24, 128 * 1024


def middle_of_pack(body):
    """Where the largest piece of the pack has its middle. What says how long a piece is
    stays whole: an answer that ends too early is another fault."""
    at, pieces = 0, []
    while at + 4 <= len(body):
        size = int(body[at:at + 4], 16)
        if size > 5 and body[at + 4] == 1:
            pieces.append((size, at))
        at += max(size, 4)
    size, at = max(pieces)
    return at + 5 + (size - 5) // 2


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.handle_any()

    def do_POST(self):
        self.handle_any()

    def log_message(self, *_):
        pass

    def handle_any(self):
        how, _, self.rest = self.path.lstrip("/").partition("/")
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            self.server.seen.append((self.command, self.path))
        self.close_connection = True
        getattr(self, "do_" + how.replace("-", "_"), self.do_status)(how)

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def backend(self):
        """git's answer: status, content type, bytes."""
        path, _, query = self.rest.partition("?")
        done = subprocess.run(["git", "http-backend"], input=self.body, capture_output=True,
                              check=True, env=ENVIRONMENT | {
                                  "GIT_PROJECT_ROOT": str(self.server.root),
                                  "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": "/" + path,
                                  "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                                  "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                                  "CONTENT_LENGTH": str(len(self.body))})
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return int(fields.get("Status", "200").split()[0]), \
            fields.get("Content-Type", "text/plain"), body

    def do_plain(self, _):
        status, kind, body = self.backend()
        self.answer(status, body, Content_Type=kind)

    def do_status(self, how):
        self.answer(int(how) if how.isdigit() else 400, b"no\n", Content_Type="text/plain")

    def do_login(self, _):
        with self.server.lock:
            self.server.logins.append(self.headers.get("Authorization"))
        expected = "Basic " + base64.b64encode(b"me:hunter2").decode()
        if self.headers.get("Authorization") == expected:
            return self.do_plain(None)
        return self.answer(401, WWW_Authenticate='Basic realm="x"')

    def do_page(self, _):
        self.answer(200, b"<html>" * 100, Content_Type="text/html")

    def do_garbage(self, _):
        self.answer(200, b"\x00\xff garbage" * 100,
                    Content_Type="application/x-git-upload-pack-advertisement")

    def do_refuses(self, _):
        """A server's own words instead of refs."""
        words = b"ERR out of order today\n"
        self.answer(200, b"001e# service=git-upload-pack\n0000%04x%s" % (len(words) + 4, words),
                    Content_Type="application/x-git-upload-pack-advertisement")

    def do_hang(self, _):
        self.server.stop.wait(20)

    def send_part(self):
        """The refs in full, then half a pack; returns the half that is left."""
        _, kind, body = self.backend()
        if self.command == "GET":
            self.answer(200, body, Content_Type=kind)
            return b""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2])
        self.wfile.flush()
        return body[len(body) // 2:]

    def do_hang_pack(self, _):
        if self.send_part():
            self.server.stop.wait(20)

    def do_cut_pack(self, _):
        self.send_part()

    def do_cut_refs(self, _):
        """Ended as if whole, in the middle of a line."""
        _, kind, body = self.backend()
        self.answer(200, body[:100], Content_Type=kind)

    def do_bad_pack(self, _):
        _, kind, body = self.backend()
        if self.command == "POST":
            at = middle_of_pack(body)
            body = body[:at] + bytes(b ^ 0x55 for b in body[at:at + 8]) + body[at + 8:]
        self.answer(200, body, Content_Type=kind)

    def do_slow_pack(self, _):
        """The second half only once somebody says so."""
        rest = self.send_part()
        if rest:
            self.server.go_on.wait(20)
            self.wfile.write(rest)

    def do_endless(self, _):
        """A pack without an end, as far as anybody listens."""
        if self.command == "GET":
            return self.do_plain(None)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-result")
        self.end_headers()
        self.wfile.write(b"0008NAK\n")
        line = b"fff4\x02" + b"." * 0xffef
        for _ in range(4000):
            try:
                self.wfile.write(line)
            except OSError:
                break
            self.server.endless += len(line)
        return None

    def do_moved(self, _):
        self.answer(301, Location="/plain/" + self.rest)

    def do_moved_login(self, _):
        self.answer(301, Location="/login/" + self.rest)

    def do_moved_host(self, _):
        """The same server by another name: a login is not for it."""
        port = self.server.server_address[1]
        self.answer(302, Location=f"http://127.0.0.2:{port}/login/" + self.rest)

    def do_moved_file(self, _):
        self.answer(302, Location="file:///plain/" + self.rest)

    def do_moved_https(self, _):
        self.answer(302, Location="https://127.0.0.1/plain/" + self.rest)

    def do_moved_away(self, _):
        self.answer(302, Location="http://192.0.2.1/plain/" + self.rest)

    def do_moved_page(self, _):
        self.answer(302, Location="/login.html")

    def do_circle(self, _):
        self.answer(302, Location="/circle/" + self.rest)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, root):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root = root
        self.lock = threading.Lock()
        self.seen, self.logins, self.endless = [], [], 0
        self.stop, self.go_on = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def count(self, method):
        with self.lock:
            return sum(1 for m, _ in self.seen if m == method)

    def end(self):
        self.stop.set()
        self.go_on.set()
        self.shutdown()
        self.server_close()


def git(folder, *args, **more):
    return subprocess.run(["git", "-C", str(folder), *args], env=ENVIRONMENT, check=True,
                          capture_output=True, text=True, **more).stdout.strip()


def make_repository(folder):
    """Two commits on main, a tag of each kind, a branch, links, a submodule."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "yaml").mkdir()
    (folder / "yaml/a.yml").write_text("a: 1\n")
    (folder / "yaml/notes.txt").write_text("not yaml\n")
    (folder / "shared.yaml").write_text("shared: 1\n")
    (folder / "yaml/link.yml").symlink_to("../shared.yaml")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    git(folder, "tag", "light")
    git(folder, "tag", "-a", "v1", "-m", "v1")
    (folder / "yaml/a.yml").write_text("a: 2\n")
    git(folder, "commit", "-q", "-a", "-m", "two")
    git(folder, "checkout", "-q", "-b", "feature/x")
    (folder / "yaml/b.yml").write_text("b: 1\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "three")
    git(folder, "checkout", "-q", "main")
    git(folder, "branch", "both", "main")
    git(folder, "tag", "both", "light")


def make_big(folder):
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for i in range(BIG_FILES):
        (folder / f"{i}.bin").write_bytes(os.urandom(BIG_FILE))
    (folder / "x.yml").write_text("x: 1\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "big")


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="git-http."))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        make_repository(cls.root / "repo")
        make_big(cls.root / "big")
        # What a user may have in it, and what must not lead us elsewhere.
        (cls.root / ".gitconfig").write_text(
            '[url "ssh://git@nowhere.invalid/"]\n\tinsteadOf = http://127.0.0.1\n')
        (cls.root / "empty").mkdir()
        git(cls.root / "empty", "init", "-q", "-b", "main")

    def setUp(self):
        self.server = Server(self.root)
        self.addCleanup(self.server.end)
        self.cache = tempfile.mkdtemp(prefix="cache.", dir=self.root)

    def url(self, path, login=""):
        return f"http://{login}127.0.0.1:{self.server.server_address[1]}/{path}"

    def start(self, source, *options):
        # A proxy of the machine's is none for the loopback, and ours to ignore.
        return subprocess.Popen([PROGRAM, source, self.cache, *options], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=os.environ | {"http_proxy": "http://127.0.0.1:9",
                                                  "HOME": str(self.root)})

    def end(self, process):
        out, errors = process.communicate(timeout=40)
        self.assertNotIn("Sanitizer", errors)
        self.assertNotIn("runtime error", errors)
        return json.loads(out)

    def run_one(self, source, *options):
        return self.end(self.start(source, *options))

    def good(self, source, *options):
        result = self.run_one(source, *options)
        self.assertEqual((result["code"], result["message"]), (0, ""))
        return result

    def bad(self, source, code, words, *options, hint=""):
        result = self.run_one(source, *options)
        self.assertEqual(result["code"], code, result)
        self.assertIn(words, result["message"])
        self.assertIn(hint, result["hint"])
        self.assertNotIn("hunter2", result["message"] + result["hint"])
        return result

    def packs(self):
        return [p for p in pathlib.Path(self.cache).rglob("pack*") if p.is_file()]

    def commit(self, ref, repo="repo"):
        return git(self.root / repo, "rev-parse", ref + "^{commit}")

    def wait_for_post(self):
        deadline = time.monotonic() + 20
        while not self.server.count("POST"):
            self.assertLess(time.monotonic(), deadline, "the pack was never asked for")
            time.sleep(0.01)


class Refs(Base):
    def test_head_branch_tag_and_commit(self):
        for ref, what in (("", "main"), ("@HEAD", "main"), ("@main", "main"),
                          ("@feature/x", "feature/x"),
                          ("@light", "light"), ("@v1", "v1"), ("@refs/tags/both", "light"),
                          ("@refs/heads/both", "main"), ("@" + self.commit("v1"), "v1"),
                          ("@" + self.commit("v1")[:9], "v1"),
                          ("@" + self.commit("feature/x").upper(), "feature/x")):
            with self.subTest(ref):
                result = self.good(self.url("plain/repo") + ref + ":yaml", "yaml")
                commit = self.commit(what)
                self.assertEqual(result["commit"], commit)
                self.assertEqual(result["describe"], f"{self.url('plain/repo')} at {commit}")
                names = ["a.yml", "b.yml", "link.yml"] if what == "feature/x" else \
                    ["a.yml", "link.yml"]
                self.assertEqual(list(result["files"]), ["yaml/" + n for n in names])
                self.assertEqual(result["files"]["yaml/link.yml"], "shared: 1\n")
                self.assertEqual(result["files"]["yaml/a.yml"],
                                 git(self.root / "repo", "show", f"{commit}:yaml/a.yml") + "\n")

    def test_only_what_is_needed(self):
        self.good(self.url("plain/repo@light"))
        folder = next(p for p in pathlib.Path(self.cache).iterdir() if p.is_dir())
        have = git(folder, "cat-file", "--batch-all-objects", "--batch-check")
        self.assertIn(self.commit("light"), have)
        self.assertNotIn(self.commit("main"), have)
        self.assertNotIn("missing", git(folder, "fsck", "--strict"))

    def test_a_known_commit_is_not_fetched_again(self):
        first = self.good(self.url("plain/repo@main"))
        self.assertEqual(self.server.count("POST"), 1)
        self.assertGreater(first["bytes"], 500)
        self.assertEqual(first["objects"], first["total"])
        self.good(self.url("plain/repo@main"))
        self.assertEqual((self.server.count("GET"), self.server.count("POST")), (2, 1))

    def test_a_branch_that_moved_brings_only_what_is_new(self):
        shutil.copytree(self.root / "big", self.root / "moving")
        self.addCleanup(shutil.rmtree, self.root / "moving")
        first = self.good(self.url("plain/moving"), "yaml")
        (self.root / "moving/x.yml").write_text("x: 2\n")
        git(self.root / "moving", "commit", "-q", "-a", "-m", "more")
        second = self.good(self.url("plain/moving"), "yaml")
        self.assertEqual(second["files"], {"x.yml": "x: 2\n"})
        self.assertGreater(first["bytes"], BIG_FILES * BIG_FILE)
        self.assertLess(second["bytes"], 10000)

    def test_a_commit_in_full_needs_no_network(self):
        pinned = self.commit("v1")
        for ref in (pinned, self.commit("light")):
            self.good(self.url("plain/repo@feature/x"))
            seen = len(self.server.seen)
            result = self.good(self.url("plain/repo@" + ref), "yaml", "path=yaml")
            self.assertEqual(len(self.server.seen), seen)
            self.assertEqual(result["commit"], pinned)
        self.server.end()
        self.good(self.url("plain/repo@" + pinned))
        self.bad(self.url("plain/repo@main"), ENET, "127.0.0.1", hint="needs no network")

    def test_a_commit_that_no_ref_points_at(self):
        """Given away by id, where the server does so, and otherwise found in what there is."""
        shutil.copytree(self.root / "repo", self.root / "inner")
        self.addCleanup(shutil.rmtree, self.root / "inner")
        git(self.root / "inner", "tag", "-d", "light", "v1", "both")
        inner = git(self.root / "inner", "rev-parse", "main~1")
        for setting in ("false", "true"):
            git(self.root / "inner", "config", "uploadpack.allowReachableSHA1InWant", setting)
            self.cache = tempfile.mkdtemp(prefix="cache.", dir=self.root)
            self.assertEqual(self.good(self.url("plain/inner@" + inner))["commit"], inner)
            folder = next(p for p in pathlib.Path(self.cache).iterdir() if p.is_dir())
            have = git(folder, "cat-file", "--batch-all-objects", "--batch-check")
            self.assertEqual(self.commit("feature/x") in have, setting == "false")

    def test_no_such_ref(self):
        source = self.url("plain/repo")
        self.bad(source + "@mian", ENOTFOUND, "no branch or tag 'mian'", hint="there are main, ")
        self.bad(source + "@" + "0123456789" * 4, ENOTFOUND, "no commit '0123456789")
        self.bad(source + "@0123456789", ENOTFOUND, "commit '0123456789'")
        self.bad(source + "@both", EUSAGE, "a branch and a tag", hint="@refs/tags/both")
        self.bad(source + "@refs/heads/nope", ENOTFOUND, "'refs/heads/nope'")
        self.bad(source + ":yaml/nope", ENOTFOUND, "no 'yaml/nope'", hint="shared.yaml, yaml")
        self.bad(self.url("plain/empty"), ENOTFOUND, "HEAD names no commit", hint="no branches")
        tree = git(self.root / "repo", "rev-parse", "main^{tree}")
        self.bad(source + "@" + tree, ENOTFOUND, f"no commit '{tree}'")


class Refusals(Base):
    def test_statuses(self):
        for status, code, words in ((401, EREMOTE, "401: it wants a login"),
                                    (403, EREMOTE, "403: it wants a login"),
                                    (404, ENOTFOUND, "404: there is no such repository"),
                                    (500, EREMOTE, "the server answered 500")):
            result = self.bad(self.url(f"{status}/repo"), code, words)
            self.assertEqual(result["status"], status)
        self.bad(self.url("plain/nothing"), ENOTFOUND, "no such repository")
        self.assertEqual([p for p in pathlib.Path(self.cache).iterdir() if p.is_dir()], [])

    def test_login(self):
        self.good(self.url("login/repo", "me:hunter2@"))
        wrong = self.bad(self.url("login/repo", "you:hunter2@"), EREMOTE, "401", hint="TOKEN")
        self.assertNotIn("you", wrong["message"])
        for path in pathlib.Path(self.cache).rglob("*"):
            self.assertFalse(path.is_file() and b"hunter2" in path.read_bytes(), path)

    def test_answers_that_are_none(self):
        for how, code, words, hint in (
                ("page", EINVALID, "no git repository: it answered text/html", "git clone"),
                ("garbage", EINVALID, "", "smart HTTP"),
                ("refuses", EREMOTE, "out of order today", ""),
                ("cut-refs", ENET, "ended its answer too early", "network"),
                ("cut-pack", ENET, "/git-upload-pack", "network"),
                ("bad-pack", EINVALID, "", "smart HTTP")):
            with self.subTest(how):
                self.bad(self.url(how + "/repo"), code, words, hint=hint)
                self.assertEqual(self.packs(), [])
        self.bad(self.url("bad-pack/big"), EINVALID, "")
        self.assertEqual(self.packs(), [])

    def test_redirects(self):
        self.good(self.url("moved/repo"))
        self.good(self.url("moved-login/repo", "me:hunter2@"))
        for how, words in (("moved-file", "another scheme"), ("moved-https", "another scheme"),
                           ("moved-away", "without TLS"), ("circle", "redirects")):
            self.bad(self.url(how + "/repo", "me:hunter2@"), EREMOTE, words)
        self.bad(self.url("moved-page/repo"), EINVALID, "redirects elsewhere")

    def test_a_login_is_not_for_another_host(self):
        other = http.server.ThreadingHTTPServer(("127.0.0.2", self.server.server_address[1]),
                                                Handler)
        other.root, other.lock, other.seen = self.root, threading.Lock(), []
        other.logins = self.server.logins
        threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(other.server_close)
        self.addCleanup(other.shutdown)
        self.bad(self.url("moved-host/repo", "me:hunter2@"), EREMOTE, "401")
        self.assertEqual(self.server.logins, [None])

    def test_no_server(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.bad(f"http://127.0.0.1:{taken.getsockname()[1]}/x", ENET, "/x", hint="network")
        # Longer than a name can be: nobody is asked for it.
        self.bad(f"https://{'x' * 64}.invalid/x", ENET, "resolve", hint="check the name")

    def test_tls(self):
        key, cert = self.root / "key.pem", self.root / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "2", "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        source = self.url("plain/repo").replace("http:", "https:")
        self.bad(source, ENET, "certificate", hint="trusted")
        self.bad(source.replace("127.0.0.1", "localhost"), ENET, "", f"ca={cert}", hint="trusted")
        self.assertEqual(self.good(source, f"ca={cert}")["commit"], self.commit("main"))


class Limits(Base):
    def test_too_large_is_refused_on_the_way(self):
        result = self.bad(self.url("plain/big"), EINVALID, "larger than 1.0 MB",
                          "max-fetch=1000000", hint="--depth 1")
        self.assertLess(result["bytes"], 1200000)
        self.assertEqual(self.packs(), [])
        self.bad(self.url("endless/repo"), EINVALID, "larger than 1.0 MB", "max-fetch=1000000")
        self.assertLess(self.server.endless, 20000000)

    def test_a_server_that_hangs(self):
        for how in ("hang", "hang-pack"):
            started = time.monotonic()
            self.bad(self.url(how + "/big"), ETIMEOUT, "", "stall=1000", hint="network")
            self.assertLess(time.monotonic() - started, 10)
            self.bad(self.url(how + "/big"), ETIMEOUT, "", "timeout=500")
        self.assertEqual(self.packs(), [])
        self.good(self.url("plain/big"), "yaml")

    def test_interrupted(self):
        for how in ("hang", "hang-pack"):
            process = self.start(self.url(how + "/big"))
            if how == "hang":
                while not self.server.count("GET"):
                    time.sleep(0.01)
            else:
                self.wait_for_post()
            time.sleep(0.2)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            self.assertEqual(self.end(process)["code"], EINTR)
            self.assertLess(time.monotonic() - started, 3)
        self.assertEqual(self.packs(), [])


class Runs(Base):
    def test_two_at_once_fetch_once(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(self.good, self.url("slow-pack/big"), "yaml")
                       for _ in range(4)]
            self.wait_for_post()
            time.sleep(0.3)
            self.server.go_on.set()
            for future in futures:
                self.assertEqual(future.result()["files"], {"x.yml": "x: 1\n"})
        self.assertEqual(self.server.count("POST"), 1)

    def test_one_that_waits_gives_up_in_time(self):
        process = self.start(self.url("slow-pack/big"), "yaml")
        self.wait_for_post()
        self.bad(self.url("slow-pack/big"), ETIMEOUT, "another run", "timeout=300")
        self.server.go_on.set()
        self.assertEqual(self.end(process)["code"], 0)

    def test_killed_and_again(self):
        for _ in range(2):
            posts = self.server.count("POST")
            process = self.start(self.url("slow-pack/big"))
            deadline = time.monotonic() + 20
            while self.server.count("POST") == posts or not self.packs():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            process.kill()
            process.communicate(timeout=10)
            self.assertNotEqual(self.packs(), [])
        self.server.go_on.set()
        self.assertEqual(self.good(self.url("slow-pack/big"), "yaml")["files"],
                         {"x.yml": "x: 1\n"})
        self.assertEqual(sorted(p.suffix for p in self.packs()), [".idx", ".pack"])

    def test_a_damaged_cache_is_made_anew(self):
        source = self.url("plain/repo")
        pinned = source + "@" + self.commit("main")

        def cut(suffix):
            path = next(p for p in self.packs() if p.suffix == suffix)
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:100])

        def drop(name):
            next(pathlib.Path(self.cache).rglob(name)).unlink()

        for damage in (lambda: cut(".pack"), lambda: cut(".idx"), lambda: drop("HEAD"),
                       lambda: drop("*.idx"), lambda: drop("*.pack")):
            for again in (source, pinned):
                self.good(source)
                damage()
                self.assertEqual(self.good(again)["commit"], self.commit("main"))


if __name__ == "__main__":
    if PROGRAM is None:
        sys.exit(__doc__)
    unittest.main()

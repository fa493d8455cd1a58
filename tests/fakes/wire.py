# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 on raw sockets, with faults.

Server is the ground of every fake: it reads requests, records them, and lets a
plan of faults spoil the answer. Not http.server, because a fault must be able to
write anything, or nothing, at any point of an answer.

A fake is strict: what it does not know is a problem, and a test with problems
fails. It only speaks as much HTTP as mkcluster's client does.
"""

import base64
import hashlib
import json
import re
import select
import socket
import ssl
import threading
import time
import traceback
import urllib.parse

ENDLESS = 10 * 1000 * 1000 * 1000  # bytes of an "endless" body, if one let it
REASONS = {101: "Switching Protocols", 200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified",
           400: "Bad Request", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
           410: "Gone", 422: "Unprocessable Entity", 500: "Internal Server Error",
           503: "Service Unavailable"}


class Request:
    """One request as it came; `index` counts from 0 over all connections."""

    def __init__(self, method, target, headers, body):
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.index = -1
        parts = urllib.parse.urlsplit(target)
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.method} {urllib.parse.unquote(self.target)}"


class Response:
    """`body` is bytes, or an iterable of bytes, which is sent chunked (or, with
    `close`, until the connection's end)."""

    def __init__(self, status=200, body=b"", content_type="application/json", headers=None,
                 close=False):
        self.status = status
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode() + b"\n"
        elif isinstance(body, str):
            body = body.encode()
        self.body = body
        self.content_type = content_type
        self.headers = dict(headers or {})
        self.close = close


class Upgrade(Response):
    """A WebSocket: `talk(sock)` has the connection after the handshake."""

    def __init__(self, request, protocol, talk):
        key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        super().__init__(101, headers={
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept,
            "Sec-WebSocket-Protocol": protocol})
        self.talk = talk


class Fault:
    """What happens to a request instead of its answer.

    `match` is a regular expression for "METHOD target", unquoted; `nth` passes over
    that many matching requests; `times` faults are injected, None for all that follow.

    kinds, and whether the request is carried out:
      status     no   answers `status` with `message`
      hangup     no   closes without a byte
      cut        yes  closes in the middle of the body, whose length it promised
      lost       yes  closes without a byte: done, but the client cannot know
      hang       no   never answers, until the client leaves or `release` is set;
                      released, the request is carried out and answered
      slow       yes  carried out `delay` later, whether the client still waits or not
      garbage    no   bytes that are no HTTP
      bad_json   no   200 with text that is no JSON
      truncated  yes  the answer's JSON, cut; its length is that of the rest
      endless    no   200 and 10 GB
      headers    no   200 and endless header lines
      dribble    yes  the right answer, a few bytes at a time
    """

    def __init__(self, kind, match=None, nth=0, times=1, status=500,
                 message="injected fault", delay=0.3):
        self.kind = kind
        self.match = re.compile(match) if match else None
        self.nth = nth
        self.times = times
        self.status = status
        self.message = message
        self.delay = delay
        self.seen = 0
        self.reached = threading.Event()
        self.release = threading.Event()
        self.sent = 0

    def takes(self, request):
        if self.match and not self.match.search(str(request)):
            return False
        self.seen += 1
        if self.seen <= self.nth:
            return False
        return self.times is None or self.seen <= self.nth + self.times


class Gone(Exception):
    """The client left."""


class Server:
    """Subclasses write `handle(request) -> Response`; it runs with `self.lock` free."""

    name = "server"

    def __init__(self):
        self.requests = []
        self.problems = []
        self.faults = []
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.tls = None
        self._listener = None
        self._connections = set()
        self._threads = []

    # -- for tests

    def fault(self, kind, match=None, **options):
        fault = Fault(kind, match, **options)
        with self.lock:
            self.faults.append(fault)
        return fault

    def log(self):
        """Every request as "METHOD target", in order of arrival."""
        with self.lock:
            return [str(r) for r in self.requests]

    def problem(self, text):
        with self.lock:
            self.problems.append(f"{self.name}: {text}")

    # -- running

    def listen_unix(self, path):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._start()

    def listen_tcp(self, address, port):
        self._listener = socket.socket(socket.AF_INET)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((address, port))
        except OSError:
            self._listener.close()
            raise
        self._start()

    def _start(self):
        self._listener.listen(64)
        self._spawn(self._accept)

    def _spawn(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self):
        self.stopping.set()
        with self.lock:
            sockets = [*self._connections, self._listener]
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except (OSError, AttributeError):
                pass
        if self._listener:
            self._listener.close()
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(3)

    def _accept(self):
        while not self.stopping.is_set():
            try:
                ready, _, _ = select.select([self._listener], [], [], 0.5)
                if not ready:
                    continue
                sock, _ = self._listener.accept()
            except (OSError, ValueError):
                return
            with self.lock:
                self._connections.add(sock)
            self._spawn(self._serve, sock)

    def _serve(self, sock):
        raw = sock
        try:
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
                with self.lock:
                    self._connections.discard(raw)
                    self._connections.add(sock)
            reader = Reader(sock)
            while not self.stopping.is_set():
                request = reader.request()
                if request is None or not self._answer(sock, request):
                    break
        except (OSError, Gone):
            pass
        except Exception:  # pylint: disable=broad-except
            self.problem(traceback.format_exc())
        finally:
            with self.lock:
                self._connections.discard(raw)
                self._connections.discard(sock)
            sock.close()

    # -- answering

    def _answer(self, sock, request):
        """Returns whether the connection goes on."""
        with self.lock:
            request.index = len(self.requests)
            self.requests.append(request)
            taking = [f for f in self.faults if f.takes(request)]
        if taking:
            taking[0].reached.set()
            return self._spoil(sock, request, taking[0])
        return self._send(sock, request, self._handle(request))

    def _handle(self, request):
        try:
            return self.handle(request)
        except Exception:  # pylint: disable=broad-except
            self.problem(f"{request}\n{traceback.format_exc()}")
            return self.error(500, "the fake broke")

    def handle(self, request):
        raise NotImplementedError

    def error(self, status, message):
        return Response(status, {"message": message})

    def extra_headers(self):
        return {}

    def _spoil(self, sock, request, fault):
        kind = fault.kind
        if kind == "status":
            return self._send(sock, request, self.error(fault.status, fault.message))
        if kind == "hangup":
            return False
        if kind == "lost":
            self._handle(request)
            return False
        if kind == "hang":
            return self._stall(sock, request, fault)
        if kind == "slow":
            self.stopping.wait(fault.delay)
            return self._send(sock, request, self._handle(request))
        if kind == "garbage":
            sock.sendall(b"\x00\xff\xfe%n%s garbage, no HTTP\r\n\r\n" + bytes(range(256)))
            return False
        if kind == "bad_json":
            return self._send(sock, request, Response(200, b'{"Id": [1, 2, <html>'))
        if kind == "endless":
            return self._endless(sock, fault, b"HTTP/1.1 200 OK\r\nContent-Type: "
                                 b"application/json\r\n\r\n{\"Id\": \"", b"x" * 65536)
        if kind == "headers":
            return self._endless(sock, fault, b"HTTP/1.1 200 OK\r\n",
                                 b"X-Long: " + b"y" * 1000 + b"\r\n")
        response = self._handle(request)
        if not isinstance(response.body, bytes):
            response.body = b"".join(response.body)
        if kind == "truncated":
            response.body = response.body[:len(response.body) // 2]
            if response.status == 204:
                return False
            return self._send(sock, request, response)
        whole = self._bytes(request, response)
        if kind == "cut":
            sock.sendall(whole[:-max(1, len(response.body) * 4 // 5)])
            return False
        if kind == "dribble":
            step = max(3, len(whole) // 60)
            for i in range(0, len(whole), step):
                sock.sendall(whole[i:i + step])
                time.sleep(0.005)
            return True
        raise ValueError(kind)

    def _stall(self, sock, request, fault):
        while not fault.release.is_set():
            if self.stopping.is_set() or client_left(sock, 0.02):
                return False
        return self._send(sock, request, self._handle(request))

    def _endless(self, sock, fault, head, block):
        sock.sendall(head)
        while fault.sent < ENDLESS and not self.stopping.is_set():
            sock.sendall(block)
            fault.sent += len(block)
        return False

    def _bytes(self, request, response):
        """The head, and the body when it has a length."""
        lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Status')}"]
        headers = {**self.extra_headers(), **response.headers}
        stream = not isinstance(response.body, bytes)
        if response.status not in (101, 204):
            headers["Content-Type"] = response.content_type
            if not stream:
                headers["Content-Length"] = str(len(response.body))
            elif not response.close:
                headers["Transfer-Encoding"] = "chunked"
        lines += [f"{k}: {v}" for k, v in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        if stream or response.status == 204 or request.method == "HEAD":
            return head
        return head + response.body

    def _send(self, sock, request, response):
        sock.sendall(self._bytes(request, response))
        if isinstance(response, Upgrade):
            response.talk(sock)
            return False
        if isinstance(response.body, bytes):
            return not response.close
        for piece in response.body:
            if piece and response.close:
                sock.sendall(piece)
            elif piece:
                sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            elif client_left(sock, 0):
                raise Gone
            if self.stopping.is_set():
                return False
        if not response.close:
            sock.sendall(b"0\r\n\r\n")
        return not response.close


def client_left(sock, wait):
    """Whether the client has closed; it never sends a request before an answer."""
    ready, _, _ = select.select([sock], [], [], wait)
    if not ready:
        return False
    try:
        if isinstance(sock, ssl.SSLSocket):
            sock.settimeout(0.05)
            data = sock.recv(1)
            sock.settimeout(None)
            return data == b""
        return sock.recv(1, socket.MSG_PEEK) == b""
    except (TimeoutError, ssl.SSLWantReadError):
        sock.settimeout(None)
        return False
    except OSError:
        return True


class Reader:
    """Requests of one connection."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""

    def _more(self):
        piece = self.sock.recv(262144)
        if not piece:
            raise Gone
        self.data += piece

    def _line(self):
        while b"\r\n" not in self.data:
            self._more()
        line, self.data = self.data.split(b"\r\n", 1)
        return line.decode("latin-1")

    def _exactly(self, count):
        pieces = [self.data]
        have = len(self.data)
        while have < count:
            piece = self.sock.recv(262144)
            if not piece:
                raise Gone
            pieces.append(piece)
            have += len(piece)
        self.data = b"".join(pieces)
        body, self.data = self.data[:count], self.data[count:]
        return body

    def _chunks(self):
        body = b""
        while True:
            size = int(self._line().split(";")[0], 16)
            body += self._exactly(size)
            self._line()
            if size == 0:
                return body

    def request(self):
        """The next request, or None at the connection's end."""
        try:
            first = self._line()
        except (Gone, OSError):
            return None
        method, target, version = first.split(" ")
        if version != "HTTP/1.1":
            raise ValueError(f"not HTTP/1.1: {first}")
        headers = {}
        while True:
            line = self._line()
            if not line:
                break
            key, _, value = line.partition(":")
            headers[key.strip().lower()] = value.strip()
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        return Request(method, target, headers, body)

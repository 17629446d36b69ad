"""HTTP load of our own: exact numbers of requests, an open loop, idle connections. wrk does the closed loop."""

import json
import re
import selectors
import socket
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from lib.children import now_us
from stack import StackError, find_program

DEPTH = 128  # requests on their way in one connection
LANES = 8


def connect(url):
    parts = urlsplit(url)
    s = socket.create_connection((parts.hostname, parts.port), timeout=60)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def request(path, body):
    return (f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


class Lane:
    """One connection on which answers are counted."""

    def __init__(self, url):
        self.sock, self.tail, self.waiting = connect(url), b"", 0

    def send(self, one, n):
        self.sock.sendall(one * n)
        self.waiting += n

    def read_all(self):
        while self.waiting > 0:
            data = self.sock.recv(1 << 18)
            if not data:
                raise StackError("the server hung up in the middle")
            text = self.tail + data
            if b"HTTP/1.1 4" in text or b"HTTP/1.1 5" in text:
                raise StackError(f"the server refused a job: {text[:200]!r}")
            self.waiting -= text.count(b"HTTP/1.1 202")
            self.tail = text[-11:]  # one byte less than what is counted


def pipelined(url, body, n, path="/v1/jobs"):
    """n requests, each answered with 202; a few connections, many requests on their way in each."""
    lanes, one = [Lane(url) for _ in range(min(LANES, n))], request(path, body)
    try:
        while n > 0:
            for lane in lanes:
                now = min(DEPTH, n)
                if now:
                    lane.send(one, now)
                    n -= now
            for lane in lanes:
                lane.read_all()
    finally:
        for lane in lanes:
            lane.sock.close()


def post(url, body, path="/v1/jobs"):
    """(status, bytes) of one request, on a connection of its own."""
    req = urllib.request.Request(url + path, data=body, method="POST", headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(req, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


WRK = 'wrk.method="POST"\nwrk.body=[==[{body}]==]\nwrk.headers["content-type"]="application/json"\n'


def wrk(bed, url, body, seconds, connections, path="/v1/jobs"):
    """Closed loop: each connection asks again as soon as it is answered. Gives (requests a second, requests)."""
    script = bed.dir / "post.lua"
    script.write_text(WRK.replace("{body}", body.decode()))
    argv = [find_program("wrk"), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), url + path]
    text = bed.children.run("wrk", argv)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: (.*)", text)
    if bad or errors:
        raise StackError(f"wrk {url}{path}: {bad.group(0) if bad else errors.group(0)}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)), int(re.search(r"(\d+) requests in", text).group(1))


class OpenLoop:
    """Requests at times fixed beforehand, whatever became of those before. One that finds no free connection opens another, so
    that no request waits for another's answer."""

    def __init__(self, url):
        self.url, self.free, self.busy = url, [], {}
        self.selector = selectors.DefaultSelector()
        self.due_of, self.rest = {}, {}

    def send(self, due, one):
        sock = self.free.pop() if self.free else None
        if sock is None:
            sock = connect(self.url)
            self.selector.register(sock, selectors.EVENT_READ)
        sock.sendall(one)
        self.busy[sock] = due

    def take(self, timeout_s):
        for key, _ in self.selector.select(timeout_s):
            sock = key.fileobj
            text = self.rest.pop(sock, b"") + sock.recv(65536)
            found = re.search(rb'"id":\s*"([0-9a-f-]{36})"', text)
            if not text.startswith(b"HTTP/1.1 202"):
                raise StackError(f"the server refused a job: {text[:200]!r}")
            if found is None:
                self.rest[sock] = text
                continue
            self.due_of[found.group(1).decode()] = self.busy.pop(sock)
            self.free.append(sock)

    def run(self, rate, seconds, body):
        """Gives {job id: when it was due, in µs of the monotonic clock}."""
        n, begin, one = max(1, round(rate * seconds)), now_us() + 50_000, request("/v1/jobs", body)
        sent = 0
        try:
            while sent < n or self.busy:
                due = begin + int(sent * 1e6 / rate)
                wait = due - now_us()
                if sent < n and wait <= 0:
                    self.send(due, one)
                    sent += 1
                    continue
                # The selector's clock has milliseconds: the last of the wait is slept, not polled.
                if self.busy:
                    self.take(0 if sent < n and wait < 1500 else 1 if sent >= n else wait / 1e6 - 0.001)
                if sent < n:
                    left = due - now_us()
                    if left > 0 and (not self.busy or left < 300):
                        time.sleep(min(left, 300 if self.busy else left) / 1e6)
        finally:
            for sock in [*self.free, *self.busy]:
                sock.close()
            self.selector.close()
        return self.due_of


def one_job(sock, one):
    """One request and its answer on a connection: (id, µs when the answer was there)."""
    sock.sendall(one)
    text = sock.recv(65536)
    at = now_us()
    if not text.startswith(b"HTTP/1.1 202"):
        raise StackError(f"the server refused a job: {text[:200]!r}")
    head, _, rest = text.partition(b"\r\n\r\n")
    if not rest:
        rest = sock.recv(65536)
    return json.loads(rest)["id"], at


def idle_connections(url, n, path="/healthz"):
    """n connections that were used once and stay open. The caller closes them."""
    socks = []
    get = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    try:
        for _ in range(n):
            s = connect(url)
            socks.append(s)
            s.sendall(get)
            if not s.recv(65536).startswith(b"HTTP/1.1 2"):
                raise StackError("a connection was refused")
    except BaseException:
        for s in socks:
            s.close()
        raise
    return socks


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

"""HTTP as bytes on a socket: for tests of what no well-behaved client library would send."""

import socket
import struct

WAIT_S = 60


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


class Raw:
    """One connection. Answers are read in order; what is left over stays in self.rest."""

    def __init__(self, stack, receive_buffer=None):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(WAIT_S)
        self.sock.connect(("127.0.0.1", int(stack.url.rsplit(":", 1)[1])))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data, step=None):
        """Sends all of it; step: that many bytes a packet."""
        if step is None:
            self.sock.sendall(data)
            return
        for at in range(0, len(data), step):
            self.sock.sendall(data[at:at + step])

    def more(self):
        data = self.sock.recv(65536)
        self.rest += data
        return bool(data)

    def answer(self, head=False):
        """The next answer; head: it answers HEAD, so it has no body."""
        while b"\r\n\r\n" not in self.rest:
            assert self.more(), f"closed before an answer came, after {self.rest!r}"
        top, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = top.decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ")[:2]
        assert version == "HTTP/1.1"
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            assert name.lower() not in headers, f"{name} stands twice"
            headers[name.lower()] = value.strip()
        status = int(status)
        if headers.get("transfer-encoding") == "chunked" and not head:
            return Answer(status, headers, self.chunks())
        length = 0 if head or status in (100, 204, 304) else int(headers["content-length"])
        while len(self.rest) < length:
            assert self.more(), "closed in the middle of an answer"
        body, self.rest = self.rest[:length], self.rest[length:]
        return Answer(status, headers, body)

    def take(self, end):
        """What comes before end, which is dropped."""
        while end not in self.rest:
            assert self.more(), "closed in the middle of an answer"
        found, self.rest = self.rest.split(end, 1)
        return found

    def chunks(self):
        body = b""
        while True:
            length = int(self.take(b"\r\n"), 16)
            while len(self.rest) < length + 2:
                assert self.more(), "closed in the middle of a chunk"
            body += self.rest[:length]
            assert self.rest[length:length + 2] == b"\r\n"
            self.rest = self.rest[length + 2:]
            if length == 0:
                return body

    def ask(self, data, **kw):
        self.send(data)
        return self.answer(**kw)

    def end(self):
        """What comes until the server closes; b"" after a clean end."""
        while self.more():
            pass
        return self.rest

    def hurry(self):
        """No slow reader any more."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def finish_sending(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Vanishes as a crashed client does: the server gets a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


def request(method, path, body=None, headers=(), version="1.1"):
    """The bytes of a well-formed request."""
    lines = [f"{method} {path} HTTP/{version}", "Host: test"]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    lines += headers
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"

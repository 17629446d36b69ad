"""The HTTP layer on a socket: what it refuses, how it frames, and what it holds at most."""

import json
import re
import resource
import select
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.raw import Raw, chunked, request

JSON = "Content-Type: application/json"
NOOP = b'{"type":"noop","args":{}}'
SMALL = {"HEAD_MAX": "4k", "HEADERS_MAX": 16, "BODY_MAX": "8k", "BODIES_MAX": "1m", "UPLOAD_MAX": "64k", "DEPTH_MAX": 6}
HASTY = {"HEAD_TIMEOUT": "300ms", "BODY_TIMEOUT": "300ms", "UPLOAD_TIMEOUT": "300ms", "IDLE_TIMEOUT": "300ms",
         "WRITE_TIMEOUT": "300ms", "UPLOAD_MAX": "1m"}


@pytest.fixture(scope="module")
def small(module_stacks):
    """An API with small limits."""
    return module_stacks.api_only(**SMALL)


@pytest.fixture(scope="module")
def hasty(module_stacks):
    """An API with short times."""
    return module_stacks.api_only(**HASTY)


def is_problem(answer, status):
    """An RFC 9457 document that tells the same status as the answer."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    body = json.loads(answer.body)
    assert body["status"] == status and body["type"] == "about:blank" and body["title"] and body["detail"], body
    return body


def refused(raw, status):
    """The answer is that problem, and the connection ends with it."""
    answer = raw.answer()
    body = is_problem(answer, status)
    assert answer.headers.get("connection") == "close", answer
    assert raw.end() == b""
    return body


def job_in(queue):
    return json.dumps({"type": "noop", "args": {}, "queue": queue}).encode()


def post(body=NOOP, headers=(), path="/v1/jobs", version="1.1"):
    return request("POST", path, body, (JSON, *headers), version)


def padded(size):
    return NOOP + b" " * (size - len(NOOP))


# --- limits


def head_of(size):
    begin = b"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Pad: "
    return begin + b"x" * (size - len(begin) - 4) + b"\r\n\r\n"


def test_a_head_of_head_max_is_taken_and_one_byte_more_is_not(small):
    with Raw(small) as raw:
        assert raw.ask(head_of(4096)).status == 200
        raw.send(head_of(4097))
        assert "HEAD_MAX" in refused(raw, 431)["detail"]


def test_a_head_that_never_ends_is_refused_at_head_max(small):
    with Raw(small) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Pad: " + b"x" * 4096)
        refused(raw, 431)


def test_headers_max_fields_are_taken_and_one_more_is_not(small):
    def fields(n):
        return request("GET", "/healthz", headers=[f"X-{i}: 1" for i in range(n - 1)])  # and Host
    with Raw(small) as raw:
        assert raw.ask(fields(16)).status == 200
        raw.send(fields(17))
        assert "HEADERS_MAX" in refused(raw, 431)["detail"]


def test_a_body_of_body_max_is_taken_and_one_byte_more_is_refused_before_it_is_sent(small):
    with Raw(small) as raw:
        assert raw.ask(post(padded(8192))).status == 202
        raw.send(b"POST /v1/jobs HTTP/1.1\r\nHost: test\r\nContent-Length: 8193\r\n\r\n")
        assert "BODY_MAX" in refused(raw, 413)["detail"]


def test_a_chunked_body_has_the_same_limit(small):
    head = request("POST", "/v1/jobs", headers=(JSON, "Transfer-Encoding: chunked"))
    with Raw(small) as raw:
        assert raw.ask(head + chunked(padded(8192)[:5000], padded(8192)[5000:])).status == 202
        raw.send(head + b"1388\r\n" + padded(5000) + b"\r\nffff\r\n" + b" " * 3193)
        assert "BODY_MAX" in refused(raw, 413)["detail"]


def test_bodies_held_at_once_have_a_limit_and_room_comes_back(small):
    held = []
    try:
        head = b"POST /v1/jobs HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 8000\r\n\r\n"
        told = []
        while not told:
            assert len(held) < 1000, "1000 bodies of 7000 bytes are held"
            held += [Raw(small) for _ in range(20)]
            for raw in held[-20:]:
                raw.send(head + b" " * 7000)
            assert small.client.metric("millrace_http_body_bytes") <= 1 << 20
            told = select.select([raw.sock for raw in held], [], [], 0)[0]
        assert len(held) > 100  # 1 MiB is more than a hundred of them
        for raw in held:
            if raw.sock in told:
                answer = raw.answer()
                is_problem(answer, 503)
                assert answer.headers["retry-after"] == "1"
    finally:
        for raw in held:
            raw.close()
    small.client.until(lambda: small.client.metric("millrace_http_body_bytes") == 0, "no body is held")
    assert small.post_json("/v1/jobs", {"type": "noop", "args": {}})[0] == 202


def test_json_as_deep_as_depth_max_is_taken_and_one_level_more_is_not(small):
    def nested(depth):  # the root and args are two of them
        return json.dumps({"type": "noop", "args": {"payload": "@"}}).replace('"@"', "[" * (depth - 2) + "]" * (depth - 2)).encode()
    with Raw(small) as raw:
        assert raw.ask(post(nested(6))).status == 202
        assert "deep" in is_problem(raw.ask(post(nested(7))), 400)["detail"]


def test_clients_over_the_limit_wait_until_one_leaves(stacks):
    stack = stacks.api_only(CONNECTIONS=10)
    stack.client.until(lambda: stack.client.connections() == 0, "the first client's end")
    inside = [Raw(stack) for _ in range(10)]
    for raw in inside:
        assert raw.ask(request("GET", "/healthz")).status == 200
    with Raw(stack) as eleventh, Raw(stack) as twelfth:
        eleventh.send(request("GET", "/healthz"))
        twelfth.send(request("GET", "/healthz"))
        for raw in inside:  # the API is alive and has had its turns
            assert raw.ask(request("GET", "/healthz")).status == 200
        assert select.select([eleventh.sock, twelfth.sock], [], [], 0)[0] == []
        inside[0].close()
        assert eleventh.answer().status == 200
        inside[1].close()
        assert twelfth.answer().status == 200
    for raw in inside:
        raw.close()


def test_a_head_has_a_deadline_that_a_drip_of_bytes_does_not_move(hasty):
    with Raw(hasty) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\n")
        for i in range(1000):
            if select.select([raw.sock], [], [], 0.02)[0]:
                break
            raw.send(b"X-%d: 1\r\n" % i if i < 40 else b"x")
        assert "HEAD_TIMEOUT" in refused(raw, 408)["detail"]


def test_a_body_has_a_deadline(hasty):
    with Raw(hasty) as raw:
        raw.send(b"POST /v1/jobs HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n{")
        assert "BODY_TIMEOUT" in refused(raw, 408)["detail"]


def test_an_upload_has_a_deadline_and_leaves_nothing(hasty):
    with Raw(hasty) as raw:
        raw.send(b"POST /v1/uploads HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n" + b"x" * 70000)
        assert "UPLOAD_TIMEOUT" in refused(raw, 408)["detail"]
    hasty.client.until(lambda: not hasty.client.files("blobs", "uploads"), "an empty directory")


def test_an_idle_connection_is_closed_without_a_word(hasty):
    with Raw(hasty) as raw:
        assert raw.end() == b""
    with Raw(hasty) as raw:
        assert raw.ask(request("GET", "/healthz")).status == 200
        assert raw.end() == b""
    with Raw(hasty) as raw:
        raw.send(b"\r\n\r\n\r")  # empty lines are no request
        assert raw.end() == b""


def test_a_client_that_takes_nothing_of_its_answers_is_given_up(hasty):
    with Raw(hasty, receive_buffer=4096) as raw:
        raw.sock.setblocking(False)
        try:
            for _ in range(100):
                raw.sock.send(request("GET", "/metrics") * 100)
        except BlockingIOError:
            pass
        hasty.client.until(lambda: hasty.client.connections() == 0, "the end of the connection")


# --- what no request may look like


FOLLOW = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"
H = b"Host: test\r\n"
POST = b"POST /v1/jobs HTTP/1.1\r\n" + H
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED_HEADS = {
    "content-length and transfer-encoding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding and content-length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 37\r\n\r\n",
    "two equal lengths": POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 0, 0\r\n\r\n",
    "a length with a plus": POST + b"Content-Length: +0\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length in hex": POST + b"Content-Length: 0x0\r\n\r\n",
    "a length with an underscore": POST + b"Content-Length: 0_0\r\n\r\n",
    "a length with a space inside": POST + b"Content-Length: 0 0\r\n\r\n",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "a length of 2^64": POST + b"Content-Length: 18446744073709551616\r\n\r\n",
    "a length of 2^64-1": POST + b"Content-Length: 18446744073709551615\r\n\r\n",
    "a length with a letter": POST + b"Content-Length: 5a\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "comma chunked": POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "chunked comma": POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    "chunked then identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "gzip": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "gzip then chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two transfer-encodings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "gzip and chunked in two fields": POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and identity in two fields": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "an empty transfer-encoding beside a length": POST + b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "an empty transfer-encoding": POST + b"Transfer-Encoding:\r\n\r\n",
    "a quoted transfer-encoding": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "transfer-encoding on HTTP/1.0": b"POST /v1/jobs HTTP/1.0\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "a space before another colon": b"GET / HTTP/1.1\r\nHost : test\r\n\r\n",
    "a space inside a name": POST + b"Transfer Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a control byte before a name": POST + b"\x0bTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded length": POST + b"Content-Length:\r\n 5\r\n\r\n",
    "a folded transfer-encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded field": b"GET / HTTP/1.1\r\n" + H + b"X: a\r\n\tb\r\n\r\n",
    "a field before the first": b"GET / HTTP/1.1\r\n X: a\r\n" + H + b"\r\n",
    "LF alone after the request line": b"GET / HTTP/1.1\nHost: test\r\n\r\n",
    "LF alone after a field": b"GET / HTTP/1.1\r\nHost: test\nX: y\r\n\r\n",
    "LF alone at the end": b"GET / HTTP/1.1\r\nHost: test\r\n\n",
    "LF alone everywhere": b"GET / HTTP/1.1\nHost: test\n\n",
    "CR alone after a field": b"GET / HTTP/1.1\r\nHost: test\rX: y\r\n\r\n",
    "CR alone at the end of a field": b"GET / HTTP/1.1\r\nHost: test\r\r\n\r\n",
    "CR CR LF at the end": b"GET / HTTP/1.1\r\nHost: test\r\n\r\r\n",
    "CR LF CR X at the end": b"GET / HTTP/1.1\r\nHost: test\r\n\rX\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: te\0st\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\n" + H + b"X\0: a\r\n\r\n",
    "a control byte in a value": b"GET / HTTP/1.1\r\n" + H + b"X: a\x01b\r\n\r\n",
    "a DEL in a value": b"GET / HTTP/1.1\r\n" + H + b"X: a\x7fb\r\n\r\n",
    "an empty name": b"GET / HTTP/1.1\r\n" + H + b": x\r\n\r\n",
    "a colon alone": b"GET / HTTP/1.1\r\n" + H + b":\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\n" + H + b"nothing\r\n\r\n",
    "a name that is no token": b"GET / HTTP/1.1\r\n" + H + b"X@Y: z\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + H + H + b"\r\n",
    "two different hosts": b"GET / HTTP/1.1\r\n" + H + b"Host: other\r\n\r\n",
    "a host that is none": b"GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/0.9 in full": b"GET / HTTP/0.9\r\n" + H + b"\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n" + H + b"\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\n" + H + b"\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\n" + H + b"\r\n",
    "HTTP/1.10": b"GET / HTTP/1.10\r\n" + H + b"\r\n",
    "HTTP/01.1": b"GET / HTTP/01.1\r\n" + H + b"\r\n",
    "http in small letters": b"GET / http/1.1\r\n" + H + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "RTSP": b"DESCRIBE / RTSP/1.0\r\n" + H + b"\r\n",
    "ICE": b"SOURCE / ICE/1.0\r\n" + H + b"\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\n" + H + b"\r\n",
    "CONNECT": b"CONNECT test:80 HTTP/1.1\r\n" + H + b"\r\n",
    "an unknown method": b"BREW /pot HTTP/1.1\r\n" + H + b"\r\n",
    "a method in small letters": b"get / HTTP/1.1\r\n" + H + b"\r\n",
    "an absolute target": b"GET http://test/healthz HTTP/1.1\r\n" + H + b"\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n",
    "two slashes": b"GET //healthz HTTP/1.1\r\n" + H + b"\r\n",
    "dots": b"GET /v1/../healthz HTTP/1.1\r\n" + H + b"\r\n",
    "dots at the end": b"GET /v1/jobs/.. HTTP/1.1\r\n" + H + b"\r\n",
    "escaped dots": b"GET /v1/%2e%2e/healthz HTTP/1.1\r\n" + H + b"\r\n",
    "an escaped slash": b"GET /v1%2fjobs HTTP/1.1\r\n" + H + b"\r\n",
    "an escaped NUL": b"GET /healthz%00 HTTP/1.1\r\n" + H + b"\r\n",
    "a bad escape": b"GET /healthz%zz HTTP/1.1\r\n" + H + b"\r\n",
    "a backslash": b"GET /v1\\jobs HTTP/1.1\r\n" + H + b"\r\n",
    "a fragment": b"GET /healthz#x HTTP/1.1\r\n" + H + b"\r\n",
    "a space in the target": b"GET /heal thz HTTP/1.1\r\n" + H + b"\r\n",
    "a tab in the target": b"GET /heal\tthz HTTP/1.1\r\n" + H + b"\r\n",
    "eight bits in the target": "GET /é HTTP/1.1\r\n".encode() + H + b"\r\n",
    "eight bits in the query": "GET /v1/jobs?é HTTP/1.1\r\n".encode() + H + b"\r\n",
    "a tab after the method": b"GET\t/healthz HTTP/1.1\r\n" + H + b"\r\n",
    "two spaces": b"GET  /healthz HTTP/1.1\r\n" + H + b"\r\n",
    "a space after the version": b"GET /healthz HTTP/1.1 \r\n" + H + b"\r\n",
    "a space before the request": b" GET /healthz HTTP/1.1\r\n" + H + b"\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a body where none belongs": b"GET /healthz HTTP/1.1\r\n" + H + b"Content-Length: 37\r\n\r\n",
    "folding behind many empty lines": b"\r\n" * 7 + b"GET / HTTP/1.1\r\n" + H + b"X: a\r\n b\r\n\r\n",
    "a bad name behind many empty lines": b"\r\n" * 5 + POST + b"Transfer Encoding: chunked\r\n\r\n",
}
REFUSED_BODIES = {
    "a size with 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size with a plus": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "a negative size": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "a size with an underscore": CHUNKED + b"0_5\r\nhello\r\n0\r\n\r\n",
    "a space before the size": CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n",
    "a space after the size": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "no size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "a size of 2^64": CHUNKED + b"10000000000000000\r\nhello\r\n0\r\n\r\n",
    "a size of 2^64-1": CHUNKED + b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "LF alone after the size": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "CR CR LF after the size": CHUNKED + b"5\r\r\nhello\r\n0\r\n\r\n",
    "LF alone after the data": CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    "nothing after the data": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "data longer than its size": CHUNKED + b"5\r\nhello!!\r\n0\r\n\r\n",
    "CR in an extension": CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "LF in an extension": CHUNKED + b"5;a\nhello\r\n0\r\n\r\n",
    "LF alone at the end": CHUNKED + b"5\r\nhello\r\n0\r\n\n",
    "a trailer with a space in its name": CHUNKED + b"0\r\nTransfer Encoding: chunked\r\n\r\n",
    "a folded trailer": CHUNKED + b"0\r\nX: a\r\n b\r\n\r\n",
    "a trailer without a colon": CHUNKED + b"0\r\nnothing\r\n\r\n",
    "LF alone after a trailer": CHUNKED + b"0\r\nX: a\n\r\n",
    "NUL in a trailer": CHUNKED + b"0\r\nX: a\0b\r\n\r\n",
    "CR CR LF after the trailers": CHUNKED + b"0\r\nX: a\r\n\r\r\n",
}


@pytest.mark.parametrize("name", REFUSED_HEADS)
def test_a_head_that_two_parsers_could_read_differently_is_refused_and_nothing_after_it_is_served(small, name):
    with Raw(small) as raw:
        raw.send(REFUSED_HEADS[name] + FOLLOW)
        answer = raw.answer()
        assert answer.status in (400, 413, 501, 505), answer
        is_problem(answer, answer.status)
        assert answer.headers["connection"] == "close"
        assert raw.end() == b""


@pytest.mark.parametrize("name", REFUSED_BODIES)
def test_a_body_that_two_parsers_could_read_differently_is_refused_and_nothing_after_it_is_served(small, name):
    with Raw(small) as raw:
        raw.send(REFUSED_BODIES[name] + FOLLOW)
        answer = raw.answer()
        assert answer.status in (400, 413), answer
        is_problem(answer, answer.status)
        assert raw.end() == b""


def test_the_verdict_is_the_same_for_bytes_that_come_one_by_one(small):
    for name in ("two lengths", "CR LF CR X at the end", "a folded length", "LF alone at the end", "no host", "HTTP/0.9"):
        with Raw(small) as raw:
            for i in range(len(REFUSED_HEADS[name])):
                raw.send(REFUSED_HEADS[name][i:i + 1])
                if select.select([raw.sock], [], [], 0)[0]:
                    break
            assert raw.answer().status == 400, name
            assert raw.end() == b"", name


@pytest.mark.parametrize("framing", [b"5;" + b"x" * 200000, b"0\r\nX: " + b"y" * 200000, b"0\r\n" + b"X: y\r\n" * 30000],
                         ids=["extension", "trailer", "trailers"])
def test_extensions_and_trailers_cannot_be_sent_for_ever(small, framing):
    with Raw(small) as raw:
        try:
            raw.send(CHUNKED + framing)
        except OSError:
            pass  # it is refused while it is sent
        answer = raw.answer()
        is_problem(answer, answer.status)
        assert answer.status in (400, 431)


# --- what a request may look like


def test_twenty_requests_in_one_write_are_answered_in_order(small):
    with Raw(small) as raw:
        raw.send(b"".join(post(job_in(f"q{i}")) for i in range(20)))
        assert [json.loads(raw.answer().body)["queue"] for _ in range(20)] == [f"q{i}" for i in range(20)]


def mixed(n):
    """Requests whose answers come at once and later, by status."""
    kinds = [(post(), 202), (request("GET", "/healthz"), 200), (request("POST", "/v1/uploads", b"some bytes"), 201),
             (request("GET", "/nowhere"), 404), (request("DELETE", "/v1/jobs"), 405), (post(b"{}"), 422),
             (request("POST", "/v1/jobs", headers=(JSON, "Transfer-Encoding: chunked")) + chunked(NOOP[:3], NOOP[3:]), 202)]
    return [kinds[i % len(kinds)] for i in range(n)]


@pytest.mark.parametrize("step", [None, 1, 7])
def test_requests_of_all_kinds_in_any_slices_are_answered_in_order(small, step):
    with Raw(small) as raw:
        raw.send(b"".join(data for data, _ in mixed(20)), step)
        assert [raw.answer().status for _ in range(20)] == [status for _, status in mixed(20)]


def test_more_requests_than_the_input_buffer_holds_are_all_answered(small):
    n = 3000
    with Raw(small) as raw, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(raw.send, request("GET", "/healthz") * n)
        for _ in range(n):
            assert raw.answer().status == 200
        sending.result()


def test_an_http_1_0_client_gets_one_answer_unless_it_asks_for_more(small):
    with Raw(small) as raw:
        answer = raw.ask(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert raw.end() == b""
    with Raw(small) as raw:
        for _ in range(2):
            answer = raw.ask(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")


def test_connection_close_is_honoured_and_said(small):
    with Raw(small) as raw:
        raw.send(request("GET", "/healthz", headers=("Connection: close",)) + FOLLOW)
        answer = raw.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert raw.end() == b""


@pytest.mark.parametrize("path", ["/healthz", "/v1/jobs/x", "/nowhere", "/metrics"])
def test_head_is_get_without_the_body(small, path):
    with Raw(small) as raw:
        get = raw.ask(request("GET", path))
        head = raw.ask(request("HEAD", path), head=True)
        assert head.status == get.status and head.headers.keys() == get.headers.keys()
        if path != "/metrics":
            assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))
        assert raw.ask(FOLLOW).status == 200  # nothing of a body stands before it


def test_a_client_that_waits_for_100_continue_gets_it(small):
    head = request("POST", "/v1/jobs", headers=(JSON, f"Content-Length: {len(NOOP)}", "Expect: 100-continue"))
    with Raw(small) as raw:
        assert raw.ask(head).status == 100
        assert raw.ask(NOOP).status == 202
        assert raw.ask(head + NOOP).status == 202  # it did not wait, so there is nothing to say


def test_a_body_that_is_too_large_is_refused_instead_of_asked_for(small):
    with Raw(small) as raw:
        raw.send(b"POST /v1/jobs HTTP/1.1\r\nHost: test\r\nContent-Length: 9000\r\nExpect: 100-continue\r\n\r\n")
        refused(raw, 413)


def test_http_1_0_knows_no_100_continue(small):
    head = f"POST /v1/jobs HTTP/1.0\r\n{JSON}\r\nContent-Length: {len(NOOP)}\r\nExpect: 100-continue\r\n\r\n"
    with Raw(small) as raw:
        raw.send(head.encode())
        assert raw.ask(NOOP).status == 202


def test_chunks_of_any_size_with_extensions_and_trailers_make_one_body(small):
    body = (b"1\r\n{\r\n" + b"A;name=\"a b\"\r\n" + NOOP[1:11] + b"\r\n" + b"00%x\r\n" % len(NOOP[11:]) + NOOP[11:]
            + b"\r\n000;last\r\nX-Sum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    for step in (None, 1):
        with Raw(small) as raw:
            raw.send(request("POST", "/v1/jobs", headers=(JSON, "transfer-encoding: Chunked")) + body + FOLLOW, step)
            assert raw.answer().status == 202
            assert raw.answer().status == 200


@pytest.mark.parametrize("n", [1, 4, 5, 100])
def test_empty_lines_before_a_request_are_passed_over(small, n):
    for step in (None, 1, 3):
        with Raw(small) as raw:
            raw.send(b"\r\n" * n + FOLLOW + b"\r\n" * n + FOLLOW, step)
            assert raw.answer().status == 200
            assert raw.answer().status == 200


def test_an_offer_to_change_the_protocol_is_passed_over(small):
    with Raw(small) as raw:
        raw.send(request("GET", "/healthz", headers=("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"))
                 + FOLLOW)
        assert raw.answer().status == 200
        assert raw.answer().status == 200


def test_a_client_that_half_closes_gets_the_answers_to_all_its_requests(small):
    with Raw(small) as raw:
        raw.send(b"".join(data for data, _ in mixed(14)))
        raw.finish_sending()
        assert [raw.answer().status for _ in range(14)] == [status for _, status in mixed(14)]
        assert raw.end() == b""


@pytest.mark.parametrize("half", [b"", b"\r\n", b"GET /healthz HTT", FOLLOW[:-2], post()[:-1], CHUNKED + b"5\r\nhel"],
                         ids=["nothing", "empty line", "request line", "head", "body", "chunk"])
def test_a_client_that_half_closes_in_the_middle_gets_no_answer_but_an_end(small, half):
    with Raw(small) as raw:
        raw.send(half)
        raw.finish_sending()
        assert raw.end() == b""


PHASES = {
    "before a byte": b"",
    "in a head": b"POST /v1/jobs HTTP/1.1\r\nHo",
    "before a body": b"POST /v1/jobs HTTP/1.1\r\nHost: test\r\nContent-Length: 5000\r\n\r\n",
    "in a body": b"POST /v1/jobs HTTP/1.1\r\nHost: test\r\nContent-Length: 5000\r\n\r\n" + b" " * 4000,
    "in a chunk": CHUNKED + b"fff\r\n" + b" " * 100,
    "in an upload": b"POST /v1/uploads HTTP/1.1\r\nHost: test\r\nContent-Length: 60000\r\n\r\n" + b"x" * 50000,
    "after a request": post(),
    "after an upload": request("POST", "/v1/uploads", b"x" * 60000),
    "after many requests": post() * 50 + request("GET", "/metrics") * 50,
}


@pytest.mark.parametrize("leave", ["reset", "close"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_client_that_vanishes_leaves_nothing(small, phase, leave):
    for _ in range(10):
        raw = Raw(small)
        raw.send(PHASES[phase])
        getattr(raw, leave)()
    client = small.client
    client.until(lambda: client.connections() == 0, "the end of its connections")
    client.until(lambda: client.metric("millrace_http_body_bytes") == 0, "the end of its bodies")
    client.until(lambda: not [p for p in client.files("blobs", "uploads") if p.suffix == ".part"], "the end of its uploads")


# --- the answers that every request may get


def test_an_answer_carries_the_time(small):
    with Raw(small) as raw:
        date = raw.ask(FOLLOW).headers["date"]
    assert abs(time.time() - time.mktime(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT")) + time.timezone) < 60


def test_a_path_that_is_not_there_is_404_and_a_method_that_is_not_there_405_with_the_right_ones(small):
    with Raw(small) as raw:
        is_problem(raw.ask(request("GET", "/v2/jobs")), 404)
        answer = raw.ask(request("PATCH", "/v1/jobs"))
        is_problem(answer, 405)
        assert answer.headers["allow"] == "POST, GET, HEAD"
        assert raw.ask(FOLLOW).status == 200


def test_a_body_sent_to_nowhere_is_not_taken_for_a_request(small):
    with Raw(small) as raw:
        raw.send(request("PUT", "/v1/jobs", FOLLOW) + FOLLOW)
        refused(raw, 405)
    with Raw(small) as raw:
        raw.send(request("POST", "/nowhere", FOLLOW) + FOLLOW)
        refused(raw, 404)


SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?\d+(?:\.\d+)?(?:e[+-]\d+)?|\+Inf|NaN)$')


def test_metrics_are_prometheus_text(small):
    status, headers, body = small.get("/metrics")
    assert status == 200 and headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    types, seen = {}, set()
    for line in body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types and kind in ("counter", "gauge", "histogram")
            types[name] = kind
        elif not line.startswith("# HELP "):
            name, labels, _ = SAMPLE.match(line).groups()
            family = re.sub("_(bucket|sum|count)$", "", name)
            assert types.get(family if types.get(family) == "histogram" else name), line
            assert (name, labels) not in seen, f"{line} stands twice"
            seen.add((name, labels))
    assert types["millrace_http_requests_total"] == "counter" and types["millrace_http_request_seconds"] == "histogram"


def test_requests_are_counted_by_the_class_of_their_status(small):
    def counts():
        return [small.client.metric("millrace_http_requests_total", code=f"{i}xx") for i in (2, 4, 5)]
    before = counts()
    small.get("/nowhere")
    small.get("/healthz")
    after = counts()
    assert [a - b for a, b in zip(after, before)] == [4, 1, 0]  # counts() asks three times


# --- Redis that fails


def test_readiness_names_the_dependency_that_is_down(stacks):
    stack = stacks(start=False)
    stack.start_services()
    stack.start_api()
    client = stack.client

    def checks():
        status, _, body = stack.get("/readyz")
        return status, json.loads(body)["status"], json.loads(body)["checks"]

    well = {"redis": "ok", "postgres": "ok", "schema": "ok"}
    client.until(lambda: checks() == (200, "ok", well), "readiness")
    stack.pg.stop()
    client.until(lambda: checks() == (200, "ok", {**well, "postgres": "down"}), "the news of PostgreSQL")
    stack.redis.stop()
    client.until(lambda: checks() == (503, "unavailable", {**well, "postgres": "down", "redis": "down"}), "the news of Redis")
    assert stack.get("/healthz")[0] == 200  # the process itself is well
    began = time.monotonic()
    status, headers, body = stack.post_json("/v1/jobs", {"type": "noop", "args": {}})
    assert status == 503 and headers["retry-after"] == "1" and body["status"] == 503
    status, headers, _ = stack.get("/v1/jobs/0192f0c1-2345-7abc-8def-0123456789ab")
    assert status == 503 and headers["retry-after"] == "1"
    for path in ("/v1/jobs", "/v1/jobs?state=queued", "/v1/queues", "/v1/workers",
                 "/v1/jobs/0192f0c1-2345-7abc-8def-0123456789ab/outputs/a"):
        assert stack.get(path)[0] == 503, path
    assert time.monotonic() - began < 4, "an answer has waited for what is down"
    stack.redis.start()
    stack.pg.start()
    client.until(lambda: checks() == (200, "ok", well), "readiness")
    client.noop()


def test_a_schema_that_is_missing_is_told(stacks):
    stack = stacks(start=False)
    stack.redis.start()
    stack.pg.start()
    stack.pg.create_database()
    stack.start_api()
    stack.client.until(lambda: "migrate" in json.loads(stack.get("/readyz")[2])["checks"]["schema"], "the news of the schema")
    assert stack.get("/v1/jobs")[0] == 503


def test_while_redis_stands_still_memory_is_bounded_and_clients_are_told_to_come_again(stacks):
    stack = stacks.api_only(REDIS_TIMEOUT="1s", BODIES_MAX="16m")
    client = stack.client
    body = json.dumps({"type": "noop", "args": {"payload": "x" * 200000}}).encode()
    before = client.memory()
    stack.redis.process.send(signal.SIGSTOP)
    try:
        def load(_):
            with Raw(stack) as raw:
                return [raw.ask(post(body)) for _ in range(40)]
        with ThreadPoolExecutor(32) as pool:
            answers = [a for some in pool.map(load, range(32)) for a in some]
        peak = client.memory("VmHWM")
    finally:
        stack.redis.process.send(signal.SIGCONT)
    assert len(answers) == 32 * 40
    for answer in answers:
        is_problem(answer, 503)
        assert answer.headers["retry-after"] == "1"
    if not client.sanitized():
        assert peak - before < 200 << 20, f"{(peak - before) >> 20} MB while 250 MB were sent"
    client.until(lambda: stack.get("/readyz")[0] == 200, "readiness")
    client.until(lambda: client.metric("millrace_http_body_bytes") == 0, "no body is held")
    client.noop()


# --- the end


def test_requests_under_way_are_answered_before_the_end(stacks):
    stack = stacks.api_only()
    half = post()[:-5]
    with Raw(stack) as body, Raw(stack) as head, Raw(stack) as idle, Raw(stack) as waiting:
        body.send(half)
        head.send(b"GET /readyz HTTP/1.1\r\nHost: test\r\n")
        assert idle.ask(FOLLOW).status == 200
        stack.redis.process.send(signal.SIGSTOP)
        waiting.send(post())
        stack.client.until(lambda: stack.client.connections() == 4, "all four")
        stack.api.ask()
        assert idle.end() == b""
        body.send(post()[-5:])
        head.send(b"\r\n")
        answer = head.answer()
        assert (answer.status, json.loads(answer.body)["status"], answer.headers["connection"]) == (503, "draining", "close")
        stack.redis.process.send(signal.SIGCONT)
        for raw in (body, waiting):
            answer = raw.answer()
            assert (answer.status, answer.headers["connection"]) == (202, "close")
            assert raw.end() == b""
    assert stack.api.wait() == 0


def test_what_does_not_end_is_cut_off_when_the_drain_is_over(stacks):
    stack = stacks.api_only(DRAIN="300ms")
    with Raw(stack) as body, Raw(stack) as upload:
        body.send(post()[:-5])
        upload.send(b"POST /v1/uploads HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n" + b"x" * 70000)
        stack.client.until(lambda: stack.client.files("blobs", "uploads"), "the upload's file")
        stack.api.ask()
        assert stack.api.wait() == 0
        assert body.end() == b"" and upload.end() == b""
    assert stack.client.files("blobs", "uploads") == []


def test_a_second_start_on_the_same_socket_path_replaces_a_dead_one_but_not_a_living_one(stacks):
    stack = stacks.api_only()
    path = stack.sockets / "api.sock"

    def start():
        log = open(stack.dir / "log/second.log", "ab")
        return subprocess.Popen([str(stack.build / "millrace-api")], env=stack.env(LISTEN=f"unix:{path}"), stderr=log, stdout=log)

    first = start()
    stack.client.until(path.exists, "the socket")
    stack.client.until(lambda: stack.client.events("second", "http.listening"), "listening")
    second = start()
    assert second.wait(60) == 78  # EX_CONFIG
    first.send_signal(signal.SIGKILL)
    first.wait()
    third = start()
    stack.client.until(lambda: len(stack.client.events("second", "http.listening")) == 2, "listening")
    third.terminate()
    assert third.wait(60) == 0


# --- memory


def test_an_idle_connection_costs_little(stacks):
    stack = stacks.api_only()
    if stack.client.sanitized():
        pytest.skip("a sanitizer's own memory says nothing")
    n = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < n + 200:
        pytest.skip(f"only {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n + 200), hard))
    idle = []
    try:
        with Raw(stack) as warm:
            for _ in range(100):
                warm.ask(post())
        before = stack.client.memory()
        for _ in range(n):
            raw = Raw(stack)
            assert raw.ask(post(headers=("User-Agent: test", "Accept: */*"))).status == 202
            idle.append(raw)
        each = (stack.client.memory() - before) / n
    finally:
        for raw in idle:
            raw.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"{each:.0f} bytes a connection")
    assert each < 24 * 1024

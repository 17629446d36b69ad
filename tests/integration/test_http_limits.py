"""The HTTP layer on a socket: what it holds at most, how long it waits, and what a connection costs."""

import json
import resource
import select

import pytest

from support.http import JSON, SMALL, is_problem, padded, post, refused
from support.raw import Raw, chunked, request

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

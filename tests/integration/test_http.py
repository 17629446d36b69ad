"""The HTTP layer on a socket: what a request may look like, and the answers that every one may get."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.http import CHUNKED, FOLLOW, JSON, NOOP, SMALL, is_problem, job_in, post, refused
from support.raw import Raw, chunked, request


@pytest.fixture(scope="module")
def small(module_stacks):
    """An API with small limits."""
    return module_stacks.api_only(**SMALL)


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

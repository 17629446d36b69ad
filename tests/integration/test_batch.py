"""Many jobs in one request: the JSON form with its verdicts in order, and the stream of lines."""

import http.client
import json
import socket
import threading

import pytest

from integration.test_intake import NOOP, api, caps, post, queue_info  # noqa: F401: api is a fixture
from support.raw import Raw, request

BATCH = "/v1/jobs/batch"


def batch(stack, jobs, key=None, **more):
    return post(stack, {"jobs": jobs, **more}, key=key, path=BATCH)


class Lines:
    """A stream of lines by hand: what is sent and what is read are separate."""

    def __init__(self, stack, *headers):
        self.socket = socket.create_connection(("127.0.0.1", int(stack.url.rsplit(":", 1)[1])))
        self.socket.settimeout(60)
        fields = ("Host: x", "Content-Type: application/x-ndjson", "Transfer-Encoding: chunked", *headers)
        self.socket.sendall(f"POST {BATCH} HTTP/1.1\r\n".encode() + "".join(f + "\r\n" for f in fields).encode() + b"\r\n")
        self.response = None

    def send(self, data):
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self.socket.sendall(b"0\r\n\r\n")

    def read(self):
        """One line of the answer, parsed; None at its end."""
        if self.response is None:
            self.response = http.client.HTTPResponse(self.socket, method="POST")
            self.response.begin()
        line = self.response.readline()
        return json.loads(line) if line else None

    def rest(self):
        return list(iter(self.read, None))

    def close(self):
        if self.response:
            self.response.close()
        self.socket.close()


def send_lines(stack, data, *headers):
    """All at once, with a Content-Length; the verdicts in the order of the lines, and the sum."""
    with Raw(stack) as raw:
        answer = raw.ask(request("POST", BATCH, data, ("Content-Type: application/x-ndjson", *headers)))
    assert answer.status == 200, answer.body
    *verdicts, total = [json.loads(line) for line in answer.body.splitlines()]
    return sorted(verdicts, key=lambda v: v["line"]), total


def line(**more):
    return json.dumps({**NOOP, **more}).encode() + b"\n"


# --- JSON


def test_each_job_has_a_verdict_in_its_place(api):
    jobs = [{**NOOP, "queue": "b1"}, {"type": "nope", "args": {}}, {**NOOP, "queue": "b1", "unique": {"key": "u"}},
            {**NOOP, "queue": "b1", "unique": {"key": "u"}}, {**NOOP, "queue": "b2", "priority": "x"}, 7]
    status, head, body = batch(api, jobs)
    assert (status, body["accepted"], body["rejected"]) == (200, 2, 4)
    results = body["results"]
    assert [r["status"] for r in results] == [202, 422, 202, 409, 422, 400]
    assert results[1]["error"]["pointer"] == "/type" and results[4]["error"]["pointer"] == "/priority"
    assert results[3]["error"]["job"] == results[2]["id"]
    assert api.client.job(results[0]["id"])["state"] == "queued"
    assert queue_info(api, "b1")["waiting"] == 2 and queue_info(api, "b2") is None
    status, _, body = batch(api, [{**NOOP, "queue": "b3"}] * 1000)
    assert (status, body["accepted"], len({r["id"] for r in body["results"]})) == (202, 1000, 1000)
    assert queue_info(api, "b3")["waiting"] == 1000


def test_an_atomic_batch_is_taken_whole_or_not_at_all(api):
    jobs = [{**NOOP, "queue": "atom"}, {"type": "nope", "args": {}}]
    status, _, problem = batch(api, jobs, atomic=True)
    assert status == 422 and [r["status"] for r in problem["results"]] == [424, 422]
    assert (problem["accepted"], problem["rejected"]) == (0, 2)
    assert queue_info(api, "atom") is None
    assert batch(api, jobs[:1] * 3, atomic=True)[0] == 202


@pytest.mark.parametrize("body,status,part", [
    (b"{", 400, "JSON"), (b"[]", 422, "object"), (b"{}", 422, "/jobs"), (b'{"jobs":[]}', 422, "1 to 1000"),
    (b'{"jobs":{}}', 422, "/jobs"), (b'{"jobs":[{}],"atomic":1}', 422, "/atomic"), (b'{"jobs":[{}],"more":1}', 422, "not known"),
    (json.dumps({"jobs": [NOOP] * 1001}).encode(), 422, "1 to 1000"), (b" " * 4194305, 413, "BATCH_BODY_MAX"),
    (b'{"jobs":[' + b"[" * 18 + b"]" * 18 + b"]}", 400, "nested")])
def test_a_batch_that_is_none(api, body, status, part):
    got, _, problem = post(api, None, path=BATCH, body=body)
    assert got == status and part in problem["detail"], problem


def test_one_job_may_be_as_deep_as_it_may_be_alone(api):
    deep = {"type": "noop", "args": {"payload": json.loads("[" * 14 + "]" * 14)}, "queue": "deep"}
    deeper = {**deep, "args": {"payload": [deep["args"]["payload"]]}}
    assert post(api, deep)[0] == 202 and post(api, deeper)[0] == 400
    assert batch(api, [deep])[0] == 202
    assert [r["status"] for r in batch(api, [deep, NOOP, {**NOOP, "args": {"payload": [0] * 10000}}])[2]["results"]] == \
        [202, 202, 413]


def test_a_batch_with_a_key_is_answered_the_same_again(api):
    jobs = [{**NOOP, "queue": "bkey"}, {"type": "nope", "args": {}}, {**NOOP, "queue": "bkey", "priority": "low"}]
    status, head, body = batch(api, jobs, key="b1")
    assert status == 200 and "idempotency-replayed" not in head
    again = batch(api, jobs, key="b1")
    assert (again[0], again[2], again[1]["idempotency-replayed"]) == (200, body, "true")
    assert queue_info(api, "bkey")["waiting"] == 2
    assert batch(api, jobs[:1], key="b1")[0] == 422
    assert post(api, jobs[0], key="b1")[0] == 422, "another path"


def test_caps_hold_in_a_batch(api):
    assert caps(api, "bcap", jobs=100)[0] == 204
    status, _, body = batch(api, [{**NOOP, "queue": "bcap"}] * 150)
    assert (status, body["accepted"]) == (200, 100)
    assert [r["status"] for r in body["results"]] == [202] * 100 + [429] * 50
    assert body["results"][-1]["error"]["cap"] == "jobs" and body["results"][-1]["error"]["retry_after"] >= 1


# --- lines


def test_each_line_has_a_verdict_with_its_number(api):
    data = line(queue="l1") + b"\r\n\n" + b"{\n" + line(type="nope") + line(queue="l1", unique={"key": "a"}) + \
        line(queue="l1", unique={"key": "a", "policy": "keep"}) + b'"' + b"x" * 262144 + b'"\n' + line(queue="l1").rstrip()
    verdicts, total = send_lines(api, data)
    assert [(v["line"], v["status"]) for v in verdicts] == [(1, 202), (4, 400), (5, 422), (6, 202), (7, 200), (8, 413), (9, 202)]
    assert verdicts[2]["error"]["pointer"] == "/type" and "LINE_MAX" in verdicts[5]["error"]["detail"]
    assert verdicts[4]["kept"] and verdicts[4]["id"] == verdicts[3]["id"]
    assert total == {"done": True, "lines": 9, "accepted": 4, "rejected": 3}
    assert queue_info(api, "l1")["waiting"] == 3


def test_a_stream_of_nothing(api):
    for data in (b"", b"\n\n"):
        verdicts, total = send_lines(api, data)
        assert verdicts == [] and total["accepted"] == 0 and total["done"]


def test_a_connection_lives_on_after_a_short_stream(api):
    with Raw(api) as raw:
        for _ in range(3):
            answer = raw.ask(request("POST", BATCH, line(queue="l2"), ("Content-Type: application/jsonl",)))
            assert answer.status == 200 and answer.body.count(b"\n") == 2


def test_http_1_0_gets_no_chunks(api):
    data = line(queue="l3")
    with socket.create_connection(("127.0.0.1", int(api.url.rsplit(":", 1)[1]))) as s:
        s.sendall(b"POST %s HTTP/1.0\r\ncontent-type: application/x-ndjson\r\ncontent-length: %d\r\n\r\n" % (BATCH.encode(), len(data)) + data)
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b"transfer-encoding" not in head
    assert [json.loads(x).get("status") for x in body.splitlines()] == [202, None]


def test_verdicts_come_while_the_stream_goes_on(api):
    lines = Lines(api)
    for n in range(1, 4):
        lines.send(line(queue="l4"))
        verdict = lines.read()
        assert (verdict["line"], verdict["status"]) == (n, 202)
    lines.end()
    assert lines.rest() == [{"done": True, "lines": 3, "accepted": 3, "rejected": 0}]
    lines.close()


def test_what_was_told_stands_when_the_client_goes_away(api):
    lines = Lines(api)
    lines.send(line(queue="l5") * 100 + b'{"type":"noop"')
    told = [lines.read() for _ in range(100)]
    lines.close()
    assert all(v["status"] == 202 for v in told)
    api.client.until(lambda: api.client.connections() == 0, "the end of the connection")
    assert queue_info(api, "l5")["waiting"] == 100


def test_a_client_that_takes_no_verdicts_is_read_no_further(api):
    """Until it takes them: memory does not grow with what it would like to send."""
    if api.client.sanitized():
        pytest.skip("memory says nothing under a sanitizer")
    n, sent = 100000, []
    lines = Lines(api)
    lines.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    before = api.client.memory()

    def send():
        for _ in range(n // 1000):
            lines.send(line(queue="l6") * 1000)
            sent.append(1000)
        lines.end()
    thread = threading.Thread(target=send)
    thread.start()
    verdicts, peak = [], 0
    while (verdict := lines.read()) is not None:
        verdicts.append(verdict)
        if len(verdicts) % 20000 == 0:
            peak = max(peak, api.client.memory())
    thread.join()
    assert verdicts[-1] == {"done": True, "lines": n, "accepted": n, "rejected": 0}
    assert sorted(v["line"] for v in verdicts[:-1]) == list(range(1, n + 1))
    assert len({v["id"] for v in verdicts[:-1]}) == n == queue_info(api, "l6")["waiting"]
    assert peak - before < 24 << 20, (before, peak)


def test_100000_lines_with_faults(api):
    n = 100000
    data = b"".join(b"{bad\n" if i % 10 == 3 else line(queue="l7") for i in range(n))
    lines, verdicts = Lines(api), []
    thread = threading.Thread(target=lambda: verdicts.extend(lines.rest()))
    thread.start()
    for at in range(0, len(data), 100000):
        lines.send(data[at:at + 100000])
    lines.end()
    thread.join()
    assert verdicts[-1] == {"done": True, "lines": n, "accepted": n * 9 // 10, "rejected": n // 10}
    assert {v["line"] % 10 for v in verdicts[:-1] if v["status"] == 400} == {4}
    assert queue_info(api, "l7")["waiting"] == n * 9 // 10


def test_a_stream_with_a_key_is_gone_on_with(api):
    data = [line(queue="l8", args={"payload": i}) for i in range(50)]
    first, _ = send_lines(api, b"".join(data[:30]), "Idempotency-Key: stream")
    again, total = send_lines(api, b"".join(data), "Idempotency-Key: stream")
    assert [v["id"] for v in again[:30]] == [v["id"] for v in first]
    assert [v.get("replayed", False) for v in again] == [True] * 30 + [False] * 20
    assert total["accepted"] == 50 == queue_info(api, "l8")["waiting"]
    other, _ = send_lines(api, line(queue="l8", args={"payload": "other"}) + data[1], "Idempotency-Key: stream")
    assert [v["status"] for v in other] == [422, 202]


def test_streams_with_the_same_key_at_once(api):
    one = Lines(api, "Idempotency-Key: twice")
    one.send(line(queue="l9"))
    assert one.read()["status"] == 202
    with Raw(api) as raw:
        answer = raw.ask(request("POST", BATCH, line(queue="l9"), ("Content-Type: application/x-ndjson", "Idempotency-Key: twice")))
    assert answer.status == 409
    one.end()
    assert one.rest()[-1]["done"]
    one.close()


def test_other_kinds_of_body(api):
    with Raw(api) as raw:
        answer = raw.ask(request("POST", BATCH, b"x", ("Content-Type: text/plain",)))
        assert answer.status == 415

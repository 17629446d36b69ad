"""The API as a process: while Redis or the schema is away, and how it ends and begins."""

import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from support.http import FOLLOW, is_problem, post
from support.raw import Raw


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

"""What becomes of a job, told while it happens: streams of events, and requests that wait."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from support.audit import descriptors
from support.events import Events
from support.raw import Raw, request

UNKNOWN = "0192f0c1-2345-7abc-8def-0123456789ab"


def states(events):
    return [(e.event, e.data.get("state"), e.data["attempt"]) for e in events if e.event != "progress"]


def place(event):
    attempt, rank = event.id.split(".")
    return int(attempt), int(rank)


def watchers(stack):
    return int(stack.client.metric("millrace_http_watchers"))


def pause(stack, paused=True):
    assert stack.request("POST", f"/v1/queues/default/{'pause' if paused else 'resume'}", b"")[0] == 204


# --- streams

def test_a_stream_tells_a_job_from_queue_to_end(stack):
    pause(stack)
    job = stack.client.noop(fail_attempts=1)
    with Events(stack, job) as events:
        assert events.status == 200
        assert events.headers["content-type"] == "text/event-stream" and events.headers["cache-control"] == "no-store"
        first = events.next()
        assert (first.event, first.data["state"], first.data["attempt"]) == ("state", "queued", 0)
        pause(stack, False)
        told = [first, *events.all()]
    assert states(told)[-1] == ("end", "succeeded", 2)
    assert ("state", "retrying", 1) in states(told) and ("state", "running", 2) in states(told)
    assert [place(e) for e in told] == sorted({place(e) for e in told})  # each once, in order
    assert told[-1].data == stack.client.job(job)


def test_progress_is_told(stacks, picture):
    stack = stacks()
    c = stack.client
    upload = c.upload(picture(2400, 1800).read_bytes())
    # A second or more: what ends within a tenth has no progress to tell.
    args = {"source": {"upload": upload}, "outputs": [
        {"name": name, "ops": [{"resize": {"width": 600}}], "format": "avif", "effort": 4} for name in "abcd"]}
    pause_image = stack.request("POST", "/v1/queues/image/pause", b"")
    job = c.submit({"type": "image", "args": args})
    assert pause_image[0] in (204, 404)
    with Events(stack, job) as events:
        events.next()
        stack.request("POST", "/v1/queues/image/resume", b"")
        told = events.all()
    steps = [e.data["progress"] for e in told if e.event == "progress"]
    assert steps and steps == sorted(steps) and steps[-1] <= 100
    assert states(told)[-1] == ("end", "succeeded", 1)
    assert told[-1].data["outputs"][0]["name"] == "a"


def test_the_stream_of_an_ended_job_is_its_end(stack):
    job = stack.client.noop(fail_attempts=1)
    stack.client.ended(job), stack.client.quiet()
    with Events(stack, job) as events:
        told = events.all()
    assert states(told) == [("end", "succeeded", 2)]


def test_a_client_that_comes_back_gets_what_it_missed_and_nothing_twice(stack):
    job = stack.client.noop(fail_attempts=2)
    stack.client.ended(job), stack.client.quiet()
    with Events(stack, job, last="0.111") as events:
        whole = events.all()
    assert states(whole) == [("state", "running", 1), ("state", "retrying", 1), ("state", "running", 2), ("state", "retrying", 2),
                             ("state", "running", 3), ("end", "succeeded", 3)]
    for n, seen in enumerate(whole):
        with Events(stack, job, last=seen.id) as events:
            assert [e.id for e in events.all()] == [e.id for e in whole[n + 1:]]
    for wrong in ("x", "1", "1.", ".1", "1.2.3", "99999999999.1"):
        with Events(stack, job, last=wrong) as events:
            assert states(events.all()) == [("end", "succeeded", 3)]


def test_attempts_that_ended_unseen_are_read_from_the_record(stack):
    """The client was away while a live job went through attempts."""
    job = stack.client.submit({"type": "noop", "args": {"fail_attempts": 2, "work_ms": 300}, "max_attempts": 5})
    stack.client.until(lambda: (stack.client.job(job) or {}).get("attempt") == 3, "the third attempt")
    with Events(stack, job, last="1.1") as events:
        told = states(events.all())
    assert told == [("state", "retrying", 1), ("state", "running", 2), ("state", "retrying", 2), ("state", "running", 3), ("end", "succeeded", 3)]


def test_many_streams_of_one_job_hear_the_same(stack):
    pause(stack)
    job = stack.client.noop(work_ms=50)
    streams = [Events(stack, job) for _ in range(20)]
    assert {e.next().id for e in streams} == {"0.111"}
    assert watchers(stack) == 20
    pause(stack, False)
    assert {tuple(e.id for e in s.all())[-1] for s in streams} == {"1.120"}
    for s in streams:
        s.close()
    stack.client.until(lambda: watchers(stack) == 0, "no watchers")


def test_curl_reads_a_stream(stack):
    job = stack.client.noop(work_ms=200)
    done = subprocess.run(["curl", "-sN", "--max-time", "30", f"{stack.url}/v1/jobs/{job}/events"], capture_output=True, text=True, check=True)
    assert "event: end\ndata: {" in done.stdout and done.stdout.endswith("\n\n")


def test_a_cancelled_job_ends_its_stream(stack):
    job = stack.client.noop(work_ms=60000)
    with Events(stack, job) as events:
        events.until("state", state="running")
        stack.request("POST", f"/v1/jobs/{job}/cancel", b"")
        assert states(events.all())[-1] == ("end", "cancelled", 1)


def test_a_tombstone_is_told_before_its_row(stack):
    pause(stack)
    job = stack.client.noop()
    with Events(stack, job) as events:
        events.until("state", state="queued")
        stack.request("POST", f"/v1/jobs/{job}/cancel", b"")
        events.until("state", state="cancelled")
        pause(stack, False)
        assert states(events.all()) == [("end", "cancelled", 1)]


def test_what_is_not_there_has_no_stream(stack):
    for bad in (UNKNOWN, "x"):
        assert stack.get(f"/v1/jobs/{bad}/events")[0] == 404
    with Raw(stack) as raw:
        job = stack.client.noop()
        answer = raw.ask(request("HEAD", f"/v1/jobs/{job}/events"), head=True)
        assert answer.status == 200 and answer.headers["content-type"] == "text/event-stream"


def test_a_silent_stream_carries_comments(stacks):
    stack = stacks(HEARTBEAT="100ms")
    job = stack.client.noop(work_ms=1500)
    with Events(stack, job) as events:
        events.all()
        assert events.comments >= 2


def test_only_so_many_may_watch(stacks):
    stack = stacks(WATCHERS="2")
    job = stack.client.noop(work_ms=60000)
    stack.client.state(job, "running")
    with Events(stack, job) as a, Events(stack, job) as b:
        a.next(), b.next()
        status, head, body = stack.get(f"/v1/jobs/{job}/events")
        assert status == 503 and "WATCHERS" in json.loads(body)["detail"] and head["retry-after"]
        status, head, body = stack.get(f"/v1/jobs/{job}", {"Prefer": "wait=50"})
        assert status == 200 and json.loads(body)["state"] == "running" and "preference-applied" not in head
    stack.client.until(lambda: watchers(stack) == 0, "room again")
    with Events(stack, job) as a:
        assert a.next().data["state"] == "running"


# --- clients that go away, and read slowly

@pytest.mark.parametrize("how", ["close", "reset", "finish_sending"])
def test_who_leaves_leaves_nothing_behind(stack, how):
    c = stack.client
    job = c.noop(work_ms=60000)
    c.state(job, "running")
    c.until(lambda: c.connections() == 0, "no clients")
    base = descriptors(stack.api.pid)
    streams = [Events(stack, job) for _ in range(30)]
    waits = [Raw(stack) for _ in range(30)]
    for s in streams:
        s.next()
    for w in waits:
        w.send(request("GET", f"/v1/jobs/{job}", headers=["Prefer: wait=50"]))
    c.until(lambda: watchers(stack) == 60, "60 watchers")
    for s in [*streams, *waits]:
        getattr(s, how)()
    c.until(lambda: watchers(stack) == 0, "no watchers")
    if how == "finish_sending":  # half closed: it still reads
        assert all(json.loads(w.answer().body)["state"] == "running" for w in waits)
        assert all(s.next() is None for s in streams)
        for s in [*streams, *waits]:
            s.close()
    c.until(lambda: descriptors(stack.api.pid) <= base, "descriptors as before")
    stack.request("POST", f"/v1/jobs/{job}/cancel", b"")
    c.quiet()


def test_who_reads_nothing_is_dropped(stacks):
    stack = stacks(WRITE_TIMEOUT="300ms", HEARTBEAT="100ms")
    c = stack.client
    text = "x" * 200000
    # Each stream ends with the record, and that is more than a socket that nobody reads takes.
    jobs = [c.submit({"type": "noop", "args": {"work_ms": 1500, "payload": text}}) for _ in range(3)]
    streams = []
    for job in jobs:
        s = Events(stack, job, receive_buffer=4096)
        streams.append(s)
    for job in jobs:
        c.ended(job)
    c.until(lambda: watchers(stack) == 0, "no watchers")
    c.until(lambda: c.connections() == 0, "no connections", 30)
    for s in streams:
        s.close()


# --- faults

def test_a_stream_survives_redis(stacks):
    stack = stacks(LEASE="60s", BEAT="1s")
    c = stack.client
    job = c.noop(work_ms=3000)
    with Events(stack, job) as events:
        events.until("state", state="running")
        stack.redis.kill()
        c.until(lambda: stack.get("/readyz")[0] == 503, "that Redis is missed")
        stack.redis.start()
        told = events.all()
    assert states(told)[-1][:2] == ("end", "succeeded")


def test_a_stream_survives_postgresql(stacks):
    stack = stacks()
    c = stack.client
    job = c.noop(work_ms=1000)
    with Events(stack, job) as events:
        events.until("state", state="running")
        stack.pg.kill()
        stack.pg.start()
        assert states(events.all())[-1] == ("end", "succeeded", 1)


def test_a_job_whose_worker_dies_is_told_on(stacks):
    stack = stacks()
    c = stack.client
    job = c.noop(work_ms=2000)
    with Events(stack, job) as events:
        events.until("state", state="running", attempt=1)
        stack.workers["1"].send(signal.SIGKILL)
        stack.workers["1"].wait()
        c.excused.append(-signal.SIGKILL)
        stack.start_worker("2")
        told = states(events.all())
    assert ("state", "running", 2) in told and told[-1] == ("end", "succeeded", 2)


def test_a_lost_message_costs_time_only(stacks):
    stack = stacks()
    c = stack.client
    job = c.noop(work_ms=300)
    with Events(stack, job) as events:
        events.until("state", state="running")
        c.redis.delete("mr:{default}:watch")  # nobody publishes now
        assert states(events.all())[-1] == ("end", "succeeded", 1)


def test_a_drain_ends_streams_and_answers_who_waits(stacks):
    stack = stacks()
    c = stack.client
    job = c.noop(work_ms=2000)
    c.state(job, "running")
    with Events(stack, job) as events, Raw(stack) as waiting:
        events.next()
        waiting.send(request("GET", f"/v1/jobs/{job}", headers=["Prefer: wait=50"]))
        c.until(lambda: watchers(stack) == 2, "two watchers")
        stack.api.ask()
        assert events.next() is None
        assert json.loads(waiting.answer().body)["state"] == "running"
        assert stack.api.wait() == 0
    stack.api = None
    stack.start_api()
    assert c.ended(job)["state"] == "succeeded"


# --- waiting

def test_get_waits_for_the_end(stack):
    job = stack.client.noop(work_ms=300)
    status, head, body = stack.get(f"/v1/jobs/{job}", {"Prefer": "respond-async, wait=50"})
    job = json.loads(body)
    assert (status, job["state"], head["preference-applied"]) == (200, "succeeded", "wait")
    assert job["attempts"]
    status, head, body = stack.get(f"/v1/jobs/{job['id']}", {"Prefer": "wait=50"})
    assert json.loads(body) == job  # at once


def test_get_tells_how_it_stands_when_the_time_is_over(stack):
    job = stack.client.noop(work_ms=60000)
    status, head, body = stack.get(f"/v1/jobs/{job}", {"Prefer": "wait=1"})
    assert (status, json.loads(body)["state"], head["preference-applied"]) == (200, "running", "wait")
    stack.request("POST", f"/v1/jobs/{job}/cancel", b"")
    stack.client.quiet()


def test_post_waits_for_the_end(stack):
    status, head, body = stack.post_json("/v1/jobs", {"type": "noop", "args": {}}, {"Prefer": "wait=50"})
    assert (status, body["state"], head["preference-applied"]) == (200, "succeeded", "wait")
    assert head["location"] == f"/v1/jobs/{body['id']}"
    status, head, body = stack.post_json("/v1/jobs", {"type": "noop", "args": {"fail_final": True}}, {"Prefer": "wait=50"})
    assert (status, body["state"]) == (200, "dead")
    status, head, body = stack.post_json("/v1/jobs", {"type": "noop", "args": {"work_ms": 60000}}, {"Prefer": "wait=1"})
    assert (status, body["state"], head["preference-applied"]) == (202, "running", "wait")
    assert head["location"] == f"/v1/jobs/{body['id']}"
    stack.request("POST", f"/v1/jobs/{body['id']}/cancel", b"")
    stack.client.quiet()


def test_what_is_not_asked_for_is_not_waited_for(stacks):
    stack = stacks(WAIT_MAX="0ms")
    job = stack.client.noop(work_ms=60000)
    for prefer in ("wait=50", "wait=x", "wait", "return=minimal", ""):
        status, head, _ = stack.get(f"/v1/jobs/{job}", {"Prefer": prefer})
        assert status == 200 and "preference-applied" not in head


def test_a_wait_is_at_most_what_is_allowed(stacks):
    stack = stacks(WAIT_MAX="200ms")
    job = stack.client.noop(work_ms=60000)
    status, head, body = stack.get(f"/v1/jobs/{job}", {"Prefer": "wait=1000000"})
    assert status == 200 and json.loads(body)["state"] in ("queued", "running") and head["preference-applied"] == "wait"


def test_pipelined_requests_are_answered_in_order_behind_a_wait(stack):
    slow = stack.client.noop(work_ms=300)
    with Raw(stack) as raw:
        raw.send(request("GET", f"/v1/jobs/{slow}", headers=["Prefer: wait=50"]) + request("GET", "/healthz") +
                 request("GET", f"/v1/jobs/{slow}", headers=["Prefer: wait=50"]))
        assert json.loads(raw.answer().body)["state"] == "succeeded"
        assert raw.answer().status == 200
        assert json.loads(raw.answer().body)["id"] == slow


def test_many_wait_for_one_and_one_for_many(stack):
    c = stack.client
    got = []

    def one(n):
        status, _, body = stack.post_json("/v1/jobs", {"type": "noop", "args": {"work_ms": n}}, {"Prefer": "wait=50"})
        got.append((status, body["state"]))
    threads = [threading.Thread(target=one, args=(n % 40,)) for n in range(60)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == [(200, "succeeded")] * 60
    c.until(lambda: watchers(stack) == 0, "no watchers")


def test_a_waiting_connection_costs_little(stacks):
    stack = stacks(WATCHERS="2000")
    c = stack.client
    if c.sanitized():
        pytest.skip("a sanitizer's memory says nothing about ours")
    pause(stack)
    jobs = [c.noop() for _ in range(500)]
    raws = [Raw(stack) for _ in range(1000)]
    for _ in range(2):  # what all connections share has grown to its size then
        for n, r in enumerate(raws):
            r.send(request("GET", f"/v1/jobs/{jobs[n % 500]}"))
        assert all(r.answer().status == 200 for r in raws)
    before = c.memory()
    for n, r in enumerate(raws):
        r.send(request("GET", f"/v1/jobs/{jobs[n % 500]}", headers=["Prefer: wait=50"]))
    c.until(lambda: watchers(stack) == 1000, "1000 watchers")
    cost = (c.memory() - before) / 1000
    print(f"bytes a waiting connection costs over an idle one: {cost:.0f}")
    assert cost < 1024
    pause(stack, False)
    assert all(json.loads(r.answer().body)["state"] == "succeeded" for r in raws)
    for r in raws:
        r.close()

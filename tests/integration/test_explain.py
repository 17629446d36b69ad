"""Why a job waits: each reason, over HTTP and on the command line."""

import hashlib
import json
import signal
import uuid

import msgpack
import pytest

from test_limits import put, submit

QUEUE = "default"


def explain(stack, job):
    status, _, body = stack.get(f"/v1/jobs/{job}/explain")
    assert status == 200, (status, body)
    return json.loads(body)


def codes(what):
    return [r["code"] for r in what["reasons"]]


def reason(what, code):
    return next(r for r in what["reasons"] if r["code"] == code)


def push(stack, n):
    """Jobs of another program: quicker than requests."""
    items = [msgpack.packb({"v": 1, "id": uuid.uuid4().bytes, "type": "noop", "args": {}}) for _ in range(n)]
    stack.client.redis.lpush(f"mr:{{{QUEUE}}}:ready:normal", *items)


@pytest.fixture
def small(stacks):
    """A worker with two slots."""
    return stacks(QUEUES=QUEUE, SLOTS=2)


def test_a_job_that_runs_and_one_that_has_ended(small):
    job = submit(small, None, 300)
    small.client.state(job, "running")
    what = explain(small, job)
    assert (what["id"], what["queue"], what["state"], codes(what)) == (job, QUEUE, "running", ["running"])
    assert what["reasons"][0]["attempt"] == 1 and ":1:" in what["reasons"][0]["worker"] and "may_start_at" not in what
    small.client.ended(job)
    what = explain(small, job)
    assert codes(what) == ["ended"] and what["state"] == "succeeded" and what["reasons"][0]["finished_at"]


def test_nobody_knows_a_job_that_is_not_there(small):
    assert small.get(f"/v1/jobs/{uuid.uuid4()}/explain")[0] == 404
    assert small.get("/v1/jobs/x/explain")[0] == 404
    assert small.cli("explain", str(uuid.uuid4()), check=False).returncode == 4
    assert small.cli("explain", "x", check=False).returncode == 4


def follower(job, index):
    """The id of what follows a job: it is known before there is one."""
    parent = uuid.UUID(job).bytes
    made = bytearray(parent[:6] + hashlib.sha256(parent + index.to_bytes(4, "big")).digest()[:10])
    made[6], made[8] = made[6] & 0x0F | 0x70, made[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(made)))


def test_what_follows_a_job_does_not_wait_for_it(small):
    """It is not there: a link of a chain, or a follow-up, becomes a job when the one before it has ended."""
    link = {"type": "noop", "args": {}}
    job = submit(small, None, 300, then=[link], chain=[{**link, "delay_ms": 3600000}])
    small.client.state(job, "running")
    then, chain = follower(job, 0), follower(job, 16)  # a link comes behind all places of `then`
    assert [small.get(f"/v1/jobs/{j}/explain")[0] for j in (then, chain)] == [404, 404]
    small.client.ended(job)
    small.client.ended(then)
    small.client.state(chain, "scheduled")
    assert codes(explain(small, chain)) == ["scheduled"], "it waits for its own time, and for nothing else"
    assert small.request("POST", f"/v1/jobs/{chain}/cancel")[0] == 200
    small.client.quiet()


def test_a_job_that_is_not_due(small):
    job = submit(small, delay_ms=60000)
    what = explain(small, job)
    assert codes(what) == ["scheduled"] and what["may_start_at"] == what["reasons"][0]["due_at"]


def test_a_job_that_waits_for_its_next_attempt(stacks):
    stack = stacks(QUEUES=QUEUE, RETRY_BASE="10m", RETRY_CAP="1h")
    job = stack.client.noop(fail_attempts=1)
    stack.client.state(job, "retrying")
    what = explain(stack, job)
    assert codes(what) == ["retry_backoff"] and what["may_start_at"] == what["reasons"][0]["due_at"]
    assert what["reasons"][0]["attempt"] == 1 and what["reasons"][0]["error"] == "asked to fail"


def test_a_paused_queue(small):
    small.client.ended(submit(small))
    assert small.request("POST", f"/v1/queues/{QUEUE}/pause", b"")[0] == 204
    job = submit(small)
    what = explain(small, job)
    assert codes(what) == ["queue_paused"] and "may_start_at" not in what
    assert small.request("POST", f"/v1/queues/{QUEUE}/resume", b"")[0] == 204
    small.client.ended(job)


def test_a_queue_that_nobody_serves_and_one_whose_worker_died(small):
    job = submit(small, queue="elsewhere")
    assert codes(explain(small, job)) == ["no_worker"]
    victim = small.workers.pop("1")
    assert victim.stop(signal.SIGKILL) == -signal.SIGKILL
    job = submit(small)
    small.client.until(lambda: codes(explain(small, job)) == ["no_worker"], "the end of the lease")
    small.start_worker("1", QUEUES=f"{QUEUE},elsewhere")
    small.client.quiet()


def test_busy_workers_and_jobs_ahead(small):
    running = [submit(small, None, 1000) for _ in range(2)]
    for job in running:
        small.client.state(job, "running")
    waiting = [submit(small) for _ in range(5)] + [submit(small, priority="high")]
    what = explain(small, waiting[4])
    assert codes(what) == ["workers_busy", "jobs_ahead"]
    assert reason(what, "workers_busy")["running"] == 2 and reason(what, "workers_busy")["slots"] == 2
    assert reason(what, "jobs_ahead")["jobs"] == 5
    assert codes(explain(small, waiting[5])) == ["workers_busy"]
    shown = small.cli("explain", waiting[4]).stdout
    assert "workers_busy" in shown and "5 jobs stand before it" in shown
    assert json.loads(small.cli("explain", waiting[4], "--json").stdout)["reasons"][1]["jobs"] == 5


def test_far_places_are_told_as_at_least(stacks):
    small = stacks(QUEUES=QUEUE)
    small.client.ended(submit(small))
    assert small.request("POST", f"/v1/queues/{QUEUE}/pause", b"")[0] == 204
    push(small, 1500)
    near = submit(small)
    push(small, 700)
    far = reason(explain(small, submit(small)), "jobs_ahead")
    assert reason(explain(small, near), "jobs_ahead")["jobs"] == 1500
    assert far["jobs_at_least"] == 2000 and "at least 2000" in far["text"]
    assert small.request("POST", f"/v1/queues/{QUEUE}/resume", b"")[0] == 204
    small.client.quiet()


def test_a_key_at_its_limit(small):
    put(small, {"per_key": {"running": 1}})
    first = submit(small, "acme", 1000)
    small.client.state(first, "running")
    waiting = [submit(small, "acme") for _ in range(3)]
    small.client.until(lambda: "key_turn" in codes(explain(small, waiting[2])), "parking")
    what = explain(small, waiting[2])
    assert codes(what) == ["key_running_limit", "key_turn"]
    assert reason(what, "key_running_limit") | {"text": ""} == {"code": "key_running_limit", "text": "", "key": "acme", "running": 1, "limit": 1}
    assert reason(what, "key_turn")["jobs"] == 2


def test_rates_of_queue_and_key(small):
    put(small, {"rate": {"count": 1, "per_ms": 3600000, "burst": 2}, "per_key": {"rate": {"count": 1, "per_ms": 7200000}}})
    small.client.ended(submit(small, "acme"))
    parked = submit(small, "acme")
    small.client.until(lambda: codes(explain(small, parked)) == ["key_rate_limit", "key_turn"], "parking")
    what = explain(small, parked)
    assert what["may_start_at"] == reason(what, "key_rate_limit")["next_at"]
    small.client.ended(submit(small))
    other = submit(small)
    what = explain(small, other)
    assert codes(what) == ["queue_rate_limit"] and what["may_start_at"] == what["reasons"][0]["next_at"]
    assert codes(explain(small, parked)) == ["queue_rate_limit", "key_rate_limit", "key_turn"]
    put(small, {})
    small.client.quiet()


def test_what_is_expected_is_measured(small):
    for _ in range(3):
        submit(small)
    small.client.quiet()
    r = small.client.redis
    small.client.until(lambda: r.hget(f"mr:{{{QUEUE}}}:meta", "mark_at"), "the first mark")
    for job in [submit(small, None, 1500) for _ in range(2)]:
        small.client.state(job, "running")
    submit(small)
    what = explain(small, submit(small))
    assert codes(what) == ["workers_busy", "jobs_ahead"]
    assert what["expected_start_at"] and "may_start_at" not in what
    small.client.quiet()

"""Limits while workers and Redis die: no job is lost, none waits for a slot that nobody holds, no key runs more than it may."""

import json
import signal

import msgpack
import pytest

from support.audit import Base, audit
from support.faults import kill, warm
from support.load import Load

LIMITS = {"running": 12, "rate": {"count": 2000, "per_ms": 1000, "burst": 50}, "per_key": {"running": 2, "rate": {"count": 400, "per_ms": 1000}}}
KEYS = 7


def keyed(n):
    for i in range(n):
        yield {"type": "noop", "args": {"work_ms": 3 * (i % 4), **({"fail_attempts": 1} if i % 9 == 0 else {})}, "max_attempts": 50,
               "priority": ("normal", "high", "low")[i % 3], **({"key": f"k{i % KEYS}"} if i % 4 else {})}


def limited(stacks, **config):
    stack = stacks(**config)
    status, _, body = stack.request("PUT", "/v1/queues/default/limits", json.dumps(LIMITS).encode(), {"content-type": "application/json"})
    assert status == 204, body
    known = warm(stack)
    stack.client.quiet()
    return stack, known, Base(stack)


def check_keys(stack):
    """No more attempts of one key than allowed were under way at a time. Attempts that died have no end, and are not seen."""
    rows = stack.client.rows("select j.id::text, j.item, extract(epoch from a.started_at), extract(epoch from a.finished_at) "
                             "from jobs j join attempts a on a.job_id = j.id")
    spans = {}
    for _, item, begin, end in rows:
        key = msgpack.unpackb(bytes(item)).get("key")
        if key and begin and end:
            spans.setdefault(key, []).append((float(begin), float(end)))
    assert len(spans) == KEYS
    for key, found in spans.items():
        assert most_at_once(found) <= LIMITS["per_key"]["running"], key


def most_at_once(spans):
    now = most = 0
    for _, step in sorted([(b, 1) for b, _ in spans] + [(e, -1) for _, e in spans]):
        now += step
        most = max(most, now)
    return most


@pytest.mark.parametrize("point", ["consumer.claimed=5*kill", "worker.done=9*kill", "worker.recorded=9*kill", "consumer.settle=5*kill"])
def test_a_worker_that_dies_at_a_chosen_place_keeps_no_slot(stacks, point):
    stack, known, base = limited(stacks)
    stack.start_worker("2")
    load = Load(stack, keyed(400), connections=4)
    victim = stack.start_worker("3", wait=False, FAILPOINTS=point)
    with load:
        pass
    assert victim.wait() == -signal.SIGKILL
    del stack.workers["3"]
    worker = stack.workers.pop("2")  # as many as at the beginning, for the audit
    assert worker.stop() == 0
    audit(stack, load, base, crashes=1, known=known)
    check_keys(stack)


def test_redis_that_is_killed_under_load_keeps_limits_and_jobs(stacks):
    stack, known, base = limited(stacks, LEASE="10s", BEAT="1s")
    load = Load(stack, keyed(900), connections=8, rate=300)
    c = stack.client
    with load:
        for _ in range(3):
            done, downs = len(load.acked), len(c.events("worker-1", "redis.down"))
            c.until(lambda: len(load.acked) > done + 100, "more jobs")
            stack.redis.kill()
            c.until(lambda: len(c.events("worker-1", "redis.down")) > downs, "that the worker notices")
            stack.redis.start()
    audit(stack, load, base, crashes=0, known=known)
    check_keys(stack)


def test_workers_that_are_killed_one_after_the_other(stacks):
    stack, known, base = limited(stacks)
    load = Load(stack, keyed(900), connections=8, rate=300)
    with load:
        for name in ("2", "1", "2"):
            if name not in stack.workers:
                stack.start_worker(name)
            done = len(load.acked)
            stack.client.until(lambda: len(load.acked) > done + 150, "more jobs")
            kill(stack, name)
    if "1" not in stack.workers:
        stack.start_worker("1")
    audit(stack, load, base, crashes=3, known=known)
    check_keys(stack)

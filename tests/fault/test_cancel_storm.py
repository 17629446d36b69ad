"""Cancels while workers die and Redis restarts: answers, rows and effects agree, and every job has one end."""

import json
import random
import signal
import threading

import pytest

from support.audit import Base, audit
from support.events import Events
from support.load import Load


def jobs(n):
    for i in range(n):
        job = {"type": "noop", "args": {"work_ms": (0, 30, 200)[i % 3], "fail_attempts": i % 2}, "max_attempts": 50,
               "then": [{"type": "noop", "args": {"payload": "follower"}, "on": "always"}]}
        if i % 5 == 0:
            job["delay_ms"] = 300
        yield job


class Storm:
    """Cancels what was acknowledged, two thirds of it, as soon as it is known."""

    def __init__(self, stack, load):
        self.stack, self.load, self.over = stack, load, threading.Event()
        self.answers, self.unsure = {}, set()  # unsure: no answer, so it may have been cancelled
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.thread.join()

    def run(self):
        chance, seen = random.Random(7), set()
        while True:
            last = self.over.is_set()
            for job_id in list(self.load.acked):
                if job_id in seen:
                    continue
                seen.add(job_id)
                if chance.random() < 2 / 3:
                    status, _, body = self.stack.request("POST", f"/v1/jobs/{job_id}/cancel", b"")
                    if status in (200, 202, 409):
                        self.answers[job_id] = json.loads(body)
                    else:
                        assert status in (0, 503), (status, body)
                        self.unsure.add(job_id)
            if last:
                return


def check(storm, rows):
    told = {"done": 0, "requested": 0, "too_late": 0}
    for job_id, answer in storm.answers.items():
        told[answer["cancel"]] += 1
        state = rows[job_id].state
        if answer["cancel"] != "requested":
            assert state == answer["state"], (job_id, answer, state)
        else:
            assert state in ("cancelled", "succeeded")
    for row in rows.values():
        if row.state == "cancelled":
            assert row.id in storm.answers or row.id in storm.unsure, f"{row.id} was cancelled by nobody"
    return told


def ready(stacks, **config):
    stack = stacks(QUEUES="default=20", **config)
    stack.client.ended(stack.client.noop())
    stack.client.quiet()
    known = [r[0] for r in stack.client.rows("select id::text from jobs")]
    return stack, known, Base(stack)


def test_cancels_under_load(stacks):
    stack, known, base = ready(stacks)
    load = Load(stack, jobs(600), connections=8, rate=600)
    with Storm(stack, load) as storm, load:
        pass
    told = check(storm, audit(stack, load, base, known=known, states=False))
    assert told["done"] and told["requested"], told
    assert not stack.client.redis.keys("mr:{default}:cancels:*")


@pytest.mark.parametrize("lease", ["1s", "10m"])
def test_cancels_while_workers_are_killed(stacks, lease):
    stack, known, base = ready(stacks, LEASE=lease, BEAT="200ms")
    load = Load(stack, jobs(500), connections=8, rate=250)
    with Storm(stack, load) as storm, load:
        for _ in range(3):
            done = len(load.acked)
            stack.client.until(lambda: len(load.acked) > done + 80, "more jobs")
            stack.workers["1"].send(signal.SIGKILL)
            stack.workers["1"].wait()
            stack.start_worker("1")
    stack.client.excused.append(-signal.SIGKILL)
    check(storm, audit(stack, load, base, crashes=3, known=known, states=False))
    assert not stack.client.redis.keys("mr:{default}:cancels:*")


def test_cancels_while_redis_restarts(stacks):
    stack, known, base = ready(stacks, LEASE="5s", BEAT="500ms")
    load = Load(stack, jobs(300), connections=8, rate=200)
    with Storm(stack, load) as storm, load:
        for _ in range(2):
            done = len(load.acked)
            stack.client.until(lambda: len(load.acked) > done + 60, "more jobs")
            stack.redis.kill()
            stack.redis.start()
    check(storm, audit(stack, load, base, crashes=2, known=known, states=False))


def test_streams_and_waits_while_the_api_is_killed(stacks):
    """A client that comes back with the last id goes on where it was."""
    stack, known, base = ready(stacks)
    job = stack.client.submit({"type": "noop", "args": {"work_ms": 500, "fail_attempts": 2}, "max_attempts": 5})
    events = Events(stack, job)
    seen = [events.next()]
    stack.api.send(signal.SIGKILL)
    stack.api.wait()
    stack.client.excused.append(-signal.SIGKILL)
    while (more := events.next()) is not None:
        seen.append(more)
    events.close()
    stack.start_api()
    stack.client.until(lambda: b"down" not in stack.get("/readyz")[2], "readiness")
    with Events(stack, job, last=seen[-1].id) as events:
        seen += events.all()
    ids = [tuple(map(int, e.id.split("."))) for e in seen]
    assert ids == sorted(set(ids)) and seen[-1].event == "end"
    told = [(e.data["state"], e.data["attempt"]) for e in seen if e.event == "state"]
    for step in [("retrying", 1), ("running", 2), ("retrying", 2), ("running", 3)]:
        assert step in told, told

"""Workers that are killed, stopped and frozen in the middle of their work."""

import itertools
import os
import signal
import time

import pytest

from support.audit import audit, children
from support.faults import LONG, claimed, everything, kill, mixed, mixed_quick, picture_job, ready
from support.load import Load, noops

# --- SIGKILL

def test_a_killed_worker_takes_its_jobs_back_at_its_restart(stacks):
    stack, upload, known, base = ready(stacks, **LONG)
    load = Load(stack, mixed(upload, 600), connections=8, rate=400)
    with load:
        for _ in range(3):
            done = len(load.acked)
            stack.client.until(lambda: len(load.acked) > done + 60, "more jobs")
            kill(stack)
            stack.start_worker("1")
    audit(stack, load, base, crashes=3, known=known)


def test_a_killed_workers_jobs_go_to_another_after_the_lease(stacks):
    stack, upload, known, base = ready(stacks)
    load = Load(stack, mixed(upload, 300), connections=8, rate=400)
    with load:
        stack.client.until(lambda: len(load.acked) > 60, "jobs")
        kill(stack)
        stack.start_worker("2")
    audit(stack, load, base, crashes=1, known=known)
    reaped = stack.client.events("worker-2", "consumer.reaped")
    assert reaped and all(":1:" in e["name"] for e in reaped)


POINTS = {  # the moments in a job's life, in their order, and how often each passes before it strikes
    "consumer.claimed": 3, "worker.claimed": 9, "worker.effect": 9, "worker.store": 3, "worker.effected": 9, "worker.done": 9, "ledger.record": 9,
    "worker.recorded": 9, "worker.followed": 5, "consumer.settle": 3, "worker.settled": 9,
}


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_dies_at_a_chosen_place_loses_nothing(stacks, receiver, point):
    stack, upload, known, base = ready(stacks, **LONG)
    first = stack.workers["1"]
    assert first.stop() == 0
    load = Load(stack, everything(upload, receiver.url(), 96), connections=4)
    with load:
        pass
    victim = stack.start_worker("1", wait=False, FAILPOINTS=f"{point}={POINTS[point]}*kill")
    assert victim.wait() == -signal.SIGKILL
    stack.start_worker("1")
    rows = audit(stack, load, base, crashes=1, known=known, receiver=receiver)
    # A death counts as one attempt, at most one; a job that failed once on purpose may have been hit as well.
    assert max(r.attempt for r in rows.values()) <= 3
    if point in ("worker.recorded", "worker.followed", "consumer.settle"):
        assert stack.client.events("worker-1", "job.recalled"), "what was recorded is not run again"


def test_two_workers_of_which_one_is_killed_again_and_again(stacks):
    stack, upload, known, base = ready(stacks)
    c = stack.client
    load = Load(stack, mixed(upload, 500), connections=8, rate=200)
    with load:
        stack.start_worker("2")
        for _ in range(6):
            done = len(load.acked)
            c.until(lambda n=done: len(load.acked) > n + 50, "more jobs")
            kill(stack, "2")
            stack.start_worker("2", wait=False)
    rows = audit(stack, load, base, crashes=6, known=known)
    assert {r.worker.split(":")[1] for r in rows.values()} == {"1", "2"}, "both had their share"


def test_a_job_that_kills_its_worker_is_buried(stacks):
    stack, _, known, base = ready(stacks, **LONG)
    assert stack.workers["1"].stop() == 0
    load = Load(stack, [{"type": "noop", "args": {}, "max_attempts": 3}], connections=1)
    with load:
        pass
    for _ in range(3):
        victim = stack.start_worker("1", wait=False, FAILPOINTS="worker.done=kill")
        assert victim.wait() == -signal.SIGKILL
    stack.start_worker("1")
    rows = audit(stack, load, base, crashes=1, known=known, states=False)
    job = stack.client.job(next(iter(load.acked)))
    assert (job["state"], job["error"], job["attempt"]) == ("dead", "CRASHED", 4), job
    assert "no attempt left" in job["error_text"] and "3" in job["error_text"]
    assert set(rows) == {*known, *load.acked, *stack.client.probes}


def test_a_renderer_that_is_killed_costs_one_attempt(stacks, picture):
    stack, _, known, base = ready(stacks)
    upload = stack.client.upload(picture(2400, 1800).read_bytes())
    worker = stack.workers["1"]
    c = stack.client
    enough = []
    load = Load(stack, (picture_job(upload, n) for n in itertools.takewhile(lambda _: not enough, itertools.count())), connections=4, rate=30)

    def strike():
        for kid in children(worker.pid):
            os.kill(kid, signal.SIGKILL)
        return c.rows("select count(*) from attempts where outcome = 4")[0][0] >= 3

    with load:
        try:
            c.until(strike, "three attempts that failed")
        finally:
            enough.append(True)
    audit(stack, load, base, known=known)
    assert c.rows("select distinct error from attempts where outcome = 4") == [("CRASHED",)]
    assert worker.alive()


# --- SIGSTOP

def test_a_frozen_worker_applies_nothing_when_it_thaws(stacks):
    stack, _, known, base = ready(stacks)
    c = stack.client
    frozen = stack.workers["1"]
    load = Load(stack, noops(40, work_ms=300), connections=8)
    with load:
        c.until(lambda: len(load.acked) == 40 and c.redis.hlen("mr:{default}:state") == 40, "forty jobs")
        c.until(lambda: claimed(stack) == 40, "all of them running")
        frozen.send(signal.SIGSTOP)
    stack.start_worker("2")
    c.quiet()
    rows = {i: r for i, r in ((i, c.rows("select attempt, worker, finished_at::text from jobs where id = %s", i)[0]) for i in load.acked)}
    late = {i for i, r in rows.items() if r[0] == 2}
    assert late, "some were given to the second worker"
    frozen.send(signal.SIGCONT)
    c.until(lambda: c.events("worker-1", "consumer.lost"), "that it notices")
    fresh = c.noop()
    c.ended(fresh)
    c.until(lambda: len(c.events("worker-1", "consumer.ready")) >= 4, "its return under a new name")
    audit(stack, load, base, crashes=1, known=[*known, fresh])
    for i in late:
        assert c.rows("select attempt, worker, finished_at::text from jobs where id = %s", i)[0] == rows[i], "nothing was written late"
        assert ":2:" in rows[i][1]
        assert c.rows("select attempt from attempts where job_id = %s and error is distinct from 'LOST'", i) == [(2,)]
    assert stack.workers["1"].alive()


def test_a_worker_frozen_in_the_middle_of_a_row_changes_no_ended_job(stacks):
    """The row of a frozen worker's attempt may be on its way: whoever comes first stays."""
    stack, _, known, base = ready(stacks)
    c = stack.client
    load = Load(stack, mixed_quick(700), connections=8, rate=100)
    with load:
        for _ in range(3):
            done = len(load.acked)
            c.until(lambda: len(load.acked) > done + 60, "more jobs")
            stack.workers["1"].send(signal.SIGSTOP)
            if "2" not in stack.workers:
                stack.start_worker("2")
            lost = len(c.events("worker-2", "consumer.reaped"))
            c.until(lambda: len(c.events("worker-2", "consumer.reaped")) > lost, "that it is given up")
            ready_again = len(c.events("worker-1", "consumer.ready"))
            stack.workers["1"].send(signal.SIGCONT)
            c.until(lambda: len(c.events("worker-1", "consumer.ready")) > ready_again, "its return")
    audit(stack, load, base, crashes=3, known=known)


def test_a_short_freeze_changes_nothing(stacks):
    stack, _, known, base = ready(stacks, LEASE="10s", BEAT="1s")
    c = stack.client
    load = Load(stack, noops(30, work_ms=200), connections=4)
    with load:
        c.until(lambda: len(load.acked) > 10, "jobs")
        stack.workers["1"].send(signal.SIGSTOP)
        c.until(lambda: len(load.acked) == 30, "the rest")
        stack.workers["1"].send(signal.SIGCONT)
    rows = audit(stack, load, base, known=known)
    assert {r.attempt for r in rows.values()} == {1}
    assert not c.events("worker-1", "consumer.lost")


# --- SIGTERM

def test_drains_under_load_lose_nothing_and_cost_no_attempt(stacks):
    stack, upload, known, base = ready(stacks, DRAIN="100ms", **LONG)
    load = Load(stack, mixed(upload, 500), connections=8, rate=400)
    began = time.monotonic()
    with load:
        for name in ("2", "3", "4"):
            done = len(load.acked)
            stack.client.until(lambda: len(load.acked) > done + 80, "more jobs")
            old = stack.workers.pop(str(int(name) - 1))
            stack.start_worker(name)
            assert old.stop() == 0
    audit(stack, load, base, known=known)
    released = stack.client.rows("select count(*) from jobs where attempt > 2")
    assert released[0][0] < 200, (released, time.monotonic() - began)

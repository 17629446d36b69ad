"""Workers that are killed, stopped and frozen in the middle of their work."""

import itertools
import os
import signal
import time

import pytest

from support.audit import Base, audit, children
from support.load import Load, noops
from support.pictures import plain_png

LONG = {"LEASE": "10m", "BEAT": "1s"}  # so long that nothing which happens here can be the lease's doing


def warm(stack, upload=None):
    """One job of each kind, so that descriptors and renderers stand as they will. Gives their ids."""
    c = stack.client
    ids = [c.noop()]
    if upload:
        ids.append(c.submit(picture_job(upload, 0)))
    for i in ids:
        c.ended(i)
    return ids


def picture_job(upload, n):
    return {"type": "image", "max_attempts": 50, "args": {
        "source": {"upload": upload},
        "outputs": [{"name": "a", "ops": [{"resize": {"width": 100 + n % 7}}], "format": "webp"},
                    {"name": "b", "ops": [{"resize": {"width": 30 + n % 5}}], "format": "jpeg"}]}}


def mixed(upload, n):
    """Plain jobs, jobs that take a while, jobs that fail first, jobs with follow-ups, and pictures."""
    for i in range(n):
        kind = i % 5
        if kind == 0:
            yield {"type": "noop", "args": {}, "max_attempts": 50}
        elif kind == 1:
            yield {"type": "noop", "args": {"work_ms": 40}, "max_attempts": 50}
        elif kind == 2:
            yield {"type": "noop", "args": {"fail_attempts": 1}, "max_attempts": 50}
        elif kind == 3:
            yield {"type": "noop", "args": {}, "max_attempts": 50, "then": [{"type": "noop", "args": {"payload": "follower"}}]}
        else:
            yield picture_job(upload, i)


def kill(stack, name="1"):
    worker = stack.workers[name]
    kids = children(worker.pid)
    assert worker.stop(signal.SIGKILL) == -signal.SIGKILL
    del stack.workers[name]
    stack.client.until(lambda: not any(os.path.exists(f"/proc/{k}") and not is_zombie(k) for k in kids), "the end of its renderers")


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def ready(stack, **config):
    """A stack with everything warmed up: (stack, upload, ids so far, base)."""
    s = stack(**config)
    upload = s.client.upload(plain_png(320, 240))
    known = warm(s, upload)
    s.client.quiet()
    return s, upload, known, Base(s)


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


@pytest.mark.parametrize("point", ["worker.claimed=9*kill", "worker.done=9*kill", "worker.recorded=9*kill", "worker.store=3*kill", "worker.followed=5*kill",
                                   "consumer.claimed=3*kill", "consumer.settle=3*kill", "ledger.record=9*abort"])
def test_a_worker_that_dies_at_a_chosen_place_loses_nothing(stacks, point):
    stack, upload, known, base = ready(stacks, **LONG)
    first = stack.workers["1"]
    assert first.stop() == 0
    load = Load(stack, mixed(upload, 100), connections=4)
    with load:
        pass
    victim = stack.start_worker("1", wait=False, FAILPOINTS=point)
    assert victim.wait() in (-signal.SIGKILL, -signal.SIGABRT)
    stack.start_worker("1")
    rows = audit(stack, load, base, crashes=1, known=known)
    if point.startswith("worker.recorded"):
        assert stack.client.events("worker-1", "job.recalled"), "what was recorded is not run again"
        assert max(r[2] for r in rows.values()) <= 2


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
    rows = audit(stack, load, base, crashes=1, known=known, state=None)
    job = stack.client.job(next(iter(load.acked)))
    assert (job["state"], job["error"], job["attempt"]) == ("dead", "CRASHED", 4), job
    assert "no attempt left" in job["error_text"] and "3" in job["error_text"]
    assert len(rows) == len(known) + 1


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
        c.until(lambda: sum(c.redis.hlen(k) for k in c.redis.keys("mr:{default}:active:*")) == 40, "all of them running")
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


def mixed_quick(n):
    for i in range(n):
        job = {"type": "noop", "args": {"work_ms": 20} if i % 3 else {}, "max_attempts": 50}
        yield {**job, "then": [{"type": "noop", "args": {"payload": "follower"}}]} if i % 4 == 0 else job


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
    assert {r[2] for r in rows.values()} == {1}
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

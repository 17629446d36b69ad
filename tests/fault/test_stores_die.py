"""Redis and PostgreSQL that die, hang and come back under load."""

import itertools
import signal
import threading
import time

import pytest

from support.audit import audit
from support.faults import claimed, freeze, kill_postgres, mixed, ready, thaw
from support.load import Load, noops


# --- Redis

@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_redis_goes_and_comes_back_under_load(stacks, how):
    stack, upload, known, base = ready(stacks)
    c = stack.client
    load = Load(stack, mixed(upload, 900), connections=8, rate=300)
    with load:
        for _ in range(3):
            done = len(load.acked)
            c.until(lambda: len(load.acked) > done + 80, "more jobs")
            downs = len(c.events("worker-1", "redis.down"))
            stack.redis.process.stop(how)
            c.until(lambda: len(c.events("worker-1", "redis.down")) > downs, "that the worker notices")
            stack.redis.start()
    audit(stack, load, base, crashes=3, known=known)
    assert load.refused > 0, "the API said that it could not"
    assert stack.api.alive() and stack.workers["1"].alive()
    assert len(c.events("worker-1", "redis.up")) == 4


def test_redis_away_for_longer_than_the_lease(stacks):
    stack, _, known, base = ready(stacks)
    c = stack.client
    load = Load(stack, noops(60, work_ms=1200), connections=30)
    with load:
        c.until(lambda: len(load.acked) == 60, "jobs")
    c.until(lambda: claimed(stack) == 60, "all of them running")
    stack.redis.kill()
    began = time.monotonic()
    status, head, _ = stack.post_json("/v1/jobs", {"type": "noop", "args": {}})
    assert status == 503 and head["Retry-After"]
    assert stack.get("/healthz")[0] == 200 and stack.get("/readyz")[0] == 503
    c.until(lambda: time.monotonic() - began > 2, "twice the lease")  # the one time that silence itself is the fault
    stack.redis.start()
    rows = audit(stack, load, base, crashes=1, known=known)
    assert c.rows("select count(*) from attempts")[0][0] == len(rows), "nobody else was there: nothing was run twice"


def test_redis_is_not_there_at_the_start(stacks):
    stack = stacks(start=False)
    stack.pg.start()
    stack.pg.create_database()
    stack.cli("migrate")
    stack.start_worker(wait=False)
    stack.start_api()
    c = stack.client
    c.until(lambda: c.events("worker-1", "redis.down"), "the complaint")
    assert stack.post_json("/v1/jobs", {"type": "noop", "args": {}})[0] == 503
    stack.redis.start()
    c.until(lambda: stack.get("/readyz")[0] == 200, "readiness")
    assert c.ended(c.noop())["state"] == "succeeded"


def test_redis_that_hangs_is_left_and_found_again(stacks):
    stack, _, known, base = ready(stacks)
    c = stack.client
    load = Load(stack, noops(300, work_ms=10), connections=8, rate=200)
    with load:
        c.until(lambda: len(load.acked) > 80, "jobs")
        freeze(stack.redis.process)
        try:
            c.until(lambda: c.events("worker-1", "redis.down"), "that the worker notices")
            status, _, body = stack.get("/healthz")
            assert status == 200, body
        finally:
            thaw(stack.redis.process)
    audit(stack, load, base, crashes=1, known=known)


def test_a_drain_ends_although_redis_is_away(stacks):
    stack, _, known, base = ready(stacks, DRAIN="300ms")
    c = stack.client
    load = Load(stack, noops(5, work_ms=500), connections=5)
    with load:
        pass
    c.until(lambda: claimed(stack) == 5, "all of them running")
    stack.redis.kill()
    worker = stack.workers.pop("1")
    assert worker.stop() == 0
    stack.redis.start()
    stack.start_worker("1")
    audit(stack, load, base, crashes=1, known=known)


# --- PostgreSQL

def test_postgres_is_killed_and_restarted_under_load(stacks):
    stack, upload, known, base = ready(stacks)
    c = stack.client
    load = Load(stack, mixed(upload, 900), connections=8, rate=300)
    with load:
        for _ in range(3):
            done = len(load.acked)
            c.until(lambda: len(load.acked) > done + 80, "more jobs")
            downs = len(c.events("worker-1", "postgres.down"))
            stack.pg.kill()
            c.until(lambda: len(c.events("worker-1", "postgres.down")) > downs, "that the worker notices")
            done = len(load.acked)
            c.until(lambda: len(load.acked) > done + 20, "jobs that are taken meanwhile")
            stack.pg.start()
    audit(stack, load, base, known=known)
    assert set(load.answers) == {202}, "the API went on taking jobs"
    assert stack.api.alive() and stack.workers["1"].alive()


def test_postgres_hangs_under_load(stacks):
    stack, upload, known, base = ready(stacks)
    c = stack.client
    enough = []
    load = Load(stack, itertools.takewhile(lambda _: not enough, mixed(upload, 100_000)), connections=8, rate=150)
    with load:
        c.until(lambda: len(load.acked) > 80, "jobs")
        freeze(stack.pg.process)
        try:
            c.until(lambda: c.events("worker-1", "postgres.down"), "that the worker notices")
            done = len(load.acked)
            c.until(lambda: len(load.acked) > done + 40, "jobs that are taken meanwhile")
            status, _, _ = stack.get("/v1/jobs?state=dead")
            assert status == 503, "what cannot be asked is told so, and nobody hangs"
        finally:
            enough.append(True)
            thaw(stack.pg.process)
    audit(stack, load, base, known=known)
    assert set(load.answers) == {202}


def test_results_wait_for_postgres_and_no_more_than_the_limit_is_taken(stacks):
    stack, _, known, base = ready(stacks, LEDGER_HELD="100", SLOTS="1000")
    c = stack.client
    stack.pg.stop()
    load = Load(stack, noops(1000), connections=16)
    with load:
        c.until(lambda: len(load.acked) == 1000, "all of them")
    c.until(lambda: claimed(stack) > 0, "some at work")
    assert claimed(stack) <= 100
    assert c.redis.llen("mr:{default}:ready:normal") >= 900
    stack.pg.start()
    audit(stack, load, base, known=known)


def test_a_drain_ends_although_postgres_is_away(stacks):
    stack, _, known, base = ready(stacks, DRAIN="300ms")
    c = stack.client
    stack.pg.stop()
    load = Load(stack, noops(20, work_ms=100), connections=5)
    with load:
        pass
    c.until(lambda: claimed(stack) == 20, "all of them claimed")
    worker = stack.workers.pop("1")
    assert worker.stop() == 0
    assert c.events("worker-1", "worker.given_up")[0]["jobs"] == 20
    assert c.redis.llen("mr:{default}:ready:normal") == 20, "they are given back"
    stack.pg.start()
    stack.start_worker("1")
    audit(stack, load, base, known=known)


def test_postgres_is_killed_like_anything_else(stacks):
    """SIGKILL to all its processes in the middle of batches, and again."""
    stack, upload, known, base = ready(stacks)
    c = stack.client
    load = Load(stack, mixed(upload, 500), connections=8, rate=300)
    with load:
        for _ in range(3):
            done, downs = len(load.acked), len(c.events("worker-1", "postgres.down"))
            c.until(lambda n=done: len(load.acked) > n + 80, "more jobs")
            kill_postgres(stack)
            c.until(lambda n=downs: len(c.events("worker-1", "postgres.down")) > n, "that the worker notices")
            stack.pg.start()
    rows = audit(stack, load, base, known=known)
    assert set(load.answers) == {202}
    assert max(r.attempt for r in rows.values()) <= 2, "only what failed on purpose was run twice"


def test_postgres_with_a_full_disk(stacks, small_disk):
    """Statements fail, the server stays: results are held until there is room, jobs are taken meanwhile."""
    def start(stack):
        disk.append(small_disk(stack.pg.dir, "160m"))
        stack.pg.give(stack.pg.dir)
        stack.pg.dir.chmod(0o700)
        stack.start()
    disk = []
    stack, upload, known, base = ready(stacks, start=start, pg_extra=("max_wal_size=32MB", "min_wal_size=32MB", "wal_recycle=off", "wal_init_zero=on"))
    c = stack.client
    load = Load(stack, ({**job, "args": {**job["args"], "payload": "x" * 4000}} if job["type"] == "noop" else job for job in mixed(upload, 400)),
                connections=8, rate=300)
    disk[0].fill()
    with load:
        c.until(lambda: len(load.acked) == 400, "all of them")
        c.until(lambda: "No space left on device" in (stack.pg.dir.parent / "postgres.log").read_text(errors="replace"), "a full disk")
    disk[0].free()
    if not stack.pg.process.alive():  # no room for its log of changes is the one thing that it does not live through
        stack.pg.process.wait()
        stack.pg.start()
    audit(stack, load, base, known=known)
    assert set(load.answers) == {202}


def test_both_are_away_at_once(stacks):
    stack, upload, known, base = ready(stacks)
    c = stack.client
    load = Load(stack, mixed(upload, 400), connections=8, rate=200)
    with load:
        c.until(lambda: len(load.acked) > 80, "jobs")
        stack.pg.kill()
        stack.redis.kill()
        c.until(lambda: c.events("worker-1", "redis.down") and c.events("worker-1", "postgres.down"), "that the worker notices")
        back = threading.Thread(target=stack.pg.start)
        back.start()
        stack.redis.start()
        back.join()
    audit(stack, load, base, crashes=1, known=known)


def test_redis_with_a_full_disk(stacks, small_disk):
    """With appendfsync always it ends itself rather than say yes to what it cannot keep. With room again it has all that it said yes to."""
    def start(stack):
        disk.append(small_disk(stack.redis.dir, "6m"))
        stack.start()
    disk = []
    stack, _, known, base = ready(stacks, start=start)
    c = stack.client
    load = Load(stack, noops(300), connections=8, rate=300)
    with load:
        for _ in range(2):
            done = len(load.acked)
            c.until(lambda n=done: len(load.acked) > n + 50, "more jobs")
            disk[0].fill()
            c.until(lambda: not stack.redis.process.alive(), "the end of Redis")
            stack.redis.process.wait()
            refused = load.refused
            c.until(lambda n=refused: load.refused > n, "a refusal")
            disk[0].free()
            stack.redis.start()
    audit(stack, load, base, crashes=2, known=known)


def test_redis_is_full_under_load(stacks):
    """At maxmemory jobs are refused and taken up to the last; with room again the load goes on by itself."""
    stack, upload, known, base = ready(stacks)
    c = stack.client
    load = Load(stack, mixed(upload, 300), connections=8, rate=200)
    with load:
        c.until(lambda: len(load.acked) > 80, "jobs")
        c.redis.config_set("maxmemory", 1)
        refused = load.refused
        c.until(lambda: load.refused > refused + 20, "refusals")
        c.quiet()
        c.redis.config_set("maxmemory", 0)
    audit(stack, load, base, known=known)


def test_a_full_redis_refuses_jobs_and_goes_on_giving_them(stacks):
    stack, _, known, base = ready(stacks)
    c = stack.client
    load = Load(stack, noops(50, work_ms=200), connections=10)
    with load:
        pass
    used = c.redis.info("memory")["used_memory"]
    c.redis.config_set("maxmemory", max(1, used // 2))
    status, head, _ = stack.post_json("/v1/jobs", {"type": "noop", "args": {}})
    assert status == 503 and head["Retry-After"]
    c.quiet()
    c.redis.config_set("maxmemory", 0)
    more = c.noop()
    c.ended(more)
    audit(stack, load, base, known=[*known, more])

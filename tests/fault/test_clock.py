"""Wall clocks that jump by an hour while jobs run. Deadlines and beats hang on the monotonic clock; leases and due times on
Redis's wall clock, because no other clock is everybody's."""

import itertools
import time

from support.audit import audit
from support.faults import claimed, mixed_quick, ready
from support.load import Load, noops

HOUR = 3600


def jumped_load(stack, clock, rounds):
    """Load while the clock jumps; each jump is seen by jobs that were taken before and after it."""
    load = Load(stack, itertools.chain.from_iterable(mixed_quick(4) for _ in itertools.count()), connections=8, rate=150)
    with load:
        for seconds in rounds:
            stack.client.until(lambda done=len(load.acked): len(load.acked) > done + 60, "more jobs")
            clock.jump(seconds)
        stack.client.until(lambda done=len(load.acked): len(load.acked) > done + 60, "more jobs")
        load.stop()
    return load


def test_redis_clock_jumps(stacks, clock):
    """Forward, all leases seem over: jobs are given back and run again, fenced. Back, beats seem to come from the future."""
    def start(stack):
        stack.redis.environment = clock.environment()
        stack.start()
    stack, _, known, base = ready(stacks, start=start)
    load = jumped_load(stack, clock, (HOUR, 0, -HOUR, 0))
    audit(stack, load, base, crashes=4, known=known)
    assert stack.workers["1"].alive()


def test_the_daemons_clocks_jump(stacks, clock):
    """Nothing that runs is timed by the wall clock: no lease is lost, no job runs twice."""
    def start(stack):
        stack.start_services()
        stack.environment = clock.environment()
        stack.start_api()
        stack.start_worker()
    stack, _, known, base = ready(stacks, start=start)
    load = jumped_load(stack, clock, (HOUR, 0, -HOUR, 0))
    rows = audit(stack, load, base, known=known, in_flight=True)
    assert {r.attempt for r in rows.values()} == {1}
    assert not stack.client.events("worker-1", "consumer.lost")


def test_a_worker_that_dies_in_the_future_is_missed_when_the_clock_is_set_back(stacks, clock):
    """Its last beat lies an hour ahead: that counts as silence all the same, after a lease."""
    def start(stack):
        stack.redis.environment = clock.environment()
        stack.start()
    stack, _, known, base = ready(stacks, start=start)
    c = stack.client
    clock.jump(HOUR)
    ahead = (time.time() + HOUR / 2) * 1000
    c.until(lambda: c.redis.zcount("mr:{default}:consumers", ahead, "+inf") == 1, "beats in the future")
    load = Load(stack, noops(1, work_ms=3000), connections=1)
    with load:
        c.until(lambda: claimed(stack) == 1, "a job at work")
    stack.workers.pop("1").stop(9)
    clock.jump(0)
    stack.start_worker("2")
    c.until(lambda: any(":1:" in e["name"] for e in c.events("worker-2", "consumer.reaped")), "that the dead one is missed")
    assert claimed(stack) <= 1
    audit(stack, load, base, crashes=1, known=known)

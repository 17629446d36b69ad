"""Many workers, some of which die at a tick: each tick is taken once."""

import signal
import time

import pytest

from support.schedules import Schedules, ms


def counted(schedules, name):
    """Every tick from the first to the last that was taken is in one of the counters once, and each that was fired is a job."""
    schedules.ask("POST", f"{name}/pause")
    told = schedules.get(name)
    schedules.client.quiet()
    totals = told["totals"]
    assert schedules.jobs(name) == totals["fired"], "one job a firing"
    return told, totals["fired"] + totals["missed"] + totals["skipped"]


def ticks_between(first, last, every):
    return (ms(last) - ms(first)) // every + 1


def end_by_signal(stack, name):
    assert stack.workers[name].stop(signal.SIGKILL) == -signal.SIGKILL
    del stack.workers[name]


def test_many_workers_take_each_tick_once(stacks):
    stack = stacks()
    for name in ("2", "3", "4"):
        stack.start_worker(name)
    s = Schedules(stack)
    first = {n: s.put(n, cron="* * * * * *", missed="all", job={"type": "noop", "args": {"payload": n}})["next_at"]
             for n in ("tick-a", "tick-b", "tick-c")}
    for name in first:
        s.until(name, lambda told: told["totals"]["fired"] >= 5)
    for name in first:
        told, n = counted(s, name)
        assert n == ticks_between(first[name], told["last_tick_at"], 1000)
        assert told["totals"]["missed"] == told["totals"]["skipped"] == 0


@pytest.mark.parametrize("point", ["ticker.due=kill", "ticker.fired=kill"])
def test_workers_killed_at_a_tick_lose_and_repeat_none(stacks, point):
    """Before the tick is taken, and after Redis took it and nobody knows."""
    stack = stacks(start=False)
    stack.start_services()
    stack.start_api()
    stack.client.until(lambda: stack.get("/readyz")[0] == 200, "readiness")
    s = Schedules(stack)
    name = "killer"
    first = s.put(name, every_ms=1000, missed="all", job={"type": "noop", "args": {"payload": name}})["next_at"]
    for i in range(3):
        victim = stack.start_worker(f"v{i}", wait=False, FAILPOINTS=point)
        assert victim.wait() == -signal.SIGKILL
        del stack.workers[f"v{i}"]
    fired = s.get(name)["totals"]["fired"]
    assert (fired == 0) == (point == "ticker.due=kill")
    stack.start_worker("1")
    stack.start_worker("2")
    s.until(name, lambda told: told["totals"]["fired"] >= fired + 3)
    told, n = counted(s, name)
    assert told["totals"]["fired"] == n == ticks_between(first, told["last_tick_at"], 1000)


def test_workers_killed_at_any_moment_lose_and_repeat_none(stacks):
    stack = stacks()
    s = Schedules(stack)
    name = "storm"
    first = s.put(name, cron="* * * * * *", missed="all", job={"type": "noop", "args": {"payload": name}})["next_at"]
    end = time.monotonic() + 8
    i = 1
    while time.monotonic() < end:
        i += 1
        stack.start_worker(str(i))
        end_by_signal(stack, str(i - 1))
    s.until(name, lambda told: told["totals"]["fired"] >= 5)
    told, n = counted(s, name)
    assert told["totals"]["fired"] == n == ticks_between(first, told["last_tick_at"], 1000)


@pytest.mark.parametrize("policy, fired", [("one", 1), ("all", 48), ("skip", 0)])
def test_a_worker_started_after_a_downtime_goes_by_the_policy(stacks, policy, fired):
    stack = stacks(SCHEDULE_GRACE="5s")
    s = Schedules(stack)
    name = f"down-{policy}"
    s.put(name, every_ms=3600000, start_at="2020-01-01T00:30:00Z", missed=policy, job={"type": "noop", "args": {"payload": name}})
    end_by_signal(stack, "1")
    due = s.miss(name, hours=48)
    stack.start_worker("1")
    stack.start_worker("2")
    told = s.until(name, lambda t: t["totals"]["fired"] + t["totals"]["missed"] >= 48)
    assert ms(told["next_at"]) == due + 48 * 3600000
    told, n = counted(s, name)
    assert (told["totals"]["fired"], n) == (fired, 48)


def test_redis_away_at_a_tick_delays_it(stacks):
    stack = stacks()
    s = Schedules(stack)
    first = s.put("away", every_ms=1000, missed="all", job={"type": "noop", "args": {"payload": "away"}})["next_at"]
    s.until("away", lambda t: t["totals"]["fired"] >= 1)
    next_ms = ms(s.get("away")["next_at"])
    stack.redis.kill()
    stack.client.until(lambda: time.time() * 1000 > next_ms + 1000, "the time of two ticks")  # which is the outage itself
    stack.redis.start()
    stack.client.until(lambda: s.ask("GET", "away")[0] == 200, "the API's way to Redis")
    fired = s.get("away")["totals"]["fired"]
    s.until("away", lambda t: t["totals"]["fired"] >= fired + 4)
    told, n = counted(s, "away")
    assert told["totals"]["fired"] == n == ticks_between(first, told["last_tick_at"], 1000)

"""Jobs that die with their worker: what is recorded, and when it is enough."""

import signal

import pytest

LONG = {"BEAT": "500ms", "LEASE": "10s"}


def kill_it(stack, times, point):
    for _ in range(times):
        victim = stack.start_worker("1", wait=False, FAILPOINTS=point)
        code = victim.wait()
        assert code in (-signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV), code
        stack.client.excused.append(code)


def start_without_worker(stacks, **config):
    stack = stacks(start=False, **{**LONG, **config})
    stack.start_services()
    stack.start_api()
    stack.client.until(lambda: stack.get("/readyz")[0] == 200, "readiness")
    return stack


@pytest.mark.parametrize("point, how", [("worker.done=kill", "was killed (SIGKILL"), ("worker.done=abort", "died of SIGABRT")])
def test_a_job_that_kills_its_workers_is_dead_with_the_reason(stacks, point, how):
    stack = start_without_worker(stacks, CRASHES_MAX="3")
    if point.endswith("abort") and stack.client.sanitized():
        how = "the worker"  # a sanitizer has handlers of its own
    job = stack.client.submit({"type": "noop", "args": {}, "max_attempts": 50})
    other = stack.client.submit({"type": "noop", "args": {}, "delay_ms": 3600000})
    kill_it(stack, 3, point)
    stack.start_worker("1")
    ended = stack.client.ended(job)
    assert (ended["state"], ended["error"], ended["attempt"]) == ("dead", "CRASHED", 4), ended
    assert "3 workers died with it" in ended["error_text"] and how in ended["error_text"] and "memory peak" in ended["error_text"]
    told = [(a["attempt"], a["outcome"], a["error"]) for a in sorted(ended["attempts"], key=lambda a: a["attempt"])]
    assert told == [(1, "retrying", "LOST"), (2, "retrying", "LOST"), (3, "retrying", "LOST"), (4, "dead", "CRASHED")]
    assert all(how in a["error_text"] for a in ended["attempts"] if a["error"] == "LOST")
    assert stack.client.job(other)["state"] == "scheduled"
    stack.client.redis.delete("mr:{default}:delayed", "mr:{default}:state")


def test_fewer_deaths_than_that_do_not_bury_it(stacks):
    stack = start_without_worker(stacks)
    job = stack.client.submit({"type": "noop", "args": {"fail_attempts": 1}, "max_attempts": 50})
    kill_it(stack, 1, "worker.done=kill")
    stack.start_worker("1")
    ended = stack.client.ended(job)
    assert ended["state"] == "succeeded" and ended["attempt"] == 2
    assert [(a["attempt"], a["outcome"], a.get("error")) for a in ended["attempts"]] == \
        [(1, "retrying", "LOST"), (2, "succeeded", None)]


def test_the_limit_is_configured(stacks):
    stack = start_without_worker(stacks, CRASHES_MAX="1")
    job = stack.client.submit({"type": "noop", "args": {}, "max_attempts": 50})
    kill_it(stack, 1, "worker.done=kill")
    stack.start_worker("1")
    assert stack.client.ended(job)["attempt"] == 2 and stack.client.job(job)["state"] == "dead"


def test_a_released_attempt_is_not_a_death(stacks):
    stack = stacks(DRAIN="0ms")
    job = stack.client.submit({"type": "noop", "args": {"work_ms": 2000}})
    stack.client.state(job, "running")
    assert stack.workers["1"].stop() == 0
    stack.start_worker("1")
    ended = stack.client.ended(job)
    assert ended["attempt"] == 2 and [a["attempt"] for a in ended["attempts"]] == [2]

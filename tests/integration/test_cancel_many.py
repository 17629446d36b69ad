"""Many live jobs are cancelled by queue and state."""

import json

import pytest


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks(QUEUES="default,side")


def many(stack, **body):
    status, _, answer = stack.post_json("/v1/jobs/cancel", body)
    return status, answer


def noop(**more):
    return {"type": "noop", "args": more.pop("args", {}), **more}


def states(stack, jobs):
    return {stack.client.ended(job)["state"] for job in jobs}


def test_jobs_that_wait_are_cancelled_page_by_page(stack):
    jobs = [stack.client.submit(noop(queue="side", delay_ms=3600000)) for _ in range(150)]
    assert many(stack, filter={"queue": "side", "state": "scheduled"}, dry_run=True) == \
        (200, {"matched": 150, "done": 0, "requested": 0, "more": False})
    assert many(stack, filter={"queue": "side", "state": "scheduled"}, limit=20)[1] == \
        {"matched": 20, "done": 20, "requested": 0, "more": True}
    assert many(stack, filter={"queue": "side", "state": "scheduled"})[1] == {"matched": 130, "done": 130, "requested": 0, "more": False}
    assert many(stack, filter={"queue": "side", "state": "scheduled"})[1]["matched"] == 0
    assert states(stack, jobs) == {"cancelled"}
    stack.client.quiet()


def test_queued_jobs_of_a_type_are_cancelled(stack):
    stack.client.ended(stack.client.submit(noop(queue="side")))  # the queue is known
    assert stack.post_json("/v1/queues/side/pause", {})[0] == 204
    hooks = [stack.client.submit({"type": "webhook", "args": {"url": "http://127.0.0.1:1/"}, "queue": "side"}) for _ in range(70)]
    kept = [stack.client.submit(noop(queue="side")) for _ in range(70)]
    answer = many(stack, filter={"queue": "side", "state": "queued", "type": "webhook"})[1]
    assert answer == {"matched": 70, "done": 70, "requested": 0, "more": False}
    assert many(stack, filter={"queue": "side", "state": "queued", "type": "webhook"})[1]["matched"] == 0
    assert stack.post_json("/v1/queues/side/resume", {})[0] == 204
    assert states(stack, hooks) == {"cancelled"} and states(stack, kept) == {"succeeded"}


def test_running_jobs_are_stopped(stack):
    jobs = [stack.client.submit(noop(args={"work_ms": 60000})) for _ in range(5)]
    for job in jobs:
        stack.client.state(job, "running")
    told = stack.cli("cancel", "--queue", "default", "--state", "running", "--json")
    assert json.loads(told.stdout) == {"matched": 5, "done": 0, "requested": 5, "more": False}
    assert states(stack, jobs) == {"cancelled"}


@pytest.mark.parametrize("body, pointer", [
    ({}, "/filter"), ({"filter": {"queue": "q"}}, "/filter/state"), ({"filter": {"state": "queued"}}, "/filter/queue"),
    ({"filter": {"queue": "q", "state": "dead"}}, "/filter/state"), ({"filter": {"queue": "Q", "state": "queued"}}, "/filter/queue"),
    ({"filter": {"queue": "q", "state": "queued"}, "limit": 100001}, "/limit"),
    ({"filter": {"queue": "q", "state": "queued"}, "dry_run": 1}, "/dry_run")])
def test_a_filter_that_cannot_be_is_refused(stack, body, pointer):
    status, answer = many(stack, **body)
    assert status == 422 and answer["errors"][0]["pointer"] == pointer, answer


def test_the_command_line_wants_ids_or_a_filter(stack):
    for words in ([], ["--queue", "default"], ["--state", "queued"], ["x", "--queue", "default", "--state", "queued"]):
        assert stack.cli("cancel", *words, check=False).returncode == 2
    assert stack.cli("cancel", "--queue", "default", "--state", "dead", check=False).returncode == 2

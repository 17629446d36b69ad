"""Running again what has ended, and what Redis lost."""

import json

import pytest

TIMES = {"SALVAGE_LOOK": "200ms", "SALVAGE_GRACE": "100ms"}


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks(**TIMES)


def dead(stack, **more):
    """A job that is dead, and all of it out of Redis."""
    args = more.pop("args", {"fail_final": True})
    job = stack.client.ended(stack.client.submit({"type": "noop", "args": args, **more}))
    assert job["state"] == "dead"
    stack.client.quiet()
    return job["id"]


def retry(stack, job, edit=None):
    if edit is None:
        status, _, body = stack.request("POST", f"/v1/jobs/{job}/retry")
        return status, json.loads(body)
    status, _, body = stack.post_json(f"/v1/jobs/{job}/retry", edit)
    return status, body


def attempts(stack, job):
    return stack.client.rows("select attempt, outcome from attempts where job_id = %s order by attempt", job)


# --- one job

def test_a_dead_job_runs_again_with_its_attempts_counting_on(stack):
    job = dead(stack, args={"fail_attempts": 2}, max_attempts=2)
    status, body = retry(stack, job)
    assert (status, body["id"], body["state"], body["attempt"]) == (202, job, "queued", 2)
    ended = stack.client.ended(job)
    assert ended["state"] == "succeeded" and ended["attempt"] == 3
    assert attempts(stack, job) == [(1, 4), (2, 6), (3, 5)]
    assert stack.client.rows("select redrives, excused from jobs where id = %s", job) == [(1, 2)]


def test_it_has_as_many_attempts_as_at_first(stack):
    job = dead(stack, args={"fail_attempts": 99}, max_attempts=2)
    assert retry(stack, job)[0] == 202
    stack.client.until(lambda: len(attempts(stack, job)) == 4, "four attempts")
    stack.client.quiet()
    assert attempts(stack, job) == [(1, 4), (2, 6), (3, 4), (4, 6)] and stack.client.job(job)["state"] == "dead"
    assert retry(stack, job)[0] == 202
    stack.client.until(lambda: len(attempts(stack, job)) == 6, "six attempts")


def test_it_can_be_edited(stack):
    job = dead(stack)
    status, body = retry(stack, job, {"args": {"payload": "mended"}, "queue": "default", "priority": "high", "delay_ms": 10,
                                      "then": [{"type": "noop", "args": {}}]})
    assert status == 202 and body["state"] == "scheduled"
    ended = stack.client.ended(job)
    assert ended["state"] == "succeeded" and ended["args"] == {"payload": "mended"} and ended["priority"] == "high"
    stack.client.until(lambda: stack.client.rows("select 1 from jobs where parent = %s", job), "its follow-up")


@pytest.mark.parametrize("edit, pointer", [
    ({"type": "image"}, "/type"), ({"args": {"work_ms": -1}}, "/args/work_ms"), ({"args": []}, "/args"),
    ({"priority": "urgent"}, "/priority"), ({"then": [{}]}, "/then/0/type")])
def test_an_edit_that_cannot_be_is_refused_and_changes_nothing(stack, edit, pointer):
    job = dead(stack)
    status, body = retry(stack, job, edit)
    assert status == 422 and body["errors"][0]["pointer"] == pointer, body
    assert stack.client.job(job)["state"] == "dead"


def test_what_has_not_ended_or_has_succeeded_is_left_alone(stack):
    fine = stack.client.ended(stack.client.noop())["id"]
    stack.client.quiet()
    status, body = retry(stack, fine)
    assert status == 409 and "has succeeded" in body["detail"]
    live = stack.client.submit({"type": "noop", "args": {}, "delay_ms": 3600000})
    status, body = retry(stack, live)
    assert status == 409 and "is scheduled" in body["detail"]
    stack.client.redis.delete("mr:{default}:delayed", "mr:{default}:state")
    assert retry(stack, "01a20af1-272d-7402-be8e-eb67e0f0a3a5")[0] == 404
    assert retry(stack, "nonsense")[0] == 404


def test_of_two_who_ask_at_once_one_is_heard(stack):
    from concurrent.futures import ThreadPoolExecutor
    job = dead(stack, args={"fail_attempts": 1}, max_attempts=1)
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(s for s, _ in pool.map(lambda _: retry(stack, job), range(8)))
    assert codes[0] == 202 and all(c in (202, 409) for c in codes)
    assert stack.client.ended(job)["state"] == "succeeded"
    stack.client.quiet()
    assert [a for a, _ in attempts(stack, job)] == [1, 2]


# --- many

def many(stack, **body):
    status, _, answer = stack.post_json("/v1/jobs/retry", body)
    return status, answer


def test_many_run_again_by_filter(stack):
    jobs = [dead(stack, queue="default", args={"fail_attempts": 1, "payload": "many"}, max_attempts=1) for _ in range(5)]
    query = {"state": "dead", "error": "MANY", "type": "noop", "queue": "default"}
    with_commit(stack, "update jobs set error = 'MANY' where id = any(%s::uuid[])", jobs)
    assert many(stack, filter=query, dry_run=True) == (200, {"matched": 5, "more": False})
    assert many(stack, filter=query, dry_run=True, limit=3) == (200, {"matched": 3, "more": True})
    assert many(stack, filter=query, limit=2) == (200, {"redriven": 2, "more": True})
    assert many(stack, filter=query, per_second=100) == (200, {"redriven": 3, "more": False})
    assert many(stack, filter=query) == (200, {"redriven": 0, "more": False})
    for job in jobs:
        assert stack.client.ended(job)["state"] == "succeeded"


def with_commit(stack, sql, *args):
    import psycopg2
    with psycopg2.connect(stack.pg.url) as db, db.cursor() as cursor:
        cursor.execute(sql, args)


def test_a_rate_spreads_them_over_time(stack):
    jobs = [dead(stack, args={"fail_attempts": 1}, max_attempts=1) for _ in range(4)]
    with_commit(stack, "update jobs set error = 'RATE' where id = any(%s::uuid[])", jobs)
    assert many(stack, filter={"state": "dead", "error": "RATE"}, per_second=0.1)[1]["redriven"] == 4
    due = [r[0] for r in stack.client.rows(
        "select extract(epoch from next_attempt_at) from jobs where id = any(%s::uuid[]) order by id", jobs)]
    assert [round(b - a) for a, b in zip(due[1:], due[2:])] == [10, 10]  # the first ran at once
    states = [stack.client.job(job)["state"] for job in jobs[1:]]
    assert states == ["scheduled"] * 3
    stack.client.redis.delete("mr:{default}:delayed", "mr:{default}:state")
    with_commit(stack, "update jobs set state = 6 where id = any(%s::uuid[]) and state = 4", jobs)


@pytest.mark.parametrize("body, pointer", [
    ({}, "/filter"), ({"filter": {}}, "/filter/state"), ({"filter": {"state": "succeeded"}}, "/filter/state"),
    ({"filter": {"state": "dead", "before": 1}}, "/filter/before"), ({"filter": {"state": "dead"}, "limit": 0}, "/limit"),
    ({"filter": {"state": "dead"}, "limit": 100001}, "/limit"), ({"filter": {"state": "dead"}, "per_second": 0}, "/per_second"),
    ({"filter": {"state": "dead", "batch": "x"}}, "/filter/batch")])
def test_a_filter_that_cannot_be_is_refused(stack, body, pointer):
    status, answer = many(stack, **body)
    assert status == 422 and answer["errors"][0]["pointer"] == pointer, answer


def test_more_than_a_page_runs_again(stack):
    for _ in range(450):
        stack.client.submit({"type": "noop", "args": {"fail_attempts": 1}, "max_attempts": 1, "queue": "default"})
    stack.client.quiet()
    query = {"state": "dead", "error": "BUSY"}
    n = stack.client.rows("select count(*) from jobs where state = 6 and error = 'BUSY'")[0][0]
    assert n >= 450 and many(stack, filter=query, dry_run=True)[1] == {"matched": n, "more": False}
    assert many(stack, filter=query)[1] == {"redriven": n, "more": False}
    stack.client.quiet()
    assert stack.client.rows("select count(*) from jobs where state = 5 and redrives > 0")[0][0] >= 450


# --- the command line

def test_the_command_line_runs_jobs_again(stack):
    job = dead(stack, args={"fail_attempts": 1}, max_attempts=1)
    told = stack.cli("retry", job)
    assert job in told.stdout
    assert stack.client.ended(job)["state"] == "succeeded"
    again = stack.cli("retry", job, check=False)
    assert again.returncode == 1 and "has succeeded" in again.stderr
    assert stack.cli("retry", "01a20af1-272d-7402-be8e-eb67e0f0a3a5", check=False).returncode == 4
    jobs = [dead(stack, args={"fail_attempts": 1}, max_attempts=1) for _ in range(3)]
    with_commit(stack, "update jobs set error = 'CLI' where id = any(%s::uuid[])", jobs)
    assert json.loads(stack.cli("retry", "--state", "dead", "--error", "CLI", "--dry-run", "--json").stdout) == \
        {"matched": 3, "more": False}
    assert json.loads(stack.cli("retry", "--state", "dead", "--error", "CLI", "--json").stdout) == {"redriven": 3, "more": False}
    for job in jobs:
        assert stack.client.ended(job)["state"] == "succeeded"
    assert stack.cli("retry", check=False).returncode == 2
    job = dead(stack)
    wrong = stack.cli("retry", job, "--edit", '{"args": {"work_ms": -1}}', check=False)
    assert wrong.returncode == 1 and "/args/work_ms" in wrong.stderr
    assert stack.cli("retry", job, "--edit", '{"args": {"payload": 7}, "priority": "low"}').returncode == 0
    ended = stack.client.ended(job)
    assert (ended["state"], ended["args"], ended["priority"]) == ("succeeded", {"payload": 7}, "low")


# --- what Redis lost

def test_a_retry_that_redis_has_lost_comes_back(stack):
    job = stack.client.submit({"type": "noop", "args": {"fail_attempts": 1}, "retry": {"policy": "fixed", "base_ms": 300, "jitter_pct": 0}})
    stack.client.state(job, "retrying")
    stack.client.redis.flushall()
    ended = stack.client.ended(job)
    assert ended["state"] == "succeeded" and ended["attempt"] == 2
    assert [e["job"] for e in stack.client.events("worker-1", "job.salvaged") if e["job"] == job] == [job]


def test_a_redrive_that_was_cut_off_before_the_queue_is_carried_out(stack):
    job = dead(stack, args={"fail_attempts": 1}, max_attempts=1)
    with_commit(stack, "update jobs set state = 4, redrives = 1, excused = attempt, next_attempt_at = now() where id = %s", job)
    ended = stack.client.ended(job)
    assert ended["state"] == "succeeded" and ended["attempt"] == 2


def test_what_waits_as_it_should_is_not_salvaged(stack):
    before = len(stack.client.events("worker-1", "job.salvaged"))
    assert stack.post_json("/v1/queues/default/pause", {})[0] == 204
    try:
        job = dead_in(stack)
        first = len(stack.client.events("worker-1", "job.salvaged"))
        assert first == before
    finally:
        assert stack.post_json("/v1/queues/default/resume", {})[0] == 204
    assert stack.client.ended(job)["state"] == "succeeded"


def dead_in(stack):
    """A job whose next attempt is long due and that Redis holds: a pass of the salvage leaves it alone."""
    assert stack.post_json("/v1/queues/default/resume", {})[0] == 204
    job = stack.client.submit({"type": "noop", "args": {"fail_attempts": 1}, "retry": {"policy": "fixed", "base_ms": 400, "jitter_pct": 0}})
    stack.client.state(job, "retrying")
    assert stack.post_json("/v1/queues/default/pause", {})[0] == 204
    stack.client.until(lambda: stack.client.rows("select 1 from jobs where id = %s and next_attempt_at < now() - interval '200 ms'", job),
                       "its time")
    stack.client.redis.delete("mr:salvage")
    stack.client.until(lambda: stack.client.redis.exists("mr:salvage"), "a look")
    stack.client.redis.delete("mr:salvage")
    stack.client.until(lambda: stack.client.redis.exists("mr:salvage"), "another look, so that the first is over")
    return job

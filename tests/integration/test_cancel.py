"""Cancelling a job in every state, and expiry: the answer, the row and the effects must agree."""

import json
import signal
import threading

import pytest

from support.audit import children
from support.receiver import Receiver

UNKNOWN = "0192f0c1-2345-7abc-8def-0123456789ab"


@pytest.fixture
def receiver():
    it = Receiver()
    yield it
    it.close()


def cancel(stack, job_id, **headers):
    status, head, body = stack.request("POST", f"/v1/jobs/{job_id}/cancel", b"", {k.replace("_", "-"): v for k, v in headers.items()})
    return status, json.loads(body), head


def recorded(stack, job_id):
    """Its row, once it has one that is final."""
    def look():
        row = stack.client.row(job_id)
        return row if row and row[0] != "retrying" else None
    return stack.client.until(look, f"the row of {job_id}")


def check_cancelled(stack, job_id, why):
    state, _, error, text = recorded(stack, job_id)
    assert (state, error) == ("cancelled", "CANCELED") and why in text, (state, error, text)
    assert len(stack.client.rows("select 1 from jobs where id = %s", job_id)) == 1
    stack.client.quiet()
    job = stack.client.job(job_id)
    assert job["state"] == "cancelled"
    return job


BEFORE, WHILE = "cancelled before it was begun", "cancelled while it ran"


# --- what waits

def test_a_queued_job_never_runs(stacks):
    stack = stacks(QUEUES="default=1", BEAT="10s", LEASE="60s")
    c = stack.client
    first = c.noop(work_ms=60000)
    c.state(first, "running")
    ids = [c.noop() for _ in range(3)]
    status, answer, _ = cancel(stack, ids[1])
    assert (status, answer) == (200, {"id": ids[1], "state": "cancelled", "cancel": "done"})
    assert c.job(ids[1])["state"] == "cancelled"  # at once, although its row is not written yet
    assert c.row(ids[1]) is None
    assert cancel(stack, ids[1])[:2] == (200, answer)
    assert cancel(stack, first)[0] == 202  # frees the only slot
    job = check_cancelled(stack, ids[1], BEFORE)
    assert job["attempt"] == 1
    assert [c.ended(i)["state"] for i in (ids[0], ids[2])] == ["succeeded", "succeeded"]
    check_cancelled(stack, first, WHILE)
    assert cancel(stack, ids[1])[:2] == (200, answer)  # now from the record


def test_a_scheduled_job_is_recorded_at_once(stack):
    c = stack.client
    ids = [c.submit({"type": "noop", "args": {}, "delay_ms": 3600000, "priority": "low"}) for _ in range(3)]
    assert cancel(stack, ids[1])[:2] == (200, {"id": ids[1], "state": "cancelled", "cancel": "done"})
    recorded(stack, ids[1])
    job = c.job(ids[1])
    assert (job["state"], job["priority"]) == ("cancelled", "low")
    assert c.job(ids[0])["state"] == "scheduled"
    for i in (ids[0], ids[2]):
        cancel(stack, i)
        check_cancelled(stack, i, BEFORE) if i == ids[2] else None
    c.quiet()


def test_a_job_between_attempts_makes_no_other(stacks):
    stack = stacks(RETRY_BASE="1h", RETRY_CAP="1h")
    job = stack.client.noop(fail_attempts=9)
    stack.client.state(job, "retrying")
    assert cancel(stack, job)[1] == {"id": job, "state": "cancelled", "cancel": "done"}
    told = check_cancelled(stack, job, BEFORE)
    assert [(a["attempt"], a["outcome"]) for a in told["attempts"]] == [(1, "retrying"), (2, "cancelled")]


def test_a_paused_queue_shows_it_cancelled_until_it_is_recorded(stack):
    c = stack.client
    assert stack.request("POST", "/v1/queues/default/pause", b"")[0] == 204
    job = c.noop()
    status, answer, head = cancel(stack, job, Prefer="wait=1")
    assert (status, answer["cancel"], head["preference-applied"]) == (200, "done", "wait")
    assert c.job(job)["state"] == "cancelled"
    listed = json.loads(stack.get("/v1/jobs?state=queued&queue=default")[2])["jobs"]
    assert [(j["id"], j["state"]) for j in listed] == [(job, "cancelled")]
    assert stack.request("POST", "/v1/queues/default/resume", b"")[0] == 204
    check_cancelled(stack, job, BEFORE)


# --- what runs

def test_a_running_job_is_stopped_and_is_waited_for(stack):
    job = stack.client.noop(work_ms=60000)
    stack.client.state(job, "running")
    status, answer, head = cancel(stack, job, Prefer="wait=50")
    assert (status, answer) == (200, {"id": job, "state": "cancelled", "cancel": "done"})
    assert head["preference-applied"] == "wait"
    assert check_cancelled(stack, job, WHILE)["attempt"] == 1


def test_a_cancel_that_no_message_tells_comes_with_the_beat(stack):
    c = stack.client
    job = c.noop(work_ms=60000)
    worker = c.state(job, "running")["worker"]
    c.redis.sadd(f"mr:{{default}}:cancels:{worker}", bytes.fromhex(job.replace("-", "")))
    check_cancelled(stack, job, WHILE)


def test_a_renderer_is_killed(stacks, picture):
    stack = stacks(FAILPOINTS="render.decode=1*spin", RENDERERS="1", BEAT="10s", LEASE="60s")
    c = stack.client
    upload = c.upload(picture(400, 300).read_bytes())
    source = {"source": {"upload": upload}, "outputs": [{"name": "a", "ops": [{"resize": {"width": 50}}], "format": "jpeg"}]}
    job = c.submit({"type": "image", "args": source, "timeout_ms": 600000})
    c.until(lambda: (c.job(job) or {}).get("state") == "running" and c.files("spool"), "a renderer at work")
    renderers = set(children(stack.workers["1"].pid))
    assert cancel(stack, job, Prefer="wait=50")[1]["cancel"] == "done"
    check_cancelled(stack, job, WHILE)
    c.until(lambda: renderers - set(children(stack.workers["1"].pid)), "the end of the renderer that had it")
    c.until(lambda: not c.files("spool"), "an empty spool")
    assert not [f for f in c.files("blobs") if "uploads" not in f.parts]


def test_a_webhook_is_not_waited_for(stack, receiver):
    receiver.answers["/hook"] = ["hang"]
    job = stack.client.submit({"type": "webhook", "args": {"url": receiver.url()}})
    stack.client.until(receiver.requests, "the request")
    assert cancel(stack, job, Prefer="wait=50")[1]["cancel"] == "done"
    check_cancelled(stack, job, WHILE)
    assert len(receiver.requests()) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_whose_worker_dies_is_not_begun_again(stacks, how):
    """The worker is stopped before it can hear of the cancel, and ends without having heard."""
    stack = stacks(LEASE="10m", BEAT="1m", DRAIN="0ms")
    c = stack.client
    job = c.noop(work_ms=60000)
    c.state(job, "running")
    worker = stack.workers["1"]
    worker.send(signal.SIGSTOP)
    assert cancel(stack, job)[:2] == (202, {"id": job, "state": "running", "cancel": "requested"})
    if how == signal.SIGKILL:
        worker.send(how)
        worker.wait()
        c.excused.append(-signal.SIGKILL)
    else:
        worker.ask()
        worker.send(signal.SIGCONT)
        worker.wait()
    stack.start_worker("1")  # takes back what its predecessor held
    state, attempt, error, _ = recorded(stack, job)
    assert (state, error) == ("cancelled", "CANCELED") and attempt <= 2
    c.quiet()
    assert c.rows("select count(*) from jobs where id = %s", job) == [(1,)]


def test_a_claim_and_a_cancel_at_once(stack):
    """Whoever wins: one row, and it says what the answer said."""
    c = stack.client
    for _ in range(60):
        job = c.noop()
        status, answer, _ = cancel(stack, job, Prefer="wait=50")
        state = recorded(stack, job)[0]
        assert answer["state"] == state
        assert (status, answer["cancel"], state) in [(200, "done", "cancelled"), (409, "too_late", "succeeded")]
    c.quiet()


def test_many_cancels_of_running_jobs_at_once(stack):
    c = stack.client
    ids = [c.noop(work_ms=20 * (n % 5)) for n in range(40)]
    answers = {}

    def one(job):
        answers[job] = cancel(stack, job, Prefer="wait=50")[:2]
    threads = [threading.Thread(target=one, args=(i,)) for i in ids]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    c.quiet()
    for job in ids:
        status, answer = answers[job]
        state = recorded(stack, job)[0]
        assert answer["state"] == state and (status, answer["cancel"]) == ((200, "done") if state == "cancelled" else (409, "too_late"))
    assert not c.redis.keys("mr:{default}:cancels:*")


# --- what has ended, and what never was

def test_what_has_ended_is_too_late(stack):
    done = stack.client.noop()
    dead = stack.client.noop(fail_final=True)
    stack.client.ended(done), stack.client.ended(dead), stack.client.quiet()
    assert cancel(stack, done)[:2] == (409, {"id": done, "state": "succeeded", "cancel": "too_late"})
    assert cancel(stack, dead)[:2] == (409, {"id": dead, "state": "dead", "cancel": "too_late"})
    assert stack.client.row(done)[0] == "succeeded"
    for bad in (UNKNOWN, "x"):
        status, problem, _ = cancel(stack, bad)
        assert (status, problem["status"]) == (404, 404)


def test_without_redis_nothing_is_promised(stacks):
    stack = stacks()
    done = stack.client.noop()
    stack.client.ended(done), stack.client.quiet()
    stack.redis.kill()
    stack.client.until(lambda: cancel(stack, UNKNOWN)[0] == 503, "that Redis is missed")
    assert cancel(stack, done)[0] == 409
    stack.redis.start()


def test_the_last_word_counts_although_the_job_still_waits(stacks):
    """A worker that dies between row and settlement leaves a job that waits and has ended."""
    stack = stacks(start=False, QUEUES="default=1")
    stack.start_services()
    stack.start_api()
    worker = stack.start_worker("1", FAILPOINTS="worker.recorded=kill")
    c = stack.client
    job = c.noop()
    worker.wait()
    c.excused.append(-signal.SIGKILL)
    assert c.row(job)[0] == "succeeded"
    assert c.job(job)["state"] == "running"
    stack.start_worker("2", QUEUES="other")  # reaps nothing of this queue
    c.redis.zadd("mr:{default}:consumers", {c.redis.zrange("mr:{default}:consumers", 0, 0)[0]: 1})
    stack.request("POST", "/v1/queues/default/pause", b"")
    stack.start_worker("3")
    c.state(job, "queued")
    assert cancel(stack, job)[:2] == (409, {"id": job, "state": "succeeded", "cancel": "too_late"})
    assert c.job(job)["state"] == "succeeded"
    stack.request("POST", "/v1/queues/default/resume", b"")
    c.quiet()
    assert c.row(job)[:2] == ("succeeded", 1)


# --- what follows

def test_follow_ups_of_a_cancelled_job(stack, receiver):
    c = stack.client
    then = [{"type": "webhook", "on": on, "args": {"url": receiver.url(f"/{on}")}} for on in ("success", "failure", "always")]
    job = c.submit({"type": "noop", "args": {"work_ms": 60000}, "then": then})
    c.state(job, "running")
    cancel(stack, job)
    c.until(lambda: receiver.requests("/failure") and receiver.requests("/always"), "both follow-ups")
    c.quiet()
    assert not receiver.requests("/success")
    told = receiver.payloads("/always")[0]
    assert told["type"] == "job.cancelled"
    assert (told["data"]["state"], told["data"]["error"]) == ("cancelled", "CANCELED")


# --- expiry

def test_a_job_that_comes_too_late_is_never_run(stacks):
    stack = stacks(QUEUES="default=1")
    c = stack.client
    stack.request("POST", "/v1/queues/default/pause", b"")
    late = c.submit({"type": "noop", "args": {}, "expires_in_ms": 1, "then": [{"type": "noop", "args": {}, "on": "failure"}]})
    early = c.submit({"type": "noop", "args": {}, "expires_in_ms": 600000})
    stack.request("POST", "/v1/queues/default/resume", b"")
    job = c.ended(late)
    assert (job["state"], job["error"], job["attempt"]) == ("expired", "EXPIRED", 1)
    assert "begun before 2" in job["error_text"]
    assert c.ended(early)["state"] == "succeeded"
    c.quiet()
    assert c.rows("select state from job_list where parent = %s", late) == [("succeeded",)]


def test_no_attempt_is_begun_after_the_time(stacks):
    stack = stacks(RETRY_BASE="1500ms", RETRY_CAP="1500ms")
    job = stack.client.submit({"type": "noop", "args": {"fail_attempts": 1}, "expires_in_ms": 700})
    told = stack.client.ended(job)
    assert (told["state"], told["attempt"]) == ("expired", 2)
    assert [(a["attempt"], a["outcome"]) for a in told["attempts"]] == [(1, "retrying"), (2, "expired")]

"""What comes after a job: follow-ups, chains, batches; and how often a job is tried."""

import json
import os
import signal
import time
import uuid

import msgpack
import pytest

from support.receiver import Receiver


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def noop(**more):
    return {"type": "noop", "args": more.pop("args", {}), **more}


def children(stack, job_id):
    return stack.client.rows("select type, state, queue, priority from job_list where parent = %s order by queue", job_id)


# --- retries

def test_a_list_of_delays_is_kept(stack):
    job = stack.client.ended(stack.client.submit(noop(
        args={"fail_attempts": 3}, max_attempts=4, retry={"policy": "list", "delays_ms": [0, 30], "jitter_pct": 0})))
    assert job["state"] == "succeeded" and job["attempt"] == 4
    row = stack.client.rows("select attempt, started_at, finished_at from attempts where job_id = %s order by attempt", job["id"])
    waits = [(row[i + 1][1] - row[i][2]).total_seconds() for i in range(3)]
    assert waits[1] >= 0.029 and waits[2] >= 0.029


def test_a_policy_of_the_jobs_own_outlasts_the_workers(stack):
    job = stack.client.submit(noop(args={"fail_attempts": 1}, retry={"policy": "fixed", "base_ms": 600000, "jitter_pct": 0}))
    waiting = stack.client.state(job, "retrying")
    due = stack.client.rows("select extract(epoch from next_attempt_at - finished_at) from jobs where id = %s", job)[0][0]
    assert 599 < due < 601 and waiting["attempt"] == 1
    stack.client.redis.delete("mr:{default}:delayed", "mr:{default}:state")  # the rest of the file wants quiet queues


# --- follow-ups and chains

def test_follow_ups_say_how_they_run_and_have_their_own(stack):
    parent = stack.client.submit(noop(priority="high", then=[
        noop(queue="default"), noop(priority="low", on="always", delay_ms=20, then=[noop()]), noop(on="failure")]))
    assert stack.client.ended(parent)["state"] == "succeeded"
    stack.client.quiet()
    got = children(stack, parent)
    assert sorted(r[3] for r in got) == ["high", "low"] and all(r[1] == "succeeded" for r in got)
    second = stack.client.rows("select id from job_list where parent = %s and priority = 'low'", parent)[0][0]
    assert [r[3] for r in children(stack, second)] == ["low"]


def test_a_chain_runs_link_by_link(stack, receiver):
    first = stack.client.submit(noop(chain=[
        noop(args={"fail_attempts": 1}), {"type": "webhook", "args": {"url": receiver.url()}}, noop(queue="default")]))
    stack.client.quiet()
    lengths, at = [], first
    while at:
        row = stack.client.rows("select id, type, state, attempt from job_list where parent = %s", at)
        assert len(row) <= 1
        lengths += [(r[1], r[2], r[3]) for r in row]
        at = row[0][0] if row else None
    assert lengths == [("noop", "succeeded", 2), ("webhook", "succeeded", 1), ("noop", "succeeded", 1)]
    [told] = receiver.payloads()
    assert told["type"] == "job.succeeded" and told["data"]["state"] == "succeeded"


def test_a_chain_stops_where_a_link_fails(stack):
    first = stack.client.submit(noop(chain=[noop(args={"fail_final": True}), noop()]))
    stack.client.quiet()
    [link] = stack.client.rows("select id, state from job_list where parent = %s", first)
    assert link[1] == "dead" and children(stack, link[0]) == []


@pytest.mark.parametrize("field, value, pointer", [
    ("chain", [{"type": "noop", "args": {}, "on": "always"}], "/chain/0/on"),
    ("chain", [{"type": "noop", "args": {}}] * 17, "/chain"),
    ("then", [{"type": "noop", "args": {}, "then": [{"type": "noop", "args": {"work_ms": -1}}]}], "/then/0/then/0/args/work_ms"),
    ("retry", {"policy": "list"}, "/retry/delays_ms"),
    ("expires_at", "tomorrow", "/expires_at"),
    ("run_at", "2030-01-01", "/run_at"),
])
def test_what_is_wrong_is_named(stack, field, value, pointer):
    status, _, body = stack.post_json("/v1/jobs", noop(**{field: value}))
    assert status == 422 and body["errors"][0]["pointer"] == pointer, body


# --- batches, as another program may make them

def uuid7():
    b = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    b[6], b[8] = 0x70 | b[6] & 0x0F, 0x80 | b[8] & 0x3F
    return bytes(b)


def put_batch(stack, args, then):
    batch, jobs, r = uuid7(), [uuid7() for _ in args], stack.client.redis
    name = str(uuid.UUID(bytes=batch))
    r.hset(f"mr:batch:{{{name}}}", mapping={"total": len(jobs), "created": 1, "priority": "1", "then": msgpack.packb(then)})
    r.sadd(f"mr:batch:{{{name}}}:left", *jobs)
    for job, a in zip(jobs, args, strict=True):
        r.lpush("mr:{default}:ready:normal", msgpack.packb({"v": 1, "id": job, "type": "noop", "args": a, "batch": batch}))
    r.lpush("mr:{default}:wake", "1")
    return name, jobs


def test_a_batch_is_followed_once_when_all_have_ended(stack, receiver):
    hook = {"type": "webhook", "args": {"url": receiver.url()}, "on": "always"}
    name, jobs = put_batch(stack, [{"work_ms": 50}] + [{}] * 20 + [{"fail_final": True}], [hook, noop(on="success"), noop(on="failure")])
    stack.client.until(lambda: receiver.requests(), "the batch's webhook")
    stack.client.quiet()
    [told] = receiver.payloads()
    assert told["type"] == "batch.failed"
    assert told["data"] == {"batch": name, "state": "failed", "total": 22, "succeeded": 21, "dead": 1, "cancelled": 0, "expired": 0}
    ends = stack.client.rows("select count(*) from jobs where id = any(%s::uuid[])", [str(uuid.UUID(bytes=j)) for j in jobs])
    assert ends == [(22,)]
    batch = stack.client.redis.hgetall(f"mr:batch:{{{name}}}")
    assert batch[b"closed"] == b"1" and stack.client.redis.pttl(f"mr:batch:{{{name}}}") > 0


@pytest.mark.parametrize("point", ["worker.batch_ended=kill", "worker.followed=kill"])
def test_a_batch_whose_worker_dies_at_its_end_is_followed(stacks, receiver, point):
    stack = stacks(start=False)
    stack.start_services()
    stack.start_api()
    hook = {"type": "webhook", "args": {"url": receiver.url()}, "on": "success"}
    name, _ = put_batch(stack, [{}] * 8, [hook])
    victim = stack.start_worker("1", wait=False, FAILPOINTS=point)
    assert victim.wait() == -signal.SIGKILL
    stack.client.excused.append(-signal.SIGKILL)
    stack.start_worker("1")
    stack.client.until(lambda: receiver.requests(), "the batch's webhook")
    stack.client.quiet()
    assert json.loads(receiver.requests()[0]["body"])["data"]["batch"] == name
    assert len(stack.client.rows("select 1 from jobs where type = 'webhook'")) == 1


# --- batches over HTTP

def post_batch(stack, jobs, then, **more):
    status, headers, body = stack.post_json("/v1/jobs/batch", {"jobs": jobs, "then": then, **more.pop("body", {})}, **more)
    return status, headers, body


def followed(stack, batch):
    """The batch once what follows it was enqueued."""
    def look():
        status, _, body = stack.get(f"/v1/batches/{batch}")
        assert status == 200, body
        body = json.loads(body)
        return body if body["followed"] else None
    return stack.client.until(look, "the batch's end")


def test_a_batch_over_http_is_followed(stack, receiver):
    hook = {"type": "webhook", "args": {"url": receiver.url()}, "on": "always"}
    status, _, body = post_batch(stack, [noop(args={"work_ms": 300})] + [noop()] * 20, [hook])
    assert status == 202 and body["accepted"] == 21
    status, _, running = stack.get(f"/v1/batches/{body['batch']}")
    assert status == 200 and json.loads(running)["total"] == 21
    told = followed(stack, body["batch"])
    assert (told["state"], told["succeeded"], told["left"]) == ("succeeded", 21, 0)
    stack.client.until(lambda: receiver.requests(), "the webhook")
    [payload] = receiver.payloads()
    assert payload["type"] == "batch.succeeded" and payload["data"]["batch"] == body["batch"] and payload["data"]["total"] == 21
    status, _, page = stack.get(f"/v1/jobs?batch={body['batch']}&limit=50")
    assert status == 200 and len(json.loads(page)["jobs"]) == 21
    assert json.loads(page)["jobs"][0]["batch"] == body["batch"]


def test_jobs_that_are_refused_do_not_belong_to_the_batch(stack, receiver):
    holder = stack.client.submit(noop(unique={"key": "held"}, delay_ms=3600000))
    hook = {"type": "webhook", "args": {"url": receiver.url()}, "on": "always"}
    jobs = [noop(), noop(unique={"key": "held"}), {"type": "nonsense", "args": {}}]
    status, _, body = post_batch(stack, jobs, [hook])
    assert status == 200 and (body["accepted"], body["rejected"]) == (1, 2)
    told = followed(stack, body["batch"])
    assert (told["state"], told["total"], told["left"]) == ("succeeded", 1, 0)
    stack.client.until(lambda: receiver.requests(), "the webhook")
    assert stack.request("POST", f"/v1/jobs/{holder}/cancel")[0] in (200, 202)
    stack.client.quiet()


def test_a_job_whose_key_is_held_by_another_is_not_waited_for(stack, receiver):
    later = noop(unique={"key": "kept"}, delay_ms=3600000)
    holder = stack.client.submit(later)
    hook = {"type": "webhook", "args": {"url": receiver.url()}, "on": "always"}
    jobs = [noop(), {**later, "unique": {"key": "kept", "policy": "keep"}}, {**later, "unique": {"key": "kept", "policy": "replace"}}]
    status, _, body = post_batch(stack, jobs, [hook])
    assert status == 202 and [r["id"] for r in body["results"][1:]] == [holder, holder]
    told = followed(stack, body["batch"])
    assert (told["state"], told["total"], told["left"]) == ("succeeded", 1, 0)
    # what took the holder's place came with the batch, so it is replaced no more
    assert stack.post_json("/v1/jobs", {**later, "unique": {"key": "kept", "policy": "replace"}})[0] == 409
    stack.client.until(lambda: receiver.requests(), "the webhook")
    assert stack.request("POST", f"/v1/jobs/{holder}/cancel")[0] in (200, 202)
    stack.client.quiet()


def test_a_batch_with_a_key_is_one_batch(stack, receiver):
    hook = {"type": "webhook", "args": {"url": receiver.url()}, "on": "always"}
    first = post_batch(stack, [noop()] * 3, [hook], headers={"idempotency-key": "batch-1"})
    again = post_batch(stack, [noop()] * 3, [hook], headers={"idempotency-key": "batch-1"})
    assert first[0] == again[0] == 202 and first[2] == again[2]
    followed(stack, first[2]["batch"])
    stack.client.until(lambda: receiver.requests(), "the webhook")
    stack.client.quiet()
    assert len(receiver.requests()) == 1


@pytest.mark.parametrize("then, pointer", [({}, "/then"), ([{}], "/then/0/type"), ([noop(on="never")], "/then/0/on")])
def test_what_follows_a_batch_is_checked(stack, then, pointer):
    status, _, body = post_batch(stack, [noop()], then)
    assert status == 422 and body["errors"][0]["pointer"] == pointer, body


def test_a_batch_that_is_not_there_is_not_found(stack):
    assert stack.get("/v1/batches/01a20af1-272d-7402-be8e-eb67e0f0a3a5")[0] == 404
    assert stack.get("/v1/batches/x")[0] == 404
    status, _, body = stack.get("/v1/jobs?batch=x")
    assert status == 400, body


def test_the_command_line_knows_chains_policies_and_batches(stack):
    told = stack.cli("enqueue", "noop", '{"fail_attempts": 1}', "--chain", '{"type": "noop", "args": {}}', "--retry",
                     '{"policy": "fixed", "base_ms": 5}', "--run-at", "2026-01-01T00:00:00Z", "--expires-in-ms", "600000", "--json")
    job = json.loads(told.stdout)["id"]
    ended = stack.client.ended(job)
    assert ended["attempt"] == 2 and ended["retry"] == {"policy": "fixed", "base_ms": 5} and "expires_at" in ended
    stack.client.until(lambda: children(stack, job), "the next link")
    batch = post_batch(stack, [noop()] * 2, [noop()])[2]["batch"]
    followed(stack, batch)
    assert json.loads(stack.cli("batch", batch, "--json").stdout)["succeeded"] == 2
    assert "succeeded" in stack.cli("batch", batch).stdout
    assert stack.cli("batch", job, check=False).returncode == 4

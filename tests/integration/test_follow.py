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

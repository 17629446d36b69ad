"""Limits per queue and per key over several workers, and what becomes of them when workers die."""

import json
import signal
import time

import pytest

QUEUE = "default"
SLACK = 0.1


def put(stack, limits, queue=QUEUE):
    status, _, body = stack.request("PUT", f"/v1/queues/{queue}/limits", json.dumps(limits).encode(), {"content-type": "application/json"})
    assert status == 204, (status, body)


def queue_of(stack, queue=QUEUE):
    status, _, body = stack.get(f"/v1/queues/{queue}")
    assert status == 200, (status, body)
    return json.loads(body)


def submit(stack, key=None, ms=0, **more):
    return stack.client.submit({"type": "noop", "args": {"work_ms": ms}, **({"key": key} if key else {}), **more})


def spans(stack, ids):
    """(begin, end) of every recorded attempt, by job."""
    found = {}
    for job, begin, end in stack.client.rows(
            "select job_id::text, extract(epoch from started_at), extract(epoch from finished_at) from attempts where job_id = any(%s::uuid[])",
            list(ids)):
        if begin and end:  # those that died with their worker have none
            found.setdefault(job, []).append((float(begin), float(end)))
    return found


def most_at_once(intervals):
    """How many of the intervals overlap at most; one that ends in the millisecond in which another begins does not."""
    events = sorted([(begin, 1) for begin, _ in intervals] + [(end, -1) for _, end in intervals], key=lambda e: (e[0], e[1]))
    now = most = 0
    for _, step in events:
        now += step
        most = max(most, now)
    return most


def nothing_left(stack, queue=QUEUE):
    r = stack.client.redis
    return not [k for k in r.keys(f"mr:{{{queue}}}:*") if b":slots" in k or b":gates" in k or b":parked" in k]


@pytest.fixture
def trio(stacks):
    """Three workers."""
    stack = stacks()
    for name in ("2", "3"):
        stack.start_worker(name)
    return stack


# --- the endpoint

@pytest.mark.parametrize("body, status, pointer", [
    (b"", 400, None), (b"{", 400, None), (b"[]", 400, None),
    (b'{"running":0}', 422, "/running"), (b'{"running":1000001}', 422, "/running"), (b'{"running":"1"}', 422, "/running"),
    (b'{"rate":{}}', 422, "/rate/count"), (b'{"rate":{"count":1}}', 422, "/rate/per_ms"),
    (b'{"rate":{"count":1,"per_ms":86400001}}', 422, "/rate/per_ms"), (b'{"rate":{"count":1,"per_ms":1,"burst":0}}', 422, "/rate/burst"),
    (b'{"per_key":{"running":0}}', 422, "/per_key/running"), (b'{"per_key":{"per_key":{}}}', 422, "/per_key/per_key"),
    (b'{"other":1}', 422, "/other"),
])
def test_wrong_limits_are_refused(stack, body, status, pointer):
    got, _, answer = stack.request("PUT", "/v1/queues/default/limits", body, {"content-type": "application/json"})
    assert got == status, answer
    assert pointer is None or json.loads(answer)["errors"][0]["pointer"] == pointer
    assert queue_of(stack)["limits"] == {}


def test_limits_are_shown_as_they_were_set(stack):
    limits = {"running": 5, "rate": {"count": 10, "per_ms": 1000, "burst": 10}, "per_key": {"running": 2, "rate": {"count": 1, "per_ms": 60000, "burst": 3}}}
    put(stack, {"running": 5, "rate": {"count": 10, "per_ms": 1000}, "per_key": {"running": 2, "rate": {"count": 1, "per_ms": 60000, "burst": 3}}})
    assert queue_of(stack)["limits"] == limits
    assert {q["name"]: q for q in json.loads(stack.get("/v1/queues")[2])["queues"]}["default"]["limits"] == limits
    shown = json.loads(stack.cli("limits", "default", "--json").stdout)
    assert shown == limits
    put(stack, {"running": None, "rate": None, "per_key": {"running": None, "rate": None}})
    assert queue_of(stack)["limits"] == {}
    assert stack.request("PUT", "/v1/queues/No/limits", b"{}")[0] == 404
    assert stack.get("/v1/queues/never-seen")[0] == 404
    put(stack, {"running": 1}, "not-yet-used")
    assert queue_of(stack, "not-yet-used")["limits"] == {"running": 1}


def test_the_command_line_sets_and_shows_limits(stack):
    done = stack.cli("limits", "mail", "--running", "4", "--rate", "100/m,20", "--key-rate", "10/1500ms")
    assert "100/m,20" in done.stdout and "10/1500ms" in done.stdout
    assert json.loads(stack.cli("limits", "mail", "--json").stdout) == {
        "running": 4, "rate": {"count": 100, "per_ms": 60000, "burst": 20}, "per_key": {"rate": {"count": 10, "per_ms": 1500, "burst": 10}}}
    assert stack.cli("limits", "mail", "--none", "--json").stdout == "{}\n"
    for wrong in (("--rate", "x"), ("--rate", "0/s"), ("--rate", "1/2w"), ("--key-rate", "1/s,"), ("--none", "--running", "1")):
        assert stack.cli("limits", "mail", *wrong, check=False).returncode == 2, wrong
    assert stack.cli("limits", "nobody", check=False).returncode == 4


# --- running

def test_no_key_runs_more_than_its_limit_and_the_others_are_not_held_up(trio):
    put(trio, {"per_key": {"running": 2}})
    first = [submit(trio, "slow", 250) for _ in range(30)]
    ids = {key: [submit(trio, key, 5) for _ in range(30)] for key in ("a", "b", "c")}
    free = [submit(trio, None, 5) for _ in range(30)]
    trio.client.quiet()
    slow = [s for job in spans(trio, first).values() for s in job]
    assert len(slow) == 30 and most_at_once(slow) <= 2
    for key, jobs in ids.items():
        ran = [s for job in spans(trio, jobs).values() for s in job]
        assert len(ran) == 30 and most_at_once(ran) <= 2, key
    others = [s for job in spans(trio, sum(ids.values(), free)).values() for s in job]
    assert max(end for _, end in others) < max(end for _, end in slow)
    assert nothing_left(trio) and queue_of(trio)["parked"] == 0


def test_a_queue_runs_no_more_than_its_limit(trio):
    put(trio, {"running": 3})
    ids = [submit(trio, None, 10) for _ in range(90)]
    trio.client.quiet()
    ran = [s for job in spans(trio, ids).values() for s in job]
    assert len(ran) == 90
    assert most_at_once(ran) == 3


def test_jobs_of_a_key_keep_their_order(trio):
    put(trio, {"per_key": {"running": 1}})
    ids = [submit(trio, "one", 2) for _ in range(60)]
    trio.client.quiet()
    ran = spans(trio, ids)
    begins = [ran[i][0][0] for i in ids]
    assert begins == sorted(begins)


def test_workers_that_are_killed_give_their_slots_back(trio):
    put(trio, {"per_key": {"running": 2}})
    keys = [f"k{i}" for i in range(6)]
    ids = {key: [] for key in keys}
    for i in range(600):
        ids[keys[i % 6]].append(submit(trio, keys[i % 6], 150, max_attempts=50))
    total = sum(ids.values(), [])

    def ended():
        return trio.client.rows("select count(*) from job_list where state = 'succeeded' and id = any(%s::uuid[])", total)[0][0]

    for name in ("1", "2", "3", "1"):
        before = ended()
        trio.client.until(lambda: ended() > before + 20, "more jobs")
        victim = trio.workers.pop(name)
        assert victim.stop(signal.SIGKILL) == -signal.SIGKILL
        trio.start_worker(name)
    trio.client.quiet()
    assert ended() == 600
    for key in keys:
        assert most_at_once([s for job in spans(trio, ids[key]).values() for s in job]) <= 2, key
    assert nothing_left(trio)


def test_limits_may_change_while_jobs_wait(trio):
    put(trio, {"per_key": {"running": 1}})
    ids = [submit(trio, "a", 300) for _ in range(6)]
    trio.client.until(lambda: queue_of(trio)["parked"] == 5, "parked jobs")
    shown = json.loads(trio.get("/v1/jobs?state=queued&queue=default")[2])["jobs"]
    assert [j["id"] for j in shown] == ids[1:] and {j["state"] for j in shown} == {"queued"}
    assert trio.client.job(ids[5])["state"] == "queued"
    put(trio, {})
    trio.client.quiet()
    assert most_at_once([s for job in spans(trio, ids).values() for s in job]) >= 5
    assert nothing_left(trio) and queue_of(trio)["limits"] == {}


# --- rates

def held(begins, count, burst):
    """Whether in no window more began than the bucket allows. A job's start is noted some time after its claim: SLACK."""
    begins = sorted(begins)
    for i, first in enumerate(begins):
        for j in range(i, len(begins)):
            if j - i + 1 > burst + (begins[j] - first + SLACK) * count:
                return False
    return True


def test_a_queue_begins_no_more_than_its_rate(trio):
    put(trio, {"rate": {"count": 100, "per_ms": 1000, "burst": 5}})
    ids = [submit(trio) for _ in range(150)]
    trio.client.quiet()
    assert held([claim_time(trio, i) for i in ids], 100, 5)


def test_each_key_begins_no_more_than_its_rate(trio):
    put(trio, {"per_key": {"rate": {"count": 20, "per_ms": 1000, "burst": 1}}})
    ids = {key: [submit(trio, key) for _ in range(20)] for key in ("a", "b", "c")}
    free = [submit(trio) for _ in range(20)]
    trio.client.quiet()
    for key, jobs in ids.items():
        assert held([claim_time(trio, i) for i in jobs], 20, 1), key
    assert max(claim_time(trio, i) for i in free) < max(claim_time(trio, i) for i in ids["a"])
    trio.client.until(lambda: not trio.client.redis.exists(f"mr:{{{QUEUE}}}:rates"), "forgotten buckets")


def claim_time(stack, job):
    return float(stack.client.rows("select extract(epoch from started_at) from attempts where job_id = %s and attempt = 1", job)[0][0])


# --- waking

def commands(stack):
    """Calls that clients made: what runs inside scripts counts for the scripts."""
    stats = stack.client.redis.info("commandstats")
    return sum(v["calls"] for k, v in stats.items() if k in ("cmdstat_evalsha", "cmdstat_eval", "cmdstat_blpop", "cmdstat_ping"))


def test_an_idle_worker_hardly_speaks_with_redis(stacks):
    stack = stacks(QUEUES=QUEUE, BEAT="2s", LEASE="10s")
    put(stack, {"running": 2, "per_key": {"running": 1, "rate": {"count": 1, "per_ms": 86400000, "burst": 1}}})
    submit(stack, "a")
    ids = [submit(stack, "a") for _ in range(3)]
    stack.client.until(lambda: queue_of(stack)["parked"] == 3, "parked jobs")
    warm = commands(stack)
    stack.client.until(lambda: commands(stack) >= warm + 10, "ten commands")
    before, begin = commands(stack), time.monotonic()
    stack.client.until(lambda: commands(stack) >= before + 30, "thirty commands")
    rate = (commands(stack) - before) / (time.monotonic() - begin)
    assert rate < 5, rate
    put(stack, {})
    for i in ids:
        stack.client.ended(i)


@pytest.mark.parametrize("config", [{}, {"QUEUES": "a,b,default", "QUEUE_ORDER": "strict"}, {"QUEUES": "a:3,default:1", "QUEUE_ORDER": "weighted"}])
@pytest.mark.parametrize("limits", [{}, {"running": 3, "rate": {"count": 1000, "per_ms": 1000}, "per_key": {"running": 2}}])
def test_delayed_jobs_begin_when_they_are_due(stacks, config, limits):
    stack = stacks(**config)
    put(stack, limits)
    ids = [submit(stack, f"k{i % 3}", delay_ms=200 + 100 * i) for i in range(12)]
    late = []
    for i in ids:
        job = stack.client.ended(i)
        due = float(stack.client.rows("select extract(epoch from j.enqueued_at) from job_list j where id = %s", i)[0][0]) + 0.2 + 0.1 * ids.index(i)
        late.append(claim_time(stack, i) - due)
        assert job["state"] == "succeeded"
    assert min(late) >= -0.002
    late.sort()
    assert late[len(late) // 2] < 0.05, late

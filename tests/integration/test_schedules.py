"""Periodic jobs: put, told, paused, run and removed over HTTP; ticks taken by workers, missed ones by policy."""

import datetime as dt
import json
import time
import zoneinfo

import pytest

from support.schedules import NOOP, Schedules, ms

LONG_AGO = "2020-01-01T00:00:00Z"  # where the ticks of an every_ms begin that are to be missed
FAR = {"cron": "0 0 1 1 *"}  # no tick comes during a test


@pytest.fixture
def schedules(stack):
    s = Schedules(stack)
    yield s
    for one in s.ask("GET")[1]["schedules"]:
        assert s.ask("DELETE", one["name"])[0] == 204


# --- what may be put

@pytest.mark.parametrize("change, pointer, words", [
    ({"cron": None}, "/cron", "string"),
    ({"cron": "* * *"}, "/cron", "five fields"),
    ({"cron": "61 * * * *"}, "/cron", "minute"),
    ({"cron": "0 0 30 2 *"}, "/cron", "never"),
    ({"every_ms": 60000}, "/every_ms", "one of them"),
    ({"timezone": "Europe/Atlantis"}, "/timezone", "no time zone"),
    ({"timezone": "../../etc/passwd"}, "/timezone", "named like"),
    ({"timezone": 7}, "/timezone", "string"),
    ({"queue": "Not A Queue"}, "/queue", "must be"),
    ({"missed": "some"}, "/missed", "skip, one, all"),
    ({"overlap": True}, "/overlap", "allow, skip"),
    ({"paused": "no"}, "/paused", "true or false"),
    ({"start_at": "tomorrow"}, "/start_at", "RFC 3339"),
    ({"end_at": 1764000000}, "/end_at", "RFC 3339"),
    ({"start_at": "2030-01-02T00:00:00Z", "end_at": "2030-01-01T00:00:00Z"}, "/end_at", "before start_at"),
    ({"jobs": []}, "/jobs", "not a known field"),
    ({"job": []}, "/job", "object"),
    ({"job": {"type": "noop"}}, "/job/args", "required"),
    ({"job": {"type": "nothing", "args": {}}}, "/job/type", "no job type"),
    ({"job": {"type": "noop", "args": {"work_ms": -1}}}, "/job/args/work_ms", "must be"),
    ({"job": {**NOOP, "delay_ms": 5}}, "/job/delay_ms", "no place"),
    ({"job": {**NOOP, "run_at": "2040-01-01T00:00:00Z"}}, "/job/run_at", "no place"),
    ({"job": {**NOOP, "expires_at": "2040-01-01T00:00:00Z"}}, "/job/expires_at", "no place"),
    ({"job": {**NOOP, "unique": "u"}}, "/job/unique", "no place"),
    ({"queue": "a", "job": {**NOOP, "queue": "b"}}, "/job/queue", "differs"),
])
def test_wrong_field_is_named(schedules, change, pointer, words):
    status, where, detail = schedules.refused("wrong", {"cron": "0 3 * * *", "job": NOOP, **change})
    assert (status, where) == (422, pointer) and words in detail, detail
    assert schedules.ask("GET", "wrong")[0] == 404


def test_every_is_bound_and_has_no_zone(schedules):
    for every in (999, 31536000001, "60000", -1, 1.5):
        assert schedules.refused("wrong", {"every_ms": every, "job": NOOP})[:2] == (422, "/every_ms")
    assert schedules.refused("wrong", {"every_ms": 1000, "timezone": "UTC", "job": NOOP})[:2] == (422, "/timezone")
    assert schedules.refused("wrong", {"job": NOOP})[:2] == (422, "/cron")
    assert schedules.refused("wrong", {"cron": "@daily"})[:2] == (422, "/job")


def test_what_is_no_request_is_refused(stack, schedules):
    put = lambda name, body, kind="application/json": stack.request("PUT", f"/v1/schedules/{name}", body, {"content-type": kind})[0]
    assert put("a", b"{") == 400
    assert put("a", b"{}", "text/plain") == 415
    assert put("Upper", json.dumps({**FAR, "job": NOOP}).encode()) == 400
    assert put("x" * 65, json.dumps({**FAR, "job": NOOP}).encode()) == 400
    assert stack.request("POST", "/v1/schedules", b"{}")[0] == 405
    for path in ("none", "None!", "none/run", "none/pause", "none/resume"):
        assert stack.request("GET" if "/" not in path else "POST", f"/v1/schedules/{path}")[0] == 404
    assert stack.request("DELETE", "/v1/schedules/none")[0] == 404
    for query in ("limit=0", "limit=201", "limit=x", "queue=%20", "cursor=A", "page=2", "limit=1&limit=2"):
        assert stack.get(f"/v1/schedules?{query}")[0] == 400, query


def test_it_is_told_whole_with_its_next_ticks_in_its_zone(schedules):
    job = {"type": "noop", "args": {"payload": [1.5, {"ä": None}]}, "priority": "high", "max_attempts": 3}
    answer = schedules.put("berlin", cron="30 2 * * *", timezone="Europe/Berlin", missed="all", overlap="skip", job=job)
    told = schedules.get("berlin")
    assert told == answer
    assert (told["queue"], told["type"], told["job"]) == ("default", "noop", job)
    assert (told["missed"], told["overlap"], told["paused"]) == ("all", "skip", False)
    assert told["totals"] == {"fired": 0, "missed": 0, "skipped": 0} and "last_job_id" not in told
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    local = [dt.datetime.fromtimestamp(ms(t) / 1000, zone) for t in told["next"]]
    assert len(local) == 5 and told["next_at"] == told["next"][0]
    assert all((t.hour, t.minute, t.second) in ((2, 30, 0), (3, 0, 0)) for t in local)
    days = [t.date() for t in local]
    assert days == [days[0] + dt.timedelta(n) for n in range(5)]


def test_putting_the_same_again_keeps_the_tick_that_waits(schedules):
    first = schedules.put("same", every_ms=3600000)
    status, again = schedules.ask("PUT", "same", {"every_ms": 3600000, "job": {**NOOP, "priority": "low"}})
    assert status == 200 and again["next_at"] == first["next_at"] and again["created_at"] == first["created_at"]
    assert again["job"]["priority"] == "low"
    assert ms(schedules.put("same", every_ms=7200000)["next_at"]) > ms(first["next_at"])


def test_start_and_end_bound_its_ticks(schedules):
    told = schedules.put("bound", every_ms=86400000, start_at="2040-01-01T06:00:00Z", end_at="2040-01-03T06:00:00+00:00")
    assert told["next"] == [f"2040-01-0{d}T06:00:00.000Z" for d in (1, 2, 3)]
    assert schedules.put("bound", cron="@daily", end_at="2020-01-01T00:00:00Z")["next"] == []
    assert schedules.get("bound")["next_at"] is None


def test_lists_go_over_all_queues_page_by_page(schedules):
    for i in range(7):
        schedules.put(f"list-{i}", **FAR, queue=f"q{i % 3}")
    names, path = [], "?limit=3"
    while path:
        status, head, body = schedules.stack.get("/v1/schedules" + path)
        page = json.loads(body)
        assert status == 200 and len(page["schedules"]) <= 3
        assert all("job" not in s and s["type"] == "noop" for s in page["schedules"])
        names += [s["name"] for s in page["schedules"]]
        path = page["next_cursor"] and f"?limit=3&cursor={page['next_cursor']}"
    assert names == [f"list-{i}" for i in range(7)]
    only = json.loads(schedules.stack.get("/v1/schedules?queue=q1")[2])
    assert [s["name"] for s in only["schedules"]] == ["list-1", "list-4"] and only["next_cursor"] is None


def test_a_name_is_one_schedule_whatever_the_queue(schedules):
    schedules.put("unique", **FAR, queue="one")
    status, pointer, detail = schedules.refused("unique", {**FAR, "queue": "two", "job": NOOP})
    assert status == 409 and '"one"' in detail


def test_a_queue_has_so_many_schedules_and_no_more(stacks):
    stack = stacks.api_only(SCHEDULES_MAX="2")
    s = Schedules(stack)
    s.put("a", **FAR)
    s.put("b", **FAR)
    assert s.refused("c", {**FAR, "job": NOOP})[0] == 409
    s.put("b", cron="@daily")
    s.put("c", **FAR, queue="other")
    assert s.ask("DELETE", "a")[0] == 204
    s.put("d", **FAR)


def test_without_redis_it_is_503(stacks):
    stack = stacks.api_only()
    stack.redis.stop()
    s = Schedules(stack)
    for method, name, body in (("GET", "", None), ("GET", "a", None), ("DELETE", "a", None), ("POST", "a/run", None),
                               ("PUT", "a", {**FAR, "job": NOOP})):
        assert s.ask(method, name, body)[0] == 503, (method, name)


# --- ticks

def test_each_tick_becomes_a_job_and_in_time(stack, schedules):
    schedules.put("second", cron="* * * * * *", job={"type": "noop", "args": {"payload": "second"}})
    told = schedules.until("second", lambda s: s["totals"]["fired"] >= 4)
    late = ms(told["last_fired_at"]) - ms(told["last_tick_at"])
    assert stack.client.ended(told["last_job_id"])["state"] == "succeeded"
    assert schedules.ask("POST", "second/pause")[1]["next_at"] is None
    told = schedules.get("second")
    stack.client.quiet()
    assert schedules.jobs("second") == told["totals"]["fired"]
    print(f"the last tick was taken {late} ms late")


def test_a_pause_stops_it_and_what_passes_is_not_missed(stack, schedules):
    schedules.put("rest", every_ms=1000, paused=True)
    assert schedules.get("rest")["next"] == []
    status, told = schedules.ask("POST", "rest/resume")
    assert status == 200 and not told["paused"] and ms(told["next_at"]) > time.time() * 1000 - 1000
    told = schedules.until("rest", lambda s: s["totals"]["fired"] >= 1)
    assert schedules.ask("POST", "rest/pause")[1]["paused"]
    assert schedules.get("rest")["totals"]["missed"] == 0


def test_run_makes_one_job_now_and_leaves_the_ticks_alone(stack, schedules):
    before = schedules.put("hand", **FAR, paused=True)
    status, head, body = stack.request("POST", "/v1/schedules/hand/run")
    job = json.loads(body)
    assert status == 202 and head["location"] == f"/v1/jobs/{job['id']}"
    assert stack.client.ended(job["id"])["state"] == "succeeded"
    after = schedules.get("hand")
    assert (after["last_job_id"], after["totals"]["fired"], after["paused"]) == (job["id"], 1, True)
    assert after["next_at"] == before["next_at"]


@pytest.mark.parametrize("policy, fired, missed", [("one", 1, 60), ("skip", 0, 61), ("all", 61, 0)])
def test_missed_ticks_go_by_the_policy(stack, schedules, policy, fired, missed):
    payload = f"missed-{policy}"
    schedules.put("past", every_ms=3600000, start_at=LONG_AGO, missed=policy, job={"type": "noop", "args": {"payload": payload}})
    # 61 ticks are due; the last of them is minutes old, which is not in time
    due = schedules.miss("past", hours=61)
    told = schedules.until("past", lambda s: sum(s["totals"].values()) >= 61)
    assert told["totals"] == {"fired": fired, "missed": missed, "skipped": 0}
    assert ms(told["next_at"]) == due + 61 * 3600000
    stack.client.quiet()
    assert schedules.jobs(payload) == fired


def test_catching_up_is_bound(stack, schedules):
    schedules.put("bound", every_ms=60000, start_at=LONG_AGO, missed="all", job={"type": "noop", "args": {"payload": "bound"}})
    schedules.miss("bound", minutes=500)
    told = schedules.until("bound", lambda s: s["totals"]["fired"] >= 100)
    stack.client.quiet()
    assert told["totals"] == {"fired": 100, "missed": 400, "skipped": 0} and schedules.jobs("bound") == 100
    schedules.miss("bound", days=365)
    told = schedules.until("bound", lambda s: s["totals"]["fired"] >= 200)
    assert told["totals"] == {"fired": 200, "missed": 1300, "skipped": 0}, "a gap counts for 1000 at most"


def test_big_jobs_are_caught_up_with_in_parts(stack, schedules):
    payload = "x" * 200000
    schedules.put("big", every_ms=60000, start_at=LONG_AGO, missed="all", job={"type": "noop", "args": {"payload": payload}})
    schedules.miss("big", minutes=20)
    told = schedules.until("big", lambda s: s["totals"]["fired"] >= 20)
    assert told["totals"] == {"fired": 20, "missed": 0, "skipped": 0}
    stack.client.quiet()
    assert schedules.jobs(payload) == 20


def test_a_tick_is_passed_over_while_the_last_job_lives(stack, schedules):
    assert stack.request("POST", "/v1/queues/default/pause")[0] in (204, 404)
    try:
        schedules.put("alone", every_ms=1000, overlap="skip", missed="all")
        told = schedules.until("alone", lambda s: s["totals"]["skipped"] >= 2)
        assert told["totals"]["fired"] == 1
    finally:
        stack.request("POST", "/v1/queues/default/resume")
    told = schedules.until("alone", lambda s: s["totals"]["fired"] >= 2)
    assert told["last_job_id"]


def test_a_removed_schedule_fires_no_more(stack, schedules):
    schedules.put("gone", every_ms=1000)
    schedules.until("gone", lambda s: s["totals"]["fired"] >= 1)
    assert schedules.ask("DELETE", "gone")[0] == 204
    keys = stack.client.redis
    assert not any(keys.exists(f"mr:{{default}}:{k}") for k in ("schedules", "schedules:jobs", "schedules:past", "ticks"))
    assert schedules.put("gone", every_ms=3600000)["totals"]["fired"] == 0, "a new one begins anew"


def test_what_is_kept_and_cannot_be_read_harms_nobody(stack, schedules):
    schedules.put("good", every_ms=1000)
    r = stack.client.redis
    r.hset("mr:{default}:schedules", "odd", b"\x81\xa1v\x09")
    r.hset("mr:{default}:schedules:jobs", "odd", b"{}")
    r.zadd("mr:{default}:ticks", {"odd": 1000, "lost": 1000})
    fired = schedules.get("good")["totals"]["fired"]
    schedules.until("good", lambda s: s["totals"]["fired"] >= fired + 3)
    assert r.zscore("mr:{default}:ticks", "lost") is None, "a tick without a record is dropped"
    assert schedules.ask("GET", "odd")[0] == 409
    assert any(e["name"] == "odd" for e in stack.client.events("worker-1", "schedule.failed"))
    assert [s["name"] for s in schedules.ask("GET")[1]["schedules"]] == ["good"]
    assert schedules.ask("DELETE", "odd")[0] == 204

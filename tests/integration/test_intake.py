"""The way in: unique keys, caps, idempotency keys."""

import json
import time

import pytest

NOOP = {"type": "noop", "args": {}}


@pytest.fixture(scope="module")
def api(module_stacks):
    """Everything but a worker: what is enqueued stays where it was put."""
    stack = module_stacks(start=False)
    stack.start_services()
    stack.start_api()
    stack.client.until(lambda: stack.get("/readyz")[0] == 200 and b"down" not in stack.get("/readyz")[2], "readiness")
    return stack


def post(stack, job, key=None, path="/v1/jobs", body=None, **headers):
    headers = {"Content-Type": "application/json", **headers}
    if key is not None:
        headers["Idempotency-Key"] = key
    status, head, answer = stack.request("POST", path, json.dumps(job).encode() if body is None else body, headers)
    return status, head, json.loads(answer) if answer else None


def caps(stack, queue, **values):
    return stack.request("PUT", f"/v1/queues/{queue}/caps", json.dumps(values).encode(), {"Content-Type": "application/json"})


def queue_info(stack, name):
    status, _, body = stack.get("/v1/queues")
    assert status == 200
    return next((q for q in json.loads(body)["queues"] if q["name"] == name), None)


# --- unique keys


def test_a_key_is_refused_with_its_holder_or_answered_with_it(api):
    job = {**NOOP, "queue": "uniq", "unique": {"key": "a"}}
    first = api.client.submit(job)
    status, _, problem = post(api, job)
    assert (status, problem["job"]) == (409, first) and first in problem["detail"]
    status, head, kept = post(api, {**job, "unique": {"key": "a", "policy": "keep"}})
    assert (status, kept["id"], kept["kept"], head["location"]) == (200, first, True, f"/v1/jobs/{first}")
    assert queue_info(api, "uniq")["waiting"] == 1
    assert api.client.submit({**job, "queue": "uniq2"}) != first, "a key is a queue's own"


def test_a_scheduled_job_is_replaced_under_its_id(api):
    job = {**NOOP, "queue": "repl", "delay_ms": 3600000, "unique": {"key": "a", "policy": "replace"}}
    first = api.client.submit(job)
    status, _, second = post(api, {**job, "args": {"payload": "new"}, "priority": "high"})
    assert (status, second["id"], second["replaced"], second["state"]) == (202, first, True, "scheduled")
    [member] = api.client.redis.zrange("mr:{repl}:delayed", 0, -1)
    assert member[:1] == b"1" and b"new" in member
    assert post(api, {**job, "delay_ms": 0})[2]["state"] == "queued"
    assert post(api, job)[0] == 409, "it is queued now"
    assert api.client.job(first)["state"] == "queued"


def test_a_window_is_as_long_as_it_says(api):
    job = {**NOOP, "queue": "window", "unique": {"key": "a", "window_ms": 50}}
    first = api.client.submit(job)
    second = api.client.until(lambda: (lambda a: a[2]["id"] if a[0] == 202 else None)(post(api, job)), "the end of the window")
    assert second != first


# --- caps


def test_a_cap_refuses_with_what_there_is_and_when_to_come_back(api):
    assert caps(api, "capped", jobs=3, age_ms=60000)[0] == 204
    assert queue_info(api, "capped")["caps"] == {"jobs": 3, "bytes": None, "age_ms": 60000}
    answers = [post(api, {**NOOP, "queue": "capped", "delay_ms": d}) for d in (0, 3600000, 0, 0)]
    assert [a[0] for a in answers] == [202, 202, 202, 429]
    status, head, problem = answers[3]
    assert (problem["cap"], problem["has"], problem["may"]) == ("jobs", 3, 3)
    assert 1 <= int(head["retry-after"]) <= 60 and problem["retry_after"] == int(head["retry-after"])
    api.client.redis.rpop("mr:{capped}:ready:normal")
    assert post(api, {**NOOP, "queue": "capped"})[0] == 202, "there is room again"
    assert caps(api, "capped", jobs=None)[0] == 204
    assert queue_info(api, "capped")["caps"] == {"jobs": None, "bytes": None, "age_ms": 60000}
    assert post(api, {**NOOP, "queue": "capped"})[0] == 202


def test_a_cap_is_learned_while_the_queue_is_used(api):
    """Set behind the API's back: known within a second, and never passed by more than came in that second."""
    api.client.submit({**NOOP, "queue": "learned"})
    api.client.submit({**NOOP, "queue": "learned"})
    api.client.redis.hset("mr:{learned}:meta", "cap_jobs", 1)
    began = time.monotonic()
    api.client.until(lambda: post(api, {**NOOP, "queue": "learned"})[0] == 429, "the cap")
    assert time.monotonic() - began < 10


def test_caps_on_bytes_and_age(api):
    assert caps(api, "heavy", bytes=50000)[0] == 204
    job = {"type": "noop", "args": {"payload": "x" * 5000}, "queue": "heavy"}
    taken = 0
    while (answer := post(api, job))[0] == 202:
        taken += 1
        assert taken < 20
    assert answer[0] == 429 and answer[2]["cap"] == "bytes" and 5 <= taken <= 10
    assert queue_info(api, "heavy")["bytes"] <= 50000
    assert caps(api, "old", age_ms=1)[0] == 204
    assert post(api, {**NOOP, "queue": "old"})[0] == 202
    answer = api.client.until(lambda: (lambda a: a if a[0] == 429 else None)(post(api, {**NOOP, "queue": "old"})), "an old job")
    assert answer[2]["cap"] == "age_ms" and answer[2]["has"] > 1


@pytest.mark.parametrize("body,status,pointer", [
    (b"{}", 422, ""), (b"[]", 422, ""), (b"{", 400, None), (b'{"jobs":0}', 422, "/jobs"), (b'{"jobs":"1"}', 422, "/jobs"),
    (b'{"jobs":1.5}', 422, "/jobs"), (b'{"jobs":1000000000000001}', 422, "/jobs"), (b'{"size":1}', 422, "/size")])
def test_caps_that_are_wrong(api, body, status, pointer):
    got, _, answer = api.request("PUT", "/v1/queues/wrong/caps", body)
    problem = json.loads(answer)
    assert got == status, problem
    if pointer is not None:
        assert problem["errors"][0]["pointer"] == pointer
    assert queue_info(api, "wrong") is None


def test_caps_of_a_name_that_is_none(api):
    assert caps(api, "No", jobs=1)[0] == 404


# --- idempotency keys


def test_the_same_key_and_body_is_answered_the_same_again(api):
    job = {**NOOP, "queue": "idem", "delay_ms": 3600000}
    status, head, body = post(api, job, key="k1")
    assert status == 202 and "idempotency-replayed" not in head
    for key in ("k1", '"k1"'):
        again = post(api, job, key=key)
        assert (again[0], again[2], again[1]["location"]) == (202, body, head["location"])
        assert again[1]["idempotency-replayed"] == "true"
    assert queue_info(api, "idem")["delayed"] == 1
    status, _, problem = post(api, {**job, "priority": "high"}, key="k1")
    assert status == 422 and "another request" in problem["detail"]
    assert post(api, job, key="k2")[2]["id"] != body["id"]


def test_a_refused_request_leaves_its_key_free(api):
    assert post(api, {"type": "nope"}, key="r1")[0] == 422
    holder = api.client.submit({**NOOP, "queue": "ridem", "unique": {"key": "a"}})
    job = {**NOOP, "queue": "ridem", "unique": {"key": "a"}}
    assert post(api, job, key="r1")[0] == 409
    status, _, body = post(api, {**job, "unique": {"key": "a", "policy": "keep"}}, key="r1")
    assert (status, body["id"]) == (200, holder)
    status, head, again = post(api, {**job, "unique": {"key": "a", "policy": "keep"}}, key="r1")
    assert (status, again, head["idempotency-replayed"]) == (200, body, "true")


@pytest.mark.parametrize("key", ["", '""', "k" * 256, "a\tb"])
def test_a_key_that_breaks_the_rule(api, key):
    status, _, problem = post(api, NOOP, key=key)
    assert status == 400 and "255" in problem["detail"]


def test_the_longest_key_is_taken(api):
    assert post(api, {**NOOP, "queue": "long"}, key="k" * 255)[0] == 202

"""Jobs over HTTP: what is taken and how it is enqueued, what is refused and why, and what is told of a job."""

import json
import time
import uuid

import msgpack
import psycopg2
import pytest

from support.raw import Raw, request

UNKNOWN = "0192f0c1-2345-7abc-8def-0123456789ab"


@pytest.fixture(scope="module")
def api(module_stacks):
    """Everything but a worker: what is enqueued stays where it was put."""
    stack = module_stacks(start=False)
    stack.start_services()
    stack.start_api()
    stack.client.until(lambda: stack.get("/readyz")[0] == 200 and b"down" not in stack.get("/readyz")[2], "readiness")
    return stack


def post_raw(stack, body, headers=("Content-Type: application/json",)):
    with Raw(stack) as raw:
        answer = raw.ask(request("POST", "/v1/jobs", body, headers))
        return answer.status, json.loads(answer.body)


# --- what is taken


def test_a_job_is_answered_with_its_id_and_place(api):
    status, headers, body = api.post_json("/v1/jobs", {"type": "noop", "args": {}, "queue": "place", "priority": "high"})
    assert status == 202
    assert headers["location"] == body["url"] == f"/v1/jobs/{body['id']}"
    assert headers["content-type"] == "application/json"
    assert body == {"id": body["id"], "state": "queued", "type": "noop", "queue": "place", "priority": "high", "url": body["url"]}
    assert uuid.UUID(body["id"]).version == 7 and body["id"] == body["id"].lower()


def test_what_is_enqueued_is_what_the_protocol_says(api):
    job = {"type": "noop", "args": {"payload": {"a": [1, -1, 0.5, "é", None, True]}}, "queue": "wire", "max_attempts": 7,
           "timeout_ms": 1234, "then": [{"type": "noop", "args": {}, "on": "always"}]}
    api.client.submit({"type": "noop", "args": {}, "queue": "wire"})
    job_id = api.client.submit(job)
    r = api.client.redis
    items = r.lrange("mr:{wire}:ready:normal", 0, -1)
    assert len(items) == 2
    newest, oldest = (msgpack.unpackb(i) for i in items)
    assert newest == {"v": 1, "id": uuid.UUID(job_id).bytes, "type": "noop", "args": job["args"], "max_attempts": 7,
                      "timeout_ms": 1234, "then": job["then"]}
    assert list(oldest) == ["v", "id", "type", "args"] and oldest["args"] == {}
    assert items[0][9:25] == uuid.UUID(job_id).bytes  # scripts find it there without unpacking
    assert r.hexists("mr:{wire}:state", uuid.UUID(job_id).bytes)
    assert r.llen("mr:{wire}:wake") == 1
    assert b"wire" in r.smembers("mr:queues")


@pytest.mark.parametrize("priority", ["critical", "high", "normal", "low"])
def test_a_priority_has_a_list_of_its_own(api, priority):
    api.client.submit({"type": "noop", "args": {}, "queue": "lists", "priority": priority})
    assert api.client.redis.llen(f"mr:{{lists}}:ready:{priority}") == 1


def test_a_delayed_job_waits_with_its_time(api):
    before = time.time() * 1000
    status, _, body = api.post_json("/v1/jobs", {"type": "noop", "args": {}, "queue": "later", "delay_ms": 3600000})
    assert (status, body["state"]) == (202, "scheduled")
    [(item, due)] = api.client.redis.zrange("mr:{later}:delayed", 0, -1, withscores=True)
    assert before + 3600000 - 5 <= due <= time.time() * 1000 + 3600005
    assert msgpack.unpackb(item[1:])["id"] == uuid.UUID(body["id"]).bytes
    assert api.client.redis.llen("mr:{later}:ready:normal") == 0


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_may_be_called_by_any_spelling_of_its_name(api, kind):
    assert post_raw(api, b'{"type":"noop","args":{}}', (f"Content-Type: {kind}",))[0] == 202


# --- what is refused

NOOP = '"type":"noop","args":{}'
BAD = [
    # body, status, pointer (None: the problem is of the whole), a part of the rule
    ("", 400, None, "JSON"),
    ("{", 400, None, "JSON, line 1"),
    ("{" + NOOP + "} {}", 400, None, "JSON"),
    ("not json", 400, None, "JSON"),
    ("{" + NOOP + ',"queue":"a","queue":"b"}', 400, None, "duplicate"),
    ('{"type":"noop","args":{"payload":1,"payload":2}}', 400, None, "duplicate"),
    ('{"type":"noop","args":{"payload":NaN}}', 400, None, "JSON"),
    ('{"type":"noop","args":{"payload":99999999999999999999}}', 400, None, "big"),
    ("[" * 17 + "]" * 17, 400, None, "16"),
    ("[]", 400, None, "must be an object"),
    ("7", 400, None, "must be an object"),
    ("{}", 422, "/type", "is required"),
    ('{"type":"noop"}', 422, "/args", "is required"),
    ('{"type":"nope","args":{}}', 422, "/type", "known here: image, webhook, email, noop"),
    ('{"type":1,"args":{}}', 422, "/type", "must be 1 to 64 of"),
    ('{"type":"noop","args":[]}', 422, "/args", "must be an object"),
    ("{" + NOOP + ',"colour":"red"}', 422, "/colour", "is not a known field"),
    ("{" + NOOP + ',"a/b":1}', 422, "/a~1b", "is not a known field"),
    ("{" + NOOP + ',"queue":"Not A Name"}', 422, "/queue", "must be 1 to 64 of"),
    ("{" + NOOP + ',"priority":"urgent"}', 422, "/priority", "critical, high, normal, low"),
    ("{" + NOOP + ',"max_attempts":0}', 422, "/max_attempts", "from 1 to 100"),
    ("{" + NOOP + ',"timeout_ms":"1"}', 422, "/timeout_ms", "must be an integer"),
    ("{" + NOOP + ',"delay_ms":-1}', 422, "/delay_ms", "must be an integer"),
    ("{" + NOOP + ',"then":[1]}', 422, "/then/0", "must be an object"),
    ("{" + NOOP + ',"then":[{"type":"webhook","args":{"url":"ftp://a"}}]}', 422, "/then/0/args/url", "http or https"),
    ('{"type":"noop","args":{"work":1}}', 422, "/args/work", "known here: payload, work_ms"),
    ('{"type":"noop","args":{"work_ms":60001}}', 422, "/args/work_ms", "from 0 to 60000"),
    ('{"type":"image","args":{"outputs":[{"name":"a"}]}}', 422, "/args/source", "is required"),
    ('{"type":"image","args":{"source":{"path":"/a/../b"},"outputs":[{"name":"a"}]}}', 422, "/args/source/path", '".."'),
    ('{"type":"image","args":{"source":{"path":"/a"},"outputs":[]}}', 422, "/args/outputs", "1 to 32"),
    ('{"type":"image","args":{"source":{"path":"/a"},"outputs":[{"name":"a"},{"name":"a"}]}}', 422, "/args/outputs/1/name", "unique"),
    ('{"type":"image","args":{"source":{"path":"/a"},"outputs":[{"name":"a","format":"bmp"}]}}', 422, "/args/outputs/0/format",
     "jpeg, png, webp, avif"),
    ('{"type":"image","args":{"source":{"path":"/a"},"outputs":[{"name":"a","ops":[{"resize":{"width":99999}}]}]}}', 422,
     "/args/outputs/0/ops/0/resize/width", "must be an integer from"),
    ('{"type":"webhook","args":{"url":"http://u:p@a/"}}', 422, "/args/url", "user name"),
    ('{"type":"email","args":{"to":"nobody","subject":"s","text":"t"}}', 422, "/args/to", "e-mail address"),
    ('{"type":"email","args":{"to":["a@b.c","x"],"subject":"s","text":"t"}}', 422, "/args/to/1", "e-mail address"),
    ('{"type":"noop","args":{"payload":[' + "0," * 10000 + "0]}}", 413, None, "keys and values"),
]


@pytest.mark.parametrize("body,status,pointer,rule", BAD, ids=[b[0][:60] for b in BAD])
def test_what_is_wrong_is_named_with_its_place_and_its_rule(api, body, status, pointer, rule):
    got, problem = post_raw(api, body.encode())
    assert got == problem["status"] == status, problem
    assert rule in problem["detail"]
    if pointer is None:
        assert "errors" not in problem
    else:
        assert [e["pointer"] for e in problem["errors"]] == [pointer] and rule in problem["errors"][0]["detail"]


def test_bytes_that_are_no_text_are_refused(api):
    for payload in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\\u0000", b"\\ud800"):
        status, problem = post_raw(api, b'{"type":"noop","args":{"payload":"' + payload + b'"}}')
        assert status == 400 and "JSON" in problem["detail"], payload


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/msgpack"])
def test_what_is_not_called_json_is_not_taken(api, kind):
    status, problem = post_raw(api, b'{"type":"noop","args":{}}', (f"Content-Type: {kind}",))
    assert status == 415 and "application/json" in problem["detail"]


def test_nothing_of_what_was_refused_is_enqueued(api):
    before = api.client.redis.hlen("mr:{default}:state")
    for body, *_ in BAD:
        post_raw(api, body.encode())
    assert api.client.redis.hlen("mr:{default}:state") == before


# --- one job


def get_job(stack, job_id):
    status, _, body = stack.get(f"/v1/jobs/{job_id}")
    return status, json.loads(body)


def test_a_queued_and_a_scheduled_job_are_told_from_redis(api):
    queued = api.client.submit({"type": "noop", "args": {}, "queue": "told", "priority": "low"})
    status, job = get_job(api, queued)
    assert status == 200
    assert (job["id"], job["state"], job["type"], job["queue"], job["priority"], job["attempt"]) == (queued, "queued", "noop", "told", "low", 0)
    assert job["created_at"].endswith("Z") and "run_at" not in job
    scheduled = api.client.submit({"type": "noop", "args": {}, "queue": "told", "delay_ms": 60000})
    status, job = get_job(api, scheduled)
    assert (status, job["state"]) == (200, "scheduled") and job["run_at"] > job["created_at"]


@pytest.mark.parametrize("job_id", [UNKNOWN, "7", "x" * 36, UNKNOWN + "0", UNKNOWN.replace("-", "_")])
def test_a_job_that_is_not_there_is_404(api, job_id):
    status, problem = get_job(api, job_id)
    assert status == problem["status"] == 404


def test_an_id_may_be_asked_for_in_capitals(api):
    job_id = api.client.submit({"type": "noop", "args": {}, "queue": "capitals"})
    assert get_job(api, job_id.upper())[1]["id"] == job_id


def test_running_retrying_and_ended_jobs_are_told(stacks):
    stack = stacks(RETRY_BASE="20s", RETRY_CAP="20s")
    client = stack.client
    stack.start_worker("2", QUEUES="slow", SLOTS=1)
    running = client.submit({"type": "noop", "args": {"work_ms": 1500, "payload": "p"}, "queue": "slow", "timeout_ms": 9000})
    job = client.state(running, "running")
    assert job["attempt"] == 1 and job["worker"] and job["progress"] == 0 and job["since"] >= job["created_at"]
    assert job["args"] == {"work_ms": 1500, "payload": "p"} and job["timeout_ms"] == 9000
    retrying = client.noop(fail_attempts=1)
    job = client.state(retrying, "retrying")
    assert job["attempt"] == 1 and job["next_attempt_at"] > job["created_at"] and job["error_text"]
    ended = client.ended(client.noop(payload=[1, 2]))
    assert ended["state"] == "succeeded" and ended["attempt"] == 1 and ended["progress"] == 100
    assert ended["args"] == {"payload": [1, 2]}
    assert ended["created_at"] <= ended["started_at"] <= ended["finished_at"]
    assert [(a["attempt"], a["outcome"]) for a in ended["attempts"]] == [(1, "succeeded")]
    dead = client.ended(client.noop(fail_attempts=1, fail_final=True))
    assert dead["state"] == "dead" and dead["error"] and dead["error_text"]
    assert client.ended(running)["state"] == "succeeded"


def test_an_ended_job_cannot_be_told_without_postgresql_but_a_live_one_can(stacks):
    stack = stacks()
    client = stack.client
    ended = client.noop()
    client.ended(ended)
    live = client.submit({"type": "noop", "args": {}, "queue": "nobody"})
    stack.pg.stop()
    client.until(lambda: client.metric("millrace_postgres_up") == 0, "the news of PostgreSQL")
    assert get_job(stack, live)[1]["state"] == "queued"
    assert get_job(stack, ended)[0] == 503
    assert stack.post_json("/v1/jobs", {"type": "noop", "args": {}})[0] == 202
    stack.pg.start()
    client.until(lambda: get_job(stack, ended)[0] == 200, "the job's record")


# --- many jobs


def listed(stack, query=""):
    status, _, body = stack.get(f"/v1/jobs{query}")
    assert status == 200, body
    return json.loads(body)


def all_pages(stack, query):
    jobs, cursor = [], None
    while True:
        page = listed(stack, query + (f"&cursor={cursor}" if cursor else ""))
        jobs += page["jobs"]
        cursor = page["next_cursor"]
        if cursor is None:
            return jobs


def record(stack, rows):
    """Ended jobs as a worker records them: (queue, type, state, error) each. Gives their ids, oldest first."""
    ids = []
    with psycopg2.connect(stack.pg.url) as db, db.cursor() as cursor:
        for i, (queue, kind, state, error) in enumerate(rows):
            job_id = uuid.UUID(int=(int(time.time() * 1000) << 80) | 7 << 76 | i << 64 | 2 << 62 | uuid.uuid4().int & (1 << 62) - 1)
            cursor.execute(
                "insert into jobs (id, state, priority, attempt, max_attempts, queue, type, worker, error, item) "
                "values (%s, %s, 2, 1, 3, %s, %s, 'test', %s, %s)",
                (str(job_id), state, queue, kind, error, b"\x80"))
            ids.append(str(job_id))
    return ids


@pytest.fixture(scope="module")
def many(api):
    """Some jobs of each kind on record, by what they are."""
    kinds = {"a": ("qa", "noop", 5, None), "b": ("qa", "image", 6, "TIMEOUT"), "c": ("qb", "noop", 6, "MALFORMED"),
             "d": ("qb", "image", 4, "TIMEOUT"), "e": ("qc", "email", 7, None), "f": ("qc", "webhook", 8, None)}
    return {name: record(api, [kind] * 5)[::-1] for name, kind in kinds.items()}


FILTERS = {
    "queue=qa": "ba", "queue=qb": "dc", "type=noop": "ca", "type=image": "db", "state=succeeded": "a", "state=dead": "cb",
    "state=retrying": "d", "state=cancelled": "e", "state=expired": "f", "error=TIMEOUT": "db", "error=MALFORMED": "c",
    "queue=qa&type=image": "b", "queue=qa&state=dead": "b", "type=image&error=TIMEOUT&state=retrying": "d",
    "queue=qb&error=TIMEOUT&type=image&state=retrying": "d", "queue=qz": "", "type=noop&error=TIMEOUT": "", "error=NONE": "",
    "queue=q%61": "ba", "state=": "fedcba",
}


@pytest.mark.parametrize("query", FILTERS)
def test_each_filter_finds_its_jobs_newest_first(api, many, query):
    known = {job_id for ids in many.values() for job_id in ids}
    found = [j["id"] for j in listed(api, "?limit=200&" + query)["jobs"]]
    wanted = sorted((i for name in FILTERS[query] for i in many[name]), reverse=True)
    assert [i for i in found if i in known] == wanted
    assert found == sorted(found, reverse=True)


def test_three_hundred_jobs_come_exactly_once_each_by_the_page(api):
    ids = record(api, [("pages", "noop", 5, None)] * 300)
    found = [j["id"] for j in all_pages(api, "?queue=pages&limit=7")]
    assert found == sorted(ids, reverse=True)
    assert [j["id"] for j in all_pages(api, "?queue=pages&limit=100")] == found
    assert len(listed(api, "?queue=pages")["jobs"]) == 50
    page = listed(api, "?queue=pages&limit=200")
    assert len(page["jobs"]) == 200 and page["next_cursor"] == page["jobs"][-1]["id"]


def test_jobs_that_end_between_two_pages_repeat_and_hide_nothing(api):
    first = record(api, [("moving", "noop", 5, None)] * 20)
    page = listed(api, "?queue=moving&limit=10")
    record(api, [("moving", "noop", 5, None)] * 5)
    rest = listed(api, f"?queue=moving&limit=100&cursor={page['next_cursor']}")
    assert [j["id"] for j in page["jobs"] + rest["jobs"]] == sorted(first, reverse=True) and rest["next_cursor"] is None


def test_a_list_of_live_jobs_goes_through_all_queues_by_the_page(api):
    ids = {}
    for queue in ("live-a", "live-b", "live-c"):
        ids[queue] = [api.client.submit({"type": "noop", "args": {}, "queue": queue}) for _ in range(7)]
        api.client.submit({"type": "noop", "args": {}, "queue": queue, "delay_ms": 60000})
    for limit in (1, 3, 7, 50):
        found = [j for j in all_pages(api, f"?state=queued&limit={limit}") if j["queue"] in ids]
        assert [j["id"] for j in found] == ids["live-a"] + ids["live-b"] + ids["live-c"], limit
        assert {j["state"] for j in found} == {"queued"}
    assert [j["id"] for j in all_pages(api, "?state=queued&queue=live-b&limit=2")] == ids["live-b"]
    scheduled = all_pages(api, "?state=scheduled&queue=live-c")
    assert len(scheduled) == 1 and scheduled[0]["state"] == "scheduled"
    assert all_pages(api, "?state=running") == []
    assert all_pages(api, "?state=queued&queue=live-a&type=image") == []
    assert all_pages(api, "?state=queued&queue=no-such-queue") == []
    # The cursor's queue may have gone since.
    assert listed(api, "?state=queued&queue=live-b&cursor=live-aa:5")["jobs"][0]["id"] == ids["live-b"][0]


def test_a_page_of_large_jobs_ends_before_it_grows_too_large(api):
    ids = [api.client.submit({"type": "noop", "args": {"payload": f"{i}" + "x" * 200000}, "queue": "heavy"}) for i in range(50)]
    page = listed(api, "?state=queued&queue=heavy&limit=200")
    assert 0 < len(page["jobs"]) < 50 and page["next_cursor"]
    assert [j["id"] for j in all_pages(api, "?state=queued&queue=heavy&limit=200")] == ids


def test_a_page_of_one_type_ends_however_many_others_there_are(api):
    for _ in range(250):
        api.client.submit({"type": "noop", "args": {}, "queue": "others"})
    mail = api.client.submit({"type": "email", "args": {"to": "a@b.example", "subject": "s", "text": "t"}, "queue": "others"})
    page = listed(api, "?state=queued&queue=others&type=email")
    assert page["jobs"] == [] and page["next_cursor"]
    assert [j["id"] for j in all_pages(api, "?state=queued&queue=others&type=email")] == [mail]


def test_running_jobs_are_listed(stacks):
    stack = stacks()
    stack.start_worker("2", QUEUES="slow", SLOTS=2)
    ids = [stack.client.submit({"type": "noop", "args": {"work_ms": 1500}, "queue": "slow"}) for _ in range(2)]
    for job_id in ids:
        stack.client.state(job_id, "running")
    found = listed(stack, "?state=running&queue=slow")["jobs"]
    assert {j["id"] for j in found} == set(ids) and all(j["worker"] and j["attempt"] == 1 for j in found)


BAD_QUERIES = ["limit=0", "limit=201", "limit=-1", "limit=1.5", "limit=a", "limit=%31x", "limit=99999999", "limit=+5", "state=running%00",
               "state=sleeping", "state=QUEUED", "colour=red", "stat%65=dead", "limit=1&limit=2", "state=dead&state=dead", "cursor=7",
               "cursor=qa:0", "cursor=" + UNKNOWN + "0", "state=queued&cursor=" + UNKNOWN, "state=queued&cursor=qa:", "state=queued&cursor=qa:x",
               "state=queued&cursor=qa:-1", "state=queued&cursor=qa:1x", "queue=" + "q" * 65, "queue=%zz", "queue=a%", "queue=%00", "error=" + "E" * 99]


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_a_question_that_cannot_be_answered_is_refused(api, query):
    status, _, body = api.get(f"/v1/jobs?{query}")
    problem = json.loads(body)
    assert status == problem["status"] == 400, problem
    name = query.split("&")[-1].split("=")[0]
    assert name in problem["detail"]


# --- queues and workers


def test_queues_are_told_with_their_numbers_and_can_be_paused(api):
    api.client.submit({"type": "noop", "args": {}, "queue": "stopped", "priority": "high"})
    api.client.submit({"type": "noop", "args": {}, "queue": "stopped", "delay_ms": 60000})

    def look():
        return {q["name"]: q for q in json.loads(api.get("/v1/queues")[2])["queues"]}["stopped"]

    told = look()
    assert (told["paused"], told["waiting"], told["delayed"], told["running"], told["workers"]) == (False, 1, 1, 0, 0)
    assert told["ready"] == {"critical": 0, "high": 1, "normal": 0, "low": 0} and told["totals"]["enqueued"] == 2
    for verb, paused in (("pause", True), ("pause", True), ("resume", False)):
        status, headers, body = api.request("POST", f"/v1/queues/stopped/{verb}", b"")
        assert (status, body) == (204, b"") and "content-length" not in headers
        assert look()["paused"] is paused
    assert api.request("POST", "/v1/queues/no-such-queue/pause", b"")[0] == 404
    assert api.request("POST", "/v1/queues/Not%20a%20name/pause", b"")[0] == 400
    assert api.request("POST", "/v1/queues/NotAName/pause", b"")[0] == 404


def test_a_paused_queue_keeps_its_jobs_until_it_is_resumed(stack):
    client = stack.client
    client.ended(client.noop())
    assert stack.request("POST", "/v1/queues/default/pause", b"")[0] == 204
    job = client.noop()
    other = client.submit({"type": "webhook", "args": {"url": "http://127.0.0.1:9/"}, "max_attempts": 1})
    client.ended(other)  # the worker lives, and has had its turns
    assert client.job(job)["state"] == "queued"
    assert stack.request("POST", "/v1/queues/default/resume", b"")[0] == 204
    assert client.ended(job)["state"] == "succeeded"


def test_workers_are_told(stack):
    workers = json.loads(stack.get("/v1/workers")[2])["workers"]
    assert {w["queue"] for w in workers} >= {"default", "image", "notify"}
    for worker in workers:
        assert worker["alive"] is True and worker["pid"] == stack.workers["1"].pid and worker["slots"] >= 1
        assert worker["started_at"] <= worker["beat_at"]

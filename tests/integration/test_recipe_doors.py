"""Recipes wherever a job comes in: batches, lines, schedules, edits, follow-ups, the command line."""

import contextlib
import json
import subprocess

import psycopg2
import pytest

from integration.test_batch import BATCH, Lines, batch, send_lines
from integration.test_recipes import put
from integration.test_redrive import retry
from support.schedules import Schedules

LIMIT = 4  # BATCH_RECIPES


def body(width):
    return {"outputs": [{"name": "out", "ops": [{"resize": {"width": width}}], "format": "png"}]}


@pytest.fixture(scope="module")
def stack(module_stacks):
    stack = module_stacks(RECIPE_AGE="10ms", BATCH_RECIPES=LIMIT, BATCH_BODY_MAX="64k")
    for name, width in (("a", 30), ("b", 40), ("c", 50), ("d", 60), ("e", 70)):
        put(stack, name, body(width))
    put(stack, "big", {"outputs": [{"name": f"o{n}", "ops": [{"resize": {"width": n + 1}}], "format": "png"} for n in range(32)]})
    return stack


@pytest.fixture(scope="module")
def upload(stack, picture):
    return stack.client.upload(picture(320, 200).read_bytes())


@pytest.fixture
def image(upload):
    """A job that names a recipe."""
    return lambda recipe, **more: {"type": "image", "args": {"source": {"upload": upload}, "recipe": recipe}, **more}


def width(stack, job_id):
    job = stack.client.ended(job_id)
    assert job["state"] == "succeeded" and "recipe" not in job["args"], job
    return job["outputs"][0]["width"]


def pointer(result):
    return result["error"].get("pointer")


@contextlib.contextmanager
def recipes_locked(stack):
    """Whoever looks a recipe up waits until this ends; gives a function that tells whether somebody does."""
    with psycopg2.connect(stack.pg.url) as db, db.cursor() as cursor:
        cursor.execute("lock table recipes in access exclusive mode")
        yield lambda: stack.client.rows("select count(*) from pg_locks where not granted")[0][0]
        db.rollback()


# --- a batch


def test_jobs_of_a_batch_name_recipes(stack, image):
    status, _, answer = batch(stack, [image("a"), {"type": "noop", "args": {}}, image("nobody"), image("b@1"), image("b@2"), image("A"), image("a")])
    assert status == 200 and [r["status"] for r in answer["results"]] == [202, 202, 422, 202, 422, 422, 202], answer
    assert [pointer(answer["results"][n]) for n in (2, 4, 5)] == ["/args/recipe"] * 3
    assert "there is no such recipe" in answer["results"][2]["error"]["detail"]
    assert (answer["accepted"], answer["rejected"]) == (4, 3)
    assert [width(stack, answer["results"][n]["id"]) for n in (0, 3, 6)] == [30, 40, 30]


def test_follow_ups_in_a_batch_and_of_it(stack, image):
    job = {"type": "noop", "args": {}, "then": [image("a")], "chain": [image("b")]}
    status, _, answer = batch(stack, [job, {**job, "then": [image("nobody")]}], then=[image("c")])
    assert status == 200 and pointer(answer["results"][1]) == "/then/0/args/recipe", answer
    stack.client.ended(answer["results"][0]["id"])
    stack.client.quiet()
    outputs = stack.client.rows("select width from outputs o join job_list j on o.job_id = j.id where j.parent = %s or j.type = 'image' and j.batch = %s",
                                answer["results"][0]["id"], answer["batch"])
    assert sorted(w for w, in outputs)[:2] == [30, 40], outputs
    stack.client.until(lambda: stack.client.rows("select 1 from outputs where width = 50"), "what follows the batch")
    status, _, problem = batch(stack, [{"type": "noop", "args": {}}], then=[{"type": "noop", "args": {}}, image("nobody")])
    assert status == 422 and problem["errors"][0]["pointer"] == "/then/1/args/recipe", problem


def test_an_atomic_batch_with_an_unknown_recipe(stack, image):
    status, _, answer = batch(stack, [image("a", queue="whole"), image("nobody", queue="whole")], atomic=True)
    assert status == 422 and [r["status"] for r in answer["results"]] == [424, 422] and pointer(answer["results"][1]) == "/args/recipe"
    assert "whole" not in {q["name"] for q in json.loads(stack.get("/v1/queues")[2])["queues"]}


def test_a_batch_names_so_many_recipes_and_no_more(stack, image):
    names = ["a", "b", "c", "d"]
    status, _, answer = batch(stack, [image(n) for n in names * 3])
    assert status == 202, answer
    stack.client.quiet()
    status, _, answer = batch(stack, [image("nobody"), *(image(n) for n in names), image("a")])
    assert [r["status"] for r in answer["results"]] == [422, 202, 202, 202, 422, 202], answer
    assert pointer(answer["results"][4]) == "/args/recipe" and "the batch" in answer["results"][4]["error"]["detail"]
    stack.client.quiet()


def test_what_recipes_say_counts_as_sent(stack, image):
    """BATCH_BODY_MAX is 64k: a small batch must not become a large one."""
    status, _, answer = batch(stack, [image("a"), *(image("big") for _ in range(100))])
    codes = [r["status"] for r in answer["results"]]
    assert status == 200 and set(codes) == {202, 413} and codes == sorted(codes) and 10 < codes.count(202) < 64, codes
    assert "BATCH_BODY_MAX" in answer["results"][-1]["error"]["detail"]
    stack.client.quiet()


def test_a_batch_with_a_key_and_a_recipe_is_answered_the_same_again(stack, image):
    first = batch(stack, [image("a"), image("b")], key="doors")
    again = batch(stack, [image("a"), image("b")], key="doors")
    assert first[0] == again[0] == 202 and first[2] == again[2] and again[1]["idempotency-replayed"] == "true"
    stack.client.quiet()


# --- lines


def as_lines(jobs):
    return b"".join(json.dumps(j).encode() + b"\n" for j in jobs)


def test_lines_name_recipes(stack, image):
    jobs = [image("a"), image("nobody"), {"type": "noop", "args": {}}, image("b"), image(7), *(image(n) for n in "abcde" * 20)]
    verdicts, total = send_lines(stack, as_lines(jobs))
    assert [v["status"] for v in verdicts] == [202, 422, 202, 202, 422] + [202] * 100, "of lines there may be any number, and so of recipes"
    assert pointer(verdicts[1]) == pointer(verdicts[4]) == "/args/recipe"
    assert (total["done"], total["accepted"], total["rejected"]) == (True, 103, 2)
    assert [width(stack, verdicts[n]["id"]) for n in (0, 3, 104)] == [30, 40, 70]
    stack.client.quiet()


@pytest.mark.parametrize("step", [1, 7, 64])
def test_lines_in_small_pieces_are_the_same_lines(stack, image, step):
    jobs = [image("abcde"[n % 5]) for n in range(20)]
    data, lines = as_lines(jobs)[:-1], Lines(stack)  # the last line has no end
    for at in range(0, len(data), step):
        lines.send(data[at:at + step])
    lines.end()
    *verdicts, total = lines.rest()
    lines.close()
    assert total == {"done": True, "lines": 20, "accepted": 20, "rejected": 0}
    ids = [v["id"] for v in sorted(verdicts, key=lambda v: v["line"])]
    assert [width(stack, i) for i in ids] == [30, 40, 50, 60, 70] * 4
    stack.client.quiet()


def test_what_comes_behind_a_line_that_waits_does_not_touch_it(stack, image):
    """While the first line's recipe is looked up the others arrive, and the body ends."""
    put(stack, "late", body(44))
    lines = Lines(stack)
    with recipes_locked(stack) as waits:
        lines.send(as_lines([image("late")]))
        stack.client.until(waits, "the look")
        for _ in range(10):
            lines.send(as_lines([{"type": "noop", "args": {"payload": "x" * 3000}}]))
        lines.end()
    *verdicts, total = lines.rest()
    lines.close()
    assert (total["accepted"], total["rejected"]) == (11, 0), verdicts
    assert width(stack, next(v["id"] for v in verdicts if v["line"] == 1)) == 44
    stack.client.quiet()


def test_a_client_that_leaves_while_a_recipe_is_looked_up(stack, image):
    put(stack, "left", body(45))
    lines = Lines(stack)
    with recipes_locked(stack) as waits:
        lines.send(as_lines([image("left", queue="left")]))
        stack.client.until(waits, "the look")
        lines.close()
        stack.client.until(lambda: stack.client.connections() == 0, "the end of the connection")
    stack.client.until(lambda: not stack.client.rows("select 1 from pg_locks where not granted"), "the end of the look")
    assert stack.get("/healthz")[0] == 200 and "left" not in {q["name"] for q in json.loads(stack.get("/v1/queues")[2])["queues"]}
    assert stack.client.metric("millrace_http_body_bytes") == 0


# --- one job


def test_a_job_names_so_many_recipes_and_no_more(stack, image):
    links = [[image(f"n{16 * i + j}") for j in range(16)] for i in range(3)]
    for n in range(33):
        put(stack, f"n{n}", body(n + 1))
    fine = {"type": "noop", "args": {}, "then": links[0], "chain": links[1], "delay_ms": 3600000}
    status, _, answer = stack.post_json("/v1/jobs", fine)
    assert status == 202, answer
    assert stack.request("POST", f"/v1/jobs/{answer['id']}/cancel")[0] == 200
    status, _, answer = stack.post_json("/v1/jobs", {**fine, "type": "image", "args": image("n32")["args"]})
    assert status == 422 and answer["errors"][0]["pointer"] == "/chain/15/args/recipe", answer
    stack.client.quiet()


# --- schedules


@pytest.fixture
def schedules(stack):
    s = Schedules(stack)
    yield s
    for one in s.ask("GET")[1]["schedules"]:
        s.ask("DELETE", one["name"])


def run(stack, schedules, name):
    status, answer = schedules.ask("POST", f"{name}/run")
    assert status == 202, answer
    return width(stack, answer["id"])


def test_a_schedule_means_what_the_recipe_said_when_it_was_put(stack, schedules, image):
    put(stack, "nightly", body(33))
    what = {"job": image("nightly"), "every_ms": 3600000, "paused": True}
    told = schedules.put("s", **what)
    assert told["job"]["args"]["outputs"] == body(33)["outputs"] and "recipe" not in told["job"]["args"], told
    put(stack, "nightly", body(34))
    assert run(stack, schedules, "s") == 33, "a new version changes no schedule"
    schedules.put("s", **what)
    assert run(stack, schedules, "s") == 34, "putting it again takes the newest"
    assert stack.request("DELETE", "/v1/recipes/nightly")[0] == 204
    assert run(stack, schedules, "s") == 34, "a schedule needs no recipe any more"
    assert schedules.refused("s", what)[:2] == (422, "/job/args/recipe")
    stack.client.quiet()


def test_what_follows_a_scheduled_job_may_name_recipes(schedules, image):
    job = {"type": "noop", "args": {}, "then": [image("a")], "chain": [image("b@1")]}
    told = schedules.put("s", job=job, every_ms=3600000, paused=True)["job"]
    assert (told["then"][0]["args"]["outputs"], told["chain"][0]["args"]["outputs"]) == (body(30)["outputs"], body(40)["outputs"])
    assert schedules.refused("s", {"job": {**job, "chain": [image("b@2")]}, "every_ms": 3600000})[:2] == (422, "/job/chain/0/args/recipe")


# --- edits


def dead(stack, job):
    ended = stack.client.ended(stack.client.submit(job))
    assert ended["state"] == "dead", ended
    stack.client.quiet()
    return ended["id"]


def test_an_edit_may_name_recipes(stack, image):
    job = dead(stack, {"type": "image", "args": {"source": {"path": "/nowhere.jpg"}, **body(9)}, "max_attempts": 1})
    status, problem = retry(stack, job, {"args": image("nobody")["args"]})
    assert status == 422 and problem["errors"][0]["pointer"] == "/args/recipe", problem
    status, problem = retry(stack, job, {"args": {**image("a")["args"], "outputs": []}})
    assert status == 422 and problem["errors"][0]["pointer"] == "/args/outputs", problem
    assert stack.client.job(job)["state"] == "dead"
    status, answer = retry(stack, job, {"args": image("a")["args"], "then": [image("b")]})
    assert status == 202 and width(stack, job) == 30, answer
    stack.client.quiet()
    assert stack.client.rows("select width from outputs o join job_list j on o.job_id = j.id where j.parent = %s", job) == [(40,)]


def test_an_edit_of_another_type_names_none(stack, image):
    job = dead(stack, {"type": "noop", "args": {"fail_final": True}})
    status, problem = retry(stack, job, {"args": image("a")["args"]})
    assert status == 422 and problem["errors"][0]["pointer"] == "/args/recipe" and "image jobs alone" in problem["detail"], problem
    assert retry(stack, job, {"args": {}, "then": [image("a")]})[0] == 202
    stack.client.quiet()


def test_an_edit_makes_no_job_that_no_worker_takes(stack):
    """What is edited and what stays are too many values together, each of them alone is not."""
    many = [0] * 6000
    job = dead(stack, {"type": "noop", "args": {"fail_final": True}, "then": [{"type": "noop", "args": {"payload": many}}]})
    status, problem = retry(stack, job, {"args": {"payload": many}})
    assert status == 422 and "too big" in problem["detail"], problem
    assert stack.client.job(job)["state"] == "dead"


# --- the command line


def test_a_file_of_jobs_names_recipes(stack, image):
    jobs = [image("a"), image("nobody"), {"type": "noop", "args": {}}, image("nobody"), *(image("abcde"[n % 5]) for n in range(10))]
    done = subprocess.run([str(stack.build / "millrace"), "enqueue", "--file", "-", "--json"], input=as_lines(jobs), env=stack.env(), capture_output=True,
                          timeout=60, check=False)
    told = sorted((json.loads(x) for x in done.stdout.splitlines()), key=lambda x: x["line"])
    assert done.returncode == 1 and b"line 2 is refused: /args/recipe there is no such recipe" in done.stderr and b"12 jobs taken, 2 refused" in done.stderr
    assert [width(stack, told[n]["id"]) for n in (0, 4, 13)] == [30, 30, 70]
    stack.client.quiet()


def test_a_file_may_name_more_recipes_than_one_job(stack, image):
    for n in range(40):
        put(stack, f"n{n}", body(n + 1))
    done = subprocess.run([str(stack.build / "millrace"), "enqueue", "--file", "-"], input=as_lines([image(f"n{n}") for n in range(40)]), env=stack.env(),
                          capture_output=True, timeout=60, check=True)
    assert [width(stack, i) for i in done.stdout.decode().split()] == list(range(1, 41))


def test_a_schedule_from_the_command_line_names_a_recipe(stack, schedules, image):
    words = ("schedule", "line", "put", "image", json.dumps(image("a")["args"]), "--every-ms", "3600000", "--then", json.dumps(image("b")))
    told = json.loads(stack.cli(*words, "--json").stdout)["job"]
    assert told["args"]["outputs"] == body(30)["outputs"] and told["then"][0]["args"]["outputs"] == body(40)["outputs"]
    done = stack.cli("schedule", "line", "put", "image", json.dumps(image("nobody")["args"]), "--every-ms", "3600000", check=False)
    assert done.returncode == 4 and "there is no recipe nobody" in done.stderr


def test_an_edit_from_the_command_line_names_a_recipe(stack, image):
    job = dead(stack, {"type": "image", "args": {"source": {"path": "/nowhere.jpg"}, **body(9)}, "max_attempts": 1})
    done = stack.cli("retry", job, "--edit", json.dumps({"args": image("nobody")["args"]}), check=False)
    assert done.returncode == 4 and "there is no recipe nobody" in done.stderr
    stack.cli("retry", job, "--edit", json.dumps({"args": image("a")["args"]}))
    assert width(stack, job) == 30
    stack.client.quiet()


def test_follow_ups_from_the_command_line_name_recipes(stack, image):
    job = stack.cli("enqueue", "noop", "--then", json.dumps(image("a")), "--chain", json.dumps(image("b"))).stdout.strip()
    stack.client.ended(job)
    stack.client.quiet()
    got = stack.client.rows("select width from outputs o join job_list j on o.job_id = j.id where j.parent = %s order by width", job)
    assert got == [(30,), (40,)]


# --- PostgreSQL is away


def test_without_postgres_only_what_is_known_is_taken(stacks, picture):
    stack = stacks(RECIPE_AGE="1h")
    upload = stack.client.upload(picture(320, 200).read_bytes())

    def image(recipe):
        return {"type": "image", "args": {"source": {"upload": upload}, "recipe": recipe}, "queue": "away"}
    schedules, noop = Schedules(stack), {"type": "noop", "args": {}}
    put(stack, "a", body(30))
    put(stack, "b", body(40))
    assert batch(stack, [image("a")])[0] == 202
    stack.pg.stop()
    stack.client.until(lambda: stack.get("/v1/recipes/a")[0] == 503, "the API to notice")
    assert batch(stack, [image("a"), noop])[0] == 202, "what was used lately is known"
    before = stack.client.redis.llen("mr:{away}:ready:normal")
    status, head, problem = batch(stack, [image("a"), image("b")])
    assert status == 503 and "recipes cannot be looked up" in problem["detail"] and head["retry-after"] == "1"
    assert stack.client.redis.llen("mr:{away}:ready:normal") == before, "none was taken"
    verdicts, total = send_lines(stack, as_lines([image("a"), image("b"), noop]))
    assert [v["status"] for v in verdicts] == [202, 503, 202] and "recipes cannot be looked up" in verdicts[1]["error"]["detail"]
    assert (total["done"], total["accepted"], total["rejected"]) == (True, 2, 1)
    assert schedules.ask("PUT", "s", {"job": image("b"), "every_ms": 3600000})[0] == 503
    assert schedules.ask("PUT", "s", {"job": image("a"), "every_ms": 3600000, "paused": True})[0] == 201
    assert retry(stack, "01a20af1-272d-7402-be8e-eb67e0f0a3a5", {"args": image("b")["args"]})[0] == 503
    for words in (("enqueue", "image", json.dumps(image("a")["args"])), ("schedule", "s", "put", "image", json.dumps(image("a")["args"]), "--cron", "@daily")):
        assert stack.cli(*words, check=False).returncode == 3
    done = subprocess.run([str(stack.build / "millrace"), "enqueue", "--file", "-"], input=as_lines([noop, image("a"), noop]), env=stack.env(),
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 3 and len(done.stdout.split()) == 1 and b"1 jobs were taken for certain" in done.stderr, done
    stack.pg.start()
    stack.client.until(lambda: batch(stack, [image("b")])[0] == 202, "PostgreSQL again")
    assert schedules.ask("DELETE", "s")[0] == 204


# --- the same request again

def test_a_request_that_was_taken_is_answered_again_when_its_recipe_is_gone(stack, image):
    put(stack, "soon-gone", body(44))
    job, key = image("soon-gone"), {"Idempotency-Key": "recipe-gone"}
    first = stack.post_json("/v1/jobs", job, key)
    assert first[0] == 202
    assert stack.request("DELETE", "/v1/recipes/soon-gone", b"")[0] == 204
    stack.client.until(lambda: stack.post_json("/v1/jobs", job)[0] == 422, "the recipe to be forgotten")
    again = stack.post_json("/v1/jobs", job, key)
    assert (again[0], again[2]) == (202, first[2]) and again[1]["idempotency-replayed"] == "true"
    assert width(stack, first[2]["id"]) == 44
    # A key that nothing was taken under stays free.
    refused = {"Idempotency-Key": "recipe-missing"}
    assert stack.post_json("/v1/jobs", image("not-there"), refused)[0] == 422
    put(stack, "not-there", body(45))
    done = stack.client.until(lambda: stack.post_json("/v1/jobs", image("not-there"), refused)[2].get("id"), "the recipe to be found")
    assert width(stack, done) == 45

"""Recipes: put, looked at, used by jobs, deleted."""

import json
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

AVATAR = {"outputs": [{"name": "avatar", "ops": [{"resize": {"width": 64, "height": 64, "fit": "cover"}}], "format": "webp"}]}


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks(RECIPE_AGE="1h")  # what this API puts and deletes shows at once all the same


@pytest.fixture(scope="module")
def upload(stack, picture):
    return stack.client.upload(picture(320, 200).read_bytes())


def put(stack, name, body):
    status, head, answer = stack.request("PUT", f"/v1/recipes/{name}", json.dumps(body).encode(), {"content-type": "application/json"})
    return status, head, json.loads(answer)


def get(stack, path):
    status, _, answer = stack.get(f"/v1/recipes{path}")
    return status, json.loads(answer)


def delete(stack, ref):
    return stack.request("DELETE", f"/v1/recipes/{ref}")[0]


def post(stack, args, **more):
    status, _, answer = stack.post_json("/v1/jobs", {"type": "image", "args": args, **more})
    return status, answer


def run(stack, upload, recipe, **more):
    status, answer = post(stack, {"source": {"upload": upload}, "recipe": recipe, **more})
    assert status == 202, answer
    job = stack.client.ended(answer["id"])
    assert job["state"] == "succeeded", job
    return job


def test_each_new_body_makes_a_version(stack):
    status, head, answer = put(stack, "card", AVATAR)
    assert (status, answer) == (201, {"name": "card", "version": 1, "url": "/v1/recipes/card@1"})
    assert head["location"] == "/v1/recipes/card@1"
    again = {"outputs": [dict(reversed(AVATAR["outputs"][0].items()))]}
    assert put(stack, "card", again)[::2] == (200, answer), "the order of keys makes no version"
    status, _, answer = put(stack, "card", {**AVATAR, "auto_orient": False})
    assert (status, answer["version"]) == (201, 2)
    assert put(stack, "card", AVATAR)[2]["version"] == 3, "an older body is a new version"
    status, shown = get(stack, "/card")
    assert status == 200 and [v["version"] for v in shown["versions"]] == [3, 2, 1]
    assert all(v["deleted_at"] is None and v["created_at"].endswith("Z") for v in shown["versions"])
    status, shown = get(stack, "/card@2")
    assert status == 200 and shown["recipe"] == {**AVATAR, "auto_orient": False} and shown["version"] == 2


def test_a_job_names_a_version_or_the_newest(stack, upload):
    for width in (30, 40):
        put(stack, "w", {"outputs": [{"name": "w", "ops": [{"resize": {"width": width}}], "format": "png"}]})
    assert run(stack, upload, "w")["outputs"][0]["width"] == 40
    assert run(stack, upload, "w@1")["outputs"][0]["width"] == 30
    put(stack, "w", {"outputs": [{"name": "w", "ops": [{"resize": {"width": 50}}], "format": "png"}]})
    job = run(stack, upload, "w", auto_orient=False)
    assert job["outputs"][0]["width"] == 50, "a put shows at once in the API that took it"
    assert "recipe" not in job["args"] and job["args"]["outputs"][0]["ops"] == [{"resize": {"width": 50}}], "a job says all that it means"
    assert job["args"]["auto_orient"] is False


def test_follow_ups_and_chains_may_name_recipes(stack, upload):
    put(stack, "follow", AVATAR)
    link = {"type": "image", "args": {"source": {"upload": upload}, "recipe": "follow"}}
    job = stack.client.submit({"type": "noop", "args": {}, "then": [{**link, "then": [link]}], "chain": [link, link]})
    assert stack.client.ended(job)["state"] == "succeeded"
    stack.client.quiet()
    ended = stack.client.rows("select state from job_list where type = 'image' and parent is not null")
    assert ended == [("succeeded",)] * 4
    status, _, answer = stack.post_json("/v1/jobs", {"type": "noop", "args": {}, "then": [{"type": "image", "args": {
        "source": {"upload": upload}, "recipe": "nowhere"}}]})
    assert status == 422 and answer["errors"][0]["pointer"] == "/then/0/args/recipe", answer


@pytest.mark.parametrize("recipe", ["nobody", "nobody@1", "card@99", "", "Card", "card@", "card@0", "card@01", "card@x", "card@1@2", 7, None, {}])
def test_an_unknown_recipe(stack, upload, recipe):
    put(stack, "card", AVATAR)
    status, answer = post(stack, {"source": {"upload": upload}, "recipe": recipe})
    assert status == 422 and answer["errors"][0]["pointer"] == "/args/recipe", answer


def test_what_the_recipe_says_the_job_does_not(stack, upload):
    put(stack, "both", AVATAR)
    status, answer = post(stack, {"source": {"upload": upload}, "recipe": "both", "outputs": AVATAR["outputs"]})
    assert status == 422 and answer["errors"][0]["pointer"] == "/args/outputs", answer


def test_a_deleted_recipe_is_of_no_use(stack, upload):
    for width in (30, 40):
        put(stack, "gone", {"outputs": [{"name": "w", "ops": [{"resize": {"width": width}}], "format": "png"}]})
    run(stack, upload, "gone@2")
    assert delete(stack, "gone@2") == 204
    assert post(stack, {"source": {"upload": upload}, "recipe": "gone@2"})[0] == 422
    assert run(stack, upload, "gone")["outputs"][0]["width"] == 30, "the newest that can be used"
    assert delete(stack, "gone") == 204 and delete(stack, "gone") == 404
    for ref in ("gone", "gone@1"):
        assert post(stack, {"source": {"upload": upload}, "recipe": ref})[0] == 422
    status, shown = get(stack, "/gone@1")
    assert status == 200 and shown["deleted_at"], "what jobs have been made of can still be looked at"
    row, = [r for r in get(stack, "?after=gon")[1]["recipes"] if r["name"] == "gone"]
    assert row["version"] is None and row["versions"] == 2
    assert put(stack, "gone", {"outputs": [{"name": "w", "ops": [{"resize": {"width": 40}}], "format": "png"}]})[2]["version"] == 3
    assert run(stack, upload, "gone")["outputs"][0]["width"] == 40


@pytest.mark.parametrize("body,status,pointer", [
    ({}, 422, "/outputs"), ({"outputs": []}, 422, "/outputs"), ({**AVATAR, "source": {"upload": "x"}}, 422, "/source"),
    ({**AVATAR, "recipe": "card"}, 422, "/recipe"), ({**AVATAR, "extra": 1}, 422, "/extra"),
    ({"outputs": [{"name": "a", "ops": [{"resize": {"width": 0}}]}]}, 422, "/outputs/0/ops/0/resize/width"), ([], 400, None), (1, 400, None)])
def test_a_wrong_body(stack, body, status, pointer):
    got, _, answer = put(stack, "wrong", body)
    assert got == status, answer
    assert (answer["errors"][0]["pointer"] if pointer else None) == pointer, answer
    assert get(stack, "/wrong")[0] == 404


def test_wrong_requests(stack):
    assert put(stack, "Wrong", AVATAR)[0] == 404 and put(stack, "a@1", AVATAR)[0] == 422
    assert stack.request("PUT", "/v1/recipes/a", b"{", {"content-type": "application/json"})[0] == 400
    assert stack.request("PUT", "/v1/recipes/a", b"{}", {"content-type": "text/plain"})[0] == 415
    assert get(stack, "/nobody")[0] == 404 and get(stack, "/nobody@3")[0] == 404 and delete(stack, "nobody") == 404
    assert get(stack, "?limit=1")[0] == 400
    assert stack.request("POST", "/v1/recipes/a", b"{}")[0] == 405


def test_the_list_goes_on_by_name(stack):
    with psycopg2.connect(stack.pg.url) as db, db.cursor() as cursor:
        cursor.execute("insert into recipes (name, version, body) select 'z' || lpad(n::text, 3, '0'), v, '{}'"
                       " from generate_series(1, 250) as n, generate_series(1, 2) as v")
    names, after = [], "z"
    while after:
        status, page = get(stack, f"?after={after}")
        assert status == 200 and len(page["recipes"]) <= 200
        names += [r["name"] for r in page["recipes"]]
        assert all((r["version"], r["versions"]) == (2, 2) for r in page["recipes"])
        after = page["next"]
    assert names == [f"z{n:03}" for n in range(1, 251)]
    assert get(stack, "?after=zz")[1] == {"recipes": [], "next": None}


def test_versions_put_at_once_are_all_there(stack):

    def one(n):
        while True:
            status, _, answer = put(stack, "race", {"outputs": [{"name": f"o{n}"}]})
            if status != 503:
                return status, answer["version"]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(one, range(24)))
    assert sorted(got) == [(201, n) for n in range(1, 25)]


def test_while_postgres_is_away(stacks, picture):
    stack = stacks(RECIPE_AGE="1h")
    upload = stack.client.upload(picture(320, 200).read_bytes())
    put(stack, "a", AVATAR)
    put(stack, "b", AVATAR)
    assert post(stack, {"source": {"upload": upload}, "recipe": "a"})[0] == 202
    stack.client.quiet()
    stack.pg.stop()
    stack.client.until(lambda: get(stack, "/a")[0] == 503, "the API to notice")
    assert post(stack, {"source": {"upload": upload}, "recipe": "a"})[0] == 202, "what was used lately is known"
    assert post(stack, {"source": {"upload": upload}, "recipe": "b"})[0] == 503
    assert put(stack, "a", AVATAR)[0] == 503 and delete(stack, "a") == 503 and get(stack, "")[0] == 503
    stack.pg.start()
    stack.client.until(lambda: post(stack, {"source": {"upload": upload}, "recipe": "b"})[0] == 202, "PostgreSQL again")
    stack.client.quiet()


def test_the_command_line(stacks, picture, tmp_path):
    stack = stacks()
    body = tmp_path / "body.json"
    body.write_text(json.dumps(AVATAR))
    assert stack.cli("recipes", "put", "avatar", f"@{body}").stdout == "avatar@1 is stored\n"
    assert stack.cli("recipes", "put", "avatar", json.dumps(AVATAR)).stdout == "avatar@1 is unchanged\n"
    second = {"outputs": [{"name": "avatar", "ops": [{"resize": {"width": 32}}], "format": "png"}]}
    assert json.loads(stack.cli("recipes", "put", "avatar", json.dumps(second), "--json").stdout)["version"] == 2
    assert json.loads(stack.cli("recipes", "show", "avatar@1").stdout) == AVATAR
    assert [v["version"] for v in json.loads(stack.cli("recipes", "show", "avatar", "--json").stdout)["versions"]] == [2, 1]
    assert "avatar" in stack.cli("recipes").stdout and "avatar" not in stack.cli("recipes", "list", "avatar").stdout
    for recipe, width in (("avatar", 32), ("avatar@1", 64)):
        done = stack.cli("enqueue", "image", "--upload", str(picture(320, 200)), "--wait", "--json", json.dumps({"recipe": recipe}))
        assert json.loads(done.stdout)["outputs"][0]["width"] == width
    assert stack.cli("recipes", "delete", "avatar").stdout == "avatar is deleted\n"
    for words, code in ((("recipes", "delete", "avatar"), 4), (("recipes", "show", "nobody"), 4), (("recipes", "nothing"), 2), (("recipes", "show", "A"), 2),
                        (("recipes", "put", "a", '{"outputs": []}'), 1), (("recipes", "put", "a@1", json.dumps(AVATAR)), 2),
                        (("enqueue", "image", '{"source": {"path": "/a"}, "recipe": "avatar"}'), 4)):
        done = stack.cli(*words, check=False)
        assert done.returncode == code and done.stderr.startswith("millrace: "), (words, done)
    stack.client.quiet()

"""Outputs over HTTP: the bytes, the parts of them, and what a slow reader costs."""

import hashlib
import json
import os
import re
import uuid

import psycopg2
import pytest

from support.raw import Raw, request

DATA = os.urandom(300000)


@pytest.fixture(scope="module")
def api(module_stacks):
    stack = module_stacks(start=False)
    stack.start_services()
    stack.start_api()
    stack.client.until(lambda: b"down" not in stack.get("/readyz")[2], "readiness")
    return stack


def store(stack, data, name="card", kind="webp"):
    """An output as a worker leaves it. Gives its path on the API."""
    job_id, digest = str(uuid.uuid4()), hashlib.sha256(data)
    file = f"outputs/{digest.hexdigest()}.{kind}"
    (stack.dir / "blobs/outputs").mkdir(exist_ok=True)
    (stack.dir / "blobs" / file).write_bytes(data)
    with psycopg2.connect(stack.pg.url) as db, db.cursor() as cursor:
        cursor.execute("insert into jobs (id, state, priority, attempt, max_attempts, queue, type, worker, item) "
                       "values (%s, 5, 2, 1, 3, 'image', 'image', 'test', %s)", (job_id, b"\x80"))
        cursor.execute("insert into outputs (job_id, attempt, width, height, bytes, name, format, file, sha256) "
                       "values (%s, 1, 1, 1, %s, %s, %s, %s, %s)", (job_id, len(data), name, kind, file, digest.digest()))
    return f"/v1/jobs/{job_id}/outputs/{name}"


@pytest.fixture(scope="module")
def path(api):
    return store(api, DATA)


@pytest.fixture(scope="module")
def tag():
    return f'"{hashlib.sha256(DATA).hexdigest()}"'


def ask(stack, path, *headers, method="GET"):
    with Raw(stack) as raw:
        return raw.ask(request(method, path, headers=headers), head=method == "HEAD")


def test_the_bytes_come_as_they_were_made_with_their_tag(api, path, tag):
    answer = ask(api, path)
    assert answer.status == 200 and answer.body == DATA
    assert answer.headers["etag"] == tag and answer.headers["content-type"] == "image/webp"
    assert answer.headers["accept-ranges"] == "bytes" and answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"]


def test_head_tells_all_but_the_bytes(api, path):
    get, head = ask(api, path), ask(api, path, method="HEAD")
    assert head.status == 200 and head.headers.keys() == get.headers.keys()
    assert head.headers["content-length"] == str(len(DATA))


@pytest.mark.parametrize("kind,mime", [("jpeg", "image/jpeg"), ("png", "image/png"), ("avif", "image/avif"), ("gif", "image/gif"),
                                       ("odd", "application/octet-stream")])
def test_each_format_has_its_type(api, kind, mime):
    assert ask(api, store(api, kind.encode(), kind=kind)).headers["content-type"] == mime


@pytest.mark.parametrize("match", ["{}", "W/{}", '"x", {}', "*"])
def test_what_the_client_has_already_is_not_sent_again(api, path, tag, match):
    for method in ("GET", "HEAD"):
        answer = ask(api, path, f"If-None-Match: {match.format(tag)}", method=method)
        assert answer.status == 304 and answer.headers["etag"] == tag
    assert ask(api, path, 'If-None-Match: "other"').status == 200


PARTS = {"bytes=0-0": (0, 0), "bytes=0-99": (0, 99), "bytes=100000-199999": (100000, 199999), "bytes=299999-": (299999, 299999),
         "bytes=250000-": (250000, 299999), "bytes=250000-999999999": (250000, 299999), "bytes=-1": (299999, 299999),
         "bytes=-70000": (230000, 299999), "bytes=-999999999999999999999": (0, 299999), "bytes=65535-65536": (65535, 65536)}


@pytest.mark.parametrize("wanted", PARTS)
def test_a_part_is_exactly_the_part_that_was_asked_for(api, path, wanted):
    first, last = PARTS[wanted]
    answer = ask(api, path, f"Range: {wanted}")
    assert answer.status == 206 and answer.body == DATA[first:last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"


@pytest.mark.parametrize("wanted", ["bytes=300000-", "bytes=999999-1000000", "bytes=-0"])
def test_a_part_outside_the_file_is_refused_and_its_size_told(api, path, wanted):
    with Raw(api) as raw:
        answer = raw.ask(request("GET", path, headers=(f"Range: {wanted}",)))
        assert answer.status == 416 and answer.headers["content-range"] == "bytes */300000"
        assert json.loads(answer.body)["status"] == 416
        assert raw.ask(request("GET", "/healthz")).status == 200


@pytest.mark.parametrize("wanted", ["bytes=", "bytes=5", "bytes=9-5", "bytes=a-b", "items=0-5", "bytes=0-5,10-15", "0-5"])
def test_a_part_that_makes_no_sense_is_ignored(api, path, wanted):
    answer = ask(api, path, f"Range: {wanted}")
    assert answer.status == 200 and answer.body == DATA


def test_a_part_comes_only_of_the_very_file_that_the_client_has_begun(api, path, tag):
    assert ask(api, path, "Range: bytes=5-9", f"If-Range: {tag}").status == 206
    for other in ('"other"', f"W/{tag}", "Wed, 05 Nov 2025 00:00:00 GMT"):
        answer = ask(api, path, "Range: bytes=5-9", f"If-Range: {other}")
        assert answer.status == 200 and answer.body == DATA


def test_parts_asked_for_in_one_write_come_in_order(api, path):
    with Raw(api) as raw:
        raw.send(b"".join(request("GET", path, headers=(f"Range: bytes={i * 1000}-{i * 1000 + 70000}",)) for i in range(20)))
        for i in range(20):
            assert raw.answer().body == DATA[i * 1000:i * 1000 + 70001]


def test_an_empty_file_is_an_empty_answer(api):
    path = store(api, b"")
    answer = ask(api, path)
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert ask(api, path, "Range: bytes=0-0").status == 416


def test_what_is_not_there_is_404_and_what_is_gone_410(api, path):
    assert ask(api, path + "x").status == 404
    assert ask(api, "/v1/jobs/7/outputs/card").status == 404
    assert ask(api, f"/v1/jobs/{uuid.uuid4()}/outputs/card").status == 404
    assert ask(api, f"/v1/jobs/{uuid.uuid4()}/outputs/{'x' * 65}").status == 404
    lost = store(api, b"lost")
    (api.dir / "blobs/outputs" / f"{hashlib.sha256(b'lost').hexdigest()}.webp").unlink()
    assert ask(api, lost).status == 410


def test_a_link_in_place_of_the_file_is_not_followed(api):
    path = store(api, b"linked")
    file = api.dir / "blobs/outputs" / f"{hashlib.sha256(b'linked').hexdigest()}.webp"
    file.unlink()
    file.symlink_to("/etc/passwd")
    assert ask(api, path).status == 410


# --- readers that are slow, or go


def begin(stack, path):
    """A reader that has asked and takes next to nothing."""
    raw = Raw(stack, receive_buffer=4096)
    raw.send(request("GET", path))
    assert raw.more()
    return raw


@pytest.fixture(scope="module")
def large(api):
    return store(api, os.urandom(1 << 20) * 24, "large")


def test_slow_readers_cost_little_and_get_it_all(api, large):
    before = api.client.memory()
    slow = [begin(api, large) for _ in range(20)]
    try:
        for _ in range(50):  # the API has had its turns
            assert api.get("/healthz")[0] == 200
        grown = api.client.memory() - before
        print(f"{grown // 20 >> 10} KB a slow reader of 24 MB")
        assert api.client.sanitized() or grown < 20 * (512 << 10)
        slow[0].hurry()
        answer = slow[0].answer()
        assert len(answer.body) == 24 << 20 and f'"{hashlib.sha256(answer.body).hexdigest()}"' == answer.headers["etag"]
    finally:
        for raw in slow:
            raw.close()
    api.client.until(lambda: api.client.connections() == 0, "the end of the others")


def test_a_reader_that_goes_leaves_no_descriptor(api, large):
    before = api.client.metric("process_open_fds")
    for leave in ("reset", "close"):
        for _ in range(10):
            getattr(begin(api, large), leave)()
    api.client.until(lambda: api.client.metric("process_open_fds") <= before, "the descriptors")


def test_a_reader_that_takes_nothing_is_given_up(stacks):
    stack = stacks(start=False, WRITE_TIMEOUT="300ms")
    stack.start_services()
    stack.start_api()
    stack.client.until(lambda: b"down" not in stack.get("/readyz")[2], "readiness")
    raw = begin(stack, store(stack, b"x" * (32 << 20)))
    stack.client.until(lambda: stack.client.connections() == 0, "its end")
    raw.close()


def test_a_file_that_shrinks_while_it_is_sent_ends_in_a_cut_and_not_in_a_lie(api):
    path = store(api, b"y" * (16 << 20), "shrinks")
    raw = begin(api, path)
    os.truncate(api.dir / "blobs/outputs" / f"{hashlib.sha256(b'y' * (16 << 20)).hexdigest()}.webp", 1 << 20)
    try:
        got = len(raw.end())
    except ConnectionResetError:
        got = 0
    assert got < 16 << 20
    raw.close()
    assert api.get("/healthz")[0] == 200


def test_an_answer_under_way_is_finished_before_the_end(stacks):
    stack = stacks(start=False)
    stack.start_services()
    stack.start_api()
    stack.client.until(lambda: b"down" not in stack.get("/readyz")[2], "readiness")
    with begin(stack, store(stack, b"z" * (16 << 20))) as raw:
        stack.api.ask()
        raw.hurry()
        assert raw.answer().body == b"z" * (16 << 20)
        assert raw.end() == b""
    assert stack.api.wait() == 0


# --- made by the worker itself


def test_what_a_job_has_made_can_be_fetched_where_the_job_says(stack, picture):
    client = stack.client
    upload = client.upload(picture(200, 100).read_bytes())
    job = client.ended(client.submit({"type": "image", "args": {"source": {"upload": upload}, "outputs": [
        {"name": "small", "ops": [{"resize": {"width": 40}}], "format": "png"}, {"name": "other", "format": "jpeg"}]}}))
    assert job["state"] == "succeeded", job
    assert sorted(o["name"] for o in job["outputs"]) == ["other", "small"]
    for output in job["outputs"]:
        answer = ask(stack, output["url"])
        assert answer.status == 200 and len(answer.body) == output["bytes"]
        assert hashlib.sha256(answer.body).hexdigest() == output["sha256"]
        assert answer.headers["content-type"] == f"image/{output['format']}"
        assert re.fullmatch(rb"\x89PNG.*|\xff\xd8\xff.*", answer.body[:4], re.S)

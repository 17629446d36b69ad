"""Watermarks by URL: fetched as sources are, once each, before anything is rendered, and nothing is left behind."""

import signal
import subprocess

import pytest

from support.origin import Origin
from support.pictures import plain_png

LIMIT = 64 * 1024
GREY, RED, BLUE = (100, 100, 100), (255, 0, 0), (0, 0, 255)


@pytest.fixture
def origin():
    server = Origin()
    server.pages.update({"/grey": server.file(plain_png(60, 40, GREY)), "/red": server.file(plain_png(10, 10, RED)),
                         "/blue": server.file(plain_png(10, 10, BLUE))})
    yield server
    server.close()


@pytest.fixture(scope="module")
def stack(module_stacks):
    return module_stacks(SOURCE_BYTES=str(LIMIT), SOURCE_TIMEOUT="2s", OUTGOING_ALLOW="127.0.0.1/32", RESULT_MEMORY="true")


def mark(url, gravity="northwest", **more):
    return {"watermark": {"source": {"url": url}, "gravity": gravity, **more}}


def submit(stack, source, *ops, **more):
    if not isinstance(source, dict):
        source = {"upload": stack.client.upload(source)}
    outputs = [{"name": f"o{i}", "ops": list(one), "format": "png"} for i, one in enumerate(ops)]
    return stack.client.submit({"type": "image", "args": {"source": source, "outputs": outputs}, **more})


def run(stack, source, *ops, **more):
    return stack.client.ended(submit(stack, source, *ops, **more))


def point(stack, job, x, y, output=0):
    path = stack.dir / "blobs" / job["outputs"][output]["file"]
    said = subprocess.run(["vips", "getpoint", str(path), str(x), str(y)], capture_output=True, text=True, check=True).stdout
    return tuple(int(float(v)) for v in said.split()[:3])


def spool_is_empty(stack):
    stack.client.until(lambda: not stack.client.files("spool"), "an empty spool directory")


# --- what is fetched

def test_several_watermarks_and_the_source_each_once(stack, origin):
    ops = [mark(origin.url("/red")), mark(origin.url("/blue"), "southeast"), mark(origin.url("/red"), "north")]
    job = run(stack, {"url": origin.url("/grey")}, ops, [mark(origin.url("/blue")), mark(origin.url("/grey"), "center", scale=0.5)])
    assert job["state"] == "succeeded", job
    assert [point(stack, job, *at) for at in ((2, 2), (58, 38), (30, 2), (30, 20))] == [RED, BLUE, RED, GREY]
    assert point(stack, job, 2, 2, 1) == BLUE
    assert {path: len(origin.requests(path)) for path in origin.pages} == {"/grey": 1, "/red": 1, "/blue": 1}
    spool_is_empty(stack)


def test_beside_an_upload_and_behind_a_redirect(stack, origin):
    origin.pages["/moved"] = origin.moved("/red")
    upload = {"watermark": {"source": {"upload": stack.client.upload(plain_png(10, 10, BLUE))}, "gravity": "southeast"}}
    job = run(stack, plain_png(60, 40, GREY), [mark(origin.url("/moved")), upload])
    assert job["state"] == "succeeded" and (point(stack, job, 2, 2), point(stack, job, 58, 38)) == (RED, BLUE), job
    spool_is_empty(stack)


# --- what fails, and which it was

def failing(stack, origin, url, **more):
    """The second watermark of the second output."""
    return run(stack, {"url": origin.url("/grey")}, [mark(origin.url("/red"))], [mark(origin.url("/blue")), mark(url)], **more)


AT = "/args/outputs/1/ops/1/watermark/source/url: "


@pytest.mark.parametrize("page,error,text", [
    ("missing", "NOT_FOUND", "answered 404"), ("secret", "REJECTED", "answered 403"), ("big", "TOO_BIG", f"over {LIMIT} bytes"),
    ("announced", "TOO_BIG", f"over {LIMIT} bytes"), ("away", "FORBIDDEN", ""), ("round", "REJECTED", "more than 3 redirects"), ("file", None, "")])
def test_the_same_rules_as_for_a_source(stack, origin, page, error, text):
    origin.pages.update({"/secret": origin.status(403), "/big": origin.chunked(bytes(LIMIT + 1)),
                         "/announced": origin.stuck_after(b"\xff\xd8\xff", 1 << 40), "/away": origin.moved("http://169.254.169.254/"),
                         "/round": origin.moved("/round"), "/file": origin.moved("file:///etc/passwd")})
    job = failing(stack, origin, origin.url(f"/{page}"))
    assert job["state"] == "dead" and job["error"] == (error or job["error"]) and job["attempt"] == 1, job
    assert job["error_text"].startswith(AT) and text in job["error_text"], job
    spool_is_empty(stack)


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.2", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "2130706434"])
def test_private_addresses(stack, origin, host):
    job = failing(stack, origin, origin.url("/red", host))
    assert (job["state"], job["error"]) == ("dead", "FORBIDDEN") and job["error_text"].startswith(AT), job
    spool_is_empty(stack)


def test_other_schemes_are_refused_when_posted(stack):
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/a", "http://u:p@127.0.0.1/", "data:image/png;base64,AAAA"):
        status, _, body = stack.post_json("/v1/jobs", {"type": "image", "args": {
            "source": {"url": "http://127.0.0.1/"}, "outputs": [{"name": "a", "ops": [mark(url)]}]}})
        assert status == 422 and body["errors"][0]["pointer"] == "/args/outputs/0/ops/0/watermark/source/url", (url, body)


def test_what_is_no_picture(stack, origin):
    origin.pages["/page"] = origin.file(b"<html>no picture</html>" * 100)
    job = failing(stack, origin, origin.url("/page"))
    assert job["state"] == "dead" and job["error"] == "UNSUPPORTED", job
    assert job["error_text"].startswith("/args/outputs/1/ops/1/watermark/source: "), job


def test_a_path_that_is_refused_is_named(stack):
    job = run(stack, plain_png(20, 20), [{"watermark": {"source": {"path": "/etc/passwd"}}}])
    assert job["error"] == "FORBIDDEN" and job["error_text"].startswith("/args/outputs/0/ops/0/watermark/source/path: "), job


def test_a_server_that_is_busy(stack, origin):
    origin.pages["/busy"] = [origin.status(503, retry_after="1"), origin.file(plain_png(10, 10, RED))]
    job = failing(stack, origin, origin.url("/busy"))
    assert job["state"] == "succeeded" and job["attempt"] == 2, job
    waited, = stack.client.rows("select extract(epoch from b.started_at - a.finished_at)::float from attempts a join attempts b using (job_id)"
                                " where job_id = %s and a.attempt = 1 and b.attempt = 2", job["id"])[0]
    assert waited >= 0.9, "Retry-After is honoured"


def test_a_slow_server_stops_the_others_too(stack, origin):
    origin.pages["/slow"] = origin.stuck_after(b"\xff\xd8\xff", 1000)
    job = failing(stack, origin, origin.url("/slow"), max_attempts=1)
    assert (job["state"], job["error"]) == ("dead", "TIMEOUT") and job["error_text"].startswith(AT), job
    job = failing(stack, origin, origin.url("/slow"), max_attempts=1, timeout_ms=200)
    assert (job["state"], job["error"]) == ("dead", "TIMEOUT"), job
    spool_is_empty(stack)


def test_one_that_fails_stops_one_that_hangs(stacks, origin):
    stack = stacks(SOURCE_TIMEOUT="1h")
    origin.pages["/slow"] = origin.stuck_after(b"\xff\xd8\xff", 1000)
    job = run(stack, {"url": origin.url("/grey")}, [mark(origin.url("/slow")), mark(origin.url("/missing"))], timeout_ms=3600000)
    assert job["error"] == "NOT_FOUND" and job["error_text"].startswith("/args/outputs/0/ops/1/watermark/source/url: "), job
    spool_is_empty(stack)


# --- the memory of results

def test_the_bytes_count_and_not_the_url(stack, origin):
    origin.pages["/logo"] = [origin.file(plain_png(10, 10, RED)), origin.chunked(plain_png(10, 10, RED)), origin.file(plain_png(10, 10, BLUE))]
    source = plain_png(64, 48, GREY)
    jobs = [run(stack, source, [mark(origin.url("/logo"))]) for _ in range(3)]
    assert [j["result"].get("cached", False) for j in jobs] == [False, True, False]
    assert [point(stack, j, 2, 2) for j in jobs] == [RED, RED, BLUE]
    origin.pages["/other"] = origin.file(plain_png(10, 10, BLUE))
    assert run(stack, source, [mark(origin.url("/other"))])["result"].get("cached"), "the same bytes from elsewhere"
    upload = {"watermark": {"source": {"upload": stack.client.upload(plain_png(10, 10, RED))}, "gravity": "northwest"}}
    assert run(stack, source, [upload])["result"].get("cached"), "and by upload"
    swapped = [mark(origin.url("/red")), mark(origin.url("/blue"))]
    assert not run(stack, source, swapped)["result"].get("cached")
    assert not run(stack, source, swapped[::-1])["result"].get("cached"), "their order counts"
    assert run(stack, source, swapped)["result"].get("cached")


def test_two_at_once_are_worked_on_once(stacks, origin):
    stack = stacks(RESULT_MEMORY="true", RENDERERS="1", FAILPOINTS="render.decode=2*spin")
    source = plain_png(64, 48, GREY)
    assert run(stack, source, [])["state"] == "succeeded"  # a renderer's first order passes
    # The first ends at its deadline; meanwhile the others wait for it. One of them then does the work for both.
    first = submit(stack, source, [mark(origin.url("/red"))], timeout_ms=3000, max_attempts=1)
    stack.client.state(first, "running")
    stack.client.until(lambda: origin.requests("/red"), "the first fetch")
    others = [submit(stack, source, [mark(origin.url("/red"))]) for _ in range(2)]
    assert stack.client.ended(first)["error"] == "TIMEOUT"
    jobs = [stack.client.ended(i) for i in others]
    assert [j["state"] for j in jobs] == ["succeeded"] * 2
    assert sorted(j["result"].get("cached", False) for j in jobs) == [False, True]
    spool_is_empty(stack)


# --- in the middle

@pytest.fixture
def slow(stacks, origin):
    """A job of which the source and one watermark are there, and another watermark hangs."""
    stack = stacks(SOURCE_TIMEOUT="1h", DRAIN="100ms")
    origin.pages["/slow"] = [origin.stuck_after(b"\x89PNG", 1000), origin.file(plain_png(10, 10, RED))]
    job = submit(stack, {"url": origin.url("/grey")}, [mark(origin.url("/blue")), mark(origin.url("/slow"))], timeout_ms=3600000)
    assert origin.stuck.acquire(timeout=60)
    sizes = [len(plain_png(60, 40, GREY)), len(plain_png(10, 10, BLUE)), 4]
    stack.client.until(lambda: sorted(f.stat().st_size for f in stack.client.files("spool")) == sorted(sizes), "two files and the beginning of a third")
    return stack, job


def test_a_job_that_is_cancelled_leaves_no_file(slow):
    stack, job = slow
    assert stack.post_json(f"/v1/jobs/{job}/cancel", {})[0] in (200, 202)
    assert stack.client.ended(job)["state"] == "cancelled"
    spool_is_empty(stack)


def test_a_worker_that_drains_leaves_no_file(slow):
    stack, job = slow
    assert stack.workers.pop("1").stop() == 0
    assert not stack.client.files("spool")
    stack.start_worker()
    assert stack.client.ended(job)["state"] == "succeeded"
    spool_is_empty(stack)


def test_a_worker_that_is_killed_leaves_no_file_beyond_its_next_start(slow):
    stack, job = slow
    worker = stack.workers.pop("1")
    worker.send(signal.SIGKILL)
    worker.wait()
    assert len(stack.client.files("spool")) == 3
    stack.start_worker()
    assert stack.client.ended(job)["state"] == "succeeded"
    spool_is_empty(stack)


def test_a_killed_renderer_leaves_no_file(stacks, origin):
    stack = stacks(FAILPOINTS="render.decode=1*abort")
    job = run(stack, {"url": origin.url("/grey")}, [mark(origin.url("/red"))], max_attempts=2)
    assert (job["state"], job["error"], job["attempt"]) == ("dead", "CRASHED", 2), job
    spool_is_empty(stack)
